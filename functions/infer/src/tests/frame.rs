//! One frame: whatever a model's server does about EXIF, what is kept is of the picture upright (I13).

use serde_json::{Value, json};
use shared::domain::item::source::Source;
use shared::domain::item::{Asset, SizeOrigin};
use shared::domain::prediction::orientation::Orientation;
use shared::domain::prediction::rle;
use shared::domain::prediction::size::Size;
use shared::domain::prediction::turn::Exif;
use shared::domain::provider::connection::Reading;
use shared::ports::Objects;
use shared::testing::{MemoryWeb, ScriptedModel, ScriptedModels, a_mask, a_png};

use super::{GOOD, far, key, pictured, raw, uploads, worker_on};

const UPRIGHT: Size = Size { width: 40, height: 30 };
const STORED: Size = Size { width: 30, height: 40 };

fn turned(asset: Asset) -> Asset {
    let origin = SizeOrigin { orientation: Some(Orientation::Rotated90), ..SizeOrigin::default() };
    Asset { size: Some(UPRIGHT), origin, ..asset }
}

fn ignoring(answer: &Value) -> ScriptedModels {
    let reading = Reading { exif: Exif::Ignored, ..Reading::default() };
    ScriptedModels(ScriptedModel::answering(answer.to_string(), reading))
}

#[tokio::test(start_paused = true)]
async fn a_model_that_ignores_exif_is_sent_the_stored_size_and_its_answer_is_turned_upright() {
    let predicted = |kind: &str, more: Value| {
        let mut predicted = json!({"type": kind, "label": "road", "confidence": 0.9});
        predicted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        predicted
    };
    let cuboid = json!({
        "center": {"x": 1.0, "y": 2.0, "z": 3.0}, "dimensions": {"length": 4.0, "width": 2.0, "height": 1.0},
        "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
    });
    let mask = |size: [u32; 2], runs: &[u64]| json!({"mask": {"format": "coco_rle", "size": size, "counts": rle::encode(runs.iter().copied())}});
    // The pixel of column 2 and row 1 of the stored picture.
    let marked = [81, 1, 1_118];
    let answer = json!({"annotations": [
        predicted("bounding_box", json!({"coordinates": {"x": 2, "y": 1, "width": 3, "height": 90}})),
        predicted("polygon", json!({"points": [[0, 0], [30, 0], [30, 40]]})),
        predicted("polyline", json!({"points": [[2, 1], [5.5, 7.25]]})),
        predicted("segmentation_mask", mask([40, 30], &marked)),
        predicted("segmentation_mask", json!({"mask": {"format": "coco_rle", "size": [40, 30], "counts": marked}})),
        predicted("segmentation_mask", json!({"mask": rle::encode(marked)})),
        pictured(GOOD, 0.9),
        predicted("classification", json!({})),
        predicted("bounding_box_3d", json!({"coordinates": cuboid})),
    ]});
    let (mut worker, batch) = worker_on(&[turned(uploads(1).remove(0))]).await;
    worker.web = MemoryWeb::of([(GOOD, a_mask(STORED, 2, 1))]);
    worker.models = ignoring(&answer);

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.models.0.sizes(), [Some(STORED)]);
    // Turned by 90 degrees clockwise: column 2 and row 1 become column 40 - 1 - 1 and row 2.
    let upright = mask([30, 40], &[38 * 30 + 2, 1, 30 * 40 - 38 * 30 - 3]);
    let line: Value = serde_json::from_str(raw(&worker).await.lines().next().unwrap()).unwrap();
    assert_eq!(
        line["predictions"],
        json!([
            predicted("bounding_box", json!({"coordinates": {"x": 0.0, "y": 2.0, "width": 39.0, "height": 3.0}})),
            predicted("polygon", json!({"points": [[40.0, 0.0], [40.0, 30.0], [0.0, 30.0]]})),
            predicted("polyline", json!({"points": [[39.0, 2.0], [32.75, 5.5]]})),
            predicted("segmentation_mask", upright.clone()),
            predicted("segmentation_mask", upright.clone()),
            predicted("segmentation_mask", upright.clone()),
            predicted("segmentation_mask", upright),
            predicted("classification", json!({})),
            predicted("bounding_box_3d", json!({"coordinates": cuboid})),
        ])
    );
    assert!(worker.store.measured().is_empty(), "its orientation was known");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_applies_exif_is_sent_the_upright_size_and_its_answer_is_kept_as_it_is() {
    let rect = json!({"x": 2.0, "y": 1.0, "width": 3.0, "height": 4.0});
    let answer =
        json!({"annotations": [{"type": "bounding_box", "label": "road", "confidence": 0.9, "coordinates": rect}]});
    let (mut worker, batch) = worker_on(&[turned(uploads(1).remove(0))]).await;
    worker.models = ScriptedModels(ScriptedModel::saying(&answer));

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.models.0.sizes(), [Some(UPRIGHT)]);
    let line: Value = serde_json::from_str(raw(&worker).await.lines().next().unwrap()).unwrap();
    assert_eq!(line["predictions"][0]["coordinates"], rect);
}

#[tokio::test(start_paused = true)]
async fn an_orientation_that_is_not_known_is_read_from_the_file_and_a_size_that_was_given_stays() {
    let given = SizeOrigin { given: true, ..SizeOrigin::default() };
    let of = |asset: &Asset, source: Source| Asset { size: Some(UPRIGHT), origin: given, source, ..asset.clone() };
    let assets = uploads(3);
    let url = Source::Url("https://pictures.example/a.png".into());
    let sources = [assets[0].source.clone(), url, assets[2].source.clone()];
    let assets: Vec<Asset> = assets.iter().zip(sources).map(|(asset, source)| of(asset, source)).collect();
    let (mut worker, batch) = worker_on(&assets).await;
    let answer = json!({"annotations": [{"type": "classification", "label": "road", "confidence": 0.9}]});
    worker.models = ignoring(&answer);
    worker.web = MemoryWeb::of([("https://pictures.example/a.png", a_png(40, 30))]);
    worker.objects.put(key(&assets[0]), "", a_png(80, 60)).await.unwrap();
    worker.objects.put(key(&assets[2]), "", b"no picture".to_vec()).await.unwrap();

    worker.run(&batch, "a", far()).await.unwrap();

    let read = |file_size| SizeOrigin { orientation: Some(Orientation::Upright), file_size, ..given };
    let mut measured = worker.store.measured();
    measured.sort_by_key(|asset| assets.iter().position(|one| one.uid == asset.uid));
    let contradicted = Some(Size { width: 80, height: 60 });
    assert_eq!(
        measured,
        [Asset { origin: read(contradicted), ..assets[0].clone() }, Asset { origin: read(None), ..assets[1].clone() }]
    );
    let failures: Vec<_> = worker.store.committed_receipts().into_iter().flat_map(|receipt| receipt.failures).collect();
    assert_eq!(failures.len(), 1);
    let message = &failures[0].message;
    assert!(message.starts_with("The provider ignores EXIF, and the file's orientation cannot be read. "), "{message}");
}

//! The format `label_studio`: a JSON array of tasks (Label Studio, "Label Studio JSON format of annotated tasks", "Import
//! pre-annotated data"). What a person has accepted is an annotation of its task, a draft a prediction. Geometry is in percent of the
//! picture's width and height.
//!
//! The names of the controls are ours. The guide has the labeling configuration that goes with them.

mod brush;

use serde_json::{Value, json};

use super::format::{Writing, no_shape};
use super::selection::{Selected, SelectedStatus};
use crate::domain::Error;
use crate::domain::item::Source;
use crate::domain::prediction::rows::Rows;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Mask, Prediction, Rect};

/// Why a point cloud is left out.
const NO_PICTURE: &str = "Tasks with pictures have no point clouds.";
/// The model version of a prediction that no job has made.
const BY_HAND: &str = "by-hand";
/// Why an annotation of a correction's draft is left out.
const LOST_OF_DRAFT: &str = "Label Studio has no such shape of a draft.";

/// The begin of the array.
pub(super) fn begin(writing: &mut Writing<'_>) {
    writing.pieces.file.push(b'[');
}

/// The end of the array.
pub(super) fn end(writing: &mut Writing<'_>) {
    writing.pieces.file.extend_from_slice(b"\n]\n");
}

/// Writes items, a task each.
pub(super) fn write(items: &[Selected<'_>], writing: &mut Writing<'_>) -> Result<(), Error> {
    for selected in items {
        match selected.picture(NO_PICTURE) {
            Ok(size) => write_one(selected, size, writing)?,
            Err(why) => writing.leave_out(selected, why),
        }
    }
    Ok(())
}

fn write_one(selected: &Selected<'_>, size: Size, writing: &mut Writing<'_>) -> Result<(), Error> {
    let id = writing.counted.images + 1;
    let file = &mut writing.pieces.file;
    file.extend_from_slice(if id == 1 { b"\n" } else { b",\n" });
    let task = task(selected, size, id, writing);
    serde_json::to_writer(&mut writing.pieces.file, &task).map_err(Error::internal)?;
    writing.counted.images = id;
    Ok(())
}

fn task(selected: &Selected<'_>, size: Size, id: u64, writing: &mut Writing<'_>) -> Value {
    let item = selected.item;
    let mut data = json!({
        "image": image(&item.asset.source, writing.bucket), "key": selected.name, "width": size.width, "height": size.height,
    });
    if let Some(split) = selected.split {
        data["split"] = json!(split);
    }
    let mut task = json!({
        "id": id, "data": data, "meta": {"item": item.asset.uid, "project": item.project, "status": selected.status},
        "annotations": [], "predictions": [],
    });
    if selected.is_labeled(&writing.export.options) {
        count(selected, writing);
        let is_accepted = selected.status == SelectedStatus::Accepted;
        let drafted = if is_accepted { corrected(selected, writing) } else { Some(selected.annotations.clone()) };
        if is_accepted {
            task["annotations"] = json!([annotation(selected, size, id)]);
        }
        if let Some(mut drafted) = drafted {
            drafted.retain(|annotation| is_held(annotation));
            task["predictions"] = json!([prediction(selected, &drafted, size, id)]);
        }
    }
    task
}

/// The URL of a picture. One in S3 is not percent-encoded: Label Studio signs it by its own storage.
fn image(source: &Source, bucket: &str) -> String {
    match source {
        Source::Bucket(key) => format!("s3://{bucket}/{key}"),
        Source::S3(object) => format!("s3://{}/{}", object.bucket, object.key),
        Source::Url(url) => url.clone(),
    }
}

/// The draft of a correction. What the format cannot hold of it is counted, too.
fn corrected<'a>(selected: &Selected<'a>, writing: &mut Writing<'_>) -> Option<Vec<&'a Prediction>> {
    let draft = selected.correction.as_ref()?.draft;
    draft.iter().filter(|one| !is_held(one)).for_each(|one| writing.leave_out_one(one, LOST_OF_DRAFT));
    Some(draft.iter().collect())
}

const fn is_held(annotation: &Prediction) -> bool {
    !matches!(annotation.geometry, Geometry::Polyline { .. } | Geometry::BoundingBox3d { .. })
}

/// Counts the annotations, and those that the format cannot hold.
fn count(selected: &Selected<'_>, writing: &mut Writing<'_>) {
    for annotation in &selected.annotations {
        match &annotation.geometry {
            Geometry::Polyline { .. } | Geometry::BoundingBox3d { .. } => {
                writing.leave_out_one(annotation, no_shape!("Label Studio", annotation.geometry));
            }
            _ => writing.counted.annotations += 1,
        }
    }
}

fn annotation(selected: &Selected<'_>, size: Size, id: u64) -> Value {
    let result = selected.item.result.as_ref();
    json!({
        "id": id, "result": regions(&selected.annotations, size, &format!("{id}-a")), "was_cancelled": false, "ground_truth": false,
        "created_at": result.map(|result| result.created_at), "updated_at": result.map(|result| result.updated_at),
    })
}

fn prediction(selected: &Selected<'_>, drafted: &[&Prediction], size: Size, id: u64) -> Value {
    let lineage = selected.item.result.as_ref().and_then(|result| result.lineage.as_ref());
    let version = lineage.map_or_else(|| BY_HAND.to_owned(), |lineage| lineage.job.to_string());
    let scores: f64 = drafted.iter().map(|annotation| annotation.confidence).sum();
    let score = (!drafted.is_empty()).then(|| scores / drafted.len() as f64);
    json!({"id": id, "model_version": version, "score": score, "result": regions(drafted, size, &format!("{id}-p"))})
}

/// The regions of annotations. Their ids begin with `prefix`, which is no other list's.
fn regions(annotations: &[&Prediction], size: Size, prefix: &str) -> Vec<Value> {
    let region = |(index, annotation): (usize, &&Prediction)| {
        let (control, kind, mut value) = shape(&annotation.geometry, size)?;
        value[kind] = json!([annotation.label]);
        Some(json!({
            "id": format!("{prefix}{index}"), "from_name": control, "to_name": "image", "type": kind,
            "original_width": size.width, "original_height": size.height, "image_rotation": 0,
            "value": value, "score": annotation.confidence,
        }))
    };
    let regions = annotations.iter().enumerate().filter_map(region);
    regions.chain(choices(annotations, prefix)).collect()
}

/// The control, the type and the geometry of a region; `None`: it is no region.
fn shape(geometry: &Geometry, Size { width, height }: Size) -> Option<(&'static str, &'static str, Value)> {
    let across = |x: f64| x * 100.0 / f64::from(width);
    let down = |y: f64| y * 100.0 / f64::from(height);
    match geometry {
        Geometry::BoundingBox { coordinates: Rect { x, y, width, height } } => {
            let [x, y, width, height] = [across(*x), down(*y), across(*width), down(*height)];
            let value = json!({"x": x, "y": y, "width": width, "height": height, "rotation": 0});
            Some(("rectangle", "rectanglelabels", value))
        }
        Geometry::Polygon { points } => {
            let points: Vec<_> = points.iter().map(|[x, y]| [across(*x), down(*y)]).collect();
            Some(("polygon", "polygonlabels", json!({"points": points, "closed": true})))
        }
        Geometry::SegmentationMask { mask: Mask::CocoRle { size: [rows, columns], counts } } => {
            let bytes = brush::encode(&Rows::of(counts, *rows)?, [*rows, *columns]);
            Some(("brush", "brushlabels", json!({"format": "rle", "rle": bytes})))
        }
        Geometry::Polyline { .. } | Geometry::Classification | Geometry::BoundingBox3d { .. } => None,
    }
}

/// The labels of the whole picture: all choices of a control are one entry.
fn choices(annotations: &[&Prediction], prefix: &str) -> Option<Value> {
    let whole = annotations.iter().filter(|annotation| annotation.geometry == Geometry::Classification);
    let labels: Vec<&str> = whole.map(|annotation| annotation.label.as_str()).collect();
    let entry = json!({
        "id": format!("{prefix}c"), "from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": labels},
    });
    (!labels.is_empty()).then_some(entry)
}

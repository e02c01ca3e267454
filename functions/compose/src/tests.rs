use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::export::request::NewExport;
use shared::domain::export::{Export, ExportStatus};
use shared::domain::id::{ExportUid, ItemUid, JobUid, OrganizationUid, ProjectUid};
use shared::domain::item::origin::{KeptDraft, Origins};
use shared::domain::item::result::{LabelResult, Lineage, ResultStatus};
use shared::domain::item::source::{S3Object, SourceBuckets};
use shared::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use shared::domain::limits;
use shared::domain::prediction::draft::{BlobRef, Packed};
use shared::domain::prediction::size::Size;
use shared::domain::project::Project;
use shared::domain::webhook::{Webhook, WebhookChange};
use shared::ports::{DeliveryFilter, Exports, Slice, Webhooks};
use shared::testing::{
    Fault, MemoryExportQueue, MemoryExports, MemoryObjects, MemoryQueue, MemoryWeb, MemoryWebhooks, StoppedClock,
    a_webhook,
};

use super::step::STEP;
use super::*;

type World =
    Composer<MemoryExports, MemoryWebhooks, MemoryObjects, MemoryExportQueue, MemoryQueue, StoppedClock, MemoryWeb>;

const ITEMS: usize = 1_000; // three pages

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn acme() -> OrganizationUid {
    OrganizationUid::named("acme")
}

fn an_item(project: &Project, n: usize) -> Item {
    let key = format!("{n:05}.jpg");
    let asset = Asset {
        uid: ItemUid::of(project.uid, &key),
        kind: AssetType::Image,
        size: Some(Size { width: 100, height: 100 }),
        origin: SizeOrigin::default(),
        source: Source::Bucket(Item::object_key(project.uid, &key)),
        changes: 0,
    };
    let annotation = json!({"type": "bounding_box", "label": format!("label {}", n % 3), "confidence": 0.5,
        "coordinates": {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0}});
    let result = LabelResult::by_hand(1, serde_json::from_value(json!([annotation])).unwrap(), "ada", at(3));
    let (organization, created_at) = (project.organization, at(1));
    Item { organization, project: project.uid, key, asset, file: None, created_at, generation: 1, result: Some(result) }
}

fn a_project() -> Project {
    let project = Project::read(br#"{"name": "Cats", "labels": ["label 1"]}"#, acme(), at(1)).unwrap();
    let uid = ProjectUid::parse("0192b1c0-0000-7000-8000-000000000000").unwrap();
    Project { uid, ..project }
}

/// An export of 1,000 items in a world one of whose calls fails.
async fn a_world(format: &str, fault: &Arc<Fault>) -> (World, ExportUid) {
    let items = (0..ITEMS).map(|n| an_item(&a_project(), n)).collect();
    a_world_of(items, json!({"format": format}), fault).await
}

/// An export of these items with these options.
async fn a_world_of(items: Vec<Item>, options: Value, fault: &Arc<Fault>) -> (World, ExportUid) {
    let project = a_project();
    let webhook = WebhookChange::read(br#"{"events": ["export.completed", "export.failed"]}"#, |_| Ok(String::new()));
    let webhook: Webhook = webhook.unwrap().of(a_webhook(), at(1_001));
    let webhooks = MemoryWebhooks::with(webhook);
    let exports = MemoryExports::of(items).with_webhooks(&webhooks);
    let mut body = options;
    body["project"] = json!(project.uid);
    let body = body.to_string();
    let uid = ExportUid::at(at(2));
    let times = (at(2), at(900_000));
    let export = NewExport::read(body.as_bytes()).unwrap().into_export(uid, acme(), &[project], times).unwrap();
    exports.add_export(&export).await.unwrap();
    let world = Composer {
        exports: exports.failing(fault),
        webhooks: webhooks.failing(fault),
        objects: MemoryObjects::default().failing(fault),
        bucket: "bucket".into(),
        buckets: SourceBuckets::default(),
        web: MemoryWeb::of([("https://example.com/b.png", b"a picture".to_vec())]),
        queue: MemoryExportQueue::default().failing(fault),
        deliveries: MemoryQueue::default().failing(fault),
        clock: StoppedClock::at(1_000),
    };
    (world, uid)
}

fn a_message(body: &Value) -> SqsEvent {
    let message = SqsMessage { message_id: "1".into(), body: body.to_string(), ..SqsMessage::default() };
    SqsEvent { records: vec![message] }
}

fn a_step(uid: ExportUid) -> SqsEvent {
    a_message(&json!({"V1": {"organization": acme(), "export": uid}}))
}

fn a_tick() -> SqsEvent {
    a_message(&json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}))
}

/// Hands out messages, and rounds of the schedule two minutes apart, until the export has ended.
async fn run(world: &World, uid: ExportUid) -> Export {
    world.handle(a_step(uid)).await;
    for _ in 0..20 {
        for (_, uid) in world.queue.take() {
            world.handle(a_step(uid)).await;
        }
        let export = world.exports.all().remove(0);
        if matches!(export.status, ExportStatus::Exported | ExportStatus::Failed) {
            return export;
        }
        world.clock.pass(Duration::from_secs(120));
        world.handle(a_tick()).await;
    }
    panic!("the export does not end: {:?}", world.exports.all());
}

fn file_of(world: &World, export: &Export) -> Vec<u8> {
    let file = &export.files[0];
    let bytes = world.objects.object(&export.object_key(&file.name)).unwrap();
    assert_eq!(bytes.len() as u64, file.bytes);
    let mut digest = shared::domain::export::work::RunningDigest::default();
    digest.update(&bytes);
    assert_eq!(digest.hex(), file.sha256);
    bytes
}

async fn events(world: &World) -> Vec<String> {
    let deliveries = world.webhooks.deliveries(acme(), &DeliveryFilter::default(), &Slice::default()).await.unwrap();
    deliveries.entries.into_iter().map(|delivery| delivery.event_type).collect()
}

fn keys_of(format: &str, bytes: &[u8]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if format == "coco" {
        let file: Value = serde_json::from_slice(bytes).unwrap();
        let (images, annotations) = (file["images"].as_array().unwrap(), file["annotations"].as_array().unwrap());
        let numbered = |(n, row): (usize, &Value)| row["id"] == n + 1;
        assert!(images.iter().enumerate().all(numbered) && annotations.iter().enumerate().all(numbered));
        assert_eq!(annotations.len(), ITEMS);
        return images.iter().map(|image| text(&image["file_name"])).collect();
    }
    let mut lines = String::new();
    MultiGzDecoder::new(bytes).read_to_string(&mut lines).unwrap();
    lines.lines().map(|line| text(&serde_json::from_str::<Value>(line).unwrap()["key"])).collect()
}

fn all_keys() -> Vec<String> {
    (0..ITEMS).map(|n| format!("{n:05}.jpg")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_item_is_in_the_file_once_and_its_end_is_an_event() {
    for format in ["jsonl", "coco"] {
        let (world, uid) = a_world(format, &Arc::default()).await;
        let export = run(&world, uid).await;

        assert_eq!((export.status, export.total, export.done), (ExportStatus::Exported, ITEMS as u64, ITEMS as u64));
        assert_eq!(keys_of(format, &file_of(&world, &export)), all_keys());
        assert_eq!(events(&world).await, ["export.completed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_of_many_steps_has_the_file_of_one() {
    for format in ["jsonl", "coco"] {
        let (world, uid) = a_world(format, &Arc::default()).await;
        let whole = file_of(&world, &run(&world, uid).await);
        let (mut world, uid) = a_world(format, &Arc::default()).await;
        // Each fetch of a page's objects takes longer than a step, so a step has one page.
        world.objects = MemoryObjects::default().slow(Duration::from_secs(11));
        world.exports = world.exports.slow(Duration::from_secs(11));

        let export = run(&world, uid).await;
        assert_eq!(file_of(&world, &export), whole);
        assert_eq!(events(&world).await, ["export.completed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_costs_time_alone() {
    for format in ["jsonl", "coco"] {
        let (world, uid) = a_world(format, &Arc::default()).await;
        let whole = file_of(&world, &run(&world, uid).await);
        for answer_lost in [false, true] {
            for call in 1.. {
                let fault = Arc::new(Fault::at(call, answer_lost));
                let (world, uid) = a_world(format, &fault).await;
                if !fault_is_met(&world, uid, &fault, &whole, format).await {
                    break;
                }
            }
        }
    }
}

/// Whether the fault was met in an export, which then ended like any other.
async fn fault_is_met(world: &World, uid: ExportUid, fault: &Fault, whole: &[u8], format: &str) -> bool {
    let export = run(world, uid).await;
    assert_eq!(export.status, ExportStatus::Exported);
    let bytes = file_of(world, &export);
    assert_eq!(keys_of(format, &bytes), all_keys());
    assert_eq!(bytes, whole);
    assert_eq!(events(world).await, ["export.completed"]);
    fault.struck()
}

#[tokio::test(start_paused = true)]
async fn a_second_worker_leaves_an_export_that_another_one_has() {
    let (world, uid) = a_world("jsonl", &Arc::default()).await;
    let now = world.clock.now();
    world.exports.claim_export(acme(), uid, now, now + LEASE).await.unwrap();

    assert!(world.handle(a_step(uid)).await.is_empty());

    assert!(world.objects.keys().is_empty() && world.queue.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_export_at_which_all_workers_die_fails_with_its_event() {
    let (world, uid) = a_world("jsonl", &Arc::default()).await;
    for _ in 0..ATTEMPTS {
        let now = world.clock.now();
        world.exports.claim_export(acme(), uid, now, now + LEASE).await.unwrap().unwrap();
        world.clock.pass(Duration::from_secs(120));
    }

    let export = run(&world, uid).await;
    assert_eq!((export.status, export.error_message.as_deref()), (ExportStatus::Failed, Some(CANNOT_BE_WRITTEN)));
    assert_eq!(events(&world).await, ["export.failed"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_deleted_while_it_runs_never_ends_and_leaves_nothing() {
    let (world, uid) = a_world("coco", &Arc::default()).await;
    let now = world.clock.now();
    let claimed = world.exports.claim_export(acme(), uid, now, now + LEASE).await.unwrap().unwrap();
    world.exports.delete_export(acme(), uid, now).await.unwrap();

    world.step(claimed).await.unwrap();
    assert_eq!(world.exports.all()[0].status, ExportStatus::Processing);
    world.clock.pass(Duration::from_secs(120));
    assert!(world.handle(a_tick()).await.is_empty());

    assert!(world.objects.keys().iter().all(|key| !key.starts_with("exports/")), "{:?}", world.objects.keys());
    assert!(world.exports.all().is_empty() && events(&world).await.is_empty());
}

#[tokio::test]
async fn a_message_of_another_kind_fails_alone() {
    let (world, _) = a_world("jsonl", &Arc::default()).await;
    for body in [json!({"source": "aws.s3"}), json!({"V2": {}}), json!("x")] {
        assert_eq!(world.handle(a_message(&body)).await.len(), 1, "{body}");
    }
}

/// Annotations that are said to be in S3, where they are not.
fn missing(json_bytes: u64) -> Option<BlobRef> {
    Some(BlobRef { key: "drafts/missing".into(), offset: 0, length: 9, json_bytes })
}

/// An item of this status whose annotations are too large for its row.
fn a_large(n: usize, status: ResultStatus, elsewhere: Option<BlobRef>) -> Item {
    let mut item = an_item(&a_project(), n);
    let result = item.result.take().unwrap();
    item.result = Some(LabelResult { status, annotations: Vec::new(), elsewhere, ..result });
    item
}

#[tokio::test(start_paused = true)]
async fn what_is_not_written_is_not_fetched() {
    let items = || {
        vec![
            a_large(0, ResultStatus::Draft, missing(9)),
            an_item(&a_project(), 1),
            a_large(2, ResultStatus::Rejected, missing(9)),
        ]
    };
    for (statuses, keys) in [(["accepted"], ["00001.jpg"]), (["none"], ["00002.jpg"])] {
        for format in ["jsonl", "coco"] {
            let options = json!({"format": format, "statuses": statuses});
            let (world, uid) = a_world_of(items(), options, &Arc::default()).await;

            let export = run(&world, uid).await;
            assert_eq!(export.status, ExportStatus::Exported, "{format} {statuses:?}");
            let text = String::from_utf8_lossy(&file_of(&world, &export)).into_owned();
            assert!(format == "jsonl" || keys.iter().all(|key| text.contains(key)), "{text}");
        }
    }
}

/// Three items of 3 MiB each are never in memory at once; a step that is over leaves the others to the next one.
#[tokio::test(start_paused = true)]
async fn large_annotations_are_fetched_in_groups() {
    for format in ["jsonl", "coco"] {
        let packed = Packed::of(&an_item(&a_project(), 0).result.unwrap().annotations).unwrap();
        let blob = BlobRef { json_bytes: limits::DRAFT_JSON_BYTES, ..packed.as_object_in("drafts") };
        let items = (0..3).map(|n| a_large(n, ResultStatus::Accepted, Some(blob.clone()))).collect();
        let (mut world, uid) = a_world_of(items, json!({"format": format}), &Arc::default()).await;
        world.objects = MemoryObjects::default().slow(STEP + Duration::from_secs(1));
        world.objects.put(&blob.key, "", packed.bytes).await.unwrap();

        let mut steps = vec![(acme(), uid)];
        let mut done = Vec::new();
        while let Some((_, uid)) = steps.pop() {
            world.handle(a_step(uid)).await;
            done.push(world.exports.all()[0].done);
            steps.extend(world.queue.take());
        }
        done.dedup();
        assert_eq!(done.last(), Some(&3), "{format}");
        assert_eq!(done.iter().skip_while(|done| **done == 0).collect::<Vec<_>>(), [&1, &2, &3], "{format}");
        let export = world.exports.all().remove(0);
        assert_eq!(export.total, 3);
        if format == "coco" {
            let file: Value = serde_json::from_slice(&file_of(&world, &export)).unwrap();
            assert_eq!(file["annotations"].as_array().unwrap().len(), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_correction_is_written_beside_its_draft_wherever_that_is() {
    let draft = an_item(&a_project(), 7).result.unwrap().annotations;
    let packed = Packed::of(&draft).unwrap();
    let mut item = an_item(&a_project(), 0);
    let result = item.result.as_mut().unwrap();
    let job = JobUid::at(at(1));
    result.lineage = Some(Lineage { job, provider: None, model_type: None, confidence_threshold: 0.5 });
    let elsewhere = Some(packed.as_object_in("drafts"));
    result.draft = Some(KeptDraft { annotations: Vec::new(), elsewhere, origins: Origins::kept(1) });
    let (world, uid) = a_world_of(vec![item], json!({}), &Arc::default()).await;
    world.objects.put(&packed.as_object_in("drafts").key, "", packed.bytes.clone()).await.unwrap();

    let export = run(&world, uid).await;
    let mut line = String::new();
    MultiGzDecoder::new(file_of(&world, &export).as_slice()).read_to_string(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["draft"], &line["origins"]), (&json!(draft), &json!(["kept"])));
}

#[tokio::test(start_paused = true)]
async fn an_export_with_too_many_labels_of_no_project_fails_and_says_what_helps() {
    let items = || {
        let labeled = |n| {
            let mut item = an_item(&a_project(), n);
            let annotations = &mut item.result.as_mut().unwrap().annotations;
            annotations[0].label = format!("{n} {}", "x".repeat(200));
            item
        };
        (0..ITEMS).map(labeled).collect::<Vec<_>>()
    };
    let (world, uid) = a_world_of(items(), json!({"format": "coco"}), &Arc::default()).await;

    let export = run(&world, uid).await;
    let says = "The annotations have too many labels that no project has. Narrow them by `labels`.";
    assert_eq!((export.status, export.error_message.as_deref()), (ExportStatus::Failed, Some(says)));
    assert_eq!(events(&world).await, ["export.failed"]);
    let narrowed = json!({"format": "coco", "labels": ["cat"]});
    for options in [json!({"format": "jsonl"}), narrowed] {
        let (world, uid) = a_world_of(items(), options, &Arc::default()).await;
        assert_eq!(run(&world, uid).await.status, ExportStatus::Exported);
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_whose_work_is_damaged_fails_after_all_attempts() {
    let (world, uid) = a_world("jsonl", &Arc::default()).await;
    world.exports.damage(uid);

    assert_eq!(world.handle(a_step(uid)).await.len(), 1, "another version may read it");
    let export = run(&world, uid).await;
    assert_eq!((export.status, export.error_message.as_deref()), (ExportStatus::Failed, Some(CANNOT_BE_WRITTEN)));
}

#[tokio::test(start_paused = true)]
async fn a_round_comes_to_every_export_past_one_that_fails() {
    let (mut world, first) = a_world("jsonl", &Arc::default()).await;
    world.queue = MemoryExportQueue::default().failing(&Arc::new(Fault::at(1, false)));
    let others: Vec<ExportUid> = (3..6).map(|second| ExportUid::at(at(second))).collect();
    let export = world.exports.export(acme(), first).await.unwrap();
    for uid in &others {
        world.exports.add_export(&Export { uid: *uid, ..export.clone() }).await.unwrap();
    }

    assert!(world.handle(a_tick()).await.is_empty());

    assert_eq!(world.queue.take().into_iter().map(|(_, uid)| uid).collect::<Vec<_>>(), others);
}

#[tokio::test(start_paused = true)]
async fn the_schedule_asks_for_the_next_step_of_an_export_once_in_a_while() {
    let (world, uid) = a_world("jsonl", &Arc::default()).await;
    for asked in [1, 0, 0, 1] {
        world.handle(a_tick()).await;
        assert_eq!(world.queue.take(), vec![(acme(), uid); asked]);
        world.clock.pass(REMINDED / 3 + Duration::from_secs(1));
    }
}

/// Pictures in the bucket, in a bucket that is closed, and on the web, and one that was not uploaded.
async fn a_pictured_world(fault: &Arc<Fault>) -> (World, ExportUid, Vec<Vec<u8>>) {
    let mut items: Vec<Item> = (0..20).map(|n| an_item(&a_project(), n)).collect();
    items[1].asset.source = Source::S3(S3Object { bucket: "closed".into(), key: "b.jpg".into() });
    items[2].asset.source = Source::Url("https://example.com/b.png".into());
    let (world, uid) = a_world_of(items.clone(), json!({"format": "yolo", "include_images": true}), fault).await;
    let mut pictures = Vec::new();
    for (n, item) in items.iter().enumerate().filter(|(n, _)| ![1, 2, 3].contains(n)) {
        // The last one is longer than a piece.
        let length = if n == 19 { 5_000_000 } else { 1_000 + n };
        let picture: Vec<u8> = (0..length).map(|at| (at * (n + 7) % 251) as u8).collect();
        let Source::Bucket(key) = &item.asset.source else { unreachable!() };
        world.objects.set(key, picture.clone());
        pictures.push(picture);
    }
    (world, uid, pictures)
}

#[tokio::test(start_paused = true)]
async fn pictures_are_copied_and_those_that_cannot_be_read_are_left_out() {
    let (world, uid, pictures) = a_pictured_world(&Arc::default()).await;
    let export = run(&world, uid).await;

    let zip = file_of(&world, &export);
    let has = |bytes: &[u8]| zip.windows(bytes.len()).any(|window| window == bytes);
    assert!(pictures.iter().all(|picture| has(picture)) && has(b"a picture"));
    assert!(has(b"images/train/00002.jpg") && !has(b"images/train/00001.jpg") && !has(b"labels/train/00003.txt"));
    let told: Vec<_> =
        export.left_out.iter().map(|entry| (entry.kind.as_str(), entry.count, entry.reason.as_str())).collect();
    let closed = "This deployment does not read from the file's bucket any more.";
    let missing = "There is no such file.";
    assert_eq!(
        told,
        [("item", 1, closed), ("bounding_box", 1, closed), ("item", 1, missing), ("bounding_box", 1, missing)]
    );
    assert_eq!((export.total, export.done), (20, 20));
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_of_an_export_with_pictures_costs_time_alone() {
    let (world, uid, _) = a_pictured_world(&Arc::default()).await;
    let whole = file_of(&world, &run(&world, uid).await);
    for call in 1.. {
        let fault = Arc::new(Fault::at(call, true));
        let (world, uid, _) = a_pictured_world(&fault).await;
        let export = run(&world, uid).await;
        assert_eq!(file_of(&world, &export), whole, "{call}");
        if !fault.struck() {
            break;
        }
    }
}

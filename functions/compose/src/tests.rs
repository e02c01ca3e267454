use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::export::request::NewExport;
use shared::domain::export::{Export, ExportStatus};
use shared::domain::id::{ExportUid, ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::result::LabelResult;
use shared::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use shared::domain::prediction::size::Size;
use shared::domain::project::Project;
use shared::domain::webhook::{Webhook, WebhookChange};
use shared::ports::{DeliveryFilter, Exports, Slice, Webhooks};
use shared::testing::{
    Fault, MemoryExportQueue, MemoryExports, MemoryObjects, MemoryQueue, MemoryWebhooks, StoppedClock, a_webhook,
};

use super::*;

type World = Composer<MemoryExports, MemoryWebhooks, MemoryObjects, MemoryExportQueue, MemoryQueue, StoppedClock>;

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

/// An export of 1,000 items in a world one of whose calls fails.
async fn a_world(format: &str, fault: &Arc<Fault>) -> (World, ExportUid) {
    let project = Project::read(br#"{"name": "Cats", "labels": ["label 1"]}"#, acme(), at(1)).unwrap();
    let uid = ProjectUid::parse("0192b1c0-0000-7000-8000-000000000000").unwrap();
    let project = Project { uid, ..project };
    let webhook = WebhookChange::read(br#"{"events": ["export.completed", "export.failed"]}"#, |_| Ok(String::new()));
    let webhook: Webhook = webhook.unwrap().of(a_webhook(), at(1_001));
    let webhooks = MemoryWebhooks::with(webhook);
    let exports = MemoryExports::of((0..ITEMS).map(|n| an_item(&project, n)).collect()).with_webhooks(&webhooks);
    let body = json!({"project": project.uid, "format": format}).to_string();
    let uid = ExportUid::at(at(2));
    let times = (at(2), at(900_000));
    let export = NewExport::read(body.as_bytes()).unwrap().into_export(uid, acme(), &[project], times).unwrap();
    exports.add_export(&export).await.unwrap();
    let world = Composer {
        exports: exports.failing(fault),
        webhooks: webhooks.failing(fault),
        objects: MemoryObjects::default().failing(fault),
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

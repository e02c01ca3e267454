use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::id::{ImportUid, ItemUid, OrganizationUid};
use shared::domain::import::request::NewImport;
use shared::domain::import::{Counts, Import, ImportStatus};
use shared::domain::item::result::{LabelResult, ResultSource, ResultStatus};
use shared::domain::item::{Item, Source};
use shared::domain::project::Project;
use shared::domain::webhook::{Webhook, WebhookChange};
use shared::testing::{
    Fault, MemoryImportQueue, MemoryImports, MemoryObjects, MemoryQueue, MemoryTenants, MemoryWebhooks, StoppedClock,
    a_webhook,
};

use super::*;

type World =
    Adopter<MemoryImports, MemoryWebhooks, MemoryTenants, MemoryObjects, MemoryImportQueue, MemoryQueue, StoppedClock>;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn acme() -> OrganizationUid {
    OrganizationUid::named("acme")
}

/// A project of these items, in a world one of whose calls fails.
async fn a_world(keys: &[&str], fault: &Arc<Fault>) -> (World, Project) {
    let catalog = MemoryTenants::default();
    let project = Project::read(br#"{"name": "Cats", "labels": ["cat", "dog"]}"#, acme(), at(1)).unwrap();
    catalog.add_project(&project).await.unwrap();
    for key in keys {
        let line = json!({"key": key, "width": 100, "height": 100});
        let item = Item::read(line, (acme(), project.uid), at(1), |_| Err(String::new())).unwrap();
        catalog.add_items(&[item]).await.pop().unwrap().unwrap();
    }
    let webhook = WebhookChange::read(br#"{"events": ["import.completed", "import.failed"]}"#, |_| Ok(String::new()));
    let webhook: Webhook = webhook.unwrap().of(a_webhook(), at(2));
    let buckets = [("acmes".to_owned(), vec!["acme".to_owned()])];
    let world = Adopter {
        store: MemoryImports::default().failing(fault),
        webhooks: MemoryWebhooks::with(webhook).failing(fault),
        catalog: catalog.failing(fault),
        objects: MemoryObjects::default().failing(fault),
        queue: MemoryImportQueue::default(),
        deliveries: MemoryQueue::default().failing(fault),
        clock: StoppedClock::at(1_000),
        buckets: SourceBuckets::new(buckets.into(), "own"),
        loopback_http: false,
    };
    (world, project)
}

/// An import of this file, which is not read yet. Calls of the test itself may fail, too.
async fn an_import(world: &World, project: &Project, body: Value, file: &[u8]) -> Option<Import> {
    let new = NewImport::read(body.to_string().as_bytes(), |_| Ok(())).unwrap();
    let uid = ImportUid::at(world.clock.now());
    let times = (world.clock.now(), at(900_000));
    let import = new.into_import(uid, (acme(), project.uid), "ci", times);
    world.store.add_import(&import).await.ok()?;
    let key = import.source.as_ref().map_or_else(|| import.upload_key(), |url| url.replace("s3://", ""));
    world.objects.put(&key, "", file.to_vec()).await.ok()?;
    Some(import)
}

fn a_message(body: &Value) -> SqsEvent {
    let message = SqsMessage { message_id: "1".into(), body: body.to_string(), ..SqsMessage::default() };
    SqsEvent { records: vec![message] }
}

fn written(key: &str) -> SqsEvent {
    a_message(&json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"object": {"key": key}}}))
}

fn a_tick() -> SqsEvent {
    a_message(&json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}))
}

fn work(import: &Import) -> SqsEvent {
    a_message(&json!({"V1": {"organization": acme(), "project": import.project, "import": import.uid}}))
}

/// The import after its work, with rounds of the schedule five minutes apart as long as it has not ended.
async fn run(world: &World, import: &Import) -> Import {
    world.handle(written(&import.upload_key())).await;
    for _ in 0..10 {
        let now = world.store.all().into_iter().find(|now| now.uid == import.uid).unwrap();
        if now.status.is_final() {
            return now;
        }
        world.clock.pass(Duration::from_secs(300));
        world.handle(a_tick()).await;
        for _ in world.queue.take() {
            world.handle(work(import)).await;
        }
    }
    panic!("it has not ended");
}

fn accepted() -> Value {
    json!({"format": "jsonl", "as": "accepted"})
}

fn line(key: &str, label: &str) -> String {
    json!({"key": key, "annotations": [{"type": "classification", "label": label}]}).to_string()
}

fn result(world: &World, project: &Project, key: &str) -> Option<LabelResult> {
    let uid = ItemUid::of(project.uid, key);
    world.catalog.all_items().into_iter().find(|item| item.asset.uid == uid)?.result
}

fn codes(import: &Import) -> Vec<Value> {
    import.reasons.iter().map(|untaken| serde_json::to_value(untaken).unwrap()["code"].clone()).collect()
}

#[tokio::test]
async fn labels_of_a_picture_of_another_size_or_folder_are_refused() {
    let (world, project) = a_world(&["train/a.png", "b.png"], &Arc::default()).await;
    let scaled = json!({"key": "b.png", "width": 7, "height": 7, "annotations": []}).to_string();
    let lines = [line("val/a.png", "cat"), scaled].join("\n");
    let import = an_import(&world, &project, accepted(), lines.as_bytes()).await.unwrap();

    let ended = run(&world, &import).await;

    assert_eq!(codes(&ended), ["unknown_item", "malformed"]);
    assert!(result(&world, &project, "train/a.png").is_none() && result(&world, &project, "b.png").is_none());
}

#[tokio::test]
async fn labels_become_results_and_what_is_not_taken_has_a_reason() {
    let (world, project) = a_world(&["a.png", "b.png", "x/c.png", "y/c.png", "z/d.png"], &Arc::default()).await;
    let lines = [
        line("a.png", "cat"),
        line("d.png", "dog"),
        line("c.png", "cat"),
        line("b.png", "cow"),
        line("none.png", "cat"),
        "{".to_owned(),
        json!({"key": "b.png", "annotations": [{"type": "bounding_box", "label": "cat", "coordinates": {"x": 1}}]})
            .to_string(),
    ];
    let import = an_import(&world, &project, accepted(), lines.join("\n").as_bytes()).await.unwrap();

    let ended = run(&world, &import).await;

    assert_eq!(ended.status, ImportStatus::Imported);
    assert_eq!(ended.counts, Counts { items: 7, results: 2, skipped: 0, refused: 5 });
    assert_eq!(codes(&ended), ["ambiguous_name", "unknown_label", "unknown_item", "malformed", "malformed"]);
    let given = result(&world, &project, "a.png").unwrap();
    assert_eq!(
        (given.status, given.source, given.created_by.as_str()),
        (ResultStatus::Accepted, ResultSource::Human, "ci")
    );
    assert_eq!(given.created_at, import.created_at);
    assert!(result(&world, &project, "z/d.png").is_some() && result(&world, &project, "b.png").is_none());
    let report = String::from_utf8(world.objects.object(&ended.report_key()).unwrap()).unwrap();
    assert_eq!((report.lines().count(), report.contains("\"line\":7")), (5, true));
    assert_eq!(
        world.store.sent().iter().map(|sent| sent.event_type.as_str()).collect::<Vec<_>>(),
        ["import.completed"]
    );
}

#[tokio::test]
async fn an_item_that_has_a_result_keeps_it_and_a_second_import_changes_nothing() {
    let (world, project) = a_world(&["a.png", "b.png"], &Arc::default()).await;
    let by_hand = LabelResult::by_hand(1, Vec::new(), "ada", at(3));
    world.catalog.label(ItemUid::of(project.uid, "a.png"), by_hand.clone());
    let file = [line("a.png", "cat"), line("b.png", "cat")].join("\n");
    let first = an_import(&world, &project, accepted(), file.as_bytes()).await.unwrap();
    let first = run(&world, &first).await;
    let items = world.catalog.all_items();
    world.clock.pass(Duration::from_secs(1));

    let second = an_import(&world, &project, accepted(), file.as_bytes()).await.unwrap();
    let second = run(&world, &second).await;

    assert_eq!(first.counts, Counts { items: 2, results: 1, skipped: 1, refused: 0 });
    assert_eq!(second.counts, Counts { items: 2, results: 0, skipped: 2, refused: 0 });
    assert_eq!((world.catalog.all_items(), codes(&second)), (items, vec![json!("already_labeled"); 2]));
    assert_eq!(result(&world, &project, "a.png"), Some(by_hand));
}

#[tokio::test]
async fn drafts_wait_for_a_review_and_labels_are_added_if_the_call_says_so() {
    let (world, project) = a_world(&["a.png"], &Arc::default()).await;
    let body = json!({"format": "jsonl", "as": "draft", "add_labels": true});
    let import = an_import(&world, &project, body, line("a.png", "cow").as_bytes()).await.unwrap();

    assert_eq!(run(&world, &import).await.counts.results, 1);

    let draft = result(&world, &project, "a.png").unwrap();
    assert_eq!((draft.status, draft.source, draft.reviewed_by), (ResultStatus::Draft, ResultSource::Import, None));
    assert_eq!(world.catalog.project(acme(), project.uid).await.unwrap().labels, ["cat", "dog", "cow"]);
}

#[tokio::test]
async fn items_that_are_not_there_are_added_if_the_file_has_a_url_that_may_be_read() {
    let (world, project) = a_world(&[], &Arc::default()).await;
    let with =
        |key: &str, url: &str| json!({"key": key, "url": url, "width": 9, "height": 9, "annotations": []}).to_string();
    let lines = [
        with("a.png", "s3://acmes/a.png"),
        with("b.png", "https://pictures.example.com/b.png"),
        with("c.png", "s3://own/projects/x"),
        with("d.png", "https://127.0.0.1/d.png"),
        with("../e.png", "s3://acmes/e.png"),
    ];
    let import = an_import(&world, &project, accepted(), lines.join("\n").as_bytes()).await.unwrap();

    let ended = run(&world, &import).await;

    assert_eq!(ended.counts, Counts { items: 5, results: 2, skipped: 0, refused: 3 });
    assert_eq!(codes(&ended), ["refused_url", "refused_url", "malformed"]);
    let sources: Vec<Source> = world.catalog.all_items().into_iter().map(|item| item.asset.source).collect();
    assert!(matches!(&sources[..], [Source::S3(_), Source::Url(_)]), "{sources:?}");
    assert_eq!(world.catalog.project(acme(), project.uid).await.unwrap().item_count(), 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_whole_and_changes_nothing() {
    let (world, project) = a_world(&["a.png"], &Arc::default()).await;
    let items = world.catalog.all_items();
    let coco = json!({"format": "coco", "as": "accepted"});
    let half = br#"{"images": [{"id": 1, "file_name": "a.png"}], "annotations": ["#;
    let elsewhere = |url: &str| json!({"format": "coco", "as": "accepted", "source": url});
    for (body, file, begin) in [
        (coco.clone(), &half[..], "The file is no JSON object of this format: see line 1"),
        (coco, b"", "The file is no JSON object of this format"),
        (elsewhere("s3://others/a"), b"{}", "This deployment does not read from bucket \"others\"."),
        (elsewhere("s3://acmes/a"), b"{}", "The file has no list \"images\""),
    ] {
        world.clock.pass(Duration::from_secs(1));
        let import = an_import(&world, &project, body, file).await.unwrap();
        let ended = run(&world, &import).await;
        let message = ended.error_message.clone().unwrap();
        assert!(ended.status == ImportStatus::Failed && message.starts_with(begin), "{message}");
        assert_eq!((world.catalog.all_items(), ended.counts), (items.clone(), Counts::default()));
        assert_eq!(world.objects.object(&ended.report_key()), Some(Vec::new()));
    }
    assert_eq!(world.store.sent().last().unwrap().event_type, "import.failed");
}

#[tokio::test]
async fn an_import_of_many_segments_that_fails_at_any_call_is_the_same() {
    let keys: Vec<String> = (0..450).map(|n| format!("{n:03}.png")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let file = keys.iter().map(|key| line(key, "cat")).collect::<Vec<_>>().join("\n") + "\n{";
    let (mut call, mut struck) = (1, 0);
    loop {
        let mut ended = false;
        for answer_lost in [false, true] {
            let fault = Arc::new(Fault::at(460 + call, answer_lost));
            let (world, project) = a_world(&keys, &fault).await;
            let Some(import) = an_import(&world, &project, accepted(), file.as_bytes()).await else { continue };
            let after = run(&world, &import).await;
            ended |= !fault.struck();
            struck += usize::from(fault.struck());
            assert_eq!(after.counts, Counts { items: 451, results: 450, skipped: 0, refused: 1 }, "call {call}");
            assert_eq!(codes(&after), ["malformed"]);
            assert_eq!(world.store.sent().len(), 1);
        }
        if ended {
            break;
        }
        call += if call > 20 && call < 440 { 67 } else { 1 };
    }
    assert!(struck > 20, "{struck}");
}

#[tokio::test]
async fn an_import_whose_workers_all_fail_ends() {
    let (world, project) = a_world(&["a.png"], &Arc::default()).await;
    let import = an_import(&world, &project, accepted(), line("a.png", "cat").as_bytes()).await.unwrap();
    world.objects.refuse(&import.upload_key(), shared::ports::NoFile::Busy("503".into()));

    let ended = run(&world, &import).await;

    assert_eq!(
        ended.error_message.as_deref(),
        Some("The import could not be finished. Results that are written stay. Create it again.")
    );
}

async fn failures(world: &World, event: SqsEvent) -> usize {
    let failures = serde_json::to_value(world.handle(event).await).unwrap();
    failures["batchItemFailures"].as_array().unwrap().len()
}

#[tokio::test]
async fn other_objects_and_messages_are_left_alone() {
    let (world, project) = a_world(&[], &Arc::default()).await;
    let body = json!({"format": "jsonl", "as": "accepted", "source": "s3://acmes/a"});
    let import = an_import(&world, &project, body, b"").await.unwrap();
    for key in ["projects/a/b", "imports/steps/x/reasons-0", &import.upload_key()] {
        assert_eq!(failures(&world, written(key)).await, 0);
    }
    assert_eq!(world.store.all()[0].status, ImportStatus::Pending);
    assert_eq!(failures(&world, a_message(&json!({"source": "aws.ec2"}))).await, 1);
}

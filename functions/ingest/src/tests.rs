//! What becomes of batches, with events in any order and calls that fail.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::id::JobUid;
use shared::domain::item::Item;
use shared::domain::item::file_version::Digest;
use shared::domain::item::result::{LabelResult, ResultSource, ResultStatus};
use shared::domain::job_status::JobStatus;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::prediction::orientation::Orientation;
use shared::domain::prediction::size::Size;
use shared::domain::project::Project;
use shared::domain::upload::Rejection;
use shared::ports::{Described, NoFile, Objects, UnlabeledQuery};
use shared::queue::{Attributes, UploadMessage};
use shared::testing::{
    Fault, MemoryExecutions, MemoryObjects, MemoryTenants, MemoryUploadQueue, StoppedClock, a_png, md5_of,
};

use super::*;

mod check;

type TestApp = Ingester<MemoryTenants, MemoryObjects, MemoryExecutions, MemoryUploadQueue, TickingClock>;

/// Moves on by a microsecond whenever it is read: no two messages are handled at the same moment.
struct TickingClock(StoppedClock);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        self.0.pass(Duration::from_micros(1));
        self.0.now()
    }
}

const BUCKET: &str = "own";
const OPEN_TO_ACME: &str = "pictures";
const QUIET: Duration = Duration::from_secs(20);
const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// A function, and a project of "acme" that labels uploads if `setting` says so.
async fn an_app(setting: Option<Value>) -> (TestApp, ProjectUid) {
    an_app_failing(setting, &Arc::default()).await
}

async fn an_app_failing(setting: Option<Value>, fault: &Arc<Fault>) -> (TestApp, ProjectUid) {
    let body = json!({"name": "Camera", "auto_label_on_upload": setting}).to_string();
    let project = Project::read(body.as_bytes(), OrganizationUid::named("acme"), Timestamp::UNIX_EPOCH).unwrap();
    let store = MemoryTenants::default();
    store.add_project(&project).await.unwrap();
    let app = Ingester {
        store: store.failing(fault),
        files: MemoryObjects::default(),
        executions: MemoryExecutions::default(),
        queue: MemoryUploadQueue::default().failing(fault),
        clock: TickingClock(StoppedClock::at(1_000)),
        bucket: BUCKET.into(),
        buckets: SourceBuckets::new([(OPEN_TO_ACME.to_owned(), vec!["acme".to_owned()])].into(), BUCKET),
        endpoints: [(ModelType::Yolo, "own-yolo".to_owned())].into(),
        longest_wait: LONGEST_WAIT,
        owners: Mutex::default(),
    };
    (app, project.uid)
}

fn quiet() -> Option<Value> {
    Some(json!({"quiet_seconds": QUIET.as_secs(), "max_items_per_day": 100}))
}

fn event(kind: &str, bucket: &str, key: &str, size: u64, etag: &str, sequencer: u32) -> String {
    let object = json!({"key": key, "size": size, "etag": etag, "sequencer": format!("{sequencer:018X}")});
    json!({
        "detail-type": kind, "source": "aws.s3", "time": "2026-11-22T10:00:00Z",
        "detail": {"bucket": {"name": bucket}, "object": object},
    })
    .to_string()
}

/// The event of a picture in the system's bucket.
fn created(project: ProjectUid, key: &str, etag: &str, sequencer: u32) -> String {
    event("Object Created", BUCKET, &Item::object_key(project, key), 33, etag, sequencer)
}

fn tick() -> String {
    json!({"detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-11-22T10:00:00Z"}).to_string()
}

/// The execution of a job is over.
fn ended(job: JobUid) -> String {
    json!({"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
        "time": "2026-11-22T10:00:00Z", "detail": {"name": job, "status": "SUCCEEDED"}})
    .to_string()
}

fn records(bodies: impl IntoIterator<Item = String>) -> SqsEvent {
    let record = |(n, body): (usize, String)| SqsMessage { message_id: n.to_string(), body, ..SqsMessage::default() };
    SqsEvent { records: bodies.into_iter().enumerate().map(record).collect() }
}

impl TestApp {
    async fn put(&self, project: ProjectUid, key: &str) {
        self.files.put(&Item::object_key(project, key), "", a_png(30, 40)).await.unwrap();
    }

    /// Uploads a picture and handles its event.
    async fn upload(&self, project: ProjectUid, key: &str, sequencer: u32) {
        self.put(project, key).await;
        self.handle([created(project, key, "etag", sequencer)]).await;
    }

    async fn handle(&self, bodies: impl IntoIterator<Item = String>) {
        assert!(self.ingest(records(bodies)).await.is_empty());
    }

    async fn check(&self, project: ProjectUid) {
        self.check_after(project, 0).await;
    }

    async fn check_after(&self, project: ProjectUid, hops: u32) {
        let own = UploadMessage::V1 { organization: OrganizationUid::named("acme"), project, hops };
        self.handle([serde_json::to_string(&own).unwrap()]).await;
    }

    fn keys(&self) -> Vec<String> {
        self.store.all_items().into_iter().map(|item| item.key).collect()
    }
}

fn a_draft() -> LabelResult {
    LabelResult {
        generation: 1,
        revision: 0,
        status: ResultStatus::Draft,
        source: ResultSource::AutoLabel,
        created_by: "bot".into(),
        reviewed_by: None,
        lineage: None,
        annotations: vec![],
        elsewhere: None,
        draft: None,
        sweep: None,
        file_changes: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn an_upload_is_an_item_by_its_content() {
    let (app, project) = an_app(None).await;
    app.put(project, "a b+c/ü.bin").await;
    app.files.put(&Item::object_key(project, "scan.jpg"), "", b"# .PCD v0.7".to_vec()).await.unwrap();

    app.handle([created(project, "a b+c/ü.bin", "one", 1), created(project, "scan.jpg", "two", 1)]).await;

    let [picture, scan] = &app.store.all_items()[..] else { panic!("{:?}", app.keys()) };
    assert_eq!((picture.key.as_str(), picture.asset.kind), ("a b+c/ü.bin", AssetType::Image));
    assert_eq!(picture.asset.size.unwrap().width, 30);
    assert_eq!(picture.file.as_ref().unwrap().etag, "one");
    assert_eq!((scan.asset.kind, scan.asset.size), (AssetType::PointCloud, None));
    let project = app.store.project(OrganizationUid::named("acme"), project).await.unwrap();
    assert_eq!((project.image_count, project.point_cloud_count), (1, 1));
}

#[tokio::test]
async fn what_is_no_item_is_noted_and_no_neighbour_is_lost() {
    let (app, project) = an_app(None).await;
    app.files.put(&Item::object_key(project, "text.jpg"), "", b"no picture".to_vec()).await.unwrap();
    app.put(project, "good.png").await;
    let under_key = |key: &str, size| event("Object Created", BUCKET, &Item::object_key(project, key), size, "e", 1);

    app.handle([
        under_key("text.jpg", 10),
        under_key("empty.jpg", 0),
        under_key("huge.tiff", 10_000_000_000),
        under_key("a/../b.jpg", 10),
        under_key("gone.jpg", 10),
        event("Object Created", BUCKET, "elsewhere/a.jpg", 10, "e", 1),
        event("Object Created", BUCKET, "projects/0192b1c0-0000-7000-8000-000000000001/a.jpg", 10, "e", 1),
        created(project, "good.png", "e", 1),
    ])
    .await;

    assert_eq!(app.keys(), ["good.png"]);
    let mut rejected = app.store.rejected(); // in any order
    rejected.sort_by(|a, b| a.key.cmp(&b.key));
    let reasons: Vec<Rejection> = rejected.into_iter().map(|upload| upload.reason).collect();
    assert_eq!(reasons, [Rejection::BadKey, Rejection::Empty, Rejection::TooLarge, Rejection::UnknownContent]);
    assert!(app.queue.dead_letters().is_empty());
}

#[tokio::test]
async fn a_file_whose_size_was_not_found_has_another_reason_than_one_that_is_no_picture() {
    let (app, project) = an_app(None).await;
    let files: [(&str, &[u8], Rejection); 4] = [
        ("a.jpg", b"\xFF\xD8\xFF\xE0\0\x10JFIF", Rejection::SizeUnknown),
        ("b.jpg", b"\0\0\0\x18ftypcrx ", Rejection::CameraRaw),
        ("c.jpg", b"\0\0\0\x18ftypheic", Rejection::UnsupportedFormat),
        ("d.jpg", b"no picture", Rejection::UnknownContent),
    ];
    for (key, content, _) in files {
        app.files.put(&Item::object_key(project, key), "", content.to_vec()).await.unwrap();
    }

    app.handle(files.map(|(key, _, _)| created(project, key, "e", 1))).await;

    let mut rejected = app.store.rejected(); // in any order
    rejected.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(rejected.iter().map(|upload| upload.reason).collect::<Vec<_>>(), files.map(|(_, _, reason)| reason));
    assert!(rejected[0].detail.contains("sought at byte 20"), "{}", rejected[0].detail);
}

#[tokio::test]
async fn another_bucket_is_heard_if_it_is_open_to_the_projects_organization() {
    let (app, project) = an_app(None).await;
    let key = Item::object_key(project, "a.png");
    for bucket in [OPEN_TO_ACME, "foreign"] {
        app.files.put(&format!("{bucket}/{key}"), "", a_png(1, 1)).await.unwrap();
    }

    app.handle([event("Object Created", "foreign", &key, 10, "e", 1)]).await;
    assert!(app.keys().is_empty() && app.store.rejected().is_empty(), "I10");

    app.handle([event("Object Created", OPEN_TO_ACME, &key, 10, "e", 1)]).await;
    assert_eq!(app.keys(), ["a.png"]);

    // The system's own object of that key is another file.
    app.upload(project, "a.png", 9).await;
    assert_eq!(app.store.rejected()[0].reason, Rejection::KeyTaken);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_a_dead_letter_with_the_reason() {
    let (app, project) = an_app(None).await;
    app.put(project, "a.png").await;

    app.handle(["poison".to_owned(), created(project, "a.png", "e", 1)]).await;

    assert_eq!(app.keys(), ["a.png"]);
    let [(body, reason)] = &app.queue.dead_letters()[..] else { panic!("{:?}", app.queue.dead_letters()) };
    assert_eq!((body.as_str(), reason.contains("no message that we know")), ("poison", true));
}

#[tokio::test]
async fn what_fails_comes_again_and_is_a_dead_letter_the_last_time() {
    for (received, dead) in [("1", 0), ("5", 1)] {
        let (app, project) = an_app_failing(None, &Arc::new(Fault::at(1, false))).await;
        let attributes = Attributes { approximate_receive_count: received.into() };
        let body = created(project, "a.png", "e", 1);
        let record = SqsMessage { message_id: "1".into(), body, attributes, ..SqsMessage::default() };

        let failures = app.ingest(SqsEvent { records: vec![record] }).await;

        assert_eq!((failures.len(), app.queue.dead_letters().len()), (1 - dead, dead));
    }
}

#[tokio::test]
async fn whatever_call_fails_the_upload_is_an_item_once_and_is_checked() {
    for answer_lost in [false, true] {
        for call in 1.. {
            let fault = Arc::new(Fault::at(call, answer_lost));
            let (app, project) = an_app_failing(quiet(), &fault).await;
            app.put(project, "a.png").await;

            // Only the schedule checks: every requested check is lost.
            for body in [created(project, "a.png", "e", 1), tick(), tick()] {
                let mut tries = 0;
                while !app.ingest(records([body.clone()])).await.is_empty() {
                    tries += 1;
                    assert!(tries < 2, "one call fails, call {call}");
                }
                app.clock.0.pass(QUIET);
            }

            assert_eq!(app.keys(), ["a.png"], "call {call}");
            // One whose creation was not known to have happened is taken back.
            let jobs = app.store.jobs_created().into_iter().filter(|job| job.state.status != JobStatus::Cancelled);
            assert_eq!(jobs.count(), 1, "call {call}, answer lost: {answer_lost}");
            if !fault.struck() {
                assert!(call > 8, "the fault must have had several chances");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_job_starts_once_uploads_have_paused() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    assert_eq!(app.queue.take_checks(), [(project, QUIET)]);
    app.clock.0.pass(Duration::from_secs(7));
    app.upload(project, "b.png", 1).await;
    assert_eq!(app.queue.take_checks(), [], "a check is on its way already");

    app.clock.0.pass(Duration::from_secs(13));
    app.check(project).await;
    let [(_, rest)] = app.queue.take_checks()[..] else { panic!("it comes again") };
    assert!(app.store.jobs_created().is_empty() && rest.as_millis().div_ceil(1_000) == 7, "{rest:?}");
    app.clock.0.pass(Duration::from_secs(7));
    app.check(project).await;

    let [job] = &app.store.jobs_created()[..] else { panic!("one job") };
    assert_eq!(job.spec.project, project);
    app.check(project).await;
    app.check(project).await;
    assert_eq!(app.store.jobs_created().len(), 1, "another check changes nothing");
}

#[tokio::test]
async fn what_arrives_during_a_job_waits_for_its_end() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.clock.0.pass(QUIET);
    app.check(project).await;
    let running = app.store.jobs_created()[0].spec.uid;

    app.clock.0.pass(Duration::from_secs(1));
    app.upload(project, "b.png", 1).await;
    app.clock.0.pass(QUIET);
    app.check(project).await;
    assert_eq!(app.store.jobs_created().len(), 1, "no 409, and nothing lost");

    app.store.end_jobs();
    app.handle([ended(running), ended(running)]).await;
    assert_eq!(app.store.jobs_created().len(), 2);
}

#[tokio::test]
async fn too_many_wait_for_no_pause() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.clock.0.pass(Duration::from_secs(13));
    let organization = OrganizationUid::named("acme");
    let most = limits::UPLOADS_WAITING - 2; // and the one before makes one less
    app.store.count_uploads(organization, project, &[], most, app.clock.now()).await.unwrap();
    assert!(app.store.jobs_created().is_empty());

    app.upload(project, "b.png", 1).await;

    assert_eq!(app.store.jobs_created().len(), 1);
}

#[tokio::test]
async fn the_day_ends_what_uploads_may_ask_of_a_model() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.clock.0.pass(QUIET);

    app.store.take_today(100);
    app.check(project).await;
    assert!(app.store.jobs_created().is_empty());

    app.store.take_today(99);
    app.check(project).await;
    assert_eq!(app.store.jobs_created().len(), 1, "they went on waiting");
}

#[tokio::test]
async fn a_project_that_labels_no_uploads_starts_no_job() {
    for setting in [None, Some(json!({"enabled": false}))] {
        let (app, project) = an_app(setting).await;
        app.upload(project, "a.png", 1).await;
        app.clock.0.pass(Duration::from_secs(1_000));
        app.check(project).await;
        assert!(app.store.jobs_created().is_empty() && app.queue.take_checks().is_empty());
    }
}

#[tokio::test]
async fn a_deleted_file_takes_its_item_out_of_the_queue_for_jobs() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;

    app.handle([event("Object Deleted", BUCKET, &Item::object_key(project, "a.png"), 0, "", 2)]).await;
    app.clock.0.pass(QUIET);
    app.check(project).await;

    assert!(app.store.all_items()[0].is_deleted());
    assert!(app.store.jobs_created().is_empty(), "there is nothing to label");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_does_not_answer_keeps_no_neighbour_from_being_an_item() {
    const FUNCTION: Duration = Duration::from_secs(60); // infra, `CONSUMER_TIMEOUT_SECONDS`
    let (app, project) = an_app(None).await;
    app.files.silence(OPEN_TO_ACME);
    let silent =
        |n: u32| event("Object Created", OPEN_TO_ACME, &Item::object_key(project, &format!("{n}.png")), 9, "e", n);
    app.put(project, "good.png").await;
    let begun = Instant::now();

    // As many records as a batch has (infra, `UploadRecords`).
    let failures = app.ingest(records((0..99).map(silent).chain([created(project, "good.png", "e", 1)]))).await;

    assert!(begun.elapsed() < FUNCTION / 2, "{:?}", begun.elapsed());
    assert_eq!((failures.len(), app.keys()), (99, vec!["good.png".to_owned()]));

    // Were it not so, the batch would end all the same, and the rest would come again.
    let all = app.ingest(records((0..1_000).map(silent))).await;
    assert!(all.len() == 1_000 && begun.elapsed() < 2 * FUNCTION);
}

/// The event of a version of a picture that was deleted for good.
fn version_deleted(project: ProjectUid, key: &str, sequencer: u32) -> String {
    let mut event: Value =
        serde_json::from_str(&event("Object Deleted", BUCKET, &Item::object_key(project, key), 0, "", sequencer))
            .unwrap();
    event["detail"]["deletion-type"] = json!("Permanently Deleted");
    event["detail"]["object"]["version-id"] = json!("v");
    event.to_string()
}

#[tokio::test]
async fn a_file_that_is_there_and_may_not_be_read_is_listed_for_its_owner() {
    let (app, project) = an_app(None).await;
    app.put(project, "foreign key.png").await;
    let forbidden = NoFile::Unreadable("403".into());
    app.files.refuse(&Item::object_key(project, "foreign key.png"), forbidden.clone());

    app.handle([created(project, "foreign key.png", "e", 1), created(project, "gone.png", "e", 1)]).await;

    let [rejected] = &app.store.rejected()[..] else { panic!("{:?}", app.store.rejected()) };
    assert_eq!(rejected.key, Item::object_key(project, "foreign key.png"));
    assert!(rejected.reason == Rejection::Unreadable && rejected.detail.contains("KMS"), "{}", rejected.detail);
}

#[tokio::test]
async fn while_s3_is_busy_no_item_is_deleted_and_none_is_rejected() {
    let (app, project) = an_app(None).await;
    app.upload(project, "a.png", 1).await;
    let before = app.store.all_items();
    for key in ["a.png", "b.png"] {
        app.files.refuse(&Item::object_key(project, key), NoFile::Busy("503".into()));
    }

    let failures = app.ingest(records([version_deleted(project, "a.png", 2), created(project, "b.png", "e", 1)])).await;

    assert_eq!(failures.len(), 2, "both come again");
    assert!(app.store.all_items() == before && app.store.rejected().is_empty());
}

#[tokio::test]
async fn of_a_deleted_version_counts_what_is_there_now() {
    let (app, project) = an_app(None).await;
    app.upload(project, "a.png", 1).await;
    let item = || app.store.all_items().remove(0);

    app.handle([version_deleted(project, "a.png", 2)]).await;
    let older = item();
    assert!(older.asset.changes == 1 && older.file.unwrap().etag != "etag", "an older version is the object again");
    app.store.label(older.asset.uid, a_draft());
    app.handle([version_deleted(project, "a.png", 3)]).await;
    assert!(item().asset.changes == 1 && item().result.is_some(), "a version that was not the newest");

    app.files.remove(&Item::object_key(project, "a.png"));
    app.handle([version_deleted(project, "a.png", 4)]).await;
    assert!(item().is_deleted(), "it was the last one");
    app.put(project, "a.png").await;
    app.handle([version_deleted(project, "a.png", 5)]).await;
    assert!(!item().is_deleted() && item().result.is_some(), "its delete marker was taken back: the same bytes (I12)");
}

#[tokio::test]
async fn the_same_bytes_again_wait_for_no_job() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.upload(project, "b.png", 1).await;
    let waiting = async || app.store.backlog(OrganizationUid::named("acme"), project).await.unwrap().waiting();
    let positions = || app.store.waiting_in(project, &UnlabeledQuery::default());
    let before = (waiting().await, positions());

    app.upload(project, "a.png", 2).await;

    assert_eq!((waiting().await, positions()), before);
    app.handle([created(project, "a.png", "older", 1)]).await;
    assert_eq!(app.store.all_items()[0].file.as_ref().unwrap().etag, "etag", "the newest event counts all the same");
}

/// I12.
#[tokio::test]
async fn an_upload_that_is_no_new_version_leaves_the_item_and_its_draft_and_is_listed() {
    let (truncated, forbidden) = (b"\xFF\xD8\xFF\xE0".to_vec(), Some(NoFile::Unreadable("403".into())));
    for (content, size, refusal, reason) in [
        (b"no picture".to_vec(), 10, None, Rejection::UnknownContent),
        (truncated, 4, None, Rejection::SizeUnknown),
        (a_png(30, 40), 33, forbidden, Rejection::Unreadable),
        (Vec::new(), 0, None, Rejection::Empty),
        (a_png(30, 40), 10_000_000_000, None, Rejection::TooLarge),
    ] {
        let (app, project) = an_app(quiet()).await;
        let key = Item::object_key(project, "a.png");
        for drafted in [true, false] {
            let name = if drafted { "a.png" } else { "b.png" };
            app.upload(project, name, 1).await;
        }
        app.store.label(app.store.all_items()[0].asset.uid, a_draft());
        let before = (app.store.all_items(), app.store.waiting_in(project, &UnlabeledQuery::default()));

        for key in [&key, &Item::object_key(project, "b.png")] {
            app.files.put(key, "", content.clone()).await.unwrap();
            if let Some(refusal) = &refusal {
                app.files.refuse(key, refusal.clone());
            }
            app.handle([event("Object Created", BUCKET, key, size, "another", 2)]).await;
        }

        assert_eq!(
            (app.store.all_items(), app.store.waiting_in(project, &UnlabeledQuery::default())),
            before,
            "{reason:?}"
        );
        let rejected = app.store.rejected();
        assert_eq!(rejected.iter().map(|upload| upload.reason).collect::<Vec<_>>(), [reason; 2]);

        // Once it is fixed, its bytes are other ones than those of the draft.
        if refusal.is_none() {
            app.upload(project, "a.png", 2).await;
            assert!(app.store.all_items()[0].result.is_some(), "the very bytes of the draft");
            app.handle([created(project, "a.png", "fixed", 3)]).await;
            assert!(app.store.all_items()[0].waits());
        }
    }
}

/// An upload of these bytes, which S3 describes so.
async fn put_as(app: &TestApp, project: ProjectUid, bytes: &[u8], sequencer: u32, described: Option<Described>) {
    let key = Item::object_key(project, "a.png");
    app.files.put(&key, "", bytes.to_vec()).await.unwrap();
    let etag = described.as_ref().map_or_else(|| md5_of(bytes), |described| described.etag.clone());
    if let Some(described) = described {
        app.files.describe(&key, described);
    }
    app.handle([event("Object Created", BUCKET, &key, bytes.len() as u64, &etag, sequencer)]).await;
}

fn in_parts(bytes: &[u8], etag: &str, digest: Option<(&str, &str)>) -> Option<Described> {
    let digest = digest.map(|(algorithm, value)| Digest::of(algorithm, value));
    Some(Described { etag: etag.into(), is_md5: false, size_bytes: bytes.len() as u64, digest })
}

#[tokio::test]
async fn the_same_bytes_under_another_etag_leave_the_draft() {
    let (one, other) = (a_png(30, 40), a_png(40, 30));
    let crc = |value| Some(("crc64nvme", value));
    for (before, bytes, after, stays, reads, why) in [
        (None, &one, in_parts(&one, "x-2", None), true, 1, "their MD5 was the ETag"),
        (None, &one, in_parts(&one, "x-2", crc("c")), true, 1, "the first version had no checksum"),
        (None, &other, in_parts(&other, "x-2", None), false, 1, "the MD5 is another"),
        (in_parts(&one, "x-2", crc("c")), &one, in_parts(&one, "x-3", crc("c")), true, 0, "S3's checksum"),
        (in_parts(&one, "x-2", crc("c")), &other, in_parts(&other, "x-3", crc("d")), false, 0, "another checksum"),
        (in_parts(&one, "x-2", None), &one, in_parts(&one, "x-3", crc("c")), false, 0, "nothing to compare"),
        (None, &other, None, false, 0, "two MD5s"),
    ] {
        let (app, project) = an_app(quiet()).await;
        put_as(&app, project, &one, 1, before).await;
        app.store.label(app.store.all_items()[0].asset.uid, a_draft());
        let asset = app.store.all_items()[0].asset.clone();

        put_as(&app, project, bytes, 2, after.clone()).await;

        let item = app.store.all_items().remove(0);
        assert_eq!((item.result.is_some(), item.asset == asset), (stays, stays), "{why}");
        assert_eq!(app.files.compared(), reads, "{why}");
        assert_eq!(item.file.unwrap().etag, after.map_or_else(|| md5_of(bytes), |described| described.etag), "{why}");
    }
}

#[tokio::test]
async fn an_event_whose_object_was_written_over_by_the_bytes_before_changes_nothing_either() {
    let (one, other) = (a_png(30, 40), a_png(40, 30));
    let (app, project) = an_app(None).await;
    put_as(&app, project, &one, 1, None).await;
    app.store.label(app.store.all_items()[0].asset.uid, a_draft());

    // The other bytes came and went before the file was read.
    app.files.describe(&Item::object_key(project, "a.png"), in_parts(&one, "x-2", None).unwrap());
    app.handle([event("Object Created", BUCKET, &Item::object_key(project, "a.png"), 24, &md5_of(&other), 2)]).await;
    let item = || app.store.all_items().remove(0);
    assert_eq!((item().result.is_some(), item().file.unwrap().etag.as_str()), (true, "x-2"));

    // And come again.
    put_as(&app, project, &other, 3, in_parts(&other, &md5_of(&other), None)).await;
    assert!(item().result.is_none());
}

#[tokio::test]
async fn a_size_that_the_caller_gave_stays_and_the_item_says_where_its_file_differs() {
    for (given, file_size) in [((30, 40), None), ((40, 30), Some(Size { width: 30, height: 40 }))] {
        let (app, project) = an_app(None).await;
        let size = Size { width: given.0, height: given.1 };
        let line = json!({"key": "a.png", "width": size.width, "height": size.height});
        let item = Item::read(line, (OrganizationUid::named("acme"), project), app.clock.now(), |_| Err(String::new()));
        let line = item.unwrap();
        app.store.add_items(std::slice::from_ref(&line)).await.remove(0).unwrap();

        app.upload(project, "a.png", 1).await;

        let item = app.store.all_items().remove(0);
        assert_eq!((item.asset.size, item.asset.origin.file_size), (Some(size), file_size));
        assert!(item.file.is_some() && item.is_repeated_by(&line));
    }
}

#[tokio::test]
async fn the_size_of_a_turned_picture_is_that_of_it_upright() {
    // A JPEG whose EXIF says 6, and a frame header of 40 x 30.
    let exif = b"\xFF\xE1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let frame = b"\xFF\xC0\x00\x11\x08\x00\x1E\x00\x28\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01";
    let photo = [&b"\xFF\xD8"[..], exif, frame, b"\xFF\xDA"].concat();
    let (app, project) = an_app(None).await;

    put_as(&app, project, &photo, 1, None).await;

    let asset = app.store.all_items().remove(0).asset;
    assert_eq!(asset.size, Some(Size { width: 30, height: 40 }));
    assert_eq!(asset.origin.orientation, Some(Orientation::Rotated90));
}

#[tokio::test]
async fn a_file_of_unknown_content_is_a_point_cloud_if_its_item_was_added_as_one() {
    let (app, project) = an_app(quiet()).await;
    for (key, kind) in [("cloud.xyz", "point_cloud"), ("picture.xyz", "image")] {
        let line = json!({"key": key, "asset_type": kind});
        let owner = (OrganizationUid::named("acme"), project);
        let item = Item::read(line, owner, app.clock.now(), |_| Err(String::new())).unwrap();
        app.store.add_items(&[item]).await.remove(0).unwrap();
        app.files.put(&Item::object_key(project, key), "", b"1.0 2.0 3.0\n".to_vec()).await.unwrap();
        app.handle([created(project, key, "e", 1)]).await;
    }

    let known: Vec<(String, bool)> =
        app.store.all_items().into_iter().map(|item| (item.key, item.file.is_some())).collect();
    assert_eq!(known, [("cloud.xyz".to_owned(), true), ("picture.xyz".to_owned(), false)]);
    assert_eq!(app.store.rejected().len(), 1);
}

#[tokio::test]
async fn other_bytes_make_a_draft_wait_again() {
    let (app, project) = an_app(None).await;
    app.upload(project, "a.png", 1).await;
    app.store.label(app.store.all_items()[0].asset.uid, a_draft());

    app.handle([created(project, "a.png", "etag", 1)]).await;
    assert!(app.store.all_items()[0].result.is_some(), "the same event again");
    app.handle([created(project, "a.png", "other", 2)]).await;
    assert!(app.store.all_items()[0].result.is_none());
}

proptest! {
    #[test]
    fn in_whatever_order_and_however_often_events_come_the_table_is_the_same(
        order in Just((0..8usize).flat_map(|n| [n, n]).collect::<Vec<_>>()).prop_shuffle(), cut in 1..16usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (app, project) = an_app(None).await;
            for key in ["a.png", "b.png", "c.png"] {
                app.put(project, key).await;
            }
            let events = [
                created(project, "a.png", "a1", 1), created(project, "a.png", "a2", 2), created(project, "a.png", "a3", 3),
                created(project, "b.png", "b1", 1), created(project, "b.png", "b2", 7),
                created(project, "c.png", "c1", 1), created(project, "c.png", "c2", 5), created(project, "c.png", "c2", 9),
            ];
            for batch in order.chunks(cut) {
                app.handle(batch.iter().map(|n| events[*n].clone())).await;
            }
            let mut table: Vec<(String, String)> =
                app.store.all_items().into_iter().map(|item| (item.key, item.file.unwrap().etag)).collect();
            table.sort();
            let expected = [("a.png", "a3"), ("b.png", "b2"), ("c.png", "c2")];
            assert_eq!(table, expected.map(|(key, etag)| (key.to_owned(), etag.to_owned())));
            let project = app.store.project(OrganizationUid::named("acme"), project).await.unwrap();
            assert_eq!(project.item_count(), 3);
        });
    }
}

//! What the tests put into a store, and how they read lists to their end.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use shared::domain::id::{DeliveryUid, ItemUid, JobUid, OrganizationUid, ProjectUid, WebhookUid};
use shared::domain::item::file_version::FileVersion;
use shared::domain::item::file_version::Sequence;
use shared::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use shared::domain::job::failure::{Failure, FailureCode};
use shared::domain::job::outcome::{ChunkId, ItemCommit, Outcome, Receipt, SkipReason};
use shared::domain::job::plan::{Batch, Plan};
use shared::domain::job::summary::Summary;
use shared::domain::job::{Counters, Job, JobOptions, JobSpec, JobState};
use shared::domain::job_status::{JobEvent, JobStatus};
use shared::domain::prediction::draft::Draft;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::prediction::size::Size;
use shared::domain::prediction::{Geometry, Prediction, Rect};
use shared::domain::upload::Effect;
use shared::domain::webhook::{Delivery, Event, Webhook};
use shared::domain::{Error, Timestamp};
use shared::ports::{Before, Chunk, Ending, Items, Jobs, Ledger, Page, Slice, UnlabeledQuery, Webhooks};
use shared::store::Store;
use shared::testing::MemoryJobs;

/// A second of these tests' own time.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// The tenant whose things most tests are about.
pub(crate) fn acme() -> OrganizationUid {
    OrganizationUid::named("acme")
}

/// Another tenant.
pub(crate) fn other() -> OrganizationUid {
    OrganizationUid::named("other")
}

/// A new project's uid. Jobs and items need no row of it.
pub(crate) fn a_project() -> ProjectUid {
    ProjectUid::at(at(0))
}

/// What a job of acme is to do.
pub(crate) fn a_spec(project: ProjectUid, second: i64) -> JobSpec {
    JobSpec {
        uid: JobUid::at(at(second)),
        organization: acme(),
        project,
        provider: None,
        served_by: None,
        options: JobOptions { model_type: Some(ModelType::Yolo), labels: vec!["car".into()], ..JobOptions::default() },
        wanted: vec!["car".into()],
        prompts: Default::default(),
        dry_run: false,
        created_at: at(second),
        retry_of: None,
        uploads: None,
    }
}

/// The plan of a job: one batch. `manifest` distinguishes it from other plans.
pub(crate) fn a_plan(job: JobUid, manifest: &str) -> Plan {
    let manifest = manifest.to_owned();
    let batch =
        Batch { job, batch: 0, manifest, offset: 0, length: 10, items: 4, chunk_items: 2, slots: 4, workers: 1 };
    Plan { job, workers: 1, batches: vec![batch], truncated: false, note: None }
}

/// A job in the table, still pending.
pub(crate) async fn pending(store: &impl Jobs, spec: &JobSpec) {
    store.create_job(spec, &JobState::new(spec.created_at)).await.unwrap();
}

/// A job in the table, running, with `total` items.
pub(crate) async fn running(store: &impl Jobs, spec: &JobSpec, total: u32) {
    pending(store, spec).await;
    store.plan_job(&a_plan(spec.uid, "manifest"), total, None, at(1)).await.unwrap();
}

/// The end of a job, with these deliveries of its event.
pub(crate) fn an_ending(status: JobStatus, deliveries: Vec<Delivery>) -> Ending {
    let error_message = (status == JobStatus::Failed).then(|| "The model is gone.".to_owned());
    let event = if status == JobStatus::Failed { JobEvent::Fail } else { JobEvent::Complete };
    Ending { event, error_message, summary: Summary::default(), deliveries }
}

/// Ends a job as it is now.
pub(crate) async fn end(store: &impl Jobs, job: JobUid, status: JobStatus) {
    let job = store.job(job).await.unwrap();
    assert!(store.end_job(&job, &an_ending(status, Vec::new()), at(9)).await.unwrap());
}

/// The job that holds the project, from the error of a create.
pub(crate) async fn holder(store: &impl Jobs, project: ProjectUid) -> JobUid {
    let spec = a_spec(project, 99);
    match store.create_job(&spec, &JobState::new(spec.created_at)).await {
        Err(Error::JobActive(holder)) => holder,
        answer => panic!("the project is free: {answer:?}"),
    }
}

/// Items of a project, one a microsecond.
pub(crate) fn some_items(project: ProjectUid, count: usize) -> Vec<Item> {
    let item = |n: usize| {
        let key = format!("{n}.jpg");
        let source = Source::Bucket(Item::object_key(project, &key));
        let size = Some(Size { width: 640, height: 480 });
        let (uid, origin) = (ItemUid::of(project, &key), SizeOrigin::default());
        let asset = Asset { uid, kind: AssetType::Image, size, origin, source, changes: 0 };
        let created_at = at(0) + std::time::Duration::from_micros(n as u64);
        Item { organization: acme(), project, key, asset, file: None, created_at, generation: 0, result: None }
    };
    (0..count).map(item).collect()
}

/// An item after an event of S3 about its file: ETag and sequencer.
pub(crate) fn uploaded(item: &Item, (etag, sequencer): (&str, &str)) -> Item {
    let file = FileVersion::of(etag, Sequence::of(sequencer));
    match item.uploaded(&Item { file: Some(file), ..item.clone() }) {
        Effect::Changed(after) => *after,
        effect => panic!("{effect:?}"),
    }
}

/// What was there already, of items that are all stored now.
pub(crate) fn stored(outcomes: Vec<Result<Option<Item>, Error>>) -> Vec<Option<Item>> {
    outcomes.into_iter().map(Result::unwrap).collect()
}

/// The table, or a fake of it: jobs, what their workers commit, and items to commit.
pub(crate) trait Table: Jobs + Ledger {
    async fn add_unlabeled(&self, items: &[Item]);
    async fn is_labeled(&self, item: ItemUid) -> bool;
}

impl Table for Store {
    async fn add_unlabeled(&self, items: &[Item]) {
        stored(self.add_items(items).await);
    }

    async fn is_labeled(&self, item: ItemUid) -> bool {
        self.items(&[item]).await.unwrap().remove(0).result.is_some()
    }
}

/// Knows no items: it takes every one for unlabeled until it is labeled.
impl Table for MemoryJobs {
    async fn add_unlabeled(&self, _: &[Item]) {}

    async fn is_labeled(&self, item: ItemUid) -> bool {
        Self::is_labeled(self, item)
    }
}

/// Items in the table, by uid.
pub(crate) async fn unlabeled(store: &impl Table, project: ProjectUid, count: usize) -> Vec<ItemUid> {
    let items = some_items(project, count);
    store.add_unlabeled(&items).await;
    items.iter().map(|item| item.asset.uid).collect()
}

/// What the store says is unlabeled, in its order.
pub(crate) async fn waiting(store: &Store, project: ProjectUid) -> Vec<ItemUid> {
    waiting_assets(store, project).await.into_iter().map(|asset| asset.uid).collect()
}

/// The same as assets, as a job gets them.
pub(crate) async fn waiting_assets(store: &Store, project: ProjectUid) -> Vec<Asset> {
    let waiting = store.unlabeled(project, UnlabeledQuery::default()).try_concat().await.unwrap();
    waiting.into_iter().map(|(_, asset)| asset).collect()
}

/// A job's receipts, in order.
pub(crate) async fn receipts(store: &impl Ledger, job: JobUid) -> Vec<Receipt> {
    store.receipts(job, None).try_collect().await.unwrap()
}

/// A prediction.
pub(crate) fn a_car(confidence: f64) -> Prediction {
    let coordinates = Rect { x: 10.0, y: 20.5, width: 30.0, height: 40.0 };
    let geometry = Geometry::BoundingBox { coordinates };
    Prediction { geometry, label: "car".into(), confidence, attributes: Default::default() }
}

/// An outcome with a draft of one prediction.
pub(crate) fn drafted(item: ItemUid) -> Option<ItemCommit> {
    Some(ItemCommit::new(item, 0, Outcome::Successful(Draft::of(vec![a_car(0.9)]))))
}

/// An outcome without a draft.
pub(crate) fn skipped(item: ItemUid) -> Option<ItemCommit> {
    Some(ItemCommit::new(item, 0, Outcome::Skipped(SkipReason::BelowThreshold)))
}

/// A failed item.
pub(crate) fn failed(item: ItemUid) -> Option<ItemCommit> {
    let failure = Failure::new(FailureCode::ModelError, "The model answered 400.");
    Some(ItemCommit::new(item, 0, Outcome::Failed(failure)))
}

/// A chunk of batch 0. Raw predictions are in one object.
pub(crate) fn a_chunk(job: JobUid, chunk: u32, items: Vec<Option<ItemCommit>>) -> Chunk {
    let mut chunk = Chunk { id: ChunkId { job, batch: 0, chunk }, items };
    for item in chunk.items.iter_mut().flatten() {
        item.raw.get_or_insert_with(|| format!("jobs/{job}/raw/00000-1-0000.jsonl.gz"));
    }
    chunk
}

/// Counters.
pub(crate) fn counted(total: u32, successful: u32, failed: u32, skipped: u32) -> Counters {
    Counters { total, successful, failed, skipped }
}

/// The counters of a job, as of now.
pub(crate) async fn counters(store: &impl Jobs, job: JobUid) -> Counters {
    store.job(job).await.unwrap().state.counters
}

/// A subscription of `organization` to the ends of jobs.
pub(crate) fn a_webhook(organization: OrganizationUid, second: i64) -> Webhook {
    Webhook {
        uid: WebhookUid::at(at(second)),
        organization,
        target_url: "https://receiver.example/hook".into(),
        events: vec!["auto_label.completed".into(), "auto_label.failed".into()],
        is_active: true,
        sealed_secret: "sealed".into(),
        created_at: at(second),
        updated_at: at(second),
    }
}

/// The delivery of a job's end to a subscription.
pub(crate) fn a_delivery(job: &Job, webhook: &Webhook) -> Delivery {
    let event = Event::of_job(job, JobStatus::Completed, None).unwrap();
    Delivery::of(&event, webhook, at(5))
}

/// The pending deliveries, of all time.
pub(crate) async fn outbox(store: &Store) -> BTreeSet<DeliveryUid> {
    store.waiting_deliveries(at(1_000_000), 1_000).await.unwrap().into_iter().map(|(uid, _)| uid).collect()
}

/// The first page of a list, long enough for all of it.
pub(crate) fn everything() -> Slice {
    Slice { limit: 100, ascending: true, ..Slice::default() }
}

/// More than any list of these tests has, the short and empty pages of narrowed lists included.
const PAGES: usize = 50;

/// Reads a list page by page to its end, back to its begin and forth again, in small and large pages and in both orders, and
/// holds each reading against `expected`, which is in ascending order: no entry is lost or comes twice, whatever the size of a
/// page.
pub(crate) async fn assert_pages<T, U>(
    page: impl AsyncFn(Slice) -> Result<Page<T>, Error>,
    name: impl Fn(T) -> U,
    expected: &[U],
) where
    U: Clone + PartialEq + std::fmt::Debug,
{
    for (limit, ascending) in [1, 3, 100].into_iter().flat_map(|limit| [(limit, true), (limit, false)]) {
        let case = format!("in pages of {limit}, ascending: {ascending}");
        let mut expected = expected.to_vec();
        if !ascending {
            expected.reverse();
        }
        let mut slice = Slice { limit, ascending, ..Slice::default() };
        let (mut read, mut last, mut previous) = (Vec::new(), 0, None);
        for pages in 0.. {
            let found = page(slice.clone()).await.unwrap();
            assert_eq!(found.previous.is_some(), pages > 0, "every page but the first has one before it, {case}");
            assert!(found.entries.len() <= limit, "{} entries, {case}", found.entries.len());
            (last, previous) = (found.entries.len(), found.previous);
            read.extend(found.entries.into_iter().map(&name));
            assert!(pages <= PAGES, "a list of {} does not end, {case}", expected.len());
            assert!(read.len() <= expected.len(), "more entries than there are, {case}: {read:?}");
            slice.after = found.next;
            if slice.after.is_none() {
                break;
            }
        }
        assert_eq!(read, expected, "{case}");

        // Back from the last page to the first one, and forth again from there.
        let mut back = read.split_off(read.len() - last);
        let (mut next, mut first) = (None, back.len());
        for pages in 0.. {
            let Some(before) = previous else { break };
            let after = match before {
                Before::Position(position) => Some(position),
                Before::End => None,
            };
            let found = page(Slice { after, limit, ascending, backward: true }).await.unwrap();
            assert!(found.entries.len() <= limit, "{} entries, {case}", found.entries.len());
            (previous, next, first) = (found.previous, found.next, found.entries.len());
            back.splice(0..0, found.entries.into_iter().map(&name));
            assert!(pages <= PAGES, "a list of {} does not begin, {case}", expected.len());
        }
        assert_eq!(back, expected, "backward, {case}");
        let mut slice = Slice { after: next, limit, ascending, backward: false };
        let mut forth = Vec::new();
        while slice.after.is_some() {
            let found = page(slice.clone()).await.unwrap();
            forth.extend(found.entries.into_iter().map(&name));
            slice.after = found.next;
            assert!(forth.len() <= expected.len(), "{case}");
        }
        assert_eq!(forth, expected[first..], "forth again, {case}");
    }
}

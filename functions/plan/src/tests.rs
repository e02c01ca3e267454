use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{Stream, stream};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid, ProviderUid};
use shared::domain::item::file_version::FileVersion;
use shared::domain::item::file_version::Sequence;
use shared::domain::item::result::{LabelResult, ResultSource, ResultStatus};
use shared::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use shared::domain::job::plan::Batch;
use shared::domain::job::{self, Job, JobState, UploadRun};
use shared::domain::job_status::JobStatus;
use shared::domain::limits;
use shared::domain::prediction::size::Size;
use shared::domain::project;
use shared::domain::provider::InferenceProvider;
use shared::ports::{Manifests, Page, Picked, Projects, Slice, UnlabeledQuery, Upload, UploadBacklog};
use shared::testing::{MemoryJobs, MemoryObjects, MemoryTenants, StoppedClock, a_job};
use tokio::sync::Mutex;

use super::*;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory is counted of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A project of so many unlabeled items, none of which exists before it is asked for.
struct Project(u64);

fn asset(n: u64) -> Asset {
    Asset {
        uid: ItemUid::of_bytes(u128::from(n).to_be_bytes()),
        kind: AssetType::Image,
        size: Some(Size { width: 640, height: 480 }),
        origin: SizeOrigin::default(),
        source: Source::Bucket(format!("projects/0192b1c0-0000-7000-8000-00000000000b/items/{n:012}.jpg")),
        changes: 0,
    }
}

impl Items for Project {
    fn unlabeled(
        &self,
        _: ProjectUid,
        query: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>> + Send {
        let entry = |n| (format!("{n:016}"), asset(n));
        let items = if query.since.is_none() { self.0 } else { 0 }; // none is young
        let pages = (0..items).step_by(1_000).map(move |from| Ok((from..items.min(from + 1_000)).map(entry).collect()));
        stream::iter(pages)
    }

    async fn items(&self, _: &[ItemUid]) -> Result<Vec<Item>, Error> {
        unreachable!("no job is retried")
    }

    async fn add_items(&self, _: &[Item]) -> Vec<Result<Option<Item>, Error>> {
        unreachable!("a plan adds nothing")
    }

    async fn items_of(&self, _: OrganizationUid, _: Option<ProjectUid>, _: &Slice) -> Result<Page<Item>, Error> {
        assert_eq!(self.0, 0, "a plan with items walks the index alone");
        Ok(Page::whole(Vec::new()))
    }
}

/// No upload causes the job.
impl WaitingUploads for Project {
    async fn backlog(&self, _: OrganizationUid, _: ProjectUid) -> Result<UploadBacklog, Error> {
        unreachable!("no upload causes the job")
    }

    async fn taken_today(&self, _: ProjectUid, _: Timestamp) -> Result<u32, Error> {
        unreachable!("no upload causes the job")
    }
}

/// The deployment's own endpoint serves the job.
impl Providers for Project {
    async fn provider(&self, _: OrganizationUid, uid: ProviderUid) -> Result<InferenceProvider, Error> {
        Err(uid.missing())
    }

    async fn providers(&self, _: OrganizationUid, _: &Slice) -> Result<Page<InferenceProvider>, Error> {
        unreachable!("a job names its provider")
    }

    async fn add_provider(&self, _: &InferenceProvider) -> Result<Option<InferenceProvider>, Error> {
        unreachable!("a plan adds nothing")
    }

    async fn update_provider(&self, _: &InferenceProvider, _: &InferenceProvider) -> Result<bool, Error> {
        unreachable!("a plan changes nothing")
    }

    async fn record_test(&self, _: &InferenceProvider, _: bool, _: Timestamp) -> Result<(), Error> {
        unreachable!("a plan changes nothing")
    }

    async fn remove_provider(&self, _: OrganizationUid, _: ProviderUid) -> Result<(), Error> {
        unreachable!("a plan removes nothing")
    }
}

/// A bucket that forgets what it is given.
struct Abyss;

impl Objects for Abyss {
    async fn put(&self, _: &str, _: &str, _: Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    async fn begin(&self, _: &str, _: &str) -> Result<Upload, Error> {
        Ok(Upload::default())
    }

    async fn append(&self, _: &mut Upload, _: Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    async fn complete(&self, _: Upload) -> Result<(), Error> {
        Ok(())
    }

    async fn get_range(&self, _: &str, _: u64, _: u64) -> Result<Vec<u8>, Error> {
        unreachable!("a plan reads no object")
    }

    async fn sign_get(&self, _: &Source, _: std::time::Duration) -> Result<String, Error> {
        unreachable!("a plan signs nothing")
    }

    async fn sign_put(&self, _: &str, _: std::time::Duration) -> Result<String, Error> {
        unreachable!("a plan signs nothing")
    }
}

fn planner<O>(items: u64, objects: O) -> Planner<MemoryJobs, Project, O, StoppedClock> {
    Planner {
        store: MemoryJobs::of(a_job()),
        tenants: Project(items),
        objects,
        clock: StoppedClock::at(2_000),
        item_cap: 1_000_000,
        inline_batches: 100,
        workers: Workers { most: 4, slots_each: 4 },
        max_concurrency: 16,
    }
}

fn input() -> Input {
    Input { job: a_job().spec.uid }
}

#[tokio::test]
async fn every_item_is_in_exactly_one_batch_and_every_range_holds_its_lines() {
    let _alone = ALONE.lock().await;
    // None; one batch; a batch for each worker; more batches, in a manifest of two parts.
    for (items, batches) in [(0, 0), (1, 1), (1_003, 4), (30_000, 6)] {
        let planner = planner(items, MemoryObjects::default());

        let plan = planner.plan(input(), "first").await.unwrap();

        assert_eq!(plan.batches.len(), batches, "{items}");
        assert_eq!(planner.objects.keys().len(), usize::from(items > 0));
        assert_eq!(planner.store.now().state.counters.total, items as u32);
        let mut seen = Vec::new();
        for batch in &plan.batches {
            let assets = planner.objects.assets(batch).await.unwrap();
            assert_eq!(assets.len(), batch.items as usize);
            seen.extend(assets);
        }
        assert_eq!(seen, (0..items).map(asset).collect::<Vec<_>>());
    }
}

/// Contract D11.
#[tokio::test]
async fn a_job_takes_as_many_items_as_it_may_and_notes_that_there_are_more() {
    let _alone = ALONE.lock().await;
    for (items, cap, taken, truncated) in
        [(7, 8, 7, false), (8, 8, 8, false), (9, 8, 8, true), (2_500, 1_000, 1_000, true)]
    {
        let planner = Planner { item_cap: cap, ..planner(items, MemoryObjects::default()) };

        planner.plan(input(), "first").await.unwrap();

        let plan = planner.store.plan(input().job).await.unwrap().unwrap();
        assert_eq!((planner.store.now().state.counters.total, plan.truncated), (taken, truncated), "{items}");
    }
}

#[tokio::test]
async fn a_repeated_plan_is_the_first_one() {
    let _alone = ALONE.lock().await;
    for inline_batches in [100, 0] {
        let planner = Planner { inline_batches, ..planner(10, MemoryObjects::default()) };
        let first = planner.plan(input(), "first").await.unwrap();

        assert_eq!(planner.plan(input(), "second").await.unwrap(), first);
    }
}

#[tokio::test]
async fn what_an_inline_map_does_not_take_is_listed_in_the_bucket() {
    let _alone = ALONE.lock().await;
    let batches = planner(30_000, MemoryObjects::default()).plan(input(), "first").await.unwrap().batches;
    assert_eq!(batches.len(), 6);

    for (inline_batches, inline) in [(6, true), (5, false)] {
        let planner = Planner { inline_batches, ..planner(30_000, MemoryObjects::default()) };

        let planned = planner.plan(input(), "first").await.unwrap();

        if inline {
            assert_eq!((planned.batches, planned.listed), (batches.clone(), None));
        } else {
            let listed = planner.objects.object(&planned.listed.unwrap()).unwrap();
            assert_eq!(serde_json::from_slice::<Vec<Batch>>(&listed).unwrap(), batches);
            assert_eq!((planned.batches, planned.workers), (vec![], 4));
        }
    }
}

/// What the memory of the function follows: parts and pages, and four bytes an item; not the items themselves.
#[tokio::test]
async fn a_plan_of_any_size_takes_the_same_memory() {
    let _alone = ALONE.lock().await;
    let mut peaks = Vec::new();
    for items in [30_000, 150_000] {
        let planner = planner(items, Abyss);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();

        planner.plan(input(), "first").await.unwrap();

        peaks.push(MEMORY.peak_usage() - before);
    }
    println!("{} and {} bytes", peaks[0], peaks[1]);
    assert!(peaks[0] < 2 * limits::PART_BYTES + 1024 * 1024, "{peaks:?}");
    assert!(peaks[1] < peaks[0] + 2 * 1024 * 1024, "{peaks:?}"); // the items alone are 20 MB more
}

/// Uploads of a project, one a second, and an item that a call has added among them; and the planner of a job that takes
/// uploads until the third second.
async fn uploads_planner(setting: Option<Value>) -> Planner<MemoryJobs, MemoryTenants, MemoryObjects, StoppedClock> {
    let at = |second| Timestamp::from_second(second).unwrap();
    let body = json!({"name": "Camera", "auto_label_on_upload": setting}).to_string();
    let project = project::Project::read(body.as_bytes(), a_job().spec.organization, at(0)).unwrap();
    let tenants = MemoryTenants::default();
    tenants.add_project(&project).await.unwrap();
    for second in 1..=5 {
        let (key, owner) = (json!({"key": second.to_string()}), (project.organization, project.uid));
        let mut item = Item::read(key, owner, at(second), |_| unreachable!("no source")).unwrap();
        let file = FileVersion::of("e", Sequence::of("1"));
        item.file = Some(file).filter(|_| second != 2);
        tenants.add_items(&[item]).await.pop().unwrap().unwrap();
    }
    let mut job = a_job();
    job.spec.project = project.uid;
    job.spec.uploads = Some(UploadRun { until: at(3), max_items_per_day: 10 });
    let Planner { objects, clock, item_cap, inline_batches, workers, max_concurrency, .. } =
        planner(0, MemoryObjects::default());
    let store = MemoryJobs::of(job);
    Planner { store, tenants, objects, clock, item_cap, inline_batches, workers, max_concurrency }
}

async fn keys_planned(planner: Planner<MemoryJobs, MemoryTenants, MemoryObjects, StoppedClock>) -> Vec<String> {
    let mut assets = Vec::new();
    for batch in planner.plan(input(), "first").await.unwrap().batches {
        assets.extend(planner.objects.assets(&batch).await.unwrap());
    }
    let uids: Vec<ItemUid> = assets.iter().map(|asset| asset.uid).collect();
    planner.tenants.items(&uids).await.unwrap().into_iter().map(|item| item.key).collect()
}

#[tokio::test]
async fn a_job_by_uploads_takes_those_that_have_settled_and_no_other_items() {
    let _alone = ALONE.lock().await;
    let planner = uploads_planner(Some(json!({}))).await;
    let (store, project) = (planner.store.clone(), planner.store.now().spec.project);

    assert_eq!(keys_planned(planner).await, ["1", "3"]);

    let [Picked { until: Some(until), .. }] = &store.picked()[..] else { panic!("{:?}", store.picked()) };
    assert_eq!(*until, format!("{:016}#{}", 3_000_000, ItemUid::of(project, "3")));
}

#[tokio::test]
async fn the_day_holds_for_a_job_by_uploads_and_for_a_retry_of_it() {
    let _alone = ALONE.lock().await;
    let planner = uploads_planner(Some(json!({}))).await;
    planner.tenants.take_today(9);
    assert_eq!(keys_planned(planner).await, ["1"]);

    let mut planner = uploads_planner(Some(json!({}))).await;
    planner.tenants.take_today(9);
    let retried = planner.store.now(); // never planned
    let failed = Job { state: JobState { status: JobStatus::Failed, ..retried.state.clone() }, ..retried.clone() };
    let spec = JobSpec { uid: retried.spec.uid, ..failed.retried(Timestamp::UNIX_EPOCH).unwrap() };
    planner.store = MemoryJobs::of(Job { spec, ..retried });
    assert_eq!(keys_planned(planner).await, ["1"]);
}

#[tokio::test]
async fn a_job_by_uploads_takes_nothing_once_the_project_labels_none() {
    let _alone = ALONE.lock().await;
    assert!(keys_planned(uploads_planner(None).await).await.is_empty());
}

/// The note of the plan.
async fn note<T>(planner: Planner<MemoryJobs, T, MemoryObjects, StoppedClock>) -> Option<String>
where
    T: Items + Providers + WaitingUploads,
{
    planner.plan(input(), "first").await.unwrap();
    planner.store.plan(input().job).await.unwrap().unwrap().note
}

#[tokio::test]
async fn a_job_without_items_says_why() {
    let _alone = ALONE.lock().await;
    assert_eq!(note(planner(1, MemoryObjects::default())).await, None);
    let empty = note(planner(0, MemoryObjects::default())).await.unwrap();
    assert_eq!(empty, "The project has no items. Add some: POST /projects/{uid}/items/.");

    assert_eq!(note(uploads_planner(None).await).await.as_deref(), Some(job::note::UPLOADS_ARE_OFF));
    let full = uploads_planner(Some(json!({}))).await;
    full.tenants.take_today(10);
    assert_eq!(note(full).await, Some(job::note::day_is_full(10)));
    let labeled = uploads_planner(Some(json!({}))).await;
    label_all(&labeled.tenants);
    assert_eq!(note(labeled).await.as_deref(), Some(job::note::NO_UPLOADS));
}

#[tokio::test]
async fn a_job_of_a_project_with_results_counts_them_and_a_retry_of_a_planned_job_says_that_nothing_is_left() {
    let _alone = ALONE.lock().await;
    let counted = "All 5 items have results: 4 drafts, 1 accepted.";
    for (is_retry, was_planned, expected) in
        [(false, true, counted), (true, false, counted), (true, true, job::note::NOTHING_TO_RETRY)]
    {
        let mut planner = uploads_planner(None).await;
        label_all(&planner.tenants);
        let mut spec = JobSpec { uploads: None, ..planner.store.now().spec };
        let retried = JobSpec { uid: JobUid::at(Timestamp::UNIX_EPOCH), ..spec.clone() };
        spec.retry_of = is_retry.then_some(retried.uid);
        planner.store = a_failed_job(retried, was_planned).await;
        planner.store.create_job(&spec, &JobState::new(spec.created_at)).await.unwrap();

        let note = note(planner).await.unwrap();
        assert!(note.starts_with(expected), "{note}");
    }
}

#[tokio::test]
async fn a_retry_of_a_job_that_was_never_planned_says_that_the_project_is_empty() {
    let _alone = ALONE.lock().await;
    let mut planner = planner(0, MemoryObjects::default());
    let retried = JobSpec { uid: JobUid::at(Timestamp::UNIX_EPOCH), ..planner.store.now().spec };
    let spec = JobSpec { retry_of: Some(retried.uid), ..planner.store.now().spec };
    planner.store = a_failed_job(retried, false).await;
    planner.store.create_job(&spec, &JobState::new(spec.created_at)).await.unwrap();

    assert!(note(planner).await.unwrap().starts_with("The project has no items."));
}

/// A job that has failed, before it was planned or after a plan without batches.
async fn a_failed_job(spec: JobSpec, was_planned: bool) -> MemoryJobs {
    let (job, now) = (spec.uid, spec.created_at);
    let store = MemoryJobs::of(Job { spec, state: JobState::new(now) });
    if was_planned {
        let plan = Plan { job, workers: 1, batches: vec![], truncated: false, note: None };
        store.plan_job(&plan, 1, None, now).await.unwrap();
    }
    store.change_all(|job| job.state.status = JobStatus::Failed);
    store
}

/// Gives each item a draft, and the first one a person's acceptance.
fn label_all(tenants: &MemoryTenants) {
    for (n, item) in tenants.all_items().iter().enumerate() {
        let result = LabelResult {
            generation: 1,
            revision: 0,
            status: if n == 0 { ResultStatus::Accepted } else { ResultStatus::Draft },
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
        };
        tenants.label(item.asset.uid, result);
    }
}

/// I1. An index that is behind: an item has moved, and is found where it was and where it went, or moves between two reads.
struct Moving {
    positions: Vec<(Timestamp, Asset)>,
    /// Moves to this time when the first read is over.
    moves: Option<(Asset, Timestamp)>,
    reads: AtomicUsize,
}

impl Items for Moving {
    fn unlabeled(
        &self,
        _: ProjectUid,
        query: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>> + Send {
        let mut positions = self.positions.clone();
        if let Some((moved, at)) = self.moves.as_ref().filter(|_| self.reads.fetch_add(1, Ordering::Relaxed) > 0) {
            positions.retain(|(_, asset)| asset.uid != moved.uid);
            positions.push((*at, moved.clone()));
        }
        positions.retain(|(at, _)| query.since.is_none_or(|since| *at > since));
        positions.retain(|(at, _)| query.until.is_none_or(|until| *at <= until));
        positions.sort_by_key(|(at, _)| *at);
        let pages: Vec<_> = positions
            .into_iter()
            .map(|(at, asset)| Ok(vec![(format!("{:016}", at.as_microsecond()), asset)]))
            .collect();
        stream::iter(pages)
    }

    async fn items(&self, _: &[ItemUid]) -> Result<Vec<Item>, Error> {
        unreachable!("no job is retried")
    }

    async fn add_items(&self, _: &[Item]) -> Vec<Result<Option<Item>, Error>> {
        unreachable!("a plan adds nothing")
    }

    async fn items_of(&self, _: OrganizationUid, _: Option<ProjectUid>, _: &Slice) -> Result<Page<Item>, Error> {
        unreachable!("a plan walks the index")
    }
}

#[tokio::test]
async fn an_item_that_moves_while_its_job_is_planned_is_in_the_manifest_once() {
    let _alone = ALONE.lock().await;
    let at = |second: f64| Timestamp::from_microsecond((second * 1e6) as i64).unwrap();
    let (a, b, c, d) = (asset(1), asset(2), asset(3), asset(4));
    // Planned at 2,000.
    let still = [(at(100.0), a.clone()), (at(200.0), b.clone()), (at(1_995.0), c.clone())];
    let with = |more: &[(Timestamp, Asset)]| [&still, more].concat();
    let cases = [
        (still.to_vec(), None, vec![&a, &b, &c]),
        // The index shows it where it was still, and where it went: among the young ones, or twice among them.
        (with(&[(at(1_999.0), a.clone())]), None, vec![&b, &c, &a]),
        (with(&[(at(1_999.0), c.clone())]), None, vec![&a, &b, &c]),
        // It moves after the young ones were read, by a clock that is a second behind.
        (still.to_vec(), Some((b.clone(), at(1_999.0))), vec![&a, &c]),
        (still.to_vec(), Some((c.clone(), at(2_001.0))), vec![&a, &b, &c]),
        // One that a call has added a moment before, by a clock that is a second ahead.
        (with(&[(at(2_001.0), d.clone())]), None, vec![&a, &b, &c, &d]),
    ];
    for (positions, moves, expected) in cases {
        let Planner { store, objects, clock, item_cap, inline_batches, workers, max_concurrency, .. } =
            planner(0, MemoryObjects::default());
        let tenants = Moving { positions, moves, reads: AtomicUsize::new(0) };
        let planner = Planner { store, tenants, objects, clock, item_cap, inline_batches, workers, max_concurrency };
        let mut manifest = Manifest::begin(&planner.objects, "manifest".into(), 100);

        planner.pick_waiting(&a_job().spec, &mut manifest, at(2_000.0)).await.unwrap();

        manifest.finish().await.unwrap();
        let lines = planner.objects.object("manifest").unwrap();
        let picked: Vec<Asset> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(picked.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_golden_input_of_before_still_reads() {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/it/golden/messages.json")).unwrap();

    let input: Input = serde_json::from_str(golden["plan_input"].as_str().unwrap()).unwrap();

    assert_eq!(input.job.to_string(), "0192b1c0-0000-7000-8000-000000000201");
}

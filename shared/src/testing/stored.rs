use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};

use crate::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::file_version::{FileVersion, Sequence};
use crate::domain::item::result::LabelResult;
use crate::domain::item::{Asset, Item, Source};
use crate::domain::job::outcome::{ChunkId, ItemOutcome, Outcome, Receipt};
use crate::domain::job::plan::Plan;
use crate::domain::job::{Job, JobSpec, JobState};
use crate::domain::job_status::JobStatus;
use crate::domain::prediction::draft::Draft;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Chunk, Commit, Ending, Items, JobFilter, Jobs, Ledger, Page, Picked, Slice, Uploads};
use crate::store::Store;
use crate::testing::{Fault, MemoryTable, MemoryWebhooks, an_item};

/// One job in a table in memory.
#[derive(Clone, Debug)]
pub struct StoredJob {
    table: MemoryTable,
    store: Store,
    /// To look at it without delay.
    quick: Store,
    spec: JobSpec,
    /// In the order in which they were first met.
    items: Arc<Mutex<Vec<Asset>>>,
    webhooks: MemoryWebhooks,
    fault: Arc<Fault>,
}

/// What a call answers that waits for nothing outside of it.
#[expect(clippy::expect_used, reason = "for tests")]
fn at_once<T>(call: impl Future<Output = Result<T, Error>>) -> T {
    let (mut call, mut context) = (pin!(call), Context::from_waker(Waker::noop()));
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer.expect("a call that fails");
        }
    }
}

impl StoredJob {
    /// This job, as it is.
    #[must_use]
    pub fn of(job: Job) -> Self {
        let table = MemoryTable::default();
        let store = table.store();
        let quick = table.quick().store();
        at_once(quick.create_job(&job.spec, &job.state));
        let (items, webhooks, fault) = Default::default();
        Self { table, store, quick, spec: job.spec, items, webhooks, fault }
    }

    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// From now on a check of its status takes so long; it sees what there is at its end.
    pub fn slow_down(&self, latency: Duration) {
        self.table.slow_down("GetItem", latency);
    }

    /// A commit takes so long.
    #[must_use]
    pub fn committing_in(self, commit_latency: Duration) -> Self {
        self.table.slow_down("TransactWriteItems", commit_latency);
        self
    }

    /// Whose end is recorded there.
    #[must_use]
    pub fn told_to(self, webhooks: &MemoryWebhooks) -> Self {
        Self { webhooks: webhooks.clone(), ..self }
    }

    /// Another job labels an item.
    pub fn label(&self, item: ItemUid) {
        let asset = known(item);
        at_once(self.add(std::slice::from_ref(&asset)));
        let mut spec = JobSpec {
            uid: JobUid::at(Timestamp::UNIX_EPOCH),
            project: ProjectUid::at(Timestamp::UNIX_EPOCH),
            ..self.spec.clone()
        };
        spec.dry_run = false;
        let mut state = JobState::new(spec.created_at);
        state.status = JobStatus::Running;
        at_once(self.quick.create_job(&spec, &state));
        let chunk = Chunk {
            id: ChunkId { job: spec.uid, batch: 0, chunk: 0 },
            outcomes: vec![Some(ItemOutcome::of(&asset, Outcome::Successful(Draft::default())))],
            dropped_labels: vec![],
            notes: vec![],
            remarks: Default::default(),
            measured: vec![],
            raw: vec![],
        };
        at_once(self.quick.commit(&spec, "person", chunk, spec.created_at));
    }

    /// An item's file is written over.
    pub fn change_file(&self, item: ItemUid) {
        at_once(self.add(&[known(item)]));
        let before = at_once(self.quick.items(&[item])).remove(0);
        let mut after = before.clone();
        after.asset.changes += 1;
        after.file = Some(FileVersion::of("e", Sequence::of(&after.asset.changes.to_string())));
        assert!(at_once(self.quick.change_file(&before, &after, self.spec.created_at)));
    }

    /// The drafts, in the order of their commits.
    pub fn committed_drafts(&self) -> Vec<Draft> {
        let draft =
            |(_, result): (Item, LabelResult)| Draft { elsewhere: result.elsewhere, ..Draft::of(result.annotations) };
        self.drafted().into_iter().map(draft).collect()
    }

    /// The receipts, in order.
    pub fn committed_receipts(&self) -> Vec<Receipt> {
        at_once(self.quick.receipts(self.spec.uid, None).try_collect())
    }

    /// A person cancels the job.
    pub fn cancel(&self) {
        at_once(self.quick.cancel_job(
            &Job { spec: self.spec.clone(), state: JobState::new(self.spec.created_at) },
            &[],
            self.spec.created_at,
        ));
    }

    /// The job as it is now.
    pub fn now(&self) -> Job {
        at_once(self.quick.job(self.spec.uid))
    }

    /// Items that a job has drafted.
    pub fn drafts(&self) -> Vec<ItemUid> {
        self.drafted().into_iter().map(|(item, _)| item.asset.uid).collect()
    }

    /// Assets whose size was stored with their drafts.
    pub fn measured(&self) -> Vec<Asset> {
        let before = lock(&self.items).clone();
        self.drafted().into_iter().map(|(item, _)| item.asset).filter(|asset| !before.contains(asset)).collect()
    }

    /// Whether the watchdog no longer checks the job.
    pub fn is_forgotten(&self) -> bool {
        at_once(self.quick.active_jobs()).is_empty()
    }

    /// Whether the project is still taken by the job.
    pub fn project_is_taken(&self) -> bool {
        let other = JobSpec { uid: JobUid::at(Timestamp::UNIX_EPOCH), ..self.spec.clone() };
        let created = self.quick.create_job(&other, &JobState::new(other.created_at)).now_or_never();
        matches!(created, Some(Err(Error::JobActive(holder))) if holder == self.spec.uid)
    }

    fn drafted(&self) -> Vec<(Item, LabelResult)> {
        let known = lock(&self.items).clone();
        let mut found = Vec::new();
        for asset in known {
            let Some(mut item) = at_once(self.quick.items(&[asset.uid])).pop() else { continue };
            item.asset.uid = asset.uid;
            if let Some(result) = item.result.clone()
                && result.lineage.as_ref().is_some_and(|lineage| lineage.job == self.spec.uid)
            {
                found.push((item, result));
            }
        }
        found
    }

    /// Items that are not there yet.
    async fn add(&self, assets: &[Asset]) -> Result<(), Error> {
        let known = lock(&self.items).clone();
        let new: Vec<Asset> = assets.iter().filter(|asset| !known.contains(asset)).cloned().collect();
        let rows: Vec<Item> = new.iter().map(|asset| self.item(asset)).collect();
        for added in self.quick.add_items(&rows).await {
            added?;
        }
        lock(&self.items).extend(new);
        Ok(())
    }

    fn item(&self, asset: &Asset) -> Item {
        let key = match &asset.source {
            Source::Bucket(key) => key.rsplit('/').next().unwrap_or_default().to_owned(),
            _ => asset.uid.to_string(),
        };
        let (organization, project, created_at) = (self.spec.organization, self.spec.project, self.spec.created_at);
        Item { organization, project, key, asset: asset.clone(), file: None, created_at, result: None }
    }
}

static KNOWN: LazyLock<HashMap<ItemUid, Asset>> =
    LazyLock::new(|| (0..10_000).map(an_item).map(|asset| (asset.uid, asset)).collect());

fn known(item: ItemUid) -> Asset {
    KNOWN.get(&item).cloned().unwrap_or_else(|| Asset { uid: item, ..an_item(0) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jobs for StoredJob {
    async fn create_job(&self, spec: &JobSpec, state: &JobState) -> Result<bool, Error> {
        self.fault.around_call(self.store.create_job(spec, state)).await
    }

    async fn job(&self, uid: JobUid) -> Result<Job, Error> {
        self.fault.around_call(self.store.job(uid)).await
    }

    async fn jobs(&self, organization: OrganizationUid, filter: JobFilter, slice: &Slice) -> Result<Page<Job>, Error> {
        self.fault.around_call(self.store.jobs(organization, filter, slice)).await
    }

    async fn active_jobs(&self) -> Result<Vec<JobUid>, Error> {
        self.fault.around_call(self.store.active_jobs()).await
    }

    async fn plan_job(&self, plan: &Plan, total: u32, picked: Option<&Picked>, now: Timestamp) -> Result<Plan, Error> {
        self.fault.around_call(self.store.plan_job(plan, total, picked, now)).await
    }

    async fn plan(&self, job: JobUid) -> Result<Option<Plan>, Error> {
        self.fault.around_call(self.store.plan(job)).await
    }

    async fn cancel_job(&self, job: &Job, deliveries: &[Delivery], now: Timestamp) -> Result<bool, Error> {
        self.fault.around_call(self.store.cancel_job(job, deliveries, now)).await
    }

    async fn withdraw_job(&self, job: &Job, now: Timestamp) -> Result<(), Error> {
        self.fault.around_call(self.store.withdraw_job(job, now)).await
    }

    async fn close_job(&self, job: JobUid, status: &[JobStatus]) -> Result<(), Error> {
        self.fault.around_call(self.store.close_job(job, status)).await
    }

    async fn refuse_job(&self, job: JobUid, refusal: &str) -> Result<(), Error> {
        self.fault.around_call(self.store.refuse_job(job, refusal)).await
    }

    async fn unwatch_job(&self, job: JobUid) -> Result<(), Error> {
        self.fault.around_call(self.store.unwatch_job(job)).await
    }

    async fn end_job(&self, job: &Job, ending: &Ending, now: Timestamp) -> Result<bool, Error> {
        self.fault
            .around_call(async {
                let ended = self.store.end_job(job, ending, now).await?;
                if ended {
                    ending.deliveries.iter().for_each(|delivery| self.webhooks.put(delivery.clone()));
                }
                Ok(ended)
            })
            .await
    }
}

impl Ledger for StoredJob {
    async fn committed(&self, job: JobUid, batch: u32) -> Result<Vec<u32>, Error> {
        self.fault.around_call(self.store.committed(job, batch)).await
    }

    async fn commit(&self, spec: &JobSpec, bot: &str, chunk: Chunk, now: Timestamp) -> Result<Commit, Error> {
        let drafted = chunk.outcomes.iter().flatten().filter(|o| matches!(o.outcome, Outcome::Successful(_)));
        let assets: Vec<Asset> = drafted.map(|outcome| known(outcome.item)).collect();
        self.add(&assets).await?;
        self.fault.around_call(self.store.commit(spec, bot, chunk, now)).await
    }

    fn receipts(&self, job: JobUid, batch: Option<u32>) -> impl Stream<Item = Result<Receipt, Error>> + Send {
        match self.fault.around(|| Ok(())) {
            Ok(()) => self.store.receipts(job, batch).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    }

    async fn status(&self, job: JobUid) -> Result<JobStatus, Error> {
        self.store.status(job).await
    }
}

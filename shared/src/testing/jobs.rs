use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};

use crate::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use crate::domain::job::outcome::{ItemCommit, Outcome, Receipt, SkipReason};
use crate::domain::job::plan::Plan;
use crate::domain::job::{Job, JobOptions, JobSpec, JobState};
use crate::domain::job_status::{JobEvent, JobStatus};
use crate::domain::prediction::draft::Draft;
use crate::domain::prediction::model_type::ModelType;
use crate::domain::prediction::size::Size;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Chunk, Commit, Ending, JobFilter, Jobs, Ledger, Page, Picked, Slice};
use crate::testing::{Fault, MemoryWebhooks, lock};

/// Jobs, their receipts and their drafts, by the rules of the table: what is one transaction there is one lock here. The tests
/// of the store (`tests/it/store`) run on it too (docs/decisions/0029). A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryJobs {
    state: Arc<Mutex<State>>,
    webhooks: MemoryWebhooks,
    fault: Arc<Fault>,
    latency: Arc<Mutex<Duration>>,
    commit_latency: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    jobs: BTreeMap<JobUid, Entry>,
    /// The job that labeled an item; `None`: a person did.
    results: HashMap<ItemUid, Option<JobUid>>,
    drafts: Vec<Draft>,
    /// How often files were changed.
    changes: HashMap<ItemUid, u32>,
    /// Assets whose size came with a draft.
    measured: Vec<Asset>,
    picked: Vec<Picked>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    plan: Option<Plan>,
    receipts: BTreeMap<(u32, u32), Receipt>,
    is_closed: bool,
    is_watched: bool,
    /// `false` of one that was withdrawn before it was created.
    is_listed: bool,
}

impl MemoryJobs {
    /// This job, as it is.
    #[must_use]
    pub fn of(job: Job) -> Self {
        let jobs = Self::default();
        jobs.lock().jobs.insert(job.spec.uid, Entry::of(job));
        jobs
    }

    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// From now on a read of a status takes so long, and returns the status at its end.
    pub fn slow_down(&self, latency: Duration) {
        *lock(&self.latency) = latency;
    }

    /// A commit takes so long.
    #[must_use]
    pub fn committing_in(self, commit_latency: Duration) -> Self {
        Self { commit_latency, ..self }
    }

    /// With the deliveries of its events recorded there.
    #[must_use]
    pub fn with_webhooks(self, webhooks: &MemoryWebhooks) -> Self {
        Self { webhooks: webhooks.clone(), ..self }
    }

    /// A person labels an item.
    pub fn label(&self, item: ItemUid) {
        self.lock().results.insert(item, None);
    }

    /// Whether an item has a result.
    pub fn is_labeled(&self, item: ItemUid) -> bool {
        self.lock().results.contains_key(&item)
    }

    /// An item's file is written over.
    pub fn change_file(&self, item: ItemUid) {
        *self.lock().changes.entry(item).or_default() += 1;
    }

    /// The drafts, in the order of their commits.
    pub fn committed_drafts(&self) -> Vec<Draft> {
        self.lock().drafts.clone()
    }

    /// The receipts of all jobs, in order.
    pub fn committed_receipts(&self) -> Vec<Receipt> {
        self.lock().jobs.values().flat_map(|entry| entry.receipts.values().cloned()).collect()
    }

    /// What plans have picked of uploads.
    pub fn picked(&self) -> Vec<Picked> {
        self.lock().picked.clone()
    }

    /// A person cancels the first job.
    pub fn cancel(&self) {
        if let Some(entry) = self.lock().jobs.values_mut().next() {
            entry.job.state.status = JobStatus::Cancelled;
        }
    }

    /// The first job as it is now.
    ///
    /// # Panics
    /// Without one.
    #[expect(clippy::unwrap_used, reason = "for tests")]
    pub fn now(&self) -> Job {
        self.lock().jobs.values().next().unwrap().job.clone()
    }

    /// The jobs that were created, the oldest first.
    pub fn all(&self) -> Vec<Job> {
        self.lock().jobs.values().filter(|entry| entry.is_listed).map(|entry| entry.job.clone()).collect()
    }

    /// Changes every job past the rules.
    pub fn change_all(&self, change: impl FnMut(&mut Job)) {
        self.lock().jobs.values_mut().filter(|entry| entry.is_listed).map(|entry| &mut entry.job).for_each(change);
    }

    /// Items that a job has drafted.
    pub fn drafts(&self) -> Vec<ItemUid> {
        self.lock().results.iter().filter_map(|(item, job)| job.map(|_| *item)).collect()
    }

    /// Assets whose size was stored with their drafts.
    pub fn measured(&self) -> Vec<Asset> {
        self.lock().measured.clone()
    }

    /// Whether no job is watched.
    pub fn is_unwatched(&self) -> bool {
        !self.lock().jobs.values().any(|entry| entry.is_watched)
    }

    /// Whether a job still has its project.
    pub fn project_is_taken(&self) -> bool {
        self.lock().jobs.values().any(|entry| entry.job.state.status.is_active())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A call about a job, which may be the one that fails.
    fn with<T>(&self, job: JobUid, call: impl FnOnce(&mut Entry) -> Result<T, Error>) -> Result<T, Error> {
        self.fault.around(|| call(self.lock().entry(job)?))
    }

    /// Plans a job; what it takes of uploads, if it is the first plan, is one step with it.
    pub(super) fn plan_with(
        &self,
        plan: &Plan,
        total: u32,
        now: Timestamp,
        take: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Plan, Error> {
        self.with(plan.job, |entry| {
            let (state, (from, to)) = (&mut entry.job.state, JobEvent::Start.moves());
            if !from.contains(&state.status) || entry.is_closed {
                let first = entry.plan.clone().filter(|_| state.status.is_active());
                return first.ok_or(Error::JobFinished(state.status));
            }
            take()?;
            state.status = to;
            state.counters.total = total;
            (state.started_at, state.progressed_at) = (Some(now), now);
            entry.plan = Some(plan.clone());
            Ok(plan.clone())
        })
    }

    fn record(&self, deliveries: &[Delivery]) {
        deliveries.iter().for_each(|delivery| self.webhooks.put(delivery.clone()));
    }
}

impl Entry {
    fn of(job: Job) -> Self {
        Self { job, plan: None, receipts: BTreeMap::new(), is_closed: false, is_watched: true, is_listed: true }
    }

    fn cancel(&mut self, now: Timestamp) -> Result<bool, Error> {
        let state = &mut self.job.state;
        if state.status == JobStatus::Cancelled {
            return Ok(false);
        }
        state.status = state.status.after(JobEvent::Cancel).map_err(|_| Error::JobFinished(state.status))?;
        (state.completed_at, state.progressed_at) = (Some(now), now);
        Ok(true)
    }
}

impl State {
    fn entry(&mut self, job: JobUid) -> Result<&mut Entry, Error> {
        self.jobs.get_mut(&job).ok_or_else(|| job.missing())
    }

    /// What becomes of an item's draft: it is there, or why not.
    fn draft(&mut self, job: JobUid, of: &ItemCommit, draft: &Draft) -> Result<(), SkipReason> {
        if self.results.contains_key(&of.item) {
            return Err(SkipReason::AlreadyLabeled);
        }
        if self.changes.get(&of.item).copied().unwrap_or_default() != of.changes {
            return Err(SkipReason::FileChanged);
        }
        self.results.insert(of.item, Some(job));
        self.drafts.push(draft.clone());
        self.measured.extend(of.measured.clone());
        Ok(())
    }
}

impl Jobs for MemoryJobs {
    async fn create_job(&self, spec: &JobSpec, begun: &JobState) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut state = self.lock();
            let jobs = &mut state.jobs;
            let has_project = |job: &&Job| job.spec.project == spec.project && job.state.status.is_active();
            match jobs.values().map(|entry| &entry.job).find(has_project) {
                Some(holder) if holder.spec.uid != spec.uid => return Err(Error::JobActive(holder.spec.uid)),
                _ if jobs.contains_key(&spec.uid) => return Ok(false),
                _ => {}
            }
            jobs.insert(spec.uid, Entry::of(Job { spec: spec.clone(), state: begun.clone() }));
            Ok(true)
        })
    }

    async fn job(&self, uid: JobUid) -> Result<Job, Error> {
        self.with(uid, |entry| Ok(entry.job.clone()))
    }

    async fn jobs(&self, organization: OrganizationUid, filter: JobFilter, _: &Slice) -> Result<Page<Job>, Error> {
        let mut jobs = self.all();
        jobs.reverse();
        jobs.retain(|job| {
            job.spec.organization == organization
                && filter.project.is_none_or(|project| job.spec.project == project)
                && filter.status.is_none_or(|status| job.state.status == status)
        });
        Ok(Page::whole(jobs))
    }

    async fn active_jobs(&self) -> Result<Vec<JobUid>, Error> {
        self.fault.around(|| {
            let state = self.lock();
            Ok(state.jobs.iter().filter(|(_, entry)| entry.is_watched).map(|(uid, _)| *uid).collect())
        })
    }

    async fn plan_job(&self, plan: &Plan, total: u32, picked: Option<&Picked>, now: Timestamp) -> Result<Plan, Error> {
        let mut taken = None;
        let first = self.plan_with(plan, total, now, || {
            taken = picked.cloned();
            Ok(())
        });
        self.lock().picked.extend(taken);
        first
    }

    async fn plan(&self, job: JobUid) -> Result<Option<Plan>, Error> {
        self.fault.around(|| Ok(self.lock().jobs.get(&job).and_then(|entry| entry.plan.clone())))
    }

    async fn cancel_job(&self, job: &Job, deliveries: &[Delivery], now: Timestamp) -> Result<bool, Error> {
        self.with(job.spec.uid, |entry| {
            let cancelled = entry.cancel(now)?;
            self.record(if cancelled { deliveries } else { &[] });
            Ok(cancelled)
        })
    }

    async fn withdraw_job(&self, job: &Job, now: Timestamp) -> Result<(), Error> {
        self.fault.around(|| {
            let withdrawn = || Entry { is_watched: false, is_listed: false, ..Entry::of(job.clone()) };
            self.lock().jobs.entry(job.spec.uid).or_insert_with(withdrawn).cancel(now).map(|_| ())
        })
    }

    async fn close_job(&self, job: JobUid, status: &[JobStatus]) -> Result<(), Error> {
        self.fault.around(|| {
            if let Some(entry) = self.lock().jobs.get_mut(&job) {
                entry.is_closed |= status.contains(&entry.job.state.status);
            }
            Ok(())
        })
    }

    async fn refuse_job(&self, job: JobUid, refusal: &str) -> Result<(), Error> {
        self.fault.around(|| {
            if let Some(entry) = self.lock().jobs.get_mut(&job)
                && entry.job.state.status == JobStatus::Running
            {
                entry.job.state.refusal.get_or_insert_with(|| refusal.to_owned());
            }
            Ok(())
        })
    }

    async fn unwatch_job(&self, job: JobUid) -> Result<(), Error> {
        self.with(job, |entry| {
            if entry.job.state.status.is_active() {
                return Err(Error::internal("an active job stays watched"));
            }
            entry.is_watched = false;
            Ok(())
        })
    }

    async fn end_job(&self, seen: &Job, ending: &Ending, now: Timestamp) -> Result<bool, Error> {
        self.with(seen.spec.uid, |entry| {
            let state = &mut entry.job.state;
            if (state.status, state.counters) != (seen.state.status, seen.state.counters) {
                return Ok(false);
            }
            state.status = state.status.after(ending.event)?;
            (state.completed_at, state.progressed_at) = (Some(now), now);
            state.error_message = ending.error_message.clone();
            state.summary = Some(ending.summary.clone());
            (entry.is_watched, entry.is_closed) = (false, false);
            self.record(&ending.deliveries);
            Ok(true)
        })
    }
}

impl Ledger for MemoryJobs {
    async fn committed(&self, job: JobUid, batch: u32) -> Result<Vec<u32>, Error> {
        self.fault.around(|| {
            let state = self.lock();
            let names = state.jobs.get(&job).into_iter().flat_map(|entry| entry.receipts.keys());
            Ok(names.filter(|(of, _)| *of == batch).map(|(_, chunk)| *chunk).collect())
        })
    }

    async fn commit(&self, spec: &JobSpec, _: &str, mut chunk: Chunk, now: Timestamp) -> Result<Commit, Error> {
        tokio::time::sleep(self.commit_latency).await;
        self.fault.around(|| {
            let (mut state, name) = (self.lock(), (chunk.id.batch, chunk.id.chunk));
            let Ok(entry) = state.entry(spec.uid) else { return Ok(Commit::JobOver) };
            if entry.receipts.contains_key(&name) {
                return Ok(Commit::Already);
            }
            if entry.is_closed || !matches!(entry.job.state.status, JobStatus::Running | JobStatus::Cancelled) {
                return Ok(Commit::JobOver);
            }
            for item in chunk.items.iter_mut().flatten().filter(|_| !spec.dry_run) {
                if let Outcome::Successful(draft) = &item.outcome
                    && let Err(reason) = state.draft(spec.uid, item, draft)
                {
                    item.outcome = Outcome::Skipped(reason);
                }
            }
            let receipt = Receipt::of(&chunk.items);
            let (tally, entry) = (receipt.tally(), state.entry(spec.uid)?);
            let counters = &mut entry.job.state.counters;
            counters.successful += tally.successful;
            counters.failed += tally.failed;
            counters.skipped += tally.skipped;
            entry.job.state.progressed_at = now;
            entry.receipts.insert(name, receipt.clone());
            Ok(Commit::Done(receipt))
        })
    }

    /// An item's key here is made of its uid.
    async fn item_keys(&self, items: &[ItemUid]) -> Result<HashMap<ItemUid, String>, Error> {
        self.fault.around(|| Ok(items.iter().map(|item| (*item, format!("{item}.jpg"))).collect()))
    }

    fn receipts(&self, job: JobUid, batch: Option<u32>) -> impl Stream<Item = Result<Receipt, Error>> + Send {
        let wanted = |&(of, _): &(u32, u32)| batch.is_none_or(|batch| batch == of);
        let names: Result<Vec<(u32, u32)>, Error> = self.fault.around(|| {
            let state = self.lock();
            let names = state.jobs.get(&job).into_iter().flat_map(|entry| entry.receipts.keys().copied());
            Ok(names.filter(wanted).collect())
        });
        let receipt = move |name| self.lock().entry(job)?.receipts.get(&name).cloned().ok_or_else(|| job.missing());
        match names {
            Ok(names) => stream::iter(names).map(receipt).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    }

    async fn status(&self, job: JobUid) -> Result<JobStatus, Error> {
        let latency = *lock(&self.latency);
        tokio::time::sleep(latency).await;
        Ok(self.lock().entry(job)?.job.state.status)
    }
}

/// A pending job of "acme" for one model type, without labels: everything is wanted.
///
/// # Panics
/// Never.
#[must_use]
#[expect(clippy::unwrap_used, reason = "for tests")]
pub fn a_job() -> Job {
    let now = Timestamp::from_second(1_000).unwrap();
    let spec = JobSpec {
        uid: JobUid::parse("0192b1c0-0000-7000-8000-00000000000a").unwrap(),
        organization: OrganizationUid::named("acme"),
        project: ProjectUid::parse("0192b1c0-0000-7000-8000-00000000000b").unwrap(),
        provider: None,
        served_by: None,
        options: JobOptions { model_type: Some(ModelType::Yolo), ..JobOptions::default() },
        wanted: Vec::new(),
        prompts: Default::default(),
        dry_run: false,
        created_at: now,
        retry_of: None,
        uploads: None,
    };
    Job { state: JobState::new(now), spec }
}

/// The n-th item of that job's project: a picture of 100 by 100 pixels.
#[must_use]
pub fn an_item(n: usize) -> Asset {
    let project = a_job().spec.project;
    let key = format!("{n:05}.jpg");
    Asset {
        uid: ItemUid::of(project, &key),
        kind: AssetType::Image,
        size: Some(Size { width: 100, height: 100 }),
        origin: SizeOrigin::default(),
        source: Source::Bucket(Item::object_key(project, &key)),
        changes: 0,
    }
}

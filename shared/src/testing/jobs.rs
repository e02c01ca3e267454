use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};

use crate::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use crate::domain::job::outcome::{Outcome, Receipt, SkipReason};
use crate::domain::job::plan::Plan;
use crate::domain::job::{Job, JobOptions, JobSpec, JobState};
use crate::domain::job_status::JobEvent;
use crate::domain::job_status::JobStatus;
use crate::domain::prediction::draft::Draft;
use crate::domain::prediction::model_type::ModelType;
use crate::domain::prediction::size::Size;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Chunk, Commit, Ending, JobFilter, Jobs, Ledger, Page, Picked, Slice};
use crate::testing::{Fault, MemoryWebhooks};

/// One job, its receipts and its drafts, by the rules of the table: what is one transaction there is one lock here.
#[derive(Debug, Default)]
pub struct MemoryJob {
    state: Mutex<State>,
    webhooks: MemoryWebhooks,
    fault: Arc<Fault>,
    latency: Mutex<Duration>,
    commit_latency: Duration,
}

#[derive(Debug, Default)]
struct State {
    job: Option<Job>,
    plan: Option<Plan>,
    receipts: BTreeMap<(u32, u32), Receipt>,
    /// The job that labeled an item; `None`: a person did.
    results: HashMap<ItemUid, Option<JobUid>>,
    drafts: Vec<Draft>,
    /// How often files were changed.
    changes: HashMap<ItemUid, u32>,
    /// Assets whose size came with a draft.
    measured: Vec<Asset>,
    project_is_taken: bool,
    is_unwatched: bool,
    is_closed: bool,
}

impl MemoryJob {
    /// This job, as it is.
    #[must_use]
    pub fn of(job: Job) -> Self {
        let project_is_taken = job.state.status.is_active();
        Self { state: Mutex::new(State { job: Some(job), project_is_taken, ..State::default() }), ..Self::default() }
    }

    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// From now on a read of its status takes so long, and returns the status at its end.
    pub fn slow_down(&self, latency: Duration) {
        *self.latency.lock().unwrap_or_else(PoisonError::into_inner) = latency;
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

    /// An item's file is written over.
    pub fn change_file(&self, item: ItemUid) {
        *self.lock().changes.entry(item).or_default() += 1;
    }

    /// The drafts, in the order of their commits.
    pub fn committed_drafts(&self) -> Vec<Draft> {
        self.lock().drafts.clone()
    }

    /// The receipts, in order.
    pub fn committed_receipts(&self) -> Vec<Receipt> {
        self.lock().receipts.values().cloned().collect()
    }

    /// A person cancels the job.
    pub fn cancel(&self) {
        if let Some(job) = &mut self.lock().job {
            job.state.status = JobStatus::Cancelled;
        }
    }

    /// The job as it is now.
    ///
    /// # Panics
    /// Without one.
    #[expect(clippy::unwrap_used, reason = "for tests")]
    pub fn now(&self) -> Job {
        self.lock().job.clone().unwrap()
    }

    /// Items that a job has drafted.
    pub fn drafts(&self) -> Vec<ItemUid> {
        self.lock().results.iter().filter_map(|(item, job)| job.map(|_| *item)).collect()
    }

    /// Assets whose size was stored with their drafts.
    pub fn measured(&self) -> Vec<Asset> {
        self.lock().measured.clone()
    }

    /// Whether the job is no longer watched.
    pub fn is_unwatched(&self) -> bool {
        self.lock().is_unwatched
    }

    /// Whether the project is still taken by the job.
    pub fn project_is_taken(&self) -> bool {
        self.lock().project_is_taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn job(&mut self) -> Result<&mut Job, Error> {
        self.job.as_mut().ok_or(Error::NotFound)
    }
}

impl Jobs for MemoryJob {
    async fn create_job(&self, _: &JobSpec, _: &JobState) -> Result<bool, Error> {
        Err(Error::internal("there is one job"))
    }

    async fn job(&self, uid: JobUid) -> Result<Job, Error> {
        self.fault.around(|| self.lock().job.clone().filter(|job| job.spec.uid == uid).ok_or(Error::NotFound))
    }

    async fn jobs(&self, _: OrganizationUid, _: JobFilter, _: &Slice) -> Result<Page<Job>, Error> {
        Ok(Page::whole(self.lock().job.iter().cloned().collect()))
    }

    async fn active_jobs(&self) -> Result<Vec<JobUid>, Error> {
        self.fault.around(|| {
            let state = self.lock();
            Ok(state.job.iter().filter(|_| !state.is_unwatched).map(|job| job.spec.uid).collect())
        })
    }

    async fn plan_job(&self, plan: &Plan, total: u32, _: Option<&Picked>, now: Timestamp) -> Result<Plan, Error> {
        self.fault.around(|| {
            let mut state = self.lock();
            let job = state.job()?;
            if job.state.status != JobStatus::Pending {
                let status = job.state.status;
                return state.plan.clone().filter(|_| status.is_active()).ok_or(Error::JobFinished(status));
            }
            job.state.status = JobStatus::Running;
            job.state.counters.total = total;
            job.state.started_at = Some(now);
            state.plan = Some(plan.clone());
            Ok(plan.clone())
        })
    }

    async fn plan(&self, _: JobUid) -> Result<Option<Plan>, Error> {
        self.fault.around(|| Ok(self.lock().plan.clone()))
    }

    async fn cancel_job(&self, _: &Job, deliveries: &[Delivery], now: Timestamp) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut state = self.lock();
            let job = state.job()?;
            let status = job.state.status;
            if status == JobStatus::Cancelled {
                return Ok(false);
            }
            job.state.status = status.after(JobEvent::Cancel).map_err(|_| Error::JobFinished(status))?;
            job.state.completed_at = Some(now);
            state.project_is_taken = false;
            deliveries.iter().for_each(|delivery| self.webhooks.put(delivery.clone()));
            Ok(true)
        })
    }

    async fn withdraw_job(&self, job: &Job, now: Timestamp) -> Result<(), Error> {
        self.cancel_job(job, &[], now).await.map(|_| ())
    }

    async fn close_job(&self, _: JobUid, status: &[JobStatus]) -> Result<(), Error> {
        self.fault.around(|| {
            let mut state = self.lock();
            state.is_closed |= status.contains(&state.job()?.state.status);
            Ok(())
        })
    }

    async fn refuse_job(&self, _: JobUid, refusal: &str) -> Result<(), Error> {
        self.fault.around(|| {
            let mut state = self.lock();
            let job = state.job()?;
            if job.state.status == JobStatus::Running {
                job.state.refusal.get_or_insert_with(|| refusal.to_owned());
            }
            Ok(())
        })
    }

    async fn unwatch_job(&self, _: JobUid) -> Result<(), Error> {
        self.fault.around(|| {
            let mut state = self.lock();
            if state.job()?.state.status.is_active() {
                return Err(Error::internal("an active job stays watched"));
            }
            state.is_unwatched = true;
            Ok(())
        })
    }

    async fn end_job(&self, seen: &Job, ending: &Ending, now: Timestamp) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut state = self.lock();
            let job = state.job()?;
            if (job.state.status, job.state.counters) != (seen.state.status, seen.state.counters) {
                return Ok(false);
            }
            job.state.status = ending.status;
            job.state.completed_at = Some(now);
            job.state.error_message = ending.error_message.clone();
            job.state.summary = Some(ending.summary.clone());
            state.project_is_taken = false;
            state.is_unwatched = true;
            ending.deliveries.iter().for_each(|delivery| self.webhooks.put(delivery.clone()));
            Ok(true)
        })
    }
}

impl Ledger for MemoryJob {
    async fn committed(&self, _: JobUid, batch: u32) -> Result<Vec<u32>, Error> {
        self.fault.around(|| {
            Ok(self.lock().receipts.keys().filter(|(of, _)| *of == batch).map(|(_, chunk)| *chunk).collect())
        })
    }

    async fn commit(&self, spec: &JobSpec, _: &str, mut chunk: Chunk, now: Timestamp) -> Result<Commit, Error> {
        tokio::time::sleep(self.commit_latency).await;
        self.fault.around(|| {
            let mut state = self.lock();
            if state.receipts.contains_key(&(chunk.id.batch, chunk.id.chunk)) {
                return Ok(Commit::Already);
            }
            if state.is_closed || !matches!(state.job()?.state.status, JobStatus::Running | JobStatus::Cancelled) {
                return Ok(Commit::JobOver);
            }
            for commit in chunk.items.iter_mut().flatten() {
                if let Outcome::Successful(draft) = &commit.outcome
                    && !spec.dry_run
                {
                    let draft = draft.clone();
                    let changes = state.changes.get(&commit.item).copied().unwrap_or_default();
                    match state.results.entry(commit.item) {
                        Entry::Occupied(_) => commit.outcome = Outcome::Skipped(SkipReason::AlreadyLabeled),
                        Entry::Vacant(_) if changes != commit.changes => {
                            commit.outcome = Outcome::Skipped(SkipReason::FileChanged);
                        }
                        Entry::Vacant(free) => {
                            free.insert(Some(spec.uid));
                            state.drafts.push(draft);
                            state.measured.extend(commit.measured.clone());
                        }
                    }
                }
            }
            let receipt = Receipt::of(&chunk.items);
            let tally = receipt.tally();
            let job = state.job()?;
            job.state.counters.successful += tally.successful;
            job.state.counters.failed += tally.failed;
            job.state.counters.skipped += tally.skipped;
            job.state.progressed_at = now;
            state.receipts.insert((chunk.id.batch, chunk.id.chunk), receipt.clone());
            Ok(Commit::Done(receipt))
        })
    }

    fn receipts(&self, _: JobUid, batch: Option<u32>) -> impl Stream<Item = Result<Receipt, Error>> + Send {
        let wanted = |&(of, _): &(u32, u32)| batch.is_none_or(|batch| batch == of);
        let names: Result<Vec<(u32, u32)>, Error> =
            self.fault.around(|| Ok(self.lock().receipts.keys().copied().filter(wanted).collect()));
        let receipt = |name| self.lock().receipts.get(&name).cloned().ok_or(Error::NotFound);
        match names {
            Ok(names) => stream::iter(names).map(receipt).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    }

    async fn status(&self, _: JobUid) -> Result<JobStatus, Error> {
        let latency = *self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        tokio::time::sleep(latency).await;
        Ok(self.lock().job()?.state.status)
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

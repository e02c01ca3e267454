//! Jobs, what their workers commit, and what is read of it.

use std::future::Future;

use futures_util::Stream;

use crate::domain::id::{JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::job::outcome::{ChunkId, ItemCommit, ItemReport, OutcomeKind, Receipt};
use crate::domain::job::plan::Plan;
use crate::domain::job::summary::Summary;
use crate::domain::job::{Job, JobSpec, JobState};
use crate::domain::job_status::JobStatus;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Picked, Slice};

/// What a list of jobs is narrowed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this project.
    pub project: Option<ProjectUid>,
    /// In this status.
    pub status: Option<JobStatus>,
}

/// How a job ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Completed or failed.
    pub status: JobStatus,
    /// A sentence, of a failed job.
    pub error_message: Option<String>,
    /// What it came to.
    pub summary: Summary,
    /// Deliveries to the webhooks that subscribe: written together with the end (I6).
    pub deliveries: Vec<Delivery>,
}

/// Jobs and their life. A move that another writer has made impossible is refused, never forced.
pub trait Jobs: Send + Sync {
    /// Stores a new job and takes the project for it, in one step (I4). `false`: the job of this uid is there already, stored by
    /// an attempt before.
    ///
    /// # Errors
    /// `JobActive` if another job has the project.
    fn create_job(&self, spec: &JobSpec, state: &JobState) -> impl Future<Output = Result<bool, Error>> + Send;
    /// The job of this uid, whosever it is: for workers.
    fn job(&self, uid: JobUid) -> impl Future<Output = Result<Job, Error>> + Send;
    /// The organization's jobs.
    fn jobs(
        &self,
        organization: OrganizationUid,
        filter: JobFilter,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Job>, Error>> + Send;
    /// Jobs that have not ended, or whose execution may still run after a cancel, oldest first: for the watchdog.
    fn active_jobs(&self) -> impl Future<Output = Result<Vec<JobUid>, Error>> + Send;
    /// Pending to running, with its plan. A job that has a plan keeps it, and the plan that counts is answered. What it has
    /// `picked` of a project's uploads is counted in the same step.
    ///
    /// # Errors
    /// `JobFinished` if it ended meanwhile.
    fn plan_job(
        &self,
        plan: &Plan,
        total: u32,
        picked: Option<&Picked>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Plan, Error>> + Send;
    /// The plan, if there is one.
    fn plan(&self, job: JobUid) -> impl Future<Output = Result<Option<Plan>, Error>> + Send;
    /// Marks the job cancelled, frees its project and records the deliveries, in one step. `false`: it was cancelled before.
    ///
    /// # Errors
    /// `JobFinished` if it has completed or failed.
    fn cancel_job(
        &self,
        job: &Job,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Takes back a job whose creation failed and may have had its effect, or may yet have it: it is cancelled, or can be
    /// created no more. No webhook is notified.
    fn withdraw_job(&self, job: &Job, now: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
    /// Takes no more outcomes for a job that has one of these statuses; its workers may still run. A job with another status
    /// stays as it is.
    fn close_job(&self, job: JobUid, status: &[JobStatus]) -> impl Future<Output = Result<(), Error>> + Send;
    /// Records why a worker gives a running job up, unless another one has: [`JobState::refusal`]. A job that has ended stays as
    /// it is.
    fn refuse_job(&self, job: JobUid, refusal: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// The execution of a cancelled job is known to be over: the watchdog need not check it any more.
    fn unwatch_job(&self, job: JobUid) -> impl Future<Output = Result<(), Error>> + Send;
    /// Ends the job, frees its project and records the deliveries, in one step, if the job still is as `job`
    /// says. The watchdog checks it no more. `false`: it is not, read it again.
    fn end_job(&self, job: &Job, ending: &Ending, now: Timestamp) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// What became of an attempt to commit a chunk.
#[derive(Clone, Debug, PartialEq)]
pub enum Commit {
    /// It counts, and this is its receipt.
    Done(Receipt),
    /// Another worker or an earlier attempt has committed it: nothing changed.
    Already,
    /// The job has ended: nothing changed.
    JobOver,
}

/// A chunk ready to be committed.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Its name.
    pub id: ChunkId,
    /// In the manifest's order; `None` for items that a cancelled job did not process.
    pub items: Vec<Option<ItemCommit>>,
}

/// The receipts of a job: each chunk is counted exactly once (I1, I2).
pub trait Ledger: Send + Sync {
    /// The chunks of a batch that are committed.
    fn committed(&self, job: JobUid, batch: u32) -> impl Future<Output = Result<Vec<u32>, Error>> + Send;
    /// Writes drafts, receipt and counters, all or nothing. An item that a person labeled meanwhile becomes
    /// skipped (I3).
    fn commit(
        &self,
        spec: &JobSpec,
        bot: &str,
        chunk: Chunk,
        now: Timestamp,
    ) -> impl Future<Output = Result<Commit, Error>> + Send;
    /// The receipts of a job, or of one batch of it, in order. Their number is not bounded, so they are never in memory
    /// together.
    fn receipts(&self, job: JobUid, batch: Option<u32>) -> impl Stream<Item = Result<Receipt, Error>> + Send;
    /// The job's status alone: the cheap read that workers repeat (I7).
    fn status(&self, job: JobUid) -> impl Future<Output = Result<JobStatus, Error>> + Send;
}

/// What became of each item of a job, from its receipts.
pub trait Reports: Send + Sync {
    /// The items of a job that have an outcome so far, in the order of their creation; `only` those with this one. A page
    /// may have fewer entries than asked for and still not be the last.
    ///
    /// # Errors
    /// `InvalidCursor`.
    fn report(
        &self,
        job: JobUid,
        only: Option<OutcomeKind>,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<ItemReport>, Error>> + Send;
}

/// Discards drafts.
pub trait Drafts: Send + Sync {
    /// Removes the item's draft, if it still is the one that `item` has and no person has touched it: the item is unlabeled
    /// again at its old position, and its next result has another uid. `false`: it is not, read it again.
    fn discard_draft(&self, item: &Item) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// Executions of the state machine.
pub trait Executions: Send + Sync {
    /// Starts the execution of a job. Its name is the job's uid, so again is fine.
    fn start(&self, job: JobUid) -> impl Future<Output = Result<(), Error>> + Send;
    /// Stops it; one that is over or never was is fine.
    fn stop(&self, job: JobUid) -> impl Future<Output = Result<(), Error>> + Send;
    /// Whether it runs.
    fn is_running(&self, job: JobUid) -> impl Future<Output = Result<bool, Error>> + Send;
}

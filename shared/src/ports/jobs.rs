//! Jobs, what their workers commit, and what is read of it.

use std::collections::HashMap;

use futures_util::Stream;

use crate::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::job::outcome::{ChunkId, ItemCommit, ItemReport, OutcomeKind, Receipt};
use crate::domain::job::plan::Plan;
use crate::domain::job::summary::Summary;
use crate::domain::job::{Job, JobSpec, JobState};
use crate::domain::job_status::{JobEvent, JobStatus};
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
    /// It completes or fails.
    pub event: JobEvent,
    /// A sentence, of a failed job or of one with failed items.
    pub error_message: Option<String>,
    /// What it came to.
    pub summary: Summary,
    /// Of its event, written together with the end (I6).
    pub deliveries: Vec<Delivery>,
}

/// Jobs and their life. A move that another writer has made impossible is refused, never forced.
#[trait_variant::make(Send)]
pub trait Jobs: Send + Sync {
    /// Stores a new job and takes the project for it, in one step (I4). `false`: the job of this uid is there already, stored by
    /// an attempt before.
    ///
    /// # Errors
    /// `JobActive` if another job has the project.
    async fn create_job(&self, spec: &JobSpec, state: &JobState) -> Result<bool, Error>;
    /// The job of this uid, of any tenant: for workers.
    async fn job(&self, uid: JobUid) -> Result<Job, Error>;
    /// The organization's jobs.
    async fn jobs(&self, organization: OrganizationUid, filter: JobFilter, slice: &Slice) -> Result<Page<Job>, Error>;
    /// The watched jobs, oldest first: those that have not ended, or whose execution may still run after a cancel.
    async fn active_jobs(&self) -> Result<Vec<JobUid>, Error>;
    /// Pending to running, with its plan. A job that has a plan keeps it; returns the plan that counts. What it has `picked` of a
    /// project's uploads is counted in the same step.
    ///
    /// # Errors
    /// `JobFinished` if it ended meanwhile.
    async fn plan_job(&self, plan: &Plan, total: u32, picked: Option<&Picked>, now: Timestamp) -> Result<Plan, Error>;
    /// The plan, if there is one.
    async fn plan(&self, job: JobUid) -> Result<Option<Plan>, Error>;
    /// Marks the job cancelled, frees its project and records the deliveries, in one step. `false`: it was cancelled before.
    ///
    /// # Errors
    /// `JobFinished` if it has completed or failed.
    async fn cancel_job(&self, job: &Job, deliveries: &[Delivery], now: Timestamp) -> Result<bool, Error>;
    /// Takes back a job whose creation failed and may have had its effect, or may yet have it: it is cancelled, or can be
    /// created no more. It has no event.
    async fn withdraw_job(&self, job: &Job, now: Timestamp) -> Result<(), Error>;
    /// Takes no more outcomes for a job that has one of these statuses; its workers may still run. A job with another status
    /// stays as it is.
    async fn close_job(&self, job: JobUid, status: &[JobStatus]) -> Result<(), Error>;
    /// Records why a worker gives a running job up, unless another one has: [`JobState::refusal`]. A job that has ended stays as
    /// it is.
    async fn refuse_job(&self, job: JobUid, refusal: &str) -> Result<(), Error>;
    /// The watchdog no longer checks a job, whose execution is known to be over.
    async fn unwatch_job(&self, job: JobUid) -> Result<(), Error>;
    /// Ends the job, frees its project and records the deliveries, in one step, if the job still is as `job`
    /// says. It is no longer watched. `false`: it has changed, read it again.
    async fn end_job(&self, job: &Job, ending: &Ending, now: Timestamp) -> Result<bool, Error>;
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
#[trait_variant::make(Send)]
pub trait Ledger: Send + Sync {
    /// The chunks of a batch that are committed.
    async fn committed(&self, job: JobUid, batch: u32) -> Result<Vec<u32>, Error>;
    /// Writes drafts, receipt and counters, all or nothing. An item that a person labeled meanwhile becomes
    /// skipped (I3).
    async fn commit(&self, spec: &JobSpec, bot: &str, chunk: Chunk, now: Timestamp) -> Result<Commit, Error>;
    /// The receipts of a job, or of one batch of it, in order. Their number is not bounded, so they are never in memory
    /// together.
    fn receipts(&self, job: JobUid, batch: Option<u32>) -> impl Stream<Item = Result<Receipt, Error>> + Send;
    /// The keys of these items, but for those that do not exist.
    async fn item_keys(&self, items: &[ItemUid]) -> Result<HashMap<ItemUid, String>, Error>;
    /// The job's status alone: the cheap read that workers repeat (I7).
    async fn status(&self, job: JobUid) -> Result<JobStatus, Error>;
}

/// What became of each item of a job, from its receipts.
#[trait_variant::make(Send)]
pub trait Reports: Send + Sync {
    /// The items of a job that have an outcome so far, by their creation, without their keys; `only` those with this one. A page
    /// may have fewer entries than asked for and still not be the last.
    ///
    /// # Errors
    /// `InvalidCursor`.
    async fn report(&self, job: JobUid, only: Option<OutcomeKind>, slice: &Slice) -> Result<Page<ItemReport>, Error>;
}

/// The undo of drafts.
#[trait_variant::make(Send)]
pub trait Drafts: Send + Sync {
    /// Removes the item's draft, if it still is the one that `item` has and no person has touched it: the item is unlabeled
    /// again at its old position, and its next result has another uid. `false`: it is not, read it again.
    async fn discard_draft(&self, item: &Item) -> Result<bool, Error>;
}

/// Executions of the state machine.
#[trait_variant::make(Send)]
pub trait Executions: Send + Sync {
    /// Starts the execution of a job. Its name is the job's uid, so again is fine.
    async fn start(&self, job: JobUid) -> Result<(), Error>;
    /// Stops it; one that is over or never was is fine.
    async fn stop(&self, job: JobUid) -> Result<(), Error>;
    /// Whether it runs.
    async fn is_running(&self, job: JobUid) -> Result<bool, Error>;
}

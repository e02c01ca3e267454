//! The traits that handlers are generic over. `store` and the other adapters implement them for AWS,
//! `testing` in memory.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::Stream;

use crate::domain::connection::{Credentials, Reading, SageMaker};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::id::{
    DeliveryUid, ItemUid, JobUid, OrganizationUid, ProjectUid, ProviderUid, ResultUid, WebhookUid,
};
use crate::domain::idempotency::{Claim, Claimed, Outcome};
use crate::domain::item::{Asset, AssetType, Item};
use crate::domain::job::{Job, JobSpec, JobState, JobStatus};
use crate::domain::key::{ApiKey, IssuedKey, KeyHash};
use crate::domain::organization::Organization;
use crate::domain::outcome::{ChunkId, Failure, FailureCode, ItemOutcome, ItemReport, OutcomeKind, Receipt};
use crate::domain::plan::{Batch, Plan};
use crate::domain::project::{Project, ProjectChange};
use crate::domain::provider::InferenceProvider;
use crate::domain::rate::{Requester, Usage};
use crate::domain::result::LabelResult;
use crate::domain::source::Source;
use crate::domain::summary::{ItemError, LabelCount, Summary};
use crate::domain::webhook::{Delivery, DeliveryStatus, Response, Webhook};
use crate::domain::{Error, Timestamp};

/// A page of a list: the entries, and where the next page begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// Newest first.
    pub entries: Vec<T>,
    /// `None` on the last page. Only our own cursors carry it.
    pub next: Option<String>,
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where the page before ended.
    pub after: Option<String>,
    /// How many entries.
    pub limit: usize,
    /// Oldest first.
    pub ascending: bool,
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// API keys, for whoever has to recognise one.
pub trait Keys: Send + Sync {
    /// The key of this hash.
    fn find_key(&self, hash: &KeyHash) -> impl Future<Output = Result<Option<ApiKey>, Error>> + Send;
}

/// Counters of requests.
pub trait RateLimits: Send + Sync {
    /// Counts a request, and answers how many there were in the minute and the second of `now`, this one included.
    fn count(&self, requester: &Requester, now: Timestamp) -> impl Future<Output = Result<Usage, Error>> + Send;
}

/// Requests that clients named by an idempotency key.
pub trait Idempotency: Send + Sync {
    /// Takes the key for a request, unless one before it has it: one that is in progress, or one that has succeeded. A
    /// request whose lease is over is dead, and the same one may take its place.
    fn claim(&self, claim: &Claim) -> impl Future<Output = Result<Claimed, Error>> + Send;
    /// Keeps what is left of the request, for a day. Whoever lost the key meanwhile keeps nothing.
    fn keep(&self, claim: &Claim, outcome: Outcome) -> impl Future<Output = Result<(), Error>> + Send;
    /// Frees the key again: the request came to nothing.
    fn release(&self, claim: &Claim) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The administration of API keys.
pub trait KeyRing: Send + Sync {
    /// Stores a new key.
    fn add_key(&self, issued: &IssuedKey) -> impl Future<Output = Result<(), Error>> + Send;
    /// The organization's keys, also those that are over.
    fn keys(
        &self,
        organization: OrganizationUid,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<IssuedKey>, Error>> + Send;
    /// Ends a key for good.
    ///
    /// # Errors
    /// `NotFound`.
    fn revoke_key(&self, hash: &KeyHash, now: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
    /// Gives a key an end, or another one.
    ///
    /// # Errors
    /// `NotFound`.
    fn expire_key(&self, hash: &KeyHash, end: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Organizations.
pub trait Organizations: Send + Sync {
    /// Stores an organization; one that is there stays as it is.
    fn add_organization(&self, organization: &Organization) -> impl Future<Output = Result<(), Error>> + Send;
    /// `None` if it was never stored.
    fn organization(&self, uid: OrganizationUid) -> impl Future<Output = Result<Option<Organization>, Error>> + Send;
}

/// Projects.
pub trait Projects: Send + Sync {
    /// Stores a new project.
    fn add_project(&self, project: &Project) -> impl Future<Output = Result<(), Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn project(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
    ) -> impl Future<Output = Result<Project, Error>> + Send;
    /// The organization's projects.
    fn projects(
        &self,
        organization: OrganizationUid,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Project>, Error>> + Send;
    /// Changes what the change says and nothing else, so that two changes at once are both there. Answers the project
    /// after it.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn change_project(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        change: &ProjectChange,
        now: Timestamp,
    ) -> impl Future<Output = Result<Project, Error>> + Send;
    /// Counts items that were added.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn count_items(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        added: &[AssetType],
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Items.
pub trait Items: Send + Sync {
    /// Stores items that are not there yet; one that is stays as it is. Answers for each, in order, the one that was there,
    /// or why it was not stored.
    fn add_items(&self, items: &[Item]) -> impl Future<Output = Vec<Result<Option<Item>, Error>>> + Send;
    /// The items of these uids that exist, in this order.
    fn items(&self, uids: &[ItemUid]) -> impl Future<Output = Result<Vec<Item>, Error>> + Send;
    /// The organization's items, project by project, or those of one project. One that is another organization's has
    /// none (I10).
    fn items_of(
        &self,
        organization: OrganizationUid,
        project: Option<ProjectUid>,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Item>, Error>> + Send;
    /// The unlabeled items in the order of their creation, some thousands at a time: a project may have any number.
    fn unlabeled(&self, project: ProjectUid) -> impl Stream<Item = Result<Vec<Asset>, Error>> + Send;
}

/// Inference providers.
pub trait Providers: Send + Sync {
    /// Stores a new provider.
    fn add_provider(&self, provider: &InferenceProvider) -> impl Future<Output = Result<(), Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn provider(
        &self,
        organization: OrganizationUid,
        uid: ProviderUid,
    ) -> impl Future<Output = Result<InferenceProvider, Error>> + Send;
    /// The organization's providers.
    fn providers(
        &self,
        organization: OrganizationUid,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<InferenceProvider>, Error>> + Send;
    /// Stores a provider over what it was, if it still is as `before` says: neither changed nor tested. `false`: it is not,
    /// read it again.
    fn update_provider(
        &self,
        before: &InferenceProvider,
        after: &InferenceProvider,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Stores how a test of it went, and nothing else: what was changed during the test stays changed.
    ///
    /// # Errors
    /// `NotFound` if it was removed meanwhile.
    fn record_test(
        &self,
        provider: &InferenceProvider,
        success: bool,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn remove_provider(
        &self,
        organization: OrganizationUid,
        uid: ProviderUid,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

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
    /// Who is told: written together with the end (I6).
    pub deliveries: Vec<Delivery>,
}

/// Jobs and their life. A move that another writer has made impossible is refused, never forced.
pub trait Jobs: Send + Sync {
    /// Stores a new job and takes the project for it, in one step (I4).
    ///
    /// # Errors
    /// `JobActive` if another job has the project.
    fn create_job(&self, spec: &JobSpec, state: &JobState) -> impl Future<Output = Result<(), Error>> + Send;
    /// The job of this uid, whosever it is: for workers.
    fn job(&self, uid: JobUid) -> impl Future<Output = Result<Job, Error>> + Send;
    /// The organization's jobs.
    fn jobs(
        &self,
        organization: OrganizationUid,
        filter: JobFilter,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Job>, Error>> + Send;
    /// Jobs that have not ended, or were cancelled and not yet looked after, oldest first: for the watchdog.
    fn active_jobs(&self) -> impl Future<Output = Result<Vec<JobUid>, Error>> + Send;
    /// Pending to running, with its plan. A job that has a plan keeps it, and the plan that counts is answered.
    ///
    /// # Errors
    /// `JobFinished` if it ended meanwhile.
    fn start_job(&self, plan: &Plan, total: u32, now: Timestamp) -> impl Future<Output = Result<Plan, Error>> + Send;
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
    /// Takes no more outcomes for a job that has one of these statuses; its workers may still run. A job with another status
    /// stays as it is.
    fn close_job(&self, job: JobUid, status: &[JobStatus]) -> impl Future<Output = Result<(), Error>> + Send;
    /// The execution of a cancelled job is known to be over: the watchdog need not look at it any more.
    fn forget_job(&self, job: JobUid) -> impl Future<Output = Result<(), Error>> + Send;
    /// Ends the job, frees its project and records the deliveries, in one step, if the job still is as `job`
    /// says. The watchdog looks at it no more. `false`: it is not, read it again.
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
    /// In the manifest's order; `None` for items that a cancelled job did not get to.
    pub outcomes: Vec<Option<ItemOutcome>>,
    /// Predictions of labels that the job does not want.
    pub dropped_labels: Vec<LabelCount>,
    /// Dropped parts of good answers.
    pub notes: Vec<ItemError>,
    /// Assets whose size was read from their files: kept with their drafts.
    pub measured: Vec<Asset>,
    /// The objects that hold the raw predictions.
    pub raw: Vec<String>,
}

/// The receipts of a job: counting exactly once (design.md, section 4).
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
    /// The receipts of a job, or of one batch of it, in order. There is no end to how many a job may have, so they are never
    /// in memory together.
    fn receipts(&self, job: JobUid, batch: Option<u32>) -> impl Stream<Item = Result<Receipt, Error>> + Send;
    /// Where the job is: the cheap read that workers repeat (I7).
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

/// Drafts that nobody wants.
pub trait Drafts: Send + Sync {
    /// Removes the item's draft, if it still is the one that `item` has and no person has touched it: the item is unlabeled
    /// again at its old place, and its next result has another uid. `false`: it is not, read it again.
    fn discard_draft(&self, item: &Item) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// Results of items.
pub trait Results: Send + Sync {
    /// The project's items that have a result, walked in the order of creation. A page may have fewer entries
    /// than asked for and still not be the last.
    fn results(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        keep: impl Fn(&LabelResult) -> bool + Send,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Item>, Error>> + Send;
    /// The result of this uid with its item, whosever it is; a rejected one is found as well.
    fn result(&self, uid: ResultUid) -> impl Future<Output = Result<Option<Item>, Error>> + Send;
    /// Stores what a person made of the item's result, if that still is as `item` says, and the deliveries that tell it, in
    /// one step. A rejected one leaves the item, which is unlabeled again at its old place. `false`: it is not, read it
    /// again.
    ///
    /// # Errors
    /// `Validation` if the annotations are too large.
    fn review(
        &self,
        item: &Item,
        reviewed: &LabelResult,
        deliveries: &[Delivery],
    ) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// What a list of deliveries is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this subscription.
    pub subscription: Option<WebhookUid>,
    /// Of this event.
    pub event_type: Option<String>,
    /// In this status.
    pub status: Option<DeliveryStatus>,
}

impl DeliveryFilter {
    /// Whether the list has it.
    #[must_use]
    pub fn keeps(&self, delivery: &Delivery) -> bool {
        self.subscription.is_none_or(|uid| uid == delivery.subscription)
            && self.event_type.as_ref().is_none_or(|event| *event == delivery.event_type)
            && self.status.is_none_or(|status| status == delivery.status)
    }
}

/// Webhook subscriptions and deliveries.
pub trait Webhooks: Send + Sync {
    /// Stores a new subscription.
    ///
    /// # Errors
    /// `TooMany`.
    fn add_webhook(&self, webhook: &Webhook) -> impl Future<Output = Result<(), Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn webhook(
        &self,
        organization: OrganizationUid,
        uid: WebhookUid,
    ) -> impl Future<Output = Result<Webhook, Error>> + Send;
    /// The organization's subscriptions.
    fn webhooks(
        &self,
        organization: OrganizationUid,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Webhook>, Error>> + Send;
    /// Stores a subscription over what it was, if it still is as `before` says. `false`: it is not, read it again.
    fn update_webhook(&self, before: &Webhook, after: &Webhook) -> impl Future<Output = Result<bool, Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn remove_webhook(
        &self,
        organization: OrganizationUid,
        uid: WebhookUid,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// The delivery of this uid, whosever it is.
    fn delivery(&self, uid: DeliveryUid) -> impl Future<Output = Result<Option<Delivery>, Error>> + Send;
    /// The organization's deliveries.
    fn deliveries(
        &self,
        organization: OrganizationUid,
        filter: &DeliveryFilter,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Delivery>, Error>> + Send;
    /// Stores a delivery that tells nothing that was written: a test.
    fn add_delivery(&self, delivery: &Delivery) -> impl Future<Output = Result<(), Error>> + Send;
    /// The first `limit` pending deliveries that were due before `before`, the first due first: the outbox of every tenant.
    fn waiting_deliveries(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeliveryUid>, Error>> + Send;
    /// Has [`Webhooks::waiting_deliveries`] pass over a delivery until then; nothing else changes.
    fn put_off_delivery(&self, uid: DeliveryUid, until: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
    /// Puts a delivery back to where it began, if it still is as `before` says. `false`: it is not, read it again.
    fn restart_delivery(&self, before: &Delivery, anew: &Delivery) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Takes a pending delivery until `lease`, if it still is as `delivery` says. `false`: somebody else has it.
    fn claim_delivery(&self, delivery: &Delivery, lease: Timestamp)
    -> impl Future<Output = Result<bool, Error>> + Send;
    /// Stores what came of an attempt: status, attempts, next retry, response. `false`: the lease has passed on, and
    /// what counts is what its new holder records.
    fn record_delivery(
        &self,
        delivery: &Delivery,
        lease: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
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

/// An object that is written in parts, and is there when it is complete. One that never is costs nothing after a day: the
/// bucket drops it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The object's key.
    pub key: String,
    /// What the bucket calls it.
    pub id: String,
    /// What the bucket answered to each part, in order.
    pub parts: Vec<String>,
}

/// Objects in the system's bucket.
pub trait Objects: Send + Sync {
    /// Writes an object, over one that is there.
    fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), Error>> + Send;
    /// Begins an object that is too large to be in memory.
    fn begin(&self, key: &str, content_type: &str) -> impl Future<Output = Result<Upload, Error>> + Send;
    /// Its next part: of [`limits::PART_BYTES`](crate::domain::limits::PART_BYTES) at least, unless it is the last.
    fn append(&self, upload: &mut Upload, bytes: Vec<u8>) -> impl Future<Output = Result<(), Error>> + Send;
    /// Makes it an object, over one that is there.
    fn complete(&self, upload: Upload) -> impl Future<Output = Result<(), Error>> + Send;
    /// The bytes of a range.
    fn get_range(&self, key: &str, offset: u64, length: u64) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
    /// A URL that reads an item's file, valid for `valid` and never longer than the credentials that sign it. Whether the
    /// item's owner may read there is the caller's question ([`SourceBuckets::open`](crate::domain::source::SourceBuckets)).
    fn sign_get(&self, source: &Source, valid: Duration) -> impl Future<Output = Result<String, Error>> + Send;
    /// A URL that writes an object.
    fn sign_put(&self, key: &str, valid: Duration) -> impl Future<Output = Result<String, Error>> + Send;
}

/// Why a file could not be read: a sentence for its owner, without an address or anything of its content (I11).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFile {
    /// Trying again would not help.
    #[error("{0}")]
    Unreadable(String),
    /// Trying again may.
    #[error("{0}")]
    Busy(String),
}

/// Files of items, read in part.
pub trait Files: Send + Sync {
    /// At most `length` bytes from `offset` on; fewer, or none, at the end of the file.
    fn piece(&self, source: &Source, offset: u64, length: u64) -> impl Future<Output = Result<Vec<u8>, NoFile>> + Send;
}

/// The webhook queue.
pub trait Queue: Send + Sync {
    /// Asks for an attempt to deliver, after `delay` (at most 15 minutes).
    fn send(&self, delivery: DeliveryUid, delay: Duration) -> impl Future<Output = Result<(), Error>> + Send;
    /// Puts a delivery that was given up where people look.
    fn bury(&self, delivery: DeliveryUid) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The receivers of webhooks.
pub trait Receivers: Send + Sync {
    /// One signed request, of this moment. Whatever goes wrong is the response: there is no attempt without one.
    fn tell(
        &self,
        target_url: &str,
        secret: &str,
        delivery: &Delivery,
        now: Timestamp,
    ) -> impl Future<Output = Response> + Send;
}

/// Sealing of provider credentials and webhook secrets (I11).
pub trait Secrets: Send + Sync {
    /// Ciphertext that opens only in the same context.
    fn seal(&self, context: &str, secret: &str) -> impl Future<Output = Result<String, Error>> + Send;
    /// The secret.
    fn open(&self, context: &str, sealed: &str) -> impl Future<Output = Result<String, Error>> + Send;

    /// The credentials of a provider; an endpoint without any has none.
    fn credentials(&self, provider: &InferenceProvider) -> impl Future<Output = Result<Credentials, Error>> + Send {
        async {
            match provider.connection.sealed() {
                Some(sealed) => Credentials::of_text(&self.open(&provider.secret_context(), sealed).await?),
                None => Ok(Credentials::default()),
            }
        }
    }
}

/// What a model is sent about one item (contract, 10.1).
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct InferenceRequest<'a> {
    /// The item's uid.
    pub asset_id: ItemUid,
    /// Signed.
    pub asset_url: String,
    /// What it is.
    pub asset_type: crate::domain::item::AssetType,
    /// Pixels.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub size: Option<crate::domain::item::Size>,
    /// The labels to look for; empty: any.
    pub labels: &'a [String],
    /// A hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_type: Option<crate::domain::job::ModelType>,
}

/// Why a model gave no answer. The kind decides what happens (design.md, section 6).
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The item fails.
    #[error("{}", .0.message)]
    Item(Failure),
    /// Worth another try, after what the model asks for.
    #[error("{message}")]
    Transient {
        /// What is wrong.
        diagnosis: Diagnosis,
        /// A sentence.
        message: String,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The endpoint has no room for the call: 429 and its kin. A matter of the worker's pace first, of the item only if
    /// nothing else was at the endpoint (docs/decisions/0013).
    #[error("{message}")]
    Busy {
        /// What is wrong.
        diagnosis: Diagnosis,
        /// A sentence.
        message: String,
        /// `Retry-After`.
        retry_after: Option<Duration>,
        /// How long the endpoint may go on like this before it is held against an item.
        patience: Duration,
    },
    /// The model cannot serve this job.
    #[error("{message}")]
    Job {
        /// What is wrong.
        diagnosis: Diagnosis,
        /// A sentence that says what to do.
        message: String,
    },
}

impl InferenceError {
    /// Worth another try; the model does not ask for a wait.
    pub fn transient(diagnosis: Diagnosis, message: impl Into<String>) -> Self {
        Self::Transient { diagnosis, message: message.into(), retry_after: None }
    }

    /// Too many calls at once.
    pub fn busy(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self::Busy { diagnosis: Diagnosis::Busy, message: message.into(), retry_after, patience: Duration::ZERO }
    }

    /// The end of the job.
    pub fn job(diagnosis: Diagnosis, message: impl Into<String>) -> Self {
        Self::Job { diagnosis, message: message.into() }
    }

    /// What is wrong.
    #[must_use]
    pub const fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Item(Failure { code: FailureCode::BadAnswer, .. }) => Diagnosis::BadAnswer,
            Self::Item(_) => Diagnosis::ModelError,
            Self::Transient { diagnosis, .. } | Self::Busy { diagnosis, .. } | Self::Job { diagnosis, .. } => {
                *diagnosis
            }
        }
    }
}

/// The one seam to models: an item goes in, the bytes of an answer come out.
pub trait Model: Send + Sync {
    /// How its answers are read.
    fn reading(&self) -> &Reading {
        static USUAL: LazyLock<Reading> = LazyLock::new(Reading::default);
        &USUAL
    }

    /// One call.
    fn infer(&self, request: &InferenceRequest<'_>) -> impl Future<Output = Result<Vec<u8>, InferenceError>> + Send;
}

/// The way to models.
pub trait Connect: Send + Sync {
    /// Either kind of model.
    type Model: Model;
    /// An endpoint of the deployment's own.
    fn own(&self, endpoint: &SageMaker) -> Self::Model;
    /// A provider's, with the provider's credentials.
    ///
    /// # Errors
    /// `ProviderRefused` if there is no way; `SecretsUnavailable`.
    fn connect(&self, provider: &InferenceProvider) -> impl Future<Output = Result<Self::Model, Error>> + Send;
}

/// The lines of a batch.
pub trait Manifests: Send + Sync {
    /// The assets of a batch.
    fn assets(&self, batch: &Batch) -> impl Future<Output = Result<Vec<Asset>, Error>> + Send;
}

impl<O: Objects> Manifests for O {
    async fn assets(&self, batch: &Batch) -> Result<Vec<Asset>, Error> {
        let lines = self.get_range(&batch.manifest, batch.offset, batch.length).await?;
        let read: Result<Vec<Asset>, _> = serde_json::Deserializer::from_slice(&lines).into_iter().collect();
        read.map_err(Error::internal)
    }
}

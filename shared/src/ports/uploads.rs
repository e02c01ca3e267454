//! Uploads: objects that become items by their events, and the backlog that waits for jobs.

use std::time::Duration;

use crate::domain::id::{JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::{AssetType, Item};
use crate::domain::project::Project;
use crate::domain::project::auto_label::AutoLabelPause;
use crate::domain::upload::RejectedUpload;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// The uploads of a project, and those that wait for a job.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadBacklog {
    /// The project.
    pub project: Project,
    /// Uploads ever, about: an event that S3 sends twice may count twice. It only grows, so a later read shows whether any
    /// upload has arrived since.
    pub counted: u64,
    /// How many of them wait no more.
    pub settled: u64,
    /// When the last one was counted.
    pub last_at: Option<Timestamp>,
    /// The earliest time since when the oldest one may wait; `None`: none is known to wait.
    pub waiting_since: Option<Timestamp>,
    /// The schedule checks them.
    pub are_watched: bool,
    /// The last job that uploads have started, if it has taken nothing yet.
    pub last_job: Option<JobUid>,
    /// The position of the last item that such a job has taken, in the order of unlabeled items.
    pub taken_until: Option<String>,
}

impl UploadBacklog {
    /// How many uploads wait, about.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.counted.saturating_sub(self.settled)
    }
}

/// What a job takes of its project's uploads.
#[derive(Clone, Debug, PartialEq)]
pub struct Picked {
    /// The tenant.
    pub organization: OrganizationUid,
    /// The project.
    pub project: ProjectUid,
    /// How many may be taken in a day, UTC.
    pub max_items_per_day: u32,
    /// The position of the last one that was picked; `None`: none was.
    pub until: Option<String>,
    /// Uploads ever ([`UploadBacklog::counted`]) when they were picked.
    pub counted: u64,
}

/// The files of items, and uploads that became none.
#[trait_variant::make(Send)]
pub trait Uploads: Send + Sync {
    /// The organization of a project; `None`: there is no such project.
    async fn owner(&self, project: ProjectUid) -> Result<Option<OrganizationUid>, Error>;
    /// Stores an item's new file version, if the item still equals `before`. If it waits for a job then, it does so from `now`
    /// on. `false`: it does not, read it again.
    async fn change_file(&self, before: &Item, after: &Item, now: Timestamp) -> Result<bool, Error>;
    /// Keeps the note of a rejected upload for 30 days, over an older one of the same object.
    async fn reject_upload(&self, rejected: &RejectedUpload) -> Result<(), Error>;
    /// The rejected uploads of a project. One that is another organization's has none (I10).
    async fn rejected_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<RejectedUpload>, Error>;
}

/// Uploads that wait for a job, as Plan reads them.
#[trait_variant::make(Send)]
pub trait WaitingUploads: Send + Sync {
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn backlog(&self, organization: OrganizationUid, project: ProjectUid) -> Result<UploadBacklog, Error>;
    /// Items of a project that jobs have taken on the day of `now`, UTC, because of uploads.
    async fn taken_today(&self, project: ProjectUid, now: Timestamp) -> Result<u32, Error>;
}

/// Uploads as they arrive, and the watch over them.
#[trait_variant::make(Send)]
pub trait UploadWatch: Send + Sync {
    /// Counts items that were added by upload, and uploads that wait for a job.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn count_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        added: &[AssetType],
        waiting: u64,
        now: Timestamp,
    ) -> Result<UploadBacklog, Error>;
    /// Watches a project's uploads, all but the first `settled`. The first of them waits since `now`, and the first check is due
    /// at `check_at`. `false`: they are watched already.
    async fn watch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        settled: u64,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error>;
    /// Notes the time of the next check. `false`: one is due later than `now` already, or the uploads are not watched any more.
    async fn schedule_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error>;
    /// Ends the watch over a project's uploads, unless more than `counted` have arrived: those must not be forgotten.
    async fn unwatch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        counted: u64,
    ) -> Result<(), Error>;
    /// Notes the job that uploads have started. The note goes when the job takes them, and when the project is changed.
    async fn note_upload_job(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        job: JobUid,
    ) -> Result<(), Error>;
    /// Holds jobs by uploads back, if the project still equals `before`. A job that takes uploads ends the pause, and so does a
    /// change of the project.
    async fn pause_uploads(&self, before: &Project, pause: &AutoLabelPause) -> Result<(), Error>;
    /// Projects of all tenants whose uploads are watched.
    async fn watched_projects(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(OrganizationUid, ProjectUid)>, Error>;
}

/// The queue of S3's events.
#[trait_variant::make(Send)]
pub trait UploadQueue: Send + Sync {
    /// Asks for a check of a project's uploads, after `delay` (at most 15 minutes). `hops`: the checks that led to it.
    async fn request_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        delay: Duration,
        hops: u32,
    ) -> Result<(), Error>;
    /// Asks for the rest of a round of the schedule, behind the project of this position.
    async fn continue_round(&self, after: &str) -> Result<(), Error>;
    /// Sends a message that cannot be handled to the dead-letter queue, with the reason.
    async fn send_to_dead_letters(&self, body: &str, reason: &str) -> Result<(), Error>;
}

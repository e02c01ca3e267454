//! Objects that become items by themselves, and what waits of them for jobs.

use std::time::Duration;

use crate::domain::id::{JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::{AssetType, Item};
use crate::domain::project::Project;
use crate::domain::project::auto_label::AutoLabelPause;
use crate::domain::upload::RejectedUpload;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// What has arrived in a project and still waits for a job of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadBacklog {
    /// The project.
    pub project: Project,
    /// Uploads ever, about: one that S3 tells of twice may count twice. It only grows, so whoever has seen it knows later
    /// whether anything has come since.
    pub counted: u64,
    /// As many of them as wait no more.
    pub settled: u64,
    /// When the last one was counted.
    pub last_at: Option<Timestamp>,
    /// Since when the oldest of those that wait does, at the earliest; `None`: none does, as far as is known.
    pub waiting_since: Option<Timestamp>,
    /// Somebody looks after them.
    pub are_watched: bool,
    /// The job that they have started last, if it has taken nothing yet.
    pub last_job: Option<JobUid>,
    /// Where the last such job ended, in the order of unlabeled items.
    pub taken_until: Option<String>,
}

impl UploadBacklog {
    /// How many still wait, about.
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
    /// The position of the last one; `None`: there was none.
    pub until: Option<String>,
    /// Uploads ever ([`UploadBacklog::counted`]) when they were picked.
    pub counted: u64,
}

/// Objects that become items by themselves.
#[trait_variant::make(Send)]
pub trait Uploads: Send + Sync {
    /// Whose a project is; `None`: nobody's.
    async fn owner(&self, project: ProjectUid) -> Result<Option<OrganizationUid>, Error>;
    /// Stores what S3 has said of an item's file, if the item still is as `before` says. If it waits for a job then, it does
    /// so from `now` on. `false`: it is not, read it again.
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

/// Uploads that wait for a job, as whoever takes them sees them.
#[trait_variant::make(Send)]
pub trait WaitingUploads: Send + Sync {
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn backlog(&self, organization: OrganizationUid, project: ProjectUid) -> Result<UploadBacklog, Error>;
    /// Items of a project that jobs have taken on the day of `now`, UTC, because of uploads.
    async fn taken_today(&self, project: ProjectUid, now: Timestamp) -> Result<u32, Error>;
}

/// Uploads as they arrive, and who looks after them.
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
    /// Has a project's uploads looked after: all but the first `settled`. The first of them waits since `now`, and somebody is
    /// to look at them at `check_at`. `false`: they are looked after already.
    async fn watch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        settled: u64,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error>;
    /// Notes when somebody is to look at them next. `false`: somebody is on the way already, later than `now`, or they are
    /// looked after no longer.
    async fn schedule_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error>;
    /// Has a project's uploads looked after no longer, if still no more were `counted`: what has arrived since is not forgotten.
    async fn unwatch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        counted: u64,
    ) -> Result<(), Error>;
    /// Notes the job that uploads have started. It is forgotten when it takes them, and when the project is changed.
    async fn note_upload_job(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        job: JobUid,
    ) -> Result<(), Error>;
    /// Holds jobs by uploads back, if the project still is as `before` says. A job that takes them ends the pause, and so does
    /// a change of the project.
    async fn pause_uploads(&self, before: &Project, pause: &AutoLabelPause) -> Result<(), Error>;
    /// Projects of every tenant whose uploads are looked after.
    async fn watched_projects(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(OrganizationUid, ProjectUid)>, Error>;
}

/// The queue of what S3 tells.
#[trait_variant::make(Send)]
pub trait UploadQueue: Send + Sync {
    /// Asks for a look at a project's uploads, after `delay` (at most 15 minutes). `hops`: the looks that led to it.
    async fn request_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        delay: Duration,
        hops: u32,
    ) -> Result<(), Error>;
    /// Asks for the rest of a round of the schedule, behind the project of this position.
    async fn continue_round(&self, after: &str) -> Result<(), Error>;
    /// Puts a message that nothing can be made of where people look, with the reason.
    async fn send_to_dead_letters(&self, body: &str, reason: &str) -> Result<(), Error>;
}

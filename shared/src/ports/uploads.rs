//! Objects that become items by themselves, and what waits of them for jobs.

use std::future::Future;
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
pub trait Uploads: Send + Sync {
    /// Whose a project is; `None`: nobody's.
    fn owner(&self, project: ProjectUid) -> impl Future<Output = Result<Option<OrganizationUid>, Error>> + Send;
    /// Stores what S3 has said of an item's file, if the item still is as `before` says. If it waits for a job then, it does
    /// so from `now` on. `false`: it is not, read it again.
    fn change_file(
        &self,
        before: &Item,
        after: &Item,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Keeps the note of a rejected upload for 30 days, over an older one of the same object.
    fn reject_upload(&self, rejected: &RejectedUpload) -> impl Future<Output = Result<(), Error>> + Send;
    /// The rejected uploads of a project. One that is another organization's has none (I10).
    fn rejected_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<RejectedUpload>, Error>> + Send;
}

/// Uploads that wait for a job, as whoever takes them sees them.
pub trait WaitingUploads: Send + Sync {
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn backlog(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
    ) -> impl Future<Output = Result<UploadBacklog, Error>> + Send;
    /// Items of a project that jobs have taken on the day of `now`, UTC, because of uploads.
    fn taken_today(&self, project: ProjectUid, now: Timestamp) -> impl Future<Output = Result<u32, Error>> + Send;
}

/// Uploads as they arrive, and who looks after them.
pub trait UploadWatch: Send + Sync {
    /// Counts items that were added by upload, and uploads that wait for a job.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn count_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        added: &[AssetType],
        waiting: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<UploadBacklog, Error>> + Send;
    /// Has a project's uploads looked after: all but the first `settled`. The first of them waits since `now`, and somebody is
    /// to look at them at `check_at`. `false`: they are looked after already.
    fn watch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        settled: u64,
        now: Timestamp,
        check_at: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Notes when somebody is to look at them next. `false`: somebody is on the way already, later than `now`, or they are
    /// looked after no longer.
    fn schedule_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
        check_at: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Has a project's uploads looked after no longer, if still no more were `counted`: what has arrived since is not forgotten.
    fn unwatch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        counted: u64,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Notes the job that uploads have started. It is forgotten when it takes them, and when the project is changed.
    fn note_upload_job(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        job: JobUid,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Holds jobs by uploads back, if the project still is as `before` says. A job that takes them ends the pause, and so does
    /// a change of the project.
    fn pause_uploads(&self, before: &Project, pause: &AutoLabelPause)
    -> impl Future<Output = Result<(), Error>> + Send;
    /// Projects of every tenant whose uploads are looked after.
    fn watched_projects(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Page<(OrganizationUid, ProjectUid)>, Error>> + Send;
}

/// The queue of what S3 tells.
pub trait UploadQueue: Send + Sync {
    /// Asks for a look at a project's uploads, after `delay` (at most 15 minutes). `hops`: the looks that led to it.
    fn request_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        delay: Duration,
        hops: u32,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Asks for the rest of a round of the schedule, behind the project of this position.
    fn continue_round(&self, after: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Puts a message that nothing can be made of where people look, with the reason.
    fn send_to_dead_letters(&self, body: &str, reason: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

//! Objects that become items by themselves.

use std::future::Future;
use std::time::Duration;

use crate::domain::id::{OrganizationUid, ProjectUid};
use crate::domain::item::{AssetType, Item};
use crate::domain::project::Project;
use crate::domain::upload::RejectedUpload;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// What has arrived in a project and still waits for a job of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals {
    /// The project.
    pub project: Project,
    /// Uploads since the last such job, about: one that S3 tells of twice may count twice.
    pub waiting: u64,
    /// When the last one arrived.
    pub last_at: Option<Timestamp>,
    /// Somebody looks after them.
    pub are_awaited: bool,
    /// Where the last such job ended, in the order of unlabeled items.
    pub taken_until: Option<String>,
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
    /// The place of the last one; `None`: there was none.
    pub until: Option<String>,
    /// Uploads that waited when they were picked: they do not any more.
    pub waited: u64,
}

/// Objects that become items by themselves, and the jobs that they cause.
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
    ) -> impl Future<Output = Result<Arrivals, Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn arrivals(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
    ) -> impl Future<Output = Result<Arrivals, Error>> + Send;
    /// Has a project's uploads looked after. `false`: they are already.
    fn await_pause(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Has them looked after no longer, if still so many wait as were `seen`: what has arrived since is not forgotten.
    fn forget_arrivals(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        seen: u64,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// The first `limit` projects whose uploads are looked after, of every tenant.
    fn awaited_projects(
        &self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(OrganizationUid, ProjectUid)>, Error>> + Send;
    /// Items of a project that jobs have taken on the day of `now`, UTC, because of uploads.
    fn taken_today(&self, project: ProjectUid, now: Timestamp) -> impl Future<Output = Result<u32, Error>> + Send;
}

/// The queue of what S3 tells.
pub trait UploadQueue: Send + Sync {
    /// Asks for a look at a project's uploads, after `delay` (at most 15 minutes).
    fn look_at(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        delay: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Puts a message that nothing can be made of where people look, with the reason.
    fn bury(&self, body: &str, reason: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

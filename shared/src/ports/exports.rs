//! Exports and what moves them on.

use crate::domain::export::work::Work;
use crate::domain::export::{Export, ExportStatus};
use crate::domain::id::{ExportUid, OrganizationUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// Narrows a list of exports. `None` narrows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Of this project, alone or with others.
    pub project: Option<ProjectUid>,
    /// In this status.
    pub status: Option<ExportStatus>,
}

impl ExportFilter {
    /// Whether the list has the export.
    #[must_use]
    pub fn keeps(&self, export: &Export) -> bool {
        self.project.is_none_or(|project| export.sources.iter().any(|source| source.project == project))
            && self.status.is_none_or(|status| status == export.status)
    }
}

/// An export that one worker has.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The export, which is processing.
    pub export: Export,
    /// How far it has come. `None`: what is stored of it cannot be read, perhaps by this version alone.
    pub work: Option<Work>,
    /// Workers that have had it since it last moved on, this one included.
    pub attempts: u32,
    /// When the claim ends. It names the claim: a write of another one fails.
    pub lease: Timestamp,
}

/// A step of an export that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'a> {
    /// The export after it.
    pub export: &'a Export,
    /// How far it has come.
    pub work: &'a Work,
    /// The claim under which it was made.
    pub lease: Timestamp,
    /// Whether the worker keeps the claim.
    pub keeps: bool,
}

/// An export that has not ended, or whose objects are to be removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// The export.
    pub export: Export,
    /// Whether a worker may have it.
    pub is_claimed: bool,
    /// When the schedule last asked for its next step; the epoch: never.
    pub reminded_at: Timestamp,
}

/// Exports.
#[trait_variant::make(Send)]
pub trait Exports: Send + Sync {
    /// Stores a new export. Returns the one of this uid that is there, if an earlier attempt has stored it.
    async fn add_export(&self, export: &Export) -> Result<Option<Export>, Error>;
    /// The export, also one that was deleted or has expired.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn export(&self, organization: OrganizationUid, uid: ExportUid) -> Result<Export, Error>;
    /// The organization's exports that are shown. A page may have fewer than asked for and still not be the last.
    async fn exports(
        &self,
        organization: OrganizationUid,
        filter: ExportFilter,
        slice: &Slice,
        now: Timestamp,
    ) -> Result<Page<Export>, Error>;
    /// Gives an export that has not ended to a worker until `lease`. `None`: it has ended, it is not there, or another worker has it.
    async fn claim_export(
        &self,
        organization: OrganizationUid,
        uid: ExportUid,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<Claimed>, Error>;
    /// Stores a step. `false`: it was deleted, or another worker has it.
    async fn advance_export(&self, step: &Step<'_>) -> Result<bool, Error>;
    /// Stores the end of an export, and the deliveries of its event, in one step. `false`: as in [`Exports::advance_export`].
    async fn end_export(&self, export: &Export, lease: Timestamp, deliveries: &[Delivery]) -> Result<bool, Error>;
    /// Hides an export, and ends the work on it. Its row stays until its objects are removed.
    ///
    /// # Errors
    /// `NotFound` if unknown, another tenant's (I10), or deleted.
    async fn delete_export(&self, organization: OrganizationUid, uid: ExportUid, now: Timestamp) -> Result<(), Error>;
    /// Removes the row of an export. One that is gone is fine.
    async fn forget_export(&self, organization: OrganizationUid, uid: ExportUid) -> Result<(), Error>;
    /// The exports of all tenants that have not ended or were deleted, behind a position. One that cannot be read is skipped.
    async fn watched_exports(&self, after: Option<&str>, now: Timestamp) -> Result<Page<Watched>, Error>;
    /// Notes that the schedule asks for the next step of an export. `false`: it was noted since it was read, or the export is gone.
    async fn remind_of_export(&self, watched: &Watched, now: Timestamp) -> Result<bool, Error>;
}

/// Items as exports read them.
#[trait_variant::make(Send)]
pub trait ExportItems: Send + Sync {
    /// The project's items with their results, the oldest first if the slice says so. `rejected`: an item without a result has its
    /// last one, if that was rejected.
    async fn items_to_export(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        rejected: bool,
        slice: &Slice,
    ) -> Result<Page<Item>, Error>;
    /// The position of an item in this list.
    fn position_to_export(&self, item: &Item) -> String;
}

/// The queue of exports.
#[trait_variant::make(Send)]
pub trait ExportQueue: Send + Sync {
    /// Asks for the next step of an export.
    async fn request_step(&self, organization: OrganizationUid, uid: ExportUid) -> Result<(), Error>;
}

//! Imports and what moves them on.

use crate::domain::id::{ImportUid, OrganizationUid, ProjectUid};
use crate::domain::import::Import;
use crate::domain::item::Item;
use crate::domain::item::result::LabelResult;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// What names an import in the table: its tenant, its project, and its uid.
pub type ImportName = (OrganizationUid, ProjectUid, ImportUid);

/// An import that one worker has.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedImport {
    /// The import, which is processing.
    pub import: Import,
    /// Workers that have had it since it last moved on, this one included.
    pub attempts: u32,
    /// When the claim ends. It names the claim: a write of another one fails.
    pub lease: Timestamp,
}

/// An import that has begun and not ended, as the schedule finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedImport {
    /// The import.
    pub import: Import,
    /// Whether a worker may have it.
    pub is_claimed: bool,
}

/// Imports.
#[trait_variant::make(Send)]
pub trait Imports: Send + Sync {
    /// Stores a new import. Returns the one of this uid that is there, if an earlier attempt has stored it.
    async fn add_import(&self, import: &Import) -> Result<Option<Import>, Error>;
    /// The import, also one that has expired.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn import(&self, name: ImportName) -> Result<Import, Error>;
    /// The project's imports.
    async fn imports(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<Import>, Error>;
    /// Gives an import that has not ended to a worker until `lease`. `None`: it has ended, it is not there, or another worker has it.
    async fn claim_import(
        &self,
        name: ImportName,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<ClaimedImport>, Error>;
    /// Stores how far an import has come, and keeps the claim until `next`. `false`: another worker has it.
    async fn advance_import(&self, import: &Import, lease: Timestamp, next: Timestamp) -> Result<bool, Error>;
    /// Stores the end of an import, and the deliveries of its event, in one step. `false`: another worker has it.
    async fn end_import(&self, import: &Import, lease: Timestamp, deliveries: &[Delivery]) -> Result<bool, Error>;
    /// The imports of all tenants that have begun and not ended, behind a position. One that cannot be read is skipped.
    async fn watched_imports(&self, after: Option<&str>, now: Timestamp) -> Result<Page<WatchedImport>, Error>;
}

/// Results as imports write them.
#[trait_variant::make(Send)]
pub trait ImportResults: Send + Sync {
    /// Stores a result of an item that has none, if the item still is as `item` says; a draft with its entry in the review queue.
    /// `false`: the item has changed, read it again.
    ///
    /// # Errors
    /// `Validation` if the annotations are too large.
    async fn import_result(&self, item: &Item, given: &LabelResult) -> Result<bool, Error>;
}

/// The queue of imports.
#[trait_variant::make(Send)]
pub trait ImportQueue: Send + Sync {
    /// Asks for the work on an import.
    async fn request_import(&self, name: ImportName) -> Result<(), Error>;
}

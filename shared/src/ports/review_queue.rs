//! The review queue of projects.

use crate::domain::id::{ItemUid, ProjectUid};
use crate::domain::item::review_queue::{Marks, Queued, Reviewer};
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// Drafts that wait for a person. The queue of a project is a list of entries. An entry names items that got a draft together: those of a
/// chunk, or one that was reopened. Some of them may have been reviewed since.
#[trait_variant::make(Send)]
pub trait ReviewQueue: Send + Sync {
    /// Entries of the project's queue, by their positions, which sort as the drafts were made. Of the slice, only reads
    /// forward are served.
    async fn entries(&self, project: ProjectUid, slice: &Slice) -> Result<Page<String>, Error>;
    /// The items of each of these entries, in the manifest's order. An entry that is gone has none.
    async fn drafted(&self, entries: &[String]) -> Result<Vec<Vec<ItemUid>>, Error>;
    /// The items of these uids that exist, in this order, of any tenant.
    async fn queued(&self, uids: &[ItemUid]) -> Result<Vec<Queued>, Error>;
    /// Takes entries without a draft out of the queue. It is called after a read of all their items: from then on one of them gets a draft
    /// only with an entry of its own.
    async fn leave(&self, entries: &[String]) -> Result<(), Error>;
    /// Writes the marks of a draft, if draft and marks still are as they were read. `false`: read again.
    async fn mark(&self, before: &Queued, marks: &Marks) -> Result<bool, Error>;
    /// The items that the person has claimed in the project, as her last call left them: some may be another's by now.
    async fn claims(&self, project: ProjectUid, reviewer: &Reviewer) -> Result<Vec<ItemUid>, Error>;
    /// Remembers the items that the person has claimed, for an hour.
    async fn remember_claims(
        &self,
        project: ProjectUid,
        reviewer: &Reviewer,
        items: &[ItemUid],
        now: Timestamp,
    ) -> Result<(), Error>;
}

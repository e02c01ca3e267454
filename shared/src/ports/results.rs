//! Results and their review.

use crate::domain::Error;
use crate::domain::id::{OrganizationUid, ProjectUid, ResultUid};
use crate::domain::item::Item;
use crate::domain::item::result::LabelResult;
use crate::domain::webhook::Delivery;
use crate::ports::{Page, Slice};

/// Results of items.
#[trait_variant::make(Send)]
pub trait Results: Send + Sync {
    /// The position of an item in the lists of its project: [`Slice::after`] of the items behind it.
    fn position(&self, item: &Item) -> String;
    /// The project's items that have a result, walked in the order of creation. A page may have fewer entries
    /// than asked for and still not be the last.
    async fn results(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        keep: impl Fn(&LabelResult) -> bool + Send,
        slice: &Slice,
    ) -> Result<Page<Item>, Error>;
    /// The same items, and those whose last result was rejected, each with that one.
    async fn results_and_rejected(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<Item>, Error>;
    /// The result of this uid with its item, of any tenant; a rejected one is found as well.
    async fn result(&self, uid: ResultUid) -> Result<Option<Item>, Error>;
    /// Stores a review of the item's result, if that still is as `item` says, and the deliveries of its event, in one step. A
    /// rejected result leaves the item, which is unlabeled again at its old position; a reopened one comes back to it. `false`: the
    /// result has changed, or the item has another one: read it again.
    ///
    /// # Errors
    /// `Validation` if the annotations are too large.
    async fn review(&self, item: &Item, reviewed: &LabelResult, deliveries: &[Delivery]) -> Result<bool, Error>;
    /// Stores a result that a person gives an item that has none, if the item still is as `item` says, and the deliveries of its
    /// event, in one step. `false`: the item has changed, read it again.
    ///
    /// # Errors
    /// `Validation` if the annotations are too large.
    async fn label(&self, item: &Item, given: &LabelResult, deliveries: &[Delivery]) -> Result<bool, Error>;
}

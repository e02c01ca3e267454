//! Projects and their items.

use std::future::Future;

use futures_util::Stream;

use crate::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use crate::domain::item::{Asset, AssetType, Item};
use crate::domain::project::{Project, ProjectChange};
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// Projects.
pub trait Projects: Send + Sync {
    /// Stores a new project. Answers the one of this uid that is there, if an attempt before has stored it.
    fn add_project(&self, project: &Project) -> impl Future<Output = Result<Option<Project>, Error>> + Send;
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
    /// The unlabeled items of a query in the order of their creation, each with its position there, some thousands at a
    /// time: a project may have any number.
    fn unlabeled(
        &self,
        project: ProjectUid,
        query: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>> + Send;
}

/// Which unlabeled items, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnlabeledQuery {
    /// Behind this position.
    pub after: Option<String>,
    /// What came later than this.
    pub since: Option<Timestamp>,
    /// Not what came later.
    pub until: Option<Timestamp>,
    /// Only items whose files have come by upload, and that nobody has put back since.
    pub uploads: bool,
    /// So many are enough to know, as far as they go: nobody needs to read a thousand to see whether there is one.
    pub limit: Option<usize>,
}

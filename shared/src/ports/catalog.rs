//! Projects and their items.

use futures_util::Stream;

use crate::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use crate::domain::item::{Asset, AssetType, Item};
use crate::domain::project::{Project, ProjectChange};
use crate::domain::provider::ProviderName;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// Projects.
#[trait_variant::make(Send)]
pub trait Projects: Send + Sync {
    /// Stores a new project. Returns the one of this uid that is there, if an earlier attempt stored it.
    async fn add_project(&self, project: &Project) -> Result<Option<Project>, Error>;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn project(&self, organization: OrganizationUid, uid: ProjectUid) -> Result<Project, Error>;
    /// The organization's projects.
    async fn projects(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<Project>, Error>;
    /// Changes the fields that the change names and nothing else, so that of two changes at once none is lost. Returns the
    /// project after it.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn change_project(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        change: &ProjectChange,
        now: Timestamp,
    ) -> Result<Project, Error>;
    /// Notes the provider of the project's last job; `None`: the deployment's own endpoint served it. A project that is gone is fine.
    async fn note_provider(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        provider: Option<&ProviderName>,
    ) -> Result<(), Error>;
    /// Counts items that were added.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn count_items(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        added: &[AssetType],
    ) -> Result<(), Error>;
}

/// Items.
#[trait_variant::make(Send)]
pub trait Items: Send + Sync {
    /// Stores items that are not there yet; one that is stays as it is. Returns for each, in order, the one that was there, or
    /// why it was not stored.
    async fn add_items(&self, items: &[Item]) -> Vec<Result<Option<Item>, Error>>;
    /// The items of these uids that exist, in this order.
    async fn items(&self, uids: &[ItemUid]) -> Result<Vec<Item>, Error>;
    /// The organization's items, project by project, or those of one project. One that is another organization's has
    /// none (I10).
    async fn items_of(
        &self,
        organization: OrganizationUid,
        project: Option<ProjectUid>,
        slice: &Slice,
    ) -> Result<Page<Item>, Error>;
    /// The unlabeled items of a query in the order of their creation, each with its position there, some thousands at a
    /// time: a project may have any number.
    fn unlabeled(
        &self,
        project: ProjectUid,
        query: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>>;
}

/// A range of a project's unlabeled items, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnlabeledQuery {
    /// Behind this position.
    pub after: Option<String>,
    /// What came later than this.
    pub since: Option<Timestamp>,
    /// Not what came later.
    pub until: Option<Timestamp>,
    /// Only items that wait since their file was uploaded, not since their result was removed.
    pub uploads: bool,
    /// How many the caller needs: to see whether there is one, a thousand need not be read.
    pub limit: Option<usize>,
}

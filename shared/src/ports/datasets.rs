//! Datasets: what finds them, and the files that clients are about to upload.

use crate::domain::Error;
use crate::domain::Timestamp;
use crate::domain::id::{OrganizationUid, ProjectUid};
use crate::domain::project::Project;
use crate::domain::project::dataset::DatasetName;

/// A file that a client is about to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The tenant.
    pub organization: OrganizationUid,
    /// The dataset.
    pub project: ProjectUid,
    /// Its path in the dataset: the key of its item.
    pub key: String,
    /// Its length.
    pub bytes: u64,
}

/// Datasets.
#[trait_variant::make(Send)]
pub trait Datasets: Send + Sync {
    /// Gives a name to a project, unless it has one already. Returns the project that has it.
    async fn name_dataset(
        &self,
        organization: OrganizationUid,
        name: &DatasetName,
        project: ProjectUid,
    ) -> Result<ProjectUid, Error>;
    /// The project that has a name. It may not be stored yet.
    async fn dataset_named(
        &self,
        organization: OrganizationUid,
        name: &DatasetName,
    ) -> Result<Option<ProjectUid>, Error>;
    /// Stores name and dataset of `after`, if the dataset still equals that of `before`. `false`: it does not.
    async fn change_dataset(&self, before: &Project, after: &Project) -> Result<bool, Error>;
    /// Counts the bytes of a file as the organization's; again only those that it has become longer by.
    ///
    /// # Errors
    /// `QuotaExceeded` if they were more than `limit` then.
    async fn announce(&self, file: &Announced, limit: u64, now: Timestamp) -> Result<(), Error>;
    /// The bytes that were counted.
    async fn announced_bytes(&self, organization: OrganizationUid) -> Result<u64, Error>;
    /// How many of these objects' keys, from the first one on, are of items or of rejected uploads.
    async fn count_taken_in(&self, project: ProjectUid, objects: &[String]) -> Result<usize, Error>;
}

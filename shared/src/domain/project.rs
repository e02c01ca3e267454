//! Projects: a set of items and a label set, owned by one organization.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{self, Fields};
use super::id::{OrganizationUid, ProjectUid};
use super::{Error, Timestamp, limits};

/// The statuses of the original (contract, 11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectStatus {
    /// Waits for its owner.
    PendingApproval,
    /// In work.
    Active,
    /// On hold; jobs may still run.
    Paused,
    /// Over.
    Canceled,
    /// Over.
    Archived,
    /// Over.
    Completed,
}

impl ProjectStatus {
    /// Whether a job may start (contract, 6.2).
    #[must_use]
    pub const fn takes_jobs(self) -> bool {
        matches!(self, Self::PendingApproval | Self::Active | Self::Paused)
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its identifier.
    pub uid: ProjectUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// For people.
    pub name: String,
    /// Where it is in its life.
    pub status: ProjectStatus,
    /// The label set; empty: any label.
    pub labels: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Project {
    /// Reads the body of a create call.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], organization: OrganizationUid, now: Timestamp) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let name = fields.required("name", fields::text(1, limits::NAME_CHARS)).unwrap_or_default();
        let labels = fields.optional("labels", fields::labels).unwrap_or_default();
        fields.finish()?;
        let uid = ProjectUid::at(now);
        Ok(Self { uid, organization, name, status: ProjectStatus::Active, labels, created_at: now, updated_at: now })
    }
}

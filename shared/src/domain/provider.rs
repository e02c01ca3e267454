//! Inference providers: where the model lives (contract, section 8).

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::id::{OrganizationUid, ProjectUid, ProviderUid};

/// Model calls in flight over all workers of a job, unless the provider says otherwise.
pub const MAX_CONCURRENCY: u32 = 16;

/// How the model is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "provider_type", content = "config", rename_all = "snake_case")]
pub enum Connection {
    /// A SageMaker endpoint.
    #[serde(rename = "sagemaker")]
    SageMaker(SageMaker),
}

/// A SageMaker endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SageMaker {
    /// 1–63 letters, digits, hyphens.
    pub endpoint_name: String,
    /// AWS region.
    pub region: String,
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InferenceProvider {
    /// Its identifier.
    pub uid: ProviderUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// How the model is reached.
    #[serde(flatten)]
    pub connection: Connection,
    /// Whether jobs may use it.
    pub is_active: bool,
    /// `None`: every project of the organization.
    pub project: Option<ProjectUid>,
    /// When it was last tested.
    pub last_test_at: Option<Timestamp>,
    /// How that went.
    pub last_test_success: Option<bool>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl InferenceProvider {
    /// Whether a job of `project` may use it.
    #[must_use]
    pub fn serves(&self, project: ProjectUid) -> bool {
        self.is_active && self.project.is_none_or(|own| own == project)
    }
}

/// The provider that serves a project by default: the newest active one of its own, else the newest active
/// one of the organization (contract, D7). `providers` come newest first.
#[must_use]
pub fn default_for(project: ProjectUid, providers: &[InferenceProvider]) -> Option<&InferenceProvider> {
    let serving = || providers.iter().filter(|p| p.serves(project));
    serving().find(|p| p.project.is_some()).or_else(|| serving().next())
}

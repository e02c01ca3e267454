use serde::Serialize;
use shared::domain::Timestamp;
use shared::domain::id::{ProjectUid, ProviderUid};
use shared::domain::provider::{Connection, InferenceProvider};

/// The provider object (contract, 8.1).
#[derive(Debug, Serialize)]
pub struct ProviderView {
    uid: ProviderUid,
    name: String,
    description: Option<String>,
    #[serde(flatten)]
    connection: ConnectionView,
    is_active: bool,
    project: Option<ProjectUid>,
    last_test_at: Option<Timestamp>,
    last_test_success: Option<bool>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// `provider_type` and `config` (contract, 8.3). Written out key by key: what is not named here is never shown (I11).
#[derive(Debug, Serialize)]
#[serde(tag = "provider_type", content = "config")]
enum ConnectionView {
    #[serde(rename = "sagemaker")]
    SageMaker { endpoint_name: String, region: String },
}

impl ProviderView {
    /// A provider on the wire.
    #[must_use]
    pub fn of(provider: InferenceProvider) -> Self {
        let Connection::SageMaker(sagemaker) = provider.connection;
        Self {
            uid: provider.uid,
            name: provider.name,
            description: provider.description,
            connection: ConnectionView::SageMaker { endpoint_name: sagemaker.endpoint_name, region: sagemaker.region },
            is_active: provider.is_active,
            project: provider.project,
            last_test_at: provider.last_test_at,
            last_test_success: provider.last_test_success,
            created_at: provider.created_at,
            updated_at: provider.updated_at,
        }
    }
}

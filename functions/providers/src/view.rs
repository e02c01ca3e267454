use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Number, Value};
use shared::domain::Timestamp;
use shared::domain::access::trust::Trust;
use shared::domain::diagnosis::Diagnosis;
use shared::domain::id::{ProjectUid, ProviderUid};
use shared::domain::prediction::turn::Exif;
use shared::domain::provider::InferenceProvider;
use shared::domain::provider::connection::{
    AuthType, Connection, Coordinates, MASK, ProviderType, RequestFormat, ResponseFormat, SageMaker,
};
use utoipa::ToSchema;

use crate::probe::Probe;

/// A provider (contract, 8.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "Street detector", "description": null, "provider_type": "http", "project": null, "last_test_success": true,
}))]
pub struct ProviderView {
    uid: ProviderUid,
    name: String,
    #[schema(required)]
    description: Option<String>,
    provider_type: ProviderType,
    config: ConfigView,
    /// Of a `config` with a `role_arn`: the external id with which the role is assumed, that of the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// Of a `config` with a `role_arn`: the trust policy that the role needs, ready to be pasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_policy: Option<Value>,
    is_active: bool,
    /// The only project that may use it; `null`: all of the organization's.
    #[schema(required)]
    project: Option<ProjectUid>,
    #[schema(required)]
    last_test_at: Option<Timestamp>,
    #[schema(required)]
    last_test_success: Option<bool>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// `config` by `provider_type` (contract, 8.3). Secrets are masked.
// Written out key by key: what is not named here is never shown (I11).
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!({
    "endpoint_url": "https://models.example.com/detect", "auth_type": "bearer", "auth_header": "********", "headers": {},
    "timeout": 30, "response_key": "annotations", "request_format": "avala", "response_format": "annotations",
    "coordinates": "pixels", "label_map": [], "exif": "applied", "max_concurrency": 16,
}))]
enum ConfigView {
    /// Of `sagemaker`.
    SageMaker {
        endpoint_name: String,
        region: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        role_arn: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        target_variant: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        inference_component_name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        target_model: Option<String>,
        request_format: RequestFormat,
        response_format: ResponseFormat,
        coordinates: Coordinates,
        label_map: Vec<MappedLabel>,
        /// `ignored`: the model's coordinates are of the picture as it is stored.
        exif: Exif,
        /// Calls in flight over all workers of a job.
        max_concurrency: u32,
    },
    /// Of `http`.
    Http {
        endpoint_url: String,
        auth_type: AuthType,
        /// A mask.
        #[serde(skip_serializing_if = "Option::is_none")]
        auth_header: Option<&'static str>,
        /// Names, each with a mask.
        headers: BTreeMap<String, &'static str>,
        /// Seconds.
        #[schema(value_type = f64)]
        timeout: Number,
        response_key: String,
        request_format: RequestFormat,
        response_format: ResponseFormat,
        coordinates: Coordinates,
        label_map: Vec<MappedLabel>,
        /// `ignored`: the model's coordinates are of the picture as it is stored.
        exif: Exif,
        /// Calls in flight over all workers of a job.
        max_concurrency: u32,
    },
}

/// A label of the model, and what the project calls it. A pair of values: the TypeScript client renames keys (contract, 1.4).
#[derive(Debug, Serialize, ToSchema)]
struct MappedLabel {
    from: String,
    to: String,
}

impl MappedLabel {
    fn all(label_map: BTreeMap<String, String>) -> Vec<Self> {
        label_map.into_iter().map(|(from, to)| Self { from, to }).collect()
    }
}

impl ConfigView {
    fn of(connection: Connection) -> Self {
        match connection {
            Connection::SageMaker(endpoint) => Self::SageMaker {
                endpoint_name: endpoint.endpoint_name,
                region: endpoint.region,
                role_arn: endpoint.role_arn,
                target_variant: endpoint.target_variant,
                inference_component_name: endpoint.inference_component_name,
                target_model: endpoint.target_model,
                request_format: endpoint.reading.request_format(),
                response_format: endpoint.reading.response_format,
                coordinates: endpoint.reading.coordinates,
                label_map: MappedLabel::all(endpoint.reading.label_map),
                exif: endpoint.reading.exif,
                max_concurrency: endpoint.max_concurrency,
            },
            Connection::Http(endpoint) => Self::Http {
                endpoint_url: endpoint.endpoint_url,
                auth_type: endpoint.auth_type,
                auth_header: (endpoint.auth_type != AuthType::None).then_some(MASK),
                headers: endpoint.headers.into_iter().map(|name| (name, MASK)).collect(),
                timeout: endpoint.timeout,
                request_format: endpoint.reading.request_format(),
                coordinates: endpoint.reading.coordinates,
                response_key: endpoint.reading.response_key,
                response_format: endpoint.reading.response_format,
                label_map: MappedLabel::all(endpoint.reading.label_map),
                exif: endpoint.reading.exif,
                max_concurrency: endpoint.max_concurrency,
            },
        }
    }
}

impl ProviderView {
    /// A provider on the wire.
    #[must_use]
    pub fn of(provider: InferenceProvider, trust: &Trust) -> Self {
        let organization = provider.organization;
        let has_role = matches!(&provider.connection, Connection::SageMaker(SageMaker { role_arn: Some(_), .. }));
        Self {
            external_id: has_role.then(|| Trust::external_id(organization)),
            trust_policy: has_role.then(|| trust.policy(organization)),
            uid: provider.uid,
            name: provider.name,
            description: provider.description,
            provider_type: provider.connection.kind(),
            config: ConfigView::of(provider.connection),
            is_active: provider.is_active,
            project: provider.project,
            last_test_at: provider.last_test_at,
            last_test_success: provider.last_test_success,
            created_at: provider.created_at,
            updated_at: provider.updated_at,
        }
    }
}

/// What a test came to (contract, 8.4).
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "success": true, "message": "The model answered, with 3 prediction(s).", "problem": null, "path": null, "latency_ms": 48,
}))]
pub struct TestView {
    /// Whether the provider can serve jobs.
    success: bool,
    /// A sentence.
    message: String,
    tested_at: Timestamp,
    /// What is wrong; `null`: nothing.
    #[schema(required)]
    problem: Option<Diagnosis>,
    /// Where in the model's answer, such as `annotations[2].coordinates.width`.
    #[schema(required)]
    path: Option<String>,
    /// How long the model took to answer, or not to; `null`: it was not called.
    #[schema(required)]
    latency_ms: Option<u64>,
}

impl TestView {
    pub(crate) fn of(probe: Probe, tested_at: Timestamp) -> Self {
        let Probe { success, message, problem, path, latency } = probe;
        let latency_ms = latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        Self { success, message, tested_at, problem, path, latency_ms }
    }
}

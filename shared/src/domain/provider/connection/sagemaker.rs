//! SageMaker endpoints.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reading::Reading;
use super::{concurrency, documented, nothing_else, usual_concurrency};
use crate::domain::{Error, fields, limits};

/// A SageMaker endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SageMaker {
    /// 1–63 letters, digits, hyphens.
    pub endpoint_name: String,
    /// AWS region.
    pub region: String,
    /// The role to call it with; `None`: the system's own (contract, D15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The production variant to call; `None`: the endpoint chooses by its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_variant: Option<String>,
    /// The inference component to call, of an endpoint that hosts several models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_component_name: Option<String>,
    /// The model to call, of a multi-model endpoint: its archive, below the prefix that the endpoint loads models from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_model: Option<String>,
    /// How it is asked, and how its answers are read.
    #[serde(flatten)]
    pub reading: Reading,
    /// Calls in flight over all workers of a job.
    #[serde(default = "usual_concurrency")]
    pub max_concurrency: u32,
}

impl SageMaker {
    /// An endpoint with defaults for all else.
    #[must_use]
    pub fn new(endpoint_name: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            endpoint_name: endpoint_name.into(),
            region: region.into(),
            role_arn: None,
            target_variant: None,
            inference_component_name: None,
            target_model: None,
            reading: Reading::default(),
            max_concurrency: usual_concurrency(),
        }
    }

    pub(super) fn read(config: Map<String, Value>) -> Result<Self, Error> {
        let aliases = [
            ("endpoint", "endpoint_name"),
            ("endpointName", "endpoint_name"),
            ("roleArn", "role_arn"),
            ("targetVariant", "target_variant"),
            ("inferenceComponentName", "inference_component_name"),
            ("targetModel", "target_model"),
        ];
        let mut fields = documented(config, &aliases);
        let endpoint_name = fields.required("endpoint_name", resource_name).unwrap_or_default();
        let region = fields.required("region", region).unwrap_or_default();
        let role_arn = fields.optional("role_arn", role_arn);
        let target_variant = fields.optional("target_variant", resource_name);
        let inference_component_name = fields.optional("inference_component_name", resource_name);
        let target_model = fields.optional("target_model", target_model);
        let reading = Reading::read(&mut fields);
        let max_concurrency = concurrency(&mut fields);
        nothing_else(fields)?;
        Ok(Self {
            endpoint_name,
            region,
            role_arn,
            target_variant,
            inference_component_name,
            target_model,
            reading,
            max_concurrency,
        })
    }
}

/// The service's own rule for endpoints, variants and inference components (AWS, "InvokeEndpoint").
fn resource_name(value: Value) -> Result<String, String> {
    let name = fields::text(1, 63)(value)?;
    let good =
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !name.starts_with('-') && !name.ends_with('-');
    if good { Ok(name) } else { Err("Must consist of letters, digits and inner hyphens.".into()) }
}

/// The service's own rule for target models (AWS, "InvokeEndpoint"): it is the value of a header.
fn target_model(value: Value) -> Result<String, String> {
    let model = fields::text(1, limits::TARGET_MODEL_CHARS)(value)?;
    if model.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        Ok(model)
    } else {
        Err("Must consist of printable ASCII characters.".into())
    }
}

/// Such as `eu-central-1`: the name becomes part of the address that is called.
fn region(value: Value) -> Result<String, String> {
    let region = fields::text(1, 32)(value)?;
    let mut parts = region.rsplit('-');
    let number = parts.next().is_some_and(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    let words: Vec<bool> = parts.map(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase())).collect();
    if number && words.len() >= 2 && words.into_iter().all(|word| word) {
        Ok(region)
    } else {
        Err("Must be an AWS region, such as eu-central-1.".into())
    }
}

/// `arn:{partition}:iam::{account}:role/{path and name}` (AWS, "IAM identifiers"). No example in the complaint: the Python client
/// blackens ARNs in error texts.
fn role_arn(value: Value) -> Result<String, String> {
    let arn = fields::text(1, limits::ROLE_ARN_CHARS)(value)?;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let good = matches!(parts[..], ["arn", partition, "iam", "", account, resource]
        if partition.starts_with("aws") && partition.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            && account.len() == 12 && account.chars().all(|c| c.is_ascii_digit())
            && resource.strip_prefix("role/").is_some_and(is_role_name));
    if good { Ok(arn) } else { Err("Must be the ARN of an IAM role.".into()) }
}

fn is_role_name(path: &str) -> bool {
    !path.is_empty()
        && !path.ends_with('/')
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=,.@-".contains(c))
}

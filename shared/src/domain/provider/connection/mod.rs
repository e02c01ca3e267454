//! How a model is reached: the `config` of a provider (contract, 8.3), and what of it is secret.
//!
//! What a client writes is read into two parts. The [`Connection`] is stored and shown. The [`Credentials`] are sealed, and
//! only a mask of them is ever shown; a mask that a client sends back stands for what is stored (contract, D17).

mod credentials;
mod http;
mod reading;
mod sagemaker;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::fields::{self, Fields};
use crate::domain::provider::MAX_CONCURRENCY;
use crate::domain::{Error, limits, show};

pub use credentials::Credentials;
pub use http::{AuthType, Http};
pub use reading::{Coordinates, LabelPrompt, Reading, RequestFormat, ResponseFormat};
pub use sagemaker::SageMaker;

/// What is shown instead of a secret, whatever its length.
pub const MASK: &str = "********";

/// The kinds of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderType {
    /// A SageMaker endpoint.
    #[serde(rename = "sagemaker")]
    SageMaker,
    /// An HTTPS endpoint of any kind.
    Http,
}

/// How the model is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "provider_type", content = "config", rename_all = "snake_case")]
pub enum Connection {
    /// A SageMaker endpoint.
    #[serde(rename = "sagemaker")]
    SageMaker(SageMaker),
    /// An HTTPS endpoint of any kind.
    Http(Http),
}

impl ProviderType {
    /// Reads `provider_type`.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("sagemaker") => Ok(Self::SageMaker),
            Some("http") => Ok(Self::Http),
            _ => Err(fields::must_be("\"sagemaker\" or \"http\"", show::value(&value))),
        }
    }
}

impl Connection {
    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> ProviderType {
        match self {
            Self::SageMaker(_) => ProviderType::SageMaker,
            Self::Http(_) => ProviderType::Http,
        }
    }

    /// Ciphertext of its credentials, if it has any.
    #[must_use]
    pub fn sealed(&self) -> Option<&str> {
        match self {
            Self::SageMaker(_) => None,
            Self::Http(http) => http.sealed.as_deref(),
        }
    }

    /// Calls in flight over all workers of a job.
    #[must_use]
    pub const fn max_concurrency(&self) -> u32 {
        match self {
            Self::SageMaker(endpoint) => endpoint.max_concurrency,
            Self::Http(endpoint) => endpoint.max_concurrency,
        }
    }

    /// Reads a `config`. `endpoint_url` is the guard's rule, which is no part of the domain. What comes back is not sealed yet.
    ///
    /// # Errors
    /// `Validation` with every complaint.
    pub fn read(
        kind: ProviderType,
        config: Map<String, Value>,
        endpoint_url: impl FnOnce(Value) -> Result<String, String>,
    ) -> Result<(Self, Credentials), Error> {
        match kind {
            ProviderType::SageMaker => {
                SageMaker::read(config).map(|endpoint| (Self::SageMaker(endpoint), Credentials::default()))
            }
            ProviderType::Http => {
                Http::read(config, endpoint_url).map(|(endpoint, credentials)| (Self::Http(endpoint), credentials))
            }
        }
    }
}

/// `config` under the documented names: the TypeScript client sends camelCase back, and the clients' own tests have further
/// names (contract, D16).
fn documented(config: Map<String, Value>, aliases: &[(&str, &str)]) -> Fields {
    let common = [
        ("responseFormat", "response_format"),
        ("requestFormat", "request_format"),
        ("labelMap", "label_map"),
        ("maxConcurrency", "max_concurrency"),
    ];
    let (mut values, mut twice) = (Map::new(), Vec::new());
    for (key, value) in config.into_iter().filter(|(_, value)| !value.is_null()) {
        let alias = aliases.iter().chain(&common).find(|(alias, _)| *alias == key);
        let name = alias.map_or(key, |(_, name)| (*name).to_owned());
        if values.insert(name.clone(), value).is_some() {
            twice.push(name);
        }
    }
    let mut fields = Fields::of("config.".into(), values);
    twice.into_iter().for_each(|name| fields.refuse(&name, "Is sent under two names."));
    fields
}

fn usual_concurrency() -> u32 {
    MAX_CONCURRENCY
}

fn concurrency(fields: &mut Fields) -> u32 {
    fields.optional("max_concurrency", fields::whole(1, limits::CONCURRENCY)).unwrap_or_else(usual_concurrency)
}

/// Unknown keys are refused, so that a mistyped credential key is never stored in the clear and echoed (contract, D16).
fn nothing_else(mut fields: Fields) -> Result<(), Error> {
    fields.optional("method", method);
    fields.finish()
}

/// The official live test sends it.
fn method(value: Value) -> Result<(), String> {
    if value == "POST" { Ok(()) } else { Err("Must be \"POST\".".into()) }
}

#[cfg(test)]
mod tests;

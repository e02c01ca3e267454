//! HTTPS endpoints of any kind.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::credentials::{Credentials, authentication, headers};
use super::reading::Reading;
use super::{concurrency, documented, nothing_else, usual_concurrency};
use crate::domain::{Error, fields, limits, show};

/// Seconds that an HTTPS provider has for an answer, unless it says otherwise (contract, 8.3).
const TIMEOUT_SECONDS: u32 = 30;
/// The longest that it may say.
const LONGEST_SECONDS: f64 = 120.0;

/// An HTTPS endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// Where it is.
    pub endpoint_url: String,
    /// What kind of credential it takes.
    pub auth_type: AuthType,
    /// Names of the further headers that it wants.
    pub headers: Vec<String>,
    /// Seconds for an answer, as the client wrote them.
    pub timeout: Number,
    /// How it is asked, and how its answers are read.
    #[serde(flatten)]
    pub reading: Reading,
    /// Calls in flight over all workers of a job.
    #[serde(default = "usual_concurrency")]
    pub max_concurrency: u32,
    /// Ciphertext of the [`Credentials`]; `None`: there are none.
    pub sealed: Option<String>,
}

/// What kind of credential an endpoint takes (contract, D14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// None.
    #[default]
    None,
    /// A token, sent as `Authorization: Bearer <token>`.
    Bearer,
    /// A header of its own.
    Header,
}

impl AuthType {
    pub(super) fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("none") => Ok(Self::None),
            Some("bearer") => Ok(Self::Bearer),
            Some("header") => Ok(Self::Header),
            // The value is not repeated: it may be a token in the wrong field.
            _ => Err("Must be \"none\", \"bearer\" or \"header\".".into()),
        }
    }
}

impl Http {
    pub(super) fn read(
        config: Map<String, Value>,
        endpoint_url: impl FnOnce(Value) -> Result<String, String>,
    ) -> Result<(Self, Credentials), Error> {
        let mut fields = documented(
            config,
            &[
                ("url", "endpoint_url"),
                ("endpointUrl", "endpoint_url"),
                ("authType", "auth_type"),
                ("authHeader", "auth_header"),
                ("responseKey", "response_key"),
            ],
        );
        let endpoint_url = fields.required("endpoint_url", endpoint_url).unwrap_or_default();
        let (auth_type, auth_header) = authentication(&mut fields);
        let headers = fields.optional("headers", fields::object).map(|sent| headers(&mut fields, sent));
        let timeout = fields.optional("timeout", timeout).unwrap_or_else(|| TIMEOUT_SECONDS.into());
        let response_key = fields.optional("response_key", fields::text(1, limits::NAME_CHARS));
        let mut reading = Reading::read(&mut fields);
        reading.response_key = response_key.unwrap_or(reading.response_key);
        let max_concurrency = concurrency(&mut fields);
        nothing_else(fields)?;
        let credentials = Credentials { auth_type, auth_header, headers: headers.unwrap_or_default() };
        let headers = Vec::new();
        Ok((Self { endpoint_url, auth_type, headers, timeout, reading, max_concurrency, sealed: None }, credentials))
    }

    /// Time for an answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout.as_f64().unwrap_or(TIMEOUT_SECONDS.into()))
    }
}

/// A number of seconds.
fn timeout(value: Value) -> Result<Number, String> {
    match value {
        Value::Number(seconds) if seconds.as_f64().is_some_and(|s| (1.0..=LONGEST_SECONDS).contains(&s)) => Ok(seconds),
        other => {
            Err(fields::must_be(&format!("a number of seconds from 1 to {LONGEST_SECONDS}"), show::number(&other)))
        }
    }
}

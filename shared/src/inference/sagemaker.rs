//! SageMaker real-time endpoints.

use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;

use crate::domain::connection::Reading;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::outcome::{Failure, FailureCode};
use crate::ports::{InferenceError, InferenceRequest, Model};

/// Characters of a model's own words that are shown.
const QUOTE_CHARS: usize = 200;

/// One endpoint. The client carries region and credentials.
#[derive(Clone, Debug)]
pub struct Endpoint {
    client: Client,
    name: String,
    reading: Reading,
}

impl Endpoint {
    /// The endpoint of this name.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>, reading: Reading) -> Self {
        Self { client, name: name.into(), reading }
    }

    fn classify(&self, error: SdkError<InvokeEndpointError>) -> InferenceError {
        let SdkError::ServiceError(service) = error else {
            return match error {
                SdkError::TimeoutError(_) => {
                    InferenceError::transient(Diagnosis::Timeout, "The endpoint did not answer in time.")
                }
                _ => InferenceError::transient(Diagnosis::Unreachable, "The endpoint could not be reached."),
            };
        };
        match service.err() {
            InvokeEndpointError::ModelError(model) => {
                let status = model.original_status_code().unwrap_or(500);
                let message = match model.original_message().and_then(quote) {
                    Some(quote) => format!("The model answered status {status}: {quote}"),
                    None => format!("The model answered status {status}."),
                };
                // D26: these are worth another try; any other status is the item's.
                if matches!(status, 429 | 502 | 503 | 504) {
                    InferenceError::transient(Diagnosis::Busy, message)
                } else {
                    InferenceError::Item(Failure::new(FailureCode::ModelError, message))
                }
            }
            InvokeEndpointError::ModelNotReadyException(_) => {
                InferenceError::transient(Diagnosis::EndpointNotInService, "The model is not ready yet.")
            }
            InvokeEndpointError::ValidationError(_) => self.refused(
                Diagnosis::EndpointNotInService,
                "does not exist or is not in service. Create it, or choose another provider.",
            ),
            other => match other.code() {
                Some(
                    "AccessDeniedException"
                    | "AccessDenied"
                    | "ExpiredTokenException"
                    | "UnrecognizedClientException"
                    | "InvalidSignatureException",
                ) => {
                    self.refused(Diagnosis::CredentialsRefused, "refuses access. Allow sagemaker:InvokeEndpoint on it.")
                }
                _ => InferenceError::transient(Diagnosis::Busy, "The endpoint is busy."),
            },
        }
    }

    fn refused(&self, diagnosis: Diagnosis, why: &str) -> InferenceError {
        let region = self.client.config().region().map_or("an unknown region", |region| region.as_ref());
        InferenceError::job(diagnosis, format!("SageMaker endpoint \"{}\" in {region} {why}", self.name))
    }
}

impl Model for Endpoint {
    fn reading(&self) -> &Reading {
        &self.reading
    }

    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        let body = serde_json::to_vec(request).map_err(|_| {
            InferenceError::Item(Failure::new(FailureCode::ModelError, "The request could not be written."))
        })?;
        let call = self
            .client
            .invoke_endpoint()
            .endpoint_name(&self.name)
            .content_type("application/json")
            .accept("application/json")
            .body(Blob::new(body));
        let answer = call.send().await.map_err(|error| self.classify(error))?;
        Ok(answer.body.map(Blob::into_inner).unwrap_or_default())
    }
}

/// A model's own words, as far as they may be shown: short, one line, and without addresses, since a signed URL is a
/// secret (I11).
fn quote(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if ["://", "x-amz-", "signature="].iter().any(|sign| lower.contains(sign)) {
        return None;
    }
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTE_CHARS).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_models_words_are_short_and_carry_no_address() {
        assert_eq!(quote("cannot decode\nthe picture").as_deref(), Some("cannot decode the picture"));
        assert_eq!(quote("GET https://bucket/x failed"), None);
        assert_eq!(quote("Max retries exceeded with url: /key?X-Amz-Credential=c"), None);
        assert_eq!(quote(&"x".repeat(1_000)).map(|q| q.len()), Some(200));
    }
}

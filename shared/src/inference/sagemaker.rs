//! SageMaker real-time endpoints.

use std::time::Duration;

use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_sdk_sagemakerruntime::types::error::ModelError;

use super::http::unanswered;
use super::words::{self, Masked};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::job::failure::{Failure, FailureCode};
use crate::domain::provider::connection::{Reading, SageMaker};
use crate::domain::show;
use crate::ports::{InferenceError, InferenceRequest, Model};

/// The service loads a model, or starts a serverless one or one that was scaled to zero: that takes minutes, and no item is to
/// fail for it.
const LOADING: Duration = Duration::from_secs(300);
/// The wait before a model that is loading is called again.
const LOADING_WAIT: Duration = Duration::from_secs(5);

/// One endpoint. The client carries region and credentials.
#[derive(Clone, Debug)]
pub struct Endpoint {
    client: Client,
    endpoint: SageMaker,
}

impl Endpoint {
    /// The endpoint, as this client calls it.
    #[must_use]
    pub const fn new(client: Client, endpoint: SageMaker) -> Self {
        Self { client, endpoint }
    }

    fn classify(&self, error: SdkError<InvokeEndpointError>, masked: &Masked) -> InferenceError {
        match error {
            SdkError::ServiceError(service) => self.meaning(service.err(), masked),
            SdkError::TimeoutError(_) => {
                let time = show::seconds(self.timeout());
                InferenceError::transient(Diagnosis::Timeout, format!("No complete answer came within {time}."))
            }
            _ => InferenceError::transient(Diagnosis::Unreachable, "The endpoint could not be reached."),
        }
    }

    /// Each error of the service to its kind (AWS, "InvokeEndpoint" and "Common errors").
    fn meaning(&self, error: &InvokeEndpointError, masked: &Masked) -> InferenceError {
        match error {
            InvokeEndpointError::ModelError(model) => failed(model, masked),
            InvokeEndpointError::ModelNotReadyException(_) => loading("The model is not ready yet."),
            InvokeEndpointError::ServiceUnavailable(_) => InferenceError::busy("The endpoint is busy.", None),
            // The call is what makes its scaling policy start one (AWS, "Scale an endpoint to zero instances").
            InvokeEndpointError::ValidationError(_) if error.message().is_some_and(has_no_copy) => {
                loading("The model is scaled to zero: no copy of its inference component is in service yet.")
            }
            InvokeEndpointError::ValidationError(_) => self.invalid(error.message().unwrap_or_default()),
            other => match other.code() {
                Some("ValidationException") => self.invalid(other.message().unwrap_or_default()),
                Some("ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded") => {
                    InferenceError::busy("SageMaker throttles the calls of the endpoint.", None)
                }
                Some(
                    "AccessDeniedException"
                    | "AccessDenied"
                    | "ExpiredTokenException"
                    | "IncompleteSignature"
                    | "InvalidClientTokenId"
                    | "InvalidSignatureException"
                    | "MissingAuthenticationToken"
                    | "NotAuthorized"
                    | "OptInRequired"
                    | "UnrecognizedClientException",
                ) => {
                    self.refused(Diagnosis::CredentialsRefused, "refuses access. Allow sagemaker:InvokeEndpoint on it.")
                }
                // InternalFailure, InternalDependencyException, and what there may be in time.
                _ => InferenceError::transient(Diagnosis::Busy, "SageMaker could not serve the call just now."),
            },
        }
    }

    /// A `ValidationError` is about the provider's configuration: only the endpoint, its variant, its component and its model vary
    /// between requests. Each of the service's sentences that are known has one of ours, which names the key to correct. Of the
    /// others the words are shown, without the account that they may name.
    fn invalid(&self, message: &str) -> InferenceError {
        let lower = message.to_ascii_lowercase();
        let says = |words: &str| lower.contains(words);
        let out_of_service = |why| self.refused(Diagnosis::EndpointNotInService, why);
        match self.wrong_part(&lower) {
            Some((diagnosis, why)) => self.refused(diagnosis, &why),
            // "1 validation error detected: Value at 'endpointName' failed to satisfy constraint: …"
            None if says("failed to satisfy constraint") => match constrained(message) {
                Some(key) => {
                    let why = format!("cannot be called: SageMaker does not accept {key}. Correct it.");
                    self.refused(Diagnosis::ConfigMismatch, &why)
                }
                None => InferenceError::Item(Failure::new(
                    FailureCode::ModelError,
                    "SageMaker does not accept the request: its body or its content type breaks a limit of the endpoint.",
                )),
            },
            // "Endpoint {name} of account {account} not found."
            None if says("not found") || says("could not find") || says("does not exist") => out_of_service(
                "does not exist or is not in service. Create it, correct endpoint_name and region, or choose another provider.",
            ),
            None if says("in service") || says("inservice") => {
                out_of_service("is not in service. Start it or wait until it is, or choose another provider.")
            }
            None => match words::of(without_accounts(message).as_bytes(), &Masked::default()) {
                Some(words) => {
                    let why = format!("cannot be called as the provider's config says: \"{words}\".");
                    self.refused(Diagnosis::ConfigMismatch, &why)
                }
                None => self.refused(
                    Diagnosis::ConfigMismatch,
                    "cannot be called as the provider's config says, and SageMaker does not say why.",
                ),
            },
        }
    }

    /// What is wrong with the model, the variant or the component that is to be called, from the service's words in lower case.
    fn wrong_part(&self, lower: &str) -> Option<(Diagnosis, String)> {
        use Diagnosis::{ConfigMismatch, EndpointNotInService};
        let says = |words: &str| lower.contains(words);
        let SageMaker { target_variant, inference_component_name, target_model, .. } = &self.endpoint;
        let model = target_model.as_deref().unwrap_or_default();
        Some(match (target_variant, inference_component_name) {
            // "Request {uid} is missing a target model header."
            _ if says("missing a target model") => (
                ConfigMismatch,
                "hosts several models. Name the one to call as target_model, such as model.tar.gz.".into(),
            ),
            // "Endpoint {name} is not a multi-model endpoint and does not support target model header."
            _ if says("not a multi-model endpoint") || says("not support target model") => {
                (ConfigMismatch, "is no multi-model endpoint. Leave out target_model.".into())
            }
            // "Failed to download model data(bucket: …, key: …). Please ensure that there is an object located at the URL …"
            _ if says("failed to download model") => (
                ConfigMismatch,
                format!(
                    "cannot load the model \"{model}\". Correct target_model, or let the endpoint's role read the file."
                ),
            ),
            (Some(variant), _) if says("variant") => (
                EndpointNotInService,
                format!("has no production variant \"{variant}\" in service. Correct target_variant."),
            ),
            (_, Some(component)) if says("component") => (
                EndpointNotInService,
                format!("has no inference component \"{component}\" in service. Correct inference_component_name."),
            ),
            // "Inference Component Name header is required for endpoints to which you plan to deploy inference components. …"
            (_, None) if says("component") => {
                (ConfigMismatch, "hosts inference components. Name the one to call as inference_component_name.".into())
            }
            _ => return None,
        })
    }

    fn refused(&self, diagnosis: Diagnosis, why: &str) -> InferenceError {
        let region = self.client.config().region().map_or("an unknown region", |region| region.as_ref());
        InferenceError::job(
            diagnosis,
            format!("SageMaker endpoint \"{}\" in {region} {why}", self.endpoint.endpoint_name),
        )
    }
}

impl Model for Endpoint {
    fn reading(&self) -> &Reading {
        &self.endpoint.reading
    }

    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        let body = request.body(self.endpoint.reading.request_format()).map_err(|_| {
            InferenceError::Item(Failure::new(FailureCode::ModelError, "The request could not be written."))
        })?;
        let call = self
            .client
            .invoke_endpoint()
            .endpoint_name(&self.endpoint.endpoint_name)
            .set_target_variant(self.endpoint.target_variant.clone())
            .set_inference_component_name(self.endpoint.inference_component_name.clone())
            .set_target_model(self.endpoint.target_model.clone())
            .content_type("application/json")
            .accept("application/json")
            .body(Blob::new(body));
        let masked = || Masked::default().and_query(&request.asset_url);
        let answer = call.send().await.map_err(|error| self.classify(error, &masked()))?;
        Ok(answer.body.map(Blob::into_inner).unwrap_or_default())
    }
}

/// The key of `config` whose value the service does not accept, of those that it names in its own words.
fn constrained(message: &str) -> Option<&'static str> {
    let keys = [
        ("endpointName", "endpoint_name"),
        ("targetVariant", "target_variant"),
        ("targetModel", "target_model"),
        ("inferenceComponentName", "inference_component_name"),
    ];
    keys.into_iter().find(|(name, _)| message.contains(name)).map(|(_, key)| key)
}

/// Words of the service, without the accounts that they name (I11).
fn without_accounts(message: &str) -> String {
    let is_account = |word: &str| word.len() == 12 && word.chars().all(|c| c.is_ascii_digit());
    let words = message.split_inclusive(|c: char| !c.is_ascii_digit());
    let shown = words.map(|word| {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        if is_account(digits) { word.replacen(digits, "***", 1) } else { word.to_owned() }
    });
    shown.collect()
}

/// "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if configured) …"
fn has_no_copy(message: &str) -> bool {
    message.to_ascii_lowercase().contains("no capacity")
}

fn loading(message: &str) -> InferenceError {
    InferenceError::Busy {
        diagnosis: Diagnosis::EndpointNotInService,
        message: message.into(),
        words: None,
        retry_after: Some(LOADING_WAIT),
        patience: LOADING,
    }
}

/// What the model's container answered.
fn failed(error: &ModelError, masked: &Masked) -> InferenceError {
    let status = error.original_status_code().unwrap_or(500);
    let message = format!("The model answered status {status}.");
    let words = error.original_message().and_then(|words| words::of(words.as_bytes(), masked));
    let failure = match status {
        429 | 503 => InferenceError::busy(message, None),
        // The service's own: the container took longer than the 60 seconds that it may.
        ..100 => InferenceError::transient(Diagnosis::Timeout, "The model did not answer SageMaker within 60 seconds."),
        // D26: these are worth another try; any other status is the item's.
        _ => match u16::try_from(status).ok().and_then(unanswered) {
            Some(diagnosis) => InferenceError::transient(diagnosis, message),
            None => InferenceError::Item(Failure::new(FailureCode::ModelError, message)),
        },
    };
    failure.in_words(words)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sagemakerruntime::config::{BehaviorVersion, Config, Region};
    use aws_sdk_sagemakerruntime::error::ErrorMetadata;
    use aws_sdk_sagemakerruntime::types::error::{
        InternalDependencyException, InternalFailure, ModelNotReadyException, ServiceUnavailable, ValidationError,
    };

    use super::*;

    fn endpoint(variant: Option<&str>, component: Option<&str>) -> Endpoint {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("eu-central-1"));
        let client = Client::from_conf(config.build());
        let endpoint = SageMaker {
            target_variant: variant.map(str::to_owned),
            inference_component_name: component.map(str::to_owned),
            target_model: Some("a.tar.gz".into()),
            ..SageMaker::new("yolo", "eu-central-1")
        };
        Endpoint::new(client, endpoint)
    }

    fn answered(status: i32) -> InvokeEndpointError {
        let error = ModelError::builder().original_status_code(status).original_message("no");
        InvokeEndpointError::ModelError(error.build())
    }

    fn of_code(code: &str) -> InvokeEndpointError {
        InvokeEndpointError::generic(ErrorMetadata::builder().code(code).build())
    }

    fn scaled_to_zero() -> InvokeEndpointError {
        let words = "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if \
             configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API.";
        validation_error(words)
    }

    /// As the service's client reads it.
    fn validation_error(message: &str) -> InvokeEndpointError {
        let meta = ErrorMetadata::builder().code("ValidationError").message(message).build();
        InvokeEndpointError::ValidationError(ValidationError::builder().message(message).meta(meta).build())
    }

    /// Contract D26.
    #[test]
    fn each_error_of_the_service_has_its_kind() {
        let kind = |error: &InvokeEndpointError| match endpoint(None, None).meaning(error, &Masked::default()) {
            InferenceError::Item(_) => "item",
            InferenceError::Transient { .. } => "transient",
            InferenceError::Busy { patience: Duration::ZERO, .. } => "busy",
            InferenceError::Busy { .. } => "loading",
            InferenceError::Job { .. } => "job",
        };
        for (error, expected) in [
            (answered(400), "item"),
            (answered(413), "item"),
            (answered(500), "item"),
            (answered(429), "busy"),
            (answered(503), "busy"),
            (answered(502), "transient"),
            (answered(408), "transient"),
            (answered(520), "transient"),
            (answered(529), "transient"),
            (answered(504), "transient"),
            (answered(0), "transient"),
            (InvokeEndpointError::ModelNotReadyException(ModelNotReadyException::builder().build()), "loading"),
            (InvokeEndpointError::ServiceUnavailable(ServiceUnavailable::builder().build()), "busy"),
            (InvokeEndpointError::InternalFailure(InternalFailure::builder().build()), "transient"),
            (
                InvokeEndpointError::InternalDependencyException(InternalDependencyException::builder().build()),
                "transient",
            ),
            (InvokeEndpointError::ValidationError(ValidationError::builder().build()), "job"),
            (scaled_to_zero(), "loading"),
            (of_code("ThrottlingException"), "busy"),
            (of_code("AccessDeniedException"), "job"),
            (of_code("ExpiredTokenException"), "job"),
            (of_code("NeverHeardOf"), "transient"),
        ] {
            assert_eq!(kind(&error), expected, "{error:?}");
        }
    }

    /// The sentences are those of public reports, with other names.
    #[test]
    fn what_is_invalid_is_named_with_what_to_correct() {
        let invalid = |variant, component, message: &str| {
            let error = endpoint(variant, component).meaning(&validation_error(message), &Masked::default());
            (error.diagnosis(), error.to_string())
        };
        let missing = "Endpoint yolo of account 123456789012 not found.";
        let gone = "does not exist or is not in service. Create it, correct endpoint_name and region, or choose another provider.";
        let (there, not_there) = (Diagnosis::ConfigMismatch, Diagnosis::EndpointNotInService);
        for (sentence, diagnosis, advice) in [
            (invalid(None, None, missing), not_there, gone),
            (invalid(Some("blue"), None, missing), not_there, gone),
            (
                invalid(None, None, "Endpoint yolo is not in service."),
                not_there,
                "is not in service. Start it or wait until it is, or choose another provider.",
            ),
            (
                invalid(Some("blue"), None, "Variant blue not found for request."),
                not_there,
                "has no production variant \"blue\" in service. Correct target_variant.",
            ),
            (
                invalid(None, Some("sam"), "Inference Component sam not found."),
                not_there,
                "has no inference component \"sam\" in service. Correct inference_component_name.",
            ),
            (
                invalid(
                    None,
                    None,
                    "Inference Component Name header is required for endpoints to which you plan to deploy inference components.",
                ),
                there,
                "hosts inference components. Name the one to call as inference_component_name.",
            ),
            (
                invalid(None, None, "Request 186633a1-9a9f-4557-8e2b-038d9aa4bba4 is missing a target model header."),
                there,
                "hosts several models. Name the one to call as target_model, such as model.tar.gz.",
            ),
            (
                invalid(
                    None,
                    None,
                    "Endpoint yolo is not a multi-model endpoint and does not support target model header.",
                ),
                there,
                "is no multi-model endpoint. Leave out target_model.",
            ),
            (
                invalid(
                    None,
                    None,
                    "Failed to download model data(bucket: b, key: a.tar.gz). Please ensure that there is an object located at the URL and that the role passed to CreateModel has permissions to download the object.",
                ),
                there,
                "cannot load the model \"a.tar.gz\". Correct target_model, or let the endpoint's role read the file.",
            ),
            (
                invalid(
                    None,
                    None,
                    "1 validation error detected: Value at 'endpointName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*",
                ),
                there,
                "cannot be called: SageMaker does not accept endpoint_name. Correct it.",
            ),
            (
                invalid(None, None, "Account 123456789012 may not do so in 2026."),
                there,
                "cannot be called as the provider's config says: \"Account *** may not do so in 2026\".",
            ),
            (
                invalid(None, None, ""),
                there,
                "cannot be called as the provider's config says, and SageMaker does not say why.",
            ),
        ] {
            assert_eq!(sentence, (diagnosis, format!("SageMaker endpoint \"yolo\" in eu-central-1 {advice}")));
        }
        let (_, body) = invalid(
            None,
            None,
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to 6291456",
        );
        assert!(body.starts_with("SageMaker does not accept the request"), "{body}");
    }

    #[test]
    fn a_containers_words_are_quoted_without_the_files_url() {
        let error = |words: &str| {
            let error = ModelError::builder().original_status_code(500).original_message(words);
            let masked = Masked::default().and_query("https://bucket/x?X-Amz-Signature=0123456789");
            failed(&error.build(), &masked).to_string()
        };

        let words = "The model answered status 500. The model's words: ";
        assert_eq!(
            error(r#"{"code": 500, "message": "CUDA out of memory"}"#),
            format!("{words}\"CUDA out of memory\".")
        );
        assert_eq!(error("s = 0123456789, https://bucket/x"), format!("{words}\"s = ***, [address]\"."));
        assert_eq!(error(""), "The model answered status 500.");
    }
}

//! The AWS configuration that every client of a process shares: one HTTP client, no probing at start-up.
//!
//! What is left out, and why (docs/decisions/0006): the native root store (9 M instructions to read; AWS's own
//! endpoints need five roots), the credentials chain (Lambda gives both region and credentials in the environment),
//! and aws-lc (422 M instructions of entropy at start-up; ring needs none).

use std::fs;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tracing::error;

use super::env;
use crate::sdk::LazyClient;

/// The roots of AWS's endpoints (Amazon Trust Services, "Certificate authorities"): Amazon Root CA 1–4 and Starfield
/// Services Root CA G2.
const ROOTS: &str = include_str!("amazon-roots.pem");

/// A connection that is not made in this time fails.
const CONNECT: Duration = Duration::from_secs(2);
/// One attempt of a call to DynamoDB, S3, SQS, Step Functions or KMS.
const ATTEMPT: Duration = Duration::from_secs(6);
/// A call with its retries.
const OPERATION: Duration = Duration::from_secs(20);
/// One attempt, where a client waits for the answer.
const API_ATTEMPT: Duration = Duration::from_secs(2);
/// A call with its retries, where a client waits for the answer: functions of the API have 29 seconds in all.
const API_OPERATION: Duration = Duration::from_secs(4);
/// An answer of a real-time endpoint takes at most 60 seconds (AWS, "InvokeEndpoint").
const MODEL: Duration = Duration::from_secs(65);

/// AWS, as this process reaches it.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
}

impl Aws {
    /// For a Lambda behind the API: it must have answered, well or badly, before the gateway or Lambda ends it.
    pub async fn in_api() -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(API_ATTEMPT)
            .operation_timeout(API_OPERATION)
            .build();
        let Self { config } = Self::in_lambda().await;
        Self { config: config.into_builder().timeout_config(timeouts).build() }
    }

    /// For a Lambda: region and credentials from its environment.
    pub async fn in_lambda() -> Self {
        let loader = loader()
            .region(EnvironmentVariableRegionProvider::new())
            .credentials_provider(EnvironmentVariableCredentialsProvider::new());
        Self { config: loader.load().await }
    }

    /// For a person's command: whatever the AWS command line would use.
    pub async fn for_people() -> Self {
        Self { config: loader().load().await }
    }

    /// For clients of everything but models.
    #[must_use]
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// A client of everything but models, made at its first call.
    #[must_use]
    pub fn client<C: 'static>(&self, make: fn(&SdkConfig) -> C) -> LazyClient<C> {
        let config = self.config.clone();
        LazyClient::new(move || make(&config))
    }

    /// Those that sign all calls.
    #[must_use]
    pub fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.config.credentials_provider()
    }

    /// For clients of models: they may take their time, and repeating a call is the worker's decision.
    #[must_use]
    pub fn model_config(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(MODEL)
            .operation_timeout(MODEL)
            .build();
        self.config.clone().into_builder().timeout_config(timeouts).retry_config(RetryConfig::disabled()).build()
    }
}

/// The one HTTP client, without the check that each service client makes when it is built. hyper's check builds a connector with
/// all roots and drops it: 0.27 M instructions for each of two to five clients (decision 0019).
#[derive(Debug)]
struct Unchecked(SharedHttpClient);

impl HttpClient for Unchecked {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

fn loader() -> ConfigLoader {
    #[expect(clippy::expect_used, reason = "the roots are part of the binary: a test reads them")]
    let tls = TlsContext::builder().with_trust_store(roots()).build().expect("the roots can be read");
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Unchecked(http))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(4))
}

/// AWS's own, and those in the file `AWS_CA_BUNDLE`, as the AWS command line has it: for a network whose proxy to AWS has a
/// certificate of its own.
fn roots() -> TrustStore {
    let roots = TrustStore::empty().with_pem_certificate(ROOTS);
    let Some(file) = env::ca_bundle() else { return roots };
    match fs::read(file) {
        Ok(bundle) => roots.with_pem_certificate(bundle),
        Err(error) => {
            error!(%error, "AWS_CA_BUNDLE cannot be read: only AWS's own authorities are trusted");
            roots
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_roots_can_be_read() {
        let _ = super::loader();
    }
}

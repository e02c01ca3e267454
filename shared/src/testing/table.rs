use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use memory_dynamodb::Table;

use crate::store::Store;

/// The table in this process: no socket, no signature, no wait but those that a test asks for. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryTable {
    table: Arc<Table>,
    /// By operation.
    latencies: Arc<Mutex<HashMap<String, Duration>>>,
}

impl MemoryTable {
    /// The product's way to it.
    #[must_use]
    pub fn store(&self) -> Store {
        let connector = SharedHttpConnector::new(self.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .allow_no_auth()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Store::new(Client::from_conf(config.build()), "autolabel")
    }

    /// The same table, without the delays.
    #[must_use]
    pub fn quick(&self) -> Self {
        Self { table: Arc::clone(&self.table), ..Self::default() }
    }

    /// From now on calls of this operation take so long, by tokio's clock, and then have their effect.
    pub fn slow_down(&self, operation: &str, latency: Duration) {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).insert(operation.to_owned(), latency);
    }

    fn latency(&self, target: &str) -> Duration {
        let operation = target.rsplit('.').next().unwrap_or_default();
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).get(operation).copied().unwrap_or_default()
    }
}

impl HttpConnector for MemoryTable {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let table = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let latency = table.latency(target);
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let (status, answer) = table.table.call(target, request.body().bytes().unwrap_or_default());
            let status = StatusCode::try_from(status.as_u16()).map_err(|e| ConnectorError::other(e.into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(answer)))
        })
    }
}

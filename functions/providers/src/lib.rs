//! Inference providers over HTTPS (contract, section 8).

mod handlers;
mod probe;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use shared::domain::access::trust::Trust;
use shared::ports::{Clock, Connect, Files, Objects, Projects, Providers, Secrets};
use utoipa::OpenApi;

pub use view::{ProviderView, TestView};

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(handlers::create, handlers::list, handlers::get, handlers::update, handlers::remove, handlers::test))]
pub struct Description;

/// The adapters of the function, each known by its port alone.
pub trait ProviderPorts: 'static {
    /// The table.
    type Store: Providers + Projects;
    /// KMS.
    type Secrets: Secrets;
    /// The bucket.
    type Objects: Objects;
    /// The guarded HTTP client.
    type Web: Files;
    /// SageMaker and HTTPS endpoints.
    type Models: Connect + Send + Sync;
    /// UTC.
    type Clock: Clock;
}

/// The state of the handlers.
pub struct ProviderApi<P: ProviderPorts> {
    /// Providers, and the projects that they may be limited to.
    pub store: P::Store,
    /// Seals the credentials.
    pub secrets: P::Secrets,
    /// Holds the picture that a test sends.
    pub objects: P::Objects,
    /// Fetches the masks of a test's answer.
    pub web: P::Web,
    /// Asks the model of a test.
    pub models: P::Models,
    /// Dates rows and tests.
    pub clock: P::Clock,
    /// The principals that a tenant's role must trust.
    pub trust: Trust,
    /// Whether `http://localhost` is a valid endpoint: the development switch (contract, D18).
    pub loopback_http: bool,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: ProviderPorts>(state: Arc<ProviderApi<P>>) -> Router {
    Router::new()
        .route("/inference-providers", get(handlers::list).post(handlers::create))
        .route("/inference-providers/{uid}", get(handlers::get).patch(handlers::update).delete(handlers::remove))
        .route("/inference-providers/{uid}/test", post(handlers::test))
        .with_state(state)
}

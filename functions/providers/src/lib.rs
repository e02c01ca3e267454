//! Inference providers over HTTPS (contract, section 8).

mod handlers;
mod probe;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use shared::ports::{Clock, Connect, Objects, Projects, Providers, Secrets};
use utoipa::OpenApi;

pub use view::{ProviderView, TestView};

/// What this function says of its routes in the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(handlers::create, handlers::list, handlers::get, handlers::update, handlers::remove, handlers::test))]
pub struct Description;

/// What the handlers work with.
pub struct App<S, V, O, M, C> {
    /// The table.
    pub store: S,
    /// What seals the credentials.
    pub secrets: V,
    /// The bucket, for what a test shows to a model.
    pub objects: O,
    /// The way to models, for tests.
    pub models: M,
    /// The time.
    pub clock: C,
    /// The development switch (contract, D18).
    pub loopback_http: bool,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<S, V, O, M, C>(app: App<S, V, O, M, C>) -> Router
where
    S: Providers + Projects + 'static,
    V: Secrets + 'static,
    O: Objects + 'static,
    M: Connect + Send + Sync + 'static,
    C: Clock + 'static,
{
    let one = get(handlers::get::<S, V, O, M, C>)
        .patch(handlers::update::<S, V, O, M, C>)
        .delete(handlers::remove::<S, V, O, M, C>);
    Router::new()
        .route("/inference-providers", get(handlers::list::<S, V, O, M, C>).post(handlers::create::<S, V, O, M, C>))
        .route("/inference-providers/{uid}", one)
        .route("/inference-providers/{uid}/test", post(handlers::test::<S, V, O, M, C>))
        .with_state(Arc::new(app))
}

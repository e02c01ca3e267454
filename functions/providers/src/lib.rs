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

/// What this function says of its routes in the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(handlers::create, handlers::list, handlers::get, handlers::update, handlers::remove, handlers::test))]
pub struct Description;

/// What the function is made of, each part known by its ports alone.
pub trait Ports: 'static {
    /// The table.
    type Store: Providers + Projects;
    /// What seals the credentials.
    type Secrets: Secrets;
    /// The bucket.
    type Objects: Objects;
    /// What models point at.
    type Web: Files;
    /// The way to models.
    type Models: Connect + Send + Sync;
    /// The time.
    type Clock: Clock;
}

impl<S, V, O, W, M, C> Ports for (S, V, O, W, M, C)
where
    S: Providers + Projects + 'static,
    V: Secrets + 'static,
    O: Objects + 'static,
    W: Files + 'static,
    M: Connect + Send + Sync + 'static,
    C: Clock + 'static,
{
    type Store = S;
    type Secrets = V;
    type Objects = O;
    type Web = W;
    type Models = M;
    type Clock = C;
}

/// What the handlers work with.
pub struct App<P: Ports> {
    /// The table.
    pub store: P::Store,
    /// What seals the credentials.
    pub secrets: P::Secrets,
    /// The bucket, for what a test shows to a model.
    pub objects: P::Objects,
    /// What models point at: masks, for tests.
    pub web: P::Web,
    /// The way to models, for tests.
    pub models: P::Models,
    /// The time.
    pub clock: P::Clock,
    /// What the owners of roles are told to trust.
    pub trust: Trust,
    /// The development switch (contract, D18).
    pub loopback_http: bool,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: Ports>(app: App<P>) -> Router {
    let one = get(handlers::get::<P>).patch(handlers::update::<P>).delete(handlers::remove::<P>);
    Router::new()
        .route("/inference-providers", get(handlers::list::<P>).post(handlers::create::<P>))
        .route("/inference-providers/{uid}", one)
        .route("/inference-providers/{uid}/test", post(handlers::test::<P>))
        .with_state(Arc::new(app))
}

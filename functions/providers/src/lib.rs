//! Inference providers over HTTPS (contract, section 8).

mod handlers;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use shared::ports::{Clock, Projects, Providers};

pub use view::ProviderView;

/// What the handlers work with.
pub struct App<S, C> {
    /// The table.
    pub store: S,
    /// The time.
    pub clock: C,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<S, C>(app: App<S, C>) -> Router
where
    S: Providers + Projects + 'static,
    C: Clock + 'static,
{
    Router::new()
        .route("/inference-providers", get(handlers::list::<S, C>).post(handlers::create::<S, C>))
        .route(
            "/inference-providers/{uid}",
            get(handlers::get::<S, C>).patch(handlers::update::<S, C>).delete(handlers::remove::<S, C>),
        )
        .with_state(Arc::new(app))
}

//! Webhook subscriptions and deliveries over HTTPS (contract, section 9).

mod handlers;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use shared::ports::{Clock, Receivers, Secrets, Webhooks};

pub use view::{DeliveryView, TestView, WebhookView};

/// What the handlers work with.
pub struct App<S, V, R, C> {
    /// The table.
    pub store: S,
    /// What seals the secrets.
    pub secrets: V,
    /// The way out, for tests.
    pub receivers: R,
    /// The time.
    pub clock: C,
    /// The development switch (contract, D18).
    pub loopback_http: bool,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<S, V, R, C>(app: App<S, V, R, C>) -> Router
where
    S: Webhooks + 'static,
    V: Secrets + 'static,
    R: Receivers + 'static,
    C: Clock + 'static,
{
    let one =
        get(handlers::get::<S, V, R, C>).patch(handlers::update::<S, V, R, C>).delete(handlers::remove::<S, V, R, C>);
    Router::new()
        .route("/webhooks", get(handlers::list::<S, V, R, C>).post(handlers::create::<S, V, R, C>))
        .route("/webhooks/{uid}", one)
        .route("/webhooks/{uid}/test", post(handlers::test::<S, V, R, C>))
        .route("/webhook-deliveries", get(handlers::deliveries::<S, V, R, C>))
        .route("/webhook-deliveries/{uid}", get(handlers::delivery::<S, V, R, C>))
        .with_state(Arc::new(app))
}

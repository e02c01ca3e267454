//! Webhook subscriptions and deliveries over HTTPS (contract, section 9).

mod handlers;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use shared::ports::{Clock, Queue, Secrets, WebhookSender, Webhooks};
use utoipa::OpenApi;

pub use view::{DeliveryView, TestView, WebhookView};

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    handlers::create,
    handlers::list,
    handlers::get,
    handlers::update,
    handlers::remove,
    handlers::test,
    handlers::deliveries,
    handlers::delivery,
    handlers::redeliver,
))]
pub struct Description;

/// What the handlers work with.
pub struct App<S, V, Q, R, C> {
    /// The table.
    pub store: S,
    /// What seals the secrets.
    pub secrets: V,
    /// The webhook queue.
    pub queue: Q,
    /// The way out, for tests.
    pub receivers: R,
    /// The time.
    pub clock: C,
    /// The development switch (contract, D18).
    pub loopback_http: bool,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<S, V, Q, R, C>(app: App<S, V, Q, R, C>) -> Router
where
    S: Webhooks + 'static,
    V: Secrets + 'static,
    Q: Queue + 'static,
    R: WebhookSender + 'static,
    C: Clock + 'static,
{
    let one = get(handlers::get::<S, V, Q, R, C>)
        .patch(handlers::update::<S, V, Q, R, C>)
        .delete(handlers::remove::<S, V, Q, R, C>);
    Router::new()
        .route("/webhooks", get(handlers::list::<S, V, Q, R, C>).post(handlers::create::<S, V, Q, R, C>))
        .route("/webhooks/{uid}", one)
        .route("/webhooks/{uid}/test", post(handlers::test::<S, V, Q, R, C>))
        .route("/webhook-deliveries", get(handlers::deliveries::<S, V, Q, R, C>))
        .route("/webhook-deliveries/{uid}", get(handlers::delivery::<S, V, Q, R, C>))
        .route("/webhook-deliveries/{uid}/redeliver", post(handlers::redeliver::<S, V, Q, R, C>))
        .with_state(Arc::new(app))
}

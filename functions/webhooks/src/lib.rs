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

/// The adapters of the function, each known by its port alone.
pub trait WebhookPorts: 'static {
    /// The table.
    type Store: Webhooks;
    /// KMS.
    type Secrets: Secrets;
    /// The webhook queue.
    type Queue: Queue;
    /// The HTTP client of deliveries.
    type Sender: WebhookSender;
    /// UTC.
    type Clock: Clock;
}

/// The state of the handlers.
pub struct WebhookApi<P: WebhookPorts> {
    /// Webhooks and deliveries.
    pub store: P::Store,
    /// Seals the secrets that sign.
    pub secrets: P::Secrets,
    /// Takes the deliveries that a client asks for again.
    pub queue: P::Queue,
    /// Posts the tests.
    pub sender: P::Sender,
    /// Dates rows and deliveries.
    pub clock: P::Clock,
    /// Whether `http://localhost` is a valid target: the development switch (contract, D18).
    pub loopback_http: bool,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: WebhookPorts>(state: Arc<WebhookApi<P>>) -> Router {
    Router::new()
        .route("/webhooks", get(handlers::list).post(handlers::create))
        .route("/webhooks/{uid}", get(handlers::get).patch(handlers::update).delete(handlers::remove))
        .route("/webhooks/{uid}/test", post(handlers::test))
        .route("/webhook-deliveries", get(handlers::deliveries))
        .route("/webhook-deliveries/{uid}", get(handlers::delivery))
        .route("/webhook-deliveries/{uid}/redeliver", post(handlers::redeliver))
        .with_state(state)
}

use serde::Serialize;
use serde_json::Value;
use shared::domain::Timestamp;
use shared::domain::id::{DeliveryUid, WebhookUid};
use shared::domain::webhook::{Delivery, DeliveryStatus, Webhook};

/// The subscription object (contract, 9.1).
#[derive(Debug, Serialize)]
pub struct WebhookView {
    uid: WebhookUid,
    target_url: String,
    events: Vec<String>,
    is_active: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl WebhookView {
    /// A subscription on the wire: nothing of its secret (I11).
    #[must_use]
    pub fn of(webhook: Webhook) -> Self {
        Self {
            uid: webhook.uid,
            target_url: webhook.target_url,
            events: webhook.events,
            is_active: webhook.is_active,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// The answer to a create call: the one place where a secret is shown. Without `Debug`, so that no log prints it.
#[derive(Serialize)]
pub(crate) struct CreatedView {
    #[serde(flatten)]
    pub(crate) webhook: WebhookView,
    pub(crate) secret: String,
}

/// The delivery object (contract, 9.4).
#[derive(Debug, Serialize)]
pub struct DeliveryView {
    uid: DeliveryUid,
    subscription: WebhookUid,
    event_type: String,
    payload: Value,
    response_status: Option<u16>,
    response_body: Option<String>,
    response_body_size: Option<u64>,
    response_body_sha256: Option<String>,
    response_preview: Option<String>,
    attempts: u32,
    next_retry_at: Option<Timestamp>,
    status: DeliveryStatus,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl DeliveryView {
    /// A delivery on the wire.
    #[must_use]
    pub fn of(delivery: Delivery) -> Self {
        let payload = delivery.payload();
        let response = delivery.response;
        let preview = response.as_ref().map(|response| response.preview.clone());
        Self {
            uid: delivery.uid,
            subscription: delivery.subscription,
            event_type: delivery.event_type,
            payload,
            response_status: response.as_ref().and_then(|response| response.status),
            response_body: preview.clone(),
            response_body_size: response.as_ref().map(|response| response.size),
            response_body_sha256: response.map(|response| response.sha256),
            response_preview: preview,
            attempts: delivery.attempts,
            next_retry_at: delivery.next_retry_at,
            status: delivery.status,
            created_at: delivery.created_at,
            updated_at: delivery.updated_at,
        }
    }
}

/// How a test went (contract, 9.5). A receiver that fails is a result, not an error.
#[derive(Debug, Serialize)]
pub struct TestView {
    success: bool,
    message: String,
    delivery: DeliveryUid,
    response_status: Option<u16>,
}

impl TestView {
    /// The test that this delivery was.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Self {
        let status = delivery.response.as_ref().and_then(|response| response.status);
        let message = match (&delivery.response, status) {
            (_, Some(status)) => format!("The receiver answered {status}."),
            (Some(response), None) => response.preview.clone(),
            (None, None) => String::new(),
        };
        Self {
            success: delivery.status == DeliveryStatus::Delivered,
            message,
            delivery: delivery.uid,
            response_status: status,
        }
    }
}

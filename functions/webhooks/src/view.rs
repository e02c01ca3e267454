use serde::Serialize;
use serde_json::Value;
use shared::domain::Timestamp;
use shared::domain::id::{DeliveryUid, WebhookUid};
use shared::domain::webhook::{Delivery, DeliveryStatus, Webhook};
use utoipa::ToSchema;

/// A webhook (contract, 9.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
#[schema(example = json!({"target_url": "https://hooks.example.com/autolabel", "events": ["auto_label.completed", "auto_label.failed"]}))]
pub struct WebhookView {
    uid: WebhookUid,
    /// The URL that receives the events.
    target_url: String,
    /// Names of events.
    events: Vec<String>,
    /// Whether events are sent.
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

/// The answer to a create call: no other one shows a secret.
// Without `Debug`, so that no log prints it.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedWebhook)]
#[schema(example = json!({"secret": "whsec_TheSecretThatSignsEveryDeliveryShownThisOnce00"}))]
pub(crate) struct CreatedView {
    #[serde(flatten)]
    pub(crate) webhook: WebhookView,
    /// Signs every delivery. If the system made it, `whsec_` and 44 letters and digits.
    pub(crate) secret: String,
}

/// A delivery: one event on its way to one webhook (contract, 9.4).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
#[schema(example = json!({
    "event_type": "webhook.test", "payload": {"webhook_uid": "01a20112-0650-78aa-9a3c-3c54459424af"},
    "response_status": 200, "response_body": "ok", "response_body_size": 2, "response_preview": "ok",
    "response_body_sha256": "2689367b205c16ce32ed4200942b8b8b1e262dfc70d9bc9fbc77c49699a4f1df",
    "attempts": 1, "next_retry_at": null, "status": "delivered",
}))]
pub struct DeliveryView {
    uid: DeliveryUid,
    /// The webhook.
    subscription: WebhookUid,
    event_type: String,
    /// The event's inner payload.
    #[schema(value_type = Object)]
    payload: Value,
    /// Of the last attempt; `null`: there was no answer, or no attempt yet.
    #[schema(required)]
    response_status: Option<u16>,
    /// The first 1,024 characters of the answer, or why there was none.
    #[schema(required)]
    response_body: Option<String>,
    /// Bytes that were read.
    #[schema(required)]
    response_body_size: Option<u64>,
    /// Of these bytes, hexadecimal.
    #[schema(required)]
    response_body_sha256: Option<String>,
    /// The same as `response_body`.
    #[schema(required)]
    response_preview: Option<String>,
    /// Since the delivery was made, or last asked for.
    attempts: u32,
    /// While it is pending: the next attempt, or the end of the one that is being made.
    #[schema(required)]
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookTest)]
#[schema(example = json!({"success": true, "message": "The receiver answered 200.", "response_status": 200}))]
pub struct TestView {
    /// Whether the receiver answered 2xx.
    success: bool,
    /// A sentence.
    message: String,
    /// Its record.
    delivery: DeliveryUid,
    /// `null`: there was no answer.
    #[schema(required)]
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

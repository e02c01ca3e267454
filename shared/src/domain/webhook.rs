//! Webhooks: subscriptions, events and deliveries (contract, section 9).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::id::{DeliveryUid, JobUid, OrganizationUid, WebhookUid};
use super::job::{Job, JobStatus};
use super::{Timestamp, fields, limits};

/// The eleven names that a subscription may list (contract, D19). This system emits the first two.
pub const EVENTS: [&str; 11] = [
    "auto_label.completed",
    "auto_label.failed",
    "dataset.created",
    "dataset.updated",
    "dataset.deleted",
    "export.completed",
    "export.failed",
    "task.completed",
    "result.submitted",
    "result.accepted",
    "result.rejected",
];

/// A subscription. Its secret is sealed: only `deliver` opens it (I11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its identifier.
    pub uid: WebhookUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// Where events go.
    pub target_url: String,
    /// Which.
    pub events: Vec<String>,
    /// Whether they go.
    pub is_active: bool,
    /// Ciphertext.
    pub sealed_secret: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// What a sealed secret is bound to: a ciphertext moved to another row does not open.
    #[must_use]
    pub fn secret_context(organization: OrganizationUid, uid: WebhookUid) -> String {
        format!("{organization}/webhook/{uid}")
    }

    /// Whether it gets `event`.
    #[must_use]
    pub fn wants(&self, event: &str) -> bool {
        self.is_active && self.events.iter().any(|e| e == event)
    }
}

/// Reads `events`: known names, duplicates removed, at least one.
///
/// # Errors
/// A sentence.
pub fn events(value: Value) -> Result<Vec<String>, String> {
    let mut events: Vec<String> = Vec::new();
    for entry in fields::list(limits::NAME_CHARS)(value)? {
        let event = fields::text(1, limits::NAME_CHARS)(entry)?;
        if !EVENTS.contains(&event.as_str()) {
            return Err(format!("Unknown event \"{event}\". Known are: {}.", EVENTS.join(", ")));
        }
        if !events.contains(&event) {
            events.push(event);
        }
    }
    if events.is_empty() { Err("Must name at least one event.".into()) } else { Ok(events) }
}

/// What a finished job tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub event: &'static str,
    /// The inner payload.
    pub payload: Value,
}

impl Event {
    /// The event of a job that ended as `status`; a cancelled job tells nothing (contract, 6.6).
    #[must_use]
    pub fn of(job: &Job, status: JobStatus, error_message: Option<&str>) -> Option<Self> {
        let event = match status {
            JobStatus::Completed => "auto_label.completed",
            JobStatus::Failed => "auto_label.failed",
            _ => return None,
        };
        let counters = job.state.counters;
        let mut payload = json!({
            "job_uid": job.spec.uid, "project_uid": job.spec.project, "status": status,
            "total_items": counters.total, "successful": counters.successful, "failed": counters.failed,
            "skipped": counters.skipped, "dry_run": job.spec.dry_run,
        });
        if let Some(message) = error_message {
            payload["error_message"] = message.into();
        }
        Some(Self { event, payload })
    }

    /// The body that is signed, sent and kept: made once, the same bytes on every attempt (I6).
    #[must_use]
    pub fn body(&self) -> String {
        json!({"event": self.event, "payload": self.payload}).to_string()
    }
}

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// To be tried, or tried again.
    Pending,
    /// Answered with 2xx.
    Delivered,
    /// Given up.
    Failed,
}

/// One event for one subscription: the record, and the outbox entry that was written with the job's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its identifier, the same on every attempt.
    pub uid: DeliveryUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// Where it goes.
    pub subscription: WebhookUid,
    /// The event's name.
    pub event_type: String,
    /// The exact body.
    pub body: String,
    /// Where it is in its life.
    pub status: DeliveryStatus,
    /// Attempts made.
    pub attempts: u32,
    /// While pending after a failure.
    pub next_retry_at: Option<Timestamp>,
    /// Of the last attempt.
    pub response: Option<Response>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// HTTP status; `None`: no answer, and the preview says why.
    pub status: Option<u16>,
    /// Bytes of the body that were read.
    pub size: u64,
    /// Of those bytes, hex.
    pub sha256: String,
    /// The first 1,024 characters.
    pub preview: String,
}

impl Delivery {
    /// The delivery of a job's event to a subscription.
    #[must_use]
    pub fn of_job(job: JobUid, event: &Event, webhook: &Webhook, now: Timestamp) -> Self {
        Self {
            uid: DeliveryUid::of(job, webhook.uid),
            organization: webhook.organization,
            subscription: webhook.uid,
            event_type: event.event.to_owned(),
            body: event.body(),
            status: DeliveryStatus::Pending,
            attempts: 0,
            next_retry_at: None,
            response: None,
            created_at: now,
            updated_at: now,
        }
    }
}

//! Webhooks: subscriptions, events and deliveries (contract, section 9).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::domain::export::{Export, ExportStatus};
use crate::domain::fields::{self, Fields};
use crate::domain::id::{DeliveryUid, EventUid, OrganizationUid, WebhookUid};
use crate::domain::import::{Import, ImportStatus};
use crate::domain::item::Item;
use crate::domain::item::result::{LabelResult, ResultStatus};
use crate::domain::job::Job;
use crate::domain::job_status::JobStatus;
use crate::domain::{Error, Timestamp, change_time, limits, show};

/// The eleven names of the contract that a subscription may list (D19). This system emits those of jobs and exports,
/// `task.completed`, and the last two.
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

/// A twelfth, of this system's own. A subscription that does not name it gets no event of a cancelled job (contract, 6.6).
pub const CANCELLED: &str = "auto_label.cancelled";

/// Two more of this system's own, which a subscription also names to get them.
pub const IMPORTS: [&str; 2] = ["import.completed", "import.failed"];

/// The events that one verdict may have together.
const VERDICTS: [&[&str]; 2] = [&["result.accepted", "task.completed"], &["result.rejected"]];

/// A subscription. Its secret is sealed: only `deliver`, and `webhooks` for a test, open it (I11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its identifier.
    pub uid: WebhookUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// The receiver's URL, as the user gave it.
    pub target_url: String,
    /// Names of events, of [`EVENTS`], [`CANCELLED`] and [`IMPORTS`].
    pub events: Vec<String>,
    /// An inactive one gets no events, and its pending deliveries fail.
    pub is_active: bool,
    /// Ciphertext of KMS, base64, bound to [`Self::secret_context`].
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

/// Checks that the deliveries of a verdict fit into its transaction once `webhook` is one of an organization's subscriptions. What makes
/// no verdict larger is never refused.
///
/// # Errors
/// `TooMany`.
pub fn check_room(there: &[Webhook], webhook: &Webhook) -> Result<(), Error> {
    let others = there.iter().filter(|other| other.uid != webhook.uid);
    let (before, after) = (of_a_verdict(there), of_a_verdict(others.chain([webhook])));
    if after <= limits::VERDICT_DELIVERIES.max(before) {
        return Ok(());
    }
    Err(Error::TooMany(format!(
        "The webhooks of an organization may have at most {} subscriptions to events of one review. With this one \
         result.accepted and task.completed, or result.rejected, would have {after}. Leave out task.completed, for example.",
        limits::VERDICT_DELIVERIES
    )))
}

/// The deliveries that one verdict has at most.
fn of_a_verdict<'a>(webhooks: impl IntoIterator<Item = &'a Webhook>) -> usize {
    let mut counts = VERDICTS.map(|_| 0);
    for webhook in webhooks {
        for (count, events) in counts.iter_mut().zip(VERDICTS) {
            *count += events.iter().filter(|event| webhook.wants(event)).count();
        }
    }
    counts.into_iter().max().unwrap_or_default()
}

/// What a webhook is made of.
// The body of a create call (contract, 9.1). Without `Debug`, so that no log prints the secret (I11).
#[derive(PartialEq, Eq, ToSchema)]
#[schema(example = json!({"target_url": "https://hooks.example.com/autolabel", "events": ["auto_label.completed", "auto_label.failed"]}))]
pub struct NewWebhook {
    /// An HTTPS URL that leads to a public address.
    #[schema(format = "uri", max_length = 2048)]
    target_url: String,
    /// Names of events.
    #[schema(min_items = 1, max_items = 255)]
    events: Vec<String>,
    #[schema(value_type = Option<bool>, default = true)]
    is_active: bool,
    /// If not given, one is made.
    #[schema(min_length = 16, max_length = 256)]
    pub secret: Option<String>,
}

impl NewWebhook {
    /// Reads the body of a create call. `target_url` is the guard's rule, which is no part of the domain.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], target_url: impl FnOnce(Value) -> Result<String, String>) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let target_url = fields.required("target_url", target_url).unwrap_or_default();
        let events = fields.required("events", events).unwrap_or_default();
        let is_active = fields.optional("is_active", fields::boolean).unwrap_or(true);
        let secret = fields.optional("secret", secret);
        fields.finish()?;
        Ok(Self { target_url, events, is_active, secret })
    }

    /// The subscription that it asks for.
    #[must_use]
    pub fn into_webhook(
        self,
        uid: WebhookUid,
        organization: OrganizationUid,
        sealed_secret: String,
        now: Timestamp,
    ) -> Webhook {
        let Self { target_url, events, is_active, secret: _ } = self;
        Webhook { uid, organization, target_url, events, is_active, sealed_secret, created_at: now, updated_at: now }
    }
}

/// What can be changed about a webhook.
// The body of an update call: what is not sent stays, and the secret cannot be changed (contract, 9.1).
#[derive(Debug, PartialEq, Eq, ToSchema)]
#[schema(as = ChangedWebhook)]
#[schema(example = json!({"events": ["auto_label.completed"], "is_active": true}))]
pub struct WebhookChange {
    /// An HTTPS URL that leads to a public address.
    #[schema(format = "uri", max_length = 2048)]
    target_url: Option<String>,
    /// Names of events.
    #[schema(min_items = 1, max_items = 255)]
    events: Option<Vec<String>>,
    is_active: Option<bool>,
}

impl WebhookChange {
    /// Reads the body of an update call; see [`NewWebhook::read`].
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], target_url: impl FnOnce(Value) -> Result<String, String>) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let change = Self {
            target_url: fields.optional("target_url", target_url),
            events: fields.optional("events", events),
            is_active: fields.optional("is_active", fields::boolean),
        };
        fields.optional("secret", |_| {
            Err::<(), _>("Cannot be changed: create another webhook, and delete this one.".into())
        });
        fields.finish()?;
        Ok(change)
    }

    /// The subscription with the change.
    #[must_use]
    pub fn of(self, webhook: Webhook, now: Timestamp) -> Webhook {
        Webhook {
            target_url: self.target_url.unwrap_or(webhook.target_url),
            events: self.events.unwrap_or(webhook.events),
            is_active: self.is_active.unwrap_or(webhook.is_active),
            updated_at: change_time(webhook.updated_at, now),
            ..webhook
        }
    }
}

/// Reads `secret`. As it came: a trimmed secret would sign differently from the client's own copy.
fn secret(value: Value) -> Result<String, String> {
    let limits = limits::SECRET_CHARS;
    match value {
        Value::String(secret) if limits.contains(&secret.chars().count()) => Ok(secret),
        Value::String(_) => Err(format!("Must have {} to {} characters.", limits.start(), limits.end())),
        other => Err(fields::must_be("a string", show::kind(&other))),
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
        let is_own = event == CANCELLED || IMPORTS.contains(&event.as_str());
        if !is_own && !EVENTS.contains(&event.as_str()) {
            let unknown = show::quoted(&event);
            return Err(format!(
                "Unknown event {unknown}. Known are: {}, {CANCELLED}, {}.",
                EVENTS.join(", "),
                IMPORTS.join(", ")
            ));
        }
        if !events.contains(&event) {
            events.push(event);
        }
    }
    if events.is_empty() { Err("Must name at least one event.".into()) } else { Ok(events) }
}

/// Something that subscriptions are notified of.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Made of the job, export, import or review: a repeated write has the same event.
    pub uid: EventUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// One of [`EVENTS`], [`CANCELLED`] or [`IMPORTS`].
    pub event: &'static str,
    /// The inner payload.
    pub payload: Value,
}

impl Event {
    /// The event of a job that ends as `status`, with the counters that `job` has; `None` of a status that is no end. Of a
    /// cancelled job they are those of that moment: what is in flight is counted after it.
    #[must_use]
    pub fn of_job(job: &Job, status: JobStatus, error_message: Option<&str>) -> Option<Self> {
        let event = match status {
            JobStatus::Completed => "auto_label.completed",
            JobStatus::Failed => "auto_label.failed",
            JobStatus::Cancelled => CANCELLED,
            JobStatus::Pending | JobStatus::Running => return None,
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
        Some(Self { uid: EventUid::of_job(job.spec.uid), organization: job.spec.organization, event, payload })
    }

    /// The event of a result of `item` that a person has reviewed; a correction is an acceptance. `None` of a draft.
    #[must_use]
    pub fn of_review(item: &Item, reviewed: &LabelResult) -> Option<Self> {
        let event = match reviewed.status {
            ResultStatus::Accepted => "result.accepted",
            ResultStatus::Rejected => "result.rejected",
            ResultStatus::Draft => return None,
        };
        let result = reviewed.uid(item.asset.uid);
        let payload = json!({
            "result_uid": result, "item_uid": item.asset.uid, "project_uid": item.project,
            "task_uid": item.asset.uid, // one task per item, so it has the item's uid
            "job_uid": reviewed.lineage.as_ref().map(|lineage| lineage.job),
            "status": reviewed.status, "source": reviewed.source, "reviewed_by": reviewed.reviewed_by,
            "corrected": reviewed.is_corrected(),
        });
        let uid = EventUid::of_review(result, reviewed.revision);
        Some(Self { uid, organization: item.organization, event, payload })
    }

    /// The event of an export at its end; `None` before. It has no URL: a URL expires, and the bytes of a delivery never change.
    #[must_use]
    pub fn of_export(export: &Export) -> Option<Self> {
        let event = match export.status {
            ExportStatus::Exported => "export.completed",
            ExportStatus::Failed => "export.failed",
            ExportStatus::Pending | ExportStatus::Processing => return None,
        };
        let projects: Vec<_> = export.sources.iter().map(|source| source.project).collect();
        let mut payload = json!({
            "export_uid": export.uid, "project_uid": export.project(), "project_uids": projects, "status": export.status,
            "format": export.options.format, "total_task_count": export.total, "exported_task_count": export.done,
        });
        if let Some(message) = &export.error_message {
            payload["error_message"] = message.as_str().into();
        }
        Some(Self { uid: EventUid::of_export(export.uid), organization: export.organization, event, payload })
    }

    /// The event of an import at its end; `None` before.
    #[must_use]
    pub fn of_import(import: &Import) -> Option<Self> {
        let event = match import.status {
            ImportStatus::Imported => "import.completed",
            ImportStatus::Failed => "import.failed",
            ImportStatus::Pending | ImportStatus::Processing => return None,
        };
        let mut payload = json!({
            "import_uid": import.uid, "project_uid": import.project, "status": import.status, "format": import.format,
            "as": import.becomes, "counts": import.counts,
        });
        if let Some(message) = &import.error_message {
            payload["error_message"] = message.as_str().into();
        }
        Some(Self { uid: EventUid::of_import(import.uid), organization: import.organization, event, payload })
    }

    /// The event of a review that completes a task: `item` is as it was before. `None`: it was completed already, or is not by this.
    #[must_use]
    pub fn of_task(item: &Item, reviewed: &LabelResult) -> Option<Self> {
        let was = item.result.as_ref().map(|before| before.status);
        if reviewed.status != ResultStatus::Accepted || was == Some(ResultStatus::Accepted) {
            return None;
        }
        let result = reviewed.uid(item.asset.uid);
        let payload = json!({
            "task_uid": item.asset.uid, "item_uid": item.asset.uid, "project_uid": item.project, "result_uid": result,
            "status": "completed", "reviewed_by": reviewed.reviewed_by,
        });
        let uid = EventUid::of_task(result, reviewed.revision);
        Some(Self { uid, organization: item.organization, event: "task.completed", payload })
    }

    /// The events of a verdict: `item` is as it was before.
    pub fn of_verdict(item: &Item, reviewed: &LabelResult) -> impl Iterator<Item = Self> + use<> {
        [Self::of_review(item, reviewed), Self::of_task(item, reviewed)].into_iter().flatten()
    }

    /// Its delivery to each of `webhooks` that wants it.
    #[must_use]
    pub fn deliveries(&self, webhooks: &[Webhook], now: Timestamp) -> Vec<Delivery> {
        let wanting = webhooks.iter().filter(|webhook| webhook.wants(self.event));
        wanting.map(|webhook| Delivery::of(self, webhook, now)).collect()
    }

    /// The body that is signed, sent and kept: made once, the same bytes on every attempt (I6).
    #[must_use]
    pub fn body(&self) -> String {
        body(self.event, &self.payload)
    }
}

fn body(event: &str, payload: &Value) -> String {
    json!({"event": event, "payload": payload}).to_string()
}

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// To be tried, or tried again.
    Pending,
    /// Answered with 2xx.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The word on the wire and in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One event for one subscription: its row is written in the transaction of the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its identifier, the same on every attempt.
    pub uid: DeliveryUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// The webhook that gets it.
    pub subscription: WebhookUid,
    /// The event's name.
    pub event_type: String,
    /// The exact body.
    pub body: String,
    /// Where it is in its life.
    pub status: DeliveryStatus,
    /// Attempts made.
    pub attempts: u32,
    /// While pending: after a failure the next attempt, during an attempt the end of the worker's lease.
    pub next_retry_at: Option<Timestamp>,
    /// The response of the last attempt.
    pub response: Option<Response>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A receiver's answer to an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// HTTP status; `None`: no answer, and the preview says why.
    pub status: Option<u16>,
    /// Bytes of the body that were read.
    pub size: u64,
    /// The digest of those bytes, hex.
    pub sha256: String,
    /// The first 1,024 characters.
    pub preview: String,
}

impl Response {
    /// An answer, with as much of its body as was read.
    #[must_use]
    pub fn of(status: u16, body: &[u8]) -> Self {
        Self {
            status: Some(status),
            size: body.len() as u64,
            sha256: hex::encode(Sha256::digest(body)),
            preview: String::from_utf8_lossy(body).chars().take(limits::RESPONSE_PREVIEW_CHARS).collect(),
        }
    }

    /// No answer; `why` is a sentence.
    #[must_use]
    pub fn none(why: impl Into<String>) -> Self {
        Self { status: None, preview: why.into(), ..Self::of(0, &[]) }
    }

    /// Whether the receiver has the event: any 2xx (contract, D23).
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the receiver wants no more of it: 410 Gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

/// A pending delivery that is due within this time is not restarted. Longer than a worker's lease: in the row both are
/// `next_retry_at`.
const SOON: Duration = Duration::from_secs(60);

/// The event of a test; it cannot be subscribed to (contract, D24).
const TEST: &str = "webhook.test";

impl Delivery {
    /// A test of a subscription.
    #[must_use]
    pub fn of_test(webhook: &Webhook, now: Timestamp) -> Self {
        let body = body(TEST, &json!({"webhook_uid": webhook.uid}));
        Self::new(DeliveryUid::at(now), TEST, body, webhook, now)
    }

    /// When its next attempt is due, or was.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.next_retry_at.unwrap_or(self.updated_at)
    }

    /// The time until its next attempt; zero: now.
    #[must_use]
    pub fn due_in(&self, now: Timestamp) -> Duration {
        let wait = self.next_retry_at.map(|at| at.duration_since(now));
        // A time that has passed is a negative duration, which this type does not have.
        wait.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default()
    }

    /// Records the response of an attempt. `retry_in`: the delay before the next one; `None`: this was the last.
    pub fn attempted(&mut self, response: Response, retry_in: Option<Duration>, now: Timestamp) {
        self.attempts += 1;
        match retry_in {
            _ if response.accepts() => self.end(DeliveryStatus::Delivered, response, now),
            Some(delay) if !response.is_gone() => {
                self.next_retry_at = Some(now + delay);
                self.response = Some(response);
                self.updated_at = now;
            }
            _ => self.end(DeliveryStatus::Failed, response, now),
        }
    }

    /// The delivery with all its attempts again, as a client asks. `None`: an attempt is due soon anyway.
    ///
    /// # Errors
    /// `NotRedeliverable`: a test, which is never repeated (contract, D24).
    pub fn redelivered(&self, now: Timestamp) -> Result<Option<Self>, Error> {
        if self.event_type == TEST {
            return Err(Error::NotRedeliverable("A test is not repeated. Test the webhook again."));
        }
        // One that is overdue has lost its message.
        let is_overdue = self.next_retry_at.is_some_and(|due| due + SOON < now);
        if self.status == DeliveryStatus::Pending && self.due_in(now) <= SOON && !is_overdue {
            return Ok(None);
        }
        let status = DeliveryStatus::Pending;
        Ok(Some(Self { status, attempts: 0, next_retry_at: None, updated_at: now, ..self.clone() }))
    }

    /// Given up without an attempt: its subscription is gone or inactive (contract, 9.4).
    pub fn abandoned(&mut self, why: &str, now: Timestamp) {
        self.end(DeliveryStatus::Failed, Response::none(why), now);
    }

    fn end(&mut self, status: DeliveryStatus, response: Response, now: Timestamp) {
        self.status = status;
        self.next_retry_at = None;
        self.response = Some(response);
        self.updated_at = now;
    }

    /// The inner payload.
    #[must_use]
    pub fn payload(&self) -> Value {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body.get("payload").cloned().unwrap_or_else(|| json!({}))
    }

    /// The delivery of an event to a subscription.
    #[must_use]
    pub fn of(event: &Event, webhook: &Webhook, now: Timestamp) -> Self {
        Self::new(DeliveryUid::of(event.uid, webhook.uid), event.event, event.body(), webhook, now)
    }

    fn new(uid: DeliveryUid, event: &str, body: String, webhook: &Webhook, now: Timestamp) -> Self {
        Self {
            uid,
            organization: webhook.organization,
            subscription: webhook.uid,
            event_type: event.to_owned(),
            body,
            status: DeliveryStatus::Pending,
            attempts: 0,
            next_retry_at: None,
            response: None,
            created_at: now,
            updated_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn a_webhook() -> Webhook {
        Webhook {
            uid: WebhookUid::at(at(1)),
            organization: OrganizationUid::named("acme"),
            target_url: "https://a.example/hook".into(),
            events: vec!["auto_label.completed".into()],
            is_active: true,
            sealed_secret: "sealed".into(),
            created_at: at(1),
            updated_at: at(1),
        }
    }

    fn any_url(value: Value) -> Result<String, String> {
        fields::text(1, limits::URL_CHARS)(value)
    }

    fn complaint(body: &Value) -> String {
        NewWebhook::read(body.to_string().as_bytes(), any_url).err().unwrap().to_string()
    }

    #[test]
    fn a_status_has_one_word() {
        for status in DeliveryStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn a_subscription_is_active_and_names_each_event_once() {
        let body = json!({"target_url": "https://a.example", "events": ["task.completed", "auto_label.failed", "task.completed"]});
        let new = NewWebhook::read(body.to_string().as_bytes(), any_url).ok().unwrap();

        assert_eq!(new.events, ["task.completed", "auto_label.failed"]);
        assert!(new.is_active && new.secret.is_none());
    }

    /// Contract D19, D24.
    #[test]
    fn a_bad_subscription_names_its_fields_and_never_its_secret() {
        assert_eq!(complaint(&json!({})), "target_url: This field is required.; events: This field is required.");
        let short =
            complaint(&json!({"target_url": "https://a.example", "events": ["export.failed"], "secret": "hunter2"}));
        assert_eq!(short, "secret: Must have 16 to 256 characters.");
        assert!(
            complaint(&json!({"target_url": "u", "events": []})).starts_with("events: Must name at least one event.")
        );
        assert!(
            complaint(&json!({"target_url": "u", "events": [TEST]}))
                .starts_with("events: Unknown event \"webhook.test\".")
        );
    }

    #[test]
    fn a_secret_is_taken_as_it_came() {
        let body = json!({"target_url": "u", "events": ["export.failed"], "secret": "  sixteen at least "});

        assert_eq!(
            NewWebhook::read(body.to_string().as_bytes(), any_url).ok().unwrap().secret.as_deref(),
            Some("  sixteen at least ")
        );
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let before = a_webhook();
        let changed =
            WebhookChange::read(br#"{"is_active": false, "events": null}"#, any_url).unwrap().of(before.clone(), at(9));

        assert_eq!(changed, Webhook { is_active: false, updated_at: at(9), ..before });
    }

    #[test]
    fn the_subscriptions_to_the_events_of_one_verdict_are_bounded_together() {
        let webhook = |n: i64, events: &[&str]| Webhook {
            uid: WebhookUid::at(at(n)),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            ..a_webhook()
        };
        let both = ["result.accepted", "result.rejected", "task.completed"];
        let mut there: Vec<Webhook> = (0..45).map(|n| webhook(n, &both)).collect();
        assert!(check_room(&there[..44], &there[44]).is_ok(), "90 of an acceptance");

        let refused = check_room(&there, &webhook(99, &["task.completed"])).unwrap_err();
        assert!(matches!(&refused, Error::TooMany(why) if why.contains("would have 91.")), "{refused}");
        assert!(check_room(&there, &webhook(99, &["result.accepted"])).is_err());
        assert!(check_room(&there, &webhook(99, &["result.rejected", "export.failed"])).is_ok(), "46 of a rejection");
        assert!(check_room(&there, &Webhook { is_active: false, ..webhook(99, &both) }).is_ok());

        there.extend((45..49).map(|n| webhook(n, &both))); // of before
        assert!(check_room(&there, &there[0]).is_ok(), "it makes nothing larger");
        assert!(check_room(&there, &Webhook { uid: there[0].uid, ..webhook(0, &both[..1]) }).is_ok());
        assert!(check_room(&there, &webhook(99, &both[..1])).is_err());
    }

    /// Contract D23.
    #[test]
    fn an_attempt_ends_a_delivery_or_leaves_it_pending() {
        let minute = Some(Duration::from_secs(60));
        let cases = [
            (Response::of(204, b""), minute, DeliveryStatus::Delivered, None),
            (Response::of(302, b""), minute, DeliveryStatus::Pending, Some(at(70))),
            (Response::of(500, b""), minute, DeliveryStatus::Pending, Some(at(70))),
            (Response::none("No answer."), minute, DeliveryStatus::Pending, Some(at(70))),
            (Response::of(410, b""), minute, DeliveryStatus::Failed, None),
            (Response::of(500, b""), None, DeliveryStatus::Failed, None),
        ];
        for (response, retry_in, status, next) in cases {
            let mut delivery = Delivery::of_test(&a_webhook(), at(1));
            delivery.attempted(response.clone(), retry_in, at(10));

            assert_eq!((delivery.status, delivery.next_retry_at, delivery.attempts), (status, next, 1), "{response:?}");
            assert_eq!((delivery.response, delivery.updated_at), (Some(response), at(10)));
        }
    }

    #[test]
    fn a_delivery_is_due_at_once_or_when_its_time_has_come() {
        let mut delivery = Delivery::of_test(&a_webhook(), at(1));
        assert_eq!(delivery.due_in(at(10)), Duration::ZERO);

        delivery.next_retry_at = Some(at(70));
        for (now, seconds) in [(10, 60), (70, 0), (90, 0)] {
            assert_eq!(delivery.due_in(at(now)), Duration::from_secs(seconds));
        }
    }

    /// Contract D22.
    #[test]
    fn a_long_answer_is_kept_as_a_preview() {
        let response = Response::of(200, "é".repeat(2_000).as_bytes());

        assert_eq!((response.preview.chars().count(), response.size), (1_024, 4_000));
        assert_eq!(Response::none("x").sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    /// Contract D21.
    #[test]
    fn the_record_shows_the_inner_payload() {
        let webhook = a_webhook();
        let delivery = Delivery::of_test(&webhook, at(1));

        assert_eq!(
            delivery.body,
            format!(r#"{{"event":"webhook.test","payload":{{"webhook_uid":"{}"}}}}"#, webhook.uid)
        );
        assert_eq!(delivery.payload(), json!({"webhook_uid": webhook.uid}));
    }
}

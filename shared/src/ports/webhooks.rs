//! Subscriptions, deliveries and their receivers.

use std::time::Duration;

use crate::domain::id::{DeliveryUid, OrganizationUid, WebhookUid};
use crate::domain::webhook::{Delivery, DeliveryStatus, Response, Webhook};
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// Narrows a list of deliveries. `None` narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this subscription.
    pub subscription: Option<WebhookUid>,
    /// Of this event.
    pub event_type: Option<String>,
    /// In this status.
    pub status: Option<DeliveryStatus>,
}

impl DeliveryFilter {
    /// Whether the list has the delivery.
    #[must_use]
    pub fn keeps(&self, delivery: &Delivery) -> bool {
        self.subscription.is_none_or(|uid| uid == delivery.subscription)
            && self.event_type.as_ref().is_none_or(|event| *event == delivery.event_type)
            && self.status.is_none_or(|status| status == delivery.status)
    }
}

/// A message that asks for an attempt to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryRequest {
    /// Its uid.
    pub delivery: DeliveryUid,
    /// The tenant, as the queue's message group; `None`: the sender does not know it.
    pub organization: Option<OrganizationUid>,
    /// Messages that asked for the same attempt before this one.
    pub hops: u32,
}

impl DeliveryRequest {
    /// The first message about the next attempt.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Self {
        Self { delivery: delivery.uid, organization: Some(delivery.organization), hops: 0 }
    }

    /// The message after this one.
    #[must_use]
    pub fn again(self) -> Self {
        Self { hops: self.hops + 1, ..self }
    }
}

/// Webhook subscriptions and deliveries.
#[trait_variant::make(Send)]
pub trait Webhooks: Send + Sync {
    /// Stores a new subscription. Returns the stored one of this uid, if an earlier attempt has stored it.
    ///
    /// # Errors
    /// `TooMany`.
    async fn add_webhook(&self, webhook: &Webhook) -> Result<Option<Webhook>, Error>;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<Webhook, Error>;
    /// The organization's subscriptions.
    async fn webhooks(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<Webhook>, Error>;
    /// Replaces a subscription, if it still equals `before`. `false`: it does not, read it again.
    ///
    /// # Errors
    /// `TooMany`.
    async fn update_webhook(&self, before: &Webhook, after: &Webhook) -> Result<bool, Error>;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn remove_webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<(), Error>;
    /// The delivery of this uid, of any organization.
    async fn delivery(&self, uid: DeliveryUid) -> Result<Option<Delivery>, Error>;
    /// The organization's deliveries.
    async fn deliveries(
        &self,
        organization: OrganizationUid,
        filter: &DeliveryFilter,
        slice: &Slice,
    ) -> Result<Page<Delivery>, Error>;
    /// Stores a delivery whose event is no write of the table: a test.
    async fn add_delivery(&self, delivery: &Delivery) -> Result<(), Error>;
    /// The first `limit` pending deliveries of all tenants that were due before `before`, the first due first. Each with the
    /// number of times that it was put off since its last other change.
    async fn waiting_deliveries(&self, before: Timestamp, limit: usize) -> Result<Vec<(DeliveryUid, u32)>, Error>;
    /// Hides a delivery from [`Webhooks::waiting_deliveries`] until then, and counts that. Nothing else changes.
    async fn put_off_delivery(&self, uid: DeliveryUid, until: Timestamp, times: u32) -> Result<(), Error>;
    /// Starts the attempts of a delivery again, if it still equals `before`. `false`: it does not, read it again.
    async fn restart_delivery(&self, before: &Delivery, after: &Delivery) -> Result<bool, Error>;
    /// Takes a pending delivery until `lease`, if it still equals `delivery`. `false`: another worker has it.
    async fn claim_delivery(&self, delivery: &Delivery, lease: Timestamp) -> Result<bool, Error>;
    /// Stores the outcome of an attempt: status, attempts, next retry, response. `false`: another worker holds the lease, and its
    /// record counts.
    async fn record_delivery(&self, delivery: &Delivery, lease: Timestamp) -> Result<bool, Error>;
    /// Takes one of the organization's `slots` for an invocation, until it is freed or its time is over. `None`: all are taken.
    async fn take_slot(
        &self,
        organization: OrganizationUid,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u32>, Error>;
    /// Frees a slot that was taken `until` then.
    async fn free_slot(&self, organization: OrganizationUid, slot: u32, until: Timestamp) -> Result<(), Error>;
}

/// The webhook queues.
#[trait_variant::make(Send)]
pub trait Queue: Send + Sync {
    /// Asks for attempts to deliver, now. After an error some messages may have been sent.
    async fn send(&self, requests: &[DeliveryRequest]) -> Result<(), Error>;
    /// Asks for attempts by the overflow queue, after `delay` (at most 15 minutes). After an error some messages may have been
    /// sent.
    async fn send_to_overflow(&self, requests: &[DeliveryRequest], delay: Duration) -> Result<(), Error>;
    /// Sends a delivery that was given up to the dead-letter queue, where an alarm watches.
    async fn send_to_dead_letters(&self, delivery: DeliveryUid) -> Result<(), Error>;
}

/// The HTTPS client of webhooks.
#[trait_variant::make(Send)]
pub trait WebhookSender: Send + Sync {
    /// One request, signed at `now`. A failure is a response, too: there is no attempt without one.
    async fn post(&self, target_url: &str, secret: &str, delivery: &Delivery, now: Timestamp) -> Response;
}

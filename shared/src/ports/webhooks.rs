//! Subscriptions, deliveries and their receivers.

use std::future::Future;
use std::time::Duration;

use crate::domain::id::{DeliveryUid, OrganizationUid, WebhookUid};
use crate::domain::webhook::{Delivery, DeliveryStatus, Response, Webhook};
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// What a list of deliveries is narrowed to.
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
    /// Whether the list has it.
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
    /// Which.
    pub delivery: DeliveryUid,
    /// The tenant, whose share of the queue it takes; `None`: the sender does not know it.
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
pub trait Webhooks: Send + Sync {
    /// Stores a new subscription. Answers the one of this uid that is there, if an attempt before has stored it.
    ///
    /// # Errors
    /// `TooMany`.
    fn add_webhook(&self, webhook: &Webhook) -> impl Future<Output = Result<Option<Webhook>, Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn webhook(
        &self,
        organization: OrganizationUid,
        uid: WebhookUid,
    ) -> impl Future<Output = Result<Webhook, Error>> + Send;
    /// The organization's subscriptions.
    fn webhooks(
        &self,
        organization: OrganizationUid,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Webhook>, Error>> + Send;
    /// Stores a subscription over what it was, if it still is as `before` says. `false`: it is not, read it again.
    fn update_webhook(&self, before: &Webhook, after: &Webhook) -> impl Future<Output = Result<bool, Error>> + Send;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    fn remove_webhook(
        &self,
        organization: OrganizationUid,
        uid: WebhookUid,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// The delivery of this uid, whosever it is.
    fn delivery(&self, uid: DeliveryUid) -> impl Future<Output = Result<Option<Delivery>, Error>> + Send;
    /// The organization's deliveries.
    fn deliveries(
        &self,
        organization: OrganizationUid,
        filter: &DeliveryFilter,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<Delivery>, Error>> + Send;
    /// Stores a delivery that tells nothing that was written: a test.
    fn add_delivery(&self, delivery: &Delivery) -> impl Future<Output = Result<(), Error>> + Send;
    /// The first `limit` pending deliveries that were due before `before`, the first due first: the outbox of every tenant.
    /// Each with the number of times that it was put off since anything else was recorded of it.
    fn waiting_deliveries(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(DeliveryUid, u32)>, Error>> + Send;
    /// Has [`Webhooks::waiting_deliveries`] pass over a delivery until then, and counts that; nothing else changes.
    fn put_off_delivery(
        &self,
        uid: DeliveryUid,
        until: Timestamp,
        times: u32,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Puts a delivery back to where it began, if it still is as `before` says. `false`: it is not, read it again.
    fn restart_delivery(&self, before: &Delivery, anew: &Delivery) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Takes a pending delivery until `lease`, if it still is as `delivery` says. `false`: somebody else has it.
    fn claim_delivery(&self, delivery: &Delivery, lease: Timestamp)
    -> impl Future<Output = Result<bool, Error>> + Send;
    /// Stores what came of an attempt: status, attempts, next retry, response. `false`: the lease has passed on, and
    /// what counts is what its new holder records.
    fn record_delivery(
        &self,
        delivery: &Delivery,
        lease: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Takes one of the organization's `slots` for an invocation that delivers for it, until it is given back or its time is
    /// over. `None`: all are taken.
    fn take_slot(
        &self,
        organization: OrganizationUid,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<u32>, Error>> + Send;
    /// Gives a slot back that was taken `until` then.
    fn free_slot(
        &self,
        organization: OrganizationUid,
        slot: u32,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The webhook queues.
pub trait Queue: Send + Sync {
    /// Asks for attempts to deliver, now. After an error some may have been asked for.
    fn send(&self, requests: &[DeliveryRequest]) -> impl Future<Output = Result<(), Error>> + Send;
    /// Asks for attempts by the queue of what must not hold up others, after `delay` (at most 15 minutes). After an error some
    /// may have been asked for.
    fn send_to_overflow(
        &self,
        requests: &[DeliveryRequest],
        delay: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Puts a delivery that was given up where people look.
    fn send_to_dead_letters(&self, delivery: DeliveryUid) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The receivers of webhooks.
pub trait WebhookSender: Send + Sync {
    /// One signed request, of this moment. Whatever goes wrong is the response: there is no attempt without one.
    fn post(
        &self,
        target_url: &str,
        secret: &str,
        delivery: &Delivery,
        now: Timestamp,
    ) -> impl Future<Output = Response> + Send;
}

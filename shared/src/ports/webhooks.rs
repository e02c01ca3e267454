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
    fn waiting_deliveries(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeliveryUid>, Error>> + Send;
    /// Has [`Webhooks::waiting_deliveries`] pass over a delivery until then; nothing else changes.
    fn put_off_delivery(&self, uid: DeliveryUid, until: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
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
}

/// The webhook queue.
pub trait Queue: Send + Sync {
    /// Asks for an attempt to deliver, after `delay` (at most 15 minutes).
    fn send(&self, delivery: DeliveryUid, delay: Duration) -> impl Future<Output = Result<(), Error>> + Send;
    /// Puts a delivery that was given up where people look.
    fn bury(&self, delivery: DeliveryUid) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The receivers of webhooks.
pub trait Receivers: Send + Sync {
    /// One signed request, of this moment. Whatever goes wrong is the response: there is no attempt without one.
    fn tell(
        &self,
        target_url: &str,
        secret: &str,
        delivery: &Delivery,
        now: Timestamp,
    ) -> impl Future<Output = Response> + Send;
}

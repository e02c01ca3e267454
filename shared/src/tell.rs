//! Telling: how an event reaches every subscription that wants it (I6).
//!
//! A delivery is written in the transaction of what it tells, and stands in the table's outbox, in the order of what is due
//! first, until it is delivered or given up. The queue is the quick way to `deliver`. Whoever dies before the queue has a
//! delivery, or finds the queue down, or lets a message end among the dead letters, loses nothing but time: the schedule
//! sends what is overdue.

use std::time::Duration;

use tracing::warn;

use crate::domain::id::OrganizationUid;
use crate::domain::webhook::{Delivery, Event, Webhook};
use crate::domain::{Error, Timestamp, limits};
use crate::ports::{Clock, Queue, Slice, Webhooks};

/// A delivery that is overdue by more than this has been forgotten, and is not just on its way.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// The schedule sends it again after this: while nobody takes messages, they must not pile up, and others must have their
/// turn.
const AGAIN: Duration = Duration::from_secs(900);
/// Deliveries that one round of the schedule sends: what a queue's outage leaves behind is worked off over several.
const ROUND: usize = 1_000;

/// Everybody who may want to be told: at most what fits into a transaction beside what happened.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn listeners(webhooks: &impl Webhooks, organization: OrganizationUid) -> Result<Vec<Webhook>, Error> {
    let all = Slice { limit: limits::TRANSACTION_ACTIONS - 2, ascending: true, ..Slice::default() };
    Ok(webhooks.webhooks(organization, &all).await?.entries)
}

/// The deliveries of what is about to happen, for the transaction that makes it happen.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn deliveries(
    webhooks: &impl Webhooks,
    event: Option<Event>,
    now: Timestamp,
) -> Result<Vec<Delivery>, Error> {
    let Some(event) = event else { return Ok(Vec::new()) };
    Ok(event.deliveries(&listeners(webhooks, event.organization).await?, now))
}

/// Puts deliveries that are in the table on the queue. What it does not take now, the schedule brings.
pub async fn send(queue: &impl Queue, deliveries: &[Delivery]) {
    for delivery in deliveries {
        if let Err(error) = queue.send(delivery.uid, Duration::ZERO).await {
            warn!(delivery.uid = %delivery.uid, causes = error.chain(), "delivery not sent yet");
            return; // it would take no more of them, and a client may be waiting
        }
    }
}

/// Sends what is overdue in the outbox, what was due first first. Twice is fine: `deliver` claims before it tells. Answers
/// how many.
///
/// # Errors
/// `StoreUnavailable`, `QueueUnavailable`.
pub async fn send_waiting(webhooks: &impl Webhooks, queue: &impl Queue, clock: &impl Clock) -> Result<usize, Error> {
    let waiting = webhooks.waiting_deliveries(clock.now() - FORGOTTEN, ROUND).await?;
    for delivery in &waiting {
        queue.send(*delivery, Duration::ZERO).await?;
        webhooks.put_off_delivery(*delivery, clock.now() + AGAIN).await?;
    }
    Ok(waiting.len())
}

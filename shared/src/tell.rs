//! Telling: how an event reaches every subscription that wants it (I6).
//!
//! A delivery is written in the transaction of what it tells, and stays in the table's outbox until `deliver` first claims
//! it. The queue is the quick way from the one to the other. Whoever dies before the queue has a delivery, or finds the
//! queue down, loses nothing but time: the schedule sends what has been waiting.

use std::time::Duration;

use tracing::warn;

use crate::domain::id::OrganizationUid;
use crate::domain::webhook::{Delivery, Event, Webhook};
use crate::domain::{Error, Timestamp, limits};
use crate::ports::{Clock, Queue, Slice, Webhooks};

/// A delivery that waits longer than this in the outbox has been forgotten, and is not just on its way.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Deliveries that one round of the schedule sends: what a queue's outage leaves behind is worked off over several.
const ROUND: usize = 1_000;

/// Everybody who may want to be told: at most what fits into a transaction beside what happened.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn listeners(webhooks: &impl Webhooks, organization: OrganizationUid) -> Result<Vec<Webhook>, Error> {
    let all = Slice { after: None, limit: limits::TRANSACTION_ACTIONS - 2, ascending: true };
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

/// Sends what has been waiting in the outbox, the oldest first. Twice is fine: `deliver` claims before it tells. Answers
/// how many.
///
/// # Errors
/// `StoreUnavailable`, `QueueUnavailable`.
pub async fn send_waiting(webhooks: &impl Webhooks, queue: &impl Queue, clock: &impl Clock) -> Result<usize, Error> {
    let waiting = webhooks.waiting_deliveries(clock.now() - FORGOTTEN, ROUND).await?;
    for delivery in &waiting {
        queue.send(*delivery, Duration::ZERO).await?;
    }
    Ok(waiting.len())
}

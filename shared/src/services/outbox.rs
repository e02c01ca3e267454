//! The outbox: how an event reaches every subscription to it (I6).
//!
//! A delivery is written in the transaction of its event. It stays in the table's outbox, ordered by its due time, until it is
//! delivered or given up. The queue is the quick way to `deliver`. If a process dies before the queue has the delivery, if the
//! queue is down, or if the message ends among the dead letters, only time is lost: the schedule sends what is overdue.

use std::time::Duration;

use tracing::warn;

use crate::domain::id::{DeliveryUid, OrganizationUid};
use crate::domain::webhook::{Delivery, Event, Webhook};
use crate::domain::{Error, Timestamp, limits};
use crate::ports::{Clock, DeliveryRequest, Queue, Slice, Webhooks};

/// A delivery that is overdue by more than this has lost its message. A younger one may be on its way.
const OVERDUE_AFTER: Duration = Duration::from_secs(60);
/// The schedule sends it again after this. During an outage of `deliver` messages must not pile up, and other deliveries
/// get their turn.
const RESEND_AFTER: Duration = Duration::from_secs(900);
/// This many times. Then the delay doubles with each message, up to [`LONGEST_DELAY`]: a delivery whose messages all fail leaves 10
/// dead letters on its first day and one on each later day. After an outage it waits at most about as long again.
const EVEN_RESENDS: u32 = 4;
/// See [`EVEN_RESENDS`].
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3_600);
/// Deliveries that one round of the schedule sends. Several rounds work off what an outage of the queue has left.
const ROUND: usize = 1_000;

/// The organization's subscriptions: at most as many as fit into a transaction beside the event's own writes.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn subscriptions(webhooks: &impl Webhooks, organization: OrganizationUid) -> Result<Vec<Webhook>, Error> {
    let all = Slice { limit: limits::TRANSACTION_ACTIONS - 2, ascending: true, ..Slice::default() };
    Ok(webhooks.webhooks(organization, &all).await?.entries)
}

/// The deliveries of events of one organization, for the transaction that makes them happen.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn deliveries(
    webhooks: &impl Webhooks,
    events: impl IntoIterator<Item = Event> + Send,
    now: Timestamp,
) -> Result<Vec<Delivery>, Error> {
    let events: Vec<Event> = events.into_iter().collect();
    let Some(organization) = events.first().map(|event| event.organization) else { return Ok(Vec::new()) };
    let subscriptions = subscriptions(webhooks, organization).await?;
    Ok(deliveries_to(&subscriptions, &events, now))
}

/// The same to subscriptions that were read before. Those of the first event come first; what a transaction does not hold is left out,
/// with a warning. Only subscriptions that are older than their limit, or that many calls added at once, are as many.
#[must_use]
pub fn deliveries_to(subscriptions: &[Webhook], events: &[Event], now: Timestamp) -> Vec<Delivery> {
    let mut deliveries: Vec<Delivery> = events.iter().flat_map(|event| event.deliveries(subscriptions, now)).collect();
    if let Some(left) = deliveries.len().checked_sub(limits::DELIVERIES).filter(|left| *left > 0) {
        let event = events.last().map(|event| event.uid.to_string());
        warn!(event.uid = event, deliveries = deliveries.len(), left, "more deliveries than a transaction holds");
        deliveries.truncate(limits::DELIVERIES);
    }
    deliveries
}

/// Puts deliveries that are in the table on the queue. The schedule sends those that the queue does not take.
pub async fn send(queue: &impl Queue, deliveries: &[Delivery]) {
    let requests: Vec<DeliveryRequest> = deliveries.iter().map(DeliveryRequest::of).collect();
    if let Err(error) = queue.send(&requests).await {
        let first = deliveries.first().map(|delivery| delivery.uid.to_string());
        warn!(delivery.uid = first, deliveries = deliveries.len(), causes = error.chain(), "deliveries not sent yet");
    }
}

/// Sends the overdue deliveries of the outbox, the first due first, and returns their number. A second message does no harm:
/// `deliver` claims a delivery before it posts it.
///
/// # Errors
/// `StoreUnavailable`, `QueueUnavailable`.
pub async fn send_waiting(webhooks: &impl Webhooks, queue: &impl Queue, clock: &impl Clock) -> Result<usize, Error> {
    let waiting = webhooks.waiting_deliveries(clock.now() - OVERDUE_AFTER, ROUND).await?;
    for (delivery, times) in &waiting {
        queue.send_to_overflow(&[reminder(*delivery)], Duration::ZERO).await?;
        webhooks.put_off_delivery(*delivery, clock.now() + again_in(*times), times.saturating_add(1)).await?;
    }
    Ok(waiting.len())
}

/// The outbox has keys alone, and they do not name the organization.
const fn reminder(delivery: DeliveryUid) -> DeliveryRequest {
    DeliveryRequest { delivery, organization: None, hops: 0 }
}

/// The delay before a delivery is sent again that was sent this many times.
fn again_in(times: u32) -> Duration {
    let doublings = times.saturating_sub(EVEN_RESENDS - 1).min(16);
    (RESEND_AFTER * 2u32.pow(doublings)).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{EventUid, ExportUid, WebhookUid};
    use crate::testing::a_webhook;

    #[test]
    fn a_transaction_has_the_deliveries_of_the_result_before_those_of_the_task() {
        let events = ["result.accepted", "task.completed"];
        let webhook = a_webhook();
        let uid = |n| WebhookUid::at(Timestamp::from_second(n).unwrap());
        let subscriptions: Vec<Webhook> = (0..50)
            .map(|n| Webhook { uid: uid(n), events: events.map(String::from).to_vec(), ..webhook.clone() })
            .collect();
        let event = |event| Event {
            uid: EventUid::of_export(ExportUid::at(Timestamp::UNIX_EPOCH)),
            organization: webhook.organization,
            event,
            payload: serde_json::json!({}),
        };

        let deliveries = deliveries_to(&subscriptions, &events.map(event), Timestamp::UNIX_EPOCH);

        let count = |event: &str| deliveries.iter().filter(|delivery| delivery.event_type == event).count();
        assert_eq!((count(events[0]), count(events[1])), (50, 47));
        assert!(deliveries.len() + 3 <= limits::TRANSACTION_ACTIONS);
    }

    /// Hole 30 (decision 0027).
    #[test]
    fn a_delivery_that_nothing_can_deliver_leaves_ten_dead_letters_on_its_first_day_and_then_one_a_day() {
        let day = Duration::from_secs(24 * 3_600);
        let mut sent_at = vec![Duration::ZERO];
        while sent_at[sent_at.len() - 1] < 30 * day {
            let times = u32::try_from(sent_at.len() - 1).unwrap();
            sent_at.push(sent_at[sent_at.len() - 1] + again_in(times));
        }

        assert_eq!(sent_at.iter().filter(|at| **at < day).count(), 10);
        assert!(sent_at.len() < 42, "{}", sent_at.len());
        assert_eq!([0, 1, 2, 3, 4, 5].map(again_in).map(|delay| delay.as_secs() / 60), [15, 15, 15, 15, 30, 60]);
        assert_eq!(again_in(u32::MAX), LONGEST_DELAY);
    }
}

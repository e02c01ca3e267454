use std::time::Duration;

use shared::domain::id::DeliveryUid;
use shared::domain::webhook::{Delivery, DeliveryStatus, Response, Webhook};
use shared::domain::{Error, limits};
use shared::ports::{DeliveryFilter, Webhooks};
use shared::store::Store;

use super::making::*;

on_both!(
    subscriptions_are_their_tenants_own,
    lists_of_subscriptions_lose_none_and_repeat_none,
    a_removed_subscription_does_not_come_back,
    a_subscription_that_was_changed_since_is_not_written_over,
    an_organization_has_so_many_subscriptions_and_no_more,
    subscriptions_to_the_events_of_one_verdict_are_bounded,
    lists_of_deliveries_lose_none_and_repeat_none,
    a_delivery_waits_in_the_outbox_until_it_has_ended,
    a_delivery_that_is_redelivered_waits_again,
    a_delivery_that_has_changed_since_is_not_redelivered,
    of_two_claims_on_a_delivery_one_wins,
    a_delivery_is_claimed_again_once_its_lease_is_seen,
    a_delivery_is_recorded_by_the_holder_of_its_lease,
    a_delivery_that_has_ended_is_not_claimed,
    an_organization_has_so_many_slots_and_no_more,
);

/// Hole 3 (decision 0027).
async fn an_organization_has_so_many_slots_and_no_more(store: Store) {
    const SLOTS: u32 = 3;
    let taken = async |now: i64, until: i64| store.take_slot(acme(), SLOTS, at(now), at(until)).await.unwrap();
    let mut slots = vec![taken(0, 60).await.unwrap(), taken(0, 61).await.unwrap(), taken(0, 62).await.unwrap()];
    let first = slots[0];
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2]);
    assert_eq!(taken(0, 63).await, None);
    assert!(store.take_slot(other(), SLOTS, at(0), at(60)).await.unwrap().is_some(), "others have their own");

    store.free_slot(acme(), first, at(999)).await.unwrap();
    assert_eq!(taken(0, 64).await, None, "it was another invocation's");
    store.free_slot(acme(), first, at(60)).await.unwrap();
    assert_eq!(taken(0, 65).await, Some(first));
    assert_eq!(taken(60, 120).await, None);
    assert!(taken(62, 121).await.is_some(), "one that died gives its slot back by its time");
}

/// I10.
async fn subscriptions_are_their_tenants_own(store: Store) {
    let acmes = a_webhook(acme(), 0);
    store.add_webhook(&acmes).await.unwrap();
    let stolen = Webhook { organization: other(), ..acmes.clone() };

    assert!(matches!(store.webhook(other(), acmes.uid).await, Err(Error::NotFound(_))));
    assert!(!store.update_webhook(&stolen, &stolen).await.unwrap());
    assert!(matches!(store.remove_webhook(other(), acmes.uid).await, Err(Error::NotFound(_))));
    assert_eq!(store.webhook(acme(), acmes.uid).await.unwrap(), acmes);
}

async fn lists_of_subscriptions_lose_none_and_repeat_none(store: Store) {
    let webhooks: Vec<Webhook> = (0..5).map(|second| a_webhook(acme(), second)).collect();
    for webhook in &webhooks {
        store.add_webhook(webhook).await.unwrap();
    }
    store.add_webhook(&a_webhook(other(), 2)).await.unwrap();

    assert_pages(async |slice| store.webhooks(acme(), &slice).await, |webhook| webhook, &webhooks).await;
}

async fn a_removed_subscription_does_not_come_back(store: Store) {
    let before = a_webhook(acme(), 0);
    store.add_webhook(&before).await.unwrap();
    let changed = Webhook { is_active: false, updated_at: at(1), ..before.clone() };
    assert!(store.update_webhook(&before, &changed).await.unwrap());
    assert_eq!(store.webhook(acme(), changed.uid).await.unwrap(), changed);

    store.remove_webhook(acme(), changed.uid).await.unwrap();

    assert!(!store.update_webhook(&changed, &changed).await.unwrap());
    assert!(matches!(store.remove_webhook(acme(), changed.uid).await, Err(Error::NotFound(_))));
    assert!(matches!(store.webhook(acme(), changed.uid).await, Err(Error::NotFound(_))));
}

async fn a_subscription_that_was_changed_since_is_not_written_over(store: Store) {
    let read = a_webhook(acme(), 0);
    store.add_webhook(&read).await.unwrap();
    let stopped = Webhook { is_active: false, updated_at: at(1), ..read.clone() };
    let late = Webhook { target_url: "https://late.example/".into(), updated_at: at(2), ..read.clone() };

    assert!(store.update_webhook(&read, &stopped).await.unwrap());

    assert!(!store.update_webhook(&read, &late).await.unwrap());
    assert_eq!(store.webhook(acme(), read.uid).await.unwrap(), stopped);
}

async fn an_organization_has_so_many_subscriptions_and_no_more(store: Store) {
    for second in 0..limits::WEBHOOKS {
        store.add_webhook(&a_webhook(acme(), second as i64)).await.unwrap();
    }

    assert!(matches!(store.add_webhook(&a_webhook(acme(), 99)).await, Err(Error::TooMany(_))));

    store.add_webhook(&a_webhook(other(), 99)).await.unwrap();
    assert_eq!(store.webhooks(acme(), &everything()).await.unwrap().entries.len(), limits::WEBHOOKS);
}

async fn subscriptions_to_the_events_of_one_verdict_are_bounded(store: Store) {
    let both = vec!["result.accepted".to_owned(), "task.completed".to_owned()];
    let of_both = |n: usize| Webhook { events: both.clone(), ..a_webhook(acme(), n as i64) };
    let there: Vec<Webhook> = (0..limits::VERDICT_DELIVERIES / 2).map(of_both).collect();
    for webhook in &there {
        store.add_webhook(webhook).await.unwrap();
    }
    assert!(matches!(store.add_webhook(&of_both(99)).await, Err(Error::TooMany(_))));
    assert!(store.add_webhook(&there[0]).await.unwrap().is_some(), "a repeated request");

    let other = a_webhook(acme(), 98);
    store.add_webhook(&other).await.unwrap();
    let wider = Webhook { events: both.clone(), updated_at: at(99), ..other.clone() };
    assert!(matches!(store.update_webhook(&other, &wider).await, Err(Error::TooMany(_))));
    let stopped = Webhook { is_active: false, ..wider };
    assert!(store.update_webhook(&other, &stopped).await.unwrap());
}

async fn lists_of_deliveries_lose_none_and_repeat_none(store: Store) {
    let subscriptions = [a_webhook(acme(), 0), a_webhook(acme(), 1)];
    let mut deliveries: Vec<Delivery> =
        (0..9).map(|n| Delivery::of_test(&subscriptions[usize::from(n % 3 == 0)], at(n))).collect();
    deliveries[2].status = DeliveryStatus::Failed;
    deliveries[8].event_type = "auto_label.completed".into();
    for delivery in &deliveries {
        store.add_delivery(delivery).await.unwrap();
    }
    store.add_delivery(&Delivery::of_test(&a_webhook(other(), 0), at(4))).await.unwrap();

    let all = DeliveryFilter::default();
    let filters = [
        all.clone(),
        DeliveryFilter { subscription: Some(subscriptions[0].uid), ..all.clone() },
        DeliveryFilter { status: Some(DeliveryStatus::Failed), ..all.clone() },
        DeliveryFilter { event_type: Some("auto_label.completed".into()), ..all },
    ];
    for filter in filters {
        let expected: Vec<Delivery> = deliveries.iter().filter(|delivery| filter.keeps(delivery)).cloned().collect();
        assert!(!expected.is_empty());
        assert_pages(async |slice| store.deliveries(acme(), &filter, &slice).await, |delivery| delivery, &expected)
            .await;
    }
}

/// A pending delivery in the table.
async fn pending_delivery(store: &Store) -> Delivery {
    let delivery = Delivery::of_test(&a_webhook(acme(), 0), at(0));
    store.add_delivery(&delivery).await.unwrap();
    delivery
}

/// I6.
async fn a_delivery_waits_in_the_outbox_until_it_has_ended(store: Store) {
    let deliveries: Vec<Delivery> = [2, 0, 1].map(|n| Delivery::of_test(&a_webhook(acme(), 0), at(n))).into();
    for delivery in &deliveries {
        store.add_delivery(delivery).await.unwrap();
    }
    let mut delivered = Delivery::of_test(&a_webhook(acme(), 0), at(0));
    delivered.attempted(Response::of(204, b""), None, at(1));
    store.add_delivery(&delivered).await.unwrap();
    let waiting = async |before, limit| {
        let waiting = store.waiting_deliveries(before, limit).await.unwrap();
        waiting.into_iter().map(|(uid, _)| uid).collect::<Vec<DeliveryUid>>()
    };
    let [late, early, middle] = [0, 1, 2].map(|position| deliveries[position].uid);

    assert_eq!(waiting(at(3), 10).await, [early, middle, late]);
    assert_eq!(waiting(at(2), 10).await, [early, middle]);
    assert_eq!(waiting(at(3), 1).await, [early]);

    let mut claimed = deliveries[1].clone();
    assert!(store.claim_delivery(&claimed, at(60)).await.unwrap());
    assert_eq!(waiting(at(60), 10).await, [middle, late]);
    assert_eq!(waiting(at(61), 10).await, [middle, late, early]);
    store.put_off_delivery(middle, at(90), 7).await.unwrap();
    claimed.attempted(Response::of(500, b""), Some(Duration::from_secs(60)), at(10));
    assert!(store.record_delivery(&claimed, at(60)).await.unwrap());
    assert_eq!(waiting(at(71), 10).await, [late, early]);
    assert_eq!(waiting(at(91), 10).await, [late, early, middle]);
    let put_off = store.waiting_deliveries(at(91), 10).await.unwrap();
    assert_eq!(put_off, [(late, 0), (early, 0), (middle, 7)], "hole 30");
    assert!(store.claim_delivery(&deliveries[2], at(80)).await.unwrap());
    assert!(store.waiting_deliveries(at(81), 10).await.unwrap().contains(&(middle, 0)), "a claim ends the count");

    assert!(store.claim_delivery(&claimed, at(100)).await.unwrap());
    claimed.attempted(Response::of(204, b""), None, at(90));
    assert!(store.record_delivery(&claimed, at(100)).await.unwrap());
    store.put_off_delivery(early, at(90), 1).await.unwrap();
    assert_eq!(waiting(at(1_000), 10).await, [late, middle]);
}

/// I6.
async fn a_delivery_that_is_redelivered_waits_again(store: Store) {
    let mut delivery = pending_delivery(&store).await;
    delivery.event_type = "auto_label.completed".into();
    assert!(store.claim_delivery(&delivery, at(60)).await.unwrap());
    delivery.attempted(Response::of(500, b""), None, at(10));
    assert!(store.record_delivery(&delivery, at(60)).await.unwrap());
    let again = delivery.redelivered(at(100)).unwrap().unwrap();

    assert!(store.restart_delivery(&delivery, &again).await.unwrap());

    let now = store.delivery(delivery.uid).await.unwrap().unwrap();
    assert_eq!((now.status, now.attempts, now.next_retry_at), (DeliveryStatus::Pending, 0, None));
    assert_eq!((now.body, now.response, now.updated_at), (delivery.body.clone(), delivery.response.clone(), at(100)));
    assert_eq!(store.waiting_deliveries(at(100), 10).await.unwrap(), []);
    assert_eq!(store.waiting_deliveries(at(101), 10).await.unwrap(), [(delivery.uid, 0)]);
    assert!(store.claim_delivery(&again, at(160)).await.unwrap());
    assert_eq!(store.waiting_deliveries(at(160), 10).await.unwrap(), []);
}

async fn a_delivery_that_has_changed_since_is_not_redelivered(store: Store) {
    let mut seen = pending_delivery(&store).await;
    seen.event_type = "auto_label.completed".into();
    let leased = Delivery { next_retry_at: Some(at(300)), ..seen.clone() };
    assert!(store.claim_delivery(&seen, at(60)).await.unwrap());

    let again = leased.redelivered(at(1)).unwrap().unwrap();
    assert!(!store.restart_delivery(&leased, &again).await.unwrap());

    let unknown = Delivery { uid: DeliveryUid::at(at(9)), ..leased };
    let again = unknown.redelivered(at(1)).unwrap().unwrap();
    assert!(!store.restart_delivery(&unknown, &again).await.unwrap());
    assert_eq!(store.delivery(unknown.uid).await.unwrap(), None);
}

async fn of_two_claims_on_a_delivery_one_wins(store: Store) {
    let seen = pending_delivery(&store).await;

    let (one, other) = tokio::join!(store.claim_delivery(&seen, at(60)), store.claim_delivery(&seen, at(61)));

    assert!(one.unwrap() != other.unwrap());
    assert!(!store.claim_delivery(&seen, at(62)).await.unwrap());
}

async fn a_delivery_is_claimed_again_once_its_lease_is_seen(store: Store) {
    let seen = pending_delivery(&store).await;
    assert!(store.claim_delivery(&seen, at(60)).await.unwrap());

    let leased = store.delivery(seen.uid).await.unwrap().unwrap();
    assert_eq!(leased, Delivery { next_retry_at: Some(at(60)), ..seen });

    assert!(store.claim_delivery(&leased, at(120)).await.unwrap());
    assert!(!store.claim_delivery(&leased, at(121)).await.unwrap());
}

/// I6.
async fn a_delivery_is_recorded_by_the_holder_of_its_lease(store: Store) {
    let mut delivery = pending_delivery(&store).await;
    assert!(store.claim_delivery(&delivery, at(60)).await.unwrap());
    delivery.attempted(Response::of(500, b"busy"), Some(Duration::from_secs(60)), at(10));

    let mut late = delivery.clone();
    late.attempted(Response::of(200, b"ok"), None, at(11));
    assert!(!store.record_delivery(&late, at(59)).await.unwrap());
    assert!(store.record_delivery(&delivery, at(60)).await.unwrap());
    assert!(!store.record_delivery(&late, at(60)).await.unwrap());

    assert_eq!(store.delivery(delivery.uid).await.unwrap(), Some(delivery));
}

/// I6.
async fn a_delivery_that_has_ended_is_not_claimed(store: Store) {
    let mut delivery = pending_delivery(&store).await;
    assert!(store.claim_delivery(&delivery, at(60)).await.unwrap());
    delivery.attempted(Response::of(204, b""), None, at(10));
    assert!(store.record_delivery(&delivery, at(60)).await.unwrap());

    assert!(!store.claim_delivery(&delivery, at(120)).await.unwrap());

    assert_eq!(store.delivery(delivery.uid).await.unwrap(), Some(delivery));
}

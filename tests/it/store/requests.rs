//! What the frame of the API keeps: counters of requests, and idempotency keys.

use std::time::Duration;

use shared::domain::access::api_key::KeyHash;
use shared::domain::access::idempotency::{Claim, Claimed, KEPT, LEASE, StoredResponse};
use shared::domain::access::rate_limit::{Requester, Usage};
use shared::ports::{Idempotency, RateLimits};
use shared::store::Store;

use super::making::*;

on_both!(
    requests_are_counted_by_minute_and_second,
    requesters_are_counted_separately,
    requests_that_come_at_once_are_all_counted,
    of_claims_that_come_at_once_one_wins,
    what_was_kept_is_found_again_for_a_day,
    a_claim_that_came_to_nothing_is_free_for_any_request,
    a_claim_that_may_have_had_an_effect_names_the_next_one,
    a_dead_claim_is_free_for_the_same_request_alone,
    a_request_that_lost_its_claim_neither_stores_nor_frees_anything,
    callers_do_not_meet_in_a_key,
);

fn key(name: &str) -> Requester {
    Requester::Key(KeyHash::of(name))
}

async fn requests_are_counted_by_minute_and_second(store: Store) {
    // `at(40)` begins a minute.
    for (second, minute_so_far, second_so_far) in [(40, 1, 1), (40, 2, 2), (41, 3, 1), (99, 4, 1), (100, 1, 1)] {
        let usage = store.count(&key("a"), at(second)).await.unwrap();
        assert_eq!(usage, Usage { minute: minute_so_far, second: second_so_far }, "at second {second}");
    }
}

async fn requesters_are_counted_separately(store: Store) {
    let address = |text: &str| Requester::at(text.parse().unwrap());

    for requester in [key("a"), key("b"), address("192.0.2.1"), address("2001:db8::1"), address("2001:db8:1::1")] {
        assert_eq!(store.count(&requester, at(0)).await.unwrap(), Usage { minute: 1, second: 1 }, "{requester:?}");
    }
}

async fn requests_that_come_at_once_are_all_counted(store: Store) {
    let requests = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.count(&key("a"), at(0)).await.unwrap().minute })
    });
    let requests: Vec<_> = requests.collect();
    let mut counted = Vec::new();
    for request in requests {
        counted.push(request.await.unwrap());
    }
    counted.sort_unstable();

    assert_eq!(counted, (1..=20).collect::<Vec<u32>>());
}

/// A claim of this caller and second; each is another holder's.
fn a_claim(caller: &str, second: i64, fingerprint: &str) -> Claim {
    let fingerprint = fingerprint.to_owned();
    Claim { caller: KeyHash::of(caller), key: "0abc".into(), fingerprint, holder: uuid::Uuid::now_v7(), at: at(second) }
}

const fn is_now(claimed: &Claimed) -> bool {
    matches!(claimed, Claimed::Now { .. })
}

fn before(fingerprint: &str, outcome: Option<StoredResponse>) -> Claimed {
    Claimed::Before { fingerprint: fingerprint.to_owned(), outcome }
}

async fn of_claims_that_come_at_once_one_wins(store: Store) {
    for round in 0..20 {
        let claims = (0..2).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.claim(&a_claim(&format!("caller {round}"), 0, "f")).await.unwrap() })
        });
        let claims: Vec<_> = claims.collect();
        let mut answers = Vec::new();
        for claim in claims {
            answers.push(claim.await.unwrap());
        }
        assert_eq!(answers.iter().filter(|answer| is_now(answer)).count(), 1, "{answers:?}");
        assert!(answers.contains(&before("f", None)), "{answers:?}");
    }
}

async fn what_was_kept_is_found_again_for_a_day(store: Store) {
    for (caller, outcome) in [
        ("a", StoredResponse::Kept(vec![0, 159, 146, 150])),
        ("b", StoredResponse::Repeatable),
        ("c", StoredResponse::TooLarge),
    ] {
        let claim = a_claim(caller, 0, "f");
        assert_eq!(store.claim(&claim).await.unwrap(), Claimed::Now { first: claim.holder });
        store.keep(&claim, outcome.clone()).await.unwrap();

        let last = KEPT.as_secs() as i64 - 1;
        for second in [1, LEASE.as_secs() as i64 + 1, last] {
            let kept = before("f", Some(outcome.clone()));
            assert_eq!(store.claim(&a_claim(caller, second, "f")).await.unwrap(), kept);
            assert_eq!(store.claim(&a_claim(caller, second, "g")).await.unwrap(), kept);
        }
        let another_day = a_claim(caller, last + 1, "g");
        assert_eq!(store.claim(&another_day).await.unwrap(), Claimed::Now { first: another_day.holder });
        assert_eq!(store.claim(&a_claim(caller, last + 2, "g")).await.unwrap(), before("g", None));
    }
}

async fn a_claim_that_came_to_nothing_is_free_for_any_request(store: Store) {
    let claim = a_claim("a", 0, "f");
    store.claim(&claim).await.unwrap();

    store.release(&claim, true).await.unwrap();

    let next = a_claim("a", 0, "g");
    assert_eq!(store.claim(&next).await.unwrap(), Claimed::Now { first: next.holder });
    assert_eq!(store.claim(&a_claim("a", 0, "f")).await.unwrap(), before("g", None));
}

async fn a_claim_that_may_have_had_an_effect_names_the_next_one(store: Store) {
    let claims = [0, 1, 2].map(|second| a_claim("a", second, "f"));
    for claim in &claims {
        assert_eq!(store.claim(claim).await.unwrap(), Claimed::Now { first: claims[0].holder });
        store.release(claim, false).await.unwrap();
    }
    // Its client may have come to another thing to ask for under the key: what that creates is named by it too.
    let other = a_claim("a", 3, "g");
    assert_eq!(store.claim(&other).await.unwrap(), Claimed::Now { first: claims[0].holder });
    store.release(&other, false).await.unwrap();

    let another_day = a_claim("a", 3 + KEPT.as_secs() as i64, "f");
    assert_eq!(store.claim(&another_day).await.unwrap(), Claimed::Now { first: another_day.holder });
    store.release(&another_day, true).await.unwrap();
    let next = a_claim("a", 4 + KEPT.as_secs() as i64, "f");
    assert_eq!(store.claim(&next).await.unwrap(), Claimed::Now { first: next.holder });
}

async fn a_dead_claim_is_free_for_the_same_request_alone(store: Store) {
    let dead = a_claim("a", 0, "f");
    store.claim(&dead).await.unwrap();
    let end = (at(0) + LEASE).as_second() - at(0).as_second();

    assert_eq!(store.claim(&a_claim("a", end - 1, "f")).await.unwrap(), before("f", None));
    assert_eq!(store.claim(&a_claim("a", end, "g")).await.unwrap(), before("f", None));
    assert_eq!(store.claim(&a_claim("a", end, "f")).await.unwrap(), Claimed::Now { first: dead.holder });
    // The table's client repeats a call whose answer got lost: a claim knows itself again.
    let again = a_claim("b", 0, "f");
    assert_eq!(store.claim(&again).await.unwrap(), Claimed::Now { first: again.holder });
    assert_eq!(store.claim(&again).await.unwrap(), Claimed::Now { first: again.holder });
}

async fn a_request_that_lost_its_claim_neither_stores_nor_frees_anything(store: Store) {
    let (lost, holder) = (a_claim("a", 0, "f"), a_claim("a", 0, "f"));
    store.claim(&lost).await.unwrap();
    let holder = Claim { at: lost.at + LEASE + Duration::from_secs(1), ..holder };
    assert_eq!(store.claim(&holder).await.unwrap(), Claimed::Now { first: lost.holder });

    store.keep(&lost, StoredResponse::Kept(b"stale".to_vec())).await.unwrap();
    store.release(&lost, true).await.unwrap();

    let third = Claim { at: holder.at, ..a_claim("a", 0, "f") };
    assert_eq!(store.claim(&third).await.unwrap(), before("f", None));
}

/// I10.
async fn callers_do_not_meet_in_a_key(store: Store) {
    for claim in [a_claim("a", 0, "f"), a_claim("b", 0, "g")] {
        assert_eq!(store.claim(&claim).await.unwrap(), Claimed::Now { first: claim.holder });
    }
}

use proptest::prelude::*;

use super::simulation::*;
use super::*;

const SECOND: u64 = 1_000_000;
/// The usual one.
const TIMEOUT: Duration = Duration::from_secs(30);
const NOW: Duration = Duration::ZERO;

/// Four calls, four times as many, the share: as full after three round trips as it can be, and nearly so from the start.
#[test]
fn an_endpoint_with_room_for_all_is_full_at_once() {
    for (latency, slots, whole) in [(50_000, 16, 0.95), (200_000, 16, 0.94), (50_000, 64, 0.95)] {
        let endpoint = RefusingEndpoint { capacity: vec![(0, 1_000)], latency, transit: 500, whims: 0 };
        let full = f64::from(slots) * SECOND as f64 / (latency + 1_500) as f64;

        let served = endpoint.serve(vec![Pace::new(slots, TIMEOUT)], 0, 5 * SECOND);
        assert_eq!((served.refused, served.most_in_flight), (0, slots));
        assert!(f64::from(served.answered) > whole * 5.0 * full, "{} of {}", served.answered, 5.0 * full);

        let served = endpoint.serve(vec![Pace::new(slots, TIMEOUT)], 4 * latency, 4 * latency + 5 * SECOND);
        assert!(f64::from(served.answered) > 0.98 * 5.0 * full, "{} of {}", served.answered, 5.0 * full);
    }
}

/// Issue 6: capacity unknown, 429 above it: goodput of 0.9 or more after two seconds, refusals of 5 % at most.
#[test]
fn whatever_the_endpoint_takes_is_found_and_kept() {
    for latency in [20_000, 50_000, 200_000] {
        for capacity in [1, 2, 3, 4, 7, 16, 40] {
            let endpoint =
                RefusingEndpoint { capacity: vec![(0, capacity)], latency, transit: latency / 100, whims: 0 };
            let served = endpoint.serve(vec![Pace::new(64, TIMEOUT)], 2 * SECOND, 30 * SECOND);

            assert!(served.goodput() >= 0.9, "capacity {capacity} of {latency}: {}", served.goodput());
            assert!(served.refusals() <= 0.05, "capacity {capacity} of {latency}: {}", served.refusals());
        }
    }
}

/// Issue 6, with a capacity that changes in mid-run.
#[test]
fn a_change_of_what_the_endpoint_takes_is_followed() {
    for (latency, capacity) in [
        (50_000, vec![(0, 16), (8 * SECOND, 4), (16 * SECOND, 16), (24 * SECOND, 8)]),
        (50_000, vec![(0, 4), (8 * SECOND, 32), (16 * SECOND, 6), (24 * SECOND, 12)]),
        (200_000, vec![(0, 12), (10 * SECOND, 6), (20 * SECOND, 16)]),
    ] {
        let endpoint = RefusingEndpoint { capacity, latency, transit: 1_000, whims: 0 };
        let served = endpoint.serve(vec![Pace::new(64, TIMEOUT)], 2 * SECOND, 32 * SECOND);

        assert!(served.goodput() >= 0.9, "{:?}: {}", endpoint.capacity, served.goodput());
        assert!(served.refusals() <= 0.05, "{:?}: {}", endpoint.capacity, served.refusals());
    }
}

#[test]
fn workers_that_share_an_endpoint_fill_it_together() {
    let endpoint = RefusingEndpoint { capacity: vec![(0, 12)], latency: 50_000, transit: 500, whims: 0 };
    let served = endpoint.serve(
        vec![Pace::new(20, TIMEOUT), Pace::new(20, TIMEOUT), Pace::new(20, TIMEOUT)],
        2 * SECOND,
        30 * SECOND,
    );

    assert!(served.goodput() >= 0.9, "{}", served.goodput());
    assert!(served.refusals() <= 0.1, "{}", served.refusals());
}

/// Refusals that have nothing to do with load leave the endpoint as full as it can be.
#[test]
fn an_endpoint_that_refuses_now_and_then_is_kept_busy() {
    for (whims, slots, busy) in
        [(10, 16, 0.9), (20, 16, 0.85), (50, 16, 0.4), (10, 64, 0.8), (20, 64, 0.5), (50, 64, 0.1)]
    {
        let endpoint = RefusingEndpoint { capacity: vec![(0, slots as usize)], latency: 50_000, transit: 500, whims };
        let served = endpoint.serve(vec![Pace::new(slots, TIMEOUT)], 2 * SECOND, 60 * SECOND);

        assert!(served.goodput() >= busy, "{whims} of 1,000, {slots} slots: {}", served.goodput());
    }
}

#[test]
fn an_endpoint_that_refuses_now_and_then_and_when_it_is_full_is_kept_full() {
    for capacity in [4, 12, 30] {
        let endpoint = RefusingEndpoint { capacity: vec![(0, capacity)], latency: 50_000, transit: 500, whims: 20 };
        let served = endpoint.serve(vec![Pace::new(64, TIMEOUT)], 2 * SECOND, 60 * SECOND);

        assert!(served.goodput() >= 0.85, "capacity {capacity}: {}", served.goodput());
        assert!(served.refusals() <= 0.05, "capacity {capacity}: {}", served.refusals());
    }
}

fn began(pace: &mut Pace) -> Vec<CallPermit> {
    std::iter::from_fn(|| pace.begin(NOW)).collect()
}

#[test]
fn one_refusal_changes_nothing_and_a_second_one_halves_the_limit_once() {
    let mut pace = Pace::new(64, TIMEOUT);
    began(&mut pace).into_iter().for_each(|call| pace.answered(call, NOW));
    let mut calls = began(&mut pace);
    assert_eq!(calls.len(), 16);

    assert!(pace.refused(calls.pop().unwrap(), Sign::Broken, NOW));
    assert_eq!(pace.limit(), 16);
    assert!(pace.begin(NOW).is_none(), "nothing begins until a call is answered");
    pace.answered(calls.remove(0), NOW);
    let limit = pace.limit();
    for _ in 0..3 {
        pace.refused(calls.pop().unwrap(), Sign::Broken, NOW);
        assert_eq!(pace.limit(), limit / 2);
    }
    assert!(pace.begin(NOW).is_none());
}

#[test]
fn refusals_far_between_change_nothing() {
    let mut pace = Pace::new(8, TIMEOUT);
    began(&mut pace).into_iter().for_each(|call| pace.answered(call, NOW));
    for _ in 0..10 {
        let mut calls = began(&mut pace);
        pace.refused(calls.pop().unwrap(), Sign::Broken, NOW);
        calls.into_iter().for_each(|call| pace.answered(call, NOW));
    }
    assert_eq!(pace.limit(), 8);
}

#[test]
fn no_call_of_a_crowd_is_alone_not_even_the_last_one() {
    let mut pace = Pace::new(64, TIMEOUT);
    for call in began(&mut pace) {
        assert!(!pace.is_alone(&call));
        pace.refused(call, Sign::Broken, NOW);
    }
    let after = pace.begin(NOW).unwrap();
    assert!(pace.is_alone(&after));
}

#[test]
fn below_one_in_flight_is_one_that_was_alone() {
    let mut pace = Pace::new(1, TIMEOUT);
    for _ in 0..3 {
        let call = pace.begin(NOW).unwrap();
        assert!(pace.begin(NOW).is_none());
        assert!(pace.is_alone(&call));
        pace.refused(call, Sign::Broken, NOW);
        assert!(pace.is_away());
    }
    assert_eq!(pace.limit(), 1);
}

/// What all calls meet at once is no matter of room.
#[test]
fn an_endpoint_that_was_away_has_the_room_that_it_had() {
    let mut pace = Pace::new(16, TIMEOUT);
    for _ in 0..3 {
        began(&mut pace).into_iter().for_each(|call| pace.answered(call, NOW));
    }
    let calls = began(&mut pace);
    assert_eq!(calls.len(), 16);
    calls.into_iter().for_each(|call| assert!(pace.refused(call, Sign::Broken, NOW)));
    for _ in 0..5 {
        assert!(pace.is_away());
        let probe = pace.begin(NOW).unwrap();
        assert!(pace.begin(NOW).is_none(), "one call at a time");
        pace.refused(probe, Sign::Broken, NOW);
    }

    let probe = pace.begin(NOW).unwrap();
    pace.answered(probe, NOW);
    let mut rounds = vec![];
    for _ in 0..4 {
        let calls = began(&mut pace);
        rounds.push(calls.len());
        calls.into_iter().for_each(|call| pace.answered(call, NOW));
    }
    assert_eq!(rounds, [2, 4, 8, 16]);
}

/// A server that takes calls in their order would have answered this one first.
#[test]
fn a_call_that_times_out_while_later_ones_are_answered_is_no_sign_of_load() {
    let mut pace = Pace::new(8, TIMEOUT);
    let mut calls = began(&mut pace);
    let stuck = calls.remove(0);
    for second in 1..30 {
        let now = Duration::from_secs(second);
        calls.into_iter().for_each(|call| pace.answered(call, now));
        calls = std::iter::from_fn(|| pace.begin(now)).collect();
    }
    let limit = pace.limit();
    assert!(!pace.refused(stuck, Sign::TimedOut, TIMEOUT));
    assert_eq!((pace.limit(), pace.silence.is_some()), (limit, false));
}

fn one_at_a_time(timeout: u64) -> QueueingServer {
    QueueingServer { order: Order::Queue(1), work: 1_000, spread: 0, timeout, away: (0, 0) }
}

/// The timeout is six times the work on a picture. At five times the room for chance is gone.
#[test]
fn a_server_that_works_on_one_picture_at_a_time_is_asked_no_faster_than_it_answers() {
    for share in [1, 2, 3, 4, 8, 16, 64] {
        for (spread, timeout, items) in [0, 10, 20]
            .into_iter()
            .flat_map(|spread| [(spread, 6_000, 40), (spread, 6_000, 400), (spread, 30_000, 200)])
        {
            let run = QueueingServer { spread, ..one_at_a_time(timeout) }.works_on(items, share, 7);
            assert_eq!((run.timed_out, run.worked), (0, items), "share {share}, {spread} %, {timeout} ms: {run:?}");

            let shared = QueueingServer { order: Order::Shared, spread, ..one_at_a_time(timeout) };
            let run = shared.works_on(items, share, 7);
            let most = 1_050 * u64::from(items);
            assert!(run.wall <= most, "one processor, share {share}, {spread} %, {timeout} ms: {run:?}");
        }
    }
}

/// Whatever the timeout: some calls time out, and the server's time is spent on answers all the same.
#[test]
fn a_server_that_is_slow_for_its_timeout_is_kept_at_work() {
    for order in [Order::Queue(1), Order::Chance(1), Order::Shared] {
        for timeout in [1_200, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 12_000] {
            for spread in [0, 10] {
                let server = QueueingServer { order, spread, ..one_at_a_time(timeout) };
                let run = server.works_on(120, 16, 7);
                assert!(run.wall < 140_000 && run.timed_out <= 20, "{order:?}, {timeout} ms, {spread} %: {run:?}");
            }
        }
    }
}

/// A model may take long and still take many: throughput is the signal, not latency.
#[test]
fn a_slow_server_with_room_for_many_calls_gets_as_many() {
    for capacity in [4, 8, 16] {
        for work in [1_000, 3_000, 8_000, 12_000] {
            for spread in [0, 20] {
                let server = QueueingServer { order: Order::Queue(capacity), work, spread, ..one_at_a_time(30_000) };
                let run = server.works_on(400, 16, 7);
                let goodput = 400.0 * work as f64 / (capacity as f64 * run.wall as f64);
                assert!(goodput >= 0.9, "capacity {capacity}, {work} ms, {spread} %: {goodput} {run:?}");
            }
        }
    }
}

/// Beside the calls that were in flight, only probes get no answer.
#[test]
fn a_server_that_is_away_is_probed_by_one_call_at_a_time() {
    for (begin, seconds, probes) in [(0, 15, 8), (0, 60, 14), (5, 15, 8), (5, 60, 14)] {
        for (order, work) in [(Order::Queue(1_000), 200), (Order::Queue(1), 1_000), (Order::Queue(16), 5_000)] {
            let away = (1_000 * begin, 1_000 * (begin + seconds));
            let run = QueueingServer { order, work, spread: 10, away, ..one_at_a_time(30_000) }.works_on(600, 16, 7);
            assert!(run.probes <= probes && run.broken <= 16 + run.probes, "{seconds} s from {begin} s: {run:?}");
            assert_eq!((run.worked, run.timed_out), (600, 0), "{seconds} s from {begin} s: {run:?}");
            let most = 600 * work
                / match order {
                    Order::Queue(1) => 1,
                    _ => 16,
                }
                + 1_000 * (seconds + 25)
                + 4 * work;
            assert!(run.wall < most, "{seconds} s from {begin} s: {run:?}");
        }
    }
}

#[test]
fn waits_grow_to_a_bound_and_chance_decides_below_it() {
    assert_eq!((backoff(0, 1.0), backoff(1, 0.0)), (Duration::ZERO, Duration::ZERO));
    assert_eq!([1, 2, 3].map(|n| backoff(n, 0.5).as_millis()), [250, 500, 1_000]);
    assert_eq!(backoff(u32::MAX, 1.0), LONGEST_BACKOFF);
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![(1usize..20).prop_map(Order::Queue), (1usize..20).prop_map(Order::Chance), Just(Order::Shared)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_server_every_item_is_answered(
        order in orders(), work in 50u64..3_000, spread in 0u64..50, factor in 12u64..400, share in 1u32..64,
        away in (0u64..60_000, 0u64..60_000), seed in any::<u64>()
    ) {
        // Alone, every call is answered in time.
        let timeout = (work * factor / 10).max(work * (100 + spread) / 100 + 100);
        let server = QueueingServer { order, work, spread, timeout, away: (away.0, away.0 + away.1) };
        let run = server.works_on(100, share, seed);
        prop_assert!(run.most <= share as usize);
        prop_assert!(run.wall <= away.1 + 60_000 + 300 * work, "{server:?}: {run:?}");
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_share_holds_and_the_worker_goes_on(share in 1u32..100, steps in proptest::collection::vec((0u8..6, 0usize..100, 0u64..3_000), 0..500)) {
        let mut pace = Pace::new(share, TIMEOUT);
        let mut calls: Vec<CallPermit> = Vec::new();
        let mut halved_since = 0;
        let mut now = NOW;
        for (what, which, milliseconds) in steps {
            now += Duration::from_millis(milliseconds);
            let limit = pace.limit();
            match what {
                0 => calls.extend(pace.begin(now)),
                _ if calls.is_empty() => prop_assert!(pace.begin(now).map(|call| calls.push(call)).is_some(), "nothing in flight and nothing may begin"),
                1 => { let call = calls.swap_remove(which % calls.len()); pace.answered(call, now); }
                2 => { let call = calls.swap_remove(which % calls.len()); pace.ended(call, now); }
                _ => {
                    let call = calls.swap_remove(which % calls.len());
                    let number = call.number;
                    pace.refused(call, [Sign::Full, Sign::Broken, Sign::TimedOut][usize::from(what) - 3], now);
                    prop_assert!(calls.is_empty() || number > halved_since || pace.limit() >= limit, "twice in a round trip");
                    if pace.limit() < limit { halved_since = pace.begun; }
                }
            }
            prop_assert_eq!(pace.in_flight as usize, calls.len());
            prop_assert!(pace.in_flight <= share && (1..=share).contains(&pace.limit()));
            prop_assert!((1..=share).contains(&pace.known));
        }
    }
}

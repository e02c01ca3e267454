//! How many calls a worker has at its endpoint: as many as the endpoint takes, within the worker's share of the limit (docs/decisions/0013).
//!
//! Additive increase and multiplicative decrease with a memory. A second refusal (429 and its kin) soon after another halves
//! the limit, once a round trip; one by itself was about something else than load, and changes nothing. What the endpoint is
//! known to take is then reached again by doubling, and from time to time exceeded on trial: a trial that is refused costs the
//! calls that were too many, and no halving; one that holds for a round trip is the new measure, and the next trial takes
//! twice the step.
//!
//! Invariant: never more in flight than the share. No clock and no chance in here: what is known is known from the order in
//! which calls begin and end.

use std::time::Duration;

/// Calls in flight that a worker begins with.
const START: u32 = 8;
/// Good answers between two trials: a refused trial is one refusal in so many, far below the 5 % that an endpoint may see.
const HOLD: u32 = 40;
/// Good answers after which a refusal is taken for one that had nothing to do with load: who is full refuses more often.
const DOUBT: u32 = 6;
/// The first wait of [`backoff`], on average half of it.
const BACKOFF: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// The calls of one worker.
#[derive(Clone, Debug)]
pub struct Pace {
    share: u32,
    limit: u32,
    /// What the endpoint is known to take, as far as is known.
    known: u32,
    /// How far the trial that is on, or the next one, goes beyond it.
    step: u32,
    on_trial: bool,
    in_flight: u32,
    /// Most calls in flight in this round trip, and in the one before: a limit that was not used says nothing.
    most: (u32, u32),
    /// The last call that had begun when this round trip did.
    round: u64,
    /// Calls that have begun.
    begun: u64,
    /// The first call that began under the present limit: those before it say nothing about it.
    since: u64,
    /// Good answers under the present limit.
    good: u32,
    /// Good answers until the last refusal is forgotten.
    doubt: u32,
}

/// A call that has begun and not ended.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a call that never ends keeps its place"]
pub struct Call {
    number: u64,
    /// No other one was in flight.
    first: bool,
}

impl Pace {
    /// For a worker that may never have more than `share` calls in flight.
    #[must_use]
    pub fn new(share: u32) -> Self {
        let share = share.max(1);
        Self {
            share,
            limit: share.min(START),
            known: share,
            step: 1,
            on_trial: false,
            in_flight: 0,
            most: (0, 0),
            round: 0,
            begun: 0,
            since: 0,
            good: 0,
            doubt: 0,
        }
    }

    /// Begins a call; `None`: as many are in flight as may be.
    pub fn begin(&mut self) -> Option<Call> {
        if self.in_flight >= self.limit {
            return None;
        }
        let first = self.in_flight == 0;
        self.in_flight += 1;
        self.begun += 1;
        self.most.0 = self.most.0.max(self.in_flight);
        Some(Call { number: self.begun, first })
    }

    /// The endpoint has taken the call, whatever came of it.
    pub fn answered(&mut self, call: Call) {
        self.doubt = self.doubt.saturating_sub(1);
        if call.number > self.round {
            self.round = self.begun;
            self.most = (self.in_flight, self.most.0);
        }
        let most = self.most.0.max(self.most.1);
        let tells = call.number > self.since;
        self.ended(call);
        if !tells {
            return;
        }
        if self.limit < self.known {
            // For each answer one more: twice as many a round trip.
            self.limit += u32::from(self.limit < 2 * most);
            return;
        }
        if most < self.limit {
            return;
        }
        self.good += 1;
        if self.on_trial && self.good >= self.limit {
            self.known = self.limit;
            self.step *= 2;
            self.try_more();
        } else if !self.on_trial && self.good >= HOLD {
            self.try_more();
        }
    }

    /// Whether the call has been the only one in flight from its begin until now: if it is refused, it was not this worker that
    /// had filled the endpoint.
    #[must_use]
    pub const fn is_alone(&self, call: &Call) -> bool {
        call.first && call.number == self.begun
    }

    /// The endpoint had no room for the call.
    pub fn refused(&mut self, call: Call) {
        let number = call.number;
        self.ended(call);
        if number <= self.since {
            // Of the same crowd as the refusals before it: there is room for one less than they said.
            self.known -= u32::from(self.known > self.limit);
            return;
        }
        if !self.on_trial && self.doubt == 0 {
            self.doubt = DOUBT;
            return;
        }
        let limit = if self.on_trial { self.known } else { (self.limit / 2).max(1) };
        // Not those of this moment: many may just have been answered.
        let room = self.most.0.max(self.most.1).min(self.limit).saturating_sub(1);
        self.set(limit);
        self.known = room.max(limit);
    }

    /// The call is over, and says nothing about the endpoint's room.
    pub fn ended(&mut self, _: Call) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Calls that may be in flight now.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    fn try_more(&mut self) {
        let (step, target) = (self.step, self.known.saturating_add(self.step).min(self.share));
        self.set(target);
        self.on_trial = target > self.known;
        self.step = step.min(self.share);
    }

    fn set(&mut self, limit: u32) {
        self.limit = limit;
        self.since = self.begun;
        self.good = 0;
        self.on_trial = false;
        self.step = 1;
        self.doubt = 0;
    }
}

/// How long to wait after so many failures in a row: anything up to a bound that doubles ("full jitter"). `chance` is in `0..1`.
#[must_use]
pub fn backoff(failures: u32, chance: f64) -> Duration {
    let Some(doubled) = failures.checked_sub(1) else { return Duration::ZERO };
    BACKOFF.saturating_mul(1 << doubled.min(10)).min(LONGEST_BACKOFF).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    /// An endpoint with so many places, some of the time.
    struct Endpoint {
        /// From which microsecond on how many places, the first from 0.
        places: Vec<(u64, usize)>,
        latency: u64,
        /// How long a request, and how long an answer is under way.
        transit: u64,
        /// Of a thousand calls so many are refused for nothing.
        whims: u64,
    }

    #[derive(Debug, Default)]
    struct Seen {
        taken: u32,
        refused: u32,
        most_in_flight: u32,
        /// What the endpoint could have taken.
        possible: f64,
    }

    impl Seen {
        fn goodput(&self) -> f64 {
            f64::from(self.taken) / self.possible
        }

        fn refusals(&self) -> f64 {
            f64::from(self.refused) / f64::from(self.taken + self.refused)
        }
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Event {
        Arrives(usize, Call),
        Leaves(usize, Call),
        Refused(usize, Call),
        Answered(usize, Call),
    }

    impl Endpoint {
        fn places(&self, now: u64) -> usize {
            self.places.iter().take_while(|(from, _)| *from <= now).last().map_or(0, |(_, places)| *places)
        }

        /// Workers that always have another item, until `end`; what is counted is counted from `from` on. Microseconds.
        fn meets(&self, mut workers: Vec<Pace>, from: u64, end: u64) -> Seen {
            let mut random = 0x2545_F491_4F6C_DD17_u64;
            let mut jitter = |width: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % width.max(1)
            };
            let mut seen = Seen::default();
            let mut events = BinaryHeap::new();
            let (mut now, mut busy) = (0, 0);
            let mut counted_until = from;
            loop {
                for (who, pace) in workers.iter_mut().enumerate() {
                    while let Some(call) = pace.begin() {
                        events.push(Reverse((now + self.transit + jitter(self.transit), Event::Arrives(who, call))));
                    }
                }
                seen.most_in_flight = seen.most_in_flight.max(workers.iter().map(|pace| pace.in_flight).sum());
                let Some(Reverse((at, event))) = events.pop() else { return seen };
                if at > counted_until {
                    let here = self.places(counted_until) as f64;
                    seen.possible += here * (at.min(end) - counted_until) as f64 / self.latency as f64;
                    counted_until = at;
                }
                now = at;
                if now >= end {
                    return seen;
                }
                let back = now + self.transit + jitter(self.transit);
                match event {
                    Event::Arrives(who, call) if busy < self.places(now) && jitter(1_000) >= self.whims => {
                        busy += 1;
                        let took = self.latency * 9 / 10 + jitter(self.latency / 5);
                        events.push(Reverse((now + took, Event::Leaves(who, call))));
                    }
                    Event::Arrives(who, call) => events.push(Reverse((back, Event::Refused(who, call)))),
                    Event::Leaves(who, call) => {
                        busy -= 1;
                        seen.taken += u32::from(now >= from);
                        events.push(Reverse((back, Event::Answered(who, call))));
                    }
                    Event::Answered(who, call) => workers[who].answered(call),
                    Event::Refused(who, call) => {
                        seen.refused += u32::from(now >= from);
                        workers[who].refused(call);
                    }
                }
            }
        }
    }

    const SECOND: u64 = 1_000_000;

    #[test]
    fn an_endpoint_with_room_for_all_is_full_at_once() {
        for (latency, slots) in [(50_000, 16), (200_000, 16), (50_000, 64)] {
            let endpoint = Endpoint { places: vec![(0, 1_000)], latency, transit: 500, whims: 0 };
            let seen = endpoint.meets(vec![Pace::new(slots)], 0, 5 * SECOND);

            assert_eq!((seen.refused, seen.most_in_flight), (0, slots));
            let full = f64::from(slots) * 5.0 * SECOND as f64 / (latency + 1_500) as f64;
            assert!(f64::from(seen.taken) > 0.95 * full, "{} of {full}", seen.taken);
        }
    }

    /// Issue 6: capacity unknown, 429 above it: goodput of 0.9 or more after two seconds, refusals of 5 % at most.
    #[test]
    fn whatever_the_endpoint_takes_is_found_and_kept() {
        for latency in [20_000, 50_000, 200_000] {
            for places in [1, 2, 3, 4, 7, 16, 40] {
                let endpoint = Endpoint { places: vec![(0, places)], latency, transit: latency / 100, whims: 0 };
                let seen = endpoint.meets(vec![Pace::new(64)], 2 * SECOND, 30 * SECOND);

                assert!(seen.goodput() >= 0.9, "{places} places of {latency}: {}", seen.goodput());
                assert!(seen.refusals() <= 0.05, "{places} places of {latency}: {}", seen.refusals());
            }
        }
    }

    /// Issue 6, with a capacity that changes in mid-run.
    #[test]
    fn a_change_of_what_the_endpoint_takes_is_followed() {
        for (latency, places) in [
            (50_000, vec![(0, 16), (8 * SECOND, 4), (16 * SECOND, 16), (24 * SECOND, 8)]),
            (50_000, vec![(0, 4), (8 * SECOND, 32), (16 * SECOND, 6), (24 * SECOND, 12)]),
            (200_000, vec![(0, 12), (10 * SECOND, 6), (20 * SECOND, 16)]),
        ] {
            let endpoint = Endpoint { places, latency, transit: 1_000, whims: 0 };
            let seen = endpoint.meets(vec![Pace::new(64)], 2 * SECOND, 32 * SECOND);

            assert!(seen.goodput() >= 0.9, "{:?}: {}", endpoint.places, seen.goodput());
            assert!(seen.refusals() <= 0.05, "{:?}: {}", endpoint.places, seen.refusals());
        }
    }

    #[test]
    fn workers_that_share_an_endpoint_fill_it_together() {
        let endpoint = Endpoint { places: vec![(0, 12)], latency: 50_000, transit: 500, whims: 0 };
        let seen = endpoint.meets(vec![Pace::new(20), Pace::new(20), Pace::new(20)], 2 * SECOND, 30 * SECOND);

        assert!(seen.goodput() >= 0.9, "{}", seen.goodput());
        assert!(seen.refusals() <= 0.1, "{}", seen.refusals());
    }

    /// Refusals that have nothing to do with load leave the endpoint as full as it can be.
    #[test]
    fn an_endpoint_that_refuses_now_and_then_is_kept_busy() {
        for (whims, slots, busy) in
            [(10, 16, 0.9), (20, 16, 0.85), (50, 16, 0.4), (10, 64, 0.8), (20, 64, 0.5), (50, 64, 0.1)]
        {
            let endpoint = Endpoint { places: vec![(0, slots as usize)], latency: 50_000, transit: 500, whims };
            let seen = endpoint.meets(vec![Pace::new(slots)], 2 * SECOND, 60 * SECOND);

            assert!(seen.goodput() >= busy, "{whims} of 1,000, {slots} slots: {}", seen.goodput());
        }
    }

    #[test]
    fn an_endpoint_that_refuses_now_and_then_and_when_it_is_full_is_kept_full() {
        for places in [4, 12, 30] {
            let endpoint = Endpoint { places: vec![(0, places)], latency: 50_000, transit: 500, whims: 20 };
            let seen = endpoint.meets(vec![Pace::new(64)], 2 * SECOND, 60 * SECOND);

            assert!(seen.goodput() >= 0.85, "{places} places: {}", seen.goodput());
            assert!(seen.refusals() <= 0.05, "{places} places: {}", seen.refusals());
        }
    }

    fn began(pace: &mut Pace) -> Vec<Call> {
        std::iter::from_fn(|| pace.begin()).collect()
    }

    #[test]
    fn one_refusal_changes_nothing_and_a_second_one_halves_the_limit_once() {
        let mut pace = Pace::new(64);
        let mut calls = began(&mut pace);
        assert_eq!(calls.len(), 8);

        pace.refused(calls.pop().unwrap());
        assert_eq!(pace.limit(), 8);
        calls.insert(0, pace.begin().unwrap());
        for _ in 0..3 {
            pace.refused(calls.pop().unwrap());
            assert_eq!(pace.limit(), 4);
        }

        assert_eq!((pace.in_flight, pace.known), (5, 5), "five are still there");
        assert!(pace.begin().is_none());
    }

    #[test]
    fn refusals_far_between_change_nothing() {
        let mut pace = Pace::new(8);
        for _ in 0..10 {
            let mut calls = began(&mut pace);
            pace.refused(calls.pop().unwrap());
            calls.into_iter().for_each(|call| pace.answered(call));
        }
        assert_eq!(pace.limit(), 8);
    }

    #[test]
    fn no_call_of_a_crowd_is_alone_not_even_the_last_one() {
        let mut pace = Pace::new(64);
        for call in began(&mut pace) {
            assert!(!pace.is_alone(&call));
            pace.refused(call);
        }
        let after = pace.begin().unwrap();
        assert!(pace.is_alone(&after));
        let beside = pace.begin().unwrap();
        assert!(!pace.is_alone(&after) && !pace.is_alone(&beside));
    }

    #[test]
    fn below_one_in_flight_is_one_that_was_alone() {
        let mut pace = Pace::new(1);
        for _ in 0..3 {
            let call = pace.begin().unwrap();
            assert!(pace.begin().is_none());
            assert!(pace.is_alone(&call));
            pace.refused(call);
        }
        assert_eq!(pace.limit(), 1);
    }

    #[test]
    fn waits_grow_to_a_bound_and_chance_decides_below_it() {
        assert_eq!((backoff(0, 1.0), backoff(1, 0.0)), (Duration::ZERO, Duration::ZERO));
        assert_eq!([1, 2, 3].map(|n| backoff(n, 0.5).as_millis()), [250, 500, 1_000]);
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST_BACKOFF);
    }

    proptest! {
        #[test]
        fn whatever_happens_the_share_holds_and_the_worker_goes_on(share in 1u32..100, steps in proptest::collection::vec((0u8..4, 0usize..100), 0..500)) {
            let mut pace = Pace::new(share);
            let mut calls: Vec<Call> = Vec::new();
            let mut halved_since = 0;
            for (what, which) in steps {
                let limit = pace.limit();
                match what {
                    0 => calls.extend(pace.begin()),
                    _ if calls.is_empty() => prop_assert!(pace.begin().map(|call| calls.push(call)).is_some(), "nothing in flight and nothing may begin"),
                    1 => { let call = calls.swap_remove(which % calls.len()); pace.answered(call); }
                    2 => { let call = calls.swap_remove(which % calls.len()); pace.ended(call); }
                    _ => {
                        let call = calls.swap_remove(which % calls.len());
                        let number = call.number;
                        pace.refused(call);
                        prop_assert!(number > halved_since || pace.limit() >= limit, "twice in a round trip");
                        if pace.limit() < limit { halved_since = pace.begun; }
                    }
                }
                prop_assert_eq!(pace.in_flight as usize, calls.len());
                prop_assert!(pace.in_flight <= share && (1..=share).contains(&pace.limit()));
                prop_assert!((1..=share).contains(&pace.known));
            }
        }
    }
}

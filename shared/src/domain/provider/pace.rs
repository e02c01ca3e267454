//! How many calls a worker has at its endpoint: as many as the endpoint takes, within the worker's share of the limit
//! (docs/decisions/0013, 0025).
//!
//! Additive increase and multiplicative decrease with a memory. A second refusal (429 and its kin, 502, a broken connection)
//! soon after another halves the limit, once a round trip; one by itself was about something else than load, and changes
//! nothing. What the endpoint is known to take is then reached again by doubling, and from time to time exceeded on trial: a
//! trial that is refused costs the calls that were too many, and no halving; one that holds for a round trip is the new
//! measure, and the next trial takes twice the step.
//!
//! An endpoint that queues refuses nothing: its calls take longer, up to the timeout. So the limit stays where every call
//! would be answered well within the timeout if the endpoint worked no faster than now. Beyond that, a trial must bring more
//! answers a second. Quick models never come near this bound.
//!
//! After a call that got no answer none begins until another one is answered. When nothing is in flight any more, the endpoint
//! counts as away, and is probed with one call at a time.
//!
//! Invariant: never more in flight than the share. No clock and no chance in here: callers say what time it is.

use std::collections::VecDeque;
use std::time::Duration;

/// Calls in flight that a worker begins with: a server that works on one at a time answers the last of them after four times
/// its time, and the timeout may be six times.
const START: u32 = 4;
/// Good answers between two trials: a refused trial is one refusal in so many, far below the 5 % that an endpoint may see.
const HOLD: u32 = 36;
/// A trial that brought nothing doubles the good answers until the next one, so many times at most.
const HOLD_DOUBLINGS: u32 = 4;
/// Good answers after which a refusal is taken for one that had nothing to do with load: who is full refuses more often.
const DOUBT: u32 = 6;
/// Of the timeout, in percent: the limit grows by itself while every call would be answered within this.
const SAFE: u128 = 60;
/// And by trials while every call would be answered within this.
const NEAR: u128 = 80;
/// Above this, calls are about to time out, and the limit sinks.
const LATE: u128 = 95;
/// The first wait of [`backoff`], on average half of it.
const BACKOFF: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// The calls of one worker. Every `now` is the time since the worker began.
#[derive(Clone, Debug)]
pub struct Pace {
    share: u32,
    /// After which a call is given up.
    timeout: Duration,
    limit: u32,
    /// What the endpoint is known to take, as far as is known.
    known: u32,
    /// Whether `known` comes from experience; until then it is the share.
    explored: bool,
    /// How far the trial that is on, or the next one, goes beyond it.
    step: u32,
    on_trial: bool,
    /// The time between two answers before the trial that is on, if it must become shorter.
    to_beat: Option<Duration>,
    /// Trials in a row that brought no more answers a second.
    futile: u32,
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
    /// The latest begun of the calls that were answered.
    latest: u64,
    rate: Rate,
    /// Calls without an answer since the last answer.
    missed: u32,
    silence: Option<Silence>,
}

/// What became of a call that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The endpoint had no room for it: 429 and its kin.
    Full,
    /// It came back without an answer: 502, a broken connection, no connection.
    Broken,
    /// It was given up after the timeout.
    TimedOut,
}

/// Since a call got no answer, none has been answered.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// What the endpoint took before.
    limit: u32,
    /// The time between two answers before.
    interval: Duration,
    /// Calls were given up.
    timed_out: bool,
    /// Calls that the endpoint may still work on, although they were given up.
    backlog: u32,
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
    /// For a worker that may never have more than `share` calls in flight, each of which is given up after `timeout`.
    #[must_use]
    pub fn new(share: u32, timeout: Duration) -> Self {
        let share = share.max(1);
        Self {
            share,
            timeout,
            limit: share.min(START),
            known: share,
            explored: false,
            step: 1,
            on_trial: false,
            to_beat: None,
            futile: 0,
            in_flight: 0,
            most: (0, 0),
            round: 0,
            begun: 0,
            since: 0,
            good: 0,
            doubt: 0,
            latest: 0,
            rate: Rate::default(),
            missed: 0,
            silence: None,
        }
    }

    /// Begins a call; `None`: as many are in flight as may be.
    pub fn begin(&mut self, now: Duration) -> Option<Call> {
        if self.in_flight >= if self.silence.is_some() { 1 } else { self.limit } {
            return None;
        }
        let first = self.in_flight == 0;
        if first {
            self.rate.go_on(now);
        }
        self.in_flight += 1;
        self.begun += 1;
        self.most.0 = self.most.0.max(self.in_flight);
        Some(Call { number: self.begun, first })
    }

    /// The endpoint has taken the call, whatever came of it.
    pub fn answered(&mut self, call: Call, now: Duration) {
        self.doubt = self.doubt.saturating_sub(1);
        if call.number > self.round {
            self.round = self.begun;
            self.most = (self.in_flight, self.most.0);
        }
        let most = self.most.0.max(self.most.1);
        let tells = call.number > self.since;
        self.latest = self.latest.max(call.number);
        self.silence = None;
        self.missed = 0;
        // A whole crowd of answers, even if the limit has sunk meanwhile: those of one moment have no time between them.
        let round = self.limit.max(most);
        self.rate.answered(now, if self.explored { 2 * round } else { round });
        self.ended(call, now);
        if !tells {
            return;
        }
        if !self.on_trial && self.limit > self.within(LATE) && (!self.explored || self.good >= self.limit) {
            self.sink();
        } else if self.limit < self.known && (self.explored || self.limit < self.safe()) {
            self.grow(most);
        } else if most >= self.limit {
            self.hold();
        }
    }

    /// Below what the endpoint is known to take: for each answer one more, so twice as many a round trip. Three times as many
    /// as long as nothing is known.
    fn grow(&mut self, most: u32) {
        let (more, times, bound) = if self.explored { (1, 2, self.known) } else { (2, 3, self.safe().min(self.known)) };
        self.limit = (self.limit + more).min(times * most).min(bound).max(self.limit);
    }

    /// The limit holds, and is used.
    fn hold(&mut self) {
        self.good += 1;
        if self.on_trial {
            // A rate is known after two round trips, a refusal would have come within one.
            let enough = if self.to_beat.is_some() { 2 * self.limit } else { self.limit };
            if self.good >= enough {
                self.judge_trial();
            }
            return;
        }
        let careful = self.explored || self.limit >= self.within(LATE);
        let enough = if careful { HOLD << self.futile.min(HOLD_DOUBLINGS) } else { HOLD.min(2 * self.limit) };
        if self.good >= enough {
            self.known = self.known.min(self.limit);
            self.try_more();
        }
    }

    /// At least half of the answers a second that so many more calls might bring.
    fn judge_trial(&mut self) {
        if let Some(before) = self.to_beat {
            if self.rate.interval() * (self.known + self.limit) > before * (2 * self.known) {
                let known = self.known;
                self.futile += 1;
                self.set(known);
                self.known = known;
                return;
            }
            self.futile = 0;
        }
        self.known = self.limit;
        self.step = self.step.saturating_mul(2);
        if self.known < self.within(LATE) {
            self.try_more();
        } else {
            let known = self.known;
            self.set(known);
            self.known = known;
        }
    }

    /// Calls are about to time out.
    fn sink(&mut self) {
        let limit = self.within(SAFE).clamp(1, self.limit);
        if self.explored {
            self.set(limit);
            self.known = limit;
        } else {
            self.limit = limit; // the other answers of the first round may just not be there yet
        }
    }

    /// Whether the call has been the only one in flight from its begin until now: if it is refused, it was not this worker that
    /// had filled the endpoint.
    #[must_use]
    pub const fn is_alone(&self, call: &Call) -> bool {
        call.first && call.number == self.begun
    }

    /// The endpoint gave no answer to the call, or did not take it. `false`: it is the call's own fault, since it `timed_out`
    /// though others that began later were answered, and far in time.
    pub fn refused(&mut self, call: Call, sign: Sign, now: Duration) -> bool {
        let timed_out = sign == Sign::TimedOut;
        if timed_out && self.latest > call.number && self.limit <= self.within(50) {
            self.ended(call, now);
            return false;
        }
        let before = if self.on_trial { self.known } else { self.limit };
        let (interval, fresh) =
            (self.rate.interval(), Silence { limit: before, interval: Duration::ZERO, timed_out: false, backlog: 0 });
        let number = call.number;
        self.ended(call, now);
        self.missed += 1;
        // One that happened to be alone, just after others were answered, may be about the item.
        let by_chance = self.missed == 1 && self.in_flight == 0 && self.limit > 1 && self.latest > 0;
        if !by_chance {
            let silence = self.silence.get_or_insert(Silence { interval, ..fresh });
            if timed_out {
                silence.timed_out = true;
                silence.backlog += 1;
                self.doubt = self.doubt.max(1);
                self.futile += u32::from(self.on_trial);
            }
        }
        self.less_room(number);
        if self.in_flight == 0 {
            self.lose_sight(now);
        }
        true
    }

    fn less_room(&mut self, number: u64) {
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

    /// Nothing is in flight and nothing was answered: what all calls met at once says nothing about room, unless they timed out.
    fn lose_sight(&mut self, now: Duration) {
        let Some(silence) = self.silence else { return };
        let known = if silence.timed_out { (silence.limit / 2).max(1) } else { silence.limit };
        self.set(1);
        self.explored = self.latest > 0 || silence.timed_out;
        self.known = if self.explored { known } else { self.share };
        self.rate.forget(now);
    }

    /// The endpoint is away: the last calls got no answer, and none is in flight.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        self.silence.is_some() && self.in_flight == 0
    }

    /// No call is in flight.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// How long the endpoint may still work on calls that were given up, if it works on one at a time.
    pub fn take_backlog(&mut self) -> Duration {
        self.silence.as_mut().map_or(Duration::ZERO, |silence| silence.interval * std::mem::take(&mut silence.backlog))
    }

    /// The call is over, and says nothing about the endpoint's room.
    pub fn ended(&mut self, _: Call, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.rate.pause(now);
        }
    }

    /// Calls that may be in flight now.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    fn try_more(&mut self) {
        let (step, known, interval) = (self.step, self.known, self.rate.interval());
        let in_time = self.within(NEAR).max(known.saturating_add(1));
        let target = known.saturating_add(step).min(in_time).min(self.share);
        let tight = target > self.safe();
        self.set(target);
        self.known = known;
        self.on_trial = target > known;
        self.to_beat = tight.then_some(interval);
        self.step = step.min(self.share);
    }

    fn set(&mut self, limit: u32) {
        self.limit = limit;
        self.since = self.begun;
        self.good = 0;
        self.on_trial = false;
        self.to_beat = None;
        self.explored = true;
        self.step = 1;
        self.doubt = 0;
    }

    /// Calls in flight of which each would be answered within so many percent of the timeout, if the endpoint worked no faster
    /// than now: as many as it answers in that time.
    fn within(&self, percent: u128) -> u32 {
        let answers = (self.timeout.as_nanos() * percent / 100).checked_div(self.rate.interval().as_nanos());
        answers.map_or(u32::MAX, |answers| u32::try_from(answers).unwrap_or(u32::MAX))
    }

    /// [`Pace::within`] the safe part of the timeout, to the nearest.
    fn safe(&self) -> u32 {
        let doubled = self.within(2 * SAFE);
        (doubled / 2).saturating_add(doubled % 2)
    }
}

/// How fast answers come, of the time in which at least one call is in flight.
#[derive(Clone, Debug, Default)]
struct Rate {
    /// Time in which none was.
    idle: Duration,
    /// Since when none is.
    paused: Duration,
    /// When the answer before those of `ends` came.
    from: Duration,
    /// When the last answers came.
    ends: VecDeque<Duration>,
}

impl Rate {
    fn go_on(&mut self, now: Duration) {
        self.idle += now.saturating_sub(self.paused);
    }

    const fn pause(&mut self, now: Duration) {
        self.paused = now;
    }

    /// Of the last `window` answers the time is kept.
    fn answered(&mut self, now: Duration, window: u32) {
        self.ends.push_back(now.saturating_sub(self.idle));
        while self.ends.len() > window as usize
            && let Some(end) = self.ends.pop_front()
        {
            self.from = end;
        }
    }

    fn forget(&mut self, now: Duration) {
        self.from = now.saturating_sub(self.idle);
        self.ends.clear();
    }

    /// From one answer to the next, on average; zero if there was none.
    fn interval(&self) -> Duration {
        let count = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let last = self.ends.back().copied().unwrap_or(self.from);
        last.saturating_sub(self.from).checked_div(count).unwrap_or_default()
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
                let time = Duration::from_micros(now);
                for (who, pace) in workers.iter_mut().enumerate() {
                    while let Some(call) = pace.begin(time) {
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
                let time = Duration::from_micros(now);
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
                    Event::Answered(who, call) => workers[who].answered(call, time),
                    Event::Refused(who, call) => {
                        seen.refused += u32::from(now >= from);
                        workers[who].refused(call, Sign::Full, time);
                    }
                }
            }
        }
    }

    const SECOND: u64 = 1_000_000;
    /// The usual one.
    const TIMEOUT: Duration = Duration::from_secs(30);
    const NOW: Duration = Duration::ZERO;

    /// Four calls, three times as many, the share: as full after three round trips as it can be, and nearly so from the start.
    #[test]
    fn an_endpoint_with_room_for_all_is_full_at_once() {
        for (latency, slots, whole) in [(50_000, 16, 0.95), (200_000, 16, 0.93), (50_000, 64, 0.95)] {
            let endpoint = Endpoint { places: vec![(0, 1_000)], latency, transit: 500, whims: 0 };
            let full = f64::from(slots) * SECOND as f64 / (latency + 1_500) as f64;

            let seen = endpoint.meets(vec![Pace::new(slots, TIMEOUT)], 0, 5 * SECOND);
            assert_eq!((seen.refused, seen.most_in_flight), (0, slots));
            assert!(f64::from(seen.taken) > whole * 5.0 * full, "{} of {}", seen.taken, 5.0 * full);

            let seen = endpoint.meets(vec![Pace::new(slots, TIMEOUT)], 4 * latency, 4 * latency + 5 * SECOND);
            assert!(f64::from(seen.taken) > 0.98 * 5.0 * full, "{} of {}", seen.taken, 5.0 * full);
        }
    }

    /// Issue 6: capacity unknown, 429 above it: goodput of 0.9 or more after two seconds, refusals of 5 % at most.
    #[test]
    fn whatever_the_endpoint_takes_is_found_and_kept() {
        for latency in [20_000, 50_000, 200_000] {
            for places in [1, 2, 3, 4, 7, 16, 40] {
                let endpoint = Endpoint { places: vec![(0, places)], latency, transit: latency / 100, whims: 0 };
                let seen = endpoint.meets(vec![Pace::new(64, TIMEOUT)], 2 * SECOND, 30 * SECOND);

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
            let seen = endpoint.meets(vec![Pace::new(64, TIMEOUT)], 2 * SECOND, 32 * SECOND);

            assert!(seen.goodput() >= 0.9, "{:?}: {}", endpoint.places, seen.goodput());
            assert!(seen.refusals() <= 0.05, "{:?}: {}", endpoint.places, seen.refusals());
        }
    }

    #[test]
    fn workers_that_share_an_endpoint_fill_it_together() {
        let endpoint = Endpoint { places: vec![(0, 12)], latency: 50_000, transit: 500, whims: 0 };
        let seen = endpoint.meets(
            vec![Pace::new(20, TIMEOUT), Pace::new(20, TIMEOUT), Pace::new(20, TIMEOUT)],
            2 * SECOND,
            30 * SECOND,
        );

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
            let seen = endpoint.meets(vec![Pace::new(slots, TIMEOUT)], 2 * SECOND, 60 * SECOND);

            assert!(seen.goodput() >= busy, "{whims} of 1,000, {slots} slots: {}", seen.goodput());
        }
    }

    #[test]
    fn an_endpoint_that_refuses_now_and_then_and_when_it_is_full_is_kept_full() {
        for places in [4, 12, 30] {
            let endpoint = Endpoint { places: vec![(0, places)], latency: 50_000, transit: 500, whims: 20 };
            let seen = endpoint.meets(vec![Pace::new(64, TIMEOUT)], 2 * SECOND, 60 * SECOND);

            assert!(seen.goodput() >= 0.85, "{places} places: {}", seen.goodput());
            assert!(seen.refusals() <= 0.05, "{places} places: {}", seen.refusals());
        }
    }

    fn began(pace: &mut Pace) -> Vec<Call> {
        std::iter::from_fn(|| pace.begin(NOW)).collect()
    }

    #[test]
    fn one_refusal_changes_nothing_and_a_second_one_halves_the_limit_once() {
        let mut pace = Pace::new(64, TIMEOUT);
        began(&mut pace).into_iter().for_each(|call| pace.answered(call, NOW));
        let mut calls = began(&mut pace);
        assert_eq!(calls.len(), 12);

        assert!(pace.refused(calls.pop().unwrap(), Sign::Broken, NOW));
        assert_eq!(pace.limit(), 12);
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

    /// In which order a server works on the calls that it has taken.
    #[derive(Clone, Copy, Debug)]
    enum Order {
        /// So many at a time, the earliest first.
        Queue(usize),
        /// So many at a time, any of those that wait.
        Chance(usize),
        /// All at once, each with its part of one processor.
        Shared,
    }

    /// A server that takes every call, and works on those too that were given up. Milliseconds.
    #[derive(Clone, Debug)]
    struct Server {
        order: Order,
        /// What one picture takes, if it is alone.
        work: u64,
        /// Up or down by so many percent.
        spread: u64,
        timeout: u64,
        /// From when to when it breaks every connection.
        away: (u64, u64),
    }

    #[derive(Debug, Default)]
    struct Run {
        wall: u64,
        timed_out: u32,
        broken: u32,
        probes: u32,
        worked: u32,
        most: usize,
    }

    struct Taken {
        call: Option<Call>,
        begun: u64,
        left: f64,
        served: bool,
    }

    const TICK: u64 = 10;

    impl Server {
        fn works_on(&self, items: u32, share: u32, seed: u64) -> Run {
            let mut random = seed | 1;
            let mut chance = |width: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % width.max(1)
            };
            let mut pace = Pace::new(share, Duration::from_millis(self.timeout));
            let (mut run, mut taken, mut done) = (Run::default(), Vec::<Taken>::new(), 0);
            let (mut now, mut opens, mut lone) = (0, 0, 0);
            while done < items {
                now += TICK;
                assert!(now < 100 * u64::from(items) * self.work + 1_000_000, "never ends: {self:?} {run:?}");
                let time = Duration::from_millis(now);
                let is_away = (self.away.0..self.away.1).contains(&now);
                let mut lost: Vec<(Call, bool)> = vec![];
                if is_away {
                    lost.extend(taken.drain(..).filter_map(|taken| Some((taken.call?, false))));
                }
                for taken in taken.iter_mut().filter(|taken| taken.begun + self.timeout <= now) {
                    lost.extend(taken.call.take().map(|call| (call, true)));
                }
                while now >= opens
                    && pace.in_flight < items - done
                    && let Some(call) = pace.begin(time)
                {
                    run.probes += u32::from(pace.silence.is_some());
                    if is_away {
                        lost.push((call, false));
                        break;
                    }
                    let work = self.work * (100 - self.spread + chance(2 * self.spread + 1)) / 100;
                    taken.push(Taken { call: Some(call), begun: now, left: work as f64, served: false });
                }
                run.most = run.most.max(pace.in_flight as usize);
                for (call, timed_out) in lost {
                    run.timed_out += u32::from(timed_out);
                    run.broken += u32::from(!timed_out);
                    pace.refused(call, if timed_out { Sign::TimedOut } else { Sign::Broken }, time);
                    if pace.is_away() {
                        lone += 1;
                        let pause = backoff(lone, 0.75).max(pace.take_backlog());
                        opens = now + u64::try_from(pause.as_millis()).unwrap();
                    }
                }
                let places = match self.order {
                    Order::Queue(places) | Order::Chance(places) => places,
                    Order::Shared => usize::MAX,
                };
                while taken.iter().filter(|taken| taken.served).count() < places.min(taken.len()) {
                    let waiting: Vec<usize> = (0..taken.len()).filter(|n| !taken[*n].served).collect();
                    let next =
                        if matches!(self.order, Order::Chance(_)) { chance(waiting.len() as u64) as usize } else { 0 };
                    taken[waiting[next]].served = true;
                }
                let part = if matches!(self.order, Order::Shared) { taken.len().max(1) as f64 } else { 1.0 };
                for taken in taken.iter_mut().filter(|taken| taken.served) {
                    taken.left -= TICK as f64 / part;
                }
                for finished in taken.extract_if(.., |taken| taken.left <= 0.0) {
                    run.worked += 1;
                    let Some(call) = finished.call else { continue };
                    done += 1;
                    lone = 0;
                    pace.answered(call, time);
                }
            }
            run.wall = now;
            run
        }
    }

    fn one_at_a_time(timeout: u64) -> Server {
        Server { order: Order::Queue(1), work: 1_000, spread: 0, timeout, away: (0, 0) }
    }

    /// design.md, section 16: a timeout of six times its time. At five times the room for chance is gone.
    #[test]
    fn a_server_that_works_on_one_picture_at_a_time_is_asked_no_faster_than_it_answers() {
        for share in [1, 2, 3, 4, 8, 16, 64] {
            for (spread, timeout, items) in [0, 10, 20]
                .into_iter()
                .flat_map(|spread| [(spread, 6_000, 40), (spread, 6_000, 400), (spread, 30_000, 200)])
            {
                let run = Server { spread, ..one_at_a_time(timeout) }.works_on(items, share, 7);
                assert_eq!((run.timed_out, run.worked), (0, items), "share {share}, {spread} %, {timeout} ms: {run:?}");

                let shared = Server { order: Order::Shared, spread, ..one_at_a_time(timeout) };
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
                    let server = Server { order, spread, ..one_at_a_time(timeout) };
                    let run = server.works_on(120, 16, 7);
                    assert!(run.wall < 140_000 && run.timed_out <= 20, "{order:?}, {timeout} ms, {spread} %: {run:?}");
                }
            }
        }
    }

    /// A model may take long and still take many: throughput is the signal, not latency.
    #[test]
    fn a_slow_server_with_many_places_gets_as_many_calls() {
        for places in [4, 8, 16] {
            for work in [1_000, 3_000, 8_000, 12_000] {
                for spread in [0, 20] {
                    let server = Server { order: Order::Queue(places), work, spread, ..one_at_a_time(30_000) };
                    let run = server.works_on(400, 16, 7);
                    let goodput = 400.0 * work as f64 / (places as f64 * run.wall as f64);
                    assert!(goodput >= 0.9, "{places} places, {work} ms, {spread} %: {goodput} {run:?}");
                }
            }
        }
    }

    /// design.md, section 16: beside the calls that were in flight, only probes get no answer.
    #[test]
    fn a_server_that_is_away_is_probed_by_one_call_at_a_time() {
        for (begin, seconds, probes) in [(0, 15, 8), (0, 60, 14), (5, 15, 8), (5, 60, 14)] {
            for (order, work) in [(Order::Queue(1_000), 200), (Order::Queue(1), 1_000), (Order::Queue(16), 5_000)] {
                let away = (1_000 * begin, 1_000 * (begin + seconds));
                let run = Server { order, work, spread: 10, away, ..one_at_a_time(30_000) }.works_on(600, 16, 7);
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
            let server = Server { order, work, spread, timeout, away: (away.0, away.0 + away.1) };
            let run = server.works_on(100, share, seed);
            prop_assert!(run.most <= share as usize);
            prop_assert!(run.wall <= away.1 + 60_000 + 300 * work, "{server:?}: {run:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_share_holds_and_the_worker_goes_on(share in 1u32..100, steps in proptest::collection::vec((0u8..6, 0usize..100, 0u64..3_000), 0..500)) {
            let mut pace = Pace::new(share, TIMEOUT);
            let mut calls: Vec<Call> = Vec::new();
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
}

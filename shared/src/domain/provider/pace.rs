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

/// Calls in flight at the begin. A server that works on one at a time answers the last of them after four times its latency, and
/// its timeout may be as short as six times the latency.
const START_CALLS: u32 = 4;
/// Good answers between two trials. One refusal in 36 answers is below the 5 % of refusals that an endpoint may see.
const HOLD_ANSWERS: u32 = 36;
/// A trial that brought nothing doubles the good answers until the next one, at most this many times.
const HOLD_DOUBLINGS: u32 = 4;
/// Good answers after which a refusal is taken for one that had nothing to do with load: a full endpoint refuses more often.
const DOUBT_ANSWERS: u32 = 6;
/// Percent of the timeout. The limit grows without trials while every call would be answered within it.
const SAFE_PERCENT: u128 = 60;
/// The limit grows by trials while every call would be answered within it.
const NEAR_PERCENT: u128 = 80;
/// Beyond it calls are about to time out, and the limit sinks.
const LATE_PERCENT: u128 = 95;
/// The first wait of [`backoff`], on average half of it.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// The calls of one worker. Every `now` is the time since the worker began.
#[derive(Clone, Debug)]
pub struct Pace {
    share: u32,
    /// Time after which a call is given up.
    timeout: Duration,
    limit: u32,
    /// Calls at once that the endpoint is known to take; the share until [`Self::explored`].
    known: u32,
    /// Whether `known` was measured.
    explored: bool,
    /// How far the trial that is on, or the next one, goes beyond it.
    step: u32,
    on_trial: bool,
    /// The time between two answers before the trial that is on, if it must become shorter.
    to_beat: Option<Duration>,
    /// Trials in a row that brought no more answers a second.
    futile: u32,
    in_flight: u32,
    /// Most calls in flight in this round trip, and in the one before: a limit that was not used is not measured.
    most: (u32, u32),
    /// The last call that had begun when this round trip did.
    round: u64,
    /// Calls that have begun.
    begun: u64,
    /// The last call that began before the present limit: calls up to it are no measure of the limit.
    since: u64,
    /// Good answers under the present limit.
    good: u32,
    /// Good answers until the last refusal is forgotten.
    doubt: u32,
    /// The highest number of an answered call.
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

/// One call in flight. It goes back to the pace when the call ends.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a permit that is never given back keeps its slot"]
pub struct CallPermit {
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
            limit: share.min(START_CALLS),
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

    /// Begins a call. `None`: as many are in flight as are allowed now.
    pub fn begin(&mut self, now: Duration) -> Option<CallPermit> {
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
        Some(CallPermit { number: self.begun, first })
    }

    /// The endpoint has answered the call, also with an error.
    pub fn answered(&mut self, permit: CallPermit, now: Duration) {
        self.doubt = self.doubt.saturating_sub(1);
        if permit.number > self.round {
            self.round = self.begun;
            self.most = (self.in_flight, self.most.0);
        }
        let most = self.most.0.max(self.most.1);
        let is_measure = permit.number > self.since;
        self.latest = self.latest.max(permit.number);
        self.silence = None;
        self.missed = 0;
        // A whole crowd of answers, even if the limit has sunk meanwhile: those of one moment have no time between them.
        let round = self.limit.max(most);
        self.rate.answered(now, if self.explored { 2 * round } else { round });
        self.ended(permit, now);
        if !is_measure {
            return;
        }
        if !self.on_trial && self.limit > self.within(LATE_PERCENT) && (!self.explored || self.good >= self.limit) {
            self.sink();
        } else if self.limit < self.known && (self.explored || self.limit < self.safe()) {
            self.grow(most);
        } else if most >= self.limit {
            self.hold();
        }
    }

    /// Below what the endpoint is known to take: for each answer one more, so twice as many a round trip. As long as nothing is
    /// known, four times as many, in few answers: their latency has shown how many calls are safe even if the endpoint works on one
    /// at a time.
    fn grow(&mut self, most: u32) {
        let (more, times, bound) = if self.explored { (1, 2, self.known) } else { (6, 4, self.safe().min(self.known)) };
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
        let careful = self.explored || self.limit >= self.within(LATE_PERCENT);
        let enough =
            if careful { HOLD_ANSWERS << self.futile.min(HOLD_DOUBLINGS) } else { HOLD_ANSWERS.min(2 * self.limit) };
        if self.good >= enough {
            self.known = self.known.min(self.limit);
            self.try_more();
        }
    }

    /// A trial must bring at least half of the further answers a second that its further calls could bring.
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
        if self.known < self.within(LATE_PERCENT) {
            self.try_more();
        } else {
            let known = self.known;
            self.set(known);
            self.known = known;
        }
    }

    /// Calls are about to time out.
    fn sink(&mut self) {
        let limit = self.within(SAFE_PERCENT).clamp(1, self.limit);
        if self.explored {
            self.set(limit);
            self.known = limit;
        } else {
            self.limit = limit; // the other answers of the first round may just not be there yet
        }
    }

    /// Whether the call has been the only one in flight from its begin until now: if it is refused, the endpoint was not filled by
    /// this worker.
    #[must_use]
    pub const fn is_alone(&self, permit: &CallPermit) -> bool {
        permit.first && permit.number == self.begun
    }

    /// The call got no answer. `false`: that is no sign of the endpoint's room, since the call timed out though calls that began
    /// later were answered, and well in time.
    pub fn refused(&mut self, permit: CallPermit, sign: Sign, now: Duration) -> bool {
        let timed_out = sign == Sign::TimedOut;
        if timed_out && self.latest > permit.number && self.limit <= self.within(50) {
            self.ended(permit, now);
            return false;
        }
        let before = if self.on_trial { self.known } else { self.limit };
        let (interval, fresh) =
            (self.rate.interval(), Silence { limit: before, interval: Duration::ZERO, timed_out: false, backlog: 0 });
        let number = permit.number;
        self.ended(permit, now);
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
            // Of the same crowd as the refusals before it: there is room for one less than was counted after them.
            self.known -= u32::from(self.known > self.limit);
            return;
        }
        if !self.on_trial && self.doubt == 0 {
            self.doubt = DOUBT_ANSWERS;
            return;
        }
        let limit = if self.on_trial { self.known } else { (self.limit / 2).max(1) };
        // Not those of this moment: many may just have been answered.
        let room = self.most.0.max(self.most.1).min(self.limit).saturating_sub(1);
        self.set(limit);
        self.known = room.max(limit);
    }

    /// Nothing is in flight and nothing was answered: what all calls met at once is no sign of room, unless they timed out.
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

    /// The call is over, and no sign of the endpoint's room.
    pub fn ended(&mut self, _: CallPermit, now: Duration) {
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
        let in_time = self.within(NEAR_PERCENT).max(known.saturating_add(1));
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

    /// Calls in flight of which each would be answered within this percentage of the timeout, if the endpoint worked no faster than
    /// now: as many as it answers in that time.
    fn within(&self, percent: u128) -> u32 {
        let answers = (self.timeout.as_nanos() * percent / 100).checked_div(self.rate.interval().as_nanos());
        answers.map_or(u32::MAX, |answers| u32::try_from(answers).unwrap_or(u32::MAX))
    }

    /// [`Pace::within`] the safe part of the timeout, to the nearest.
    fn safe(&self) -> u32 {
        let doubled = self.within(2 * SAFE_PERCENT);
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

    /// Keeps the times of the last `window` answers.
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

/// How long to wait after a number of failures in a row: anything up to a bound that doubles ("full jitter"). `chance` is in `0..1`.
#[must_use]
pub fn backoff(failures: u32, chance: f64) -> Duration {
    let Some(doubled) = failures.checked_sub(1) else { return Duration::ZERO };
    FIRST_BACKOFF.saturating_mul(1 << doubled.min(10)).min(LONGEST_BACKOFF).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

//! Simulated endpoints, for the tests of the pace.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    /// Less than `width`, which is 1 at least.
    fn below(&mut self, width: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % width.max(1)
    }
}

/// An endpoint that refuses calls beyond its capacity. Times in microseconds.
pub(super) struct RefusingEndpoint {
    /// From which time on it takes how many calls at once. The first from 0.
    pub(super) capacity: Vec<(u64, usize)>,
    /// Of a call, within 10 %.
    pub(super) latency: u64,
    /// Of a request, and of an answer, at least. At most twice this.
    pub(super) transit: u64,
    /// Calls of 1,000 that are refused though there is room.
    pub(super) whims: u64,
}

/// What an endpoint has counted.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) answered: u32,
    pub(super) refused: u32,
    pub(super) most_in_flight: u32,
    /// Answers that its capacity allowed.
    possible: f64,
}

impl Served {
    pub(super) fn goodput(&self) -> f64 {
        f64::from(self.answered) / self.possible
    }

    pub(super) fn refusals(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.answered + self.refused)
    }
}

/// What becomes of a call next, and of which worker it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CallEvent {
    Arrives(usize, CallPermit),
    Leaves(usize, CallPermit),
    Refused(usize, CallPermit),
    Answered(usize, CallPermit),
}

impl RefusingEndpoint {
    fn capacity(&self, now: u64) -> usize {
        self.capacity.iter().take_while(|(from, _)| *from <= now).last().map_or(0, |(_, capacity)| *capacity)
    }

    /// Serves workers that always have another item, until `end`. Counts from `from` on.
    pub(super) fn serve(&self, mut workers: Vec<Pace>, from: u64, end: u64) -> Served {
        let mut random = Random(0x2545_F491_4F6C_DD17);
        let mut served = Served::default();
        let mut events = BinaryHeap::new();
        let (mut now, mut busy, mut counted_until) = (0, 0, from);
        loop {
            for (worker, pace) in workers.iter_mut().enumerate() {
                while let Some(permit) = pace.begin(Duration::from_micros(now)) {
                    let arrival = now + self.transit + random.below(self.transit);
                    events.push(Reverse((arrival, CallEvent::Arrives(worker, permit))));
                }
            }
            served.most_in_flight = served.most_in_flight.max(workers.iter().map(|pace| pace.in_flight).sum());
            let Some(Reverse((at, event))) = events.pop() else { return served };
            if at > counted_until {
                let capacity = self.capacity(counted_until) as f64;
                served.possible += capacity * (at.min(end) - counted_until) as f64 / self.latency as f64;
                counted_until = at;
            }
            now = at;
            if now >= end {
                return served;
            }
            let time = Duration::from_micros(now);
            let back = now + self.transit + random.below(self.transit);
            match event {
                CallEvent::Arrives(worker, permit)
                    if busy < self.capacity(now) && random.below(1_000) >= self.whims =>
                {
                    busy += 1;
                    let took = self.latency * 9 / 10 + random.below(self.latency / 5);
                    events.push(Reverse((now + took, CallEvent::Leaves(worker, permit))));
                }
                CallEvent::Arrives(worker, permit) => events.push(Reverse((back, CallEvent::Refused(worker, permit)))),
                CallEvent::Leaves(worker, permit) => {
                    busy -= 1;
                    served.answered += u32::from(now >= from);
                    events.push(Reverse((back, CallEvent::Answered(worker, permit))));
                }
                CallEvent::Answered(worker, permit) => workers[worker].answered(permit, time),
                CallEvent::Refused(worker, permit) => {
                    served.refused += u32::from(now >= from);
                    workers[worker].refused(permit, Sign::Full, time);
                }
            }
        }
    }
}

/// In which order a server works on the calls that it has taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// This many at a time, the earliest first.
    Queue(usize),
    /// This many at a time, any of those that wait.
    Chance(usize),
    /// All at once, each with its part of one processor.
    Shared,
}

/// A server that takes every call, and also works on calls that were given up. Times in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct QueueingServer {
    pub(super) order: Order,
    /// Of one picture, if it is alone.
    pub(super) work: u64,
    /// Percent by which the work differs, up or down.
    pub(super) spread: u64,
    pub(super) timeout: u64,
    /// From when to when it breaks every connection.
    pub(super) away: (u64, u64),
}

/// What a server and its worker have counted.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) wall: u64,
    pub(super) timed_out: u32,
    pub(super) broken: u32,
    pub(super) probes: u32,
    /// Pictures that the server has worked on.
    pub(super) worked: u32,
    pub(super) most: usize,
}

/// A call at the server.
struct Taken {
    /// `None`: the worker has given it up.
    permit: Option<CallPermit>,
    begun: u64,
    /// Work that is left.
    left: f64,
    is_served: bool,
}

/// A worker at a server.
struct Simulation<'a> {
    server: &'a QueueingServer,
    random: Random,
    pace: Pace,
    taken: Vec<Taken>,
    now: u64,
    /// No call begins before.
    opens: u64,
    /// Probes without an answer since the last answer.
    lone: u32,
    done: u32,
    run: Run,
}

const TICK: u64 = 10;

impl QueueingServer {
    /// One worker, until all items are answered.
    pub(super) fn works_on(&self, items: u32, share: u32, seed: u64) -> Run {
        let mut simulation = Simulation {
            server: self,
            random: Random(seed | 1),
            pace: Pace::new(share, Duration::from_millis(self.timeout)),
            taken: Vec::new(),
            now: 0,
            opens: 0,
            lone: 0,
            done: 0,
            run: Run::default(),
        };
        while simulation.done < items {
            let (now, run) = (simulation.now, &simulation.run);
            assert!(now < 100 * u64::from(items) * self.work + 1_000_000, "never ends: {self:?} {run:?}");
            simulation.tick(items);
        }
        Run { wall: simulation.now, ..simulation.run }
    }

    const fn at_once(&self) -> usize {
        match self.order {
            Order::Queue(at_once) | Order::Chance(at_once) => at_once,
            Order::Shared => usize::MAX,
        }
    }
}

impl Simulation<'_> {
    fn time(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    fn tick(&mut self, items: u32) {
        self.now += TICK;
        let mut lost = self.give_up();
        self.begin(items, &mut lost);
        self.run.most = self.run.most.max(self.pace.in_flight as usize);
        for (permit, sign) in lost {
            self.lose(permit, sign);
        }
        self.choose();
        self.work();
    }

    fn is_away(&self) -> bool {
        (self.server.away.0..self.server.away.1).contains(&self.now)
    }

    /// Calls that end now without an answer.
    fn give_up(&mut self) -> Vec<(CallPermit, Sign)> {
        let mut lost = Vec::new();
        if self.is_away() {
            lost.extend(self.taken.drain(..).filter_map(|taken| Some((taken.permit?, Sign::Broken))));
        }
        let (now, timeout) = (self.now, self.server.timeout);
        for taken in self.taken.iter_mut().filter(|taken| taken.begun + timeout <= now) {
            lost.extend(taken.permit.take().map(|permit| (permit, Sign::TimedOut)));
        }
        lost
    }

    fn begin(&mut self, items: u32, lost: &mut Vec<(CallPermit, Sign)>) {
        while self.now >= self.opens
            && self.pace.in_flight < items - self.done
            && let Some(permit) = self.pace.begin(self.time())
        {
            self.run.probes += u32::from(self.pace.silence.is_some());
            if self.is_away() {
                lost.push((permit, Sign::Broken));
                break;
            }
            let QueueingServer { work, spread, .. } = self.server;
            let left = work * (100 - spread + self.random.below(2 * spread + 1)) / 100;
            self.taken.push(Taken { permit: Some(permit), begun: self.now, left: left as f64, is_served: false });
        }
    }

    fn lose(&mut self, permit: CallPermit, sign: Sign) {
        self.run.timed_out += u32::from(sign == Sign::TimedOut);
        self.run.broken += u32::from(sign == Sign::Broken);
        self.pace.refused(permit, sign, self.time());
        if self.pace.is_away() {
            self.lone += 1;
            let pause = backoff(self.lone, 0.75).max(self.pace.take_backlog());
            self.opens = self.now + u64::try_from(pause.as_millis()).unwrap();
        }
    }

    /// Which calls the server works on next.
    fn choose(&mut self) {
        let at_once = self.server.at_once().min(self.taken.len());
        while self.taken.iter().filter(|taken| taken.is_served).count() < at_once {
            let waiting: Vec<usize> = (0..self.taken.len()).filter(|n| !self.taken[*n].is_served).collect();
            let is_chance = matches!(self.server.order, Order::Chance(_));
            let next = if is_chance { self.random.below(waiting.len() as u64) as usize } else { 0 };
            self.taken[waiting[next]].is_served = true;
        }
    }

    fn work(&mut self) {
        let is_shared = matches!(self.server.order, Order::Shared);
        let part = if is_shared { self.taken.len().max(1) as f64 } else { 1.0 };
        for taken in self.taken.iter_mut().filter(|taken| taken.is_served) {
            taken.left -= TICK as f64 / part;
        }
        let time = self.time();
        for finished in self.taken.extract_if(.., |taken| taken.left <= 0.0) {
            self.run.worked += 1;
            let Some(permit) = finished.permit else { continue };
            self.done += 1;
            self.lone = 0;
            self.pace.answered(permit, time);
        }
    }
}

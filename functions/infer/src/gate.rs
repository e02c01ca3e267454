//! The way to the endpoint: in line, at the worker's pace, and shut when nothing more may be asked.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use shared::domain::diagnosis::Diagnosis;
use shared::domain::job::plan::Batch;
use shared::domain::provider::pace::{Call, Pace, Sign, backoff};
use shared::ports::InferenceError;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::STALE;
use crate::tries::{Miss, Tries};

/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Probes of an item in a row that got no answer, after which another item is the probe: it may be the item.
const PROBES: u32 = 2;
/// Probes of a host name without an address, after which a job that never had an answer is ended: the name is wrong.
const NAMELESS: u32 = 3;
/// The shortest time after which it is taken so: a resolver may fail for seconds.
const NAMELESS_FOR: Duration = Duration::from_secs(20);

/// What went through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Calls that have ended, one way or another.
    pub(crate) calls: u32,
    /// Those that the endpoint gave no answer to.
    pub(crate) refused: u32,
    /// How long those took that it answered, added up.
    pub(crate) busy: Duration,
}

/// The endpoint is away: the last calls got no answer, and it is probed with one call at a time.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) since: Instant,
    /// What the last call met: a sentence without secrets.
    pub(crate) met: String,
    pub(crate) diagnosis: Diagnosis,
    calls: u32,
}

/// An item that waits to ask again.
struct Waiter {
    ticket: u64,
    in_vain: u32,
    stands_out: bool,
}

pub(crate) struct Gate {
    begun: Instant,
    pace: RefCell<Pace>,
    /// Held by the first in line of those that ask for the first time.
    line: Mutex<()>,
    /// How many are in that line.
    in_line: Cell<u32>,
    /// They go before that line.
    again: RefCell<Vec<Waiter>>,
    tickets: Cell<u64>,
    /// A place was freed, or the pace has changed.
    moved: Notify,
    shut: watch::Sender<bool>,
    /// No call begins before: a lone call got no answer.
    opens: Cell<Instant>,
    /// When the job was last known to go on; no call begins long after (I7).
    looked: Cell<Instant>,
    /// Lone calls without an answer since the last answer.
    lone: Cell<u32>,
    /// Answers of the endpoint.
    answers: Cell<u64>,
    /// When the endpoint was last known to answer.
    answered: Cell<Instant>,
    /// The endpoint has answered something of this job.
    served: Cell<bool>,
    outage: RefCell<Option<Outage>>,
    outages: Cell<u32>,
    /// Items between their first call and their outcome, and those of them that do not stand out.
    present: Cell<u32>,
    innocent: Cell<u32>,
    /// The batch is one item, and no other worker is at the endpoint.
    single: bool,
    load: Cell<Load>,
}

impl Gate {
    /// For the worker of this batch, whose job was `looked` at then and had last moved at `progressed`; a call is given up after
    /// `timeout`. `served`: some items of the job have an outcome.
    pub(crate) fn new(batch: &Batch, timeout: Duration, looked: Instant, progressed: Instant, served: bool) -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            pace: RefCell::new(Pace::new(batch.slots, timeout)),
            line: Mutex::default(),
            in_line: Cell::new(0),
            again: RefCell::default(),
            tickets: Cell::new(0),
            moved: Notify::new(),
            shut: watch::Sender::new(false),
            opens: Cell::new(now),
            looked: Cell::new(looked),
            lone: Cell::new(0),
            answers: Cell::new(0),
            answered: Cell::new(progressed),
            served: Cell::new(served),
            outage: RefCell::default(),
            outages: Cell::new(0),
            present: Cell::new(0),
            innocent: Cell::new(0),
            single: batch.items == 1 && batch.workers <= 1,
            load: Cell::default(),
        }
    }

    /// An item is at hand, until [`Gate::depart`].
    pub(crate) fn arrive(&self) {
        self.present.set(self.present.get() + 1);
        self.innocent.set(self.innocent.get() + 1);
    }

    /// The item has its outcome.
    pub(crate) fn depart(&self, tries: &Tries) {
        self.present.set(self.present.get() - 1);
        self.innocent.set(self.innocent.get() - u32::from(!tries.stands_out()));
    }

    /// A place, when it is the item's turn; `None`: the gate is shut.
    pub(crate) async fn enter(&self, tries: &mut Tries) -> Option<Call> {
        let call = if tries.is_first() {
            self.in_line.set(self.in_line.get() + 1);
            let call = {
                let _first = self.line.lock().await;
                self.pass(|| self.next_again().is_none()).await
            };
            self.in_line.set(self.in_line.get() - 1);
            call
        } else {
            self.look_at(tries);
            let ticket = self.tickets.replace(self.tickets.get() + 1);
            let (in_vain, stands_out) = (tries.in_vain(), tries.stands_out());
            self.again.borrow_mut().push(Waiter { ticket, in_vain, stands_out });
            let call = self.pass(|| self.next_again() == Some(ticket)).await;
            self.again.borrow_mut().retain(|waiter| waiter.ticket != ticket);
            call
        };
        self.moved.notify_waiters();
        self.look_at(tries);
        call
    }

    /// Whether other items were answered since this one failed.
    fn look_at(&self, tries: &mut Tries) {
        let stood_out = tries.stands_out();
        tries.begin(self.answers.get());
        self.note(stood_out, tries);
    }

    async fn pass(&self, is_next: impl Fn() -> bool) -> Option<Call> {
        loop {
            if self.is_shut() {
                return None;
            }
            let (opens, now) = (self.opens.get(), Instant::now());
            let closed = now < opens;
            let stale = now > self.looked.get() + STALE; // until the next look
            if !closed
                && !stale
                && is_next()
                && let Some(call) = self.pace.borrow_mut().begin(self.begun.elapsed())
            {
                return Some(call);
            }
            tokio::select! {
                () = self.moved.notified() => {}
                () = sleep_until(opens), if closed => {}
                () = self.shutting() => {}
            }
        }
    }

    /// Who of those that ask again goes before the line. The endpoint is probed with items that were in flight when it went away,
    /// but not with the same item for ever. And one that stands out is not the first of a crowd: refused at once, it would be
    /// taken for a lone call.
    fn next_again(&self) -> Option<u64> {
        let (away, idle, again) = (self.pace.borrow().is_away(), self.pace.borrow().is_idle(), self.again.borrow());
        let others = self.in_line.get() > 0;
        let yields =
            |waiter: &&Waiter| others && if away { waiter.in_vain >= PROBES } else { idle && waiter.stands_out };
        let turn = |waiter: &&Waiter| (if away { waiter.in_vain } else { 0 }, waiter.ticket);
        again.iter().filter(|waiter| !yields(waiter)).min_by_key(turn).map(|waiter| waiter.ticket)
    }

    /// A call that took so long has ended. What it says about the endpoint is for the pace, what it says about the item for the
    /// item's `tries`.
    pub(crate) fn leave<T>(&self, call: Call, took: Duration, tries: &mut Tries, result: &Result<T, InferenceError>) {
        let mut load = self.load.get();
        load.calls += 1;
        let now = self.begun.elapsed();
        match result {
            Ok(_) | Err(InferenceError::Item(_)) => {
                load.busy += took;
                self.pace.borrow_mut().answered(call, now);
                self.lone.set(0);
                self.answers.set(self.answers.get() + 1);
                self.answered.set(Instant::now());
                self.served.set(true);
                self.outage.replace(None);
            }
            Err(InferenceError::Job { .. }) => {
                load.busy += took;
                self.pace.borrow_mut().ended(call, now);
            }
            Err(InferenceError::Busy { diagnosis, message, retry_after, patience }) => {
                load.refused += 1;
                let woken = self.answered.get().max(self.begun).elapsed() >= *patience;
                self.miss((call, Sign::Full, took), (*diagnosis, message, *retry_after), woken, tries);
            }
            Err(InferenceError::Transient { diagnosis, message, retry_after }) => {
                load.refused += 1;
                let sign = if *diagnosis == Diagnosis::Timeout { Sign::TimedOut } else { Sign::Broken };
                self.miss((call, sign, took), (*diagnosis, message, *retry_after), true, tries);
            }
        }
        self.load.set(load);
        self.moved.notify_waiters();
    }

    fn miss(
        &self,
        (call, sign, took): (Call, Sign, Duration),
        (diagnosis, met, retry_after): (Diagnosis, &str, Option<Duration>),
        woken: bool,
        tries: &mut Tries,
    ) {
        let (mut pace, now) = (self.pace.borrow_mut(), self.begun.elapsed());
        let was_alone = pace.is_alone(&call);
        let of_endpoint = if tries.is_beyond_the_crowd() && !was_alone && sign != Sign::TimedOut {
            pace.ended(call, now); // a picture that the server breaks down at says nothing about its room
            true
        } else {
            pace.refused(call, sign, now)
        };
        let is_away = pace.is_away();
        if is_away {
            self.lone.set(self.lone.get() + 1);
            let asked = retry_after.unwrap_or_default().max(pace.take_backlog()).min(LONGEST_WAIT);
            let pause = backoff(self.lone.get(), f64::midpoint(1.0, fastrand::f64())).max(asked);
            self.opens.set(Instant::now() + pause);
            let mut outage = self.outage.borrow_mut();
            self.outages.set(self.outages.get() + u32::from(outage.is_none()));
            let (since, calls) = outage.as_ref().map_or((Instant::now(), 0), |outage| (outage.since, outage.calls));
            *outage = Some(Outage { since, met: met.to_owned(), diagnosis, calls: calls + 1 });
        }
        drop(pace);
        let stood_out = tries.stands_out();
        let own = u32::from(!stood_out);
        let miss = Miss {
            sign,
            of_endpoint,
            alone: was_alone && is_away,
            answers: self.answers.get(),
            only_suspects: self.innocent.get() == own,
            last: self.present.get() == 1 && self.served.get(),
            single: self.single && woken,
        };
        tries.miss(miss, took);
        self.note(stood_out, tries);
    }

    fn note(&self, stood_out: bool, tries: &Tries) {
        self.innocent.set(self.innocent.get() - u32::from(tries.stands_out() && !stood_out));
    }

    /// A call that was not sent after all.
    pub(crate) fn give_back(&self, call: Call) {
        self.pace.borrow_mut().ended(call, self.begun.elapsed());
        self.moved.notify_waiters();
    }

    /// The endpoint is away just now.
    pub(crate) fn outage(&self) -> Option<Outage> {
        self.outage.borrow().clone()
    }

    /// The endpoint was away, now or before.
    pub(crate) const fn had_outage(&self) -> bool {
        self.outages.get() > 0
    }

    /// The host name has had no address for a while, and nothing of this job was ever answered there as far as this worker knows.
    pub(crate) fn is_nowhere(&self) -> bool {
        let nameless = |outage: &Outage| {
            outage.diagnosis == Diagnosis::Dns && outage.calls >= NAMELESS && outage.since.elapsed() >= NAMELESS_FOR
        };
        !self.served.get() && self.outage.borrow().as_ref().is_some_and(nameless)
    }

    /// When the endpoint was last known to answer.
    pub(crate) const fn answered(&self) -> Instant {
        self.answered.get()
    }

    /// It has answered another worker.
    pub(crate) fn heard(&self, answered: Instant) {
        self.answered.set(answered.max(self.answered.get()));
    }

    /// When the job was last known to go on.
    pub(crate) const fn looked(&self) -> Instant {
        self.looked.get()
    }

    /// The job goes on.
    pub(crate) fn look(&self) {
        self.looked.set(Instant::now());
        self.moved.notify_waiters();
    }

    /// No call begins any more, and no item waits.
    pub(crate) fn shut(&self) {
        self.shut.send_replace(true);
    }

    pub(crate) fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// So long, or until the gate is shut. While the endpoint is away the pauses between probes are wait enough.
    pub(crate) async fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_shut() && Instant::now() < until && self.outage.borrow().is_none() {
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.moved.notified() => {}
                () = self.shutting() => {}
            }
        }
    }

    async fn shutting(&self) {
        // The sender is our own: it does not go away.
        let _ = self.shut.subscribe().wait_for(|shut| *shut).await;
    }

    /// How long so many items will take, generously, from how long calls have taken; zero as long as none has.
    pub(crate) fn expects(&self, items: u32) -> Duration {
        let load = self.load.get();
        let taken = load.calls.saturating_sub(load.refused);
        let call = load.busy.checked_div(taken).unwrap_or_default();
        2 * call * items.div_ceil(self.pace.borrow().limit())
    }

    pub(crate) fn load(&self) -> Load {
        self.load.get()
    }
}

/// The wait after so many failures in a row, or what the endpoint asks for if that is longer.
pub(crate) fn wait(failures: u32, retry_after: Option<Duration>) -> Duration {
    backoff(failures, fastrand::f64()).max(retry_after.unwrap_or_default().min(LONGEST_WAIT))
}

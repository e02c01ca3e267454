//! Lets calls begin: in order, at the worker's pace, and none once the gate is shut.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use shared::domain::diagnosis::Diagnosis;
use shared::domain::job::plan::Batch;
use shared::domain::provider::pace::{CallPermit, Pace, Sign, backoff};
use shared::ports::InferenceError;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::STALE;
use crate::tries::{Miss, Tries};

/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// After this many probes with one item that got no answer, another item is the probe: the cause may be the item.
const PROBES: u32 = 2;
/// Probes of a host name that has no address. After them a job that never had an answer is ended: the name is wrong.
const NAMELESS: u32 = 3;
/// And for at least this long: a resolver may fail for seconds.
const NAMELESS_FOR: Duration = Duration::from_secs(20);

/// The calls of a worker so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Calls that have ended, with or without an answer.
    pub(crate) calls: u32,
    /// Those without an answer.
    pub(crate) refused: u32,
    /// The time of those with an answer, added up.
    pub(crate) busy: Duration,
}

/// The endpoint is away: the last calls got no answer, and it is probed with one call at a time.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) since: Instant,
    /// Why the last call got no answer: a sentence without secrets.
    pub(crate) message: String,
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
    /// Held by the first of the items that were not called about yet.
    line: Mutex<()>,
    /// How many of them wait.
    in_line: Cell<u32>,
    /// Items whose call is to be repeated. They go first.
    again: RefCell<Vec<Waiter>>,
    tickets: Cell<u64>,
    /// A slot became free, or the pace has changed.
    moved: Notify,
    shut: watch::Sender<bool>,
    /// The job is over.
    over: Cell<bool>,
    /// No call begins before: the endpoint is away, and this is the pause between two probes.
    opens: Cell<Instant>,
    /// When the job was last known to run. No call begins more than [`STALE`] after it (I7).
    checked: Cell<Instant>,
    /// Lone calls without an answer since the last answer.
    lone: Cell<u32>,
    /// Answers of the endpoint to this worker.
    answers: Cell<u64>,
    /// When the endpoint last answered a worker of the job, as far as is known.
    answered: Cell<Instant>,
    /// The endpoint has answered something of this job.
    served: Cell<bool>,
    outage: RefCell<Option<Outage>>,
    outages: Cell<u32>,
    /// Items between [`Gate::arrive`] and [`Gate::depart`].
    present: Cell<u32>,
    /// Those of them that do not stand out.
    innocent: Cell<u32>,
    /// The batch is one item, and no other worker is at the endpoint.
    single: bool,
    load: Cell<Load>,
}

impl Gate {
    /// For the worker of this batch. A call is given up after `timeout`. The job ran when it was `checked`, and its last progress
    /// was at `progressed`. `served`: some items of the job have an outcome.
    pub(crate) fn new(batch: &Batch, timeout: Duration, checked: Instant, progressed: Instant, served: bool) -> Self {
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
            over: Cell::new(false),
            opens: Cell::new(now),
            checked: Cell::new(checked),
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
        self.innocent.set(self.innocent.get() - u32::from(!tries.stands_out));
    }

    /// Waits for the item's turn and for a free slot. `None`: the gate is shut.
    pub(crate) async fn enter(&self, tries: &mut Tries) -> Option<CallPermit> {
        let permit = if tries.is_first() {
            self.in_line.set(self.in_line.get() + 1);
            let permit = {
                let _first = self.line.lock().await;
                self.pass(|| self.next_again().is_none()).await
            };
            self.in_line.set(self.in_line.get() - 1);
            permit
        } else {
            self.note_answers(tries);
            let ticket = self.tickets.replace(self.tickets.get() + 1);
            let (in_vain, stands_out) = (tries.in_vain, tries.stands_out);
            self.again.borrow_mut().push(Waiter { ticket, in_vain, stands_out });
            let permit = self.pass(|| self.next_again() == Some(ticket)).await;
            self.again.borrow_mut().retain(|waiter| waiter.ticket != ticket);
            permit
        };
        self.moved.notify_waiters();
        self.note_answers(tries);
        permit
    }

    /// Notes whether other items were answered since this one failed.
    fn note_answers(&self, tries: &mut Tries) {
        let stood_out = tries.stands_out;
        tries.begin(self.answers.get());
        self.count_innocent(stood_out, tries);
    }

    async fn pass(&self, is_next: impl Fn() -> bool) -> Option<CallPermit> {
        loop {
            if self.is_shut() {
                return None;
            }
            let (opens, now) = (self.opens.get(), Instant::now());
            let closed = now < opens;
            let stale = now > self.checked.get() + STALE; // until the next check
            if !closed
                && !stale
                && is_next()
                && let Some(permit) = self.pace.borrow_mut().begin(self.begun.elapsed())
            {
                return Some(permit);
            }
            tokio::select! {
                () = self.moved.notified() => {}
                () = sleep_until(opens), if closed => {}
                () = self.shutting() => {}
            }
        }
    }

    /// The item in `again` that is next, before all that wait in line. The endpoint is probed with items that were in flight when
    /// it went away, but not with the same item for ever. An item that stands out is not the first of a crowd: refused at once,
    /// it would be taken for a lone call.
    fn next_again(&self) -> Option<u64> {
        let (away, idle, again) = (self.pace.borrow().is_away(), self.pace.borrow().is_idle(), self.again.borrow());
        let others = self.in_line.get() > 0;
        let yields =
            |waiter: &&Waiter| others && if away { waiter.in_vain >= PROBES } else { idle && waiter.stands_out };
        let turn = |waiter: &&Waiter| (if away { waiter.in_vain } else { 0 }, waiter.ticket);
        again.iter().filter(|waiter| !yields(waiter)).min_by_key(turn).map(|waiter| waiter.ticket)
    }

    /// A call has ended. Counts it for the endpoint in the pace, and for the item in its `tries`.
    pub(crate) fn leave<T>(
        &self,
        permit: CallPermit,
        took: Duration,
        tries: &mut Tries,
        result: &Result<T, InferenceError>,
    ) {
        let mut load = self.load.get();
        load.calls += 1;
        let now = self.begun.elapsed();
        match result {
            Ok(_) | Err(InferenceError::Item(_)) => {
                load.busy += took;
                self.pace.borrow_mut().answered(permit, now);
                self.lone.set(0);
                self.answers.set(self.answers.get() + 1);
                self.answered.set(Instant::now());
                self.served.set(true);
                self.outage.replace(None);
            }
            Err(InferenceError::Job { .. }) => {
                load.busy += took;
                self.pace.borrow_mut().ended(permit, now);
            }
            Err(error @ InferenceError::Busy { diagnosis, retry_after, patience, .. }) => {
                load.refused += 1;
                let woken = self.answered.get().max(self.begun).elapsed() >= *patience;
                self.miss((permit, Sign::Full, took), (*diagnosis, error, *retry_after), woken, tries);
            }
            Err(error @ InferenceError::Transient { diagnosis, retry_after, .. }) => {
                load.refused += 1;
                let sign = if *diagnosis == Diagnosis::Timeout { Sign::TimedOut } else { Sign::Broken };
                self.miss((permit, sign, took), (*diagnosis, error, *retry_after), true, tries);
            }
        }
        self.load.set(load);
        self.moved.notify_waiters();
    }

    /// A call got no answer. `woken`: the endpoint has had the time that it may take to start.
    fn miss(
        &self,
        (permit, sign, took): (CallPermit, Sign, Duration),
        (diagnosis, error, retry_after): (Diagnosis, &InferenceError, Option<Duration>),
        woken: bool,
        tries: &mut Tries,
    ) {
        let (mut pace, now) = (self.pace.borrow_mut(), self.begun.elapsed());
        let was_alone = pace.is_alone(&permit);
        let of_endpoint = if tries.is_beyond_the_crowd() && !was_alone && sign != Sign::TimedOut {
            pace.ended(permit, now); // a picture that the server breaks down at says nothing about its room
            true
        } else {
            pace.refused(permit, sign, now)
        };
        let is_away = pace.is_away();
        if is_away {
            self.probe_later(diagnosis, error, retry_after.unwrap_or_default().max(pace.take_backlog()));
        }
        drop(pace);
        let stood_out = tries.stands_out;
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
        self.count_innocent(stood_out, tries);
    }

    /// The endpoint is away: the next probe is after a pause, not shorter than `asked`.
    fn probe_later(&self, diagnosis: Diagnosis, error: &InferenceError, asked: Duration) {
        self.lone.set(self.lone.get() + 1);
        let pause = backoff(self.lone.get(), f64::midpoint(1.0, fastrand::f64())).max(asked.min(LONGEST_WAIT));
        self.opens.set(Instant::now() + pause);
        let mut outage = self.outage.borrow_mut();
        self.outages.set(self.outages.get() + u32::from(outage.is_none()));
        let (since, calls) = outage.as_ref().map_or((Instant::now(), 0), |outage| (outage.since, outage.calls));
        *outage = Some(Outage { since, message: error.to_string(), diagnosis, calls: calls + 1 });
    }

    fn count_innocent(&self, stood_out: bool, tries: &Tries) {
        self.innocent.set(self.innocent.get() - u32::from(tries.stands_out && !stood_out));
    }

    /// Takes the permit of a call that was not sent.
    pub(crate) fn give_back(&self, permit: CallPermit) {
        self.pace.borrow_mut().ended(permit, self.begun.elapsed());
        self.moved.notify_waiters();
    }

    /// `None`: the endpoint answers.
    pub(crate) fn outage(&self) -> Option<Outage> {
        self.outage.borrow().clone()
    }

    /// The endpoint was away, now or before.
    pub(crate) const fn had_outage(&self) -> bool {
        self.outages.get() > 0
    }

    /// The host name has had no address for [`NAMELESS_FOR`], and the endpoint has answered nothing of this job as far as this
    /// worker knows.
    pub(crate) fn is_nameless(&self) -> bool {
        let nameless = |outage: &Outage| {
            outage.diagnosis == Diagnosis::Dns && outage.calls >= NAMELESS && outage.since.elapsed() >= NAMELESS_FOR
        };
        !self.served.get() && self.outage.borrow().as_ref().is_some_and(nameless)
    }

    /// When the endpoint last answered a worker of the job, as far as is known.
    pub(crate) const fn answered(&self) -> Instant {
        self.answered.get()
    }

    /// The endpoint has answered another worker at that time.
    pub(crate) fn answered_another(&self, at: Instant) {
        self.answered.set(at.max(self.answered.get()));
    }

    /// When the job was last known to run.
    pub(crate) const fn checked(&self) -> Instant {
        self.checked.get()
    }

    /// The job runs, as of now.
    pub(crate) fn check(&self) {
        self.checked.set(Instant::now());
        self.moved.notify_waiters();
    }

    /// No call begins any more, and no item waits.
    pub(crate) fn shut(&self) {
        self.shut.send_replace(true);
    }

    pub(crate) fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// The job is over: nothing is fetched for it any more (I7).
    pub(crate) fn end(&self) {
        self.over.set(true);
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Waits this long, or until the gate is shut. Does not wait while the endpoint is away: there is a pause before each probe.
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
        // The gate owns the sender: it cannot be dropped meanwhile.
        let _ = self.shut.subscribe().wait_for(|shut| *shut).await;
    }

    /// Twice the time that this many items take by the calls so far; zero before the first answer.
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

/// The wait before a call is repeated: a backoff, or what the endpoint asks for if that is longer.
pub(crate) fn wait(failures: u32, retry_after: Option<Duration>) -> Duration {
    backoff(failures, fastrand::f64()).max(retry_after.unwrap_or_default().min(LONGEST_WAIT))
}

//! The way to the endpoint: in line, at the worker's pace, and shut when nothing more may be asked.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use shared::domain::pace::{Call, Pace, backoff};
use shared::domain::plan::Batch;
use shared::ports::InferenceError;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::STALE;

/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// With other workers at the same endpoint a lone call may be refused for their sake: only if nothing was answered for so
/// long, it is not.
const SIBLINGS: Duration = Duration::from_secs(300);

/// Refusals of an item that this worker's own calls may be the reason of: a crowd that fills an endpoint takes four or five to
/// sort itself out. After that it is the item.
const CROWDED: u32 = 8;

/// What went through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Calls that have ended, one way or another.
    pub(crate) calls: u32,
    /// Those that the endpoint had no room for.
    pub(crate) refused: u32,
    /// How long those took that it had room for, added up.
    pub(crate) busy: Duration,
}

pub(crate) struct Gate {
    pace: RefCell<Pace>,
    /// Whoever holds it is the first in line.
    line: Mutex<()>,
    /// A place was freed, or the pace has changed.
    moved: Notify,
    shut: watch::Sender<bool>,
    /// Nobody passes before: a lone call was refused.
    opens: Cell<Instant>,
    /// When the job was last known to go on; nobody passes long after (I7).
    looked: Cell<Instant>,
    /// Lone calls that were refused since the last answer.
    lone: Cell<u32>,
    /// When the endpoint last answered a call.
    answered: Cell<Instant>,
    patience: Duration,
    load: Cell<Load>,
}

impl Gate {
    /// For the worker of this batch, whose job was `looked` at then.
    pub(crate) fn new(batch: &Batch, looked: Instant) -> Self {
        let now = Instant::now();
        Self {
            pace: RefCell::new(Pace::new(batch.slots)),
            line: Mutex::default(),
            moved: Notify::new(),
            shut: watch::Sender::new(false),
            opens: Cell::new(now),
            looked: Cell::new(looked),
            lone: Cell::new(0),
            answered: Cell::new(now),
            patience: if batch.workers > 1 { SIBLINGS } else { Duration::ZERO },
            load: Cell::default(),
        }
    }

    /// A place, when it is the caller's turn; `None`: the gate is shut.
    pub(crate) async fn enter(&self) -> Option<Call> {
        let _first = self.line.lock().await;
        loop {
            if self.is_shut() {
                return None;
            }
            let (opens, now) = (self.opens.get(), Instant::now());
            let closed = now < opens;
            let stale = now > self.looked.get() + STALE; // until the next look
            if !closed
                && !stale
                && let Some(call) = self.pace.borrow_mut().begin()
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

    /// A call that took so long has ended, about an item that was refused so many times before. Answers whether its failure
    /// counts against the item: a refusal does not, if it may be this job's own calls that left no room (docs/decisions/0013).
    pub(crate) fn leave<T>(
        &self,
        call: Call,
        took: Duration,
        refusals: u32,
        result: &Result<T, InferenceError>,
    ) -> bool {
        let mut load = self.load.get();
        load.calls += 1;
        let counts = match result {
            Err(InferenceError::Busy { retry_after, patience, .. }) => {
                load.refused += 1;
                let mut pace = self.pace.borrow_mut();
                if pace.is_alone(&call) {
                    pace.refused(call);
                    self.pause(*retry_after);
                    self.answered.get().elapsed() >= self.patience.max(*patience)
                } else if refusals >= CROWDED {
                    pace.ended(call);
                    true
                } else {
                    pace.refused(call);
                    false
                }
            }
            Err(InferenceError::Transient { .. } | InferenceError::Job { .. }) => {
                load.busy += took;
                self.pace.borrow_mut().ended(call);
                true
            }
            Ok(_) | Err(InferenceError::Item(_)) => {
                load.busy += took;
                self.pace.borrow_mut().answered(call);
                self.lone.set(0);
                self.answered.set(Instant::now());
                true
            }
        };
        self.load.set(load);
        self.moved.notify_one();
        counts
    }

    /// Below one call in flight is none for a while.
    fn pause(&self, retry_after: Option<Duration>) {
        self.lone.set(self.lone.get() + 1);
        self.opens.set(Instant::now() + wait(self.lone.get(), retry_after));
    }

    /// When the job was last known to go on.
    pub(crate) fn looked(&self) -> Instant {
        self.looked.get()
    }

    /// The job goes on.
    pub(crate) fn look(&self) {
        self.looked.set(Instant::now());
        self.moved.notify_one();
    }

    /// Nobody passes any more, and nobody waits.
    pub(crate) fn shut(&self) {
        self.shut.send_replace(true);
    }

    pub(crate) fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// Until then, or until the gate is shut.
    pub(crate) async fn wait(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.shutting() => {}
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

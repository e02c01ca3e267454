//! What is written, what runs, and what may happen next.

use super::review::{Reading, Results, Verdict};
use super::{BATCHES, ITEMS, World};

/// A set of items (and so of chunks, each of one item), one bit each.
pub(super) type Items = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub(super) const fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Whether its event goes to every subscription.
    pub(super) const fn has_event(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// The job's row and its receipts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) status: Status,
    pub(super) plan: Option<Items>,
    pub(super) successful: u8,
    pub(super) skipped: u8,
    pub(super) receipts: Items,
    /// Of these receipts, those that say `successful`.
    pub(super) labeled: Items,
    /// Those that have no outcome: nothing asks about their items again.
    pub(super) short: Items,
    /// The endpoint has refused: the job is to end.
    pub(super) refused: bool,
    /// In the index `active`.
    pub(super) in_sight: bool,
    /// What carried it has stopped: its workers commit no more (`Jobs::close_job`).
    pub(super) closing: bool,
}

impl Job {
    pub(super) const fn new() -> Self {
        Self {
            status: Status::Pending,
            plan: None,
            successful: 0,
            skipped: 0,
            receipts: 0,
            labeled: 0,
            short: 0,
            refused: false,
            in_sight: true,
            closing: false,
        }
    }
}

/// An item by its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Item {
    Unlabeled,
    Draft,
    /// A draft that a person has accepted.
    Accepted,
    /// Or corrected, and perhaps reopened.
    Corrected,
    /// A result by hand.
    Persons,
}

impl Item {
    /// Whether a job made its result.
    pub(super) const fn is_of_job(self) -> bool {
        matches!(self, Self::Draft | Self::Accepted | Self::Corrected)
    }

    /// Whether a person made its annotations.
    pub(super) const fn is_persons(self) -> bool {
        matches!(self, Self::Corrected | Self::Persons)
    }
}

/// The state machine's execution. A task that died shows by having no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Execution {
    None,
    Plan,
    /// With the batches that are done.
    Label(u8),
    Finalize {
        problem: bool,
    },
    Over,
}

/// The event's delivery to the one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Delivery {
    None,
    Pending,
    /// By the worker of this number: no longer in the outbox.
    Claimed(u8),
    /// Its lease is over.
    Open,
    Delivered,
}

/// Something that runs, and what it does next. It may die before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Process {
    /// `jobs::create`, after its transaction.
    Starting,
    /// `jobs::cancel`, after its transaction.
    Stopping,
    /// `Planner::plan`, with the items that it has read.
    Planner(Option<Items>),
    /// `Worker::run`. A task of the execution, or a second invocation whose answer goes nowhere.
    Worker { batch: u8, task: bool, step: Work, late_calls: u8 },
    /// `settle`, called by the task `Finalize`, or by the watchdog. `problem`: what carried the job has stopped.
    Settler { task: bool, problem: bool, step: Settling },
    /// A call that reviews a result, once it has read it.
    Reviewer { verdict: Verdict, read: Reading },
    /// `Deliverer::request`; it holds a message.
    Deliverer { number: u8, step: Delivering },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Work {
    /// Reads the job, and its receipts.
    Read,
    /// Reads whether the job goes on, and asks the model about the first of these open chunks. Reading and asking are one
    /// step: what lies between them in the code is half a second, not a race.
    Ask(Items),
    /// Commits the first of these.
    Commit(Items),
    /// Records with the job that the endpoint refuses (`Jobs::refuse_job`).
    RecordRefusal(Items),
    /// Commits the first of these without an outcome: the chunk was begun.
    CommitShort(Items),
    /// Hands the endpoint's refusal to the state machine (`ProviderRefused`).
    Refuse,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Settling {
    /// Of a job with a problem only.
    Close,
    Read,
    /// Ends the job if it still has this status and these counters.
    End {
        running: bool,
        successful: u8,
        skipped: u8,
    },
    /// Without the outbox: writes the event after the end.
    WriteEvent,
    /// Puts the delivery on the queue.
    Send,
    /// Takes a cancelled job, whose execution is over, out of the watchdog's sight.
    Forget,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Delivering {
    Claim,
    Post,
    Record,
    /// Deletes the message.
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Job,
    Other,
}

/// Everything that is written, and every process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) job: Option<Job>,
    /// Another job of the same project, which the model does not follow.
    pub(super) other: bool,
    pub(super) lock: Option<Holder>,
    pub(super) items: [Item; ITEMS],
    /// A person has labeled the first item, or corrected its result, and no person has rejected that.
    pub(super) persons: bool,
    /// Of the first item.
    pub(super) results: Results,
    pub(super) execution: Execution,
    pub(super) delivery: Delivery,
    /// Ends that were written, and so events.
    pub(super) ends: u8,
    /// An end was written over a cancel.
    pub(super) overwritten: bool,
    /// An end was refused although the job was closed for it.
    pub(super) put_off: bool,
    /// The counters in the event.
    pub(super) event: Option<(u8, u8)>,
    /// The receiver has seen it.
    pub(super) received: bool,
    /// On the queue and in no worker's hands.
    pub(super) messages: u8,
    pub(super) late_calls: u8,
    /// Something happened for which a job may fail: a death, an endpoint that refuses, a watchdog without patience.
    pub(super) disturbed: bool,
    pub(super) world: World,
    /// Sorted, so that states that differ in nothing else are one.
    pub(super) processes: Vec<Process>,
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client creates a job (`Jobs::create_job`).
    Create,
    /// A client cancels it (`Jobs::cancel_job`).
    Cancel,
    /// A person labels the first item (`Results::label`).
    Label,
    /// A person reads the first item's result, to write this verdict (`Results::review`).
    Review(Verdict),
    /// The first batch is invoked although its task runs.
    Double,
    /// The endpoint refuses the call that the worker of this position makes.
    RefuseCall(usize),
    /// Lambda refuses the invocation of a task (`Lambda.TooManyRequestsException`).
    RefuseInvocation,
    /// The process of this position does its next step.
    Step(usize),
    /// It dies first.
    Die(usize),
    /// Step Functions invokes a task that has no process, again or for the first time.
    Invoke(u8),
    /// Or has no attempts left.
    GiveUp,
    /// The watchdog sees a job whose execution does not run (`settle`).
    Tick,
    /// Lambda takes a message off the queue.
    Receive,
    /// A delivery's lease runs out after its holder died.
    LeaseOver,
    /// The schedule finds the delivery in the outbox (`outbox::send_waiting`).
    Remind,
}

impl Action {
    /// Whether the system does it by itself, sooner or later.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self, Self::Step(_) | Self::Invoke(_) | Self::Tick | Self::Receive | Self::LeaseOver | Self::Remind)
    }
}

impl State {
    pub(super) fn new(world: World) -> Self {
        Self {
            job: None,
            other: false,
            lock: None,
            items: [Item::Unlabeled; ITEMS],
            persons: false,
            results: Results::default(),
            execution: Execution::None,
            delivery: Delivery::None,
            ends: 0,
            overwritten: false,
            put_off: false,
            event: None,
            received: false,
            messages: 0,
            late_calls: 0,
            disturbed: false,
            world,
            processes: vec![],
        }
    }

    pub(super) fn spawn(&mut self, process: Process) {
        self.processes.push(process);
        self.processes.sort();
    }

    pub(super) fn any(&self, is: impl Fn(&Process) -> bool) -> bool {
        self.processes.iter().any(is)
    }

    /// The tasks of the execution that have no process.
    pub(super) fn idle_tasks(&self) -> Vec<u8> {
        let at_work = |batch| self.any(|p| matches!(p, Process::Worker { batch: b, task: true, .. } if *b == batch));
        match self.execution {
            Execution::Plan if !self.any(|p| matches!(p, Process::Planner(_))) => vec![0],
            Execution::Label(done) => (0..BATCHES).filter(|b| done & (1 << b) == 0 && !at_work(*b)).collect(),
            Execution::Finalize { .. } if !self.any(|p| matches!(p, Process::Settler { task: true, .. })) => vec![0],
            _ => vec![],
        }
    }

    pub(super) fn invoke(&mut self, task: u8) {
        let process = match self.execution {
            Execution::Plan => Process::Planner(None),
            Execution::Label(_) => Process::Worker { batch: task, task: true, step: Work::Read, late_calls: 0 },
            Execution::Finalize { problem: true } => {
                Process::Settler { task: true, problem: true, step: Settling::Close }
            }
            _ => Process::Settler { task: true, problem: false, step: Settling::Read },
        };
        self.spawn(process);
    }

    /// A task has answered; the execution goes on if it still waits for it.
    pub(super) fn answered(&mut self, batch: Option<u8>) {
        self.execution = match (self.execution, batch) {
            (Execution::Plan, None) => Execution::Label(0),
            (Execution::Label(done), Some(batch)) if done | (1 << batch) == (1 << BATCHES) - 1 => {
                Execution::Finalize { problem: false }
            }
            (Execution::Label(done), Some(batch)) => Execution::Label(done | (1 << batch)),
            (Execution::Finalize { .. }, None) => Execution::Over,
            (other, _) => other,
        };
    }

    /// A task has failed for good: `Catch` goes to `Finalize`, which has none. Workers of other batches go on.
    pub(super) fn gives_up(&mut self) {
        self.execution = match self.execution {
            Execution::Plan | Execution::Label(_) => Execution::Finalize { problem: true },
            Execution::Finalize { .. } => Execution::Over,
            other => other,
        };
    }

    /// Frees the project, if it is the job's.
    pub(super) fn free(&mut self) {
        if self.lock == Some(Holder::Job) {
            self.lock = None;
        }
    }

    pub(super) fn is_taken(&self, number: u8) -> bool {
        self.delivery == Delivery::Claimed(number)
            || self.any(|p| matches!(p, Process::Deliverer { number: n, .. } if *n == number))
    }

    pub(super) fn status(&self) -> Option<Status> {
        self.job.as_ref().map(|job| job.status)
    }
}

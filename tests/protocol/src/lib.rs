//! The protocol of a job as a model: every write that two processes may race for, every point between two calls at which one
//! may die, and nothing else. What an action stands for is said beside it by the name of the function.
//!
//! One job in detail: three items, one a chunk, in a batch of two chunks and a batch of one. Beside it a second create, a
//! cancel, a person who labels an item, a batch that is invoked twice, and processes that die. A call whose answer is lost is a
//! process that dies after it. What is alike is tried once: the person's item and the double batch are the first.

use stateright::{Model, Property};

const BATCHES: u8 = 2;
const ITEMS: usize = 3;

/// A set of items (and so of chunks, each of one item), one bit each.
type Items = u8;

/// The conditions that hold the protocol together. A model without one of them must fail.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// A chunk is committed if it has no receipt yet (`Ledger::commit`).
    pub receipt: bool,
    /// A draft is written if its item has no result (`Ledger::commit`).
    pub unlabeled: bool,
    /// A job is created if nobody has its project (`Jobs::create_job`).
    pub lock: bool,
    /// The event is written with the job's end (`Jobs::end_job`), not after it.
    pub outbox: bool,
    /// A job ends if it still is as it was judged (`Jobs::end_job`).
    pub as_judged: bool,
    /// Nothing is committed any more once what carried the job has stopped (`Jobs::close_job`).
    pub closing: bool,
    /// A worker looks at the job before it asks the model (`Worker::watch`).
    pub cancel_check: bool,
    /// The schedule sends what nobody has claimed (`tell::send_waiting`).
    pub schedule: bool,
}

impl Guards {
    /// The protocol as it is.
    pub const ALL: Self = Self {
        receipt: true,
        unlabeled: true,
        lock: true,
        outbox: true,
        as_judged: true,
        closing: true,
        cancel_check: true,
        schedule: true,
    };
}

/// What the world may do to the system, each so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct World {
    /// Clients that create a job.
    pub creates: u8,
    /// Processes that die.
    pub crashes: u8,
    /// Clients that cancel it.
    pub cancels: u8,
    /// People who label an item.
    pub labels: u8,
    /// Invocations that nobody asked for.
    pub doubles: u8,
}

/// The model.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What holds it together.
    pub guards: Guards,
    /// What it is up against.
    pub world: World,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    const fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    const fn tells(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// The job's row and its receipts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job {
    status: Status,
    plan: Option<Items>,
    successful: u8,
    skipped: u8,
    receipts: Items,
    /// Of these receipts, those that say `successful`.
    labeled: Items,
    /// In the index `active`.
    in_sight: bool,
    /// What carried it has stopped: its workers commit no more (`Jobs::close_job`).
    closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Item {
    Unlabeled,
    Draft,
    Persons,
}

/// The state machine's execution. A task that died shows by having no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Execution {
    None,
    Plan,
    /// With the batches that are done.
    Label(u8),
    Finalize,
    Over,
}

/// The event's delivery to the one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Delivery {
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
enum Process {
    /// `jobs::create`, after its transaction.
    Starting,
    /// `jobs::cancel`, after its transaction.
    Stopping,
    /// `Planner::plan`, with the items that it has read.
    Planner(Option<Items>),
    /// `Worker::run`. A task of the execution, or a second invocation that nobody waits for.
    Worker { batch: u8, task: bool, step: Work, late_calls: u8 },
    /// `settle`, called by the task `Finalize`, or by the watchdog with a problem.
    Settler { task: bool, step: Settling },
    /// `App::record` of the function `deliver`; it holds a message.
    Deliverer { number: u8, step: Delivering },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Work {
    /// Reads the job, and its receipts.
    Read,
    /// Looks whether the job goes on and asks the model about the first of these open chunks. Reading and asking are one
    /// step: what lies between them in the code is half a second, not a race.
    Ask(Items),
    /// Commits the first of these.
    Commit(Items),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Settling {
    /// Of a job with a problem only.
    Close,
    Read,
    /// Ends the job if it still has these counters.
    End {
        running: bool,
        successful: u8,
        skipped: u8,
    },
    /// Without the outbox: writes the event after the end.
    Tell,
    /// Puts the delivery on the queue.
    Send,
    /// Takes a cancelled job, whose execution is over, out of the watchdog's sight.
    Forget,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Delivering {
    Claim,
    Post,
    Record,
    /// Deletes the message.
    Delete,
}

/// Everything that is written, and everybody who is at work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    job: Option<Job>,
    /// Another job of the same project, which the model does not follow.
    other: bool,
    lock: Option<Holder>,
    items: [Item; ITEMS],
    /// A person has labeled the first item.
    persons: bool,
    execution: Execution,
    delivery: Delivery,
    /// Ends that were written, and so events.
    ends: u8,
    /// The counters that the event speaks of.
    told: Option<(u8, u8)>,
    /// The receiver has seen it.
    received: bool,
    /// On the queue and in nobody's hands.
    messages: u8,
    late_calls: u8,
    world: World,
    /// Sorted, so that states that differ in nothing else are one.
    processes: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Job,
    Other,
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client creates a job (`Jobs::create_job`).
    Create,
    /// A client cancels it (`Jobs::cancel_job`).
    Cancel,
    /// A person labels the first item.
    Label,
    /// The first batch is invoked although its task runs.
    Double,
    /// The process of this place does its next step.
    Step(usize),
    /// It dies first.
    Die(usize),
    /// Step Functions invokes a task that has no process, again or for the first time.
    Invoke(u8),
    /// Or gives the execution up.
    GiveUp,
    /// The watchdog sees a job whose execution does not run (`Watchdog::look_after`).
    Tick,
    /// Lambda takes a message off the queue.
    Receive,
    /// A delivery's lease runs out after its holder died.
    LeaseOver,
    /// The schedule finds the delivery in the outbox (`tell::send_waiting`).
    Remind,
}

impl Action {
    /// Whether the system does it by itself, sooner or later.
    const fn is_ours(&self) -> bool {
        matches!(self, Self::Step(_) | Self::Invoke(_) | Self::Tick | Self::Receive | Self::LeaseOver | Self::Remind)
    }
}

impl State {
    /// Nothing will happen any more unless the world does it.
    fn is_at_rest(&self, model: &Protocol) -> bool {
        let mut actions = Vec::new();
        model.actions(self, &mut actions);
        !actions.iter().any(Action::is_ours)
    }

    fn spawn(&mut self, process: Process) {
        self.processes.push(process);
        self.processes.sort();
    }

    fn any(&self, is: impl Fn(&Process) -> bool) -> bool {
        self.processes.iter().any(is)
    }

    /// The tasks of the execution that have no process.
    fn idle_tasks(&self) -> Vec<u8> {
        let at_work = |batch| self.any(|p| matches!(p, Process::Worker { batch: b, task: true, .. } if *b == batch));
        match self.execution {
            Execution::Plan if !self.any(|p| matches!(p, Process::Planner(_))) => vec![0],
            Execution::Label(done) => (0..BATCHES).filter(|b| done & (1 << b) == 0 && !at_work(*b)).collect(),
            Execution::Finalize if !self.any(|p| matches!(p, Process::Settler { task: true, .. })) => vec![0],
            _ => vec![],
        }
    }

    fn invoke(&mut self, task: u8) {
        let process = match self.execution {
            Execution::Plan => Process::Planner(None),
            Execution::Label(_) => Process::Worker { batch: task, task: true, step: Work::Read, late_calls: 0 },
            _ => Process::Settler { task: true, step: Settling::Read },
        };
        self.spawn(process);
    }

    /// A task has answered; the execution goes on if it still waits for it.
    fn answered(&mut self, batch: Option<u8>) {
        self.execution = match (self.execution, batch) {
            (Execution::Plan, None) => Execution::Label(0),
            (Execution::Label(done), Some(batch)) if done | (1 << batch) == (1 << BATCHES) - 1 => Execution::Finalize,
            (Execution::Label(done), Some(batch)) => Execution::Label(done | (1 << batch)),
            (Execution::Finalize, None) => Execution::Over,
            (other, _) => other,
        };
    }

    fn is_taken(&self, number: u8) -> bool {
        self.delivery == Delivery::Claimed(number)
            || self.any(|p| matches!(p, Process::Deliverer { number: n, .. } if *n == number))
    }

    fn status(&self) -> Option<Status> {
        self.job.as_ref().map(|job| job.status)
    }
}

fn first(items: Items) -> usize {
    items.trailing_zeros() as usize
}

const fn chunks_of(batch: u8) -> Items {
    if batch == 0 { 0b011 } else { 0b100 }
}

impl Protocol {
    /// The next step of a process; `Some` is what it does after that.
    fn step(&self, state: &mut State, process: Process) -> Option<Process> {
        match process {
            Process::Starting => {
                // The execution's name is the job's uid: started once.
                if state.execution == Execution::None {
                    state.execution = Execution::Plan;
                }
                None
            }
            Process::Stopping => {
                if state.execution != Execution::None {
                    state.execution = Execution::Over;
                }
                None
            }
            Process::Planner(read) => plan(state, read),
            Process::Worker { batch, task, step, late_calls } => {
                let next = self.work(state, batch, step, late_calls);
                if next.is_none() && task {
                    state.answered(Some(batch));
                }
                next.map(|(step, late_calls)| Process::Worker { batch, task, step, late_calls })
            }
            Process::Settler { task, step } => {
                let next = self.settle(state, step);
                if next.is_none() && task {
                    state.answered(None);
                }
                next.map(|step| Process::Settler { task, step })
            }
            Process::Deliverer { number, step } => {
                deliver(state, number, step).map(|step| Process::Deliverer { number, step })
            }
        }
    }

    fn work(&self, state: &mut State, batch: u8, step: Work, late_calls: u8) -> Option<(Work, u8)> {
        let job = state.job.as_mut()?;
        let go_on = |open: Items| (open != 0).then_some((Work::Ask(open), late_calls));
        match step {
            Work::Read if job.status == Status::Running => {
                go_on(chunks_of(batch) & job.plan.unwrap_or_default() & !job.receipts)
            }
            Work::Read => None,
            Work::Ask(_) if self.guards.cancel_check && job.status != Status::Running => None,
            Work::Ask(open) => {
                let late = late_calls + u8::from(job.status == Status::Cancelled);
                state.late_calls = state.late_calls.max(late);
                Some((Work::Commit(open), late))
            }
            Work::Commit(open) => {
                let item = first(open);
                let chunk: Items = 1 << item;
                let counts = matches!(job.status, Status::Running | Status::Cancelled) && !job.closing;
                if counts && (job.receipts & chunk == 0 || !self.guards.receipt) {
                    job.receipts |= chunk;
                    if state.items[item] == Item::Unlabeled || !self.guards.unlabeled {
                        state.items[item] = Item::Draft;
                        job.labeled |= chunk;
                        job.successful += 1;
                    } else {
                        job.skipped += 1;
                    }
                }
                go_on(open & !chunk)
            }
        }
    }

    fn settle(&self, state: &mut State, step: Settling) -> Option<Settling> {
        let job = state.job.as_mut()?;
        match step {
            Settling::Close => {
                job.closing |= self.guards.closing && job.status.is_active();
                Some(Settling::Read)
            }
            Settling::Read if job.status.is_active() => {
                let running = job.status == Status::Running;
                Some(Settling::End { running, successful: job.successful, skipped: job.skipped })
            }
            Settling::Read => Some(Settling::Forget),
            Settling::End { running, successful, skipped } => {
                let as_judged = job.status.is_active()
                    && (job.status == Status::Running, job.successful, job.skipped) == (running, successful, skipped);
                if !as_judged && (self.guards.as_judged || !job.status.is_active()) {
                    return Some(Settling::Read);
                }
                let total = job.plan.map_or(0, Items::count_ones);
                let all = running && u32::from(successful + skipped) == total;
                job.status = if all { Status::Completed } else { Status::Failed };
                state.ends += 1;
                state.told = Some((successful, skipped));
                if state.lock == Some(Holder::Job) {
                    state.lock = None;
                }
                job.in_sight = false;
                job.closing = false;
                if !self.guards.outbox {
                    return Some(Settling::Tell);
                }
                state.delivery = Delivery::Pending;
                Some(Settling::Send)
            }
            Settling::Tell => {
                state.delivery = Delivery::Pending;
                Some(Settling::Send)
            }
            Settling::Send => {
                state.messages += 1;
                None
            }
            Settling::Forget => {
                job.in_sight = false;
                None
            }
        }
    }
}

fn plan(state: &mut State, read: Option<Items>) -> Option<Process> {
    let unlabeled =
        (0..ITEMS).filter(|item| state.items[*item] == Item::Unlabeled).fold(0, |set, item| set | 1 << item);
    let job = state.job.as_mut()?;
    match read {
        None if job.plan.is_some() && job.status.is_active() => {}
        None if job.status.is_active() => return Some(Process::Planner(Some(unlabeled))),
        Some(items) if job.status == Status::Pending && !job.closing => {
            job.status = Status::Running;
            job.plan = Some(items);
        }
        Some(_) if job.plan.is_some() && job.status.is_active() => {}
        // `JobFinished`: the execution fails, and with it ends.
        _ => {
            state.execution = Execution::Over;
            return None;
        }
    }
    state.answered(None);
    None
}

fn deliver(state: &mut State, number: u8, step: Delivering) -> Option<Delivering> {
    match step {
        Delivering::Claim => match state.delivery {
            Delivery::Pending | Delivery::Open => {
                state.delivery = Delivery::Claimed(number);
                Some(Delivering::Post)
            }
            Delivery::Claimed(_) => {
                state.messages += 1; // asks again after the other one's lease
                Some(Delivering::Delete)
            }
            Delivery::None | Delivery::Delivered => Some(Delivering::Delete),
        },
        Delivering::Post => {
            state.received = true;
            Some(Delivering::Record)
        }
        Delivering::Record => {
            if state.delivery == Delivery::Claimed(number) {
                state.delivery = Delivery::Delivered;
            }
            Some(Delivering::Delete)
        }
        Delivering::Delete => None,
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            job: None,
            other: false,
            lock: None,
            items: [Item::Unlabeled; ITEMS],
            persons: false,
            execution: Execution::None,
            delivery: Delivery::None,
            ends: 0,
            told: None,
            received: false,
            messages: 0,
            late_calls: 0,
            world: self.world,
            processes: vec![],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let World { creates, crashes, cancels, labels, doubles } = state.world;
        if creates > 0 {
            actions.push(Action::Create);
        }
        if cancels > 0 && state.status().is_some_and(Status::is_active) {
            actions.push(Action::Cancel);
        }
        if labels > 0 && state.items[0] == Item::Unlabeled {
            actions.push(Action::Label);
        }
        if doubles > 0 && matches!(state.execution, Execution::Label(_)) {
            actions.push(Action::Double);
        }
        for place in 0..state.processes.len() {
            actions.push(Action::Step(place));
            if crashes > 0 {
                actions.push(Action::Die(place));
            }
        }
        let idle = state.idle_tasks();
        if !idle.is_empty() && crashes < self.world.crashes {
            actions.push(Action::GiveUp);
        }
        actions.extend(idle.into_iter().map(Action::Invoke));
        let in_sight = state.job.as_ref().is_some_and(|job| job.in_sight);
        let looked_after = state.any(|p| matches!(p, Process::Settler { task: false, .. }));
        let cancelled = state.status() == Some(Status::Cancelled);
        if in_sight && !looked_after && (cancelled || matches!(state.execution, Execution::None | Execution::Over)) {
            actions.push(Action::Tick);
        }
        if state.messages > 0 && !state.any(|p| matches!(p, Process::Deliverer { .. })) {
            actions.push(Action::Receive);
        }
        let waits = state.delivery == Delivery::Pending && state.messages == 0;
        if self.guards.schedule && waits && !state.any(|p| matches!(p, Process::Deliverer { .. })) {
            actions.push(Action::Remind);
        }
        if let Delivery::Claimed(number) = state.delivery
            && !state.any(|p| matches!(p, Process::Deliverer { number: n, .. } if *n == number))
        {
            actions.push(Action::LeaseOver);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Create => {
                state.world.creates -= 1;
                if state.lock.is_none() || !self.guards.lock {
                    if state.job.is_none() {
                        state.lock = Some(Holder::Job);
                        state.job = Some(Job {
                            status: Status::Pending,
                            plan: None,
                            successful: 0,
                            skipped: 0,
                            receipts: 0,
                            labeled: 0,
                            in_sight: true,
                            closing: false,
                        });
                        state.spawn(Process::Starting);
                    } else {
                        state.lock = Some(Holder::Other);
                        state.other = true;
                    }
                }
            }
            Action::Cancel => {
                state.world.cancels -= 1;
                state.job.as_mut()?.status = Status::Cancelled;
                if state.lock == Some(Holder::Job) {
                    state.lock = None;
                }
                state.spawn(Process::Stopping);
            }
            Action::Label => {
                state.world.labels -= 1;
                state.items[0] = Item::Persons;
                state.persons = true;
            }
            Action::Double => {
                state.world.doubles -= 1;
                state.spawn(Process::Worker { batch: 0, task: false, step: Work::Read, late_calls: 0 });
            }
            Action::Step(place) => {
                let process = state.processes.remove(place);
                if let Some(next) = self.step(&mut state, process) {
                    state.spawn(next);
                }
            }
            Action::Die(place) => {
                state.world.crashes -= 1;
                if let Process::Deliverer { .. } = state.processes.remove(place) {
                    state.messages += 1; // what nobody deleted is seen again
                }
            }
            Action::Invoke(task) => state.invoke(task),
            Action::GiveUp => state.execution = Execution::Over,
            Action::Tick => {
                if state.execution != Execution::None {
                    state.execution = Execution::Over;
                }
                state.spawn(Process::Settler { task: false, step: Settling::Close });
            }
            Action::Receive => {
                state.messages -= 1;
                // One that nobody has, alive or dead.
                let number = (0..=2).find(|number| !state.is_taken(*number))?;
                state.spawn(Process::Deliverer { number, step: Delivering::Claim });
            }
            Action::LeaseOver => state.delivery = Delivery::Open,
            Action::Remind => state.messages += 1,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1 one outcome, one draft", |_, s: &State| {
                let drafts = s.items.iter().filter(|item| **item == Item::Draft).count();
                s.job
                    .as_ref()
                    .is_none_or(|job| job.labeled.count_ones() as usize == drafts && job.labeled & !job.receipts == 0)
            }),
            Property::always("I2 counters tell the truth", |_, s: &State| {
                s.job.as_ref().is_none_or(|job| {
                    u32::from(job.successful) == job.labeled.count_ones()
                        && u32::from(job.successful + job.skipped) == job.receipts.count_ones()
                        && job.receipts.count_ones() <= job.plan.map_or(0, Items::count_ones)
                })
            }),
            Property::always("I3 never over a person's work", |_, s: &State| !s.persons || s.items[0] == Item::Persons),
            Property::always("I4 one active job", |_, s: &State| {
                !(s.other && s.status().is_some_and(Status::is_active))
            }),
            Property::always("I5 every job ends, once", |model, s: &State| {
                s.ends <= 1
                    && (!s.is_at_rest(model)
                        || s.status().is_none_or(|status| !status.is_active()) && s.lock != Some(Holder::Job))
            }),
            Property::always("I5 completed means all", |_, s: &State| {
                s.job.as_ref().is_none_or(|job| job.status != Status::Completed || Some(job.receipts) == job.plan)
            }),
            Property::always("I6 every finished job tells", |model, s: &State| {
                !s.is_at_rest(model)
                    || !s.status().is_some_and(Status::tells)
                    || s.delivery == Delivery::Delivered && s.received
            }),
            Property::always("I6 the event tells the truth", |_, s: &State| {
                s.told.is_none_or(|told| s.job.as_ref().is_some_and(|job| told == (job.successful, job.skipped)))
            }),
            Property::always("I7 cancel means stop", |_, s: &State| s.late_calls == 0),
            Property::sometimes("a job completes", |_, s: &State| s.status() == Some(Status::Completed)),
            Property::sometimes("a job fails", |_, s: &State| s.status() == Some(Status::Failed)),
            Property::sometimes("a job is cancelled with drafts", |_, s: &State| {
                s.job.as_ref().is_some_and(|job| job.status == Status::Cancelled && job.successful > 0)
            }),
        ]
    }
}

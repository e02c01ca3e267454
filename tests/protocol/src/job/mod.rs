//! The life of a job.
//!
//! One job in detail: three items, one a chunk, in a batch of two chunks and a batch of one. Beside it a second create, a
//! cancel, a person who labels an item and one who reviews its results, a batch that is invoked twice, an endpoint that refuses, invocations that Lambda refuses,
//! and processes that die. A call whose answer is lost is a process that dies after it. What is alike is tried once: the person's
//! item and the double batch are the first.

mod ending;
mod properties;
mod review;
mod state;
mod work;

use stateright::{Model, Property};

pub use review::Verdict;
pub use state::{Action, State};
use state::{Delivering, Delivery, Execution, Holder, Item, Job, Process, Settling, Status, Work};

const BATCHES: u8 = 2;
const ITEMS: usize = 3;

/// The conditions that hold the protocol together. A model without one of them must fail.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// A chunk is committed if it has no receipt yet (`Ledger::commit`).
    pub receipt: bool,
    /// A draft is written if its item has no result (`Ledger::commit`).
    pub unlabeled: bool,
    /// A person's result by hand is written if its item has none (`Results::label`).
    pub unlabeled_by_hand: bool,
    /// A verdict is written if the result is as it was read (`Results::review`).
    pub result_as_read: bool,
    /// A rejected result comes back if its item has no result (`Results::review`).
    pub reopened_to_unlabeled: bool,
    /// And has had no other one since.
    pub last_result: bool,
    /// And if the rejected one is as it was read.
    pub history_as_read: bool,
    /// A job is created if no other job has its project (`Jobs::create_job`).
    pub lock: bool,
    /// The event is written with the job's end (`Jobs::end_job`), not after it.
    pub outbox: bool,
    /// A job ends if its status is as it was read (`Jobs::end_job`).
    pub status_as_read: bool,
    /// A job ends if its counters are as they were read (`Jobs::end_job`).
    pub counters_as_read: bool,
    /// Once what carried the job has stopped (`Jobs::close_job`), no chunk is committed (`Ledger::commit`).
    pub closed_to_commits: bool,
    /// And the job is not planned any more (`Jobs::plan_job`).
    pub closed_to_plans: bool,
    /// A worker reads the job before it asks the model (`Worker::watch`).
    pub cancel_check: bool,
    /// The schedule sends what no worker has claimed (`outbox::send_waiting`).
    pub schedule: bool,
    /// An invocation that Lambda refuses is tried again until there is room (`Retry` of the state machine).
    pub patience: bool,
    /// A refusal is recorded with the job before chunks are committed short of items (`Worker::recorded`, `Jobs::refuse_job`).
    pub refusal_first: bool,
}

impl Guards {
    /// The protocol as it is.
    pub const ALL: Self = Self {
        receipt: true,
        unlabeled: true,
        unlabeled_by_hand: true,
        result_as_read: true,
        reopened_to_unlabeled: true,
        last_result: true,
        history_as_read: true,
        lock: true,
        outbox: true,
        status_as_read: true,
        counters_as_read: true,
        closed_to_commits: true,
        closed_to_plans: true,
        cancel_check: true,
        schedule: true,
        patience: true,
        refusal_first: true,
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
    /// Verdicts of people on results of an item.
    pub verdicts: u8,
    /// Invocations of the first batch beside its task.
    pub doubles: u8,
    /// Invocations of tasks that Lambda has no room for.
    pub throttles: u8,
    /// Calls that the endpoint refuses for good: the job is to end.
    pub refusals: u8,
}

impl World {
    /// Nothing happens.
    pub const NONE: Self =
        Self { creates: 0, crashes: 0, cancels: 0, labels: 0, verdicts: 0, doubles: 0, throttles: 0, refusals: 0 };
}

/// The model.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What holds it together.
    pub guards: Guards,
    /// What it is up against.
    pub world: World,
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
            Process::Planner(read) => self.plan(state, read),
            Process::Worker { batch, task, step, late_calls } => {
                let refused = matches!(step, Work::Refuse);
                let next = self.work(state, batch, step, late_calls);
                if next.is_none() && task {
                    if refused { state.gives_up() } else { state.answered(Some(batch)) }
                }
                next.map(|(step, late_calls)| Process::Worker { batch, task, step, late_calls })
            }
            Process::Settler { task, problem, step } => {
                let next = self.settle(state, problem, step);
                if next.is_none() && task {
                    state.answered(None);
                }
                next.map(|step| Process::Settler { task, problem, step })
            }
            Process::Reviewer { verdict, read } => {
                self.review(state, verdict, read);
                None
            }
            Process::Deliverer { number, step } => {
                ending::deliver(state, number, step).map(|step| Process::Deliverer { number, step })
            }
        }
    }

    /// What the world may do.
    fn disturbances(&self, state: &State, actions: &mut Vec<Action>) {
        let World { creates, crashes, cancels, labels, verdicts, doubles, throttles, refusals } = state.world;
        if creates > 0 {
            actions.push(Action::Create);
        }
        if cancels > 0 && state.status().is_some_and(Status::is_active) {
            actions.push(Action::Cancel);
        }
        if labels > 0 && (state.items[0] == Item::Unlabeled || !self.guards.unlabeled_by_hand) {
            actions.push(Action::Label);
        }
        if verdicts > 0 {
            let open = Verdict::ALL.into_iter().filter(|verdict| state.read(*verdict).is_some());
            actions.extend(open.map(Action::Review));
        }
        if doubles > 0 && matches!(state.execution, Execution::Label(_)) {
            actions.push(Action::Double);
        }
        for (position, process) in state.processes.iter().enumerate() {
            if crashes > 0 {
                actions.push(Action::Die(position));
            }
            if refusals > 0 && matches!(process, Process::Worker { step: Work::Ask(_), .. }) {
                actions.push(Action::RefuseCall(position));
            }
        }
        let is_idle = !state.idle_tasks().is_empty();
        if is_idle && crashes < self.world.crashes {
            actions.push(Action::GiveUp);
        }
        if is_idle && throttles > 0 {
            actions.push(Action::RefuseInvocation);
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.world)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.disturbances(state, actions);
        actions.extend((0..state.processes.len()).map(Action::Step));
        actions.extend(state.idle_tasks().into_iter().map(Action::Invoke));
        let in_sight = state.job.as_ref().is_some_and(|job| job.in_sight);
        let is_settling = state.any(|p| matches!(p, Process::Settler { task: false, .. }));
        let cancelled = state.status() == Some(Status::Cancelled);
        if in_sight && !is_settling && (cancelled || matches!(state.execution, Execution::None | Execution::Over)) {
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
                        state.job = Some(Job::new());
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
                state.free();
                state.spawn(Process::Stopping);
            }
            Action::Label => {
                state.world.labels -= 1;
                state.items[0] = Item::Persons;
                state.results.add();
                state.persons = true;
            }
            Action::Review(verdict) => {
                state.world.verdicts -= 1;
                let read = state.read(verdict)?;
                state.spawn(Process::Reviewer { verdict, read });
            }
            Action::Double => {
                state.world.doubles -= 1;
                state.spawn(Process::Worker { batch: 0, task: false, step: Work::Read, late_calls: 0 });
            }
            Action::RefuseInvocation => {
                state.world.throttles -= 1;
                if !self.guards.patience {
                    state.gives_up();
                }
            }
            Action::RefuseCall(position) => {
                state.world.refusals -= 1;
                state.disturbed = true;
                let Process::Worker { batch, task, step: Work::Ask(open), late_calls } =
                    state.processes.remove(position)
                else {
                    return None;
                };
                let step = if self.guards.refusal_first { Work::RecordRefusal(open) } else { Work::CommitShort(open) };
                state.spawn(Process::Worker { batch, task, step, late_calls });
            }
            Action::Step(position) => {
                let process = state.processes.remove(position);
                if let Some(next) = self.step(&mut state, process) {
                    state.spawn(next);
                }
            }
            Action::Die(position) => {
                state.world.crashes -= 1;
                state.disturbed = true;
                if let Process::Deliverer { .. } = state.processes.remove(position) {
                    state.messages += 1; // what was not deleted is seen again
                }
            }
            Action::Invoke(task) => state.invoke(task),
            Action::GiveUp => state.gives_up(),
            Action::Tick => {
                // The watchdog is patient with an execution that has not begun. Here it may lose its patience at any time.
                state.disturbed |= state.execution == Execution::None;
                if state.execution != Execution::None {
                    state.execution = Execution::Over;
                }
                state.spawn(Process::Settler { task: false, problem: true, step: Settling::Close });
            }
            Action::Receive => {
                state.messages -= 1;
                // A number that no worker has, alive or dead.
                let number = (0..=2).find(|number| !state.is_taken(*number))?;
                state.spawn(Process::Deliverer { number, step: Delivering::Claim });
            }
            Action::LeaseOver => state.delivery = Delivery::Open,
            Action::Remind => state.messages += 1,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self.world)
    }
}

//! The files of a project's items.
//!
//! Two items with a file each, in a bucket that sends an event of every change: late, in no order, and more than once. Files
//! are written over by other bytes, by the same bytes and by bytes that cannot be read; they are deleted and written again.
//! Meanwhile jobs of the API and jobs by uploads plan over the index of unlabeled items, ask and commit; a person accepts
//! drafts; the index lags; processes die. One page of the index is one entry, and one chunk is one item.
//!
//! Left out, since the documentation names it as a limit: bytes that change and change back while only the second change has
//! been heard, and another version of a file whose first version has not been heard yet (docs/decisions/0021).

mod index;
mod ingest;
mod jobs;
mod properties;
mod state;

use stateright::{Model, Property};

pub use state::{Action, State};
use state::{Checking, Event, EventKind, Ingesting, Label, Object, Planning, Process};

const ITEMS: usize = 2;

/// The conditions that hold the protocol together. A model without one of them must fail.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// Plan holds what is young in the index, and walks the rest up to there (`pick_waiting`): what moves goes behind.
    pub until: bool,
    /// The walk leaves out what is held.
    pub held: bool,
    /// And what is held is planned once.
    pub once: bool,
    /// A draft is written if the file has changed as often as when it was planned (`Ledger::commit`).
    pub changes: bool,
    /// An event that is not newer than what is known of the file changes nothing (`Item::uploaded`).
    pub newer: bool,
    /// The item is written if its file and result are as they were read (`Uploads::change_file`).
    pub as_read: bool,
    /// The same bytes again change nothing (`Item::uploaded`).
    pub same_bytes: bool,
    /// A file that cannot be read just now changes nothing (`Ingester::created`).
    pub unreadable: bool,
    /// Other bytes withdraw a draft (`Item::uploaded`).
    pub withdraw: bool,
    /// And nothing else than a draft (`Item::drop_draft`).
    pub drafts_only: bool,
    /// A changed file moves its item to the end of the index (`Item::waits_again`).
    pub moves: bool,
    /// An upload that is heard again is counted again (`Ingester::upload_again`).
    pub count_again: bool,
    /// The watch over a project ends if no upload has been counted since the check (`UploadWatch::unwatch_uploads`).
    pub as_counted: bool,
    /// And if the index has had time to show the last of them (`AutoLabel::pause_in`).
    pub pause: bool,
    /// Jobs by uploads take none that the index may not show yet (`limits::UPLOAD_SETTLED_SECONDS`).
    pub settled: bool,
    /// Nor any whose write may still be on its way: one that takes long is given up (`check::soon`).
    pub soon: bool,
    /// The position that uploads are taken behind moves with the start of the job (`Jobs::plan_job`), not before it.
    pub taken_at_start: bool,
    /// And jobs by uploads read on from there (`pick_uploads`).
    pub taken: bool,
}

impl Guards {
    /// The protocol as it is.
    pub const ALL: Self = Self {
        until: true,
        held: true,
        once: true,
        changes: true,
        newer: true,
        as_read: true,
        same_bytes: true,
        unreadable: true,
        withdraw: true,
        drafts_only: true,
        moves: true,
        count_again: true,
        as_counted: true,
        pause: true,
        settled: true,
        soon: true,
        taken_at_start: true,
        taken: true,
    };
}

/// How an item and its file begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// There is no file and no item.
    Absent,
    /// A call has added the item, its file is there, and the event of that is on its way.
    Unheard,
    /// The file is there and known, and the item waits for a job.
    Waiting,
    /// And the item has a draft of it.
    Drafted,
}

/// What the world may do to the system, each so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct World {
    /// Clients that start a job.
    pub jobs: u8,
    /// Processes that die.
    pub crashes: u8,
    /// Files that are written for the first time, or again after a deletion.
    pub uploads: u8,
    /// Files that are written over by other bytes.
    pub overwrites: u8,
    /// By the same bytes, or deleted and written again with them.
    pub rewrites: u8,
    /// By other bytes that may not be read.
    pub unreadable: u8,
    /// Files that are deleted.
    pub deletions: u8,
    /// Events that come once more.
    pub repeats: u8,
    /// Drafts that a person accepts.
    pub accepts: u8,
    /// Items in which the model sees nothing.
    pub blanks: u8,
    /// Writes of ingest whose clock is behind Plan's.
    pub skews: u8,
}

impl World {
    /// Nothing happens.
    pub const NONE: Self = Self {
        jobs: 0,
        crashes: 0,
        uploads: 0,
        overwrites: 0,
        rewrites: 0,
        unreadable: 0,
        deletions: 0,
        repeats: 0,
        accepts: 0,
        blanks: 0,
        skews: 0,
    };
}

/// The model.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What holds it together.
    pub guards: Guards,
    /// What it is up against.
    pub world: World,
    /// The items.
    pub begin: [Begin; ITEMS],
    /// The project labels what is uploaded (`auto_label_on_upload`).
    pub labels_uploads: bool,
    /// The index shows a write some time after it. Otherwise at once.
    pub index_lags: bool,
}

impl Protocol {
    /// What the world may do to files and drafts.
    fn disturbances(&self, state: &State, actions: &mut Vec<Action>) {
        let world = state.world;
        for item in 0..ITEMS {
            let row = &state.rows[item];
            // See the module's documentation: the second version of a file that has not been heard yet.
            let may_change = !row.exists || row.file.is_some();
            match state.objects[item] {
                None if world.uploads > 0 => actions.push(Action::Upload(item)),
                Some(_) if world.overwrites > 0 && may_change => actions.push(Action::Overwrite(item)),
                _ => {}
            }
            let was_there = state.former_bytes[item] > 0;
            if world.rewrites > 0 && state.objects[item].map_or(was_there, |object| object.is_readable) {
                actions.push(Action::Rewrite(item));
            }
            if state.objects[item].is_some() {
                if world.unreadable > 0 && may_change {
                    actions.push(Action::OverwriteUnreadable(item));
                }
                if world.deletions > 0 && may_change {
                    actions.push(Action::Delete(item));
                }
            }
            if world.accepts > 0 && matches!(row.label, Some(Label::Draft(_))) {
                actions.push(Action::Accept(item));
            }
        }
    }

    fn file_written(&self, state: &mut State, item: usize, object: Object) {
        let object = Object { sequence: state.last_sequence[item] + 1, ..object };
        state.last_sequence[item] = object.sequence;
        state.objects[item] = Some(object);
        state.post(Event { item, sequence: object.sequence, kind: EventKind::Created { bytes: object.bytes } });
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.world, self.begin)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.disturbances(state, actions);
        let World { jobs, crashes, repeats, blanks, skews, .. } = state.world;
        if jobs > 0 && state.job.is_none() {
            actions.push(Action::Create);
        }
        let mut last = None;
        for (position, event) in state.events.iter().enumerate() {
            if last.replace(event) == Some(event) {
                continue; // the same one again
            }
            if state.ingests() < 2 {
                actions.push(Action::Hear(position));
                if repeats > 0 {
                    actions.push(Action::HearTwice(position));
                }
            }
        }
        for (position, process) in state.processes.iter().enumerate() {
            actions.push(Action::Step(position));
            if skews > 0 && matches!(process, Process::Ingest { step: Ingesting::Read, .. }) {
                actions.push(Action::StepBehind(position));
            }
            if blanks > 0 && matches!(process, Process::Worker { asked: None }) {
                actions.push(Action::SeeNothing(position));
            }
            if crashes > 0 {
                actions.push(Action::Die(position));
            }
        }
        if state.is_job_idle() {
            actions.push(Action::Invoke);
            if crashes < self.world.crashes {
                actions.push(Action::GiveUp);
            }
        }
        for item in 0..ITEMS {
            if state.stale[item].is_some() {
                actions.push(Action::Fade(item));
            } else if state.is_behind(item) {
                actions.push(Action::Show(item));
            }
        }
        if self.is_check_due(state) {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Upload(item) => {
                state.world.uploads -= 1;
                let bytes = state.new_bytes();
                self.file_written(&mut state, item, Object { bytes, is_readable: true, sequence: 0 });
            }
            Action::Overwrite(item) => {
                state.world.overwrites -= 1;
                let bytes = state.new_bytes();
                self.file_written(&mut state, item, Object { bytes, is_readable: true, sequence: 0 });
            }
            Action::Rewrite(item) => {
                state.world.rewrites -= 1;
                let former = Object { bytes: state.former_bytes[item], is_readable: true, sequence: 0 };
                let object = state.objects[item].unwrap_or(former);
                self.file_written(&mut state, item, object);
            }
            Action::OverwriteUnreadable(item) => {
                state.world.unreadable -= 1;
                let bytes = state.new_bytes();
                self.file_written(&mut state, item, Object { bytes, is_readable: false, sequence: 0 });
            }
            Action::Delete(item) => {
                state.world.deletions -= 1;
                state.former_bytes[item] = state.objects[item].take()?.bytes;
                state.last_sequence[item] += 1;
                state.post(Event { item, sequence: state.last_sequence[item], kind: EventKind::Deleted });
            }
            Action::Accept(item) => {
                state.world.accepts -= 1;
                let Some(Label::Draft(bytes)) = state.rows[item].label else { return None };
                state.rows[item].label = Some(Label::Accepted(bytes));
                state.accepted[item] = true;
            }
            Action::Create => {
                state.world.jobs -= 1;
                state.create_job(None);
            }
            Action::Hear(position) => {
                let event = state.events.remove(position);
                state.spawn(Process::Ingest { event, step: Ingesting::Read });
            }
            Action::HearTwice(position) => {
                state.world.repeats -= 1;
                let event = state.events[position];
                state.spawn(Process::Ingest { event, step: Ingesting::Read });
            }
            Action::Step(position) | Action::StepBehind(position) => {
                let is_behind = matches!(action, Action::StepBehind(_));
                state.world.skews -= u8::from(is_behind);
                let process = state.processes.remove(position);
                let next = match process {
                    Process::Ingest { event, step } => {
                        self.ingest(&mut state, event, step, is_behind).map(|step| Process::Ingest { event, step })
                    }
                    Process::Check(step) => self.check(&mut state, step).map(Process::Check),
                    Process::Planner(planning) => self.plan(&mut state, planning).map(Process::Planner),
                    Process::Worker { asked } => self.work(&mut state, asked),
                };
                if let Some(next) = next {
                    state.spawn(next);
                }
            }
            Action::SeeNothing(position) => {
                state.world.blanks -= 1;
                state.processes.remove(position);
                self.outcome(&mut state, None);
                if state.job.is_some() {
                    state.spawn(Process::Worker { asked: None });
                }
            }
            Action::Die(position) => {
                state.world.crashes -= 1;
                if let Process::Ingest { event, .. } = state.processes.remove(position) {
                    state.post(event); // its message comes again
                }
            }
            Action::Invoke => {
                let job = before.job.as_ref()?;
                let process = match (&job.plan, job.uploads) {
                    (Some(_), _) => Process::Worker { asked: None },
                    (None, Some(until)) => Process::Planner(Planning::of_uploads(state.taken_until, until)),
                    (None, None) => Process::Planner(Planning::of_all(self.settled(before).min(before.clock - 1))),
                };
                state.spawn(process);
            }
            Action::GiveUp => state.fail_job(),
            Action::Show(item) => state.show(item),
            Action::Fade(item) => state.stale[item] = None,
            Action::Tick => state.spawn(Process::Check(Checking::Read)),
        }
        if !self.index_lags {
            (0..ITEMS).for_each(|item| state.show(item));
            state.stale = [None; ITEMS];
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}

//! What is written, what runs, and what may happen next.

use super::{Begin, ITEMS, World};

/// Counts the writes of ingest: the time that is in the positions of the index.
pub(super) type Moment = u8;
/// The content of a file. No two contents have one number.
pub(super) type Bytes = u8;

/// An object of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    /// Not so: `403`, or bytes that are no picture just now.
    pub(super) is_readable: bool,
    /// Of its last event (`sequencer`).
    pub(super) sequence: u8,
}

/// An event of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) item: usize,
    pub(super) sequence: u8,
    pub(super) kind: EventKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum EventKind {
    Created { bytes: Bytes },
    Deleted,
}

/// What is known of a file (`FileVersion`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) bytes: Bytes,
    pub(super) sequence: u8,
    pub(super) deleted: bool,
}

/// An item's result, with the bytes that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Label {
    Draft(Bytes),
    Accepted(Bytes),
}

/// A position in the index of unlabeled items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) at: Moment,
    pub(super) item: usize,
}

/// An item's row. `exists` is false before it is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) exists: bool,
    pub(super) file: Option<Version>,
    pub(super) changes: u8,
    pub(super) label: Option<Label>,
    pub(super) position: Option<Position>,
    /// The position says that it is by upload.
    pub(super) is_upload: bool,
}

impl Row {
    pub(super) fn is_deleted(&self) -> bool {
        self.file.is_some_and(|file| file.deleted)
    }

    pub(super) fn waits(&self) -> bool {
        self.label.is_none() && !self.is_deleted()
    }
}

/// What the index shows of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) is_upload: bool,
    pub(super) line: Line,
}

/// A line of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) item: usize,
    pub(super) changes: u8,
}

/// The project's one active job. Its end makes room for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    /// Of a job by uploads: it takes none that is younger.
    pub(super) uploads: Option<Moment>,
    pub(super) plan: Option<Vec<Line>>,
    /// Lines that have their outcome.
    pub(super) done: usize,
}

/// The last outcome of an item in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outcome {
    /// The version that was planned.
    pub(super) changes: u8,
    pub(super) by_upload: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Process {
    /// `Ingester::process`, with an event of S3.
    Ingest { event: Event, step: Ingesting },
    /// `Ingester::check_uploads`.
    Check(Checking),
    /// `Planner::plan`.
    Planner(Planning),
    /// `Worker::run`, with what it has seen of the first line without outcome; `None`: it has not asked.
    Worker { asked: Option<Seen> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Seen {
    /// The model has seen these bytes, and something in them.
    Bytes(Bytes),
    /// The file could not be read.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Ingesting {
    /// Reads the file and the item.
    Read,
    /// Writes the item, at the position of this moment, if it still is as it was read.
    Write { before: Row, at: Moment },
    /// Counts the upload (`UploadWatch::count_uploads`).
    Count,
    /// Marks the project (`UploadWatch::watch_uploads`).
    Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Checking {
    /// Reads the project's row.
    Read,
    /// Reads the index; starts a job if an upload waits.
    Query { counted: u8, is_quiet: bool },
    /// Takes the mark away: nothing waits.
    Forget { counted: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Planning {
    /// The last entry that was read.
    pub(super) after: Option<Position>,
    pub(super) until: Moment,
    /// Behind `until`.
    pub(super) held: Vec<Line>,
    pub(super) lines: Vec<Line>,
    pub(super) step: PlanningStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum PlanningStep {
    /// Reads the next entry behind `until`.
    Hold,
    /// Reads the next entry up to there.
    Read,
    /// Without the condition: moves the position that uploads are taken behind.
    Take,
    /// Starts the job.
    Start,
}

impl Planning {
    pub(super) const fn of_all(until: Moment) -> Self {
        Self { after: None, until, held: vec![], lines: vec![], step: PlanningStep::Hold }
    }

    pub(super) const fn of_uploads(after: Option<Position>, until: Moment) -> Self {
        Self { after, until, held: vec![], lines: vec![], step: PlanningStep::Read }
    }
}

/// Everything that is written, and every process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) clock: Moment,
    pub(super) objects: [Option<Object>; ITEMS],
    pub(super) last_sequence: [u8; ITEMS],
    pub(super) last_bytes: Bytes,
    /// Of the files that were deleted.
    pub(super) former_bytes: [Bytes; ITEMS],
    /// On their way, sorted.
    pub(super) events: Vec<Event>,
    pub(super) rows: [Row; ITEMS],
    pub(super) entries: [Option<Entry>; ITEMS],
    /// And for a while what it has shown before: a moved item is in two positions.
    pub(super) stale: [Option<Entry>; ITEMS],
    /// Of the project's row: uploads that were counted, the mark that some wait, the position that they are taken behind.
    pub(super) counted: u8,
    pub(super) are_watched: bool,
    pub(super) taken_until: Option<Position>,
    pub(super) job: Option<Job>,
    pub(super) outcomes: [Option<Outcome>; ITEMS],
    /// Items whose draft a person has accepted.
    pub(super) accepted: [bool; ITEMS],
    /// A plan had an item twice.
    pub(super) planned_twice: bool,
    /// A draft went although its bytes were still there.
    pub(super) withdrawn: bool,
    /// Jobs by uploads took one version of an item twice.
    pub(super) taken_twice: bool,
    pub(super) world: World,
    /// Sorted, so that states that differ in nothing else are one.
    pub(super) processes: Vec<Process>,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A file is written where there is none.
    Upload(usize),
    /// A file is written over by other bytes.
    Overwrite(usize),
    /// By the same bytes, or it is written again with the bytes that it had when it was deleted.
    Rewrite(usize),
    /// By other bytes, which may not be read.
    OverwriteUnreadable(usize),
    /// A file is deleted.
    Delete(usize),
    /// A person accepts a draft.
    Accept(usize),
    /// A client starts a job (`Jobs::create_job`).
    Create,
    /// Lambda gives ingest an event.
    Hear(usize),
    /// And will give it once more.
    HearTwice(usize),
    /// The process of this position does its next step.
    Step(usize),
    /// And its clock is behind.
    StepBehind(usize),
    /// The worker of this position asks the model, which sees nothing.
    SeeNothing(usize),
    /// A process dies first.
    Die(usize),
    /// Step Functions invokes the job's next task.
    Invoke,
    /// Or has no attempts left: the job fails.
    GiveUp,
    /// The index shows an item as it is.
    Show(usize),
    /// And does not show any more where it was.
    Fade(usize),
    /// The schedule finds the mark (`Ingester::round`). A message that comes after a pause does the same.
    Tick,
}

impl State {
    pub(super) fn new(world: World, begin: [Begin; ITEMS]) -> Self {
        let mut state = Self {
            clock: ITEMS as Moment,
            objects: [None; ITEMS],
            last_sequence: [0; ITEMS],
            last_bytes: 0,
            former_bytes: [0; ITEMS],
            events: vec![],
            rows: [Row::default(); ITEMS],
            entries: [None; ITEMS],
            stale: [None; ITEMS],
            counted: 0,
            are_watched: false,
            taken_until: None,
            job: None,
            outcomes: [None; ITEMS],
            accepted: [false; ITEMS],
            planned_twice: false,
            withdrawn: false,
            taken_twice: false,
            world,
            processes: vec![],
        };
        for (item, begin) in begin.into_iter().enumerate().filter(|(_, begin)| *begin != Begin::Absent) {
            let bytes = state.new_bytes();
            state.last_sequence[item] = 1;
            state.objects[item] = Some(Object { bytes, is_readable: true, sequence: 1 });
            let is_heard = begin != Begin::Unheard;
            let is_drafted = begin == Begin::Drafted;
            state.rows[item] = Row {
                exists: true,
                file: is_heard.then_some(Version { bytes, sequence: 1, deleted: false }),
                changes: 0,
                label: is_drafted.then_some(Label::Draft(bytes)),
                position: (!is_drafted).then_some(Position { at: item as Moment + 1, item }),
                is_upload: false,
            };
            if !is_heard {
                state.events.push(Event { item, sequence: 1, kind: EventKind::Created { bytes } });
            }
            state.show(item);
        }
        state
    }

    pub(super) const fn new_bytes(&mut self) -> Bytes {
        self.last_bytes += 1;
        self.last_bytes
    }

    pub(super) fn spawn(&mut self, process: Process) {
        self.processes.push(process);
        self.processes.sort();
    }

    pub(super) fn post(&mut self, event: Event) {
        self.events.push(event);
        self.events.sort();
    }

    pub(super) fn any(&self, is: impl Fn(&Process) -> bool) -> bool {
        self.processes.iter().any(is)
    }

    pub(super) fn ingests(&self) -> usize {
        self.processes.iter().filter(|process| matches!(process, Process::Ingest { .. })).count()
    }
}

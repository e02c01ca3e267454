//! A person reviews the results of the first item: accepts, corrects, rejects and reopens them. The undo of a sweep is a reopening.
//!
//! Each call reads the item and then writes, so that another call or a commit may come between.

use super::Protocol;
use super::state::{Item, State};

/// A person's decision about the first item's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It is right.
    Accept,
    /// Something else is right.
    Correct,
    /// It is wrong.
    Reject,
    /// It is to be reviewed once more; also of the last one that was rejected.
    Reopen,
}

impl Verdict {
    pub(super) const ALL: [Self; 4] = [Self::Accept, Self::Correct, Self::Reject, Self::Reopen];
}

/// A result of the first item, as a call has read it, or as its history has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Reading {
    kind: Item,
    generation: u8,
    revision: u8,
    is_rejected: bool,
}

/// What the first item's row has beside its result, and the results that were rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Results {
    /// Results that it has had; with it the next uid is made.
    generation: u8,
    revision: u8,
    rejected: Vec<Reading>,
    /// The number of results went down: the next one would have the uid of an earlier one.
    pub(super) uid_again: bool,
    /// Two states of one result have had one `ETag`.
    pub(super) etag_again: bool,
    /// A rejected result has come back.
    pub(super) came_back: bool,
}

impl Results {
    /// The item gets another result.
    pub(super) fn add(&mut self) {
        self.generation += 1;
        self.revision = 0;
    }

    /// Rejected drafts of the job.
    pub(super) fn rejected_of_job(&self) -> usize {
        self.rejected.iter().filter(|rejected| rejected.kind.is_of_job()).count()
    }
}

impl State {
    /// What a call with this verdict reads; `None`: it writes nothing (`Item::reviewed`, `Item::reopening`).
    pub(super) fn read(&self, verdict: Verdict) -> Option<Reading> {
        let Results { generation, revision, rejected, .. } = &self.results;
        let kind = self.items[0];
        let current = Reading { kind, generation: *generation, revision: *revision, is_rejected: false };
        let last = || rejected.iter().find(|rejected| rejected.generation == *generation).copied();
        match (kind, verdict) {
            (Item::Unlabeled, Verdict::Reopen) => last(),
            (Item::Unlabeled, Verdict::Accept | Verdict::Correct | Verdict::Reject) => None,
            (Item::Draft, Verdict::Reopen) => None,
            (Item::Accepted | Item::Corrected | Item::Persons, Verdict::Accept) => None,
            _ => Some(current),
        }
    }
}

impl Protocol {
    /// Writes a verdict on what was read (`Results::review`).
    pub(super) fn review(&self, state: &mut State, verdict: Verdict, read: Reading) {
        let is_as_read = state.items[0] != Item::Unlabeled
            && (state.results.generation, state.results.revision) == (read.generation, read.revision);
        match verdict {
            Verdict::Reopen if read.is_rejected => self.bring_back(state, read),
            _ if !is_as_read && self.guards.result_as_read => {}
            // The transaction moves what it has read.
            Verdict::Reject => {
                let revision = read.revision + 1;
                state.results.rejected.push(Reading { revision, is_rejected: true, ..read });
                state.items[0] = Item::Unlabeled;
                state.persons &= !read.kind.is_persons();
            }
            Verdict::Accept => state.write(Item::Accepted, read),
            Verdict::Correct => {
                let kind = if read.kind == Item::Persons { Item::Persons } else { Item::Corrected };
                state.persons = true;
                state.write(kind, read);
            }
            // A draft again; what a person has made of it stays hers.
            Verdict::Reopen => state.write(if read.kind.is_persons() { read.kind } else { Item::Draft }, read),
        }
    }

    /// A rejected result comes back to its item (`Store::reopened`).
    fn bring_back(&self, state: &mut State, read: Reading) {
        let history = state.results.rejected.iter().position(|rejected| rejected.generation == read.generation);
        let Some(history) = history else { return };
        let before = state.results.rejected[history].revision;
        let is_unlabeled = state.items[0] == Item::Unlabeled || !self.guards.reopened_to_unlabeled;
        let is_last = state.results.generation == read.generation || !self.guards.last_result;
        let is_as_read = before == read.revision || !self.guards.history_as_read;
        if !(is_unlabeled && is_last && is_as_read) {
            return;
        }
        state.results.rejected.remove(history);
        state.results.came_back = true;
        state.results.etag_again |= read.revision < before;
        state.results.uid_again |= read.generation < state.results.generation;
        state.persons |= read.kind.is_persons();
        state.results.generation = read.generation;
        state.write(if read.kind.is_persons() { read.kind } else { Item::Draft }, read);
    }
}

impl State {
    fn write(&mut self, kind: Item, read: Reading) {
        self.items[0] = kind;
        self.results.revision = read.revision + 1;
    }
}

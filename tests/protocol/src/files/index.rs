//! The index of unlabeled items, and checks of it.

use std::ops::RangeInclusive;

use super::Protocol;
use super::state::{Checking, Entry, Ingesting, Line, Moment, Position, Process, State};

impl State {
    /// What the index shows of an item, once it has caught up.
    fn entry(&self, item: usize) -> Option<Entry> {
        let row = &self.rows[item];
        let line = Line { item, changes: row.changes };
        row.position.map(|position| Entry { position, is_upload: row.is_upload, line })
    }

    pub(super) fn is_behind(&self, item: usize) -> bool {
        self.entries[item] != self.entry(item)
    }

    pub(super) fn is_unshown(&self, item: usize) -> bool {
        self.is_behind(item) || self.stale[item].is_some()
    }

    /// The index shows the item as it is. Of one that has moved it shows for a while where it was as well.
    pub(super) fn show(&mut self, item: usize) {
        let before = self.entries[item];
        self.entries[item] = self.entry(item);
        let has_moved = before.map(|entry| entry.position) != self.entries[item].map(|entry| entry.position);
        self.stale[item] = before.filter(|_| has_moved);
    }

    /// The first entry of a query.
    pub(super) fn first_entry(
        &self,
        after: Option<Position>,
        times: RangeInclusive<Moment>,
        uploads: bool,
    ) -> Option<Entry> {
        let within = |entry: &Entry| {
            after.is_none_or(|after| entry.position > after)
                && times.contains(&entry.position.at)
                && (entry.is_upload || !uploads)
        };
        self.entries.iter().chain(&self.stale).flatten().copied().filter(within).min_by_key(|entry| entry.position)
    }

    /// An upload of the item is written, and about to be counted.
    fn is_uncounted(&self, item: usize) -> bool {
        self.any(|process| matches!(process, Process::Ingest { event, step: Ingesting::Count } if event.item == item))
    }
}

impl Protocol {
    /// The moment up to which every upload is in the index. In the code it is a time, within which a write has ended or is given
    /// up, and the index shows it.
    pub(super) fn settled(&self, state: &State) -> Moment {
        let unshown = (0..state.rows.len()).filter(|item| self.guards.settled && state.is_unshown(*item));
        let unshown = unshown.flat_map(|item| {
            // As long as the index shows where an item was, what it shows beside is young as well.
            let shown = state.stale[item].and(state.entries[item]).map(|entry| entry.position);
            [state.rows[item].position, shown].into_iter().flatten().map(|position| position.at)
        });
        let on_their_way = state.processes.iter().filter_map(|process| match process {
            Process::Ingest { step: Ingesting::Write { at, .. }, .. } if self.guards.soon => Some(*at),
            _ => None,
        });
        unshown.chain(on_their_way).min().map_or(state.clock, |at| at - 1)
    }

    fn waiting(&self, state: &State, until: Moment) -> bool {
        let after = state.taken_until.filter(|_| self.guards.taken);
        state.first_entry(after, 0..=until, true).is_some()
    }

    /// The last upload that was counted is so long ago that the index shows it.
    fn is_quiet(&self, state: &State) -> bool {
        !self.guards.pause || !(0..state.rows.len()).any(|item| state.is_unshown(item) && !state.is_uncounted(item))
    }

    /// Whether a check would do anything.
    pub(super) fn is_check_due(&self, state: &State) -> bool {
        state.are_watched
            && !state.any(|process| matches!(process, Process::Check(_)))
            && (state.job.is_none() && self.waiting(state, self.settled(state))
                || self.is_quiet(state) && !self.waiting(state, Moment::MAX))
    }

    pub(super) fn check(&self, state: &mut State, step: Checking) -> Option<Checking> {
        match step {
            Checking::Read if state.are_watched => {
                Some(Checking::Query { counted: state.counted, is_quiet: self.is_quiet(state) })
            }
            Checking::Read => None,
            Checking::Query { counted, is_quiet } => {
                let until = self.settled(state);
                if self.waiting(state, until) {
                    if state.job.is_none() {
                        state.create_job(Some(until));
                    }
                    return None;
                }
                (is_quiet && !self.waiting(state, Moment::MAX)).then_some(Checking::Forget { counted })
            }
            Checking::Forget { counted } => {
                if counted == state.counted || !self.guards.as_counted {
                    state.are_watched = false;
                }
                None
            }
        }
    }
}

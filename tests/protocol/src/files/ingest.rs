//! Ingest: what an event of S3 changes about an item.

use super::Protocol;
use super::state::{Event, EventKind, Ingesting, Label, Moment, Position, Row, State, Version};

impl Protocol {
    pub(super) fn ingest(
        &self,
        state: &mut State,
        event: Event,
        step: Ingesting,
        is_behind: bool,
    ) -> Option<Ingesting> {
        match step {
            Ingesting::Read => self.read_file(state, event, is_behind),
            Ingesting::Write { before, at } => self.write(state, event, &before, at),
            Ingesting::Count => {
                let was_watched = state.are_watched;
                state.counted += 1;
                (!was_watched).then_some(Ingesting::Mark)
            }
            Ingesting::Mark => {
                state.are_watched = true;
                None
            }
        }
    }

    fn read_file(&self, state: &mut State, event: Event, is_behind: bool) -> Option<Ingesting> {
        let row = state.rows[event.item];
        if let EventKind::Created { .. } = event.kind {
            let object = state.objects[event.item]?; // gone again: its deletion is an event of its own
            if !object.is_readable && (self.guards.unreadable || row.file.is_none()) {
                return None; // a note for its owner
            }
        } else if !row.exists {
            return None;
        }
        if self.after(state, event, &row).is_none() {
            let is_same = row.file.is_some_and(|file| file.sequence == event.sequence);
            return (is_same && row.waits() && self.labels_uploads && self.guards.count_again)
                .then_some(Ingesting::Count);
        }
        state.clock += u8::from(!is_behind);
        Some(Ingesting::Write { before: row, at: state.clock })
    }

    fn write(&self, state: &mut State, event: Event, before: &Row, at: Moment) -> Option<Ingesting> {
        let row = state.rows[event.item];
        let is_as_read = row.exists == before.exists
            && row.file.map(|file| file.sequence) == before.file.map(|file| file.sequence)
            && row.label == before.label;
        if !is_as_read && (self.guards.as_read || !before.exists) {
            return Some(Ingesting::Read);
        }
        let after = self.after(state, event, before)?;
        let waits_again = after.waits() && (after.changes != before.changes || before.file.is_none());
        let written = &mut state.rows[event.item];
        written.exists = true;
        written.file = after.file;
        written.changes = after.changes;
        if waits_again && (self.guards.moves || before.position.is_none()) {
            written.position = Some(Position { at, item: event.item });
            written.is_upload = true;
        } else if !after.waits() {
            written.position = None;
        }
        if let (Some(before_label), None) = (before.label, after.label) {
            written.label = None;
            let other_bytes = matches!(event.kind, EventKind::Created { bytes }
                if before.file.is_some_and(|file| file.bytes != bytes));
            state.withdrawn |= matches!(before_label, Label::Draft(_)) && (!other_bytes || after.is_deleted());
        }
        (waits_again && self.labels_uploads).then_some(Ingesting::Count)
    }

    /// The item after the event (`Item::uploaded`, `Item::deleted`); `None`: the event changes nothing.
    fn after(&self, state: &State, event: Event, before: &Row) -> Option<Row> {
        if self.guards.newer && before.file.is_some_and(|file| event.sequence <= file.sequence) {
            return None;
        }
        let mut after = *before;
        let EventKind::Created { bytes } = event.kind else {
            let bytes = before.file.map_or(0, |file| file.bytes);
            after.file = Some(Version { bytes, sequence: event.sequence, deleted: true });
            after.changes += u8::from(!before.is_deleted());
            return Some(after);
        };
        after.file = Some(Version { bytes, sequence: event.sequence, deleted: false });
        let Some(known) = before.file else { return Some(after) };
        let is_same = known.bytes == bytes && self.guards.same_bytes;
        if !is_same && self.guards.withdraw {
            after.label = after.label.filter(|label| self.guards.drafts_only && matches!(label, Label::Accepted(_)));
        }
        after.changes += u8::from(!is_same || known.deleted);
        // Without the condition: as if the file was deleted, and with a draft gone.
        if state.objects[event.item].is_some_and(|object| !object.is_readable) && !self.guards.unreadable {
            after.file = Some(Version { bytes, sequence: event.sequence, deleted: true });
        }
        Some(after)
    }
}

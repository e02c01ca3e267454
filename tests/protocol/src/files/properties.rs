//! I1, I3, I12, and that no upload is missed.

use stateright::Property;

use super::state::{Label, State};
use super::{Begin, ITEMS, Protocol};

/// Nothing will happen any more unless the world does it.
fn is_at_rest(model: &Protocol, s: &State) -> bool {
    s.processes.is_empty()
        && s.events.is_empty()
        && s.job.is_none()
        && !(0..ITEMS).any(|item| s.is_unshown(item))
        && !model.is_check_due(s)
}

/// The bytes of a file that is there and can be read: they must be known, and labels are to be of them.
fn bytes(s: &State, item: usize) -> Option<u8> {
    s.objects[item].filter(|object| object.is_readable).map(|object| object.bytes)
}

fn of_each(holds: impl Fn(usize) -> bool) -> bool {
    (0..ITEMS).all(holds)
}

/// Properties are functions without captures, so each of these asks for its own state.
pub(super) fn all(model: &Protocol) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::always("I1 an item is planned once", |_, s: &State| !s.planned_twice),
        Property::always("I3 never over a person's work", |_, s: &State| {
            of_each(|item| !s.accepted[item] || matches!(s.rows[item].label, Some(Label::Accepted(_))))
        }),
        Property::always("I12 a draft goes only with its bytes", |_, s: &State| !s.withdrawn),
        Property::always("a draft is of the bytes that are there", |model, s: &State| {
            of_each(|item| match (s.rows[item].label, bytes(s, item)) {
                (Some(Label::Draft(of)), Some(there)) => of == there,
                _ => true,
            }) || !is_at_rest(model, s)
        }),
        Property::always("every change of a file is known", |model, s: &State| {
            of_each(|item| {
                let known = s.rows[item].file;
                match s.objects[item] {
                    Some(object) if object.is_readable => {
                        known.is_some_and(|file| file.bytes == object.bytes && !file.deleted)
                    }
                    Some(_) => true, // what cannot be read changes nothing
                    // A deletion that is heard while its upload is being read: docs/decisions/0021.
                    None => model.begin[item] == Begin::Absent || known.is_some_and(|file| file.deleted),
                }
            }) || !is_at_rest(model, s)
        }),
        Property::always("what waits is in the index", |model, s: &State| {
            of_each(|item| {
                let row = &s.rows[item];
                !row.exists || row.waits() == row.position.is_some()
            }) || !is_at_rest(model, s)
        }),
        Property::always("no upload is missed", |model, s: &State| {
            !model.labels_uploads
                || of_each(|item| {
                    let row = &s.rows[item];
                    let is_settled = s.outcomes[item].is_some_and(|outcome| outcome.changes == row.changes);
                    // What was there before the project labeled uploads is for a job that a person starts.
                    let is_old = model.begin[item] == Begin::Waiting && row.changes == 0;
                    is_old || bytes(s, item).is_none() || row.exists && (row.label.is_some() || is_settled)
                })
                || !is_at_rest(model, s)
        }),
        Property::always("an upload is taken once", |_, s: &State| !s.taken_twice),
        Property::sometimes("the system comes to rest", is_at_rest),
    ];
    if model.world.jobs > 0 || model.labels_uploads {
        properties.push(Property::sometimes("an item is drafted by a job", |_, s: &State| {
            (0..ITEMS).any(|item| s.outcomes[item].is_some() && matches!(s.rows[item].label, Some(Label::Draft(_))))
        }));
    }
    properties
}

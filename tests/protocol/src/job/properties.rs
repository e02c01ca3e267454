//! I1 to I7 of a job.

use stateright::{Model, Property};

use super::state::{Action, Delivery, Holder, Items, Job, State, Status};
use super::{Protocol, World};

/// Nothing will happen any more unless the world does it.
fn is_at_rest(model: &Protocol, state: &State) -> bool {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    !actions.iter().any(Action::is_ours)
}

fn of_job(state: &State, holds: impl Fn(&Job) -> bool) -> bool {
    state.job.as_ref().is_none_or(holds)
}

pub(super) fn all(world: World) -> Vec<Property<Protocol>> {
    let mut properties = always();
    properties.push(Property::sometimes("a job completes", |_, s: &State| s.status() == Some(Status::Completed)));
    if world.crashes + world.refusals > 0 {
        properties.push(Property::sometimes("a job fails", |_, s: &State| s.status() == Some(Status::Failed)));
    }
    if world.verdicts > 1 {
        properties.push(Property::sometimes("a rejected result comes back", |_, s: &State| s.results.came_back));
    }
    if world.cancels > 0 {
        properties.push(Property::sometimes("a job is cancelled with drafts", |_, s: &State| {
            s.job.as_ref().is_some_and(|job| job.status == Status::Cancelled && job.successful > 0)
        }));
    }
    properties
}

fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always("I1 one outcome, one draft", |_, s: &State| {
            let drafts = s.items.iter().filter(|item| item.is_of_job()).count() + s.results.rejected_of_job();
            of_job(s, |job| job.labeled.count_ones() as usize == drafts && job.labeled & !job.receipts == 0)
        }),
        // Nothing asks about the rest of its items again.
        Property::always("I1 a chunk is short only of a job that ends", |_, s: &State| {
            of_job(s, |job| job.short == 0 || job.refused || job.status != Status::Running)
        }),
        Property::always("I2 counters are true", |_, s: &State| {
            of_job(s, |job| {
                u32::from(job.successful) == job.labeled.count_ones()
                    && u32::from(job.successful + job.skipped) == (job.receipts & !job.short).count_ones()
                    && job.receipts.count_ones() <= job.plan.map_or(0, Items::count_ones)
            })
        }),
        Property::always("I3 never over a person's work", |_, s: &State| !s.persons || s.items[0].is_persons()),
        Property::always("a uid names one result", |_, s: &State| !s.results.uid_again),
        Property::always("an ETag names one version", |_, s: &State| !s.results.etag_again),
        Property::always("I4 one active job", |_, s: &State| !(s.other && s.status().is_some_and(Status::is_active))),
        Property::always("I5 every job ends, once", |model, s: &State| {
            s.ends <= 1
                && (!is_at_rest(model, s)
                    || s.status().is_none_or(|status| !status.is_active()) && s.lock != Some(Holder::Job))
        }),
        Property::always("I5 an end is final", |_, s: &State| !s.overwritten),
        Property::always("I5 nothing puts an end off", |_, s: &State| !s.put_off),
        Property::always("I5 completed means all", |_, s: &State| {
            of_job(s, |job| job.status != Status::Completed || Some(job.receipts & !job.short) == job.plan)
        }),
        Property::always("I5 refused invocations fail no job", |_, s: &State| {
            s.disturbed || s.status() != Some(Status::Failed)
        }),
        Property::always("I6 every finished job has its event delivered", |model, s: &State| {
            !s.status().is_some_and(Status::has_event)
                || s.delivery == Delivery::Delivered && s.received
                || !is_at_rest(model, s)
        }),
        Property::always("I6 the event has the true counters", |_, s: &State| {
            s.event.is_none_or(|event| s.job.as_ref().is_some_and(|job| event == (job.successful, job.skipped)))
        }),
        Property::always("I7 cancel means stop", |_, s: &State| s.late_calls == 0),
    ]
}

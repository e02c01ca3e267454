//! Settle and Deliver.

use super::Protocol;
use super::state::{Delivering, Delivery, Items, Settling, State, Status};

impl Protocol {
    pub(super) fn settle(&self, state: &mut State, problem: bool, step: Settling) -> Option<Settling> {
        let job = state.job.as_mut()?;
        match step {
            Settling::Close => {
                job.closing |= job.status.is_active();
                Some(Settling::Read)
            }
            Settling::Read if job.status.is_active() => {
                let running = job.status == Status::Running;
                Some(Settling::End { running, successful: job.successful, skipped: job.skipped })
            }
            Settling::Read => Some(Settling::Forget),
            Settling::End { running, successful, skipped } => {
                let status = job.status.is_active() && (job.status == Status::Running) == running;
                let counters = (job.successful, job.skipped) == (successful, skipped);
                if !status && self.guards.status_as_read || !counters && self.guards.counters_as_read {
                    state.put_off |= problem && job.status.is_active();
                    return Some(Settling::Read);
                }
                let total = job.plan.map_or(0, Items::count_ones);
                let all = running && u32::from(successful + skipped) == total;
                state.overwritten |= !job.status.is_active();
                job.status = if all { Status::Completed } else { Status::Failed };
                job.in_sight = false;
                job.closing = false;
                state.ends += 1;
                state.event = Some((successful, skipped));
                state.free();
                if !self.guards.outbox {
                    return Some(Settling::WriteEvent);
                }
                state.delivery = Delivery::Pending;
                Some(Settling::Send)
            }
            Settling::WriteEvent => {
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

pub(super) fn deliver(state: &mut State, number: u8, step: Delivering) -> Option<Delivering> {
    match step {
        Delivering::Claim => match state.delivery {
            Delivery::Pending | Delivery::Open => {
                state.delivery = Delivery::Claimed(number);
                Some(Delivering::Post)
            }
            Delivery::Claimed(_) => {
                state.messages += 1; // comes again after the other one's lease
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

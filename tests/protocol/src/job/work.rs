//! Plan and Infer.

use super::state::{Execution, Item, Items, Process, State, Status, Work};
use super::{ITEMS, Protocol};

fn first(items: Items) -> usize {
    items.trailing_zeros() as usize
}

const fn chunks_of(batch: u8) -> Items {
    if batch == 0 { 0b011 } else { 0b100 }
}

impl Protocol {
    pub(super) fn plan(&self, state: &mut State, read: Option<Items>) -> Option<Process> {
        let unlabeled =
            (0..ITEMS).filter(|item| state.items[*item] == Item::Unlabeled).fold(0, |set, item| set | 1 << item);
        let job = state.job.as_mut()?;
        match read {
            None if job.plan.is_some() && job.status.is_active() => {}
            None if job.status.is_active() => return Some(Process::Planner(Some(unlabeled))),
            Some(items) if job.status == Status::Pending && !(job.closing && self.guards.closed_to_plans) => {
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

    pub(super) fn work(&self, state: &mut State, batch: u8, step: Work, late_calls: u8) -> Option<(Work, u8)> {
        let job = state.job.as_mut()?;
        let takes_chunks = matches!(job.status, Status::Running | Status::Cancelled)
            && !(job.closing && self.guards.closed_to_commits);
        let go_on = |open: Items| (open != 0).then_some((Work::Ask(open), late_calls));
        match step {
            Work::Read if job.status == Status::Running => {
                let open = chunks_of(batch) & job.plan.unwrap_or_default() & !job.receipts;
                if open != 0 && job.refused { Some((Work::Refuse, late_calls)) } else { go_on(open) }
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
                if takes_chunks && (job.receipts & chunk == 0 || !self.guards.receipt) {
                    job.receipts |= chunk;
                    if state.items[item] == Item::Unlabeled || !self.guards.unlabeled {
                        state.items[item] = Item::Draft;
                        if item == 0 {
                            state.results.add();
                        }
                        job.labeled |= chunk;
                        job.successful += 1;
                    } else {
                        job.skipped += 1;
                    }
                }
                go_on(open & !chunk)
            }
            Work::RecordRefusal(open) => {
                job.refused |= job.status == Status::Running;
                Some((Work::CommitShort(open), late_calls))
            }
            Work::CommitShort(open) => {
                let chunk: Items = 1 << first(open);
                if takes_chunks && job.receipts & chunk == 0 {
                    job.receipts |= chunk;
                    job.short |= chunk;
                }
                Some((Work::Refuse, late_calls))
            }
            Work::Refuse => None,
        }
    }
}

//! Jobs: Plan over the index, and the commit of its lines.

use super::Protocol;
use super::state::{Job, Label, Moment, Outcome, Planning, PlanningStep, Process, Seen, State};

impl State {
    pub(super) fn create_job(&mut self, uploads: Option<Moment>) {
        self.job = Some(Job { uploads, plan: None, done: 0 });
    }

    /// The job has a task to do and no process.
    pub(super) fn is_job_idle(&self) -> bool {
        self.job.is_some() && !self.any(|p| matches!(p, Process::Planner(_) | Process::Worker { .. }))
    }

    /// The job ends before all its lines have an outcome. Its report says so: they are a person's to retry.
    pub(super) fn fail_job(&mut self) {
        let Some(job) = self.job.take() else { return };
        for line in job.plan.iter().flatten().skip(job.done) {
            self.outcomes[line.item] = Some(Outcome { changes: line.changes, by_upload: job.uploads.is_some() });
        }
    }
}

impl Protocol {
    pub(super) fn plan(&self, state: &mut State, mut planning: Planning) -> Option<Planning> {
        let job = state.job.as_ref()?;
        let by_upload = job.uploads.is_some();
        match planning.step {
            PlanningStep::Hold => {
                match state.first_entry(planning.after, planning.until + 1..=Moment::MAX, false) {
                    Some(entry) => {
                        planning.after = Some(entry.position);
                        let is_held = planning.held.iter().any(|line| line.item == entry.line.item);
                        if !(is_held && self.guards.once) {
                            planning.held.push(entry.line);
                        }
                    }
                    None => {
                        planning.after = None;
                        planning.step = PlanningStep::Read;
                    }
                }
                Some(planning)
            }
            PlanningStep::Read => {
                let until = if self.guards.until || by_upload { planning.until } else { Moment::MAX };
                // Without the condition: from the begin, each time.
                let after = planning.after.filter(|_| self.guards.taken || !by_upload || !planning.lines.is_empty());
                match state.first_entry(after, 0..=until, by_upload) {
                    Some(entry) => {
                        planning.after = Some(entry.position);
                        let is_held = planning.held.iter().any(|line| line.item == entry.line.item);
                        if !(is_held && self.guards.held) {
                            planning.lines.push(entry.line);
                        }
                    }
                    None if by_upload && !self.guards.taken_at_start => planning.step = PlanningStep::Take,
                    None => {
                        planning.lines.append(&mut planning.held);
                        planning.step = PlanningStep::Start;
                    }
                }
                Some(planning)
            }
            PlanningStep::Take => {
                state.taken_until = planning.after;
                planning.step = PlanningStep::Start;
                Some(planning)
            }
            PlanningStep::Start => {
                if by_upload {
                    state.taken_until = planning.after;
                }
                let lines = &planning.lines;
                state.planned_twice |=
                    (1..lines.len()).any(|n| lines[..n].iter().any(|line| line.item == lines[n].item));
                state.taken_twice |= by_upload
                    && lines.iter().any(|line| {
                        state.outcomes[line.item] == Some(Outcome { changes: line.changes, by_upload: true })
                    });
                if lines.is_empty() {
                    state.job = None;
                } else if let Some(job) = state.job.as_mut() {
                    job.plan = Some(planning.lines);
                }
                None
            }
        }
    }

    /// The next step of a worker: asks about the first line without outcome, or commits the model's reply.
    pub(super) fn work(&self, state: &mut State, asked: Option<Seen>) -> Option<Process> {
        let job = state.job.as_ref()?;
        let line = *job.plan.as_ref()?.get(job.done)?;
        match asked {
            None => {
                let readable = state.objects[line.item].filter(|object| object.is_readable);
                let seen = readable.map_or(Seen::Nothing, |object| Seen::Bytes(object.bytes));
                Some(Process::Worker { asked: Some(seen) })
            }
            Some(seen) => {
                self.outcome(state, Some(seen));
                state.job.is_some().then_some(Process::Worker { asked: None })
            }
        }
    }

    /// Commits the first line without outcome (`Ledger::commit`), and ends the job after the last. `None`: nothing was seen.
    pub(super) fn outcome(&self, state: &mut State, seen: Option<Seen>) {
        let Some(job) = state.job.as_mut() else { return };
        let Some(lines) = &job.plan else { return };
        let Some(line) = lines.get(job.done).copied() else { return };
        let row = &mut state.rows[line.item];
        if let Some(Seen::Bytes(bytes)) = seen
            && row.label.is_none()
            && (row.changes == line.changes || !self.guards.changes)
        {
            row.label = Some(Label::Draft(bytes));
            row.position = None;
        }
        state.outcomes[line.item] = Some(Outcome { changes: line.changes, by_upload: job.uploads.is_some() });
        job.done += 1;
        if job.done == lines.len() {
            state.job = None;
        }
    }
}

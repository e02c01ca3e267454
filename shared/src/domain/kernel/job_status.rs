//! The statuses of a job, and which moves between them are legal.
//!
//! Here and not with the job, because errors name statuses.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Created; its execution has not planned it yet.
    Pending,
    /// Planned; workers label.
    Running,
    /// Every selected item has an outcome.
    Completed,
    /// A problem of the job as a whole, or every item failed (contract, D12).
    Failed,
    /// A person stopped it.
    Cancelled,
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// Plan has picked the items.
    Start,
    /// Its execution is over, and every item has an outcome.
    Complete,
    /// It cannot complete.
    Fail,
    /// The client's DELETE.
    Cancel,
}

impl JobEvent {
    /// The table of legal moves: the statuses in which the event may happen, and the one that it leads to. The store takes each new
    /// status from it, and the conditions for a start and a cancel. An end has a stricter condition: the job must be as it was read.
    #[must_use]
    pub const fn moves(self) -> (&'static [JobStatus], JobStatus) {
        match self {
            Self::Start => (&[JobStatus::Pending], JobStatus::Running),
            Self::Complete => (&[JobStatus::Running], JobStatus::Completed),
            Self::Fail => (&JobStatus::ACTIVE, JobStatus::Failed),
            Self::Cancel => (&JobStatus::ACTIVE, JobStatus::Cancelled),
        }
    }
}

/// A move that the table of [`JobEvent::moves`] does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {from} job does not {event:?}")]
pub struct IllegalTransition {
    /// The status.
    pub from: JobStatus,
    /// What was tried.
    pub event: JobEvent,
}

impl JobStatus {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// Those of a job that has not ended.
    pub const ACTIVE: [Self; 2] = [Self::Pending, Self::Running];

    /// The status after `event`. Tasks and clients retry, so the event that led to a status may come again.
    ///
    /// # Errors
    /// The pair, if [`JobEvent::moves`] does not name it.
    pub fn after(self, event: JobEvent) -> Result<Self, IllegalTransition> {
        let (from, to) = event.moves();
        if self == to || from.contains(&self) { Ok(to) } else { Err(IllegalTransition { from: self, event }) }
    }

    /// Pending or running.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// The word on the wire and in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [JobEvent; 4] = [JobEvent::Start, JobEvent::Complete, JobEvent::Fail, JobEvent::Cancel];

    #[test]
    fn a_terminal_status_never_changes() {
        for from in JobStatus::ALL.into_iter().filter(|s| !s.is_active()) {
            for event in EVENTS {
                assert!(from.after(event).is_ok_and(|to| to == from) || from.after(event).is_err(), "{from} {event:?}");
            }
        }
    }

    #[test]
    fn a_pending_job_cannot_complete() {
        assert_eq!(
            JobStatus::Pending.after(JobEvent::Complete),
            Err(IllegalTransition { from: JobStatus::Pending, event: JobEvent::Complete })
        );
    }

    proptest! {
        #[test]
        fn whatever_happens_a_job_ends_once(events in prop::collection::vec(0usize..4, 0..12)) {
            let mut status = JobStatus::Pending;
            let mut ended = None;
            for event in events {
                if let Ok(next) = status.after(EVENTS[event]) {
                    if let Some(end) = ended { prop_assert_eq!(next, end); }
                    if !next.is_active() { ended = Some(next); }
                    status = next;
                }
            }
        }
    }
}

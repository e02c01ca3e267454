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
    /// Settle found every item processed.
    Complete,
    /// Settle found a problem.
    Fail,
    /// The client's DELETE.
    Cancel,
}

/// A move that the table of [`JobStatus::after`] does not name.
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

    /// The status after `event`. An allow-list: a pair that is not named is refused.
    ///
    /// # Errors
    /// The pair.
    pub fn after(self, event: JobEvent) -> Result<Self, IllegalTransition> {
        use {JobEvent as E, JobStatus as S};
        match (self, event) {
            (S::Pending, E::Start) => Ok(S::Running),
            (S::Running, E::Complete) => Ok(S::Completed),
            (S::Pending | S::Running, E::Fail) => Ok(S::Failed),
            (S::Pending | S::Running, E::Cancel) => Ok(S::Cancelled),
            // Tasks and clients retry: the event that brought us here may come again.
            (S::Running, E::Start) | (S::Completed, E::Complete) | (S::Failed, E::Fail) | (S::Cancelled, E::Cancel) => {
                Ok(self)
            }
            (from, event) => Err(IllegalTransition { from, event }),
        }
    }

    /// Still to end.
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

//! Settle: no job stays stuck (I5). EventBridge calls it when an execution ends badly, and on a schedule.

use std::time::Duration;

use serde::Deserialize;
use shared::domain::Error;
use shared::domain::id::JobUid;
use shared::ports::{Clock, Executions, Jobs, Ledger, Queue, Webhooks};
use shared::settle::settle;
use tracing::{info, warn};

/// An EventBridge event (AWS, "EventBridge events reference").
#[derive(Debug, Deserialize)]
#[serde(tag = "detail-type", content = "detail")]
pub enum Event {
    /// An execution has failed, timed out or been aborted.
    #[serde(rename = "Step Functions Execution Status Change")]
    ExecutionEnded {
        /// The execution's name: the job's uid.
        name: JobUid,
        /// How it ended.
        status: String,
    },
    /// The schedule.
    #[serde(rename = "Scheduled Event")]
    Tick {},
}

/// A job whose execution is not running is given this long: it may just be being created, or settled.
const GRACE: Duration = Duration::from_secs(60);

/// What settling works with.
pub struct Watchdog<S, Q, E, C> {
    /// The table.
    pub store: S,
    /// The webhook queue.
    pub queue: Q,
    /// The state machine.
    pub executions: E,
    /// The time.
    pub clock: C,
    /// Without progress for this long, a running job is stuck.
    pub stale: Duration,
}

impl<S, Q, E, C> Watchdog<S, Q, E, C>
where
    S: Jobs + Ledger + Webhooks,
    Q: Queue,
    E: Executions,
    C: Clock,
{
    /// Handles an event.
    ///
    /// # Errors
    /// See [`settle`]; of a round, the last error, after all jobs have had their turn.
    pub async fn handle(&self, event: Event) -> Result<(), Error> {
        match event {
            // A cancelled job's execution ends as aborted: settle finds the job ended and changes nothing.
            Event::ExecutionEnded { name, status } => {
                let problem = format!(
                    "The job's execution ended unexpectedly ({status}). What is labeled stays; start another job for the rest."
                );
                let status = settle(&self.store, &self.store, &self.queue, &self.clock, name, Some(&problem)).await?;
                info!(job.uid = %name, %status, "job settled");
                Ok(())
            }
            Event::Tick {} => self.round().await,
        }
    }

    async fn round(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for uid in self.store.active_jobs().await? {
            if let Err(error) = self.look_after(uid).await {
                warn!(job.uid = %uid, causes = error.chain(), "job not looked after");
                outcome = Err(error); // one job's trouble must not keep the others waiting
            }
        }
        outcome
    }

    async fn look_after(&self, uid: JobUid) -> Result<(), Error> {
        let job = self.store.job(uid).await?;
        let idle = self.clock.now().duration_since(job.state.progressed_at).unsigned_abs();
        if idle < GRACE.min(self.stale) {
            return Ok(());
        }
        let problem = if !self.executions.is_running(uid).await? {
            "The job's execution ended without finishing the job. What is labeled stays; start another job for the rest.".to_owned()
        } else if idle >= self.stale {
            self.executions.stop(uid).await?;
            format!("The job made no progress for {} minutes and was stopped.", idle.as_secs() / 60)
        } else {
            return Ok(());
        };
        let status = settle(&self.store, &self.store, &self.queue, &self.clock, uid, Some(&problem)).await?;
        warn!(job.uid = %uid, %status, problem, "stuck job settled");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_events_are_read() {
        let ended = r#"{"version":"0","detail-type":"Step Functions Execution Status Change","source":"aws.states",
            "detail":{"executionArn":"arn","name":"0192b1c0-0000-7000-8000-000000000000","status":"ABORTED","input":"{}"}}"#;
        assert!(
            matches!(serde_json::from_str(ended).unwrap(), Event::ExecutionEnded { status, .. } if status == "ABORTED")
        );

        let tick = r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}"#;
        assert!(matches!(serde_json::from_str(tick).unwrap(), Event::Tick {}));
    }
}

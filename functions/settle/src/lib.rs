//! Settle: no job stays stuck (I5), and no event untold (I6). EventBridge calls it when an execution ends badly, and on a
//! schedule.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;
use shared::domain::Error;
use shared::domain::id::JobUid;
use shared::ports::{Clock, Executions, Jobs, Ledger, Queue, Webhooks};
use shared::services::outbox;
use shared::services::settle::settle;
use tokio::sync::Mutex;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
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
/// Jobs that a round looks after at once: a call to a service that is down takes 20 s, and a round has 120.
const AT_ONCE: usize = 16;
/// Between two looks at executions. An account has 10 to 15 `DescribeExecution` a second for all that it does (AWS, "Step
/// Functions service quotas").
const BETWEEN_LOOKS: Duration = Duration::from_millis(125);
/// A round that has taken this long begins no other look: then what is in hand has time to end. Where a round begins is a matter
/// of chance, so that in the long run no job is the one that is left out.
const BEGINNING: Duration = Duration::from_secs(80);

/// What settling works with.
pub struct Watchdog<S, W, Q, E, C> {
    /// The table.
    pub store: S,
    /// The table again, for what it knows of webhooks.
    pub webhooks: W,
    /// The webhook queue.
    pub queue: Q,
    /// The state machine.
    pub executions: E,
    /// The time.
    pub clock: C,
    /// Without progress for this long, a running job is stuck.
    pub stale: Duration,
}

impl<S, W, Q, E, C> Watchdog<S, W, Q, E, C>
where
    S: Jobs + Ledger,
    W: Webhooks,
    Q: Queue,
    E: Executions,
    C: Clock,
{
    /// Handles an event.
    ///
    /// # Errors
    /// See [`settle`]; of a round, an error, after all jobs and the outbox have had their turn.
    pub async fn handle(&self, event: Event) -> Result<(), Error> {
        match event {
            // A cancelled job's execution ends as aborted: settle finds the job ended and changes nothing.
            Event::ExecutionEnded { name, status } => {
                let problem = format!(
                    "The job's execution ended unexpectedly ({status}). What is labeled stays; start another job for the rest."
                );
                let status =
                    settle(&self.store, &self.webhooks, &self.queue, &self.clock, name, Some(&problem)).await?;
                info!(job.uid = %name, %status, "job settled");
                Ok(())
            }
            Event::Tick {} => self.round().await,
        }
    }

    async fn round(&self) -> Result<(), Error> {
        let (jobs, sent) =
            tokio::join!(self.look_after_all(), outbox::send_waiting(&self.webhooks, &self.queue, &self.clock));
        if let Ok(sent @ 1..) = sent {
            warn!(sent, "waiting deliveries sent");
        }
        jobs.and(sent.map(|_| ()))
    }

    /// # Errors
    /// See [`Round::end`].
    async fn look_after_all(&self) -> Result<(), Error> {
        let mut jobs = self.store.active_jobs().await?;
        let chance = usize::try_from(self.clock.now().as_microsecond()).unwrap_or(0);
        let first = chance % jobs.len().max(1);
        jobs.rotate_left(first);
        let pace = Pace::new();
        look_after_each(jobs, async |uid| self.look_after(uid, &pace).await).await
    }

    async fn look_after(&self, uid: JobUid, pace: &Pace) -> Result<(), Error> {
        let job = self.store.job(uid).await?;
        let idle = self.clock.now().duration_since(job.state.progressed_at).unsigned_abs();
        if idle < GRACE.min(self.stale) {
            return Ok(());
        }
        pace.turn().await;
        let runs = self.executions.is_running(uid).await?;
        let problem = if !job.state.status.is_active() {
            // Cancelled, and the call that stops its execution may have been lost.
            if runs {
                self.executions.stop(uid).await?;
            }
            None
        } else if !runs {
            Some("The job's execution ended without finishing the job. What is labeled stays; start another job for the rest.".to_owned())
        } else if idle >= self.stale {
            self.executions.stop(uid).await?;
            Some(format!("The job made no progress for {} minutes and was stopped.", idle.as_secs() / 60))
        } else {
            return Ok(());
        };
        let status = settle(&self.store, &self.webhooks, &self.queue, &self.clock, uid, problem.as_deref()).await?;
        warn!(job.uid = %uid, %status, problem, "stuck job settled");
        Ok(())
    }
}

/// Keeps looks at executions apart.
struct Pace(Mutex<Interval>);

impl Pace {
    fn new() -> Self {
        let mut turns = interval(BETWEEN_LOOKS);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Mutex::new(turns))
    }

    async fn turn(&self) {
        self.0.lock().await.tick().await;
    }
}

/// What became of the jobs of a round.
#[derive(Default)]
struct Round {
    looked_after: usize,
    left: usize,
    /// Passes by itself.
    unavailable: Option<Error>,
    /// Does not.
    broken: Option<Error>,
}

impl Round {
    fn add(mut self, look: Option<Result<(), Error>>) -> Self {
        match look {
            Some(Ok(())) => self.looked_after += 1,
            None => self.left += 1,
            Some(Err(error)) if error.code().facts().repeatable => {
                self.left += 1;
                self.unavailable.get_or_insert(error);
            }
            Some(Err(error)) => {
                self.broken.get_or_insert(error);
            }
        }
        self
    }

    /// # Errors
    /// One that does not pass by itself; one that does, if there was nothing else: a round that was throttled for some has done
    /// what it could, and the next one comes in a minute.
    fn end(self) -> Result<(), Error> {
        if self.left > 0 {
            warn!(jobs = self.left, "jobs left to the next round");
        }
        match (self.broken, self.unavailable) {
            (Some(broken), _) => Err(broken),
            (None, Some(unavailable)) if self.looked_after == 0 => Err(unavailable),
            _ => Ok(()),
        }
    }
}

/// One job's trouble must not keep the others waiting.
async fn look_after_each(jobs: Vec<JobUid>, look: impl AsyncFn(JobUid) -> Result<(), Error>) -> Result<(), Error> {
    let (look, end) = (&look, Instant::now() + BEGINNING);
    let looks = jobs.into_iter().map(async |uid| {
        if Instant::now() >= end {
            return None;
        }
        let looked = look(uid).await;
        Some(looked.inspect_err(|error| warn!(job.uid = %uid, causes = error.chain(), "job not looked after")))
    });
    let round =
        stream::iter(looks).buffer_unordered(AT_ONCE).fold(Round::default(), async |round, look| round.add(look));
    round.await.end()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use shared::domain::job::Job;
    use shared::domain::job_status::JobStatus;
    use shared::domain::webhook::{Delivery, Event as Told, Response};
    use shared::testing::{MemoryExecutions, MemoryJobs, MemoryQueue, MemoryWebhooks, StoppedClock, a_job, a_webhook};

    use super::*;

    const STALE: Duration = Duration::from_secs(900);

    type TestWatchdog = Watchdog<MemoryJobs, MemoryWebhooks, MemoryQueue, MemoryExecutions, StoppedClock>;

    /// A watchdog over one running job, which last moved so long ago.
    fn watchdog(executions: impl FnOnce(&Job) -> MemoryExecutions, idle: Duration) -> TestWatchdog {
        let mut job = a_job();
        job.state.status = JobStatus::Running;
        job.state.counters.total = 1;
        let clock = StoppedClock::at(1_000); // when the job was made
        clock.pass(idle);
        let webhooks = MemoryWebhooks::with(a_webhook());
        let executions = executions(&job);
        let store = MemoryJobs::of(job).with_webhooks(&webhooks);
        Watchdog { store, webhooks, queue: MemoryQueue::default(), executions, clock, stale: STALE }
    }

    fn running(job: &Job) -> MemoryExecutions {
        MemoryExecutions::running(job.spec.uid)
    }

    fn ended(_: &Job) -> MemoryExecutions {
        MemoryExecutions::default()
    }

    async fn after_a_round(watchdog: &TestWatchdog) -> (JobStatus, usize) {
        watchdog.handle(Event::Tick {}).await.unwrap();
        watchdog.handle(Event::Tick {}).await.unwrap(); // the next round finds nothing to do
        (watchdog.store.now().state.status, watchdog.queue.take_sent().len())
    }

    #[tokio::test]
    async fn a_job_without_an_execution_is_ended_and_told_once() {
        assert_eq!(after_a_round(&watchdog(ended, GRACE)).await, (JobStatus::Failed, 1)); // I5, I6
        assert_eq!(after_a_round(&watchdog(ended, GRACE - Duration::from_secs(1))).await, (JobStatus::Running, 0));
    }

    #[tokio::test]
    async fn a_job_that_makes_no_progress_is_stopped_and_ended() {
        let stuck = watchdog(running, STALE);
        assert_eq!(after_a_round(&stuck).await, (JobStatus::Failed, 1));
        assert!(!stuck.executions.is_running(a_job().spec.uid).await.unwrap());

        assert_eq!(after_a_round(&watchdog(running, STALE - Duration::from_secs(1))).await, (JobStatus::Running, 0));
    }

    /// I6.
    #[tokio::test]
    async fn a_delivery_that_is_overdue_is_sent_until_somebody_delivers_it() {
        let watchdog = Watchdog { stale: Duration::MAX, ..watchdog(running, Duration::ZERO) };
        let now = watchdog.clock.now();
        let event = Told::of_job(&a_job(), JobStatus::Completed, None).unwrap();
        let delivery = Delivery::of(&event, &a_webhook(), now);
        watchdog.webhooks.put(delivery.clone());
        let sent_by_a_round = async || {
            watchdog.handle(Event::Tick {}).await.unwrap();
            watchdog.queue.take_sent()
        };

        assert_eq!(sent_by_a_round().await, [], "it may be on its way");
        watchdog.clock.pass(Duration::from_secs(61));
        assert_eq!(sent_by_a_round().await, [(delivery.uid, Duration::ZERO)]);
        assert_eq!(sent_by_a_round().await, [], "nobody takes messages: they do not pile up");
        watchdog.clock.pass(Duration::from_secs(961));
        assert_eq!(sent_by_a_round().await, [(delivery.uid, Duration::ZERO)]);

        // Whoever claims it may die of it, and its message end among the dead letters.
        let lease = watchdog.clock.now() + Duration::from_secs(30);
        assert!(watchdog.webhooks.claim_delivery(&delivery, lease).await.unwrap());
        watchdog.clock.pass(Duration::from_secs(91));
        assert_eq!(sent_by_a_round().await, [(delivery.uid, Duration::ZERO)]);

        let mut told = delivery;
        told.attempted(Response::of(204, b""), None, watchdog.clock.now());
        assert!(watchdog.webhooks.record_delivery(&told, lease).await.unwrap());
        watchdog.clock.pass(Duration::from_secs(961));
        assert_eq!(sent_by_a_round().await, []);
    }

    fn jobs(count: usize) -> Vec<JobUid> {
        vec![a_job().spec.uid; count]
    }

    /// Hole 28.
    #[tokio::test]
    async fn a_round_that_is_throttled_for_some_jobs_looks_after_the_others() {
        let looks = AtomicUsize::new(0);
        let throttled_for_every_other = async |_| match looks.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(Error::ExecutionsUnavailable("Rate exceeded".into())),
            _ => Ok(()),
        };
        look_after_each(jobs(300), throttled_for_every_other).await.unwrap();
        assert_eq!(looks.load(Ordering::Relaxed), 300);

        let throttled = async |_| Err(Error::ExecutionsUnavailable("Rate exceeded".into()));
        assert!(matches!(look_after_each(jobs(3), throttled).await, Err(Error::ExecutionsUnavailable(_))));
        look_after_each(jobs(0), throttled).await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_cannot_be_read_rings_after_all_others_had_their_turn() {
        let looks = AtomicUsize::new(0);
        let first_is_broken = async |_| match looks.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Error::internal("a row that nobody can read")),
            _ => Ok(()),
        };
        assert!(matches!(look_after_each(jobs(40), first_is_broken).await, Err(Error::Internal(_))));
        assert_eq!(looks.load(Ordering::Relaxed), 40);
    }

    /// Hole 28: a bucket of 300 that is filled by 10 a second is not emptied.
    #[tokio::test(start_paused = true)]
    async fn looks_at_executions_are_eight_a_second_and_end_before_the_function_does() {
        const FUNCTION: Duration = Duration::from_secs(120); // infra, `BACKGROUND`
        let (pace, begun, looks) = (Pace::new(), Instant::now(), AtomicUsize::new(0));
        let look = async |_| {
            pace.turn().await;
            looks.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };

        look_after_each(jobs(80), look).await.unwrap();
        assert!(begun.elapsed() >= BETWEEN_LOOKS * 79 && begun.elapsed() < BETWEEN_LOOKS * 81, "{:?}", begun.elapsed());

        let begun = Instant::now();
        look_after_each(jobs(5_000), look).await.unwrap();
        assert!(begun.elapsed() < FUNCTION - Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(looks.load(Ordering::Relaxed) > 700, "{looks:?}");
    }

    #[tokio::test]
    async fn an_execution_that_ended_badly_ends_its_job() {
        let watchdog = watchdog(ended, Duration::ZERO);
        let event = Event::ExecutionEnded { name: a_job().spec.uid, status: "TIMED_OUT".into() };

        watchdog.handle(event).await.unwrap();

        let job = watchdog.store.now();
        assert_eq!(job.state.status, JobStatus::Failed);
        assert!(job.state.error_message.is_some_and(|message| message.contains("TIMED_OUT")));
        assert!(!watchdog.store.project_is_taken());
    }

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

//! Settle: ends jobs whose execution is over or makes no progress (I5), and sends deliveries that wait in the outbox (I6).
//! EventBridge calls it when an execution fails, and on a schedule: then it is the watchdog.

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

/// The function's input, an EventBridge event (AWS, "EventBridge events reference").
#[derive(Debug, Deserialize)]
#[serde(tag = "detail-type", content = "detail")]
pub enum Input {
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

/// A job whose execution is not running is left alone for this long: it may be just about to start, or to end.
const GRACE: Duration = Duration::from_secs(60);
/// Jobs that a round checks at once: a call to a service that is down takes 20 s, and a round has the function's timeout
/// (`infra/lib/functions/settle.ts`).
const AT_ONCE: usize = 16;
/// Between two calls of `DescribeExecution`. An account has 10 to 15 a second for all that it does (AWS, "Step Functions service
/// quotas").
const BETWEEN_CALLS: Duration = Duration::from_millis(125);
/// After this a round begins no other check, so that those under way have time to end. Each round begins at a random job, so that
/// none is always left out.
const BEGINNING: Duration = Duration::from_secs(80);

/// The ports and settings of the function.
pub struct Settler<S, W, Q, E, C> {
    /// The table.
    pub store: S,
    /// The table again, for what it knows of webhooks.
    pub webhooks: W,
    /// The webhook queue.
    pub queue: Q,
    /// The state machine.
    pub executions: E,
    /// Decides which jobs are stuck and which deliveries are overdue.
    pub clock: C,
    /// Without progress for this long, a running job is stuck.
    pub stale: Duration,
}

impl<S, W, Q, E, C> Settler<S, W, Q, E, C>
where
    S: Jobs + Ledger,
    W: Webhooks,
    Q: Queue,
    E: Executions,
    C: Clock,
{
    /// # Errors
    /// Those of [`settle`]; of a round, one of its errors, after all jobs and the outbox were checked.
    pub async fn handle(&self, input: Input) -> Result<(), Error> {
        match input {
            // The execution of a cancelled job ends as aborted: the job has ended already, and nothing changes.
            Input::ExecutionEnded { name, status } => {
                let problem = format!(
                    "The job's execution ended unexpectedly ({status}). What is labeled stays; start another job for the rest."
                );
                let status =
                    settle(&self.store, &self.webhooks, &self.queue, &self.clock, name, Some(&problem)).await?;
                info!(job.uid = %name, %status, "job settled");
                Ok(())
            }
            Input::Tick {} => self.round().await,
        }
    }

    async fn round(&self) -> Result<(), Error> {
        // Alone: beside the outbox it would need a connection of its own, and that is a handshake (decision 0048).
        let active = self.store.active_jobs().await;
        let checked = async { self.check_all(active?).await };
        let (jobs, sent) = tokio::join!(checked, outbox::send_waiting(&self.webhooks, &self.queue, &self.clock));
        if let Ok(sent @ 1..) = sent {
            warn!(sent, "waiting deliveries sent");
        }
        jobs.and(sent.map(|_| ()))
    }

    /// # Errors
    /// See [`RoundTally::end`].
    async fn check_all(&self, mut jobs: Vec<JobUid>) -> Result<(), Error> {
        let chance = usize::try_from(self.clock.now().as_microsecond()).unwrap_or(0);
        let first = chance % jobs.len().max(1);
        jobs.rotate_left(first);
        let pace = Pace::new();
        check_each(jobs, async |uid| self.check(uid, &pace).await).await
    }

    async fn check(&self, uid: JobUid, pace: &Pace) -> Result<(), Error> {
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

/// Spaces the calls of `DescribeExecution`.
struct Pace(Mutex<Interval>);

impl Pace {
    fn new() -> Self {
        let mut turns = interval(BETWEEN_CALLS);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Mutex::new(turns))
    }

    async fn turn(&self) {
        self.0.lock().await.tick().await;
    }
}

/// What became of the jobs of a round.
#[derive(Default)]
struct RoundTally {
    checked: usize,
    left: usize,
    /// The first error that is worth repeating.
    unavailable: Option<Error>,
    /// The first other one.
    broken: Option<Error>,
}

impl RoundTally {
    fn add(mut self, check: Option<Result<(), Error>>) -> Self {
        match check {
            Some(Ok(())) => self.checked += 1,
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
    /// One that is not worth repeating; one that is, if no job could be checked. A round that was throttled for some jobs has
    /// done what it could, and the next one comes in a minute.
    fn end(self) -> Result<(), Error> {
        if self.left > 0 {
            warn!(jobs = self.left, "jobs left to the next round");
        }
        match (self.broken, self.unavailable) {
            (Some(broken), _) => Err(broken),
            (None, Some(unavailable)) if self.checked == 0 => Err(unavailable),
            _ => Ok(()),
        }
    }
}

/// Checks each job, or leaves it if it is too late. An error of one job does not keep the others waiting.
async fn check_each(jobs: Vec<JobUid>, check: impl AsyncFn(JobUid) -> Result<(), Error>) -> Result<(), Error> {
    let (check, end) = (&check, Instant::now() + BEGINNING);
    let checks = jobs.into_iter().map(async |uid| {
        if Instant::now() >= end {
            return None;
        }
        let checked = check(uid).await;
        Some(checked.inspect_err(|error| warn!(job.uid = %uid, causes = error.chain(), "job not checked")))
    });
    let checks = stream::iter(checks).buffer_unordered(AT_ONCE);
    checks.fold(RoundTally::default(), async |tally, check| tally.add(check)).await.end()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use shared::domain::job::Job;
    use shared::domain::job_status::JobStatus;
    use shared::domain::webhook::{Delivery, Event, Response};
    use shared::testing::{MemoryExecutions, MemoryJobs, MemoryQueue, MemoryWebhooks, StoppedClock, a_job, a_webhook};

    use super::*;

    const STALE: Duration = Duration::from_secs(900);

    type TestSettler = Settler<MemoryJobs, MemoryWebhooks, MemoryQueue, MemoryExecutions, StoppedClock>;

    /// Over one running job, which last made progress so long ago.
    fn settler(executions: impl FnOnce(&Job) -> MemoryExecutions, idle: Duration) -> TestSettler {
        let mut job = a_job();
        job.state.status = JobStatus::Running;
        job.state.counters.total = 1;
        let clock = StoppedClock::at(1_000); // when the job was made
        clock.pass(idle);
        let webhooks = MemoryWebhooks::with(a_webhook());
        let executions = executions(&job);
        let store = MemoryJobs::of(job).with_webhooks(&webhooks);
        Settler { store, webhooks, queue: MemoryQueue::default(), executions, clock, stale: STALE }
    }

    fn running(job: &Job) -> MemoryExecutions {
        MemoryExecutions::running(job.spec.uid)
    }

    fn ended(_: &Job) -> MemoryExecutions {
        MemoryExecutions::default()
    }

    async fn after_a_round(settler: &TestSettler) -> (JobStatus, usize) {
        settler.handle(Input::Tick {}).await.unwrap();
        settler.handle(Input::Tick {}).await.unwrap(); // the next round finds nothing to do
        (settler.store.now().state.status, settler.queue.take_sent().len())
    }

    #[tokio::test]
    async fn a_job_without_an_execution_is_ended_and_has_one_event() {
        assert_eq!(after_a_round(&settler(ended, GRACE)).await, (JobStatus::Failed, 1)); // I5, I6
        assert_eq!(after_a_round(&settler(ended, GRACE - Duration::from_secs(1))).await, (JobStatus::Running, 0));
    }

    #[tokio::test]
    async fn a_job_that_makes_no_progress_is_stopped_and_ended() {
        let stuck = settler(running, STALE);
        assert_eq!(after_a_round(&stuck).await, (JobStatus::Failed, 1));
        assert!(!stuck.executions.is_running(a_job().spec.uid).await.unwrap());

        assert_eq!(after_a_round(&settler(running, STALE - Duration::from_secs(1))).await, (JobStatus::Running, 0));
    }

    /// I6.
    #[tokio::test]
    async fn a_delivery_that_is_overdue_is_sent_until_it_is_delivered() {
        let settler = Settler { stale: Duration::MAX, ..settler(running, Duration::ZERO) };
        let now = settler.clock.now();
        let event = Event::of_job(&a_job(), JobStatus::Completed, None).unwrap();
        let delivery = Delivery::of(&event, &a_webhook(), now);
        settler.webhooks.put(delivery.clone());
        let sent_by_a_round = async || {
            settler.handle(Input::Tick {}).await.unwrap();
            settler.queue.take_sent()
        };

        assert_eq!(sent_by_a_round().await, [], "it may be on its way");
        settler.clock.pass(Duration::from_secs(61));
        assert_eq!(sent_by_a_round().await, [(delivery.uid, Duration::ZERO)]);
        assert_eq!(sent_by_a_round().await, [], "no consumer takes messages: they do not pile up");
        settler.clock.pass(Duration::from_secs(961));
        assert_eq!(sent_by_a_round().await, [(delivery.uid, Duration::ZERO)]);

        // The claiming process may die, and the message end in the dead-letter queue.
        let lease = settler.clock.now() + Duration::from_secs(30);
        assert!(settler.webhooks.claim_delivery(&delivery, lease).await.unwrap());
        settler.clock.pass(Duration::from_secs(91));
        assert_eq!(sent_by_a_round().await, [(delivery.uid, Duration::ZERO)]);

        let mut delivered = delivery;
        delivered.attempted(Response::of(204, b""), None, settler.clock.now());
        assert!(settler.webhooks.record_delivery(&delivered, lease).await.unwrap());
        settler.clock.pass(Duration::from_secs(961));
        assert_eq!(sent_by_a_round().await, []);
    }

    fn jobs(count: usize) -> Vec<JobUid> {
        vec![a_job().spec.uid; count]
    }

    /// Hole 28 (decision 0027).
    #[tokio::test]
    async fn a_round_that_is_throttled_for_some_jobs_checks_the_others() {
        let checks = AtomicUsize::new(0);
        let throttled_for_every_other = async |_| match checks.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(Error::ExecutionsUnavailable("Rate exceeded".into())),
            _ => Ok(()),
        };
        check_each(jobs(300), throttled_for_every_other).await.unwrap();
        assert_eq!(checks.load(Ordering::Relaxed), 300);

        let throttled = async |_| Err(Error::ExecutionsUnavailable("Rate exceeded".into()));
        assert!(matches!(check_each(jobs(3), throttled).await, Err(Error::ExecutionsUnavailable(_))));
        check_each(jobs(0), throttled).await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_cannot_be_read_rings_after_all_others_had_their_turn() {
        let checks = AtomicUsize::new(0);
        let first_is_broken = async |_| match checks.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Error::internal("a row that cannot be read")),
            _ => Ok(()),
        };
        assert!(matches!(check_each(jobs(40), first_is_broken).await, Err(Error::Internal(_))));
        assert_eq!(checks.load(Ordering::Relaxed), 40);
    }

    /// As its construct sets it.
    fn timeout_of_the_function() -> Duration {
        let construct = include_str!("../../../infra/lib/functions/settle.ts");
        let seconds = construct.split_once("timeoutSeconds: ").and_then(|(_, rest)| rest.split_once(',')).unwrap().0;
        Duration::from_secs(seconds.parse().unwrap())
    }

    /// Hole 28 (decision 0027): a bucket of 300 that is filled by 10 a second is not emptied.
    #[tokio::test(start_paused = true)]
    async fn executions_are_described_eight_a_second_and_until_before_the_function_ends() {
        let timeout = timeout_of_the_function();
        let (pace, begun, checks) = (Pace::new(), Instant::now(), AtomicUsize::new(0));
        let check = async |_| {
            pace.turn().await;
            checks.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };

        check_each(jobs(80), check).await.unwrap();
        assert!(begun.elapsed() >= BETWEEN_CALLS * 79 && begun.elapsed() < BETWEEN_CALLS * 81, "{:?}", begun.elapsed());

        let begun = Instant::now();
        check_each(jobs(5_000), check).await.unwrap();
        assert!(begun.elapsed() < timeout - Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(checks.load(Ordering::Relaxed) > 700, "{checks:?}");
    }

    #[tokio::test]
    async fn an_execution_that_ended_badly_ends_its_job() {
        let settler = settler(ended, Duration::ZERO);
        let input = Input::ExecutionEnded { name: a_job().spec.uid, status: "TIMED_OUT".into() };

        settler.handle(input).await.unwrap();

        let job = settler.store.now();
        assert_eq!(job.state.status, JobStatus::Failed);
        assert!(job.state.error_message.is_some_and(|message| message.contains("TIMED_OUT")));
        assert!(!settler.store.project_is_taken());
    }

    #[test]
    fn both_events_are_read() {
        let ended = r#"{"version":"0","detail-type":"Step Functions Execution Status Change","source":"aws.states",
            "detail":{"executionArn":"arn","name":"0192b1c0-0000-7000-8000-000000000000","status":"ABORTED","input":"{}"}}"#;
        assert!(
            matches!(serde_json::from_str(ended).unwrap(), Input::ExecutionEnded { status, .. } if status == "ABORTED")
        );

        let tick = r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}"#;
        assert!(matches!(serde_json::from_str(tick).unwrap(), Input::Tick {}));
    }
}

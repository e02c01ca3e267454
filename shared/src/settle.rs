//! Settle: how a job ends (I5) and tells (I6). One idempotent function, called by Finalize, by the
//! execution-status rule and by the schedule; whoever comes first ends the job, the others change nothing.

use std::time::Duration;

use crate::domain::id::{DeliveryUid, JobUid};
use crate::domain::job::{Job, JobStatus};
use crate::domain::summary::Summary;
use crate::domain::webhook::{Delivery, DeliveryStatus, Event};
use crate::domain::{Error, limits};
use crate::ports::{Clock, Ending, Jobs, Ledger, Queue, Slice, Webhooks};

/// Chunks that may be committed under our hands before we call the table busy.
const ROUNDS: usize = 20;

/// Ends the job if it has not ended, and sees to it that its event is on its way. `problem` is what stopped it, in
/// a sentence for users; `None`: nothing did. Answers the status that the job has in the end.
///
/// # Errors
/// `NotFound`; `StoreUnavailable` and `QueueUnavailable`, after which it may be called again.
pub async fn settle<S, Q>(store: &S, queue: &Q, clock: &impl Clock, uid: JobUid, problem: Option<&str>) -> Result<JobStatus, Error>
where
    S: Jobs + Ledger + Webhooks,
    Q: Queue,
{
    for _ in 0..ROUNDS {
        let job = store.job(uid).await?;
        if !job.state.status.is_active() {
            return tell_again(store, queue, &job).await.map(|()| job.state.status);
        }
        let ending = ending(store, clock, &job, problem).await?;
        if store.end_job(&job, &ending, clock.now()).await? {
            for delivery in &ending.deliveries {
                queue.send(delivery.uid, Duration::ZERO).await?;
            }
            return Ok(ending.status);
        }
    }
    Err(Error::StoreUnavailable("the job keeps changing".into()))
}

async fn ending<S: Jobs + Ledger + Webhooks>(store: &S, clock: &impl Clock, job: &Job, problem: Option<&str>) -> Result<Ending, Error> {
    let receipts = store.receipts(job.spec.uid).await?;
    let truncated = store.plan(job.spec.uid).await?.is_some_and(|plan| plan.truncated);
    let summary = Summary::of(&receipts, truncated);
    let error_message = verdict(job, problem, &summary);
    let status = if error_message.is_some() { JobStatus::Failed } else { JobStatus::Completed };
    let deliveries = match Event::of(job, status, error_message.as_deref()) {
        Some(event) => deliveries(store, clock, job, &event).await?,
        None => Vec::new(),
    };
    Ok(Ending { status, error_message, summary, deliveries })
}

/// Why the job failed, or `None` if it did not (contract, 6.5).
fn verdict(job: &Job, problem: Option<&str>, summary: &Summary) -> Option<String> {
    let counters = job.state.counters;
    match (problem, job.state.status) {
        (Some(problem), _) => Some(problem.to_owned()),
        (None, JobStatus::Pending) => Some("The job was never started.".to_owned()),
        (None, _) if counters.processed() < counters.total => {
            Some(format!("{} of {} items were not processed.", counters.total - counters.processed(), counters.total))
        }
        (None, _) if counters.total > 0 && counters.failed == counters.total => {
            let first = summary.errors.first().map_or("", |error| error.message.as_str());
            Some(format!("Every item failed. The first one: {first}"))
        }
        _ => None,
    }
}

async fn deliveries<S: Webhooks>(store: &S, clock: &impl Clock, job: &Job, event: &Event) -> Result<Vec<Delivery>, Error> {
    let all = Slice { after: None, limit: limits::WEBHOOKS, ascending: true };
    let subscriptions = store.webhooks(job.spec.organization, &all).await?.entries;
    let wanting = subscriptions.iter().filter(|webhook| webhook.wants(event.event));
    Ok(wanting.map(|webhook| Delivery::of_job(job.spec.uid, event, webhook, clock.now())).collect())
}

/// The event of an ended job is in the table, but whoever ended the job may have died before the queue had it.
async fn tell_again<S: Webhooks, Q: Queue>(store: &S, queue: &Q, job: &Job) -> Result<(), Error> {
    let all = Slice { after: None, limit: limits::WEBHOOKS, ascending: true };
    for webhook in store.webhooks(job.spec.organization, &all).await?.entries {
        let uid = DeliveryUid::of(job.spec.uid, webhook.uid);
        let untold = |delivery: &Delivery| delivery.status == DeliveryStatus::Pending && delivery.attempts == 0;
        if store.delivery(uid).await?.as_ref().is_some_and(untold) {
            queue.send(uid, Duration::ZERO).await?; // twice is fine: deliver claims before it sends
        }
    }
    Ok(())
}

//! Settle: ends a job (I5) and records its event (I6). One idempotent function, called by Finalize, by the execution-status rule
//! and by the schedule. The first call ends the job, the others change nothing.

use std::pin::pin;

use futures_util::TryStreamExt;

use crate::domain::id::JobUid;
use crate::domain::job::summary::{Sum, Summary};
use crate::domain::job::{Counters, Job, note};
use crate::domain::job_status::{JobEvent, JobStatus};
use crate::domain::webhook::Event;
use crate::domain::{Error, show};
use crate::ports::{Clock, Ending, Jobs, Ledger, Queue, Webhooks};
use crate::services::outbox;

/// Chunks that may be committed between the read and the write of the job, one after the other, before the table counts as busy.
const ATTEMPTS: usize = 20;

/// Ends the job if it has not ended, and sends the deliveries of its event. `problem` is what stopped it, in a sentence for
/// users; `None`: nothing did. Returns the status that the job has then.
///
/// # Errors
/// `NotFound`; `StoreUnavailable`, after which it may be called again.
pub async fn settle(
    store: &(impl Jobs + Ledger),
    webhooks: &impl Webhooks,
    queue: &impl Queue,
    clock: &impl Clock,
    uid: JobUid,
    problem: Option<&str>,
) -> Result<JobStatus, Error> {
    if problem.is_some() {
        // The execution has stopped. Each chunk that a worker still committed would put the end off.
        store.close_job(uid, &JobStatus::ACTIVE).await?;
    }
    for _ in 0..ATTEMPTS {
        let job = store.job(uid).await?;
        if !job.state.status.is_active() {
            store.unwatch_job(uid).await?; // each caller knows that the execution is over, or has stopped it
            return Ok(job.state.status);
        }
        let ending = ending(store, webhooks, clock, &job, problem).await?;
        if store.end_job(&job, &ending, clock.now()).await? {
            outbox::send(queue, &ending.deliveries).await;
            return Ok(job.state.status.after(ending.event)?);
        }
    }
    Err(Error::StoreUnavailable("the job keeps changing".into()))
}

async fn ending(
    store: &(impl Jobs + Ledger),
    webhooks: &impl Webhooks,
    clock: &impl Clock,
    job: &Job,
    problem: Option<&str>,
) -> Result<Ending, Error> {
    let mut sum = Sum::default();
    let mut receipts = pin!(store.receipts(job.spec.uid, None));
    while let Some(receipt) = receipts.try_next().await? {
        sum.add(receipt);
    }
    let plan = store.plan(job.spec.uid).await?;
    let truncated = plan.as_ref().is_some_and(|plan| plan.truncated);
    let mut summary = with_keys(store, sum.summary(truncated)).await?;
    summary.note = plan.and_then(|plan| plan.note).or_else(|| note::without_results(job, &summary));
    // A worker's refusal says more than the way in which the execution stopped.
    let error_message = verdict(job, job.state.refusal.as_deref().or(problem), &summary);
    let event = if error_message.is_some() { JobEvent::Fail } else { JobEvent::Complete };
    let notice = Event::of_job(job, job.state.status.after(event)?, error_message.as_deref());
    let deliveries = outbox::deliveries(webhooks, notice, clock.now()).await?;
    let error_message = error_message.or_else(|| failed_items(job, &summary));
    Ok(Ending { event, error_message, summary, deliveries })
}

/// The summary with the keys of the items that it names: one read, since they are at most some twenty.
async fn with_keys(store: &impl Ledger, summary: Summary) -> Result<Summary, Error> {
    let items = summary.items();
    if items.is_empty() {
        return Ok(summary);
    }
    let keys = store.item_keys(&items).await?;
    Ok(summary.with_keys(&keys))
}

/// How many items of a completed job failed, and why the first did: the official command line shows no other field with reasons.
fn failed_items(job: &Job, summary: &Summary) -> Option<String> {
    let Counters { failed, total, .. } = job.state.counters;
    (failed > 0).then(|| format!("{failed} of {total} items failed. {}", first_error(summary)))
}

fn first_error(summary: &Summary) -> String {
    let Some(error) = summary.errors.first() else { return String::new() };
    let key = error.key.as_deref().map(|key| format!(", {}", show::quoted(key))).unwrap_or_default();
    format!("The first one{key}: {}", error.message)
}

/// Why the job failed, or `None` if it did not (contract, 6.5).
fn verdict(job: &Job, problem: Option<&str>, summary: &Summary) -> Option<String> {
    let counters = job.state.counters;
    let open = counters.total - counters.processed();
    match (problem, job.state.status) {
        (Some(problem), JobStatus::Pending) => Some(problem.to_owned()),
        (None, JobStatus::Pending) => Some("The job was never started.".to_owned()),
        // What went wrong after the last item, such as a crash of Finalize, is no problem of the job.
        (Some(problem), _) if open > 0 => Some(problem.to_owned()),
        (None, _) if open > 0 => Some(format!("{open} of {} items were not processed.", counters.total)),
        _ if counters.total > 0 && counters.failed == counters.total => {
            Some(format!("Every item failed. {}", first_error(summary)))
        }
        _ => None,
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::id::DeliveryUid;
    use crate::domain::job::failure::{Failure, FailureCode};
    use crate::domain::job::outcome::{ChunkId, ItemCommit, Outcome, SkipReason};
    use crate::domain::job::plan::Plan;
    use crate::ports::{Chunk, Commit};
    use crate::testing::{Fault, MemoryJobs, MemoryQueue, MemoryWebhooks, StoppedClock, a_job, a_webhook, an_item};

    fn done(counters: Counters) -> Job {
        let mut job = a_job();
        job.state.status = JobStatus::Running;
        job.state.counters = counters;
        job
    }

    const ALL_LABELED: Counters = Counters { total: 5, successful: 3, failed: 1, skipped: 1 };

    #[tokio::test]
    async fn a_job_ends_once_and_has_one_event_whatever_call_fails() {
        let cases = [false, true].map(|lost| [(lost, None), (lost, Some("The execution was stopped."))]);
        for (answer_lost, problem) in cases.into_iter().flatten() {
            for call in 1.. {
                let fault = Arc::new(Fault::at(call, answer_lost));
                let webhooks = MemoryWebhooks::with(a_webhook()).failing(&fault);
                let store = MemoryJobs::of(done(ALL_LABELED)).with_webhooks(&webhooks).failing(&fault);
                let queue = MemoryQueue::default().failing(&fault);
                let clock = StoppedClock::at(1_000);
                let uid = store.now().spec.uid;

                // The first caller may die of it. After that only the watchdog calls, for jobs that are still watched.
                let mut failures = 0;
                while !store.is_unwatched() {
                    failures += usize::from(settle(&store, &webhooks, &queue, &clock, uid, problem).await.is_err());
                    assert!(failures < 2, "one call fails, call {call}");
                }

                assert_eq!(store.now().state.status, JobStatus::Completed, "I5, call {call}");
                assert!(!store.project_is_taken(), "I5, call {call}");
                clock.pass(Duration::from_secs(120));
                while let Err(error) = outbox::send_waiting(&webhooks, &queue, &clock).await {
                    failures += 1;
                    assert!(failures < 2, "one call fails, call {call}: {error}");
                }
                let sent: HashSet<DeliveryUid> = queue.take_sent().into_iter().map(|(uid, _)| uid).collect();
                assert_eq!(sent.len(), 1, "I6, call {call}");
                if !fault.struck() {
                    assert!(call > 4, "the fault must have had several chances");
                    break;
                }
            }
        }
    }

    /// Contract D12.
    #[tokio::test]
    async fn what_the_job_came_to_decides_how_it_ends() {
        let cases = [
            (Counters { total: 0, ..Counters::default() }, None, JobStatus::Completed),
            (ALL_LABELED, None, JobStatus::Completed),
            (Counters { total: 2, failed: 2, ..Counters::default() }, None, JobStatus::Failed),
            (Counters { total: 2, successful: 1, ..Counters::default() }, None, JobStatus::Failed),
            (Counters { skipped: 0, ..ALL_LABELED }, Some("The provider was deleted."), JobStatus::Failed),
            (ALL_LABELED, Some("Finalize crashed."), JobStatus::Completed),
            (Counters { total: 2, failed: 2, ..Counters::default() }, Some("Finalize crashed."), JobStatus::Failed),
        ];
        for (counters, problem, end) in cases {
            let store = MemoryJobs::of(done(counters));
            let webhooks = MemoryWebhooks::default();
            let uid = store.now().spec.uid;

            let status =
                settle(&store, &webhooks, &MemoryQueue::default(), &StoppedClock::at(1), uid, problem).await.unwrap();

            assert_eq!(status, end, "{counters:?} {problem:?}");
            let is_explained = end == JobStatus::Failed || counters.failed > 0;
            assert_eq!(store.now().state.error_message.is_some(), is_explained);
        }
    }

    #[tokio::test]
    async fn a_completed_job_counts_its_failed_items_and_names_the_first_by_its_key() {
        let store = MemoryJobs::of(done(Counters { total: 2, successful: 1, ..Counters::default() }));
        let (uid, spec, item) = (store.now().spec.uid, store.now().spec, an_item(1).uid);
        let failed = Outcome::Failed(Failure::new(FailureCode::ModelError, "The model answered status 500."));
        let items = vec![Some(ItemCommit::new(item, 0, failed))];
        let chunk = Chunk { id: ChunkId { job: uid, batch: 0, chunk: 0 }, items };
        store.commit(&spec, "bot", chunk, spec.created_at).await.unwrap();

        let webhooks = MemoryWebhooks::with(a_webhook());
        let queue = MemoryQueue::default();
        settle(&store, &webhooks, &queue, &StoppedClock::at(1), uid, None).await.unwrap();

        let state = store.now().state;
        let sentence = format!("1 of 2 items failed. The first one, \"{item}.jpg\": The model answered status 500.");
        assert_eq!((state.status, state.error_message), (JobStatus::Completed, Some(sentence)));
        assert_eq!(state.summary.unwrap().errors[0].key, Some(format!("{item}.jpg")));
    }

    #[tokio::test]
    async fn the_summary_says_why_a_job_had_nothing_to_do_or_left_nothing() {
        let planned = |note: Option<&str>| Plan {
            job: a_job().spec.uid,
            workers: 1,
            batches: vec![],
            truncated: false,
            note: note.map(str::to_owned),
        };
        for (plan, total, skipped, expected) in [
            (planned(Some("The project has no items.")), 0, 0, Some("The project has no items.")),
            (planned(None), 2, 2, Some("No item has a prediction to keep: 2 skipped.")),
            (planned(None), 2, 1, None),
        ] {
            let store = MemoryJobs::of(a_job());
            let (uid, clock) = (plan.job, StoppedClock::at(1));
            store.plan_job(&plan, total, None, clock.now()).await.unwrap();
            store.change_all(|job| {
                job.state.counters = Counters { total, skipped, successful: total - skipped, failed: 0 }
            });

            settle(&store, &MemoryWebhooks::default(), &MemoryQueue::default(), &clock, uid, None).await.unwrap();

            let note = store.now().state.summary.unwrap().note;
            let begins = |note: &String| expected.is_some_and(|expected| note.starts_with(expected));
            assert!(note.as_ref().map_or(expected.is_none(), begins), "{note:?}");
        }
    }

    #[tokio::test]
    async fn what_workers_still_commit_does_not_put_off_the_end_of_a_job_that_was_stopped() {
        let store = MemoryJobs::of(done(Counters { total: 5, successful: 1, ..Counters::default() }));
        let (uid, spec) = (store.now().spec.uid, store.now().spec);
        let skipped = ItemCommit::new(an_item(1).uid, 0, Outcome::Skipped(SkipReason::BelowThreshold));
        let chunk = Chunk { id: ChunkId { job: uid, batch: 0, chunk: 1 }, items: vec![Some(skipped)] };

        store.close_job(uid, &JobStatus::ACTIVE).await.unwrap();

        let late = store.commit(&spec, "bot", chunk, spec.created_at).await.unwrap();
        assert_eq!((late, store.now().state.counters.processed()), (Commit::JobOver, 1));
        let (webhooks, queue) = (MemoryWebhooks::default(), MemoryQueue::default());
        let status = settle(&store, &webhooks, &queue, &StoppedClock::at(1), uid, Some("aborted")).await.unwrap();
        assert_eq!(status, JobStatus::Failed);
    }

    #[tokio::test]
    async fn a_cancelled_job_stays_cancelled_and_has_no_other_event() {
        let mut job = done(ALL_LABELED);
        job.state.status = JobStatus::Cancelled;
        let store = MemoryJobs::of(job);
        let queue = MemoryQueue::default();
        let uid = store.now().spec.uid;

        let webhooks = MemoryWebhooks::with(a_webhook());
        let status = settle(&store, &webhooks, &queue, &StoppedClock::at(1), uid, Some("aborted")).await.unwrap();

        assert_eq!(status, JobStatus::Cancelled);
        assert!(queue.take_sent().is_empty() && store.is_unwatched());
    }
}

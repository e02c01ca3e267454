//! How the worker meets an endpoint that is too busy, gone, or of no use (docs/decisions/0013).

use super::*;

/// A worker with room for 16 calls in flight, and this model.
async fn meeting(model: ScriptedModel) -> (TestWorker, Batch) {
    let (worker, batch) = worker(running(), model, Fault::default()).await;
    (worker, Batch { slots: 16, ..batch })
}

/// D26, and its reading in 0013: a refusal for our own calls is no try of an item.
#[tokio::test(start_paused = true)]
async fn an_endpoint_with_less_room_than_configured_loses_no_item() {
    for capacity in [1, 2, 4] {
        let (worker, batch) = meeting(ScriptedModel::with_capacity(capacity, None)).await;

        let report = worker.run(&batch, "a", far()).await.unwrap();

        assert_eq!(worker.store.now().state.counters, expected(), "capacity {capacity}");
        assert_eq!(report.calls - report.refused, ITEMS as u32);
        assert_eq!(report.refused as usize, worker.models.0.load().refused.len());
        // It begins with four, halves and halves again.
        assert!(report.refused <= 16, "capacity {capacity}: {}", report.refused);
    }
}

/// A model that refuses every call.
fn closed(retry_after: Option<Duration>) -> ScriptedModel {
    let model = ScriptedModel::with_capacity(1, retry_after);
    model.occupy();
    model
}

/// Contract D26.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_refused_with_nothing_else_in_flight_fails_at_the_third_time() {
    let (mut worker, batch) = worker_on(&[an_item(0)]).await;
    worker.models = ScriptedModels(closed(None));

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.models.0.load().refused.len(), 3);
    let failures = worker.store.committed_receipts().remove(0).failures;
    assert_eq!(
        (failures[0].code, &*failures[0].message),
        (FailureCode::ModelUnavailable, "The model answered status 429. Tried 3 times.")
    );
}

/// Contract D26.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_refused_whatever_else_is_there_fails_and_slows_no_other() {
    let assets: Vec<Asset> = (0..2_000).map(an_item).collect();
    for (refused, within_ms) in [(1, 6_800), (2, 9_000)] {
        let (mut worker, batch) = worker_on(&assets).await;
        let items = (0..refused).map(|n| assets[100 + 50 * n].uid);
        worker.models = ScriptedModels(ScriptedModel::refusing(items));

        let report = worker.run(&Batch { slots: 16, ..batch }, "a", far()).await.unwrap();

        assert!(report.refused as usize <= 11 * refused, "{refused} items: {}", report.refused);
        assert_eq!(report.calls - report.refused, (assets.len() - refused) as u32);
        let receipts = worker.store.committed_receipts();
        let failures = receipts.iter().flat_map(|receipt| &receipt.failures);
        assert_eq!(failures.filter(|failure| failure.code == FailureCode::ModelUnavailable).count(), refused);
        // 2,000 calls of 50 ms through 16 slots.
        assert!(report.wall_ms < within_ms, "{refused} items: {}", report.wall_ms);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_up_to_half_a_minute() {
    for (asked, waited) in [(9, 9), (3_600, 30)] {
        let (mut worker, batch) = worker_on(&[an_item(0)]).await;
        worker.models = ScriptedModels(closed(Some(Duration::from_secs(asked))));

        worker.run(&batch, "a", far()).await.unwrap();

        let refused = worker.models.0.load().refused;
        assert!(refused.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(waited)), "{refused:?}");
        assert!(refused[2] - refused[0] < Duration::from_secs(2 * waited + 3));
    }
}

/// Where several workers share an endpoint, one that gets no call through waits for the others.
#[tokio::test(start_paused = true)]
async fn a_worker_among_several_waits_for_minutes_until_there_is_room_for_it() {
    let (mut worker, batch) = worker_on(&[an_item(0), an_item(1)]).await;
    worker.models = ScriptedModels(closed(None));
    let room = async {
        tokio::time::sleep(Duration::from_secs(240)).await;
        worker.models.0.vacate();
    };

    let batch = Batch { workers: 3, ..batch };
    let (report, ()) = tokio::join!(worker.run(&batch, "a", far()), room);

    assert_eq!(report.unwrap().calls - worker.models.0.load().refused.len() as u32, 2);
    // Waits of five seconds on average in between.
    assert!(worker.models.0.load().refused.len() < 100, "{}", worker.models.0.load().refused.len());
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_first_twenty_items_fail_alike_is_ended_and_what_was_processed_counts() {
    let (worker, batch) = meeting(ScriptedModel::saying(&json!({"error": "not in the mood"}))).await;

    let error = worker.run(&batch, "a", far()).await.unwrap_err();

    assert_eq!(error.code(), ErrorCode::ProviderRefused);
    assert!(
        error.to_string().starts_with("The first 20 items all failed alike, so the others were not tried."),
        "{error}"
    );
    let (asked, counters) = (worker.models.0.asked().len(), worker.store.now().state.counters);
    assert!((20..ITEMS).contains(&asked), "{asked}");
    assert_eq!((counters.failed as usize, counters.processed() as usize), (asked, asked));
}

/// As many as are at hand at once fail before the first answer of the model.
#[tokio::test(start_paused = true)]
async fn files_that_were_not_uploaded_end_no_job_whose_model_is_fine() {
    let assets = uploads(40);
    let (worker, batch) = worker_on(&assets).await;
    for asset in &assets[25..] {
        worker.objects.put(key(asset), "image/png", a_png(10, 10)).await.unwrap();
    }

    worker.run(&Batch { slots: 16, ..batch }, "a", far()).await.unwrap();

    let counters = worker.store.now().state.counters;
    assert_eq!((counters.failed, counters.successful), (25, 15));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_a_success_goes_on_whatever_a_worker_meets() {
    let mut job = running();
    job.state.counters.total += 1;
    job.state.counters.successful = 1;
    let (worker, batch) = worker(job, ScriptedModel::saying(&json!({})), Fault::default()).await;

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.store.now().state.counters.failed as usize, ITEMS);
}

/// Whatever took the time: here the measuring of a file.
#[tokio::test(start_paused = true)]
async fn a_batch_whose_time_ends_before_a_commit_is_stuck_as_well() {
    let (worker, batch) = worker_on(&uploads(3)).await;
    let slow = Duration::from_secs(200);
    let worker = Worker { objects: worker.objects.slow(slow), ..worker };

    let soon = Instant::now() + slow + LAST_CALL + Duration::from_secs(1);
    assert!(matches!(worker.run(&batch, "a", soon).await, Err(Error::BatchStuck)));

    assert_eq!(Instant::now(), soon - LAST_COMMIT);
}

/// Contract D26.
#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_is_tried_three_times_as_far_as_two_minutes_allow() {
    for (seconds, tries) in [(1, 3), (30, 3), (60, 2), (120, 1)] {
        let (mut worker, batch) = worker_on(&[an_item(0)]).await;
        worker.models = ScriptedModels(ScriptedModel::timing_out(Duration::from_secs(seconds)));

        worker.run(&batch, "a", far()).await.unwrap();

        assert_eq!(worker.models.0.asked().len(), tries, "{seconds} s");
        assert_eq!(worker.store.now().state.counters.failed, 1);
    }
}

/// A job is closed before it is ended, and takes no commit from then on.
#[tokio::test(start_paused = true)]
async fn a_worker_of_a_closed_job_stops_at_the_first_commit_that_is_refused() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;
    worker.store.close_job(batch.job, &JobStatus::ACTIVE).await.unwrap();

    let report = worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!((report.committed, worker.models.0.load().in_flight), (0, 0));
    let asked = worker.models.0.asked().len();
    assert!(asked <= 3 * CHUNK as usize, "{asked}");
}

#[tokio::test(start_paused = true)]
async fn the_report_says_how_long_the_endpoint_was_at_work() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;

    let report = worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!((report.busy_ms, report.wall_ms, report.slots), (50 * ITEMS as u64, 50 * 13, 4));
}

/// What the worker itself leaves unused of the endpoint's time, with commits that take none.
#[tokio::test(start_paused = true)]
async fn five_thousand_items_leave_hardly_a_slot_empty() {
    let assets: Vec<Asset> = (0..5_000).map(an_item).collect();
    for (slots, efficiency) in [(16, 0.99), (64, 0.95)] {
        let (worker, batch) = worker_on(&assets).await;

        let report = worker.run(&Batch { slots, chunk_items: 96, ..batch }, "a", far()).await.unwrap();

        let reached = 5_000.0 * 50.0 / (f64::from(slots) * report.wall_ms as f64);
        assert!(reached >= efficiency, "{slots} slots: {reached}");
        assert_eq!(worker.models.0.load().most_in_flight, slots as usize);
    }
}

/// The state machine's attempts are for batches that get nowhere: a table that is throttled for half an hour must cost no job.
#[tokio::test(start_paused = true)]
async fn a_batch_that_got_somewhere_before_a_call_failed_is_handed_back_and_costs_no_attempt() {
    let mut handed_back = BTreeSet::new();
    for call in 1.. {
        let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::at(call, false)).await;
        let Err(error) = worker.run(&batch, "a", far()).await else { break };

        let progress = !worker.store.committed_receipts().is_empty();
        assert_eq!(error.code() == ErrorCode::BatchUnfinished, progress, "call {call}: {error}");
        assert!(progress || error.code().facts().repeatable, "call {call}: {error}");
        handed_back.insert(progress);
    }
    assert_eq!(handed_back.len(), 2, "calls fail before the first commit, and after it");
}

/// However long the table takes for a chunk, and however quick the model is.
#[tokio::test(start_paused = true)]
async fn no_more_than_a_few_chunks_wait_for_their_commits() {
    let assets: Vec<Asset> = (0..2_000).map(an_item).collect();
    let (worker, batch) = worker_on(&assets).await;
    let worker = Worker { store: worker.store.committing_in(Duration::from_secs(100)), ..worker };

    assert!(matches!(worker.run(&batch, "a", far()).await, Err(Error::BatchUnfinished)));

    let (asked, processed) = (worker.models.0.asked().len(), worker.store.now().state.counters.processed() as usize);
    assert!(processed > 0);
    // As many as wait, as many with the commit under way, and those that had been begun.
    assert!(asked - processed <= (2 * UNCOMMITTED + 2) * CHUNK as usize, "{asked} asked, {processed} processed");
}

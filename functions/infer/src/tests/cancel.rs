//! How a worker stops when its job is over (I7).

use super::*;

#[tokio::test(start_paused = true)]
async fn after_a_cancel_nothing_new_is_asked_and_what_is_done_counts() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(120)).await;
        worker.store.cancel();
        worker.models.0.asked().len()
    };

    let (report, asked_before) = tokio::join!(worker.run(&batch, "a", far()), cancel);

    // I7: a worker checks every half second; 4 slots of 50 ms calls get through 40 items until then.
    let asked = worker.models.0.asked().len();
    assert!(report.is_ok() && asked_before < asked && asked <= 44, "{asked}");
    assert_eq!(worker.store.now().state.counters.processed() as usize, asked);
    assert_eq!(worker.run(&batch, "b", far()).await.unwrap(), Report::default());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_while_its_batch_is_read_asks_nothing() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;
    let worker = Worker { objects: worker.objects.slow(Duration::from_secs(3)), ..worker };
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        worker.store.cancel();
    };

    let (report, ()) = tokio::join!(worker.run(&batch, "a", far()), cancel);

    assert_eq!((report.unwrap().calls, worker.store.now().state.counters.processed()), (0, 0));
    assert_eq!(worker.models.0.asked(), []); // I7
}

/// I7: a read of the job whose answer is lost takes seconds.
#[tokio::test(start_paused = true)]
async fn while_it_is_not_known_whether_the_job_goes_on_nothing_is_asked() {
    let (worker, batch) = worker_on(&(0..500).map(an_item).collect::<Vec<_>>()).await;
    let (begun, slow) = (Instant::now(), Duration::from_secs(20));
    let asked_at = async |milliseconds| {
        tokio::time::sleep_until(begun + Duration::from_millis(milliseconds)).await;
        worker.models.0.asked().len()
    };
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        worker.store.slow_down(slow); // the check at 500 ms was answered, the next one takes long
        let when_the_last_check_is_stale = asked_at(1_600).await;
        let later = asked_at(15_000).await;
        worker.store.cancel();
        (when_the_last_check_is_stale, later)
    };

    let (report, (before, later)) = tokio::join!(worker.run(&batch, "a", far()), cancel);

    assert!(before > 100 && before == later, "{before}, {later}");
    assert_eq!((report.unwrap().calls as usize, worker.models.0.asked().len()), (before, before));
    assert_eq!(begun.elapsed(), Duration::from_secs(1) + slow);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_that_the_job_goes_on_lets_calls_begin_again() {
    let (worker, batch) = worker_on(&(0..500).map(an_item).collect::<Vec<_>>()).await;
    worker.store.slow_down(Duration::from_millis(1_800));

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.models.0.asked().len(), 500);
}

/// I7.
#[tokio::test(start_paused = true)]
async fn after_a_cancel_no_mask_is_fetched_and_the_item_is_not_reached() {
    let (worker, batch) = masking(vec![pictured(GOOD, 0.9); limits::MASK_PICTURES]).await;
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        worker.store.cancel();
        worker.web.reads().len()
    };

    let (report, reads) = tokio::join!(worker.run(&batch, "a", far()), cancel);

    // A worker checks every half second: five more masks, and the one of each that is under way.
    assert!(report.is_ok() && worker.web.reads().len() <= reads + 7, "{}", worker.web.reads().len());
    assert_eq!(worker.store.now().state.counters.processed(), 0);
}

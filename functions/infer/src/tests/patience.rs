//! How a worker meets an endpoint that is slow, away, or breaks down at an item (docs/decisions/0025).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex as StdMutex;

use shared::domain::diagnosis::Diagnosis;
use shared::domain::provider::InferenceProvider;
use shared::ports::{InferenceError, InferenceRequest};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::*;

/// How a call gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Says502,
    Says503,
    Breaks,
    Unreachable,
    Nameless,
    Hangs,
}

const HOWS: [How; 5] = [How::Says502, How::Says503, How::Breaks, How::Unreachable, How::Hangs];

/// A server that works on a bounded number of pictures at a time, in the order of their calls, also on those that were given up.
#[derive(Clone)]
struct Served {
    begun: Instant,
    takes: Duration,
    timeout: Duration,
    capacity: Arc<Semaphore>,
    /// From when to when, seconds, it gives no answers, and breaks off the calls in flight.
    away: Option<(f64, f64, How)>,
    poison: HashMap<ItemUid, How>,
    asked: Arc<StdMutex<Vec<(Instant, ItemUid)>>>,
}

impl Served {
    fn new(capacity: usize, takes: Duration) -> Self {
        Self {
            begun: Instant::now(),
            takes,
            timeout: Duration::from_secs(30),
            capacity: Arc::new(Semaphore::new(capacity)),
            away: None,
            poison: HashMap::new(),
            asked: Arc::default(),
        }
    }

    fn away(self, from: f64, seconds: f64, how: How) -> Self {
        Self { away: Some((from, from + seconds, how)), ..self }
    }

    fn poisoned(self, items: impl IntoIterator<Item = ItemUid>, how: How) -> Self {
        Self { poison: items.into_iter().map(|item| (item, how)).collect(), ..self }
    }

    async fn no_answer<T>(&self, how: How) -> Result<T, InferenceError> {
        let (diagnosis, message) = match how {
            How::Says503 => return Err(InferenceError::busy("The model answered status 503.", None)),
            How::Says502 => (Diagnosis::Busy, "The model answered status 502."),
            How::Breaks => (Diagnosis::ConnectionBroken, "The connection broke before the answer was complete."),
            How::Unreachable => (Diagnosis::Unreachable, "The host could not be connected to."),
            How::Nameless => (Diagnosis::Dns, "The host name could not be resolved."),
            How::Hangs => {
                sleep(self.timeout).await;
                (Diagnosis::Timeout, "No complete answer came in time.")
            }
        };
        Err(InferenceError::transient(diagnosis, message))
    }

    async fn work(&self) -> Result<Vec<u8>, InferenceError> {
        let (done, answer) = oneshot::channel();
        let (capacity, takes) = (Arc::clone(&self.capacity), self.takes);
        tokio::spawn(async move {
            let _slot = capacity.acquire_owned().await;
            sleep(takes).await;
            let _ = done.send(()); // it does not notice that its client is gone
        });
        match timeout(self.timeout, answer).await {
            Ok(_) => Ok(json!({"annotations": [{"type": "bounding_box", "label": "cat", "confidence": 0.9,
                "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}}]})
            .to_string()
            .into_bytes()),
            Err(_) => Err(InferenceError::transient(Diagnosis::Timeout, "No complete answer came in time.")),
        }
    }

    fn calls(&self) -> Vec<(Instant, ItemUid)> {
        self.asked.lock().unwrap().clone()
    }

    /// Calls by item.
    fn counts(&self) -> BTreeMap<ItemUid, usize> {
        let mut counts = BTreeMap::new();
        self.calls().into_iter().for_each(|(_, item)| *counts.entry(item).or_default() += 1);
        counts
    }
}

impl Model for Served {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        self.asked.lock().unwrap().push((Instant::now(), request.asset_id));
        if let Some(how) = self.poison.get(&request.asset_id) {
            return self.no_answer(*how).await;
        }
        let Some((from, until, how)) = self.away else { return self.work().await };
        let seconds = self.begun.elapsed().as_secs_f64();
        if seconds >= until {
            return self.work().await;
        }
        if seconds >= from {
            return self.no_answer(how).await;
        }
        match timeout(Duration::from_secs_f64(from - seconds), self.work()).await {
            Ok(answer) => answer,
            Err(_) => self.no_answer(how).await,
        }
    }
}

#[derive(Clone)]
struct ServedModels(Served);

impl Connect for ServedModels {
    type Model = Served;

    fn own(&self, _: &SageMaker) -> Served {
        self.0.clone()
    }

    async fn connect(&self, _: &InferenceProvider) -> Result<Served, Error> {
        Ok(self.0.clone())
    }
}

type ServedWorker = Worker<MemoryJobs, MemoryTenants, MemoryObjects, MemoryWeb, ServedModels, StoppedClock>;

/// A worker on `items` items, with 16 slots. The job began to run just now.
async fn meeting(items: usize, model: Served) -> (ServedWorker, Batch) {
    let (worker, batch) = worker_for(running(), &(0..items).map(an_item).collect::<Vec<_>>()).await;
    let Worker { store, providers, objects, web, buckets, clock, patience, bot, endpoints, .. } = worker;
    let models = ServedModels(model);
    let worker = Worker { store, providers, objects, web, buckets, models, clock, patience, bot, endpoints };
    (worker, Batch { slots: 16, ..batch })
}

/// A run during which the table's clock goes on as well.
async fn run(worker: &ServedWorker, batch: &Batch, deadline: Instant) -> Result<Report, Error> {
    let clock = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            worker.clock.pass(Duration::from_secs(1));
        }
    };
    tokio::select! {
        report = worker.run(batch, "a", deadline) => report,
        () = clock => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_works_on_one_picture_at_a_time_answers_each_in_its_time() {
    for slots in [4, 16, 64] {
        let (worker, batch) = meeting(40, Served::new(1, Duration::from_secs(5))).await;
        let begun = Instant::now();

        let report = run(&worker, &Batch { slots, ..batch }, far()).await.unwrap();

        assert_eq!((worker.store.now().state.counters.successful, report.calls), (40, 40), "{slots} slots");
        assert!(begun.elapsed() <= Duration::from_secs(220), "{slots} slots: {:?}", begun.elapsed());
    }
}

/// Whatever its timeout, as long as a call that is alone is answered.
#[tokio::test(start_paused = true)]
async fn a_slow_server_with_a_short_timeout_loses_no_item() {
    for timeout in [6, 8, 10, 12, 15, 20, 25] {
        let served = Served { timeout: Duration::from_secs(timeout), ..Served::new(1, Duration::from_secs(5)) };
        let (worker, batch) = meeting(60, served).await;
        let begun = Instant::now();

        run(&worker, &batch, far()).await.unwrap();

        assert_eq!(worker.store.now().state.counters.successful, 60, "{timeout} s");
        assert!(begun.elapsed() <= Duration::from_secs(360), "{timeout} s: {:?}", begun.elapsed());
    }
}

/// In mid-job and at the begin.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_away_costs_no_item() {
    for how in HOWS {
        for (from, seconds) in [(0.0, 15.0), (0.0, 60.0), (3.1, 15.0), (3.1, 60.0)] {
            let served = Served::new(1_000, Duration::from_millis(200)).away(from, seconds, how);
            let (worker, batch) = meeting(600, served.clone()).await;

            run(&worker, &batch, far()).await.unwrap();

            let case = format!("{how:?} for {seconds} s from {from} s");
            let (counters, counts) = (worker.store.now().state.counters, served.counts());
            assert_eq!((counters.successful, counters.failed), (600, 0), "{case}");
            let repeated = counts.values().filter(|count| **count > 1).count();
            assert!(repeated <= 16, "{case}: {repeated} items were asked about again");
            let calls = served.calls().len();
            assert!(calls - 600 <= 16 + 14, "{case}: {calls} calls");
            let longest_pause = if how == How::Hangs { 45.0 } else { 13.0 };
            let wall = served.begun.elapsed().as_secs_f64();
            assert!(wall < seconds + longest_pause + 600.0 * 0.2 / 16.0 + 3.0, "{case}: {wall} s");
        }
    }
}

/// A picture that the server hangs at, or breaks down at: the others are none the worse.
#[tokio::test(start_paused = true)]
async fn an_item_that_the_endpoint_breaks_down_at_fails_alone() {
    for (how, capacity, takes_ms, within_s) in [
        (How::Hangs, 1_000, 200, 160.0),  // the last item of its batch is given two minutes
        (How::Says502, 1_000, 200, 90.0), // three of them are the last ones, and take each other for an outage
        (How::Breaks, 1_000, 200, 90.0),
        (How::Hangs, 1, 5_000, 1_400.0),
        (How::Says502, 1, 5_000, 1_150.0),
    ] {
        for poisoned in [vec![0], vec![100], vec![199], vec![20, 120, 121]] {
            let served = Served::new(capacity, Duration::from_millis(takes_ms))
                .poisoned(poisoned.iter().map(|n| an_item(*n).uid), how);
            let (worker, batch) = meeting(200, served.clone()).await;

            let report = run(&worker, &batch, Instant::now() + Duration::from_secs(10_000)).await;

            let case = format!("{how:?}, {takes_ms} ms, {poisoned:?}");
            let (counts, wall) = (served.counts(), served.begun.elapsed().as_secs_f64());
            let most = poisoned.iter().map(|n| counts[&an_item(*n).uid]).max().unwrap();
            println!("{case}: {most} calls, {wall} s, {report:?}");
            let (counters, bad) = (worker.store.now().state.counters, poisoned.len());
            assert_eq!((counters.successful as usize, counters.failed as usize), (200 - bad, bad), "{case}");
            assert!((3..=11).contains(&most), "{case}: {most} calls");
            assert!(wall < within_s, "{case}: {wall} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stays_away_ends_the_job_when_its_patience_is_over_and_no_item_fails() {
    for (how, from) in HOWS.into_iter().flat_map(|how| [(how, 0.0), (how, 3.1)]) {
        let served = Served::new(1_000, Duration::from_millis(200)).away(from, 1e9, how);
        let (worker, batch) = meeting(600, served.clone()).await;

        let error = run(&worker, &batch, far()).await.unwrap_err();

        assert_eq!(error.code(), ErrorCode::ProviderRefused);
        let sentence = error.to_string();
        assert!(
            sentence.starts_with("The model's endpoint has given no answer for 10 minutes, so the job was ended."),
            "{sentence}"
        );
        assert!(sentence.contains("The last call: ") && !sentence.contains("://"), "{sentence}");
        let (counters, wall) = (worker.store.now().state.counters, served.begun.elapsed());
        assert_eq!((counters.successful > 150, counters.failed), (from > 0.0, 0), "{how:?}: {counters:?}");
        assert!((600..=640).contains(&wall.as_secs()), "{how:?}: {wall:?}");
    }
}

/// The patience is the job's, not an invocation's.
#[tokio::test(start_paused = true)]
async fn an_invocation_whose_time_ends_while_the_endpoint_is_away_is_continued_and_goes_on_waiting() {
    let served = Served::new(1_000, Duration::from_millis(200)).away(0.0, 1e9, How::Unreachable);
    let (worker, batch) = meeting(50, served.clone()).await;

    let soon = || Instant::now() + LAST_CALL + Duration::from_secs(250);
    for _ in 0..2 {
        assert!(matches!(run(&worker, &batch, soon()).await, Err(Error::BatchUnfinished)));
    }
    let error = run(&worker, &batch, soon()).await.unwrap_err();

    assert_eq!(error.code(), ErrorCode::ProviderRefused, "{error}");
    assert!((620..=625).contains(&served.begun.elapsed().as_secs()), "{:?}", served.begun.elapsed());
    assert!(served.calls().len() < 110, "{}", served.calls().len());
}

/// A job that was not worked on is not one whose endpoint was away.
#[tokio::test(start_paused = true)]
async fn what_happened_before_the_first_call_does_not_use_up_the_patience() {
    let served = Served::new(1_000, Duration::from_millis(200)).away(0.0, 60.0, How::Unreachable);
    let (worker, batch) = meeting(50, served).await;
    worker.clock.pass(Duration::from_secs(3_600));

    run(&worker, &batch, far()).await.unwrap();

    assert_eq!(worker.store.now().state.counters.successful, 50);
}

/// I7.
#[tokio::test(start_paused = true)]
async fn a_cancel_is_seen_within_a_second_while_the_endpoint_is_waited_for() {
    let served = Served::new(1_000, Duration::from_millis(200)).away(0.0, 1e9, How::Unreachable);
    let (worker, batch) = meeting(50, served.clone()).await;
    let cancel = async {
        sleep(Duration::from_secs(100)).await;
        worker.store.cancel();
        served.calls().len()
    };

    let (report, calls) = tokio::join!(run(&worker, &batch, far()), cancel);

    assert!(report.is_ok() && served.begun.elapsed() <= Duration::from_millis(101_000), "{:?}", served.begun.elapsed());
    assert!(served.calls().len() <= calls + 1);
}

/// A typing error in the address is no outage.
#[tokio::test(start_paused = true)]
async fn a_host_name_without_an_address_ends_a_job_that_never_had_an_answer() {
    let served = Served::new(1_000, Duration::from_millis(200)).away(0.0, 1e9, How::Nameless);
    let (worker, batch) = meeting(50, served.clone()).await;

    let error = run(&worker, &batch, far()).await.unwrap_err();

    assert!(error.to_string().contains("could not be resolved"), "{error}");
    let took = served.begun.elapsed().as_secs();
    assert!((20..35).contains(&took), "a resolver may fail for seconds: {took}");
    assert_eq!(worker.store.now().state.counters.processed(), 0);

    let (worker, batch) = meeting(600, served.away(3.0, 15.0, How::Nameless)).await;
    let worker = Worker { models: ServedModels(Served { begun: Instant::now(), ..worker.models.0 }), ..worker };
    run(&worker, &batch, far()).await.unwrap();
    assert_eq!(worker.store.now().state.counters.successful, 600);
}

/// Other workers may have fared better: one that gets no call through does not end the job for them.
#[tokio::test(start_paused = true)]
async fn a_worker_without_answers_goes_on_while_another_one_has_some() {
    let served = Served::new(1_000, Duration::from_millis(200)).away(0.0, 1_000.0, How::Says503);
    let (worker, batch) = meeting(50, served.clone()).await;
    // Progress of the job: as fresh as the clock, which does not move.
    let report = worker.run(&Batch { workers: 3, ..batch }, "a", Instant::now() + Duration::from_secs(10_000)).await;

    assert!(report.is_ok(), "{report:?}");
    assert_eq!(worker.store.now().state.counters.successful, 50);
}

/// Nothing was done, and not since the endpoint was away: to call again would be no better.
#[tokio::test(start_paused = true)]
async fn a_batch_in_which_nothing_could_be_done_is_stuck_and_not_unfinished() {
    let served = Served { timeout: Duration::from_secs(120), ..Served::new(4, Duration::from_secs(100)) };
    let (worker, batch) = meeting(50, served).await;

    let soon = Instant::now() + LAST_CALL + Duration::from_secs(1);
    assert!(matches!(run(&worker, &batch, soon).await, Err(Error::BatchStuck)));

    assert_eq!(worker.store.now().state.counters.processed(), 0);
}

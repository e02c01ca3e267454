use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use shared::domain::id::ItemUid;
use shared::domain::item::source::{S3Object, Source, SourceBuckets};
use shared::domain::item::{Asset, SizeOrigin};
use shared::domain::job::failure::FailureCode;
use shared::domain::job::plan::Batch;
use shared::domain::job::{Counters, Job};
use shared::domain::job_status::JobStatus;
use shared::domain::limits;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::prediction::orientation::Orientation;
use shared::domain::prediction::rle;
use shared::domain::prediction::size::Size;
use shared::domain::provider::connection::SageMaker;
use shared::domain::reply::decode;
use shared::domain::{Error, ErrorCode};
use shared::ports::{Model, Objects};
use shared::testing::{
    Fault, MemoryJobs, MemoryObjects, MemoryTenants, MemoryWeb, ScriptedModel, ScriptedModels, StoppedClock, a_job,
    a_mask, a_png, an_item,
};
use tokio::time::Instant;

use super::*;
use crate::run::UNCOMMITTED;

mod cancel;
mod conformance;
mod frame;
mod given_up;
mod labels;
mod load;
mod patience;

const ITEMS: usize = 50;
const CHUNK: u32 = 8;
/// When workers begin, and the job did.
const NOW: i64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(600);

type TestWorker = Worker<MemoryJobs, MemoryTenants, MemoryObjects, MemoryWeb, ScriptedModels, StoppedClock>;

fn running() -> Job {
    let mut job = a_job();
    job.state.status = JobStatus::Running;
    job.state.counters.total = ITEMS as u32;
    job.state.progressed_at = StoppedClock::at(NOW).now();
    job
}

/// A worker, and its batch: all items of the job.
async fn worker(job: Job, model: ScriptedModel, fault: Fault) -> (TestWorker, Batch) {
    let lines: Vec<String> = (0..ITEMS).map(|n| serde_json::to_string(&an_item(n)).unwrap() + "\n").collect();
    let lines = lines.concat().into_bytes();
    let batch = Batch {
        job: job.spec.uid,
        batch: 3,
        manifest: "manifest".into(),
        offset: 0,
        length: lines.len() as u64,
        items: ITEMS as u32,
        chunk_items: CHUNK,
        slots: 4,
        workers: 1,
    };
    let objects = MemoryObjects::default();
    objects.put("manifest", "", lines).await.unwrap();
    let fault = Arc::new(fault);
    let endpoint = SageMaker::new("yolo", "us-east-1");
    let worker = Worker {
        store: MemoryJobs::of(job).failing(&fault),
        providers: MemoryTenants::default(),
        objects: objects.failing(&fault),
        web: MemoryWeb::default(),
        buckets: SourceBuckets::default(),
        models: ScriptedModels(model),
        clock: StoppedClock::at(NOW),
        patience: PATIENCE,
        bot: "bot".into(),
        endpoints: vec![(ModelType::Yolo, endpoint)],
    };
    (worker, batch)
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(900)
}

/// What the scripted model makes of the items.
fn expected() -> Counters {
    let of = |shards: &[u8]| (0..ITEMS).filter(|n| shards.contains(&an_item(*n).uid.shard(4))).count() as u32;
    Counters { total: ITEMS as u32, successful: of(&[0, 3]), skipped: of(&[1]), failed: of(&[2]) }
}

#[tokio::test(start_paused = true)]
async fn every_item_gets_one_outcome_and_the_model_is_asked_once() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;

    let report = worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.store.now().state.counters, expected()); // I1, I2
    assert_eq!(worker.store.drafts().len() as u32, expected().successful);
    assert_eq!((report.calls as usize, report.committed), (ITEMS, (ITEMS as u32).div_ceil(CHUNK)));
    let asked: HashSet<ItemUid> = worker.models.0.asked().into_iter().collect();
    assert_eq!((asked.len(), worker.models.0.asked().len()), (ITEMS, ITEMS));
}

#[tokio::test(start_paused = true)]
async fn the_model_is_never_asked_more_at_once_than_the_slots_allow() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;
    let begun = Instant::now();

    worker.run(&batch, "a", far()).await.unwrap();

    // 50 calls of 50 ms through 4 slots: 13 rounds, and not one more for the commits.
    assert_eq!(begun.elapsed(), Duration::from_millis(50 * 13));
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_a_retry_counts_nothing_twice() {
    for answer_lost in [false, true] {
        for call in 1.. {
            let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::at(call, answer_lost)).await;

            let first = worker.run(&batch, "a", far()).await;
            if first.is_ok() {
                assert!(call > 10, "the fault must have had several chances");
                break;
            }
            worker.run(&batch, "b", far()).await.unwrap();
            worker.run(&batch, "c", far()).await.unwrap(); // and a duplicate of it all

            assert_eq!(worker.store.now().state.counters, expected(), "I1, I2, call {call}, lost {answer_lost}");
            assert_eq!(worker.store.drafts().len() as u32, expected().successful, "I1, call {call}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_workers_on_one_batch_at_once_count_it_once() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;

    let (one, other) = tokio::join!(worker.run(&batch, "a", far()), worker.run(&batch, "b", far()));

    assert!(one.is_ok() && other.is_ok());
    assert_eq!(worker.store.now().state.counters, expected());
}

#[tokio::test(start_paused = true)]
async fn an_item_that_a_person_labeled_meanwhile_is_skipped() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;
    let taken = (0..ITEMS).map(an_item).find(|item| item.uid.shard(4) == 0).unwrap();
    worker.store.label(taken.uid);

    worker.run(&batch, "a", far()).await.unwrap();

    let counters = worker.store.now().state.counters;
    assert_eq!((counters.successful, counters.skipped), (expected().successful - 1, expected().skipped + 1)); // I3
    assert!(!worker.store.drafts().contains(&taken.uid));
}

#[tokio::test(start_paused = true)]
async fn an_item_whose_file_changed_meanwhile_gets_no_draft_of_the_bytes_before() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;
    let changed = (0..ITEMS).map(an_item).find(|item| item.uid.shard(4) == 0).unwrap();
    worker.store.change_file(changed.uid);

    worker.run(&batch, "a", far()).await.unwrap();

    let counters = worker.store.now().state.counters;
    assert_eq!((counters.successful, counters.skipped), (expected().successful - 1, expected().skipped + 1));
    assert!(!worker.store.drafts().contains(&changed.uid));

    // A job that was planned since knows of it.
    let (worker, batch) = worker_on(&[Asset { changes: 1, ..changed.clone() }]).await;
    worker.store.change_file(changed.uid);
    worker.run(&batch, "a", far()).await.unwrap();
    assert_eq!(worker.store.drafts(), [changed.uid]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_short_of_time_hands_back_whole_chunks() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;

    let soon = Instant::now() + LAST_CALL + Duration::from_millis(320);
    assert!(matches!(worker.run(&batch, "a", soon).await, Err(Error::BatchUnfinished)));
    let asked = worker.models.0.asked().len();
    assert_eq!(worker.store.now().state.counters.processed() as usize, asked);
    assert!(asked > 0 && asked < ITEMS && asked % CHUNK as usize == 0, "{asked}");
    assert_eq!(worker.models.0.load().in_flight, 0, "the next worker's calls do not come on top of these");

    worker.run(&batch, "b", far()).await.unwrap();
    assert_eq!(worker.models.0.asked().len(), ITEMS); // nothing was asked twice
    assert_eq!(worker.store.now().state.counters, expected());
}

#[tokio::test(start_paused = true)]
async fn a_refusing_provider_ends_the_batch_early() {
    let (worker, batch) = worker(running(), ScriptedModel::refusing_at(10), Fault::default()).await;

    let error = worker.run(&batch, "a", far()).await.unwrap_err();

    assert_eq!(error.to_string(), "The endpoint is gone.");
    // What was asked is kept and counted, but for the call that was refused.
    let asked = worker.models.0.asked().len();
    assert!(asked < 16);
    assert_eq!(worker.store.now().state.counters.processed() as usize, asked - 1);
    assert_eq!(worker.models.0.load().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_drafts_nothing_and_counts_the_same() {
    let mut job = running();
    job.spec.dry_run = true;
    let (worker, batch) = worker(job, ScriptedModel::default(), Fault::default()).await;

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.store.now().state.counters, expected());
    assert!(worker.store.drafts().is_empty()); // I8
}

#[tokio::test(start_paused = true)]
async fn the_raw_objects_have_a_line_for_every_item_and_what_was_below_the_threshold() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;

    worker.run(&batch, "a", far()).await.unwrap();

    let lines = raw(&worker).await;
    assert_eq!(lines.lines().count(), ITEMS);
    assert!(lines.contains("\"confidence\":0.1"));
}

/// The lines of the batch's raw objects.
async fn raw(worker: &TestWorker) -> String {
    let receipts = worker.store.committed_receipts();
    let keys: BTreeSet<&str> = receipts.iter().flat_map(|receipt| &receipt.raw).map(String::as_str).collect();
    let mut lines = String::new();
    for key in keys {
        GzDecoder::new(worker.objects.object(key).unwrap().as_slice()).read_to_string(&mut lines).unwrap();
    }
    lines
}

/// A mask of many small runs that no formula shortens.
fn intricate(seed: u64, runs: usize) -> Value {
    let mut state = seed | 1;
    let mut lengths: Vec<u64> = Vec::with_capacity(runs + 1);
    for _ in 0..runs {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        lengths.push(1 + state % 3);
    }
    lengths.push(10_000 - lengths.iter().sum::<u64>());
    json!({"type": "segmentation_mask", "label": "road", "confidence": 0.9, "mask": rle::encode(lengths)})
}

#[tokio::test(start_paused = true)]
async fn a_draft_that_is_too_large_for_its_row_is_kept_beside_the_raw_predictions_and_reads_back() {
    let predictions: Vec<Value> = (0..40).map(|n| intricate(n, 4_000)).collect();
    let (worker, batch) = masking(predictions.clone()).await;
    let expected = decode(
        json!({ "annotations": predictions }).to_string().as_bytes(),
        worker.models.0.reading(),
        an_item(0).size,
    );

    worker.run(&batch, "a", far()).await.unwrap();

    let drafts = worker.store.committed_drafts();
    assert_eq!(drafts.len(), 3);
    let receipts = worker.store.committed_receipts();
    assert_eq!((receipts[0].predictions, receipts[0].labels[0].count), (120, 120));
    for draft in drafts {
        let blob = draft.elsewhere.unwrap();
        assert!(draft.annotations.is_empty() && blob.key.starts_with(&format!("jobs/{}/drafts/", batch.job)));
        let bytes = worker.objects.get_range(&blob.key, blob.offset, blob.length).await.unwrap();
        assert_eq!(blob.read(&bytes).unwrap(), expected.as_ref().unwrap().predictions);
    }
}

/// I8.
#[tokio::test(start_paused = true)]
async fn a_dry_run_keeps_no_large_draft() {
    let (worker, batch) = masking((0..40).map(|n| intricate(n, 4_000)).collect()).await;
    let mut job = running();
    job.spec.dry_run = true;
    let worker = Worker { store: MemoryJobs::of(job), ..worker };

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.store.now().state.counters.successful, 3);
    assert!(worker.objects.keys().iter().all(|key| !key.contains("/drafts/")), "{:?}", worker.objects.keys());
}

/// However many answers a batch has, no object and so no buffer grows beyond its limit and one answer.
#[tokio::test(start_paused = true)]
async fn what_is_kept_is_written_before_it_takes_much_memory() {
    let (worker, batch) = worker(running(), ScriptedModel::default(), Fault::default()).await;
    let large: Vec<Value> = (0..250).map(|n| intricate(n, 4_000)).collect();
    let worker = Worker { models: ScriptedModels(ScriptedModel::saying(&json!({ "annotations": large }))), ..worker };
    let batch = Batch { items: 8, chunk_items: 98, length: line_bytes(&worker, &batch, 8).await, ..batch };

    worker.run(&batch, "a", far()).await.unwrap();

    let sizes: Vec<usize> = worker
        .objects
        .keys()
        .iter()
        .filter(|key| key.contains("/drafts/"))
        .map(|key| worker.objects.object(key).unwrap().len())
        .collect();
    assert_eq!(worker.store.now().state.counters.successful, 8);
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size < 2 * limits::OBJECT_BYTES), "{sizes:?}");
    assert_eq!(worker.store.committed_receipts().len(), 1);
}

/// Bytes of the first lines of a manifest.
async fn line_bytes(worker: &TestWorker, batch: &Batch, lines: usize) -> u64 {
    let manifest = worker.objects.get_range(&batch.manifest, 0, batch.length).await.unwrap();
    manifest.split_inclusive(|byte| *byte == b'\n').take(lines).map(|line| line.len() as u64).sum()
}

const GOOD: &str = "https://masks.example/good.png";
const LARGE: &str = "https://masks.example/large.png";
const GONE: &str = "https://masks.example/gone.png";

fn pictured(url: &str, confidence: f64) -> Value {
    let mask = json!({"format": "png_url", "url": url});
    json!({"type": "segmentation_mask", "label": "road", "confidence": confidence, "mask": mask})
}

/// A worker whose model says this of each of its first three items. All but one of the URLs lead somewhere.
async fn masking(predictions: Vec<Value>) -> (TestWorker, Batch) {
    let assets: Vec<Asset> = (0..3).map(an_item).collect();
    let (mut worker, batch) = worker_on(&assets).await;
    let item = Size { width: 100, height: 100 };
    let large = Size { width: 200, height: 100 };
    worker.web = MemoryWeb::of([(GOOD, a_mask(item, 2, 1)), (LARGE, a_mask(large, 2, 1))]);
    worker.models = ScriptedModels(ScriptedModel::saying(&json!({"annotations": predictions})));
    (worker, batch)
}

/// Contract D29.
#[tokio::test(start_paused = true)]
async fn wanted_masks_are_fetched_one_at_a_time_and_kept_as_runs() {
    let (worker, batch) = masking(vec![pictured(GONE, 0.4), pictured(GOOD, 0.9)]).await;

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.store.now().state.counters.successful, 3);
    // Column by column: two columns of 100, a pixel, the mark.
    let runs = rle::encode([201, 1, 9_798]);
    let expected = json!([{"format": "coco_rle", "size": [100, 100], "counts": runs}]);
    for line in raw(&worker).await.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let masks: Vec<&Value> = line["predictions"].as_array().unwrap().iter().map(|one| &one["mask"]).collect();
        assert_eq!(json!(masks), expected);
    }
    // A file that is not there at once is asked for once more; what the job drops anyway is not.
    assert_eq!(worker.web.reads(), [GOOD; 4]);
    assert_eq!(worker.web.most_at_once(), 1);
}

/// Contract D28, D29.
#[tokio::test(start_paused = true)]
async fn a_mask_that_cannot_be_had_is_dropped_and_noted() {
    let (worker, batch) = masking(vec![pictured(GONE, 0.9), pictured(GOOD, 0.9), pictured(LARGE, 0.9)]).await;

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.store.now().state.counters.successful, 3);
    let receipts = worker.store.committed_receipts();
    let notes: Vec<_> = receipts.into_iter().flat_map(|receipt| receipt.notes).map(|note| note.message).collect();
    let gone = "annotations[0].mask: Could not be fetched. The server answered status 404. (and 1 more)";
    assert_eq!(notes, [gone; 3]);

    let (alone, batch) = masking(vec![pictured(LARGE, 0.9)]).await;
    alone.run(&batch, "a", far()).await.unwrap();
    let receipts = alone.store.committed_receipts();
    let failures: Vec<_> = receipts.into_iter().flat_map(|receipt| receipt.failures).collect();
    assert_eq!(failures.len(), 3);
    assert!(failures[0].message.ends_with("mask: Has 200 x 100 pixels, and the item 100 x 100."), "{failures:?}");
}

/// Contract D29.
#[tokio::test(start_paused = true)]
async fn no_more_masks_of_an_item_are_fetched_than_a_hundred() {
    let (worker, batch) = masking(vec![pictured(GONE, 0.9); limits::MASK_PICTURES + 1]).await;

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(worker.web.reads().len(), 3 * limits::MASK_PICTURES);
}

/// An answer may be long: those that wait for their masks are no more than the slots.
#[tokio::test(start_paused = true)]
async fn the_model_is_not_asked_faster_than_masks_are_fetched() {
    let assets: Vec<Asset> = (0..30).map(an_item).collect();
    let (mut worker, batch) = worker_on(&assets).await;
    worker.web = MemoryWeb::of([(GOOD, a_mask(Size { width: 100, height: 100 }, 2, 1))]).slow(Duration::from_secs(1));
    worker.models = ScriptedModels(ScriptedModel::saying(&json!({"annotations": [pictured(GOOD, 0.9)]})));

    let _ = tokio::time::timeout(Duration::from_millis(10_500), worker.run(&batch, "a", far())).await;

    // The first read failed and was repeated, and one is under way. The item whose mask is there has left its slot.
    let done = worker.web.reads().len() - 2;
    assert!(done > 5);
    assert_eq!(worker.models.0.asked().len() - done, batch.slots as usize + 1);
}

/// A slow mask is given up when the time of its item is over.
#[tokio::test(start_paused = true)]
async fn masks_do_not_take_longer_than_an_item_may() {
    let many = vec![pictured(GOOD, 0.9); limits::MASK_PICTURES];
    let (mut worker, batch) = masking(many).await;
    worker.web = MemoryWeb::default().slow(Duration::from_secs(10));
    let begun = Instant::now();

    worker.run(&batch, "a", far()).await.unwrap();

    assert!(begun.elapsed() < Duration::from_secs(130), "{:?}", begun.elapsed());
    assert_eq!(worker.store.now().state.counters.failed, 3);
}

/// A worker on a batch of these assets alone.
async fn worker_on(assets: &[Asset]) -> (TestWorker, Batch) {
    worker_for(running(), assets).await
}

async fn worker_for(job: Job, assets: &[Asset]) -> (TestWorker, Batch) {
    let (worker, batch) = worker(job, ScriptedModel::default(), Fault::default()).await;
    let lines: Vec<String> = assets.iter().map(|asset| serde_json::to_string(asset).unwrap() + "\n").collect();
    let lines = lines.concat().into_bytes();
    let batch = Batch { length: lines.len() as u64, items: assets.len() as u32, ..batch };
    worker.objects.put("manifest", "", lines).await.unwrap();
    (worker, batch)
}

/// Items without a size, of which the scripted model drafts each.
fn uploads(count: usize) -> Vec<Asset> {
    let drafted = (0..).map(an_item).filter(|item| item.uid.shard(4) == 0);
    drafted.take(count).map(|item| Asset { size: None, ..item }).collect()
}

fn key(asset: &Asset) -> &str {
    let Source::Bucket(key) = &asset.source else { panic!("an upload") };
    key
}

#[tokio::test(start_paused = true)]
async fn the_size_of_an_upload_is_read_when_it_is_there_and_kept_with_its_draft() {
    let assets = uploads(3);
    let (worker, batch) = worker_on(&assets).await;
    for asset in &assets {
        worker.objects.put(key(asset), "image/png", a_png(100, 80)).await.unwrap();
    }

    worker.run(&batch, "a", far()).await.unwrap();

    let size = Some(Size { width: 100, height: 80 });
    assert_eq!(worker.models.0.sizes(), [size; 3]);
    let mut measured = worker.store.measured();
    measured.sort_by_key(|asset| assets.iter().position(|one| one.uid == asset.uid));
    let origin = SizeOrigin { orientation: Some(Orientation::Upright), ..SizeOrigin::default() };
    assert_eq!(measured, assets.into_iter().map(|asset| Asset { size, origin, ..asset }).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_item_whose_file_is_missing_or_no_picture_fails_alone_and_the_model_is_not_asked() {
    let assets = uploads(3);
    let (worker, batch) = worker_on(&assets).await;
    worker.objects.put(key(&assets[1]), "text/plain", b"no picture".to_vec()).await.unwrap();
    worker.objects.put(key(&assets[2]), "image/png", a_png(10, 10)).await.unwrap();

    worker.run(&batch, "a", far()).await.unwrap();

    let counters = worker.store.now().state.counters;
    assert_eq!((counters.successful, counters.failed), (1, 2));
    assert_eq!(worker.models.0.asked(), [assets[2].uid]);
    let failures = worker.store.committed_receipts().into_iter().flat_map(|receipt| receipt.failures);
    for failure in failures {
        assert_eq!(failure.code, FailureCode::FileUnreadable, "{}", failure.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_closed_to_the_organization_is_not_read_any_more() {
    let object = S3Object { bucket: "pictures".into(), key: "a.png".into() };
    let source = Source::S3(object);
    let (closed, batch) = worker_on(&[Asset { source: source.clone(), ..uploads(1).remove(0) }]).await;
    closed.objects.put("pictures/a.png", "image/png", a_png(10, 10)).await.unwrap();

    closed.run(&batch, "a", far()).await.unwrap();
    assert_eq!((closed.store.now().state.counters.failed, closed.models.0.asked().len()), (1, 0)); // I10

    let (mut open, batch) = worker_on(&[Asset { source, ..uploads(1).remove(0) }]).await;
    open.objects.put("pictures/a.png", "image/png", a_png(10, 10)).await.unwrap();
    open.buckets = SourceBuckets::new([("pictures".to_owned(), vec!["acme".to_owned()])].into(), "own");

    open.run(&batch, "a", far()).await.unwrap();
    assert_eq!(open.store.now().state.counters.successful, 1);
}

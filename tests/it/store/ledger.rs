use std::fmt::Write;

use futures_util::TryStreamExt;
use shared::domain::id::ItemUid;
use shared::domain::item::file_version::Sequence;
use shared::domain::item::result::{LabelResult, ResultSource, ResultStatus};
use shared::domain::job::JobSpec;
use shared::domain::job::failure::FailureCode;
use shared::domain::job::outcome::{ChunkId, ItemCommit, Outcome, Receipt};
use shared::domain::job_status::JobStatus;
use shared::domain::limits;
use shared::domain::prediction::Prediction;
use shared::domain::prediction::draft::Draft;
use shared::ports::{Chunk, Commit, Items, Jobs, Ledger, Uploads};
use shared::store::Store;
use tokio::task::JoinSet;

use super::making::*;

on_both!(
    a_commit_writes_drafts_receipt_and_counters,
    a_chunk_committed_again_changes_nothing,
    of_two_workers_on_one_chunk_one_counts,
    chunks_committed_at_once_all_count,
    an_item_labeled_meanwhile_is_skipped_and_left_alone,
    a_chunk_of_labeled_items_alone_still_counts,
    a_draft_of_bytes_that_are_there_no_more_is_refused,
    a_job_that_has_ended_takes_no_more_chunks,
    what_was_in_flight_at_a_cancel_counts,
    items_that_a_cancelled_job_did_not_get_to_do_not_count,
    a_dry_run_counts_and_writes_no_draft,
    a_draft_that_is_too_large_fails_its_item_alone,
    a_full_chunk_is_one_transaction,
    a_full_chunk_of_the_largest_drafts_is_one_transaction,
    receipts_are_read_in_order_and_by_batch,
    an_item_that_a_plan_names_twice_has_one_draft,
);

in_memory_too!(
    chunks_committed_at_once_all_count,
    a_chunk_of_labeled_items_alone_still_counts,
    a_job_that_has_ended_takes_no_more_chunks,
    what_was_in_flight_at_a_cancel_counts,
    items_that_a_cancelled_job_did_not_get_to_do_not_count,
    receipts_are_read_in_order_and_by_batch,
);

/// Plans of before each item was taken once. DynamoDB refuses a transaction, and a read of many, that names a row twice.
async fn an_item_that_a_plan_names_twice_has_one_draft(store: Store) {
    for dry_run in [false, true] {
        let spec = JobSpec { dry_run, ..a_spec(a_project(), 0) };
        running(&store, &spec, 4).await;
        let items = unlabeled(&store, spec.project, 2).await;
        let twice = vec![drafted(items[0]), drafted(items[1]), drafted(items[0]), skipped(items[1])];

        let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, twice)).await);

        let outcomes = if dry_run { "sssb" } else { "sslb" };
        assert_eq!(receipt.outcomes, outcomes);
        let generations = if dry_run { None } else { Some(1) };
        for item in &items {
            assert_eq!(result(&store, *item).await.map(|draft| draft.generation), generations);
        }
        // As a retry, or the discard of a job's drafts, reads the items of its receipts.
        assert_eq!(store.items(&receipt.items).await.unwrap().len(), 2);
    }
}

async fn commits(store: &impl Ledger, spec: &JobSpec, chunk: Chunk) -> Commit {
    store.commit(spec, "bot", chunk, at(5)).await.unwrap()
}

/// The receipt of a commit that counts.
fn done(commit: Commit) -> Receipt {
    let Commit::Done(receipt) = commit else { panic!("{commit:?}") };
    receipt
}

async fn result(store: &Store, item: ItemUid) -> Option<LabelResult> {
    store.items(&[item]).await.unwrap().remove(0).result
}

/// I1, I2.
async fn a_commit_writes_drafts_receipt_and_counters(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 5).await;
    let items = unlabeled(&store, spec.project, 4).await;
    let outcomes = vec![drafted(items[0]), skipped(items[1]), failed(items[2]), drafted(items[3])];

    let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, outcomes)).await);

    assert_eq!((receipt.outcomes.as_str(), receipt.predictions), ("sbfs", 2));
    assert_eq!(receipts(&store, spec.uid).await, [receipt]);
    let state = store.job(spec.uid).await.unwrap().state;
    assert_eq!((state.counters, state.progressed_at), (counted(5, 2, 1, 1), at(5)));
    let draft = result(&store, items[0]).await.unwrap();
    assert_eq!((draft.status, draft.source, draft.generation), (ResultStatus::Draft, ResultSource::AutoLabel, 1)); // I9
    assert_eq!((draft.annotations, draft.created_by.as_str()), (vec![a_car(0.9)], "bot"));
    assert_eq!(draft.lineage.map(|lineage| lineage.job), Some(spec.uid));
    assert!(result(&store, items[1]).await.is_none() && result(&store, items[2]).await.is_none());
}

/// I1, I2.
async fn a_chunk_committed_again_changes_nothing(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 2).await;
    let items = unlabeled(&store, spec.project, 2).await;
    done(commits(&store, &spec, a_chunk(spec.uid, 0, vec![drafted(items[0]), skipped(items[1])])).await);
    let (job, first) = (store.job(spec.uid).await.unwrap(), receipts(&store, spec.uid).await);
    let drafts = store.items(&items).await.unwrap();

    // The second worker's model answered otherwise.
    let again = a_chunk(spec.uid, 0, vec![failed(items[0]), drafted(items[1])]);
    assert_eq!(store.commit(&spec, "bot", again, at(8)).await.unwrap(), Commit::Already);

    assert_eq!(store.job(spec.uid).await.unwrap(), job);
    assert_eq!(receipts(&store, spec.uid).await, first);
    assert_eq!(store.items(&items).await.unwrap(), drafts);
}

/// I1, I2.
async fn of_two_workers_on_one_chunk_one_counts(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 3).await;
    let items = unlabeled(&store, spec.project, 3).await;
    let chunk = || a_chunk(spec.uid, 0, items.iter().map(|item| drafted(*item)).collect());

    let (one, other) = tokio::join!(commits(&store, &spec, chunk()), commits(&store, &spec, chunk()));

    let won = |commit: &Commit| matches!(commit, Commit::Done(_));
    assert!(won(&one) != won(&other) && [one, other].contains(&Commit::Already));
    assert_eq!(counters(&store, spec.uid).await, counted(3, 3, 0, 0));
    for item in items {
        assert_eq!(result(&store, item).await.map(|draft| draft.generation), Some(1));
    }
}

/// I2.
async fn chunks_committed_at_once_all_count(store: impl Table + Clone + 'static) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 36).await;
    let items = unlabeled(&store, spec.project, 36).await;
    let mut workers = JoinSet::new();
    for (chunk, items) in (0..).zip(items.chunks(3)) {
        let chunk = a_chunk(spec.uid, chunk, vec![drafted(items[0]), skipped(items[1]), failed(items[2])]);
        let (store, spec) = (store.clone(), spec.clone());
        workers.spawn(async move { done(commits(&store, &spec, chunk).await) });
    }
    workers.join_all().await;

    assert_eq!(counters(&store, spec.uid).await, counted(36, 12, 12, 12));
    assert_eq!(store.committed(spec.uid, 0).await.unwrap(), (0..12).collect::<Vec<u32>>());
}

/// Gives an item a result: by a job that is over before the one of the test begins.
async fn label(store: &impl Table, like: &JobSpec, item: ItemUid) {
    let earlier = a_spec(like.project, -10);
    running(store, &earlier, 1).await;
    done(commits(store, &earlier, a_chunk(earlier.uid, 0, vec![drafted(item)])).await);
    end(store, earlier.uid, JobStatus::Completed).await;
}

/// I3.
async fn an_item_labeled_meanwhile_is_skipped_and_left_alone(store: Store) {
    let spec = a_spec(a_project(), 0);
    let items = unlabeled(&store, spec.project, 4).await;
    label(&store, &spec, items[1]).await;
    running(&store, &spec, 4).await;
    let before = result(&store, items[1]).await;
    let better = Outcome::Successful(Draft::of(vec![a_car(0.99), a_car(0.98)]));
    let better = Some(ItemCommit::new(items[1], 0, better));

    let outcomes = vec![drafted(items[0]), better, failed(items[2]), drafted(items[3])];
    let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, outcomes)).await);

    assert_eq!((receipt.outcomes.as_str(), receipt.predictions), ("slfs", 2));
    assert_eq!(receipts(&store, spec.uid).await, [receipt]);
    assert_eq!(counters(&store, spec.uid).await, counted(4, 2, 1, 1));
    assert_eq!(result(&store, items[1]).await, before);
    assert!(result(&store, items[0]).await.is_some() && result(&store, items[3]).await.is_some());
}

/// I3.
async fn a_chunk_of_labeled_items_alone_still_counts(store: impl Table) {
    let spec = a_spec(a_project(), 0);
    let items = unlabeled(&store, spec.project, 1).await;
    label(&store, &spec, items[0]).await;
    running(&store, &spec, 1).await;

    let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, vec![drafted(items[0])])).await);

    assert_eq!((receipt.outcomes.as_str(), receipt.predictions), ("l", 0));
    assert_eq!(counters(&store, spec.uid).await, counted(1, 0, 0, 1));
}

/// I3: of the first item the file is written over, of the second it is deleted, of the third it is heard of for the first time,
/// and of the fourth once more.
async fn a_draft_of_bytes_that_are_there_no_more_is_refused(store: Store) {
    let spec = a_spec(a_project(), 0);
    let items = unlabeled(&store, spec.project, 4).await;
    let heard = async |item: usize, version: (&str, &str)| {
        let before = store.items(&[items[item]]).await.unwrap().remove(0);
        let after = uploaded(&before, version);
        assert!(store.change_file(&before, &after, at(2)).await.unwrap());
        after
    };
    for item in [0, 1, 3] {
        heard(item, ("one", "1")).await;
    }
    running(&store, &spec, 4).await;
    let planned = waiting_assets(&store, spec.project).await;
    let old = heard(0, ("two", "2")).await;
    let before = store.items(&[items[1]]).await.unwrap().remove(0);
    let deleted = before.deleted(&before.asset.source, &Sequence::of("2")).unwrap();
    assert!(store.change_file(&before, &deleted, at(2)).await.unwrap());
    heard(2, ("one", "1")).await;
    heard(3, ("one", "2")).await;

    let receipt =
        done(commits(&store, &spec, a_chunk(spec.uid, 0, items.iter().map(|item| drafted(*item)).collect())).await);

    assert!(planned.iter().all(|asset| asset.changes == 0));
    assert_eq!((receipt.outcomes.as_str(), receipt.predictions), ("ccss", 2));
    assert_eq!(counters(&store, spec.uid).await, counted(4, 2, 0, 2));
    assert_eq!(waiting(&store, spec.project).await, [items[0]], "the deleted one waits for none");
    // The next job knows of the change: it is in what it plans by.
    end(&store, spec.uid, JobStatus::Completed).await;
    let next = a_spec(spec.project, 30);
    running(&store, &next, 1).await;
    let [planned] = &waiting_assets(&store, spec.project).await[..] else { panic!("one waits") };
    assert_eq!(*planned, old.asset);
    let outcome = drafted(planned.uid).map(|commit| ItemCommit { changes: planned.changes, ..commit });
    assert_eq!(done(commits(&store, &next, a_chunk(next.uid, 0, vec![outcome])).await).outcomes, "s");
}

/// I5, I6.
async fn a_job_that_has_ended_takes_no_more_chunks(store: impl Table) {
    for status in [JobStatus::Completed, JobStatus::Failed] {
        let spec = a_spec(a_project(), 0);
        running(&store, &spec, 1).await;
        let items = unlabeled(&store, spec.project, 1).await;
        end(&store, spec.uid, status).await;
        let ended = store.job(spec.uid).await.unwrap();

        assert_eq!(commits(&store, &spec, a_chunk(spec.uid, 0, vec![drafted(items[0])])).await, Commit::JobOver);

        assert_eq!(store.job(spec.uid).await.unwrap(), ended);
        assert_eq!(receipts(&store, spec.uid).await, []);
        assert!(!store.is_labeled(items[0]).await);
    }
}

/// I7.
async fn what_was_in_flight_at_a_cancel_counts(store: impl Table) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 2).await;
    let items = unlabeled(&store, spec.project, 2).await;
    store.cancel_job(&store.job(spec.uid).await.unwrap(), &[], at(2)).await.unwrap();

    done(commits(&store, &spec, a_chunk(spec.uid, 0, vec![drafted(items[0]), skipped(items[1])])).await);

    assert_eq!(counters(&store, spec.uid).await, counted(2, 1, 0, 1));
    assert_eq!(store.status(spec.uid).await.unwrap(), JobStatus::Cancelled);
    assert!(store.is_labeled(items[0]).await);
}

/// I2, I7.
async fn items_that_a_cancelled_job_did_not_get_to_do_not_count(store: impl Table) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 3).await;
    let items = unlabeled(&store, spec.project, 3).await;
    store.cancel_job(&store.job(spec.uid).await.unwrap(), &[], at(2)).await.unwrap();

    let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, vec![None, drafted(items[1]), None])).await);

    assert_eq!(receipt.outcomes, "-s-");
    assert_eq!(counters(&store, spec.uid).await, counted(3, 1, 0, 0));
    assert!(!store.is_labeled(items[0]).await);
}

/// I8.
async fn a_dry_run_counts_and_writes_no_draft(store: Store) {
    let spec = JobSpec { dry_run: true, ..a_spec(a_project(), 0) };
    let items = unlabeled(&store, spec.project, 3).await;
    label(&store, &spec, items[1]).await;
    running(&store, &spec, 3).await;
    let before = store.items(&items).await.unwrap();

    let outcomes = vec![drafted(items[0]), skipped(items[1]), failed(items[2])];
    let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, outcomes)).await);

    assert_eq!((receipt.outcomes.as_str(), receipt.predictions), ("sbf", 1));
    assert_eq!(counters(&store, spec.uid).await, counted(3, 1, 1, 1));
    assert_eq!(store.items(&items).await.unwrap(), before);
    assert_eq!(waiting(&store, spec.project).await.len(), 2);
}

/// An outcome whose draft is stored in some more than so many bytes: hex digits in no order hold half a byte each.
fn drafted_in(item: ItemUid, bytes: usize) -> Option<ItemCommit> {
    let mut noise = String::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while noise.len() < 2 * bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(noise, "{state:016x}").unwrap();
    }
    let attributes = [("note".to_owned(), noise.into())].into_iter().collect();
    let outcome = Outcome::Successful(Draft::of(vec![Prediction { attributes, ..a_car(0.9) }]));
    Some(ItemCommit::new(item, 0, outcome))
}

async fn a_draft_that_is_too_large_fails_its_item_alone(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 3).await;
    let items = unlabeled(&store, spec.project, 3).await;

    let outcomes = vec![drafted(items[0]), drafted_in(items[1], limits::DRAFT_BYTES + 2_000), drafted(items[2])];
    let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, outcomes)).await);

    assert_eq!((receipt.outcomes.as_str(), receipt.predictions), ("sfs", 2));
    assert_eq!((receipt.failures[0].item, receipt.failures[0].code), (items[1], FailureCode::DraftTooLarge));
    assert_eq!(counters(&store, spec.uid).await, counted(3, 2, 1, 0));
    assert!(result(&store, items[0]).await.is_some() && result(&store, items[1]).await.is_none());
}

/// With one item labeled meanwhile: the refusal of a hundred actions must say which one it was.
async fn a_full_chunk_is_one_transaction(store: Store) {
    let spec = a_spec(a_project(), 0);
    let items = unlabeled(&store, spec.project, limits::CHUNK_ITEMS).await;
    label(&store, &spec, items[limits::CHUNK_ITEMS - 1]).await;
    running(&store, &spec, 98).await;

    let receipt =
        done(commits(&store, &spec, a_chunk(spec.uid, 0, items.iter().map(|item| drafted(*item)).collect())).await);

    assert_eq!(receipt.outcomes, format!("{}l", "s".repeat(97)));
    assert_eq!(counters(&store, spec.uid).await, counted(98, 97, 0, 1));
    assert!(store.items(&items).await.unwrap().iter().all(|item| item.result.is_some()));
}

async fn a_full_chunk_of_the_largest_drafts_is_one_transaction(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 98).await;
    let items = unlabeled(&store, spec.project, limits::CHUNK_ITEMS).await;
    let outcomes = items.iter().map(|item| drafted_in(*item, limits::DRAFT_BYTES / 4 * 3)).collect();

    let receipt = done(commits(&store, &spec, a_chunk(spec.uid, 0, outcomes)).await);

    assert_eq!(receipt.outcomes, "s".repeat(98));
    assert_eq!(counters(&store, spec.uid).await, counted(98, 98, 0, 0));
}

async fn receipts_are_read_in_order_and_by_batch(store: impl Table) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 4).await;
    let items = unlabeled(&store, spec.project, 4).await;
    for ((batch, chunk), item) in [(10, 0), (1, 10), (1, 2), (0, 1)].into_iter().zip(&items) {
        let id = ChunkId { job: spec.uid, batch, chunk };
        let kept = drafted(*item).map(|commit| ItemCommit { raw: Some(format!("{batch}/{chunk}")), ..commit });
        done(commits(&store, &spec, Chunk { id, ..a_chunk(spec.uid, 0, vec![kept]) }).await);
    }

    let raws: Vec<String> = receipts(&store, spec.uid).await.into_iter().flat_map(|receipt| receipt.raw).collect();
    assert_eq!(raws, ["0/1", "1/2", "1/10", "10/0"]);
    let of_one: Vec<Receipt> = store.receipts(spec.uid, Some(1)).try_collect().await.unwrap();
    assert_eq!(of_one.into_iter().flat_map(|receipt| receipt.raw).collect::<Vec<_>>(), ["1/2", "1/10"]);
    assert_eq!(store.committed(spec.uid, 1).await.unwrap(), [2, 10]);
    assert_eq!(store.committed(spec.uid, 10).await.unwrap(), [0]);
    assert!(store.committed(spec.uid, 2).await.unwrap().is_empty());
}

//! What becomes of a job afterwards: its report, and the undo of its drafts.

use shared::domain::Error;
use shared::domain::id::{ItemUid, ProjectUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::item::result::{ResultStatus, Verdict};
use shared::domain::job::JobSpec;
use shared::domain::job::failure::FailureCode;
use shared::domain::job::outcome::{ChunkId, ItemCommit, OutcomeKind, Reason};
use shared::domain::job_status::JobStatus;
use shared::ports::{Chunk, Commit, Drafts, Items, Jobs, Ledger, Page, Reports, Results, Slice};
use shared::store::Store;

use super::making::*;

on_both!(
    a_report_loses_no_item_and_repeats_none,
    a_report_goes_on_past_receipts_without_a_match,
    a_report_goes_on_past_receipts_without_lines,
    a_report_says_why,
    a_cursor_of_no_list_is_refused,
    items_that_a_job_did_not_get_to_are_not_reported,
    a_spec_that_retries_another_is_read_as_it_was_created,
    a_discarded_draft_leaves_its_item_unlabeled_at_its_old_position,
    a_persons_work_is_never_discarded,
    of_a_discard_and_a_review_at_once_one_counts,
    a_draft_is_discarded_once,
);

async fn commits(store: &Store, spec: &JobSpec, batch: u32, chunk: u32, outcomes: Vec<Option<ItemCommit>>) {
    let id = ChunkId { job: spec.uid, batch, chunk };
    let chunk = Chunk { id, ..a_chunk(spec.uid, 0, outcomes) };
    assert!(matches!(store.commit(spec, "bot", chunk, at(5)).await.unwrap(), Commit::Done(_)));
}

/// A job of 24 items in 12 chunks of 3 batches, committed in no order; its items in the order of their creation.
async fn a_job(store: &Store) -> (JobSpec, Vec<ItemUid>) {
    let spec = a_spec(a_project(), 0);
    running(store, &spec, 24).await;
    let items = unlabeled(store, spec.project, 24).await;
    for position in [7, 2, 11, 0, 5, 10, 1, 8, 3, 9, 4, 6_usize] {
        let outcomes = match position % 3 {
            0 => vec![drafted(items[2 * position]), failed(items[2 * position + 1])],
            1 => vec![skipped(items[2 * position]), drafted(items[2 * position + 1])],
            _ => vec![skipped(items[2 * position]), skipped(items[2 * position + 1])],
        };
        // Chunks of more than three digits sort by number, too.
        let (batch, chunk) = ((position / 4) as u32, [0, 9, 999, 1_000][position % 4]);
        commits(store, &spec, batch, chunk, outcomes).await;
    }
    (spec, items)
}

async fn a_report_loses_no_item_and_repeats_none(store: Store) {
    let (spec, items) = a_job(&store).await;
    let of = |letters: &str| -> Vec<ItemUid> {
        let pattern = "sfbsbb".chars().cycle();
        items.iter().zip(pattern).filter(|(_, letter)| letters.contains(*letter)).map(|(item, _)| *item).collect()
    };
    for (only, expected) in [
        (None, items.clone()),
        (Some(OutcomeKind::Successful), of("s")),
        (Some(OutcomeKind::Failed), of("f")),
        (Some(OutcomeKind::Skipped), of("b")),
    ] {
        assert_pages(async |slice| store.report(spec.uid, only, &slice).await, |line| line.item, &expected).await;
    }
}

async fn a_report_goes_on_past_receipts_without_a_match(store: Store) {
    let spec = a_spec(a_project(), 0);
    let count = 260;
    running(&store, &spec, count).await;
    let items = unlabeled(&store, spec.project, count as usize).await;
    for (chunk, item) in (0..count).zip(&items) {
        let outcome = if chunk == count - 1 { failed(*item) } else { skipped(*item) };
        commits(&store, &spec, 0, chunk, vec![outcome]).await;
    }

    let failures = Some(OutcomeKind::Failed);
    let first = store.report(spec.uid, failures, &everything()).await.unwrap();
    assert!(first.entries.is_empty() && first.next.is_some());
    let second = store.report(spec.uid, failures, &Slice { after: first.next, ..everything() }).await.unwrap();
    assert_eq!(second.entries.iter().map(|line| line.item).collect::<Vec<_>>(), items[count as usize - 1..]);
    assert_eq!(second.next, None);
}

/// A worker that is refused commits what it has begun: receipts of items that it did not get to.
async fn a_report_goes_on_past_receipts_without_lines(store: Store) {
    let spec = a_spec(a_project(), 0);
    let count = 120;
    running(&store, &spec, count).await;
    let items = unlabeled(&store, spec.project, count as usize).await;
    for (chunk, item) in (0..count).zip(&items) {
        let outcome = if [0, count - 1].contains(&chunk) { skipped(*item) } else { None };
        commits(&store, &spec, 0, chunk, vec![outcome]).await;
    }

    for ascending in [true, false] {
        let mut expected = vec![items[0], items[count as usize - 1]];
        if !ascending {
            expected.reverse();
        }
        let slice = Slice { ascending, ..everything() };
        let page = store.report(spec.uid, None, &slice).await.unwrap();
        assert_eq!(page.entries.iter().map(|line| line.item).collect::<Vec<_>>(), expected);
        assert_eq!(page.next, None);
    }
}

async fn a_report_says_why(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 1).await;
    let items = unlabeled(&store, spec.project, 1).await;
    commits(&store, &spec, 0, 0, vec![failed(items[0])]).await;

    let Page { entries, next, .. } = store.report(spec.uid, None, &everything()).await.unwrap();

    assert_eq!((entries.len(), next), (1, None));
    assert_eq!((entries[0].item, entries[0].outcome), (items[0], OutcomeKind::Failed));
    assert_eq!(entries[0].code, Some(Reason::Failed(FailureCode::ModelError)));
    assert_eq!(entries[0].message.as_deref(), Some("The model answered 400."));
}

async fn a_cursor_of_no_list_is_refused(store: Store) {
    let (spec, _) = a_job(&store).await;
    for after in ["", "x", "00000#0000#", "00000#0000#-1", "#"] {
        let slice = Slice { after: Some(after.into()), ..everything() };
        let answer = store.report(spec.uid, None, &slice).await;
        assert!(matches!(answer, Err(Error::InvalidCursor)), "{after}: {answer:?}");
    }
    // A forged one of our form only moves its caller.
    let slice = Slice { after: Some("zzz#7".into()), ..everything() };
    let page = store.report(spec.uid, None, &slice).await.unwrap();
    assert_eq!((page.entries, page.next), (vec![], None));
}

/// I7.
async fn items_that_a_job_did_not_get_to_are_not_reported(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 3).await;
    let items = unlabeled(&store, spec.project, 3).await;
    commits(&store, &spec, 0, 0, vec![None, drafted(items[1]), None]).await;
    commits(&store, &spec, 0, 1, vec![None]).await;

    let Page { entries, .. } = store.report(spec.uid, None, &everything()).await.unwrap();

    assert_eq!(
        entries.iter().map(|line| (line.item, line.outcome)).collect::<Vec<_>>(),
        [(items[1], OutcomeKind::Successful)]
    );
    let receipts = receipts(&store, spec.uid).await;
    assert_eq!(receipts.iter().flat_map(|receipt| receipt.items.clone()).collect::<Vec<_>>(), [items[1]]);
}

async fn a_spec_that_retries_another_is_read_as_it_was_created(store: Store) {
    let first = a_spec(a_project(), 0);
    let spec = JobSpec { retry_of: Some(first.uid), ..a_spec(a_project(), 1) };

    pending(&store, &spec).await;

    assert_eq!(store.job(spec.uid).await.unwrap().spec, spec);
}

/// Three items of a new project, all drafted by a job that is over.
async fn drafts(store: &Store) -> (ProjectUid, Vec<ItemUid>) {
    let spec = a_spec(a_project(), 0);
    running(store, &spec, 3).await;
    let items = unlabeled(store, spec.project, 3).await;
    commits(store, &spec, 0, 0, items.iter().map(|item| drafted(*item)).collect()).await;
    end(store, spec.uid, JobStatus::Completed).await;
    (spec.project, items)
}

async fn read(store: &Store, item: ItemUid) -> Item {
    store.items(&[item]).await.unwrap().remove(0)
}

async fn review(store: &Store, item: &Item, verdict: Verdict) -> bool {
    let reviewed = item.result.as_ref().unwrap().reviewed(verdict, "ann", at(20)).unwrap().unwrap();
    store.review(item, &reviewed, &[]).await.unwrap()
}

async fn a_discarded_draft_leaves_its_item_unlabeled_at_its_old_position(store: Store) {
    let (project, items) = drafts(&store).await;
    assert!(store.discard_draft(&read(&store, items[2]).await).await.unwrap());

    assert!(store.discard_draft(&read(&store, items[0]).await).await.unwrap());

    assert_eq!(waiting(&store, project).await, [items[0], items[2]]);
    assert_eq!(read(&store, items[0]).await.result, None);
    assert_eq!(store.result(ResultUid::of(items[0], 1)).await.unwrap(), None, "it is no history");
    // The next job's draft is another result.
    let next = a_spec(project, 30);
    running(&store, &next, 1).await;
    commits(&store, &next, 0, 0, vec![drafted(items[0])]).await;
    assert_eq!(read(&store, items[0]).await.result.map(|draft| draft.generation), Some(2));
}

/// I3.
async fn a_persons_work_is_never_discarded(store: Store) {
    let (project, items) = drafts(&store).await;
    for (item, verdict) in
        items.iter().zip([Verdict::Accept, Verdict::Correct(vec![a_car(1.0)].into()), Verdict::Reject])
    {
        let seen = read(&store, *item).await;
        assert!(review(&store, &seen, verdict).await);
        let reviewed = read(&store, *item).await;

        assert!(!store.discard_draft(&seen).await.unwrap());

        assert_eq!(read(&store, *item).await, reviewed);
    }
    assert_eq!(waiting(&store, project).await, [items[2]]);
}

/// I3.
async fn of_a_discard_and_a_review_at_once_one_counts(store: Store) {
    for _ in 0..5 {
        let (_, items) = drafts(&store).await;
        let seen = read(&store, items[0]).await;

        let (discarded, reviewed) = tokio::join!(store.discard_draft(&seen), review(&store, &seen, Verdict::Accept));

        let now = read(&store, items[0]).await.result.map(|result| result.status);
        assert_eq!((discarded.unwrap(), now), (!reviewed, reviewed.then_some(ResultStatus::Accepted)));
    }
}

async fn a_draft_is_discarded_once(store: Store) {
    let (project, items) = drafts(&store).await;
    let seen = read(&store, items[0]).await;
    assert!(store.discard_draft(&seen).await.unwrap());
    assert!(!store.discard_draft(&seen).await.unwrap());

    // What another job drafts later is not what was seen.
    let next = a_spec(project, 30);
    running(&store, &next, 1).await;
    commits(&store, &next, 0, 0, vec![drafted(items[0])]).await;
    assert!(!store.discard_draft(&seen).await.unwrap());
    assert!(read(&store, items[0]).await.result.is_some());
}

use std::collections::HashMap;
use std::slice;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::domain::Error;
use shared::domain::id::{ItemUid, ProjectUid, ResultUid, SweepUid};
use shared::domain::item::file_version::{FileVersion, Sequence};
use shared::domain::item::origin::Corrected;
use shared::domain::item::result::{LabelResult, ResultSource, ResultStatus, Verdict};
use shared::domain::item::{Asset, Item};
use shared::domain::job_status::JobStatus;
use shared::domain::limits;
use shared::domain::prediction::draft::BlobRef;
use shared::domain::prediction::{Geometry, Prediction};
use shared::domain::webhook::{Event, Webhook};
use shared::ports::{Commit, Drafts, Items, Ledger, Results, Uploads};
use shared::store::Store;
use tokio::task::JoinSet;

use super::dynamodb;
use super::making::*;

on_both!(
    a_result_is_found_by_its_uid,
    an_accepted_draft_says_who_and_when,
    a_correction_replaces_the_annotations,
    a_correction_keeps_the_draft_beside_it,
    a_correction_of_the_most_annotations_in_any_order_fits,
    an_acceptance_has_deliveries_of_two_events_to_every_webhook,
    what_is_too_large_is_no_correction,
    what_just_fits_can_still_be_judged,
    a_review_records_its_deliveries_in_one_step,
    of_two_reviews_of_one_reading_one_counts,
    a_review_of_what_has_changed_since_is_lost,
    a_rejected_result_is_history_and_its_item_is_unlabeled_again,
    an_accepted_result_may_be_rejected,
    a_job_drafts_a_rejected_item_again_under_another_uid,
    a_verdict_on_an_earlier_result_does_not_touch_the_next,
    a_job_skips_an_accepted_item,
    an_accepted_result_may_be_reopened,
    a_rejected_result_comes_back_to_its_item,
    a_rejected_result_does_not_come_back_over_another_one,
    a_rejected_draft_does_not_come_back_to_other_bytes,
    of_two_reopenings_of_one_reading_one_counts,
    results_are_listed_with_those_that_were_rejected_last,
    a_draft_that_was_corrected_and_reopened_is_not_discarded_as_it_was,
    a_result_by_hand_takes_its_item_from_the_jobs,
    of_a_job_and_a_person_at_once_the_first_wins,
    a_result_by_hand_has_no_uid_of_an_earlier_result,
);

/// A project of `count` items of which the second has a draft, as it is now.
async fn drafts(store: &Store, count: usize) -> (ProjectUid, Item) {
    let project = a_project();
    let items = unlabeled(store, project, count).await;
    draft(store, project, items[1], 0).await;
    (project, read(store, items[1], 1).await.unwrap())
}

/// What a job of its own makes of an item.
async fn draft(store: &Store, project: ProjectUid, item: ItemUid, second: i64) -> Commit {
    let spec = a_spec(project, second);
    running(store, &spec, 1).await;
    let commit = store.commit(&spec, "bot", a_chunk(spec.uid, 0, vec![drafted(item)]), at(5)).await.unwrap();
    end(store, spec.uid, JobStatus::Completed).await;
    commit
}

async fn read(store: &Store, item: ItemUid, generation: u32) -> Option<Item> {
    store.result(ResultUid::of(item, generation)).await.unwrap()
}

fn judged(item: &Item, verdict: Verdict, second: i64) -> LabelResult {
    item.reviewed(verdict, "ann", at(second)).unwrap().unwrap()
}

/// A person's review of an item as it was read. `false`: it has changed since.
async fn review(store: &Store, item: &Item, verdict: Verdict, second: i64) -> bool {
    store.review(item, &judged(item, verdict, second), &[]).await.unwrap()
}

async fn a_result_is_found_by_its_uid(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;

    assert_eq!(store.items(&[item]).await.unwrap(), [drafted]);
    assert_eq!(read(&store, item, 2).await, None);
    assert_eq!(read(&store, ItemUid::of(a_project(), "unknown.jpg"), 1).await, None);
}

async fn an_accepted_draft_says_who_and_when(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;

    assert!(review(&store, &drafted, Verdict::Accept, 20).await);

    let accepted = read(&store, drafted.asset.uid, 1).await.unwrap().result.unwrap();
    assert_eq!(accepted, judged(&drafted, Verdict::Accept, 20));
    assert_eq!((accepted.status, accepted.reviewed_by.as_deref()), (ResultStatus::Accepted, Some("ann")));
    assert_eq!((accepted.created_at, accepted.updated_at), (at(5), at(20)));
    assert_eq!(waiting(&store, project).await.len(), 1);
}

async fn a_correction_replaces_the_annotations(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    let annotations = vec![a_car(1.0), a_car(0.25)];

    assert!(review(&store, &drafted, Verdict::Correct(annotations.clone().into()), 20).await);
    let corrected = read(&store, item, 1).await.unwrap();
    assert!(review(&store, &corrected, Verdict::Correct(vec![].into()), 21).await);

    let first = corrected.result.unwrap();
    assert_eq!((first.status, first.source, first.revision), (ResultStatus::Accepted, ResultSource::Human, 1));
    assert_eq!((first.created_by.as_str(), first.annotations), ("bot", annotations));
    assert_eq!(first.lineage, drafted.result.unwrap().lineage);
    let second = read(&store, item, 1).await.unwrap().result.unwrap();
    assert_eq!((second.annotations, second.revision), (vec![], 2));
}

async fn a_correction_keeps_the_draft_beside_it(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let before = drafted.result.as_ref().unwrap();
    let corrected = judged(&drafted, Verdict::Correct(vec![a_car(1.0), a_car(0.25)].into()), 20);

    assert!(store.review(&drafted, &corrected, &[]).await.unwrap());

    let stored = read(&store, drafted.asset.uid, 1).await.unwrap();
    assert_eq!(stored.result.as_ref(), Some(&corrected));
    assert_eq!(corrected.drafted(), Some(before.annotations.as_slice()));
    assert!(review(&store, &stored, Verdict::Reject, 21).await);
    let rejected = read(&store, drafted.asset.uid, 1).await.unwrap();
    assert_eq!(rejected.result.as_ref().unwrap().draft, corrected.draft);
    assert!(review(&store, &rejected, Verdict::Reopen, 22).await);
    let reopened = read(&store, drafted.asset.uid, 1).await.unwrap().result.unwrap();
    assert_eq!((reopened.draft, reopened.annotations), (corrected.draft, corrected.annotations));
}

async fn a_correction_of_the_most_annotations_in_any_order_fits(store: Store) {
    let (_, mut drafted) = drafts(&store, 2).await;
    let annotations = many(limits::PREDICTIONS as u64);
    let blob = |key: &str| BlobRef { key: key.into(), offset: 0, length: 1, json_bytes: 3_000_000 };
    let result = drafted.result.take().unwrap();
    drafted.result = Some(LabelResult { annotations: annotations.clone(), elsewhere: Some(blob("drafts")), ..result });
    // Each index is far from the one before.
    let count = u32::try_from(limits::PREDICTIONS).unwrap();
    let indexes = (0..count).map(|n| Some(n * 7_919 % count)).collect();
    let corrected = Corrected { annotations, draft_indexes: Some(indexes) };
    let corrected = LabelResult { elsewhere: Some(blob("own")), ..judged(&drafted, Verdict::Correct(corrected), 20) };

    assert!(store.review(&drafted, &corrected, &[]).await.unwrap());

    let stored = read(&store, drafted.asset.uid, 1).await.unwrap().result.unwrap();
    assert_eq!((stored.annotations.len(), stored.elsewhere), (0, Some(blob("own"))));
    let (draft, given) = (stored.draft.unwrap(), corrected.draft.unwrap());
    assert_eq!((draft.annotations.len(), draft.elsewhere, draft.origins), (0, Some(blob("drafts")), given.origins));
}

/// I6.
async fn an_acceptance_has_deliveries_of_two_events_to_every_webhook(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let events = || vec!["result.accepted".into(), "task.completed".into()];
    let listeners: Vec<Webhook> =
        (0..limits::DELIVERIES as i64 / 2).map(|n| Webhook { events: events(), ..a_webhook(acme(), n) }).collect();
    let accepted = judged(&drafted, Verdict::Accept, 20);
    let deliveries: Vec<_> =
        Event::of_verdict(&drafted, &accepted).flat_map(|event| event.deliveries(&listeners, at(20))).collect();

    assert!(store.review(&drafted, &accepted, &deliveries).await.unwrap());

    assert_eq!(outbox(&store).await.len(), limits::DELIVERIES / 2 * 2);
}

/// So many annotations that hardly pack.
fn many(count: u64) -> Vec<Prediction> {
    let label = |n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..count).map(|n| Prediction { geometry: Geometry::Classification, label: label(n), ..a_car(1.0) }).collect()
}

async fn what_is_too_large_is_no_correction(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let too_many = Verdict::Correct(many(limits::DRAFT_BYTES as u64 / 8).into());

    let lost = store.review(&drafted, &judged(&drafted, too_many, 20), &[]).await;

    assert!(matches!(&lost, Err(Error::Validation(_))), "{lost:?}");
    assert_eq!(read(&store, drafted.asset.uid, 1).await, Some(drafted));
}

async fn what_just_fits_can_still_be_judged(store: Store) {
    let (_, mut item) = drafts(&store, 2).await;
    let (mut fits, mut too_many) = (0, limits::DRAFT_BYTES as u64 / 8);
    while fits + 1 < too_many {
        let middle = u64::midpoint(fits, too_many);
        match store.review(&item, &judged(&item, Verdict::Correct(many(middle).into()), 20), &[]).await {
            Ok(written) => {
                assert!(written);
                fits = middle;
                item = read(&store, item.asset.uid, 1).await.unwrap();
            }
            Err(_) => too_many = middle,
        }
    }

    let long_name: String = many(15).into_iter().map(|annotation| annotation.label).collect();
    let rejected = item.reviewed(Verdict::Reject, &long_name, at(21)).unwrap().unwrap();
    assert!(store.review(&item, &rejected, &[]).await.unwrap());
    assert_eq!(read(&store, item.asset.uid, 1).await.unwrap().result, Some(rejected));
}

/// I6.
async fn a_review_records_its_deliveries_in_one_step(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let listeners: Vec<Webhook> = (0..limits::WEBHOOKS as i64)
        .map(|n| Webhook { events: vec!["result.accepted".into(), "result.rejected".into()], ..a_webhook(acme(), n) })
        .collect();
    let deliveries =
        |reviewed: &LabelResult| Event::of_review(&drafted, reviewed).unwrap().deliveries(&listeners, at(20));
    let accepted = judged(&drafted, Verdict::Accept, 20);

    assert!(store.review(&drafted, &accepted, &deliveries(&accepted)).await.unwrap());
    let sent = outbox(&store).await;
    assert_eq!(sent.len(), listeners.len());

    let too_late = judged(&drafted, Verdict::Reject, 20);
    assert!(!store.review(&drafted, &too_late, &deliveries(&too_late)).await.unwrap());
    assert_eq!(outbox(&store).await, sent);

    let accepted = read(&store, drafted.asset.uid, 1).await.unwrap();
    let rejected = judged(&accepted, Verdict::Reject, 21);
    assert!(store.review(&accepted, &rejected, &deliveries(&rejected)).await.unwrap());
    assert_eq!(outbox(&store).await.len(), 2 * listeners.len()); // another event, other uids
}

async fn of_two_reviews_of_one_reading_one_counts(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    let verdicts = [Verdict::Accept, Verdict::Reject, Verdict::Correct(vec![].into()), Verdict::Reject];

    let mut reviews = JoinSet::new();
    for verdict in verdicts {
        let (store, drafted) = (store.clone(), drafted.clone());
        reviews.spawn(async move { review(&store, &drafted, verdict, 20).await });
    }

    assert_eq!(reviews.join_all().await.into_iter().filter(|written| *written).count(), 1);
    let result = read(&store, drafted.asset.uid, 1).await.unwrap().result.unwrap();
    assert_eq!(result.revision, 1);
    let free = waiting(&store, project).await.contains(&drafted.asset.uid);
    assert_eq!(free, result.status == ResultStatus::Rejected);
}

async fn a_review_of_what_has_changed_since_is_lost(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    assert!(review(&store, &drafted, Verdict::Accept, 20).await);
    let accepted = read(&store, drafted.asset.uid, 1).await.unwrap();
    assert!(review(&store, &accepted, Verdict::Correct(vec![].into()), 21).await);

    for before in [&drafted, &accepted] {
        for verdict in [Verdict::Correct(vec![a_car(0.5)].into()), Verdict::Reject] {
            assert!(!review(&store, before, verdict, 22).await);
        }
    }

    let now = read(&store, drafted.asset.uid, 1).await.unwrap();
    assert_eq!(now.result, Some(judged(&accepted, Verdict::Correct(vec![].into()), 21)));
}

async fn a_rejected_result_is_history_and_its_item_is_unlabeled_again(store: Store) {
    let (project, drafted) = drafts(&store, 3).await;
    let item = drafted.asset.uid;

    assert!(review(&store, &drafted, Verdict::Reject, 20).await);

    // At its old position: jobs take items in the order of their creation.
    let all: Vec<ItemUid> = some_items(project, 3).into_iter().map(|item| item.asset.uid).collect();
    assert_eq!(waiting(&store, project).await, all);
    assert_eq!(store.items(&[item]).await.unwrap(), [Item { result: None, ..drafted.clone() }]);
    assert_eq!(store.results(drafted.organization, project, |_| true, &everything()).await.unwrap().entries, []);
    let rejected = read(&store, item, 1).await.unwrap();
    assert_eq!(rejected, Item { result: Some(judged(&drafted, Verdict::Reject, 20)), ..drafted });
}

async fn an_accepted_result_may_be_rejected(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    assert!(review(&store, &drafted, Verdict::Correct(vec![a_car(1.0)].into()), 20).await);
    let corrected = read(&store, drafted.asset.uid, 1).await.unwrap();

    assert!(review(&store, &corrected, Verdict::Reject, 21).await);

    let rejected = read(&store, drafted.asset.uid, 1).await.unwrap().result.unwrap();
    assert_eq!((rejected.status, rejected.revision), (ResultStatus::Rejected, 2));
    assert_eq!(rejected.annotations, [a_car(1.0)]);
    assert_eq!(waiting(&store, project).await.len(), 2);
}

async fn a_job_drafts_a_rejected_item_again_under_another_uid(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    for generation in 1..4 {
        let before = read(&store, item, generation).await.unwrap();
        assert!(review(&store, &before, Verdict::Reject, 20).await);

        draft(&store, project, item, 30 + i64::from(generation)).await;

        let next = store.items(&[item]).await.unwrap().remove(0).result.unwrap();
        assert_eq!((next.generation, next.revision, next.status), (generation + 1, 0, ResultStatus::Draft));
        assert!(!waiting(&store, project).await.contains(&item));
    }
    // Each rejected one is still found under its own.
    for generation in 1..4 {
        let rejected = read(&store, item, generation).await.unwrap().result.unwrap();
        assert_eq!((rejected.generation, rejected.status), (generation, ResultStatus::Rejected));
    }
}

async fn a_verdict_on_an_earlier_result_does_not_touch_the_next(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    assert!(review(&store, &drafted, Verdict::Reject, 20).await);
    assert!(!review(&store, &drafted, Verdict::Accept, 21).await);
    draft(&store, project, drafted.asset.uid, 30).await;
    let next = read(&store, drafted.asset.uid, 2).await;

    assert!(!review(&store, &drafted, Verdict::Accept, 40).await);
    assert!(!review(&store, &drafted, Verdict::Reject, 40).await);

    assert_eq!(read(&store, drafted.asset.uid, 2).await, next);
}

/// I3.
async fn a_job_skips_an_accepted_item(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    assert!(review(&store, &drafted, Verdict::Accept, 20).await);
    let accepted = read(&store, drafted.asset.uid, 1).await;

    let Commit::Done(receipt) = draft(&store, project, drafted.asset.uid, 30).await else { panic!("not committed") };

    assert_eq!(receipt.tally().skipped, 1);
    assert_eq!(read(&store, drafted.asset.uid, 1).await, accepted);
}

async fn an_accepted_result_may_be_reopened(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    assert!(review(&store, &drafted, Verdict::Accept, 20).await);
    let accepted = read(&store, item, 1).await.unwrap();

    assert!(review(&store, &accepted, Verdict::Reopen, 21).await);
    assert!(!review(&store, &accepted, Verdict::Reopen, 22).await);

    let reopened = read(&store, item, 1).await.unwrap();
    assert_eq!(reopened.result, Some(judged(&accepted, Verdict::Reopen, 21)));
    assert_eq!(waiting(&store, project).await.len(), 1, "a draft is a result");
    assert!(review(&store, &reopened, Verdict::Accept, 23).await);
}

async fn a_rejected_result_comes_back_to_its_item(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    let mut before = drafted;
    for round in 0..2 {
        assert!(review(&store, &before, Verdict::Reject, 20).await);
        let rejected = read(&store, item, 1).await.unwrap();
        assert_eq!(waiting(&store, project).await.len(), 2);

        assert!(review(&store, &rejected, Verdict::Reopen, 21).await);

        let reopened = Item { result: Some(judged(&rejected, Verdict::Reopen, 21)), ..rejected.clone() };
        assert_eq!(store.items(&[item]).await.unwrap(), slice::from_ref(&reopened));
        assert_eq!(read(&store, item, 1).await, Some(reopened.clone()));
        assert_eq!(reopened.result.as_ref().unwrap().revision, 2 * (round + 1));
        assert_eq!(waiting(&store, project).await.len(), 1);
        assert!(!review(&store, &rejected, Verdict::Reopen, 22).await, "it is back already");
        before = reopened;
    }
}

/// I3.
async fn a_rejected_result_does_not_come_back_over_another_one(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    assert!(review(&store, &drafted, Verdict::Reject, 20).await);
    let rejected = read(&store, item, 1).await.unwrap();
    draft(&store, project, item, 30).await;
    let next = read(&store, item, 2).await.unwrap();

    assert!(!review(&store, &rejected, Verdict::Reopen, 40).await);
    assert_eq!(store.items(&[item]).await.unwrap(), slice::from_ref(&next));
    assert!(review(&store, &next, Verdict::Reject, 41).await);
    assert!(!review(&store, &rejected, Verdict::Reopen, 42).await, "the item has no result, and has had another one");
    assert_eq!(read(&store, item, 1).await.map(|found| found.result), Some(rejected.result));
}

/// I12.
async fn a_rejected_draft_does_not_come_back_to_other_bytes(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    assert!(review(&store, &drafted, Verdict::Reject, 20).await);
    assert_eq!(read(&store, item, 1).await.unwrap().reopening().ok(), Some(Verdict::Reopen));

    let before = store.items(&[item]).await.unwrap().remove(0);
    let asset = Asset { changes: before.asset.changes + 1, ..before.asset.clone() };
    let after = Item { asset, file: Some(FileVersion::of("other", Sequence::of("2"))), ..before.clone() };
    assert!(store.change_file(&before, &after, at(30)).await.unwrap());

    let rejected = read(&store, item, 1).await.unwrap();
    assert!(matches!(rejected.reopening(), Err(Error::ResultSuperseded(None))));
    let corrected = rejected.result.map(|result| LabelResult { source: ResultSource::Human, ..result });
    let corrected = Item { result: corrected, ..after };
    assert_eq!(corrected.reopening().ok(), Some(Verdict::Reopen), "a person's work stays hers to bring back");
}

async fn of_two_reopenings_of_one_reading_one_counts(store: Store) {
    let (project, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    assert!(review(&store, &drafted, Verdict::Reject, 20).await);
    let rejected = read(&store, item, 1).await.unwrap();

    let (one, other) =
        tokio::join!(review(&store, &rejected, Verdict::Reopen, 21), review(&store, &rejected, Verdict::Reopen, 22));
    assert!(one != other);

    // Reopened and rejected again, it is not as it was read.
    let reopened = read(&store, item, 1).await.unwrap();
    assert!(review(&store, &reopened, Verdict::Reject, 23).await);
    assert!(!review(&store, &rejected, Verdict::Reopen, 24).await);
    assert_eq!(read(&store, item, 1).await.unwrap().result.unwrap().revision, 3);
    assert_eq!(waiting(&store, project).await.len(), 2);
}

async fn results_are_listed_with_those_that_were_rejected_last(store: Store) {
    let project = a_project();
    let items = unlabeled(&store, project, 5).await;
    for item in &items[..4] {
        draft(&store, project, *item, 0).await;
    }
    let mark = Some(SweepUid::at(at(20)));
    for item in [items[1], items[2], items[3]] {
        let drafted = read(&store, item, 1).await.unwrap();
        let rejected = LabelResult { sweep: mark, ..judged(&drafted, Verdict::Reject, 20) };
        assert!(store.review(&drafted, &rejected, &[]).await.unwrap());
    }
    draft(&store, project, items[2], 30).await; // another one since
    let again = read(&store, items[2], 2).await.unwrap();
    assert!(store.discard_draft(&again).await.unwrap()); // and that one is gone
    draft(&store, project, items[3], 31).await;

    let page = store.results_and_rejected(acme(), project, &everything()).await.unwrap().entries;

    let seen = |item: &Item| item.result.as_ref().map(|result| (item.asset.uid, result.generation, result.sweep));
    let mut seen: Vec<_> = page.iter().filter_map(seen).collect();
    seen.sort_by_key(|(item, ..)| items.iter().position(|uid| uid == item));
    assert_eq!(seen, [(items[0], 1, None), (items[1], 1, mark), (items[3], 2, None)]);
}

/// I12.
async fn a_draft_that_was_corrected_and_reopened_is_not_discarded_as_it_was(store: Store) {
    let (_, drafted) = drafts(&store, 2).await;
    let item = drafted.asset.uid;
    assert!(review(&store, &drafted, Verdict::Correct(vec![a_car(1.0)].into()), 20).await);
    assert!(review(&store, &read(&store, item, 1).await.unwrap(), Verdict::Reopen, 21).await);
    let reopened = read(&store, item, 1).await;

    assert!(!store.discard_draft(&drafted).await.unwrap());

    assert_eq!(read(&store, item, 1).await, reopened);
}

fn by_hand(item: &Item, annotations: Vec<Prediction>) -> LabelResult {
    item.labeled_by_hand(annotations, "ann", at(20)).unwrap().unwrap()
}

/// A project with an item that has no result.
async fn an_unlabeled_item(store: &Store) -> (ProjectUid, Item) {
    let project = a_project();
    let item = unlabeled(store, project, 1).await[0];
    (project, store.items(&[item]).await.unwrap().remove(0))
}

/// I3.
async fn a_result_by_hand_takes_its_item_from_the_jobs(store: Store) {
    let (project, item) = an_unlabeled_item(&store).await;
    let uid = item.asset.uid;
    let given = by_hand(&item, vec![a_car(1.0)]);
    let listener = Webhook { events: vec!["result.accepted".into()], ..a_webhook(acme(), 1) };
    let deliveries = Event::of_review(&item, &given).unwrap().deliveries(&[listener], at(20));

    assert!(store.label(&item, &given, &deliveries).await.unwrap());

    let labeled = Item { generation: 1, result: Some(given.clone()), ..item.clone() };
    assert_eq!(store.items(&[uid]).await.unwrap(), slice::from_ref(&labeled));
    assert_eq!(store.result(given.uid(uid)).await.unwrap(), Some(labeled.clone()));
    assert_eq!((waiting(&store, project).await, outbox(&store).await.len()), (vec![], 1));
    let Commit::Done(receipt) = draft(&store, project, uid, 30).await else { panic!("not committed") };
    assert_eq!(receipt.tally().skipped, 1);
    // A review of it is one like any other, and its item is unlabeled after its end.
    assert!(review(&store, &labeled, Verdict::Correct(vec![].into()), 40).await);
    let corrected = read(&store, uid, 1).await.unwrap();
    assert!(review(&store, &corrected, Verdict::Reject, 41).await);
    assert_eq!(waiting(&store, project).await, [uid]);
}

/// I3.
async fn of_a_job_and_a_person_at_once_the_first_wins(store: Store) {
    let (project, item) = an_unlabeled_item(&store).await;
    let given = by_hand(&item, vec![]);

    let (person, other) = tokio::join!(store.label(&item, &given, &[]), store.label(&item, &given, &[]));
    assert_eq!(u8::from(person.unwrap()) + u8::from(other.unwrap()), 1);

    let late = store.items(&unlabeled(&store, project, 2).await).await.unwrap().remove(1);
    draft(&store, project, late.asset.uid, 30).await;
    let drafted = store.items(&[late.asset.uid]).await.unwrap();
    assert!(!store.label(&late, &by_hand(&late, vec![]), &[]).await.unwrap());
    assert_eq!(store.items(&[late.asset.uid]).await.unwrap(), drafted);
}

async fn a_result_by_hand_has_no_uid_of_an_earlier_result(store: Store) {
    let (project, item) = an_unlabeled_item(&store).await;
    let uid = item.asset.uid;
    draft(&store, project, uid, 0).await;
    assert!(review(&store, &read(&store, uid, 1).await.unwrap(), Verdict::Reject, 10).await);

    assert!(!store.label(&item, &by_hand(&item, vec![]), &[]).await.unwrap(), "a draft came and went since");
    let now = store.items(&[uid]).await.unwrap().remove(0);
    assert!(store.label(&now, &by_hand(&now, vec![]), &[]).await.unwrap());

    assert_eq!(read(&store, uid, 1).await.unwrap().result.unwrap().status, ResultStatus::Rejected);
    assert_eq!(read(&store, uid, 2).await.unwrap().result.unwrap().source, ResultSource::Human);
}

/// The draft of an item goes as each writer takes it, in turn: rejected, discarded, withdrawn with its file.
async fn end_draft(store: &Store, before: &Item) {
    let result = before.result.as_ref().unwrap();
    match result.generation % 3 {
        0 => assert!(review(store, before, Verdict::Reject, 20).await),
        1 => assert!(store.discard_draft(before).await.unwrap()),
        _ => {
            let after = uploaded(before, ("one", &format!("{:08}", result.generation)));
            let after = Item { result: None, ..after };
            assert!(store.change_file(before, &after, at(20)).await.unwrap());
        }
    }
}

async fn set_generation(client: &aws_sdk_dynamodb::Client, table: &str, item: ItemUid, generation: u32) {
    let key = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
    client
        .update_item()
        .table_name(table)
        .set_key(Some([key("pk", format!("ITEM#{item}")), key("sk", "ITEM".to_owned())].into()))
        .update_expression("SET generation = :generation")
        .expression_attribute_values(":generation", AttributeValue::N(generation.to_string()))
        .send()
        .await
        .unwrap();
}

/// A camera that overwrites its file, and a person who rejects: thousands of results, each with a uid of its own.
#[tokio::test]
async fn an_item_with_thousands_of_results_lists_shows_and_reviews_right() {
    for (store, client, table) in dynamodb::both_bare().await {
        let project = a_project();
        let item = unlabeled(&store, project, 1).await[0];
        let mut uids = HashMap::new();
        // Each query is made as it is in life; between them nothing but the count is written.
        for query in [1..=4, 4_093..=4_099, 4_998..=5_003, 9_998..=10_002, 65_534..=65_538, 1_000_000..=1_000_002] {
            set_generation(&client, &table, item, query.start() - 1).await;
            for generation in query {
                draft(&store, project, item, 30).await;
                let listed = store.results(acme(), project, |_| true, &everything()).await.unwrap().entries;
                assert_eq!(listed.len(), 1);
                let result = listed[0].result.as_ref().unwrap();
                assert_eq!((result.generation, result.status), (generation, ResultStatus::Draft));
                let uid = result.uid(item);
                assert_eq!(store.result(uid).await.unwrap().as_ref(), Some(&listed[0]), "{generation}");
                assert_eq!(uids.insert(uid, generation), None, "its uid named another result");
                end_draft(&store, &listed[0]).await;
            }
        }
        // Rejected ones are still found, each under its own uid; the others are gone, and their uids name nothing.
        for (uid, generation) in uids {
            let found = store.result(uid).await.unwrap().and_then(|item| item.result);
            let expected = (generation % 3 == 0).then_some((generation, ResultStatus::Rejected));
            assert_eq!(found.map(|result| (result.generation, result.status)), expected);
        }
        // A correction of a late result, and no other item.
        draft(&store, project, item, 40).await;
        let late = store.items(&[item]).await.unwrap().remove(0);
        assert!(review(&store, &late, Verdict::Correct(vec![a_car(1.0)].into()), 50).await);
        let uid = late.result.as_ref().unwrap().uid(item);
        let corrected = store.result(uid).await.unwrap().unwrap().result.unwrap();
        assert_eq!((corrected.generation, corrected.status), (1_000_003, ResultStatus::Accepted));
        let other = ItemUid::of(project, "another.jpg");
        assert_eq!(store.result(ResultUid::of(other, 5_000)).await.unwrap(), None);
    }
}

//! The review queue on the table: what is in it and what leaves it, and of whom a claim is.

use shared::domain::access::api_key::KeyHash;
use shared::domain::id::{ItemUid, ProjectUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::item::result::Verdict;
use shared::domain::item::review_queue::{Queued, Reviewer};
use shared::domain::job::JobSpec;
use shared::domain::job_status::JobStatus;
use shared::domain::{Error, Timestamp};
use shared::ports::{Commit, Drafts, Ledger, Results, ReviewQueue, Slice, Uploads};
use shared::store::Store;
use tokio::task::JoinSet;

use super::dynamodb;
use super::faulty::Fate;
use super::making::*;

on_both!(
    a_chunk_with_drafts_is_in_the_queue,
    what_has_no_draft_is_not_in_it,
    entries_are_read_page_by_page_in_both_orders,
    an_entry_without_drafts_leaves,
    a_reopened_draft_is_in_the_queue_again,
    a_draft_that_is_reopened_twice_does_not_leave_with_its_first_entry,
    of_many_claims_at_once_one_is_made,
    a_claim_of_what_was_reviewed_meanwhile_is_lost,
    each_change_of_a_draft_ends_its_claim,
    a_claim_does_not_touch_the_result,
    a_persons_claims_are_remembered,
);

fn a_reviewer(name: &str) -> Reviewer {
    Reviewer { key: KeyHash::of(name), name: name.to_owned() }
}

/// A job that leaves drafts of `items`, in chunks of two.
async fn job(store: &Store, spec: &JobSpec, items: &[ItemUid]) {
    running(store, spec, u32::try_from(items.len()).unwrap()).await;
    for (n, items) in (0..).zip(items.chunks(2)) {
        let chunk = a_chunk(spec.uid, n, items.iter().map(|item| drafted(*item)).collect());
        assert!(matches!(store.commit(spec, "bot", chunk, at(5)).await.unwrap(), Commit::Done(_)));
    }
    end(store, spec.uid, JobStatus::Completed).await;
}

/// A project with so many drafts, in chunks of two.
async fn drafts(store: &Store, count: usize) -> (ProjectUid, Vec<ItemUid>) {
    let project = a_project();
    let items = unlabeled(store, project, count).await;
    job(store, &a_spec(project, 0), &items).await;
    (project, items)
}

async fn entries(store: &Store, project: ProjectUid) -> Vec<String> {
    store.entries(project, &everything()).await.unwrap().entries
}

/// The items of all entries.
async fn queued(store: &Store, project: ProjectUid) -> Vec<Vec<ItemUid>> {
    store.drafted(&entries(store, project).await).await.unwrap()
}

async fn one(store: &Store, item: ItemUid) -> Queued {
    store.queued(&[item]).await.unwrap().remove(0)
}

async fn claim(store: &Store, read: &Queued, name: &str, now: Timestamp) -> bool {
    store.mark(read, &read.claimed(&a_reviewer(name), now)).await.unwrap()
}

async fn review(store: &Store, item: &Item, verdict: Verdict, second: i64) {
    let reviewed = item.reviewed(verdict, "ann", at(second)).unwrap().unwrap();
    assert!(store.review(item, &reviewed, &[]).await.unwrap());
}

async fn a_chunk_with_drafts_is_in_the_queue(store: Store) {
    let (project, items) = drafts(&store, 5).await;
    let later = a_spec(project, 20);
    let more = ItemUid::of(project, "later");
    running(&store, &later, 3).await;
    let chunk = a_chunk(later.uid, 0, vec![failed(items[0]), skipped(more), None]);
    store.commit(&later, "bot", chunk, at(21)).await.unwrap();

    assert_eq!(queued(&store, project).await, [&items[..2], &items[2..4], &items[4..]], "no entry without drafts");
    let items_read = store.queued(&[items[3], more, items[0]]).await.unwrap();
    assert_eq!(items_read.iter().map(|read| read.item.asset.uid).collect::<Vec<_>>(), [items[3], items[0]]);
    assert!(items_read.iter().all(|read| read.is_draft() && read.marks.is_none() && read.json_bytes > 0));
}

/// I8.
async fn what_has_no_draft_is_not_in_it(store: Store) {
    let project = a_project();
    let items = unlabeled(&store, project, 3).await;
    let dry = JobSpec { dry_run: true, ..a_spec(project, 0) };
    job(&store, &dry, &items).await;
    let skipping = a_spec(project, 20);
    running(&store, &skipping, 3).await;
    let chunk = a_chunk(skipping.uid, 0, vec![skipped(items[0]), failed(items[1])]);
    store.commit(&skipping, "bot", chunk, at(21)).await.unwrap();

    assert_eq!(entries(&store, project).await, Vec::<String>::new());
    assert_eq!(entries(&store, ProjectUid::at(at(99))).await, Vec::<String>::new());
}

async fn entries_are_read_page_by_page_in_both_orders(store: Store) {
    let (project, _) = drafts(&store, 9).await;
    let all = entries(&store, project).await;
    assert_eq!(all.len(), 5);

    for ascending in [true, false] {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = store.entries(project, &Slice { after, limit: 2, ascending, backward: false }).await.unwrap();
            read.extend(page.entries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if !ascending {
            read.reverse();
        }
        assert_eq!(read, all);
    }
    let forged = Slice { after: Some("~~".into()), limit: 2, ..Slice::default() };
    assert!(matches!(store.entries(project, &forged).await, Err(Error::InvalidCursor)));
}

async fn an_entry_without_drafts_leaves(store: Store) {
    let (project, items) = drafts(&store, 4).await;
    let all = entries(&store, project).await;

    store.leave(&all[..1]).await.unwrap();
    store.leave(&all[..1]).await.unwrap();

    assert_eq!(queued(&store, project).await, [&items[2..]]);
    assert_eq!(store.drafted(&all).await.unwrap(), [&items[..2], &items[2..]], "the receipts stay");
    assert!(store.drafted(&["x".into(), "a#b".into()]).await.unwrap().iter().all(Vec::is_empty));
}

async fn a_reopened_draft_is_in_the_queue_again(store: Store) {
    let (project, items) = drafts(&store, 2).await;
    for (verdict, item, second) in [(Verdict::Accept, items[0], 30), (Verdict::Reject, items[1], 31)] {
        review(&store, &one(&store, item).await.item, verdict, second).await;
    }
    store.leave(&entries(&store, project).await).await.unwrap();
    assert_eq!(queued(&store, project).await, Vec::<Vec<ItemUid>>::new());

    for (item, second) in [(items[1], 40), (items[0], 41)] {
        let reviewed = store.result(ResultUid::of(item, 1)).await.unwrap().unwrap();
        review(&store, &reviewed, Verdict::Reopen, second).await;
    }

    assert_eq!(queued(&store, project).await, [vec![items[1]], vec![items[0]]], "in the order of their reopening");
    assert!(one(&store, items[0]).await.is_draft() && one(&store, items[1]).await.is_draft());
    store.leave(&entries(&store, project).await).await.unwrap();
    assert_eq!(entries(&store, project).await, Vec::<String>::new());
}

async fn a_draft_that_is_reopened_twice_does_not_leave_with_its_first_entry(store: Store) {
    let (project, items) = drafts(&store, 1).await;
    let again = async |second: i64| {
        review(&store, &one(&store, items[0]).await.item, Verdict::Accept, second).await;
        review(&store, &one(&store, items[0]).await.item, Verdict::Reopen, second + 1).await;
    };
    again(30).await;
    let read = entries(&store, project).await;
    again(40).await;

    store.leave(&read).await.unwrap();

    assert_eq!(
        queued(&store, project).await,
        [[items[0]]],
        "the chunk's entry has left, the second reopening's has not"
    );
}

async fn of_many_claims_at_once_one_is_made(store: Store) {
    let (_, items) = drafts(&store, 1).await;
    let read = one(&store, items[0]).await;

    for round in 0..3 {
        let read = if round == 0 { read.clone() } else { one(&store, items[0]).await };
        let now = at(100 + 600 * round);
        let mut claims = JoinSet::new();
        for n in 0..8 {
            let (store, read) = (store.clone(), read.clone());
            claims.spawn(async move { (n, claim(&store, &read, &format!("person {n}"), now).await) });
        }
        let made: Vec<i32> = claims.join_all().await.into_iter().filter_map(|(n, made)| made.then_some(n)).collect();

        let [holder] = made[..] else { panic!("{made:?}") };
        let claimed = one(&store, items[0]).await;
        assert!(claimed.is_claimed_by(&a_reviewer(&format!("person {holder}"))));
        assert_eq!(claimed.claim(now).unwrap().until, at(700 + 600 * round));
    }
    assert!(!claim(&store, &read, "person 9", at(9_999)).await, "what was read first is long over");
}

async fn a_claim_of_what_was_reviewed_meanwhile_is_lost(store: Store) {
    let (_, items) = drafts(&store, 3).await;
    let [first, second, third] = items[..] else { panic!("{items:?}") };
    let mut read = store.queued(&items).await.unwrap();
    review(&store, &read[0].item, Verdict::Accept, 20).await;
    review(&store, &read[1].item, Verdict::Reject, 20).await;
    assert!(store.discard_draft(&read[2].item).await.unwrap());

    for read in &read {
        assert!(!claim(&store, read, "ann", at(21)).await);
    }

    read = store.queued(&[first, second, third]).await.unwrap();
    assert!(read.iter().all(|read| read.marks.is_none() && !read.is_draft()));
}

async fn each_change_of_a_draft_ends_its_claim(store: Store) {
    let (_, items) = drafts(&store, 5).await;
    for item in &items {
        let read = one(&store, *item).await;
        assert!(claim(&store, &read, "ann", at(10)).await);
    }
    let read = store.queued(&items).await.unwrap();
    assert!(read.iter().all(|read| read.marks.is_some()));

    review(&store, &read[0].item, Verdict::Accept, 20).await;
    review(&store, &read[1].item, Verdict::Correct(vec![].into()), 20).await;
    review(&store, &read[2].item, Verdict::Reject, 20).await;
    assert!(store.discard_draft(&read[3].item).await.unwrap());
    let overwritten = uploaded(&uploaded(&read[4].item, ("a", "01")), ("b", "02"));
    assert!(overwritten.result.is_none(), "other bytes withdraw a draft");
    assert!(store.change_file(&read[4].item, &overwritten, at(20)).await.unwrap());

    let read = store.queued(&items).await.unwrap();
    assert!(read.iter().all(|read| read.marks.is_none()), "{read:?}");
}

async fn a_claim_does_not_touch_the_result(store: Store) {
    let (_, items) = drafts(&store, 1).await;
    let read = one(&store, items[0]).await;

    assert!(claim(&store, &read, "ann", at(10)).await);
    let claimed = one(&store, items[0]).await;
    assert_eq!(claimed.item, read.item);
    let skips = claimed.skipped(&a_reviewer("bob"), Some("dark".into()), at(11));
    assert!(store.mark(&claimed, &skips).await.unwrap());
    assert_eq!(one(&store, items[0]).await.marks, Some(skips));

    review(&store, &read.item, Verdict::Accept, 20).await; // of another person, as it was read before
}

async fn a_persons_claims_are_remembered(store: Store) {
    let (project, other) = (a_project(), ProjectUid::at(at(50)));
    let items: Vec<ItemUid> = (0..100).map(|n| ItemUid::of(project, &n.to_string())).collect();
    let (ann, bob) = (a_reviewer("ann"), a_reviewer("bob"));

    store.remember_claims(project, &ann, &items, at(1)).await.unwrap();
    store.remember_claims(project, &bob, &items[..1], at(1)).await.unwrap();
    store.remember_claims(project, &bob, &items[1..3], at(2)).await.unwrap();

    assert_eq!(store.claims(project, &ann).await.unwrap(), items);
    assert_eq!(store.claims(project, &bob).await.unwrap(), items[1..3]);
    assert!(store.claims(other, &ann).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_claim_survives_a_conflict_and_a_lost_answer() {
    for fates in [vec![Fate::Conflict, Fate::Conflict], vec![Fate::AnswerLost]] {
        let (store, faulty) = dynamodb::faulty(&fates).await;
        let (_, items) = drafts(&store, 1).await;
        let read = one(&store, items[0]).await;

        assert!(claim(&faulty, &read, "ann", at(10)).await, "{fates:?}");

        assert!(one(&store, items[0]).await.is_claimed_by(&a_reviewer("ann")));
    }
}

use std::time::{Duration, Instant};

use shared::domain::Error;
use shared::domain::id::{ItemUid, OrganizationUid};
use shared::domain::item::result::{ResultStatus, Verdict};
use shared::domain::item::{Asset, Item};
use shared::domain::job_status::JobStatus;
use shared::domain::prediction::size::Size;
use shared::ports::{Items, Ledger, Results, Slice};
use shared::store::Store;

use super::dynamodb;
use super::faulty::Fate;
use super::making::*;

on_both!(
    unlabeled_items_come_in_the_order_of_their_creation,
    an_item_with_a_draft_is_not_unlabeled_any_more,
    an_item_added_twice_stays_as_it_was,
    an_item_added_again_keeps_its_result,
    a_size_that_was_read_is_kept_with_the_draft,
    items_are_read_in_the_order_of_the_question,
    lists_of_items_lose_none_and_repeat_none,
    results_are_the_items_that_have_one,
);

/// Enough that each of the index's shards has some.
const MANY: usize = 30;

async fn unlabeled_items_come_in_the_order_of_their_creation(store: Store) {
    let project = a_project();
    let items = some_items(project, MANY);
    let mut shuffled = items.clone();
    shuffled.sort_by_key(|item| item.asset.uid); // derived from a hash: no order that means anything
    stored(store.add_items(&shuffled).await);
    stored(store.add_items(&some_items(a_project(), 3)).await);

    let assets: Vec<Asset> = items.into_iter().map(|item| item.asset).collect();
    assert_eq!(waiting_assets(&store, project).await, assets);
    assert_eq!(waiting(&store, a_project()).await, []);
}

/// Contract D10.
async fn an_item_with_a_draft_is_not_unlabeled_any_more(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 4).await;
    let items = unlabeled(&store, spec.project, 4).await;

    let outcomes = vec![drafted(items[0]), failed(items[1]), skipped(items[2])];
    store.commit(&spec, "bot", a_chunk(spec.uid, 0, outcomes), at(2)).await.unwrap();

    assert_eq!(waiting(&store, spec.project).await, items[1..]);
}

async fn an_item_added_twice_stays_as_it_was(store: Store) {
    let first = some_items(a_project(), 2);
    stored(store.add_items(&first[..1]).await);
    let mut second = first.clone();
    second[0].created_at = at(100);
    second[0].asset.size = Some(Size { width: 1, height: 1 });

    let there = stored(store.add_items(&second).await);

    assert_eq!(there, [Some(first[0].clone()), None]);
    let uids: Vec<ItemUid> = first.iter().map(|item| item.asset.uid).collect();
    assert_eq!(store.items(&uids).await.unwrap(), first);
    assert_eq!(waiting(&store, first[0].project).await.len(), 2);
}

/// I3.
async fn an_item_added_again_keeps_its_result(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 1).await;
    let items = unlabeled(&store, spec.project, 1).await;
    store.commit(&spec, "bot", a_chunk(spec.uid, 0, vec![drafted(items[0])]), at(2)).await.unwrap();
    let before = store.items(&items).await.unwrap();
    assert!(before[0].result.is_some());

    stored(store.add_items(&some_items(spec.project, 1)).await);

    assert_eq!(store.items(&items).await.unwrap(), before);
    assert_eq!(waiting(&store, spec.project).await, []);
}

async fn a_size_that_was_read_is_kept_with_the_draft(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 3).await;
    let mut items = some_items(spec.project, 3);
    items.iter_mut().for_each(|item| item.asset.size = None);
    stored(store.add_items(&items).await);
    let uids: Vec<ItemUid> = items.iter().map(|item| item.asset.uid).collect();
    let size = Some(Size { width: 7, height: 9 });
    let mut outcomes = vec![drafted(uids[0]), skipped(uids[1]), None];
    for (commit, item) in outcomes.iter_mut().zip(&items) {
        commit.iter_mut().for_each(|commit| commit.measured = Some(Asset { size, ..item.asset.clone() }));
    }

    store.commit(&spec, "bot", a_chunk(spec.uid, 0, outcomes), at(2)).await.unwrap();

    let sizes: Vec<Option<Size>> = store.items(&uids).await.unwrap().into_iter().map(|item| item.asset.size).collect();
    assert_eq!(sizes, [size, None, None]);
    // A rejection brings the item back with what is known of it by now.
    let labeled = store.items(&uids[..1]).await.unwrap().remove(0);
    let rejected = labeled.result.clone().unwrap().reviewed(Verdict::Reject, "person", at(3)).unwrap().unwrap();
    assert!(store.review(&labeled, &rejected, &[]).await.unwrap());
    assert_eq!(waiting_assets(&store, spec.project).await[0], Asset { size, ..items[0].asset.clone() });
}

/// A busy table gives all keys back, six times here: a second of pauses and more.
#[tokio::test]
async fn rows_that_a_busy_table_leaves_out_are_asked_for_again() {
    let (store, busy) = dynamodb::faulty(&[Fate::Unprocessed; 6]).await;
    let items = some_items(a_project(), 3);
    stored(store.add_items(&items).await);
    let uids: Vec<ItemUid> = items.iter().map(|item| item.asset.uid).collect();
    let begun = Instant::now();

    assert_eq!(busy.items(&uids).await.unwrap(), items);

    assert!(begun.elapsed() > Duration::from_millis(500), "it was given time: {:?}", begun.elapsed());
    let (_, down) = dynamodb::faulty(&[Fate::Unprocessed; 100]).await;
    let begun = Instant::now();
    assert!(matches!(down.items(&uids).await, Err(Error::StoreUnavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(10), "a client may be waiting: {:?}", begun.elapsed());
}

async fn items_are_read_in_the_order_of_the_question(store: Store) {
    // More than one call reads.
    let items = some_items(a_project(), 110);
    stored(store.add_items(&items).await);
    let backwards: Vec<Item> = items.into_iter().rev().collect();
    let mut uids: Vec<ItemUid> = backwards.iter().map(|item| item.asset.uid).collect();
    uids.insert(3, ItemUid::of(a_project(), "unknown.jpg"));

    assert_eq!(store.items(&uids).await.unwrap(), backwards);
    assert_eq!(store.items(&[]).await.unwrap(), []);
    // DynamoDB refuses a call that names a row twice.
    assert_eq!(store.items(&[uids[0], uids[1], uids[0]]).await.unwrap(), backwards[..2]);
}

async fn lists_of_items_lose_none_and_repeat_none(store: Store) {
    let organization = OrganizationUid::named("with lists of its own");
    let mut projects = [a_project(), a_project()];
    projects.sort_unstable();
    let items = projects.map(|project| some_items(project, 5).into_iter().map(|item| Item { organization, ..item }));
    let [first, second] = items.map(Iterator::collect::<Vec<Item>>);
    let both = [first.clone(), second.clone()].concat();
    stored(store.add_items(&both).await);
    let of = async |project, slice: Slice| store.items_of(organization, project, &slice).await;

    assert_pages(async |slice| of(Some(projects[0]), slice).await, |item| item, &first).await;
    assert_pages(async |slice| of(Some(projects[1]), slice).await, |item| item, &second).await;
    assert_pages(async |slice| of(None, slice).await, |item| item, &both).await;

    // Another organization's project has no items (I10), and a position in one list is none in another.
    assert_pages(async |slice| store.items_of(acme(), Some(projects[0]), &slice).await, |item| item, &[]).await;
    let slice = Slice { limit: 1, ..Slice::default() };
    let after = of(Some(projects[0]), slice.clone()).await.unwrap().next;
    let elsewhere = of(Some(projects[1]), Slice { after, ..slice }).await;
    assert!(matches!(elsewhere, Err(Error::InvalidCursor)), "{elsewhere:?}");
}

async fn results_are_the_items_that_have_one(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 6).await;
    let items = unlabeled(&store, spec.project, 6).await;
    let outcomes = vec![drafted(items[1]), drafted(items[4]), skipped(items[5])];
    store.commit(&spec, "bot", a_chunk(spec.uid, 0, outcomes), at(2)).await.unwrap();
    end(&store, spec.uid, JobStatus::Failed).await;

    let drafts = async |slice| {
        store.results(spec.organization, spec.project, |result| result.status == ResultStatus::Draft, &slice).await
    };
    assert_pages(drafts, |item| item.asset.uid, &[items[1], items[4]]).await;
    let accepted = async |slice| {
        store.results(spec.organization, spec.project, |result| result.status == ResultStatus::Accepted, &slice).await
    };
    assert_pages(accepted, |item| item.asset.uid, &[]).await;
}

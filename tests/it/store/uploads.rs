use std::collections::HashSet;

use futures_util::TryStreamExt;
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::file_version::Digest;
use shared::domain::item::file_version::FileVersion;
use shared::domain::item::file_version::Sequence;
use shared::domain::item::result::Verdict;
use shared::domain::item::{Asset, Item, SizeOrigin};
use shared::domain::prediction::orientation::Orientation;
use shared::domain::prediction::size::Size;
use shared::domain::project::{Project, ProjectChange};
use shared::domain::upload::{Effect, RejectedUpload, Rejection};
use shared::ports::{Drafts, Items, Projects, Results, UnlabeledQuery, Uploads, WaitingUploads};
use shared::store::Store;

use super::making::*;

on_both!(
    a_project_is_its_owners_alone,
    a_project_takes_uploads_from_the_moment_on_that_it_says_so,
    a_file_is_changed_only_as_it_was_read,
    a_deleted_file_leaves_the_unlabeled_items_and_comes_back,
    the_same_bytes_again_leave_an_item_where_it_waits,
    a_review_and_an_undo_at_the_moment_of_a_deletion_read_again,
    notes_of_rejected_uploads_are_their_projects_own,
    an_item_that_moves_while_a_job_walks_the_index_is_met_once,
);

/// Items of each shard: one more than a read gives.
const ONE_MORE: usize = 1_001;

/// I1. As Plan reads it: what is young first, then what is older.
async fn an_item_that_moves_while_a_job_walks_the_index_is_met_once(store: Store) {
    let project = a_project();
    let mut room = [ONE_MORE; 4];
    let items: Vec<Item> = some_items(project, 6 * ONE_MORE)
        .into_iter()
        .filter(|item| {
            let left = &mut room[usize::from(item.asset.uid.shard(4))];
            let takes = *left > 0;
            *left -= usize::from(takes);
            takes
        })
        .collect();
    assert_eq!((room, items.len()), ([0; 4], 4 * ONE_MORE));
    stored(store.add_items(&items).await);
    let young = UnlabeledQuery { since: Some(at(90)), until: Some(at(110)), ..UnlabeledQuery::default() };
    let old = UnlabeledQuery { until: Some(at(90)), ..UnlabeledQuery::default() };
    let of = async |query: &UnlabeledQuery| -> Vec<(String, Asset)> {
        store.unlabeled(project, query.clone()).try_concat().await.unwrap()
    };
    assert_eq!(of(&young).await, []);

    // Both walks have read the first batch when the first item of it moves to the end.
    let mut walk = std::pin::pin!(store.unlabeled(project, old.clone()));
    let mut met = walk.try_next().await.unwrap().unwrap();
    let mut unbounded = std::pin::pin!(store.unlabeled(project, UnlabeledQuery::default()));
    let mut met_unbounded = unbounded.try_next().await.unwrap().unwrap();
    assert!(store.change_file(&items[0], &uploaded(&items[0], ("one", "1")), at(100)).await.unwrap());
    while let Some(more) = walk.try_next().await.unwrap() {
        met.extend(more);
    }
    while let Some(more) = unbounded.try_next().await.unwrap() {
        met_unbounded.extend(more);
    }

    let uids: HashSet<ItemUid> = met.iter().map(|(_, asset)| asset.uid).collect();
    assert_eq!((met.len(), uids.len()), (items.len(), items.len()));
    assert_eq!(met_unbounded.len(), items.len() + 1, "a walk without an end meets it twice");
    // And it is among the young ones of the next job, at the one position that it has now.
    assert_eq!(of(&young).await.into_iter().map(|(_, asset)| asset.uid).collect::<Vec<_>>(), [items[0].asset.uid]);
    assert_eq!(of(&old).await.len(), items.len() - 1);
}

pub(super) async fn a_stored_project(store: &Store) -> Project {
    let body = br#"{"name": "Camera", "auto_label_on_upload": {}}"#;
    let project = Project::read(body, acme(), at(0)).unwrap();
    store.add_project(&project).await.unwrap();
    project
}

pub(super) fn version(etag: &str, sequencer: &str) -> Option<FileVersion> {
    Some(FileVersion::of(etag, Sequence::of(sequencer)))
}

async fn read(store: &Store, uid: ItemUid) -> Item {
    store.items(&[uid]).await.unwrap().remove(0)
}

async fn waiting(store: &Store, project: ProjectUid) -> Vec<ItemUid> {
    let found: Vec<(String, Asset)> = store.unlabeled(project, UnlabeledQuery::default()).try_concat().await.unwrap();
    found.into_iter().map(|(_, asset)| asset.uid).collect()
}

async fn a_project_is_its_owners_alone(store: Store) {
    let project = a_stored_project(&store).await;

    assert_eq!(store.owner(project.uid).await.unwrap(), Some(acme()));
    assert_eq!(store.owner(a_project()).await.unwrap(), None);

    // I10: a change by another tenant does not make it the owner.
    let change = ProjectChange { auto_label_on_upload: Some(None), ..ProjectChange::default() };
    assert!(store.change_project(other(), project.uid, &change, at(1)).await.is_err());
    let unknown = a_project();
    assert!(store.change_project(other(), unknown, &change, at(1)).await.is_err());
    assert_eq!(store.owner(unknown).await.unwrap(), None);
}

async fn a_project_takes_uploads_from_the_moment_on_that_it_says_so(store: Store) {
    let project = a_stored_project(&store).await;
    let taken_until = async || store.backlog(acme(), project.uid).await.unwrap().taken_until;
    let begun = taken_until().await;
    assert!(begun.is_some());

    let setting = project.auto_label_on_upload.clone();
    let change = ProjectChange { auto_label_on_upload: Some(setting), ..ProjectChange::default() };
    store.change_project(acme(), project.uid, &change, at(10)).await.unwrap();
    assert_eq!(taken_until().await, begun, "what has arrived since still waits");

    let off = ProjectChange { auto_label_on_upload: Some(None), ..ProjectChange::default() };
    store.change_project(acme(), project.uid, &off, at(20)).await.unwrap();
    assert_eq!(taken_until().await, None);
    store.change_project(acme(), project.uid, &change, at(30)).await.unwrap();
    assert!(taken_until().await > begun);
}

async fn a_file_is_changed_only_as_it_was_read(store: Store) {
    let project = a_project();
    let item = some_items(project, 1).remove(0);
    stored(store.add_items(std::slice::from_ref(&item)).await);
    let size = Some(Size { width: 7, height: 8 });
    let origin = SizeOrigin { orientation: Some(Orientation::Rotated90), ..SizeOrigin::default() };
    let file = version("two", "2").map(|file| FileVersion {
        size_bytes: Some(9),
        digest: Some(Digest::of("crc64nvme", "x")),
        ..file
    });
    let new = Item { file, asset: Asset { size, origin, ..item.asset.clone() }, ..item.clone() };
    let Effect::Changed(after) = item.uploaded(&new) else { panic!("news") };

    assert!(store.change_file(&item, &after, at(5)).await.unwrap());
    assert!(!store.change_file(&item, &after, at(5)).await.unwrap(), "it is not as it was read any more");
    assert_eq!(read(&store, item.asset.uid).await, *after);

    // A draft of the bytes before goes, and the item waits again.
    let spec = a_spec(project, 0);
    running(&store, &spec, 1).await;
    let chunk = a_chunk(spec.uid, 0, vec![drafted(item.asset.uid)]);
    shared::ports::Ledger::commit(&store, &spec, "bot", chunk, at(6)).await.unwrap();
    let labeled = read(&store, item.asset.uid).await;
    assert!(!store.change_file(&after, &after, at(7)).await.unwrap(), "it was labeled meanwhile (I3)");
    let Effect::Changed(after) = labeled.uploaded(&Item { file: version("three", "3"), ..new }) else { panic!("news") };
    assert!(store.change_file(&labeled, &after, at(8)).await.unwrap());
    assert_eq!(waiting(&store, project).await, [item.asset.uid]);
    assert!(read(&store, item.asset.uid).await.result.is_none());
}

async fn a_deleted_file_leaves_the_unlabeled_items_and_comes_back(store: Store) {
    let project = a_project();
    let item = some_items(project, 1).remove(0);
    stored(store.add_items(std::slice::from_ref(&item)).await);

    let deleted = item.deleted(&item.asset.source, &Sequence::of("5")).unwrap();
    assert!(store.change_file(&item, &deleted, at(1)).await.unwrap());
    assert!(waiting(&store, project).await.is_empty());

    let Effect::Changed(back) = deleted.uploaded(&Item { file: version("new", "6"), ..item.clone() }) else {
        panic!("news")
    };
    assert!(store.change_file(&deleted, &back, at(2)).await.unwrap());
    assert_eq!(waiting(&store, project).await, [item.asset.uid]);
}

async fn the_same_bytes_again_leave_an_item_where_it_waits(store: Store) {
    let project = a_project();
    let items = some_items(project, 2);
    stored(store.add_items(&items).await);
    let first = uploaded(&items[0], ("one", "1"));
    assert!(store.change_file(&items[0], &first, at(5)).await.unwrap());
    assert_eq!(waiting(&store, project).await, [items[1].asset.uid, items[0].asset.uid], "it was heard of at last");
    let second = uploaded(&items[1], ("two", "1"));
    assert!(store.change_file(&items[1], &second, at(6)).await.unwrap());

    let again = uploaded(&first, ("one", "2"));
    assert!(store.change_file(&first, &again, at(7)).await.unwrap());

    assert_eq!(read(&store, items[0].asset.uid).await, again);
    assert_eq!(waiting(&store, project).await, [items[0].asset.uid, items[1].asset.uid]);
}

/// Without its result an item is unlabeled again: not if its file was deleted since.
async fn a_review_and_an_undo_at_the_moment_of_a_deletion_read_again(store: Store) {
    let project = a_project();
    let items = unlabeled(&store, project, 2).await;
    let spec = a_spec(project, 0);
    running(&store, &spec, 2).await;
    let chunk = a_chunk(spec.uid, 0, items.iter().map(|item| drafted(*item)).collect());
    shared::ports::Ledger::commit(&store, &spec, "bot", chunk, at(6)).await.unwrap();
    let rejected =
        |item: &Item| item.result.as_ref().unwrap().reviewed(Verdict::Reject, "ann", at(9)).unwrap().unwrap();
    let mut seen = Vec::new();
    for item in &items {
        let before = read(&store, *item).await;
        let deleted = before.deleted(&before.asset.source, &Sequence::of("1")).unwrap();
        assert!(store.change_file(&before, &deleted, at(7)).await.unwrap());
        seen.push(before);
    }

    assert!(!store.review(&seen[0], &rejected(&seen[0]), &[]).await.unwrap());
    assert!(!store.discard_draft(&seen[1]).await.unwrap());
    for item in &mut seen {
        *item = read(&store, item.asset.uid).await;
    }
    assert!(store.review(&seen[0], &rejected(&seen[0]), &[]).await.unwrap());
    assert!(store.discard_draft(&seen[1]).await.unwrap());

    assert!(waiting(&store, project).await.is_empty());
    assert!(read(&store, items[0]).await.result.is_none() && read(&store, items[1]).await.result.is_none());
}

async fn notes_of_rejected_uploads_are_their_projects_own(store: Store) {
    let (project, another) = (a_project(), a_project());
    let note = |project, key: &str, second| RejectedUpload {
        organization: acme(),
        project,
        bucket: None,
        key: key.into(),
        size_bytes: 10_000_000_000,
        reason: Rejection::TooLarge,
        detail: "Too large.".into(),
        uploaded_at: at(second),
    };
    let notes: Vec<RejectedUpload> = (0..5).map(|n| note(project, &n.to_string(), n)).collect();
    for note in notes.iter().chain([&note(another, "x", 0), &notes[2]]) {
        store.reject_upload(note).await.unwrap();
    }

    assert_pages(async |slice| store.rejected_uploads(acme(), project, &slice).await, |note| note, &notes).await;
    assert!(store.rejected_uploads(other(), project, &everything()).await.unwrap().entries.is_empty()); // I10
}

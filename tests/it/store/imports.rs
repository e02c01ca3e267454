use shared::domain::Error;
use shared::domain::id::{ImportUid, ProjectUid};
use shared::domain::import::reader::{Position, Reason, ReasonCode};
use shared::domain::import::request::NewImport;
use shared::domain::import::{Counts, Import, ImportStatus, Untaken};
use shared::domain::item::Item;
use shared::domain::item::result::{Importing, LabelResult, ResultSource, ResultStatus};
use shared::domain::webhook::Event;
use shared::ports::{
    ClaimedImport, ImportName, ImportResults, Imports, Items, ReviewQueue, Slice, WatchedImport, Webhooks,
};
use shared::store::Store;

use super::making::*;

on_both!(
    an_import_is_its_tenants_own_and_reads_back,
    one_worker_at_a_time_has_an_import,
    the_end_of_an_import_comes_once_with_its_deliveries,
    an_import_is_watched_from_its_begin_to_its_end,
    a_result_is_given_once_and_a_draft_waits_in_the_queue,
);

/// A project's uid. Imports need no row of it.
fn home() -> ProjectUid {
    ProjectUid::parse("0192b1c0-0000-7000-8000-00000000000b").unwrap()
}

fn an_import(second: i64, body: &str) -> Import {
    let new = NewImport::read(body.as_bytes(), |_| Ok(())).unwrap();
    new.into_import(ImportUid::at(at(second)), (acme(), home()), "ci", (at(second), at(100_000)))
}

const UPLOADED: &str = r#"{"format": "coco", "as": "accepted"}"#;
const ELSEWHERE: &str = r#"{"format": "jsonl", "as": "draft", "source": "s3://a/b", "add_labels": true}"#;

fn name(import: &Import) -> ImportName {
    (import.organization, import.project, import.uid)
}

async fn claimed(store: &Store, import: &Import, now: i64) -> Option<ClaimedImport> {
    store.claim_import(name(import), at(now), at(now + 60)).await.unwrap()
}

async fn an_import_is_its_tenants_own_and_reads_back(store: Store) {
    let imports = [an_import(1, UPLOADED), an_import(2, ELSEWHERE)];
    for import in &imports {
        assert_eq!(store.add_import(import).await.unwrap(), None);
        assert_eq!(store.add_import(import).await.unwrap().as_ref(), Some(import));
        assert_eq!(&store.import(name(import)).await.unwrap(), import);
        for foreign in [(other(), home(), import.uid), (acme(), ProjectUid::at(at(5)), import.uid)] {
            assert!(matches!(store.import(foreign).await, Err(Error::NotFound(_))));
            assert_eq!(store.claim_import(foreign, at(3), at(60)).await.unwrap(), None);
        }
    }
    let slice = Slice { limit: 1, ..Slice::default() };
    let newest = store.imports(acme(), home(), &slice).await.unwrap();
    assert_eq!(newest.entries, imports[1..]);
    let next = store.imports(acme(), home(), &Slice { after: newest.next, ..slice.clone() }).await.unwrap();
    assert_eq!((next.entries.as_slice(), next.next), (&imports[..1], None));
    assert!(store.imports(acme(), ProjectUid::at(at(5)), &slice).await.unwrap().entries.is_empty());
    assert!(store.imports(other(), home(), &slice).await.unwrap().entries.is_empty());
}

async fn one_worker_at_a_time_has_an_import(store: Store) {
    let import = an_import(1, UPLOADED);
    store.add_import(&import).await.unwrap();

    let first = claimed(&store, &import, 10).await.unwrap();
    assert_eq!(
        (first.import.status, first.import.started_at, first.attempts),
        (ImportStatus::Processing, Some(at(10)), 1)
    );
    assert_eq!(claimed(&store, &import, 69).await, None);
    let second = claimed(&store, &import, 71).await.unwrap();
    assert_eq!((second.import.started_at, second.attempts), (Some(at(10)), 2));

    assert!(!store.advance_import(&first.import, first.lease, at(200)).await.unwrap(), "its claim is over");
    let mut moved = second.import.clone();
    (moved.work.folder, moved.work.segments) = (Some("1".into()), 3);
    let untaken = Untaken::at(Position::Path("images[3]".into()), "a", Reason::new(ReasonCode::UnknownItem, "No."));
    moved.count(Counts { items: 2, results: 1, skipped: 0, refused: 1 }, &[untaken], at(72));
    assert!(store.advance_import(&moved, second.lease, at(200)).await.unwrap());
    assert!(!store.advance_import(&moved, second.lease, at(300)).await.unwrap());
    assert_eq!(claimed(&store, &import, 199).await, None);
    let third = claimed(&store, &import, 201).await.unwrap();
    assert_eq!((third.import, third.attempts), (moved, 1));
}

async fn the_end_of_an_import_comes_once_with_its_deliveries(store: Store) {
    let import = an_import(1, UPLOADED);
    store.add_import(&import).await.unwrap();
    let ClaimedImport { import, lease, .. } = claimed(&store, &import, 10).await.unwrap();
    let ended = import.failed("No.", at(11));
    let mut webhook = a_webhook(acme(), 1);
    webhook.events = vec!["import.failed".into()];
    let deliveries = Event::of_import(&ended).unwrap().deliveries(&[webhook], at(11));

    assert!(!store.end_import(&ended, at(9), &deliveries).await.unwrap());
    assert!(store.end_import(&ended, lease, &deliveries).await.unwrap());
    assert!(!store.end_import(&ended, lease, &deliveries).await.unwrap());

    assert_eq!(store.import(name(&ended)).await.unwrap(), ended);
    assert_eq!(claimed(&store, &ended, 1_000).await, None);
    assert_eq!(store.delivery(deliveries[0].uid).await.unwrap(), Some(deliveries[0].clone()));
}

async fn an_import_is_watched_from_its_begin_to_its_end(store: Store) {
    let watched = async |now| {
        let all: Vec<WatchedImport> = store.watched_imports(None, at(now)).await.unwrap().entries;
        all.into_iter().map(|watched| (watched.import.uid, watched.is_claimed)).collect::<Vec<_>>()
    };
    let (uploaded, elsewhere) = (an_import(1, UPLOADED), an_import(2, ELSEWHERE));
    for import in [&uploaded, &elsewhere] {
        store.add_import(import).await.unwrap();
    }

    assert_eq!(watched(3).await, [(elsewhere.uid, false)], "an upload that has not come has no message to lose");
    let ClaimedImport { import, lease, .. } = claimed(&store, &uploaded, 10).await.unwrap();
    assert_eq!(watched(20).await, [(uploaded.uid, true), (elsewhere.uid, false)]);
    assert_eq!(watched(80).await[0], (uploaded.uid, false));
    assert!(store.end_import(&import.imported(at(30)), lease, &[]).await.unwrap());
    assert_eq!(watched(80).await, [(elsewhere.uid, false)]);
}

async fn a_result_is_given_once_and_a_draft_waits_in_the_queue(store: Store) {
    let read = async |item: &Item| store.items(&[item.asset.uid]).await.unwrap().remove(0);
    let items = some_items(home(), 2);
    store.add_items(&items).await;
    for (item, is_accepted) in items.iter().zip([true, false]) {
        let importing = Importing { person: "ci", created_at: at(9), is_accepted };
        let given = LabelResult::imported(&importing, 1, Vec::new());

        assert!(store.import_result(item, &given).await.unwrap());
        assert!(!store.import_result(item, &given).await.unwrap(), "it has one");

        let there = read(item).await.result.unwrap();
        assert_eq!(there, given);
        assert!(there.is_of_import(&given));
        assert!(!there.is_of_import(&LabelResult { created_at: at(10), ..given.clone() }));
    }
    let draft = read(&items[1]).await.result.unwrap();
    assert_eq!((draft.status, draft.source), (ResultStatus::Draft, ResultSource::Import));
    let all = Slice { limit: 10, ..Slice::default() };
    let entries = store.entries(home(), &all).await.unwrap().entries;
    let queued = store.drafted(&entries).await.unwrap();
    assert!(format!("{queued:?}").contains(&items[1].asset.uid.to_string()), "{queued:?}");
    assert!(!format!("{queued:?}").contains(&items[0].asset.uid.to_string()));
}

use shared::domain::export::request::NewExport;
use shared::domain::export::work::{Phase, Work};
use shared::domain::export::{Export, ExportFile, ExportStatus, LeftOut};
use shared::domain::id::ExportUid;
use shared::domain::project::Project;
use shared::domain::webhook::Event;
use shared::domain::{Error, Timestamp};
use shared::ports::{Claimed, ExportFilter, ExportItems, Exports, Items, Slice, Step, Webhooks};
use shared::store::Store;

use super::making::*;

on_both!(
    an_export_is_its_tenants_own_and_reads_back,
    one_worker_at_a_time_has_an_export,
    a_step_is_stored_under_its_claim_and_read_by_the_next_one,
    the_end_of_an_export_comes_once_with_its_deliveries,
    a_deleted_export_is_claimed_by_no_worker_and_watched_until_it_is_forgotten,
    lists_of_exports_are_narrowed,
    items_are_read_page_by_page,
);

/// The options have every form of value.
fn an_export(second: i64) -> Export {
    let project = Project::read(br#"{"name": "Cats", "labels": ["cat", "dog"]}"#, acme(), at(second)).unwrap();
    let body = format!(
        r#"{{"project": "{}", "format": "coco", "statuses": ["accepted", "none"], "labels": ["cat"], "min_confidence": 1,
            "split": {{"train": 0.75, "val": 0.25}}}}"#,
        project.uid
    );
    let new = NewExport::read(body.as_bytes()).unwrap();
    new.into_export(ExportUid::at(at(second)), acme(), &[project], (at(second), at(100_000))).unwrap()
}

async fn claimed(store: &Store, export: &Export, now: i64) -> Option<Claimed> {
    store.claim_export(acme(), export.uid, at(now), at(now + 60)).await.unwrap()
}

/// I10.
async fn an_export_is_its_tenants_own_and_reads_back(store: Store) {
    let export = an_export(1);
    assert_eq!(store.add_export(&export).await.unwrap(), None);
    assert_eq!(store.add_export(&export).await.unwrap(), Some(export.clone()));

    assert_eq!(store.export(acme(), export.uid).await.unwrap(), export);
    assert!(matches!(store.export(other(), export.uid).await, Err(Error::NotFound(_))));
    assert!(matches!(store.delete_export(other(), export.uid, at(2)).await, Err(Error::NotFound(_))));
    assert_eq!(store.claim_export(other(), export.uid, at(2), at(60)).await.unwrap(), None);
}

async fn one_worker_at_a_time_has_an_export(store: Store) {
    let export = an_export(1);
    store.add_export(&export).await.unwrap();

    let first = claimed(&store, &export, 10).await.unwrap();
    assert_eq!(
        (first.export.status, first.export.started_at, first.attempts),
        (ExportStatus::Processing, Some(at(10)), 1)
    );
    assert_eq!(first.work, Work::default());
    assert_eq!(claimed(&store, &export, 69).await, None);
    assert!(store.watched_exports(at(69)).await.unwrap()[0].is_claimed);
    assert!(!store.watched_exports(at(71)).await.unwrap()[0].is_claimed);

    let second = claimed(&store, &export, 71).await.unwrap();
    assert_eq!((second.export.started_at, second.attempts), (Some(at(10)), 2));
    let late = Step { export: &first.export, work: &first.work, lease: first.lease, keeps: true };
    assert!(!store.advance_export(&late).await.unwrap());
    let failed = first.export.clone().failed("No.", at(72));
    assert!(!store.end_export(&failed, first.lease, &[]).await.unwrap());
}

async fn a_step_is_stored_under_its_claim_and_read_by_the_next_one(store: Store) {
    let export = an_export(1);
    store.add_export(&export).await.unwrap();
    let Claimed { mut export, mut work, lease, .. } = claimed(&store, &export, 10).await.unwrap();
    (work.phase, work.after, work.steps) = (Phase::Write, Some("position".into()), 1);
    work.file.parts = vec!["\"etag\"".into()];
    work.file.digest.update(b"so far");
    (export.total, export.done, export.updated_at) = (9, 4, at(12));
    export.left_out = vec![LeftOut { kind: "polyline".into(), count: 2, reason: "COCO has no open lines.".into() }];

    assert!(store.advance_export(&Step { export: &export, work: &work, lease, keeps: true }).await.unwrap());
    assert_eq!(store.export(acme(), export.uid).await.unwrap(), export);
    assert_eq!(claimed(&store, &export, 13).await, None, "the worker keeps it");
    assert!(store.advance_export(&Step { export: &export, work: &work, lease, keeps: false }).await.unwrap());

    let next = claimed(&store, &export, 13).await.unwrap();
    assert_eq!((next.work, next.attempts, next.export.done), (work, 1, 4));
}

/// I6.
async fn the_end_of_an_export_comes_once_with_its_deliveries(store: Store) {
    let (export, mut webhook) = (an_export(1), a_webhook(acme(), 1));
    webhook.events = vec!["export.completed".into()];
    store.add_export(&export).await.unwrap();
    let Claimed { export, lease, .. } = claimed(&store, &export, 10).await.unwrap();
    let file = ExportFile { name: "instances.json".into(), bytes: 7, sha256: "ab".into() };
    let ended = export.exported(file, at(20));
    let deliveries = Event::of_export(&ended).unwrap().deliveries(&[webhook], at(20));

    assert!(store.end_export(&ended, lease, &deliveries).await.unwrap());
    assert!(!store.end_export(&ended, lease, &deliveries).await.unwrap());

    assert_eq!(store.export(acme(), ended.uid).await.unwrap(), ended);
    assert_eq!(store.delivery(deliveries[0].uid).await.unwrap(), Some(deliveries[0].clone()));
    assert_eq!(claimed(&store, &ended, 100).await, None);
    assert_eq!(store.watched_exports(at(100)).await.unwrap(), []);
}

async fn a_deleted_export_is_claimed_by_no_worker_and_watched_until_it_is_forgotten(store: Store) {
    let export = an_export(1);
    store.add_export(&export).await.unwrap();
    let Claimed { export, work, lease, .. } = claimed(&store, &export, 10).await.unwrap();

    store.delete_export(acme(), export.uid, at(20)).await.unwrap();

    assert!(matches!(store.delete_export(acme(), export.uid, at(21)).await, Err(Error::NotFound(_))));
    assert!(!store.advance_export(&Step { export: &export, work: &work, lease, keeps: false }).await.unwrap());
    assert!(!store.end_export(&export.clone().failed("No.", at(22)), lease, &[]).await.unwrap());
    assert_eq!(claimed(&store, &export, 100).await, None);
    assert!(store.export(acme(), export.uid).await.unwrap().deleted);
    assert!(store.watched_exports(at(100)).await.unwrap()[0].export.deleted);
    for _ in 0..2 {
        store.forget_export(acme(), export.uid).await.unwrap();
    }
    assert!(matches!(store.export(acme(), export.uid).await, Err(Error::NotFound(_))));
    assert_eq!(store.watched_exports(at(100)).await.unwrap(), []);
}

async fn lists_of_exports_are_narrowed(store: Store) {
    let exports: Vec<Export> = (1..4).map(an_export).collect();
    for export in &exports {
        store.add_export(export).await.unwrap();
    }
    claimed(&store, &exports[0], 10).await.unwrap();
    store.delete_export(acme(), exports[1].uid, at(20)).await.unwrap();
    let listed = async |filter: ExportFilter, now: Timestamp| {
        let slice = Slice { limit: 10, ..Slice::default() };
        let page = store.exports(acme(), filter, &slice, now).await.unwrap();
        page.entries.into_iter().map(|export| export.uid).collect::<Vec<_>>()
    };

    assert_eq!(listed(ExportFilter::default(), at(30)).await, [exports[2].uid, exports[0].uid]);
    let status = Some(ExportStatus::Processing);
    assert_eq!(listed(ExportFilter { status, project: None }, at(30)).await, [exports[0].uid]);
    let project = exports[2].project();
    assert_eq!(listed(ExportFilter { project, status: None }, at(30)).await, [exports[2].uid]);
    assert_eq!(listed(ExportFilter::default(), at(100_000)).await, []);
}

async fn items_are_read_page_by_page(store: Store) {
    let project = a_project();
    let items = some_items(project, 5);
    store.add_items(&items).await;
    let slice = Slice { limit: 3, ascending: true, ..Slice::default() };

    let first = store.items_to_export(acme(), project, true, &slice).await.unwrap();
    let rest = Slice { after: first.next.clone(), ..slice };
    let last = store.items_to_export(acme(), project, true, &rest).await.unwrap();

    let keys: Vec<String> = first.entries.into_iter().chain(last.entries).map(|item| item.key).collect();
    assert_eq!(keys, items.into_iter().map(|item| item.key).collect::<Vec<_>>());
    assert_eq!(last.next, None);
    assert_eq!(store.items_to_export(other(), project, false, &rest).await.unwrap().entries, []);
}

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use shared::domain::export::request::NewExport;
use shared::domain::export::work::{Phase, Work};
use shared::domain::export::{Export, ExportFile, ExportStatus, LeftOut};
use shared::domain::id::{ExportUid, ItemUid, ProjectUid};
use shared::domain::item::Item;
use shared::domain::item::result::Verdict;
use shared::domain::job::outcome::{ItemCommit, Outcome};
use shared::domain::prediction::draft::{BlobRef, Draft};
use shared::domain::project::Project;
use shared::domain::webhook::Event;
use shared::domain::{Error, Timestamp, limits};
use shared::ports::{
    Claimed, ExportFilter, ExportItems, Exports, Items, Ledger, Results, Slice, Step, Watched, Webhooks,
};
use shared::store::Store;

use super::dynamodb;
use super::making::*;

on_both!(
    an_export_is_its_tenants_own_and_reads_back,
    one_worker_at_a_time_has_an_export,
    a_step_is_stored_under_its_claim_and_read_by_the_next_one,
    the_end_of_an_export_comes_once_with_its_deliveries,
    a_deleted_export_is_claimed_by_no_worker_and_watched_until_it_is_forgotten,
    lists_of_exports_are_narrowed,
    items_are_read_page_by_page,
    what_is_in_s3_makes_no_page_of_items_shorter,
    a_claim_moves_no_date_back,
    a_reminder_is_noted_once_and_stays_beside_a_step,
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
    assert_eq!(first.work, Some(Work::default()));
    assert_eq!(claimed(&store, &export, 69).await, None);
    assert!(store.watched_exports(None, at(69)).await.unwrap().entries[0].is_claimed);
    assert!(!store.watched_exports(None, at(71)).await.unwrap().entries[0].is_claimed);

    let second = claimed(&store, &export, 71).await.unwrap();
    assert_eq!((second.export.started_at, second.attempts), (Some(at(10)), 2));
    let late = Step { export: &first.export, work: &Work::default(), lease: first.lease, keeps: true };
    assert!(!store.advance_export(&late).await.unwrap());
    let failed = first.export.clone().failed("No.", at(72));
    assert!(!store.end_export(&failed, first.lease, &[]).await.unwrap());
}

async fn a_step_is_stored_under_its_claim_and_read_by_the_next_one(store: Store) {
    let export = an_export(1);
    store.add_export(&export).await.unwrap();
    let Claimed { mut export, work, lease, .. } = claimed(&store, &export, 10).await.unwrap();
    let mut work = work.unwrap();
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
    assert_eq!((next.work, next.attempts, next.export.done), (Some(work), 1, 4));
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
    assert_eq!(store.watched_exports(None, at(100)).await.unwrap().entries, []);
}

async fn a_deleted_export_is_claimed_by_no_worker_and_watched_until_it_is_forgotten(store: Store) {
    let export = an_export(1);
    store.add_export(&export).await.unwrap();
    let Claimed { export, lease, .. } = claimed(&store, &export, 10).await.unwrap();
    let work = Work::default();

    store.delete_export(acme(), export.uid, at(20)).await.unwrap();

    assert!(matches!(store.delete_export(acme(), export.uid, at(21)).await, Err(Error::NotFound(_))));
    assert!(!store.advance_export(&Step { export: &export, work: &work, lease, keeps: false }).await.unwrap());
    assert!(!store.end_export(&export.clone().failed("No.", at(22)), lease, &[]).await.unwrap());
    assert_eq!(claimed(&store, &export, 100).await, None);
    assert!(store.export(acme(), export.uid).await.unwrap().deleted);
    assert!(store.watched_exports(None, at(100)).await.unwrap().entries[0].export.deleted);
    for _ in 0..2 {
        store.forget_export(acme(), export.uid).await.unwrap();
    }
    assert!(matches!(store.export(acme(), export.uid).await, Err(Error::NotFound(_))));
    assert_eq!(store.watched_exports(None, at(100)).await.unwrap().entries, []);
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

/// A draft whose annotations are in S3.
async fn a_large_draft(store: &Store, project: ProjectUid, items: &[ItemUid]) {
    let spec = a_spec(project, 0);
    running(store, &spec, items.len() as u32).await;
    let json_bytes = limits::DRAFT_JSON_BYTES;
    let blob = BlobRef { key: "drafts/1".into(), offset: 0, length: 9, json_bytes };
    let draft = Draft::of(vec![a_car(0.9)]).moved(blob);
    let commit = |item: &ItemUid| Some(ItemCommit::new(*item, 0, Outcome::Successful(draft.clone())));
    let chunk = a_chunk(spec.uid, 0, items.iter().map(commit).collect());
    store.commit(&spec, "bot", chunk, at(2)).await.unwrap();
}

/// An export reads the rows of many items that it does not take, and fetches none of theirs.
async fn what_is_in_s3_makes_no_page_of_items_shorter(store: Store) {
    let project = a_project();
    let items = unlabeled(&store, project, 5).await;
    a_large_draft(&store, project, &items).await;
    let drafted = store.items(&items[..1]).await.unwrap().remove(0);
    let result = drafted.result.as_ref().unwrap();
    let rejected = result.reviewed(Verdict::Reject, "ada", at(9)).unwrap().unwrap();
    assert!(store.review(&drafted, &rejected, &[]).await.unwrap());

    let page = store.items_to_export(acme(), project, true, &everything()).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (5, None));
    let of = |item: &Item| item.result.as_ref().and_then(|result| result.elsewhere.clone()).map(|blob| blob.json_bytes);
    assert!(page.entries.iter().all(|item| of(item) == Some(limits::DRAFT_JSON_BYTES)));
    let shown = store.results_and_rejected(acme(), project, &everything()).await.unwrap();
    assert_eq!(shown.entries.len(), 1, "an answer has them all in it");
    let rest = Slice { after: Some(store.position_to_export(&page.entries[3])), ..everything() };
    let last = store.items_to_export(acme(), project, true, &rest).await.unwrap();
    assert_eq!(last.entries, page.entries[4..]);
}

async fn a_claim_moves_no_date_back(store: Store) {
    let export = an_export(20);
    store.add_export(&export).await.unwrap();

    let claimed = claimed(&store, &export, 10).await.unwrap();
    assert_eq!((claimed.export.status, claimed.export.updated_at), (ExportStatus::Processing, at(20)));
}

async fn a_reminder_is_noted_once_and_stays_beside_a_step(store: Store) {
    let export = an_export(1);
    store.add_export(&export).await.unwrap();
    let watched = async || store.watched_exports(None, at(900)).await.unwrap().entries.remove(0);
    let read = watched().await;
    assert_eq!(read.reminded_at, Timestamp::UNIX_EPOCH);

    assert!(store.remind_of_export(&read, at(900)).await.unwrap());
    assert!(!store.remind_of_export(&read, at(901)).await.unwrap(), "another round was first");

    let Claimed { export, lease, .. } = claimed(&store, &export, 910).await.unwrap();
    assert!(
        store.advance_export(&Step { export: &export, work: &Work::default(), lease, keeps: false }).await.unwrap()
    );
    assert_eq!(watched().await.reminded_at, at(900));
    store.forget_export(acme(), export.uid).await.unwrap();
    assert!(!store.remind_of_export(&Watched { reminded_at: at(900), ..read }, at(990)).await.unwrap());
}

/// Writes an attribute of an export's row past the store.
async fn damage(client: &Client, table: &str, export: &Export, name: &str, value: AttributeValue) {
    let key = AttributeValue::S;
    let update = client.update_item().table_name(table);
    let update = update.key("pk", key(format!("ORG#{}", acme()))).key("sk", key(format!("EXPORT#{}", export.uid)));
    // An update of no row would make one.
    let update = update.condition_expression("attribute_exists(pk)");
    let update = update.update_expression("SET #name = :value").expression_attribute_names("#name", name);
    update.expression_attribute_values(":value", value).send().await.unwrap();
}

#[tokio::test]
async fn a_damaged_work_does_not_hide_how_often_it_was_tried() {
    for (store, client, table) in dynamodb::both_bare().await {
        let export = an_export(1);
        store.add_export(&export).await.unwrap();
        damage(&client, &table, &export, "work", AttributeValue::B(Blob::new("damaged"))).await;

        for attempts in 1..=2 {
            let claimed = claimed(&store, &export, i64::from(attempts) * 100).await.unwrap();
            assert_eq!((claimed.work, claimed.attempts), (None, attempts));
        }
    }
}

#[tokio::test]
async fn an_export_that_cannot_be_read_is_skipped() {
    for (store, client, table) in dynamodb::both_bare().await {
        let (damaged, whole) = (an_export(1), an_export(2));
        for export in [&damaged, &whole] {
            store.add_export(export).await.unwrap();
        }
        damage(&client, &table, &damaged, "options", AttributeValue::S("damaged".into())).await;

        let watched = store.watched_exports(None, at(9)).await.unwrap();
        assert_eq!(watched.entries.into_iter().map(|watched| watched.export.uid).collect::<Vec<_>>(), [whole.uid]);
        let after = whole.uid.to_string();
        assert_eq!(store.watched_exports(Some(&after), at(9)).await.unwrap().entries, []);
    }
}

//! Golden rows: a row of each kind, as an earlier version wrote it.
//!
//! `golden/rows.json` holds every row that [`write`] leaves, captured when the fixture was made. This version must write the
//! same bytes and must read those of the fixture. `golden/old_rows.json` holds rows of still earlier versions, which have fewer
//! attributes: they must be read. Rows are in DynamoDB's JSON, binary values in hex.
//!
//! A change of the fixture is a change of the table: old rows need a default then, and a decision.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::read::DeflateDecoder;
use serde_json::{Map, Value, json};
use shared::domain::Timestamp;
use shared::domain::access::api_key::{ApiKey, IssuedKey, KeyHash, Scope};
use shared::domain::access::idempotency::{Claim, StoredResponse};
use shared::domain::access::organization::Organization;
use shared::domain::access::rate_limit::Requester;
use shared::domain::id::{DeliveryUid, ImportUid, ItemUid, JobUid, ProjectUid, ProviderUid, ResultUid, WebhookUid};
use shared::domain::import::reader::{Position, Reason, ReasonCode};
use shared::domain::import::request::NewImport;
use shared::domain::import::{Counts, Import, Untaken};
use shared::domain::item::file_version::{Digest, FileVersion, Sequence};
use shared::domain::item::result::{ResultSource, Verdict};
use shared::domain::item::review_queue::Reviewer;
use shared::domain::item::source::S3Object;
use shared::domain::item::{AssetType, Item, Source};
use shared::domain::job::failure::{Failure, FailureCode, NoteCode};
use shared::domain::job::outcome::{ChunkId, ItemCommit, Outcome, SkipReason};
use shared::domain::job::summary::Sum;
use shared::domain::job::{JobSpec, JobState, UploadRun};
use shared::domain::job_status::{JobEvent, JobStatus};
use shared::domain::prediction::draft::{BlobRef, Draft};
use shared::domain::prediction::label_count::LabelCount;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::prediction::turn::Exif;
use shared::domain::project::auto_label::{AutoLabel, AutoLabelPause};
use shared::domain::project::dataset::{DataType, Dataset, DatasetName, Stage};
use shared::domain::project::{Project, ProjectChange, ProjectStatus};
use shared::domain::provider::InferenceProvider;
use shared::domain::provider::connection::{
    AuthType, Connection, Coordinates, Http, Reading, RequestFormat, ResponseFormat, SageMaker,
};
use shared::domain::upload::{RejectedUpload, Rejection};
use shared::domain::webhook::{Delivery, Event, Response, Webhook};
use shared::ports::{
    Announced, Commit, Datasets, DeliveryFilter, Drafts, Ending, Idempotency, Imports, Items, JobFilter, Jobs, KeyRing,
    Keys, Ledger, Organizations, Picked, Projects, Providers, RateLimits, Reports, Results, ReviewQueue, UploadWatch,
    Uploads, WaitingUploads, Webhooks,
};
use shared::store::Store;

use super::dynamodb;
use super::making::*;
use crate::repository;

type Row = HashMap<String, AttributeValue>;

#[tokio::test]
async fn rows_are_written_as_before() {
    for (store, client, table) in dynamodb::both_bare().await {
        write(&store, &client, &table).await;

        let written = rows_of(&client, &table).await;
        let captured = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rows.json");
        let lines: Vec<String> = written.iter().map(Value::to_string).collect();
        fs::write(&captured, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
        assert_same(&written, &golden("rows.json"), &captured);
    }
}

#[tokio::test]
async fn golden_rows_of_before_still_read() {
    let tables = dynamodb::both_bare().await;
    for ((written, client, table), (loaded, other_client, other_table)) in
        tables.into_iter().zip(dynamodb::both_bare().await)
    {
        write(&written, &client, &table).await;
        put_all(&other_client, &other_table, &golden("rows.json")).await;

        assert_eq!(read_all(&loaded).await, read_all(&written).await);
        // What is written back as it was read has the same bytes.
        for provider in loaded.providers(acme(), &everything()).await.unwrap().entries {
            assert!(loaded.update_provider(&provider, &provider).await.unwrap());
        }
        for webhook in loaded.webhooks(acme(), &everything()).await.unwrap().entries {
            assert!(loaded.update_webhook(&webhook, &webhook).await.unwrap());
        }
        let rewritten = rows_of(&other_client, &other_table).await;
        assert_same(&rewritten, &golden("rows.json"), Path::new("what was written back"));
    }
}

#[tokio::test]
async fn rows_of_earlier_versions_still_read() {
    for (store, client, table) in dynamodb::both_bare().await {
        put_all(&client, &table, &golden("old_rows.json")).await;

        let [item] = store.items(&[ItemUid::of(project(1), "0.jpg")]).await.unwrap().try_into().unwrap();
        assert_eq!((item.asset.changes, item.file, item.result), (0, None, None));
        let [corrected] = store.items(&[ItemUid::of(project(1), "2.jpg")]).await.unwrap().try_into().unwrap();
        let corrected = corrected.result.unwrap();
        assert_eq!((corrected.source, &corrected.draft, corrected.origins()), (ResultSource::Human, &None, None));
        let backlog = store.backlog(acme(), project(1)).await.unwrap();
        assert_eq!((backlog.project.item_count(), backlog.waiting_since), (0, Some(at(60))), "by its position");
        let setting = backlog.project.auto_label_on_upload.unwrap();
        assert_eq!((setting.provider_id, setting.model_type), (None, None));
        assert_eq!(backlog.project.auto_label_pause.unwrap().job_uid, None);
        let plan = store.plan(job(1)).await.unwrap().unwrap();
        assert_eq!((plan.workers, plan.batches[0].workers), (1, 0));
        let summary = store.job(job(1)).await.unwrap().state.summary.unwrap();
        assert_eq!((summary.predictions, summary.dropped_labels.len(), summary.notes.len()), (7, 0, 0));
        let connection = store.provider(acme(), provider(1)).await.unwrap().connection;
        assert_eq!(connection, Connection::SageMaker(SageMaker::new("yolo-v8", "eu-central-1")));
        let key = store.find_key(&KeyHash::of("avk_golden 1")).await.unwrap().unwrap();
        assert_eq!(key.requests_per_minute, None);
        assert_eq!(receipts(&store, job(1)).await.len(), 1, "of before there was a review queue");
        assert_eq!(store.entries(project(1), &everything()).await.unwrap().entries, Vec::<String>::new());
    }
}

fn golden(name: &str) -> Vec<Value> {
    let path = repository("tests/it/golden").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Row by row: a table of both would hide which one differs.
fn assert_same(written: &[Value], golden: &[Value], captured: &Path) {
    let keys = |rows: &[Value]| rows.iter().map(|row| (row["pk"].clone(), row["sk"].clone())).collect::<Vec<_>>();
    assert_eq!(keys(written), keys(golden), "what was written is in {}", captured.display());
    for (written, golden) in written.iter().zip(golden) {
        assert_eq!(inflated(written), inflated(golden), "what was written is in {}", captured.display());
    }
}

/// Packed values as their JSON text: its bytes count, and not those of a version of the deflate library.
fn inflated(value: &Value) -> Value {
    match value {
        Value::Object(members) if members.len() == 1 && members.contains_key("B") => {
            let bytes = bytes_of(members["B"].as_str().unwrap());
            let mut text = String::new();
            match DeflateDecoder::new(bytes.as_slice()).read_to_string(&mut text) {
                Ok(_) if !text.is_empty() => json!({ "packed": text }),
                _ => value.clone(),
            }
        }
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), inflated(value))).collect(),
        Value::Array(entries) => entries.iter().map(inflated).collect(),
        other => other.clone(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of all rows reads all rows")]
async fn rows_of(client: &Client, table: &str) -> Vec<Value> {
    let rows: Vec<Row> = client.scan().table_name(table).into_paginator().items().send().try_collect().await.unwrap();
    let mut rows: Vec<Value> = rows.iter().map(row_as_json).collect();
    rows.sort_by_key(|row| [row["pk"].to_string(), row["sk"].to_string()]);
    rows
}

async fn put_all(client: &Client, table: &str, rows: &[Value]) {
    for row in rows {
        let row: Row =
            row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute_of(value))).collect();
        client.put_item().table_name(table).set_item(Some(row)).send().await.unwrap();
    }
}

fn row_as_json(row: &Row) -> Value {
    let mut row: Map<String, Value> = row.iter().map(|(name, value)| (name.clone(), as_json(value))).collect();
    // The name of a call, by chance.
    row.entry("uploads_call").and_modify(|call| *call = json!({"S": "a call"}));
    Value::Object(row)
}

fn as_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(is) => json!({ "BOOL": is }),
        AttributeValue::Null(_) => json!({ "NULL": true }),
        AttributeValue::B(bytes) => {
            json!({ "B": bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
        }
        AttributeValue::L(entries) => json!({ "L": entries.iter().map(as_json).collect::<Vec<_>>() }),
        AttributeValue::M(members) => {
            let members: Map<String, Value> =
                members.iter().map(|(name, value)| (name.clone(), as_json(value))).collect();
            json!({ "M": members })
        }
        other => panic!("no row of ours has {other:?}"),
    }
}

fn attribute_of(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => AttributeValue::S(text.clone()),
        ("N", Value::String(number)) => AttributeValue::N(number.clone()),
        ("BOOL", Value::Bool(is)) => AttributeValue::Bool(*is),
        ("NULL", _) => AttributeValue::Null(true),
        ("B", Value::String(hex)) => AttributeValue::B(Blob::new(bytes_of(hex))),
        ("L", Value::Array(entries)) => AttributeValue::L(entries.iter().map(attribute_of).collect()),
        ("M", Value::Object(members)) => {
            AttributeValue::M(members.iter().map(|(name, value)| (name.clone(), attribute_of(value))).collect())
        }
        other => panic!("no row of ours has {other:?}"),
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn uid(kind: u8, n: u8) -> String {
    format!("0192b1c0-0000-7000-8000-00000000{kind:02x}{n:02x}")
}

fn project(n: u8) -> ProjectUid {
    ProjectUid::parse(&uid(1, n)).unwrap()
}

fn job(n: u8) -> JobUid {
    JobUid::parse(&uid(2, n)).unwrap()
}

fn provider(n: u8) -> ProviderUid {
    ProviderUid::parse(&uid(3, n)).unwrap()
}

fn webhook() -> Webhook {
    Webhook { uid: WebhookUid::parse(&uid(4, 1)).unwrap(), ..a_webhook(acme(), 3) }
}

/// A row of each kind, in each of its forms.
async fn write(store: &Store, client: &Client, table: &str) {
    write_tenant(store).await;
    write_items_and_results(store, client, table).await;
    write_jobs(store).await;
    write_uploads(store).await;
    write_deliveries(store).await;
    write_requests(store).await;
    store.add_import(&an_import()).await.unwrap();
    write_review_queue(store).await;
    write_datasets(store).await;
}

/// A folder whose files have come, found by its slug, with one announced file.
async fn write_datasets(store: &Store) {
    let organization = acme();
    let stage = Stage::Indexing { until: Some("projects/a/b.jpg".into()) };
    let dataset = Dataset { slug: Some("folder".into()), data_type: Some(DataType::Lidar), stage };
    let new = Project { uid: project(9), ..Project::of_dataset(organization, "Folder", dataset, at(90)) };
    store.add_project(&new).await.unwrap();
    store.name_dataset(organization, &DatasetName::Slug("folder".into()), new.uid).await.unwrap();
    let file = Announced { organization, project: new.uid, key: "b.jpg".into(), bytes: 7 };
    store.announce(&file, 100, at(91)).await.unwrap();
}

/// A claim of a draft that another person has skipped, and an entry of a reopened draft.
async fn write_review_queue(store: &Store) {
    let reviewer = |name: &str| Reviewer { key: KeyHash::of(name), name: name.to_owned() };
    let item = ItemUid::of(project(1), "0.jpg");
    for second in [80, 81] {
        let draft = store.queued(&[item]).await.unwrap().remove(0);
        let marks = match second {
            80 => draft.skipped(&reviewer("bob"), Some("The picture is blurred.".into()), at(second)),
            _ => draft.claimed(&reviewer("ann"), at(second)),
        };
        assert!(store.mark(&draft, &marks).await.unwrap());
    }
    store.remember_claims(project(1), &reviewer("ann"), &[item], at(81)).await.unwrap();
    for verdict in [Verdict::Reopen, Verdict::Accept] {
        let read = store.result(ResultUid::of(ItemUid::of(project(1), "1.jpg"), 1)).await.unwrap().unwrap();
        let reviewed = read.reviewed(verdict, "ann", at(82)).unwrap().unwrap();
        assert!(store.review(&read, &reviewed, &[]).await.unwrap());
    }
}

async fn write_tenant(store: &Store) {
    store.add_organization(&Organization::named("acme").unwrap()).await.unwrap();
    for (n, limit) in [(1, None), (2, Some(7))] {
        let key = ApiKey {
            organization: acme(),
            name: format!("ci {n}"),
            scopes: vec![Scope::ProjectsRead, Scope::InferenceWrite],
            created_at: at(n),
            expires_at: None,
            revoked_at: None,
            requests_per_minute: limit,
        };
        store.add_key(&IssuedKey { hash: KeyHash::of(&format!("avk_golden {n}")), key }).await.unwrap();
    }
    store.revoke_key(&KeyHash::of("avk_golden 2"), at(5)).await.unwrap();
    store.expire_key(&KeyHash::of("avk_golden 2"), at(900)).await.unwrap();
    let sagemaker =
        SageMaker { role_arn: Some("arn:aws:iam::1:role/r".into()), ..SageMaker::new("yolo-v8", "eu-central-1") };
    let http = Http {
        endpoint_url: "https://model.example/".into(),
        auth_type: AuthType::Bearer,
        headers: vec!["X-Model".into()],
        timeout: json!(2.5).as_number().unwrap().clone(),
        reading: Reading {
            response_key: "found".into(),
            response_format: ResponseFormat::CocoResults,
            label_map: [("17".to_owned(), "cat".to_owned())].into(),
            exif: Exif::Ignored,
            coordinates: Coordinates::Percent,
            request_format: Some(RequestFormat::Huggingface),
        },
        max_concurrency: 64,
        sealed: Some("ciphertext".into()),
    };
    for (n, connection) in [(1, Connection::SageMaker(sagemaker)), (2, Connection::Http(http))] {
        let provider = InferenceProvider {
            uid: provider(n),
            organization: acme(),
            name: format!("Model {n}"),
            description: (n == 2).then(|| "By HTTPS.".to_owned()),
            connection,
            is_active: true,
            project: (n == 2).then(|| project(1)),
            last_test_at: None,
            last_test_success: None,
            created_at: at(1),
            updated_at: at(2),
        };
        store.add_provider(&provider).await.unwrap();
        if n == 2 {
            store.record_test(&provider, true, at(3)).await.unwrap();
        }
    }
    store.add_webhook(&webhook()).await.unwrap();
}

fn a_stored_project(n: u8) -> Project {
    let setting = AutoLabel {
        provider_id: Some(provider(1)),
        model_type: Some(ModelType::Sam3),
        confidence_threshold: 0.25,
        labels: vec!["car".into()],
        quiet_seconds: 30,
        max_items_per_day: 100,
    };
    Project {
        uid: project(n),
        organization: acme(),
        name: format!("Street {n}"),
        status: ProjectStatus::PendingApproval,
        labels: vec!["car".into(), "vélo".into()],
        label_prompts: [("car".to_owned(), "a car on a street".to_owned())].into(),
        default_provider: None,
        last_provider: None,
        auto_label_on_upload: (n == 2).then_some(setting),
        auto_label_pause: None,
        dataset: None,
        image_count: 0,
        video_frame_count: 0,
        point_cloud_count: 0,
        created_at: at(1),
        updated_at: at(1),
    }
}

/// Items of project 1 without and with a file, with each kind of source and result.
async fn write_items_and_results(store: &Store, client: &Client, table: &str) {
    store.add_project(&a_stored_project(1)).await.unwrap();
    let change = ProjectChange { status: Some(ProjectStatus::Active), ..ProjectChange::default() };
    store.change_project(acme(), project(1), &change, at(2)).await.unwrap();
    store.count_items(acme(), project(1), &[AssetType::Image, AssetType::PointCloud]).await.unwrap();
    let mut items = some_items(project(1), 9);
    items[1].asset.source = Source::Url("https://files.example/1.jpg?x=1".into());
    items[2].asset.source = Source::S3(S3Object { bucket: "camera".into(), key: "2.jpg".into() });
    (items[3].asset.kind, items[3].asset.size) = (AssetType::PointCloud, None);
    items[4].asset.kind = AssetType::VideoFrame;
    items[5].file = Some(FileVersion {
        size_bytes: Some(1_000),
        digest: Some(Digest::of("crc64nvme", "AAAAAAAAAAA=")),
        ..FileVersion::of("etag", Sequence::of("0055AED6DCD90281E5"))
    });
    stored(store.add_items(&items).await);
    let spec = a_golden_spec(1);
    pending(store, &spec).await;
    store.plan_job(&a_plan(spec.uid, "jobs/manifest.jsonl"), 9, None, at(11)).await.unwrap();
    // An item whose results are so many that the next one has a long uid.
    client
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(format!("ITEM#{}", items[8].asset.uid)))
        .key("sk", AttributeValue::S("ITEM".into()))
        .update_expression("SET generation = :generation")
        .expression_attribute_values(":generation", AttributeValue::N("4094".into()))
        .send()
        .await
        .unwrap();
    commit_chunks(store, &spec, &items).await;
    let read = async |n: usize| store.items(&[items[n].asset.uid]).await.unwrap().remove(0);
    for (n, verdict) in [
        (1, Verdict::Accept),
        (2, Verdict::Correct(vec![a_car(1.0)].into())),
        (3, Verdict::Reject),
        (8, Verdict::Reject),
    ] {
        let item = read(n).await;
        let reviewed = item.reviewed(verdict, "ann", at(20)).unwrap().unwrap();
        assert!(store.review(&item, &reviewed, &[]).await.unwrap());
    }
    assert!(store.discard_draft(&read(4).await).await.unwrap());
    let before = read(5).await;
    assert!(store.change_file(&before, &uploaded(&before, ("other", "0055AED6DCD90281E6")), at(21)).await.unwrap());
}

/// A job with every option, in words of its project.
fn a_golden_spec(n: u8) -> JobSpec {
    let mut spec = JobSpec { uid: job(n), provider: Some(provider(1)), ..a_spec(project(1), 10) };
    spec.options.model_type = Some(ModelType::Sam3);
    spec.options.confidence_threshold = 0.3;
    spec.options.label_thresholds = [("car".to_owned(), 0.7)].into();
    spec.prompts = [("car".to_owned(), "a car on a street".to_owned())].into();
    spec
}

/// Chunks with each kind of outcome.
async fn commit_chunks(store: &Store, spec: &JobSpec, items: &[Item]) {
    let of = |n: usize, outcome| Some(ItemCommit::new(items[n].asset.uid, items[n].asset.changes, outcome));
    let drafted = |n| of(n, Outcome::Successful(Draft::of(vec![a_car(0.9)])));
    let blob = BlobRef { key: "jobs/drafts-00000.bin".into(), offset: 7, length: 900, json_bytes: 4_000 };
    let elsewhere = of(0, Outcome::Successful(Draft::of(vec![a_car(0.9), a_car(0.8)]).moved(blob)));
    let noted = drafted(1).map(|commit| ItemCommit {
        dropped_labels: vec![LabelCount { label: "bus".into(), count: 3 }],
        dropped: Some("A prediction was dropped.".into()),
        remarks: vec![(NoteCode::GeometryClipped, "A box was cut.".into())],
        is_judged: true,
        ..commit
    });
    let judged = drafted(2).map(|commit| ItemCommit { is_judged: true, ..commit });
    let measured = drafted(4).map(|commit| ItemCommit { measured: Some(items[4].asset.clone()), ..commit });
    let failed = of(6, Outcome::Failed(Failure::new(FailureCode::ModelError, "The model answered 400.")));
    let skipped = of(7, Outcome::Skipped(SkipReason::BelowThreshold));
    let first = a_chunk(spec.uid, 0, vec![elsewhere, noted, judged, drafted(3), measured, failed, skipped]);
    let second =
        a_chunk(spec.uid, 1, vec![drafted(8), drafted(1), of(5, Outcome::Skipped(SkipReason::FileChanged)), None]);
    for chunk in [first, second] {
        let id: ChunkId = chunk.id;
        let commit = store.commit(spec, "bot", chunk, at(12)).await.unwrap();
        assert!(matches!(commit, Commit::Done(_)), "{id:?}");
    }
}

/// Jobs at each point of their life. The first one is running.
async fn write_jobs(store: &Store) {
    store.refuse_job(job(1), "The endpoint \"yolo\" does not exist.").await.unwrap();
    store.close_job(job(1), &JobStatus::ACTIVE).await.unwrap();
    let ended = store.job(job(1)).await.unwrap();
    let mut sum = Sum::default();
    receipts(store, job(1)).await.into_iter().for_each(|receipt| sum.add(receipt));
    let event = Event::of_job(&ended, JobStatus::Failed, Some("The model is gone.")).unwrap();
    let ending = Ending {
        event: JobEvent::Fail,
        error_message: Some("The model is gone.".into()),
        summary: sum.summary(true),
        deliveries: event.deliveries(&[webhook()], at(30)),
    };
    assert!(store.end_job(&ended, &ending, at(30)).await.unwrap());

    let plain = |n| {
        let mut spec = JobSpec { uid: job(n), ..a_spec(project(n), 10) };
        spec.options.model_type = None;
        spec
    };
    pending(store, &plain(3)).await;
    running(store, &plain(4), 2).await;
    store.close_job(job(4), &JobStatus::ACTIVE).await.unwrap();
    running(store, &plain(5), 0).await;
    end(store, job(5), JobStatus::Completed).await;
    let dry = JobSpec { dry_run: true, retry_of: Some(job(1)), ..plain(6) };
    running(store, &dry, 1).await;
    let cancelled = store.job(job(6)).await.unwrap();
    let event = Event::of_job(&cancelled, JobStatus::Cancelled, None).unwrap();
    assert!(store.cancel_job(&cancelled, &event.deliveries(&[webhook()], at(31)), at(31)).await.unwrap());
    store.unwatch_job(job(6)).await.unwrap();
    let withdrawn = shared::domain::job::Job { spec: plain(7), state: JobState::new(at(10)) };
    store.withdraw_job(&withdrawn, at(32)).await.unwrap();
}

/// The uploads of project 2, and a job that takes them.
async fn write_uploads(store: &Store) {
    let watched = a_stored_project(2);
    store.add_project(&watched).await.unwrap();
    store.count_uploads(acme(), watched.uid, &[AssetType::Image], 3, at(40)).await.unwrap();
    assert!(store.watch_uploads(acme(), watched.uid, 0, at(40), at(70)).await.unwrap());
    assert!(store.schedule_check(acme(), watched.uid, at(71), at(90)).await.unwrap());
    let run = UploadRun { until: at(50), max_items_per_day: 100 };
    let spec = JobSpec { uid: job(2), uploads: Some(run), ..a_spec(watched.uid, 72) };
    pending(store, &spec).await;
    let picked = Picked {
        organization: acme(),
        project: watched.uid,
        max_items_per_day: 100,
        until: Some("0001700000045000000#item#U".into()),
        counted: 3,
    };
    store.plan_job(&a_plan(spec.uid, "jobs/uploads.jsonl"), 3, Some(&picked), at(73)).await.unwrap();
    store.note_upload_job(acme(), watched.uid, spec.uid).await.unwrap();
    let pause = AutoLabelPause::after(None, "The provider was deleted.".into(), at(74), Some(spec.uid));
    store.pause_uploads(&watched, &pause).await.unwrap();
    for bucket in [None, Some("camera".to_owned())] {
        let rejected = RejectedUpload {
            organization: acme(),
            project: watched.uid,
            bucket,
            key: "notes.txt".into(),
            size_bytes: 12,
            reason: Rejection::UnknownContent,
            detail: "The file is no picture.".into(),
            uploaded_at: at(41),
        };
        store.reject_upload(&rejected).await.unwrap();
    }
}

fn a_test_delivery(n: u8) -> Delivery {
    Delivery { uid: DeliveryUid::parse(&uid(5, n)).unwrap(), ..Delivery::of_test(&webhook(), at(60)) }
}

/// Deliveries in each state, and the slots of their organization.
async fn write_deliveries(store: &Store) {
    for n in 1..=5 {
        store.add_delivery(&a_test_delivery(n)).await.unwrap();
    }
    let lease = at(90);
    for n in 2..=4 {
        assert!(store.claim_delivery(&a_test_delivery(n), lease).await.unwrap());
    }
    let minute = std::time::Duration::from_secs(60);
    for (n, status, retry_in) in [(3, 204, None), (4, 503, Some(minute))] {
        let mut attempted = store.delivery(a_test_delivery(n).uid).await.unwrap().unwrap();
        attempted.attempted(Response::of(status, b"an answer"), retry_in, at(61));
        assert!(store.record_delivery(&attempted, lease).await.unwrap());
    }
    store.put_off_delivery(a_test_delivery(5).uid, at(99), 2).await.unwrap();
    assert!(store.take_slot(acme(), 1, at(60), at(90)).await.unwrap().is_some());
}

/// Counters of requests, and idempotency keys in each state.
async fn write_requests(store: &Store) {
    let address = Requester::at("2001:db8::1".parse().unwrap());
    for requester in [Requester::Key(KeyHash::of("avk_golden 1")), address] {
        store.count(&requester, at(0)).await.unwrap();
    }
    let responses = [
        None,
        Some(StoredResponse::Kept(b"sealed".to_vec())),
        Some(StoredResponse::Repeatable),
        Some(StoredResponse::TooLarge),
    ];
    for (n, response) in (1..).zip(responses) {
        let claim = a_claim(n);
        store.claim(&claim).await.unwrap();
        if let Some(response) = response {
            store.keep(&claim, response).await.unwrap();
        }
    }
    for (n, undone) in [(5, false), (6, true)] {
        store.claim(&a_claim(n)).await.unwrap();
        store.release(&a_claim(n), undone).await.unwrap();
    }
}

fn a_claim(n: u8) -> Claim {
    let holder = uuid::Uuid::parse_str(&uid(6, n)).unwrap();
    let caller = KeyHash::of("avk_golden 1");
    Claim { caller, key: format!("{n:02x}"), fingerprint: format!("fingerprint {n}"), holder, at: at(0) }
}

/// With a value of everything that a row of one may have.
fn an_import() -> Import {
    let body = br#"{"format": "coco", "as": "draft", "source": "s3://camera/labels.json", "add_labels": true}"#;
    let new = NewImport::read(body, |_| Ok(())).unwrap();
    let uid = ImportUid::parse(&uid(9, 1)).unwrap();
    let mut import = new.into_import(uid, (acme(), project(1)), "ci", (at(1), at(100)));
    let untaken = Untaken::at(Position::Line(3), "a.jpg", Reason::new(ReasonCode::UnknownItem, "It is not there."));
    (import.work.folder, import.work.segments) = (Some("1700000000".into()), 2);
    import.count(Counts { items: 4, results: 2, skipped: 1, refused: 1 }, &[untaken], at(3));
    import.started_at = Some(at(2));
    import
}

/// What the store says of all of it, thing by thing.
async fn read_all(store: &Store) -> Vec<String> {
    let mut read = Vec::new();
    let mut say = |thing: &dyn std::fmt::Debug| read.push(format!("{thing:?}"));
    say(&store.organization(acme()).await.unwrap().unwrap());
    say(&store.keys(acme(), &everything()).await.unwrap());
    say(&store.find_key(&KeyHash::of("avk_golden 2")).await.unwrap().unwrap());
    say(&store.providers(acme(), &everything()).await.unwrap());
    say(&store.webhooks(acme(), &everything()).await.unwrap());
    say(&store.projects(acme(), &everything()).await.unwrap());
    say(&store.items_of(acme(), None, &everything()).await.unwrap());
    let rejected = [(ItemUid::of(project(1), "3.jpg"), 1), (ItemUid::of(project(1), "8.jpg"), 4_095)];
    for (item, generation) in rejected {
        say(&store.result(ResultUid::of(item, generation)).await.unwrap().unwrap());
    }
    say(&waiting_assets(store, project(1)).await);
    say(&store.imports(acme(), project(1), &everything()).await.unwrap());
    say(&store.watched_imports(None, at(9)).await.unwrap());
    say(&store.jobs(acme(), JobFilter::default(), &everything()).await.unwrap());
    say(&store.active_jobs().await.unwrap());
    for n in 1..=7 {
        say(&store.job(job(n)).await.unwrap());
        say(&store.plan(job(n)).await.unwrap());
        say(&receipts(store, job(n)).await);
        say(&store.report(job(n), None, &everything()).await.unwrap());
    }
    for n in 1..=2 {
        say(&store.owner(project(n)).await.unwrap().unwrap());
        say(&store.backlog(acme(), project(n)).await.unwrap());
        say(&store.rejected_uploads(acme(), project(n), &everything()).await.unwrap());
        say(&store.taken_today(project(n), at(73)).await.unwrap());
    }
    let entries = store.entries(project(1), &everything()).await.unwrap().entries;
    say(&store.drafted(&entries).await.unwrap());
    say(&store.queued(&[ItemUid::of(project(1), "0.jpg")]).await.unwrap());
    let ann = Reviewer { key: KeyHash::of("ann"), name: "ann".into() };
    say(&store.claims(project(1), &ann).await.unwrap());
    say(&store.watched_projects(None, 10).await.unwrap());
    say(&store.deliveries(acme(), &DeliveryFilter::default(), &everything()).await.unwrap());
    say(&store.waiting_deliveries(Timestamp::MAX, 100).await.unwrap());
    say(&store.take_slot(acme(), 1, at(60), at(91)).await.unwrap());
    // Claims that are refused, since others would write.
    for n in 1..=4 {
        let late = Claim { holder: uuid::Uuid::parse_str(&uid(7, n)).unwrap(), at: at(1), ..a_claim(n) };
        say(&store.claim(&late).await.unwrap());
    }
    read
}

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::export::ExportFile;
use shared::domain::id::{ExportUid, ImportUid, OrganizationUid, ProjectUid};
use shared::domain::item::source::SourceBuckets;
use shared::domain::limits;
use shared::domain::project::Project;
use shared::ports::{Exports, Imports, Objects, Projects};
use shared::testing::{
    ACME, ACME_PROJECTS, Fault, MemoryExportQueue, MemoryExports, MemoryImportQueue, MemoryImports, MemoryObjects,
    MemoryTenants, OTHER, StoppedClock, TestApi,
};

use crate::imports::{ImportApi, ImportPorts};
use crate::{ExportApi, ExportPorts, imports, routes};

struct InMemory;

impl ExportPorts for InMemory {
    type Store = MemoryExports;
    type Projects = MemoryTenants;
    type Objects = MemoryObjects;
    type Queue = MemoryExportQueue;
    type Clock = StoppedClock;
}

impl ImportPorts for InMemory {
    type Store = MemoryImports;
    type Projects = MemoryTenants;
    type Objects = MemoryObjects;
    type Queue = MemoryImportQueue;
    type Clock = StoppedClock;
}

struct World {
    state: Arc<ExportApi<InMemory>>,
    api: TestApi,
    project: String,
}

async fn a_world(fault: &Arc<Fault>) -> World {
    let (projects, now) = (MemoryTenants::default(), Timestamp::from_second(1).unwrap());
    let project =
        Project::read(br#"{"name": "Cats", "labels": ["cat"]}"#, OrganizationUid::named("acme"), now).unwrap();
    projects.add_project(&project).await.unwrap();
    let state = Arc::new(ExportApi::<InMemory> {
        store: MemoryExports::default(),
        projects,
        objects: MemoryObjects::default(),
        queue: MemoryExportQueue::default().failing(fault),
        clock: StoppedClock::at(1_000),
        kept_for: Duration::from_secs(600),
    });
    World { api: TestApi::of(routes(Arc::clone(&state))), state, project: project.uid.to_string() }
}

impl World {
    async fn created(&self) -> Value {
        let (status, export) = self.api.call("POST /exports/", json!({"project": self.project})).await;
        assert_eq!(status, 201, "{export}");
        export
    }
}

#[tokio::test]
async fn an_export_is_created_pending_listed_and_requested_once() {
    let world = a_world(&Arc::default()).await;
    let export = world.created().await;

    assert_eq!(
        (&export["status"], &export["format"], &export["download_url"]),
        (&json!("pending"), &json!("jsonl"), &Value::Null)
    );
    assert_eq!(export["expires_at"], "1970-01-01T00:26:40Z");
    assert_eq!(world.state.queue.take().len(), 1);
    let uid = export["uid"].as_str().unwrap();
    assert_eq!(world.api.call(&format!("GET /exports/{uid}/"), Value::Null).await, (200, export.clone()));
    for (query, count) in [
        ("", 1),
        ("?status=pending", 1),
        ("?status=exported", 0),
        (&*format!("?project={}", world.project), 1),
        ("?project=cats", 0),
        ("?organization=x&page=1", 1),
    ] {
        let (_, page) = world.api.call(&format!("GET /exports/{query}"), Value::Null).await;
        assert_eq!(page["results"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(world.api.call("GET /exports/?status=completed", Value::Null).await.0, 400);
}

#[tokio::test]
async fn an_organization_has_a_number_of_open_exports_at_most() {
    let world = a_world(&Arc::default()).await;
    let mut last = Value::Null;
    for _ in 0..limits::EXPORTS_OPEN {
        last = world.created().await;
    }

    let (status, problem) = world.api.call("POST /exports/", json!({"project": world.project})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("too_many")), "{problem}");

    let uid = last["uid"].as_str().unwrap();
    assert_eq!(world.api.call(&format!("DELETE /exports/{uid}/"), Value::Null).await.0, 204);
    world.created().await;
}

#[tokio::test]
async fn a_request_that_is_repeated_under_its_key_creates_one_export() {
    let world = a_world(&Arc::default()).await;
    let body = json!({"project": world.project});
    let first = world.api.call_once("one", "POST /exports/", &body).await;

    assert_eq!(first, world.api.call_once("one", "POST /exports/", &body).await);
    assert_eq!(world.state.store.all().len(), 1);
}

#[tokio::test]
async fn an_export_whose_first_message_is_lost_is_created_all_the_same() {
    let world = a_world(&Arc::new(Fault::at(1, false))).await;

    world.created().await;
    assert_eq!((world.state.queue.take().len(), world.state.store.all().len()), (0, 1));
}

#[tokio::test]
async fn an_unknown_project_and_another_tenants_are_missing_and_scopes_are_asked_for() {
    let world = a_world(&Arc::default()).await;
    let uid = world.created().await["uid"].as_str().unwrap().to_owned();
    let body = json!({"project": world.project});

    assert_eq!(world.api.call_as(OTHER, "POST /exports/", body.clone()).await.0, 400);
    assert_eq!(world.api.call("POST /exports/", json!({"dataset": "cats"})).await.0, 400);
    for call in [format!("GET /exports/{uid}/"), format!("DELETE /exports/{uid}/")] {
        assert_eq!(world.api.call_as(OTHER, &call, Value::Null).await.0, 404, "{call}");
    }
    assert_eq!(world.api.call_as(OTHER, "GET /exports/", Value::Null).await.1["results"], json!([]));
    assert_eq!(world.api.call_as(ACME_PROJECTS, &format!("GET /exports/{uid}/"), Value::Null).await.0, 200);
    assert_eq!(world.api.call_as(ACME_PROJECTS, "POST /exports/", body).await.0, 403);
    assert_eq!(world.api.call_as(ACME_PROJECTS, &format!("DELETE /exports/{uid}/"), Value::Null).await.0, 403);
}

#[tokio::test]
async fn an_exported_one_has_a_url_that_is_signed_now_until_it_expires() {
    let world = a_world(&Arc::default()).await;
    let uid = world.created().await["uid"].as_str().unwrap().to_owned();
    let (now, acme) = (Timestamp::from_second(1_001).unwrap(), OrganizationUid::named("acme"));
    let exports = &world.state.store;
    let claimed = exports.claim_export(acme, ExportUid::parse(&uid).unwrap(), now, now).await.unwrap().unwrap();
    let file = ExportFile { name: "annotations.jsonl.gz".into(), bytes: 20, sha256: "ab".into() };
    assert!(exports.end_export(&claimed.export.exported(file, now), now, &[]).await.unwrap());

    let (_, export) = world.api.call(&format!("GET /exports/{uid}/"), Value::Null).await;
    let url = format!("https://bucket.example/exports/{uid}/annotations.jsonl.gz?signed");
    assert_eq!((&export["status"], &export["download_url"]), (&json!("exported"), &json!(url)));
    assert_eq!(export["files"], json!([{"name": "annotations.jsonl.gz", "bytes": 20, "sha256": "ab", "url": url}]));
    world.state.clock.pass(Duration::from_secs(600));
    assert_eq!(world.api.call(&format!("GET /exports/{uid}/"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_deleted_one_is_gone_with_its_objects_and_stops() {
    let world = a_world(&Arc::default()).await;
    let uid = world.created().await["uid"].as_str().unwrap().to_owned();
    world.state.objects.put(&format!("exports/{uid}/tail-1"), "", vec![1]).await.unwrap();

    assert_eq!(world.api.call_as(ACME, &format!("DELETE /exports/{uid}/"), Value::Null).await.0, 204);

    assert_eq!(world.state.objects.keys(), Vec::<String>::new());
    for call in [format!("GET /exports/{uid}/"), format!("DELETE /exports/{uid}/")] {
        assert_eq!(world.api.call(&call, Value::Null).await.0, 404, "{call}");
    }
    assert_eq!(world.api.call("GET /exports/", Value::Null).await.1["results"], json!([]));
    let now = Timestamp::from_second(2_000).unwrap();
    let claim =
        world.state.store.claim_export(OrganizationUid::named("acme"), ExportUid::parse(&uid).unwrap(), now, now).await;
    assert_eq!(claim.unwrap(), None);
}

struct ImportWorld {
    state: Arc<ImportApi<InMemory>>,
    api: TestApi,
    path: String,
}

async fn an_import_world() -> ImportWorld {
    let (projects, now) = (MemoryTenants::default(), Timestamp::from_second(1).unwrap());
    let project = Project::read(br#"{"name": "Cats"}"#, OrganizationUid::named("acme"), now).unwrap();
    projects.add_project(&project).await.unwrap();
    let buckets = [("acmes".to_owned(), vec!["acme".to_owned()])];
    let state = Arc::new(ImportApi::<InMemory> {
        store: MemoryImports::default(),
        projects,
        objects: MemoryObjects::default(),
        queue: MemoryImportQueue::default(),
        clock: StoppedClock::at(1_000),
        buckets: SourceBuckets::new(buckets.into(), "own"),
        kept_for: Duration::from_secs(600),
    });
    let path = format!("/projects/{}/imports/", project.uid);
    ImportWorld { api: TestApi::of(imports::routes(Arc::clone(&state))), state, path }
}

#[tokio::test]
async fn an_import_is_created_with_a_url_for_its_file_and_listed() {
    let ImportWorld { state, api, path } = an_import_world().await;
    let body = json!({"format": "coco", "as": "accepted"});

    let (status, import) = api.call(&format!("POST {path}"), body).await;

    assert_eq!((status, &import["status"], &import["add_labels"]), (201, &json!("pending"), &json!(false)));
    let key = state.store.all()[0].upload_key();
    assert_eq!(import["upload_url"], format!("https://bucket.example/{key}?signed"));
    assert_eq!((&import["upload_expires_at"], &import["report_url"]), (&json!("1970-01-01T01:16:40Z"), &Value::Null));
    assert!(state.queue.take().is_empty(), "the upload begins it");
    let uid = import["uid"].as_str().unwrap();
    assert_eq!(api.call(&format!("GET {path}{uid}/"), Value::Null).await, (200, import.clone()));
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await.1["results"], json!([import]));
    for call in [format!("GET {path}"), format!("GET {path}{uid}/")] {
        assert_eq!(api.call_as(OTHER, &call, Value::Null).await.0, 404, "{call}");
        assert_eq!(api.call_as(ACME_PROJECTS, &call, Value::Null).await.0, 200, "{call}");
    }
    assert_eq!(api.call_as(OTHER, &format!("POST {path}"), json!({"format": "coco", "as": "draft"})).await.0, 404);
    state.clock.pass(Duration::from_secs(600));
    assert_eq!(api.call(&format!("GET {path}{uid}/"), Value::Null).await.0, 404);
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await.1["results"], json!([]));
}

#[tokio::test]
async fn an_import_of_a_file_elsewhere_is_requested_at_once_and_its_end_has_a_report() {
    let ImportWorld { state, api, path } = an_import_world().await;
    let body = |source: &str| json!({"format": "jsonl", "as": "draft", "source": source});
    for refused in ["s3://others/a", "s3://own/a", "https://a.example/a", "s3://acmes"] {
        assert_eq!(api.call(&format!("POST {path}"), body(refused)).await.0, 400, "{refused}");
    }

    let (_, import) = api.call(&format!("POST {path}"), body("s3://acmes/a.jsonl")).await;

    assert_eq!((&import["source"], &import["upload_url"]), (&json!("s3://acmes/a.jsonl"), &Value::Null));
    let [name]: [(OrganizationUid, ProjectUid, ImportUid); 1] = state.queue.take().try_into().unwrap();
    let now = Timestamp::from_second(1_001).unwrap();
    let claimed = state.store.claim_import(name, now, now).await.unwrap().unwrap();
    let ended = claimed.import.failed("No.", now);
    assert!(state.store.end_import(&ended, now, &[]).await.unwrap());
    let (_, import) = api.call(&format!("GET {path}{}/", name.2), Value::Null).await;
    assert_eq!((&import["status"], &import["error_message"]), (&json!("failed"), &json!("No.")));
    assert_eq!(import["report_url"], format!("https://bucket.example/imports/reports/{}.jsonl?signed", name.2));
}

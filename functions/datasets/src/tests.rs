use std::sync::Arc;

use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::access::organization::Organization;
use shared::domain::id::{OrganizationUid, ProjectUid};
use shared::domain::item::{Item, Source};
use shared::domain::upload::{RejectedUpload, Rejection};
use shared::ports::{Items, Objects, Organizations, Uploads};
use shared::testing::{
    ACME, ACME_PROJECTS, Fault, MemoryObjects, MemoryTenants, OTHER, StoppedClock, TestApi, an_item,
};

use crate::{DatasetApi, DatasetPorts, routes};

const BATCH: &str = "5d0f6a8e-3c44-4c1e-9a2b-7f1d2e3c4b5a";

struct InMemory;

impl DatasetPorts for InMemory {
    type Store = MemoryTenants;
    type Objects = MemoryObjects;
    type Forms = MemoryObjects;
    type Clock = StoppedClock;
}

struct World {
    state: Arc<DatasetApi<InMemory>>,
    api: TestApi,
}

async fn a_world(fault: &Arc<Fault>) -> World {
    let store = MemoryTenants::default();
    for slug in ["acme", "other"] {
        let organization = Organization { uid: OrganizationUid::named(slug), name: slug.into(), slug: slug.into() };
        store.add_organization(&organization).await.unwrap();
    }
    let state = Arc::new(DatasetApi::<InMemory> {
        store: store.failing(fault),
        objects: MemoryObjects::default(),
        forms: MemoryObjects::default(),
        clock: StoppedClock::at(1_000),
        quota: 100,
    });
    World { api: TestApi::of(routes(Arc::clone(&state))), state }
}

fn cats(slug: &str) -> Value {
    json!({"name": "Cats", "slug": slug, "data_type": "image", "dataset_upload_uid": BATCH})
}

impl World {
    async fn url(&self, key: &str, path: &str, bytes: u32) -> (u16, Value) {
        let body = json!({
            "dataset_name": "Cats", "file_path_in_dataset": path, "content_length": bytes, "upload_protocol_version": 2,
            "dataset_upload_uid": BATCH,
        });
        self.api.call_as(key, "POST /datasets/manual-upload/file-upload-url/", body).await
    }

    /// Uploads a file; returns its object's key.
    async fn uploaded(&self, path: &str) -> String {
        let (status, form) = self.url(ACME, path, 7).await;
        assert_eq!(status, 200, "{form}");
        let key = form["fields"]["key"].as_str().unwrap().to_owned();
        self.state.objects.put(&key, "image/jpeg", vec![7; 7]).await.unwrap();
        key
    }

    async fn item_of(&self, object: &str) {
        let mut parts = object.splitn(3, '/').skip(1);
        let project = ProjectUid::parse(parts.next().unwrap()).unwrap();
        let key = parts.next().unwrap();
        let mut asset = an_item(1);
        asset.uid = shared::domain::id::ItemUid::of(project, key);
        asset.source = Source::Bucket(object.to_owned());
        let organization = OrganizationUid::named("acme");
        let now = Timestamp::UNIX_EPOCH;
        let item = Item {
            organization,
            project,
            key: key.into(),
            asset,
            file: None,
            created_at: now,
            generation: 0,
            result: None,
        };
        self.state.store.add_items(&[item]).await.into_iter().for_each(|added| assert!(added.is_ok()));
    }

    async fn status(&self, uid: &Value) -> Value {
        let (_, dataset) = self.api.call(&format!("GET /datasets/{}/", uid.as_str().unwrap()), Value::Null).await;
        dataset["status"].clone()
    }
}

#[tokio::test]
async fn a_dataset_is_created_when_each_of_its_files_is_an_item_or_rejected() {
    let world = a_world(&Arc::default()).await;
    let mut objects = Vec::new();
    for path in ["a/1.jpg", "b/1.jpg", "c.jpg"] {
        objects.push(world.uploaded(path).await);
    }

    let (status, dataset) = world.api.call("POST /datasets/manual-upload/", cats("cats")).await;
    assert_eq!((status, &dataset["slug"], &dataset["status"]), (201, &json!("cats"), &json!("creating")), "{dataset}");
    world.item_of(&objects[0]).await;
    world.item_of(&objects[2]).await;
    assert_eq!(world.status(&dataset["uid"]).await, "creating", "one file is neither");

    let project = ProjectUid::parse(dataset["uid"].as_str().unwrap()).unwrap();
    let rejected = RejectedUpload {
        organization: OrganizationUid::named("acme"),
        project,
        bucket: None,
        key: objects[1].clone(),
        size_bytes: 7,
        reason: Rejection::UnknownContent,
        detail: "It is none.".into(),
        uploaded_at: Timestamp::UNIX_EPOCH,
    };
    world.state.store.reject_upload(&rejected).await.unwrap();
    let (_, health) = world.api.call("GET /datasets/acme/cats/health/", Value::Null).await;
    assert_eq!((&health["dataset_status"], &health["ingest_ok"]), (&json!("created"), &json!(false)));
    assert_eq!(health["issues"], json!(["b/1.jpg: It is none."]));
    assert_eq!(world.status(&dataset["uid"]).await, "created");
}

#[tokio::test]
async fn the_end_of_an_upload_can_be_repeated_and_ends_it() {
    let world = a_world(&Arc::default()).await;
    world.uploaded("a.jpg").await;
    let (_, first) = world.api.call("POST /datasets/manual-upload/", cats("cats")).await;

    assert_eq!(world.api.call("POST /datasets/manual-upload/", cats("cats")).await, (201, first.clone()));
    let (status, other_slug) = world.api.call("POST /datasets/manual-upload/", cats("dogs")).await;
    assert_eq!((status, &other_slug["code"]), (400, &json!("validation_error")));
    assert_eq!(world.url(ACME, "b.jpg", 7).await.0, 400, "a file would come too late");
}

#[tokio::test]
async fn no_tenant_reaches_the_upload_or_the_dataset_of_another() {
    let world = a_world(&Arc::default()).await;
    world.uploaded("a.jpg").await;

    let (status, body) = world.api.call_as(OTHER, "POST /datasets/manual-upload/", cats("cats")).await;
    assert_eq!((status, body["errors"].get("dataset_upload_uid").is_some()), (400, true), "{body}");
    let (_, own) = world.url(OTHER, "a.jpg", 7).await;
    let (_, dataset) = world.api.call("POST /datasets/manual-upload/", cats("cats")).await;
    let uid = dataset["uid"].as_str().unwrap();
    assert!(!own["fields"]["key"].as_str().unwrap().contains(uid));
    for path in
        [format!("GET /datasets/{uid}/"), "GET /datasets/acme/cats/".into(), "GET /datasets/acme/cats/health/".into()]
    {
        assert_eq!(world.api.call_as(OTHER, &path, Value::Null).await.0, 404, "{path}");
    }
    assert_eq!(world.url(ACME_PROJECTS, "a.jpg", 7).await.0, 403);
}

#[tokio::test]
async fn bytes_count_once_and_at_most_as_many_as_the_quota_has() {
    let world = a_world(&Arc::default()).await;
    for bytes in [60, 60, 40] {
        assert_eq!(world.url(ACME, "a.jpg", bytes).await.0, 200);
    }
    let (status, refused) = world.url(ACME, "b.jpg", 41).await;
    assert_eq!((status, &refused["used"], &refused["limit"]), (413, &json!(60), &json!(100)), "{refused}");
    assert_eq!(world.url(ACME, "b.jpg", 40).await.0, 200);

    let (_, quota) = world.api.call("GET /datasets/manual-upload/quota/", Value::Null).await;
    assert_eq!(quota, json!({"used": 100, "limit": 100}));
    let foreign = format!("GET /datasets/manual-upload/quota/?organization_uid={}", OrganizationUid::named("other"));
    assert_eq!(world.api.call(&foreign, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_slug_is_taken_once_and_stays() {
    let world = a_world(&Arc::default()).await;
    let body = json!({"name": "Cats", "slug": "cats", "data_type": "lidar", "license": 3});

    let (status, dataset) = world.api.call("POST /datasets/", body.clone()).await;
    assert_eq!((status, &dataset["status"], &dataset["data_type"]), (201, &json!("created"), &json!("lidar")));
    assert_eq!(dataset["ignored_fields"], json!(["license"]));
    let (status, again) = world.api.call("POST /datasets/", body.clone()).await;
    assert_eq!((status, again["errors"].get("slug").is_some()), (400, true), "{again}");
    assert_eq!(world.api.call_as(OTHER, "POST /datasets/", body).await.0, 201, "slugs are an organization's own");
    world.uploaded("a.jpg").await;
    assert_eq!(world.api.call("POST /datasets/manual-upload/", cats("cats")).await.0, 400);
    assert_eq!(
        world.api.call("POST /datasets/manual-upload/", cats("cats-2")).await.0,
        201,
        "the files are still there"
    );
}

#[tokio::test]
async fn nothing_becomes_a_dataset_without_a_file() {
    let world = a_world(&Arc::default()).await;
    assert_eq!(world.api.call("POST /datasets/manual-upload/", cats("cats")).await.0, 400);
    world.url(ACME, "a.jpg", 7).await;
    assert_eq!(world.api.call("POST /datasets/manual-upload/", cats("cats")).await.0, 400, "announced, and not there");
}

#[tokio::test]
async fn a_call_that_is_cut_off_anywhere_is_repeated_to_the_same_dataset() {
    for (call, answer_lost) in (1..12).flat_map(|call| [(call, false), (call, true)]) {
        let world = a_world(&Arc::new(Fault::at(call, answer_lost))).await;
        let mut form = world.url(ACME, "a.jpg", 7).await;
        while form.0 != 200 {
            form = world.url(ACME, "a.jpg", 7).await;
        }
        let key = form.1["fields"]["key"].as_str().unwrap().to_owned();
        world.state.objects.put(&key, "image/jpeg", vec![7; 7]).await.unwrap();
        let mut dataset = world.api.call("POST /datasets/manual-upload/", cats("cats")).await;
        while dataset.0 != 201 {
            dataset = world.api.call("POST /datasets/manual-upload/", cats("cats")).await;
        }
        assert!(key.contains(dataset.1["uid"].as_str().unwrap()));
        let (_, list) = world.api.call("GET /datasets/", Value::Null).await;
        assert_eq!(list["results"].as_array().unwrap().len(), 1);
    }
}

mod probing;

use std::marker::PhantomData;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::access::trust::Trust;
use shared::domain::diagnosis::Diagnosis;
use shared::domain::id::{OrganizationUid, ProviderUid};
use shared::domain::job::failure::Failure;
use shared::domain::job::failure::FailureCode;
use shared::domain::project::Project;
use shared::domain::provider::connection::{Connection, Reading, SageMaker};
use shared::domain::provider::{InferenceProvider, no_project};
use shared::domain::{Error, Timestamp};
use shared::ports::{Connect, InferenceError, InferenceRequest, Model, Projects, Providers, Secrets, Slice};
use shared::testing::{
    ACME_PROJECTS, Fault, MemoryObjects, MemoryTenants, MemoryWeb, OTHER, PlainSecrets, StoppedClock, TestApi,
};

use crate::{ProviderApi, ProviderPorts, routes};

const TOKEN: &str = "hunter2hunter2";
const KEY: &str = "s3same-s3same";
/// Who assumes roles.
const CALLER: &str = "arn:aws:iam::1:role/infer";
const MASK: &str = "********";

type Headers = Vec<(String, String)>;

/// What the model does when it is tested.
#[derive(Clone, Default)]
enum Answer {
    #[default]
    Never,
    Body(&'static str),
    Refusal,
    BadItem,
    Busy,
}

/// A model, and the way to it: opens credentials as a real one does, and keeps what it was connected with and asked.
#[derive(Clone, Default)]
struct TestModel {
    answer: Answer,
    connected: Arc<Mutex<Vec<Headers>>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl TestModel {
    fn answering(answer: Answer) -> Self {
        Self { answer, ..Self::default() }
    }

    /// The headers that the last connection would send.
    fn headers(&self) -> Headers {
        self.connected.lock().unwrap().last().unwrap().clone()
    }
}

impl Model for TestModel {
    fn reading(&self) -> &Reading {
        static FOUND: LazyLock<Reading> =
            LazyLock::new(|| Reading { response_key: "found".into(), ..Reading::default() });
        &FOUND
    }

    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        self.asked.lock().unwrap().push(serde_json::to_value(request).unwrap());
        match self.answer {
            Answer::Never => {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                Ok(Vec::new())
            }
            Answer::Body(body) => Ok(body.into()),
            Answer::Refusal => Err(InferenceError::job(Diagnosis::CredentialsRefused, "It refuses its credentials.")),
            Answer::BadItem => {
                Err(InferenceError::Item(Failure::new(FailureCode::ModelError, "The model answered status 400.")))
            }
            Answer::Busy => Err(InferenceError::busy("The model answered status 503.", None)),
        }
    }
}

impl Connect for TestModel {
    type Model = Self;

    fn own(&self, _: &SageMaker) -> Self {
        self.clone()
    }

    async fn connect(&self, provider: &InferenceProvider) -> Result<Self, Error> {
        if let Connection::SageMaker(SageMaker { role_arn: Some(_), .. }) = &provider.connection {
            return Err(Error::ProviderRefused("The role could not be assumed.".into()));
        }
        let credentials = PlainSecrets.credentials(provider).await?;
        self.connected.lock().unwrap().push(credentials.request_headers());
        Ok(self.clone())
    }
}

/// A change of acme's provider by another call.
#[derive(Clone, Copy)]
enum Other {
    Deactivates,
    Tests,
}

/// During each sealing another call makes the next of the changes.
struct SlowSecrets {
    store: MemoryTenants,
    others: Arc<Mutex<Vec<Other>>>,
}

impl Secrets for SlowSecrets {
    async fn seal(&self, context: &str, secret: &str) -> Result<String, Error> {
        let other = self.others.lock().unwrap().pop();
        if let Some(other) = other {
            let newest = Slice { limit: 1, ..Slice::default() };
            let page = self.store.providers(OrganizationUid::named("acme"), &newest).await?;
            let before = &page.entries[0];
            let now = before.updated_at; // in the same instant
            match other {
                Other::Deactivates => {
                    let (after, _) =
                        before.clone().changed(br#"{"is_active": false}"#, now, |_| unreachable!("no url"))?;
                    assert!(self.store.update_provider(before, &after).await?);
                }
                Other::Tests => self.store.record_test(before, true, now).await?,
            }
        }
        PlainSecrets.seal(context, secret).await
    }

    async fn open(&self, context: &str, sealed: &str) -> Result<String, Error> {
        PlainSecrets.open(context, sealed).await
    }
}

struct InMemory<V>(PhantomData<V>);

impl<V: Secrets + 'static> ProviderPorts for InMemory<V> {
    type Store = MemoryTenants;
    type Secrets = V;
    type Objects = MemoryObjects;
    type Web = MemoryWeb;
    type Models = TestModel;
    type Clock = StoppedClock;
}

/// The function, and what is around it.
struct World {
    api: TestApi,
    store: MemoryTenants,
    model: TestModel,
    /// One of "acme" and one of "other".
    projects: [String; 2],
}

impl World {
    async fn with(model: TestModel) -> Self {
        Self::of(MemoryTenants::default(), model, PlainSecrets).await
    }

    async fn of(store: MemoryTenants, model: TestModel, secrets: impl Secrets + 'static) -> Self {
        Self::seeing(MemoryWeb::default(), store, model, secrets).await
    }

    async fn seeing(web: MemoryWeb, store: MemoryTenants, model: TestModel, secrets: impl Secrets + 'static) -> Self {
        let mut projects = Vec::new();
        for organization in ["acme", "other"] {
            let organization = OrganizationUid::named(organization);
            let project = Project::read(br#"{"name": "p"}"#, organization, Timestamp::UNIX_EPOCH).unwrap();
            store.add_project(&project).await.unwrap();
            projects.push(project.uid.to_string());
        }
        let api = TestApi::of(routes(Arc::new(ProviderApi::<InMemory<_>> {
            store: store.clone(),
            secrets,
            objects: MemoryObjects::default(),
            web,
            models: model.clone(),
            clock: StoppedClock::at(1_000),
            trust: Trust::new(vec![CALLER.into()]),
            loopback_http: false,
        })));
        Self { api, store, model, projects: [projects.remove(0), projects.remove(0)] }
    }

    /// Creates a provider and gives its path.
    async fn created(&self, body: Value) -> String {
        let (status, provider) = self.api.call("POST /inference-providers/", body).await;
        assert_eq!(status, 201, "{provider}");
        format!("/inference-providers/{}/", provider["uid"].as_str().unwrap())
    }

    /// What a test of the provider of this path comes to.
    async fn tested(&self, path: &str) -> Value {
        let (status, result) = self.api.call(&format!("POST {path}test/"), Value::Null).await;
        assert_eq!(status, 200, "{result}");
        result
    }

    async fn patched(&self, path: &str, body: Value) -> (u16, Value) {
        self.api.call(&format!("PATCH {path}"), body).await
    }
}

async fn a_world() -> World {
    World::with(TestModel::answering(Answer::Body(r#"{"found": []}"#))).await
}

fn a_sagemaker() -> Value {
    json!({"name": "Ours", "provider_type": "sagemaker", "config": {"endpoint_name": "yolo", "region": "us-east-1"}})
}

/// Its config with the defaults.
fn a_whole_config() -> Value {
    json!({"endpoint_name": "yolo", "region": "us-east-1", "request_format": "avala", "response_format": "annotations",
        "coordinates": "pixels", "label_map": [], "exif": "applied", "max_concurrency": 16})
}

fn an_http() -> Value {
    json!({"name": "Theirs", "provider_type": "http", "config": {"endpoint_url": "https://model.example/v1", "auth_type": "bearer",
        "auth_header": TOKEN, "headers": {"X-Key": KEY}}})
}

#[tokio::test]
async fn a_provider_is_created_read_changed_and_removed() {
    let world = a_world().await;
    let (api, [project, _]) = (&world.api, &world.projects);
    let (status, provider) = api.call("POST /inference-providers/", a_sagemaker()).await;
    let uid = provider["uid"].as_str().unwrap();
    assert_eq!(
        (status, &provider),
        (
            201,
            &json!({"uid": uid, "name": "Ours", "description": null, "provider_type": "sagemaker",
                "config": a_whole_config(), "is_active": true, "project": null,
                "last_test_at": null, "last_test_success": null,
                "created_at": "1970-01-01T00:16:40Z", "updated_at": "1970-01-01T00:16:40Z"})
        )
    );
    let path = format!("/inference-providers/{uid}/");
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await, (200, provider.clone()));
    assert_eq!(api.call("GET /inference-providers/", Value::Null).await.1["results"], json!([provider]));

    // As the TypeScript client sends it back.
    let change = json!({"config": {"endpointName": "sam3", "region": "us-east-1"}, "project": project});
    let (status, changed) = world.patched(&path, change).await;
    assert_eq!(
        (status, &changed["config"]["endpoint_name"], &changed["project"], &changed["name"]),
        (200, &json!("sam3"), &json!(project), &json!("Ours"))
    );

    assert_eq!(api.call(&format!("DELETE {path}"), Value::Null).await, (204, Value::Null));
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn an_https_provider_is_shown_with_masks_and_its_defaults() {
    let world = a_world().await;

    let (_, provider) = world.api.call("POST /inference-providers/", an_http()).await;

    assert_eq!(provider["provider_type"], "http");
    assert_eq!(
        provider["config"],
        json!({"endpoint_url": "https://model.example/v1", "auth_type": "bearer", "auth_header": MASK, "headers": {"X-Key": MASK},
            "timeout": 30, "response_key": "annotations", "request_format": "avala", "response_format": "annotations",
            "coordinates": "pixels", "label_map": [], "exif": "applied", "max_concurrency": 16})
    );
    let (_, open) = world
        .api
        .call(
            "POST /inference-providers/",
            json!({"name": "n", "provider_type": "http", "config": {"url": "https://a.example"}}),
        )
        .await;
    assert_eq!(
        open["config"],
        json!({"endpoint_url": "https://a.example", "auth_type": "none", "headers": {}, "timeout": 30, "response_key": "annotations",
            "request_format": "avala", "response_format": "annotations", "coordinates": "pixels", "label_map": [], "exif": "applied",
            "max_concurrency": 16})
    );
    let stock = json!({"name": "n", "provider_type": "http", "config": {"url": "https://a.example",
        "responseFormat": "huggingface_object_detection", "coordinates": "normalized"}});
    let (_, stock) = world.api.call("POST /inference-providers/", stock).await;
    let shown = (&stock["config"]["request_format"], &stock["config"]["coordinates"]);
    assert_eq!(shown, (&json!("huggingface"), &json!("normalized")));
}

#[tokio::test]
async fn a_bad_provider_is_refused_with_the_name_of_its_field() {
    let world = a_world().await;
    for (field, value, complaint) in [
        ("provider_type", json!("vertex"), "provider_type: Must be \"sagemaker\" or \"http\", not \"vertex\"."),
        ("name", json!(" "), "name: May not be blank."),
        ("config", json!({"endpoint_name": "yolo"}), "config.region: This field is required."),
        ("config", json!("yolo"), "config: Must be an object, not a string."),
        ("project", json!("nonsense"), "project: No project \"nonsense\" in this organization."),
        ("project", json!(world.projects[1]), &format!("project: {}", no_project(&world.projects[1].to_string()))),
    ] {
        let mut body = a_sagemaker();
        body[field] = value;
        let (status, problem) = world.api.call("POST /inference-providers/", body).await;

        assert_eq!((status, &problem["detail"]), (400, &json!(complaint)));
    }
    for (key, value, complaint) in [
        ("endpoint_url", json!("http://model.example"), "config.endpoint_url: Must be an HTTPS URL."),
        ("endpoint_url", json!("http://localhost:4601"), "config.endpoint_url: Must be an HTTPS URL."),
        ("endpoint_url", json!("https://169.254.169.254/"), "config.endpoint_url: Must lead to a public address."),
        (
            "endpoint_url",
            json!("https://u:p@model.example"),
            "config.endpoint_url: May not contain a user name or password.",
        ),
        ("endpoint_url", json!("https://model.example/#x"), "config.endpoint_url: May not contain a fragment."),
        ("auth_heder", json!(KEY), "config.auth_heder: Unknown field. Did you mean auth_header?"),
        (
            "auth_header",
            json!(MASK),
            "config.auth_header: Send the value itself: none is stored for this endpoint that the mask could stand for.",
        ),
    ] {
        let mut body = an_http();
        body["config"][key] = value;
        let (status, problem) = world.api.call("POST /inference-providers/", body).await;

        assert_eq!((status, &problem["detail"]), (400, &json!(complaint)));
    }
    assert_eq!(world.api.call("GET /inference-providers/", Value::Null).await.1["results"], json!([]));
}

/// Contract D17.
#[tokio::test]
async fn what_was_shown_can_be_changed_and_sent_back() {
    let world = a_world().await;
    let path = world.created(an_http()).await;
    let (_, shown) = world.api.call(&format!("GET {path}"), Value::Null).await;

    let mut config = shown["config"].clone();
    config["timeout"] = json!(12.5);
    config["endpoint_url"] = "https://MODEL.example:443/v2".into();
    let (status, changed) = world.patched(&path, json!({"config": config})).await;

    assert_eq!((status, &changed["config"]), (200, &config));
    world.tested(&path).await;
    let kept = [("Authorization".to_owned(), format!("Bearer {TOKEN}")), ("X-Key".to_owned(), KEY.to_owned())];
    assert_eq!(world.model.headers(), kept);

    // As the TypeScript client does, with a new header and without the old one.
    let config = json!({"endpointUrl": "https://model.example/v2", "authType": "bearer", "authHeader": MASK,
        "headers": {"X-New": "n"}, "responseKey": "found"});
    let (status, changed) = world.patched(&path, json!({"config": config})).await;

    assert_eq!((status, &changed["config"]["headers"]), (200, &json!({"X-New": MASK})));
    world.tested(&path).await;
    assert_eq!(world.model.headers(), [kept[0].clone(), ("X-New".to_owned(), "n".to_owned())]);
}

/// Contract D17.
#[tokio::test]
async fn a_change_that_says_nothing_of_the_config_keeps_the_credentials() {
    let world = a_world().await;
    let path = world.created(an_http()).await;

    let (status, changed) = world.patched(&path, json!({"name": "New", "config": null, "is_active": false})).await;

    assert_eq!((status, &changed["name"], &changed["config"]["auth_header"]), (200, &json!("New"), &json!(MASK)));
    world.tested(&path).await;
    assert_eq!(world.model.headers().len(), 2);
}

/// Contract D17.
#[tokio::test]
async fn another_host_needs_the_credentials_again() {
    let world = a_world().await;
    let path = world.created(an_http()).await;
    for url in ["https://evil.example/v1", "https://model.example:8443/v1", "https://model.example.evil.example"] {
        for (auth_header, headers) in [(MASK, json!({})), (TOKEN, json!({"X-Key": MASK}))] {
            let config =
                json!({"endpoint_url": url, "auth_type": "bearer", "auth_header": auth_header, "headers": headers});
            let (status, problem) = world.patched(&path, json!({"config": config})).await;

            assert_eq!(status, 400, "{url}");
            assert!(problem["detail"].as_str().unwrap().contains("Send the value itself"), "{problem}");
        }
    }
    let (_, unchanged) = world.api.call(&format!("GET {path}"), Value::Null).await;
    assert_eq!(unchanged["config"]["endpoint_url"], "https://model.example/v1");

    let config =
        json!({"endpoint_url": "https://other.example/", "auth_type": "header", "auth_header": "X-Token: new"});
    assert_eq!(world.patched(&path, json!({"config": config})).await.0, 200);
    world.tested(&path).await;
    assert_eq!(world.model.headers(), [("X-Token".to_owned(), "new".to_owned())]);
}

#[tokio::test]
async fn a_change_keeps_what_another_call_has_changed_meanwhile() {
    for (others, status) in [
        (vec![Other::Deactivates], 200),
        (vec![Other::Tests], 200),
        (vec![Other::Tests, Other::Deactivates], 412),
        (vec![Other::Deactivates, Other::Tests], 412),
    ] {
        let (store, meanwhile) = (MemoryTenants::default(), Arc::new(Mutex::new(Vec::new())));
        let secrets = SlowSecrets { store: store.clone(), others: Arc::clone(&meanwhile) };
        let world = World::of(store, TestModel::answering(Answer::Body(r#"{"found": []}"#)), secrets).await;
        let path = world.created(an_http()).await;
        meanwhile.lock().unwrap().clone_from(&others);

        let config = json!({"endpoint_url": "https://model.example/v1", "auth_type": "bearer", "auth_header": "rotated",
            "response_key": "found"});
        let (answered, body) = world.patched(&path, json!({"name": "New", "config": config})).await;

        assert_eq!((answered, body["code"].as_str()), (status, (status == 412).then_some("precondition_failed")));
        let (_, now) = world.api.call(&format!("GET {path}"), Value::Null).await;
        let does = |other: fn(&Other) -> bool| others.iter().any(other);
        let tested = does(|other| matches!(other, Other::Tests));
        assert_eq!(now["is_active"], !does(|other| matches!(other, Other::Deactivates)));
        assert_eq!(now["last_test_success"], if tested { json!(true) } else { Value::Null });
        assert_eq!(now["name"] == "New", status == 200);
        world.tested(&path).await;
        let token = if status == 200 { "rotated" } else { TOKEN };
        assert_eq!(world.model.headers()[0].1, format!("Bearer {token}"));
    }
}

#[tokio::test]
async fn another_type_needs_a_whole_config() {
    let world = a_world().await;
    let path = world.created(an_http()).await;

    let (status, problem) = world.patched(&path, json!({"provider_type": "sagemaker"})).await;
    assert_eq!((status, &problem["detail"]), (400, &json!("config: This field is required.")));

    let (status, changed) =
        world.patched(&path, json!({"provider_type": "sagemaker", "config": a_sagemaker()["config"]})).await;
    assert_eq!((status, &changed["config"]), (200, &a_whole_config()));

    // And what was secret is gone: there is nothing that a mask could stand for.
    let mut back = an_http();
    back["config"]["auth_header"] = MASK.into();
    assert_eq!(world.patched(&path, back).await.0, 400);
}

/// I11.
#[tokio::test]
async fn no_answer_holds_a_secret_and_the_table_holds_it_sealed_for_its_row() {
    let world = a_world().await;
    let path = world.created(an_http()).await;
    let mut bad = an_http();
    bad["config"]["timeout"] = json!(0);
    bad["config"]["auth_heder"] = KEY.into();
    let calls = [
        (format!("GET {path}"), Value::Null),
        ("GET /inference-providers/".into(), Value::Null),
        (format!("PATCH {path}"), an_http()),
        (format!("POST {path}test/"), Value::Null),
        ("POST /inference-providers/".into(), an_http()),
        ("POST /inference-providers/".into(), bad),
    ];
    for (call, body) in calls {
        let (_, answer) = world.api.call(&call, body).await;
        assert!(!answer.to_string().contains(TOKEN) && !answer.to_string().contains(KEY), "{call}: {answer}");
    }

    let uid = ProviderUid::parse(path.split('/').nth(2).unwrap()).unwrap();
    let stored = world.store.provider(OrganizationUid::named("acme"), uid).await.unwrap();
    let sealed = stored.connection.sealed().unwrap();
    assert!(sealed.starts_with(&stored.secret_context()), "bound to its row: {sealed}");
    assert!(!serde_json::to_string(&stored).unwrap().replace(&json!(sealed).to_string(), "").contains(TOKEN));
}

/// Contract D15.
#[tokio::test]
async fn the_owner_of_a_role_alone_is_shown_what_it_must_trust() {
    let world = a_world().await;
    let mut body = a_sagemaker();
    body["config"]["role_arn"] = "arn:aws:iam::123456789012:role/model".into();

    let (_, with_role) = world.api.call("POST /inference-providers/", body).await;

    let acme = OrganizationUid::named("acme").to_string();
    assert_eq!(with_role["external_id"], acme);
    assert_eq!(
        with_role["trust_policy"],
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": [CALLER]},
            "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": acme}}}]})
    );
    for body in [a_sagemaker(), an_http()] {
        let (_, without) = world.api.call("POST /inference-providers/", body).await;
        assert!(without.get("external_id").is_none() && without.get("trust_policy").is_none(), "{without}");
    }
}

/// Contract D3, D4.
#[tokio::test]
async fn another_tenant_finds_nothing_and_a_key_without_the_scope_may_nothing() {
    let world = a_world().await;
    let path = world.created(an_http()).await;
    for call in [format!("GET {path}"), format!("PATCH {path}"), format!("DELETE {path}"), format!("POST {path}test/")]
    {
        assert_eq!(world.api.call_as(OTHER, &call, json!({})).await.0, 404, "{call}"); // I10
        assert_eq!(world.api.call_as(ACME_PROJECTS, &call, json!({})).await.0, 403, "{call}");
    }
    assert_eq!(world.api.call_as(OTHER, "GET /inference-providers/", Value::Null).await.1["results"], json!([]));
    assert_eq!(world.api.call(&format!("GET {path}"), Value::Null).await.0, 200);
    assert!(world.model.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_provider_that_is_created_again_under_its_idempotency_key_is_one() {
    for answer_lost in [false, true] {
        let store = MemoryTenants::default().failing(&Arc::new(Fault::at(3, answer_lost))); // the projects of the world come first
        let world = World::of(store.clone(), TestModel::default(), PlainSecrets).await;
        let config = json!({"endpoint_name": "yolo", "region": "us-east-1"});
        let body = json!({"name": "p", "provider_type": "sagemaker", "config": config});
        let create = async || world.api.call_once("k", "POST /inference-providers/", &body).await;

        assert_eq!(create().await.0, 503);
        let (status, provider) = create().await;

        assert_eq!(status, 201, "{provider}");
        let listed = world.api.call("GET /inference-providers/", Value::Null).await.1;
        assert_eq!(listed["results"], json!([provider]), "lost {answer_lost}");
    }
}

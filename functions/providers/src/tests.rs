use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::id::OrganizationUid;
use shared::domain::project::Project;
use shared::ports::Projects;
use shared::testing::{ACME_PROJECTS, MemoryTenants, OTHER, StoppedClock, TestApi};

use crate::{App, routes};

/// An API with a project of "acme" and one of "other".
async fn an_api() -> (TestApi, [String; 2]) {
    let store = MemoryTenants::default();
    let mut projects = Vec::new();
    for organization in ["acme", "other"] {
        let project =
            Project::read(br#"{"name": "p"}"#, OrganizationUid::named(organization), Timestamp::UNIX_EPOCH).unwrap();
        store.add_project(&project).await.unwrap();
        projects.push(project.uid.to_string());
    }
    (TestApi::of(routes(App { store, clock: StoppedClock::at(1_000) })), [projects.remove(0), projects.remove(0)])
}

fn a_body() -> Value {
    json!({"name": "Ours", "provider_type": "sagemaker", "config": {"endpoint_name": "yolo", "region": "us-east-1"}})
}

#[tokio::test]
async fn a_provider_is_created_read_changed_and_removed() {
    let (api, [project, _]) = an_api().await;
    let (status, provider) = api.call("POST /inference-providers/", a_body()).await;
    let uid = provider["uid"].as_str().unwrap();
    assert_eq!(
        (status, &provider),
        (
            201,
            &json!({"uid": uid, "name": "Ours", "description": null, "provider_type": "sagemaker", "config": {"endpoint_name": "yolo", "region": "us-east-1"},
                "is_active": true, "project": null, "last_test_at": null, "last_test_success": null,
                "created_at": "1970-01-01T00:16:40Z", "updated_at": "1970-01-01T00:16:40Z"})
        )
    );
    let path = format!("/inference-providers/{uid}/");
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await, (200, provider.clone()));
    assert_eq!(api.call("GET /inference-providers/", Value::Null).await.1["results"], json!([provider]));

    // As the TypeScript client sends it back.
    let change = json!({"config": {"endpointName": "sam3", "region": "us-east-1"}, "project": project});
    let (status, changed) = api.call(&format!("PATCH {path}"), change).await;
    assert_eq!(
        (status, &changed["config"]["endpoint_name"], &changed["project"], &changed["name"]),
        (200, &json!("sam3"), &json!(project), &json!("Ours"))
    );

    assert_eq!(api.call(&format!("DELETE {path}"), Value::Null).await, (204, Value::Null));
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_bad_provider_is_refused_with_the_name_of_its_field() {
    let (api, [_, foreign]) = an_api().await;
    for (field, value, complaint) in [
        ("provider_type", json!("http"), "provider_type: \"http\" providers are not served yet."),
        ("provider_type", json!("vertex"), "provider_type: Must be \"sagemaker\"."),
        ("name", json!(" "), "name: May not be blank."),
        ("config", json!({"endpoint_name": "yolo"}), "config.region: This field is required."),
        (
            "config",
            json!({"endpoint_name": "yolo", "region": "us-east-1", "auth_heder": "s"}),
            "config.auth_heder: Unknown key.",
        ),
        ("project", json!("nonsense"), "project: Unknown project."),
        ("project", json!(foreign), "project: Unknown project."),
    ] {
        let mut body = a_body();
        body[field] = value;
        let (status, problem) = api.call("POST /inference-providers/", body).await;

        assert_eq!((status, &problem["detail"]), (400, &json!(complaint)));
    }
}

/// Contract D3, D4.
#[tokio::test]
async fn another_tenant_finds_nothing_and_a_key_without_the_scope_may_nothing() {
    let (api, _) = an_api().await;
    let (_, provider) = api.call("POST /inference-providers/", a_body()).await;
    let path = format!("/inference-providers/{}/", provider["uid"].as_str().unwrap());
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(api.call_as(OTHER, &format!("{method} {path}"), json!({})).await.0, 404, "{method}"); // I10
        assert_eq!(api.call_as(ACME_PROJECTS, &format!("{method} {path}"), json!({})).await.0, 403, "{method}");
    }
    assert_eq!(api.call_as(OTHER, "GET /inference-providers/", Value::Null).await.1["results"], json!([]));
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await.0, 200);
}

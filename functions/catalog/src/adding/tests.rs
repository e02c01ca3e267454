//! The outcome of each line, with files and clocks that the deployed stack cannot have.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::id::OrganizationUid;
use shared::domain::item::source::SourceBuckets;
use shared::testing::{ACME_PROJECTS, Fault, MemoryObjects, MemoryTenants, OTHER, TestApi, a_png};

use super::*;
use crate::in_memory::{Web, in_memory};
use crate::routes;

fn api_over(store: MemoryTenants, objects: MemoryObjects, web: MemoryObjects) -> TestApi {
    let buckets = SourceBuckets::new([("pictures".to_owned(), vec!["acme".to_owned()])].into(), "own");
    TestApi::of(routes(Arc::new(CatalogApi { store, objects, web: Web(web), buckets, ..in_memory() })))
}

/// An API with a project of "acme", and the path of its items.
async fn an_api() -> (TestApi, String) {
    let project = Project::read(br#"{"name": "Cats"}"#, OrganizationUid::named("acme"), Timestamp::UNIX_EPOCH).unwrap();
    let store = MemoryTenants::default();
    store.add_project(&project).await.unwrap();
    let (objects, web) = (MemoryObjects::default(), MemoryObjects::default());
    objects.put("pictures/a.png", "", a_png(30, 40)).await.unwrap();
    web.put("https://a.example/cat.png", "", a_png(10, 20)).await.unwrap();
    web.put("https://a.example/cat.txt", "", b"a cat".to_vec()).await.unwrap();
    (api_over(store, objects, web), format!("/projects/{}/", project.uid))
}

async fn add(api: &TestApi, project: &str, items: Value) -> (u16, Value) {
    api.call(&format!("POST {project}items/"), json!({"items": items})).await
}

fn keys(views: &Value) -> Vec<&str> {
    views.as_array().unwrap().iter().map(|view| view["key"].as_str().unwrap()).collect()
}

fn sized(key: &str) -> Value {
    json!({"key": key, "width": 1, "height": 2})
}

#[tokio::test]
async fn good_lines_are_added_and_bad_ones_are_reported_one_by_one() {
    let (api, project) = an_api().await;
    let lines = json!([
        sized("a"),
        {"key": "b", "width": 0, "height": "x"},
        {"width": 1, "height": 1},
        "c",
        sized("a"),
        {"key": "d", "asset_type": "point_cloud"},
    ]);

    let (status, answer) = add(&api, &project, lines).await;

    assert_eq!(status, 201);
    assert_eq!(keys(&answer["results"]), ["a", "d"]);
    let errors = answer["errors"].as_array().unwrap();
    let refused: Vec<(&Value, &Value)> = errors.iter().map(|error| (&error["line"], &error["key"])).collect();
    assert_eq!(
        refused,
        [(&json!(1), &json!("b")), (&json!(2), &Value::Null), (&json!(3), &Value::Null), (&json!(4), &json!("a"))]
    );
    assert_eq!(errors[0]["errors"].as_object().unwrap().keys().collect::<HashSet<_>>().len(), 2);
    assert_eq!(errors[3]["detail"], json!("key: Is the key of items[0] too."));
    assert_eq!(api.call(&format!("GET {project}"), Value::Null).await.1["item_count"], json!(2));
}

#[tokio::test]
async fn a_call_without_a_good_line_is_refused_naming_every_field() {
    let (api, project) = an_api().await;

    let (status, problem) =
        add(&api, &project, json!([{"key": "../a"}, 7, {"key": "b", "width": -1, "height": 1}])).await;

    assert_eq!((status, &problem["code"]), (400, &json!("validation_error")));
    let mut fields: Vec<&String> = problem["errors"].as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["items[0].key", "items[1]", "items[2].width"]);
}

#[tokio::test]
async fn one_bare_item_is_answered_by_itself() {
    let (api, project) = an_api().await;
    let path = format!("POST {project}items/");

    let (status, item) = api.call(&path, json!({"key": "a.jpg"})).await;
    assert_eq!((status, &item["created"], &item["width"]), (201, &json!(true), &Value::Null));
    assert!(item["upload_url"].as_str().unwrap().contains("/a.jpg"));

    let (status, problem) = api.call(&path, json!({"key": "b", "width": 1})).await;
    assert_eq!((status, &problem["detail"]), (400, &json!("height: Give both width and height, or neither.")));
    let (_, problem) = api.call(&path, json!({})).await;
    assert_eq!(problem["detail"], json!("items: This field is required."));
}

#[tokio::test]
async fn a_url_is_kept_as_it_is_parsed_and_may_be_as_long_as_a_signed_one() {
    let (api, project) = an_api().await;
    let signed = format!("https://a.example/a.jpg?X-Amz-Security-Token={}", "A".repeat(7_000));
    let line = |key: &str, url: &str| json!({"key": key, "url": url, "width": 1, "height": 2});

    let lines = [line("a", "https://a.example/my pictures/día.jpg"), line("b", &signed)];
    let (status, answer) = add(&api, &project, json!(lines)).await;
    assert_eq!((status, &answer["errors"]), (201, &json!([])));
    let again = [line("a", "https://a.example/my%20pictures/d%C3%ADa.jpg"), line("b", &signed)];
    let (_, answer) = add(&api, &project, json!(again)).await;
    assert_eq!((keys(&answer["results"]), &answer["errors"]), (vec!["a", "b"], &json!([])));

    let (status, problem) = add(&api, &project, json!([line("c", &"x".repeat(8_193))])).await;
    assert_eq!(
        (status, &problem["detail"]),
        (400, &json!("items[0].url: Must have at most 8192 characters, and has 8193."))
    );
}

#[tokio::test]
async fn prompts_of_labels_are_kept_and_held_against_the_labels() {
    let (api, project) = an_api().await;
    let patch = format!("PATCH {project}");

    let body = json!({"labels": ["car", "vélo"], "label_prompts": {"ve\u{301}lo": "a bicycle"}});
    let (status, changed) = api.call(&patch, body).await;
    let pairs = json!([{"label": "vélo", "prompt": "a bicycle"}]);
    assert_eq!((status, &changed["labels"], &changed["label_prompts"]), (200, &json!(["car", "vélo"]), &pairs));
    assert_eq!(api.call(&patch, json!({"label_prompts": pairs})).await.0, 200);
    let (status, problem) = api.call(&patch, json!({"label_prompts": {"bus": "a bus"}})).await;
    assert_eq!(
        (status, &problem["detail"]),
        (400, &json!("label_prompts: The project does not have \"bus\". Its labels: \"car\", \"vélo\"."))
    );
    assert_eq!(api.call(&format!("GET {project}"), Value::Null).await.1["label_prompts"], pairs);
}

/// Contract D32.
#[tokio::test]
async fn a_call_may_be_repeated_and_counts_once() {
    let (api, project) = an_api().await;
    let lines = json!([sized("a"), {"key": "b", "url": "https://a.example/cat.png"}, {"key": "c"}]);

    let (_, first) = add(&api, &project, lines.clone()).await;
    let (status, again) = add(&api, &project, lines).await;

    let created = |answer: &Value| {
        answer["results"].as_array().unwrap().iter().map(|item| item["created"] == json!(true)).collect::<Vec<_>>()
    };
    assert_eq!(created(&first), [true; 3]);
    // The clock stands still in here, so the items are the same to the microsecond: a first try whose answer was lost.
    assert_eq!((status, created(&again)), (201, vec![true, false, true]));
    assert_eq!(again["results"][1]["width"], json!(10));
}

#[tokio::test]
async fn a_key_that_has_another_file_or_size_keeps_it() {
    let (api, project) = an_api().await;
    add(&api, &project, json!([sized("a"), sized("b")])).await;

    let other =
        json!([{"key": "a", "width": 9, "height": 9}, {"key": "b", "url": "https://a.example/cat.png"}, sized("c")]);
    let (status, answer) = add(&api, &project, other).await;

    assert_eq!((status, keys(&answer["results"]), keys(&answer["errors"])), (201, vec!["c"], vec!["a", "b"]));
    assert!(answer["errors"][0]["errors"]["key"][0].as_str().unwrap().ends_with("it stays as it is."));
    let (_, page) = api.call(&format!("GET {project}items/"), Value::Null).await;
    let widths: Vec<&Value> = page["results"].as_array().unwrap().iter().map(|item| &item["width"]).collect();
    assert_eq!(widths, [&json!(1); 3]);
}

#[tokio::test(start_paused = true)]
async fn sizes_are_read_from_the_files_and_one_bad_file_costs_one_line() {
    let (api, project) = an_api().await;
    let url = |key: &str, url: &str| json!({"key": key, "url": url});
    let lines = json!([
        url("web", "https://a.example/cat.png"),
        url("s3", "s3://pictures/a.png"),
        url("missing", "https://a.example/dog.png"),
        url("text", "https://a.example/cat.txt"),
        url("slow", "https://slow.example/"),
        url("busy", "https://busy.example/"),
        {"key": "given", "url": "https://slow.example/", "width": 5, "height": 6},
        {"key": "cloud", "url": "https://slow.example/", "asset_type": "point_cloud"},
    ]);

    let (_, answer) = add(&api, &project, lines).await;

    let sizes: Vec<(&Value, &Value)> =
        answer["results"].as_array().unwrap().iter().map(|item| (&item["width"], &item["height"])).collect();
    let [w, h] = [json!(10), json!(20)];
    let none = Value::Null;
    assert_eq!(sizes, [(&w, &h), (&json!(30), &json!(40)), (&json!(5), &json!(6)), (&none, &none)]);
    assert_eq!(keys(&answer["errors"]), ["missing", "text", "slow", "busy"]);
    for error in answer["errors"].as_array().unwrap() {
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.starts_with("url: ") && detail.contains("Give width and height"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_full_of_files_that_never_come_ends_in_time() {
    let (api, project) = an_api().await;
    let line = |n: usize| json!({"key": n.to_string(), "url": format!("https://slow.example/{n}")});
    let begun = Instant::now();

    let (status, _) = add(&api, &project, (0..limits::ITEMS_PER_CALL).map(line).collect()).await;

    assert_eq!(status, 400);
    assert!(begun.elapsed() <= FILES_TIME + Duration::from_millis(1), "{:?}", begun.elapsed());
}

/// I10 too.
///
/// Contract D18.
#[tokio::test]
async fn no_line_reaches_a_bucket_or_an_address_that_is_not_its_tenants() {
    let (api, project) = an_api().await;
    for (url, sentence) in [
        ("s3://own/projects/x/y.jpg", "This deployment does not read from bucket \"own\"."),
        ("s3://unknown/a.png", "This deployment does not read from bucket \"unknown\"."),
        ("https://127.0.0.1/a.png", "Must lead to a public address."),
        ("http://localhost:1/a.png", "Must be an HTTPS URL."),
        ("ftp://a.example/a.png", "Must be an HTTPS URL."),
        ("https://user:word@a.example/", "May not contain a user name or password."),
    ] {
        // Also with a size, so that the file is not read.
        let line = json!([{"key": "a", "url": url, "width": 1, "height": 1}]);
        let (status, problem) = add(&api, &project, line).await;
        assert_eq!((status, &problem["detail"]), (400, &json!(format!("items[0].url: {sentence}"))));
    }
}

#[tokio::test]
async fn items_and_projects_are_changed_by_their_tenants_writers_alone() {
    let (api, project) = an_api().await;
    for (key, expected) in [(OTHER, 404), (ACME_PROJECTS, 403)] {
        let (status, _) = api.call_as(key, &format!("POST {project}items/"), json!({"items": [sized("a")]})).await;
        assert_eq!(status, expected);
        let (status, _) = api.call_as(key, &format!("PATCH {project}"), json!({"name": "Dogs"})).await;
        assert_eq!(status, expected);
    }
    assert_eq!(api.call_as(OTHER, &format!("GET {project}items/"), Value::Null).await.0, 404);
    add(&api, &project, json!([sized("a")])).await;
    assert_eq!(api.call_as(OTHER, &format!("GET {project}items/"), Value::Null).await.0, 404);

    let (status, changed) = api.call(&format!("PATCH {project}"), json!({"status": "paused"})).await;
    assert_eq!(
        (status, &changed["name"], &changed["is_active"], &changed["item_count"]),
        (200, &json!("Cats"), &json!(false), &json!(1))
    );
}

/// An answer of Lambda has 6 MB at most, and what cannot be answered must not be stored.
#[test]
fn a_call_whose_answer_has_no_room_is_refused_with_how_much_of_it_fits() {
    let owner = (
        OrganizationUid::named("acme"),
        Project::read(br#"{"name": "p"}"#, OrganizationUid::named("acme"), Timestamp::UNIX_EPOCH).unwrap().uid,
    );
    let lines = |count: usize, key: &str, url_bytes: usize| {
        let mut uploads = HashMap::new();
        let lines: Vec<Line> = (0..count)
            .map(|n| {
                let key = format!("{n:03}{key}");
                let item =
                    Item::read(json!({"key": key}), owner, Timestamp::UNIX_EPOCH, |_| unreachable!("no url")).unwrap();
                uploads.insert(item.asset.uid, "u".repeat(url_bytes));
                Line { key: Some(key), read: Ok(item) }
            })
            .collect();
        check_room(&lines, &uploads)
    };
    // A thousand short keys with the credentials of a role; the longest keys with few.
    assert!(lines(1_000, ".jpg", 2_500).is_ok());
    assert!(lines(1_000, &"x".repeat(890), 1_500).is_ok());
    assert!(lines(1, &"x".repeat(890), 8_000).is_ok());

    let Err(Error::Validation(complaints)) = lines(1_000, &"x".repeat(890), 4_000) else { panic!("it does not fit") };
    assert_eq!((complaints.len(), complaints[0].field.as_str()), (1, "items"));
    let fitting: usize =
        complaints[0].message.split("first ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((700..1_000).contains(&fitting), "{}", complaints[0].message);
    assert!(lines(fitting, &"x".repeat(890), 4_000).is_ok() && lines(fitting + 1, &"x".repeat(890), 4_000).is_err());
}

/// The answer of the first attempt is lost, or its effect is all that there is of it.
#[tokio::test]
async fn a_project_that_is_created_again_under_its_idempotency_key_is_one() {
    for answer_lost in [false, true] {
        let store = MemoryTenants::default().failing(&Arc::new(Fault::at(1, answer_lost)));
        let api = api_over(store, MemoryObjects::default(), MemoryObjects::default());
        let create = async || api.call_once("k", "POST /projects/", &json!({"name": "Cats"})).await;

        assert_eq!(create().await.0, 503);
        let (status, project) = create().await;

        assert_eq!(status, 201);
        let listed = api.call("GET /projects/", Value::Null).await.1;
        assert_eq!(listed["results"], json!([project]), "lost {answer_lost}");
        assert_eq!(create().await.1, project);
    }
}

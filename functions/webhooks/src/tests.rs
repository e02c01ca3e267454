use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::job_status::JobStatus;
use shared::domain::webhook::{Delivery, DeliveryStatus, Event, Response, Webhook, WebhookChange};
use shared::ports::{Secrets, Slice, Webhooks};
use shared::testing::{
    ACME, ACME_PROJECTS, Fault, MemoryQueue, MemoryWebhooks, OTHER, PlainSecrets, ScriptedReceivers, StoppedClock,
    TestApi, a_job, a_webhook,
};

use crate::{WebhookApi, WebhookPorts, routes};

struct InMemory;

impl WebhookPorts for InMemory {
    type Store = MemoryWebhooks;
    type Secrets = PlainSecrets;
    type Queue = MemoryQueue;
    type Sender = ScriptedReceivers;
    type Clock = StoppedClock;
}

fn an_api(script: impl IntoIterator<Item = Response>) -> TestApi {
    an_api_of(MemoryWebhooks::default(), script)
}

fn an_api_of(store: MemoryWebhooks, script: impl IntoIterator<Item = Response>) -> TestApi {
    TestApi::of(routes(Arc::new(WebhookApi::<InMemory> {
        store,
        secrets: PlainSecrets,
        queue: MemoryQueue::default(),
        sender: ScriptedReceivers::answering(script),
        clock: StoppedClock::at(1_000),
        loopback_http: false,
    })))
}

fn a_body() -> Value {
    json!({"target_url": "https://receiver.example/hook", "events": ["auto_label.completed"]})
}

async fn created(api: &TestApi, body: Value) -> String {
    let (status, webhook) = api.call("POST /webhooks/", body).await;
    assert_eq!(status, 201, "{webhook}");
    webhook["uid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_secret_is_shown_once() {
    let api = an_api([]);
    let (status, webhook) = api.call("POST /webhooks/", a_body()).await;
    assert_eq!((status, webhook["secret"].as_str().map(str::len)), (201, Some(50)));
    let uid = webhook["uid"].as_str().unwrap();

    let mut shown = webhook.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(
        shown,
        json!({"uid": uid, "target_url": "https://receiver.example/hook", "events": ["auto_label.completed"], "is_active": true,
        "created_at": "1970-01-01T00:16:40Z", "updated_at": "1970-01-01T00:16:40Z"})
    );
    assert_eq!(api.call(&format!("GET /webhooks/{uid}/"), Value::Null).await, (200, shown.clone()));
    assert_eq!(
        api.call("GET /webhooks", Value::Null).await,
        (200, json!({"next": null, "previous": null, "results": [shown]}))
    );
}

#[tokio::test]
async fn a_secret_of_the_clients_own_is_kept() {
    let mut body = a_body();
    body["secret"] = "a secret of mine".into();

    let (_, webhook) = an_api([]).call("POST /webhooks/", body).await;

    assert_eq!(webhook["secret"], "a secret of mine");
}

/// Contract D5, D18.
#[tokio::test]
async fn a_bad_subscription_is_refused_with_the_name_of_its_field() {
    let api = an_api([]);
    let long = format!("https://a.example/{}", "x".repeat(2_048));
    for (field, value, complaint) in [
        ("target_url", json!("receiver"), "Must be a URL."),
        ("target_url", json!("http://receiver.example"), "Must be an HTTPS URL."),
        ("target_url", json!("http://localhost:8090/hook"), "Must be an HTTPS URL."),
        ("target_url", json!("https://169.254.169.254/"), "Must lead to a public address."),
        ("target_url", json!(long), "Must have at most 2048 characters, and has 2066."),
        ("target_url", json!(7), "Must be a string, not a number."),
        ("events", json!([]), "Must name at least one event."),
        ("events", json!("auto_label.completed"), "Must be a list, not a string."),
        ("is_active", json!("yes"), "Must be true or false, not a string."),
        ("secret", json!("short"), "Must have 16 to 256 characters."),
    ] {
        let mut body = a_body();
        body[field] = value;
        let (status, problem) = api.call("POST /webhooks/", body).await;

        assert_eq!(
            (status, &problem["detail"], &problem["errors"]),
            (400, &json!(format!("{field}: {complaint}")), &json!({field: [complaint]}))
        );
    }
    assert_eq!(api.call("GET /webhooks/", Value::Null).await.1["results"], json!([]));
}

#[tokio::test]
async fn a_change_answers_the_whole_object_and_a_removed_one_is_gone() {
    let api = an_api([]);
    let path = format!("/webhooks/{}/", created(&api, a_body()).await);

    let (status, webhook) = api.call(&format!("PATCH {path}"), json!({"is_active": false})).await;
    assert_eq!(
        (status, &webhook["is_active"], &webhook["events"], webhook.get("secret")),
        (200, &json!(false), &json!(["auto_label.completed"]), None)
    );
    let (status, problem) = api.call(&format!("PATCH {path}"), json!({"target_url": "https://10.0.0.1/"})).await;
    assert_eq!((status, &problem["detail"]), (400, &json!("target_url: Must lead to a public address.")));
    let (status, problem) =
        api.call(&format!("PATCH {path}"), json!({"secret": "another one of 32 characters..."})).await;
    let complaint = "secret: Cannot be changed: create another webhook, and delete this one.";
    assert_eq!((status, &problem["detail"]), (400, &json!(complaint)));

    assert_eq!(api.call(&format!("DELETE {path}"), Value::Null).await, (204, Value::Null));
    for call in ["GET", "PATCH", "DELETE"] {
        assert_eq!(api.call(&format!("{call} {path}"), json!({})).await.0, 404, "{call}");
    }
}

#[tokio::test]
async fn a_change_keeps_what_another_call_has_changed_meanwhile() {
    let other_call = |before: &Webhook, body: &[u8]| {
        let change = WebhookChange::read(body, |url| Ok(url.as_str().unwrap().to_owned())).unwrap();
        change.of(before.clone(), before.updated_at) // in the same instant
    };
    let stopped = other_call(&a_webhook(), br#"{"is_active": false}"#);
    let moved = other_call(&stopped, br#"{"target_url": "https://moved.example/"}"#);
    for (others, status, target_url) in
        [(vec![stopped.clone()], 200, "https://new.example/"), (vec![stopped, moved], 412, "https://moved.example/")]
    {
        let api = an_api_of(MemoryWebhooks::with(a_webhook()).contended(others), []);
        let path = format!("/webhooks/{}/", a_webhook().uid);

        let (answered, body) = api.call(&format!("PATCH {path}"), json!({"target_url": "https://new.example/"})).await;

        assert_eq!((answered, body["code"].as_str()), (status, (status == 412).then_some("precondition_failed")));
        let (_, now) = api.call(&format!("GET {path}"), Value::Null).await;
        assert_eq!((&now["is_active"], &now["target_url"]), (&json!(false), &json!(target_url)));
    }
}

/// Contract D24.
#[tokio::test]
async fn a_test_is_posted_at_once_recorded_and_never_repeated() {
    let api = an_api([Response::of(500, b"no"), Response::none("No complete answer came in time.")]);
    let mut body = a_body();
    body["is_active"] = false.into();
    let uid = created(&api, body).await;
    let test = format!("POST /webhooks/{uid}/test/");

    let (status, failed) = api.call(&test, Value::Null).await;
    assert_eq!(
        (status, &failed["success"], &failed["message"], &failed["response_status"]),
        (200, &json!(false), &json!("The receiver answered 500."), &json!(500))
    );
    let (_, unanswered) = api.call(&test, json!({})).await;
    assert_eq!(
        (&unanswered["message"], &unanswered["response_status"]),
        (&json!("No complete answer came in time."), &Value::Null)
    );
    let (_, succeeded) = api.call(&test, json!({})).await;
    assert_eq!(succeeded["success"], true);

    let (_, delivery) =
        api.call(&format!("GET /webhook-deliveries/{}/", failed["delivery"].as_str().unwrap()), Value::Null).await;
    assert_eq!(
        delivery,
        json!({"uid": failed["delivery"], "subscription": uid, "event_type": "webhook.test", "payload": {"webhook_uid": uid}, "status": "failed", "attempts": 1,
            "next_retry_at": null, "response_status": 500, "response_body": "no", "response_preview": "no", "response_body_size": 2,
            "response_body_sha256": "9390298f3fb0c5b160498935d79cb139aef28e1c47358b4bbba61862b9c26e59",
            "created_at": "1970-01-01T00:16:40Z", "updated_at": "1970-01-01T00:16:40Z"})
    );
}

#[tokio::test]
async fn deliveries_are_narrowed_by_subscription_event_and_status() {
    let api = an_api([Response::of(500, b"")]);
    let uid = created(&api, a_body()).await;
    for _ in 0..2 {
        api.call(&format!("POST /webhooks/{uid}/test/"), Value::Null).await;
    }
    for (query, count) in [
        ("", 2),
        ("?status=failed", 1),
        ("?status=pending", 0),
        ("?event_type=webhook.test", 2),
        ("?subscription=nonsense", 0),
    ] {
        let (_, page) = api.call(&format!("GET /webhook-deliveries/{query}"), Value::Null).await;
        assert_eq!(page["results"].as_array().map(Vec::len), Some(count), "{query}");
    }
    assert_eq!(
        api.call(&format!("GET /webhook-deliveries/?subscription={uid}"), Value::Null).await.1["results"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(api.call("GET /webhook-deliveries/?status=odd", Value::Null).await.0, 400);
}

/// Contract D3, D4.
#[tokio::test]
async fn another_tenant_finds_nothing_and_a_key_without_the_scope_may_nothing() {
    let api = an_api([]);
    let uid = created(&api, a_body()).await;
    let (_, tested) = api.call(&format!("POST /webhooks/{uid}/test/"), Value::Null).await;
    let delivery = tested["delivery"].as_str().unwrap();
    let calls = [
        format!("GET /webhooks/{uid}/"),
        format!("PATCH /webhooks/{uid}/"),
        format!("DELETE /webhooks/{uid}/"),
        format!("POST /webhooks/{uid}/test/"),
        format!("GET /webhook-deliveries/{delivery}/"),
    ];
    for call in &calls {
        assert_eq!(api.call_as(OTHER, call, json!({})).await.0, 404, "{call}"); // I10
        assert_eq!(api.call_as(ACME_PROJECTS, call, json!({})).await.0, 403, "{call}");
    }
    for list in ["GET /webhooks/", "GET /webhook-deliveries/"] {
        assert_eq!(api.call_as(OTHER, list, Value::Null).await.1["results"], json!([]), "{list}");
        assert_eq!(api.call_as(ACME_PROJECTS, list, Value::Null).await.0, 403, "{list}");
    }
    assert_eq!(api.call_as(ACME, &calls[0], Value::Null).await.0, 200);
    assert_eq!(api.call("PUT /webhooks/", json!({})).await.0, 405);
}

/// A delivery of a job's end, as it became, to the first subscription there is.
async fn a_redelivery(as_it_became: impl FnOnce(&mut Delivery)) -> (TestApi, Arc<MemoryWebhooks>, Delivery) {
    let store = Arc::new(MemoryWebhooks::with(a_webhook()));
    let event = Event::of_job(&a_job(), JobStatus::Completed, None).unwrap();
    let mut delivery = Delivery::of(&event, &a_webhook(), Timestamp::from_second(500).unwrap());
    as_it_became(&mut delivery);
    store.put(delivery.clone());
    (an_api_of(store.as_ref().clone(), []), store, delivery)
}

fn given_up(delivery: &mut Delivery) {
    delivery.attempted(Response::of(500, b"no"), None, Timestamp::from_second(600).unwrap());
}

#[tokio::test]
async fn a_delivery_that_has_ended_is_delivered_again_with_the_same_bytes() {
    let ends: [fn(&mut Delivery); 3] = [
        given_up,
        |delivery| delivery.attempted(Response::of(200, b"ok"), None, Timestamp::from_second(600).unwrap()),
        |delivery| delivery.abandoned("The subscription was deactivated.", Timestamp::from_second(600).unwrap()),
    ];
    for end in ends {
        let (api, store, before) = a_redelivery(end).await;

        let (status, shown) =
            api.call(&format!("POST /webhook-deliveries/{}/redeliver/", before.uid), Value::Null).await;

        assert_eq!((status, &shown["status"], &shown["attempts"]), (202, &json!("pending"), &json!(0)), "{shown}");
        let now = store.delivery(before.uid).await.unwrap().unwrap();
        assert_eq!((now.body, now.status, now.next_retry_at), (before.body, DeliveryStatus::Pending, None));
        // I6: the outbox has it if the process dies before the queue does.
        let later = Timestamp::from_second(2_000).unwrap();
        assert_eq!(store.waiting_deliveries(later, 10).await.unwrap(), [(before.uid, 0)]);
    }
}

#[tokio::test]
async fn a_delivery_that_is_due_soon_stays_and_one_that_is_due_later_is_sent_now() {
    for (seconds, restarted) in [(10, false), (60, false), (61, true), (10_800, true)] {
        let failed = |delivery: &mut Delivery| {
            delivery.attempted(
                Response::of(500, b"no"),
                Some(Duration::from_secs(seconds)),
                Timestamp::from_second(1_000).unwrap(),
            );
        };
        let (api, store, before) = a_redelivery(failed).await;
        let call = format!("POST /webhook-deliveries/{}/redeliver/", before.uid);

        assert_eq!(api.call(&call, Value::Null).await.0, 202);
        assert_eq!(api.call(&call, Value::Null).await.0, 202);

        let now = store.delivery(before.uid).await.unwrap().unwrap();
        assert_eq!(now.attempts == 0, restarted, "{seconds} s");
        assert_eq!(now == before, !restarted, "{seconds} s");
    }
}

#[tokio::test]
async fn an_inactive_or_deleted_webhook_gets_no_redelivery() {
    let (api, store, delivery) = a_redelivery(given_up).await;
    let call = format!("POST /webhook-deliveries/{}/redeliver/", delivery.uid);
    let path = format!("/webhooks/{}/", delivery.subscription);
    for change in ["PATCH", "DELETE"] {
        api.call(&format!("{change} {path}"), json!({"is_active": false})).await;

        let (status, problem) = api.call(&call, Value::Null).await;

        assert_eq!((status, &problem["code"]), (409, &json!("not_redeliverable")), "{change}");
    }
    assert_eq!(store.delivery(delivery.uid).await.unwrap(), Some(delivery));
}

/// Contract D24.
#[tokio::test]
async fn a_test_is_not_delivered_again() {
    let api = an_api([Response::of(500, b"no")]);
    let uid = created(&api, a_body()).await;
    let (_, tested) = api.call(&format!("POST /webhooks/{uid}/test/"), Value::Null).await;

    let call = format!("POST /webhook-deliveries/{}/redeliver/", tested["delivery"].as_str().unwrap());
    let (status, problem) = api.call(&call, Value::Null).await;

    assert_eq!((status, &problem["code"]), (409, &json!("not_redeliverable")));
    assert_eq!(api.call_as(OTHER, &call, Value::Null).await.0, 404); // I10
    assert_eq!(api.call_as(ACME_PROJECTS, &call, Value::Null).await.0, 403);
}

#[tokio::test]
async fn the_systems_own_event_can_be_subscribed_to() {
    let mut body = a_body();
    body["events"] = json!(["auto_label.cancelled"]);

    assert_eq!(an_api([]).call("POST /webhooks/", body).await.0, 201);
}

#[tokio::test]
async fn more_subscriptions_to_the_events_of_one_review_than_its_transaction_holds_are_refused() {
    let api = an_api([]);
    let mut body = a_body();
    body["events"] = json!(["result.accepted", "task.completed"]);
    for _ in 0..45 {
        created(&api, body.clone()).await;
    }
    let other = created(&api, a_body()).await;

    for (call, body) in [("POST /webhooks/".to_owned(), body.clone()), (format!("PATCH /webhooks/{other}/"), body)] {
        let (status, problem) = api.call(&call, body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("too_many")), "{call}");
        assert!(problem["detail"].as_str().unwrap().contains("at most 90 subscriptions"), "{problem}");
    }
    created(&api, a_body()).await;
}

/// The answer of the first attempt is lost, with the secret that signs.
#[tokio::test]
async fn a_webhook_that_is_created_again_under_its_idempotency_key_is_one_and_shows_the_secret_that_signs() {
    for call in 1..=2 {
        for answer_lost in [false, true] {
            let store = MemoryWebhooks::default().failing(&Arc::new(Fault::at(call, answer_lost)));
            let api = an_api_of(store.clone(), []);
            let create = async || api.call_once("k", "POST /webhooks/", &a_body()).await;

            let first = create().await;
            if first.0 == 201 {
                assert_eq!(call, 2);
                continue;
            }
            let (status, webhook) = create().await;

            assert_eq!((first.0, status), (503, 201));
            let all = store.webhooks(a_webhook().organization, &Slice { limit: 10, ..Slice::default() }).await.unwrap();
            assert_eq!(all.entries.len(), 1, "call {call}, lost {answer_lost}");
            let stored = &all.entries[0];
            let context = Webhook::secret_context(stored.organization, stored.uid);
            let secret = PlainSecrets.open(&context, &stored.sealed_secret).await.unwrap();
            assert_eq!((&webhook["uid"], &webhook["secret"]), (&json!(stored.uid), &json!(secret)));
        }
    }
}

//! The frame, around routes of the tests' own.

#![expect(clippy::unwrap_used, reason = "all of it is tests, and not all of it is in functions marked so")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::header::{ETAG, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use lambda_http::request::RequestContext;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::headers::{API_KEY, IDEMPOTENCY_KEY, RATE_LIMIT, RATE_REMAINING, RATE_RESET, REQUEST_ID};
use super::{Body, ListRequest, Path, Repeatable, Settings, wrong_method};
use crate::domain::access::rate_limit::RateLimit;
use crate::domain::fields::Fields;
use crate::domain::id::{Naming, ProjectUid};
use crate::domain::{Error, Timestamp, limits};
use crate::testing::{ACME, Fault, MemoryRequests, OTHER, TestApi};

/// Routes that do what is asked of them, and count how often.
fn routes(made: &Arc<AtomicUsize>) -> Router {
    let count = |made: &Arc<AtomicUsize>| made.fetch_add(1, Ordering::Relaxed) + 1;
    let [once, again, huge, fickle, named] = [(); 5].map(|()| Arc::clone(made));
    Router::new()
        .route(
            "/things",
            post(async move |Body(body): Body| {
                Fields::of_body(&body)
                    .map(|_| (StatusCode::CREATED, [(ETAG, "\"0\"")], Json(json!({"made": count(&once)}))))
            }),
        )
        .route("/again", post(async move || (StatusCode::CREATED, Extension(Repeatable), Json(count(&again)))))
        .route(
            "/huge",
            post(async move || {
                count(&huge);
                let mut noise = vec![0; 2 * limits::KEPT_ANSWER_BYTES];
                getrandom::fill(&mut noise).unwrap();
                hex::encode(noise)
            }),
        )
        .route(
            "/fickle",
            post(async move || match count(&fickle) {
                1 => Err(Error::internal("the first one fails")),
                n => Ok(Json(n)),
            }),
        )
        .route(
            "/named",
            post(async move |naming: Naming, Body(body): Body| {
                let uid = ProjectUid::named(&naming, Timestamp::UNIX_EPOCH, 0);
                match body.as_ref() {
                    b"fails" if count(&named) < 3 => {
                        (StatusCode::INTERNAL_SERVER_ERROR, uid.to_string()).into_response()
                    }
                    b"refused" => Error::field("uid", uid.to_string()).into_response(),
                    _ => uid.to_string().into_response(),
                }
            }),
        )
        .route("/things/{uid}", get(async |Path(uid): Path<String>| uid))
        .route("/pages", get(async |list: ListRequest| list.paging(&[]).map(|paging| Json(paging.empty::<()>()))))
        .route("/elsewhere", get(async || ()).fallback(wrong_method))
        .route("/openapi.json", get(async || "{}"))
}

fn an_api() -> TestApi {
    TestApi::of(routes(&Arc::default()))
}

fn limited(per_minute: u32, per_second: u32) -> Settings {
    let limit = RateLimit { per_minute, per_second };
    Settings {
        limit,
        unauthenticated_limit: RateLimit { per_minute: 1, per_second: 1 },
        key_cache_seconds: 60,
        ..TestApi::settings()
    }
}

fn a_request(method: Method, path: &str) -> Request {
    let request = Request::builder().method(method).uri(format!("/api/v1{path}")).header(API_KEY, ACME);
    request.body(HttpBody::empty()).unwrap()
}

fn without_key(mut request: Request) -> Request {
    request.headers_mut().remove(API_KEY);
    request
}

/// As the gateway hands it on.
fn from_address(address: &str, mut request: Request) -> Request {
    let http = json!({"method": "GET", "sourceIp": address});
    let context = json!({"http": http, "requestId": "JKJaXmPLvHcESHA=", "timeEpoch": 0});
    request.extensions_mut().insert(RequestContext::ApiGatewayV2(serde_json::from_value(context).unwrap()));
    request
}

fn number(headers: &HeaderMap, name: &http::HeaderName) -> i64 {
    headers[name].to_str().unwrap().parse().unwrap()
}

async fn statuses<const N: usize>(api: &TestApi, requests: [Request; N]) -> [u16; N] {
    let mut statuses = [0; N];
    for (status, request) in statuses.iter_mut().zip(requests) {
        *status = api.send(request).await.status().as_u16();
    }
    statuses
}

mod rate_limits {
    use super::*;

    #[tokio::test]
    async fn every_answer_says_where_its_caller_stands() {
        let api = TestApi::with(routes(&Arc::default()), MemoryRequests::default(), limited(100, 20));
        let too_long = HttpBody::from(vec![b' '; limits::BODY_BYTES + 1]);
        let mut large = a_request(Method::POST, "/things");
        *large.body_mut() = too_long;

        for (status, request) in [
            (200, a_request(Method::GET, "/pages")),
            (404, a_request(Method::GET, "/nowhere")),
            (405, a_request(Method::PUT, "/things")),
            (500, a_request(Method::POST, "/fickle")),
            (413, large),
            (401, without_key(a_request(Method::GET, "/pages"))),
            (429, without_key(a_request(Method::GET, "/nowhere"))),
        ] {
            let response = api.send(request).await;
            assert_eq!(response.status().as_u16(), status);
            let (limit, remaining) =
                (number(response.headers(), &RATE_LIMIT), number(response.headers(), &RATE_REMAINING));
            assert!((0..limit).contains(&remaining), "{status}: {remaining} of {limit}");
            assert_eq!(number(response.headers(), &RATE_RESET), 1_020, "{status}"); // the clock stands at 1,000
        }
    }

    #[tokio::test]
    async fn one_request_too_many_is_refused_in_the_contracts_words() {
        let api = TestApi::with(routes(&Arc::default()), MemoryRequests::default(), limited(2, 20));
        let pages = || a_request(Method::GET, "/pages");
        assert_eq!(statuses(&api, [pages(), pages()]).await, [200, 200]);

        let response = api.send(pages()).await;

        assert_eq!(number(response.headers(), &RETRY_AFTER), 20);
        assert_eq!(number(response.headers(), &RATE_REMAINING), 0);
        let detail = "Request was throttled. Expected available in 20 seconds.";
        assert_eq!(TestApi::read(response).await, (429, json!({"detail": detail, "code": "throttled"})));
    }

    #[tokio::test]
    async fn a_burst_is_refused_for_a_second() {
        let api = TestApi::with(routes(&Arc::default()), MemoryRequests::default(), limited(100, 1));
        api.send(a_request(Method::GET, "/pages")).await;

        let response = api.send(a_request(Method::GET, "/pages")).await;

        assert_eq!((response.status().as_u16(), number(response.headers(), &RETRY_AFTER)), (429, 1));
        assert_eq!(number(response.headers(), &RATE_REMAINING), 98);
    }

    #[tokio::test]
    async fn a_refused_requester_costs_the_table_nothing_more() {
        // Calls: the key, and a count for each of three requests. The fourth is refused without a fifth call, which would fail.
        let requests = MemoryRequests::failing(Fault::at(5, false));
        let api = TestApi::with(routes(&Arc::default()), requests, limited(2, 20));
        let pages = || a_request(Method::GET, "/pages");

        assert_eq!(statuses(&api, [pages(), pages(), pages(), pages()]).await, [200, 200, 429, 429]);
        assert_eq!(api.call_as(OTHER, "GET /pages", Value::Null).await.0, 503);
    }

    #[tokio::test]
    async fn without_a_good_key_the_address_is_counted_as_the_gateway_knows_it() {
        let api = TestApi::with(routes(&Arc::default()), MemoryRequests::default(), limited(100, 20));
        let from = |address| from_address(address, without_key(a_request(Method::GET, "/pages")));
        let mut forged = from("192.0.2.1");
        forged.headers_mut().insert("x-forwarded-for", "192.0.2.9".parse().unwrap());
        let mut wrong_key = from("192.0.2.1");
        wrong_key.headers_mut().insert(API_KEY, "avk_wrong".parse().unwrap());
        let good_key = from_address("192.0.2.1", a_request(Method::GET, "/pages"));

        let sent = [from("192.0.2.1"), forged, wrong_key, from("192.0.2.2"), good_key];
        assert_eq!(statuses(&api, sent).await, [401, 429, 429, 401, 200]);
    }

    #[tokio::test]
    async fn a_table_that_cannot_count_is_a_busy_service() {
        for at in [1, 2] {
            let requests = MemoryRequests::failing(Fault::at(at, false));
            let api = TestApi::with(routes(&Arc::default()), requests, limited(100, 20));

            let response = api.send(a_request(Method::GET, "/pages")).await;

            assert_eq!((response.status().as_u16(), response.headers().contains_key(RATE_LIMIT)), (503, true));
            let without_key = without_key(a_request(Method::GET, "/pages"));
            assert_eq!(statuses(&api, [without_key]).await, [401], "its address has one request left");
        }
    }
}

mod description {
    use super::*;

    fn api(public_description: bool, per_minute: u32) -> TestApi {
        let settings = Settings { public_description, ..limited(100, 20) };
        let unauthenticated_limit = RateLimit { per_minute, per_second: per_minute };
        let settings = Settings { unauthenticated_limit, ..settings };
        TestApi::with(routes(&Arc::default()), MemoryRequests::default(), settings)
    }

    fn asked(path: &str) -> Request {
        without_key(a_request(Method::GET, path))
    }

    #[tokio::test]
    async fn it_needs_no_key_if_the_deployment_says_so() {
        assert_eq!(statuses(&api(true, 9), [asked("/openapi.json"), asked("/openapi.json/")]).await, [200, 200]);
        assert_eq!(statuses(&api(false, 9), [asked("/openapi.json")]).await, [401]);
    }

    #[tokio::test]
    async fn nothing_else_becomes_public_and_a_bad_key_is_refused() {
        let bad = Request::get("/api/v1/openapi.json").header(API_KEY, "avk_unknown").body(HttpBody::empty()).unwrap();
        let written = without_key(a_request(Method::POST, "/openapi.json"));
        let others = [asked("/pages"), asked("/openapi.jsonx"), asked("/things/openapi.json"), written, bad];

        assert_eq!(statuses(&api(true, 9), others).await, [401; 5]);
    }

    #[tokio::test]
    async fn without_a_key_it_counts_for_the_address() {
        let once = api(true, 1);

        assert_eq!(statuses(&once, [asked("/openapi.json"), asked("/openapi.json")]).await, [200, 429]);
    }
}

mod browsers {
    use super::*;

    fn open() -> TestApi {
        let cors_origin = serde_json::from_value(json!("https://app.example")).unwrap();
        let settings = Settings { cors_origin, ..TestApi::settings() };
        TestApi::with(routes(&Arc::default()), MemoryRequests::default(), settings)
    }

    fn preflight() -> Request {
        let mut request = without_key(a_request(Method::OPTIONS, "/things"));
        request.headers_mut().insert("origin", "https://app.example".parse().unwrap());
        request.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
        request
    }

    #[tokio::test]
    async fn a_preflight_needs_no_key() {
        let response = open().send(preflight()).await;

        let headers = response.headers();
        assert_eq!(
            (response.status().as_u16(), headers["access-control-allow-origin"].as_bytes()),
            (200, &b"https://app.example"[..])
        );
        for header in ["x-avala-api-key", "content-type", "accept", "if-match", "idempotency-key"] {
            assert!(
                headers["access-control-allow-headers"].to_str().unwrap().split(',').any(|allowed| allowed == header)
            );
        }
        assert!(headers.contains_key(REQUEST_ID));
    }

    #[tokio::test]
    async fn a_page_may_read_our_headers_and_our_refusals() {
        let response = open().send(without_key(a_request(Method::GET, "/pages"))).await;

        assert_eq!(
            (response.status().as_u16(), response.headers()["access-control-allow-origin"].as_bytes()),
            (401, &b"https://app.example"[..])
        );
        for header in
            ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after", "etag", "x-request-id"]
        {
            let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
            assert!(exposed.split(',').any(|exposed| exposed == header), "{header}");
        }
    }

    #[tokio::test]
    async fn a_deployment_without_an_origin_opens_nothing() {
        let response = an_api().send(preflight()).await;

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
}

mod request_ids {
    use super::*;

    #[tokio::test]
    async fn an_answer_carries_the_gateways_id_of_its_request() {
        for path in ["/pages", "/nowhere"] {
            let response = an_api().send(from_address("192.0.2.1", a_request(Method::GET, path))).await;
            assert_eq!(response.headers()[REQUEST_ID], "JKJaXmPLvHcESHA=");
        }
    }

    #[tokio::test]
    async fn a_request_without_an_id_gets_one_of_its_own() {
        let api = an_api();
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(api.send(a_request(Method::GET, "/pages")).await.headers()[REQUEST_ID].clone());
        }
        assert_ne!(ids[0], ids[1]);
    }
}

mod idempotency_keys {
    use super::*;

    fn named(key: &str, path: &str, body: &str) -> Request {
        let mut request = a_request(Method::POST, path);
        request.headers_mut().insert(IDEMPOTENCY_KEY, key.parse().unwrap());
        *request.body_mut() = HttpBody::from(body.to_owned());
        request
    }

    async fn answer(response: Response) -> (u16, Option<String>, Value) {
        let etag = response.headers().get(ETAG).map(|etag| etag.to_str().unwrap().to_owned());
        assert_eq!(response.headers()["content-type"], "application/json");
        let (status, body) = TestApi::read(response).await;
        (status, etag, body)
    }

    fn code(body: &Value) -> &str {
        body["code"].as_str().unwrap()
    }

    #[tokio::test]
    async fn the_same_request_has_the_same_answer_and_is_made_once() {
        let made = Arc::default();
        let api = TestApi::of(routes(&made));

        let first = answer(api.send(named("k", "/things", "{}")).await).await;
        let second = answer(api.send(named("k", "/things/", "{}")).await).await;

        assert_eq!(first, (201, Some("\"0\"".to_owned()), json!({"made": 1})));
        assert_eq!(second, first);
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn another_request_under_the_key_is_refused() {
        let made = Arc::default();
        let api = TestApi::of(routes(&made));
        api.send(named("k", "/things", "{}")).await;

        for other in [named("k", "/things", "{ }"), named("k", "/again", "{}")] {
            let (status, _, body) = answer(api.send(other).await).await;
            assert_eq!((status, code(&body)), (409, "idempotency_key_reused"));
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    /// I10.
    #[tokio::test]
    async fn callers_do_not_meet_in_a_key() {
        let api = an_api();
        api.send(named("k", "/things", "{}")).await;
        let mut others = named("k", "/things", "{}");
        others.headers_mut().insert(API_KEY, OTHER.parse().unwrap());

        assert_eq!(answer(api.send(others).await).await.2, json!({"made": 2}));
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// The answer may be lost, or a server's error may come after the effect.
    #[tokio::test]
    async fn a_request_made_again_after_a_servers_error_names_what_it_creates_alike() {
        let api = an_api();
        let mut uids = Vec::new();
        for status in [500, 500, 200, 200] {
            let response = api.send(named("k", "/named", "fails")).await;
            assert_eq!(response.status(), status);
            uids.push(text(response).await);
        }
        let uid = uids.pop().unwrap();
        assert_eq!(uids, [uid.as_str(); 3]);
        // By the first attempt, and not by the body alone.
        assert_ne!(text(api.send(named("another", "/named", "fails")).await).await, uid);
        // A refusal has had no effect: what comes after it is new.
        let refused = text(api.send(named("r", "/named", "refused")).await).await;
        assert_ne!(refused, text(api.send(named("r", "/named", "refused")).await).await);
    }

    #[tokio::test]
    async fn a_request_that_came_to_nothing_frees_its_key() {
        let api = an_api();

        assert_eq!(api.send(named("f", "/fickle", "")).await.status(), 500);
        assert_eq!(answer(api.send(named("f", "/fickle", "")).await).await, (200, None, json!(2)));
        assert_eq!(api.send(named("k", "/things", "[]")).await.status(), 400);
        assert_eq!(api.send(named("k", "/things", "{}")).await.status(), 201);
    }

    #[tokio::test]
    async fn a_call_that_is_idempotent_by_itself_is_made_again() {
        let api = an_api();

        for made in [1, 2] {
            assert_eq!(answer(api.send(named("k", "/again", "{}")).await).await, (201, None, json!(made)));
        }
        assert_eq!(api.send(named("k", "/again", "{\"other\":1}")).await.status(), 409);
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_kept_is_given_once() {
        let made = Arc::default();
        let api = TestApi::of(routes(&made));
        assert_eq!(api.send(named("k", "/huge", "")).await.status(), 200);

        let (status, _, body) = answer(api.send(named("k", "/huge", "")).await).await;

        assert_eq!((status, code(&body)), (409, "idempotency_answer_not_kept"));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn while_a_request_is_in_progress_another_one_waits() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        let slow = post(async move || {
            begins.notify_one();
            goes_on.notified().await;
            Json("made")
        });
        let api = TestApi::of(Router::new().route("/slow", slow));
        let first = tokio::spawn({
            let api = api.clone();
            async move { answer(api.send(named("k", "/slow", "")).await).await }
        });
        begun.notified().await;

        let response = api.send(named("k", "/slow", "")).await;

        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let (status, _, body) = answer(response).await;
        assert_eq!((status, code(&body)), (409, "idempotency_in_progress"));
        go_on.notify_one();
        let first = first.await.unwrap();
        assert_eq!(first, (200, None, json!("made")));
        assert_eq!(answer(api.send(named("k", "/slow", "")).await).await, first);
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_kept_is_sent_all_the_same() {
        // Calls: the key, the count, the claim, and what is kept.
        let api =
            TestApi::with(routes(&Arc::default()), MemoryRequests::failing(Fault::at(4, false)), TestApi::settings());
        assert_eq!(api.send(named("k", "/things", "{}")).await.status(), 201);

        let api =
            TestApi::with(routes(&Arc::default()), MemoryRequests::failing(Fault::at(3, false)), TestApi::settings());
        assert_eq!(api.send(named("k", "/things", "{}")).await.status(), 503);
    }

    #[tokio::test]
    async fn a_key_that_is_none_is_refused_by_name() {
        for key in ["", &"x".repeat(256)] {
            let (status, _, body) = answer(an_api().send(named(key, "/things", "{}")).await).await;
            assert_eq!((status, body["errors"]["Idempotency-Key"].is_array()), (400, true));
        }
    }

    #[tokio::test]
    async fn reading_takes_no_key() {
        let mut request = a_request(Method::GET, "/pages");
        request.headers_mut().insert(IDEMPOTENCY_KEY, "\u{e9}".parse().unwrap());

        assert_eq!(an_api().send(request).await.status(), 200);
    }
}

mod bad_input {
    use super::*;

    /// Contract D5.
    #[tokio::test]
    async fn a_field_is_complained_about_in_a_sentence_and_by_name() {
        let refuse = post(async |Body(body): Body| {
            Fields::of_body(&body).and_then(|mut fields| {
                fields.refuse("name", "Is too long.");
                fields.refuse("size", "Must be a number.");
                fields.finish()
            })
        });

        let answer = TestApi::of(Router::new().route("/things", refuse)).call("POST /things/", json!({})).await;

        let errors = json!({"name": ["Is too long."], "size": ["Must be a number."]});
        let detail = "name: Is too long.; size: Must be a number.";
        assert_eq!(answer, (400, json!({"detail": detail, "code": "validation_error", "errors": errors})));
    }

    async fn post_things(body: impl Into<HttpBody>) -> (u16, Value) {
        let mut request = a_request(Method::POST, "/things");
        *request.body_mut() = body.into();
        TestApi::read(an_api().send(request).await).await
    }

    #[tokio::test]
    async fn json_that_cannot_be_read_is_a_bad_request() {
        let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        for body in [deep.as_bytes(), b"{", b"\xff\xfe", b"{\"a\":\"\xc3\"}", b"\0", b"{\"a\":1e999}", b"NaN"] {
            let (status, problem) = post_things(body.to_vec()).await;
            assert_eq!((status, problem["code"].as_str()), (400, Some("parse_error")), "{problem}");
            assert!(problem["detail"].as_str().unwrap().starts_with("JSON parse error - "));
        }
        for body in ["[]", "1", "null", "\"{}\""] {
            assert_eq!(post_things(body).await.0, 400, "{body}");
        }
    }

    #[tokio::test]
    async fn a_body_of_a_megabyte_is_too_large() {
        let (status, problem) = post_things(vec![b' '; 1 << 20]).await;

        assert_eq!((status, problem["code"].as_str()), (413, Some("body_too_large")));
    }

    #[tokio::test]
    async fn a_path_that_is_no_text_names_nothing() {
        for path in ["/things/%ff", "/%ff", "/things/a/b", "//things"] {
            assert_eq!(an_api().send(a_request(Method::GET, path)).await.status(), 404, "{path}");
        }
    }

    #[tokio::test]
    async fn a_query_is_never_an_error_of_ours() {
        for (query, status) in [
            ("limit=-1", 200),
            ("limit=99999999999999999999", 200),
            ("limit=%ff", 200),
            ("%ff=%00", 400),
            ("&&&==", 400),
            ("&&&", 200),
            ("ordering=%00", 200),
        ] {
            let answer = an_api().send(a_request(Method::GET, &format!("/pages?{query}"))).await;
            assert_eq!(answer.status(), status, "{query}");
        }
        for cursor in ["%00", "%ff", "AAAA", "e30", "=="] {
            let request = a_request(Method::GET, &format!("/pages?cursor={cursor}"));
            assert_eq!(an_api().send(request).await.status(), 404, "{cursor}");
        }
    }

    #[tokio::test]
    async fn parameters_of_a_call_that_has_none_are_refused() {
        let made = Arc::new(AtomicUsize::new(0));
        let api = TestApi::of(routes(&made));
        let refusal = |name: &str| {
            let sentence = "Unknown parameter. None is known here.";
            let errors = json!({name: [sentence]});
            (400, json!({"detail": format!("{name}: {sentence}"), "code": "validation_error", "errors": errors}))
        };

        assert_eq!(api.call("POST /things/?dry_run=true", json!({})).await, refusal("dry_run"));
        assert_eq!(made.load(Ordering::Relaxed), 0, "it did nothing");
        assert_eq!(api.call("GET /things/7/?fields=uid", json!({})).await, refusal("fields"));
        assert_eq!(api.call("GET /things/7/?", json!({})).await, (200, json!(7)));
        assert_eq!(api.call("GET /nothing/?x=1", json!({})).await.0, 404);
    }

    #[tokio::test]
    async fn a_key_that_is_no_text_is_no_key() {
        let mut request = a_request(Method::GET, "/pages");
        request.headers_mut().insert(API_KEY, http::HeaderValue::from_bytes(b"\xff").unwrap());

        assert_eq!(an_api().send(request).await.status(), 401);
    }
}

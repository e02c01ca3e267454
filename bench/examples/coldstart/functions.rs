//! Every function with its environment, as the stack sets it, and the first event that comes to it.

use serde_json::{Value, json};

const UID: &str = "018f7a3e-5b6c-7d8e-9f01-23456789abcd";

/// A function, and an event that it answers after it has read the table.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) event: Value,
}

const BUCKET: (&str, &str) = ("BUCKET_NAME", "autolabel");
const QUEUE: (&str, &str) = ("WEBHOOK_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/webhooks");
const MACHINE: (&str, &str) = ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:autolabel");
const KMS: (&str, &str) = ("SECRETS_KEY_ID", UID);
const ENDPOINTS: (&str, &str) = ("SAGEMAKER_ENDPOINTS", r#"{"yolo":"yolo","sam3":"sam3"}"#);
const SOURCES: (&str, &str) = ("SOURCE_BUCKETS", "{}");
const ROLES: (&str, &str) = ("CALLER_ROLES", r#"["arn:aws:iam::123456789012:role/infer"]"#);
const API: (&str, &str) = (
    "API_SETTINGS",
    r#"{"public_base_url":"","key_cache_seconds":60,"limit":{"per_minute":100,"per_second":20},
        "unauthenticated_limit":{"per_minute":30,"per_second":20},"cors_origin":""}"#,
);

/// What every function has.
pub(crate) const EVERYWHERE: [(&str, &str); 4] =
    [("TABLE_NAME", "autolabel"), ("RUST_LOG", "info"), ("LOOPBACK_HTTP", "deny"), ("EXTRA_ROOTS", "")];

/// The functions of the API get a call with a key, for something that is not there; the tasks, a job that is not there; the
/// others, nothing to do.
pub(crate) fn all() -> Vec<Case> {
    let case = |name, environment, event| Case { name, environment, event };
    vec![
        case("jobs", &[API, MACHINE, ENDPOINTS, QUEUE], get("auto-label-jobs")),
        case("catalog", &[API, BUCKET, SOURCES, QUEUE], get("projects")),
        case("providers", &[API, BUCKET, KMS, ROLES], get("inference-providers")),
        case("webhooks", &[API, KMS, QUEUE], get("webhooks")),
        case(
            "plan",
            &[
                BUCKET,
                ("ITEM_CAP", "5000"),
                ("INLINE_BATCHES", "100"),
                ("WORKERS", "4"),
                ("SLOTS_PER_WORKER", "64"),
                ("MAX_CONCURRENCY", "16"),
            ],
            json!({"job": UID}),
        ),
        case(
            "infer",
            &[BUCKET, ENDPOINTS, SOURCES, ("PATIENCE_SECONDS", "600"), ("BOT_USER", "autolabel-bot"), KMS, ROLES],
            batch(),
        ),
        case("finalize", &[QUEUE], json!({"job": UID})),
        case(
            "settle",
            &[QUEUE, MACHINE, ("STALE_JOB_SECONDS", "900")],
            json!({
                "version": "0", "id": UID, "detail-type": "Scheduled Event", "source": "aws.events", "account": "123456789012",
                "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail": {},
            }),
        ),
        case(
            "deliver",
            &[QUEUE, ("DEAD_LETTER_QUEUE_URL", QUEUE.1), KMS, ("WEBHOOK_RETRY_SECONDS", "60,300,900")],
            records(&json!({"V1": {"delivery": UID}})),
        ),
        case(
            "ingest",
            &[
                BUCKET,
                SOURCES,
                MACHINE,
                ENDPOINTS,
                ("UPLOAD_QUEUE_URL", QUEUE.1),
                ("UPLOAD_DEAD_LETTER_QUEUE_URL", QUEUE.1),
            ],
            records(&json!({
                "detail-type": "Object Deleted", "source": "aws.s3", "time": "2026-01-01T00:00:00Z",
                "detail": {
                    "bucket": {"name": BUCKET.1}, "object": {"key": format!("projects/{UID}/a.png"), "sequencer": "01"},
                    "reason": "DeleteObject", "deletion-type": "Permanently Deleted",
                },
            })),
        ),
    ]
}

/// What the functions are measured beside (`bench/baselines`): a Lambda that answers with its event, and one that reads a row
/// with everything as the SDK has it by default.
pub(crate) fn baselines() -> Vec<Case> {
    ["empty", "defaults"].map(|name| Case { name, environment: &[], event: json!({}) }).into()
}

/// AWS, "Working with AWS Lambda proxy integrations for HTTP APIs", format 2.0.
fn get(collection: &str) -> Value {
    let path = format!("/api/v1/{collection}/{UID}/");
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "isBase64Encoded": false,
        "headers": {
            "x-avala-api-key": "avk_bench", "host": "api.example.com", "user-agent": "bench", "accept": "*/*",
            "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https", "x-forwarded-port": "443",
        },
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.example.com", "domainPrefix": "api",
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "bench"},
            "requestId": UID, "routeKey": "$default", "stage": "$default", "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
    })
}

/// AWS, "Using Lambda with Amazon SQS", with one record.
fn records(body: &Value) -> Value {
    json!({"Records": [{"messageId": UID, "attributes": {"ApproximateReceiveCount": "1"}, "body": body.to_string()}]})
}

fn batch() -> Value {
    json!({
        "job": UID, "batch": 0, "manifest": format!("jobs/{UID}/manifest.jsonl"), "offset": 0, "length": 1_000,
        "items": 10, "chunk_items": 10, "slots": 4, "workers": 1,
    })
}

//! Every function with the first event that it gets: `functions/*/event.json`.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

const UID: &str = "018f7a3e-5b6c-7d8e-9f01-23456789abcd";
const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/webhooks";

/// The variables that the stack sets. Each function reads its own.
pub(crate) const ENVIRONMENT: [(&str, &str); 31] = [
    ("TABLE_NAME", "autolabel"),
    ("RUST_LOG", "info"),
    ("LOOPBACK_HTTP", "deny"),
    ("EXTRA_ROOTS", ""),
    (
        "API_SETTINGS",
        r#"{"public_base_url":"","key_cache_seconds":60,"limit":{"per_minute":100,"per_second":20},
            "unauthenticated_limit":{"per_minute":30,"per_second":20},"cors_origin":"",
            "public_description":true}"#,
    ),
    ("BUCKET_NAME", "autolabel"),
    ("SOURCE_BUCKETS", "{}"),
    ("SECRETS_KEY_ID", UID),
    ("CALLER_ROLES", r#"["arn:aws:iam::123456789012:role/infer"]"#),
    ("SAGEMAKER_ENDPOINTS", r#"{"yolo":"yolo","sam3":"sam3"}"#),
    ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:autolabel"),
    ("ITEM_CAP", "5000"),
    ("INLINE_BATCHES", "100"),
    ("WORKERS", "4"),
    ("SLOTS_PER_WORKER", "64"),
    ("MAX_CONCURRENCY", "16"),
    ("PATIENCE_SECONDS", "600"),
    ("BOT_USER", "autolabel-bot"),
    ("STALE_JOB_SECONDS", "1800"),
    ("WEBHOOK_QUEUE_URL", QUEUE),
    ("WEBHOOK_OVERFLOW_QUEUE_URL", QUEUE),
    ("DEAD_LETTER_QUEUE_URL", QUEUE),
    ("WEBHOOK_SLOTS", "5"),
    ("WEBHOOK_RETRY_SECONDS", "60,300,900"),
    ("UPLOAD_QUEUE_URL", QUEUE),
    ("UPLOAD_DEAD_LETTER_QUEUE_URL", QUEUE),
    ("UPLOAD_WAIT_SECONDS", "900"),
    ("EXPORT_QUEUE_URL", QUEUE),
    ("EXPORT_DAYS", "7"),
    ("IMPORT_QUEUE_URL", QUEUE),
    ("UPLOAD_QUOTA_GIB", "1024"),
];

/// The empty function of the API.
pub(crate) const AXUM: &str = "axum";

/// A function, and an event that it answers after it has read the table.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) event: Value,
}

/// A function of the API gets a call with a key, for something that is not there; a task, a job that is not there; the others,
/// an event without work.
pub(crate) fn all() -> Result<Vec<Case>, Box<dyn Error>> {
    let folders = fs::read_dir("functions")?.collect::<Result<Vec<_>, _>>()?;
    let mut cases = folders.iter().map(|folder| case(&folder.path())).collect::<Result<Vec<_>, _>>()?;
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(cases)
}

fn case(folder: &Path) -> Result<Case, Box<dyn Error>> {
    let file = folder.join("event.json");
    let event = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Case { name, event: serde_json::from_slice(&event)? })
}

/// What the functions are measured beside (`bench/baselines`): a Lambda that answers with its event, one that answers a call of
/// the API with nothing, and one that reads a row with everything as the SDK has it by default.
pub(crate) fn baselines() -> Result<Vec<Case>, Box<dyn Error>> {
    let of = |name: &str, event| Case { name: name.to_owned(), event };
    let call = case(Path::new("functions/catalog"))?.event;
    Ok(vec![of("empty", json!({})), of(AXUM, call), of("defaults", json!({}))])
}

impl Case {
    /// Whether the event is the gateway's.
    pub(crate) fn is_of_api(&self) -> bool {
        self.event.get("rawPath").is_some()
    }
}

//! Wiring of the exports function.

use std::sync::Arc;
use std::time::Duration;

use exports::imports::{self, ImportApi, ImportPorts};
use exports::{ExportApi, ExportPorts, routes};
use shared::domain::item::source::SourceBuckets;
use shared::http::{api, serve};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::queue::{ExportMessages, ImportMessages};
use shared::store::Store;

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;

/// The adapters of a deployment.
struct Deployed;

impl ExportPorts for Deployed {
    type Store = Store;
    type Projects = Store;
    type Objects = Bucket;
    type Queue = ExportMessages;
    type Clock = SystemClock;
}

impl ImportPorts for Deployed {
    type Store = Store;
    type Projects = Store;
    type Objects = Bucket;
    type Queue = ImportMessages;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let queue = env.text("EXPORT_QUEUE_URL");
    let import_queue = env.text("IMPORT_QUEUE_URL");
    let buckets = SourceBuckets::new(env.json("SOURCE_BUCKETS"), &bucket);
    let days: u64 = env.parsed("EXPORT_DAYS");
    let settings = env.json("API_SETTINGS");
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let (sqs, kept_for) = (aws.client(aws_sdk_sqs::Client::new), Duration::from_secs(days * DAY));
    let objects = Bucket::new(aws.client(aws_sdk_s3::Client::new), bucket);
    let state = Arc::new(ExportApi::<Deployed> {
        store: store.clone(),
        projects: store.clone(),
        objects: objects.clone(),
        queue: ExportMessages::new(sqs.clone(), queue),
        clock: SystemClock,
        kept_for,
    });
    let imports = Arc::new(ImportApi::<Deployed> {
        store: store.clone(),
        projects: store.clone(),
        objects,
        queue: ImportMessages::new(sqs, import_queue),
        clock: SystemClock,
        buckets,
        kept_for,
    });
    serve(api(routes(state).merge(imports::routes(imports)), store, SystemClock, settings)).await
}

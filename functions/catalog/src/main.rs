//! Wiring of the catalog function.

use std::sync::Arc;

use catalog::{CatalogApi, CatalogPorts, routes};
use shared::domain::item::source::SourceBuckets;
use shared::egress::Egress;
use shared::http::{api, serve};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::queue::WebhookQueue;
use shared::store::Store;

/// The adapters of a deployment.
struct Deployed;

impl CatalogPorts for Deployed {
    type Store = Store;
    type Results = Store;
    type ReviewQueue = Store;
    type Webhooks = Store;
    type Objects = Bucket;
    type Web = Egress;
    type Queue = WebhookQueue;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    let settings = env.json("API_SETTINGS");
    let buckets = SourceBuckets::new(env.json("SOURCE_BUCKETS"), &bucket);
    let loopback_http = env.loopback_http();
    let extra_roots = env.text("EXTRA_ROOTS");
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let state = Arc::new(CatalogApi::<Deployed> {
        store: store.clone(),
        results: store.clone(),
        review_queue: store.clone(),
        webhooks: store.clone(),
        objects: Bucket::new(aws.client(aws_sdk_s3::Client::new), bucket).with_kept_key(aws.credentials()),
        web: Egress::trusting(loopback_http, &extra_roots)?,
        queue: WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), queue),
        clock: SystemClock,
        buckets,
        loopback_http,
    });
    serve(api(routes(state), store, SystemClock, settings)).await
}

//! Wiring of the adopt function.

use std::convert::Infallible;

use adopt::Adopter;
use lambda_runtime::{LambdaEvent, run, service_fn};
use shared::domain::item::source::SourceBuckets;
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::queue::{ImportMessages, SqsEvent, WebhookQueue};
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let imports = env.text("IMPORT_QUEUE_URL");
    let webhooks = env.text("WEBHOOK_QUEUE_URL");
    let buckets = SourceBuckets::new(env.json("SOURCE_BUCKETS"), &bucket);
    let loopback_http = env.loopback_http();
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let adopter = &Adopter {
        store: store.clone(),
        webhooks: store.clone(),
        catalog: store,
        objects: Bucket::new(aws.client(aws_sdk_s3::Client::new), bucket),
        queue: ImportMessages::new(aws.client(aws_sdk_sqs::Client::new), imports),
        deliveries: WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), webhooks),
        clock: SystemClock,
        buckets,
        loopback_http,
    };
    run(service_fn(async |event: LambdaEvent<SqsEvent>| Ok::<_, Infallible>(adopter.handle(event.payload).await))).await
}

//! Wiring of the compose function.

use std::convert::Infallible;

use compose::Composer;
use lambda_runtime::{LambdaEvent, run, service_fn};
use shared::domain::item::source::SourceBuckets;
use shared::egress::Egress;
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::queue::{ExportMessages, SqsEvent, WebhookQueue};
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let exports = env.text("EXPORT_QUEUE_URL");
    let webhooks = env.text("WEBHOOK_QUEUE_URL");
    let (loopback_http, extra_roots) = (env.loopback_http(), env.text("EXTRA_ROOTS"));
    let buckets = SourceBuckets::new(env.json("SOURCE_BUCKETS"), &bucket);
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let composer = &Composer {
        exports: store.clone(),
        webhooks: store,
        objects: Bucket::new(aws.client(aws_sdk_s3::Client::new), bucket.clone()),
        bucket,
        buckets,
        web: Egress::trusting(loopback_http, &extra_roots)?,
        queue: ExportMessages::new(aws.client(aws_sdk_sqs::Client::new), exports),
        deliveries: WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), webhooks),
        clock: SystemClock,
    };
    run(service_fn(async |event: LambdaEvent<SqsEvent>| Ok::<_, Infallible>(composer.handle(event.payload).await)))
        .await
}

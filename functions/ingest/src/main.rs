//! Wiring of the ingest function.

use std::convert::Infallible;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, run, service_fn};
use shared::domain::item::source::SourceBuckets;
use shared::executions::StateMachine;
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::queue::{SqsEvent, UploadMessages};
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let machine = env.text("STATE_MACHINE_ARN");
    let queue = env.text("UPLOAD_QUEUE_URL");
    let dead_letters = env.text("UPLOAD_DEAD_LETTER_QUEUE_URL");
    let longest_wait = Duration::from_secs(env.parsed("UPLOAD_WAIT_SECONDS"));
    let endpoints = env.json("SAGEMAKER_ENDPOINTS");
    let buckets = SourceBuckets::new(env.json("SOURCE_BUCKETS"), &bucket);
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let ingester = &ingest::Ingester {
        store: Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table),
        files: Bucket::new(aws.client(aws_sdk_s3::Client::new), &bucket),
        executions: StateMachine::new(aws.client(aws_sdk_sfn::Client::new), machine),
        queue: UploadMessages::new(aws.client(aws_sdk_sqs::Client::new), queue, dead_letters),
        clock: SystemClock,
        bucket,
        buckets,
        endpoints,
        longest_wait,
        owners: Default::default(),
    };
    run(service_fn(async |event: LambdaEvent<SqsEvent>| Ok::<_, Infallible>(ingester.ingest(event.payload).await)))
        .await
}

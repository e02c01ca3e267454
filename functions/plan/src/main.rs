//! Wiring of the plan function.

use lambda_runtime::{LambdaEvent, service_fn};
use shared::domain::job::plan::Workers;
use shared::lambda::{Aws, Env, SystemClock, TaskError, start_log};
use shared::objects::Bucket;
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let item_cap = env.parsed("ITEM_CAP");
    let inline_batches = env.parsed("INLINE_BATCHES");
    let workers = Workers { most: env.parsed("WORKERS"), slots_each: env.parsed("SLOTS_PER_WORKER") };
    let max_concurrency = env.parsed("MAX_CONCURRENCY");
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let planner = &plan::Planner {
        store: store.clone(),
        tenants: store,
        objects: Bucket::new(aws.client(aws_sdk_s3::Client::new), bucket),
        clock: SystemClock,
        item_cap,
        inline_batches,
        workers,
        max_concurrency,
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<plan::Input>| {
        planner.plan(event.payload, &event.context.request_id).await.map_err(TaskError::from)
    }))
    .await
}

//! Wiring of the finalize function.

use lambda_runtime::{LambdaEvent, service_fn};
use shared::lambda::{Aws, Env, SystemClock, TaskError, start_log};
use shared::queue::WebhookQueue;
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let store = &Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let queue = &WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), queue);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<finalize::Input>| {
        finalize::finalize(store, queue, &SystemClock, event.payload).await.map_err(TaskError::from)
    }))
    .await
}

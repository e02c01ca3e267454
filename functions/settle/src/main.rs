//! Wiring of the settle function.

use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use shared::executions::StateMachine;
use shared::lambda::{Aws, Env, SystemClock, TaskError, start_log};
use shared::queue::WebhookQueue;
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    let overflow = env.text("WEBHOOK_OVERFLOW_QUEUE_URL");
    let machine = env.text("STATE_MACHINE_ARN");
    let stale = Duration::from_secs(env.parsed("STALE_JOB_SECONDS"));
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let settler = &settle::Settler {
        store: store.clone(),
        webhooks: store,
        queue: WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), queue).with_overflow(overflow),
        executions: StateMachine::new(aws.client(aws_sdk_sfn::Client::new), machine),
        clock: SystemClock,
        stale,
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<settle::Input>| {
        settler.handle(event.payload).await.map_err(TaskError::from)
    }))
    .await
}

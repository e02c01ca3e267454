//! Wiring of the jobs function.

use std::sync::Arc;

use jobs::{JobApi, JobPorts, routes};
use shared::executions::StateMachine;
use shared::http::{api, serve};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::queue::WebhookQueue;
use shared::store::Store;

/// The adapters of a deployment.
struct Deployed;

impl JobPorts for Deployed {
    type Store = Store;
    type Executions = StateMachine;
    type Queue = WebhookQueue;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let machine = env.text("STATE_MACHINE_ARN");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    let endpoints = env.json("SAGEMAKER_ENDPOINTS");
    let settings = env.json("API_SETTINGS");
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let state = Arc::new(JobApi::<Deployed> {
        store: store.clone(),
        executions: StateMachine::new(aws.client(aws_sdk_sfn::Client::new), machine),
        queue: WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), queue),
        clock: SystemClock,
        endpoints,
    });
    serve(api(routes(state), store, SystemClock, settings)).await
}

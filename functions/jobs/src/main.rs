//! Wiring of the jobs function.

use std::collections::HashMap;
use std::time::Duration;

use shared::domain::job::ModelType;
use shared::executions::StateMachine;
use shared::http::{Authentication, PublicBase, api};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::queue::WebhookQueue;
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let machine = env.text("STATE_MACHINE_ARN");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    let endpoints: HashMap<ModelType, String> = env.json("SAGEMAKER_ENDPOINTS");
    let base = PublicBase::new(&env.text("PUBLIC_BASE_URL"));
    let remember = Duration::from_secs(env.parsed("KEY_CACHE_SECONDS"));
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let executions = StateMachine::new(aws_sdk_sfn::Client::new(aws.config()), machine);
    let queue = WebhookQueue::new(aws_sdk_sqs::Client::new(aws.config()), queue);
    let auth = Authentication::new(store.clone(), SystemClock, remember);
    let routes = jobs::routes(jobs::App {
        store,
        executions,
        queue,
        clock: SystemClock,
        endpoints: endpoints.into_keys().collect(),
    });
    lambda_http::run(api(routes, auth, base)).await
}

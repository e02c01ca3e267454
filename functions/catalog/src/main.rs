//! Wiring of the catalog function.

use std::time::Duration;

use shared::http::{Authentication, PublicBase, api};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::queue::WebhookQueue;
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    let base = PublicBase::new(&env.text("PUBLIC_BASE_URL"));
    let remember = Duration::from_secs(env.parsed("KEY_CACHE_SECONDS"));
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let objects = Bucket::new(aws_sdk_s3::Client::new(aws.config()), bucket);
    let auth = Authentication::new(store.clone(), SystemClock, remember);
    let queue = WebhookQueue::new(aws_sdk_sqs::Client::new(aws.config()), queue);
    let review = catalog::Review { store: store.clone(), webhooks: store.clone(), queue, clock: SystemClock };
    let routes = catalog::routes(catalog::App { store, objects, clock: SystemClock }, review);
    lambda_http::run(api(routes, auth, base)).await
}

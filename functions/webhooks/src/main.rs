//! Wiring of the webhooks function.

use std::sync::Arc;

use shared::egress::Egress;
use shared::http::{api, serve};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::queue::WebhookQueue;
use shared::secrets::Vault;
use shared::store::Store;
use shared::webhooks::WebhookClient;
use webhooks::{WebhookApi, WebhookPorts, routes};

/// The adapters of a deployment.
struct Deployed;

impl WebhookPorts for Deployed {
    type Store = Store;
    type Secrets = Vault;
    type Queue = WebhookQueue;
    type Sender = WebhookClient;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let key = env.text("SECRETS_KEY_ID");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    let settings = env.json("API_SETTINGS");
    let loopback_http = env.loopback_http();
    let extra_roots = env.text("EXTRA_ROOTS");
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let state = Arc::new(WebhookApi::<Deployed> {
        store: store.clone(),
        secrets: Vault::new(aws.client(aws_sdk_kms::Client::new), key),
        queue: WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), queue),
        sender: WebhookClient::new(Egress::trusting(loopback_http, &extra_roots)?),
        clock: SystemClock,
        loopback_http,
    });
    serve(api(routes(state), store, SystemClock, settings)).await
}

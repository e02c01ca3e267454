//! Wiring of the deliver function.

use std::convert::Infallible;

use deliver::Deliverer;
use lambda_runtime::{LambdaEvent, run, service_fn};
use shared::egress::Egress;
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::queue::{SqsEvent, WebhookQueue};
use shared::secrets::Vault;
use shared::store::Store;
use shared::webhooks::{Schedule, WebhookClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let queue = env.text("WEBHOOK_QUEUE_URL");
    let overflow = env.text("WEBHOOK_OVERFLOW_QUEUE_URL");
    let slots = env.parsed("WEBHOOK_SLOTS");
    let dead_letters = env.text("DEAD_LETTER_QUEUE_URL");
    let key = env.text("SECRETS_KEY_ID");
    let schedule = Schedule::of_seconds(env.numbers("WEBHOOK_RETRY_SECONDS"));
    let loopback_http = env.loopback_http();
    let extra_roots = env.text("EXTRA_ROOTS");
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let deliverer = &Deliverer {
        store: Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table),
        secrets: Vault::new(aws.client(aws_sdk_kms::Client::new), key),
        overflow_queue: overflow.rsplit('/').next().unwrap_or_default().to_owned(),
        queue: WebhookQueue::new(aws.client(aws_sdk_sqs::Client::new), queue)
            .with_overflow(overflow)
            .with_dead_letters(dead_letters),
        sender: WebhookClient::new(Egress::trusting(loopback_http, &extra_roots)?),
        clock: SystemClock,
        schedule,
        slots,
    };
    run(service_fn(async |event: LambdaEvent<SqsEvent>| Ok::<_, Infallible>(deliverer.deliver(event.payload).await)))
        .await
}

//! Wiring of the infer function.

use std::collections::HashMap;
use std::time::Duration;

use infer::Worker;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use shared::domain::access::trust::Trust;
use shared::domain::item::source::SourceBuckets;
use shared::domain::job::plan::Batch;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::provider::connection::SageMaker;
use shared::egress::Egress;
use shared::inference::{Models, Roles};
use shared::lambda::{Aws, Env, SystemClock, TaskError, start_log};
use shared::objects::Bucket;
use shared::ports::Clock;
use shared::secrets::Vault;
use shared::store::Store;
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_log();
    let mut env = Env::new();
    let (table, bucket, region) = (env.text("TABLE_NAME"), env.text("BUCKET_NAME"), env.text("AWS_REGION"));
    let (bot, key) = (env.text("BOT_USER"), env.text("SECRETS_KEY_ID"));
    let patience = Duration::from_secs(env.parsed("PATIENCE_SECONDS"));
    let (loopback_http, extra_roots) = (env.loopback_http(), env.text("EXTRA_ROOTS"));
    let trust = Trust::new(env.json("CALLER_ROLES"));
    let endpoints: HashMap<ModelType, String> = env.json("SAGEMAKER_ENDPOINTS");
    let buckets = SourceBuckets::new(env.json("SOURCE_BUCKETS"), &bucket);
    env.finish()?;
    let aws = Aws::in_lambda().await;
    let endpoints =
        endpoints.into_iter().map(|(model, endpoint_name)| (model, SageMaker::new(endpoint_name, region.clone())));
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let egress = Egress::trusting(loopback_http, &extra_roots)?;
    let sts = aws.client(aws_sdk_sts::Client::new);
    let worker = &Worker {
        store: store.clone(),
        providers: store,
        objects: Bucket::new(aws.client(aws_sdk_s3::Client::new), bucket).with_kept_key(aws.credentials()),
        web: egress.clone(),
        buckets,
        models: Models {
            config: aws.model_config(),
            roles: Roles::new(sts, trust, SystemClock).keeping(),
            secrets: Vault::new(aws.client(aws_sdk_kms::Client::new), key),
            egress,
        },
        clock: SystemClock,
        patience,
        bot,
        endpoints: endpoints.collect(),
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        worker.run(&event.payload, &event.context.request_id, deadline(&event.context)).await.map_err(TaskError::from)
    }))
    .await
}

/// The end of this invocation, on tokio's clock.
fn deadline(context: &Context) -> Instant {
    let now = u64::try_from(SystemClock.now().as_millisecond()).unwrap_or(0);
    Instant::now() + Duration::from_millis(context.deadline.saturating_sub(now))
}

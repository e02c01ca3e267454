//! Wiring of the providers function.

use std::sync::Arc;

use providers::{ProviderApi, ProviderPorts, routes};
use shared::domain::access::trust::Trust;
use shared::egress::Egress;
use shared::http::{api, serve};
use shared::inference::{Models, Roles};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::secrets::Vault;
use shared::store::Store;

/// The adapters of a deployment.
struct Deployed;

impl ProviderPorts for Deployed {
    type Store = Store;
    type Secrets = Vault;
    type Objects = Bucket;
    type Web = Egress;
    type Models = Models<Vault, SystemClock>;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let key = env.text("SECRETS_KEY_ID");
    let settings = env.json("API_SETTINGS");
    let loopback_http = env.loopback_http();
    let extra_roots = env.text("EXTRA_ROOTS");
    let trust = Trust::new(env.json("CALLER_ROLES"));
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let secrets = Vault::new(aws.client(aws_sdk_kms::Client::new), key);
    let sts = aws.client(aws_sdk_sts::Client::new);
    let egress = Egress::trusting(loopback_http, &extra_roots)?;
    let state = Arc::new(ProviderApi::<Deployed> {
        store: store.clone(),
        secrets: secrets.clone(),
        objects: Bucket::new(aws.client(aws_sdk_s3::Client::new), bucket),
        web: egress.clone(),
        models: Models {
            config: aws.model_config(),
            roles: Roles::new(sts, trust.clone(), SystemClock),
            secrets,
            egress,
        },
        clock: SystemClock,
        trust,
        loopback_http,
    });
    serve(api(routes(state), store, SystemClock, settings)).await
}

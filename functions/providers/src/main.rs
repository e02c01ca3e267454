//! Wiring of the providers function.

use providers::{App, routes};
use shared::egress::Egress;
use shared::http::{api, serve};
use shared::inference::Models;
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::Bucket;
use shared::secrets::Vault;
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let key = env.text("SECRETS_KEY_ID");
    let settings = env.json("API_SETTINGS");
    let loopback_http = env.loopback_http();
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let secrets = Vault::new(aws_sdk_kms::Client::new(aws.config()), key);
    let app = App {
        store: store.clone(),
        secrets: secrets.clone(),
        objects: Bucket::new(aws_sdk_s3::Client::new(aws.config()), bucket),
        models: Models {
            config: aws.model_config(),
            sts: aws_sdk_sts::Client::new(aws.config()),
            secrets,
            egress: Egress::new(loopback_http),
        },
        clock: SystemClock,
        loopback_http,
    };
    serve(api(routes(app), store, SystemClock, settings)).await
}

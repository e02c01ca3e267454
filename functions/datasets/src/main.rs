//! Wiring of the datasets function.

use std::sync::Arc;

use datasets::{DatasetApi, DatasetPorts, routes};
use shared::http::{api, serve};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::objects::{Bucket, Forms};
use shared::store::Store;

/// Bytes of a GiB.
const GIB: u64 = 1024 * 1024 * 1024;

/// The adapters of a deployment.
struct Deployed;

impl DatasetPorts for Deployed {
    type Store = Store;
    type Objects = Bucket;
    type Forms = Forms;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let bucket = env.text("BUCKET_NAME");
    let quota: u64 = env.parsed("UPLOAD_QUOTA_GIB");
    let settings = env.json("API_SETTINGS");
    env.finish()?;
    let aws = Aws::in_api().await;
    let config = aws.config();
    let store = Store::new(aws_sdk_dynamodb::Client::new(config), table);
    let objects = Bucket::new(aws_sdk_s3::Client::new(config), bucket);
    let credentials = config.credentials_provider().ok_or("no credentials")?;
    let region = config.region().ok_or("no region")?.to_string();
    let state = Arc::new(DatasetApi::<Deployed> {
        store: store.clone(),
        forms: Forms::new(objects.clone(), credentials, region),
        objects,
        clock: SystemClock,
        quota: quota * GIB,
    });
    serve(api(routes(state), store, SystemClock, settings)).await
}

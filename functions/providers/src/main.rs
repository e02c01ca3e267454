//! Wiring of the providers function.

use providers::{App, routes};
use shared::http::{api, serve};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let settings = env.json("API_SETTINGS");
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    serve(api(routes(App { store: store.clone(), clock: SystemClock }), store, SystemClock, settings)).await
}

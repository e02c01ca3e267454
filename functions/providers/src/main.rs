//! Wiring of the providers function.

use std::time::Duration;

use providers::{App, routes};
use shared::http::{Authentication, PublicBase, api};
use shared::lambda::{Aws, Env, SystemClock, start_log};
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_log();
    let mut env = Env::new();
    let table = env.text("TABLE_NAME");
    let base = PublicBase::new(&env.text("PUBLIC_BASE_URL"));
    let remember = Duration::from_secs(env.parsed("KEY_CACHE_SECONDS"));
    env.finish()?;
    let aws = Aws::in_api().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let auth = Authentication::new(store.clone(), SystemClock, remember);
    lambda_http::run(api(routes(App { store, clock: SystemClock }), auth, base)).await
}

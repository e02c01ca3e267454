//! The least that a function of the API can be: one route behind the gateway's adapter.

use axum::Router;
use axum::routing::any;
use lambda_http::{Error, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(Router::new().route("/{*path}", any(async || "{}"))).await
}

//! What a Lambda takes that reads one row of a table, without any care for its start.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_from_env().await;
    let client = &Client::new(&config);
    let table = &std::env::var("TABLE_NAME")?;
    run(service_fn(async |_: LambdaEvent<Value>| {
        let key = |value: &str| AttributeValue::S(value.into());
        let row = client.get_item().table_name(table).key("pk", key("KEY#bench")).key("sk", key("KEY")).send().await?;
        Ok::<_, Error>(json!({ "found": row.item.is_some() }))
    }))
    .await
}

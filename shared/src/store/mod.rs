//! DynamoDB. One table; every key is built in `keys`, every row shape is in `rows`, then one file per entity.

mod api_keys;
mod calls;
mod datasets;
mod exports;
mod idempotency;
mod imports;
mod items;
mod jobs;
mod keys;
mod ledger;
mod rate_limits;
mod reports;
mod review_queue;
mod rows;
mod tenants;
mod unlabeled;
mod upload_backlog;
mod uploads;
mod webhooks;

use aws_sdk_dynamodb::Client;

/// The table.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

impl Store {
    /// The table of this name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }
}

//! What Lambda hands over from the queue and takes back (AWS, "Using Lambda with Amazon SQS"). A few fields of it: the
//! crate that has all of them brings a macro library along.

use serde::{Deserialize, Serialize};

/// SqsEvent of a queue.
#[derive(Debug, Deserialize)]
pub struct SqsEvent {
    /// In no order.
    #[serde(rename = "Records")]
    pub records: Vec<SqsMessage>,
}

/// A message.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsMessage {
    /// By which a failure names it.
    pub message_id: String,
    /// What was sent.
    pub body: String,
    /// What the queue knows of it.
    #[serde(default)]
    pub attributes: Attributes,
    /// The queue's ARN.
    #[serde(default, rename = "eventSourceARN")]
    pub queue_arn: String,
}

/// What the queue knows of a message.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attributes {
    /// How often it was received, this time included: a number, as text.
    #[serde(default)]
    pub approximate_receive_count: String,
}

/// The records that come again; all others are deleted.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsBatchResponse {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl SqsBatchResponse {
    /// Adds a record.
    pub fn add(&mut self, record: &SqsMessage) {
        self.batch_item_failures.push(Failure { item_identifier: record.message_id.clone() });
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch_item_failures.len()
    }

    /// Whether none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch_item_failures.is_empty()
    }
}

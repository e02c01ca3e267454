//! Lambda's event of a queue, and the function's response (AWS, "Using Lambda with Amazon SQS"). The names are those of the
//! crate `aws_lambda_events`, the fields only ours: that crate brings a macro library along.

use serde::{Deserialize, Serialize};

/// The messages of one invocation.
#[derive(Debug, Deserialize)]
pub struct SqsEvent {
    /// At most a batch of the event source, in no order.
    #[serde(rename = "Records")]
    pub records: Vec<SqsMessage>,
}

/// A message of a standard queue.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsMessage {
    /// A failure names the message by it.
    pub message_id: String,
    /// As it was sent.
    pub body: String,
    /// What the queue knows of the message.
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

/// The messages that come again. Lambda deletes all others.
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
    /// Adds a message that failed.
    pub fn add(&mut self, message: &SqsMessage) {
        self.batch_item_failures.push(Failure { item_identifier: message.message_id.clone() });
    }

    /// The number of messages that come again.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch_item_failures.len()
    }

    /// Whether all messages were handled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch_item_failures.is_empty()
    }
}

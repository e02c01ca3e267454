//! SQS: one message per attempt to deliver an event. It carries the delivery's uid alone; the record has the rest.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use serde::{Deserialize, Serialize};

use crate::domain::Error;
use crate::domain::id::DeliveryUid;
use crate::ports::Queue;
use crate::sdk;

/// The longest delay of a message (AWS, "Amazon SQS delay queues"). Longer ones take several hops.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// A message on the webhook queue. Versioned: an unreadable one goes to the dead letters, never away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Try this delivery.
    V1 {
        /// Which.
        delivery: DeliveryUid,
    },
}

/// The webhook queue and its dead letters.
#[derive(Clone, Debug)]
pub struct WebhookQueue {
    client: Client,
    url: String,
    dead_letters_url: Option<String>,
}

impl WebhookQueue {
    /// For those who only send.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into(), dead_letters_url: None }
    }

    /// For the one who also gives up.
    #[must_use]
    pub fn with_dead_letters(mut self, url: impl Into<String>) -> Self {
        self.dead_letters_url = Some(url.into());
        self
    }

    async fn put(&self, url: &str, delivery: DeliveryUid, delay: Duration) -> Result<(), Error> {
        let body = serde_json::to_string(&Message::V1 { delivery }).map_err(Error::internal)?;
        // Rounded up: a message that comes a moment early would only be sent again.
        let seconds = i32::try_from(delay.min(MAX_DELAY).as_millis().div_ceil(1_000)).unwrap_or(0);
        self.client
            .send_message()
            .queue_url(url)
            .message_body(body)
            .delay_seconds(seconds)
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }
}

impl Queue for WebhookQueue {
    async fn send(&self, delivery: DeliveryUid, delay: Duration) -> Result<(), Error> {
        self.put(&self.url, delivery, delay).await
    }

    async fn bury(&self, delivery: DeliveryUid) -> Result<(), Error> {
        let url = self.dead_letters_url.as_deref().ok_or_else(|| Error::internal("no dead-letter queue configured"))?;
        self.put(url, delivery, Duration::ZERO).await
    }
}

fn classify<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    sdk::classify(error, Error::QueueUnavailable)
}

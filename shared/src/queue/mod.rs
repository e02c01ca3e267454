//! SQS: one message per attempt to deliver an event, which carries the delivery's uid alone; and those that ask for a look at
//! a project's uploads, beside what S3 tells.

mod records;

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::MessageAttributeValue;
use serde::{Deserialize, Serialize};

use crate::domain::Error;
use crate::domain::id::{DeliveryUid, OrganizationUid, ProjectUid};
use crate::ports::{Queue, UploadQueue};
use crate::sdk;

pub use records::{Attributes, Failures, Record, Records};

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
        self.client
            .send_message()
            .queue_url(url)
            .message_body(body)
            .delay_seconds(seconds(delay))
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

/// Our own message on the queue of uploads. Versioned, as [`Message`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadMessage {
    /// Look whether a job is due.
    V1 {
        /// The tenant.
        organization: OrganizationUid,
        /// The project.
        project: ProjectUid,
    },
    /// The rest of a round of the schedule.
    RoundV1 {
        /// Behind the project of this place.
        after: String,
    },
}

/// The queue of uploads and its dead letters.
#[derive(Clone, Debug)]
pub struct UploadMessages {
    client: Client,
    url: String,
    dead_letters_url: String,
}

impl UploadMessages {
    /// These queues.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>, dead_letters_url: impl Into<String>) -> Self {
        Self { client, url: url.into(), dead_letters_url: dead_letters_url.into() }
    }

    async fn send(&self, message: &UploadMessage, delay: Duration) -> Result<(), Error> {
        let body = serde_json::to_string(message).map_err(Error::internal)?;
        let request = self.client.send_message().queue_url(&self.url).message_body(body).delay_seconds(seconds(delay));
        request.send().await.map_err(classify)?;
        Ok(())
    }
}

impl UploadQueue for UploadMessages {
    async fn look_at(&self, organization: OrganizationUid, project: ProjectUid, delay: Duration) -> Result<(), Error> {
        self.send(&UploadMessage::V1 { organization, project }, delay).await
    }

    async fn go_on(&self, after: &str) -> Result<(), Error> {
        self.send(&UploadMessage::RoundV1 { after: after.to_owned() }, Duration::ZERO).await
    }

    async fn bury(&self, body: &str, reason: &str) -> Result<(), Error> {
        // The body stays as it came, so that it can be sent again as it is.
        let reason = MessageAttributeValue::builder().data_type("String").string_value(reason).build();
        let reason = reason.map_err(Error::internal)?;
        let request = self.client.send_message().queue_url(&self.dead_letters_url).message_body(body);
        request.message_attributes("Reason", reason).send().await.map_err(classify)?;
        Ok(())
    }
}

/// Rounded up: a message that comes a moment early would only be sent again.
fn seconds(delay: Duration) -> i32 {
    i32::try_from(delay.min(MAX_DELAY).as_millis().div_ceil(1_000)).unwrap_or(0)
}

fn classify<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    sdk::classify(error, Error::QueueUnavailable)
}

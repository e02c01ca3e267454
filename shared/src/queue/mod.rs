//! SQS: a message for each attempt to deliver an event, which carries the delivery's uid and no more; and messages that ask for
//! a check of a project's uploads, in the queue of S3's events; and a message for each step of an export, and for an import.

mod records;

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use serde::{Deserialize, Serialize};

use crate::domain::Error;
use crate::domain::id::{DeliveryUid, ExportUid, ImportUid, OrganizationUid, ProjectUid};
use crate::domain::item::is_zero;
use crate::ports::{DeliveryRequest, ExportQueue, ImportName, ImportQueue, Queue, UploadQueue};
use crate::sdk::{self, LazyClient};

pub use records::{Attributes, SqsBatchResponse, SqsEvent, SqsMessage};

/// The longest delay of a message (AWS, "Amazon SQS delay queues"). Longer ones take several hops.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// A message on the webhook queue. Versioned: one that cannot be read goes to the dead letters, and is never lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryMessage {
    /// Try this delivery.
    V1 {
        /// Its uid.
        delivery: DeliveryUid,
        /// The tenant, if the sender knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization: Option<OrganizationUid>,
        /// Messages that asked for the same attempt before this one.
        #[serde(default, skip_serializing_if = "is_zero")]
        hops: u32,
    },
}

impl From<DeliveryRequest> for DeliveryMessage {
    fn from(DeliveryRequest { delivery, organization, hops }: DeliveryRequest) -> Self {
        Self::V1 { delivery, organization, hops }
    }
}

impl From<DeliveryMessage> for DeliveryRequest {
    fn from(DeliveryMessage::V1 { delivery, organization, hops }: DeliveryMessage) -> Self {
        Self { delivery, organization, hops }
    }
}

/// Messages of one call (AWS, "SendMessageBatch").
const BATCH: usize = 10;

/// The webhook queue, the overflow queue, and their dead letters.
///
/// A message carries its organization as `MessageGroupId`. A standard queue is fair then: it hands out the messages of others
/// before the rest of a tenant that has more in flight than its part (AWS, "Amazon SQS fair queues").
#[derive(Clone, Debug)]
pub struct WebhookQueue {
    client: LazyClient<Client>,
    url: String,
    overflow_url: Option<String>,
    dead_letters_url: Option<String>,
}

impl WebhookQueue {
    /// For functions that notify of events.
    #[must_use]
    pub fn new(client: impl Into<LazyClient<Client>>, url: impl Into<String>) -> Self {
        Self { client: client.into(), url: url.into(), overflow_url: None, dead_letters_url: None }
    }

    /// With the queue of later attempts.
    #[must_use]
    pub fn with_overflow(mut self, url: impl Into<String>) -> Self {
        self.overflow_url = Some(url.into());
        self
    }

    /// With the queue of deliveries that are given up: for `deliver`.
    #[must_use]
    pub fn with_dead_letters(mut self, url: impl Into<String>) -> Self {
        self.dead_letters_url = Some(url.into());
        self
    }

    async fn put(&self, url: &str, requests: &[DeliveryRequest], delay: Duration) -> Result<(), Error> {
        if let [request] = requests {
            let body = body(*request)?;
            let message = self.client.send_message().queue_url(url).message_body(body).delay_seconds(seconds(delay));
            message.set_message_group_id(group(*request)).send().await.map_err(classify)?;
            return Ok(());
        }
        for requests in requests.chunks(BATCH) {
            let entries = requests.iter().enumerate().map(|(n, request)| {
                let entry = SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body(*request)?);
                let entry = entry.delay_seconds(seconds(delay)).set_message_group_id(group(*request));
                entry.build().map_err(Error::internal)
            });
            let entries = entries.collect::<Result<_, _>>()?;
            let call = self.client.send_message_batch().queue_url(url).set_entries(Some(entries));
            let answer = call.send().await.map_err(classify)?;
            if let Some(refused) = answer.failed.first() {
                return Err(Error::QueueUnavailable(
                    format!("a message of a batch was refused: {}", refused.code).into(),
                ));
            }
        }
        Ok(())
    }
}

fn body(request: DeliveryRequest) -> Result<String, Error> {
    serde_json::to_string(&DeliveryMessage::from(request)).map_err(Error::internal)
}

fn group(request: DeliveryRequest) -> Option<String> {
    request.organization.map(|organization| organization.to_string())
}

impl Queue for WebhookQueue {
    async fn send(&self, requests: &[DeliveryRequest]) -> Result<(), Error> {
        self.put(&self.url, requests, Duration::ZERO).await
    }

    async fn send_to_overflow(&self, requests: &[DeliveryRequest], delay: Duration) -> Result<(), Error> {
        let url = self.overflow_url.as_deref().ok_or_else(|| Error::internal("no overflow queue configured"))?;
        self.put(url, requests, delay).await
    }

    async fn send_to_dead_letters(&self, delivery: DeliveryUid) -> Result<(), Error> {
        let url = self.dead_letters_url.as_deref().ok_or_else(|| Error::internal("no dead-letter queue configured"))?;
        self.put(url, &[DeliveryRequest { delivery, organization: None, hops: 0 }], Duration::ZERO).await
    }
}

/// Our own message on the queue of uploads. Versioned, as [`DeliveryMessage`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadMessage {
    /// Check whether a job is due.
    V1 {
        /// The tenant.
        organization: OrganizationUid,
        /// The project.
        project: ProjectUid,
        /// Checks that led to this one without a pause between uploads.
        #[serde(default, skip_serializing_if = "is_zero")]
        hops: u32,
    },
    /// The rest of a round of the schedule.
    RoundV1 {
        /// Behind the project of this position.
        after: String,
    },
}

/// The queue of uploads and its dead letters.
#[derive(Clone, Debug)]
pub struct UploadMessages {
    client: LazyClient<Client>,
    url: String,
    dead_letters_url: String,
}

impl UploadMessages {
    /// These queues.
    #[must_use]
    pub fn new(
        client: impl Into<LazyClient<Client>>,
        url: impl Into<String>,
        dead_letters_url: impl Into<String>,
    ) -> Self {
        Self { client: client.into(), url: url.into(), dead_letters_url: dead_letters_url.into() }
    }

    async fn send(&self, message: &UploadMessage, delay: Duration) -> Result<(), Error> {
        let body = serde_json::to_string(message).map_err(Error::internal)?;
        let request = self.client.send_message().queue_url(&self.url).message_body(body).delay_seconds(seconds(delay));
        request.send().await.map_err(classify)?;
        Ok(())
    }
}

impl UploadQueue for UploadMessages {
    async fn request_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        delay: Duration,
        hops: u32,
    ) -> Result<(), Error> {
        self.send(&UploadMessage::V1 { organization, project, hops }, delay).await
    }

    async fn continue_round(&self, after: &str) -> Result<(), Error> {
        self.send(&UploadMessage::RoundV1 { after: after.to_owned() }, Duration::ZERO).await
    }

    async fn send_to_dead_letters(&self, body: &str, reason: &str) -> Result<(), Error> {
        // The body stays as it came, so that it can be sent again as it is.
        let reason = MessageAttributeValue::builder().data_type("String").string_value(reason).build();
        let reason = reason.map_err(Error::internal)?;
        let request = self.client.send_message().queue_url(&self.dead_letters_url).message_body(body);
        request.message_attributes("Reason", reason).send().await.map_err(classify)?;
        Ok(())
    }
}

/// A message on the queue of exports. Versioned, as [`DeliveryMessage`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportMessage {
    /// Do the next step.
    V1 {
        /// The tenant.
        organization: OrganizationUid,
        /// The export.
        export: ExportUid,
    },
}

/// The queue of exports. A message carries its organization as `MessageGroupId`, as those of [`WebhookQueue`] do.
#[derive(Clone, Debug)]
pub struct ExportMessages {
    client: LazyClient<Client>,
    url: String,
}

impl ExportMessages {
    /// The queue of this URL.
    #[must_use]
    pub fn new(client: impl Into<LazyClient<Client>>, url: impl Into<String>) -> Self {
        Self { client: client.into(), url: url.into() }
    }
}

impl ExportQueue for ExportMessages {
    async fn request_step(&self, organization: OrganizationUid, uid: ExportUid) -> Result<(), Error> {
        let message = ExportMessage::V1 { organization, export: uid };
        let body = serde_json::to_string(&message).map_err(Error::internal)?;
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        request.message_group_id(organization.to_string()).send().await.map_err(classify)?;
        Ok(())
    }
}

/// A message on the queue of imports. Versioned, as [`DeliveryMessage`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportMessage {
    /// Work on it.
    V1 {
        /// The tenant.
        organization: OrganizationUid,
        /// The project.
        project: ProjectUid,
        /// The import.
        import: ImportUid,
    },
}

/// The queue of imports. A message carries its organization as `MessageGroupId`, as those of [`WebhookQueue`] do.
#[derive(Clone, Debug)]
pub struct ImportMessages {
    client: LazyClient<Client>,
    url: String,
}

impl ImportMessages {
    /// The queue of this URL.
    #[must_use]
    pub fn new(client: impl Into<LazyClient<Client>>, url: impl Into<String>) -> Self {
        Self { client: client.into(), url: url.into() }
    }
}

impl ImportQueue for ImportMessages {
    async fn request_import(&self, (organization, project, import): ImportName) -> Result<(), Error> {
        let message = ImportMessage::V1 { organization, project, import };
        let body = serde_json::to_string(&message).map_err(Error::internal)?;
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        request.message_group_id(organization.to_string()).send().await.map_err(classify)?;
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

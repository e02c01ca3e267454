//! Adopt: the labels of imports become results (decision 0046).
//!
//! The event of an upload, or a message, begins the work on an import. The whole file is read first, into segments in the bucket: a file
//! that cannot be read changes nothing. Then the labels of each segment are written. How far the work has come is stored in the row of
//! the import, so that another worker goes on behind it. A result is written only for an item that has none, and dated by the import:
//! a segment that is repeated finds its own results. A schedule finds imports whose worker died.

mod apply;
mod file;
mod names;
mod shelf;
#[cfg(test)]
mod tests;
mod work;

use serde::Deserialize;
use shared::domain::import::of_upload_key;
use shared::domain::item::source::SourceBuckets;
use shared::domain::{Error, Timestamp};
use shared::ports::{
    Clock, Contents, ExportItems, Files, ImportName, ImportQueue, ImportResults, Imports, Items, Objects, Projects,
    Queue, WatchedImport, Webhooks,
};
use shared::queue::{ImportMessage, SqsBatchResponse, SqsEvent, SqsMessage};
use tracing::{error, warn};

/// The handler and its ports.
#[derive(Debug)]
pub struct Adopter<S, W, T, O, I, Q, C> {
    /// Imports.
    pub store: S,
    /// The subscriptions to their ends.
    pub webhooks: W,
    /// Projects, items and results.
    pub catalog: T,
    /// The bucket, and those that tenants name.
    pub objects: O,
    /// The queue of imports.
    pub queue: I,
    /// Takes the deliveries.
    pub deliveries: Q,
    /// Dates rows.
    pub clock: C,
    /// What of S3 each organization may name.
    pub buckets: SourceBuckets,
    /// Whether items may have URLs of this machine: for development.
    pub loopback_http: bool,
}

/// A message of the queue: our own, an event of S3, or one of the schedule.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Own(ImportMessage),
    Written { detail: Written },
    Scheduled { source: String },
}

/// What S3 says of an object.
#[derive(Deserialize)]
struct Written {
    object: WrittenObject,
}

#[derive(Deserialize)]
struct WrittenObject {
    key: String,
}

impl<S, W, T, O, I, Q, C> Adopter<S, W, T, O, I, Q, C>
where
    S: Imports,
    W: Webhooks,
    T: Projects + Items + ExportItems + ImportResults,
    O: Objects + Contents + Files,
    I: ImportQueue,
    Q: Queue,
    C: Clock,
{
    /// Works through a batch of the queue. Each message fails on its own.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let mut failures = SqsBatchResponse::default();
        for message in &event.records {
            if let Err(cause) = self.process(message).await {
                error!(message.id = message.message_id, causes = cause.chain(), "record failed");
                failures.add(message);
            }
        }
        failures
    }

    async fn process(&self, message: &SqsMessage) -> Result<(), Error> {
        match serde_json::from_str(&message.body).map_err(|_| Error::internal("no message that we know"))? {
            Message::Own(ImportMessage::V1 { organization, project, import }) => {
                self.work((organization, project, import)).await
            }
            Message::Written { detail } => self.uploaded(&detail.object.key).await,
            Message::Scheduled { source } if source == "aws.events" => self.round().await,
            Message::Scheduled { .. } => Err(Error::internal("an event that this function does not handle")),
        }
    }

    /// An object was written below `imports/`: the file of an import, or one of our own.
    async fn uploaded(&self, key: &str) -> Result<(), Error> {
        let Some(name) = of_upload_key(key) else { return Ok(()) };
        match self.store.import(name).await {
            // An import whose file lies elsewhere has no upload.
            Ok(import) if import.source.is_none() => self.work(name).await,
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A round of the schedule: asks for the work on imports that no worker has.
    async fn round(&self) -> Result<(), Error> {
        let (now, mut after) = (self.clock.now(), None);
        loop {
            let page = self.store.watched_imports(after.as_deref(), now).await?;
            for watched in page.entries {
                self.remind_or_warn(&watched, now).await;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// One import must not keep the others waiting. The next round comes to it again.
    async fn remind_or_warn(&self, WatchedImport { import, is_claimed }: &WatchedImport, now: Timestamp) {
        let name: ImportName = (import.organization, import.project, import.uid);
        if *is_claimed || import.updated_at + work::IDLE >= now {
            return;
        }
        if let Err(error) = self.queue.request_import(name).await {
            warn!(import.uid = %import.uid, causes = error.chain(), "an import was not reminded of");
        }
    }
}

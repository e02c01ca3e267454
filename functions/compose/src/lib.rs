//! Compose: writes the files of exports, step by step (decision 0043).
//!
//! A message asks for the next step of one export. A step takes some seconds, stores how far it has come in the export's row, and sends
//! the next message. A step that is repeated begins where the last stored one has ended, and writes over what was not stored. One
//! worker at a time has an export: it claims it for longer than it can live. A schedule finds exports whose message was lost.

mod file;
mod picture;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;
use shared::domain::export::Export;
use shared::domain::id::{ExportUid, OrganizationUid};
use shared::domain::item::source::SourceBuckets;
use shared::domain::webhook::Event;
use shared::domain::{Error, Timestamp};
use shared::ports::{
    Clock, Contents, ExportItems, ExportQueue, Exports, Files, Folders, Objects, Queue, Watched, Webhooks,
};
use shared::queue::{ExportMessage, SqsBatchResponse, SqsEvent, SqsMessage};
use shared::services::outbox;
use tracing::{error, info, warn};

/// A claim outlives its worker: the function's timeout (infra, `CONSUMER_TIMEOUT_SECONDS`) and some seconds.
const LEASE: Duration = Duration::from_secs(65);
/// An export that has not changed for this time, and that no worker has, has lost its message.
const IDLE: Duration = Duration::from_secs(30);
/// An export whose next step was asked for is not asked for again within this time.
const REMINDED: Duration = Duration::from_secs(300);
/// Exports that a round of the schedule works on at once.
const AT_ONCE: usize = 16;
/// Workers that may fail at the same step. Then the export fails.
const ATTEMPTS: u32 = 5;
/// What the owner of an export reads that cannot be written.
const CANNOT_BE_WRITTEN: &str = "The files could not be written. Create the export again.";

/// The handler and its ports.
#[derive(Debug)]
pub struct Composer<S, W, O, E, Q, C, H> {
    /// Exports and the items that they read.
    pub exports: S,
    /// The subscriptions to their ends.
    pub webhooks: W,
    /// The bucket.
    pub objects: O,
    /// Its name: files name the objects in it.
    pub bucket: String,
    /// What of S3 each organization may name.
    pub buckets: SourceBuckets,
    /// Pictures on the web.
    pub web: H,
    /// The queue of exports.
    pub queue: E,
    /// Takes the deliveries.
    pub deliveries: Q,
    /// Dates rows.
    pub clock: C,
}

/// A message of the queue: our own, or an event of the schedule.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Own(ExportMessage),
    Scheduled { source: String },
}

impl<S, W, O, E, Q, C, H> Composer<S, W, O, E, Q, C, H>
where
    S: Exports + ExportItems,
    W: Webhooks,
    O: Objects + Contents + Files + Folders,
    E: ExportQueue,
    Q: Queue,
    C: Clock,
    H: Files,
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
            Message::Own(ExportMessage::V1 { organization, export }) => self.compose(organization, export).await,
            Message::Scheduled { source } if source == "aws.events" => self.round().await,
            Message::Scheduled { .. } => Err(Error::internal("an event that this function does not handle")),
        }
    }

    /// The next step of an export, if it has not ended and no other worker has it.
    async fn compose(&self, organization: OrganizationUid, uid: ExportUid) -> Result<(), Error> {
        let now = self.clock.now();
        match self.exports.claim_export(organization, uid, now, now + LEASE).await? {
            Some(claimed) if claimed.attempts > ATTEMPTS => {
                let failed = claimed.export.failed(CANNOT_BE_WRITTEN, now);
                self.end(failed, claimed.lease).await
            }
            Some(claimed) => self.step(claimed).await,
            None => Ok(()),
        }
    }

    /// Stores the end of an export, and sends its event. If it was deleted meanwhile, its objects are removed instead.
    async fn end(&self, ended: Export, lease: Timestamp) -> Result<(), Error> {
        let deliveries = outbox::deliveries(&self.webhooks, Event::of_export(&ended), self.clock.now()).await?;
        if !self.exports.end_export(&ended, lease, &deliveries).await? {
            return self.give_up(&ended).await;
        }
        info!(export.uid = %ended.uid, export.status = ended.status.as_str(), items = ended.done, "export ended");
        outbox::send(&self.deliveries, &deliveries).await;
        Ok(())
    }

    /// Leaves an export that another worker has, or that was deleted: then nothing of it stays.
    async fn give_up(&self, export: &Export) -> Result<(), Error> {
        match self.exports.export(export.organization, export.uid).await {
            Ok(now) if !now.deleted => Ok(()),
            Ok(_) | Err(Error::NotFound(_)) => self.objects.remove_folder(&export.folder()).await,
            Err(error) => Err(error),
        }
    }

    /// A round of the schedule: sends the messages that were lost, and removes what is left of deleted exports.
    async fn round(&self) -> Result<(), Error> {
        let (now, mut after) = (self.clock.now(), None);
        loop {
            let page = self.exports.watched_exports(after.as_deref(), now).await?;
            let watched = stream::iter(page.entries);
            watched.for_each_concurrent(AT_ONCE, |watched| self.watch_or_warn(watched, now)).await;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// One export must not keep the others waiting. The next round comes to it again.
    async fn watch_or_warn(&self, watched: Watched, now: Timestamp) {
        if let Err(error) = self.watch(&watched, now).await {
            warn!(export.uid = %watched.export.uid, causes = error.chain(), "an export was not watched");
        }
    }

    async fn watch(&self, watched: &Watched, now: Timestamp) -> Result<(), Error> {
        let Watched { export, is_claimed, reminded_at } = watched;
        if *is_claimed || export.updated_at + IDLE >= now {
            return Ok(());
        }
        if export.deleted {
            self.objects.remove_folder(&export.folder()).await?;
            return self.exports.forget_export(export.organization, export.uid).await;
        }
        // A message that waits in a long queue is not lost, and two messages are two chains.
        let was_reminded = *reminded_at >= export.updated_at && *reminded_at + REMINDED >= now;
        if !was_reminded && self.exports.remind_of_export(watched, now).await? {
            self.queue.request_step(export.organization, export.uid).await?;
        }
        Ok(())
    }
}

//! Ingest: objects that appear in S3 become items by themselves, and items become drafts if their project wants it so
//! (docs/decisions/0021).
//!
//! S3 sends the event of an object at least once, late, and in no order. Every write here is conditional on the state that was
//! read. So a message may come again at any time, and an invocation that dies only leaves messages that do.

mod check;
mod message;
mod object;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use shared::domain::Error;
use shared::domain::id::{OrganizationUid, ProjectUid};
use shared::domain::item::AssetType;
use shared::domain::item::source::SourceBuckets;
use shared::domain::limits;
use shared::ports::{
    Clock, Contents, Executions, Files, Items, Jobs, Listings, Projects, Providers, UploadQueue, UploadWatch, Uploads,
    WaitingUploads,
};
use shared::queue::{SqsBatchResponse, SqsEvent, SqsMessage};
use shared::services::serving::OwnEndpoints;
use tokio::time::Instant;
use tracing::{error, info};

use message::UploadEvent;
use object::Landed;

/// Messages that are worked on at once.
const AT_ONCE: usize = 16;
/// A batch that has taken this long begins no other message: half of the function's timeout (infra,
/// `CONSUMER_TIMEOUT_SECONDS`). Messages in hand then have time to end and to be counted, and the rest comes again.
const BEGINNING: Duration = Duration::from_secs(30);
/// How often the queue hands out a message (infra, `WorkQueue`). The last failure sends it to the dead-letter queue.
const RECEPTIONS: u32 = 5;
/// Projects whose owners a process remembers: they never change.
const OWNERS: usize = 10_000;

/// The handler and its ports.
pub struct Ingester<S, O, E, Q, C> {
    /// The table.
    pub store: S,
    /// The bucket, and those that tenants name.
    pub files: O,
    /// The state machine.
    pub executions: E,
    /// The queue of uploads.
    pub queue: Q,
    /// Dates items, and decides which checks are due.
    pub clock: C,
    /// Name of the system's own bucket.
    pub bucket: String,
    /// What of S3 each organization may name.
    pub buckets: SourceBuckets,
    /// The deployment's own endpoints: the last choice of a job without a provider.
    pub endpoints: OwnEndpoints,
    /// How long an upload waits for a pause at most.
    pub longest_wait: Duration,
    /// The owners of projects that this process has read.
    pub owners: Mutex<HashMap<ProjectUid, OrganizationUid>>,
}

/// What a batch has changed in one project.
#[derive(Default)]
struct Group {
    added: Vec<AssetType>,
    waiting: u64,
    /// Positions of the messages in the batch.
    messages: Vec<usize>,
}

type Outcome = Result<Option<Landed>, Error>;

impl<S, O, E, Q, C> Ingester<S, O, E, Q, C>
where
    S: Projects + Items + Jobs + Providers + Uploads + WaitingUploads + UploadWatch,
    O: Files + Listings + Contents,
    E: Executions,
    Q: UploadQueue,
    C: Clock,
{
    /// Works through a batch of the queue. Each message fails on its own; what landed in one project is counted by one call.
    pub async fn ingest(&self, event: SqsEvent) -> SqsBatchResponse {
        let messages = event.records;
        let end = Instant::now() + BEGINNING;
        let mut outcomes: Vec<Outcome> =
            stream::iter(&messages).map(|message| self.process_until(end, message)).buffered(AT_ONCE).collect().await;
        self.count_all(&mut outcomes).await;
        let mut failures = SqsBatchResponse::default();
        for (message, outcome) in messages.iter().zip(outcomes) {
            if let Err(error) = outcome
                && !self.is_dead_letter(message, &error).await
            {
                failures.add(message);
            }
        }
        info!(records = messages.len(), failures = failures.len(), "records handled");
        failures
    }

    async fn process_until(&self, end: Instant, message: &SqsMessage) -> Outcome {
        if Instant::now() >= end {
            return Err(Error::StoreUnavailable("its batch has taken too long".into()));
        }
        self.process(message).await
    }

    async fn process(&self, message: &SqsMessage) -> Outcome {
        match UploadEvent::read(&message.body)? {
            UploadEvent::Created(object) => return self.created(&object).await,
            UploadEvent::Deleted(object) => return self.deleted(&object).await,
            UploadEvent::ExecutionEnded(job) => self.job_ended(job).await?,
            UploadEvent::CheckDue { organization, project, hops } => {
                self.check_uploads(organization, project, Some(hops)).await?;
            }
            UploadEvent::Tick => self.round(None).await?,
            UploadEvent::Round { after } => self.round(Some(&after)).await?,
        }
        Ok(None)
    }

    /// Counts what landed, project by project. If a count fails, all messages of its project fail.
    async fn count_all(&self, outcomes: &mut [Outcome]) {
        let mut groups: HashMap<(OrganizationUid, ProjectUid), Group> = HashMap::new();
        for (position, outcome) in outcomes.iter().enumerate() {
            let Ok(Some(landed)) = outcome else { continue };
            let group = groups.entry((landed.organization, landed.project)).or_default();
            group.added.extend(landed.added);
            group.waiting += u64::from(landed.waits);
            group.messages.push(position);
        }
        for ((organization, project), group) in groups {
            if let Err(error) = self.count(organization, project, &group).await {
                let cause = error.chain();
                for position in group.messages {
                    outcomes[position] = Err(Error::StoreUnavailable(cause.clone().into()));
                }
            }
        }
    }

    /// Counts what landed in a project, and watches its uploads if the project labels them.
    async fn count(&self, organization: OrganizationUid, project: ProjectUid, group: &Group) -> Result<(), Error> {
        if group.added.is_empty() && group.waiting == 0 {
            return Ok(());
        }
        let now = self.clock.now();
        let counted = self.store.count_uploads(organization, project, &group.added, group.waiting, now).await?;
        let Some(setting) = counted.project.auto_label_on_upload.as_ref().filter(|_| group.waiting > 0) else {
            return Ok(());
        };
        let quiet = setting.quiet();
        if !counted.are_watched {
            // Uploads that were counted while the project was not watched do not wait.
            let settled = counted.counted.saturating_sub(group.waiting);
            if self.store.watch_uploads(organization, project, settled, now, now + quiet).await? {
                self.queue.request_check(organization, project, quiet, 0).await?; // if this is lost, the schedule checks
            }
        }
        let before = counted.waiting().saturating_sub(group.waiting);
        if before < limits::UPLOADS_WAITING && counted.waiting() >= limits::UPLOADS_WAITING {
            self.check_uploads(organization, project, None).await?;
        }
        Ok(())
    }

    /// Sends a message that can never be read, or has failed for the last time, to the dead-letter queue with the reason.
    async fn is_dead_letter(&self, message: &SqsMessage, failure: &Error) -> bool {
        let is_last = message.attributes.approximate_receive_count.parse().is_ok_and(|count: u32| count >= RECEPTIONS);
        let is_dead = is_last || matches!(failure, Error::Internal(_));
        error!(message.id = message.message_id, causes = failure.chain(), buried = is_dead, "record failed");
        is_dead && self.queue.send_to_dead_letters(&message.body, &failure.chain()).await.is_ok()
    }
}

impl<S: Uploads, O, E, Q, C> Ingester<S, O, E, Q, C> {
    /// The organization of a project, from the process's memory or the table.
    async fn owner(&self, project: ProjectUid) -> Result<Option<OrganizationUid>, Error> {
        let known = self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(&project).copied();
        if known.is_some() {
            return Ok(known);
        }
        let owner = self.store.owner(project).await?;
        if let Some(owner) = owner {
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            if owners.len() >= OWNERS {
                owners.clear();
            }
            owners.insert(project, owner);
        }
        Ok(owner)
    }
}

#[cfg(test)]
mod tests;

//! Ingest: objects that appear in S3 become items by themselves, and items become drafts if their project wants it so
//! (docs/decisions/0021).
//!
//! S3 tells of an object at least once, late, and in no order. Every write here is conditional on what was known before, so
//! that a record may come again at any time, and whoever dies leaves nothing but a record that does.

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
use shared::domain::prediction::model_type::ModelType;
use shared::ports::{
    Clock, Contents, Executions, Files, Items, Jobs, Listings, Projects, Providers, UploadQueue, UploadWatch, Uploads,
    WaitingUploads,
};
use shared::queue::{SqsBatchResponse, SqsEvent, SqsMessage};
use tokio::time::Instant;
use tracing::{error, info};

use message::Message;
use object::Landed;

/// SqsEvent that are worked on at once.
const AT_ONCE: usize = 16;
/// A batch that has taken this long begins no other record: half of what the function has (infra, `INGEST`). What is in hand
/// then has time to end and to be counted, and the rest comes again.
const BEGINNING: Duration = Duration::from_secs(30);
/// How often the queue hands out a record (infra, `WorkQueue`): the last time it is buried with the reason.
const RECEPTIONS: u32 = 5;
/// Projects whose owners a process remembers: they never change.
const OWNERS: usize = 10_000;

/// What the handler works with.
pub struct App<S, O, E, Q, C> {
    /// The table.
    pub store: S,
    /// The bucket, and those that tenants name.
    pub files: O,
    /// The state machine.
    pub executions: E,
    /// The queue of uploads.
    pub queue: Q,
    /// The time.
    pub clock: C,
    /// Name of the system's own bucket.
    pub bucket: String,
    /// What of S3 each organization may name.
    pub buckets: SourceBuckets,
    /// The deployment's own endpoints: the last choice of a job without a provider.
    pub endpoints: Vec<ModelType>,
    /// How long an upload waits for a pause at most.
    pub longest_wait: Duration,
    /// Whose projects are, as far as somebody has asked.
    pub owners: Mutex<HashMap<ProjectUid, OrganizationUid>>,
}

/// What of a batch landed in one project.
#[derive(Default)]
struct Group {
    added: Vec<AssetType>,
    waiting: u64,
    /// Places of the records in the batch.
    records: Vec<usize>,
}

impl<S, O, E, Q, C> App<S, O, E, Q, C>
where
    S: Projects + Items + Jobs + Providers + Uploads + WaitingUploads + UploadWatch,
    O: Files + Listings + Contents,
    E: Executions,
    Q: UploadQueue,
    C: Clock,
{
    /// Works through a batch of the queue. Each record fails by itself; what landed in one project is counted by one call.
    pub async fn ingest(&self, records: SqsEvent) -> SqsBatchResponse {
        let records = records.records;
        let end = Instant::now() + BEGINNING;
        let mut results: Vec<Result<Option<Landed>, Error>> =
            stream::iter(&records).map(|record| self.record_until(end, record)).buffered(AT_ONCE).collect().await;
        let mut groups: HashMap<(OrganizationUid, ProjectUid), Group> = HashMap::new();
        for (position, landed) in results.iter().enumerate() {
            let Ok(Some(landed)) = landed else { continue };
            let group = groups.entry((landed.organization, landed.project)).or_default();
            group.added.extend(landed.added);
            group.waiting += u64::from(landed.waits);
            group.records.push(position);
        }
        for ((organization, project), group) in groups {
            if let Err(error) = self.count(organization, project, &group).await {
                let cause = error.chain();
                for position in group.records {
                    results[position] = Err(Error::StoreUnavailable(cause.clone().into()));
                }
            }
        }
        let mut failures = SqsBatchResponse::default();
        for (record, result) in records.iter().zip(results) {
            if let Err(error) = result
                && !self.is_dead_letter(record, &error).await
            {
                failures.add(record);
            }
        }
        info!(records = records.len(), failures = failures.len(), "records handled");
        failures
    }

    async fn record_until(&self, end: Instant, record: &SqsMessage) -> Result<Option<Landed>, Error> {
        if Instant::now() >= end {
            return Err(Error::StoreUnavailable("its batch has taken too long".into()));
        }
        self.record(record).await
    }

    async fn record(&self, record: &SqsMessage) -> Result<Option<Landed>, Error> {
        match Message::read(&record.body)? {
            Message::Created(object) => return self.created(&object).await,
            Message::Deleted(object) => return self.deleted(&object).await,
            Message::ExecutionEnded(job) => self.job_ended(job).await?,
            Message::Look(organization, project, hops) => self.look(organization, project, Some(hops)).await?,
            Message::Tick => self.round(None).await?,
            Message::Round { after } => self.round(Some(&after)).await?,
        }
        Ok(None)
    }

    /// Counts what landed in a project, and has it looked after if the project labels uploads.
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
            // What came while nobody looked after uploads is none of those that wait.
            let settled = counted.counted.saturating_sub(group.waiting);
            if self.store.watch_uploads(organization, project, settled, now, now + quiet).await? {
                self.queue.request_check(organization, project, quiet, 0).await?; // if this is lost, the schedule comes
            }
        }
        let before = counted.waiting().saturating_sub(group.waiting);
        if before < limits::UPLOADS_WAITING && counted.waiting() >= limits::UPLOADS_WAITING {
            self.look(organization, project, None).await?;
        }
        Ok(())
    }

    /// Puts a record that nothing can be made of, or that has failed for the last time, where people look, with the reason.
    async fn is_dead_letter(&self, record: &SqsMessage, failure: &Error) -> bool {
        let is_last = record.attributes.approximate_receive_count.parse().is_ok_and(|count: u32| count >= RECEPTIONS);
        let will_never_do = matches!(failure, Error::Internal(_));
        let buried = will_never_do || is_last;
        error!(message.id = record.message_id, causes = failure.chain(), buried, "record failed");
        buried && self.queue.send_to_dead_letters(&record.body, &failure.chain()).await.is_ok()
    }
}

impl<S: Uploads, O, E, Q, C> App<S, O, E, Q, C> {
    /// Whose a project is.
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

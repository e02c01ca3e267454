//! The shape of every row, separate from the domain's types and from the wire.
//!
//! Times are ISO strings in rows that people read, microseconds where bytes count, and `expires_at` is in seconds
//! because DynamoDB's TTL wants it so.

use std::num::NonZeroU32;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_dynamo::Item as DynamoItem;

use super::calls::Row;
use super::keys::{self, Key};
use crate::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid, SweepUid};
use crate::domain::item::file_version::FileVersion;
use crate::domain::item::origin::KeptDraft;
use crate::domain::item::result::{LabelResult, Lineage, ResultSource, ResultStatus};
use crate::domain::item::review_queue::{Marks, Queued, REMEMBERED};
use crate::domain::item::{Asset, AssetType, Item, SizeOrigin, Source, is_zero};
use crate::domain::job::outcome::{ChunkId, Receipt};
use crate::domain::job::plan::Plan;
use crate::domain::job::summary::Summary;
use crate::domain::job::{Counters, Job, JobSpec, JobState};
use crate::domain::job_status::{JobEvent, JobStatus};
use crate::domain::packed::{json_bytes, pack, unpack};
use crate::domain::prediction::Prediction;
use crate::domain::prediction::draft::BlobRef;
use crate::domain::prediction::size::Size;
use crate::domain::upload::RejectedUpload;
use crate::domain::webhook::{Delivery, DeliveryStatus};
use crate::domain::{Error, Timestamp, limits};

/// A domain value under its key.
#[derive(Serialize)]
pub(super) struct Keyed<'a, T> {
    pk: String,
    sk: String,
    #[serde(flatten)]
    value: &'a T,
}

impl<'a, T: Serialize> Keyed<'a, T> {
    pub(super) fn new(key: Key, value: &'a T) -> Self {
        Self { pk: key.pk, sk: key.sk, value }
    }
}

/// What the sparse index carries of an item, so that Plan reads nothing else. JSON in one attribute.
#[derive(Serialize, Deserialize)]
struct PackedAsset {
    #[serde(rename = "type")]
    kind: AssetType,
    #[serde(flatten)]
    size: Option<Size>,
    #[serde(flatten)]
    origin: SizeOrigin,
    #[serde(flatten)]
    source: Source,
    #[serde(default, skip_serializing_if = "is_zero")]
    changes: u32,
}

pub(super) fn packed(asset: &Asset) -> Result<String, Error> {
    let Asset { kind, size, origin, source, changes, .. } = asset.clone();
    let packed = PackedAsset { kind, size, origin, source, changes };
    serde_json::to_string(&packed).map_err(Error::internal)
}

pub(super) fn asset(uid: ItemUid, packed: &str) -> Result<Asset, Error> {
    let PackedAsset { kind, size, origin, source, changes } = serde_json::from_str(packed).map_err(Error::internal)?;
    Ok(Asset { uid, kind, size, origin, source, changes })
}

/// An item and its result. Every byte of it is paid for with each draft, so it says nothing twice.
#[derive(Serialize, Deserialize)]
pub(super) struct ItemRow {
    pk: String,
    sk: String,
    organization: OrganizationUid,
    project: ProjectUid,
    key: String,
    pub(super) item: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<FileVersion>,
    created_at_us: i64,
    listing_pk: String,
    listing_sk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlabeled_pk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlabeled_sk: Option<String>,
    /// Results that the item has had.
    #[serde(default)]
    generation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultRow>,
    /// What the review queue notes with the draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marks: Option<Marks>,
}

/// A result: the attributes of conditions and filters, and the rest packed.
#[derive(Serialize, Deserialize)]
pub(super) struct ResultRow {
    status: ResultStatus,
    /// Absent from a draft: it has not changed yet, and every byte of it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobUid>,
    packed: Blob,
    /// Whether it may be stored: small enough for a transaction of a whole chunk, and, unpacked, for the memory of a reader.
    #[serde(skip)]
    pub(super) fits: bool,
}

/// DynamoDB's binary type: serde alone writes a `Vec<u8>` as a list of numbers.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Blob(#[serde(with = "serde_bytes")] Vec<u8>);

impl Blob {
    /// The packed value, and its bytes before that.
    fn pack(value: &impl Serialize) -> Result<(Self, u64), Error> {
        pack(value).map(|(packed, unpacked_bytes)| (Self(packed), unpacked_bytes))
    }

    fn unpack<T: DeserializeOwned>(&self, most: u64) -> Result<(T, usize), Error> {
        unpack(&self.0, most)
    }
}

/// Bytes of a result when it is not packed: a page has as many as its bytes allow.
const UNPACKED_BYTES: u64 = 2 * limits::DRAFT_BYTES as u64;
/// What a review adds to what fitted: a name, however it is written.
const REVIEW_BYTES: u64 = 4 * 1024;
/// What a correction adds: the draft, and the origins of [`limits::PREDICTIONS`] annotations in any order.
const KEPT_DRAFT_BYTES: u64 = UNPACKED_BYTES + 128 * 1024;
/// Bytes of the shortest annotation, as JSON: a classification.
const ANNOTATION_BYTES: usize = 54;
/// Bytes that an answer has of the origin of one annotation, and of its position in the draft.
const ORIGIN_BYTES: usize = 20;

/// The packed part of a result.
#[derive(Serialize, Deserialize)]
struct PackedResult {
    source: ResultSource,
    created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reviewed_by: Option<String>,
    lineage: Option<Lineage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Prediction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elsewhere: Option<BlobRef>,
    /// Behind the annotations: what they have in common packs to little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draft: Option<KeptDraft>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sweep: Option<SweepUid>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl ResultRow {
    /// # Errors
    /// `Internal` only.
    pub(super) fn of(result: LabelResult) -> Result<Self, Error> {
        let job = result.lineage.as_ref().map(|lineage| lineage.job);
        let most_bytes = UNPACKED_BYTES + result.draft.as_ref().map_or(0, |_| KEPT_DRAFT_BYTES);
        let packed = PackedResult {
            source: result.source,
            created_by: result.created_by,
            reviewed_by: result.reviewed_by,
            lineage: result.lineage,
            annotations: if result.elsewhere.is_some() { Vec::new() } else { result.annotations },
            elsewhere: result.elsewhere,
            draft: result.draft.map(without_fetched),
            sweep: result.sweep,
            created_at: result.created_at,
            updated_at: result.updated_at,
        };
        let (packed, unpacked_bytes) = Blob::pack(&packed)?;
        let revision = NonZeroU32::new(result.revision);
        let fits = packed.0.len() <= limits::DRAFT_BYTES && unpacked_bytes <= most_bytes;
        Ok(Self { fits, status: result.status, revision, job, packed })
    }

    /// The result, and its bytes in an answer, in the row or in a blob.
    fn read(self, generation: u32) -> Result<(LabelResult, usize), Error> {
        let (packed, bytes): (PackedResult, usize) =
            self.packed.unpack(UNPACKED_BYTES + KEPT_DRAFT_BYTES + REVIEW_BYTES)?;
        let result = LabelResult {
            generation,
            revision: self.revision.map_or(0, NonZeroU32::get),
            status: self.status,
            source: packed.source,
            created_by: packed.created_by,
            reviewed_by: packed.reviewed_by,
            lineage: packed.lineage,
            annotations: packed.annotations,
            elsewhere: packed.elsewhere,
            draft: packed.draft,
            sweep: packed.sweep,
            file_changes: None,
            created_at: packed.created_at,
            updated_at: packed.updated_at,
        };
        let elsewhere = result.elsewhere.as_ref().map_or(0, |blob| blob.json_bytes);
        let bytes = bytes.saturating_add(usize::try_from(elsewhere).unwrap_or(usize::MAX));
        let is_judged = (result.status, result.source) != (ResultStatus::Draft, ResultSource::AutoLabel);
        let origins = if is_judged { limits::PREDICTIONS.min(bytes / ANNOTATION_BYTES) * ORIGIN_BYTES } else { 0 };
        Ok((result, bytes.saturating_add(origins)))
    }
}

/// A draft as a row has it: what was fetched from its object stays there.
fn without_fetched(draft: KeptDraft) -> KeptDraft {
    let annotations = if draft.elsewhere.is_some() { Vec::new() } else { draft.annotations };
    KeptDraft { annotations, ..draft }
}

impl ItemRow {
    /// The row of a new item.
    pub(super) fn new(item: &Item) -> Result<Self, Error> {
        let uid = item.asset.uid;
        let Key { pk, sk } = Key::item(uid);
        let (unlabeled_pk, mut unlabeled_sk) = unlabeled_position(item);
        if item.file.is_some() {
            unlabeled_sk = keys::uploaded(item.created_at, uid);
        }
        Ok(Self {
            pk,
            sk,
            organization: item.organization,
            project: item.project,
            key: item.key.clone(),
            item: packed(&item.asset)?,
            file: item.file.clone(),
            created_at_us: item.created_at.as_microsecond(),
            listing_pk: keys::items_of(item.organization, None).pk,
            listing_sk: keys::project_position(item.project, item.created_at, uid),
            unlabeled_pk: Some(unlabeled_pk),
            unlabeled_sk: Some(unlabeled_sk),
            generation: item.generation,
            result: None,
            marks: None,
        })
    }

    /// The item, as the review queue knows it.
    pub(super) fn read_queued(mut self) -> Result<Queued, Error> {
        let marks = self.marks.take();
        self.read_sized().map(|(item, json_bytes)| Queued { item, marks, json_bytes })
    }

    pub(super) fn read(self) -> Result<Item, Error> {
        self.read_sized().map(|(item, _)| item)
    }

    /// The item, and the bytes of its result in an answer.
    pub(super) fn read_sized(self) -> Result<(Item, usize), Error> {
        let (result, bytes) = self.result.map(|row| row.read(self.generation)).transpose()?.unzip();
        let item = Item {
            organization: self.organization,
            project: self.project,
            asset: asset(ItemUid::of(self.project, &self.key), &self.item)?,
            key: self.key,
            file: self.file,
            created_at: Timestamp::from_microsecond(self.created_at_us).map_err(Error::internal)?,
            generation: self.generation,
            result,
        };
        Ok((item, bytes.unwrap_or_default()))
    }
}

/// The position of an item without a result in the sparse index.
pub(super) fn unlabeled_position(item: &Item) -> (String, String) {
    let uid = item.asset.uid;
    (keys::unlabeled_of(item.project, uid.shard(keys::UNLABELED_SHARDS)), keys::in_time(item.created_at, uid))
}

/// A rejected result.
#[derive(Serialize, Deserialize)]
pub(super) struct RejectedRow {
    pub(super) pk: String,
    sk: String,
    result: ResultRow,
    /// How often the item's file had changed when the result was rejected.
    #[serde(default, skip_serializing_if = "is_zero")]
    changes: u32,
}

impl RejectedRow {
    pub(super) fn new(item: &Asset, generation: u32, result: ResultRow) -> Self {
        let Key { pk, sk } = Key::rejected(item.uid, generation);
        Self { pk, sk, result, changes: item.changes }
    }

    pub(super) fn read(self, generation: u32) -> Result<LabelResult, Error> {
        self.read_sized(generation).map(|(result, _)| result)
    }

    /// The result, and its bytes in an answer.
    pub(super) fn read_sized(self, generation: u32) -> Result<(LabelResult, usize), Error> {
        let file_changes = Some(self.changes);
        self.result.read(generation).map(|(result, bytes)| (LabelResult { file_changes, ..result }, bytes))
    }
}

/// The item that the uids of its results name by their tail alone: see [`crate::domain::id::ResultUid::of`].
#[derive(Serialize, Deserialize)]
pub(super) struct ItemOfTailRow {
    pk: String,
    sk: String,
    pub(super) item_uid: ItemUid,
}

impl ItemOfTailRow {
    pub(super) fn new(item: ItemUid) -> Self {
        let Key { pk, sk } = Key::item_of_tail(item.tail());
        Self { pk, sk, item_uid: item }
    }
}

/// Bytes of a job as JSON, beside its specification and its summary: uids, times, counters, a sentence.
const STATE_BYTES: usize = 2 * 1024;

/// Bytes of a job's specification when it is not packed: its labels and the project's, in JSON, at their longest.
const SPEC_BYTES: u64 = 1024 * 1024;

/// A job: status, counters, and what it is to do, which never changes and so is packed. It is one row, so that a page of a
/// hundred is one read; and small, since every chunk that is committed pays for all of it.
#[derive(Serialize, Deserialize)]
pub(super) struct JobRow {
    pk: String,
    sk: String,
    spec: Blob,
    status: JobStatus,
    total: u32,
    successful: u32,
    failed: u32,
    skipped: u32,
    progressed_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listing_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listing_sk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active_sk: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

/// Seconds that the row of a withdrawn job is kept: far longer than any call is under way.
const WITHDRAWN_SECONDS: i64 = 24 * 3_600;

impl JobRow {
    pub(super) fn new(spec: &JobSpec, state: &JobState) -> Result<Self, Error> {
        let Key { pk, sk } = Key::job(spec.uid);
        let (packed, _) = Blob::pack(spec)?;
        Ok(Self {
            pk,
            sk,
            spec: packed,
            status: state.status,
            total: state.counters.total,
            successful: state.counters.successful,
            failed: state.counters.failed,
            skipped: state.counters.skipped,
            progressed_at: state.progressed_at,
            started_at: state.started_at,
            completed_at: state.completed_at,
            error_message: state.error_message.clone(),
            summary: state.summary.clone(),
            refusal: state.refusal.clone(),
            listing_pk: Some(keys::jobs_of_project(spec.project).pk),
            listing_sk: Some(spec.uid.to_string()),
            active_pk: Some(keys::ACTIVE_JOBS.to_owned()),
            active_sk: Some(spec.uid.to_string()),
            expires_at: None,
        })
    }

    /// The row of a job that must not be created any more: cancelled, in no list, removed after a day.
    pub(super) fn withdrawn(spec: &JobSpec, state: &JobState, now: Timestamp) -> Result<Self, Error> {
        Ok(Self {
            status: state.status.after(JobEvent::Cancel)?,
            progressed_at: now,
            completed_at: Some(now),
            listing_pk: None,
            listing_sk: None,
            active_pk: None,
            active_sk: None,
            expires_at: Some(now.as_second() + WITHDRAWN_SECONDS),
            ..Self::new(spec, state)?
        })
    }

    pub(super) fn read(self) -> Result<Job, Error> {
        self.read_sized().map(|(job, _)| job)
    }

    /// The job, and about the bytes of it as JSON: its specification and its summary, which may be large.
    pub(super) fn read_sized(self) -> Result<(Job, usize), Error> {
        let summary_bytes = self.summary.as_ref().map(json_bytes).transpose()?;
        let state = JobState {
            status: self.status,
            counters: Counters {
                total: self.total,
                successful: self.successful,
                failed: self.failed,
                skipped: self.skipped,
            },
            started_at: self.started_at,
            completed_at: self.completed_at,
            progressed_at: self.progressed_at,
            error_message: self.error_message,
            summary: self.summary,
            refusal: self.refusal,
        };
        let (spec, bytes) = self.spec.unpack(SPEC_BYTES)?;
        Ok((Job { spec, state }, bytes + summary_bytes.unwrap_or_default() + STATE_BYTES))
    }
}

/// The job's second position in the index `listing`, which has one entry a row: by organization.
#[derive(Serialize)]
pub(super) struct JobListingRow {
    pk: String,
    sk: String,
    listing_pk: String,
    listing_sk: String,
}

impl JobListingRow {
    pub(super) fn new(spec: &JobSpec) -> Self {
        let Key { pk, sk } = Key::job_listing(spec.uid);
        let listing_pk = keys::jobs_of_organization(spec.organization).pk;
        Self { pk, sk, listing_pk, listing_sk: spec.uid.to_string() }
    }
}

/// The plan of a job.
#[derive(Serialize, Deserialize)]
pub(super) struct PlanRow {
    pk: String,
    sk: String,
    /// JSON: read and written as a whole.
    plan: String,
}

impl PlanRow {
    pub(super) fn new(plan: &Plan) -> Result<Self, Error> {
        let Key { pk, sk } = Key::job_plan(plan.job);
        Ok(Self { pk, sk, plan: serde_json::to_string(plan).map_err(Error::internal)? })
    }

    pub(super) fn read(self) -> Result<Plan, Error> {
        serde_json::from_str(&self.plan).map_err(Error::internal)
    }
}

/// Bytes of a receipt when it is not packed: a sentence about each item, and the labels, at their longest.
const RECEIPT_BYTES: u64 = 1024 * 1024;

/// The claims of a person in a project: the uids of the items, 16 bytes each. Gone when the last lease is over.
#[derive(Serialize, Deserialize)]
pub(super) struct ClaimsRow {
    pk: String,
    sk: String,
    items: Blob,
    /// Seconds.
    expires_at: i64,
}

impl ClaimsRow {
    pub(super) fn new(Key { pk, sk }: Key, items: &[ItemUid], now: Timestamp) -> Self {
        let items = Blob(items.iter().flat_map(|item| item.bytes()).collect());
        Self { pk, sk, items, expires_at: (now + REMEMBERED).as_second() }
    }

    pub(super) fn items(&self) -> Vec<ItemUid> {
        self.items.0.as_chunks().0.iter().map(|bytes| ItemUid::of_bytes(*bytes)).collect()
    }
}

/// A draft that was reopened, in the review queue.
#[derive(Serialize, Deserialize)]
pub(super) struct ReopenedRow {
    pk: String,
    sk: String,
    listing_pk: String,
    listing_sk: String,
    pub(super) item_uid: ItemUid,
}

impl ReopenedRow {
    pub(super) fn new(project: ProjectUid, item: ItemUid, at: Timestamp) -> Self {
        let Key { pk, sk } = Key::reopened(item);
        let (listing_pk, listing_sk) = (keys::review_queue_of(project).pk, keys::reopened_position(item, at));
        Self { pk, sk, listing_pk, listing_sk, item_uid: item }
    }
}

/// A receipt. It is packed, since nothing in it is ever a condition and failed items say the same a hundred times over; but
/// for the uids of its items, 16 bytes each.
#[derive(Serialize, Deserialize)]
pub(super) struct ReceiptRow {
    pk: String,
    pub(super) sk: String,
    receipt: Blob,
    items: Blob,
    /// The review queue, while items of it may have drafts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listing_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listing_sk: Option<String>,
}

impl ReceiptRow {
    pub(super) fn new(spec: &JobSpec, chunk: ChunkId, receipt: &Receipt) -> Result<Self, Error> {
        let Key { pk, sk } = Key::receipt(chunk);
        let items = Blob(receipt.items.iter().flat_map(|item| item.bytes()).collect());
        let waits = !spec.dry_run && !receipt.drafted().is_empty();
        Ok(Self {
            pk,
            sk,
            receipt: Blob::pack(receipt)?.0,
            items,
            listing_pk: waits.then(|| keys::review_queue_of(spec.project).pk),
            listing_sk: waits.then(|| keys::queue_position(chunk)),
        })
    }

    pub(super) fn read(self) -> Result<Receipt, Error> {
        let items = self.items.0.as_chunks().0.iter().map(|bytes| ItemUid::of_bytes(*bytes)).collect();
        Ok(Receipt { items, ..self.receipt.unpack(RECEIPT_BYTES)?.0 })
    }
}

/// A delivery, listed by organization, gone after 30 days.
#[derive(Serialize)]
pub(super) struct DeliveryRow<'a> {
    pk: String,
    sk: String,
    listing_pk: String,
    listing_sk: String,
    /// Seconds.
    expires_at: i64,
    /// The outbox, while the delivery is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_pk: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_sk: Option<String>,
    #[serde(flatten)]
    delivery: &'a Delivery,
}

impl<'a> DeliveryRow<'a> {
    pub(super) fn new(delivery: &'a Delivery) -> Self {
        let Key { pk, sk } = Key::delivery(delivery.uid);
        let position = keys::in_time(delivery.created_at, delivery.uid);
        let waits = delivery.status == DeliveryStatus::Pending;
        Self {
            pk,
            sk,
            active_pk: waits.then_some(keys::OUTBOX),
            active_sk: waits.then(|| position.clone()),
            listing_pk: keys::deliveries_of(delivery.organization).pk,
            listing_sk: position,
            expires_at: delivery.created_at.as_second() + limits::DELIVERY_SECONDS,
            delivery,
        }
    }
}

/// The organization of a project.
#[derive(Serialize, Deserialize)]
pub(super) struct OwnerRow {
    pk: String,
    sk: String,
    pub(super) organization: OrganizationUid,
}

impl OwnerRow {
    pub(super) fn new(project: ProjectUid, organization: OrganizationUid) -> Self {
        let Key { pk, sk } = Key::owner(project);
        Self { pk, sk, organization }
    }
}

/// The attributes of a project's row about its uploads, beside the project.
#[derive(Deserialize)]
pub(super) struct UploadBacklogRow {
    #[serde(default)]
    pub(super) uploads_counted: u64,
    #[serde(default)]
    pub(super) uploads_settled: u64,
    #[serde(default)]
    pub(super) uploads_last_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) uploads_taken_until: Option<String>,
    #[serde(default)]
    uploads_waiting_since: Option<Timestamp>,
    #[serde(default)]
    pub(super) uploads_job: Option<JobUid>,
    #[serde(default)]
    pub(super) active_pk: Option<String>,
    #[serde(default)]
    active_sk: Option<String>,
}

impl UploadBacklogRow {
    /// A row of an earlier version has it in its position among the watched projects.
    pub(super) fn waiting_since(&self) -> Option<Timestamp> {
        self.uploads_waiting_since.or_else(|| keys::time_of(self.active_sk.as_deref()?))
    }
}

/// The note of a rejected upload, listed by project, gone after 30 days.
#[derive(Serialize)]
pub(super) struct RejectedUploadRow<'a> {
    pk: String,
    sk: String,
    listing_pk: String,
    listing_sk: String,
    /// Seconds.
    expires_at: i64,
    #[serde(flatten)]
    upload: &'a RejectedUpload,
}

impl<'a> RejectedUploadRow<'a> {
    pub(super) fn new(upload: &'a RejectedUpload) -> Self {
        let Key { pk, sk } = Key::rejected_upload(upload.uid());
        let list = keys::rejected_uploads_of(upload.organization, upload.project);
        Self {
            pk,
            sk,
            listing_pk: list.pk,
            listing_sk: keys::project_position(upload.project, upload.uploaded_at, upload.uid()),
            expires_at: upload.uploaded_at.as_second() + limits::REJECTED_UPLOAD_SECONDS,
            upload,
        }
    }
}

/// A row as an SDK item.
pub(super) fn item(row: &impl Serialize) -> Result<Row, Error> {
    let item: DynamoItem = serde_dynamo::to_item(row).map_err(Error::internal)?;
    Ok(item.into())
}

//! The commit of a chunk: drafts, receipt and counters in one transaction (docs/decisions/0002).
//!
//! A crash leaves all of it or none, so a retry needs no repair: it finds the receipt, or it finds nothing. A transaction
//! costs twice the write units, and needs one call a chunk.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::{CancellationReason, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use futures_util::{Stream, StreamExt, TryStreamExt};

use super::Store;
use super::calls::{Row, Transacted, attribute, classify, number, read, refused, text};
use super::jobs::{put, update};
use super::keys::{self, Key, UNLABELED};
use super::rows::{ReceiptRow, ResultRow, item, packed};
use super::uploads::of_same_file;
use crate::domain::id::{ItemUid, JobUid};
use crate::domain::item::result::{LabelResult, Lineage, ResultSource, ResultStatus};
use crate::domain::job::JobSpec;
use crate::domain::job::outcome::{ChunkId, ItemCommit, Outcome, Receipt, SkipReason};
use crate::domain::job_status::JobStatus;
use crate::domain::prediction::draft::Draft;
use crate::domain::reply::judge::too_large;
use crate::domain::{Error, Timestamp};
use crate::ports::{Chunk, Commit, Items, Ledger};

/// The receipt and the counters come first in the transaction, then the drafts.
const RECEIPT: usize = 0;
const STATE: usize = 1;
const DRAFTS: usize = 2;

/// How long the commit of a chunk is repeated while the table is busy. A worker that gave it up would send all its items to the
/// model again (decision 0020).
const PATIENCE: Duration = Duration::from_secs(120);

impl Ledger for Store {
    async fn committed(&self, job: JobUid, batch: u32) -> Result<Vec<u32>, Error> {
        let prefix = keys::receipts_of_batch(batch);
        let rows: Vec<Row> = self.query_prefix(keys::job_pk(job), &prefix, Some("sk")).try_collect().await?;
        let chunk = |row: &Row| row.get("sk")?.as_s().ok()?.strip_prefix(&prefix)?.parse().ok();
        Ok(rows.iter().filter_map(chunk).collect())
    }

    async fn commit(&self, spec: &JobSpec, bot: &str, mut chunk: Chunk, now: Timestamp) -> Result<Commit, Error> {
        let mut drafts = draft_rows(spec, bot, &mut chunk.items, now)?;
        loop {
            // Ends: every turn but the last takes at least one draft out.
            let receipt = Receipt::of(&chunk.items);
            let mut actions = vec![self.receipt(spec, chunk.id, &receipt)?, self.count(spec.uid, &receipt, now)?];
            for (position, row) in &drafts {
                if let Some(commit) = &chunk.items[*position] {
                    actions.push(self.draft(commit, row)?);
                }
            }
            let reasons = match self.transact_within(PATIENCE, actions).await? {
                Transacted::Done => return Ok(Commit::Done(receipt)),
                Transacted::Refused(reasons) => reasons,
            };
            if refused(&reasons, RECEIPT) {
                return Ok(Commit::Already);
            }
            if refused(&reasons, STATE) {
                return Ok(Commit::JobOver);
            }
            let before = drafts.len();
            drafts = without_refused(drafts, &reasons, &mut chunk.items);
            if drafts.len() == before {
                return Err(Error::internal("a chunk refused for no reason that we know"));
            }
        }
    }

    fn receipts(&self, job: JobUid, batch: Option<u32>) -> impl Stream<Item = Result<Receipt, Error>> + Send {
        let prefix = batch.map_or_else(|| keys::RECEIPT.to_owned(), keys::receipts_of_batch);
        let rows = self.query_prefix(keys::job_pk(job), &prefix, None);
        rows.map(|row| read::<ReceiptRow>(row?)?.read())
    }

    async fn item_keys(&self, items: &[ItemUid]) -> Result<HashMap<ItemUid, String>, Error> {
        let items = Items::items(self, items).await?;
        Ok(items.into_iter().map(|item| (item.asset.uid, item.key)).collect())
    }

    async fn status(&self, job: JobUid) -> Result<JobStatus, Error> {
        let request =
            self.client.get_item().table_name(&self.table).set_key(Some(Key::job(job).into())).consistent_read(true);
        let answer = request
            .projection_expression("#status")
            .expression_attribute_names("#status", "status")
            .send()
            .await
            .map_err(classify)?;
        let status =
            answer.item.as_ref().and_then(|row| row.get("status")?.as_s().ok()).ok_or_else(|| job.missing())?;
        JobStatus::named(status).ok_or_else(|| Error::internal("a job in no known status"))
    }
}

impl Store {
    fn receipt(&self, spec: &JobSpec, chunk: ChunkId, receipt: &Receipt) -> Result<TransactWriteItem, Error> {
        let row = item(&ReceiptRow::new(spec, chunk, receipt)?)?;
        put(self.put(row).condition_expression("attribute_not_exists(pk)")) // a chunk counts once (I1, I2)
    }

    fn count(&self, job: JobUid, receipt: &Receipt, now: Timestamp) -> Result<TransactWriteItem, Error> {
        let tally = receipt.tally();
        update(
            Update::builder()
                .table_name(&self.table)
                .set_key(Some(Key::job(job).into()))
                .update_expression(
                    "SET progressed_at = :now ADD successful :successful, failed :failed, skipped :skipped",
                )
                // What was in flight when the job was cancelled still counts. A job that has ended never changes (I5, I6),
                // and a late commit does not put off an end that is being written.
                .condition_expression("#status IN (:running, :cancelled) AND attribute_not_exists(closing)")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":running", attribute(&JobStatus::Running)?)
                .expression_attribute_values(":cancelled", attribute(&JobStatus::Cancelled)?)
                .expression_attribute_values(":successful", number(tally.successful))
                .expression_attribute_values(":failed", number(tally.failed))
                .expression_attribute_values(":skipped", number(tally.skipped))
                .expression_attribute_values(":now", attribute(&now)?),
        )
    }

    /// The draft of an item, and the item's size if it was read from its file.
    fn draft(&self, commit: &ItemCommit, result: &ResultRow) -> Result<TransactWriteItem, Error> {
        let mut set = "#result = :result, generation = if_not_exists(generation, :zero) + :one".to_owned();
        let (draft, same_file) = of_same_file(commit.changes, Update::builder());
        let mut draft = draft
            .table_name(&self.table)
            .set_key(Some(Key::item(commit.item).into()))
            // Never over a result (I3), and never of bytes that are not there any more.
            .condition_expression(format!("attribute_exists(pk) AND attribute_not_exists(#result) AND {same_file}"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_names("#result", "result")
            .expression_attribute_values(":result", attribute(result)?)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1));
        if let Some(asset) = &commit.measured {
            set += ", #item = :item";
            draft = draft
                .expression_attribute_names("#item", "item")
                .expression_attribute_values(":item", text(packed(asset)?));
        }
        update(draft.update_expression(format!("SET {set} REMOVE {}, {}", UNLABELED.pk, UNLABELED.sk)))
    }
}

/// The rows of the drafts, each with its position in the chunk. A dry run has none (I8). A draft that is too large fails its
/// item here, before it could fail the chunk.
fn draft_rows(
    spec: &JobSpec,
    bot: &str,
    items: &mut [Option<ItemCommit>],
    now: Timestamp,
) -> Result<Vec<(usize, ResultRow)>, Error> {
    let mut rows = Vec::new();
    let mut drafted = HashSet::new();
    for (position, commit) in items.iter_mut().enumerate() {
        let Some(ItemCommit { item, outcome, .. }) = commit else { continue };
        let Outcome::Successful(draft) = outcome else { continue };
        let row = ResultRow::of(result_of(spec, bot, draft, now))?;
        if !row.fits {
            *outcome = too_large();
        } else if !spec.dry_run && drafted.insert(*item) {
            rows.push((position, row));
        } else if !spec.dry_run {
            // A plan of before a job took each item once. DynamoDB refuses a transaction with both.
            *outcome = Outcome::Skipped(SkipReason::AlreadyLabeled);
        }
    }
    Ok(rows)
}

/// Skips the items whose drafts were refused, and returns the other drafts.
fn without_refused(
    drafts: Vec<(usize, ResultRow)>,
    reasons: &[CancellationReason],
    items: &mut [Option<ItemCommit>],
) -> Vec<(usize, ResultRow)> {
    let mut kept = Vec::with_capacity(drafts.len());
    for (action, (position, row)) in (DRAFTS..).zip(drafts) {
        if !refused(reasons, action) {
            kept.push((position, row));
        } else if let Some(commit) = &mut items[position] {
            commit.outcome = Outcome::Skipped(why_skipped(&reasons[action]));
        }
    }
    kept
}

/// Why a draft was refused, from the row that stood against it.
fn why_skipped(reason: &CancellationReason) -> SkipReason {
    match reason.item() {
        Some(row) if !row.contains_key("result") => SkipReason::FileChanged,
        _ => SkipReason::AlreadyLabeled,
    }
}

/// The result that a draft becomes. It takes the annotations out of the draft: the receipt needs their numbers alone.
fn result_of(spec: &JobSpec, bot: &str, draft: &mut Draft, now: Timestamp) -> LabelResult {
    let lineage = Lineage {
        job: spec.uid,
        provider: spec.provider,
        model_type: spec.options.model_type,
        confidence_threshold: spec.options.confidence_threshold,
    };
    LabelResult {
        generation: 0,
        revision: 0,
        status: ResultStatus::Draft,
        source: ResultSource::AutoLabel,
        created_by: bot.to_owned(),
        reviewed_by: None,
        lineage: Some(lineage),
        annotations: std::mem::take(&mut draft.annotations),
        elsewhere: draft.elsewhere.take(),
        draft: None,
        sweep: None,
        file_changes: None,
        created_at: now,
        updated_at: now,
    }
}

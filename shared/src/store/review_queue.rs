//! The review queue: receipts that are listed while their items have drafts, and a row for each draft that was reopened
//! (docs/decisions/0039).

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::calls::{Found, Row, attribute, classify, is_done, key_of, number, patiently, read, text};
use super::jobs::put;
use super::keys::{self, Key, LISTING};
use super::rows::{ClaimsRow, ItemRow, ReceiptRow, ReopenedRow, item};
use crate::domain::id::{ItemUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::item::result::{LabelResult, ResultStatus};
use crate::domain::item::review_queue::{Marks, Queued, Reviewer};
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, ReviewQueue, Slice};

/// Entries that leave at once.
const LEAVING: usize = 16;

impl ReviewQueue for Store {
    async fn entries(&self, project: ProjectUid, slice: &Slice) -> Result<Page<String>, Error> {
        let Found { entries, further } = self.find_in_list(&keys::review_queue_of(project), slice).await?;
        let entries = entries.into_iter().map(|(position, _)| position).collect();
        Ok(Page { entries, next: further, previous: None })
    }

    async fn drafted(&self, entries: &[String]) -> Result<Vec<Vec<ItemUid>>, Error> {
        let named: Vec<Option<Key>> = entries.iter().map(|entry| keys::of_queue_entry(entry)).collect();
        let rows = self.get_many(named.iter().flatten().cloned().collect()).await?;
        let mut found: HashMap<Key, Row> = rows.into_iter().filter_map(|row| Some((key_of(&row)?, row))).collect();
        let items = |key: Option<Key>| -> Result<Vec<ItemUid>, Error> {
            match key.and_then(|key| found.remove(&key)) {
                Some(row) if row.contains_key("receipt") => Ok(read::<ReceiptRow>(row)?.read()?.drafted()),
                Some(row) => Ok(vec![read::<ReopenedRow>(row)?.item_uid]),
                None => Ok(Vec::new()),
            }
        };
        named.into_iter().map(items).collect()
    }

    async fn queued(&self, uids: &[ItemUid]) -> Result<Vec<Queued>, Error> {
        let rows = self.get_many(uids.iter().copied().map(Key::item).collect()).await?;
        rows.into_iter().map(|row| read::<ItemRow>(row)?.read_queued()).collect()
    }

    async fn leave(&self, entries: &[String]) -> Result<(), Error> {
        let leaving = entries.iter().cloned().map(|entry| async move { self.leave_one(&entry).await });
        stream::iter(leaving).buffer_unordered(LEAVING).try_collect().await
    }

    async fn mark(&self, before: &Queued, marks: &Marks) -> Result<bool, Error> {
        // Of one action and without a token: after a lost answer the row shows that the marks are these.
        patiently(|| self.mark_once(before, marks)).await
    }

    async fn claims(&self, project: ProjectUid, reviewer: &Reviewer) -> Result<Vec<ItemUid>, Error> {
        let row: Option<ClaimsRow> = self.get(Key::claims(&reviewer.key, project)).await?;
        Ok(row.map(|row| row.items()).unwrap_or_default())
    }

    async fn remember_claims(
        &self,
        project: ProjectUid,
        reviewer: &Reviewer,
        items: &[ItemUid],
        now: Timestamp,
    ) -> Result<(), Error> {
        // Of two calls at once the last one counts: what the other has claimed is met again in the queue.
        let row = item(&ClaimsRow::new(Key::claims(&reviewer.key, project), items, now))?;
        self.client.put_item().table_name(&self.table).set_item(Some(row)).send().await.map_err(classify)?;
        Ok(())
    }
}

impl Store {
    /// The entry of a draft that a review has reopened.
    pub(super) fn queue_again(&self, of: &Item, reviewed: &LabelResult) -> Result<Option<TransactWriteItem>, Error> {
        if reviewed.status != ResultStatus::Draft {
            return Ok(None);
        }
        let row = item(&ReopenedRow::new(of.project, of.asset.uid, reviewed.updated_at))?;
        put(self.put(row)).map(Some)
    }

    /// Takes an entry out of the queue. A draft that was reopened once more has another position by now, and stays.
    async fn leave_one(&self, entry: &str) -> Result<(), Error> {
        let Some(key) = keys::of_queue_entry(entry) else { return Ok(()) };
        let as_read = format!("{} = :entry", LISTING.sk);
        let left = if keys::is_reopened(&key) {
            let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key.into()));
            is_done(
                delete.condition_expression(as_read).expression_attribute_values(":entry", text(entry)).send().await,
            )
        } else {
            let update = self.update_row(key).update_expression(format!("REMOVE {}, {}", LISTING.pk, LISTING.sk));
            is_done(
                update.condition_expression(as_read).expression_attribute_values(":entry", text(entry)).send().await,
            )
        };
        left.map(|_left| ())
    }

    async fn mark_once(&self, before: &Queued, marks: &Marks) -> Result<bool, Error> {
        let Some(draft) = &before.item.result else { return Ok(false) };
        let after = attribute(marks)?;
        let mut as_read = "generation = :generation AND #result.#status = :draft".to_owned();
        let mut request = self
            .update_row(Key::item(before.item.asset.uid))
            .update_expression("SET marks = :marks")
            .expression_attribute_names("#result", "result")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":generation", number(draft.generation))
            .expression_attribute_values(":draft", attribute(&ResultStatus::Draft)?)
            .expression_attribute_values(":marks", after.clone())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match &before.marks {
            None => as_read.push_str(" AND attribute_not_exists(marks)"),
            Some(marks) => {
                as_read.push_str(" AND marks.written_us = :written");
                request = request.expression_attribute_values(":written", number(marks.written_us));
            }
        }
        match request.condition_expression(as_read).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(lost)) => {
                    Ok(lost.item().is_some_and(|row| row.get("marks") == Some(&after)))
                }
                _ => Err(classify(error)),
            },
        }
    }
}

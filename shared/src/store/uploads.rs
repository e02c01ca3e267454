//! Uploads: whose a project is, what S3 said of an item's file, what waits for a job (docs/decisions/0021).

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use uuid::Uuid;

use super::Store;
use super::calls::{Row, Transacted, attribute, classify, key_of, number, patiently, read, text};
use super::jobs::update;
use super::keys::{self, ACTIVE, Key, UNLABELED};
use super::rows::{ArrivalsRow, OwnerRow, RejectedUploadRow, item, packed};
use super::tenants::is_done;
use crate::domain::id::{OrganizationUid, ProjectUid};
use crate::domain::item::{AssetType, Item};
use crate::domain::upload::RejectedUpload;
use crate::domain::{Error, Timestamp};
use crate::ports::{Arrivals, Page, Picked, Slice, Uploads};

const DAY: i64 = 24 * 3_600;
/// Seconds that a day's count is kept past its day.
const KEPT: i64 = 2 * DAY;

impl Uploads for Store {
    async fn owner(&self, project: ProjectUid) -> Result<Option<OrganizationUid>, Error> {
        Ok(self.get::<OwnerRow>(Key::owner(project)).await?.map(|row| row.organization))
    }

    async fn change_file(&self, before: &Item, after: &Item, now: Timestamp) -> Result<bool, Error> {
        let mut set = "#item = :item, #file = :file".to_owned();
        let mut remove = Vec::new();
        let mut change = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::item(after.asset.uid).into()))
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":item", text(packed(&after.asset)?))
            .expression_attribute_values(":file", attribute(&after.file)?);
        if after.asset.changes > 0 {
            set += ", changes = :changes";
            change = change.expression_attribute_values(":changes", number(after.asset.changes));
        }
        if after.waits_anew(before) {
            // At the place of this moment: a job that takes what came behind the last one must meet it.
            set += &format!(", {} = :pk, {} = :sk", UNLABELED.pk, UNLABELED.sk);
            let shard = after.asset.uid.shard(keys::UNLABELED_SHARDS);
            change = change
                .expression_attribute_values(":pk", text(keys::unlabeled_of(after.project, shard)))
                .expression_attribute_values(":sk", text(keys::in_time(now, after.asset.uid)));
        } else if !after.waits() {
            remove.extend([UNLABELED.pk, UNLABELED.sk]);
        }
        if after.result.is_none() && before.result.is_some() {
            remove.push("#result");
        }
        let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
        let (change, as_read) = as_read(before, change);
        let change = change.update_expression(format!("SET {set}{remove}")).condition_expression(as_read);
        // In a transaction, as a review is: a lost answer must not make it look like somebody else's work.
        Ok(matches!(self.transact(vec![update(change)?]).await?, Transacted::Done))
    }

    async fn reject_upload(&self, rejected: &RejectedUpload) -> Result<(), Error> {
        let row = item(&RejectedUploadRow::new(rejected))?;
        self.client.put_item().table_name(&self.table).set_item(Some(row)).send().await.map_err(classify)?;
        Ok(())
    }

    async fn rejected_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<RejectedUpload>, Error> {
        let listed = self.page_of_list(&keys::rejected_uploads_of(organization, project), slice).await?;
        let mut found: Vec<RejectedUpload> =
            self.get_many(listed.entries).await?.into_iter().map(read).collect::<Result<_, _>>()?;
        found.sort_by_key(|upload| (upload.uploaded_at, upload.uid()));
        if !slice.ascending {
            found.reverse();
        }
        Ok(Page { entries: found, next: listed.next })
    }

    async fn count_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        added: &[AssetType],
        waiting: u64,
        now: Timestamp,
    ) -> Result<Arrivals, Error> {
        // A job that starts changes the row too, in a transaction, with which this conflicts. Repeated, it must not count twice:
        // the row says whose count was the last one.
        let call = text(Uuid::now_v7());
        let not_yet = "attribute_exists(pk) AND (attribute_not_exists(uploads_call) OR uploads_call <> :call)";
        let request = self
            .count_added(
                Key::project(organization, project),
                added,
                ", uploads_waiting :waiting SET uploads_last_at = :now, uploads_call = :call",
            )
            .condition_expression(not_yet)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":waiting", number(waiting))
            .expression_attribute_values(":now", attribute(&now)?)
            .expression_attribute_values(":call", call.clone())
            .return_values(ReturnValue::AllNew);
        let row = patiently(|| async {
            let error = match request.clone().send().await {
                Ok(answer) => {
                    return answer.attributes.ok_or_else(|| Error::internal("a changed row that is not shown"));
                }
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => match refused.item() {
                    Some(row) if row.get("uploads_call") == Some(&call) => Ok(row.clone()),
                    _ => Err(Error::NotFound),
                },
                _ => Err(classify(error)),
            }
        });
        arrivals(row.await?)
    }

    async fn arrivals(&self, organization: OrganizationUid, project: ProjectUid) -> Result<Arrivals, Error> {
        arrivals(self.get_row(Key::project(organization, project)).await?.ok_or(Error::NotFound)?)
    }

    async fn await_pause(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::project(organization, project).into()))
            .update_expression(format!("SET {} = :uploads, {} = :place", ACTIVE.pk, ACTIVE.sk))
            .condition_expression(format!("attribute_exists(pk) AND attribute_not_exists({})", ACTIVE.pk))
            .expression_attribute_values(":uploads", text(keys::AWAITED_UPLOADS))
            .expression_attribute_values(":place", text(keys::in_time(now, project)));
        is_done(request.send().await)
    }

    async fn forget_arrivals(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        seen: u64,
    ) -> Result<(), Error> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::project(organization, project).into()))
            .update_expression(format!("SET uploads_waiting = :none REMOVE {}, {}", ACTIVE.pk, ACTIVE.sk))
            .condition_expression("uploads_waiting = :seen") // what arrives meanwhile must not be forgotten
            .expression_attribute_values(":seen", number(seen))
            .expression_attribute_values(":none", number(0));
        is_done(request.send().await).map(|_forgotten| ())
    }

    async fn awaited_projects(&self, limit: usize) -> Result<Vec<(OrganizationUid, ProjectUid)>, Error> {
        let mut entries = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ACTIVE.name)
            .key_condition_expression(format!("{} = :uploads", ACTIVE.pk))
            .expression_attribute_values(":uploads", text(keys::AWAITED_UPLOADS))
            .into_paginator()
            .items()
            .send();
        let mut projects = Vec::new();
        while projects.len() < limit
            && let Some(entry) = entries.next().await
        {
            projects.extend(key_of(&entry.map_err(classify)?).and_then(|key| key.project_uid()));
        }
        Ok(projects)
    }

    async fn taken_today(&self, project: ProjectUid, now: Timestamp) -> Result<u32, Error> {
        let row = self.get_row(Key::taken(project, day(now))).await?.unwrap_or_default();
        Ok(row.get("items").and_then(|items| items.as_n().ok()?.parse().ok()).unwrap_or(0))
    }
}

impl Store {
    /// What a job has picked of a project's uploads: counted for the day, if the day has room for it, and taken.
    pub(super) fn taken(&self, picked: &Picked, total: u32, now: Timestamp) -> Result<[TransactWriteItem; 2], Error> {
        let day = day(now);
        let counted = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::taken(picked.project, day).into()))
            .update_expression("ADD #items :total SET expires_at = :end")
            // `:room` is not negative: whoever picks has looked. With the job's own lock nobody else counts meanwhile.
            .condition_expression("attribute_not_exists(#items) OR #items <= :room")
            .expression_attribute_names("#items", "items")
            .expression_attribute_values(":total", number(total))
            .expression_attribute_values(":room", number(picked.max_items_per_day.saturating_sub(total)))
            .expression_attribute_values(":end", number((day + 1) * DAY + KEPT));
        let mut taken = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::project(picked.organization, picked.project).into()))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":waited", number(-i128::from(picked.waited)));
        let mut set = "ADD uploads_waiting :waited".to_owned();
        if let Some(until) = &picked.until {
            set += " SET uploads_taken_until = :until";
            taken = taken.expression_attribute_values(":until", text(until));
        }
        Ok([update(counted)?, update(taken.update_expression(set))?])
    }
}

/// The condition that an item's file has been changed so often and not since. It is a number of its own, since what the index
/// carries of an item is packed, and conditions look at attributes alone.
pub(super) fn of_same_file(changes: u32, update: UpdateBuilder) -> (UpdateBuilder, &'static str) {
    match changes {
        0 => (update, "attribute_not_exists(changes)"),
        changes => (update.expression_attribute_values(":changes", number(changes)), "changes = :changes"),
    }
}

/// The condition that an item has the file and the result that it was read with.
pub(super) fn as_read(item: &Item, update: UpdateBuilder) -> (UpdateBuilder, String) {
    let update = update.expression_attribute_names("#file", "file").expression_attribute_names("#result", "result");
    let (update, file) = match &item.file {
        None => (update, "attribute_not_exists(#file)"),
        Some(file) => (
            update
                .expression_attribute_names("#sequence", "s")
                .expression_attribute_values(":sequence", text(file.sequence.as_str())),
            "#file.#sequence = :sequence",
        ),
    };
    let (update, result) = match &item.result {
        None => (update, "attribute_not_exists(#result)"),
        Some(result) => {
            let update = update.expression_attribute_values(":generation", number(result.generation));
            match result.revision {
                0 => (
                    update,
                    "generation = :generation AND attribute_exists(#result) AND attribute_not_exists(#result.revision)",
                ),
                revision => (
                    update.expression_attribute_values(":revision", number(revision)),
                    "generation = :generation AND #result.revision = :revision",
                ),
            }
        }
    };
    (update, format!("attribute_exists(pk) AND {file} AND {result}"))
}

fn arrivals(row: Row) -> Result<Arrivals, Error> {
    let uploads: ArrivalsRow = read(row.clone())?;
    Ok(Arrivals {
        project: read(row)?,
        waiting: u64::try_from(uploads.uploads_waiting).unwrap_or(0),
        last_at: uploads.uploads_last_at,
        are_awaited: uploads.active_pk.is_some(),
        taken_until: uploads.uploads_taken_until,
    })
}

/// Of the Unix epoch.
fn day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(DAY)
}

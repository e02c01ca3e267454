//! Exports: one row each, in the partition of their organization.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, Update};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::Store;
use super::calls::{Row, Transacted, attribute, classify, is_done, key_of, number, read, text};
use super::items::{SizedItem, page_within};
use super::jobs::update;
use super::keys::{self, ACTIVE, Key};
use crate::domain::export::work::Work;
use crate::domain::export::{Export, ExportStatus};
use crate::domain::id::{ExportUid, OrganizationUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::packed::{pack, unpack};
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Claimed, ExportFilter, ExportItems, Exports, Page, Results, Slice, Step, Watched};

/// Bytes of [`Work`] as JSON: the ETags of 10,000 parts, and labels.
const WORK_BYTES: u64 = 4 * 1024 * 1024;
/// Exports that one round of the schedule reads.
const ROUND: i32 = 100;
/// What must hold for a write under a claim.
const CLAIMED: &str = "lease = :lease AND #status = :processing AND deleted = :false";

/// The row of a new export.
#[derive(Serialize)]
struct NewExportRow<'a> {
    #[serde(flatten)]
    export: &'a Export,
    active_pk: &'static str,
    active_sk: String,
    /// The end of the claim, microseconds; 0: no worker has it.
    lease: i64,
    attempts: u32,
    /// Seconds, for the table's TTL.
    expires_at: i64,
}

/// What the row has beside the export.
#[derive(Deserialize)]
struct ClaimRow {
    #[serde(default)]
    lease: i64,
    #[serde(default)]
    attempts: u32,
    /// When the schedule asked for its next step, microseconds; 0: never.
    #[serde(default)]
    reminded: i64,
    #[serde(default)]
    work: Option<serde_bytes::ByteBuf>,
}

/// How far an export has come. `None`: it cannot be read, and that must not hide how often it was tried.
fn read_work(uid: ExportUid, packed: &[u8]) -> Option<Work> {
    let read = unpack(packed, WORK_BYTES);
    if let Err(error) = &read {
        warn!(export.uid = %uid, causes = error.chain(), "the work on an export cannot be read");
    }
    read.ok().map(|(work, _)| work)
}

/// An export of the index. `None`: its row cannot be read, and that must not keep the others waiting.
fn read_watched(row: Row, now: Timestamp) -> Option<Watched> {
    let key = key_of(&row);
    let watched = read::<ClaimRow>(row.clone()).and_then(|claim| {
        let (is_claimed, reminded_at) = (claim.lease >= now.as_microsecond(), claim.reminded);
        let reminded_at = Timestamp::from_microsecond(reminded_at).map_err(Error::internal)?;
        Ok(Watched { export: read(row)?, is_claimed, reminded_at })
    });
    if let Err(error) = &watched {
        let position = key.map(|key| key.sk).unwrap_or_default();
        warn!(export.row = position, causes = error.chain(), "an export cannot be read");
    }
    watched.ok()
}

impl Exports for Store {
    async fn add_export(&self, export: &Export) -> Result<Option<Export>, Error> {
        let row = NewExportRow {
            export,
            active_pk: keys::ACTIVE_EXPORTS,
            active_sk: export.uid.to_string(),
            lease: 0,
            attempts: 0,
            expires_at: export.valid_until.as_second(),
        };
        self.add(Key::export(export.organization, export.uid), &row).await
    }

    async fn export(&self, organization: OrganizationUid, uid: ExportUid) -> Result<Export, Error> {
        self.get(Key::export(organization, uid)).await?.ok_or_else(|| uid.missing())
    }

    async fn exports(
        &self,
        organization: OrganizationUid,
        filter: ExportFilter,
        slice: &Slice,
        now: Timestamp,
    ) -> Result<Page<Export>, Error> {
        let page = self.page_of_partition::<Export>(keys::organization_pk(organization), keys::EXPORT, slice).await?;
        let is_listed = |export: &Export| export.is_shown(now) && filter.keeps(export);
        Ok(page.with(|exports| exports.into_iter().filter(is_listed).collect()))
    }

    async fn claim_export(
        &self,
        organization: OrganizationUid,
        uid: ExportUid,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<Claimed>, Error> {
        let request = self
            .update_row(Key::export(organization, uid))
            .update_expression(
                "SET lease = :lease, attempts = attempts + :one, #status = :processing, \
                 started_at = if_not_exists(started_at, :now)",
            )
            // The last case is our own write, whose answer was lost.
            .condition_expression(
                "deleted = :false AND #status IN (:pending, :processing) AND (lease < :time OR lease = :lease)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":lease", number(lease.as_microsecond()))
            .expression_attribute_values(":time", number(now.as_microsecond()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", attribute(&now)?)
            .expression_attribute_values(":pending", attribute(&ExportStatus::Pending)?)
            .expression_attribute_values(":processing", attribute(&ExportStatus::Processing)?)
            .expression_attribute_values(":false", attribute(&false)?)
            .return_values(ReturnValue::AllNew);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return is_done::<(), _>(Err(error)).map(|_lost| None),
        };
        let row = answer.attributes.ok_or_else(|| Error::internal("a claimed row that is not shown"))?;
        let ClaimRow { attempts, work, .. } = read(row.clone())?;
        let work = work.map_or_else(|| Some(Work::default()), |packed| read_work(uid, &packed));
        Ok(Some(Claimed { export: read(row)?, work, attempts, lease }))
    }

    async fn advance_export(&self, step: &Step<'_>) -> Result<bool, Error> {
        let Step { export, work, lease, keeps } = step;
        let (packed, _) = pack(work)?;
        let after = if *keeps { lease.as_microsecond() } else { 0 };
        let request = self
            .update_row(Key::export(export.organization, export.uid))
            .update_expression(
                "SET #work = :work, lease = :after, attempts = :zero, #total = :total, done = :done, left_out = :left_out, \
                 updated_at = :now",
            )
            .condition_expression(CLAIMED)
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#work", "work")
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":work", attribute(&serde_bytes::ByteBuf::from(packed))?)
            .expression_attribute_values(":lease", number(lease.as_microsecond()))
            .expression_attribute_values(":after", number(after))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":total", number(export.total))
            .expression_attribute_values(":done", number(export.done))
            .expression_attribute_values(":left_out", attribute(&export.left_out)?)
            .expression_attribute_values(":now", attribute(&export.updated_at)?)
            .expression_attribute_values(":processing", attribute(&ExportStatus::Processing)?)
            .expression_attribute_values(":false", attribute(&false)?);
        is_done(request.send().await)
    }

    async fn end_export(&self, export: &Export, lease: Timestamp, deliveries: &[Delivery]) -> Result<bool, Error> {
        let mut actions = vec![update(self.ended(export, lease)?)?];
        actions.extend(self.outgoing(deliveries)?);
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }

    async fn delete_export(&self, organization: OrganizationUid, uid: ExportUid, now: Timestamp) -> Result<(), Error> {
        let request = self
            .update_row(Key::export(organization, uid))
            .update_expression(format!(
                "SET deleted = :true, updated_at = :now, {} = :exports, {} = :uid",
                ACTIVE.pk, ACTIVE.sk
            ))
            .condition_expression("attribute_exists(pk) AND deleted = :false")
            .expression_attribute_values(":true", attribute(&true)?)
            .expression_attribute_values(":false", attribute(&false)?)
            .expression_attribute_values(":now", attribute(&now)?)
            .expression_attribute_values(":exports", text(keys::ACTIVE_EXPORTS))
            .expression_attribute_values(":uid", text(uid.to_string()));
        if is_done(request.send().await)? { Ok(()) } else { Err(uid.missing()) }
    }

    async fn forget_export(&self, organization: OrganizationUid, uid: ExportUid) -> Result<(), Error> {
        self.remove(Key::export(organization, uid)).await.map(|_gone| ())
    }

    async fn watched_exports(&self, after: Option<&str>, now: Timestamp) -> Result<Page<Watched>, Error> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ACTIVE.name)
            .key_condition_expression(format!("{} = :exports AND {} > :after", ACTIVE.pk, ACTIVE.sk))
            .expression_attribute_values(":exports", text(keys::ACTIVE_EXPORTS))
            .expression_attribute_values(":after", text(after.unwrap_or("!"))) // before every digit
            .limit(ROUND);
        let answer = request.send().await.map_err(classify)?;
        let found = answer.items.unwrap_or_default();
        let rows = self.get_many(found.iter().filter_map(key_of).collect()).await?;
        let position = |last: Row| last.get(ACTIVE.sk).and_then(|position| position.as_s().ok().cloned());
        Ok(Page {
            entries: rows.into_iter().filter_map(|row| read_watched(row, now)).collect(),
            next: answer.last_evaluated_key.and_then(position),
            previous: None,
        })
    }

    async fn remind_of_export(&self, watched: &Watched, now: Timestamp) -> Result<bool, Error> {
        let request = self
            .update_row(Key::export(watched.export.organization, watched.export.uid))
            .update_expression("SET reminded = :now")
            .condition_expression(
                "attribute_exists(pk) AND deleted = :false AND (attribute_not_exists(reminded) OR reminded = :before)",
            )
            .expression_attribute_values(":now", number(now.as_microsecond()))
            .expression_attribute_values(":before", number(watched.reminded_at.as_microsecond()))
            .expression_attribute_values(":false", attribute(&false)?);
        is_done(request.send().await)
    }
}

impl ExportItems for Store {
    async fn items_to_export(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        rejected: bool,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        let mut found = self.sized_items(organization, Some(project), slice).await?;
        if rejected {
            self.add_rejected(&mut found.entries).await?;
        }
        Ok(page_within(found, bytes_in_row, slice))
    }

    fn position_to_export(&self, item: &Item) -> String {
        self.position(item)
    }
}

/// Bytes of a result without what is in S3: of an item that an export does not take, that is never fetched.
fn bytes_in_row((item, bytes): &SizedItem) -> usize {
    let elsewhere = item.result.as_ref().and_then(|result| result.elsewhere.as_ref()).map_or(0, |blob| blob.json_bytes);
    bytes.saturating_sub(usize::try_from(elsewhere).unwrap_or(usize::MAX))
}

impl Store {
    /// The end of an export, under a claim.
    fn ended(&self, export: &Export, lease: Timestamp) -> Result<UpdateBuilder, Error> {
        let ended = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::export(export.organization, export.uid).into()))
            .update_expression(format!(
                "SET #status = :status, files = :files, error_message = :error, #total = :total, done = :done, \
                 completed_at = :completed, updated_at = :now, lease = :zero REMOVE #work, {}, {}",
                ACTIVE.pk, ACTIVE.sk
            ))
            .condition_expression(CLAIMED)
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#work", "work")
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":status", attribute(&export.status)?)
            .expression_attribute_values(":files", attribute(&export.files)?)
            .expression_attribute_values(":error", attribute(&export.error_message)?)
            .expression_attribute_values(":total", number(export.total))
            .expression_attribute_values(":done", number(export.done))
            .expression_attribute_values(":completed", attribute(&export.completed_at)?)
            .expression_attribute_values(":now", attribute(&export.updated_at)?)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":lease", number(lease.as_microsecond()))
            .expression_attribute_values(":processing", attribute(&ExportStatus::Processing)?)
            .expression_attribute_values(":false", attribute(&false)?);
        Ok(ended)
    }
}

//! Imports: one row each, in the partition of their organization, by project.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::Store;
use super::calls::{Row, Transacted, attribute, classify, is_done, key_of, number, read, text};
use super::jobs::put;
use super::keys::{self, ACTIVE, Key};
use super::rows::{Keyed, ResultRow, item};
use crate::domain::id::{OrganizationUid, ProjectUid};
use crate::domain::import::{Import, ImportStatus};
use crate::domain::item::Item;
use crate::domain::item::result::LabelResult;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{ClaimedImport, ImportName, ImportResults, Imports, Page, Slice, WatchedImport};

/// Imports that one round of the schedule reads.
const ROUND: i32 = 100;

/// The row of an import. It is in the index `active` from its begin to its end.
#[derive(Serialize)]
struct ImportRow<'a> {
    #[serde(flatten)]
    import: &'a Import,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_pk: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_sk: Option<String>,
    /// The end of the claim, microseconds; 0: no worker has it.
    lease: i64,
    attempts: u32,
    /// Seconds, for the table's TTL.
    expires_at: i64,
}

impl<'a> ImportRow<'a> {
    fn of(import: &'a Import, lease: i64) -> Self {
        // One whose file is still to be uploaded has no message that could be lost.
        let is_active = match import.status {
            ImportStatus::Pending => import.source.is_some(),
            ImportStatus::Processing => true,
            ImportStatus::Imported | ImportStatus::Failed => false,
        };
        Self {
            import,
            active_pk: is_active.then_some(keys::ACTIVE_IMPORTS),
            active_sk: is_active.then(|| import.uid.to_string()),
            lease,
            attempts: 0,
            expires_at: import.valid_until.as_second(),
        }
    }
}

/// What the row has beside the import.
#[derive(Deserialize)]
struct ClaimRow {
    #[serde(default)]
    lease: i64,
    #[serde(default)]
    attempts: u32,
}

fn key((organization, project, uid): ImportName) -> Key {
    Key::import(organization, project, uid)
}

fn name(import: &Import) -> ImportName {
    (import.organization, import.project, import.uid)
}

/// An import of the index. `None`: its row cannot be read, and that must not keep the others waiting.
fn read_watched(row: Row, now: Timestamp) -> Option<WatchedImport> {
    let key = key_of(&row);
    let watched = read::<ClaimRow>(row.clone()).and_then(|claim| {
        let is_claimed = claim.lease >= now.as_microsecond();
        Ok(WatchedImport { import: read(row)?, is_claimed })
    });
    if let Err(error) = &watched {
        let position = key.map(|key| key.sk).unwrap_or_default();
        warn!(import.row = position, causes = error.chain(), "an import cannot be read");
    }
    watched.ok()
}

impl Imports for Store {
    async fn add_import(&self, import: &Import) -> Result<Option<Import>, Error> {
        self.add(key(name(import)), &ImportRow::of(import, 0)).await
    }

    async fn import(&self, of: ImportName) -> Result<Import, Error> {
        self.get(key(of)).await?.ok_or_else(|| of.2.missing())
    }

    async fn imports(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<Import>, Error> {
        self.page_of_partition(keys::organization_pk(organization), &keys::imports_of(project), slice).await
    }

    async fn claim_import(
        &self,
        of: ImportName,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<ClaimedImport>, Error> {
        let request = self
            .update_row(key(of))
            .update_expression(format!(
                "SET lease = :lease, attempts = attempts + :one, #status = :processing, \
                 started_at = if_not_exists(started_at, :now), {} = :imports, {} = :uid",
                ACTIVE.pk, ACTIVE.sk
            ))
            // The last case is our own write, whose answer was lost.
            .condition_expression("#status IN (:pending, :processing) AND (lease < :time OR lease = :lease)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":lease", number(lease.as_microsecond()))
            .expression_attribute_values(":time", number(now.as_microsecond()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", attribute(&now)?)
            .expression_attribute_values(":imports", text(keys::ACTIVE_IMPORTS))
            .expression_attribute_values(":uid", text(of.2.to_string()))
            .expression_attribute_values(":pending", attribute(&ImportStatus::Pending)?)
            .expression_attribute_values(":processing", attribute(&ImportStatus::Processing)?)
            .return_values(ReturnValue::AllNew);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return is_done::<(), _>(Err(error)).map(|_lost| None),
        };
        let row = answer.attributes.ok_or_else(|| Error::internal("a claimed row that is not shown"))?;
        let ClaimRow { attempts, .. } = read(row.clone())?;
        Ok(Some(ClaimedImport { import: read(row)?, attempts, lease }))
    }

    async fn advance_import(&self, import: &Import, lease: Timestamp, next: Timestamp) -> Result<bool, Error> {
        let row = item(&Keyed::new(key(name(import)), &ImportRow::of(import, next.as_microsecond())))?;
        self.put_over(row, [("lease", number(lease.as_microsecond()))]).await
    }

    async fn end_import(&self, import: &Import, lease: Timestamp, deliveries: &[Delivery]) -> Result<bool, Error> {
        let row = item(&Keyed::new(key(name(import)), &ImportRow::of(import, 0)))?;
        let ended = self
            .put(row)
            .condition_expression("lease = :lease")
            .expression_attribute_values(":lease", number(lease.as_microsecond()));
        let mut actions = vec![put(ended)?];
        actions.extend(self.outgoing(deliveries)?);
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }

    async fn watched_imports(&self, after: Option<&str>, now: Timestamp) -> Result<Page<WatchedImport>, Error> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ACTIVE.name)
            .key_condition_expression(format!("{} = :imports AND {} > :after", ACTIVE.pk, ACTIVE.sk))
            .expression_attribute_values(":imports", text(keys::ACTIVE_IMPORTS))
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
}

impl ImportResults for Store {
    async fn import_result(&self, of: &Item, given: &LabelResult) -> Result<bool, Error> {
        let row = ResultRow::of(given.clone())?;
        if !row.fits {
            return Err(super::items::too_large());
        }
        let mut actions = vec![self.labeled(of, &row, given.generation)?];
        actions.extend(self.queue_again(of, given)?);
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }
}

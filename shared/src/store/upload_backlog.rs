//! Uploads that wait for a job: their number, the watch over them, and what jobs have taken (docs/decisions/0021).

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use uuid::Uuid;

use super::Store;
use super::calls::{Row, attribute, classify, is_done, key_of, number, patiently, read, text};
use super::jobs::update;
use super::keys::{self, ACTIVE, Key};
use super::rows::UploadBacklogRow;
use crate::domain::id::{JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::AssetType;
use crate::domain::project::Project;
use crate::domain::project::auto_label::AutoLabelPause;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Picked, UploadBacklog, UploadWatch, WaitingUploads};

const DAY: i64 = 24 * 3_600;
/// Seconds that a day's count is kept past its day.
const KEPT: i64 = 2 * DAY;

impl WaitingUploads for Store {
    async fn backlog(&self, organization: OrganizationUid, project: ProjectUid) -> Result<UploadBacklog, Error> {
        backlog(self.get_row(Key::project(organization, project)).await?.ok_or_else(|| project.missing())?)
    }

    async fn taken_today(&self, project: ProjectUid, now: Timestamp) -> Result<u32, Error> {
        let row = self.get_row(Key::taken(project, day(now))).await?.unwrap_or_default();
        Ok(row.get("items").and_then(|items| items.as_n().ok()?.parse().ok()).unwrap_or(0))
    }
}

impl UploadWatch for Store {
    async fn count_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        added: &[AssetType],
        waiting: u64,
        now: Timestamp,
    ) -> Result<UploadBacklog, Error> {
        // The transaction of a job's start changes this row, too, and conflicts with this write. The retry must not count twice:
        // the row names the call that counted last.
        let call = text(Uuid::now_v7());
        let not_yet = "attribute_exists(pk) AND (attribute_not_exists(uploads_call) OR uploads_call <> :call)";
        let request = self
            .count_added(
                Key::project(organization, project),
                added,
                ", uploads_counted :waiting SET uploads_last_at = :now, uploads_call = :call",
            )
            .condition_expression(not_yet)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":waiting", number(waiting))
            .expression_attribute_values(":now", attribute(&now)?)
            .expression_attribute_values(":call", call.clone())
            .return_values(ReturnValue::AllNew);
        backlog(patiently(|| counted_row(project, &request, &call)).await?)
    }

    async fn watch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        settled: u64,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error> {
        let request = self
            .update_row(Key::project(organization, project))
            .update_expression(format!(
                "SET {} = :uploads, {} = :position, uploads_look_at_ms = :check_at, uploads_settled = :settled, \
                 uploads_waiting_since = :now",
                ACTIVE.pk, ACTIVE.sk
            ))
            .condition_expression(format!("attribute_exists(pk) AND attribute_not_exists({})", ACTIVE.pk))
            .expression_attribute_values(":uploads", text(keys::WATCHED_UPLOADS))
            .expression_attribute_values(":position", text(keys::in_time(check_at, project)))
            .expression_attribute_values(":check_at", number(check_at.as_millisecond()))
            .expression_attribute_values(":settled", number(settled))
            .expression_attribute_values(":now", attribute(&now)?);
        is_done(request.send().await)
    }

    async fn schedule_check(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error> {
        let request = self
            .update_row(Key::project(organization, project))
            .update_expression("SET uploads_look_at_ms = :check_at")
            // One check at a time: each asks for the next one, and every end of a job would start another such chain.
            .condition_expression(format!("attribute_exists({}) AND uploads_look_at_ms <= :now", ACTIVE.pk))
            .expression_attribute_values(":check_at", number(check_at.as_millisecond()))
            .expression_attribute_values(":now", number(now.as_millisecond()));
        is_done(request.send().await)
    }

    async fn unwatch_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        counted: u64,
    ) -> Result<(), Error> {
        let request = self
            .update_row(Key::project(organization, project))
            .update_expression(format!(
                "SET uploads_settled = :counted REMOVE {}, {}, uploads_waiting_since",
                ACTIVE.pk, ACTIVE.sk
            ))
            .condition_expression("uploads_counted = :counted") // what arrives meanwhile must not be forgotten
            .expression_attribute_values(":counted", number(counted));
        is_done(request.send().await).map(|_unwatched| ())
    }

    async fn note_upload_job(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        job: JobUid,
    ) -> Result<(), Error> {
        let request = self
            .update_row(Key::project(organization, project))
            .update_expression("SET uploads_job = :job")
            .condition_expression("attribute_exists(auto_label_on_upload)")
            .expression_attribute_values(":job", text(job.to_string()));
        is_done(request.send().await).map(|_noted| ())
    }

    async fn pause_uploads(&self, before: &Project, pause: &AutoLabelPause) -> Result<(), Error> {
        // A change of the project meanwhile may have fixed it. And one failure counts once, also if two checks have read it.
        let as_read = "updated_at = :updated AND auto_label_pause = :before";
        let first = "updated_at = :updated AND attribute_not_exists(auto_label_pause)";
        let mut request = self
            .update_row(Key::project(before.organization, before.uid))
            .update_expression("SET auto_label_pause = :pause")
            .condition_expression(if before.auto_label_pause.is_some() { as_read } else { first })
            .expression_attribute_values(":updated", attribute(&before.updated_at)?)
            .expression_attribute_values(":pause", attribute(pause)?);
        if let Some(seen) = &before.auto_label_pause {
            request = request.expression_attribute_values(":before", attribute(seen)?);
        }
        is_done(request.send().await).map(|_paused| ())
    }

    async fn watched_projects(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(OrganizationUid, ProjectUid)>, Error> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ACTIVE.name)
            .key_condition_expression(format!("{} = :uploads AND {} > :after", ACTIVE.pk, ACTIVE.sk))
            .expression_attribute_values(":uploads", text(keys::WATCHED_UPLOADS))
            .expression_attribute_values(":after", text(after.unwrap_or("!"))) // before every digit
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = request.send().await.map_err(classify)?;
        let entries = answer.items.unwrap_or_default();
        let position = |last: Row| last.get(ACTIVE.sk).and_then(|position| position.as_s().ok().cloned());
        Ok(Page {
            entries: entries.iter().filter_map(|entry| key_of(entry)?.project_uid()).collect(),
            next: answer.last_evaluated_key.and_then(position),
            previous: None,
        })
    }
}

impl Store {
    /// Counts what a job has picked of a project's uploads for the day, if the day has room for it, and takes them.
    pub(super) fn taken(&self, picked: &Picked, total: u32, now: Timestamp) -> Result<[TransactWriteItem; 2], Error> {
        let day = day(now);
        let counted = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::taken(picked.project, day).into()))
            .update_expression("ADD #items :total SET expires_at = :end")
            // `:room` is not negative: Plan has read the day's count. The project's lock keeps other jobs from counting meanwhile.
            .condition_expression("attribute_not_exists(#items) OR #items <= :room")
            .expression_attribute_names("#items", "items")
            .expression_attribute_values(":total", number(total))
            .expression_attribute_values(":room", number(picked.max_items_per_day.saturating_sub(total)))
            .expression_attribute_values(":end", number((day + 1) * DAY + KEPT));
        let mut taken = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::project(picked.organization, picked.project).into()))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":counted", number(picked.counted))
            .expression_attribute_values(":now", attribute(&now)?);
        // Uploads that still wait came later, or the day had no room for them.
        let mut set = "SET uploads_settled = :counted, uploads_waiting_since = :now".to_owned();
        if let Some(until) = &picked.until {
            set += ", uploads_taken_until = :until";
            taken = taken.expression_attribute_values(":until", text(until));
        }
        set += " REMOVE auto_label_pause, uploads_job";
        Ok([update(counted)?, update(taken.update_expression(set))?])
    }
}

/// The row after a count. A count that is refused was made already if the row names its call.
async fn counted_row(
    project: ProjectUid,
    request: &UpdateItemFluentBuilder,
    call: &AttributeValue,
) -> Result<Row, Error> {
    let error = match request.clone().send().await {
        Ok(answer) => return answer.attributes.ok_or_else(|| Error::internal("a changed row that is not shown")),
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => match refused.item() {
            Some(row) if row.get("uploads_call") == Some(call) => Ok(row.clone()),
            _ => Err(project.missing()),
        },
        _ => Err(classify(error)),
    }
}

fn backlog(row: Row) -> Result<UploadBacklog, Error> {
    let uploads: UploadBacklogRow = read(row.clone())?;
    Ok(UploadBacklog {
        project: read(row)?,
        counted: uploads.uploads_counted,
        settled: uploads.uploads_settled,
        last_at: uploads.uploads_last_at,
        waiting_since: uploads.waiting_since(),
        are_watched: uploads.active_pk.is_some(),
        last_job: uploads.uploads_job,
        taken_until: uploads.uploads_taken_until,
    })
}

/// The day of the Unix epoch, UTC.
fn day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(DAY)
}

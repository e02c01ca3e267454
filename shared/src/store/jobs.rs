//! Jobs: their rows, and the moves between statuses as conditional writes.

use aws_sdk_dynamodb::types::builders::{DeleteBuilder, PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};

use super::Store;
use super::calls::{Found, Row, Transacted, attribute, classify, full_page, key_of, number, read, refused, text};
use super::keys::{self, ACTIVE, Key};
use super::rows::{DeliveryRow, JobListingRow, JobRow, PlanRow, item};
use crate::domain::id::{JobUid, OrganizationUid, ProjectUid};
use crate::domain::job::plan::Plan;
use crate::domain::job::{Job, JobSpec, JobState};
use crate::domain::job_status::{JobEvent, JobStatus};
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Ending, JobFilter, Jobs, Page, Picked, Slice};

impl Jobs for Store {
    async fn create_job(&self, spec: &JobSpec, state: &JobState) -> Result<bool, Error> {
        let lock = Put::builder()
            .table_name(&self.table)
            .set_item(Some(Key::lock(spec.project).into()))
            .item("job", text(spec.uid.to_string()))
            .condition_expression("attribute_not_exists(pk)") // the second of two creates must lose (I4)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let actions = vec![
            put(lock)?,
            put(self.put(item(&JobRow::new(spec, state)?)?).condition_expression("attribute_not_exists(pk)"))?,
            put(self.put(item(&JobListingRow::new(spec))?))?,
        ];
        match self.transact(actions).await? {
            Transacted::Done => Ok(true),
            Transacted::Refused(reasons) if refused(&reasons, 0) => {
                let holder = reasons.first().and_then(|reason| reason.item()?.get("job")?.as_s().ok());
                let holder = JobUid::parse(holder.ok_or_else(|| Error::internal("a lock without a job"))?)?;
                // A lock of ours is our own write, or that of an attempt before whose answer was lost.
                if holder == spec.uid { Ok(false) } else { Err(Error::JobActive(holder)) }
            }
            Transacted::Refused(_) => Ok(false), // it has ended since
        }
    }

    async fn job(&self, uid: JobUid) -> Result<Job, Error> {
        self.get::<JobRow>(Key::job(uid)).await?.ok_or_else(|| uid.missing())?.read()
    }

    async fn jobs(&self, organization: OrganizationUid, filter: JobFilter, slice: &Slice) -> Result<Page<Job>, Error> {
        let list = filter.project.map_or_else(|| keys::jobs_of_organization(organization), keys::jobs_of_project);
        let part = if filter.status.is_none() { slice.clone() } else { full_page(slice) };
        let Found { entries, further } = self.find_in_list(&list, &part).await?;
        let uids: Vec<JobUid> =
            entries.iter().filter_map(|(_, key)| JobUid::parse(key.pk.strip_prefix("JOB#")?).ok()).collect();
        let entries = self.jobs_by_uid(&uids).await?;
        if entries.iter().any(|(job, _)| job.spec.organization != organization) {
            return Ok(Page::whole(Vec::new())); // a foreign project has no jobs (I10)
        }
        let wanted = |(job, _): &(Job, usize)| filter.status.is_none_or(|status| status == job.state.status);
        let position = |(job, _): &(Job, usize)| job.spec.uid.to_string();
        let found = Found { entries, further }
            .narrowed(slice.limit, wanted, position)
            .within_bytes(|(_, bytes)| *bytes, position);
        Ok(found.page(slice, position).with(|jobs| jobs.into_iter().map(|(job, _)| job).collect()))
    }

    async fn active_jobs(&self) -> Result<Vec<JobUid>, Error> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ACTIVE.name)
            .key_condition_expression(format!("{} = :jobs", ACTIVE.pk))
            .expression_attribute_values(":jobs", text(keys::ACTIVE_JOBS))
            .into_paginator()
            .items()
            .send();
        let mut jobs = Vec::new();
        while let Some(entry) = pages.next().await {
            let entry: Row = entry.map_err(classify)?;
            jobs.extend(key_of(&entry).and_then(|key| JobUid::parse(key.pk.strip_prefix("JOB#")?).ok()));
        }
        Ok(jobs)
    }

    async fn plan_job(&self, plan: &Plan, total: u32, picked: Option<&Picked>, now: Timestamp) -> Result<Plan, Error> {
        // Planned once, and never after a cancel or while its end is being written.
        let state = self
            .moved(plan.job, JobEvent::Start, " AND attribute_not_exists(closing)")?
            .update_expression("SET #status = :to, #total = :total, started_at = :now, progressed_at = :now")
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":total", number(total))
            .expression_attribute_values(":now", attribute(&now)?);
        let mut actions = vec![update(state)?, put(self.put(item(&PlanRow::new(plan)?)?))?];
        if let Some(picked) = picked {
            actions.extend(self.taken(picked, total, now)?);
        }
        match self.transact(actions).await? {
            Transacted::Done => Ok(plan.clone()),
            Transacted::Refused(reasons) if !refused(&reasons, 0) => {
                Err(Error::StoreUnavailable("the day's uploads have changed".into()))
            }
            Transacted::Refused(_) => {
                let status = self.job(plan.job).await?.state.status;
                match self.plan(plan.job).await? {
                    Some(first) if status.is_active() => Ok(first),
                    _ => Err(Error::JobFinished(status)),
                }
            }
        }
    }

    async fn plan(&self, job: JobUid) -> Result<Option<Plan>, Error> {
        self.get::<PlanRow>(Key::job_plan(job)).await?.map(PlanRow::read).transpose()
    }

    async fn cancel_job(&self, job: &Job, deliveries: &[Delivery], now: Timestamp) -> Result<bool, Error> {
        let state = self
            .moved(job.spec.uid, JobEvent::Cancel, "")?
            .update_expression("SET #status = :to, completed_at = :now, progressed_at = :now")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":now", attribute(&now)?);
        let mut actions = vec![update(state)?, self.unlock(job.spec.project, job.spec.uid)?];
        actions.extend(self.outgoing(deliveries)?);
        match self.transact(actions).await? {
            Transacted::Done => Ok(true),
            // AllOld is the row that won, without a second read.
            Transacted::Refused(reasons) => {
                let status = status_of(job.spec.uid, reasons.first().and_then(|reason| reason.item()))?;
                if status == JobStatus::Cancelled { Ok(false) } else { Err(Error::JobFinished(status)) }
            }
        }
    }

    async fn withdraw_job(&self, job: &Job, now: Timestamp) -> Result<(), Error> {
        // The transaction that creates it may still be under way. This row makes DynamoDB refuse it.
        let row = item(&JobRow::withdrawn(&job.spec, &job.state, now)?)?;
        if !self.put_new(row).await? {
            self.cancel_job(job, &[], now).await?;
        }
        Ok(())
    }

    async fn close_job(&self, job: JobUid, status: &[JobStatus]) -> Result<(), Error> {
        let closing = self
            .change_in(job, status, "")?
            .update_expression("SET closing = :closing")
            .expression_attribute_values(":closing", attribute(&true)?);
        // In a transaction, which is repeated if it conflicts with those of the workers.
        self.transact(vec![update(closing)?]).await?;
        Ok(())
    }

    async fn refuse_job(&self, job: JobUid, refusal: &str) -> Result<(), Error> {
        let refused = self
            .change_in(job, &[JobStatus::Running], "")?
            .update_expression("SET refusal = if_not_exists(refusal, :refusal)")
            .expression_attribute_values(":refusal", text(refusal));
        // In a transaction, for the same reason as in `close_job`.
        self.transact(vec![update(refused)?]).await?;
        Ok(())
    }

    async fn unwatch_job(&self, job: JobUid) -> Result<(), Error> {
        let request = self
            .update_row(Key::job(job))
            .update_expression(format!("REMOVE {}, {}", ACTIVE.pk, ACTIVE.sk))
            .condition_expression("NOT #status IN (:pending, :running)") // an active job stays watched (I5)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", attribute(&JobStatus::Pending)?)
            .expression_attribute_values(":running", attribute(&JobStatus::Running)?);
        request.send().await.map_err(classify)?;
        Ok(())
    }

    async fn end_job(&self, job: &Job, ending: &Ending, now: Timestamp) -> Result<bool, Error> {
        // The summary and the event have these counters: a chunk committed since would make them wrong (I2, I6).
        let as_read = "#status = :status AND successful = :successful AND failed = :failed AND skipped = :skipped";
        let counters = job.state.counters;
        let state = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::job(job.spec.uid).into()))
            // No longer watched: its deliveries are in the outbox.
            .update_expression(format!(
                "SET #status = :ended, completed_at = :now, progressed_at = :now, error_message = :error, summary = :summary \
                 REMOVE {}, {}, closing",
                ACTIVE.pk, ACTIVE.sk
            ))
            .condition_expression(as_read)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", attribute(&job.state.status)?)
            .expression_attribute_values(":successful", number(counters.successful))
            .expression_attribute_values(":failed", number(counters.failed))
            .expression_attribute_values(":skipped", number(counters.skipped))
            .expression_attribute_values(":ended", attribute(&job.state.status.after(ending.event)?)?)
            .expression_attribute_values(":error", attribute(&ending.error_message)?)
            .expression_attribute_values(":summary", attribute(&ending.summary)?)
            .expression_attribute_values(":now", attribute(&now)?);
        let mut actions = vec![update(state)?, self.unlock(job.spec.project, job.spec.uid)?];
        actions.extend(self.outgoing(&ending.deliveries)?);
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }
}

impl Store {
    /// The jobs of these uids that exist, in this order, each with its bytes as JSON.
    async fn jobs_by_uid(&self, uids: &[JobUid]) -> Result<Vec<(Job, usize)>, Error> {
        let rows = self.get_many(uids.iter().copied().map(Key::job).collect()).await?;
        rows.into_iter().map(|row| read::<JobRow>(row)?.read_sized()).collect()
    }

    /// A move of a job by an event, from a status in which the event may happen (I5) to `:to`. `and` is a further condition.
    fn moved(&self, job: JobUid, event: JobEvent, and: &str) -> Result<UpdateBuilder, Error> {
        let (from, to) = event.moves();
        Ok(self.change_in(job, from, and)?.expression_attribute_values(":to", attribute(&to)?))
    }

    /// A change of a job that has one of these statuses. `and` is a further condition.
    fn change_in(&self, job: JobUid, status: &[JobStatus], and: &str) -> Result<UpdateBuilder, Error> {
        let names: Vec<String> = (0..status.len()).map(|n| format!(":status{n}")).collect();
        let mut change = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::job(job).into()))
            .condition_expression(format!("#status IN ({}){and}", names.join(", ")))
            .expression_attribute_names("#status", "status");
        for (name, status) in names.into_iter().zip(status) {
            change = change.expression_attribute_values(name, attribute(status)?);
        }
        Ok(change)
    }

    /// Frees a project. A lock that is gone is fine; that of another job makes DynamoDB refuse the transaction.
    fn unlock(&self, project: ProjectUid, job: JobUid) -> Result<TransactWriteItem, Error> {
        let unlocked = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(Key::lock(project).into()))
            .condition_expression("attribute_not_exists(pk) OR job = :job")
            .expression_attribute_values(":job", text(job.to_string()));
        delete(unlocked)
    }

    /// Records deliveries, in the transaction of the change that causes them (I6).
    pub(super) fn outgoing(&self, deliveries: &[Delivery]) -> Result<Vec<TransactWriteItem>, Error> {
        deliveries.iter().map(|delivery| put(self.put(item(&DeliveryRow::new(delivery))?))).collect()
    }

    pub(super) fn put(&self, row: Row) -> PutBuilder {
        Put::builder().table_name(&self.table).set_item(Some(row))
    }
}

pub(super) fn put(put: PutBuilder) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
}

pub(super) fn delete(delete: DeleteBuilder) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build())
}

pub(super) fn update(update: UpdateBuilder) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build())
}

fn status_of(job: JobUid, row: Option<&Row>) -> Result<JobStatus, Error> {
    let status = row.and_then(|row| row.get("status")?.as_s().ok()).ok_or_else(|| job.missing())?;
    JobStatus::named(status).ok_or_else(|| Error::internal("a job in no known status"))
}

//! Jobs: their rows, and the moves between statuses as conditional writes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};

use super::Store;
use super::calls::{Found, Row, Transacted, attribute, classify, key_of, looked_at, number, read, refused, text};
use super::keys::{self, ACTIVE, Key};
use super::rows::{DeliveryRow, JobListingRow, JobRow, PlanRow, item};
use crate::domain::id::{JobUid, OrganizationUid, ProjectUid};
use crate::domain::job::plan::Plan;
use crate::domain::job::{Job, JobSpec, JobState};
use crate::domain::job_status::JobStatus;
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
        self.get::<JobRow>(Key::job(uid)).await?.ok_or(Error::NotFound)?.read()
    }

    async fn jobs(&self, organization: OrganizationUid, filter: JobFilter, slice: &Slice) -> Result<Page<Job>, Error> {
        let list = filter.project.map_or_else(|| keys::jobs_of_organization(organization), keys::jobs_of_project);
        let look = if filter.status.is_none() { slice.clone() } else { looked_at(slice) };
        let Found { entries, further } = self.find_in_list(&list, &look).await?;
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
        let state = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::job(plan.job).into()))
            .update_expression("SET #status = :running, #total = :total, started_at = :now, progressed_at = :now")
            .condition_expression("#status = :pending AND attribute_not_exists(closing)") // planned once, and never after a cancel
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":running", attribute(&JobStatus::Running)?)
            .expression_attribute_values(":pending", attribute(&JobStatus::Pending)?)
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
        let state = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::job(job.spec.uid).into()))
            .update_expression("SET #status = :cancelled, completed_at = :now, progressed_at = :now")
            .condition_expression("#status IN (:pending, :running)") // never over an end (I5)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":cancelled", attribute(&JobStatus::Cancelled)?)
            .expression_attribute_values(":pending", attribute(&JobStatus::Pending)?)
            .expression_attribute_values(":running", attribute(&JobStatus::Running)?)
            .expression_attribute_values(":now", attribute(&now)?);
        let mut actions = vec![update(state)?, self.unlock(job.spec.project, job.spec.uid)?];
        actions.extend(self.outgoing(deliveries)?);
        match self.transact(actions).await? {
            Transacted::Done => Ok(true),
            // AllOld hands us the row that won, without a second read: judge that one.
            Transacted::Refused(reasons) => match status_of(reasons.first().and_then(|reason| reason.item()))? {
                JobStatus::Cancelled => Ok(false),
                status => Err(Error::JobFinished(status)),
            },
        }
    }

    async fn withdraw_job(&self, job: &Job, now: Timestamp) -> Result<(), Error> {
        // The transaction that creates it may still be on its way. It finds a row there and is refused.
        let row = item(&JobRow::withdrawn(&job.spec, &job.state, now)?)?;
        if !self.put_new(row).await? {
            self.cancel_job(job, &[], now).await?;
        }
        Ok(())
    }

    async fn close_job(&self, job: JobUid, status: &[JobStatus]) -> Result<(), Error> {
        let positions: Vec<String> = (0..status.len()).map(|n| format!(":status{n}")).collect();
        let mut closing = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::job(job).into()))
            .update_expression("SET closing = :closing")
            .condition_expression(format!("#status IN ({})", positions.join(", ")))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":closing", attribute(&true)?);
        for (position, status) in positions.into_iter().zip(status) {
            closing = closing.expression_attribute_values(position, attribute(status)?);
        }
        // In a transaction, since it meets those of the workers: it is they that are repeated with patience.
        self.transact(vec![update(closing)?]).await?;
        Ok(())
    }

    async fn refuse_job(&self, job: JobUid, refusal: &str) -> Result<(), Error> {
        let refused = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::job(job).into()))
            .update_expression("SET refusal = if_not_exists(refusal, :refusal)")
            .condition_expression("#status = :running")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":refusal", text(refusal))
            .expression_attribute_values(":running", attribute(&JobStatus::Running)?);
        // In a transaction, as a close is: it meets the commits of the other workers.
        self.transact(vec![update(refused)?]).await?;
        Ok(())
    }

    async fn unwatch_job(&self, job: JobUid) -> Result<(), Error> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::job(job).into()))
            .update_expression(format!("REMOVE {}, {}", ACTIVE.pk, ACTIVE.sk))
            .condition_expression("NOT #status IN (:pending, :running)") // an active job is never out of sight (I5)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", attribute(&JobStatus::Pending)?)
            .expression_attribute_values(":running", attribute(&JobStatus::Running)?);
        request.send().await.map_err(classify)?;
        Ok(())
    }

    async fn end_job(&self, job: &Job, ending: &Ending, now: Timestamp) -> Result<bool, Error> {
        // The summary and the event speak of these counters: a chunk committed since makes them untrue (I2, I6).
        let still_as_judged =
            "#status = :status AND successful = :successful AND failed = :failed AND skipped = :skipped";
        let counters = job.state.counters;
        let state = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::job(job.spec.uid).into()))
            // Nothing is left to look after: what is told has an outbox of its own.
            .update_expression(format!(
                "SET #status = :ended, completed_at = :now, progressed_at = :now, error_message = :error, summary = :summary \
                 REMOVE {}, {}, closing",
                ACTIVE.pk, ACTIVE.sk
            ))
            .condition_expression(still_as_judged)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", attribute(&job.state.status)?)
            .expression_attribute_values(":successful", number(counters.successful))
            .expression_attribute_values(":failed", number(counters.failed))
            .expression_attribute_values(":skipped", number(counters.skipped))
            .expression_attribute_values(":ended", attribute(&ending.status)?)
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
        let keys = uids.iter().copied().map(Key::job).collect();
        let mut found: HashMap<String, Row> =
            self.get_many(keys).await?.into_iter().filter_map(|row| Some((key_of(&row)?.pk, row))).collect();
        let rows = uids.iter().filter_map(|uid| found.remove(&Key::job(*uid).pk));
        rows.map(|row| read::<JobRow>(row)?.read_sized()).collect()
    }

    /// Frees a project. A lock that is gone is fine; another job's is not ours to take.
    fn unlock(&self, project: ProjectUid, job: JobUid) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(Key::lock(project).into()))
            .condition_expression("attribute_not_exists(pk) OR job = :job")
            .expression_attribute_values(":job", text(job.to_string()));
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build())
    }

    /// Records what is told, in the transaction of what it tells (I6).
    pub(super) fn outgoing(&self, deliveries: &[Delivery]) -> Result<Vec<TransactWriteItem>, Error> {
        deliveries.iter().map(|delivery| put(self.put(item(&DeliveryRow::new(delivery))?))).collect()
    }

    pub(super) fn put(&self, row: Row) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.table).set_item(Some(row))
    }
}

pub(super) fn put(put: aws_sdk_dynamodb::types::builders::PutBuilder) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
}

pub(super) fn update(update: aws_sdk_dynamodb::types::builders::UpdateBuilder) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build())
}

fn status_of(row: Option<&Row>) -> Result<JobStatus, Error> {
    let status = row.and_then(|row| row.get("status")?.as_s().ok()).ok_or(Error::NotFound)?;
    JobStatus::named(status).ok_or_else(|| Error::internal("a job in no known status"))
}

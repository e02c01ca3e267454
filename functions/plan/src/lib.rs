//! Plan: picks the unlabeled items of a job's project, or those that another job left, and cuts them into batches.

mod empty;
mod manifest;
mod pick;

use serde::Deserialize;
use shared::domain::Error;
use shared::domain::id::JobUid;
use shared::domain::job::JobSpec;
use shared::domain::job::plan::{Cut, Plan, Planned, Workers};
use shared::domain::prediction::model_type::ModelType;
use shared::ports::{Clock, Items, Jobs, Ledger, Objects, Providers, WaitingUploads};
use shared::services::serving::{JobModel, model_of_job};
use tracing::info;

use crate::manifest::Manifest;

/// The execution's input.
#[derive(Debug, Deserialize)]
pub struct Input {
    job: JobUid,
}

/// The ports and settings of the function.
pub struct Planner<S, T, O, C> {
    /// The table.
    pub store: S,
    /// The table again, for what it knows of items and providers.
    pub tenants: T,
    /// The bucket.
    pub objects: O,
    /// Dates the start of the job, and the day of uploads.
    pub clock: C,
    /// Items that one job takes (contract, 6.3).
    pub item_cap: usize,
    /// Batches that an inline Map takes.
    pub inline_batches: usize,
    /// How many workers there may be.
    pub workers: Workers,
    /// Model calls in flight, over all workers of a job, at the deployment's own endpoints.
    pub max_concurrency: u32,
}

impl<S: Jobs + Ledger, T: Items + Providers + WaitingUploads, O: Objects, C: Clock> Planner<S, T, O, C> {
    /// Plans a job and sets it running. A repeated call returns the first plan: batches must never be cut twice.
    ///
    /// # Errors
    /// `JobFinished` if it was cancelled meanwhile; `StoreUnavailable`, `ObjectsUnavailable`.
    pub async fn plan(&self, input: Input, attempt: &str) -> Result<Planned, Error> {
        let plan = self.make(input, attempt).await?;
        if plan.is_inline(self.inline_batches) {
            return Ok(plan.inline());
        }
        let key = format!("jobs/{}/batches.json", plan.job);
        self.objects.put(&key, "application/json", serde_json::to_vec(&plan.batches).map_err(Error::internal)?).await?;
        Ok(plan.listed(key))
    }

    async fn make(&self, input: Input, attempt: &str) -> Result<Plan, Error> {
        let job = self.store.job(input.job).await?;
        if !job.state.status.is_active() {
            return Err(Error::JobFinished(job.state.status));
        }
        if let Some(plan) = self.store.plan(input.job).await? {
            return Ok(plan);
        }
        // Named by the attempt: a late second attempt must not write over lines that workers already read.
        let key = format!("jobs/{}/manifest-{attempt}.jsonl", job.spec.uid);
        let mut manifest = Manifest::begin(&self.objects, key, self.item_cap);
        let now = self.clock.now();
        let selection = self.selection(&job.spec).await?;
        let uploads = self.pick(&job.spec, &selection, &mut manifest, now).await?;
        let lines = manifest.finish().await?;
        let latency_ms = job.spec.options.model_type.unwrap_or(ModelType::Yolo).usual_latency_ms();
        let cut = Cut::of(lines.count(), self.workers, self.concurrency(&job.spec).await?, latency_ms);
        let (total, truncated) = (u32::try_from(lines.count()).map_err(Error::internal)?, lines.truncated);
        let note = if total == 0 { Some(self.why_empty(&job.spec, &selection, now).await?) } else { None };
        let plan =
            Plan { job: input.job, workers: cut.workers, batches: lines.batches(input.job, cut)?, truncated, note };
        let plan = self.store.plan_job(&plan, total, uploads.as_ref(), now).await?;
        info!(job.uid = %input.job, items = total, batches = plan.batches.len(), truncated, "job planned");
        Ok(plan)
    }

    /// Model calls in flight over all workers of the job. A provider that no longer serves it is the workers' error to report.
    async fn concurrency(&self, spec: &JobSpec) -> Result<u32, Error> {
        Ok(match model_of_job(&self.tenants, spec).await? {
            JobModel::Deployment => self.max_concurrency,
            JobModel::Provider(provider) | JobModel::Inactive(provider) => provider.connection.max_concurrency(),
            JobModel::Deleted => 1,
        })
    }
}

#[cfg(test)]
mod tests;

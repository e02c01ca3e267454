//! Plan: picks the unlabeled items of a job's project, or what another job has left of them, and cuts them into batches.

mod pick;

use serde::Deserialize;
use shared::domain::Error;
use shared::domain::id::JobUid;
use shared::domain::item::Asset;
use shared::domain::job::{JobSpec, ModelType};
use shared::domain::plan::{Batch, Cut, Plan, Workers};
use shared::ports::{Clock, Items, Jobs, Ledger, Objects, Providers, Uploads};
use tracing::info;

use crate::pick::Pick;

/// The execution's input.
#[derive(Debug, Deserialize)]
pub struct Input {
    job: JobUid,
}

/// What planning works with.
pub struct Planner<S, O, C> {
    /// The table.
    pub store: S,
    /// The bucket.
    pub objects: O,
    /// The time.
    pub clock: C,
    /// Items that one job takes (contract, 6.3).
    pub item_cap: usize,
    /// How many workers there may be.
    pub workers: Workers,
    /// Model calls in flight, over all workers of a job, at the deployment's own endpoints.
    pub max_concurrency: u32,
}

impl<S: Jobs + Items + Ledger + Providers + Uploads, O: Objects, C: Clock> Planner<S, O, C> {
    /// Plans a job and sets it running. A repeated call answers the first plan again: batches must never be cut twice.
    ///
    /// # Errors
    /// `JobFinished` if it was cancelled meanwhile; `StoreUnavailable`, `ObjectsUnavailable`.
    pub async fn plan(&self, input: Input, attempt: &str) -> Result<Plan, Error> {
        let job = self.store.job(input.job).await?;
        if !job.state.status.is_active() {
            return Err(Error::JobFinished(job.state.status));
        }
        if let Some(plan) = self.store.plan(input.job).await? {
            return Ok(plan);
        }
        let now = self.clock.now();
        let Pick { assets, truncated, uploads } = self.pick(&job.spec, now).await?;
        let latency_ms = job.spec.model_type.unwrap_or(ModelType::Yolo).usual_latency_ms();
        let concurrency = self.concurrency(&job.spec).await?;
        let cut = Cut::of(assets.len(), self.workers, concurrency, latency_ms);
        // Named by the attempt: a late second attempt must not write over lines that workers already read.
        let manifest = format!("jobs/{}/manifest-{attempt}.jsonl", job.spec.uid);
        let (lines, batches) = lay_out(input.job, &manifest, &assets, cut)?;
        if !assets.is_empty() {
            self.objects.put(&manifest, "application/jsonl", lines).await?;
        }
        let plan = Plan { job: input.job, workers: cut.workers, batches, truncated };
        let total = u32::try_from(assets.len()).map_err(Error::internal)?;
        let plan = self.store.start_job(&plan, total, uploads.as_ref(), now).await?;
        let is_all = !truncated && job.spec.uploads.as_ref().is_some_and(|run| run.until.is_none());
        if let Some(picked) = uploads.filter(|_| is_all) {
            self.store.forget_arrivals(picked.organization, picked.project, 0).await?;
        }
        info!(job.uid = %input.job, items = total, batches = plan.batches.len(), truncated, "job planned");
        Ok(plan)
    }

    /// Model calls in flight over all workers of the job. A provider that is gone takes none: that is for the workers to say.
    async fn concurrency(&self, spec: &JobSpec) -> Result<u32, Error> {
        let Some(uid) = spec.provider else { return Ok(self.max_concurrency) };
        match self.store.provider(spec.organization, uid).await {
            Ok(provider) => Ok(provider.connection.max_concurrency()),
            Err(Error::NotFound) => Ok(1),
            Err(error) => Err(error),
        }
    }
}

/// The manifest, and the range of it that each batch is.
fn lay_out(job: JobUid, manifest: &str, assets: &[Asset], cut: Cut) -> Result<(Vec<u8>, Vec<Batch>), Error> {
    let mut lines = Vec::new();
    let mut batches = Vec::new();
    for (batch, slice) in (0..).zip(assets.chunks(cut.batch_items)) {
        let offset = lines.len();
        for asset in slice {
            serde_json::to_writer(&mut lines, asset).map_err(Error::internal)?;
            lines.push(b'\n');
        }
        batches.push(Batch {
            job,
            batch,
            manifest: manifest.to_owned(),
            offset: offset as u64,
            length: (lines.len() - offset) as u64,
            items: u32::try_from(slice.len()).map_err(Error::internal)?,
            chunk_items: u32::try_from(cut.chunk_items).map_err(Error::internal)?,
            slots: cut.slots(batch),
            workers: cut.workers,
        });
    }
    Ok((lines, batches))
}

#[cfg(test)]
mod tests {
    use shared::domain::Timestamp;
    use shared::domain::id::{ItemUid, ProjectUid};
    use shared::domain::item::{AssetType, Size, Source};

    use super::*;

    #[test]
    fn every_item_is_in_exactly_one_batch_and_every_range_holds_its_lines() {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let project = ProjectUid::at(now);
        let asset = |n: usize| Asset {
            uid: ItemUid::of(project, &n.to_string()),
            kind: AssetType::Image,
            size: Some(Size { width: 10, height: 10 }),
            source: Source::Bucket(format!("projects/x/{n}.jpg")),
        };
        let assets: Vec<Asset> = (0..1_003).map(asset).collect();

        let cut = Cut::of(assets.len(), Workers { most: 4, slots_each: 4 }, 16, 50);

        let (lines, batches) = lay_out(JobUid::at(now), "m", &assets, cut).unwrap();

        let mut seen = Vec::new();
        for batch in &batches {
            let range = &lines[batch.offset as usize..(batch.offset + batch.length) as usize];
            let read: Vec<Asset> =
                serde_json::Deserializer::from_slice(range).into_iter().collect::<Result<_, _>>().unwrap();
            assert_eq!(read.len(), batch.items as usize);
            seen.extend(read);
        }
        assert_eq!(seen, assets);
    }
}

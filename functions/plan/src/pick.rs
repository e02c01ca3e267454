//! Which items a job takes.

use std::collections::HashSet;

use shared::domain::Error;
use shared::domain::id::{ItemUid, JobUid};
use shared::domain::item::Asset;
use shared::domain::job::JobSpec;
use shared::domain::outcome::Receipt;
use shared::domain::plan::Plan;
use shared::ports::{Items, Jobs, Ledger, Manifests, Objects};

use crate::Planner;

/// Items that are read at once.
const ITEMS: usize = 100;

impl<S: Jobs + Items + Ledger, O: Objects, C> Planner<S, O, C> {
    /// The job's items in the order of their creation, and whether there are more than one job takes: the unlabeled ones of
    /// its project, or what the job that it retries has left behind.
    pub(crate) async fn pick(&self, spec: &JobSpec) -> Result<(Vec<Asset>, bool), Error> {
        let mut retries = spec.retry_of;
        while let Some(retried) = retries {
            if let Some(plan) = self.store.plan(retried).await? {
                let mut left = self.left_by(retried, &plan).await?;
                let more = left.len() > self.item_cap;
                left.truncate(self.item_cap);
                return Ok((left, more));
            }
            // One that was never planned leaves behind what it was to pick itself.
            retries = self.store.job(retried).await?.spec.retry_of;
        }
        self.store.unlabeled(spec.project, self.item_cap).await
    }

    /// Items that failed in a job, or that it did not get to, and that nobody has labeled since.
    async fn left_by(&self, job: JobUid, plan: &Plan) -> Result<Vec<Asset>, Error> {
        let receipts = self.store.receipts(job).await?;
        let settled: HashSet<ItemUid> = receipts.iter().flat_map(Receipt::settled).collect();
        let mut left = Vec::new();
        for batch in &plan.batches {
            let picked = self.objects.assets(batch).await?.into_iter().map(|asset| asset.uid);
            let open: Vec<ItemUid> = picked.filter(|item| !settled.contains(item)).collect();
            for uids in open.chunks(ITEMS) {
                let items = self.store.items(uids).await?;
                left.extend(items.into_iter().filter(|item| item.result.is_none()).map(|item| item.asset));
            }
        }
        Ok(left)
    }
}

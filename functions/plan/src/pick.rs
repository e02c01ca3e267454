//! Which items a job takes.

use std::collections::HashSet;
use std::pin::pin;

use futures_util::TryStreamExt;
use shared::domain::Error;
use shared::domain::id::ItemUid;
use shared::domain::item::Asset;
use shared::domain::job::JobSpec;
use shared::domain::plan::{Batch, Plan};
use shared::ports::{Items, Jobs, Ledger, Manifests, Objects};

use crate::Planner;
use crate::manifest::Manifest;

/// Items that are read at once.
const ITEMS: usize = 100;

impl<S: Jobs + Ledger, T: Items, O: Objects, C> Planner<S, T, O, C> {
    /// Fills the manifest with the job's items in the order of their creation: the unlabeled ones of its project, or what the
    /// job that it retries has left behind.
    pub(crate) async fn pick(&self, spec: &JobSpec, manifest: &mut Manifest<'_, O>) -> Result<(), Error> {
        let mut retries = spec.retry_of;
        while let Some(retried) = retries {
            if let Some(plan) = self.store.plan(retried).await? {
                return self.pick_left(&plan, manifest).await;
            }
            // One that was never planned leaves behind what it was to pick itself.
            retries = self.store.job(retried).await?.spec.retry_of;
        }
        let mut unlabeled = pin!(self.tenants.unlabeled(spec.project));
        while let Some(assets) = unlabeled.try_next().await? {
            if manifest.add(assets).await?.is_break() {
                break;
            }
        }
        Ok(())
    }

    async fn pick_left(&self, plan: &Plan, manifest: &mut Manifest<'_, O>) -> Result<(), Error> {
        for batch in &plan.batches {
            if manifest.add(self.left_of(batch).await?).await?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Items of a batch that failed, or that its job did not get to, and that nobody has labeled since.
    async fn left_of(&self, batch: &Batch) -> Result<Vec<Asset>, Error> {
        let mut settled = HashSet::new();
        let mut receipts = pin!(self.store.receipts(batch.job, Some(batch.batch)));
        while let Some(receipt) = receipts.try_next().await? {
            settled.extend(receipt.settled());
        }
        let picked = self.objects.assets(batch).await?.into_iter().map(|asset| asset.uid);
        let open: Vec<ItemUid> = picked.filter(|item| !settled.contains(item)).collect();
        let mut left = Vec::new();
        for uids in open.chunks(ITEMS) {
            let items = self.tenants.items(uids).await?;
            left.extend(items.into_iter().filter(|item| item.result.is_none()).map(|item| item.asset));
        }
        Ok(left)
    }
}

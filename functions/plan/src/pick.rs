//! Which items a job takes.

use std::collections::HashSet;

use shared::domain::id::{ItemUid, JobUid};
use shared::domain::item::{Asset, Item};
use shared::domain::job::{JobSpec, UploadRun};
use shared::domain::outcome::Receipt;
use shared::domain::plan::Plan;
use shared::domain::{Error, Timestamp};
use shared::ports::{Items, Jobs, Ledger, Manifests, Objects, Picked, Stretch, Uploads};

use crate::Planner;

/// Items that are read at once.
const ITEMS: usize = 100;

/// What a job is to work through.
pub(crate) struct Pick {
    /// In the order of their creation.
    pub(crate) assets: Vec<Asset>,
    /// There are more than one job takes.
    pub(crate) truncated: bool,
    /// Of a job that takes a project's uploads.
    pub(crate) uploads: Option<Picked>,
}

impl Pick {
    fn of((assets, truncated): (Vec<Asset>, bool)) -> Self {
        Self { assets, truncated, uploads: None }
    }
}

impl<S: Jobs + Items + Ledger + Uploads, O: Objects, C> Planner<S, O, C> {
    /// The job's items: the unlabeled ones of its project, or what the job that it retries has left behind, or uploads.
    pub(crate) async fn pick(&self, spec: &JobSpec, now: Timestamp) -> Result<Pick, Error> {
        if let Some(run) = &spec.uploads {
            return self.pick_uploads(spec, run, now).await;
        }
        let mut retries = spec.retry_of;
        while let Some(retried) = retries {
            if let Some(plan) = self.store.plan(retried).await? {
                let mut left = self.left_by(retried, &plan).await?;
                let more = left.len() > self.item_cap;
                left.truncate(self.item_cap);
                return Ok(Pick::of((left, more)));
            }
            // One that was never planned leaves behind what it was to pick itself.
            retries = self.store.job(retried).await?.spec.retry_of;
        }
        self.store.unlabeled(spec.project, self.item_cap).await.map(Pick::of)
    }

    /// What came behind the last such job, as much as the day has room for.
    async fn pick_uploads(&self, spec: &JobSpec, run: &UploadRun, now: Timestamp) -> Result<Pick, Error> {
        let arrivals = self.store.arrivals(spec.organization, spec.project).await?;
        let room = run.max_items_per_day.saturating_sub(self.store.taken_today(spec.project, now).await?);
        let most = usize::try_from(room).unwrap_or(self.item_cap).min(self.item_cap);
        let stretch = Stretch { after: arrivals.taken_until, until: run.until };
        let (picked, truncated) = self.store.unlabeled_in(spec.project, &stretch, most).await?;
        let uploads = Picked {
            organization: spec.organization,
            project: spec.project,
            max_items_per_day: run.max_items_per_day,
            until: picked.last().map(|(place, _)| place.clone()),
            waited: arrivals.waiting,
        };
        let assets = picked.into_iter().map(|(_, asset)| asset).collect();
        Ok(Pick { assets, truncated, uploads: Some(uploads) })
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
                left.extend(items.into_iter().filter(Item::waits).map(|item| item.asset));
            }
        }
        Ok(left)
    }
}

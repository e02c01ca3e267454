//! Which items a job takes.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::domain::id::ItemUid;
use shared::domain::item::{Asset, Item};
use shared::domain::job::plan::{Batch, Plan};
use shared::domain::job::{JobSpec, UploadRun};
use shared::domain::{Error, Timestamp, limits};
use shared::ports::{Items, Jobs, Ledger, Manifests, Objects, Picked, UnlabeledQuery, WaitingUploads};

use crate::Planner;
use crate::manifest::Manifest;

/// See [`limits::UPLOAD_SETTLED_SECONDS`].
const SETTLED: Duration = Duration::from_secs(limits::UPLOAD_SETTLED_SECONDS);
/// Items that are read by one call.
const ITEMS: usize = 100;
/// Such calls at once: a batch of 5,000 items has 50.
const READS: usize = 8;

/// Where a job's items come from.
pub(crate) enum Selection<'a> {
    /// The project's uploads.
    Uploads(&'a UploadRun),
    /// What the job of this plan has left behind.
    Left(Plan),
    /// All that is unlabeled in the project.
    Unlabeled,
}

impl<S: Jobs + Ledger, T: Items + WaitingUploads, O: Objects, C> Planner<S, T, O, C> {
    /// Where the job's items come from. A retry of a job that was never planned picks what that job was to pick.
    pub(crate) async fn selection<'a>(&self, spec: &'a JobSpec) -> Result<Selection<'a>, Error> {
        if let Some(run) = &spec.uploads {
            return Ok(Selection::Uploads(run));
        }
        let mut retries = spec.retry_of;
        while let Some(retried) = retries {
            if let Some(plan) = self.store.plan(retried).await? {
                return Ok(Selection::Left(plan));
            }
            retries = self.store.job(retried).await?.spec.retry_of;
        }
        Ok(Selection::Unlabeled)
    }

    /// Fills the manifest with the job's items in the order of their creation. Returns what it takes of uploads.
    pub(crate) async fn pick(
        &self,
        spec: &JobSpec,
        selection: &Selection<'_>,
        manifest: &mut Manifest<'_, O>,
        now: Timestamp,
    ) -> Result<Option<Picked>, Error> {
        match selection {
            Selection::Uploads(run) => return self.pick_uploads(spec, run, manifest, now).await.map(Some),
            Selection::Left(plan) => self.pick_left(plan, manifest).await?,
            Selection::Unlabeled => self.pick_waiting(spec, manifest, now).await?,
        }
        Ok(None)
    }

    /// Adds the items of a query that no item moves into any more. Returns the position of the last one.
    async fn pick_unlabeled(
        &self,
        spec: &JobSpec,
        query: UnlabeledQuery,
        manifest: &mut Manifest<'_, O>,
    ) -> Result<Option<String>, Error> {
        let mut last = None;
        let mut unlabeled = pin!(self.tenants.unlabeled(spec.project, query));
        while let Some(waiting) = unlabeled.try_next().await? {
            let (mut positions, assets): (Vec<String>, Vec<Asset>) = waiting.into_iter().unzip();
            let before = manifest.count();
            let more = manifest.add(assets).await?;
            positions.truncate(manifest.count() - before);
            last = positions.pop().or(last);
            if more.is_break() {
                break;
            }
        }
        Ok(last)
    }

    /// What came behind the last such job, as much as the day has room for.
    async fn pick_uploads(
        &self,
        spec: &JobSpec,
        run: &UploadRun,
        manifest: &mut Manifest<'_, O>,
        now: Timestamp,
    ) -> Result<Picked, Error> {
        let backlog = self.tenants.backlog(spec.organization, spec.project).await?;
        let room = match backlog.project.auto_label_on_upload {
            Some(_) => run.max_items_per_day.saturating_sub(self.tenants.taken_today(spec.project, now).await?),
            None => 0, // it was turned off after the job was created
        };
        manifest.take_at_most(usize::try_from(room).unwrap_or(usize::MAX));
        let query = UnlabeledQuery {
            after: backlog.taken_until,
            until: Some(run.until),
            uploads: true,
            ..UnlabeledQuery::default()
        };
        Ok(Picked {
            organization: spec.organization,
            project: spec.project,
            max_items_per_day: run.max_items_per_day,
            until: self.pick_unlabeled(spec, query, manifest).await?,
            counted: backlog.counted,
        })
    }

    async fn pick_left(&self, plan: &Plan, manifest: &mut Manifest<'_, O>) -> Result<(), Error> {
        for batch in &plan.batches {
            if manifest.add(self.left_of(batch).await?).await?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Items of a batch that failed, or that its job did not get to, and that are still unlabeled.
    async fn left_of(&self, batch: &Batch) -> Result<Vec<Asset>, Error> {
        let mut settled = HashSet::new();
        let mut receipts = pin!(self.store.receipts(batch.job, Some(batch.batch)));
        while let Some(receipt) = receipts.try_next().await? {
            settled.extend(receipt.settled());
        }
        let picked = self.objects.assets(batch).await?.into_iter().map(|asset| asset.uid);
        // `insert`: a plan of an earlier version may have an item twice.
        let open: Vec<ItemUid> = picked.filter(|item| settled.insert(*item)).collect();
        let reads = stream::iter(open.chunks(ITEMS).map(|uids| self.tenants.items(uids))).buffered(READS);
        let waiting = |items: Vec<Item>| stream::iter(items.into_iter().filter(Item::waits).map(|item| Ok(item.asset)));
        reads.map_ok(waiting).try_flatten().try_collect().await
    }
}

impl<S, T: Items, O: Objects, C> Planner<S, T, O, C> {
    /// All that is unlabeled now, each item once.
    ///
    /// An item may move to the end of the index during the walk: its file is uploaded or changed. Found at both positions, it would
    /// be in the manifest twice (I1). So the youngest items are read first and held in memory; the walk leaves them out and ends
    /// before them. An item that moves after that goes behind the end of the walk, unless clocks and the index differ by more than
    /// [`SETTLED`]; the walk does not find it, and it waits for the next job. Held are the items that a project's index gets
    /// within twice that time, however many items there are.
    pub(crate) async fn pick_waiting(
        &self,
        spec: &JobSpec,
        manifest: &mut Manifest<'_, O>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let settled = now - SETTLED;
        let young = UnlabeledQuery { since: Some(settled), until: Some(now + SETTLED), ..UnlabeledQuery::default() };
        let young: Vec<(String, Asset)> = self.tenants.unlabeled(spec.project, young).try_concat().await?;
        let mut taken: HashSet<ItemUid> = young.iter().map(|(_, asset)| asset.uid).collect();
        let mut old = pin!(
            self.tenants.unlabeled(spec.project, UnlabeledQuery { until: Some(settled), ..UnlabeledQuery::default() })
        );
        while let Some(waiting) = old.try_next().await? {
            let assets =
                waiting.into_iter().map(|(_, asset)| asset).filter(|asset| !taken.contains(&asset.uid)).collect();
            if manifest.add(assets).await?.is_break() {
                return Ok(());
            }
        }
        // Of an item that moved while the young ones were read, the entry that comes first.
        let once = young.into_iter().map(|(_, asset)| asset).filter(|asset| taken.remove(&asset.uid));
        manifest.add(once.collect()).await.map(|_break| ())
    }
}

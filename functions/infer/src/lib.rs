//! Infer: works through one batch. Asks the model about each item, keeps what it said, and commits chunk by chunk.
//!
//! Safe to repeat and safe to run twice at once: chunks are fixed ranges of the manifest, and a chunk is committed
//! once (design.md, section 4). One task drives everything: calls, commits and the watch over the job's status run
//! side by side, so that the model never waits for a commit.

mod ask;
mod chunks;
mod raw;

use std::cell::Cell;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde::Serialize;
use shared::domain::Error;
use shared::domain::connection::SageMaker;
use shared::domain::job::{JobSpec, JobStatus, ModelType};
use shared::domain::plan::Batch;
use shared::domain::source::SourceBuckets;
use shared::ports::{Chunk, Clock, Commit, Connect, Files, Jobs, Ledger, Manifests, Objects, Providers};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tracing::info;

use ask::{Answer, Asking};
use chunks::Chunks;
use raw::Raw;

/// How often a worker looks whether its job goes on (I7: a cancel is seen within one model latency and a second).
const WATCH: Duration = Duration::from_millis(500);
/// Nothing new is begun in the last part of the Lambda's time: what is in flight must still be committed.
const LAST_START: Duration = Duration::from_secs(90);
/// And then it is handed back.
const LAST_COMMIT: Duration = Duration::from_secs(10);

/// What a worker works with.
pub struct Worker<S, P, O, W, M, C> {
    /// The table.
    pub store: S,
    /// The table again, for what it knows of providers.
    pub providers: P,
    /// The bucket.
    pub objects: O,
    /// What models point at: masks.
    pub web: W,
    /// What of S3 each organization may name.
    pub buckets: SourceBuckets,
    /// The way to models.
    pub models: M,
    /// The time.
    pub clock: C,
    /// Who drafts are attributed to.
    pub bot: String,
    /// The deployment's own endpoint for a model type.
    pub endpoints: Vec<(ModelType, SageMaker)>,
}

/// What one invocation did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Chunks that this invocation committed.
    pub committed: u32,
    /// Model calls that were answered, well or badly.
    pub calls: u32,
}

impl<S, P, O, W, M, C> Worker<S, P, O, W, M, C>
where
    S: Jobs + Ledger,
    P: Providers,
    O: Objects + Files,
    W: Files,
    M: Connect,
    C: Clock,
{
    /// Works through a batch until it is done, the job is over, or `deadline` comes near.
    ///
    /// # Errors
    /// `ProviderRefused`: the model cannot serve this job. `BatchUnfinished`: call again, the rest is still open.
    /// `StoreUnavailable`, `ObjectsUnavailable`, `SecretsUnavailable`.
    pub async fn run(&self, batch: &Batch, attempt: &str, deadline: Instant) -> Result<Report, Error> {
        let job = self.store.job(batch.job).await?;
        if job.state.status != JobStatus::Running {
            return Ok(Report::default()); // cancelled or ended meanwhile: nothing to do, and nothing wrong
        }
        let committed = self.store.committed(batch.job, batch.batch).await?;
        if committed.len() >= batch.items.div_ceil(batch.chunk_items) as usize {
            return Ok(Report::default());
        }
        let model = self.model(&job.spec).await?;
        let assets = self.objects.assets(batch).await?;
        let chunks = Chunks::open(batch, assets, &committed);
        let report = self.work(&job.spec, batch, &model, chunks, Raw::new(batch, attempt), deadline).await?;
        info!(job.uid = %batch.job, batch.no = batch.batch, items = batch.items, calls = report.calls, chunks = report.committed, "batch worked");
        Ok(report)
    }

    async fn work(
        &self,
        spec: &JobSpec,
        batch: &Batch,
        model: &M::Model,
        mut chunks: Chunks,
        raw: Raw,
        deadline: Instant,
    ) -> Result<Report, Error> {
        let stopped = Cell::new(false);
        let (objects, web, buckets) = (&self.objects, &self.web, &self.buckets);
        let asking = Asking { spec, model, objects, web, buckets, stopped: &stopped, fetching: Mutex::default() };
        let mut raw = Some(raw);
        let mut calls = FuturesUnordered::new();
        let mut commits = FuturesUnordered::new();
        let mut watch = std::pin::pin!(self.watch(spec, &stopped).fuse());
        let mut report = Report::default();
        loop {
            let begin = Instant::now() + LAST_START < deadline;
            while calls.len() < batch.slots as usize
                && !stopped.get()
                && let Some((place, asset)) = chunks.next(begin)
            {
                calls.push(asking.ask(asset).map(move |answer| (place, answer)));
            }
            if stopped.get() && calls.is_empty() {
                chunks.close();
            }
            // One commit at a time carries all chunks that are ready: they share the write of the raw predictions.
            if let Some(kept) = raw.take_if(|_| chunks.any_ready()) {
                commits.push(self.commit(spec, kept, chunks.take_ready()));
            }
            if calls.is_empty() && commits.is_empty() {
                break;
            }
            tokio::select! {
                Some((place, answer)) = calls.next() => {
                    report.calls += 1;
                    chunks.record(place, answer?);
                }
                Some(done) = commits.next() => {
                    let (kept, count) = done?;
                    raw = Some(kept);
                    report.committed += count;
                }
                result = &mut watch => result?,
                () = tokio::time::sleep_until(deadline - LAST_COMMIT) => return Err(Error::BatchUnfinished),
            }
        }
        if chunks.is_done() || stopped.get() { Ok(report) } else { Err(Error::BatchUnfinished) }
    }

    /// Keeps the raw predictions, then commits: a draft never points at predictions that are not there.
    async fn commit(&self, spec: &JobSpec, mut raw: Raw, ready: Vec<chunks::Ready>) -> Result<(Raw, u32), Error> {
        for chunk in &ready {
            raw.append(&chunk.answers)?;
        }
        self.objects.put(raw.key(), "application/gzip", raw.bytes().to_vec()).await?;
        let mut committed = 0;
        for chunk in ready {
            let chunk = Chunk {
                id: chunk.id,
                dropped_labels: Answer::dropped_labels(&chunk.answers),
                notes: Answer::notes(&chunk.answers),
                measured: Answer::measured(&chunk.answers),
                outcomes: Answer::outcomes(chunk.answers),
                raw: raw.key().to_owned(),
            };
            match self.store.commit(spec, &self.bot, chunk, self.clock.now()).await? {
                Commit::Done(_) => committed += 1,
                Commit::Already | Commit::JobOver => {}
            }
        }
        Ok((raw, committed))
    }

    /// Ends when the job does, after having said so.
    async fn watch(&self, spec: &JobSpec, stopped: &Cell<bool>) -> Result<(), Error> {
        loop {
            sleep(WATCH).await;
            if self.store.status(spec.uid).await? != JobStatus::Running {
                stopped.set(true);
                return Ok(());
            }
        }
    }

    /// The model of a job. A provider's credentials are opened here, once an invocation.
    async fn model(&self, spec: &JobSpec) -> Result<M::Model, Error> {
        let Some(uid) = spec.provider else {
            let own = self.endpoints.iter().find(|(model, _)| Some(*model) == spec.model_type);
            return own.map(|(_, endpoint)| self.models.own(endpoint)).ok_or_else(|| {
                Error::ProviderRefused("The deployment has no endpoint for this model type any more.".into())
            });
        };
        match self.providers.provider(spec.organization, uid).await {
            Ok(provider) if provider.serves(spec.project) => self.models.connect(&provider).await,
            Ok(_) => {
                Err(Error::ProviderRefused("The inference provider is not active for this project any more.".into()))
            }
            Err(Error::NotFound) => Err(Error::ProviderRefused("The inference provider was deleted.".into())),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;

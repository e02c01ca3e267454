//! Infer: works through one batch. Calls the model about each item, keeps its predictions, and commits chunk by chunk.
//!
//! Safe to repeat and safe to run twice at once: chunks are fixed ranges of the manifest, and each is committed once (I1, I2).
//! One task drives everything: calls, commits and the watch over the job's status run side by side, so that the model never
//! waits for a commit.

mod ask;
mod chunks;
mod gate;
mod raw;
mod run;
mod tries;

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde::Serialize;
use shared::domain::id::JobUid;
use shared::domain::item::source::SourceBuckets;
use shared::domain::job::breaker::{self, Breaker};
use shared::domain::job::outcome::{ItemCommit, Outcome};
use shared::domain::job::plan::Batch;
use shared::domain::job::{Job, JobSpec};
use shared::domain::job_status::JobStatus;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::provider::InferenceProvider;
use shared::domain::provider::connection::SageMaker;
use shared::domain::{Error, Timestamp};
use shared::ports::{Chunk, Clock, Commit, Connect, Files, Jobs, Ledger, Manifests, Model, Objects, Providers};
use shared::services::serving::{JobModel, model_of_job};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use ask::{Asking, LONGEST};
use chunks::{ChunkSlot, Chunks};
use gate::{Gate, Load};
use raw::RawWriter;
use run::{Run, Stop};

/// How often a worker checks whether its job still runs (I7: no call begins more than a second after a cancel).
const WATCH: Duration = Duration::from_millis(500);
/// How often a worker reads the provider's row: a provider that was deleted or deactivated is called no longer than this. The
/// deployment's own endpoint has no row.
const WATCH_PROVIDER: Duration = Duration::from_secs(5);
/// No call begins if the last check is older: a check whose answer is lost takes seconds, and the job may be over since (I7).
const STALE: Duration = WATCH.saturating_mul(2);
/// Time before the Lambda's deadline at which chunks that are not committed yet are handed back.
const LAST_COMMIT: Duration = Duration::from_secs(10);
/// No call begins in this time before the deadline. So none is in flight when a batch is handed back, and the endpoint never
/// gets the calls of two workers.
const LAST_CALL: Duration = LONGEST.saturating_add(LAST_COMMIT).saturating_add(Duration::from_secs(5));
/// An outage ends the job only if the worker itself has seen it for this long. The job's last progress may be old because no
/// worker ran.
const SEEN_AWAY: Duration = Duration::from_secs(120);

/// The ports and settings of a worker.
pub struct Worker<S, P, O, W, M, C> {
    /// Jobs and receipts: the table.
    pub store: S,
    /// Providers: the table as well.
    pub providers: P,
    /// The deployment's bucket.
    pub objects: O,
    /// Masks and pictures that lie behind a URL.
    pub web: W,
    /// The buckets that each organization may name.
    pub buckets: SourceBuckets,
    /// Connects to models.
    pub models: M,
    /// The clock that the job's times are of.
    pub clock: C,
    /// How long an endpoint that is away is waited for.
    pub patience: Duration,
    /// `created_by` of drafts.
    pub bot: String,
    /// The deployment's own endpoint for a model type.
    pub endpoints: Vec<(ModelType, SageMaker)>,
}

/// What one invocation did: its answer to the state machine.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Chunks that this invocation committed.
    pub committed: u32,
    /// Model calls that have ended, with or without an answer.
    pub calls: u32,
    /// Those without an answer: the endpoint had no room, or was away.
    pub refused: u32,
    /// The time of the calls with an answer, added up, ms.
    pub busy_ms: u64,
    /// From the first item to the last commit, ms.
    pub wall_ms: u64,
    /// The worker's share of calls in flight.
    pub slots: u32,
}

impl Report {
    fn of(load: Load, committed: u32, wall: Duration, slots: u32) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let Load { calls, refused, busy } = load;
        Self { committed, calls, refused, busy_ms: milliseconds(busy), wall_ms: milliseconds(wall), slots }
    }
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
    /// `ProviderRefused`: the model cannot serve this job. `BatchUnfinished`: call again, the rest is still open; `BatchStuck`:
    /// the same, but nothing was done. `StoreUnavailable`, `ObjectsUnavailable`, `SecretsUnavailable`: nothing was done either.
    pub async fn run(&self, batch: &Batch, attempt: &str, deadline: Instant) -> Result<Report, Error> {
        // The model waits for these. The table is read twice in the time that the bucket takes once (decision 0018), over one
        // connection: a second one would be another handshake (decision 0048).
        let of_table = async {
            let (job, checked) = (self.store.job(batch.job).await?, Instant::now());
            Ok((job, checked, self.store.committed(batch.job, batch.batch).await?))
        };
        let ((job, checked, committed), assets) = tokio::try_join!(of_table, self.objects.assets(batch))?;
        if job.state.status != JobStatus::Running {
            return Ok(Report::default()); // cancelled or ended meanwhile
        }
        if committed.len() >= batch.items.div_ceil(batch.chunk_items) as usize {
            return Ok(Report::default());
        }
        // A repeated invocation of a job that is to end: its chunks may be short of items, so it must not go on.
        if let Some(refusal) = job.state.refusal {
            return Err(Error::ProviderRefused(refusal));
        }
        let model = self.model(&job.spec).await?;
        let chunks = Chunks::open(batch, assets, &committed);
        let raw = RawWriter::new(batch, attempt, job.spec.dry_run);
        let (progressed, served) = (self.ago(job.state.progressed_at), job.state.counters.processed() > 0);
        let asking = Asking {
            spec: &job.spec,
            model: &model,
            objects: &self.objects,
            web: &self.web,
            buckets: &self.buckets,
            gate: Gate::new(batch, model.timeout().min(LONGEST), checked, progressed, served),
            raw: &raw,
            mask_lock: Mutex::default(),
        };
        self.work(&job, batch, &asking, chunks, deadline).await
    }

    /// Calls, commits and watches until nothing is in flight and nothing more may begin.
    async fn work(
        &self,
        job: &Job,
        batch: &Batch,
        asking: &Asking<'_, M::Model, O, W>,
        chunks: Chunks,
        deadline: Instant,
    ) -> Result<Report, Error> {
        let (spec, gate, committed) = (&job.spec, &asking.gate, Cell::new(0));
        let mut run = Run::new(job, batch, gate, &committed, chunks, deadline);
        let (mut calls, mut commits) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut watch = pin!(self.watch(spec, batch, gate).fuse());
        loop {
            while let Some((slot, asset)) = run.next_item(calls.len()) {
                calls.push(asking.ask(asset).map(move |answer| (slot, answer)));
            }
            if calls.is_empty() {
                run.idle();
            }
            if commits.is_empty()
                && let Some(chunks) = run.next_commit()
            {
                commits.push(self.commit(spec, asking.raw, chunks, &committed));
            }
            if calls.is_empty() && commits.is_empty() {
                return run.finish();
            }
            let stop = tokio::select! {
                Some((slot, answer)) = calls.next() => self.answered(spec, &mut run, slot, answer).await,
                Some(done) = commits.next() => Stop::after_commit(done),
                ended = &mut watch => Some(Stop::after_watch(ended)),
                () = sleep_until(run.last_call), if run.goes_on() => Some(Stop::TimeUp),
                () = sleep_until(deadline - LAST_COMMIT) => return Err(run.unfinished()),
            };
            if let Some(stop) = stop {
                gate.shut();
                run.stop(self.recorded(spec, stop).await);
            }
        }
    }

    /// Takes what became of a call, and returns whether it stops the worker.
    async fn answered(
        &self,
        spec: &JobSpec,
        run: &mut Run<'_>,
        slot: ChunkSlot,
        answer: Result<Option<ItemCommit>, Error>,
    ) -> Option<Stop> {
        let commit = match answer {
            Ok(commit) => commit?,
            Err(error) => return Some(error.into()),
        };
        let refusal = self.check_breaker(spec, &mut run.breaker, &commit.outcome).await;
        run.chunks.record(slot, commit);
        refusal.err().map(Stop::from)
    }

    /// Records a refusal with the job before open chunks are committed short of items. The invocation's answer may be lost, and
    /// the one that repeats it must end the job too.
    async fn recorded(&self, spec: &JobSpec, stop: Stop) -> Stop {
        let Stop::Refused(Error::ProviderRefused(refusal)) = &stop else { return stop };
        match self.store.refuse_job(spec.uid, refusal).await {
            Ok(()) => stop,
            Err(error) => Stop::Broken(error),
        }
    }

    /// # Errors
    /// `ProviderRefused` if this item and every one before it failed alike; `StoreUnavailable`.
    async fn check_breaker(&self, spec: &JobSpec, breaker: &mut Breaker, outcome: &Outcome) -> Result<(), Error> {
        let Some(failure) = breaker.record(outcome) else { return Ok(()) };
        let sentence = format!(
            "The first {} items all failed alike, so the others were not tried. Correct the cause and start another job. Each failed with: {}",
            breaker::ITEMS,
            failure.sentence()
        );
        // Another worker may have had a success.
        let counters = self.store.job(spec.uid).await?.state.counters;
        if counters.successful + counters.skipped > 0 {
            breaker.rest();
            return Ok(());
        }
        Err(Error::ProviderRefused(sentence))
    }

    /// Writes what was kept, then commits: a draft never names bytes that are not in the bucket. Counts the chunks that it
    /// `committed`, also if a later one fails. `true`: the job takes no commit any more.
    async fn commit(
        &self,
        spec: &JobSpec,
        raw: &RawWriter,
        chunks: Vec<Chunk>,
        committed: &Cell<u32>,
    ) -> Result<bool, Error> {
        raw.write(&self.objects).await?;
        let mut over = false;
        for chunk in chunks {
            match self.store.commit(spec, &self.bot, chunk, self.clock.now()).await? {
                Commit::Done(_) => committed.set(committed.get() + 1),
                Commit::Already => {}
                Commit::JobOver => over = true,
            }
        }
        Ok(over)
    }

    /// Returns when the job ends. Until then each check lets calls begin for [`STALE`].
    ///
    /// # Errors
    /// `ProviderRefused` when the provider serves the project no more, or is away for too long; `StoreUnavailable`.
    async fn watch(&self, spec: &JobSpec, batch: &Batch, gate: &Gate) -> Result<(), Error> {
        let mut provider_read = Instant::now();
        let mut away_since = None;
        loop {
            sleep_until(gate.checked() + WATCH).await;
            if self.store.status(spec.uid).await? != JobStatus::Running {
                return Ok(());
            }
            gate.check();
            away_since = self.wait_for_endpoint(batch, gate, away_since).await?;
            if spec.provider.is_some() && provider_read.elapsed() >= WATCH_PROVIDER {
                self.serving_provider(spec).await?;
                provider_read = Instant::now();
            }
        }
    }

    /// Logs that the endpoint is away and that it is back, and ends the job when it was away for too long. Takes and returns
    /// since when it is known to be away.
    ///
    /// # Errors
    /// `ProviderRefused`; `StoreUnavailable`.
    async fn wait_for_endpoint(
        &self,
        batch: &Batch,
        gate: &Gate,
        known: Option<Instant>,
    ) -> Result<Option<Instant>, Error> {
        let Some(outage) = gate.outage() else {
            if let Some(since) = known {
                let seconds = since.elapsed().as_secs();
                info!(job.uid = %batch.job, batch.no = batch.batch, seconds, "endpoint answers again");
            }
            return Ok(None);
        };
        if gate.is_nameless() && self.store.job(batch.job).await?.state.counters.processed() == 0 {
            return Err(Error::ProviderRefused(format!(
                "The inference provider's endpoint cannot be called. {} Correct its address, or start another job when the name is known.",
                outage.message
            )));
        }
        if known != Some(outage.since) {
            let patience_s = self.patience.as_secs();
            warn!(job.uid = %batch.job, batch.no = batch.batch, diagnosis = ?outage.diagnosis, patience_s, "endpoint away, waited for");
        }
        if self.is_out_of_patience(batch.job, gate, outage.since).await? {
            return Err(Error::ProviderRefused(format!(
                "The model's endpoint has given no answer for {}, so the job was ended. The last call: {} What is labeled stays; \
                 start another job for the rest when the endpoint is back.",
                minutes(self.patience),
                outage.message
            )));
        }
        Ok(Some(outage.since))
    }

    /// Whether the endpoint has answered no worker of the job for as long as it is waited for.
    async fn is_out_of_patience(&self, job: JobUid, gate: &Gate, away_since: Instant) -> Result<bool, Error> {
        let is_over = || gate.answered().elapsed() >= self.patience;
        if !is_over() || away_since.elapsed() < self.patience.min(SEEN_AWAY) {
            return Ok(false);
        }
        // Another worker may have had an answer.
        gate.answered_another(self.ago(self.store.job(job).await?.state.progressed_at));
        Ok(is_over())
    }

    /// A time of the table's clock, on tokio's clock.
    fn ago(&self, at: Timestamp) -> Instant {
        let (passed, now) = (self.clock.now().duration_since(at), Instant::now());
        Duration::try_from(passed).ok().and_then(|passed| now.checked_sub(passed)).unwrap_or(now)
    }

    /// The model of a job. A provider's credentials are decrypted here, once an invocation.
    async fn model(&self, spec: &JobSpec) -> Result<M::Model, Error> {
        if let Some(provider) = self.serving_provider(spec).await? {
            return self.models.connect(&provider).await;
        }
        let own = self.endpoints.iter().find(|(model, _)| Some(*model) == spec.options.model_type);
        own.map(|(_, endpoint)| self.models.own(endpoint)).ok_or_else(|| {
            Error::ProviderRefused("The deployment has no endpoint for this model type any more.".into())
        })
    }

    /// The job's provider; `None`: the deployment's own endpoint serves it.
    ///
    /// # Errors
    /// `ProviderRefused` if it is deleted, deactivated, or another project's; `StoreUnavailable`.
    async fn serving_provider(&self, spec: &JobSpec) -> Result<Option<InferenceProvider>, Error> {
        let sentence = match model_of_job(&self.providers, spec).await? {
            JobModel::Deployment => return Ok(None),
            JobModel::Provider(provider) => return Ok(Some(provider)),
            JobModel::Inactive(provider) => provider.why_not(spec.project),
            JobModel::Deleted => match spec.provider {
                Some(uid) => format!("The inference provider {uid} was deleted."),
                None => return Ok(None),
            },
        };
        Err(Error::ProviderRefused(sentence))
    }
}

fn minutes(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (1, 0) => "a minute".into(),
        (minutes, 0) => format!("{minutes} minutes"),
        _ => format!("{} seconds", time.as_secs()),
    }
}

#[cfg(test)]
mod tests;

//! Infer: works through one batch. Asks the model about each item, keeps what it said, and commits chunk by chunk.
//!
//! Safe to repeat and safe to run twice at once: chunks are fixed ranges of the manifest, and a chunk is committed
//! once (design.md, section 4). One task drives everything: calls, commits and the watch over the job's status run
//! side by side, so that the model never waits for a commit.

mod ask;
mod chunks;
mod gate;
mod raw;
mod tries;

use std::cell::Cell;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, TryFutureExt};
use serde::Serialize;
use shared::domain::item::source::SourceBuckets;
use shared::domain::job::breaker::{self, Breaker};
use shared::domain::job::plan::Batch;
use shared::domain::job::{Job, JobSpec};
use shared::domain::job_status::JobStatus;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::provider::InferenceProvider;
use shared::domain::provider::connection::SageMaker;
use shared::domain::{Error, ErrorCode, Timestamp};
use shared::ports::{Chunk, Clock, Commit, Connect, Files, Jobs, Ledger, Manifests, Model, Objects, Providers};
use shared::services::serving::{JobModel, model_of_job};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use ask::{Answer, Asking, LONGEST};
use chunks::Chunks;
use gate::{Gate, Load};
use raw::Raw;

/// How often a worker looks whether its job goes on (I7: a cancel is seen within one model latency and a second).
const WATCH: Duration = Duration::from_millis(500);
/// How often the worker reads the provider's row: a deleted or deactivated provider is called so much longer at most. The
/// deployment's own endpoint has no row.
const WATCH_PROVIDER: Duration = Duration::from_secs(5);
/// No call begins if the last look was longer ago: one whose answer is lost takes seconds, and the job may be over since (I7).
const STALE: Duration = WATCH.saturating_mul(2);
/// What is still to be committed so long before the end of the Lambda's time is handed back.
const LAST_COMMIT: Duration = Duration::from_secs(10);
/// No call begins after this: when a batch is handed back none is in flight, or the next worker's would come on top.
const LAST_CALL: Duration = LONGEST.saturating_add(LAST_COMMIT).saturating_add(Duration::from_secs(5));
/// No chunk is begun while so many wait for their commit: what is in memory, and what another worker would ask about again,
/// does not grow with the time that the table takes.
const UNCOMMITTED: usize = 8;
/// An outage that a worker has seen for so long itself may end the job. What it knows from others may be old: the job may just
/// not have been worked on.
const SEEN_AWAY: Duration = Duration::from_secs(120);
/// Items at hand for each call that may be in flight: while some are at the model, others are measured, read or wait.
const AT_HAND: usize = 2;

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
    /// How long an endpoint that is away is waited for.
    pub patience: Duration,
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
    /// Model calls that have ended, one way or another.
    pub calls: u32,
    /// Those that the endpoint gave no answer to: it had no room, or was away.
    pub refused: u32,
    /// How long the calls took that it answered, added up, ms.
    pub busy_ms: u64,
    /// How long this invocation took, from the first item to the last commit, ms.
    pub wall_ms: u64,
    /// Calls that it might have had in flight.
    pub slots: u32,
}

impl Report {
    fn of(load: Load, committed: u32, wall: Duration, slots: u32) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let Load { calls, refused, busy } = load;
        Self { committed, calls, refused, busy_ms: milliseconds(busy), wall_ms: milliseconds(wall), slots }
    }
}

/// Why a worker asks nothing more.
enum End {
    /// Its time is up.
    Late,
    /// The job has ended.
    JobOver,
    /// The job is to end: what was answered is kept.
    Refused(Error),
    /// The worker cannot go on.
    Broken(Error),
}

impl End {
    fn of(error: Error) -> Self {
        if error.code() == ErrorCode::ProviderRefused { Self::Refused(error) } else { Self::Broken(error) }
    }

    /// Whether nobody asks about the rest of a begun chunk any more.
    const fn is_final(&self) -> bool {
        matches!(self, Self::JobOver | Self::Refused(_))
    }

    /// Of two the one that counts: a batch that could not be committed must be repeated, whatever else there was.
    const fn rank(&self) -> u8 {
        match self {
            Self::Late => 0,
            Self::JobOver | Self::Refused(_) => 1,
            Self::Broken(_) => 2,
        }
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
        // None of these needs another, and the model waits for all of them (decision 0018).
        let ((job, looked), committed, assets) = tokio::try_join!(
            self.store.job(batch.job).map_ok(|job| (job, Instant::now())),
            self.store.committed(batch.job, batch.batch),
            self.objects.assets(batch),
        )?;
        if job.state.status != JobStatus::Running {
            return Ok(Report::default()); // cancelled or ended meanwhile: nothing to do, and nothing wrong
        }
        if committed.len() >= batch.items.div_ceil(batch.chunk_items) as usize {
            return Ok(Report::default());
        }
        // A repeated invocation of a job that was given up: its chunks may be short of items, so it must not go on.
        if let Some(refusal) = job.state.refusal {
            return Err(Error::ProviderRefused(refusal));
        }
        let model = self.model(&job.spec).await?;
        let chunks = Chunks::open(batch, assets, &committed);
        let raw = Raw::new(batch, attempt, job.spec.dry_run);
        let (progressed, served) = (self.ago(job.state.progressed_at), job.state.counters.processed() > 0);
        let gate = Gate::new(batch, model.timeout().min(LONGEST), looked, progressed, served);
        let (spec, stopped, fetching) = (&job.spec, Cell::new(false), Mutex::default());
        let (objects, web, buckets) = (&self.objects, &self.web, &self.buckets);
        let asking = Asking { spec, model: &model, objects, web, buckets, gate, stopped, raw: &raw, fetching };
        self.work(&job, batch, &asking, chunks, deadline).await
    }

    async fn work(
        &self,
        job: &Job,
        batch: &Batch,
        asking: &Asking<'_, M::Model, O, W>,
        mut chunks: Chunks,
        deadline: Instant,
    ) -> Result<Report, Error> {
        let (spec, gate, begun) = (&job.spec, &asking.gate, Instant::now());
        let last_call = deadline.checked_sub(LAST_CALL).unwrap_or(begun);
        let mut breaker = Breaker::new(job.state.counters.successful + job.state.counters.skipped == 0);
        let mut raw = Some(asking.raw);
        let committed = Cell::new(0);
        let mut calls = FuturesUnordered::new();
        let mut commits = FuturesUnordered::new();
        let mut watch = std::pin::pin!(self.watch(spec, batch, gate).fuse());
        let mut end = None;
        // What an outage took of the time is no sign of a model that is too slow.
        let unfinished =
            || if committed.get() > 0 || gate.had_outage() { Error::BatchUnfinished } else { Error::BatchStuck };
        loop {
            let in_time = Instant::now() + gate.expects(batch.chunk_items) < last_call;
            let begin = in_time && chunks.ready() < UNCOMMITTED;
            while calls.len() < AT_HAND * batch.slots as usize
                && end.is_none()
                && let Some((place, asset)) = chunks.next(begin)
            {
                calls.push(asking.ask(asset).map(move |answer| (place, answer)));
            }
            if calls.is_empty() && end.as_ref().is_some_and(End::is_final) {
                chunks.close();
            }
            // One commit at a time carries all chunks that are ready: they share the write of the raw predictions.
            if !matches!(end, Some(End::Broken(_)))
                && let Some(kept) = raw.take_if(|_| chunks.ready() > 0)
            {
                commits.push(self.commit(spec, kept, chunks.take_ready(), &committed));
            }
            if calls.is_empty() && commits.is_empty() {
                break;
            }
            // What is in flight when an end has come is waited for: abandoned calls would still be at the endpoint.
            let ends = tokio::select! {
                Some((place, answer)) = calls.next() => match answer {
                    Ok(Some(answer)) => {
                        let refusal = self.judge(job, &mut breaker, &answer).await;
                        chunks.record(place, answer);
                        refusal.err().map(End::of)
                    }
                    Ok(None) => None,
                    Err(error) => Some(End::of(error)),
                },
                Some(done) = commits.next() => match done {
                    Ok((kept, over)) => {
                        raw = Some(kept);
                        over.then_some(End::JobOver)
                    }
                    Err(error) => Some(End::Broken(error)),
                },
                over = &mut watch => Some(over.map_or_else(End::of, |()| End::JobOver)),
                () = sleep_until(last_call), if end.is_none() => Some(End::Late),
                () = sleep_until(deadline - LAST_COMMIT) => return Err(unfinished()),
            };
            if let Some(ends) = ends {
                gate.shut();
                let ends = self.recorded(spec, ends).await;
                asking.stopped.set(asking.stopped.get() || ends.is_final());
                if end.as_ref().is_none_or(|end| end.rank() < ends.rank()) {
                    end = Some(ends);
                }
            }
        }
        let report = Report::of(gate.load(), committed.get(), begun.elapsed(), batch.slots);
        info!(job.uid = %batch.job, batch.no = batch.batch, items = batch.items, calls = report.calls, refused = report.refused, chunks = report.committed, duration_ms = report.wall_ms, "batch worked");
        match end {
            // What it has committed is progress: it must not cost the batch one of its attempts.
            Some(End::Broken(error)) if committed.get() > 0 && error.code().facts().repeatable => {
                warn!(job.uid = %batch.job, batch.no = batch.batch, causes = error.chain(), "batch handed back");
                Err(Error::BatchUnfinished)
            }
            Some(End::Refused(error) | End::Broken(error)) => Err(error),
            None | Some(End::Late) if !chunks.is_done() => Err(unfinished()),
            _ => Ok(report),
        }
    }

    /// Records a refusal with the job before the chunks that were begun are committed short of items. The invocation's answer may
    /// be lost, and the one that repeats it must end the job too.
    async fn recorded(&self, spec: &JobSpec, end: End) -> End {
        let End::Refused(Error::ProviderRefused(refusal)) = &end else { return end };
        match self.store.refuse_job(spec.uid, refusal).await {
            Ok(()) => end,
            Err(error) => End::Broken(error),
        }
    }

    /// Looks at what has become of an item.
    ///
    /// # Errors
    /// `ProviderRefused` if this and every item before it failed alike; `StoreUnavailable`.
    async fn judge(&self, job: &Job, breaker: &mut Breaker, answer: &Answer) -> Result<(), Error> {
        let Some(failure) = answer.outcome.as_ref().and_then(|outcome| breaker.record(&outcome.outcome)) else {
            return Ok(());
        };
        let sentence = format!(
            "The first {} items all failed alike, so the others were not tried. Correct the cause and start another job. Each failed with: {}",
            breaker::ITEMS,
            failure.message
        );
        // Other workers may have fared better.
        let counters = self.store.job(job.spec.uid).await?.state.counters;
        if counters.successful + counters.skipped > 0 {
            breaker.rest();
            return Ok(());
        }
        Err(Error::ProviderRefused(sentence))
    }

    /// Writes what was kept, then commits: a draft never points at what is not there. Counts the chunks that it `committed`, also if
    /// the next one fails. Answers whether the job takes none any more.
    async fn commit<'a>(
        &self,
        spec: &JobSpec,
        raw: &'a Raw,
        ready: Vec<chunks::Ready>,
        committed: &Cell<u32>,
    ) -> Result<(&'a Raw, bool), Error> {
        raw.write(&self.objects).await?;
        let mut over = false;
        for chunk in ready {
            let chunk = Chunk {
                id: chunk.id,
                dropped_labels: Answer::dropped_labels(&chunk.answers),
                notes: Answer::notes(&chunk.answers),
                remarks: Answer::remarks(&chunk.answers),
                measured: Answer::measured(&chunk.answers),
                raw: Answer::raw(&chunk.answers),
                outcomes: Answer::outcomes(chunk.answers),
            };
            match self.store.commit(spec, &self.bot, chunk, self.clock.now()).await? {
                Commit::Done(_) => committed.set(committed.get() + 1),
                Commit::Already => {}
                Commit::JobOver => over = true,
            }
        }
        Ok((raw, over))
    }

    /// Ends when the job does. Until then each look lets calls begin for a while.
    ///
    /// # Errors
    /// `ProviderRefused` when the provider serves the project no more, or is away for too long; `StoreUnavailable`.
    async fn watch(&self, spec: &JobSpec, batch: &Batch, gate: &Gate) -> Result<(), Error> {
        let mut provider_read = Instant::now();
        let mut away_since = None;
        loop {
            sleep_until(gate.looked() + WATCH).await;
            if self.store.status(spec.uid).await? != JobStatus::Running {
                return Ok(());
            }
            gate.look();
            away_since = self.wait_for_endpoint(batch, gate, away_since).await?;
            if spec.provider.is_some() && provider_read.elapsed() >= WATCH_PROVIDER {
                self.serving_provider(spec).await?;
                provider_read = Instant::now();
            }
        }
    }

    /// Says that the endpoint is away and that it is back, and ends the job when its patience is over. Takes and answers since when
    /// it is known to be away.
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
        if gate.is_nowhere() && self.store.job(batch.job).await?.state.counters.processed() == 0 {
            let sentence = format!(
                "The inference provider's endpoint cannot be called. {} Correct its address, or start another job when the name is known.",
                outage.met
            );
            return Err(Error::ProviderRefused(sentence));
        }
        if known != Some(outage.since) {
            let patience_s = self.patience.as_secs();
            warn!(job.uid = %batch.job, batch.no = batch.batch, diagnosis = ?outage.diagnosis, patience_s, "endpoint away, waited for");
        }
        if gate.answered().elapsed() >= self.patience && outage.since.elapsed() >= self.patience.min(SEEN_AWAY) {
            // Other workers may have fared better.
            gate.heard(self.ago(self.store.job(batch.job).await?.state.progressed_at));
            if gate.answered().elapsed() >= self.patience {
                return Err(Error::ProviderRefused(format!(
                    "The model's endpoint has given no answer for {}, so the job was ended. The last call: {} What is labeled stays; \
                     start another job for the rest when the endpoint is back.",
                    minutes(self.patience),
                    outage.met
                )));
            }
        }
        Ok(Some(outage.since))
    }

    /// A time of the table's clock on the clock that sleeps are measured by.
    fn ago(&self, at: Timestamp) -> Instant {
        let (passed, now) = (self.clock.now().duration_since(at), Instant::now());
        Duration::try_from(passed).ok().and_then(|passed| now.checked_sub(passed)).unwrap_or(now)
    }

    /// The model of a job. A provider's credentials are opened here, once an invocation.
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
            JobModel::Inactive(_) => "The inference provider is not active for this project any more.",
            JobModel::Deleted => "The inference provider was deleted.",
        };
        Err(Error::ProviderRefused(sentence.into()))
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

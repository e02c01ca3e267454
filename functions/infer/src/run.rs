//! The state of one invocation: which items and chunks come next, and why it stops.

use std::cell::Cell;

use shared::domain::item::Asset;
use shared::domain::job::Job;
use shared::domain::job::breaker::Breaker;
use shared::domain::job::plan::Batch;
use shared::domain::{Error, ErrorCode};
use shared::ports::Chunk;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::chunks::{ChunkSlot, Chunks};
use crate::gate::Gate;
use crate::{LAST_CALL, Report};

/// No chunk is opened while this many wait for their commit: neither memory, nor what another worker would send to the model
/// again, grows with the time that the table takes.
pub(crate) const UNCOMMITTED: usize = 8;

/// Items at hand for each slot: while some are at the model, others are measured, decoded or wait.
const AT_HAND: usize = 2;

/// Why a worker begins no further call.
pub(crate) enum Stop {
    /// Its time is up.
    TimeUp,
    /// The job has ended.
    JobOver,
    /// The job is to end. What was answered is committed.
    Refused(Error),
    /// The worker cannot go on.
    Broken(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        if error.code() == ErrorCode::ProviderRefused { Self::Refused(error) } else { Self::Broken(error) }
    }
}

impl Stop {
    /// `true`: the job takes no commit any more.
    pub(crate) fn after_commit(done: Result<bool, Error>) -> Option<Self> {
        done.map_or_else(|error| Some(Self::Broken(error)), |over| over.then_some(Self::JobOver))
    }

    /// The watch over the job has ended.
    pub(crate) fn after_watch(ended: Result<(), Error>) -> Self {
        ended.map_or_else(Self::from, |()| Self::JobOver)
    }

    /// Whether no worker calls the model about the rest of an open chunk any more.
    const fn is_final(&self) -> bool {
        matches!(self, Self::JobOver | Self::Refused(_))
    }

    /// Of several the highest counts: a batch that could not be committed must be repeated, whatever else there was.
    const fn rank(&self) -> u8 {
        match self {
            Self::TimeUp => 0,
            Self::JobOver | Self::Refused(_) => 1,
            Self::Broken(_) => 2,
        }
    }
}

/// The work of one invocation on its batch.
pub(crate) struct Run<'a> {
    batch: &'a Batch,
    gate: &'a Gate,
    /// Chunks that this invocation has committed.
    committed: &'a Cell<u32>,
    begun: Instant,
    /// No call begins later.
    pub(crate) last_call: Instant,
    pub(crate) chunks: Chunks,
    pub(crate) breaker: Breaker,
    stop: Option<Stop>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        job: &Job,
        batch: &'a Batch,
        gate: &'a Gate,
        committed: &'a Cell<u32>,
        chunks: Chunks,
        deadline: Instant,
    ) -> Self {
        let (begun, counters) = (Instant::now(), job.state.counters);
        let last_call = deadline.checked_sub(LAST_CALL).unwrap_or(begun);
        let breaker = Breaker::new(counters.successful + counters.skipped == 0);
        Self { batch, gate, committed, begun, last_call, chunks, breaker, stop: None }
    }

    /// Whether calls may begin.
    pub(crate) const fn goes_on(&self) -> bool {
        self.stop.is_none()
    }

    /// The next item to call the model about, beside those `at_hand`.
    pub(crate) fn next_item(&mut self, at_hand: usize) -> Option<(ChunkSlot, Asset)> {
        if !self.goes_on() || at_hand >= AT_HAND * self.batch.slots as usize {
            return None;
        }
        let in_time = Instant::now() + self.gate.expects(self.batch.chunk_items) < self.last_call;
        self.chunks.next(in_time && self.chunks.ready() < UNCOMMITTED)
    }

    /// The chunks to commit now: all that are ready, since they share the write of the raw predictions.
    pub(crate) fn next_commit(&mut self) -> Option<Vec<Chunk>> {
        let is_broken = matches!(self.stop, Some(Stop::Broken(_)));
        (!is_broken && self.chunks.ready() > 0).then(|| self.chunks.take_ready())
    }

    /// The last call in flight has ended: open chunks of a job that is over get no further outcomes.
    pub(crate) fn idle(&mut self) {
        if self.stop.as_ref().is_some_and(Stop::is_final) {
            self.chunks.close();
        }
    }

    /// Begins no further call. Calls in flight are waited for: abandoned ones would still be at the endpoint.
    pub(crate) fn stop(&mut self, stop: Stop) {
        if stop.is_final() {
            self.gate.end();
        }
        if self.stop.as_ref().is_none_or(|before| before.rank() < stop.rank()) {
            self.stop = Some(stop);
        }
    }

    /// Why the batch is handed back. An outage is no sign of a model that is too slow.
    pub(crate) fn unfinished(&self) -> Error {
        if self.committed.get() > 0 || self.gate.had_outage() { Error::BatchUnfinished } else { Error::BatchStuck }
    }

    /// What the invocation answers when nothing is in flight any more.
    pub(crate) fn finish(self) -> Result<Report, Error> {
        let report = Report::of(self.gate.load(), self.committed.get(), self.begun.elapsed(), self.batch.slots);
        let Batch { job, batch, items, .. } = self.batch;
        info!(job.uid = %job, batch.no = batch, items, calls = report.calls, refused = report.refused, chunks = report.committed, duration_ms = report.wall_ms, "batch worked");
        match self.stop {
            None | Some(Stop::TimeUp) if !self.chunks.is_done() => Err(self.unfinished()),
            None | Some(Stop::TimeUp | Stop::JobOver) => Ok(report),
            // What it has committed is progress: it must not cost the batch one of its attempts.
            Some(Stop::Broken(error)) if report.committed > 0 && error.code().facts().repeatable => {
                warn!(job.uid = %job, batch.no = batch, causes = error.chain(), "batch handed back");
                Err(Error::BatchUnfinished)
            }
            Some(Stop::Refused(error) | Stop::Broken(error)) => Err(error),
        }
    }
}

//! The chunks of a batch that are still open: which item comes next, which chunk is complete.

use std::collections::{BTreeMap, VecDeque};

use shared::domain::item::Asset;
use shared::domain::job::outcome::ChunkId;
use shared::domain::job::plan::Batch;

use crate::ask::Answer;

/// Where an item is: its chunk, and its place in it.
pub(crate) type Place = (u32, usize);

/// A chunk whose items all have an answer.
pub(crate) struct Ready {
    pub(crate) id: ChunkId,
    /// In the manifest's order.
    pub(crate) answers: Vec<Answer>,
}

/// A chunk that has been begun.
struct Open {
    answers: Vec<Option<Answer>>,
    missing: usize,
}

pub(crate) struct Chunks {
    batch: Batch,
    waiting: VecDeque<(Place, Asset)>,
    open: BTreeMap<u32, Open>,
    items: BTreeMap<u32, usize>,
    ready: Vec<Ready>,
}

impl Chunks {
    /// The chunks of `batch` but for those that are `committed`.
    pub(crate) fn open(batch: &Batch, assets: Vec<Asset>, committed: &[u32]) -> Self {
        let mut chunks = Self {
            batch: batch.clone(),
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            items: BTreeMap::new(),
            ready: Vec::new(),
        };
        let size = batch.chunk_items.max(1) as usize;
        for (line, asset) in assets.into_iter().enumerate() {
            let chunk = u32::try_from(line / size).unwrap_or(u32::MAX);
            if !committed.contains(&chunk) {
                *chunks.items.entry(chunk).or_default() += 1;
                chunks.waiting.push_back(((chunk, line % size), asset));
            }
        }
        chunks
    }

    /// The next item to ask about. With `begin` false only items of chunks that have been begun.
    pub(crate) fn next(&mut self, begin: bool) -> Option<(Place, Asset)> {
        let ((chunk, _), _) = self.waiting.front()?;
        let chunk = *chunk;
        if !begin && !self.open.contains_key(&chunk) {
            return None;
        }
        let items = self.items.get(&chunk).copied().unwrap_or_default();
        self.open
            .entry(chunk)
            .or_insert_with(|| Open { answers: std::iter::repeat_with(|| None).take(items).collect(), missing: items });
        self.waiting.pop_front()
    }

    /// An answer has come.
    pub(crate) fn record(&mut self, (chunk, place): Place, answer: Answer) {
        let Some(open) = self.open.get_mut(&chunk) else { return };
        open.answers[place] = Some(answer);
        open.missing -= 1;
        if open.missing == 0 {
            self.complete(chunk);
        }
    }

    /// The job is over: what has been answered is kept, the rest of a begun chunk stays without an outcome.
    pub(crate) fn close(&mut self) {
        self.waiting.clear();
        let begun: Vec<u32> = self.open.keys().copied().collect();
        begun.into_iter().for_each(|chunk| self.complete(chunk));
    }

    fn complete(&mut self, chunk: u32) {
        if let Some(open) = self.open.remove(&chunk) {
            let id = ChunkId { job: self.batch.job, batch: self.batch.batch, chunk };
            let answers = open.answers.into_iter().map(|answer| answer.unwrap_or(Answer::none())).collect();
            self.ready.push(Ready { id, answers });
        }
    }

    /// How many wait for their commit.
    pub(crate) const fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn take_ready(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.ready)
    }

    /// Nothing waits and nothing is begun.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty() && self.ready.is_empty()
    }
}

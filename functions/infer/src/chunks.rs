//! The chunks of a batch that are not committed yet: which item comes next, which chunk is complete.

use std::collections::{BTreeMap, VecDeque};

use shared::domain::item::Asset;
use shared::domain::job::outcome::{ChunkId, ItemCommit};
use shared::domain::job::plan::Batch;
use shared::ports::Chunk;

/// An item's chunk, and its position in the chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkSlot {
    chunk: u32,
    position: usize,
}

/// A chunk of which at least one item was handed out.
struct OpenChunk {
    /// In the manifest's order.
    items: Vec<Option<ItemCommit>>,
    missing: usize,
}

pub(crate) struct Chunks {
    batch: Batch,
    waiting: VecDeque<(ChunkSlot, Asset)>,
    open: BTreeMap<u32, OpenChunk>,
    ready: Vec<Chunk>,
}

impl Chunks {
    /// The chunks of `batch` but for those that are `committed`.
    pub(crate) fn open(batch: &Batch, assets: Vec<Asset>, committed: &[u32]) -> Self {
        let size = batch.chunk_items.max(1) as usize;
        let slot =
            |line: usize| ChunkSlot { chunk: u32::try_from(line / size).unwrap_or(u32::MAX), position: line % size };
        let lines = assets.into_iter().enumerate().map(|(line, asset)| (slot(line), asset));
        let waiting = lines.filter(|(slot, _)| !committed.contains(&slot.chunk)).collect();
        Self { batch: batch.clone(), waiting, open: BTreeMap::new(), ready: Vec::new() }
    }

    /// The next item to ask the model about. With `begin` false only items of chunks that are open.
    pub(crate) fn next(&mut self, begin: bool) -> Option<(ChunkSlot, Asset)> {
        let chunk = self.waiting.front()?.0.chunk;
        if !self.open.contains_key(&chunk) {
            if !begin {
                return None;
            }
            // Items come in order, so all of a chunk that is not open wait at the front.
            let missing = self.waiting.iter().take_while(|(slot, _)| slot.chunk == chunk).count();
            self.open.insert(chunk, OpenChunk { items: vec![None; missing], missing });
        }
        self.waiting.pop_front()
    }

    /// Takes the outcome of an item.
    pub(crate) fn record(&mut self, slot: ChunkSlot, commit: ItemCommit) {
        let Some(open) = self.open.get_mut(&slot.chunk) else { return };
        open.items[slot.position] = Some(commit);
        open.missing -= 1;
        if open.missing == 0 {
            self.complete(slot.chunk);
        }
    }

    /// The job is over: what has an outcome is committed, the other items of an open chunk stay without one.
    pub(crate) fn close(&mut self) {
        self.waiting.clear();
        let open: Vec<u32> = self.open.keys().copied().collect();
        open.into_iter().for_each(|chunk| self.complete(chunk));
    }

    fn complete(&mut self, chunk: u32) {
        if let Some(open) = self.open.remove(&chunk) {
            let id = ChunkId { job: self.batch.job, batch: self.batch.batch, chunk };
            self.ready.push(Chunk { id, items: open.items });
        }
    }

    /// How many chunks wait for their commit.
    pub(crate) const fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn take_ready(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.ready)
    }

    /// Nothing waits and nothing is open.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty() && self.ready.is_empty()
    }
}

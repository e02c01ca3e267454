//! Cutting a job's items into batches and chunks (design.md, section 4). Both are fixed here, once.

use serde::{Deserialize, Serialize};

use super::id::JobUid;
use super::limits;

/// What one Map iteration is handed: a range of the manifest, never items or URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The job.
    pub job: JobUid,
    /// Its number, from 0.
    pub batch: u32,
    /// The manifest's object key.
    pub manifest: String,
    /// Where the batch's lines begin, bytes.
    pub offset: u64,
    /// How long they are, bytes.
    pub length: u64,
    /// How many there are.
    pub items: u32,
    /// Items of one chunk; the last one may have fewer.
    pub chunk_items: u32,
    /// Model calls that this worker may have in flight.
    pub slots: u32,
}

/// What Plan answers, and what a repeated Plan answers again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The job.
    pub job: JobUid,
    /// Map iterations at once.
    pub workers: u32,
    /// In order.
    pub batches: Vec<Batch>,
    /// There were more unlabeled items than one job takes.
    pub truncated: bool,
}

/// How a job is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Map iterations at once.
    pub workers: u32,
    /// Items of one batch.
    pub batch_items: usize,
    /// Items of one chunk.
    pub chunk_items: usize,
    /// Model calls in flight, per worker.
    pub slots: u32,
}

/// Progress is to move at least this often, ms.
const CHUNK_MS: usize = 2_000;
/// A small job shows at least this many steps of progress in each batch.
const CHUNKS_PER_BATCH: usize = 4;

/// Even if every call takes the longest that is allowed, two minutes with its retries, a chunk must be committed within
/// one Lambda: what is not committed is asked again, and a job without progress is ended.
const ROUNDS_PER_CHUNK: usize = 6;

impl Cut {
    /// Few large batches, two a worker so that a slow one does not hold up the end; chunks of about two seconds.
    ///
    /// `slots` is the provider's limit over all workers, `latency_ms` what one call is known to take.
    #[must_use]
    pub fn of(items: usize, workers: u32, slots: u32, latency_ms: u32) -> Self {
        let workers = workers.clamp(1, slots.max(1));
        let batch_items = items.div_ceil(2 * workers as usize).clamp(limits::BATCH_ITEMS_MIN, limits::BATCH_ITEMS);
        let workers = u32::try_from(items.div_ceil(batch_items)).unwrap_or(workers).clamp(1, workers);
        let slots = (slots / workers).max(1);
        let steady = CHUNK_MS * slots as usize / latency_ms.max(1) as usize;
        let visible = items.min(batch_items).div_ceil(CHUNKS_PER_BATCH);
        let certain = ROUNDS_PER_CHUNK * slots as usize;
        let chunk_items = steady.min(visible).min(certain).clamp(1, limits::CHUNK_ITEMS);
        Self { workers, batch_items, chunk_items, slots }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_thousand_items_need_about_ten_iterations() {
        let cut = Cut::of(5_000, 4, 16, 50);

        assert_eq!(5_000usize.div_ceil(cut.batch_items), 8);
        assert_eq!((cut.workers, cut.slots, cut.chunk_items), (4, 4, 24));
    }

    #[test]
    fn a_handful_of_pictures_still_shows_progress() {
        assert_eq!(Cut::of(8, 4, 16, 50).chunk_items, 2);
        assert_eq!(Cut::of(0, 4, 16, 50).chunk_items, 1);
    }

    proptest! {
        #[test]
        fn no_cut_breaks_a_limit(items in 0usize..200_000, workers in 1u32..=40, slots in 1u32..200, latency_ms in 0u32..60_000) {
            let cut = Cut::of(items, workers, slots, latency_ms);

            prop_assert!((1..=limits::BATCH_ITEMS).contains(&cut.batch_items));
            prop_assert!((1..=limits::CHUNK_ITEMS).contains(&cut.chunk_items));
            prop_assert!((1..=workers).contains(&cut.workers));
            prop_assert!(cut.slots * cut.workers <= slots); // the provider's limit holds over all workers
        }
    }
}

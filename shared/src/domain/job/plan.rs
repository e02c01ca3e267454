//! How a job's items are cut into batches and chunks (ARCHITECTURE.md). Both are fixed here, once.

use serde::{Deserialize, Serialize};

use crate::domain::id::JobUid;
use crate::domain::limits;

/// The input of one Map iteration: a range of the manifest, never items or URLs.
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
    /// Map iterations at once, this one included.
    #[serde(default)]
    pub workers: u32,
}

/// The batches of a job: made once, and stored.
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
    /// Why there are no items, for the job's summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The output of Plan to the state machine: the batches, or the object that lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The job.
    pub job: JobUid,
    /// Map iterations at once.
    pub workers: u32,
    /// In order; none if they are listed.
    pub batches: Vec<Batch>,
    /// The object that lists them, a JSON array, for a Map that is distributed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<String>,
}

impl Plan {
    /// Whether an inline Map carries it: `most` is how many batches the deployment trusts one with. Descriptors of 300 bytes
    /// are never near the 256 KiB of a state's input. What is used up is the history, 25,000 events of one execution (AWS,
    /// "Step Functions service quotas"): a batch takes 7 of them for each 15 minutes of its work.
    #[must_use]
    pub const fn is_inline(&self, most: usize) -> bool {
        self.batches.len() <= most
    }

    /// Answers with the batches themselves.
    #[must_use]
    pub fn inline(self) -> Planned {
        Planned { job: self.job, workers: self.workers, batches: self.batches, listed: None }
    }

    /// Answers with the object that lists them.
    #[must_use]
    pub fn listed(self, key: String) -> Planned {
        Planned { job: self.job, workers: self.workers, batches: Vec::new(), listed: Some(key) }
    }
}

/// A deployment's settings of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Map iterations at once, at most.
    pub most: u32,
    /// Model calls in flight for which another one is worth it. Where there are not enough of them, each has more.
    pub slots_each: u32,
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
    /// Model calls in flight over all workers.
    concurrency: u32,
    /// There is a batch for each worker and no more.
    one_each: bool,
}

/// Progress is to move at least this often, ms.
const CHUNK_MS: usize = 2_000;
/// A small job shows at least this many steps of progress in each batch.
const CHUNKS_PER_BATCH: usize = 4;

/// Even if every call takes the longest that is allowed, two minutes with its retries, a chunk must be committed within
/// one Lambda: what is not committed is asked again, and a job without progress is ended. A worker begins with a few of its
/// slots: with many it takes a round more, and calls of up to 108 seconds.
const ROUNDS_PER_CHUNK: usize = 6;

impl Cut {
    /// As few workers as can drive `concurrency` calls, since each leaves slots empty at its begin and its end; chunks of about
    /// two seconds.
    ///
    /// `concurrency` is the provider's limit over all workers, `latency_ms` what one call is known to take.
    #[must_use]
    pub fn of(items: usize, workers: Workers, concurrency: u32, latency_ms: u32) -> Self {
        let concurrency = concurrency.max(1);
        let wanted = concurrency.div_ceil(workers.slots_each.max(1)).min(workers.most);
        let worthwhile = u32::try_from(items / limits::BATCH_ITEMS_MIN).unwrap_or(u32::MAX);
        let workers = wanted.min(worthwhile).clamp(1, concurrency);
        let batch_items = items.div_ceil(workers as usize).clamp(1, limits::BATCH_ITEMS);
        let cut = Self {
            workers,
            batch_items,
            chunk_items: 1,
            concurrency,
            one_each: items.div_ceil(batch_items) <= workers as usize,
        };
        let slots = cut.slots(0) as usize;
        let steady = CHUNK_MS * slots / latency_ms.max(1) as usize;
        let visible = items.min(batch_items).div_ceil(CHUNKS_PER_BATCH);
        let certain = ROUNDS_PER_CHUNK * slots;
        Self { chunk_items: steady.min(visible).min(certain).clamp(1, limits::CHUNK_ITEMS), ..cut }
    }

    /// Model calls in flight, of the worker of this batch: its share, so that no choice of batches that run at once has more
    /// than all.
    #[must_use]
    pub const fn slots(&self, batch: u32) -> u32 {
        let rest = self.concurrency % self.workers;
        self.concurrency / self.workers + if self.one_each && batch < rest { 1 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: Workers = Workers { most: 4, slots_each: 64 };

    #[test]
    fn one_worker_drives_what_one_can() {
        let cut = Cut::of(5_000, USUAL, 16, 50);

        assert_eq!((cut.workers, cut.batch_items, cut.slots(0), cut.chunk_items), (1, 5_000, 16, 96));
    }

    #[test]
    fn more_workers_share_what_one_cannot_drive() {
        let cut = Cut::of(5_000, Workers { most: 4, slots_each: 4 }, 10, 50);

        assert_eq!((cut.workers, cut.batch_items), (3, 1_667));
        assert_eq!([0, 1, 2].map(|batch| cut.slots(batch)), [4, 3, 3]);
        // With more batches than workers any three run at once.
        let cut = Cut::of(20_000, Workers { most: 4, slots_each: 4 }, 10, 50);
        assert_eq!([0, 1, 2, 3].map(|batch| cut.slots(batch)), [3; 4]);
    }

    /// The endpoint is the bill: slots that no worker has cost more than a worker with more slots than it drives with ease.
    #[test]
    fn what_the_workers_do_not_drive_with_ease_is_shared_among_them_and_not_left_unused() {
        let cut = Cut::of(5_000, USUAL, 1_000, 50);

        assert_eq!(cut.workers, 4);
        assert_eq!([0, 1, 2, 3].map(|batch| cut.slots(batch)), [250; 4]);
    }

    #[test]
    fn a_handful_of_pictures_still_shows_progress() {
        assert_eq!(Cut::of(8, USUAL, 16, 50).chunk_items, 2);
        assert_eq!(Cut::of(0, USUAL, 16, 50).chunk_items, 1);
    }

    proptest! {
        #[test]
        fn no_cut_breaks_a_limit(items in 0usize..200_000, most in 1u32..=40, slots_each in 1u32..200, concurrency in 1u32..=1_000, latency_ms in 0u32..60_000) {
            let cut = Cut::of(items, Workers { most, slots_each }, concurrency, latency_ms);
            let batches = items.div_ceil(cut.batch_items) as u32;

            prop_assert!((1..=limits::BATCH_ITEMS).contains(&cut.batch_items));
            prop_assert!((1..=limits::CHUNK_ITEMS).contains(&cut.chunk_items));
            prop_assert!((1..=most).contains(&cut.workers));
            prop_assert!((0..batches).all(|batch| cut.slots(batch) >= 1));
            // The provider's limit holds over all workers, whichever batches they have, and is used up if there is one for each.
            let mut shares: Vec<u32> = (0..batches).map(|batch| cut.slots(batch)).collect();
            shares.sort_unstable_by(|a, b| b.cmp(a));
            let together: u32 = shares.iter().take(cut.workers as usize).sum();
            prop_assert!(together <= concurrency);
            prop_assert!(batches != cut.workers || together == concurrency);
        }
    }
}

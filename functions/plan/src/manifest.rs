//! The manifest of a job: a line per item. It goes out in parts, so that what is in memory does not grow with the job.

use std::ops::ControlFlow;

use shared::domain::id::JobUid;
use shared::domain::item::Asset;
use shared::domain::job::plan::{Batch, Cut};
use shared::domain::{Error, limits};
use shared::ports::{Objects, Upload};

const JSON_LINES: &str = "application/jsonl";

/// A manifest that is being written.
pub(crate) struct Manifest<'a, O> {
    objects: &'a O,
    upload: Option<Upload>,
    /// What has not gone out.
    open: Vec<u8>,
    cap: usize,
    lines: Lines,
}

/// The lines of a manifest.
pub(crate) struct Lines {
    key: String,
    /// Bytes of each.
    lengths: Vec<u32>,
    /// There were more.
    pub(crate) truncated: bool,
}

impl<'a, O: Objects> Manifest<'a, O> {
    /// An empty one, for `cap` lines at most.
    pub(crate) const fn begin(objects: &'a O, key: String, cap: usize) -> Self {
        let lines = Lines { key, lengths: Vec::new(), truncated: false };
        Self { objects, upload: None, open: Vec::new(), cap, lines }
    }

    /// Takes no more than this, if it would have.
    pub(crate) fn take_at_most(&mut self, cap: usize) {
        self.cap = self.cap.min(cap);
    }

    /// How many lines there are.
    pub(crate) const fn count(&self) -> usize {
        self.lines.count()
    }

    /// The next lines. `Break`: there are more than it takes, and no others are wanted.
    pub(crate) async fn add(&mut self, assets: Vec<Asset>) -> Result<ControlFlow<()>, Error> {
        for asset in assets {
            if self.lines.count() == self.cap {
                self.lines.truncated = true;
                return Ok(ControlFlow::Break(()));
            }
            let before = self.open.len();
            serde_json::to_writer(&mut self.open, &asset).map_err(Error::internal)?;
            self.open.push(b'\n');
            self.lines.lengths.push(u32::try_from(self.open.len() - before).map_err(Error::internal)?);
            if self.open.len() >= limits::PART_BYTES {
                self.send().await?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn send(&mut self) -> Result<(), Error> {
        let part = std::mem::take(&mut self.open);
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => self.upload.insert(self.objects.begin(&self.lines.key, JSON_LINES).await?),
        };
        self.objects.append(upload, part).await
    }

    /// Writes what is left. A job of no items has no object.
    pub(crate) async fn finish(mut self) -> Result<Lines, Error> {
        if self.upload.is_some() && !self.open.is_empty() {
            self.send().await?;
        }
        match self.upload {
            Some(upload) => self.objects.complete(upload).await?,
            None if self.open.is_empty() => {}
            None => self.objects.put(&self.lines.key, JSON_LINES, self.open).await?,
        }
        Ok(self.lines)
    }
}

impl Lines {
    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The range of the manifest that each batch is.
    pub(crate) fn batches(&self, job: JobUid, cut: Cut) -> Result<Vec<Batch>, Error> {
        let mut batches = Vec::new();
        let mut offset = 0;
        let mut rest = self.lengths.as_slice();
        for batch in 0.. {
            let (slice, after) = rest.split_at(in_one_batch(rest, cut.batch_items));
            if slice.is_empty() {
                break;
            }
            rest = after;
            let length = slice.iter().copied().map(u64::from).sum();
            batches.push(Batch {
                job,
                batch,
                manifest: self.key.clone(),
                offset,
                length,
                items: u32::try_from(slice.len()).map_err(Error::internal)?,
                chunk_items: u32::try_from(cut.chunk_items).map_err(Error::internal)?,
                slots: cut.slots(batch),
                workers: cut.workers,
            });
            offset += length;
        }
        Ok(batches)
    }
}

/// How many of these lines make a batch: as many as it takes items, of no more bytes than a worker holds, but one at least.
fn in_one_batch(lengths: &[u32], items: usize) -> usize {
    let mut bytes = 0;
    let fits = |length: &&u32| {
        bytes += **length as usize;
        bytes <= limits::BATCH_BYTES
    };
    lengths.iter().take(items).take_while(fits).count().max(lengths.len().min(1))
}

#[cfg(test)]
mod tests {
    use shared::domain::job::plan::Workers;

    use super::*;

    fn batches(lengths: Vec<u32>) -> Vec<Batch> {
        let cut = Cut::of(lengths.len(), Workers { most: 4, slots_each: 64 }, 16, 50);
        let lines = Lines { key: "manifest".into(), lengths, truncated: false };
        lines.batches(shared::testing::a_job().spec.uid, cut).unwrap()
    }

    fn items(batches: &[Batch]) -> Vec<u32> {
        batches.iter().map(|batch| batch.items).collect()
    }

    #[test]
    fn items_of_long_lines_are_more_batches_so_that_a_worker_can_hold_its_own() {
        let batches = batches(vec![2_300; 5_000]);

        assert_eq!(items(&batches), [911, 911, 911, 911, 911, 445]);
        assert!(batches.iter().all(|batch| batch.length <= limits::BATCH_BYTES as u64));
        assert!(batches.windows(2).all(|pair| pair[0].offset + pair[0].length == pair[1].offset));
    }

    #[test]
    fn a_line_that_is_longer_than_a_batch_may_be_is_not_lost() {
        assert_eq!(items(&batches(vec![3 << 20, 10, 3 << 20])), [1, 1, 1]);
    }
}

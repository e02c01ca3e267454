//! The manifest of a job: a line per item. It goes out in parts, so that what is in memory does not grow with the job.

use std::ops::ControlFlow;

use shared::domain::id::JobUid;
use shared::domain::item::Asset;
use shared::domain::plan::{Batch, Cut};
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
        for (batch, slice) in (0..).zip(self.lengths.chunks(cut.batch_items)) {
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

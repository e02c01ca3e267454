//! What is kept of replies beside the table (docs/decisions/0003): the raw predictions, as gzipped JSON lines, and drafts that
//! are too large for a row, each a range of an object.
//!
//! Replies are kept as they come. An object is written when it is full, and before each commit: so memory does not grow with
//! the batch, and a draft never names bytes that are not in the bucket.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use shared::domain::id::ItemUid;
use shared::domain::job::failure::Failure;
use shared::domain::job::outcome::{ItemCommit, Outcome};
use shared::domain::job::plan::Batch;
use shared::domain::packed::write_line;
use shared::domain::prediction::Prediction;
use shared::domain::prediction::draft::{BlobRef, Draft};
use shared::domain::reply::judge::too_large;
use shared::domain::{Error, limits};
use shared::ports::Objects;
use tokio::sync::Mutex;

/// Writes the objects of one worker.
pub(crate) struct RawWriter {
    /// Held while an object is written: no commit begins before its bytes are in the bucket, and further replies wait.
    open: Mutex<OpenObjects>,
    /// A dry run has no drafts (I8).
    dry_run: bool,
}

struct OpenObjects {
    predictions: OpenObject<GzEncoder<Vec<u8>>>,
    drafts: OpenObject<Vec<u8>>,
}

/// An object that is being filled. Its key has the attempt in it: two workers on one batch must not write over each other.
struct OpenObject<B> {
    prefix: String,
    number: u32,
    buffer: B,
}

/// What the bytes of an object pass through.
trait Buffer {
    const SUFFIX: &'static str;
    const CONTENT_TYPE: &'static str;

    /// Bytes so far.
    fn size(&self) -> usize;
    /// All bytes. The buffer is empty afterwards.
    fn take(&mut self) -> Result<Vec<u8>, Error>;
}

impl Buffer for GzEncoder<Vec<u8>> {
    const SUFFIX: &'static str = ".jsonl.gz";
    const CONTENT_TYPE: &'static str = "application/gzip";

    fn size(&self) -> usize {
        self.get_ref().len()
    }

    fn take(&mut self) -> Result<Vec<u8>, Error> {
        std::mem::replace(self, gzip()).finish().map_err(Error::internal)
    }
}

impl Buffer for Vec<u8> {
    const SUFFIX: &'static str = "";
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    fn size(&self) -> usize {
        self.len()
    }

    fn take(&mut self) -> Result<Vec<u8>, Error> {
        Ok(std::mem::take(self))
    }
}

impl<B: Buffer> OpenObject<B> {
    fn new(batch: &Batch, attempt: &str, folder: &str, buffer: B) -> Self {
        Self { prefix: format!("jobs/{}/{folder}/{:05}-{attempt}", batch.job, batch.batch), number: 0, buffer }
    }

    fn key(&self) -> String {
        format!("{}-{:04}{}", self.prefix, self.number, B::SUFFIX)
    }

    /// Writes the object if it has this many bytes, and begins the next one.
    async fn write_from(&mut self, bytes: usize, objects: &impl Objects) -> Result<(), Error> {
        if self.buffer.size() < bytes {
            return Ok(());
        }
        objects.put(&self.key(), B::CONTENT_TYPE, self.buffer.take()?).await?;
        self.number += 1;
        Ok(())
    }
}

fn gzip() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::default())
}

/// One line of raw predictions.
#[derive(Serialize)]
struct Line<'a> {
    item: ItemUid,
    predictions: &'a [Prediction],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

impl RawWriter {
    pub(crate) fn new(batch: &Batch, attempt: &str, dry_run: bool) -> Self {
        let predictions = OpenObject::new(batch, attempt, "raw", gzip());
        let drafts = OpenObject::new(batch, attempt, "drafts", Vec::new());
        Self { open: Mutex::new(OpenObjects { predictions, drafts }), dry_run }
    }

    /// Keeps the predictions about an item, and its draft if that is too large for a row.
    ///
    /// # Errors
    /// `ObjectsUnavailable`.
    pub(crate) async fn keep(
        &self,
        objects: &impl Objects,
        mut commit: ItemCommit,
        predictions: Vec<Prediction>,
    ) -> Result<ItemCommit, Error> {
        let mut open = self.open.lock().await;
        commit.outcome = match commit.outcome {
            Outcome::Successful(draft) => open.keep_draft(draft, self.dry_run)?,
            other => other,
        };
        let error = if let Outcome::Failed(failure) = &commit.outcome { Some(failure) } else { None };
        let line = Line { item: commit.item, predictions: &predictions, error };
        write_line(&mut open.predictions.buffer, &line)?;
        drop(predictions);
        commit.raw = Some(open.predictions.key());
        open.write_from(limits::OBJECT_BYTES, objects).await?;
        Ok(commit)
    }

    /// Writes what is in memory. What was kept until now may be committed afterwards.
    ///
    /// # Errors
    /// `ObjectsUnavailable`.
    pub(crate) async fn write(&self, objects: &impl Objects) -> Result<(), Error> {
        self.open.lock().await.write_from(1, objects).await
    }
}

impl OpenObjects {
    /// The outcome of an item with this draft: a draft that is too large for its row is moved to an object.
    fn keep_draft(&mut self, draft: Draft, dry_run: bool) -> Result<Outcome, Error> {
        let Some(packed) = draft.large()? else { return Ok(Outcome::Successful(draft)) };
        if !packed.is_readable() {
            return Ok(too_large());
        }
        let (offset, length) = (self.drafts.buffer.len() as u64, packed.bytes.len() as u64);
        let blob = BlobRef { key: self.drafts.key(), offset, length, json_bytes: packed.json_bytes };
        if !dry_run {
            self.drafts.buffer.extend_from_slice(&packed.bytes);
        }
        Ok(Outcome::Successful(draft.moved(blob)))
    }

    /// Writes each object that has this many bytes.
    async fn write_from(&mut self, bytes: usize, objects: &impl Objects) -> Result<(), Error> {
        self.predictions.write_from(bytes, objects).await?;
        self.drafts.write_from(bytes, objects).await
    }
}

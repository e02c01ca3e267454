//! What is kept of answers beside the table (docs/decisions/0003): the raw predictions, as gzipped JSON lines, and drafts that
//! are too large for a row, each a piece of an object.
//!
//! Answers are kept as they come, and an object is written when it is full, and before each commit: so what is in memory does
//! not grow with the batch, and a draft never points at what is not there.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use shared::domain::id::ItemUid;
use shared::domain::job::failure::Failure;
use shared::domain::job::outcome::Outcome;
use shared::domain::job::plan::Batch;
use shared::domain::packed::write_line;
use shared::domain::prediction::Prediction;
use shared::domain::prediction::draft::{BlobRef, Draft};
use shared::domain::reply::judge::too_large;
use shared::domain::{Error, limits};
use shared::ports::Objects;
use tokio::sync::Mutex;

use crate::ask::Answer;

/// Where a worker keeps what it is told.
pub(crate) struct Raw {
    /// Held while an object is written: nobody commits before what was kept is there, and who has more to keep waits.
    pages: Mutex<Pages>,
    /// A dry run has no drafts (I8).
    dry_run: bool,
}

struct Pages {
    predictions: Page<GzEncoder<Vec<u8>>>,
    drafts: Page<Vec<u8>>,
}

/// An object that is being filled. Named by the attempt: two workers on one batch must not write over each other.
struct Page<B> {
    prefix: String,
    number: u32,
    bytes: B,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    item: ItemUid,
    predictions: &'a [Prediction],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

impl<B> Page<B> {
    fn new(batch: &Batch, attempt: &str, of: &str, bytes: B) -> Self {
        Self { prefix: format!("jobs/{}/{of}/{:05}-{attempt}", batch.job, batch.batch), number: 0, bytes }
    }
}

impl Page<GzEncoder<Vec<u8>>> {
    fn key(&self) -> String {
        format!("{}-{:04}.jsonl.gz", self.prefix, self.number)
    }

    async fn write(&mut self, objects: &impl Objects) -> Result<(), Error> {
        if self.bytes.get_ref().is_empty() {
            return Ok(());
        }
        let gzip = std::mem::replace(&mut self.bytes, gzip()).finish().map_err(Error::internal)?;
        objects.put(&self.key(), "application/gzip", gzip).await?;
        self.number += 1;
        Ok(())
    }
}

impl Page<Vec<u8>> {
    fn key(&self) -> String {
        format!("{}-{:04}", self.prefix, self.number)
    }

    async fn write(&mut self, objects: &impl Objects) -> Result<(), Error> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        objects.put(&self.key(), "application/octet-stream", std::mem::take(&mut self.bytes)).await?;
        self.number += 1;
        Ok(())
    }
}

fn gzip() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::default())
}

impl Raw {
    pub(crate) fn new(batch: &Batch, attempt: &str, dry_run: bool) -> Self {
        let predictions = Page::new(batch, attempt, "raw", gzip());
        let drafts = Page::new(batch, attempt, "drafts", Vec::new());
        Self { pages: Mutex::new(Pages { predictions, drafts }), dry_run }
    }

    /// Keeps an answer; what comes back is what a commit needs of it.
    ///
    /// # Errors
    /// `ObjectsUnavailable`.
    pub(crate) async fn keep(&self, objects: &impl Objects, mut answer: Answer) -> Result<Answer, Error> {
        let predictions = std::mem::take(&mut answer.predictions);
        let Some(outcome) = &mut answer.outcome else { return Ok(answer) };
        let mut pages = self.pages.lock().await;
        if let Outcome::Successful(draft) = &mut outcome.outcome
            && let Some(kept) = pages.draft(draft, self.dry_run)?
        {
            outcome.outcome = kept;
        }
        let error = if let Outcome::Failed(failure) = &outcome.outcome { Some(failure) } else { None };
        answer.raw = Some(pages.line(&Line { item: outcome.item, predictions: &predictions, error })?);
        drop(predictions);
        if pages.predictions.bytes.get_ref().len() >= limits::OBJECT_BYTES {
            pages.predictions.write(objects).await?;
        }
        if pages.drafts.bytes.len() >= limits::OBJECT_BYTES {
            pages.drafts.write(objects).await?;
        }
        Ok(answer)
    }

    /// Writes what was kept: from here on it may be committed.
    ///
    /// # Errors
    /// `ObjectsUnavailable`.
    pub(crate) async fn write(&self, objects: &impl Objects) -> Result<(), Error> {
        let mut pages = self.pages.lock().await;
        pages.predictions.write(objects).await?;
        pages.drafts.write(objects).await
    }
}

impl Pages {
    /// What becomes of a draft that is too large for its row.
    fn draft(&mut self, draft: &mut Draft, dry_run: bool) -> Result<Option<Outcome>, Error> {
        let Some(packed) = draft.large()? else { return Ok(None) };
        if !packed.is_readable() {
            return Ok(Some(too_large()));
        }
        let (length, json_bytes) = (packed.bytes.len() as u64, packed.json_bytes);
        let place = BlobRef { key: self.drafts.key(), offset: self.drafts.bytes.len() as u64, length, json_bytes };
        if !dry_run {
            self.drafts.bytes.extend_from_slice(&packed.bytes);
        }
        Ok(Some(Outcome::Successful(std::mem::take(draft).moved(place))))
    }

    /// The object that has the line.
    fn line(&mut self, line: &Line<'_>) -> Result<String, Error> {
        write_line(&mut self.predictions.bytes, line)?;
        Ok(self.predictions.key())
    }
}

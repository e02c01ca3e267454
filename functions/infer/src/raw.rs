//! The raw predictions of a batch: one object of gzipped JSON lines (docs/decisions/0003).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use shared::domain::Error;
use shared::domain::id::ItemUid;
use shared::domain::outcome::{Failure, Outcome};
use shared::domain::plan::Batch;
use shared::domain::prediction::Prediction;

use crate::ask::Answer;

/// What has been said so far. The object is written again, longer, before each commit: it is complete for every
/// committed chunk at any moment, and still only one. Gzip members add up to a gzip file.
pub(crate) struct Raw {
    key: String,
    bytes: Vec<u8>,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    item: ItemUid,
    predictions: &'a [Prediction],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

impl Raw {
    /// Named by the attempt: two workers on one batch must not write over each other. The receipt names the object that
    /// counts.
    pub(crate) fn new(batch: &Batch, attempt: &str) -> Self {
        Self { key: format!("jobs/{}/raw/{:05}-{attempt}.jsonl.gz", batch.job, batch.batch), bytes: Vec::new() }
    }

    pub(crate) fn append(&mut self, answers: &[Answer]) -> Result<(), Error> {
        let mut gzip = GzEncoder::new(&mut self.bytes, Compression::default());
        for Answer { outcome, predictions, .. } in answers {
            let Some(outcome) = outcome else { continue };
            let error = if let Outcome::Failed(failure) = &outcome.outcome { Some(failure) } else { None };
            serde_json::to_writer(&mut gzip, &Line { item: outcome.item, predictions, error })
                .map_err(Error::internal)?;
            gzip.write_all(b"\n").map_err(Error::internal)?;
        }
        gzip.finish().map_err(Error::internal)?;
        Ok(())
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

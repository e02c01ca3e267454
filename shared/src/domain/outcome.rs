//! Outcomes: what became of each item of a job, and the receipt that says so once (I1, I2).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::draft::Draft;
use super::id::{ItemUid, JobUid};
use super::limits;
use super::summary::{ItemError, LabelCount};

/// What became of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// At least one prediction was accepted: these are the draft.
    Successful(Draft),
    /// Nothing to keep, and nothing wrong.
    Skipped(SkipReason),
    /// The model call or its answer was no good.
    Failed(Failure),
}

/// Why an item was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// No prediction with a wanted label reached the threshold.
    BelowThreshold,
    /// A person labeled the item meanwhile (I3).
    AlreadyLabeled,
}

/// Why an item failed: a stable code, and a short sentence without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: FailureCode,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The kinds of failure of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The model answered an error for this item.
    ModelError,
    /// The model did not answer in time, or was too busy, every time.
    ModelUnavailable,
    /// The answer is not what section 10.3 of the contract says.
    BadAnswer,
    /// The file is not there, or its width and height cannot be read.
    FileUnreadable,
    /// The draft does not fit.
    DraftTooLarge,
}

/// Names a chunk: fixed at plan time, so that two workers on one batch cut it alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkId {
    /// The job.
    pub job: JobUid,
    /// The batch in the job, from 0.
    pub batch: u32,
    /// The chunk in the batch, from 0.
    pub chunk: u32,
}

/// An item and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemOutcome {
    /// The item.
    pub item: ItemUid,
    /// What became of it.
    pub outcome: Outcome,
}

/// Everything that is known about a committed chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// One letter per item, in the manifest's order: `s`uccessful, `b`elow threshold, `l`abeled meanwhile,
    /// `f`ailed, `-` not processed because the job was cancelled.
    pub outcomes: String,
    /// Accepted predictions.
    pub predictions: u32,
    /// Accepted predictions by label, most first, at most 200.
    pub labels: Vec<LabelCount>,
    /// Predictions of labels that the job does not want, by label, most first, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped_labels: Vec<LabelCount>,
    /// The failed items.
    pub failures: Vec<ItemError>,
    /// Well-formed answers with parts that were not: a note per item.
    pub notes: Vec<ItemError>,
    /// The objects that hold the raw predictions.
    pub raw: Vec<String>,
}

/// What a chunk adds to the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    #[expect(missing_docs, reason = "see Counters")]
    pub successful: u32,
    #[expect(missing_docs, reason = "see Counters")]
    pub failed: u32,
    #[expect(missing_docs, reason = "see Counters")]
    pub skipped: u32,
}

impl Receipt {
    /// The receipt of these outcomes; `None` is an item that a cancelled job did not get to.
    #[must_use]
    pub fn of(
        outcomes: &[Option<ItemOutcome>],
        dropped_labels: Vec<LabelCount>,
        notes: Vec<ItemError>,
        raw: Vec<String>,
    ) -> Self {
        let mut receipt = Self { dropped_labels, notes, raw, ..Self::default() };
        let mut labels = Vec::new();
        for entry in outcomes {
            receipt.outcomes.push(match entry.as_ref().map(|o| (&o.outcome, o.item)) {
                None => '-',
                Some((Outcome::Skipped(SkipReason::BelowThreshold), _)) => 'b',
                Some((Outcome::Skipped(SkipReason::AlreadyLabeled), _)) => 'l',
                Some((Outcome::Failed(failure), item)) => {
                    receipt.failures.push(ItemError { item, code: failure.code, message: failure.message.clone() });
                    'f'
                }
                Some((Outcome::Successful(draft), _)) => {
                    receipt.predictions += draft.count;
                    labels.extend(draft.labels.iter().map(LabelCount::pair));
                    's'
                }
            });
        }
        receipt.labels = LabelCount::sum(labels, limits::SUMMARY_LABELS);
        receipt
    }

    /// What it adds to the counters.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for letter in self.outcomes.chars() {
            match letter {
                's' => tally.successful += 1,
                'f' => tally.failed += 1,
                'b' | 'l' => tally.skipped += 1,
                _ => {}
            }
        }
        tally
    }
}

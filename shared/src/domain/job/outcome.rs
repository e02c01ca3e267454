//! Outcomes: what became of each item of a job, and the receipt that says so once (I1, I2).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{ItemUid, JobUid};
use crate::domain::item::Asset;
use crate::domain::job::failure::ItemError;
use crate::domain::job::failure::{Failure, FailureCode, ItemNote, NoteCode};
use crate::domain::limits;
use crate::domain::prediction::draft::Draft;
use crate::domain::prediction::label_count::LabelCount;

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

/// The three outcomes, without their particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// At least one prediction was accepted.
    Successful,
    /// Nothing to keep, and nothing wrong.
    Skipped,
    /// The model call or its answer was no good.
    Failed,
}

impl OutcomeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Successful, Self::Skipped, Self::Failed];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "successful",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Why an item was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// No prediction with a wanted label reached the threshold.
    BelowThreshold,
    /// A person labeled the item meanwhile (I3).
    AlreadyLabeled,
    /// The item's file is not the one any more that the model may have seen.
    FileChanged,
}

impl SkipReason {
    /// For people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::BelowThreshold => "No prediction with a wanted label reached the confidence threshold.",
            Self::AlreadyLabeled => "The item got a result from somebody else while the job was running.",
            Self::FileChanged => {
                "The item's file was changed or deleted while the job was running; a later job takes what is there now."
            }
        }
    }
}

/// What is to be said about the answers of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// A note per item and code.
    pub notes: Vec<ItemNote>,
    /// Items whose answers have coordinates that can be judged.
    pub judged: u32,
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
    /// How often its file had been changed when the job was planned ([`Asset::changes`]).
    pub changes: u32,
    /// What became of it.
    pub outcome: Outcome,
}

impl ItemOutcome {
    /// What became of this item.
    #[must_use]
    pub const fn of(asset: &Asset, outcome: Outcome) -> Self {
        Self { item: asset.uid, changes: asset.changes, outcome }
    }
}

/// Everything that is known about a committed chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// One letter per item, in the manifest's order: `s`uccessful, `b`elow threshold, `l`abeled meanwhile,
    /// file `c`hanged meanwhile, `f`ailed, `-` not processed because the job was cancelled.
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
    /// What was corrected in answers or looks wrong in them: a note per item and code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<ItemNote>,
    /// Items whose answers have coordinates that can be judged ([`NoteCode::CoordinatesNormalized`]).
    #[serde(default, skip_serializing_if = "crate::domain::item::is_zero")]
    pub judged: u32,
    /// The objects that hold the raw predictions.
    pub raw: Vec<String>,
    /// The items that have an outcome, in the manifest's order. Kept apart from the rest: bytes that nothing compresses.
    #[serde(skip)]
    pub items: Vec<ItemUid>,
}

/// What became of an item: a line of the per-item report (design.md, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ItemReport {
    /// The item.
    pub item: ItemUid,
    /// What became of it.
    pub outcome: OutcomeKind,
    /// Why, for programs; `null` for a successful item.
    #[schema(required)]
    pub code: Option<Reason>,
    /// Why, for people; `null` for a successful item.
    #[schema(required)]
    pub message: Option<String>,
    /// What was dropped of the model's answer, what was corrected in it, and what looks wrong in it.
    #[schema(required)]
    pub note: Option<String>,
}

/// Why an item has no draft.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Reason {
    /// It was skipped.
    Skipped(SkipReason),
    /// It failed.
    Failed(FailureCode),
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
            receipt.items.extend(entry.as_ref().map(|outcome| outcome.item));
            receipt.outcomes.push(match entry.as_ref().map(|o| (&o.outcome, o.item)) {
                None => '-',
                Some((Outcome::Skipped(SkipReason::BelowThreshold), _)) => 'b',
                Some((Outcome::Skipped(SkipReason::AlreadyLabeled), _)) => 'l',
                Some((Outcome::Skipped(SkipReason::FileChanged), _)) => 'c',
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

    /// With what is to be said about the answers.
    #[must_use]
    pub fn remarked(self, Remarks { notes, judged }: Remarks) -> Self {
        Self { remarks: notes, judged, ..self }
    }

    /// What it adds to the counters.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (_, kind, _) in self.entries() {
            match kind {
                OutcomeKind::Successful => tally.successful += 1,
                OutcomeKind::Skipped => tally.skipped += 1,
                OutcomeKind::Failed => tally.failed += 1,
            }
        }
        tally
    }

    /// The items that a retry has no business with: they have their outcome for good.
    pub fn settled(&self) -> impl Iterator<Item = ItemUid> {
        self.entries().filter(|(_, kind, _)| *kind != OutcomeKind::Failed).map(|(item, ..)| item)
    }

    /// What it says about each item, in the manifest's order.
    #[must_use]
    pub fn report(&self) -> Vec<ItemReport> {
        let about = |errors: &[ItemError], item| errors.iter().find(|error| error.item == item).cloned();
        let line = |(item, outcome, skipped): (ItemUid, OutcomeKind, Option<SkipReason>)| {
            let failure = about(&self.failures, item);
            let (code, message) = match (skipped, failure) {
                (Some(reason), _) => (Some(Reason::Skipped(reason)), Some(reason.message().to_owned())),
                (None, Some(failure)) => (Some(Reason::Failed(failure.code)), Some(failure.message)),
                (None, None) => (None, None),
            };
            let dropped = self.notes.iter().filter(|note| note.item == item).map(|note| note.message.as_str());
            // Of one item alone, small coordinates say nothing: its objects may lie in a corner.
            let remarks =
                self.remarks.iter().filter(|note| note.item == item && note.code != NoteCode::CoordinatesPercent);
            let notes: Vec<&str> = dropped.chain(remarks.map(|note| note.message.as_str())).collect();
            let note = (!notes.is_empty()).then(|| notes.join(" "));
            ItemReport { item, outcome, code, message, note }
        };
        self.entries().map(line).collect()
    }

    /// The letters, read, each with its item.
    fn entries(&self) -> impl Iterator<Item = (ItemUid, OutcomeKind, Option<SkipReason>)> {
        let read = |letter| match letter {
            's' => Some((OutcomeKind::Successful, None)),
            'b' => Some((OutcomeKind::Skipped, Some(SkipReason::BelowThreshold))),
            'l' => Some((OutcomeKind::Skipped, Some(SkipReason::AlreadyLabeled))),
            'c' => Some((OutcomeKind::Skipped, Some(SkipReason::FileChanged))),
            'f' => Some((OutcomeKind::Failed, None)),
            _ => None,
        };
        let outcomes = self.outcomes.chars().filter_map(read);
        self.items.iter().zip(outcomes).map(|(item, (kind, skipped))| (*item, kind, skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::id::ProjectUid;

    fn item(n: usize) -> ItemUid {
        ItemUid::of(ProjectUid::at(Timestamp::UNIX_EPOCH), &n.to_string())
    }

    #[test]
    fn a_receipt_of_before_reads_and_notes_of_an_item_are_one_sentence_after_the_other() {
        let before = serde_json::json!({"outcomes": "s", "predictions": 1, "labels": [], "failures": [], "notes": [], "raw": []});
        let receipt: Receipt = serde_json::from_value(before.clone()).unwrap();
        assert_eq!(serde_json::to_value(&receipt).unwrap(), before);

        let uid = item(0);
        let dropped = ItemError { item: uid, code: FailureCode::BadAnswer, message: "A circle was dropped.".into() };
        let note = |code, message: &str| ItemNote { item: uid, code, message: message.into() };
        let remarks =
            vec![note(NoteCode::ConfidenceClamped, "1.01 was read as 1."), note(NoteCode::CoordinatesPercent, "Odd.")];
        let receipt = Receipt { items: vec![uid], notes: vec![dropped], remarks, ..receipt };
        assert_eq!(receipt.report()[0].note.as_deref(), Some("A circle was dropped. 1.01 was read as 1."));
        let kept: Receipt = serde_json::from_value(serde_json::to_value(&receipt).unwrap()).unwrap();
        assert_eq!(kept, Receipt { items: vec![], ..receipt });
    }

    fn of(outcomes: Vec<Option<Outcome>>) -> (Receipt, Vec<ItemUid>) {
        let items: Vec<ItemUid> = (0..outcomes.len()).map(item).collect();
        let outcomes: Vec<Option<ItemOutcome>> = outcomes
            .into_iter()
            .zip(&items)
            .map(|(outcome, item)| outcome.map(|outcome| ItemOutcome { item: *item, changes: 0, outcome }))
            .collect();
        let note = ItemError { item: items[1], code: FailureCode::BadAnswer, message: "A circle was dropped.".into() };
        (Receipt::of(&outcomes, vec![], vec![note], vec!["raw".into()]), items)
    }

    #[test]
    fn a_receipt_reports_each_item_that_has_an_outcome_with_its_reason() {
        let (receipt, items) = of(vec![
            None,
            Some(Outcome::Successful(Draft::default())),
            Some(Outcome::Skipped(SkipReason::AlreadyLabeled)),
            Some(Outcome::Failed(Failure::new(FailureCode::ModelError, "The model answered 400."))),
            Some(Outcome::Skipped(SkipReason::BelowThreshold)),
            Some(Outcome::Skipped(SkipReason::FileChanged)),
        ]);

        let said = serde_json::to_value(receipt.report()).unwrap();

        let line = |place: usize, outcome: &str, reason: Option<(&str, &str)>, note: Option<&str>| {
            let (code, message) = reason.unzip();
            serde_json::json!({"item": items[place], "outcome": outcome, "code": code, "message": message, "note": note})
        };
        assert_eq!(
            said,
            serde_json::json!([
                line(1, "successful", None, Some("A circle was dropped.")),
                line(2, "skipped", Some(("already_labeled", SkipReason::AlreadyLabeled.message())), None),
                line(3, "failed", Some(("model_error", "The model answered 400.")), None),
                line(4, "skipped", Some(("below_threshold", SkipReason::BelowThreshold.message())), None),
                line(5, "skipped", Some(("file_changed", SkipReason::FileChanged.message())), None),
            ])
        );
        let settled: Vec<ItemUid> = receipt.settled().collect();
        assert_eq!(settled, [items[1], items[2], items[4], items[5]]);
        assert_eq!(receipt.tally(), Tally { successful: 1, failed: 1, skipped: 3 });
    }
}

//! Outcomes: what became of each item of a job, and the receipt that says so once (I1, I2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{ItemUid, JobUid};
use crate::domain::item::Asset;
use crate::domain::job::failure::{Failure, FailureCode, ItemError, ItemNote, NoteCode};
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
    /// The call failed, or its reply cannot be used.
    Failed(Failure),
}

impl Outcome {
    /// The draft of a successful item.
    #[must_use]
    pub const fn draft(&self) -> Option<&Draft> {
        if let Self::Successful(draft) = self { Some(draft) } else { None }
    }

    /// Its letter in [`Receipt::outcomes`].
    const fn letter(&self) -> char {
        match self {
            Self::Successful(_) => 's',
            Self::Skipped(SkipReason::BelowThreshold) => 'b',
            Self::Skipped(SkipReason::AlreadyLabeled) => 'l',
            Self::Skipped(SkipReason::FileChanged) => 'c',
            Self::Failed(_) => 'f',
        }
    }
}

/// The three outcomes, without their particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// At least one prediction was accepted.
    Successful,
    /// Nothing to keep, and nothing wrong.
    Skipped,
    /// The call failed, or its reply cannot be used.
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
}

/// Why an item was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// No prediction with a wanted label reached the threshold.
    BelowThreshold,
    /// A person labeled the item meanwhile (I3).
    AlreadyLabeled,
    /// The item's file was changed or deleted after the job was planned.
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

/// The outcome of an item, with all that is committed beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemCommit {
    /// The item.
    pub item: ItemUid,
    /// [`Asset::changes`] when the job was planned: a draft is refused if the file has changed since.
    pub changes: u32,
    /// Its draft, or why it has none.
    pub outcome: Outcome,
    /// The asset, if its size or its orientation was read from its file. It is stored with the draft.
    pub measured: Option<Asset>,
    /// Key of the object that holds its raw predictions.
    pub raw: Option<String>,
    /// What was dropped of the model's reply, in a sentence.
    pub dropped: Option<String>,
    /// What was corrected in the reply, or seems wrong in it: a sentence for each code.
    pub remarks: Vec<(NoteCode, String)>,
    /// Whether the unit of the reply's coordinates can be judged ([`NoteCode::CoordinatesNormalized`]).
    pub is_judged: bool,
    /// Predictions of labels that the job does not want, most first.
    pub dropped_labels: Vec<LabelCount>,
}

impl ItemCommit {
    /// An outcome with nothing beside it.
    #[must_use]
    pub const fn new(item: ItemUid, changes: u32, outcome: Outcome) -> Self {
        Self {
            item,
            changes,
            outcome,
            measured: None,
            raw: None,
            dropped: None,
            remarks: Vec::new(),
            is_judged: false,
            dropped_labels: Vec::new(),
        }
    }
}

/// What became of the items of a committed chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// One letter per item, in the manifest's order: `s`uccessful, `b`elow threshold, `l`abeled meanwhile,
    /// file `c`hanged meanwhile, `f`ailed, `-` not processed because the job ended.
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
    /// Replies with parts that are not well formed and were dropped: a note per item.
    pub notes: Vec<ItemError>,
    /// What was corrected in replies, or seems wrong in them: a note per item and code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<ItemNote>,
    /// Items whose replies have coordinates that can be judged ([`NoteCode::CoordinatesNormalized`]).
    #[serde(default, skip_serializing_if = "crate::domain::item::is_zero")]
    pub judged: u32,
    /// The objects that hold the raw predictions.
    pub raw: Vec<String>,
    /// The items that have an outcome, in the manifest's order. Stored beside the rest: bytes that nothing compresses.
    #[serde(skip)]
    pub items: Vec<ItemUid>,
}

/// What became of an item: a line of the per-item report (contract, 6.4).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({"key": "street/1.jpg", "outcome": "failed", "code": "file_unreadable", "message": "The file was not uploaded yet.", "note": null}))]
pub struct ItemReport {
    /// The item.
    pub item: ItemUid,
    /// Its key.
    #[schema(required)]
    pub key: Option<String>,
    /// What became of it.
    pub outcome: OutcomeKind,
    /// Why, for programs; `null` for a successful item.
    #[schema(required)]
    pub code: Option<Reason>,
    /// Why, for people; `null` for a successful item.
    #[schema(required)]
    pub message: Option<String>,
    /// What was dropped of the model's answer, what was corrected in it, and what seems wrong in it.
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
    /// The receipt of a chunk's items; `None` is an item that a cancelled job did not process.
    #[must_use]
    pub fn of(items: &[Option<ItemCommit>]) -> Self {
        let commits = || items.iter().flatten();
        let drafts = commits().filter_map(|commit| commit.outcome.draft());
        let labels = drafts.flat_map(|draft| &draft.labels).map(LabelCount::pair);
        let dropped_labels = commits().flat_map(|commit| &commit.dropped_labels).map(LabelCount::pair);
        let raw: BTreeSet<&String> = commits().filter_map(|commit| commit.raw.as_ref()).collect();
        let mut receipt = Self {
            outcomes: items.iter().map(|item| item.as_ref().map_or('-', |commit| commit.outcome.letter())).collect(),
            labels: LabelCount::sum(labels, limits::SUMMARY_LABELS),
            dropped_labels: LabelCount::sum(dropped_labels, limits::DROPPED_LABELS),
            raw: raw.into_iter().cloned().collect(),
            ..Self::default()
        };
        commits().for_each(|commit| receipt.add(commit));
        receipt
    }

    fn add(&mut self, commit: &ItemCommit) {
        let item = commit.item;
        self.items.push(item);
        self.judged += u32::from(commit.is_judged);
        let note =
            |message: &String| ItemError { item, key: None, code: FailureCode::BadAnswer, message: message.clone() };
        self.notes.extend(commit.dropped.as_ref().map(note));
        let remark = |(code, message): &(NoteCode, String)| ItemNote { item, code: *code, message: message.clone() };
        self.remarks.extend(commit.remarks.iter().map(remark));
        match &commit.outcome {
            Outcome::Successful(draft) => self.predictions += draft.count,
            Outcome::Failed(failure) => {
                let (code, message) = (failure.code, failure.sentence());
                self.failures.push(ItemError { item, key: None, code, message });
            }
            Outcome::Skipped(_) => {}
        }
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

    /// The items that a retry leaves out: all but the failed ones.
    pub fn settled(&self) -> impl Iterator<Item = ItemUid> {
        self.entries().filter(|(_, kind, _)| *kind != OutcomeKind::Failed).map(|(item, ..)| item)
    }

    /// The items that have a draft.
    #[must_use]
    pub fn drafted(&self) -> Vec<ItemUid> {
        self.entries().filter(|(_, kind, _)| *kind == OutcomeKind::Successful).map(|(item, ..)| item).collect()
    }

    /// A line for each item, in the manifest's order.
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
            // Small coordinates of a single item mean nothing: its objects may lie in a corner.
            let remarks =
                self.remarks.iter().filter(|note| note.item == item && note.code != NoteCode::CoordinatesPercent);
            let notes: Vec<&str> = dropped.chain(remarks.map(|note| note.message.as_str())).collect();
            let note = (!notes.is_empty()).then(|| notes.join(" "));
            ItemReport { item, key: None, outcome, code, message, note }
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
        let dropped =
            ItemError { item: uid, key: None, code: FailureCode::BadAnswer, message: "A circle was dropped.".into() };
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
        let mut commits: Vec<Option<ItemCommit>> = outcomes
            .into_iter()
            .zip(&items)
            .map(|(outcome, item)| outcome.map(|outcome| ItemCommit::new(*item, 0, outcome)))
            .collect();
        commits[1].as_mut().unwrap().dropped = Some("A circle was dropped.".into());
        (Receipt::of(&commits), items)
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

        let report = serde_json::to_value(receipt.report()).unwrap();

        let line = |position: usize, outcome: &str, reason: Option<(&str, &str)>, note: Option<&str>| {
            let (code, message) = reason.unzip();
            serde_json::json!({"item": items[position], "key": null, "outcome": outcome, "code": code, "message": message, "note": note})
        };
        assert_eq!(
            report,
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

//! The summary of a finished job (contract, 6.5), added up from its receipts.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::ItemUid;
use crate::domain::job::failure::{FailureCode, ItemError, ItemNote, NoteCode};
use crate::domain::job::outcome::Receipt;
use crate::domain::limits;
use crate::domain::prediction::label_count::LabelCount;

/// What was corrected in answers, or seems wrong in them, without being malformed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SummaryNote {
    /// For programs.
    pub code: NoteCode,
    /// Items that have it.
    pub items: u32,
    /// The first of them.
    pub item: ItemUid,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it is about there, for people.
    pub message: String,
}

/// What a job came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"predictions": 8, "labels": [{"label": "person", "count": 5}, {"label": "cat", "count": 3}], "truncated": false}))]
pub struct Summary {
    /// Accepted predictions.
    pub predictions: u32,
    /// By label, most first, at most 200.
    pub labels: Vec<LabelCount>,
    /// Predictions of labels that the job does not want, by label, most first, at most 50.
    #[serde(default)]
    pub dropped_labels: Vec<LabelCount>,
    /// Failed items, coordinates that seem wrong throughout, and dropped predictions: the first 20.
    pub errors: Vec<ItemError>,
    /// What was corrected in answers, or seems wrong in them, by code.
    #[serde(default)]
    pub notes: Vec<SummaryNote>,
    /// The project had more unlabeled items than one job takes (contract, D11).
    pub truncated: bool,
    /// Why the job had nothing to do, or left no drafts, and what to do about it. Not there if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Adds up receipts. Its memory does not grow with their number.
#[derive(Debug, Default)]
pub struct Sum {
    predictions: u32,
    labels: Counts,
    dropped_labels: Counts,
    errors: Vec<ItemError>,
    notes: Vec<ItemError>,
    remarks: Vec<SummaryNote>,
    judged: u32,
}

/// Coordinates are taken for percent if those of at least this many items all lie within 100: the objects of one or two may lie in
/// a corner.
const PERCENT_ITEMS: u32 = 5;

impl Sum {
    /// Adds the next receipt.
    pub fn add(&mut self, receipt: Receipt) {
        self.predictions = self.predictions.saturating_add(receipt.predictions);
        self.labels.add(receipt.labels);
        self.dropped_labels.add(receipt.dropped_labels);
        fill(&mut self.errors, receipt.failures);
        fill(&mut self.notes, receipt.notes);
        self.judged = self.judged.saturating_add(receipt.judged);
        for ItemNote { item, code, message } in receipt.remarks {
            match self.remarks.iter_mut().find(|note| note.code == code) {
                Some(note) => note.items = note.items.saturating_add(1),
                None => self.remarks.push(SummaryNote { code, items: 1, item, key: None, message }),
            }
        }
    }

    /// Whether the note is in the summary: if enough items have it, or one for what was corrected or dropped.
    fn shows(&self, note: &SummaryNote) -> bool {
        match note.code {
            NoteCode::ConfidenceClamped | NoteCode::GeometryClipped | NoteCode::LabelsDropped => true,
            NoteCode::CoordinatesNormalized => note.items.saturating_mul(2) >= self.judged,
            NoteCode::CoordinatesPercent => note.items == self.judged && note.items >= PERCENT_ITEMS,
        }
    }

    /// The sum.
    #[must_use]
    pub fn summary(mut self, truncated: bool) -> Summary {
        let mut remarks = std::mem::take(&mut self.remarks);
        remarks.retain(|note| self.shows(note));
        remarks.sort_by_key(|note| note.code);
        let Self { predictions, labels, dropped_labels, mut errors, notes, .. } = self;
        let of_the_job = remarks.iter().filter_map(SummaryNote::error).collect();
        fill(&mut errors, of_the_job); // a failed item says more, and a dropped prediction less
        fill(&mut errors, notes);
        Summary {
            notes: remarks,
            predictions,
            labels: labels.most(limits::SUMMARY_LABELS),
            dropped_labels: dropped_labels.most(limits::DROPPED_LABELS),
            errors,
            truncated,
            note: None,
        }
    }
}

impl Summary {
    /// The items that it names, each once.
    #[must_use]
    pub fn items(&self) -> Vec<ItemUid> {
        let named = self.errors.iter().map(|error| error.item).chain(self.notes.iter().map(|note| note.item));
        named.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// With the keys of these items beside their uids.
    #[must_use]
    pub fn with_keys(mut self, keys: &HashMap<ItemUid, String>) -> Self {
        self.errors.iter_mut().for_each(|error| error.key = keys.get(&error.item).cloned());
        self.notes.iter_mut().for_each(|note| note.key = keys.get(&note.item).cloned());
        self
    }
}

impl SummaryNote {
    /// The error that a person has to correct, if it is one: corrections are none.
    fn error(&self) -> Option<ItemError> {
        let Self { code, items, item, message, .. } = self;
        match code {
            NoteCode::ConfidenceClamped | NoteCode::GeometryClipped | NoteCode::LabelsDropped => None,
            NoteCode::CoordinatesNormalized | NoteCode::CoordinatesPercent => {
                let others = if *items > 1 { format!(" So it is with {items} items.") } else { String::new() };
                let message = format!("{message}{others}");
                Some(ItemError { item: *item, key: None, code: FailureCode::UnlikelyCoordinates, message })
            }
        }
    }
}

/// Appends errors up to [`limits::SUMMARY_ERRORS`].
fn fill(errors: &mut Vec<ItemError>, more: Vec<ItemError>) {
    errors.extend(more.into_iter().take(limits::SUMMARY_ERRORS - errors.len()));
}

/// Predictions by label: exact up to [`limits::LABELS_COUNTED`] labels.
#[derive(Debug, Default)]
struct Counts(HashMap<String, u32>);

impl Counts {
    fn add(&mut self, counts: Vec<LabelCount>) {
        for LabelCount { label, count } in counts {
            let sum = self.0.entry(label).or_default();
            *sum = sum.saturating_add(count);
        }
        if self.0.len() > limits::LABELS_COUNTED {
            // Half of them, so that it happens seldom. A frequent label is dropped only if it first comes late.
            self.0 = self.most(limits::LABELS_COUNTED / 2).into_iter().map(|sum| (sum.label, sum.count)).collect();
        }
    }

    fn most(&self, most: usize) -> Vec<LabelCount> {
        LabelCount::sum(self.0.iter().map(|(label, count)| (label.as_str(), *count)), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(receipts: impl IntoIterator<Item = Receipt>) -> Summary {
        let mut sum = Sum::default();
        receipts.into_iter().for_each(|receipt| sum.add(receipt));
        assert!(sum.labels.0.len() <= limits::LABELS_COUNTED);
        sum.summary(false)
    }

    #[test]
    fn a_frequent_label_is_counted_to_the_last_among_any_number_of_rare_ones() {
        let label = |label: String| LabelCount { label, count: 1 };
        let receipt = |n: usize| Receipt {
            labels: (0..98).map(|rare| label(format!("{n} {rare}"))).chain([label("car".into())]).collect(),
            ..Receipt::default()
        };

        let summary = sum((0..1_000).map(receipt));

        assert_eq!(summary.labels[0], LabelCount { label: "car".into(), count: 1_000 });
    }

    #[test]
    fn however_many_labels_a_model_has_the_summary_stays_small() {
        let receipt = |n: u32| Receipt {
            predictions: 98,
            labels: (0..98).map(|label| LabelCount { label: format!("{}", n * 98 + label), count: 1 }).collect(),
            ..Receipt::default()
        };
        let mut receipts: Vec<Receipt> = (0..60).map(receipt).collect();
        receipts.push(Receipt {
            predictions: 7,
            labels: vec![LabelCount { label: "car".into(), count: 7 }],
            ..Receipt::default()
        });

        let summary = sum(receipts);

        assert_eq!((summary.labels.len(), summary.predictions), (limits::SUMMARY_LABELS, 60 * 98 + 7));
        assert_eq!(summary.labels.first().map(|entry| entry.label.as_str()), Some("car"));
    }

    fn remarked(code: NoteCode, judged: u32) -> Receipt {
        let item = ItemUid::parse("18388971-4ab9-8000-837b-b5c87795f730").unwrap();
        Receipt { judged, remarks: vec![ItemNote { item, code, message: "m.".into() }], ..Receipt::default() }
    }

    #[test]
    fn corrections_are_counted_by_code_and_are_no_errors() {
        let summary = sum([
            remarked(NoteCode::GeometryClipped, 1),
            remarked(NoteCode::ConfidenceClamped, 1),
            remarked(NoteCode::LabelsDropped, 1),
            remarked(NoteCode::GeometryClipped, 1),
        ]);

        let notes: Vec<(NoteCode, u32)> = summary.notes.iter().map(|note| (note.code, note.items)).collect();
        let wanted = [(NoteCode::ConfidenceClamped, 1), (NoteCode::GeometryClipped, 2), (NoteCode::LabelsDropped, 1)];
        assert_eq!(notes, wanted);
        assert!(summary.errors.is_empty());
    }

    #[test]
    fn coordinates_that_seem_wrong_are_an_error_once_they_do_throughout() {
        let shown = |code, with: usize, without: u32| {
            let receipts =
                (0..with).map(|_| remarked(code, 1)).chain([Receipt { judged: without, ..Receipt::default() }]);
            let summary = sum(receipts);
            assert_eq!(summary.errors.len(), summary.notes.len());
            summary.errors.first().map(|error| (error.code, error.message.clone()))
        };
        let error = |message: &str| Some((FailureCode::UnlikelyCoordinates, message.to_owned()));

        assert_eq!(shown(NoteCode::CoordinatesNormalized, 1, 0), error("m."));
        assert_eq!(shown(NoteCode::CoordinatesNormalized, 3, 3), error("m. So it is with 3 items."));
        assert_eq!(shown(NoteCode::CoordinatesNormalized, 1, 2), None);
        assert_eq!(shown(NoteCode::CoordinatesPercent, 5, 0), error("m. So it is with 5 items."));
        assert_eq!(shown(NoteCode::CoordinatesPercent, 4, 0), None);
        assert_eq!(shown(NoteCode::CoordinatesPercent, 9, 1), None);
    }

    #[test]
    fn failed_items_come_before_dropped_predictions_and_twenty_are_listed() {
        let error = |code| ItemError {
            item: ItemUid::parse("18388971-4ab9-8000-837b-b5c87795f730").unwrap(),
            key: None,
            code,
            message: "m".into(),
        };
        let receipts = [
            Receipt { notes: vec![error(FailureCode::BadAnswer); 15], ..Receipt::default() },
            Receipt { failures: vec![error(FailureCode::ModelError); 15], ..Receipt::default() },
        ];

        let codes: Vec<FailureCode> = sum(receipts).errors.iter().map(|error| error.code).collect();

        assert_eq!(codes, [vec![FailureCode::ModelError; 15], vec![FailureCode::BadAnswer; 5]].concat());
    }
}

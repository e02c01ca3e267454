//! The summary of a finished job (contract, 6.5), added up from its receipts.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::ItemUid;
use super::limits;
use super::outcome::{FailureCode, Receipt};

/// Predictions of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LabelCount {
    /// The label. A value, never a key: the TypeScript client renames keys (contract, 1.4).
    pub label: String,
    /// Predictions.
    pub count: u32,
}

impl LabelCount {
    /// Adds counts up, the most frequent first, `most` of them. Labels that are equally frequent keep alphabetical order, so
    /// that a sum does not depend on which chunk came first.
    pub fn sum<'a>(counts: impl IntoIterator<Item = (&'a str, u32)>, most: usize) -> Vec<Self> {
        let mut sums: BTreeMap<&str, u32> = BTreeMap::new();
        for (label, count) in counts {
            *sums.entry(label).or_default() += count;
        }
        let mut sums: Vec<(&str, u32)> = sums.into_iter().collect();
        sums.sort_by_key(|(_, count)| Reverse(*count)); // stable
        sums.truncate(most);
        sums.into_iter().map(|(label, count)| Self { label: label.to_owned(), count }).collect()
    }

    /// As [`Self::sum`] takes it.
    #[must_use]
    pub fn pair(&self) -> (&str, u32) {
        (&self.label, self.count)
    }
}

/// What went wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// The item.
    pub item: ItemUid,
    /// For programs.
    pub code: FailureCode,
    /// For people.
    pub message: String,
}

/// What a job came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Accepted predictions.
    pub predictions: u32,
    /// By label, most first, at most 200.
    pub labels: Vec<LabelCount>,
    /// Predictions of labels that the job does not want, by label, most first, at most 50.
    #[serde(default)]
    pub dropped_labels: Vec<LabelCount>,
    /// Failed items and dropped predictions, the first 20.
    pub errors: Vec<ItemError>,
    /// The project had more unlabeled items than one job takes (contract, D11).
    pub truncated: bool,
}

impl Summary {
    /// Adds receipts up.
    #[must_use]
    pub fn of<'a>(receipts: impl IntoIterator<Item = &'a Receipt>, truncated: bool) -> Self {
        let mut summary = Self { truncated, ..Self::default() };
        let (mut labels, mut dropped, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for receipt in receipts {
            summary.predictions += receipt.predictions;
            labels.extend(receipt.labels.iter().map(LabelCount::pair));
            dropped.extend(receipt.dropped_labels.iter().map(LabelCount::pair));
            summary.errors.extend(receipt.failures.iter().take(limits::SUMMARY_ERRORS).cloned());
            notes.extend(receipt.notes.iter().take(limits::SUMMARY_ERRORS).cloned());
        }
        summary.labels = LabelCount::sum(labels, limits::SUMMARY_LABELS);
        summary.dropped_labels = LabelCount::sum(dropped, limits::DROPPED_LABELS);
        summary.errors.extend(notes); // a failed item says more than a dropped prediction
        summary.errors.truncate(limits::SUMMARY_ERRORS);
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

        let summary = Summary::of(&receipts, false);

        assert_eq!((summary.labels.len(), summary.predictions), (limits::SUMMARY_LABELS, 60 * 98 + 7));
        assert_eq!(summary.labels.first().map(|entry| entry.label.as_str()), Some("car"));
    }

    #[test]
    fn failed_items_come_before_dropped_predictions_and_twenty_are_listed() {
        let error = |code| ItemError {
            item: ItemUid::parse("18388971-4ab9-8000-837b-b5c87795f730").unwrap(),
            code,
            message: "m".into(),
        };
        let receipts = [
            Receipt { notes: vec![error(FailureCode::BadAnswer); 15], ..Receipt::default() },
            Receipt { failures: vec![error(FailureCode::ModelError); 15], ..Receipt::default() },
        ];

        let codes: Vec<FailureCode> = Summary::of(&receipts, true).errors.iter().map(|error| error.code).collect();

        assert_eq!(codes, [vec![FailureCode::ModelError; 15], vec![FailureCode::BadAnswer; 5]].concat());
    }
}

//! The summary of a finished job (contract, 6.5), added up from its receipts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

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

/// A summary in the making: receipts are added one by one, and what it holds does not grow with them.
#[derive(Debug, Default)]
pub struct Sum {
    predictions: u32,
    labels: Counts,
    dropped_labels: Counts,
    errors: Vec<ItemError>,
    notes: Vec<ItemError>,
}

impl Sum {
    /// Adds the next receipt.
    pub fn add(&mut self, receipt: Receipt) {
        self.predictions = self.predictions.saturating_add(receipt.predictions);
        self.labels.add(receipt.labels);
        self.dropped_labels.add(receipt.dropped_labels);
        fill(&mut self.errors, receipt.failures);
        fill(&mut self.notes, receipt.notes);
    }

    /// What they come to.
    #[must_use]
    pub fn summary(self, truncated: bool) -> Summary {
        let Self { predictions, labels, dropped_labels, mut errors, notes } = self;
        fill(&mut errors, notes); // a failed item says more than a dropped prediction
        Summary {
            predictions,
            labels: labels.most(limits::SUMMARY_LABELS),
            dropped_labels: dropped_labels.most(limits::DROPPED_LABELS),
            errors,
            truncated,
        }
    }
}

/// The first so many.
fn fill(errors: &mut Vec<ItemError>, more: Vec<ItemError>) {
    errors.extend(more.into_iter().take(limits::SUMMARY_ERRORS - errors.len()));
}

/// How often each label was met: exactly, until there are more than [`limits::LABELS_COUNTED`].
#[derive(Debug, Default)]
struct Counts(HashMap<String, u32>);

impl Counts {
    fn add(&mut self, counts: Vec<LabelCount>) {
        for LabelCount { label, count } in counts {
            let sum = self.0.entry(label).or_default();
            *sum = sum.saturating_add(count);
        }
        if self.0.len() > limits::LABELS_COUNTED {
            // Half of them, so that it happens seldom; none of those that the summary will list, unless it is late.
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
            labels: (0..98).map(|place| label(format!("{n} {place}"))).chain([label("car".into())]).collect(),
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

        let codes: Vec<FailureCode> = sum(receipts).errors.iter().map(|error| error.code).collect();

        assert_eq!(codes, [vec![FailureCode::ModelError; 15], vec![FailureCode::BadAnswer; 5]].concat());
    }
}

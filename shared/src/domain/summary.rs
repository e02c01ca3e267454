//! The summary of a finished job (contract, 6.5), added up from its receipts.

use serde::{Deserialize, Serialize};

use super::id::ItemUid;
use super::limits;
use super::outcome::{FailureCode, Receipt};

/// Predictions of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCount {
    /// The label. A value, never a key: the TypeScript client renames keys (contract, 1.4).
    pub label: String,
    /// Accepted predictions.
    pub count: u32,
}

impl LabelCount {
    /// Adds to the entry of `label`, in order of first appearance.
    pub fn add(counts: &mut Vec<Self>, label: &str, count: u32) {
        match counts.iter_mut().find(|entry| entry.label == label) {
            Some(entry) => entry.count += count,
            None => counts.push(Self { label: label.to_owned(), count }),
        }
    }
}

/// What went wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    /// The item.
    pub item: ItemUid,
    /// For programs.
    pub code: FailureCode,
    /// For people.
    pub message: String,
}

/// What a job came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Accepted predictions.
    pub predictions: u32,
    /// By label, most first.
    pub labels: Vec<LabelCount>,
    /// Failed items and dropped predictions, the first 20.
    pub errors: Vec<ItemError>,
    /// The project had more unlabeled items than one job takes (contract, D11).
    pub truncated: bool,
}

impl Summary {
    /// Adds receipts up. Labels that are equally frequent keep alphabetical order, so that the sum does not
    /// depend on which chunk came first.
    #[must_use]
    pub fn of<'a>(receipts: impl IntoIterator<Item = &'a Receipt>, truncated: bool) -> Self {
        let mut summary = Self { truncated, ..Self::default() };
        let mut notes = Vec::new();
        for receipt in receipts {
            summary.predictions += receipt.predictions;
            receipt.labels.iter().for_each(|l| LabelCount::add(&mut summary.labels, &l.label, l.count));
            summary.errors.extend(receipt.failures.iter().take(limits::SUMMARY_ERRORS).cloned());
            notes.extend(receipt.notes.iter().take(limits::SUMMARY_ERRORS).cloned());
        }
        summary.labels.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.label.cmp(&b.label)));
        summary.errors.extend(notes); // a failed item says more than a dropped prediction
        summary.errors.truncate(limits::SUMMARY_ERRORS);
        summary
    }
}

//! How many predictions a label has.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

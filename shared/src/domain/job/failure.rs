//! What can go wrong with an item, and what is noted about an answer that is good.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::ItemUid;

/// Why an item failed: a stable code, and short sentences without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: FailureCode,
    /// For people: what it has in common with its like.
    pub message: String,
    /// What is its own, in sentences as well: the number of calls, the model's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub particulars: Option<String>,
}

impl Failure {
    /// A failure without particulars.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), particulars: None }
    }

    /// Whether another item failed alike.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.code, &self.message) == (other.code, &other.message)
    }

    /// All of it, for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.particulars {
            Some(particulars) => format!("{} {particulars}", self.message),
            None => self.message.clone(),
        }
    }
}

/// A model's own words about a call, as sentences quote them.
#[must_use]
pub fn quotation(words: &str) -> String {
    format!("The model's words: \"{words}\".")
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
    /// No failure, in `summary.errors` alone: most coordinates of the replies seem to be fractions of the picture, or percent.
    UnlikelyCoordinates,
}

/// What was corrected in an answer, or seems wrong in it, without being malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteCode {
    /// A confidence a hair above 1 was read as 1, or one a hair below 0 as 0.
    ConfidenceClamped,
    /// A box was cut to the picture, or points were moved to its border, by more than a pixel.
    GeometryClipped,
    /// All coordinates of a reply seem to be fractions of the picture. They were read as pixels.
    CoordinatesNormalized,
    /// All coordinates of a reply seem to be percent of the picture. They were read as pixels.
    CoordinatesPercent,
    /// Predictions of labels that the job does not want were dropped.
    LabelsDropped,
}

/// What went wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"key": "street/1.jpg", "code": "file_unreadable", "message": "The file was not uploaded yet."}))]
pub struct ItemError {
    /// The item.
    pub item: ItemUid,
    /// Its key. Absent in receipts, and in the summaries of jobs that ended before summaries had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For programs.
    pub code: FailureCode,
    /// For people.
    pub message: String,
}

/// A note about the answer of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemNote {
    /// The item.
    pub item: ItemUid,
    /// For programs.
    pub code: NoteCode,
    /// For people.
    pub message: String,
}

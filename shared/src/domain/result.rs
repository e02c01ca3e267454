//! Results: the annotations of an item. A draft waits for a person (I9).

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::id::{ItemUid, JobUid, ProviderUid, ResultUid};
use super::job::ModelType;
use super::prediction::Prediction;

/// Where a result is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// A suggestion.
    Draft,
    /// A person said yes.
    Accepted,
    /// A person said no.
    Rejected,
}

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultSource {
    /// A job.
    AutoLabel,
    /// A person.
    Human,
}

/// Where a draft came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The job.
    pub job: JobUid,
    /// `None`: the deployment's own endpoint.
    pub provider: Option<ProviderUid>,
    /// As the job was asked.
    pub model_type: Option<ModelType>,
    /// As the job was asked.
    pub confidence_threshold: f64,
}

/// The result of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelResult {
    /// Counts the item's results, from 1.
    pub generation: u16,
    /// Where it is in its life.
    pub status: ResultStatus,
    /// Who made it.
    pub source: ResultSource,
    /// The bot user, or a person.
    pub created_by: String,
    /// Of drafts.
    pub lineage: Option<Lineage>,
    /// In the prediction format.
    pub annotations: Vec<Prediction>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl LabelResult {
    /// Its identifier.
    #[must_use]
    pub fn uid(&self, item: ItemUid) -> ResultUid {
        ResultUid::of(item, self.generation)
    }
}

//! Results: the annotations of an item. A draft waits for a person (I9).
//!
//! A person accepts it, corrects it or rejects it, and may change her mind. Only a rejection is the end of a result: its
//! item is unlabeled from then on, and the next job may draft it again, under another uid.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::{ItemUid, JobUid, ProviderUid, ResultUid};
use super::job::ModelType;
use super::prediction::Prediction;
use super::{Error, Timestamp};

/// Where a result is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// A suggestion.
    Draft,
    /// A person said yes.
    Accepted,
    /// A person said no.
    Rejected,
}

/// What a person says about a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Right as it is.
    Accept,
    /// These are right.
    Correct(Vec<Prediction>),
    /// Away with it.
    Reject,
}

impl ResultStatus {
    /// The status after a `verdict`.
    ///
    /// # Errors
    /// `ResultRejected`: there is no way back, since the item may have another result by now.
    pub fn after(self, verdict: &Verdict) -> Result<Self, Error> {
        use {ResultStatus as S, Verdict as V};
        match (self, verdict) {
            // A correction is an acceptance: who corrects a result has looked at all of it.
            (S::Draft | S::Accepted, V::Accept | V::Correct(_)) => Ok(S::Accepted),
            (S::Draft | S::Accepted | S::Rejected, V::Reject) => Ok(S::Rejected),
            (S::Rejected, V::Accept | V::Correct(_)) => Err(Error::ResultRejected),
        }
    }
}

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Counts its changes, from 0. Whoever writes names the one that was read, so that no change is lost.
    pub revision: u32,
    /// Where it is in its life.
    pub status: ResultStatus,
    /// Who made it.
    pub source: ResultSource,
    /// The bot user, or a person.
    pub created_by: String,
    /// Name of the API key that accepted, corrected or rejected it, last.
    pub reviewed_by: Option<String>,
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

    /// The result after a person's `verdict`. `None`: it says what is so already, and changes nothing.
    ///
    /// # Errors
    /// `ResultRejected`.
    pub fn reviewed(&self, verdict: Verdict, reviewer: &str, now: Timestamp) -> Result<Option<Self>, Error> {
        let status = self.status.after(&verdict)?;
        let mut reviewed = self.clone();
        if let Verdict::Correct(annotations) = verdict {
            reviewed.annotations = annotations;
            reviewed.source = ResultSource::Human;
        } else if status == self.status {
            return Ok(None);
        }
        reviewed.status = status;
        reviewed.revision += 1;
        reviewed.reviewed_by = Some(reviewer.to_owned());
        reviewed.updated_at = now;
        Ok(Some(reviewed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_result(status: ResultStatus) -> LabelResult {
        LabelResult {
            generation: 3,
            revision: 7,
            status,
            source: ResultSource::AutoLabel,
            created_by: "bot".into(),
            reviewed_by: None,
            lineage: None,
            annotations: vec![],
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn after(status: ResultStatus, verdict: Verdict) -> Result<Option<LabelResult>, Error> {
        a_result(status).reviewed(verdict, "ann", Timestamp::from_second(9).unwrap())
    }

    #[test]
    fn a_correction_accepts_and_makes_the_result_a_persons() {
        for status in [ResultStatus::Draft, ResultStatus::Accepted] {
            let corrected = after(status, Verdict::Correct(vec![])).unwrap().unwrap();

            assert_eq!((corrected.status, corrected.source), (ResultStatus::Accepted, ResultSource::Human));
            assert_eq!((corrected.created_by.as_str(), corrected.reviewed_by.as_deref()), ("bot", Some("ann")));
            assert_eq!((corrected.generation, corrected.revision), (3, 8));
            assert_eq!(corrected.updated_at.as_second(), 9);
        }
    }

    #[test]
    fn an_accepted_draft_stays_the_models_work() {
        let accepted = after(ResultStatus::Draft, Verdict::Accept).unwrap().unwrap();

        assert_eq!((accepted.status, accepted.source), (ResultStatus::Accepted, ResultSource::AutoLabel));
    }

    #[test]
    fn a_person_may_change_her_mind_about_an_accepted_result() {
        let rejected = after(ResultStatus::Accepted, Verdict::Reject).unwrap().unwrap();

        assert_eq!(rejected.status, ResultStatus::Rejected);
    }

    #[test]
    fn a_rejection_is_final() {
        for verdict in [Verdict::Accept, Verdict::Correct(vec![])] {
            assert!(matches!(after(ResultStatus::Rejected, verdict), Err(Error::ResultRejected)));
        }
    }

    #[test]
    fn saying_it_again_changes_nothing() {
        assert_eq!(after(ResultStatus::Accepted, Verdict::Accept).unwrap(), None);
        assert_eq!(after(ResultStatus::Rejected, Verdict::Reject).unwrap(), None);
    }
}

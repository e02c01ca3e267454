//! Results: the annotations of an item. A draft waits for a person (I9).
//!
//! A person accepts it, corrects it or rejects it, and may change her mind. Only a rejection is the end of a result: its
//! item is unlabeled from then on, and the next job may draft it again, under another uid.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{ItemUid, JobUid, ProviderUid, ResultUid};
use crate::domain::prediction::Prediction;
use crate::domain::prediction::draft::BlobRef;
use crate::domain::prediction::model_type::ModelType;
use crate::domain::{Error, Timestamp};

/// Where a result is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// A suggestion.
    Draft,
    /// A person has accepted or corrected it.
    Accepted,
    /// A person has rejected it.
    Rejected,
}

/// A person's decision about a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The annotations are right.
    Accept,
    /// These annotations are right instead.
    Correct(Vec<Prediction>),
    /// The annotations are wrong; the item is unlabeled again.
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
            // A correction is an acceptance: a person who corrects a result has seen all of it.
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
    pub generation: u32,
    /// Counts its changes, from 0. A write names the revision that was read, so that no change is lost.
    pub revision: u32,
    /// Where it is in its life.
    pub status: ResultStatus,
    /// Who made it.
    pub source: ResultSource,
    /// The bot user, or a person.
    pub created_by: String,
    /// Name of the API key that accepted, corrected or rejected it, last.
    pub reviewed_by: Option<String>,
    /// The job and provider of a draft.
    pub lineage: Option<Lineage>,
    /// In the prediction format. Empty while large ones are not fetched yet.
    pub annotations: Vec<Prediction>,
    /// Their object in S3, if they are too large for a row.
    pub elsewhere: Option<BlobRef>,
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

    /// The labels of a person's annotations that the result does not have yet, each with its annotation's position. Those that it has
    /// stay right for it, also if the project's label set has changed since.
    pub fn new_labels<'a>(&'a self, given: &'a [Prediction]) -> impl Iterator<Item = (usize, &'a String)> {
        let own: HashSet<&str> = self.annotations.iter().map(|annotation| annotation.label.as_str()).collect();
        let labels = given.iter().map(|annotation| &annotation.label).enumerate();
        labels.filter(move |(_, label)| !own.contains(label.as_str()))
    }

    /// The result after a person's `verdict`. `None`: the verdict changes nothing.
    ///
    /// # Errors
    /// `ResultRejected`.
    pub fn reviewed(&self, verdict: Verdict, reviewer: &str, now: Timestamp) -> Result<Option<Self>, Error> {
        let status = self.status.after(&verdict)?;
        let mut reviewed = self.clone();
        if let Verdict::Correct(annotations) = verdict {
            reviewed.annotations = annotations;
            reviewed.elsewhere = None;
            reviewed.source = ResultSource::Human;
        }
        if (status, reviewed.source, &reviewed.annotations) == (self.status, self.source, &self.annotations) {
            return Ok(None);
        }
        reviewed.status = status;
        reviewed.revision += 1;
        reviewed.reviewed_by = Some(reviewer.to_owned());
        reviewed.updated_at = now;
        Ok(Some(reviewed))
    }
}

/// The effect of undoing a job on the result of an item that it drafted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// It is still the job's draft and unchanged: it is discarded.
    Discard,
    /// A person has accepted or corrected it: it stays (I3).
    Keep(Kept),
    /// The job's draft is gone already: rejected, or discarded by a call before.
    Gone,
}

/// Why a draft stays when its job is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// A person accepted it as it is.
    Accepted,
    /// A person corrected it.
    Corrected,
}

impl Kept {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Accepted, Self::Corrected];
}

impl LabelResult {
    /// The effect of undoing `job`.
    #[must_use]
    pub fn undo(&self, job: JobUid) -> Undo {
        let is_of_job = self.lineage.as_ref().is_some_and(|lineage| lineage.job == job);
        match (self.status, self.source) {
            _ if !is_of_job => Undo::Gone,
            (ResultStatus::Draft, _) => Undo::Discard,
            (ResultStatus::Accepted, ResultSource::AutoLabel) => Undo::Keep(Kept::Accepted),
            (ResultStatus::Accepted, ResultSource::Human) => Undo::Keep(Kept::Corrected),
            (ResultStatus::Rejected, _) => Undo::Gone,
        }
    }
}

/// Which drafts of a project are reviewed at once. What is not given narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DraftFilter {
    /// Made by this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobUid>,
    /// With an annotation of this label, letter by letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// With at least this confidence in every annotation, or in every annotation of `label` if one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confidence: Option<f64>,
}

impl DraftFilter {
    /// Whether [`Self::keeps`] needs annotations that are not fetched yet.
    #[must_use]
    pub fn needs_annotations(&self, result: &LabelResult) -> bool {
        let whole = Self { label: None, min_confidence: None, ..self.clone() };
        result.elsewhere.is_some() && *self != whole && whole.keeps(result)
    }

    /// Whether `result` is a draft, and one of these.
    #[must_use]
    pub fn keeps(&self, result: &LabelResult) -> bool {
        let of_label =
            || result.annotations.iter().filter(|a| self.label.as_ref().is_none_or(|label| a.label == *label));
        result.status == ResultStatus::Draft
            && self.job.is_none_or(|job| result.lineage.as_ref().is_some_and(|lineage| lineage.job == job))
            && (self.label.is_none() || of_label().next().is_some())
            && self.min_confidence.is_none_or(|min| of_label().all(|annotation| annotation.confidence >= min))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::prediction::Geometry;

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
            elsewhere: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn after(status: ResultStatus, verdict: Verdict) -> Result<Option<LabelResult>, Error> {
        a_result(status).reviewed(verdict, "ann", Timestamp::from_second(9).unwrap())
    }

    /// Contract D33.
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

    fn labeled(annotations: &[(&str, f64)]) -> LabelResult {
        let job = JobUid::parse("0192b1c0-0000-7000-8000-00000000000a").unwrap();
        let lineage = Lineage { job, provider: None, model_type: None, confidence_threshold: 0.5 };
        let annotations = annotations.iter().map(|(label, confidence)| Prediction {
            geometry: Geometry::Classification,
            label: (*label).into(),
            confidence: *confidence,
            attributes: Default::default(),
        });
        LabelResult { lineage: Some(lineage), annotations: annotations.collect(), ..a_result(ResultStatus::Draft) }
    }

    #[test]
    fn undoing_a_job_takes_what_no_person_has_touched() {
        let job = labeled(&[]).lineage.unwrap().job;
        let reviewed =
            |verdict| labeled(&[("car", 0.9)]).reviewed(verdict, "ann", Timestamp::UNIX_EPOCH).unwrap().unwrap();

        assert_eq!(labeled(&[("car", 0.9)]).undo(job), Undo::Discard);
        assert_eq!(reviewed(Verdict::Accept).undo(job), Undo::Keep(Kept::Accepted));
        assert_eq!(reviewed(Verdict::Correct(vec![])).undo(job), Undo::Keep(Kept::Corrected));
        assert_eq!(reviewed(Verdict::Reject).undo(job), Undo::Gone);
        let another = JobUid::parse("0192b1c0-0000-7000-8000-00000000000b").unwrap();
        assert_eq!(labeled(&[("car", 0.9)]).undo(another), Undo::Gone);
    }

    fn a_filter(filter: serde_json::Value) -> DraftFilter {
        serde_json::from_value(filter).unwrap()
    }

    /// Contract D33.
    #[test]
    fn a_confidence_is_asked_of_every_annotation_or_of_every_one_of_the_label() {
        let draft = labeled(&[("car", 0.9), ("cup", 0.6), ("car", 0.8)]);
        for (filter, keeps) in [
            (json!({}), true),
            (json!({"min_confidence": 0.6}), true), // equal is enough
            (json!({"min_confidence": 0.7}), false),
            (json!({"label": "car", "min_confidence": 0.8}), true),
            (json!({"label": "car", "min_confidence": 0.85}), false),
            (json!({"label": "cup"}), true),
            (json!({"label": "Cup"}), false),
            (json!({"label": "cat", "min_confidence": 0.0}), false),
            (json!({"job": "0192b1c0-0000-7000-8000-00000000000a"}), true),
            (json!({"job": "0192b1c0-0000-7000-8000-00000000000b"}), false),
        ] {
            assert_eq!(a_filter(filter.clone()).keeps(&draft), keeps, "{filter}");
        }
    }

    #[test]
    fn only_drafts_are_reviewed_at_once() {
        for status in [ResultStatus::Accepted, ResultStatus::Rejected] {
            assert!(!DraftFilter::default().keeps(&LabelResult { status, ..labeled(&[("car", 1.0)]) }));
        }
    }

    #[test]
    fn labels_that_a_result_has_are_not_new() {
        let given = labeled(&[("cup", 1.0), ("car", 1.0), ("cat", 1.0)]).annotations;
        let new: Vec<usize> = labeled(&[("car", 0.9)]).new_labels(&given).map(|(position, _)| position).collect();

        assert_eq!(new, [0, 2]);
    }

    #[test]
    fn saying_it_again_changes_nothing() {
        assert_eq!(after(ResultStatus::Accepted, Verdict::Accept).unwrap(), None);
        assert_eq!(after(ResultStatus::Rejected, Verdict::Reject).unwrap(), None);
    }
}

//! Results: the annotations of an item. A draft waits for a person (I9).
//!
//! A person accepts it, corrects it or rejects it, and may change her mind: what is accepted or rejected may be reopened. With a
//! rejection the item is unlabeled, and the next job may draft it again, under another uid. From then on the rejection is the end.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{ItemUid, JobUid, ProviderUid, ResultUid, SweepUid};
use crate::domain::prediction::Prediction;
use crate::domain::prediction::draft::{BlobRef, Packed};
use crate::domain::prediction::model_type::ModelType;
use crate::domain::{Error, Timestamp, limits, packed};

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
    /// They are to be reviewed once more.
    Reopen,
}

impl ResultStatus {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Accepted, Self::Rejected];

    /// The word on the wire and in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    /// The status after a `verdict`.
    ///
    /// # Errors
    /// `ResultRejected`: it is to be reopened first, since the item may have another result by now.
    pub fn after(self, verdict: &Verdict) -> Result<Self, Error> {
        use {ResultStatus as S, Verdict as V};
        match (self, verdict) {
            // A correction is an acceptance: a person who corrects a result has seen all of it.
            (S::Draft | S::Accepted, V::Accept | V::Correct(_)) => Ok(S::Accepted),
            (S::Draft | S::Accepted | S::Rejected, V::Reject) => Ok(S::Rejected),
            (S::Draft | S::Accepted | S::Rejected, V::Reopen) => Ok(S::Draft),
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
    /// Name of the API key that accepted, corrected, rejected or reopened it, last.
    pub reviewed_by: Option<String>,
    /// The job and provider of a draft; `None`: a person gave it by hand.
    pub lineage: Option<Lineage>,
    /// In the prediction format. Empty while large ones are not fetched yet.
    pub annotations: Vec<Prediction>,
    /// Their object in S3, if they are too large for a row.
    pub elsewhere: Option<BlobRef>,
    /// The sweep that accepted or rejected it, if nothing has changed it since.
    pub sweep: Option<SweepUid>,
    /// Of a rejected one: the item's file has had other bytes since. It is no part of the stored result.
    pub file_changed: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl LabelResult {
    /// What a person gives an item that has no result: accepted at once, since she has seen all of it.
    #[must_use]
    pub fn by_hand(generation: u32, annotations: Vec<Prediction>, person: &str, now: Timestamp) -> Self {
        Self {
            generation,
            revision: 0,
            status: ResultStatus::Accepted,
            source: ResultSource::Human,
            created_by: person.to_owned(),
            reviewed_by: Some(person.to_owned()),
            lineage: None,
            annotations,
            elsewhere: None,
            sweep: None,
            file_changed: false,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether `again` gives the item this result once more: by the same person, with the same annotations, and nothing has
    /// changed it since.
    #[must_use]
    pub fn is_repeated_by(&self, again: &Self) -> bool {
        let facts = |result: &Self| (result.revision, result.status, result.source, result.lineage.is_none());
        facts(self) == facts(again) && (&self.created_by, &self.annotations) == (&again.created_by, &again.annotations)
    }

    /// Whether a person changed what a model had found.
    #[must_use]
    pub fn is_corrected(&self) -> bool {
        self.source == ResultSource::Human && self.lineage.is_some()
    }

    /// A person's annotations, if they are too many bytes for the item's row.
    ///
    /// # Errors
    /// `Validation`: no answer of the API could show them. `Internal`.
    pub fn large(&self) -> Result<Option<Packed>, Error> {
        if self.elsewhere.is_some() || packed::is_small(&self.annotations, limits::CORRECTION_INLINE_BYTES) {
            return Ok(None);
        }
        let packed = Packed::of(&self.annotations)?;
        if packed.is_readable() {
            return Ok(Some(packed));
        }
        let most = limits::DRAFT_JSON_BYTES / (1024 * 1024);
        Err(Error::field(
            "annotations",
            format!("Are too large to be stored: {} bytes of JSON, at most {most} MiB.", packed.json_bytes),
        ))
    }

    /// Its identifier.
    #[must_use]
    pub fn uid(&self, item: ItemUid) -> ResultUid {
        ResultUid::of(item, self.generation)
    }

    /// The result after a person's `verdict`. `None`: the verdict changes nothing.
    ///
    /// # Errors
    /// `ResultRejected`.
    pub fn reviewed(&self, verdict: Verdict, reviewer: &str, now: Timestamp) -> Result<Option<Self>, Error> {
        let status = self.status.after(&verdict)?;
        let mut reviewed = self.clone();
        if let Verdict::Correct(annotations) = verdict {
            if annotations != reviewed.annotations {
                reviewed.annotations = annotations;
                reviewed.elsewhere = None;
            }
            reviewed.source = ResultSource::Human;
        }
        if (status, reviewed.source, &reviewed.annotations) == (self.status, self.source, &self.annotations) {
            return Ok(None);
        }
        reviewed.status = status;
        reviewed.revision += 1;
        reviewed.sweep = None;
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
            (ResultStatus::Draft, ResultSource::AutoLabel) => Undo::Discard,
            (ResultStatus::Accepted, ResultSource::AutoLabel) => Undo::Keep(Kept::Accepted),
            // A draft, too: it was corrected and then reopened (I12).
            (ResultStatus::Draft | ResultStatus::Accepted, ResultSource::Human) => Undo::Keep(Kept::Corrected),
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
    /// With at most this confidence in every annotation, or in every annotation of `label` if one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_confidence: Option<f64>,
}

impl DraftFilter {
    /// Whether [`Self::keeps`] needs annotations that are not fetched yet.
    #[must_use]
    pub fn needs_annotations(&self, result: &LabelResult) -> bool {
        let whole = Self { label: None, min_confidence: None, max_confidence: None, ..self.clone() };
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
            && self.max_confidence.is_none_or(|max| of_label().all(|annotation| annotation.confidence <= max))
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
            sweep: None,
            file_changed: false,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn after(status: ResultStatus, verdict: Verdict) -> Result<Option<LabelResult>, Error> {
        a_result(status).reviewed(verdict, "ann", Timestamp::from_second(9).unwrap())
    }

    #[test]
    fn a_status_has_one_word() {
        for status in ResultStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
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
    fn what_a_person_gives_is_accepted_and_a_repetition_is_seen() {
        let annotations = labeled(&[("car", 1.0)]).annotations;
        let given = |annotations, person| LabelResult::by_hand(4, annotations, person, Timestamp::UNIX_EPOCH);
        let result = given(annotations.clone(), "ann");

        assert_eq!((result.status, result.source), (ResultStatus::Accepted, ResultSource::Human));
        assert_eq!((result.created_by.as_str(), result.reviewed_by.as_deref()), ("ann", Some("ann")));
        assert_eq!((result.generation, result.revision, result.is_corrected()), (4, 0, false));
        assert!(result.is_repeated_by(&given(annotations.clone(), "ann")));
        assert!(!result.is_repeated_by(&given(annotations.clone(), "bob")));
        assert!(!result.is_repeated_by(&given(vec![], "ann")));
        let corrected = result.reviewed(Verdict::Correct(vec![]), "ann", Timestamp::UNIX_EPOCH).unwrap().unwrap();
        assert!(!corrected.is_repeated_by(&given(vec![], "ann")), "it has changed since");
        assert_eq!(corrected.undo(labeled(&[]).lineage.unwrap().job), Undo::Gone, "it is no job's");
    }

    #[test]
    fn a_persons_annotations_are_as_large_as_a_draft_may_be() {
        let with = |bytes: usize| {
            let mut result = labeled(&[("car", 1.0)]);
            let rest = packed::json_bytes(&result.annotations).unwrap() - "car".len();
            result.annotations[0].label = "x".repeat(bytes - rest);
            assert_eq!(packed::json_bytes(&result.annotations).unwrap(), bytes);
            result
        };
        let most = usize::try_from(limits::DRAFT_JSON_BYTES).unwrap();

        assert_eq!(with(limits::CORRECTION_INLINE_BYTES).large().unwrap(), None);
        for bytes in [limits::CORRECTION_INLINE_BYTES + 1, most] {
            let packed = with(bytes).large().unwrap().unwrap();
            let blob = packed.as_object_in("corrections/i");
            assert_eq!((blob.key.len(), blob.json_bytes), ("corrections/i/".len() + 64, bytes as u64));
            assert_eq!(blob.read(&packed.bytes).unwrap(), with(bytes).annotations);
            let there = LabelResult { elsewhere: Some(blob), ..with(bytes) };
            assert_eq!(there.large().unwrap(), None, "they are there");
        }
        let refused = with(most + 1).large().unwrap_err().to_string();
        assert_eq!(refused, "annotations: Are too large to be stored: 3145729 bytes of JSON, at most 3 MiB.");
    }

    #[test]
    fn a_correction_that_changes_no_annotation_leaves_them_where_they_are() {
        let blob = Packed::of(&[]).unwrap().as_object_in("f");
        let large = LabelResult { elsewhere: Some(blob), ..labeled(&[("car", 0.9)]) };
        let corrected = |annotations| {
            large.reviewed(Verdict::Correct(annotations), "ann", Timestamp::UNIX_EPOCH).unwrap().unwrap().elsewhere
        };

        assert_eq!(corrected(large.annotations.clone()), large.elsewhere);
        assert_eq!(corrected(vec![]), None);
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
    fn what_is_accepted_or_rejected_may_be_reopened_and_keeps_its_annotations() {
        for status in [ResultStatus::Accepted, ResultStatus::Rejected] {
            let sweep = Some(SweepUid::at(Timestamp::UNIX_EPOCH));
            let before = LabelResult { status, sweep, source: ResultSource::Human, ..labeled(&[("car", 0.9)]) };
            let reopened = before.reviewed(Verdict::Reopen, "ann", Timestamp::UNIX_EPOCH).unwrap().unwrap();

            assert_eq!((reopened.status, reopened.source, reopened.revision), (ResultStatus::Draft, before.source, 8));
            assert_eq!((&reopened.annotations, reopened.reviewed_by.as_deref()), (&before.annotations, Some("ann")));
            assert_eq!(reopened.sweep, None, "it has changed since");
            assert_eq!(reopened.undo(before.lineage.unwrap().job), Undo::Keep(Kept::Corrected), "I12");
        }
        assert_eq!(after(ResultStatus::Draft, Verdict::Reopen).unwrap(), None);
    }

    #[test]
    fn a_rejected_result_is_reopened_before_anything_else() {
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
            (json!({"max_confidence": 0.9}), true), // equal is enough
            (json!({"max_confidence": 0.8}), false),
            (json!({"min_confidence": 0.6, "max_confidence": 0.9}), true),
            (json!({"label": "cup", "max_confidence": 0.6}), true),
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
    fn saying_it_again_changes_nothing() {
        assert_eq!(after(ResultStatus::Accepted, Verdict::Accept).unwrap(), None);
        assert_eq!(after(ResultStatus::Rejected, Verdict::Reject).unwrap(), None);
    }
}

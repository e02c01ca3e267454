//! Results: the annotations of an item. A draft waits for a person (I9).
//!
//! A person accepts it, corrects it or rejects it, and may change her mind: what is accepted or rejected may be reopened. With a
//! rejection the item is unlabeled, and the next job may draft it again, under another uid. From then on the rejection is the end.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{ItemUid, JobUid, ProviderUid, ResultUid, SweepUid};
use crate::domain::item::origin::{Became, Corrected, KeptDraft, Origins};
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
    Correct(Corrected),
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
    /// A file that was imported as drafts.
    Import,
}

/// What the results of an import have in common.
#[derive(Clone, Copy, Debug)]
pub struct Importing<'a> {
    /// Who has made them, for this system.
    pub person: &'a str,
    /// When the import was created.
    pub created_at: Timestamp,
    /// Whether people have made them; otherwise they are drafts.
    pub is_accepted: bool,
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
    /// Of a correction, what the model had found. `None` of one that an earlier version stored, which kept no draft.
    pub draft: Option<KeptDraft>,
    /// The sweep that accepted or rejected it, if nothing has changed it since.
    pub sweep: Option<SweepUid>,
    /// Of a rejected one: how often its item's file had changed by then. See [`crate::domain::item::Item::reviewed`].
    pub file_changes: Option<u32>,
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
            draft: None,
            sweep: None,
            file_changes: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// What an import gives an item that has no result. It is dated by the import, by which a repeated write knows its own.
    #[must_use]
    pub fn imported(import: &Importing<'_>, generation: u32, annotations: Vec<Prediction>) -> Self {
        let accepted = Self::by_hand(generation, annotations, import.person, import.created_at);
        if import.is_accepted {
            return accepted;
        }
        Self { status: ResultStatus::Draft, source: ResultSource::Import, reviewed_by: None, ..accepted }
    }

    /// Whether `again`, which an import is about to give, is this result: given by the same import, also if a person has changed it since.
    #[must_use]
    pub fn is_of_import(&self, again: &Self) -> bool {
        let is_given_by_it = (self.created_at, &self.created_by) == (again.created_at, &again.created_by);
        let is_same = match (&self.elsewhere, &again.elsewhere) {
            (None, None) => self.annotations == again.annotations,
            (there, given) => there == given,
        };
        is_given_by_it && (self.revision > 0 || is_same)
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
    /// `ResultRejected`. `Validation` for positions that its draft does not have, which must be fetched.
    pub fn reviewed(&self, verdict: Verdict, reviewer: &str, now: Timestamp) -> Result<Option<Self>, Error> {
        let status = self.status.after(&verdict)?;
        let mut reviewed = self.clone();
        if let Verdict::Correct(corrected) = verdict {
            reviewed.correct(corrected)?;
        }
        let facts = |result: &Self| (result.source, result.annotations == self.annotations, result.draft == self.draft);
        if status == self.status && facts(&reviewed) == facts(self) {
            return Ok(None);
        }
        reviewed.status = status;
        reviewed.revision += 1;
        (reviewed.sweep, reviewed.file_changes) = (None, None);
        reviewed.reviewed_by = Some(reviewer.to_owned());
        reviewed.updated_at = now;
        Ok(Some(reviewed))
    }

    /// Takes a person's annotations. Those of a model stay beside them; the same annotations once more keep their origins.
    fn correct(&mut self, corrected: Corrected) -> Result<(), Error> {
        let is_same = corrected.annotations == self.annotations;
        let is_known = is_same && self.source == ResultSource::Human && corrected.draft_indexes.is_none();
        if !is_known {
            let origins = Origins::of(self.drafted().unwrap_or_default(), &corrected)?;
            self.draft = match self.source {
                ResultSource::AutoLabel if self.lineage.is_some() => Some(KeptDraft {
                    annotations: self.annotations.clone(),
                    elsewhere: self.elsewhere.clone(),
                    origins,
                }),
                ResultSource::AutoLabel | ResultSource::Human | ResultSource::Import => {
                    self.draft.take().map(|draft| KeptDraft { origins, ..draft })
                }
            };
        }
        if !is_same {
            (self.annotations, self.elsewhere) = (corrected.annotations, None);
        }
        self.source = ResultSource::Human;
        Ok(())
    }

    /// What the model had found. `None`: there was no model, or the correction is of an earlier version.
    #[must_use]
    pub fn drafted(&self) -> Option<&[Prediction]> {
        match (self.source, &self.draft) {
            (ResultSource::AutoLabel, _) => Some(&self.annotations),
            (ResultSource::Human | ResultSource::Import, draft) => {
                draft.as_ref().map(|draft| draft.annotations.as_slice())
            }
        }
    }

    /// What became of each annotation of [`Self::drafted`], and whether it has another geometry now. `None`: no person has judged
    /// them.
    #[must_use]
    pub fn became(&self) -> Option<Vec<(Became, bool)>> {
        match (self.source, self.status) {
            (ResultSource::AutoLabel, ResultStatus::Accepted) => {
                Some(vec![(Became::Kept, false); self.annotations.len()])
            }
            (ResultSource::AutoLabel, ResultStatus::Draft | ResultStatus::Rejected) => None,
            (ResultSource::Human | ResultSource::Import, _) => self.draft.as_ref().map(KeptDraft::became),
        }
    }

    /// The origin of each annotation. `None`: no person has judged them, or the correction is of an earlier version.
    #[must_use]
    pub fn origins(&self) -> Option<Origins> {
        match (self.source, self.status, &self.draft) {
            (ResultSource::AutoLabel, ResultStatus::Accepted, _) => Some(Origins::kept(self.annotations.len())),
            (ResultSource::AutoLabel, ResultStatus::Draft | ResultStatus::Rejected, _) => None,
            (ResultSource::Import, ..) => None,
            (ResultSource::Human, _, Some(draft)) => Some(draft.origins.clone()),
            (ResultSource::Human, _, None) => self.lineage.is_none().then(|| Origins::added(self.annotations.len())),
        }
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
            (ResultStatus::Draft | ResultStatus::Accepted, ResultSource::Human | ResultSource::Import) => {
                Undo::Keep(Kept::Corrected)
            }
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
    use crate::domain::item::origin::Origin;
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
            draft: None,
            sweep: None,
            file_changes: None,
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
            let corrected = after(status, Verdict::Correct(vec![].into())).unwrap().unwrap();

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
        let corrected =
            result.reviewed(Verdict::Correct(vec![].into()), "ann", Timestamp::UNIX_EPOCH).unwrap().unwrap();
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
        let corrected = |annotations: Vec<Prediction>| {
            large
                .reviewed(Verdict::Correct(annotations.into()), "ann", Timestamp::UNIX_EPOCH)
                .unwrap()
                .unwrap()
                .elsewhere
        };

        assert_eq!(corrected(large.annotations.clone()), large.elsewhere);
        assert_eq!(corrected(vec![]), None);
    }

    fn corrected(result: &LabelResult, corrected: impl Into<Corrected>) -> Result<Option<LabelResult>, Error> {
        result.reviewed(Verdict::Correct(corrected.into()), "ann", Timestamp::UNIX_EPOCH)
    }

    fn origins(result: &LabelResult) -> Option<Vec<Origin>> {
        result.origins().map(|Origins(all)| all.into_iter().map(Origin::of).collect())
    }

    #[test]
    fn a_correction_keeps_the_draft_beside_it_and_says_what_became_of_it() {
        let draft = labeled(&[("car", 0.9), ("dog", 0.6), ("cup", 0.5)]);
        let [car, dog, _] = draft.annotations.clone().try_into().unwrap();
        let cat = Prediction { label: "cat".into(), ..dog };
        let bus = Prediction { label: "bus".into(), ..car.clone() };

        let first = Corrected { annotations: vec![cat, car.clone()], draft_indexes: Some(vec![Some(1), Some(0)]) };
        let once = corrected(&draft, first).unwrap().unwrap();

        assert_eq!((draft.origins(), draft.became(), draft.drafted().unwrap().len()), (None, None, 3));
        assert_eq!(origins(&once), Some(vec![Origin::Relabeled, Origin::Kept]));
        assert_eq!(once.drafted(), Some(draft.annotations.as_slice()));
        let became = [(Became::Kept, false), (Became::Relabeled, false), (Became::Deleted, false)];
        assert_eq!(once.became().unwrap(), became);
        // The model's draft stays the draft, whatever comes later.
        let second = Corrected { annotations: vec![car, bus], draft_indexes: Some(vec![Some(0), None]) };
        let twice = corrected(&once, second).unwrap().unwrap();
        assert_eq!(twice.drafted(), once.drafted());
        assert_eq!(origins(&twice), Some(vec![Origin::Kept, Origin::Added]));
        for verdict in [Verdict::Reject, Verdict::Reopen] {
            let after = twice.reviewed(verdict, "ann", Timestamp::UNIX_EPOCH).unwrap().unwrap();
            assert_eq!((after.drafted(), after.origins()), (twice.drafted(), twice.origins()));
        }
    }

    #[test]
    fn what_is_sent_back_as_it_came_is_all_kept_and_changes_nothing_the_second_time() {
        let draft = labeled(&[("car", 0.9), ("dog", 0.6)]);
        let once = corrected(&draft, draft.annotations.clone()).unwrap().unwrap();
        let accepted = draft.reviewed(Verdict::Accept, "ann", Timestamp::UNIX_EPOCH).unwrap().unwrap();

        for result in [&once, &accepted] {
            assert_eq!(origins(result), Some(vec![Origin::Kept; 2]));
            assert_eq!(result.became(), Some(vec![(Became::Kept, false); 2]));
        }
        assert_eq!(corrected(&once, once.annotations.clone()).unwrap(), None);
        let same = Corrected { annotations: once.annotations.clone(), draft_indexes: Some(vec![Some(0), Some(1)]) };
        assert_eq!(corrected(&once, same).unwrap(), None);
        let other = Corrected { annotations: once.annotations.clone(), draft_indexes: Some(vec![Some(0), None]) };
        let changed = corrected(&once, other).unwrap().unwrap();
        assert_eq!((origins(&changed), changed.revision), (Some(vec![Origin::Kept, Origin::Added]), once.revision + 1));
        assert_eq!(corrected(&changed, once.annotations.clone()).unwrap(), None, "they keep their origins");
    }

    #[test]
    fn what_no_model_has_drafted_is_added_and_what_kept_no_draft_is_unknown() {
        let by_hand = LabelResult::by_hand(1, labeled(&[("car", 1.0)]).annotations, "ann", Timestamp::UNIX_EPOCH);
        assert_eq!((origins(&by_hand), by_hand.drafted()), (Some(vec![Origin::Added]), None));
        let again = corrected(&by_hand, labeled(&[("bus", 1.0), ("car", 1.0)]).annotations).unwrap().unwrap();
        assert_eq!((origins(&again), again.became()), (Some(vec![Origin::Added; 2]), None));

        let (status, source) = (ResultStatus::Accepted, ResultSource::Human);
        let before = LabelResult { status, source, ..labeled(&[("car", 1.0)]) };
        assert_eq!((before.origins(), before.drafted(), before.became()), (None, None, None));
        for result in [by_hand, before] {
            let annotations = result.annotations.clone();
            let indexes = |index| Corrected { annotations: annotations.clone(), draft_indexes: Some(vec![index]) };
            assert_eq!(corrected(&result, indexes(None)).unwrap(), None);
            let refused = corrected(&result, indexes(Some(0))).unwrap_err().to_string();
            let sentence = "draft_indexes[0]: The draft has 0 annotations, and none at 0, counted from 0.";
            assert_eq!(refused, sentence);
        }
    }

    #[test]
    fn a_large_draft_stays_in_its_object() {
        let blob = Packed::of(&[]).unwrap().as_object_in("f");
        let large = LabelResult { elsewhere: Some(blob), ..labeled(&[("car", 0.9)]) };

        let changed = corrected(&large, vec![]).unwrap().unwrap();

        assert_eq!(changed.draft.as_ref().unwrap().elsewhere, large.elsewhere);
        assert_eq!(changed.became(), Some(vec![(Became::Deleted, false)]));
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
        for verdict in [Verdict::Accept, Verdict::Correct(vec![].into())] {
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
        assert_eq!(reviewed(Verdict::Correct(vec![].into())).undo(job), Undo::Keep(Kept::Corrected));
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

//! From a model's answer to an outcome: which predictions become a draft (contract, 6.4).

use crate::domain::job::JobSpec;
use crate::domain::job::failure::{Failure, FailureCode, NoteCode};
use crate::domain::job::outcome::{Outcome, SkipReason};
use crate::domain::limits;
use crate::domain::prediction::Prediction;
use crate::domain::prediction::draft::Draft;
use crate::domain::prediction::label_count::LabelCount;
use crate::domain::reply::Decoded;
use crate::domain::{show, unicode};

/// Gives labels the form in which the job names them. Prompts become their labels: a model of open vocabulary may answer with the
/// prompt.
pub fn in_the_jobs_words(spec: &JobSpec, answer: &mut Decoded) {
    let is_plain = spec.wanted.iter().chain(spec.options.label_thresholds.keys()).all(|label| label.is_ascii());
    let named = |label: &str| {
        if (is_plain && label.is_ascii() && spec.prompts.is_empty()) || names(spec, label) {
            return None;
        }
        let form = unicode::find(label, spec.wanted.iter().chain(spec.options.label_thresholds.keys()));
        form.or_else(|| spec.prompts.iter().find(|(_, prompt)| unicode::same(label, prompt)).map(|(label, _)| label))
    };
    let labels = answer.predictions.iter_mut().map(|prediction| &mut prediction.label);
    for label in labels.chain(answer.pictures.iter_mut().map(|picture| &mut picture.label)) {
        if let Some(form) = named(label) {
            label.clone_from(form);
        }
    }
}

fn names(spec: &JobSpec, label: &str) -> bool {
    spec.options.label_thresholds.contains_key(label) || spec.wanted.iter().any(|wanted| wanted == label)
}

/// The least confidence that a job keeps of any label.
#[must_use]
pub fn least(spec: &JobSpec) -> f64 {
    spec.options.label_thresholds.values().copied().fold(spec.options.confidence_threshold, f64::min)
}

/// Whether a job keeps a prediction: a wanted label, and a confidence that is not *below* the threshold, the label's own if
/// it has one.
#[must_use]
pub fn accepts(spec: &JobSpec, label: &str, confidence: f64) -> bool {
    confidence >= *spec.options.label_thresholds.get(label).unwrap_or(&spec.options.confidence_threshold)
        && wants(spec, label)
}

/// Whether a job keeps predictions of a label at all.
#[must_use]
pub fn wants(spec: &JobSpec, label: &str) -> bool {
    spec.wanted.is_empty() || spec.wanted.iter().any(|wanted| wanted == label)
}

/// What an answer has of labels that the job does not want, whatever the confidence.
#[must_use]
pub fn unwanted(spec: &JobSpec, answer: &Decoded) -> Vec<LabelCount> {
    let predictions = answer.predictions.iter().map(|prediction| prediction.label.as_str());
    let labels = predictions.chain(answer.pictures.iter().map(|picture| picture.label.as_str()));
    let counts = labels.filter(|label| !wants(spec, label)).map(|label| (label, 1));
    LabelCount::sum(counts, limits::DROPPED_LABELS_PER_ITEM)
}

/// The note about what [`unwanted`] found.
#[must_use]
pub fn labels_dropped(unwanted: &[LabelCount]) -> Option<(NoteCode, String)> {
    let labels = show::words(unwanted.iter().map(|entry| entry.label.as_str()));
    let sentence = match unwanted.iter().map(|entry| entry.count).sum() {
        0 => return None,
        1 => format!("1 prediction was dropped, whose label the job does not want: {labels}."),
        count => format!("{count} predictions were dropped, whose labels the job does not want: {labels}."),
    };
    Some((NoteCode::LabelsDropped, sentence.chars().take(limits::MESSAGE_CHARS).collect()))
}

/// The outcome of a well-formed answer.
#[must_use]
pub fn judge(spec: &JobSpec, predictions: &[Prediction]) -> Outcome {
    let draft: Vec<Prediction> =
        predictions.iter().filter(|p| accepts(spec, &p.label, p.confidence)).cloned().collect();
    if draft.is_empty() { Outcome::Skipped(SkipReason::BelowThreshold) } else { Outcome::Successful(Draft::of(draft)) }
}

/// The outcome of an item whose draft does not fit.
#[must_use]
pub fn too_large() -> Outcome {
    Outcome::Failed(Failure::new(FailureCode::DraftTooLarge, "The draft is too large to be stored."))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::id::{JobUid, OrganizationUid, ProjectUid};
    use crate::domain::job::JobOptions;
    use crate::domain::prediction::Geometry;

    fn spec(threshold: f64, wanted: &[&str]) -> JobSpec {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        JobSpec {
            uid: JobUid::at(now),
            organization: OrganizationUid::named("acme"),
            project: ProjectUid::at(now),
            provider: None,
            served_by: None,
            options: JobOptions { confidence_threshold: threshold, ..JobOptions::default() },
            wanted: wanted.iter().map(ToString::to_string).collect(),
            prompts: BTreeMap::new(),
            dry_run: false,
            created_at: now,
            retry_of: None,
            uploads: None,
        }
    }

    fn prediction(label: &str, confidence: f64) -> Prediction {
        Prediction {
            geometry: Geometry::Classification,
            label: label.into(),
            confidence,
            attributes: Default::default(),
        }
    }

    #[test]
    fn equal_to_the_threshold_is_kept_and_below_is_not() {
        assert!(accepts(&spec(0.5, &[]), "car", 0.5));
        assert!(!accepts(&spec(0.5, &[]), "car", 0.499_999));
    }

    #[test]
    fn a_labels_own_threshold_goes_before_the_jobs() {
        let own = BTreeMap::from([("car".to_owned(), 0.9), ("cup".to_owned(), 0.1)]);
        let mut spec = spec(0.5, &[]);
        spec.options.label_thresholds = own;

        assert!(accepts(&spec, "car", 0.9) && !accepts(&spec, "car", 0.89));
        assert!(accepts(&spec, "cup", 0.1) && !accepts(&spec, "cup", 0.09));
        assert!(accepts(&spec, "cat", 0.5) && !accepts(&spec, "cat", 0.49));
    }

    #[test]
    fn labels_that_the_job_does_not_want_are_dropped() {
        let answer = [prediction("car", 0.9), prediction("tree", 0.9)];

        assert_eq!(judge(&spec(0.5, &["car"]), &answer), Outcome::Successful(Draft::of(vec![prediction("car", 0.9)])));
        assert_eq!(judge(&spec(0.5, &["dog"]), &answer), Outcome::Skipped(SkipReason::BelowThreshold));
    }

    #[test]
    fn labels_come_in_the_form_in_which_the_job_names_them() {
        let words = |spec: &JobSpec, labels: &[&str]| {
            let predictions = labels.iter().map(|label| prediction(label, 0.9)).collect();
            let mut answer = Decoded { predictions, ..Decoded::default() };
            in_the_jobs_words(spec, &mut answer);
            answer.predictions.into_iter().map(|prediction| prediction.label).collect::<Vec<_>>()
        };
        let (composed, decomposed) = ("vélo", "ve\u{301}lo");
        for (wanted, label) in [(composed, decomposed), (decomposed, composed), ("\u{212a}", "K"), ("K", "\u{212a}")] {
            assert_eq!(words(&spec(0.5, &["car", wanted]), &[label, "car", "Car"]), [wanted, "car", "Car"]);
        }
        let mut by_threshold = spec(0.5, &[]);
        by_threshold.options.label_thresholds = BTreeMap::from([(decomposed.to_owned(), 0.9)]);
        assert_eq!(words(&by_threshold, &[composed]), [decomposed]);
        let prompts = BTreeMap::from([("desk".to_owned(), "a wooden desk".to_owned())]);
        let prompted = JobSpec { prompts, ..spec(0.5, &["desk", "cup"]) };
        assert_eq!(words(&prompted, &["a wooden desk", "desk", "cup", "a cup"]), ["desk", "desk", "cup", "a cup"]);
    }

    #[test]
    fn what_was_dropped_for_its_label_is_named() {
        let note = |labels: &[&str]| {
            let predictions = labels.iter().map(|label| prediction(label, 0.9)).collect();
            let answer = Decoded { predictions, ..Decoded::default() };
            labels_dropped(&unwanted(&spec(0.5, &["car"]), &answer)).map(|(_, sentence)| sentence)
        };

        assert_eq!(note(&["car"]), None);
        assert_eq!(note(&["cat"]).unwrap(), "1 prediction was dropped, whose label the job does not want: cat.");
        assert_eq!(
            note(&["car", "cat", "dog", "cat"]).unwrap(),
            "3 predictions were dropped, whose labels the job does not want: cat, dog."
        );
        let long: Vec<String> = ["u", "v", "w", "x", "y"].iter().map(|letter| letter.repeat(255)).collect();
        let long = note(&long.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert_eq!(long.len(), limits::MESSAGE_CHARS);
    }

    #[test]
    fn an_unwanted_label_of_every_item_is_among_the_most_frequent_however_many_each_has() {
        let counted = |others: &str| {
            let others = (0..2 * limits::DROPPED_LABELS).map(|number| prediction(&format!("{others}{number}"), 0.9));
            let predictions = others.chain([prediction("zebra", 0.9), prediction("car", 0.9)]).collect();
            unwanted(&spec(0.5, &["car"]), &Decoded { predictions, ..Decoded::default() })
        };
        let items = [counted("a"), counted("b")];

        let summed = LabelCount::sum(items.iter().flatten().map(LabelCount::pair), limits::DROPPED_LABELS);

        assert_eq!(summed.len(), limits::DROPPED_LABELS);
        assert_eq!(summed.first(), Some(&LabelCount { label: "zebra".into(), count: 2 }));
    }

    proptest! {
        #[test]
        fn a_draft_is_what_the_rule_keeps_in_the_models_order(confidences in prop::collection::vec(0.0f64..=1.0, 0..20), threshold in 0.0f64..=1.0) {
            let answer: Vec<Prediction> = confidences.iter().map(|c| prediction("car", *c)).collect();
            let kept: Vec<Prediction> = answer.iter().filter(|p| p.confidence >= threshold).cloned().collect();

            match judge(&spec(threshold, &["car"]), &answer) {
                Outcome::Successful(draft) => prop_assert_eq!(draft.annotations, kept),
                outcome => { prop_assert_eq!(outcome, Outcome::Skipped(SkipReason::BelowThreshold)); prop_assert!(kept.is_empty()); }
            }
        }
    }
}

//! The origin of a person's annotations: which annotation of a model's draft each of them was (decision 0040).
//!
//! A client that shows a draft knows it, and sends the positions in the draft. For one that does not, the annotations are matched.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Error;
use crate::domain::error::FieldError;
use crate::domain::prediction::Prediction;
use crate::domain::prediction::draft::BlobRef;
use crate::domain::prediction::overlap::Outline;

/// The field of a correction that names positions in the draft.
pub const DRAFT_INDEXES: &str = "draft_indexes";
/// Complaints about one list of positions.
const COMPLAINTS: usize = 10;
/// From this IoU on, two annotations of one label are one object.
const SAME_LABEL_IOU: f64 = 0.5;
/// The same of two labels. A person who changes a label mostly leaves the shape as it is.
const OTHER_LABEL_IOU: f64 = 0.9;
/// Steps that one matching takes at most, about: a tenth of a second. What is left then is added.
const STEPS: usize = 10_000_000;
/// What a pair costs that is kept, so that 16 MB hold all of them.
const STEPS_OF_PAIR: usize = 20;

/// Annotations that a person says are right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corrected {
    /// In the prediction format.
    pub annotations: Vec<Prediction>,
    /// Of each its position in the draft, or `None` of one that the draft does not have. `None` of all: the client does not know.
    pub draft_indexes: Option<Vec<Option<u32>>>,
}

impl From<Vec<Prediction>> for Corrected {
    fn from(annotations: Vec<Prediction>) -> Self {
        Self { annotations, draft_indexes: None }
    }
}

/// What a person did with an annotation of a draft, or without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It has the label and the geometry of the draft.
    Kept,
    /// The same label, another geometry.
    Moved,
    /// Another label, and the same geometry or another one.
    Relabeled,
    /// It is of no annotation of the draft.
    Added,
}

/// What became of an annotation of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It has its label and its geometry.
    Kept,
    /// The same label, another geometry.
    Moved,
    /// Another label, and the same geometry or another one.
    Relabeled,
    /// The result does not have it.
    Deleted,
}

/// An annotation that was one of the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drafted {
    /// Its position in the draft.
    pub index: u32,
    /// It has another label.
    pub is_relabeled: bool,
    /// It has another geometry.
    pub is_moved: bool,
}

impl Drafted {
    fn of(index: usize, before: &Prediction, now: &Prediction) -> Option<Self> {
        let (is_relabeled, is_moved) = (before.label != now.label, before.geometry != now.geometry);
        Some(Self { index: u32::try_from(index).ok()?, is_relabeled, is_moved })
    }

    /// In a word.
    #[must_use]
    pub const fn became(self) -> Became {
        match (self.is_relabeled, self.is_moved) {
            (true, _) => Became::Relabeled,
            (false, true) => Became::Moved,
            (false, false) => Became::Kept,
        }
    }
}

impl Origin {
    /// The origin of an annotation; `None` is one that the draft does not have.
    #[must_use]
    pub const fn of(drafted: Option<Drafted>) -> Self {
        let Some(drafted) = drafted else { return Self::Added };
        match drafted.became() {
            Became::Kept => Self::Kept,
            Became::Moved => Self::Moved,
            Became::Relabeled | Became::Deleted => Self::Relabeled,
        }
    }
}

/// For each annotation of a result, in their order, which one of the draft it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Origins(pub Vec<Option<Drafted>>);

/// The form in a row: runs of one letter and of zeros pack to nothing, and most annotations are kept in their order.
#[derive(Serialize, Deserialize)]
struct Packed {
    /// One for each annotation: kept, moved, relabeled, both, added.
    letters: String,
    /// Of each that was drafted: its index, less the one that would follow the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<i64>,
}

impl From<Origins> for Packed {
    fn from(Origins(annotations): Origins) -> Self {
        let mut next = 0;
        let (mut letters, mut steps) = (String::with_capacity(annotations.len()), Vec::new());
        for annotation in annotations {
            letters.push(match annotation {
                None => 'a',
                Some(Drafted { is_relabeled: false, is_moved: false, .. }) => 'k',
                Some(Drafted { is_relabeled: false, is_moved: true, .. }) => 'm',
                Some(Drafted { is_relabeled: true, is_moved: false, .. }) => 'r',
                Some(Drafted { is_relabeled: true, is_moved: true, .. }) => 'b',
            });
            if let Some(Drafted { index, .. }) = annotation {
                steps.push(i64::from(index) - next);
                next = i64::from(index) + 1;
            }
        }
        if steps.iter().all(|step| *step == 0) {
            steps.clear(); // all in order from the first on
        }
        Self { letters, steps }
    }
}

impl From<Packed> for Origins {
    fn from(Packed { letters, steps }: Packed) -> Self {
        let (mut next, mut steps) = (0, steps.into_iter());
        let drafted = |letter| {
            let (is_relabeled, is_moved) = match letter {
                'k' => (false, false),
                'm' => (false, true),
                'r' => (true, false),
                'b' => (true, true),
                _ => return None,
            };
            let index = next + steps.next().unwrap_or_default();
            next = index + 1;
            Some(Drafted { index: u32::try_from(index).ok()?, is_relabeled, is_moved })
        };
        Self(letters.chars().map(drafted).collect())
    }
}

/// A model's draft beside the correction of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptDraft {
    /// As the model gave them. Empty while large ones are not fetched yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Prediction>,
    /// Their object in S3, if they are too large for a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<BlobRef>,
    /// Which of them the annotations of the result were.
    pub origins: Origins,
}

impl KeptDraft {
    /// What became of each of its annotations, in their order, and whether it has another geometry now.
    #[must_use]
    pub fn became(&self) -> Vec<(Became, bool)> {
        let mut became = vec![(Became::Deleted, false); self.annotations.len()];
        for drafted in self.origins.0.iter().flatten() {
            if let Some(one) = became.get_mut(drafted.index as usize) {
                *one = (drafted.became(), drafted.is_moved);
            }
        }
        became
    }
}

impl Origins {
    /// Those of a result that has every annotation of its draft as it was.
    #[must_use]
    pub fn kept(count: usize) -> Self {
        let kept = |index| Some(Drafted { index, is_relabeled: false, is_moved: false });
        Self((0..).take(count).map(kept).collect())
    }

    /// Those of a result without a draft.
    #[must_use]
    pub fn added(count: usize) -> Self {
        Self(vec![None; count])
    }

    /// Those of `corrected`, of this draft.
    ///
    /// # Errors
    /// `Validation` for positions that the draft does not have, or that are named twice.
    pub fn of(draft: &[Prediction], corrected: &Corrected) -> Result<Self, Error> {
        let annotations = &corrected.annotations;
        let indexes: Vec<Option<usize>> = match &corrected.draft_indexes {
            None => Matching::of(draft, annotations).found,
            Some(indexes) => {
                check(indexes, annotations.len(), draft.len())?;
                indexes.iter().map(|index| index.map(|index| index as usize)).collect()
            }
        };
        let drafted = |(index, now): (Option<usize>, &Prediction)| Drafted::of(index?, draft.get(index?)?, now);
        Ok(Self(indexes.into_iter().zip(annotations).map(drafted).collect()))
    }
}

/// Checks positions in a draft of so many annotations.
///
/// # Errors
/// `Validation`.
fn check(indexes: &[Option<u32>], annotations: usize, drafted: usize) -> Result<(), Error> {
    if indexes.len() != annotations {
        let sentence = format!("Must have one entry for each of the {annotations} annotations, not {}.", indexes.len());
        return Err(Error::field(DRAFT_INDEXES, sentence));
    }
    let (mut named, mut complaints) = (vec![false; drafted], Vec::new());
    for (position, index) in indexes.iter().enumerate() {
        let Some(index) = *index else { continue };
        let message = match named.get_mut(index as usize) {
            None => format!("The draft has {drafted} annotations, and none at {index}, counted from 0."),
            Some(true) => format!("Another annotation has the index {index}."),
            Some(is_named) => {
                *is_named = true;
                continue;
            }
        };
        complaints.push(FieldError::new(format!("{DRAFT_INDEXES}[{position}]"), message));
    }
    complaints.truncate(COMPLAINTS);
    if complaints.is_empty() { Ok(()) } else { Err(Error::Validation(complaints)) }
}

/// A search for the annotations of a draft in those of a person.
struct Matching<'a> {
    draft: &'a [Prediction],
    now: &'a [Prediction],
    /// Of each annotation of the draft, whether it was found.
    taken: Vec<bool>,
    /// Of each of the person's, which one it was.
    found: Vec<Option<usize>>,
    steps: usize,
}

impl<'a> Matching<'a> {
    /// Equal ones; then those of one label that overlap, the best pairs first; then those of two labels. The same lists have the
    /// same result.
    fn of(draft: &'a [Prediction], now: &'a [Prediction]) -> Self {
        let mut matching =
            Self { draft, now, taken: vec![false; draft.len()], found: vec![None; now.len()], steps: STEPS };
        matching.equal_ones();
        matching.overlapping_ones(|before, now| if before == now { SAME_LABEL_IOU } else { f64::INFINITY });
        matching.overlapping_ones(|_, _| OTHER_LABEL_IOU);
        matching
    }

    fn take(&mut self, before: usize, now: usize) {
        if !self.taken[before] && self.found[now].is_none() {
            (self.taken[before], self.found[now]) = (true, Some(before));
        }
    }

    fn equal_ones(&mut self) {
        let mut waiting: HashMap<u64, VecDeque<usize>> = HashMap::new();
        for (before, annotation) in self.draft.iter().enumerate() {
            waiting.entry(digest(annotation)).or_default().push_back(before);
        }
        for (now, annotation) in self.now.iter().enumerate() {
            let Some(alike) = waiting.get_mut(&digest(annotation)) else { continue };
            if let Some(before) = alike.pop_front_if(|before| is_equal(&self.draft[*before], annotation)) {
                self.take(before, now);
            }
        }
    }

    /// Pairs whose labels allow their IoU, the greatest first; of equal ones, the first of the draft.
    fn overlapping_ones(&mut self, least: impl Fn(&str, &str) -> f64) {
        let mut pairs = self.pairs(least);
        pairs.sort_by(|(iou, ..), (other, ..)| other.total_cmp(iou));
        for (_, before, now) in pairs {
            self.take(before, now);
        }
    }

    fn pairs(&mut self, least: impl Fn(&str, &str) -> f64) -> Vec<(f64, usize, usize)> {
        let mut pairs = Vec::new();
        let (draft, now) = (self.draft, self.now);
        let outlines: Vec<Outline> = now.iter().map(|annotation| Outline::of(&annotation.geometry)).collect();
        for (before, annotation) in draft.iter().enumerate().filter(|(before, _)| !self.taken[*before]) {
            let outline = Outline::of(&annotation.geometry);
            for (now, other) in now.iter().enumerate().filter(|(now, _)| self.found[*now].is_none()) {
                let least = least(&annotation.label, &other.label);
                let compares = least <= 1.0 && outline.may_meet(&outlines[now]);
                let steps = if compares { outline.steps() + outlines[now].steps() } else { 1 };
                let Some(left) = self.steps.checked_sub(steps) else { return pairs };
                self.steps = left;
                let iou = if compares { outline.iou(&outlines[now]) } else { 0.0 };
                if iou >= least {
                    pairs.push((iou, before, now));
                    self.steps = self.steps.saturating_sub(STEPS_OF_PAIR);
                }
            }
        }
        pairs
    }
}

fn is_equal(one: &Prediction, other: &Prediction) -> bool {
    (&one.label, &one.geometry) == (&other.label, &other.geometry)
}

/// The same of equal annotations.
fn digest(annotation: &Prediction) -> u64 {
    let mut digest = Digest(DefaultHasher::new());
    // Nothing fails in writing to memory. If it did, what is equal would be found by its overlap.
    let _ = serde_json::to_writer(&mut digest, &annotation.geometry);
    annotation.label.hash(&mut digest.0);
    digest.0.finish()
}

struct Digest(DefaultHasher);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::prediction::{Geometry, Rect};

    fn a_box(label: &str, x: f64, y: f64) -> Prediction {
        let coordinates = Rect { x, y, width: 10.0, height: 10.0 };
        of(label, Geometry::BoundingBox { coordinates })
    }

    fn of(label: &str, geometry: Geometry) -> Prediction {
        Prediction { geometry, label: label.into(), confidence: 0.5, attributes: Default::default() }
    }

    fn origins(draft: &[Prediction], now: &[Prediction]) -> Vec<(Origin, Option<u32>)> {
        let Origins(found) = Origins::of(draft, &now.to_vec().into()).unwrap();
        found.into_iter().map(|one| (Origin::of(one), one.map(|one| one.index))).collect()
    }

    #[test]
    fn what_a_person_did_is_found_without_indexes() {
        let draft = [a_box("car", 0.0, 0.0), a_box("bus", 50.0, 0.0), a_box("car", 90.0, 0.0), a_box("dog", 0.0, 90.0)];
        let now = [a_box("car", 92.0, 1.0), a_box("van", 50.0, 0.0), a_box("car", 30.0, 30.0), a_box("car", 0.0, 0.0)];

        let found = origins(&draft, &now);

        let (moved, relabeled) = ((Origin::Moved, Some(2)), (Origin::Relabeled, Some(1)));
        assert_eq!(found, [moved, relabeled, (Origin::Added, None), (Origin::Kept, Some(0))]);
    }

    #[test]
    fn a_confidence_and_attributes_are_no_change_of_an_annotation() {
        let draft = [a_box("car", 0.0, 0.0)];
        let attributes = json!({"occluded": true}).as_object().unwrap().clone();
        let sure = Prediction { confidence: 1.0, attributes, ..draft[0].clone() };

        assert_eq!(origins(&draft, &[sure]), [(Origin::Kept, Some(0))]);
    }

    #[test]
    fn the_best_pairs_come_first_and_each_of_the_draft_is_one_annotation_at_most() {
        let draft = [a_box("car", 0.0, 0.0), a_box("car", 2.0, 0.0)];
        assert_eq!(
            origins(&draft, &[a_box("car", 1.5, 0.0), a_box("car", 0.5, 0.0), a_box("car", 1.0, 0.0)]),
            [(Origin::Moved, Some(1)), (Origin::Moved, Some(0)), (Origin::Added, None)]
        );
        let twice = [draft[0].clone(), draft[0].clone()];
        assert_eq!(origins(&draft[..1], &twice), [(Origin::Kept, Some(0)), (Origin::Added, None)]);
        assert_eq!(origins(&twice, &twice), [(Origin::Kept, Some(0)), (Origin::Kept, Some(1))]);
    }

    #[test]
    fn another_label_needs_nearly_the_same_shape() {
        let draft = [a_box("car", 0.0, 0.0), of("night", Geometry::Classification)];
        let day = of("day", Geometry::Classification);
        assert_eq!(
            origins(&draft, &[a_box("bus", 0.2, 0.0), day]),
            [(Origin::Relabeled, Some(0)), (Origin::Relabeled, Some(1))]
        );
        assert_eq!(origins(&draft, &[a_box("bus", 2.0, 0.0)]), [(Origin::Added, None)]);
    }

    #[test]
    fn indexes_of_the_client_are_right_whatever_the_shapes() {
        let draft = vec![a_box("car", 0.0, 0.0), a_box("car", 50.0, 0.0), a_box("car", 90.0, 0.0)];
        let annotations = vec![a_box("bus", 500.0, 0.0), a_box("car", 0.0, 0.0), a_box("car", 90.0, 0.0)];
        let corrected = Corrected { annotations, draft_indexes: Some(vec![Some(1), None, Some(2)]) };
        let origins = Origins::of(&draft, &corrected).unwrap();

        let far = Drafted { index: 1, is_relabeled: true, is_moved: true };
        let kept = Drafted { index: 2, is_relabeled: false, is_moved: false };
        assert_eq!(origins.0, [Some(far), None, Some(kept)]);
        let beside = KeptDraft { annotations: draft, elsewhere: None, origins };
        let became = [(Became::Deleted, false), (Became::Relabeled, true), (Became::Kept, false)];
        assert_eq!(beside.became(), became);
    }

    #[test]
    fn indexes_that_the_draft_does_not_have_are_named() {
        let refused = |indexes: &[Option<u32>]| {
            let annotations = vec![a_box("car", 0.0, 0.0); 3];
            let corrected = Corrected { annotations: annotations.clone(), draft_indexes: Some(indexes.to_vec()) };
            Origins::of(&annotations[..2], &corrected).unwrap_err().to_string()
        };
        assert_eq!(refused(&[Some(0)]), "draft_indexes: Must have one entry for each of the 3 annotations, not 1.");
        assert_eq!(
            refused(&[Some(0), Some(2), Some(0)]),
            "draft_indexes[1]: The draft has 2 annotations, and none at 2, counted from 0.; \
             draft_indexes[2]: Another annotation has the index 0."
        );
        assert_eq!(refused(&[Some(u32::MAX); 3]).matches("none at").count(), 3);
    }

    #[test]
    fn origins_are_small_in_a_row() {
        let packed = |origins: &Origins| serde_json::to_string(origins).unwrap();
        assert_eq!(packed(&Origins::kept(3)), r#"{"letters":"kkk"}"#);
        let moved = Some(Drafted { index: 4, is_relabeled: false, is_moved: true });
        let some = Origins(vec![Origins::kept(1).0[0], None, moved, Origins::kept(2).0[1]]);
        assert_eq!(packed(&some), r#"{"letters":"kamk","steps":[0,3,-4]}"#);
        assert_eq!(serde_json::from_str::<Origins>(&packed(&some)).unwrap(), some);
    }

    /// A pair that does not touch costs one step, and not those of a comparison.
    #[test]
    fn all_of_many_large_polygons_that_lie_far_from_each_other_are_found() {
        let polygon = |n: usize, shift: f64| {
            let corner = |angle: f64| [100.0 * n as f64 + 10.0 * angle.cos() + shift, 10.0 * angle.sin() + shift];
            let points =
                (0..100).map(|corner_of| corner(f64::from(corner_of) / 100.0 * std::f64::consts::TAU)).collect();
            of("car", Geometry::Polygon { points })
        };
        let many = |shift: f64| (0..60).map(|n| polygon(n, shift)).collect::<Vec<_>>();

        let found = origins(&many(0.0), &many(0.004));

        assert_eq!(found, (0..60).map(|n| (Origin::Moved, Some(n))).collect::<Vec<_>>());
    }

    /// Ten thousand boxes over one another, and none is equal: no more steps than are allowed, and no more memory.
    #[test]
    fn a_hostile_correction_takes_bounded_time() {
        let many = |from: usize| (from..from + 10_000).map(|n| a_box("car", n as f64 / 1e5, 0.0)).collect::<Vec<_>>();
        let begun = Instant::now();
        let found = origins(&many(0), &many(20_000));

        assert!(found.iter().any(|(origin, _)| *origin == Origin::Moved));
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn what_is_sent_back_as_it_came_is_kept_and_reads_back(
            boxes in prop::collection::vec((0..3u8, 0..20u8, 0..20u8), 0..12), dropped in any::<u16>(),
        ) {
            let draft: Vec<Prediction> =
                boxes.iter().map(|(label, x, y)| a_box(&label.to_string(), f64::from(*x), f64::from(*y))).collect();
            prop_assert_eq!(Origins::of(&draft, &draft.clone().into()).unwrap(), Origins::kept(draft.len()));
            let now: Vec<Prediction> =
                draft.iter().enumerate().filter(|(n, _)| dropped >> n & 1 == 0).map(|(_, one)| one.clone()).collect();
            let origins = Origins::of(&draft, &now.clone().into()).unwrap();
            prop_assert!(origins.0.iter().all(|one| Origin::of(*one) == Origin::Kept));
            let beside = KeptDraft { annotations: draft, elsewhere: None, origins: origins.clone() };
            let deleted = beside.became().iter().filter(|(became, _)| *became == Became::Deleted).count();
            prop_assert_eq!(deleted + now.len(), beside.annotations.len());
            prop_assert_eq!(serde_json::from_str::<Origins>(&serde_json::to_string(&origins).unwrap()).unwrap(), origins);
        }
    }
}

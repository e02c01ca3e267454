//! Which items and annotations an export has.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::ExportOptions;
use crate::domain::item::Item;
use crate::domain::item::origin::Origin;
use crate::domain::item::result::ResultStatus;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Prediction};

/// What an item has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelectedStatus {
    /// A result that a person has accepted or corrected.
    Accepted,
    /// A draft.
    Draft,
    /// Its last result was rejected, and it has had none since.
    Rejected,
    /// It has no result.
    None,
}

impl SelectedStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Draft, Self::Rejected, Self::None];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Draft => "draft",
            Self::Rejected => "rejected",
            Self::None => "none",
        }
    }

    /// What an item has, of which its last rejected result was read too.
    #[must_use]
    pub fn of(item: &Item) -> Self {
        match item.result.as_ref().map(|result| result.status) {
            Some(ResultStatus::Accepted) => Self::Accepted,
            Some(ResultStatus::Draft) => Self::Draft,
            Some(ResultStatus::Rejected) => Self::Rejected,
            None => Self::None,
        }
    }
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// To train with.
    Train,
    /// To choose a model with.
    Val,
    /// To judge it with.
    Test,
}

impl Split {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// The shares of the parts. They add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"train": 0.8, "val": 0.1, "test": 0.1}))]
pub struct Shares {
    /// Of 1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub train: f64,
    /// Of 1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub val: f64,
    /// Of 1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub test: f64,
}

/// How far a sum of shares may be from 1: they are written as decimals.
const ROUNDING: f64 = 1e-6;

impl Shares {
    /// Whether they add up to 1.
    #[must_use]
    pub fn add_up(&self) -> bool {
        (self.train + self.val + self.test - 1.0).abs() <= ROUNDING
    }

    /// The part of an item, by a hash of its key: the same in each export with these shares.
    #[must_use]
    pub fn part_of(&self, key: &str) -> Split {
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(key.as_bytes())[..8]);
        // 53 bits, which a float holds exactly: at least 0 and below 1.
        let at = (u64::from_be_bytes(first) >> 11) as f64 / (1u64 << 53) as f64;
        if at < self.train {
            Split::Train
        } else if at < self.train + self.val || self.test == 0.0 {
            if self.val == 0.0 { Split::Train } else { Split::Val }
        } else {
            Split::Test
        }
    }
}

/// An item as an export has it.
#[derive(Clone, Debug)]
pub struct Selected<'a> {
    /// The item.
    pub item: &'a Item,
    /// Its name in the files.
    pub name: String,
    /// What it has.
    pub status: SelectedStatus,
    /// Of its annotations those that are wanted.
    pub annotations: Vec<&'a Prediction>,
    /// What they were made of, if they are a correction whose draft was kept.
    pub correction: Option<Correction<'a>>,
    /// Its part, if the export is divided.
    pub split: Option<Split>,
}

/// Why a picture is left out by a format that needs its size.
const NO_SIZE: &str = "The size of its picture is not known yet.";

impl Selected<'_> {
    /// The size of its picture, or why a format of pictures cannot have it; `no_picture`: why it has no point clouds.
    pub(super) const fn picture(&self, no_picture: &'static str) -> Result<Size, &'static str> {
        match self.item.asset.size {
            _ if !self.item.asset.kind.has_pixels() => Err(no_picture),
            Some(size) => Ok(size),
            None => Err(NO_SIZE),
        }
    }

    /// Whether it has a result whose annotations are wanted. One without any is a picture on which nothing was found.
    pub(super) fn is_labeled(&self, options: &ExportOptions) -> bool {
        self.item.result.is_some() && options.writes_annotations(self.item)
    }
}

/// What a correction was made of (decision 0040).
#[derive(Clone, Debug)]
pub struct Correction<'a> {
    /// What the model had found, whatever the filters.
    pub draft: &'a [Prediction],
    /// What a person did with each annotation that is written.
    pub origins: Vec<Origin>,
    /// The position of each of these in the draft; `None`: it was added.
    pub indexes: Vec<Option<u32>>,
}

impl ExportOptions {
    /// Whether the time of an item is that of its pixels: its masks are unpacked, or its picture is copied.
    #[must_use]
    pub fn unpacks(&self) -> bool {
        self.include_images || self.format.unpacks_masks()
    }

    /// Whether items are read with their last result that was rejected.
    #[must_use]
    pub fn needs_rejected(&self) -> bool {
        self.has(SelectedStatus::Rejected) || self.has(SelectedStatus::None)
    }

    fn has(&self, status: SelectedStatus) -> bool {
        self.statuses.contains(&status)
    }

    /// Whether the export has this item.
    #[must_use]
    pub fn takes(&self, item: &Item) -> bool {
        let status = SelectedStatus::of(item);
        // An item whose result was rejected has none: it waits for a job like any other.
        let is_wanted = self.has(status) || (status == SelectedStatus::Rejected && self.has(SelectedStatus::None));
        let job = item.result.as_ref().and_then(|result| result.lineage.as_ref()).map(|lineage| lineage.job);
        is_wanted && self.job.is_none_or(|wanted| job == Some(wanted))
    }

    /// Whether the annotations of an item that it takes are among those that are wanted: with `none` come items without them.
    #[must_use]
    pub fn writes_annotations(&self, item: &Item) -> bool {
        self.has(SelectedStatus::of(item))
    }

    /// The annotations of an item that the export has. An item that a filter leaves without any stays: it was examined, and nothing
    /// of the kind is there.
    #[must_use]
    pub fn annotations<'a>(&self, item: &'a Item) -> Vec<&'a Prediction> {
        self.placed(item).map(|(_, annotation)| annotation).collect()
    }

    /// The same, each with its position in the result.
    fn placed<'a>(&self, item: &'a Item) -> impl Iterator<Item = (usize, &'a Prediction)> {
        let result = item.result.as_ref().filter(|_| self.writes_annotations(item));
        let annotations = result.into_iter().flat_map(|result| &result.annotations).enumerate();
        annotations.filter(|(_, annotation)| self.keeps(annotation))
    }

    /// Of a correction, what it was made of.
    fn correction<'a>(&self, item: &'a Item) -> Option<Correction<'a>> {
        let result = item.result.as_ref().filter(|_| self.writes_annotations(item))?;
        let draft = result.draft.as_ref().filter(|_| result.is_corrected())?;
        let of = |(position, _): (usize, &Prediction)| draft.origins.0.get(position).copied().flatten();
        let drafted: Vec<_> = self.placed(item).map(of).collect();
        let indexes = drafted.iter().map(|one| one.map(|drafted| drafted.index)).collect();
        Some(Correction { draft: &draft.annotations, origins: drafted.into_iter().map(Origin::of).collect(), indexes })
    }

    fn keeps(&self, annotation: &Prediction) -> bool {
        (self.labels.is_empty() || self.labels.contains(&annotation.label))
            && self.min_confidence.is_none_or(|least| annotation.confidence >= least)
    }

    /// An item that the export [takes](Self::takes), under its name in the files.
    #[must_use]
    pub fn select<'a>(&self, item: &'a Item, name: String) -> Selected<'a> {
        // By its key alone: in an export of several projects it has the part that it has in one of its own.
        let split = self.split.map(|shares| shares.part_of(&item.key));
        let (annotations, correction) = (self.annotations(item), self.correction(item));
        Selected { item, status: SelectedStatus::of(item), annotations, correction, split, name }
    }
}

/// The type of an annotation on the wire.
#[must_use]
pub const fn type_of(geometry: &Geometry) -> &'static str {
    match geometry {
        Geometry::BoundingBox { .. } => "bounding_box",
        Geometry::Polygon { .. } => "polygon",
        Geometry::Polyline { .. } => "polyline",
        Geometry::SegmentationMask { .. } => "segmentation_mask",
        Geometry::Classification => "classification",
        Geometry::BoundingBox3d { .. } => "bounding_box_3d",
    }
}

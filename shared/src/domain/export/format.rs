//! The formats of exports. Each has a module that writes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::classes::Classes;
use super::selection::{Selected, type_of};
use super::yolo::{Copied, DataSet};
use super::{Export, coco, cvat, jsonl, label_studio, sagemaker_manifest, ultralytics_ndjson, yolo};
use crate::domain::Error;
use crate::domain::prediction::Prediction;

/// Why an annotation is left out by a format whose classes are written already.
pub(super) const LATE: &str = "Its label was new while the export ran.";

/// What the files of an export are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// A line of JSON for each item, with everything that is known of it; compressed by gzip.
    #[default]
    Jsonl,
    /// One JSON file of COCO's: boxes, polygons, and masks as run lengths.
    Coco,
    /// An augmented manifest of Amazon SageMaker Ground Truth: boxes and classifications.
    SagemakerManifest,
    /// CVAT for images 1.1: boxes, polygons, polylines, masks and tags.
    Cvat,
    /// Tasks of Label Studio: results as annotations, drafts as predictions.
    LabelStudio,
    /// A zip with a data set for Ultralytics: boxes or segments.
    Yolo,
    /// The same as lines of JSON.
    UltralyticsNdjson,
}

/// What a model is trained for with the rows of Ultralytics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportTask {
    /// Boxes: of each shape its own.
    #[default]
    Detect,
    /// Polygons: of a box its corners, of a mask its outline.
    Segment,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Jsonl,
        Self::Coco,
        Self::SagemakerManifest,
        Self::Cvat,
        Self::LabelStudio,
        Self::Yolo,
        Self::UltralyticsNdjson,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Coco => "coco",
            Self::SagemakerManifest => "sagemaker_manifest",
            Self::Cvat => "cvat",
            Self::LabelStudio => "label_studio",
            Self::Yolo => "yolo",
            Self::UltralyticsNdjson => "ultralytics_ndjson",
        }
    }

    /// The name of its file.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Jsonl => "annotations.jsonl.gz",
            Self::Coco => "instances.json",
            Self::SagemakerManifest => "output.manifest",
            Self::Cvat => "annotations.xml",
            Self::LabelStudio => "tasks.json",
            Self::Yolo => "dataset.zip",
            Self::UltralyticsNdjson => "dataset.ndjson",
        }
    }

    /// The content type of its file.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/gzip",
            Self::Coco | Self::LabelStudio => "application/json",
            Self::SagemakerManifest | Self::UltralyticsNdjson => "application/x-ndjson",
            Self::Yolo => "application/zip",
            Self::Cvat => "application/xml",
        }
    }

    /// Whether it numbers the labels, so that all of them must be known before the first annotation is written.
    pub(super) const fn numbers_labels(self) -> bool {
        !matches!(self, Self::Jsonl | Self::LabelStudio)
    }

    /// Whether its classes follow the annotations, so that a label may still be added while they are written.
    pub(super) const fn ends_with_classes(self) -> bool {
        matches!(self, Self::Coco | Self::Yolo)
    }

    /// Whether it is for Ultralytics, so that it has a task.
    #[must_use]
    pub const fn has_task(self) -> bool {
        matches!(self, Self::Yolo | Self::UltralyticsNdjson)
    }

    /// Whether it has the pixels of a mask row by row.
    pub(super) const fn unpacks_masks(self) -> bool {
        matches!(self, Self::Cvat | Self::LabelStudio)
    }

    /// Whether it has the draft of a correction.
    pub(super) const fn has_drafts(self) -> bool {
        matches!(self, Self::Jsonl | Self::LabelStudio)
    }

    /// Writes a part of the file.
    ///
    /// # Errors
    /// `Internal`.
    pub(super) fn write(self, part: &Part<'_>, writing: &mut Writing<'_>) -> Result<(), Error> {
        match (self, part) {
            (Self::Jsonl, Part::Items(items)) => jsonl::write(items, writing),
            (Self::Jsonl, Part::End) => jsonl::end(writing),
            (Self::Coco, Part::Begin) => coco::begin(writing),
            (Self::Coco, Part::Items(items)) => coco::write(items, writing),
            (Self::Coco, Part::Middle) => {
                coco::middle(writing);
                Ok(())
            }
            (Self::Coco, Part::End) => coco::end(writing),
            (Self::SagemakerManifest, Part::Items(items)) => sagemaker_manifest::write(items, writing),
            (Self::LabelStudio, Part::Begin) => {
                label_studio::begin(writing);
                Ok(())
            }
            (Self::LabelStudio, Part::Items(items)) => label_studio::write(items, writing),
            (Self::LabelStudio, Part::End) => {
                label_studio::end(writing);
                Ok(())
            }
            (Self::Cvat, Part::Begin) => cvat::begin(writing),
            (Self::Cvat, Part::Items(items)) => cvat::write(items, writing),
            (Self::Cvat, Part::End) => cvat::end(writing),
            (Self::Yolo, Part::Items(items)) => yolo::write(items, writing),
            (Self::Yolo, Part::Middle) => yolo::middle(writing),
            (Self::Yolo, Part::End) => {
                yolo::end(writing);
                Ok(())
            }
            (Self::UltralyticsNdjson, Part::Begin) => ultralytics_ndjson::begin(writing),
            (Self::UltralyticsNdjson, Part::Items(items)) => ultralytics_ndjson::write(items, writing),
            (Self::Yolo, Part::Begin) | (Self::UltralyticsNdjson, Part::Middle | Part::End) => Ok(()),
            (Self::Jsonl, Part::Begin | Part::Middle) | (Self::Cvat | Self::LabelStudio, Part::Middle) => Ok(()),
            (Self::SagemakerManifest, Part::Begin | Part::Middle | Part::End) => Ok(()),
        }
    }
}

/// A part of a file, in their order.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// Before the first item. The classes are known.
    Begin,
    /// Some items.
    Items(&'a [Selected<'a>]),
    /// Behind the last item, before what was written beside the file.
    Middle,
    /// Behind what was written beside the file.
    End,
}

/// How many there are so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    /// Items that are in the file.
    pub(super) images: u64,
    /// Annotations that are in the file.
    pub(super) annotations: u64,
}

/// What is written next.
#[derive(Debug, Default)]
pub struct Pieces {
    /// To the file, before the bytes of the picture that is copied; empty if none is.
    pub header: Vec<u8>,
    /// To the file.
    pub file: Vec<u8>,
    /// Beside the file.
    pub side: Vec<u8>,
    /// Beside the file, too, and appended to it before `side`.
    pub list: Vec<u8>,
}

/// What a format writes with, and what it has written.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    pub(super) export: &'a Export,
    /// The system's bucket.
    pub(super) bucket: &'a str,
    /// The length of the file before these pieces.
    pub(super) at: u64,
    pub(super) classes: Classes,
    pub(super) counted: Counted,
    /// Of the formats for Ultralytics.
    pub(super) data_set: DataSet,
    /// The picture of the one item that is written, if it is copied.
    pub(super) copied: Option<Copied>,
    pub(super) pieces: Pieces,
    /// What is left out: type, and why.
    pub(super) left_out: Vec<(&'static str, &'static str)>,
}

impl Writing<'_> {
    /// Leaves out an item with its annotations.
    pub(super) fn leave_out(&mut self, selected: &Selected<'_>, why: &'static str) {
        self.left_out.push(("item", why));
        selected.annotations.iter().for_each(|annotation| self.leave_out_one(annotation, why));
    }

    /// Leaves out an annotation.
    pub(super) fn leave_out_one(&mut self, annotation: &Prediction, why: &'static str) {
        self.left_out.push((type_of(&annotation.geometry), why));
    }

    /// The number of an annotation's label. One without a number is left out.
    pub(super) fn class(&mut self, annotation: &Prediction) -> Option<usize> {
        let class = self.classes.number(&annotation.label);
        if class.is_none() {
            self.leave_out_one(annotation, LATE);
        }
        class
    }
}

/// Why a format of pictures without a shape leaves it out. `format`: its name, for the sentence.
macro_rules! no_shape {
    ($format:literal, $geometry:expr) => {
        match $geometry {
            Geometry::BoundingBox { .. } => concat!($format, " has no boxes."),
            Geometry::Polygon { .. } => concat!($format, " has no polygons."),
            Geometry::Polyline { .. } => concat!($format, " has no open lines."),
            Geometry::SegmentationMask { .. } => concat!($format, " has no masks."),
            Geometry::Classification => concat!($format, " has no labels of whole pictures."),
            Geometry::BoundingBox3d { .. } => concat!($format, " has no cuboids."),
        }
    };
}
pub(super) use no_shape;

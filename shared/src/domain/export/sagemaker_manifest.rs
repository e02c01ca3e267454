//! The format `sagemaker_manifest`: an augmented manifest of Amazon SageMaker Ground Truth, a line of JSON for each item ("Augmented
//! manifest files", "Labeling job output data"). Boxes and classifications are two label attributes. An item that was not labeled has
//! neither: a labeling job of Ground Truth takes it up.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Number;

use super::format::{Writing, no_shape};
use super::selection::{Selected, SelectedStatus, Split};
use crate::domain::item::Source;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Prediction, Rect};
use crate::domain::{Error, Timestamp, packed};

/// Why a point cloud is left out.
const NO_PICTURE: &str = "A manifest of pictures has no point clouds.";

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Line<'a> {
    source_ref: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    #[serde(flatten)]
    labels: Option<Labels<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Labels<'a> {
    #[serde(rename = "bounding-box")]
    boxes: Boxes,
    #[serde(rename = "bounding-box-metadata")]
    of_boxes: BoxesMetadata<'a>,
    /// Of an item that has one.
    #[serde(rename = "classification", skip_serializing_if = "Vec::is_empty")]
    classes: Vec<usize>,
    #[serde(rename = "classification-metadata", skip_serializing_if = "ClassesMetadata::is_empty")]
    of_classes: ClassesMetadata<'a>,
}

#[derive(Serialize)]
struct Boxes {
    image_size: [ImageSize; 1],
    annotations: Vec<ClassedBox>,
}

#[derive(Serialize)]
struct ImageSize {
    width: u32,
    height: u32,
    /// Channels. They are not known; Ground Truth writes 3.
    depth: u32,
}

/// Pixels of the upright picture.
#[derive(Serialize)]
struct ClassedBox {
    class_id: usize,
    left: Number,
    top: Number,
    width: Number,
    height: Number,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BoxesMetadata<'a> {
    /// In the order of the boxes.
    objects: Vec<Confident>,
    class_map: BTreeMap<String, &'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    made: Made,
}

#[derive(Serialize)]
struct Confident {
    confidence: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ClassesMetadata<'a> {
    confidence_map: BTreeMap<String, f64>,
    class_map: BTreeMap<String, &'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    made: Made,
}

impl ClassesMetadata<'_> {
    fn is_empty(&self) -> bool {
        self.class_map.is_empty()
    }
}

/// How an attribute was made.
#[derive(Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Made {
    human_annotated: &'static str,
    creation_date: String,
    job_name: String,
}

/// Writes items.
pub(super) fn write(items: &[Selected<'_>], writing: &mut Writing<'_>) -> Result<(), Error> {
    for selected in items {
        match selected.picture(NO_PICTURE) {
            Ok(size) => write_one(selected, size, writing)?,
            Err(why) => writing.leave_out(selected, why),
        }
    }
    Ok(())
}

fn write_one(selected: &Selected<'_>, size: Size, writing: &mut Writing<'_>) -> Result<(), Error> {
    let is_labeled = selected.is_labeled(&writing.export.options);
    let labels = is_labeled.then(|| labels(selected, size, writing));
    let source_ref = source_ref(&selected.item.asset.source, writing.bucket);
    writing.counted.images += 1;
    packed::write_line(&mut writing.pieces.file, &Line { source_ref, split: selected.split, labels })
}

/// An S3 URI is not percent-encoded.
fn source_ref(source: &Source, bucket: &str) -> String {
    match source {
        Source::Bucket(key) => format!("s3://{bucket}/{key}"),
        Source::S3(object) => format!("s3://{}/{}", object.bucket, object.key),
        Source::Url(url) => url.clone(),
    }
}

fn labels<'a>(selected: &Selected<'a>, Size { width, height }: Size, writing: &mut Writing<'_>) -> Labels<'a> {
    let made = made(selected, writing.export.created_at);
    let image_size = [ImageSize { width, height, depth: 3 }];
    let mut labels = Labels {
        boxes: Boxes { image_size, annotations: Vec::new() },
        of_boxes: BoxesMetadata {
            objects: Vec::new(),
            class_map: BTreeMap::new(),
            kind: "groundtruth/object-detection",
            made: made.clone(),
        },
        classes: Vec::new(),
        of_classes: ClassesMetadata {
            confidence_map: BTreeMap::new(),
            class_map: BTreeMap::new(),
            kind: "groundtruth/image-classification-multilabel",
            made,
        },
    };
    for annotation in &selected.annotations {
        labels.add(annotation, writing);
    }
    labels
}

impl<'a> Labels<'a> {
    fn add(&mut self, annotation: &'a Prediction, writing: &mut Writing<'_>) {
        let (label, confidence) = (annotation.label.as_str(), annotation.confidence);
        match &annotation.geometry {
            Geometry::BoundingBox { coordinates } => {
                let Some(class_id) = writing.class(annotation) else { return };
                self.boxes.annotations.push(ClassedBox::of(class_id, *coordinates));
                self.of_boxes.objects.push(Confident { confidence });
                self.of_boxes.class_map.insert(class_id.to_string(), label);
            }
            Geometry::Classification => {
                let Some(class) = writing.class(annotation) else { return };
                self.classes.push(class);
                self.of_classes.confidence_map.insert(class.to_string(), confidence);
                self.of_classes.class_map.insert(class.to_string(), label);
            }
            other => return writing.leave_out_one(annotation, no_shape!("A manifest of boxes", other)),
        }
        writing.counted.annotations += 1;
    }
}

impl ClassedBox {
    fn of(class_id: usize, Rect { x, y, width, height }: Rect) -> Self {
        let [left, top, width, height] = [x, y, width, height].map(number);
        Self { class_id, left, top, width, height }
    }
}

/// Ground Truth's pixels are whole numbers: a whole one is written as such.
fn number(pixels: f64) -> Number {
    let whole = pixels as i64;
    let fraction = || Number::from_f64(pixels).unwrap_or_else(|| whole.into());
    if whole as f64 == pixels { whole.into() } else { fraction() }
}

fn made(selected: &Selected<'_>, created_at: Timestamp) -> Made {
    let result = selected.item.result.as_ref();
    let changed_at = result.map_or(created_at, |result| result.updated_at);
    let job = result.and_then(|result| result.lineage.as_ref()).map(|lineage| lineage.job.to_string());
    Made {
        human_annotated: if selected.status == SelectedStatus::Accepted { "yes" } else { "no" },
        // Ground Truth's own form: UTC, without a zone.
        creation_date: changed_at.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
        job_name: format!("autolabel/{}", job.as_deref().unwrap_or("by-hand")),
    }
}

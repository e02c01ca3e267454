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
    boxes: Option<BoxesAttribute<'a>>,
    #[serde(flatten)]
    classes: Option<ClassesAttribute<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BoxesAttribute<'a> {
    bounding_box: Boxes,
    bounding_box_metadata: BoxesMetadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ClassesAttribute<'a> {
    classification: Vec<usize>,
    classification_metadata: ClassesMetadata<'a>,
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
    let source_ref = source_ref(&selected.item.asset.source, writing.bucket);
    let mut line = Line { source_ref, split: selected.split, boxes: None, classes: None };
    if selected.is_labeled(&writing.export.options) {
        let is_whole = |annotation: &&&Prediction| annotation.geometry == Geometry::Classification;
        let (whole, shapes): (Vec<&Prediction>, Vec<_>) = selected.annotations.iter().partition(is_whole);
        let made = made(selected, writing.export.created_at);
        // As a labeling job does, a line has the attributes that it is about. One on which nothing was found has no boxes.
        let has_boxes = whole.is_empty() || !shapes.is_empty();
        line.boxes = has_boxes.then(|| boxes(&shapes, size, made.clone(), writing));
        line.classes = (!whole.is_empty()).then(|| classes(&whole, made, writing));
    }
    writing.counted.images += 1;
    packed::write_line(&mut writing.pieces.file, &line)
}

/// An S3 URI is not percent-encoded.
pub(super) fn source_ref(source: &Source, bucket: &str) -> String {
    match source {
        Source::Bucket(key) => format!("s3://{bucket}/{key}"),
        Source::S3(object) => format!("s3://{}/{}", object.bucket, object.key),
        Source::Url(url) => url.clone(),
    }
}

fn boxes<'a>(shapes: &[&'a Prediction], size: Size, made: Made, writing: &mut Writing<'_>) -> BoxesAttribute<'a> {
    let (mut annotations, mut objects, mut class_map) = (Vec::new(), Vec::new(), BTreeMap::new());
    for annotation in shapes {
        let Geometry::BoundingBox { coordinates } = annotation.geometry else {
            writing.leave_out_one(annotation, no_shape!("A manifest of boxes", annotation.geometry));
            continue;
        };
        let Some(class_id) = writing.class(annotation) else { continue };
        annotations.push(ClassedBox::of(class_id, coordinates));
        objects.push(Confident { confidence: annotation.confidence });
        class_map.insert(class_id.to_string(), annotation.label.as_str());
        writing.counted.annotations += 1;
    }
    let image_size = [ImageSize { width: size.width, height: size.height, depth: 3 }];
    BoxesAttribute {
        bounding_box: Boxes { image_size, annotations },
        bounding_box_metadata: BoxesMetadata { objects, class_map, kind: "groundtruth/object-detection", made },
    }
}

fn classes<'a>(whole: &[&'a Prediction], made: Made, writing: &mut Writing<'_>) -> ClassesAttribute<'a> {
    let (mut classification, mut confidence_map, mut class_map) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for annotation in whole {
        let Some(class) = writing.class(annotation) else { continue };
        if !classification.contains(&class) {
            classification.push(class);
        }
        let confidence = confidence_map.entry(class.to_string()).or_insert(annotation.confidence);
        *confidence = annotation.confidence.max(*confidence);
        class_map.insert(class.to_string(), annotation.label.as_str());
        writing.counted.annotations += 1;
    }
    let kind = "groundtruth/image-classification-multilabel";
    ClassesAttribute {
        classification,
        classification_metadata: ClassesMetadata { confidence_map, class_map, kind, made },
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

//! The format `coco`: one JSON file with boxes, polygons and masks (COCO, "Data format").
//!
//! The annotations come first and are written as they are read. The images follow, and then the categories: a label that no project
//! has is known only at the end. The members of a JSON object have no order.

use serde::Serialize;
use serde_json::{Map, Value};

use super::format::{Writing, no_shape};
use super::jsonl::url_of;
use super::selection::{Selected, Split};
use crate::domain::prediction::rows::Extent;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Mask, Rect};
use crate::domain::{Error, Timestamp};

/// Why a point cloud is left out.
const NO_PICTURE: &str = "COCO has pictures alone.";

#[derive(Serialize)]
struct Image<'a> {
    id: u64,
    file_name: &'a str,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    coco_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
}

#[derive(Serialize)]
struct Annotation<'a> {
    id: u64,
    image_id: u64,
    category_id: usize,
    /// Left, top, width, height.
    bbox: [f64; 4],
    area: f64,
    segmentation: Segmentation<'a>,
    /// Always 0: with 1, COCO's evaluation ignores the object.
    iscrowd: u8,
    score: f64,
    #[serde(skip_serializing_if = "no_members")]
    attributes: &'a Map<String, Value>,
}

fn no_members(attributes: &&Map<String, Value>) -> bool {
    attributes.is_empty()
}

#[derive(Serialize)]
#[serde(untagged)]
enum Segmentation<'a> {
    Polygon([Vec<f64>; 1]),
    /// `counts` is the compressed string, column by column; `size` is height and width.
    Runs {
        size: [u32; 2],
        counts: &'a str,
    },
}

#[derive(Serialize)]
struct Category<'a> {
    id: usize,
    name: &'a str,
    supercategory: &'a str,
}

#[derive(Serialize)]
struct Info {
    description: &'static str,
    version: &'static str,
    year: i16,
    contributor: &'static str,
    date_created: Timestamp,
}

/// The begin of the file, up to the first annotation.
pub(super) fn begin(writing: &mut Writing<'_>) -> Result<(), Error> {
    let created_at = writing.export.created_at;
    let year = created_at.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or_default();
    let (description, contributor) = ("Labels of an Autolabel export", "Autolabel");
    let info = Info { description, version: "1.0", year, contributor, date_created: created_at };
    writing.pieces.file = format!("{{\"info\":{},\"licenses\":[],\"annotations\":[", json(&info)?).into_bytes();
    Ok(())
}

/// What is between the annotations and the images.
pub(super) fn middle(writing: &mut Writing<'_>) {
    writing.pieces.file.extend_from_slice(b"\n],\"images\":[");
}

/// The end of the file, behind the last image.
pub(super) fn end(writing: &mut Writing<'_>) -> Result<(), Error> {
    let numbered = writing.classes.names().iter().enumerate();
    let categories: Vec<_> =
        numbered.map(|(number, name)| Category { id: number + 1, name, supercategory: "" }).collect();
    writing.pieces.file = format!("\n],\"categories\":{}}}\n", json(&categories)?).into_bytes();
    Ok(())
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// Writes items: their annotations to the file, their images beside it.
pub(super) fn write(items: &[Selected<'_>], writing: &mut Writing<'_>) -> Result<(), Error> {
    for selected in items {
        match selected.picture(NO_PICTURE) {
            Ok(size) => write_one(selected, size, writing)?,
            Err(why) => writing.leave_out(selected, why),
        }
    }
    Ok(())
}

fn write_one(selected: &Selected<'_>, Size { width, height }: Size, writing: &mut Writing<'_>) -> Result<(), Error> {
    let coco_url = url_of(&selected.item.asset.source);
    let image_id = writing.counted.images + 1;
    let image = Image { id: image_id, file_name: &selected.name, width, height, coco_url, split: selected.split };
    push(&mut writing.pieces.side, &mut writing.counted.images, &image)?;
    for annotation in &selected.annotations {
        let Some((bbox, area, segmentation)) = shape(&annotation.geometry) else {
            writing.leave_out_one(annotation, no_shape!("COCO", annotation.geometry));
            continue;
        };
        let Some(class) = writing.class(annotation) else { continue };
        let (id, category_id) = (writing.counted.annotations + 1, class + 1);
        let (score, attributes) = (annotation.confidence, &annotation.attributes);
        let row = Annotation { id, image_id, category_id, bbox, area, segmentation, iscrowd: 0, score, attributes };
        push(&mut writing.pieces.file, &mut writing.counted.annotations, &row)?;
    }
    Ok(())
}

/// Adds an entry to a list, on a line of its own.
fn push(list: &mut Vec<u8>, count: &mut u64, entry: &impl Serialize) -> Result<(), Error> {
    let separator: &[u8] = if *count == 0 { b"\n" } else { b",\n" };
    list.extend_from_slice(separator);
    serde_json::to_writer(list, entry).map_err(Error::internal)?;
    *count += 1;
    Ok(())
}

/// Box, area and segmentation, in pixels; `None`: COCO has no such shape.
fn shape(geometry: &Geometry) -> Option<([f64; 4], f64, Segmentation<'_>)> {
    match geometry {
        Geometry::BoundingBox { coordinates: Rect { x, y, width, height } } => Some((
            [*x, *y, *width, *height],
            width * height,
            Segmentation::Polygon([corners([*x, *y, *width, *height])]),
        )),
        Geometry::Polygon { points } => {
            let flat = points.iter().flatten().copied().collect();
            Some((extent(points), area(points), Segmentation::Polygon([flat])))
        }
        Geometry::SegmentationMask { mask: Mask::CocoRle { size, counts } } => {
            let (bbox, area) = Extent::of(counts, size[0]).map_or(([0.0; 4], 0.0), |extent| {
                let Extent { left, top, width, height, pixels } = extent;
                ([left, top, width, height].map(|pixels| pixels as f64), pixels as f64)
            });
            Some((bbox, area, Segmentation::Runs { size: *size, counts }))
        }
        Geometry::Polyline { .. } | Geometry::Classification | Geometry::BoundingBox3d { .. } => None,
    }
}

/// The corners of a box, as COCO's own `loadRes` gives them to one: without any, `annToMask` fails.
fn corners([left, top, width, height]: [f64; 4]) -> Vec<f64> {
    let (right, bottom) = (left + width, top + height);
    vec![left, top, left, bottom, right, bottom, right, top]
}

/// The least box around points.
pub(super) fn extent(points: &[[f64; 2]]) -> [f64; 4] {
    let least = |axis: usize| points.iter().map(|point| point[axis]).fold(f64::INFINITY, f64::min);
    let most = |axis: usize| points.iter().map(|point| point[axis]).fold(f64::NEG_INFINITY, f64::max);
    let (left, top) = (least(0), least(1));
    [left, top, most(0) - left, most(1) - top]
}

/// The area of a polygon, by the shoelace formula.
fn area(points: &[[f64; 2]]) -> f64 {
    let next = points.iter().cycle().skip(1);
    let twice: f64 = points.iter().zip(next).map(|([ax, ay], [bx, by])| ax * by - bx * ay).sum();
    twice.abs() / 2.0
}

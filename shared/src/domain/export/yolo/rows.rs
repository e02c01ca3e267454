//! The rows of labels for Ultralytics: a class and shares of the picture, from 0 to 1.

use crate::domain::export::ExportTask;
use crate::domain::export::coco::extent;
use crate::domain::export::format::{Writing, no_shape};
use crate::domain::export::selection::Selected;
use crate::domain::prediction::outline::outline;
use crate::domain::prediction::rows::Extent;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Mask, Rect};

/// Why a mask is left out of a data set of segments.
const TOO_FINE: &str = "The outline of the mask has more than 100,000 corners.";
/// Corners of a mask's outline: a row of two megabytes.
const CORNERS: usize = 100_000;

/// A class, and the values behind it.
pub(in crate::domain::export) type Row = (usize, Vec<f64>);

/// A row for each annotation that the data set can have.
pub(in crate::domain::export) fn rows(selected: &Selected<'_>, size: Size, writing: &mut Writing<'_>) -> Vec<Row> {
    let task = writing.export.options.task();
    let mut rows = Vec::new();
    for annotation in &selected.annotations {
        let values = match task {
            ExportTask::Detect => detected(&annotation.geometry).map(|corners| boxed(corners, size)),
            ExportTask::Segment => segment(&annotation.geometry).map(|points| normalized(&points, size)),
        };
        match values {
            Err(why) => writing.leave_out_one(annotation, why),
            Ok(values) => rows.extend(writing.class(annotation).map(|class| (class, values))),
        }
    }
    rows
}

/// Left, top, right and bottom of an object, pixels.
fn detected(geometry: &Geometry) -> Result<[f64; 4], &'static str> {
    let [left, top, width, height] = match geometry {
        Geometry::BoundingBox { coordinates: Rect { x, y, width, height } } => [*x, *y, *width, *height],
        Geometry::Polygon { points } => extent(points),
        Geometry::SegmentationMask { mask: Mask::CocoRle { size, counts } } => {
            let Extent { left, top, width, height, .. } =
                Extent::of(counts, size[0]).ok_or("The mask marks no pixel.")?;
            [left, top, width, height].map(|pixels| pixels as f64)
        }
        other => return Err(no_shape!("YOLO", other)),
    };
    Ok([left, top, left + width, top + height])
}

/// The corners of an object, pixels.
fn segment(geometry: &Geometry) -> Result<Vec<[f64; 2]>, &'static str> {
    match geometry {
        Geometry::Polygon { points } => Ok(points.clone()),
        Geometry::SegmentationMask { mask: Mask::CocoRle { size, counts } } => {
            let ring = outline(counts, size[0], CORNERS).ok_or(TOO_FINE)?;
            Ok(ring.into_iter().map(|corner| corner.map(f64::from)).collect())
        }
        other => {
            let [left, top, right, bottom] = detected(other)?;
            Ok(vec![[left, top], [right, top], [right, bottom], [left, bottom]])
        }
    }
}

/// Pixels as a share of the picture, with ten decimals: a ten-thousandth of a pixel of the largest picture.
fn share(pixels: f64, of: u32) -> f64 {
    rounded((pixels / f64::from(of.max(1))).clamp(0.0, 1.0))
}

fn rounded(share: f64) -> f64 {
    (share * 1e10).round() / 1e10
}

/// Centre, width and height of a box within the picture.
fn boxed([left, top, right, bottom]: [f64; 4], Size { width, height }: Size) -> Vec<f64> {
    let [left, right] = [left, right].map(|x| share(x, width));
    let [top, bottom] = [top, bottom].map(|y| share(y, height));
    [f64::midpoint(left, right), f64::midpoint(top, bottom), right - left, bottom - top].map(rounded).to_vec()
}

fn normalized(points: &[[f64; 2]], Size { width, height }: Size) -> Vec<f64> {
    points.iter().flat_map(|[x, y]| [share(*x, width), share(*y, height)]).collect()
}

//! Predictions as other servers write them.

use serde_json::Value;

use super::numbers::{finite, number};
use super::part::{Part, Shape, label, object, pixels};
use super::{Object, Read, broken, field, mask, points, rect, required, take};
use crate::domain::fields;
use crate::domain::item::Size;
use crate::domain::prediction::{Geometry, Rect};

/// Of Hugging Face's pipeline for object detection, which its SageMaker container serves as well:
/// `{"score", "label", "box": {"xmin", "ymin", "xmax", "ymax"}}`, corners in pixels.
pub(super) fn detection(part: Value, size: Option<Size>) -> Read<Part> {
    let mut part = object(part)?;
    let label = label(&mut part, "label")?;
    let confidence = field(&mut part, "score", fields::fraction)?;
    let corners = field(&mut part, "box", fields::object)?;
    let side = |low, high| {
        let (from, to) = (number(&corners, "box.", &[low])?, number(&corners, "box.", &[high])?);
        if to > from {
            Ok((from, to - from))
        } else {
            broken(format!("box.{high}"), format!("Must be greater than {low}."))
        }
    };
    let ((x, width), (y, height)) = (side("xmin", "xmax")?, side("ymin", "ymax")?);
    let coordinates = rect::clipped(Rect { x, y, width, height }, "box", pixels(size, "box")?)?;
    Ok(plain(Geometry::BoundingBox { coordinates }, label, confidence))
}

/// Of COCO's results (cocodataset.org, "Results Format"): `{"category_id", "score", "bbox": [x, y, width, height]}`, or with a
/// `segmentation`: run lengths, or a polygon as `[[x, y, x, y, …]]`. Of both, the segmentation says more, but for an empty list,
/// which detectors write beside their boxes. `category`, a name, goes before the id.
pub(super) fn coco_result(part: Value, size: Option<Size>) -> Read<Part> {
    let mut part = object(part)?;
    let label = category(&mut part)?;
    let confidence = field(&mut part, "score", fields::fraction)?;
    let geometry = match take(&mut part, "segmentation") {
        Some(Value::Object(runs)) => mask::runs(runs, "segmentation", pixels(size, "segmentation")?)?,
        Some(Value::Array(rings)) if !rings.is_empty() => {
            let points = points::ring(corners(&rings)?, "segmentation", pixels(size, "segmentation")?)?;
            Geometry::Polygon { points }
        }
        Some(Value::Array(_)) | None => Geometry::BoundingBox { coordinates: bbox(&mut part, size)? },
        Some(_) => return broken("segmentation", "Must be an object or an array."),
    };
    Ok(plain(geometry, label, confidence))
}

fn plain(geometry: Geometry, label: String, confidence: f64) -> Part {
    Part { shape: Shape::Known(geometry), label, confidence, attributes: Object::new(), dropped: None }
}

fn category(part: &mut Object) -> Read<String> {
    if part.get("category").is_some_and(|name| !name.is_null()) {
        return label(part, "category");
    }
    match take(part, "category_id") {
        Some(Value::Number(id)) if id.is_u64() || id.is_i64() => Ok(id.to_string()),
        Some(Value::String(id)) => {
            part.insert("category_id".into(), id.into());
            label(part, "category_id")
        }
        Some(_) => broken("category_id", "Must be a whole number or a string."),
        None => Err(required("category_id")),
    }
}

fn bbox(part: &mut Object, size: Option<Size>) -> Read<Rect> {
    let sides = field(part, "bbox", fields::list(4))?;
    let numbers: Option<Vec<f64>> = sides.iter().map(finite).collect();
    let Some(&[x, y, width, height]) = numbers.as_deref() else { return broken("bbox", "Must be four numbers.") };
    if width <= 0.0 || height <= 0.0 {
        return broken("bbox", "Must have a width and a height greater than 0.");
    }
    rect::clipped(Rect { x, y, width, height }, "bbox", pixels(size, "bbox")?)
}

fn corners(rings: &[Value]) -> Read<Vec<[f64; 2]>> {
    // Several rings are several pieces of one thing, or holes: no polygon of ours has either.
    let [Value::Array(ring)] = rings else { return broken("segmentation", "Must be run lengths, or one polygon.") };
    let (pairs, rest) = ring.as_chunks::<2>();
    let points: Option<Vec<[f64; 2]>> = pairs.iter().map(|[x, y]| Some([finite(x)?, finite(y)?])).collect();
    match points {
        Some(points) if rest.is_empty() => Ok(points),
        _ => broken("segmentation[0]", "Must be pairs of numbers."),
    }
}

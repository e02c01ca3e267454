//! Predictions as other servers write them.

use serde_json::Value;

use super::numbers::{finite, number};
use super::part::{Part, Shape, confidence, label, object, pixels};
use super::pixel_space::PixelSpace;
use super::{Broken, Object, Read, broken, field, mask, points, rect, required, take};
use crate::domain::fields;
use crate::domain::prediction::{Geometry, Rect};

/// Of Hugging Face's pipeline for object detection, which its SageMaker container serves as well:
/// `{"score", "label", "box": {"xmin", "ymin", "xmax", "ymax"}}`, corners in pixels.
pub(super) fn detection(part: Value, space: Option<&PixelSpace>) -> Read<Part> {
    let mut part = object(part)?;
    let label = label(&mut part, "label")?;
    let confidence = confidence(&mut part, "score")?;
    let corners = field(&mut part, "box", fields::object)?;
    let side = |low, high| {
        let (from, to) = (number(&corners, "box.", &[low])?, number(&corners, "box.", &[high])?);
        if to > from { Ok((from, to)) } else { broken(format!("box.{high}"), format!("Must be greater than {low}.")) }
    };
    let ((left, right), (top, bottom)) = (side("xmin", "xmax")?, side("ymin", "ymax")?);
    let coordinates = between([left, top], [right, bottom], "box", space)?;
    Ok(plain(Geometry::BoundingBox { coordinates }, label, confidence))
}

/// Of TorchServe's handler `object_detector`: `{"<label>": [x1, y1, x2, y2], "score"}`, corners in pixels.
pub(super) fn torchserve_detection(part: Value, space: Option<&PixelSpace>) -> Read<Part> {
    const FORM: &str = "Must have \"score\", and one label with [x1, y1, x2, y2].";
    let mut part = object(part)?;
    let confidence = confidence(&mut part, "score")?;
    let mut others = part.into_iter();
    let (Some((name, Value::Array(corners))), None) = (others.next(), others.next()) else { return broken("", FORM) };
    let numbers: Option<Vec<f64>> = corners.iter().map(finite).collect();
    let Some(&[left, top, right, bottom]) = numbers.as_deref() else { return broken("", FORM) };
    if right <= left || bottom <= top {
        return broken("", "Must have x2 greater than x1, and y2 greater than y1.");
    }
    let label = label(&mut [(String::from("label"), Value::from(name))].into_iter().collect(), "label")?;
    let coordinates = between([left, top], [right, bottom], "", space)?;
    Ok(plain(Geometry::BoundingBox { coordinates }, label, confidence))
}

/// The rectangle of two corners that the model wrote.
fn between(from: [f64; 2], to: [f64; 2], path: &'static str, space: Option<&PixelSpace>) -> Read<Rect> {
    let space = pixels(space, path)?;
    let ([x, y], [right, bottom]) = (space.point(from), space.point(to));
    rect::clipped(Rect { x, y, width: right - x, height: bottom - y }, path, space)
}

/// Of COCO's results (cocodataset.org, "Results Format"): `{"category_id", "score", "bbox": [x, y, width, height]}`, or with a
/// `segmentation`: run lengths, or a polygon as `[[x, y, x, y, …]]`. Of both, the segmentation says more, but for an empty list,
/// which detectors write beside their boxes. `category`, a name, goes before the id.
pub(super) fn coco_result(part: Value, space: Option<&PixelSpace>) -> Read<Part> {
    let mut part = object(part)?;
    let label = category(&mut part)?;
    let confidence = confidence(&mut part, "score")?;
    let geometry = match take(&mut part, "segmentation") {
        Some(Value::Object(runs)) => mask::runs(runs, "segmentation", pixels(space, "segmentation")?)?,
        Some(Value::Array(rings)) if !rings.is_empty() => {
            let points = points::ring(corners(&rings)?, "segmentation", pixels(space, "segmentation")?)?;
            Geometry::Polygon { points }
        }
        Some(Value::Array(_)) | None => Geometry::BoundingBox { coordinates: bbox(&mut part, space)? },
        Some(_) => return broken("segmentation", "Must be an object or an array."),
    };
    Ok(plain(geometry, label, confidence))
}

fn plain(geometry: Geometry, label: String, (confidence, clamped): (f64, Option<Broken>)) -> Part {
    Part { shape: Shape::Known(geometry), label, confidence, attributes: Object::new(), dropped: None, clamped }
}

fn category(part: &mut Object) -> Read<String> {
    if part.get("category").is_some_and(|name| !name.is_null()) {
        return label(part, "category");
    }
    match take(part, "category_id") {
        Some(Value::Number(id)) if id.is_u64() || id.is_i64() => Ok(id.to_string()),
        Some(id @ Value::Number(_)) if fields::whole_number(&id).is_some() => {
            Ok(fields::whole_number(&id).unwrap_or_default().to_string())
        }
        Some(Value::String(id)) => {
            part.insert("category_id".into(), id.into());
            label(part, "category_id")
        }
        Some(_) => broken("category_id", "Must be a whole number or a string."),
        None => Err(required("category_id")),
    }
}

fn bbox(part: &mut Object, space: Option<&PixelSpace>) -> Read<Rect> {
    let sides = field(part, "bbox", fields::list(4))?;
    let numbers: Option<Vec<f64>> = sides.iter().map(finite).collect();
    let Some(&[x, y, width, height]) = numbers.as_deref() else { return broken("bbox", "Must be four numbers.") };
    if width <= 0.0 || height <= 0.0 {
        return broken("bbox", "Must have a width and a height greater than 0.");
    }
    rect::written(Rect { x, y, width, height }, "bbox", pixels(space, "bbox")?)
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

//! One prediction in the contract's own form (10.3).

use serde_json::Value;

use super::pixel_space::PixelSpace;
use super::{Broken, NO_TEXT, Object, Read, broken, cuboid, field, mask, points, rect, required, take};
use crate::domain::json::DEFECT;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Prediction};
use crate::domain::{fields, limits};

/// Levels of `attributes`, the object itself included. DynamoDB takes 32, and drafts are stored inside other objects.
pub(super) const ATTRIBUTE_LEVELS: usize = 16;

/// Rounding in 32 bits ends a softmax at 1.0000001, and a predicted overlap (SAM's) at 1.02 or so.
const HAIR_ABOVE: f64 = 1.1;
/// What rounding leaves below 0 is far less.
const HAIR_BELOW: f64 = -0.01;

/// A part that is well formed.
pub(super) struct Part {
    pub(super) shape: Shape,
    pub(super) label: String,
    pub(super) confidence: f64,
    pub(super) attributes: Object,
    /// Attributes that could not be kept.
    pub(super) dropped: Option<Broken>,
    /// A confidence that was corrected.
    pub(super) clamped: Option<Broken>,
}

pub(super) enum Shape {
    Known(Geometry),
    /// A mask somewhere else.
    Picture {
        url: String,
        size: Size,
    },
}

impl Part {
    /// The prediction, if nothing is missing, and nothing was dropped or corrected.
    pub(super) fn whole(self) -> Read<Prediction> {
        if self.clamped.is_some() {
            return broken("confidence", NO_FRACTION);
        }
        match (self.shape, self.dropped) {
            (_, Some(dropped)) => Err(dropped),
            (Shape::Picture { .. }, None) => {
                broken("mask.format", "Must be \"coco_rle\": only a model's PNG masks are fetched.")
            }
            (Shape::Known(geometry), None) => {
                Ok(Prediction { geometry, label: self.label, confidence: self.confidence, attributes: self.attributes })
            }
        }
    }
}

pub(super) fn annotation(part: Value, space: Option<&PixelSpace>) -> Read<Part> {
    let mut part = object(part)?;
    let kind = take(&mut part, "type").ok_or_else(|| required("type"))?;
    let label = label(&mut part, "label")?;
    let (confidence, clamped) = confidence(&mut part, "confidence")?;
    let pixels = || pixels(space, "type");
    let shape = match kind.as_str() {
        Some("bounding_box") => Shape::Known(Geometry::BoundingBox { coordinates: rect::read(&mut part, pixels()?)? }),
        Some("polygon") => Shape::Known(Geometry::Polygon { points: points::polygon(&mut part, pixels()?)? }),
        Some("polyline") => Shape::Known(Geometry::Polyline { points: points::polyline(&mut part, pixels()?)? }),
        Some("segmentation_mask") => mask::read(&mut part, pixels()?)?,
        Some("classification") => Shape::Known(Geometry::Classification),
        Some("bounding_box_3d") => Shape::Known(Geometry::BoundingBox3d { coordinates: cuboid::read(&mut part)? }),
        _ => return broken("type", "Must be one of the six prediction types."),
    };
    let (attributes, dropped) = match read_attributes(&mut part) {
        Ok(attributes) => (attributes, None),
        Err(dropped) => (Object::new(), Some(dropped)),
    };
    Ok(Part { shape, label, confidence, attributes, dropped, clamped })
}

const NO_FRACTION: &str = "Must be a number from 0.0 to 1.0.";

/// A confidence, and what was corrected of it.
pub(super) fn confidence(part: &mut Object, name: &str) -> Read<(f64, Option<Broken>)> {
    let value = take(part, name).ok_or_else(|| required(name))?;
    match value.as_f64() {
        Some(number) if (0.0..=1.0).contains(&number) => {
            fields::fraction(value).map(|confidence| (confidence, None)).or_else(|message| broken(name, message))
        }
        Some(number) if (HAIR_BELOW..=HAIR_ABOVE).contains(&number) => {
            let confidence = number.clamp(0.0, 1.0);
            Ok((confidence, Some(Broken { path: name.into(), message: format!("{number} was read as {confidence}.") })))
        }
        Some(number) if (HAIR_ABOVE..=100.0).contains(&number) => {
            broken(name, format!("{NO_FRACTION} {number} looks like percent: divide by 100."))
        }
        _ => broken(name, NO_FRACTION),
    }
}

pub(super) fn object(part: Value) -> Read<Object> {
    fields::object(part).or_else(|message| broken("", message))
}

pub(super) fn label(part: &mut Object, name: &str) -> Read<String> {
    text(part, name, limits::LABEL_CHARS)
}

pub(super) fn text(part: &mut Object, name: &str, most: usize) -> Read<String> {
    let text = field(part, name, fields::text(1, most))?;
    if text.contains(DEFECT) { broken(name, NO_TEXT) } else { Ok(text) }
}

/// The item's picture; `path` is what is wrong with a shape in pixels on an item that has none.
pub(super) fn pixels<'a>(space: Option<&'a PixelSpace>, path: &str) -> Read<&'a PixelSpace> {
    space.map_or_else(|| broken(path, "Needs an item that has pixels."), Ok)
}

fn read_attributes(part: &mut Object) -> Read<Object> {
    match take(part, "attributes") {
        None => Ok(Object::new()),
        Some(deep) if !is_within(&deep, ATTRIBUTE_LEVELS) => broken("attributes", "Has too many levels."),
        Some(no_text) if !is_text(&no_text) => broken("attributes", NO_TEXT),
        Some(Value::Object(attributes)) => Ok(attributes),
        Some(_) => broken("attributes", "Must be an object."),
    }
}

/// Of something that is not nested too deeply.
fn is_text(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains(DEFECT),
        Value::Object(members) => members.iter().all(|(name, value)| !name.contains(DEFECT) && is_text(value)),
        Value::Array(entries) => entries.iter().all(is_text),
        _ => true,
    }
}

fn is_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(members) => levels > 0 && members.values().all(|value| is_within(value, levels - 1)),
        Value::Array(entries) => levels > 0 && entries.iter().all(|value| is_within(value, levels - 1)),
        _ => true,
    }
}

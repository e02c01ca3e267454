//! One prediction in the contract's own form (10.3).

use serde_json::Value;

use super::{Broken, Object, Read, broken, cuboid, field, mask, points, rect, required, take};
use crate::domain::item::Size;
use crate::domain::prediction::{Geometry, Prediction};
use crate::domain::{fields, limits};

/// Levels of `attributes`, the object itself included. DynamoDB takes 32, and drafts are stored inside other objects.
pub(super) const ATTRIBUTE_LEVELS: usize = 16;

/// A part that is well formed.
pub(super) struct Part {
    pub(super) shape: Shape,
    pub(super) label: String,
    pub(super) confidence: f64,
    pub(super) attributes: Object,
    /// Attributes that could not be kept.
    pub(super) dropped: Option<Broken>,
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
    /// The prediction, if nothing is missing and nothing was dropped.
    pub(super) fn whole(self) -> Read<Prediction> {
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

pub(super) fn annotation(part: Value, size: Option<Size>) -> Read<Part> {
    let mut part = object(part)?;
    let kind = take(&mut part, "type").ok_or_else(|| required("type"))?;
    let label = label(&mut part, "label")?;
    let confidence = field(&mut part, "confidence", fields::fraction)?;
    let pixels = || pixels(size, "type");
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
    Ok(Part { shape, label, confidence, attributes, dropped })
}

pub(super) fn object(part: Value) -> Read<Object> {
    fields::object(part).or_else(|message| broken("", message))
}

pub(super) fn label(part: &mut Object, name: &str) -> Read<String> {
    field(part, name, fields::text(1, limits::LABEL_CHARS))
}

/// The item's size; `path` is what is wrong with a shape in pixels on an item that has none.
pub(super) fn pixels(size: Option<Size>, path: &str) -> Read<Size> {
    size.map_or_else(|| broken(path, "Needs an item that has pixels."), Ok)
}

fn read_attributes(part: &mut Object) -> Read<Object> {
    match take(part, "attributes") {
        None => Ok(Object::new()),
        Some(deep) if !is_within(&deep, ATTRIBUTE_LEVELS) => broken("attributes", "Has too many levels."),
        Some(Value::Object(attributes)) => Ok(attributes),
        Some(_) => broken("attributes", "Must be an object."),
    }
}

fn is_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(members) => levels > 0 && members.values().all(|value| is_within(value, levels - 1)),
        Value::Array(entries) => levels > 0 && entries.iter().all(|value| is_within(value, levels - 1)),
        _ => true,
    }
}

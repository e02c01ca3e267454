//! The format `sagemaker_manifest`: augmented manifests of Amazon SageMaker Ground Truth, as labeling jobs write them ("Labeling job
//! output data"). A line that cannot be read costs its item and not the file.
//!
//! - Boxes and classifications are read. A line with labels of another type is not taken: without them it would appear complete.
//! - Of several attributes of one type, such as those of a job that adjusts labels, the one that was made last counts.

use serde_json::{Map, Value, json};

use super::jsonl::side;
use super::picture::{Read, malformed, named};
use super::reader::{Entry, Position, Reason, ReasonCode};
use crate::domain::{fields, json, limits};

/// What the name of an attribute's metadata ends with.
const METADATA: &str = "-metadata";
const BOXES: &str = "groundtruth/object-detection";
const CLASS: &str = "groundtruth/image-classification";
const CLASSES: &str = "groundtruth/image-classification-multilabel";
/// An opinion about labels, which are another attribute.
const VERIFICATION: &str = "groundtruth/label-verification";

/// The item of a line.
pub(super) fn entry(number: u64, line: &[u8]) -> Entry {
    let position = Position::Line(number);
    let refused = |message: &str| Entry::refused(position.clone(), String::new(), ReasonCode::Malformed, message);
    let members = match json::parse(line, limits::CORRECTION_MEMORY) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return refused("The line is no JSON object."),
        Err(error) => return refused(&format!("The line is not JSON (column {}).", error.column())),
    };
    let Some(source) = members.get("source-ref").and_then(Value::as_str) else {
        return refused("\"source-ref\" must be a string.");
    };
    let (name, url) = named(source);
    let mut entry = Entry { url, ..Entry::new(position, name) };
    if let Err(reason) = read(&members, &mut entry) {
        entry.refuse(reason);
    }
    entry
}

fn read(members: &Map<String, Value>, entry: &mut Entry) -> Read<()> {
    let (boxes, classes) = attributes(members)?;
    if boxes.is_none() && classes.is_none() {
        return Err(Reason::new(ReasonCode::NoResult, "The line has no labels."));
    }
    if let Some(attribute) = boxes {
        let size = attribute.value.get("image_size").and_then(|sizes| sizes.get(0)).and_then(Value::as_object);
        if let Some((width, height)) = size.and_then(|size| side(size, "width").zip(side(size, "height"))) {
            (entry.width, entry.height) = (Some(width), Some(height));
        }
        entry.annotations.extend(attribute.boxes()?);
    }
    if let Some(attribute) = classes {
        entry.annotations.extend(attribute.classes()?);
    }
    Ok(())
}

/// A label attribute with its metadata.
#[derive(Clone, Copy)]
struct Attribute<'a> {
    value: &'a Value,
    metadata: &'a Map<String, Value>,
}

/// The boxes and the classifications of a line.
fn attributes(members: &Map<String, Value>) -> Read<(Option<Attribute<'_>>, Option<Attribute<'_>>)> {
    let (mut boxes, mut classes) = (None, None);
    for (name, metadata) in members {
        let Some((value, metadata)) =
            name.strip_suffix(METADATA).and_then(|name| members.get(name)).zip(metadata.as_object())
        else {
            continue; // an attribute of the caller's, or a label that no worker has given
        };
        let attribute = Attribute { value, metadata };
        match metadata.get("type").and_then(Value::as_str) {
            Some(BOXES) => later(&mut boxes, attribute),
            Some(CLASS | CLASSES) => later(&mut classes, attribute),
            Some(VERIFICATION) => {}
            other => return malformed(format!("Labels of the type {} cannot be imported.", other.unwrap_or("(none)"))),
        }
    }
    Ok((boxes, classes))
}

/// Keeps what was made later. Dates are of one form, so they compare as texts.
fn later<'a>(kept: &mut Option<Attribute<'a>>, other: Attribute<'a>) {
    if kept.is_none_or(|kept| kept.created() <= other.created()) {
        *kept = Some(other);
    }
}

impl<'a> Attribute<'a> {
    fn created(self) -> &'a str {
        self.metadata.get("creation-date").and_then(Value::as_str).unwrap_or_default()
    }

    fn boxes(self) -> Read<Vec<Value>> {
        let Some(annotations) = self.value.get("annotations").and_then(Value::as_array) else {
            return malformed("\"annotations\" of the boxes must be a list.");
        };
        let objects = self.metadata.get("objects").and_then(Value::as_array);
        let mut boxes = Vec::with_capacity(annotations.len());
        for (index, annotation) in annotations.iter().enumerate() {
            let number = |name: &str| annotation.get(name).filter(|value| value.is_number());
            let sides = [number("left"), number("top"), number("width"), number("height")];
            let [Some(left), Some(top), Some(width), Some(height)] = sides else {
                return malformed("A box must have the numbers \"left\", \"top\", \"width\" and \"height\".");
            };
            let label = self.label(annotation.get("class_id"))?;
            let confidence = objects.and_then(|objects| objects.get(index)?.get("confidence"));
            let coordinates = json!({"x": left, "y": top, "width": width, "height": height});
            boxes.push(with_confidence(
                json!({"type": "bounding_box", "label": label, "coordinates": coordinates}),
                confidence,
            ));
        }
        Ok(boxes)
    }

    fn classes(self) -> Read<Vec<Value>> {
        let classification = |label: &str| json!({"type": "classification", "label": label});
        if let Some(classes) = self.value.as_array() {
            let confidences = self.metadata.get("confidence-map");
            let one = |class: &Value| {
                let confidence = confidences.and_then(|map| map.get(class.to_string()));
                Ok(with_confidence(classification(self.label(Some(class))?), confidence))
            };
            return classes.iter().map(one).collect();
        }
        let Some(label) = self.metadata.get("class-name").and_then(Value::as_str) else {
            return malformed("\"class-name\" of the class must be a string.");
        };
        Ok(vec![with_confidence(classification(label), self.metadata.get("confidence"))])
    }

    fn label(self, class: Option<&Value>) -> Read<&'a str> {
        let Some(class) = class.and_then(fields::whole_number) else {
            return malformed("A class must be a whole number.");
        };
        let map = self.metadata.get("class-map");
        let unknown = || Reason::new(ReasonCode::UnknownCategory, format!("\"class-map\" has no class {class}."));
        map.and_then(|map| map.get(class.to_string())?.as_str()).ok_or_else(unknown)
    }
}

fn with_confidence(mut annotation: Value, confidence: Option<&Value>) -> Value {
    if let Some(confidence) = confidence.filter(|confidence| !confidence.is_null()) {
        annotation["confidence"] = confidence.clone();
    }
    annotation
}

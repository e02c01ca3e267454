//! Reading a model's answer: what is well formed becomes predictions, what is not is dropped and said so.
//!
//! The shape is the contract's, section 10.3 with D28 to D30. Models are strangers: nothing they send may panic,
//! grow without bound or put text of theirs into an error message.
//!
//! Rules that the contract leaves to us:
//! - Points outside the picture move to its border. That bends a shape that crosses the border, but keeps its
//!   points in place and in number; cutting it would make several rings of one. A shape that lies beyond one side
//!   altogether would become a line on the border: it is malformed.
//! - Kinds measured in pixels are malformed on items that have none. A cuboid fits any item.
//! - `attributes` that cannot be kept are dropped alone; the prediction stays.
//!
//! Reading a prediction that this module wrote gives the same prediction: a draft may pass here twice.

use serde_json::{Map, Value};

use super::error::FieldError;
use super::item::Size;
use super::prediction::{Cuboid, Dimensions, Geometry, Mask, Prediction, Quaternion, Rect, Vec3};
use super::{fields, json, limits, rle};

/// Notes of dropped parts that are kept; the rest is counted.
const NOTES: usize = 2 * limits::SUMMARY_ERRORS;
/// Levels of `attributes`, the object itself included. DynamoDB takes 32, and drafts are stored inside other objects.
const ATTRIBUTE_LEVELS: usize = 16;
/// Below it a quaternion has no direction (contract, 10.3).
const MIN_NORM: f64 = 0.001;
/// `confidence` of a person who gives none.
const CERTAIN: f64 = 1.0;
const OUTSIDE: &str = "Lies outside the picture.";

/// What an answer says, part by part.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    /// What is well formed, in the model's order.
    pub predictions: Vec<Prediction>,
    /// What is well formed but for a mask that nobody has seen yet: see [`Decoded::complete`].
    pub pictures: Vec<Picture>,
    /// A sentence for each part that is not, with its path: `annotations[2].coordinates.width: Must be greater than 0.`
    pub dropped: Vec<String>,
}

/// A prediction whose mask is a picture on the web (contract, D29).
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// Where the mask is: a stranger's word, so far.
    pub url: String,
    /// The item's, which the mask must have.
    pub size: Size,
    /// What the model saw.
    pub label: String,
    /// From 0 to 1.
    pub confidence: f64,
    attributes: Object,
    /// Of the mask, for complaints.
    path: String,
    /// How many of the predictions that need no picture come before it.
    before: usize,
}

/// An answer that is no answer: the item fails.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    /// Also a number beyond what 64 bits hold, such as `1e999`: the parser knows no infinity.
    #[error("The model's answer is not JSON (line {}, column {}).", .0.line(), .0.column())]
    NotJson(#[source] serde_json::Error),
    /// It may be JSON, but nobody could keep it in memory.
    #[error("The model's answer has too many parts to be read.")]
    TooManyParts,
    /// JSON, but a list or a plain value.
    #[error("The model's answer is not a JSON object.")]
    NotAnObject,
    /// No list under the agreed key.
    #[error("The model's answer has no array \"{0}\".")]
    MissingArray(String),
    /// There are predictions, and each is broken (contract, D28).
    #[error("None of the model's predictions is well formed. {first}")]
    NothingWellFormed {
        /// What is wrong with the first, with its path.
        first: String,
    },
}

impl BadAnswer {
    fn of(error: serde_json::Error) -> Self {
        if error.is_data() { Self::TooManyParts } else { Self::NotJson(error) }
    }
}

/// Reads a model's answer. `key` names the array of predictions; `size` is the item's, `None` for point clouds.
///
/// # Errors
/// [`BadAnswer`]: the item fails.
pub fn decode(body: &[u8], key: &str, size: Option<Size>) -> Result<Decoded, BadAnswer> {
    // The parser refuses more than 128 levels, so that everything below may recurse.
    read_answer(json::parse(body, limits::ANSWER_MEMORY).map_err(BadAnswer::of)?, key, size)
}

impl Decoded {
    /// Puts fetched masks where the model has them, and notes those that could not be had. `masks` are in the order of
    /// `pictures`, a sentence where there is none; `None` is what nobody asked for: it is left out.
    ///
    /// # Errors
    /// `NothingWellFormed`.
    pub fn complete(
        mut self,
        masks: impl IntoIterator<Item = Option<Result<Mask, String>>>,
    ) -> Result<Self, BadAnswer> {
        let (mut inserted, mut unasked) = (0, false);
        for (picture, mask) in std::mem::take(&mut self.pictures).into_iter().zip(masks) {
            let Picture { label, confidence, attributes, path, before, .. } = picture;
            match mask {
                Some(Ok(mask)) => {
                    let geometry = Geometry::SegmentationMask { mask };
                    let prediction = Prediction { geometry, label, confidence, attributes };
                    self.predictions.insert(before + inserted, prediction);
                    inserted += 1;
                }
                Some(Err(sentence)) => self.dropped.push(format!("{path}: {sentence}")),
                None => unasked = true,
            }
        }
        if unasked { Ok(self) } else { self.unless_nothing_is_left() }
    }

    fn unless_nothing_is_left(mut self) -> Result<Self, BadAnswer> {
        if self.predictions.is_empty() && self.pictures.is_empty() && !self.dropped.is_empty() {
            return Err(BadAnswer::NothingWellFormed { first: self.dropped.swap_remove(0) });
        }
        Ok(self)
    }
}

fn read_answer(answer: Value, key: &str, size: Option<Size>) -> Result<Decoded, BadAnswer> {
    let Value::Object(mut answer) = answer else { return Err(BadAnswer::NotAnObject) };
    let Some(Value::Array(parts)) = answer.remove(key) else { return Err(BadAnswer::MissingArray(key.to_owned())) };
    let count = parts.len();
    let (mut predictions, mut pictures) = (Vec::new(), Vec::new());
    let (mut dropped, mut unnoted) = (Vec::new(), 0usize);
    let mut note = |broken: Broken, index: usize| {
        let FieldError { field, message } = broken.complaint(key, index);
        if dropped.len() < NOTES { dropped.push(format!("{field}: {message}")) } else { unnoted += 1 }
    };
    for (index, part) in parts.into_iter().take(limits::PREDICTIONS).enumerate() {
        match read_part(part, size) {
            Ok(Part { shape, label, confidence, attributes, dropped }) => {
                match shape {
                    Shape::Known(geometry) => predictions.push(Prediction { geometry, label, confidence, attributes }),
                    Shape::Picture { url, size } => {
                        let (path, before) = (format!("{key}[{index}].mask"), predictions.len());
                        pictures.push(Picture { url, size, label, confidence, attributes, path, before });
                    }
                }
                dropped.into_iter().for_each(|attributes| note(attributes, index));
            }
            Err(part) => note(part, index),
        }
    }
    if unnoted > 0 {
        dropped.push(format!("{unnoted} more parts are malformed."));
    }
    if count > limits::PREDICTIONS {
        dropped.push(format!("{key}: Has {count} predictions; only the first {} are read.", limits::PREDICTIONS));
    }
    Decoded { predictions, pictures, dropped }.unless_nothing_is_left()
}

/// Reads a person's annotations, by the same rules but one: a person who is sure says no `confidence`. `path` names the
/// list in complaints.
///
/// # Errors
/// What is not well formed: nothing is dropped. Of many complaints, the first.
pub fn annotations(path: &str, parts: Vec<Value>, size: Option<Size>) -> Result<Vec<Prediction>, Vec<FieldError>> {
    let (mut annotations, mut complaints) = (Vec::with_capacity(parts.len()), Vec::new());
    for (index, mut part) in parts.into_iter().enumerate() {
        if let Value::Object(part) = &mut part
            && part.get("confidence").is_none_or(Value::is_null)
        {
            part.insert("confidence".into(), CERTAIN.into());
        }
        match read_part(part, size).and_then(Part::whole) {
            Ok(annotation) => annotations.push(annotation),
            Err(broken) => complaints.push(broken.complaint(path, index)),
        }
    }
    if complaints.is_empty() {
        return Ok(annotations);
    }
    complaints.truncate(NOTES);
    Err(complaints)
}

/// A part that is not well formed: where in the prediction, and a sentence.
struct Broken {
    path: String,
    message: String,
}

impl Broken {
    /// Under the part's place in the list.
    fn complaint(self, list: &str, index: usize) -> FieldError {
        let dot = if self.path.is_empty() { "" } else { "." };
        FieldError::new(format!("{list}[{index}]{dot}{}", self.path), self.message)
    }
}

type Read<T> = Result<T, Broken>;

fn broken<T>(path: impl Into<String>, message: impl Into<String>) -> Read<T> {
    Err(Broken { path: path.into(), message: message.into() })
}

fn required(path: impl Into<String>) -> Broken {
    Broken { path: path.into(), message: "This field is required.".into() }
}

type Object = Map<String, Value>;

/// Takes a field out of an object. `null` is "not sent", as everywhere in the contract.
fn take(object: &mut Object, name: &str) -> Option<Value> {
    object.remove(name).filter(|value| !value.is_null())
}

/// Takes a field out and reads it with one of the rules for requests.
fn field<T>(object: &mut Object, name: &str, rule: impl FnOnce(Value) -> Result<T, String>) -> Read<T> {
    rule(take(object, name).ok_or_else(|| required(name))?).or_else(|message| broken(name, message))
}

/// A part that is well formed.
struct Part {
    shape: Shape,
    label: String,
    confidence: f64,
    attributes: Object,
    /// Attributes that could not be kept.
    dropped: Option<Broken>,
}

enum Shape {
    Known(Geometry),
    /// A mask somewhere else.
    Picture {
        url: String,
        size: Size,
    },
}

impl Part {
    /// The prediction, if nothing is missing and nothing was dropped.
    fn whole(self) -> Read<Prediction> {
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

fn read_part(part: Value, size: Option<Size>) -> Read<Part> {
    let Value::Object(mut part) = part else { return broken("", "Must be an object.") };
    let kind = take(&mut part, "type").ok_or_else(|| required("type"))?;
    let label = field(&mut part, "label", fields::text(1, limits::LABEL_CHARS))?;
    let confidence = field(&mut part, "confidence", fields::fraction)?;
    let pixels = || size.map_or_else(|| broken("type", "Needs an item that has pixels."), Ok);
    let shape = match kind.as_str() {
        Some("bounding_box") => Shape::Known(Geometry::BoundingBox { coordinates: read_rect(&mut part, pixels()?)? }),
        Some("polygon") => Shape::Known(Geometry::Polygon { points: read_polygon(&mut part, pixels()?)? }),
        Some("polyline") => Shape::Known(Geometry::Polyline { points: read_polyline(&mut part, pixels()?)? }),
        Some("segmentation_mask") => read_mask(&mut part, pixels()?)?,
        Some("classification") => Shape::Known(Geometry::Classification),
        Some("bounding_box_3d") => Shape::Known(Geometry::BoundingBox3d { coordinates: read_cuboid(&mut part)? }),
        _ => return broken("type", "Must be one of the six prediction types."),
    };
    let (attributes, dropped) = match read_attributes(&mut part) {
        Ok(attributes) => (attributes, None),
        Err(dropped) => (Object::new(), Some(dropped)),
    };
    Ok(Part { shape, label, confidence, attributes, dropped })
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

/// A number under the first of its names that is there; `path` leads to it and ends in a dot.
fn number(object: &Object, path: &str, names: &[&str]) -> Read<f64> {
    number_that(|_| true, "Must be a number.", object, path, names)
}

/// Like [`number`], and greater than 0.
fn extent(object: &Object, path: &str, names: &[&str]) -> Read<f64> {
    number_that(|number| number > 0.0, "Must be greater than 0.", object, path, names)
}

fn number_that(holds: fn(f64) -> bool, otherwise: &str, object: &Object, path: &str, names: &[&str]) -> Read<f64> {
    let found = names.iter().find_map(|name| Some((name, object.get(*name).filter(|value| !value.is_null())?)));
    let Some((name, value)) = found else { return Err(required(format!("{path}{}", names[0]))) };
    match finite(value) {
        Some(number) if holds(number) => Ok(number),
        Some(_) => broken(format!("{path}{name}"), otherwise),
        None => broken(format!("{path}{name}"), "Must be a number."),
    }
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

fn read_rect(part: &mut Object, size: Size) -> Read<Rect> {
    let c = field(part, "coordinates", fields::object)?;
    let path = "coordinates.";
    let (mut x, mut y) = (number(&c, path, &["x"])?, number(&c, path, &["y"])?);
    let (mut width, mut height) = (extent(&c, path, &["width"])?, extent(&c, path, &["height"])?);
    clip(&mut x, &mut width, size.width.into());
    clip(&mut y, &mut height, size.height.into());
    if width > 0.0 && height > 0.0 { Ok(Rect { x, y, width, height }) } else { broken("coordinates", OUTSIDE) }
}

/// Cuts an interval to `0..=end`. What lies within keeps its last bit, which adding and subtracting would change.
fn clip(start: &mut f64, extent: &mut f64, end: f64) {
    if *start < 0.0 {
        *extent += *start;
        *start = 0.0;
    }
    if *start + *extent > end {
        *extent = end - *start;
    }
}

fn read_point(value: &Value) -> Option<[f64; 2]> {
    match value.as_array()?.as_slice() {
        [x, y] => Some([finite(x)?, finite(y)?]),
        _ => None,
    }
}

/// Points, moved into the picture.
fn read_points(part: &mut Object, size: Size) -> Read<Vec<[f64; 2]>> {
    let values = field(part, "points", fields::list(usize::MAX))?;
    let point = |(index, value)| match read_point(value) {
        Some(point) => Ok(point),
        None => broken(format!("points[{index}]"), "Must be two numbers."),
    };
    let mut points = values.iter().enumerate().map(point).collect::<Read<Vec<_>>>()?;
    let end = [f64::from(size.width), f64::from(size.height)];
    let beyond = |axis: usize| points.iter().all(|p| p[axis] < 0.0) || points.iter().all(|p| p[axis] > end[axis]);
    if !points.is_empty() && (beyond(0) || beyond(1)) {
        return broken("points", OUTSIDE);
    }
    for [x, y] in &mut points {
        (*x, *y) = (x.clamp(0.0, end[0]), y.clamp(0.0, end[1]));
    }
    Ok(points)
}

fn read_polygon(part: &mut Object, size: Size) -> Read<Vec<[f64; 2]>> {
    let mut points = read_points(part, size)?;
    // The closing edge is implied; some models close the ring more than once.
    while points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    let second = points.iter().find(|point| **point != points[0]);
    let third = second.and_then(|second| points.iter().find(|point| **point != points[0] && *point != second));
    if third.is_some() { Ok(points) } else { broken("points", "Must have at least 3 distinct points.") }
}

fn read_polyline(part: &mut Object, size: Size) -> Read<Vec<[f64; 2]>> {
    let points = read_points(part, size)?;
    if points.len() >= 2 { Ok(points) } else { broken("points", "Must have at least 2 points.") }
}

fn read_mask(part: &mut Object, item: Size) -> Read<Shape> {
    let size = [item.height, item.width];
    let pixels = u64::from(item.height) * u64::from(item.width);
    let known = |counts| Shape::Known(Geometry::SegmentationMask { mask: Mask::CocoRle { size, counts } });
    let checked = |path: &str, counts: String| match rle::check(rle::runs(&counts), pixels) {
        Ok(()) => Ok(known(counts)),
        Err(bad) => broken(path, bad.to_string()),
    };
    let mut mask = match take(part, "mask") {
        Some(Value::String(counts)) => return checked("mask", counts),
        Some(Value::Object(mask)) => mask,
        Some(_) => return broken("mask", "Must be a string or an object."),
        None => return Err(required("mask")),
    };
    match mask.get("format").and_then(Value::as_str) {
        Some("coco_rle") => {}
        Some("png_url") => {
            let url = field(&mut mask, "url", fields::text(1, limits::MASK_URL_CHARS));
            return match url {
                Ok(url) => Ok(Shape::Picture { url, size: item }),
                Err(Broken { message, .. }) => broken("mask.url", message),
            };
        }
        _ => return broken("mask.format", "Must be \"coco_rle\" or \"png_url\"."),
    }
    let sides = mask.get("size").and_then(Value::as_array).map(Vec::as_slice);
    if !matches!(sides, Some([h, w]) if *h == size[0] && *w == size[1]) {
        return broken("mask.size", format!("Must be the item's: [{}, {}].", item.height, item.width));
    }
    match take(&mut mask, "counts") {
        Some(Value::String(counts)) => checked("mask.counts", counts),
        Some(Value::Array(runs)) => {
            // Checked before it is encoded: the string of a run that is no run would be nonsense.
            let counts = runs.iter().map(|run| run.as_u64().ok_or(rle::BadRuns::NotACount));
            match rle::check(counts, pixels) {
                Ok(()) => Ok(known(rle::encode(runs.iter().filter_map(Value::as_u64)))),
                Err(bad) => broken("mask.counts", bad.to_string()),
            }
        }
        Some(_) => broken("mask.counts", "Must be a string or an array."),
        None => Err(required("mask.counts")),
    }
}

fn read_vec3(object: &Object, path: &str) -> Read<Vec3> {
    Ok(Vec3 { x: number(object, path, &["x"])?, y: number(object, path, &["y"])?, z: number(object, path, &["z"])? })
}

fn read_cuboid(part: &mut Object) -> Read<Cuboid> {
    let mut coordinates = match take(part, "coordinates") {
        Some(coordinates) => fields::object(coordinates).or_else(|message| broken("coordinates", message))?,
        None => Object::new(),
    };
    // Both places are accepted: inside `coordinates`, and beside `type` (contract, D30).
    let mut member = |name: &str| {
        let inner = take(&mut coordinates, name).map(|value| (value, format!("coordinates.{name}")));
        match inner.or_else(|| Some((take(part, name)?, name.to_owned()))) {
            Some((Value::Object(members), path)) => Ok((members, path + ".")),
            Some((_, path)) => broken(path, "Must be an object."),
            None => Err(required(format!("coordinates.{name}"))),
        }
    };
    let (c, path) = member("center")?;
    let center = read_vec3(&c, &path)?;
    let (d, path) = member("dimensions")?;
    let dimensions = Dimensions {
        length: extent(&d, &path, &["length", "l"])?,
        width: extent(&d, &path, &["width", "w"])?,
        height: extent(&d, &path, &["height", "h"])?,
    };
    let (r, path) = member("rotation")?;
    let (Vec3 { x, y, z }, w) = (read_vec3(&r, &path)?, number(&r, &path, &["w"])?);
    // Not the root of the squares' sum: squares overflow long before the numbers do.
    let norm = x.hypot(y).hypot(z).hypot(w);
    if !norm.is_finite() || norm < MIN_NORM {
        return broken(path.trim_end_matches('.'), "Has no direction: its length must be 0.001 or more.");
    }
    // A unit quaternion stays as it is: dividing by a norm that is off by rounding would change it at every pass.
    let norm = if (norm - 1.0).abs() < 1e-12 { 1.0 } else { norm };
    Ok(Cuboid { center, dimensions, rotation: Quaternion { x: x / norm, y: y / norm, z: z / norm, w: w / norm } })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SIZE: Size = Size { width: 100, height: 50 };

    /// Reads an answer with one prediction: common fields, and `part` over them.
    fn one(part: Value, size: Option<Size>) -> Result<Decoded, BadAnswer> {
        let mut whole = json!({"type": "classification", "label": "car", "confidence": 0.5});
        whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        decode(json!({ "annotations": [whole] }).to_string().as_bytes(), "annotations", size)
    }

    /// The geometry of a well-formed prediction, as it goes over the wire.
    fn geometry(part: Value) -> Value {
        let mut decoded = one(part, Some(SIZE)).unwrap();
        assert_eq!((decoded.predictions.len(), decoded.dropped.len()), (1, 0));
        serde_json::to_value(decoded.predictions.remove(0).geometry).unwrap()
    }

    #[track_caller]
    fn refused(part: Value, size: Option<Size>, complaint: &str) {
        let error = one(part.clone(), size).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("None of the model's predictions is well formed. annotations[0].{complaint}"),
            "{part}"
        );
    }

    fn rect(x: f64, y: f64, width: f64, height: f64) -> Value {
        json!({"type": "bounding_box", "coordinates": {"x": x, "y": y, "width": width, "height": height}})
    }

    fn points(kind: &str, points: Value) -> Value {
        json!({ "type": kind, "points": points })
    }

    fn coco(size: Value, counts: Value) -> Value {
        json!({"format": "coco_rle", "size": size, "counts": counts})
    }

    /// A person's list with these changes to a good annotation.
    fn persons(parts: &[Value]) -> Result<Vec<Prediction>, Vec<String>> {
        let whole = |part: &Value| {
            let mut whole = json!({"type": "classification", "label": "car"});
            whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            whole
        };
        let complaints =
            |all: Vec<FieldError>| all.into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        annotations("annotations", parts.iter().map(whole).collect(), Some(SIZE)).map_err(complaints)
    }

    #[test]
    fn a_person_is_certain_unless_she_says_otherwise() {
        let annotations = persons(&[json!({}), json!({"confidence": null}), json!({"confidence": 0.25})]).unwrap();

        assert_eq!(annotations.iter().map(|a| a.confidence).collect::<Vec<_>>(), [1.0, 1.0, 0.25]);
        assert_eq!(persons(&[]), Ok(vec![]));
    }

    #[test]
    fn nothing_of_a_persons_is_dropped_in_silence() {
        let parts =
            [rect(0.0, 0.0, 9.0, 9.0), json!({"attributes": 7}), rect(0.0, 0.0, 0.0, 9.0), json!({"type": "x"})];
        assert_eq!(
            persons(&parts).unwrap_err(),
            [
                "annotations[1].attributes: Must be an object.",
                "annotations[2].coordinates.width: Must be greater than 0.",
                "annotations[3].type: Must be one of the six prediction types.",
            ]
        );
        assert_eq!(
            annotations("a", vec![json!(7)], None).unwrap_err(),
            [FieldError::new("a[0]", "Must be an object.")]
        );
        assert_eq!(annotations("a", vec![json!(7); 500], None).unwrap_err().len(), NOTES);
    }

    #[test]
    fn an_answer_is_an_object_with_the_agreed_array() {
        let message = |body: &str| decode(body.as_bytes(), "boxes", Some(SIZE)).unwrap_err().to_string();

        assert_eq!(message(""), "The model's answer is not JSON (line 1, column 0).");
        assert_eq!(message("{\"boxes\": [NaN]}"), "The model's answer is not JSON (line 1, column 12).");
        assert!(message(&"[".repeat(100_000)).contains("not JSON")); // no stack overflow
        assert!(message(r#"{"boxes": [{"confidence": 1e999}]}"#).contains("not JSON"));
        assert_eq!(message("[]"), "The model's answer is not a JSON object.");
        for body in ["{}", r#"{"boxes": null}"#, r#"{"boxes": {}}"#, r#"{"annotations": []}"#] {
            assert_eq!(message(body), "The model's answer has no array \"boxes\".");
        }
        assert_eq!(decode(br#"{"boxes": []}"#, "boxes", None).unwrap(), Decoded::default());
    }

    #[test]
    fn common_fields_have_their_rules() {
        for (part, complaint) in [
            (json!({"type": null}), "type: This field is required."),
            (json!({"type": "circle"}), "type: Must be one of the six prediction types."),
            (json!({"type": 3}), "type: Must be one of the six prediction types."),
            (json!({"label": null}), "label: This field is required."),
            (json!({"label": " "}), "label: May not be blank."),
            (json!({"label": 7}), "label: Must be a string."),
            (json!({"label": "é".repeat(limits::LABEL_CHARS + 1)}), "label: Must have at most 255 characters."),
            (json!({"confidence": null}), "confidence: This field is required."),
            (json!({"confidence": "0.9"}), "confidence: Must be a number from 0.0 to 1.0."),
            (json!({"confidence": 1.01}), "confidence: Must be a number from 0.0 to 1.0."),
            (json!({"confidence": -1}), "confidence: Must be a number from 0.0 to 1.0."),
        ] {
            refused(part, Some(SIZE), complaint);
        }
        for edge in [json!(0), json!(1), json!(1.0)] {
            assert!(one(json!({"confidence": edge, "label": "é".repeat(limits::LABEL_CHARS)}), None).is_ok());
        }
    }

    #[test]
    fn geometry_is_brought_into_the_picture() {
        for (part, wire) in [
            (rect(0.1, 0.1, 0.2, 0.2), rect(0.1, 0.1, 0.2, 0.2)), // 0.1 + 0.2 - 0.1 is not 0.2
            (rect(-5.0, -5.0, 1e3, 10.0), rect(0.0, 0.0, 100.0, 5.0)),
            (rect(99.0, 49.5, 1e308, 9.0), rect(99.0, 49.5, 1.0, 0.5)),
            (
                points("polygon", json!([[0, 0], [9, 0], [9, 9], [0, 0], [0, 0]])),
                points("polygon", json!([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]])),
            ),
            (
                points("polygon", json!([[-1, 20], [200, 30], [50, 60]])),
                points("polygon", json!([[0.0, 20.0], [100.0, 30.0], [50.0, 50.0]])),
            ),
            (
                points("polyline", json!([[9, 9], [1, 1], [9, 9]])),
                points("polyline", json!([[9.0, 9.0], [1.0, 1.0], [9.0, 9.0]])),
            ),
            (json!({"coordinates": "not looked at"}), json!({"type": "classification"})),
        ] {
            assert_eq!(geometry(part), wire);
        }
    }

    #[test]
    fn broken_geometry_is_refused() {
        let full = points("polygon", json!([[0, 0], [9, 0], [9, 9]]));
        refused(full, None, "type: Needs an item that has pixels.");
        for (part, complaint) in [
            (json!({"type": "bounding_box"}), "coordinates: This field is required."),
            (json!({"type": "bounding_box", "coordinates": [1, 2, 3, 4]}), "coordinates: Must be an object."),
            (json!({"type": "bounding_box", "coordinates": {"x": "1"}}), "coordinates.x: Must be a number."),
            (json!({"type": "bounding_box", "coordinates": {"x": 1}}), "coordinates.y: This field is required."),
            (rect(1.0, 1.0, 0.0, 1.0), "coordinates.width: Must be greater than 0."),
            (rect(1.0, 1.0, 1.0, -1.0), "coordinates.height: Must be greater than 0."),
            (rect(100.0, 1.0, 5.0, 5.0), "coordinates: Lies outside the picture."),
            (rect(1.0, -5.0, 5.0, 5.0), "coordinates: Lies outside the picture."),
            (json!({"type": "polygon"}), "points: This field is required."),
            (points("polygon", json!([[1, 2], [3]])), "points[1]: Must be two numbers."),
            (points("polygon", json!([[1, 2, 3]])), "points[0]: Must be two numbers."),
            (points("polygon", json!([])), "points: Must have at least 3 distinct points."),
            (
                points("polygon", json!([[0, 0], [1, 1], [0, 0], [1, 1]])),
                "points: Must have at least 3 distinct points.",
            ),
            (points("polygon", json!([[-1, -1], [-2, 2], [-3, 1]])), "points: Lies outside the picture."),
            (points("polyline", json!([[1, 51], [2, 60]])), "points: Lies outside the picture."),
            (points("polyline", json!([[1, 1]])), "points: Must have at least 2 points."),
        ] {
            refused(part, Some(SIZE), complaint);
        }
    }

    /// Contract D29.
    #[test]
    fn masks_are_runs_over_the_whole_item() {
        let counts = rle::encode([41, 1, 4_958]);
        let sized = |counts: Value| coco(json!([50, 100]), counts);
        let stored = json!({"type": "segmentation_mask", "mask": sized(json!(counts))});
        for mask in [stored["mask"].clone(), json!(counts), sized(json!([41, 1, 4_958]))] {
            assert_eq!(geometry(json!({"type": "segmentation_mask", "mask": mask})), stored);
        }
        for (mask, complaint) in [
            (json!(null), "mask: This field is required."),
            (json!(7), "mask: Must be a string or an object."),
            (json!("4"), "mask: The runs do not add up to the size of the picture."),
            (json!({"counts": counts, "size": [50, 100]}), "mask.format: Must be \"coco_rle\" or \"png_url\"."),
            (json!({"format": "png_url"}), "mask.url: This field is required."),
            (json!({"format": "png_url", "url": 7}), "mask.url: Must be a string."),
            (json!({"format": "png_url", "url": "u".repeat(8_193)}), "mask.url: Must have at most 8192 characters."),
            (coco(json!([100, 50]), json!(counts)), "mask.size: Must be the item's: [50, 100]."),
            (coco(json!("50x100"), json!(counts)), "mask.size: Must be the item's: [50, 100]."),
            (sized(json!(null)), "mask.counts: This field is required."),
            (sized(json!(5_000)), "mask.counts: Must be a string or an array."),
            (sized(json!([5_000])), "mask.counts: Marks no pixel."),
            (sized(json!([5_001, -1])), "mask.counts: The runs do not add up to the size of the picture."),
            (sized(json!([1, -1, 5_000])), "mask.counts: Has a run that is not a whole number of pixels."),
            (sized(json!([1, 1e3])), "mask.counts: Has a run that is not a whole number of pixels."),
            (sized(json!("/")), "mask.counts: Has a character that is not part of the encoding."),
        ] {
            refused(json!({"type": "segmentation_mask", "mask": mask}), Some(SIZE), complaint);
        }
        refused(json!({"type": "segmentation_mask", "mask": counts}), None, "type: Needs an item that has pixels.");
    }

    fn pictured(label: &str) -> Value {
        let mask = json!({"format": "png_url", "url": format!("https://masks.example/{label}.png")});
        json!({"type": "segmentation_mask", "label": label, "confidence": 0.5, "mask": mask})
    }

    fn a_mask() -> Mask {
        Mask::CocoRle { size: [50, 100], counts: rle::encode([41, 1, 4_958]) }
    }

    /// Contract D29.
    #[test]
    fn masks_that_are_pictures_take_the_place_that_the_model_gave_them() {
        let plain = |label: &str| json!({"type": "classification", "label": label, "confidence": 0.5});
        let parts = [pictured("a"), plain("b"), pictured("c"), pictured("d"), json!(7), pictured("e"), plain("f")];
        let decoded = read_answer(json!({ "all": parts }), "all", Some(SIZE)).unwrap();

        let wanted: Vec<_> = decoded.pictures.iter().map(|p| (p.label.as_str(), p.url.as_str(), p.size)).collect();
        assert_eq!(wanted[1], ("c", "https://masks.example/c.png", SIZE));
        let gone = Some(Err("Could not be fetched.".to_owned()));
        let whole = decoded.complete([Some(Ok(a_mask())), gone, None, Some(Ok(a_mask()))]).unwrap();
        let labels: String = whole.predictions.iter().map(|prediction| prediction.label.as_str()).collect();
        assert_eq!(labels, "abef");
        assert_eq!(whole.predictions[2].geometry, Geometry::SegmentationMask { mask: a_mask() });
        assert_eq!(whole.dropped, ["all[4]: Must be an object.", "all[2].mask: Could not be fetched."]);
    }

    /// Contract D28, D29.
    #[test]
    fn an_answer_none_of_whose_masks_can_be_had_is_broken_and_one_that_nobody_wants_is_not() {
        let complete = |mask| {
            let decoded = read_answer(json!({"a": [7, pictured("car")]}), "a", Some(SIZE)).unwrap();
            decoded.complete([mask])
        };

        assert!(matches!(complete(Some(Err("No.".into()))), Err(BadAnswer::NothingWellFormed { .. })));
        assert_eq!(complete(Some(Ok(a_mask()))).unwrap().predictions.len(), 1);
        assert!(complete(None).unwrap().predictions.is_empty());
    }

    /// Contract D29.
    #[test]
    fn a_persons_masks_are_not_fetched() {
        assert_eq!(
            persons(&[pictured("car")]).unwrap_err(),
            ["annotations[0].mask.format: Must be \"coco_rle\": only a model's PNG masks are fetched."]
        );
    }

    /// Contract D30.
    #[test]
    fn cuboids_have_two_spellings_and_a_unit_quaternion() {
        let center = json!({"x": 12.5, "y": -3.0, "z": 0.0});
        let dimensions = json!({"length": 4.0, "width": 2.0, "height": 1.5});
        let rotation = json!({"x": 0.0, "y": 0.0, "z": 0.6, "w": 0.8});
        let inside = |members: &Value| json!({"type": "bounding_box_3d", "coordinates": members});
        let stored = inside(&json!({"center": center, "dimensions": dimensions, "rotation": rotation}));
        let (short, long) = (json!({"l": 4, "w": 2, "h": 1.5}), json!({"x": 0, "y": 0, "z": 3, "w": 4}));
        let members = json!({"center": center, "dimensions": short, "rotation": long});
        let mut beside = members.clone();
        beside["type"] = json!("bounding_box_3d");
        for spelling in [inside(&members), beside, stored.clone()] {
            assert_eq!(geometry(spelling), stored);
        }
        let no_unit = "coordinates.rotation: Has no direction: its length must be 0.001 or more.";
        for (place, value, complaint) in [
            ("/center", json!(null), "coordinates.center: This field is required."),
            ("/center", json!([1, 2, 3]), "coordinates.center: Must be an object."),
            ("/center/z", json!(null), "coordinates.center.z: This field is required."),
            ("/dimensions/l", json!(0), "coordinates.dimensions.l: Must be greater than 0."),
            ("/dimensions/h", json!(null), "coordinates.dimensions.height: This field is required."),
            ("/rotation", json!({"x": 0, "y": 0, "z": 0, "w": 0.0009}), no_unit),
            ("/rotation", json!({"x": 0, "y": 0, "z": 1e308, "w": 1.7e308}), no_unit),
        ] {
            let mut broken = members.clone();
            *broken.pointer_mut(place).unwrap() = value;
            refused(inside(&broken), None, complaint);
        }
        refused(inside(&json!(1)), None, "coordinates: Must be an object.");
    }

    #[test]
    fn attributes_that_cannot_be_kept_are_dropped_alone() {
        let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
        for (attributes, note) in [
            (json!([1]), "annotations[0].attributes: Must be an object."),
            (nested(ATTRIBUTE_LEVELS + 1), "annotations[0].attributes: Has too many levels."),
        ] {
            let decoded = one(json!({ "attributes": attributes }), None).unwrap();
            assert_eq!((decoded.predictions.len(), decoded.dropped), (1, vec![note.to_owned()]));
        }
        let kept = one(json!({"attributes": nested(ATTRIBUTE_LEVELS)}), None).unwrap();
        assert_eq!(Value::Object(kept.predictions[0].attributes.clone()), nested(ATTRIBUTE_LEVELS));
    }

    /// Contract D28.
    #[test]
    fn the_rest_of_an_answer_survives_its_broken_parts_and_notes_are_bounded() {
        let good = json!({"type": "classification", "label": "car", "confidence": 1});
        let read = |parts: Vec<Value>| read_answer(json!({ "a": parts }), "a", None).unwrap();

        assert_eq!(read(vec![good.clone(), json!(3)]).dropped, ["a[1]: Must be an object."]);
        let mut many = vec![json!(null); NOTES + 2];
        many.push(good.clone());
        let decoded = read(many);
        assert_eq!((decoded.predictions.len(), decoded.dropped.len()), (1, NOTES + 1));
        assert_eq!(decoded.dropped[NOTES], "2 more parts are malformed.");
        let decoded = read(vec![good; limits::PREDICTIONS + 1]);
        assert_eq!(decoded.predictions.len(), limits::PREDICTIONS);
        assert_eq!(decoded.dropped, ["a: Has 10001 predictions; only the first 10000 are read."]);
    }

    /// A coordinate: mostly in or near the picture, sometimes as large or small as numbers get.
    fn coordinate() -> impl Strategy<Value = f64> {
        prop_oneof![5 => -60.0f64..120.0, 1 => any::<f64>().prop_filter("JSON", |number| number.is_finite())]
    }

    /// JSON of any shape, out of words that mean something here.
    fn any_json() -> impl Strategy<Value = Value> {
        let names =
            "type|label|points|coordinates|mask|format|size|counts|url|center|dimensions|rotation|x|y|z|w|l|width";
        let text = prop_oneof!["coco_rle|png_url", "[0-o]{0,4}", ".{0,3}"].prop_map(Value::from);
        let number = prop_oneof![coordinate().prop_map(Value::from), any::<i64>().prop_map(Value::from)];
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let object = prop::collection::vec((names, inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::Array),
                object.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// A prediction that is nearly right: numbers of any size, sometimes something else in one place.
    fn any_part() -> impl Strategy<Value = Value> {
        let frame = prop::array::uniform4(coordinate()).prop_map(|[x, y, width, height]| rect(x, y, width, height));
        let shape = ("polygon|polyline", prop::collection::vec(prop::array::uniform2(coordinate()), 0..6))
            .prop_map(|(kind, all)| points(&kind, json!(all)));
        let mask = prop::collection::vec(0u64..2_000, 2..6).prop_map(|mut runs| {
            runs.push(5_000u64.saturating_sub(runs.iter().sum()));
            json!({"type": "segmentation_mask", "mask": coco(json!([50, 100]), json!(runs))})
        });
        let cuboid = prop::array::uniform10(coordinate()).prop_map(|[x, y, z, l, w, h, a, b, c, d]| {
            let (center, dimensions) = (json!({"x": x, "y": y, "z": z}), json!({"l": l, "w": w, "h": h}));
            let rotation = json!({"x": a, "y": b, "z": c, "w": d});
            json!({"type": "bounding_box_3d", "center": center, "dimensions": dimensions, "rotation": rotation})
        });
        let geometry = prop_oneof![frame, shape, mask, cuboid];
        let names = "type|label|confidence|points|coordinates|mask|attributes";
        let stranger = prop::option::weighted(0.2, (names, any_json()));
        (geometry, ".{1,9}", 0.0f64..1.0, stranger).prop_map(|(mut part, label, confidence, stranger)| {
            part["label"] = label.into();
            part["confidence"] = confidence.into();
            if let Some((name, value)) = stranger {
                part[name] = value;
            }
            part
        })
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_json_are_read_without_panic(bytes in any::<Vec<u8>>(), part in any_json(), mixed in any_part()) {
            let _ = decode(&bytes, "a", Some(SIZE));
            let _ = decode(json!({ "a": [part, mixed] }).to_string().as_bytes(), "a", Some(SIZE));
            let _ = one(json!({"type": "polygon", "points": part}), Some(SIZE));
            let _ = one(json!({"type": "segmentation_mask", "mask": part}), Some(SIZE));
        }

        #[test]
        fn what_is_read_lies_in_the_picture_and_reads_as_itself(parts in prop::collection::vec(any_part(), 1..6)) {
            let Ok(decoded) = read_answer(json!({ "a": parts }), "a", Some(SIZE)) else { return Ok(()) };
            for prediction in &decoded.predictions {
                let corners = match &prediction.geometry {
                    Geometry::BoundingBox { coordinates: r } => {
                        prop_assert!(r.width > 0.0 && r.height > 0.0);
                        vec![[r.x, r.y], [r.x + r.width, r.y + r.height]]
                    }
                    Geometry::Polygon { points } | Geometry::Polyline { points } => points.clone(),
                    _ => vec![],
                };
                let inside = |[x, y]: [f64; 2]| (0.0..=100.0).contains(&x) && (0.0..=50.0).contains(&y);
                prop_assert!(corners.into_iter().all(inside), "{prediction:?}");
            }
            // As values, not as text: serde_json's default parser may miss the last bit of a 17-digit number.
            let again = read_answer(json!({ "a": decoded.predictions }), "a", Some(SIZE)).unwrap();
            prop_assert_eq!(again, Decoded { predictions: decoded.predictions, ..Decoded::default() });
        }
    }
}

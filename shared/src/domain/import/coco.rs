//! The format `coco`: one JSON file (COCO, "Data format"), whose lists come in any order.
//!
//! Images and annotations are put into boxes by the id of their image, and joined box by box: nothing grows with the file.
//!
//! - A `segmentation` of run lengths is a mask, one of a polygon is a polygon. If the polygon has the corners of `bbox`, as an export
//!   writes a box, the annotation is a box; without any, it is one, too.
//! - An object of several polygons becomes as many polygons, which keep every coordinate. `attributes.object` names the object in each
//!   of them: a mask of all would round them to pixels.
//! - `iscrowd: 1` is kept in `attributes`. `score` is the confidence.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::jsonl::side;
use super::lists;
use super::reader::{BOXES, Broken, Entry, Position, Reason, ReasonCode, Shelf, Source, Take};
use crate::domain::{fields, limits};

const IMAGES: &str = "images";
const ANNOTATIONS: &str = "annotations";
const CATEGORIES: &str = "categories";

/// An image or an annotation in its box. Ordered by image, an image before its annotations.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Record {
    image: String,
    is_annotation: bool,
    position: u64,
    /// JSON, parsed when its turn comes: parsed, all of a box would take ten times the memory.
    text: String,
}

/// Reads the file.
///
/// # Errors
/// [`Broken`].
pub fn read(file: &mut dyn Source, shelf: &mut dyn Shelf, take: &mut Take<'_>) -> Result<(), Broken> {
    let (mut names, mut has_images) = (Categories::default(), false);
    lists::read(file, &[IMAGES, ANNOTATIONS, CATEGORIES], &mut |list, position, entry| {
        has_images |= list == IMAGES;
        match list {
            CATEGORIES => names.add(position, &entry),
            _ => put(shelf, list, position, &entry, take),
        }
    })?;
    if !has_images {
        return Err(Broken::file("The file has no list \"images\" with an entry."));
    }
    for number in 0..BOXES {
        let records = shelf.take(number)?.into_iter().map(|record| serde_json::from_slice(&record));
        let mut records: Vec<Record> = records.collect::<Result<_, _>>().map_err(std::io::Error::from)?;
        records.sort_unstable();
        for group in records.chunk_by(|one, next| one.image == next.image) {
            join(group, &names, take)?;
        }
    }
    Ok(())
}

/// The labels, by the ids of their categories.
#[derive(Default)]
struct Categories {
    names: HashMap<String, String>,
    characters: usize,
}

impl Categories {
    fn add(&mut self, position: u64, entry: &Value) -> Result<(), Broken> {
        let at = |what: &str| Broken::file(format!("{CATEGORIES}[{position}]: {what}"));
        let id = entry.get("id").and_then(id).ok_or_else(|| at("\"id\" must be a whole number or a string."))?;
        let name = entry.get("name").and_then(Value::as_str).ok_or_else(|| at("\"name\" must be a string."))?;
        self.characters += name.len() + id.len();
        if self.characters > limits::IMPORT_CATEGORIES_BYTES {
            return Err(at("There are too many categories."));
        }
        match self.names.insert(id, name.to_owned()) {
            Some(other) if other != name => Err(at("Another category has this id.")),
            _ => Ok(()),
        }
    }
}

/// An id as text: some writers give strings.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= limits::ITEM_KEY_BYTES => Some(text.clone()),
        Value::Number(_) => fields::whole_number(value).map(|number| number.to_string()),
        _ => None,
    }
}

fn put(
    shelf: &mut dyn Shelf,
    list: &'static str,
    position: u64,
    entry: &Value,
    take: &mut Take<'_>,
) -> Result<(), Broken> {
    let is_annotation = list == ANNOTATIONS;
    let member = if is_annotation { "image_id" } else { "id" };
    let Some(image) = entry.get(member).and_then(id) else {
        let message = format!("\"{member}\" must be a whole number or a string.");
        take(Entry::refused(path(list, position), String::new(), ReasonCode::Malformed, message))?;
        return Ok(());
    };
    let number = image.bytes().fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte))) % BOXES;
    let record = Record { image, is_annotation, position, text: entry.to_string() };
    shelf.put(number, &serde_json::to_vec(&record).map_err(std::io::Error::from)?)?;
    Ok(())
}

fn path(list: &str, position: u64) -> Position {
    Position::Path(format!("{list}[{position}]"))
}

/// The records of one image: it, and its annotations.
fn join(group: &[Record], names: &Categories, take: &mut Take<'_>) -> Result<(), Broken> {
    let images = group.iter().take_while(|record| !record.is_annotation).count();
    let (images, annotations) = group.split_at(images);
    let Some((first, again)) = images.split_first() else {
        for record in annotations {
            let message = "No image has its \"image_id\".";
            let position = path(ANNOTATIONS, record.position);
            take(Entry::refused(position, String::new(), ReasonCode::UnknownPicture, message))?;
        }
        return Ok(());
    };
    for record in again {
        let position = path(IMAGES, record.position);
        take(Entry::refused(position, String::new(), ReasonCode::Duplicate, "Another image has its \"id\"."))?;
    }
    let mut entry = image(first)?;
    let mut bytes = 0;
    for record in annotations {
        bytes += record.text.len();
        let too_large = bytes > limits::IMPORT_ENTRY_BYTES || entry.annotations.len() > limits::PREDICTIONS;
        let read = if too_large {
            Err(Reason::new(ReasonCode::TooLarge, "The image has too many annotations."))
        } else {
            annotation(&parsed(record)?, names)
        };
        match read {
            Ok(read) if entry.refusal.is_none() => entry.annotations.extend(read),
            Ok(_) => {}
            Err(Reason { code, message }) => {
                let message = format!("{ANNOTATIONS}[{}]: {message}", record.position);
                entry.refuse(Reason::new(code, message));
            }
        }
    }
    Ok(take(entry)?)
}

fn parsed(record: &Record) -> Result<Map<String, Value>, Broken> {
    match serde_json::from_str(&record.text) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Ok(Map::new()), // it had an id, so it was an object
    }
}

fn image(record: &Record) -> Result<Entry, Broken> {
    let (members, position) = (parsed(record)?, path(IMAGES, record.position));
    let Some(name) = members.get("file_name").and_then(Value::as_str) else {
        let message = "\"file_name\" must be a string.";
        return Ok(Entry::refused(position, String::new(), ReasonCode::Malformed, message));
    };
    let url = members.get("coco_url").and_then(Value::as_str).filter(|url| !url.is_empty()).map(str::to_owned);
    let (width, height) = (side(&members, "width"), side(&members, "height"));
    let (width, height) = width.zip(height).unzip();
    Ok(Entry { url, width, height, ..Entry::new(position, name.to_owned()) })
}

type Read<T> = Result<T, Reason>;

fn malformed<T>(message: &str) -> Read<T> {
    Err(Reason::new(ReasonCode::Malformed, message))
}

/// An annotation in the prediction format: one, or one for each of its polygons.
fn annotation(members: &Map<String, Value>, names: &Categories) -> Read<Vec<Value>> {
    let Some(category) = members.get("category_id").and_then(id) else {
        return malformed("\"category_id\" must be a whole number or a string.");
    };
    let Some(label) = names.names.get(&category) else {
        return Err(Reason::new(ReasonCode::UnknownCategory, "No category has its \"category_id\"."));
    };
    let mut attributes = members.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    if members.get("iscrowd").and_then(fields::whole_number) == Some(1) {
        attributes.insert("iscrowd".to_owned(), 1.into());
    }
    let mut shapes = shapes(members)?;
    if shapes.len() > 1 {
        let object = members.get("id").and_then(id).unwrap_or_default();
        attributes.insert("object".to_owned(), object.into());
    }
    for shape in &mut shapes {
        shape["label"] = label.as_str().into();
        if let Some(score) = members.get("score").filter(|score| !score.is_null()) {
            shape["confidence"] = score.clone();
        }
        if !attributes.is_empty() {
            shape["attributes"] = attributes.clone().into();
        }
    }
    Ok(shapes)
}

fn shapes(members: &Map<String, Value>) -> Read<Vec<Value>> {
    match members.get("segmentation") {
        Some(Value::Object(runs)) => {
            let (size, counts) = (runs.get("size"), runs.get("counts"));
            let mask = json!({"format": "coco_rle", "size": size, "counts": counts});
            Ok(vec![json!({"type": "segmentation_mask", "mask": mask})])
        }
        Some(Value::Array(parts)) if !parts.is_empty() => polygons(parts, bbox(members)),
        None | Some(Value::Null | Value::Array(_)) => match bbox(members) {
            Some(bbox) => Ok(vec![rectangle(bbox)]),
            None => malformed("It has no \"segmentation\", and its \"bbox\" is not four numbers."),
        },
        Some(_) => malformed("\"segmentation\" must be a list or an object."),
    }
}

fn polygons(parts: &[Value], bbox: Option<[f64; 4]>) -> Read<Vec<Value>> {
    let numbers = |part: &Value| part.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
    let mut shapes = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(flat) = numbers(part).filter(|flat| flat.len() >= 6 && flat.len() % 2 == 0) else {
            return malformed(
                "A polygon of \"segmentation\" must be a list of x and y in turn, at least three of each.",
            );
        };
        match bbox {
            Some(bbox) if parts.len() == 1 && is_box(&flat, bbox) => shapes.push(rectangle(bbox)),
            _ => {
                let points: Vec<&[f64]> = flat.chunks(2).collect();
                shapes.push(json!({"type": "polygon", "points": points}));
            }
        }
    }
    Ok(shapes)
}

/// Whether a polygon has the corners of the box, in the order in which COCO's own `loadRes` and an export write them.
fn is_box(flat: &[f64], [left, top, width, height]: [f64; 4]) -> bool {
    let (right, bottom) = (left + width, top + height);
    flat == [left, top, left, bottom, right, bottom, right, top]
}

fn bbox(members: &Map<String, Value>) -> Option<[f64; 4]> {
    let numbers: Option<Vec<f64>> = members.get("bbox")?.as_array()?.iter().map(Value::as_f64).collect();
    numbers?.try_into().ok()
}

fn rectangle([x, y, width, height]: [f64; 4]) -> Value {
    json!({"type": "bounding_box", "coordinates": {"x": x, "y": y, "width": width, "height": height}})
}

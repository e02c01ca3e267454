//! The format `label_studio`: a JSON array of tasks, as Label Studio exports it ("Label Studio JSON format of annotated tasks").
//!
//! - Labels that become accepted results are those of `annotations`, labels that become drafts those of `predictions`. Of several, the
//!   one counts that is marked as ground truth, else the one that changed last. One that was skipped counts as none.
//! - Rectangles, polygons, brushes and choices are read. A rectangle that is turned becomes a polygon. A task with a region of another
//!   type is not taken: without it, it would appear complete.
//! - Percent become pixels, to a millionth.

mod brush;

use serde_json::{Map, Value, json};
use url::Url;

use super::ImportAs;
use super::jsonl::side;
use super::lists;
use super::picture::{Read, decoded, last_part, malformed, named};
use super::reader::{Broken, Entry, Position, Reason, ReasonCode, Source, Take};

/// Parts of a pixel that are kept.
const PARTS: f64 = 1e6;
/// Digits before a file's own name where Label Studio stores uploads.
const UPLOAD_DIGITS: usize = 8;

/// Reads the file.
///
/// # Errors
/// [`Broken`].
pub(super) fn read(file: &mut dyn Source, becomes: ImportAs, take: &mut Take<'_>) -> Result<(), Broken> {
    lists::read_array(file, &mut |_, position, task| Ok(take(entry(position, &task, becomes))?))
}

fn entry(position: u64, task: &Value, becomes: ImportAs) -> Entry {
    let position = Position::Path(format!("[{position}]"));
    let data = task.get("data").and_then(Value::as_object);
    let Some((data, image)) = data.and_then(|data| Some((data, image(data)?))) else {
        let message = "\"data\" must be an object with the URL of a picture, \"image\".";
        return Entry::refused(position, String::new(), ReasonCode::Malformed, message);
    };
    let (mut name, url) = source(image);
    if let Some(Value::String(key)) = data.get("key") {
        name.clone_from(key);
    }
    let (width, height) = (side(data, "width"), side(data, "height"));
    let (width, height) = width.zip(height).unzip();
    let mut entry = Entry { url, width, height, ..Entry::new(position, name) };
    if let Err(reason) = labels(task, becomes, &mut entry) {
        entry.refuse(reason);
    }
    entry
}

/// The URL of the picture: `image`, else the one text that there is.
fn image(data: &Map<String, Value>) -> Option<&str> {
    let only = || {
        let mut texts = data.values().filter_map(Value::as_str);
        texts.next().filter(|_| texts.next().is_none())
    };
    data.get("image").map_or_else(only, Value::as_str)
}

/// The name and the URL of a picture. One that Label Studio stores itself has no URL that others can read.
fn source(image: &str) -> (String, Option<String>) {
    if let Some(query) = image.strip_prefix("/data/local-files/?") {
        let local = Url::parse(&format!("http://localhost/?{query}")).ok();
        let path =
            local.and_then(|url| url.query_pairs().find(|(name, _)| name == "d").map(|(_, path)| path.into_owned()));
        return (path.unwrap_or_default(), None);
    }
    if image.starts_with("/data/upload/") {
        let name = decoded(last_part(image));
        let own = name.split_once('-').filter(|(digits, _)| {
            digits.len() == UPLOAD_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        return (own.map_or(name.as_str(), |(_, own)| own).to_owned(), None);
    }
    named(image)
}

fn labels(task: &Value, becomes: ImportAs, entry: &mut Entry) -> Read<()> {
    let list = match becomes {
        ImportAs::Accepted => "annotations",
        ImportAs::Draft => "predictions",
    };
    let none = || Reason::new(ReasonCode::NoResult, format!("The task has no {list}."));
    let chosen = task.get(list).and_then(Value::as_array).and_then(|list| chosen(list)).ok_or_else(none)?;
    let Some(regions) = chosen.get("result").and_then(Value::as_array) else {
        return malformed("\"result\" must be a list.");
    };
    for region in regions {
        read_region(region, entry)?;
    }
    Ok(())
}

fn chosen(list: &[Value]) -> Option<&Value> {
    let is = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or_default();
    let changed = |entry: &Value| entry.get("updated_at").and_then(Value::as_str).unwrap_or_default().to_owned();
    let kept = list.iter().filter(|entry| entry.is_object() && !is(entry, "was_cancelled"));
    kept.max_by_key(|entry| (is(entry, "ground_truth"), changed(entry)))
}

fn read_region(region: &Value, entry: &mut Entry) -> Read<()> {
    let kind = region.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(value) = region.get("value").and_then(Value::as_object) else {
        return malformed("\"value\" of a region must be an object.");
    };
    let shape = if kind == "choices" { json!({"type": "classification"}) } else { shape(kind, region, value, entry)? };
    let labels = value.get(kind).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if labels.is_empty() || !labels.iter().all(Value::is_string) {
        return malformed(format!("A region must have a label, in \"{kind}\"."));
    }
    for label in labels {
        let mut annotation = shape.clone();
        annotation["label"] = label.clone();
        if let Some(score) = region.get("score").filter(|score| score.is_number()) {
            annotation["confidence"] = score.clone();
        }
        entry.annotations.push(annotation);
    }
    Ok(())
}

/// The shape of a region, in pixels. The size that the region gives is that of the picture.
fn shape(kind: &str, region: &Value, value: &Map<String, Value>, entry: &mut Entry) -> Read<Value> {
    let sides = region.as_object();
    let own = sides.and_then(|region| side(region, "original_width").zip(side(region, "original_height")));
    let Some((width, height)) = own.or_else(|| entry.width.zip(entry.height)) else {
        return malformed("A region must have \"original_width\" and \"original_height\".");
    };
    (entry.width, entry.height) = (Some(width), Some(height));
    if region.get("image_rotation").and_then(Value::as_f64).is_some_and(|degrees| degrees != 0.0) {
        return malformed("Regions of a picture that was turned in Label Studio cannot be imported.");
    }
    match kind {
        "rectanglelabels" => rectangle(value, width, height),
        "polygonlabels" => polygon(value, width, height),
        "brushlabels" => brush::mask(value.get("rle"), width, height),
        _ => malformed(format!("Regions of the type \"{kind}\" cannot be imported.")),
    }
}

/// Percent of a side as pixels.
fn pixels(percent: f64, side: u32) -> f64 {
    (percent * f64::from(side) / 100.0 * PARTS).round() / PARTS
}

fn rectangle(value: &Map<String, Value>, width: u32, height: u32) -> Read<Value> {
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    let sides = [number("x"), number("y"), number("width"), number("height")];
    let [Some(x), Some(y), Some(across), Some(down)] = sides else {
        return malformed("A rectangle must have the numbers \"x\", \"y\", \"width\" and \"height\".");
    };
    let (x, y, across, down) = (pixels(x, width), pixels(y, height), pixels(across, width), pixels(down, height));
    let degrees = number("rotation").unwrap_or_default();
    if degrees == 0.0 {
        let coordinates = json!({"x": x, "y": y, "width": across, "height": down});
        return Ok(json!({"type": "bounding_box", "coordinates": coordinates}));
    }
    // Clockwise, about the first corner.
    let (sin, cos) = degrees.to_radians().sin_cos();
    let turned = |[right, down]: [f64; 2]| [x + right * cos - down * sin, y + right * sin + down * cos];
    let points = [[0.0, 0.0], [across, 0.0], [across, down], [0.0, down]].map(turned);
    Ok(json!({"type": "polygon", "points": points}))
}

fn polygon(value: &Map<String, Value>, width: u32, height: u32) -> Read<Value> {
    let point = |point: &Value| Some([pixels(point.get(0)?.as_f64()?, width), pixels(point.get(1)?.as_f64()?, height)]);
    let points = value.get("points").and_then(Value::as_array);
    match points.and_then(|points| points.iter().map(point).collect::<Option<Vec<_>>>()) {
        Some(points) => Ok(json!({"type": "polygon", "points": points})),
        None => malformed("\"points\" of a polygon must be a list of x and y."),
    }
}

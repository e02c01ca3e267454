//! The format `cvat`: CVAT for images 1.1 (CVAT, "XML annotation format"). A file whose XML is broken, or that defines entities, fails
//! the import.
//!
//! - Boxes, polygons, polylines, masks and tags are read. A box that is turned becomes a polygon. An image with a shape of another kind
//!   is not taken: without it, it would appear complete.
//! - The attribute `confidence` is the confidence, as an export writes it. The others are kept in `attributes`, as texts.

use std::cell::Cell;
use std::io::{BufReader, Read as _};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::{Map, Value, json};

use super::lists::Metered;
use super::picture::{Bitmap, Read, malformed};
use super::reader::{BOM, Broken, Entry, Position, Reason, ReasonCode, Source, Take, refuse_utf16};
use crate::domain::limits;

/// The attribute of a shape that is its confidence.
const CONFIDENCE: &str = "confidence";
/// Kinds of shapes.
const SHAPES: [&str; 9] = ["box", "polygon", "polyline", "mask", "tag", "points", "ellipse", "cuboid", "skeleton"];

/// Where the reader is.
#[derive(Default)]
struct Open {
    images: u64,
    image: Option<Entry>,
    shape: Option<Value>,
    /// The name of an attribute of the shape, and its text so far.
    attribute: Option<(String, String)>,
    is_cvat: bool,
    /// Elements that are not ended.
    depth: usize,
}

/// Reads the file.
///
/// # Errors
/// [`Broken`].
pub(super) fn read(file: &mut dyn Source, take: &mut Take<'_>) -> Result<(), Broken> {
    let mut begin = Vec::new();
    file.take(BOM.len() as u64).read_to_end(&mut begin)?;
    refuse_utf16(&begin)?;
    file.rewind()?;
    let left = Cell::new(limits::IMPORT_ENTRY_BYTES);
    let mut reader = Reader::from_reader(BufReader::new(Metered::new(file, &left)));
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut buffer) = (Open::default(), Vec::new());
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| of_xml(&error, left.get() == 0))?;
        match event {
            Event::Eof if open.depth > 0 => return Err(Broken::file("The file ends too early.")),
            Event::Eof if open.is_cvat => return Ok(()),
            Event::Eof => return Err(Broken::file("The file has no element <annotations>.")),
            Event::DocType(_) => return Err(Broken::file("The file must have no document type.")),
            Event::Start(element) => open.begin(&element)?,
            Event::Text(text) => open.text(&text.xml10_content()),
            Event::GeneralRef(reference) => open.reference(&reference)?,
            Event::End(element) => {
                if let Some(entry) = open.end(element.name().as_ref()) {
                    take(entry)?;
                    left.set(limits::IMPORT_ENTRY_BYTES);
                }
            }
            _ => {}
        }
        if open.image.is_none() {
            left.set(limits::IMPORT_ENTRY_BYTES);
        }
    }
}

fn of_xml(error: &quick_xml::Error, is_too_large: bool) -> Broken {
    if is_too_large {
        let most = limits::IMPORT_ENTRY_BYTES / (1024 * 1024);
        return Broken::file(format!("An image of the file has more than {most} MiB."));
    }
    match error {
        quick_xml::Error::Io(error) => Broken::Io(std::io::Error::new(error.kind(), error.to_string())),
        error => Broken::file(format!("The file is no XML: {error}.")),
    }
}

impl Open {
    fn begin(&mut self, element: &BytesStart<'_>) -> Result<(), Broken> {
        self.depth += 1;
        let name = element.name();
        match name.as_ref() {
            "annotations" => self.is_cvat = true,
            "track" => return Err(Broken::file("Tracks of a video cannot be imported: export the task as images.")),
            "image" => {
                self.image = Some(image(self.images, &Attributes::of(element)?));
                self.images += 1;
            }
            "attribute" if self.shape.is_some() => {
                self.attribute = Attributes::of(element)?.take("name").map(|name| (name, String::new()));
            }
            other => {
                if let (Some(kind), Some(entry)) = (SHAPES.iter().find(|kind| **kind == other), &mut self.image) {
                    match shape(kind, &Attributes::of(element)?, entry) {
                        Ok(shape) => self.shape = Some(shape),
                        Err(reason) => entry.refuse(reason),
                    }
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some((_, content)) = &mut self.attribute {
            content.push_str(text);
        }
    }

    /// A reference such as `&amp;`. The document may define none of its own.
    fn reference(&mut self, name: &str) -> Result<(), Broken> {
        let text = format!("&{name};");
        let known = quick_xml::escape::unescape(&text).map_err(|_| Broken::file("The file has an unknown entity."))?;
        self.text(&known);
        Ok(())
    }

    /// The end of an element; `Some`: that of an image.
    fn end(&mut self, name: &str) -> Option<Entry> {
        self.depth = self.depth.saturating_sub(1);
        match name {
            "image" => return self.image.take(),
            "attribute" => {
                if let (Some((name, content)), Some(shape)) = (self.attribute.take(), &mut self.shape) {
                    set_attribute(shape, name, content);
                }
            }
            _ => {
                let is_shape = SHAPES.contains(&name);
                let shape = is_shape.then(|| self.shape.take()).flatten();
                if let (Some(shape), Some(entry)) = (shape, &mut self.image)
                    && entry.refusal.is_none()
                {
                    entry.annotations.push(shape);
                }
            }
        }
        None
    }
}

fn set_attribute(shape: &mut Value, name: String, content: String) {
    if name == CONFIDENCE
        && let Ok(confidence) = content.trim().parse::<f64>()
    {
        shape[CONFIDENCE] = json!(confidence);
        return;
    }
    if !shape["attributes"].is_object() {
        shape["attributes"] = Map::new().into();
    }
    shape["attributes"][name] = content.into();
}

/// The attributes of an element.
struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn of(element: &BytesStart<'_>) -> Result<Self, Broken> {
        let broken = || Broken::file("The file is no XML: an attribute cannot be read.");
        let mut attributes = Vec::new();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|_| broken())?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| broken())?.into_owned();
            attributes.push((attribute.key.as_ref().to_owned(), value));
        }
        Ok(Self(attributes))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn take(self, name: &str) -> Option<String> {
        self.0.into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Read<f64> {
        let number =
            self.get(name).and_then(|text| text.trim().parse::<f64>().ok()).filter(|number| number.is_finite());
        number.map_or_else(|| malformed(format!("\"{name}\" of a shape must be a number.")), Ok)
    }

    fn side(&self, name: &str) -> Option<u32> {
        let side = self.get(name)?.trim().parse().ok();
        side.filter(|side| (1..=limits::PIXELS_PER_SIDE).contains(side))
    }

    fn points(&self) -> Read<Vec<[f64; 2]>> {
        let point = |pair: &str| {
            let (x, y) = pair.split_once(',')?;
            Some([x.trim().parse().ok()?, y.trim().parse().ok()?])
        };
        let points: Option<Vec<[f64; 2]>> =
            self.get("points").and_then(|points| points.split(';').map(point).collect());
        points.map_or_else(|| malformed("\"points\" of a shape must be x,y;x,y and so on."), Ok)
    }
}

fn image(number: u64, attributes: &Attributes) -> Entry {
    let position = Position::Path(format!("image[{number}]"));
    let Some(name) = attributes.get("name") else {
        return Entry::refused(position, String::new(), ReasonCode::Malformed, "The image must have a \"name\".");
    };
    let (width, height) = attributes.side("width").zip(attributes.side("height")).unzip();
    Entry { width, height, ..Entry::new(position, name.to_owned()) }
}

/// A shape in the prediction format.
fn shape(kind: &str, attributes: &Attributes, entry: &Entry) -> Read<Value> {
    let Some(label) = attributes.get("label") else { return malformed("A shape must have a \"label\".") };
    let mut shape = match kind {
        "box" => rectangle(attributes)?,
        "polygon" | "polyline" => json!({"type": kind, "points": attributes.points()?}),
        "mask" => mask(attributes, entry)?,
        "tag" => json!({"type": "classification"}),
        _ => return malformed(format!("Shapes of the kind \"{kind}\" cannot be imported.")),
    };
    shape["label"] = label.into();
    Ok(shape)
}

fn rectangle(attributes: &Attributes) -> Read<Value> {
    let [left, top] = [attributes.number("xtl")?, attributes.number("ytl")?];
    let [right, bottom] = [attributes.number("xbr")?, attributes.number("ybr")?];
    let degrees = if attributes.get("rotation").is_some() { attributes.number("rotation")? } else { 0.0 };
    if degrees == 0.0 {
        let coordinates = json!({"x": left, "y": top, "width": right - left, "height": bottom - top});
        return Ok(json!({"type": "bounding_box", "coordinates": coordinates}));
    }
    // Clockwise, about the centre.
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
    let turned = |[px, py]: [f64; 2]| {
        let (across, down) = (px - x, py - y);
        [x + across * cos - down * sin, y + across * sin + down * cos]
    };
    let points = [[left, top], [right, top], [right, bottom], [left, bottom]].map(turned);
    Ok(json!({"type": "polygon", "points": points}))
}

/// Runs of the rows of the mask's box. They alternate and begin with background.
fn mask(attributes: &Attributes, entry: &Entry) -> Read<Value> {
    let Some((width, height)) = entry.width.zip(entry.height) else {
        return malformed("An image with a mask must have \"width\" and \"height\".");
    };
    let whole = |name: &str| match attributes.number(name)? {
        number if number >= 0.0 && number.fract() == 0.0 => Ok(number as u64),
        _ => malformed(format!("\"{name}\" of a mask must be a whole number, and not negative.")),
    };
    let (left, top, across, down) = (whole("left")?, whole("top")?, whole("width")?, whole("height")?);
    let text = attributes.get("rle").unwrap_or_default();
    let runs: Result<Vec<u64>, _> = text.split(',').map(|run| run.trim().parse()).collect();
    let broken = || Reason::new(ReasonCode::Malformed, "\"rle\" of a mask must be runs of all pixels of its box.");
    let (runs, pixels) = (runs.map_err(|_| broken())?, across.checked_mul(down).ok_or_else(broken)?);
    let sum = runs.iter().try_fold(0u64, |sum, run| sum.checked_add(*run));
    if pixels > limits::MASK_PIXELS || sum != Some(pixels) {
        return Err(broken());
    }
    let (mut bitmap, mut at) = (Bitmap::new(width, height)?, 0);
    for (index, run) in runs.into_iter().enumerate() {
        if index % 2 == 1 {
            (at..at + run)
                .for_each(|pixel| bitmap.mark(left.saturating_add(pixel % across), top.saturating_add(pixel / across)));
        }
        at += run;
    }
    Ok(bitmap.mask())
}

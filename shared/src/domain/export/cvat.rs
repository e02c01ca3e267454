//! The format `cvat`: CVAT for images 1.1, one XML file (CVAT, "XML annotation format").

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde_json::Value;

use super::Export;
use super::format::{Writing, no_shape};
use super::selection::{Selected, SelectedStatus};
use crate::domain::Error;
use crate::domain::item::result::ResultSource;
use crate::domain::prediction::rows::{Extent, Rows};
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Mask, Prediction, Rect};

/// Why a point cloud is left out.
const NO_PICTURE: &str = "CVAT for images has pictures alone.";
/// Why an item is left out.
const BAD_NAME: &str = "XML cannot hold a control character of its name.";
/// Why an annotation is left out.
const BAD_TEXT: &str = "XML cannot hold a control character of its label or attributes.";
/// The attribute of a shape that has its confidence: CVAT has none of its own.
const CONFIDENCE: &str = "confidence";

type Xml = Writer<Vec<u8>>;

/// The begin of the file: what CVAT says of a task, with the labels.
pub(super) fn begin(writing: &mut Writing<'_>) -> Result<(), Error> {
    let mut xml = Writer::new(Vec::new());
    event(&mut xml, Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    open(&mut xml, "annotations")?;
    text(&mut xml, "version", "1.1")?;
    open(&mut xml, "meta")?;
    task(&mut xml, writing.export, writing.classes.names())?;
    text(&mut xml, "dumped", &writing.export.created_at.to_string())?;
    close(&mut xml, "meta")?;
    writing.pieces.file = xml.into_inner();
    Ok(())
}

fn task(xml: &mut Xml, export: &Export, labels: &[String]) -> Result<(), Error> {
    let (uid, created_at) = (export.uid.to_string(), export.created_at.to_string());
    open(xml, "task")?;
    text(xml, "name", export.name.as_deref().filter(|name| is_xml(name)).unwrap_or(&uid))?;
    text(xml, "size", &export.total.to_string())?;
    text(xml, "mode", "annotation")?;
    text(xml, "overlap", "0")?;
    text(xml, "flipped", "False")?;
    text(xml, "created", &created_at)?;
    text(xml, "updated", &created_at)?;
    open(xml, "labels")?;
    for name in labels.iter().filter(|name| is_xml(name)) {
        label(xml, name)?;
    }
    close(xml, "labels")?;
    close(xml, "task")
}

fn label(xml: &mut Xml, name: &str) -> Result<(), Error> {
    open(xml, "label")?;
    text(xml, "name", name)?;
    text(xml, "type", "any")?;
    open(xml, "attributes")?;
    open(xml, "attribute")?;
    text(xml, "name", CONFIDENCE)?;
    text(xml, "mutable", "False")?;
    text(xml, "input_type", "text")?;
    text(xml, "default_value", "1")?;
    text(xml, "values", "1")?;
    close(xml, "attribute")?;
    close(xml, "attributes")?;
    close(xml, "label")
}

/// The end of the file.
pub(super) fn end(writing: &mut Writing<'_>) -> Result<(), Error> {
    let mut xml = Writer::new(Vec::new());
    close(&mut xml, "annotations")?;
    writing.pieces.file = xml.into_inner();
    Ok(())
}

/// Writes items.
pub(super) fn write(items: &[Selected<'_>], writing: &mut Writing<'_>) -> Result<(), Error> {
    for selected in items {
        match selected.picture(NO_PICTURE) {
            Ok(_) if !is_xml(&selected.name) => writing.leave_out(selected, BAD_NAME),
            Ok(size) => image(selected, size, writing)?,
            Err(why) => writing.leave_out(selected, why),
        }
    }
    Ok(())
}

fn image(selected: &Selected<'_>, size: Size, writing: &mut Writing<'_>) -> Result<(), Error> {
    let mut xml = Writer::new(Vec::new());
    let mut image = BytesStart::new("image");
    set(&mut image, "id", &writing.counted.images.to_string());
    set(&mut image, "name", &selected.name);
    if let Some(split) = selected.split {
        set(&mut image, "subset", split.as_str());
    }
    set(&mut image, "width", &size.width.to_string());
    set(&mut image, "height", &size.height.to_string());
    event(&mut xml, Event::Start(image))?;
    let source = source(selected);
    for annotation in &selected.annotations {
        shape(&mut xml, annotation, source, writing)?;
    }
    close(&mut xml, "image")?;
    writing.counted.images += 1;
    writing.pieces.file.extend_from_slice(&xml.into_inner());
    Ok(())
}

/// CVAT's word for who has made an annotation.
fn source(selected: &Selected<'_>) -> &'static str {
    let is_persons = selected.item.result.as_ref().is_some_and(|result| result.source == ResultSource::Human);
    match selected.status {
        _ if is_persons => "manual",
        SelectedStatus::Accepted => "semi-auto",
        SelectedStatus::Draft | SelectedStatus::Rejected | SelectedStatus::None => "auto",
    }
}

fn shape(xml: &mut Xml, annotation: &Prediction, source: &str, writing: &mut Writing<'_>) -> Result<(), Error> {
    let attributes = attributes(annotation);
    if !is_xml(&annotation.label) || attributes.iter().any(|(name, value)| !is_xml(name) || !is_xml(value)) {
        writing.leave_out_one(annotation, BAD_TEXT);
        return Ok(());
    }
    let Some(mut element) = element(&annotation.geometry) else {
        writing.leave_out_one(annotation, no_shape!("CVAT for images", annotation.geometry));
        return Ok(());
    };
    if writing.class(annotation).is_none() {
        return Ok(());
    }
    let name = element.name().as_ref().to_owned();
    set(&mut element, "label", &annotation.label);
    set(&mut element, "source", source);
    if name != "tag" {
        set(&mut element, "occluded", "0");
        set(&mut element, "z_order", "0");
    }
    event(xml, Event::Start(element))?;
    for (name, value) in &attributes {
        let mut attribute = BytesStart::new("attribute");
        set(&mut attribute, "name", name);
        event(xml, Event::Start(attribute))?;
        event(xml, Event::Text(BytesText::new(value)))?;
        event(xml, Event::End(BytesEnd::new("attribute")))?;
    }
    writing.counted.annotations += 1;
    close(xml, &name)
}

/// The attributes as text, with the confidence. CVAT keeps those alone that its label has; ours are read by imports.
fn attributes(annotation: &Prediction) -> Vec<(String, String)> {
    let own = annotation.attributes.iter().map(|(name, value)| (name.clone(), shown(value)));
    let confidence = (CONFIDENCE.to_owned(), annotation.confidence.to_string());
    std::iter::once(confidence).chain(own.filter(|(name, _)| name != CONFIDENCE)).collect()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The element of a shape with its geometry, in pixels of the upright picture. `None`: CVAT for images has no such shape.
fn element(geometry: &Geometry) -> Option<BytesStart<'static>> {
    match geometry {
        Geometry::BoundingBox { coordinates: Rect { x, y, width, height } } => {
            let mut element = BytesStart::new("box");
            for (name, pixels) in [("xtl", *x), ("ytl", *y), ("xbr", x + width), ("ybr", y + height)] {
                set(&mut element, name, &pixels.to_string());
            }
            Some(element)
        }
        Geometry::Polygon { points } => Some(with_points("polygon", points)),
        Geometry::Polyline { points } => Some(with_points("polyline", points)),
        Geometry::SegmentationMask { mask: Mask::CocoRle { size, counts } } => Some(mask(&Rows::of(counts, size[0])?)),
        Geometry::Classification => Some(BytesStart::new("tag")),
        Geometry::BoundingBox3d { .. } => None,
    }
}

fn with_points(name: &'static str, points: &[[f64; 2]]) -> BytesStart<'static> {
    let mut element = BytesStart::new(name);
    let points: Vec<String> = points.iter().map(|[x, y]| format!("{x},{y}")).collect();
    set(&mut element, "points", &points.join(";"));
    element
}

/// The runs of a mask are those of its rows, within its box.
fn mask(rows: &Rows) -> BytesStart<'static> {
    let mut element = BytesStart::new("mask");
    let Extent { left, top, width, height, .. } = rows.extent;
    let runs: Vec<String> = rows.runs().map(|run| run.to_string()).collect();
    set(&mut element, "rle", &runs.join(", "));
    for (name, pixels) in [("left", left), ("top", top), ("width", width), ("height", height)] {
        set(&mut element, name, &pixels.to_string());
    }
    element
}

/// Whether XML 1.0 has all of its characters (2.2).
fn is_xml(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..))
}

fn set(element: &mut BytesStart<'_>, name: &str, value: &str) {
    element.push_attribute((name, value));
}

fn open(xml: &mut Xml, name: &str) -> Result<(), Error> {
    event(xml, Event::Start(BytesStart::new(name)))
}

/// Ends an element, and the line.
fn close(xml: &mut Xml, name: &str) -> Result<(), Error> {
    event(xml, Event::End(BytesEnd::new(name)))?;
    event(xml, Event::Text(BytesText::from_escaped("\n")))
}

fn text(xml: &mut Xml, name: &str, content: &str) -> Result<(), Error> {
    open(xml, name)?;
    event(xml, Event::Text(BytesText::new(content)))?;
    close(xml, name)
}

fn event(xml: &mut Xml, event: Event<'_>) -> Result<(), Error> {
    xml.write_event(event).map_err(Error::internal)
}

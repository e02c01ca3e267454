//! Segmentation masks (contract, D29).

use serde_json::Value;

use super::part::{Shape, text};
use super::pixel_space::PixelSpace;
use super::{Broken, Object, Read, broken, required, take};
use crate::domain::prediction::rle;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Mask};
use crate::domain::{fields, limits};

pub(super) fn read(part: &mut Object, space: &PixelSpace) -> Read<Shape> {
    let item = space.size;
    let mut mask = match take(part, "mask") {
        Some(Value::String(counts)) => return checked("mask", counts, item).map(Shape::Known),
        Some(Value::Object(mask)) => mask,
        Some(_) => return broken("mask", "Must be a string or an object."),
        None => return Err(required("mask")),
    };
    match mask.get("format").and_then(Value::as_str) {
        Some("coco_rle") => runs(mask, "mask", space).map(Shape::Known),
        Some("png_url") => match text(&mut mask, "url", limits::FILE_URL_CHARS) {
            Ok(url) => Ok(Shape::Picture { url, size: item }),
            Err(Broken { message, .. }) => broken("mask.url", message),
        },
        _ => broken("mask.format", "Must be \"coco_rle\" or \"png_url\"."),
    }
}

/// COCO's run lengths, `{"size", "counts"}`; `path` leads to them.
pub(super) fn runs(mut mask: Object, path: &str, space: &PixelSpace) -> Read<Geometry> {
    let item = space.size;
    let sides = match mask.get("size").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one, other]) => fields::whole_number(one).zip(fields::whole_number(other)),
        _ => None,
    };
    let (height, width) = (u64::from(item.height), u64::from(item.width));
    if sides != Some((height, width)) {
        // Not turned here: whether its runs go by columns or by rows, nothing says.
        let turned =
            if sides == Some((width, height)) { " Its sides are the other way round: height comes first." } else { "" };
        return broken(format!("{path}.size"), format!("Must be the item's: [{height}, {width}].{turned}"));
    }
    let path = format!("{path}.counts");
    match take(&mut mask, "counts") {
        Some(Value::String(counts)) => checked(&path, counts, item),
        Some(Value::Array(runs)) => {
            // Checked before it is encoded: the string of a run that is no run would be nonsense.
            let counts = runs.iter().map(|run| fields::whole_number(run).ok_or(rle::BadRuns::NotACount));
            match rle::check(counts, pixels(item)) {
                Ok(()) => Ok(geometry(rle::encode(runs.iter().filter_map(fields::whole_number)), item)),
                Err(bad) => broken(path, bad.to_string()),
            }
        }
        Some(_) => broken(path, "Must be a string or an array."),
        None => Err(required(path)),
    }
}

fn checked(path: &str, counts: String, item: Size) -> Read<Geometry> {
    match rle::check(rle::runs(&counts), pixels(item)) {
        Ok(()) => Ok(geometry(counts, item)),
        Err(bad) => broken(path, bad.to_string()),
    }
}

fn geometry(counts: String, item: Size) -> Geometry {
    Geometry::SegmentationMask { mask: Mask::CocoRle { size: [item.height, item.width], counts } }
}

fn pixels(item: Size) -> u64 {
    u64::from(item.height) * u64::from(item.width)
}

//! The format `yolo`: a zip with a data set for Ultralytics, of boxes or of segments (Ultralytics, "Object Detection Datasets" and
//! "Instance Segmentation Datasets"; decision 0045).
//!
//! `labels/` has a file for each picture, with a row for each object, and none of a picture that was examined and has nothing. The rows
//! of a whole data set are of one kind: of a set with both kinds Ultralytics drops the segments. `data.yaml` has the classes, and
//! `images.jsonl` the key and the URL of each picture. `images/` is there if the export copies the pictures.

mod names;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::coco::{Categories, extent, marked};
use super::jsonl::url_of;
use super::selection::{Selected, Split, type_of};
use super::zip::{Archive, Entry};
use super::{ExportTask, Pieces};
use crate::domain::id::ItemUid;
use crate::domain::prediction::outline::outline;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Mask, Prediction, Rect};
use crate::domain::{Error, packed};
use names::{Paths, extension, folder};

/// Why a point cloud is left out.
const NO_PICTURE: &str = "YOLO has pictures alone.";
/// Why a picture is left out.
const NO_SIZE: &str = "The size of its picture is not known yet.";
/// Why a mask is left out of a data set of segments.
const TOO_FINE: &str = "The outline of the mask has more than 100,000 corners.";
/// Corners of a mask's outline: a row of two megabytes.
const CORNERS: usize = 100_000;
/// Spellings of extensions that are counted: those of one word are a few, and others are changed in any case.
const SPELLINGS: usize = 64;
/// The names of the two files beside the folders.
const DATA: &str = "data.yaml";
const LIST: &str = "images.jsonl";

/// A picture that is copied into the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its length.
    pub bytes: u64,
    /// The CRC-32 of its bytes.
    pub crc: u32,
}

/// What an item adds to the data set.
#[derive(Debug, Default)]
pub struct Written {
    /// What is before the bytes of its picture; empty if that is not copied.
    pub header: Vec<u8>,
    /// What follows.
    pub pieces: Pieces,
    /// What is left out: type, and why.
    pub left_out: Vec<(&'static str, String)>,
}

/// The data set so far, to be stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataSet {
    archive: Archive,
    /// How many names have an extension, as it is written.
    extensions: BTreeMap<String, u64>,
    /// The parts that have a picture.
    parts: Vec<Option<Split>>,
    list: ListWork,
}

/// `images.jsonl` so far. It has more lines than memory holds, so it is collected beside the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ListWork {
    bytes: u64,
    crc: u32,
}

/// A line of `images.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    image: &'a str,
    item: ItemUid,
    key: &'a str,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// The size of a picture, or why the data set cannot have it.
///
/// # Errors
/// A sentence.
pub fn size_of(selected: &Selected<'_>) -> Result<Size, &'static str> {
    match selected.item.asset.size {
        _ if !selected.item.asset.kind.has_pixels() => Err(NO_PICTURE),
        Some(size) => Ok(size),
        None => Err(NO_SIZE),
    }
}

impl DataSet {
    /// Counts the name of an item: the names with the extension that most have are kept.
    pub fn count(&mut self, name: &str) {
        let Some(extension) = extension(name) else { return };
        if let Some(count) = self.extensions.get_mut(extension) {
            *count += 1;
        } else if self.extensions.len() < SPELLINGS {
            self.extensions.insert(extension.to_owned(), 1);
        }
    }

    /// The extension that most names have.
    fn usual(&self) -> Option<&str> {
        let most = self.extensions.iter().max_by_key(|(extension, count)| (**count, std::cmp::Reverse(*extension)))?;
        Some(most.0)
    }

    /// Writes an item. `at`: the file's length so far.
    ///
    /// # Errors
    /// `Internal`.
    pub fn write(
        &mut self,
        selected: &Selected<'_>,
        task: ExportTask,
        copied: Option<Copied>,
        categories: &mut Categories,
        at: u64,
    ) -> Result<Written, Error> {
        let size = match size_of(selected) {
            Ok(size) => size,
            Err(why) => return Ok(left_out(selected, why)),
        };
        let mut written = Written::default();
        let paths = Paths::of(&selected.name, selected.split, self.usual());
        let mut at = at;
        if let Some(Copied { bytes, crc }) = copied {
            let image = Entry { name: &paths.image, crc, bytes, packed: None };
            (written.header, written.pieces.side) = self.archive.add(&image, at);
            at += written.header.len() as u64 + bytes;
        }
        let rows = rows(selected, size, task, categories, &mut written.left_out);
        let (file, record) = self.archive.add_text(&paths.labels, rows.as_bytes(), at)?;
        written.pieces.file = file;
        written.pieces.side.extend(record);
        written.pieces.list = self.line(selected, size, &paths)?;
        if !self.parts.contains(&selected.split) {
            self.parts.push(selected.split);
        }
        Ok(written)
    }

    fn line(&mut self, selected: &Selected<'_>, size: Size, paths: &Paths) -> Result<Vec<u8>, Error> {
        let (item, url) = (selected.item.asset.uid, url_of(&selected.item.asset.source));
        let Size { width, height } = size;
        let mut bytes = Vec::new();
        packed::write_line(&mut bytes, &Line { image: &paths.image, item, key: &selected.name, width, height, url })?;
        let mut crc = crc32fast::Hasher::new_with_initial_len(self.list.crc, self.list.bytes);
        crc.update(&bytes);
        self.list = ListWork { bytes: self.list.bytes + bytes.len() as u64, crc: crc.finalize() };
        Ok(bytes)
    }

    /// `data.yaml`, and what is before the lines of `images.jsonl`. `at`: the file's length so far.
    ///
    /// # Errors
    /// `Internal`.
    pub fn middle(&mut self, names: &[String], at: u64) -> Result<Pieces, Error> {
        let (mut file, mut side) = self.archive.add_text(DATA, self.data_yaml(names).as_bytes(), at)?;
        let ListWork { bytes, crc } = self.list;
        let list = Entry { name: LIST, crc, bytes, packed: None };
        let (header, record) = self.archive.add(&list, at + file.len() as u64);
        file.extend(header);
        side.extend(record);
        Ok(Pieces { file, side, list: Vec::new() })
    }

    /// The end of a file that has so many bytes.
    #[must_use]
    pub fn end(&self, bytes: u64) -> Vec<u8> {
        self.archive.end(bytes)
    }

    /// Without `path`: relative paths then begin at the file's own folder, wherever it is. Ultralytics needs `train` and `val`: what has
    /// no picture is the other one.
    fn data_yaml(&self, names: &[String]) -> String {
        let has = |split| self.parts.iter().any(|part| folder(*part) == folder(Some(split)));
        let found = |split| [split, Split::Train, Split::Val, Split::Test].into_iter().find(|split| has(*split));
        let path = |split| folder(found(split));
        let mut text = format!("train: images/{}\nval: images/{}\n", path(Split::Train), path(Split::Val));
        if has(Split::Test) {
            text += "test: images/test\n";
        }
        let _infallible = write!(text, "\nnc: {}\nnames:{}\n", names.len(), if names.is_empty() { " {}" } else { "" });
        for (number, name) in names.iter().enumerate() {
            let _infallible = writeln!(text, "  {number}: {}", quoted(name));
        }
        text
    }
}

/// An item that the data set does not have, with its annotations.
#[must_use]
pub fn left_out(selected: &Selected<'_>, why: &str) -> Written {
    let lost = selected.annotations.iter().map(|annotation| type_of(&annotation.geometry));
    let left_out = std::iter::once("item").chain(lost).map(|kind| (kind, why.to_owned())).collect();
    Written { left_out, ..Written::default() }
}

/// A string of YAML in double quotes (YAML 1.2, 7.3.1): what not every reader prints is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        let is_plain = character.is_alphanumeric() || character == ' ' || character.is_ascii_punctuation();
        let _infallible = match character {
            '"' | '\\' => write!(quoted, "\\{character}"),
            _ if is_plain => write!(quoted, "{character}"),
            _ => write!(quoted, "\\U{:08X}", u32::from(character)),
        };
    }
    quoted + "\""
}

/// A row for each annotation that the data set can have.
fn rows(
    selected: &Selected<'_>,
    size: Size,
    task: ExportTask,
    categories: &mut Categories,
    left_out: &mut Vec<(&'static str, String)>,
) -> String {
    let mut rows = String::new();
    for annotation in &selected.annotations {
        let values = match task {
            ExportTask::Detect => detected(&annotation.geometry).map(|corners| boxed(corners, size)),
            ExportTask::Segment => segment(&annotation.geometry).map(|points| normalized(&points, size)),
        };
        match values {
            Ok(values) => push_row(&mut rows, categories, annotation, &values),
            Err(why) => left_out.push((type_of(&annotation.geometry), why.to_owned())),
        }
    }
    rows
}

/// Classes are numbered from 0 here, and from 1 as categories.
fn push_row(rows: &mut String, categories: &mut Categories, annotation: &Prediction, values: &[f64]) {
    let _infallible = write!(rows, "{}", categories.number(&annotation.label) - 1);
    for value in values {
        let value = format!("{value:.10}");
        let _infallible = write!(rows, " {}", value.trim_end_matches('0').trim_end_matches('.'));
    }
    rows.push('\n');
}

/// Left, top, right and bottom of an object, pixels.
fn detected(geometry: &Geometry) -> Result<[f64; 4], &'static str> {
    let [left, top, width, height] = match geometry {
        Geometry::BoundingBox { coordinates: Rect { x, y, width, height } } => [*x, *y, *width, *height],
        Geometry::Polygon { points } => extent(points),
        Geometry::SegmentationMask { mask: Mask::CocoRle { size, counts } } => marked(counts, size[0]).0,
        other => return Err(reason(other)),
    };
    Ok([left, top, left + width, top + height])
}

/// The corners of an object, pixels.
fn segment(geometry: &Geometry) -> Result<Vec<[f64; 2]>, &'static str> {
    match geometry {
        Geometry::Polygon { points } => Ok(points.clone()),
        Geometry::SegmentationMask { mask: Mask::CocoRle { size, counts } } => {
            let ring = outline(counts, size[0], CORNERS).ok_or(TOO_FINE)?;
            Ok(ring.into_iter().map(|corner| corner.map(f64::from)).collect())
        }
        other => {
            let [left, top, right, bottom] = detected(other)?;
            Ok(vec![[left, top], [right, top], [right, bottom], [left, bottom]])
        }
    }
}

const fn reason(geometry: &Geometry) -> &'static str {
    match geometry {
        Geometry::BoundingBox3d { .. } => "YOLO has no cuboids.",
        Geometry::Polyline { .. } => "YOLO has no open lines.",
        _ => "YOLO has no labels of whole pictures beside boxes.",
    }
}

/// Pixels as a share of the picture, from 0 to 1.
fn share(pixels: f64, of: u32) -> f64 {
    (pixels / f64::from(of.max(1))).clamp(0.0, 1.0)
}

/// Centre, width and height of a box within the picture.
fn boxed([left, top, right, bottom]: [f64; 4], Size { width, height }: Size) -> Vec<f64> {
    let [left, right] = [left, right].map(|x| share(x, width));
    let [top, bottom] = [top, bottom].map(|y| share(y, height));
    vec![f64::midpoint(left, right), f64::midpoint(top, bottom), right - left, bottom - top]
}

fn normalized(points: &[[f64; 2]], Size { width, height }: Size) -> Vec<f64> {
    points.iter().flat_map(|[x, y]| [share(*x, width), share(*y, height)]).collect()
}

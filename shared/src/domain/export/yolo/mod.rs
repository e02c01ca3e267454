//! The format `yolo`: a zip with a data set for Ultralytics, of boxes or of segments (Ultralytics, "Object Detection Datasets" and
//! "Instance Segmentation Datasets"; decision 0045).
//!
//! `labels/` has a file for each picture, with a row for each object, and an empty one for a picture on which nothing was found. The
//! rows of a whole data set are of one kind: of a set with both kinds Ultralytics drops the segments. `data.yaml` has the classes, and
//! `images.jsonl` the key and the URL of each picture. `images/` is there if the export copies the pictures.

pub(super) mod names;
pub(super) mod rows;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::format::{Pieces, Writing};
use super::jsonl::url_of;
use super::selection::{Selected, Split};
use super::zip::{Archive, Entry};
use crate::domain::id::ItemUid;
use crate::domain::prediction::size::Size;
use crate::domain::{Error, packed};
use names::{Paths, extension, folder};
use rows::{Row, rows};

/// Why a point cloud is left out.
pub(super) const NO_PICTURE: &str = "YOLO has pictures alone.";
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

/// The data set so far, to be stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DataSet {
    archive: Archive,
    /// How many names have an extension, as it is written.
    extensions: BTreeMap<String, u64>,
    /// The parts that have a picture.
    parts: Vec<Option<Split>>,
    list: ListWork,
}

/// `images.jsonl` so far. It may have more lines than memory holds, so it is collected beside the file.
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

/// Writes items. Of one alone the picture may be copied.
pub(super) fn write(items: &[Selected<'_>], writing: &mut Writing<'_>) -> Result<(), Error> {
    for selected in items {
        match selected.picture(NO_PICTURE) {
            Ok(size) => write_one(selected, size, writing)?,
            Err(why) => writing.leave_out(selected, why),
        }
    }
    Ok(())
}

fn write_one(selected: &Selected<'_>, size: Size, writing: &mut Writing<'_>) -> Result<(), Error> {
    let rows = rows(selected, size, writing);
    let Writing { data_set, pieces, copied, at, .. } = writing;
    let paths = Paths::of(&selected.name, selected.split, data_set.usual());
    let mut at = *at + pieces.file.len() as u64;
    if let Some(Copied { bytes, crc }) = *copied {
        let image = Entry { name: &paths.image, crc, bytes, packed: None };
        let (header, record) = data_set.archive.add(&image, at);
        at += header.len() as u64 + bytes;
        pieces.header = header;
        pieces.side.extend(record);
    }
    let (file, record) = data_set.archive.add_text(&paths.labels, text_of(&rows).as_bytes(), at)?;
    pieces.file.extend(file);
    pieces.side.extend(record);
    pieces.list.extend(data_set.line(selected, size, &paths)?);
    if !data_set.parts.contains(&selected.split) {
        data_set.parts.push(selected.split);
    }
    Ok(())
}

/// What follows the last item: the data set's description, and what is before the lines of `images.jsonl`.
pub(super) fn middle(writing: &mut Writing<'_>) -> Result<(), Error> {
    let names = writing.classes.names();
    writing.pieces = writing.data_set.middle(names, writing.at)?;
    Ok(())
}

/// The end of the file.
pub(super) fn end(writing: &mut Writing<'_>) {
    writing.pieces.file = writing.data_set.archive.end(writing.at);
}

/// A file of labels.
fn text_of(rows: &[Row]) -> String {
    let mut text = String::new();
    for (class, values) in rows {
        text += &class.to_string();
        for value in values {
            let _infallible = write!(text, " {value}");
        }
        text.push('\n');
    }
    text
}

impl DataSet {
    /// Counts the name of an item: the names with the extension that most have are kept.
    pub(super) fn count(&mut self, name: &str) {
        let Some(extension) = extension(name) else { return };
        if let Some(count) = self.extensions.get_mut(extension) {
            *count += 1;
        } else if self.extensions.len() < SPELLINGS {
            self.extensions.insert(extension.to_owned(), 1);
        }
    }

    /// The extension that most names have.
    pub(super) fn usual(&self) -> Option<&str> {
        let most = self.extensions.iter().max_by_key(|(extension, count)| (**count, Reverse(*extension)))?;
        Some(most.0)
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

    fn middle(&mut self, names: &[String], at: u64) -> Result<Pieces, Error> {
        let (mut file, mut side) = self.archive.add_text(DATA, self.data_yaml(names).as_bytes(), at)?;
        let ListWork { bytes, crc } = self.list;
        let list = Entry { name: LIST, crc, bytes, packed: None };
        let (header, record) = self.archive.add(&list, at + file.len() as u64);
        file.extend(header);
        side.extend(record);
        Ok(Pieces { file, side, ..Pieces::default() })
    }

    /// Without `path`: relative paths then begin at the file's own folder, wherever it is. Ultralytics needs `train` and `val`: what has
    /// no picture is the other one.
    fn data_yaml(&self, names: &[String]) -> String {
        let has = |split| self.parts.iter().any(|part| folder(*part) == folder(Some(split)));
        let path = |split| {
            let found = [split, Split::Train, Split::Val, Split::Test].into_iter().find(|split| has(*split));
            folder(found)
        };
        let mut text = format!("train: images/{}\nval: images/{}\n", path(Split::Train), path(Split::Val));
        if has(Split::Test) {
            text += "test: images/test\n";
        }
        let none = if names.is_empty() { " {}" } else { "" };
        let _infallible = write!(text, "\nnc: {}\nnames:{none}\n", names.len());
        for (number, name) in names.iter().enumerate() {
            let _infallible = writeln!(text, "  {number}: {}", quoted(name));
        }
        text
    }
}

/// A string of YAML in double quotes (YAML 1.2, 7.3.1): what not every reader takes is escaped.
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

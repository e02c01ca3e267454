//! What reads the file of an import: one module a format, each from the file's bytes to entries. No reader holds more than some
//! entries in memory, however large the file is.

use std::io::{Read, Seek};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ImportAs, ImportFormat, coco, cvat, jsonl, label_studio, sagemaker_manifest};
use crate::domain::{Error, limits};

/// The whole file.
pub trait Source: Read + Seek {}

impl<F: Read + Seek> Source for F {}

/// Boxes of records beside the file, for formats whose pictures and annotations are apart from each other.
pub trait Shelf {
    /// Puts a record into a box, whose number is less than [`BOXES`].
    ///
    /// # Errors
    /// The disk's.
    fn put(&mut self, number: usize, record: &[u8]) -> std::io::Result<()>;
    /// Takes all records of a box, in their order.
    ///
    /// # Errors
    /// The disk's.
    fn take(&mut self, number: usize) -> std::io::Result<Vec<Vec<u8>>>;
}

/// Boxes of a shelf: of a file of 5 GB each has 5 MB.
pub const BOXES: usize = 1_024;

/// A position in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// A line, from 1.
    Line(u64),
    /// A path, such as `images[3]`.
    Path(String),
}

/// Why an item is not taken, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ImportReasonCode)]
pub enum ReasonCode {
    /// The file says something of it that cannot be read.
    Malformed,
    /// The file says twice what it has.
    Duplicate,
    /// An annotation has a category that the file does not describe.
    UnknownCategory,
    /// An annotation is about a picture that the file does not describe.
    UnknownPicture,
    /// The file says that it has no result.
    NoResult,
    /// The project has no such item, and the file gives no URL for it.
    UnknownItem,
    /// Several items of the project have this file name.
    AmbiguousName,
    /// Its URL may not be read.
    RefusedUrl,
    /// The project does not have the label.
    UnknownLabel,
    /// It has a result already.
    AlreadyLabeled,
    /// Its annotations are too large to be stored.
    TooLarge,
}

impl ReasonCode {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Duplicate,
        Self::UnknownCategory,
        Self::UnknownPicture,
        Self::NoResult,
        Self::UnknownItem,
        Self::AmbiguousName,
        Self::RefusedUrl,
        Self::UnknownLabel,
        Self::AlreadyLabeled,
        Self::TooLarge,
    ];
}

/// Why an item is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs.
    pub code: ReasonCode,
    /// A sentence.
    pub message: String,
}

impl Reason {
    /// A reason with its sentence, cut to its longest length.
    #[must_use]
    pub fn new(code: ReasonCode, message: impl AsRef<str>) -> Self {
        Self { code, message: message.as_ref().chars().take(limits::MESSAGE_CHARS).collect() }
    }
}

/// What the file says about one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where in the file.
    pub position: Position,
    /// The item's key, or the name of its file.
    pub name: String,
    /// The item's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Pixels of the picture upright.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// See `width`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// `image` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_type: Option<String>,
    /// In the prediction format (contract, 10.3), not checked yet: the item's size decides.
    pub annotations: Vec<Value>,
    /// It is not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Reason>,
}

impl Entry {
    /// An entry without annotations.
    #[must_use]
    pub const fn new(position: Position, name: String) -> Self {
        Self {
            position,
            name,
            url: None,
            width: None,
            height: None,
            asset_type: None,
            annotations: Vec::new(),
            refusal: None,
        }
    }

    /// An entry that is not taken.
    #[must_use]
    pub fn refused(position: Position, name: String, code: ReasonCode, message: impl AsRef<str>) -> Self {
        Self { refusal: Some(Reason::new(code, message)), ..Self::new(position, name) }
    }

    /// Refuses it, unless it is refused already.
    pub fn refuse(&mut self, reason: Reason) {
        self.refusal.get_or_insert(reason);
        self.annotations.clear();
    }
}

/// Takes entries as they are read.
pub type Take<'a> = dyn FnMut(Entry) -> Result<(), Error> + 'a;

/// Why reading has ended before the end of the file.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The file is at fault: a sentence for its owner.
    #[error("{0}")]
    File(String),
    /// The disk is.
    #[error("the file could not be read")]
    Io(#[from] std::io::Error),
    /// What takes the entries is.
    #[error(transparent)]
    Take(#[from] Error),
}

impl Broken {
    /// The file is at fault.
    #[must_use]
    pub fn file(sentence: impl Into<String>) -> Self {
        Self::File(sentence.into())
    }
}

/// Reads a file whose labels become results of this kind.
///
/// # Errors
/// [`Broken`]: then none of its entries may be used.
pub fn read(
    (format, becomes): (ImportFormat, ImportAs),
    file: &mut dyn Source,
    shelf: &mut dyn Shelf,
    take: &mut Take<'_>,
) -> Result<(), Broken> {
    match format {
        ImportFormat::Jsonl => jsonl::read(file, take),
        ImportFormat::Coco => coco::read(file, shelf, take),
        ImportFormat::SagemakerManifest => jsonl::read_lines(file, sagemaker_manifest::entry, take),
        ImportFormat::LabelStudio => label_studio::read(file, becomes, take),
        ImportFormat::Cvat => cvat::read(file, take),
    }
}

/// Whether a file begins as UTF-16 does, which no format allows.
pub(super) fn refuse_utf16(begin: &[u8]) -> Result<(), Broken> {
    let is_utf16 = matches!(begin, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..]);
    if is_utf16 { Err(Broken::file("The file must be UTF-8, and looks like UTF-16.")) } else { Ok(()) }
}

/// The mark of UTF-8 that some editors write at the begin of a file.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

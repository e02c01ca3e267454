//! How far the writing of an export has come. It is stored with the export after each step, so that a step that is repeated begins
//! where the last stored one has ended: no item twice, and none missing.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

use super::coco::{Categories, Counted};
use super::selection::Selected;
use super::{Export, ExportFile, ExportFormat, LeftOut, coco, jsonl};
use crate::domain::item::Item;
use crate::domain::prediction::draft::BlobRef;
use crate::domain::{Error, limits};

const TOO_MANY_LABELS: &str = "The annotations have too many labels that no project has. Narrow them by `labels`.";

/// What is done next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The items are counted, and the labels that no project has are collected: their numbers follow from their order.
    #[default]
    Survey,
    /// The items are written.
    Write,
    /// What was written beside the file is appended to it.
    Join,
    /// The object is made of its parts.
    Complete,
}

/// How far the writing of an export has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// What is done next.
    pub phase: Phase,
    /// The project of the next item, by its position in the export.
    pub source: usize,
    /// The position behind which the next item is; `None`: the project's begin.
    pub after: Option<String>,
    /// Steps that were stored.
    pub steps: u32,
    /// Labels that no project has.
    outside: BTreeSet<String>,
    /// Labels that were first met while the items were written.
    late: Vec<String>,
    images: u64,
    annotations: u64,
    /// What was written beside the file.
    pub side: Vec<Fragment>,
    /// How many of these were appended.
    pub joined: usize,
    /// The file.
    pub file: FileWork,
}

/// An object that becomes a piece of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// Its name in the export's folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// The file, as far as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileWork {
    /// The bucket's id of the upload.
    pub upload: Option<String>,
    /// The ETags of its parts.
    pub parts: Vec<String>,
    /// What is too short for a part.
    pub tail: Option<Fragment>,
    /// All bytes so far, those of the tail included.
    pub bytes: u64,
    /// The digest of these bytes.
    pub digest: RunningDigest,
}

/// A SHA-256 that is not finished. It is stored as its state, hexadecimal.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RunningDigest(Sha256);

impl RunningDigest {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes, hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0.clone().finalize())
    }
}

impl fmt::Debug for RunningDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl PartialEq for RunningDigest {
    fn eq(&self, other: &Self) -> bool {
        self.hex() == other.hex()
    }
}

impl From<RunningDigest> for String {
    fn from(digest: RunningDigest) -> Self {
        hex::encode(SerializableState::serialize(&digest.0))
    }
}

impl TryFrom<String> for RunningDigest {
    type Error = &'static str;

    fn try_from(state: String) -> Result<Self, Self::Error> {
        let wrong = "not the state of a SHA-256";
        let bytes = hex::decode(state).map_err(|_| wrong)?;
        let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).map_err(|_| wrong)?;
        <Sha256 as SerializableState>::deserialize(&state).map(Self).map_err(|_| wrong)
    }
}

/// What is written next.
#[derive(Debug, Default)]
pub struct Pieces {
    /// To the file.
    pub file: Vec<u8>,
    /// Beside the file.
    pub side: Vec<u8>,
}

impl Work {
    /// Where the annotations of an item are that are needed next and too large for its row: its result's, and the draft's of which
    /// that is a correction.
    #[must_use]
    pub fn needs<'a>(&self, export: &Export, item: &'a Item) -> (Option<&'a BlobRef>, Option<&'a BlobRef>) {
        let is_lines = export.options.format == ExportFormat::Jsonl;
        // The survey of lines counts them; the survey of COCO's annotations has to know their labels.
        let is_counted = is_lines && self.phase == Phase::Survey;
        let result = item.result.as_ref().filter(|_| !is_counted && export.options.writes_annotations(item));
        let draft = result.filter(|_| is_lines).and_then(|result| result.draft.as_ref());
        (result.and_then(|result| result.elsewhere.as_ref()), draft.and_then(|draft| draft.elsewhere.as_ref()))
    }

    /// Bytes of these annotations as JSON.
    #[must_use]
    pub fn needed_bytes(&self, export: &Export, item: &Item) -> u64 {
        let (result, draft) = self.needs(export, item);
        [result, draft].into_iter().flatten().map(|blob| blob.json_bytes).sum()
    }

    /// What is wrong with the export, in a sentence for its owner: the labels that are collected are held in memory and in its row.
    #[must_use]
    pub fn refusal(&self) -> Option<&'static str> {
        let characters: usize = self.outside.iter().chain(&self.late).map(|label| label.chars().count()).sum();
        (characters > limits::EXPORT_LABELS_CHARS).then_some(TOO_MANY_LABELS)
    }

    /// Counts items that the export takes, and collects their labels.
    pub fn survey(&mut self, export: &mut Export, items: &[Item]) {
        let classes: HashSet<&str> = export.classes.iter().map(String::as_str).collect();
        for item in items.iter().filter(|item| export.options.takes(item)) {
            export.total += 1;
            if export.options.format == ExportFormat::Jsonl {
                continue; // it numbers no labels
            }
            let labels = export.options.annotations(item).into_iter().map(|annotation| &annotation.label);
            self.outside.extend(labels.filter(|label| !classes.contains(label.as_str())).cloned());
        }
    }

    /// Writes items of the project that is at work.
    ///
    /// # Errors
    /// `Internal`.
    pub fn write(&mut self, export: &mut Export, items: &[Item]) -> Result<Pieces, Error> {
        let Some(source) = export.sources.get(self.source) else { return Ok(Pieces::default()) };
        let taken = items.iter().filter(|item| export.options.takes(item));
        let selected: Vec<Selected<'_>> =
            taken.map(|item| export.options.select(item, source.name_of(&item.key))).collect();
        export.done += selected.len() as u64;
        export.total = export.total.max(export.done);
        match export.options.format {
            _ if selected.is_empty() => Ok(Pieces::default()),
            ExportFormat::Jsonl => Ok(Pieces { file: jsonl::member(&selected)?, side: Vec::new() }),
            ExportFormat::Coco => self.write_coco(export, &selected),
        }
    }

    fn write_coco(&mut self, export: &mut Export, selected: &[Selected<'_>]) -> Result<Pieces, Error> {
        let mut categories = Categories::of(self.names(export));
        let mut counted = Counted { images: self.images, annotations: self.annotations };
        let written = coco::write(selected, &mut categories, &mut counted)?;
        self.late = categories.into_names().split_off(export.classes.len() + self.outside.len());
        (self.images, self.annotations) = (counted.images, counted.annotations);
        written.left_out.into_iter().for_each(|(kind, reason)| leave_out(&mut export.left_out, kind, reason));
        Ok(Pieces { file: written.annotations, side: written.images })
    }

    /// The classes: those of the projects, then the others by name, then those that were met late.
    fn names(&self, export: &Export) -> Vec<String> {
        export.classes.iter().chain(&self.outside).chain(&self.late).cloned().collect()
    }

    /// What the file begins with.
    ///
    /// # Errors
    /// `Internal`.
    pub fn begin(&self, export: &Export) -> Result<Vec<u8>, Error> {
        match export.options.format {
            ExportFormat::Jsonl => Ok(Vec::new()),
            ExportFormat::Coco => coco::begin(export.created_at),
        }
    }

    /// What follows the last item, before what was written beside the file.
    #[must_use]
    pub fn middle(&self, export: &Export) -> &'static [u8] {
        match export.options.format {
            ExportFormat::Jsonl => b"",
            ExportFormat::Coco => coco::MIDDLE,
        }
    }

    /// What a file ends with that has so many bytes.
    ///
    /// # Errors
    /// `Internal`.
    pub fn end(&self, export: &Export, bytes: u64) -> Result<Vec<u8>, Error> {
        match export.options.format {
            // A file without items is a gzip file, too.
            ExportFormat::Jsonl if bytes == 0 => jsonl::member(&[]),
            ExportFormat::Jsonl => Ok(Vec::new()),
            ExportFormat::Coco => coco::end(&self.names(export)),
        }
    }

    /// The file, when it is whole.
    #[must_use]
    pub fn finished(&self, export: &Export) -> ExportFile {
        let (bytes, sha256) = (self.file.bytes, self.file.digest.hex());
        ExportFile { name: export.options.format.file_name().to_owned(), bytes, sha256 }
    }

    /// Goes on behind a page of the project: at `next`, with the next project, or, behind the last one, with the next phase.
    pub fn pass_page(&mut self, export: &Export, next: Option<String>) -> bool {
        self.after = next;
        if self.after.is_some() {
            return false;
        }
        self.source += 1;
        if self.source < export.sources.len() {
            return false;
        }
        (self.source, self.phase) = (0, if self.phase == Phase::Survey { Phase::Write } else { Phase::Join });
        true
    }
}

fn leave_out(left_out: &mut Vec<LeftOut>, kind: &str, reason: &str) {
    match left_out.iter_mut().find(|entry| (entry.kind.as_str(), entry.reason.as_str()) == (kind, reason)) {
        Some(entry) => entry.count += 1,
        None => left_out.push(LeftOut { kind: kind.to_owned(), count: 1, reason: reason.to_owned() }),
    }
}

//! How far the writing of an export has come. It is stored with the export after each step, so that a step that is repeated begins
//! where the last stored one has ended: no item twice, and none missing.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

use super::classes::Classes;
use super::format::{Counted, Part, Pieces, Writing};
use super::selection::{Selected, type_of};
use super::yolo::{Copied, DataSet};
use super::{Export, ExportFile, LeftOut};
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
    counted: Counted,
    #[serde(default)]
    data_set: DataSet,
    /// What was written beside the file, and comes before `side`.
    #[serde(default)]
    pub list: Vec<Fragment>,
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

/// What is written next to the file.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// Its begin. The items were surveyed.
    Begin,
    /// Items of the project that is at work.
    Items(&'a [Item]),
    /// An item of it whose picture is copied.
    Pictured(&'a Item, Copied),
    /// What follows the last item, before what was written beside the file.
    Middle,
    /// Its end.
    End,
}

impl Work {
    /// Where the annotations of an item are that are needed next and too large for its row: its result's, and the draft's of which
    /// that is a correction.
    #[must_use]
    pub fn needs<'a>(&self, export: &Export, item: &'a Item) -> (Option<&'a BlobRef>, Option<&'a BlobRef>) {
        let format = export.options.format;
        // The survey counts the items, and needs their labels only if the format numbers them.
        let is_counted = self.phase == Phase::Survey && !format.numbers_labels();
        let result = item.result.as_ref().filter(|_| !is_counted && export.options.writes_annotations(item));
        let draft = result.filter(|_| format.has_drafts()).and_then(|result| result.draft.as_ref());
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
            if export.options.format.has_task() {
                self.data_set.count(&item.key);
            }
            if !export.options.format.numbers_labels() {
                continue;
            }
            let labels = export.options.annotations(item).into_iter().map(|annotation| &annotation.label);
            self.outside.extend(labels.filter(|label| !classes.contains(label.as_str())).cloned());
        }
    }

    /// Writes what is next to a file that has `at` bytes. `bucket`: the system's.
    ///
    /// # Errors
    /// `Internal`.
    pub fn write(&mut self, export: &mut Export, next: Next<'_>, at: u64, bucket: &str) -> Result<Pieces, Error> {
        let format = export.options.format;
        let items = self.selected(export, next);
        let (done, part) = match next {
            Next::Begin => (0, Part::Begin),
            Next::Items(_) if items.is_empty() => return Ok(Pieces::default()),
            Next::Items(_) | Next::Pictured(..) => (items.len() as u64, Part::Items(&items)),
            Next::Middle => (0, Part::Middle),
            Next::End => (0, Part::End),
        };
        let (pieces, left_out) = (Pieces::default(), Vec::new());
        let classes = Classes::of(self.names(export), format.ends_with_classes());
        let copied = if let Next::Pictured(_, copied) = next { Some(copied) } else { None };
        let (counted, data_set) = (self.counted, std::mem::take(&mut self.data_set));
        let mut writing = Writing { export, bucket, at, classes, counted, data_set, copied, pieces, left_out };
        format.write(&part, &mut writing)?;
        let Writing { classes, counted, data_set, pieces, left_out, .. } = writing;
        self.data_set = data_set;
        self.late = classes.into_names().split_off(export.classes.len() + self.outside.len());
        self.counted = counted;
        export.done += done;
        export.total = export.total.max(export.done);
        left_out.into_iter().for_each(|(kind, reason)| leave_out(&mut export.left_out, kind, reason));
        Ok(pieces)
    }

    /// The items of the project that is at work, those that the export takes.
    fn selected<'a>(&self, export: &Export, next: Next<'a>) -> Vec<Selected<'a>> {
        let Some(source) = export.sources.get(self.source) else { return Vec::new() };
        let items = match next {
            Next::Items(items) => items,
            Next::Pictured(item, _) => std::slice::from_ref(item),
            Next::Begin | Next::Middle | Next::End => return Vec::new(),
        };
        let taken = items.iter().filter(|item| export.options.takes(item));
        taken.map(|item| export.options.select(item, source.name_of(&item.key))).collect()
    }

    /// Whether the picture of an item is copied.
    #[must_use]
    pub fn copies(&self, export: &Export, item: &Item) -> bool {
        export.options.include_images && item.asset.kind.has_pixels() && item.asset.size.is_some()
    }

    /// Leaves out an item of the export whose picture cannot be copied, with its annotations.
    pub fn leave_out(&self, export: &mut Export, item: &Item, why: &str) {
        let lost: Vec<_> = export.options.annotations(item).iter().map(|one| type_of(&one.geometry)).collect();
        std::iter::once("item").chain(lost).for_each(|kind| leave_out(&mut export.left_out, kind, why));
        export.done += 1;
        export.total = export.total.max(export.done);
    }

    /// What was written beside the file, in the order in which it is appended.
    pub fn beside(&self) -> impl Iterator<Item = &Fragment> {
        self.list.iter().chain(&self.side)
    }

    /// The classes: those of the projects, then the others by name, then those that were met late.
    fn names(&self, export: &Export) -> Vec<String> {
        export.classes.iter().chain(&self.outside).chain(&self.late).cloned().collect()
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

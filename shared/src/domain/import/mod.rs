//! Imports: labels that exist already become results of a project's items (decision 0046).

pub mod coco;
mod cvat;
pub mod jsonl;
mod label_studio;
mod lists;
mod picture;
pub mod reader;
pub mod request;
mod sagemaker_manifest;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{ImportUid, OrganizationUid, ProjectUid};
use crate::domain::{Error, Timestamp, change_time, limits};
use reader::{Position, Reason, ReasonCode};

/// Where an import is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Its file has not come yet, or waits.
    Pending,
    /// Its file is being read, or its labels are being written.
    Processing,
    /// Its labels are there. `counts` says how many were not taken.
    Imported,
    /// `error_message` says why. Nothing was written if the file could not be read.
    Failed,
}

impl ImportStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Imported, Self::Failed];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Imported => "imported",
            Self::Failed => "failed",
        }
    }

    /// Whether it does not change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Imported | Self::Failed)
    }
}

/// What the file of an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportFormat {
    /// A line of JSON for each item, as an export writes it; plain, or compressed by gzip.
    Jsonl,
    /// One JSON file of COCO's.
    Coco,
    /// An augmented manifest of Amazon SageMaker Ground Truth.
    SagemakerManifest,
    /// Tasks that Label Studio has exported as JSON.
    LabelStudio,
    /// CVAT for images 1.1.
    Cvat,
}

impl ImportFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Jsonl, Self::Coco, Self::SagemakerManifest, Self::LabelStudio, Self::Cvat];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Coco => "coco",
            Self::SagemakerManifest => "sagemaker_manifest",
            Self::LabelStudio => "label_studio",
            Self::Cvat => "cvat",
        }
    }
}

/// What the labels become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportAs {
    /// Accepted results: people have made them, and no job touches their items.
    Accepted,
    /// Drafts, which wait for a review.
    Draft,
}

impl ImportAs {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Accepted, Self::Draft];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Draft => "draft",
        }
    }
}

/// What became of the items of the file. Each is one of the other three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportCounts, example = json!({"items": 1000, "results": 990, "skipped": 7, "refused": 3}))]
pub struct Counts {
    /// Items of which the file was read so far.
    pub items: u64,
    /// Items that have a result by this import.
    pub results: u64,
    /// Items that had a result already. It stays as it is.
    pub skipped: u64,
    /// Items that were not taken: see `reasons`.
    pub refused: u64,
}

/// Why an item of the file was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportReason)]
#[schema(example = json!({"line": 12, "path": null, "name": "street/1.jpg", "code": "unknown_item", "message": "The project has no such item."}))]
pub struct Untaken {
    /// The line in the file, from 1; of formats that have lines.
    #[schema(required)]
    pub line: Option<u64>,
    /// The path in the file, of the other formats.
    #[schema(required)]
    pub path: Option<String>,
    /// The item's key, or the name of its file; empty if the file does not give it.
    pub name: String,
    /// Why, for programs.
    pub code: ReasonCode,
    /// Why, in a sentence.
    pub message: String,
}

impl Untaken {
    /// At a position in the file.
    #[must_use]
    pub fn at(position: Position, name: &str, reason: Reason) -> Self {
        let name = name.chars().take(limits::NAME_CHARS).collect();
        let (line, path) = match position {
            Position::Line(line) => (Some(line), None),
            Position::Path(path) => (None, Some(path)),
        };
        let Reason { code, message } = reason;
        Self { line, path, name, code, message }
    }
}

/// How far the work on an import has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The folder of the segments, once the whole file was read: a worker that was too slow has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Segments that were read from the file.
    pub segments: u32,
    /// Segments whose labels are written.
    pub applied: u32,
}

/// An import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// Its identifier.
    pub uid: ImportUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// The project whose items get the labels.
    pub project: ProjectUid,
    /// What the file is.
    pub format: ImportFormat,
    /// What the labels become.
    #[serde(rename = "as")]
    pub becomes: ImportAs,
    /// Labels that the project does not have are added to it.
    pub add_labels: bool,
    /// The file, if it is not uploaded: `s3://bucket/key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Name of the API key that created it: who has made the labels, for this system.
    pub created_by: String,
    /// Where it is in its life.
    pub status: ImportStatus,
    /// What became of the items.
    pub counts: Counts,
    /// The first reasons.
    pub reasons: Vec<Untaken>,
    /// How far the work has come.
    pub work: Work,
    /// Of a failed one: why, in a sentence.
    pub error_message: Option<String>,
    /// When it was created. Its results have this time.
    pub created_at: Timestamp,
    /// When its file was first read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its row and its objects are removed after this time.
    pub valid_until: Timestamp,
}

impl Import {
    /// The object's key of its uploaded file. It names the tenant, so that the event of the upload does.
    #[must_use]
    pub fn upload_key(&self) -> String {
        format!("{UPLOADS}{}/{}/{}", self.organization, self.project, self.uid)
    }

    /// The object's key of its report.
    #[must_use]
    pub fn report_key(&self) -> String {
        format!("imports/reports/{}.jsonl", self.uid)
    }

    /// The object's key of a segment, from 0, in the folder of a worker.
    #[must_use]
    pub fn segment_key(&self, folder: &str, number: u32) -> String {
        format!("imports/steps/{}/{folder}/segment-{number}", self.uid)
    }

    /// The object's key of the reasons of a segment.
    #[must_use]
    pub fn reasons_key(&self, number: u32) -> String {
        format!("imports/steps/{}/reasons-{number}", self.uid)
    }

    /// The segment whose labels are to be written next.
    #[must_use]
    pub fn next_segment(&self) -> Option<u32> {
        (self.work.applied < self.work.segments).then_some(self.work.applied)
    }

    /// # Errors
    /// `NotFound` if it has expired.
    pub fn shown(self, now: Timestamp) -> Result<Self, Error> {
        if now < self.valid_until { Ok(self) } else { Err(self.uid.missing()) }
    }

    /// Adds the outcome of a segment's items.
    pub fn count(&mut self, counts: Counts, untaken: &[Untaken], now: Timestamp) {
        self.counts.items += counts.items;
        self.counts.results += counts.results;
        self.counts.skipped += counts.skipped;
        self.counts.refused += counts.refused;
        let room = limits::IMPORT_REASONS.saturating_sub(self.reasons.len());
        self.reasons.extend(untaken.iter().take(room).cloned());
        self.work.applied += 1;
        self.updated_at = change_time(self.updated_at, now);
    }

    /// At its end: all labels are written.
    #[must_use]
    pub fn imported(self, now: Timestamp) -> Self {
        self.ended(ImportStatus::Imported, now)
    }

    /// At its end, for a reason: a sentence for its owner.
    #[must_use]
    pub fn failed(self, why: &str, now: Timestamp) -> Self {
        Self { error_message: Some(why.to_owned()), ..self.ended(ImportStatus::Failed, now) }
    }

    fn ended(self, status: ImportStatus, now: Timestamp) -> Self {
        let updated_at = change_time(self.updated_at, now);
        Self { status, completed_at: Some(now), updated_at, ..self }
    }
}

/// What the keys of uploaded files begin with (infra, `adopt.ts`).
const UPLOADS: &str = "imports/uploads/";

/// The import whose file has this key in the bucket; `None`: it is no such file.
#[must_use]
pub fn of_upload_key(key: &str) -> Option<(OrganizationUid, ProjectUid, ImportUid)> {
    let mut parts = key.strip_prefix(UPLOADS)?.split('/');
    let uids = (
        OrganizationUid::parse(parts.next()?).ok()?,
        ProjectUid::parse(parts.next()?).ok()?,
        ImportUid::parse(parts.next()?).ok()?,
    );
    parts.next().is_none().then_some(uids)
}

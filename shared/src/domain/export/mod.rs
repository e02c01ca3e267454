//! Exports: the labels of projects as files that other tools read (decision 0043).

mod classes;
mod coco;
mod cvat;
pub mod format;
mod jsonl;
mod label_studio;
pub mod request;
mod sagemaker_manifest;
pub mod selection;
#[cfg(test)]
mod tests;
mod ultralytics_ndjson;
pub mod work;
pub mod yolo;
mod zip;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{ExportUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::{Error, Timestamp, change_time, limits};
use selection::{SelectedStatus, Shares};

pub use format::{ExportFormat, ExportTask};

/// Where an export is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportStatus {
    /// No item was read yet.
    Pending,
    /// Its files are being written.
    Processing,
    /// Its files can be downloaded.
    Exported,
    /// It has no files, and `error_message` says why.
    Failed,
}

impl ExportStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Exported, Self::Failed];

    /// Whether it has not ended.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Processing)
    }

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Exported => "exported",
            Self::Failed => "failed",
        }
    }
}

/// A project of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSource {
    /// The project.
    pub project: ProjectUid,
    /// Of several projects: what comes before the keys of its items, and a slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

impl ExportSource {
    /// The name of an item in the files.
    #[must_use]
    pub fn name_of(&self, key: &str) -> String {
        self.prefix.as_ref().map_or_else(|| key.to_owned(), |prefix| format!("{prefix}/{key}"))
    }
}

/// What an export has, and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportOptions {
    /// What its file is.
    pub format: ExportFormat,
    /// Items of these statuses.
    pub statuses: Vec<SelectedStatus>,
    /// Annotations with one of these labels; empty: with any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Annotations with at least this confidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confidence: Option<f64>,
    /// Items whose result this job has drafted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobUid>,
    /// How the items are divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Shares>,
    /// Of a format for Ultralytics: what a model is trained for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<ExportTask>,
    /// Whether the pictures are copied into the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_images: bool,
}

impl ExportOptions {
    /// What a model is trained for.
    #[must_use]
    pub fn task(&self) -> ExportTask {
        self.task.unwrap_or_default()
    }
}

/// What the format cannot hold, of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"type": "bounding_box_3d", "count": 12, "reason": "COCO has no cuboids."}))]
pub struct LeftOut {
    /// The type of the annotations, or `item`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many there are.
    pub count: u64,
    /// A sentence.
    pub reason: String,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The digest of its bytes, hexadecimal.
    pub sha256: String,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Its identifier.
    pub uid: ExportUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its projects, at least one.
    pub sources: Vec<ExportSource>,
    /// The labels of its projects in their order: the classes of formats that number them. More may come from the annotations.
    pub classes: Vec<String>,
    /// What it has, and how it is written.
    pub options: ExportOptions,
    /// Where it is in its life.
    pub status: ExportStatus,
    /// Deleted: it is shown to no caller, and its objects are being removed.
    #[serde(default)]
    pub deleted: bool,
    /// Items that it is about; 0 before they are counted.
    pub total: u64,
    /// Items that are done, written or left out.
    pub done: u64,
    /// What the format cannot hold.
    pub left_out: Vec<LeftOut>,
    /// Its files; none before its end.
    pub files: Vec<ExportFile>,
    /// Of a failed one: why, in a sentence.
    pub error_message: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first item was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its files and its row are removed after this time. Stored under another name than the table's TTL, which is in seconds.
    pub valid_until: Timestamp,
}

impl Export {
    /// The folder of its objects, with the slash at its end.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("exports/{}/", self.uid)
    }

    /// The object's key of a file.
    #[must_use]
    pub fn object_key(&self, name: &str) -> String {
        format!("{}{name}", self.folder())
    }

    /// The project, if there is one alone.
    #[must_use]
    pub fn project(&self) -> Option<ProjectUid> {
        match self.sources.as_slice() {
            [source] => Some(source.project),
            _ => None,
        }
    }

    /// Whether callers of its organization are shown it.
    #[must_use]
    pub fn is_shown(&self, now: Timestamp) -> bool {
        !self.deleted && now < self.valid_until
    }

    /// # Errors
    /// `NotFound` if it was deleted or has expired.
    pub fn shown(self, now: Timestamp) -> Result<Self, Error> {
        if self.is_shown(now) { Ok(self) } else { Err(self.uid.missing()) }
    }

    /// At its end, with its file.
    #[must_use]
    pub fn exported(self, file: ExportFile, now: Timestamp) -> Self {
        let total = self.done; // items may have come while it ran
        Self { files: vec![file], total, ..self.ended(ExportStatus::Exported, now) }
    }

    /// At its end, without a file; `why` is a sentence for its owner.
    #[must_use]
    pub fn failed(self, why: &str, now: Timestamp) -> Self {
        Self { error_message: Some(why.to_owned()), ..self.ended(ExportStatus::Failed, now) }
    }

    /// # Errors
    /// `TooMany`: with this one, the organization would have too many exports that have not ended. `latest`: its latest ones. This one
    /// may be among them, if the call that creates it is repeated.
    pub fn fits(&self, latest: &[Self]) -> Result<(), Error> {
        let open = latest.iter().filter(|export| export.status.is_open() && export.uid != self.uid).count();
        if open < limits::EXPORTS_OPEN {
            return Ok(());
        }
        let most = limits::EXPORTS_OPEN;
        Err(Error::TooMany(format!(
            "An organization may have at most {most} exports that have not ended. Wait for one, or delete it."
        )))
    }

    fn ended(self, status: ExportStatus, now: Timestamp) -> Self {
        let updated_at = change_time(self.updated_at, now);
        Self { status, completed_at: Some(now), updated_at, ..self }
    }
}

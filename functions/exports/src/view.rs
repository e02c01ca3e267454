use serde::Serialize;
use shared::domain::Timestamp;
use shared::domain::export::selection::{SelectedStatus, Shares};
use shared::domain::export::{Export, ExportFile, ExportFormat, ExportStatus, ExportTask, LeftOut};
use shared::domain::id::{ExportUid, JobUid, OrganizationUid, ProjectUid};
use utoipa::ToSchema;

/// A file of an export.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ExportFile)]
#[schema(example = json!({
    "name": "instances.json", "bytes": 18214, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "url": "https://files.example.com/exports/instances.json?signature",
}))]
pub(crate) struct FileView {
    name: String,
    bytes: u64,
    /// The digest of its bytes, hexadecimal.
    sha256: String,
    /// Signed for this response. It works for an hour.
    url: String,
}

impl FileView {
    pub(crate) fn of(file: ExportFile, url: String) -> Self {
        Self { name: file.name, bytes: file.bytes, sha256: file.sha256, url }
    }
}

/// An export (contract, 11.5).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Export)]
#[schema(example = json!({
    "name": "", "status": "exported", "format": "coco", "slices": [], "filter_query_string": "", "statuses": ["accepted"], "labels": [],
    "min_confidence": null, "job": null, "split": null, "task": null, "include_images": false,
    "total_task_count": 9, "exported_task_count": 9,
    "left_out": [{"type": "bounding_box_3d", "count": 12, "reason": "COCO has no cuboids."}],
    "download_url": "https://files.example.com/exports/instances.json?signature", "error_message": null,
    "created_at": "2026-11-30T10:00:00.000Z", "started_at": "2026-11-30T10:00:01.000Z", "completed_at": "2026-11-30T10:00:04.000Z",
    "updated_at": "2026-11-30T10:00:04.000Z", "expires_at": "2026-12-07T10:00:00.000Z",
}))]
pub(crate) struct ExportView {
    uid: ExportUid,
    /// Empty if none was given.
    name: String,
    status: ExportStatus,
    format: ExportFormat,
    organization: OrganizationUid,
    /// Its project; `null` if it has several.
    #[schema(required)]
    project: Option<ProjectUid>,
    projects: Vec<ProjectUid>,
    /// The same uids: a dataset has the uid of its project.
    datasets: Vec<ProjectUid>,
    /// Always empty.
    #[schema(value_type = Vec<String>)]
    slices: [&'static str; 0],
    /// Always empty.
    filter_query_string: &'static str,
    /// Items that have one of these.
    statuses: Vec<SelectedStatus>,
    /// Annotations with one of these labels; empty: with any.
    labels: Vec<String>,
    /// Annotations with at least this confidence.
    #[schema(required)]
    min_confidence: Option<f64>,
    /// Items whose result this job has drafted.
    #[schema(required)]
    job: Option<JobUid>,
    #[schema(required)]
    split: Option<Shares>,
    /// Of a format for Ultralytics; `null` of others.
    #[schema(required)]
    task: Option<ExportTask>,
    /// Whether the pictures are copied into the file.
    include_images: bool,
    /// Items that it is about, those that are left out included; 0 until they are counted.
    total_task_count: u64,
    /// Items that are done, written or left out.
    exported_task_count: u64,
    /// What the format cannot hold, with exact counts.
    left_out: Vec<LeftOut>,
    /// None before the end.
    files: Vec<FileView>,
    /// The URL of its file, signed for this response; `null` before the end. It works for an hour.
    #[schema(required)]
    download_url: Option<String>,
    /// Of a failed export: why, in a sentence.
    #[schema(required)]
    error_message: Option<String>,
    created_at: Timestamp,
    /// Each row is as it was at one moment between here and `completed_at`.
    #[schema(required)]
    started_at: Option<Timestamp>,
    #[schema(required)]
    completed_at: Option<Timestamp>,
    updated_at: Timestamp,
    /// Then the export and its files are removed.
    expires_at: Timestamp,
}

impl ExportView {
    pub(crate) fn of(export: Export, files: Vec<FileView>) -> Self {
        let projects: Vec<ProjectUid> = export.sources.iter().map(|source| source.project).collect();
        let options = export.options.clone();
        let task = options.format.has_task().then(|| options.task());
        Self {
            uid: export.uid,
            status: export.status,
            format: options.format,
            organization: export.organization,
            project: export.project(),
            name: export.name.unwrap_or_default(),
            datasets: projects.clone(),
            projects,
            slices: [],
            filter_query_string: "",
            statuses: options.statuses,
            labels: options.labels,
            min_confidence: options.min_confidence,
            job: options.job,
            split: options.split,
            task,
            include_images: options.include_images,
            total_task_count: export.total,
            exported_task_count: export.done,
            left_out: export.left_out,
            download_url: files.first().map(|file| file.url.clone()),
            files,
            error_message: export.error_message,
            created_at: export.created_at,
            started_at: export.started_at,
            completed_at: export.completed_at,
            updated_at: export.updated_at,
            expires_at: export.valid_until,
        }
    }
}

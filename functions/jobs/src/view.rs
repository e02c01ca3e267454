use serde::Serialize;
use shared::domain::Timestamp;
use shared::domain::id::{JobUid, ProjectUid, ProviderUid};
use shared::domain::job::summary::Summary;
use shared::domain::job::{Job, Trigger};
use shared::domain::job_status::JobStatus;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::provider::ServedBy;
use utoipa::ToSchema;

/// A job (contract, 6.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
#[schema(example = json!({
    "status": "completed", "model_type": "yolo", "confidence_threshold": 0.35, "labels": ["person", "cat"], "dry_run": false,
    "total_items": 9, "processed_items": 9, "successful_items": 6, "failed_items": 1, "skipped_items": 2, "progress_pct": 100.0,
    "error_message": "1 of 9 items failed. The first one, \"street/1.jpg\": The file was not uploaded yet.", "note": null, "provider": null, "retry_of": null,
    "created_at": "2026-11-30T10:00:00.000Z", "started_at": "2026-11-30T10:00:01.000Z", "completed_at": "2026-11-30T10:00:04.000Z",
}))]
pub struct JobView {
    uid: JobUid,
    status: JobStatus,
    /// As requested. If none was: `yolo` on the deployment's own endpoint, `null` on a provider.
    #[schema(required)]
    model_type: Option<ModelType>,
    #[schema(minimum = 0.0, maximum = 1.0)]
    confidence_threshold: f64,
    /// For these labels, instead of `confidence_threshold`.
    label_thresholds: Vec<LabelThreshold>,
    /// Empty: all labels of the project.
    labels: Vec<String>,
    dry_run: bool,
    /// 0 until the items are selected.
    total_items: u32,
    /// The sum of the next three.
    processed_items: u32,
    /// Items with at least one prediction at or above the threshold.
    successful_items: u32,
    /// Items for which the model gave no answer, or one that cannot be read.
    failed_items: u32,
    /// Items without such a prediction, or that a person labeled meanwhile.
    skipped_items: u32,
    #[schema(minimum = 0.0, maximum = 100.0)]
    progress_pct: f64,
    /// Of a failed job: why, in a sentence. Of a completed job with failed items: how many, and why the first.
    #[schema(required)]
    error_message: Option<String>,
    /// `null` until the end.
    #[schema(required)]
    summary: Option<Summary>,
    /// Of a job that had nothing to do, or that left no drafts: why, and what to do about it. The summary has it too.
    #[schema(required)]
    note: Option<String>,
    #[schema(required)]
    started_at: Option<Timestamp>,
    #[schema(required)]
    completed_at: Option<Timestamp>,
    created_at: Timestamp,
    project: ProjectUid,
    /// `null`: the deployment's own endpoint.
    #[schema(required)]
    provider: Option<ProviderUid>,
    /// The model that the job runs on, by its name when the job was created; `null` of jobs from before 2026-11-30.
    #[schema(required)]
    served_by: Option<ServedBy>,
    /// The job whose failed and unprocessed items it takes; `null`: it takes all unlabeled ones.
    #[schema(required)]
    retry_of: Option<JobUid>,
    /// Who caused it: a call, or uploads to its project. Of the latter it takes those that no such job has taken before.
    trigger: Trigger,
}

/// The threshold of a label. The label is a value: the TypeScript client renames keys (contract, 1.4).
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"label": "person", "threshold": 0.7}))]
pub(crate) struct LabelThreshold {
    label: String,
    #[schema(minimum = 0.0, maximum = 1.0)]
    threshold: f64,
}

impl JobView {
    /// A job on the wire.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let Job { spec, state } = job;
        let options = &spec.options;
        Self {
            uid: spec.uid,
            status: state.status,
            model_type: options.model_type,
            confidence_threshold: options.confidence_threshold,
            label_thresholds: options
                .label_thresholds
                .iter()
                .map(|(label, threshold)| LabelThreshold { label: label.clone(), threshold: *threshold })
                .collect(),
            labels: options.labels.clone(),
            dry_run: spec.dry_run,
            total_items: state.counters.total,
            processed_items: state.counters.processed(),
            successful_items: state.counters.successful,
            failed_items: state.counters.failed,
            skipped_items: state.counters.skipped,
            progress_pct: state.counters.progress_pct(state.started_at.is_some()),
            error_message: state.error_message.clone(),
            note: state.summary.as_ref().and_then(|summary| summary.note.clone()),
            summary: state.summary.clone(),
            started_at: state.started_at,
            completed_at: state.completed_at,
            created_at: spec.created_at,
            project: spec.project,
            provider: spec.provider,
            served_by: spec.served_by.clone(),
            retry_of: spec.retry_of,
            trigger: spec.trigger(),
        }
    }
}

use serde::Serialize;
use shared::domain::Timestamp;
use shared::domain::id::{JobUid, ProjectUid, ProviderUid};
use shared::domain::job::{Job, JobStatus, ModelType};
use shared::domain::summary::Summary;

/// The job object (contract, 6.1).
#[derive(Debug, Serialize)]
pub struct JobView {
    uid: JobUid,
    status: JobStatus,
    model_type: Option<ModelType>,
    confidence_threshold: f64,
    labels: Vec<String>,
    dry_run: bool,
    total_items: u32,
    processed_items: u32,
    successful_items: u32,
    failed_items: u32,
    skipped_items: u32,
    progress_pct: f64,
    error_message: Option<String>,
    summary: Option<Summary>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    created_at: Timestamp,
    project: ProjectUid,
    provider: Option<ProviderUid>,
}

impl JobView {
    /// A job on the wire.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let Job { spec, state } = job;
        Self {
            uid: spec.uid,
            status: state.status,
            model_type: spec.model_type,
            confidence_threshold: spec.confidence_threshold,
            labels: spec.labels.clone(),
            dry_run: spec.dry_run,
            total_items: state.counters.total,
            processed_items: state.counters.processed(),
            successful_items: state.counters.successful,
            failed_items: state.counters.failed,
            skipped_items: state.counters.skipped,
            progress_pct: state.counters.progress_pct(state.started_at.is_some()),
            error_message: state.error_message.clone(),
            summary: state.summary.clone(),
            started_at: state.started_at,
            completed_at: state.completed_at,
            created_at: spec.created_at,
            project: spec.project,
            provider: spec.provider,
        }
    }
}

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, JobUid, ProjectUid, ProviderUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::item::result::{DraftFilter, ResultSource, ResultStatus};
use shared::domain::prediction::Prediction;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::prediction::size::Size;
use shared::domain::project::ANNOTATIONS;
use shared::domain::reply::Annotations;
use shared::domain::{Error, Timestamp, limits, reply};
use shared::http::etag;
use utoipa::ToSchema;

/// The longest cursor of ours, with the longest label.
const CURSOR_CHARS: usize = 8 * 1024;

/// A result on the wire (contract, 11.4).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Result)]
pub(crate) struct ResultView {
    uid: ResultUid,
    project: ProjectUid,
    item: ItemUid,
    /// One task per item, so it has the item's uid.
    task: ItemUid,
    /// The job that drafted it.
    #[schema(required)]
    job: Option<JobUid>,
    /// The provider that the job asked; `null`: the deployment's own endpoint.
    #[schema(required)]
    provider: Option<ProviderUid>,
    /// As the job was asked.
    #[schema(required)]
    model_type: Option<ModelType>,
    /// As the job was asked.
    #[schema(required)]
    confidence_threshold: Option<f64>,
    status: ResultStatus,
    source: ResultSource,
    /// The bot user, or a person.
    created_by: String,
    /// Name of the API key that accepted, corrected or rejected it, last.
    #[schema(required)]
    reviewed_by: Option<String>,
    /// Each with its confidence.
    annotations: Vec<Prediction>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// What this call has changed of the annotations that it was sent, a sentence for each. Absent: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// Goes into the `ETag`.
    #[serde(skip)]
    revision: u32,
}

impl ResultView {
    /// `None` for an item without a result.
    pub(crate) fn of(item: Item) -> Option<Self> {
        let result = item.result?;
        let lineage = result.lineage.as_ref();
        Some(Self {
            uid: result.uid(item.asset.uid),
            project: item.project,
            item: item.asset.uid,
            task: item.asset.uid,
            job: lineage.map(|l| l.job),
            provider: lineage.and_then(|l| l.provider),
            model_type: lineage.and_then(|l| l.model_type),
            confidence_threshold: lineage.map(|l| l.confidence_threshold),
            status: result.status,
            source: result.source,
            created_by: result.created_by,
            reviewed_by: result.reviewed_by,
            annotations: result.annotations,
            created_at: result.created_at,
            updated_at: result.updated_at,
            notes: Vec::new(),
            revision: result.revision,
        })
    }

    /// The answer to a call that has changed what it was sent.
    pub(crate) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }
}

impl IntoResponse for ResultView {
    fn into_response(self) -> Response {
        (etag(self.revision), Json(self)).into_response()
    }
}

/// Annotations that a person says are right.
#[derive(ToSchema)]
pub(crate) struct Correction {
    /// In the prediction format; a `confidence` that is not given is 1. An empty list is an answer too: nothing is there.
    #[schema(max_items = 10000)]
    pub(crate) annotations: Vec<Prediction>,
    /// What was changed of them.
    #[schema(ignore)]
    pub(crate) notes: Vec<String>,
}

impl Correction {
    /// Reads a request about an item of this size.
    pub(crate) fn read(body: &[u8], size: Option<Size>) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let parts = fields.required(ANNOTATIONS, fields::list(limits::PREDICTIONS)).unwrap_or_default();
        fields.finish()?;
        let Annotations { list, notes } = reply::annotations(ANNOTATIONS, parts, size).map_err(Error::Validation)?;
        Ok(Self { annotations: list, notes })
    }
}

/// Which drafts of a project are reviewed at once; what is not given narrows nothing.
#[derive(ToSchema)]
pub(crate) struct DraftsToReview {
    /// Drafts of this job.
    job: Option<JobUid>,
    /// Drafts with an annotation of this label, letter by letter.
    #[schema(min_length = 1, max_length = 255)]
    label: Option<String>,
    /// Drafts whose every annotation has at least this confidence; with a `label`, whose every annotation of that label has.
    #[schema(minimum = 0.0, maximum = 1.0)]
    min_confidence: Option<f64>,
    /// Goes on where the call that answered it ended, with what that one was narrowed to; fields beside it override that.
    pub(crate) cursor: Option<String>,
}

impl DraftsToReview {
    pub(crate) fn read(fields: &mut Fields) -> Self {
        Self {
            cursor: fields.optional("cursor", fields::text(1, CURSOR_CHARS)),
            job: fields.optional("job", job),
            label: fields.optional("label", fields::text(1, limits::LABEL_CHARS)),
            min_confidence: fields.optional("min_confidence", fields::fraction),
        }
    }

    /// Which drafts. What the request does not name is as in `before`.
    pub(crate) fn filter(self, before: DraftFilter) -> DraftFilter {
        DraftFilter {
            job: self.job.or(before.job),
            label: self.label.or(before.label),
            min_confidence: self.min_confidence.or(before.min_confidence),
        }
    }
}

fn job(value: Value) -> Result<JobUid, String> {
    JobUid::parse(&fields::text(1, limits::NAME_CHARS)(value)?).map_err(|_| "Must be the uid of a job.".into())
}

/// How far a call that accepts has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedDrafts {
    /// Drafts that this call has accepted.
    pub(crate) accepted: usize,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

/// How far a call that rejects has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedDrafts {
    /// Drafts that this call has rejected.
    pub(crate) rejected: usize,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

/// How far a call has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// Results that this call has examined.
    pub(crate) examined: usize,
    /// Whether it came to the end of the project.
    pub(crate) done: bool,
    /// What another call goes on with; `null` if there is nothing left.
    #[schema(required)]
    pub(crate) cursor: Option<String>,
}

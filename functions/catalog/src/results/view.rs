use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, JobUid, ProjectUid, ProviderUid, ResultUid, SweepUid};
use shared::domain::item::Item;
use shared::domain::item::origin::{Became, Corrected, DRAFT_INDEXES, Origin, Origins};
use shared::domain::item::result::{DraftFilter, LabelResult, ResultSource, ResultStatus};
use shared::domain::prediction::Prediction;
use shared::domain::prediction::model_type::ModelType;
use shared::domain::prediction::size::Size;
use shared::domain::project::ANNOTATIONS;
use shared::domain::reply::Annotations;
use shared::domain::{Error, Timestamp, limits, reply, show};
use shared::http::etag;
use utoipa::ToSchema;

/// The longest cursor of ours, with the longest label.
pub(super) const CURSOR_CHARS: usize = 8 * 1024;

/// A result (contract, 11.4).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Result)]
#[schema(example = json!({
    "provider": null, "model_type": "yolo", "confidence_threshold": 0.35, "status": "draft", "source": "auto_label",
    "created_by": "autolabel-bot", "reviewed_by": null, "revision": 1, "annotation_count": 1, "min_confidence": 0.82,
    "max_confidence": 0.82, "origins": null, "draft_indexes": null,
}))]
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
    /// Name of the API key that accepted, corrected, rejected or reopened it, last.
    #[schema(required)]
    reviewed_by: Option<String>,
    /// Each with its confidence.
    annotations: Vec<Prediction>,
    /// What a person did with each of `annotations`, in their order. `null` of an untouched or rejected draft, and of a correction
    /// whose draft was not kept.
    #[schema(required)]
    origins: Option<Vec<Origin>>,
    /// The position of each of `annotations` in the draft, from 0; `null` of one that was added. See `origins`.
    #[schema(required)]
    draft_indexes: Option<Vec<Option<u32>>>,
    /// The number of its changes; in quotes it is the `ETag`.
    revision: u32,
    /// How many annotations there are.
    annotation_count: usize,
    /// The least confidence of an annotation; `null`: there is none.
    #[schema(required)]
    min_confidence: Option<f64>,
    /// The greatest one.
    #[schema(required)]
    max_confidence: Option<f64>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// What this call has changed of the annotations that it was sent, a sentence for each. Absent: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl ResultView {
    /// `None` for an item without a result.
    pub(crate) fn of(item: Item) -> Option<Self> {
        let result = item.result?;
        let lineage = result.lineage.as_ref();
        let (min_confidence, max_confidence) = confidences(&result);
        let (origins, draft_indexes) = origins(&result);
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
            revision: result.revision,
            annotation_count: result.annotations.len(),
            min_confidence,
            max_confidence,
            origins,
            draft_indexes,
            annotations: result.annotations,
            created_at: result.created_at,
            updated_at: result.updated_at,
            notes: Vec::new(),
        })
    }

    /// The answer to a call that has changed what it was sent.
    pub(crate) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }
}

/// The least and the greatest confidence of a result's annotations.
pub(crate) fn confidences(result: &LabelResult) -> (Option<f64>, Option<f64>) {
    let confidences = || result.annotations.iter().map(|annotation| annotation.confidence);
    (confidences().reduce(f64::min), confidences().reduce(f64::max))
}

/// The origin of each of a result's annotations, and its position in the draft.
pub(crate) fn origins(result: &LabelResult) -> (Option<Vec<Origin>>, Option<Vec<Option<u32>>>) {
    let known = result.origins();
    let origins = |Origins(all): &Origins| all.iter().copied().map(Origin::of).collect();
    let indexes = |Origins(all): &Origins| all.iter().map(|one| one.map(|drafted| drafted.index)).collect();
    (known.as_ref().map(origins), known.as_ref().map(indexes))
}

/// What a model had found in an item, beside what a person says is right.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DraftOfResult)]
pub(crate) struct DraftView {
    /// The result that was made of it.
    result: ResultUid,
    /// The job that drafted it.
    #[schema(required)]
    job: Option<JobUid>,
    annotations: Vec<DraftedView>,
}

/// An annotation of a draft.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DraftedAnnotation)]
#[schema(example = json!({"became": "moved", "is_moved": true}))]
pub(crate) struct DraftedView {
    /// As the model gave it.
    #[serde(flatten)]
    annotation: Prediction,
    /// What a person made of it; `null` of a draft that no person has judged.
    #[schema(required)]
    became: Option<Became>,
    /// It has another geometry now.
    is_moved: bool,
}

impl DraftView {
    /// `None` of a result without a draft, or whose draft was not kept.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        let result = item.result.as_ref()?;
        let drafted = result.drafted()?;
        let became = result.became();
        let view = |(index, annotation): (usize, &Prediction)| {
            let (became, is_moved) = became.as_ref().and_then(|became| became.get(index)).copied().unzip();
            DraftedView { annotation: annotation.clone(), became, is_moved: is_moved.unwrap_or_default() }
        };
        let annotations = drafted.iter().enumerate().map(view).collect();
        let job = result.lineage.as_ref().map(|lineage| lineage.job);
        Some(Self { result: result.uid(item.asset.uid), job, annotations })
    }
}

impl IntoResponse for ResultView {
    fn into_response(self) -> Response {
        (etag(self.revision), Json(self)).into_response()
    }
}

/// Annotations that a person says are right.
#[derive(ToSchema)]
#[schema(example = json!({"annotations": [
    {"type": "bounding_box", "label": "person", "confidence": 1.0, "coordinates": {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0}},
]}))]
pub(crate) struct Correction {
    /// In the prediction format; a `confidence` that is not given is 1. An empty list is an answer too: nothing is there.
    #[schema(max_items = 10000)]
    pub(crate) annotations: Vec<Prediction>,
    /// The position of each in the draft, from 0, or `null` of one that the draft does not have. Without it they are matched: equal
    /// ones, then those of one label that overlap.
    #[schema(max_items = 10000)]
    draft_indexes: Option<Vec<Option<u32>>>,
    /// What was changed of them.
    #[schema(ignore)]
    pub(crate) notes: Vec<String>,
}

impl Correction {
    /// Reads a request about an item of this size.
    pub(crate) fn read(body: &[u8], size: Option<Size>) -> Result<Self, Error> {
        let mut fields = Fields::of_body_within(body, limits::CORRECTION_MEMORY)?;
        let parts = fields.required(ANNOTATIONS, fields::list(limits::PREDICTIONS)).unwrap_or_default();
        let indexes = fields.optional(DRAFT_INDEXES, fields::list(limits::PREDICTIONS));
        let draft_indexes =
            indexes.and_then(|indexes| draft_indexes(&indexes).map_err(|error| fields.absorb(Err(error))).ok());
        fields.finish()?;
        let Annotations { list, notes } = reply::annotations(ANNOTATIONS, parts, size).map_err(Error::Validation)?;
        Ok(Self { annotations: list, draft_indexes, notes })
    }

    /// What the person says, and what was changed of it.
    pub(crate) fn into_parts(self) -> (Corrected, Vec<String>) {
        let Self { annotations, draft_indexes, notes } = self;
        (Corrected { annotations, draft_indexes }, notes)
    }
}

/// Positions in a draft.
///
/// # Errors
/// `Validation`: the first that is none.
fn draft_indexes(indexes: &[Value]) -> Result<Vec<Option<u32>>, Error> {
    let index = |(position, value): (usize, &Value)| {
        let index = fields::whole_number(value).and_then(|index| u32::try_from(index).ok());
        let complaint = || {
            let sentence = fields::must_be("a whole number from 0, or null", show::value(value));
            Error::field(format!("{DRAFT_INDEXES}[{position}]"), sentence)
        };
        if value.is_null() { Ok(None) } else { index.map(Some).ok_or_else(complaint) }
    };
    indexes.iter().enumerate().map(index).collect()
}

/// Which drafts of a project are reviewed at once. A field that is not given narrows nothing.
#[derive(ToSchema)]
#[schema(example = json!({"label": "person", "min_confidence": 0.8}))]
pub(crate) struct DraftsToReview {
    /// Drafts of this job.
    job: Option<JobUid>,
    /// Drafts with an annotation of this label, letter by letter.
    #[schema(min_length = 1, max_length = 255)]
    label: Option<String>,
    /// Drafts whose every annotation has at least this confidence; with a `label`, whose every annotation of that label has.
    #[schema(minimum = 0.0, maximum = 1.0)]
    min_confidence: Option<f64>,
    /// The `cursor` of the answer before. It has the fields of that call; fields that are sent beside it count instead.
    pub(crate) cursor: Option<String>,
    /// Drafts whose every annotation has at most this confidence; with a `label`, whose every annotation of that label has.
    #[schema(minimum = 0.0, maximum = 1.0)]
    max_confidence: Option<f64>,
    /// Changes nothing: the answer's `matching` counts the drafts.
    #[schema(value_type = Option<bool>, default = false)]
    pub(crate) count_only: Option<bool>,
}

impl DraftsToReview {
    pub(crate) fn read(fields: &mut Fields) -> Self {
        Self {
            cursor: fields.optional("cursor", fields::text(1, CURSOR_CHARS)),
            job: fields.optional("job", job),
            label: fields.optional("label", fields::text(1, limits::LABEL_CHARS)),
            min_confidence: fields.optional("min_confidence", fields::fraction),
            max_confidence: fields.optional("max_confidence", fields::fraction),
            count_only: fields.optional("count_only", fields::boolean),
        }
    }

    /// Which drafts. What the request does not name is as in `before`.
    pub(crate) fn filter(self, before: DraftFilter) -> DraftFilter {
        DraftFilter {
            job: self.job.or(before.job),
            label: self.label.or(before.label),
            min_confidence: self.min_confidence.or(before.min_confidence),
            max_confidence: self.max_confidence.or(before.max_confidence),
        }
    }
}

pub(super) fn job(value: Value) -> Result<JobUid, String> {
    let text = fields::text(1, limits::NAME_CHARS)(value)?;
    JobUid::parse(&text).map_err(|_| fields::must_be("the uid of a job", show::quoted(&text)))
}

/// The sweep that is undone.
#[derive(ToSchema)]
#[schema(example = json!({"sweep": "01a20112-07ab-7087-87b3-017f990cb1ef"}))]
pub(crate) struct SweepToUndo {
    /// As its calls answered it; without a `cursor` it is required.
    sweep: Option<SweepUid>,
    /// Goes on where the call that answered it ended.
    pub(crate) cursor: Option<String>,
}

impl SweepToUndo {
    pub(crate) fn read(fields: &mut Fields) -> Self {
        let cursor = fields.optional("cursor", fields::text(1, CURSOR_CHARS));
        let sweep = if cursor.is_some() { fields.optional("sweep", sweep) } else { fields.required("sweep", sweep) };
        Self { sweep, cursor }
    }

    /// Which sweep. What the request does not name is as in `before`.
    pub(crate) fn uid(&self, before: SweepUid) -> SweepUid {
        self.sweep.unwrap_or(before)
    }
}

fn sweep(value: Value) -> Result<SweepUid, String> {
    SweepUid::parse(&fields::text(1, limits::NAME_CHARS)(value)?).map_err(|_| "Must be the uid of a sweep.".into())
}

/// How far a call that undoes a sweep has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReopenedDrafts {
    /// Results that this call has reopened.
    pub(crate) reopened: usize,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

/// How far a call that accepts has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"accepted": 6}))]
pub(crate) struct AcceptedDrafts {
    /// Drafts that this call has accepted.
    pub(crate) accepted: usize,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

/// How far a call that rejects has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"rejected": 2}))]
pub(crate) struct RejectedDrafts {
    /// Drafts that this call has rejected.
    pub(crate) rejected: usize,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

/// How far a call has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"examined": 9, "done": true, "cursor": null}))]
pub(crate) struct Progress {
    /// The sweep, the same in all of its calls: what undoes it names it.
    pub(crate) sweep: SweepUid,
    /// With `count_only`: drafts that match, of those that this call has examined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) matching: Option<usize>,
    /// Results that this call has examined.
    pub(crate) examined: usize,
    /// Whether it came to the end of the project.
    pub(crate) done: bool,
    /// What another call goes on with; `null` if there is nothing left.
    #[schema(required)]
    pub(crate) cursor: Option<String>,
}

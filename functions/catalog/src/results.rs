use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, JobUid, ProjectUid, ProviderUid, ResultUid};
use shared::domain::item::{Item, Size};
use shared::domain::job::ModelType;
use shared::domain::key::Scope;
use shared::domain::prediction::Prediction;
use shared::domain::result::{LabelResult, ResultSource, ResultStatus, Verdict};
use shared::domain::{Error, Timestamp, decode, limits};
use shared::http::{Body, Caller, IfMatch, ListRequest, PageView, Path, etag, respond};
use shared::ports::{Clock, Items, Objects, Page, Projects, Results};

use crate::App;
use crate::projects::{READ, WRITE};

/// Tries to write over what was read. Two people seldom review one result at once, three hardly ever.
const TRIES: usize = 2;

/// A result on the wire (contract, 11.4).
#[derive(Debug, Serialize)]
pub(crate) struct ResultView {
    uid: ResultUid,
    project: ProjectUid,
    item: ItemUid,
    /// One task per item, so it has the item's uid.
    task: ItemUid,
    job: Option<JobUid>,
    provider: Option<ProviderUid>,
    model_type: Option<ModelType>,
    confidence_threshold: Option<f64>,
    status: ResultStatus,
    source: ResultSource,
    created_by: String,
    reviewed_by: Option<String>,
    annotations: Vec<Prediction>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Goes into the `ETag`.
    #[serde(skip)]
    revision: u32,
}

impl ResultView {
    /// `None` for an item without a result.
    fn of(item: Item) -> Option<Self> {
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
            revision: result.revision,
        })
    }
}

impl IntoResponse for ResultView {
    fn into_response(self) -> Response {
        (etag(self.revision), Json(self)).into_response()
    }
}

/// `GET /projects/{uid}/results/?status=&item=&job=`. A page may be short and still not be the last: filters are applied
/// while walking the project's items.
pub(crate) async fn list<S: Projects + Items + Results, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Response {
    respond(app.list_results(&caller, &project, &request).await.map(Json))
}

/// `GET /results/{uid}/`. A rejected result is found here, and in no list.
pub(crate) async fn get<S: Results, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.result(&caller, READ, &uid).await.map(ResultView::of).and_then(|view| view.ok_or(Error::NotFound)))
}

/// `PATCH /results/{uid}/` with `{"annotations": [...]}`: these are right, and the result counts as accepted.
pub(crate) async fn correct<S: Results, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Response {
    respond(app.review(&caller, &uid, &if_match, |item| correction(&body, item.asset.size)).await)
}

/// `POST /results/{uid}/accept/`. Again is fine.
pub(crate) async fn accept<S: Results, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
) -> Response {
    respond(app.review(&caller, &uid, &if_match, |_| Ok(Verdict::Accept)).await)
}

/// `POST /results/{uid}/reject/`, of an accepted result as well: a person may change her mind. The item is unlabeled again.
/// Again is fine.
pub(crate) async fn reject<S: Results, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
) -> Response {
    respond(app.review(&caller, &uid, &if_match, |_| Ok(Verdict::Reject)).await)
}

/// What a person says is right. An empty list is an answer too: nothing is there.
fn correction(body: &[u8], size: Option<Size>) -> Result<Verdict, Error> {
    let mut fields = Fields::of_body(body)?;
    let parts = fields.required("annotations", fields::list(limits::PREDICTIONS)).unwrap_or_default();
    fields.finish()?;
    decode::annotations("annotations", parts, size).map(Verdict::Correct).map_err(Error::Validation)
}

impl<S: Projects + Items, O: Objects, C: Clock> App<S, O, C> {
    async fn list_results(
        &self,
        caller: &Caller,
        project: &str,
        request: &ListRequest,
    ) -> Result<PageView<ResultView>, Error>
    where
        S: Results,
    {
        let project = self.project(caller, READ, project).await?;
        let paging = request.paging(&["status", "item", "job"])?;
        let status = match paging.filter("status") {
            Some(name) => Some(
                serde_json::from_value(name.into())
                    .map_err(|_| Error::field("status", "Must be one of draft, accepted, rejected."))?,
            ),
            None => None,
        };
        let job = match paging.filter("job").map(JobUid::parse) {
            Some(Err(_)) => return Ok(paging.empty()),
            Some(Ok(uid)) => Some(uid),
            None => None,
        };
        let keep = |result: &LabelResult| {
            status.is_none_or(|status: ResultStatus| result.status == status)
                && (job.is_none() || result.lineage.as_ref().map(|l| l.job) == job)
        };
        let page = match paging.filter("item").map(ItemUid::parse) {
            Some(Err(_)) => return Ok(paging.empty()),
            Some(Ok(uid)) => {
                let mut entries = self.store.items(&[uid]).await?;
                entries.retain(|item| item.project == project.uid && item.result.as_ref().is_some_and(keep));
                Page { entries, next: None }
            }
            None => self.store.results(project.uid, keep, &paging.slice()).await?,
        };
        let entries = page.entries.into_iter().filter_map(ResultView::of).collect();
        Ok(paging.view(Page { entries, next: page.next }, |view| view))
    }
}

impl<S: Results, O: Objects, C: Clock> App<S, O, C> {
    /// The item with the result of this uid.
    async fn result(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Item, Error> {
        caller.needs(scopes)?;
        let item = self.store.result(ResultUid::parse(uid)?).await?;
        item.filter(|item| item.organization == caller.organization).ok_or(Error::NotFound) // I10
    }

    async fn review(
        &self,
        caller: &Caller,
        uid: &str,
        if_match: &IfMatch,
        verdict: impl Fn(&Item) -> Result<Verdict, Error>,
    ) -> Result<ResultView, Error> {
        for _ in 0..TRIES {
            let item = self.result(caller, WRITE, uid).await?;
            let before = item.result.as_ref().ok_or(Error::NotFound)?;
            if_match.check(before.revision)?;
            let reviewed = before.reviewed(verdict(&item)?, caller.name(), self.clock.now())?;
            let written = match &reviewed {
                Some(reviewed) => self.store.review(&item, reviewed).await?,
                None => true, // it says so already
            };
            if written {
                let result = reviewed.or(item.result);
                return ResultView::of(Item { result, ..item }).ok_or(Error::NotFound);
            }
        }
        Err(Error::PreconditionFailed)
    }
}

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use shared::domain::Error;
use shared::domain::Timestamp;
use shared::domain::id::{ItemUid, JobUid, ProjectUid, ProviderUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::job::ModelType;
use shared::domain::prediction::Prediction;
use shared::domain::result::{LabelResult, ResultSource, ResultStatus};
use shared::http::{Caller, ListRequest, PageView, respond};
use shared::ports::{Clock, Items, Objects, Page, Projects, Results};

use crate::App;
use crate::projects::READ;

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
    annotations: Vec<Prediction>,
    created_at: Timestamp,
    updated_at: Timestamp,
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
            annotations: result.annotations,
            created_at: result.created_at,
            updated_at: result.updated_at,
        })
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

/// `GET /results/{uid}/`.
pub(crate) async fn get<S: Projects + Items, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.result(&caller, &uid).await.map(Json))
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

    async fn result(&self, caller: &Caller, uid: &str) -> Result<ResultView, Error> {
        caller.needs(READ)?;
        let uid = ResultUid::parse(uid)?;
        let item =
            self.store.items(&[uid.item()]).await?.into_iter().find(|item| item.organization == caller.organization);
        item.and_then(ResultView::of).filter(|view| view.uid == uid).ok_or(Error::NotFound)
    }
}

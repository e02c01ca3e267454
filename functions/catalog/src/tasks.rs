use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::domain::Error;
use shared::domain::Timestamp;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::result::ResultStatus;
use shared::domain::item::{AssetType, Item};
use shared::http::{Caller, ListRequest, PageView, PagingParameters, Path, Problem, respond};
use shared::ports::{Clock, Files, Items, Objects, Projects};
use utoipa::ToSchema;

use crate::App;

const READ: &[Scope] = &[Scope::TasksRead, Scope::ProjectsRead];

/// Whether a person has done it (contract, 11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TaskStatus {
    /// To do.
    Pending,
    /// A person has accepted or corrected the result.
    Completed,
}

impl TaskStatus {
    /// A correction accepts, a draft is a suggestion (I9), and a rejection leaves the item to do.
    fn of(item: &Item) -> Self {
        match item.result.as_ref().map(|result| result.status) {
            Some(ResultStatus::Accepted) => Self::Completed,
            Some(ResultStatus::Draft | ResultStatus::Rejected) | None => Self::Pending,
        }
    }
}

/// A task on the wire: one per item, so it has the item's uid and key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    uid: ItemUid,
    /// What is to be done (contract, 11.1).
    r#type: &'static str,
    name: String,
    status: TaskStatus,
    project: ProjectUid,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Item> for TaskView {
    fn from(item: Item) -> Self {
        Self {
            uid: item.asset.uid,
            r#type: match item.asset.kind {
                AssetType::Image => "image-annotation",
                AssetType::VideoFrame => "video-annotation",
                AssetType::PointCloud => "point-cloud-annotation",
            },
            status: TaskStatus::of(&item),
            project: item.project,
            created_at: item.created_at,
            updated_at: item.result.map_or(item.created_at, |result| result.updated_at),
            name: item.key,
        }
    }
}

/// List tasks. A page may be short and still not be the last: the status is looked at while walking the items.
#[utoipa::path(
    get, path = "/tasks/", tag = "tasks",
    params(
        PagingParameters,
        ("project" = Option<String>, Query, description = "Tasks of this project; an unknown one has none."),
        ("status" = Option<TaskStatus>, Query, description = "Tasks in this status."),
    ),
    responses(
        (status = 200, description = "A page of tasks.", body = PageView<TaskView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn list<S: Projects + Items, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list_tasks(&caller, &request).await.map(Json))
}

/// Show a task.
#[utoipa::path(
    get, path = "/tasks/{uid}/", tag = "tasks",
    params(("uid" = ItemUid, Path)),
    responses((status = 200, description = "The task.", body = TaskView)),
)]
pub(crate) async fn get<S: Projects + Items, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.task(&caller, &uid).await.map(Json))
}

impl<S: Projects + Items, O: Objects, F: Files, C: Clock> App<S, O, F, C> {
    async fn list_tasks(&self, caller: &Caller, request: &ListRequest) -> Result<PageView<TaskView>, Error> {
        caller.needs(READ)?;
        let paging = request.paging(&["project", "status"])?;
        let status: Option<TaskStatus> = match paging.filter("status") {
            Some(name) => Some(
                serde_json::from_value(name.into())
                    .map_err(|_| Error::field("status", "Must be one of pending, completed."))?,
            ),
            None => None,
        };
        let mut page = match paging.filter("project").map(ProjectUid::parse) {
            Some(Err(_)) => return Ok(paging.empty()), // an unknown project has no tasks
            Some(Ok(project)) => self.store.items_of(caller.organization, Some(project), &paging.slice()).await?,
            None => self.store.items_of(caller.organization, None, &paging.slice()).await?,
        };
        page.entries.retain(|item| status.is_none_or(|status| TaskStatus::of(item) == status));
        Ok(paging.view(page, TaskView::from))
    }

    async fn task(&self, caller: &Caller, uid: &str) -> Result<TaskView, Error> {
        caller.needs(READ)?;
        let items = self.store.items(&[ItemUid::parse(uid)?]).await?;
        let own = items.into_iter().find(|item| item.organization == caller.organization);
        own.map(TaskView::from).ok_or(Error::NotFound)
    }
}

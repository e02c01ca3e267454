use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::access::api_key::Scope;
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::result::ResultStatus;
use shared::domain::item::{AssetType, Item};
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::Items;
use utoipa::ToSchema;

use crate::{Api, CatalogPorts};

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
    /// Every status.
    const ALL: [Self; 2] = [Self::Pending, Self::Completed];

    /// The word on the wire.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
        }
    }

    /// A correction accepts, a draft is a suggestion (I9), and a rejection leaves the item to do.
    fn of(item: &Item) -> Self {
        match item.result.as_ref().map(|result| result.status) {
            Some(ResultStatus::Accepted) => Self::Completed,
            Some(ResultStatus::Draft | ResultStatus::Rejected) | None => Self::Pending,
        }
    }
}

/// A task: one per item, so it has the uid of the item, and the key of the item as `name`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
#[schema(example = json!({"type": "image-annotation", "name": "street/1.jpg", "status": "completed", "reviewed_by": "ci"}))]
pub(crate) struct TaskView {
    uid: ItemUid,
    /// What is to be done (contract, 11.1).
    r#type: &'static str,
    name: String,
    status: TaskStatus,
    project: ProjectUid,
    /// Name of the API key whose review completed it; `null` while it is pending.
    #[schema(required)]
    reviewed_by: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Item> for TaskView {
    fn from(item: Item) -> Self {
        let status = TaskStatus::of(&item);
        let reviewer = item.result.as_ref().and_then(|result| result.reviewed_by.clone());
        Self {
            uid: item.asset.uid,
            r#type: match item.asset.kind {
                AssetType::Image => "image-annotation",
                AssetType::VideoFrame => "video-annotation",
                AssetType::PointCloud => "point-cloud-annotation",
            },
            status,
            project: item.project,
            reviewed_by: reviewer.filter(|_| status == TaskStatus::Completed),
            created_at: item.created_at,
            updated_at: item.result.map_or(item.created_at, |result| result.updated_at),
            name: item.key,
        }
    }
}

/// List tasks.
///
/// One task per item: `pending` until a person has accepted or corrected its result. A page may be short and still not
/// be the last, because the status is filtered while the items are read. Scope: `tasks.read` or `projects.read`.
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
pub(crate) async fn list<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<TaskView>> {
    caller.needs(READ)?;
    let paging = request.paging(&["project", "status"])?;
    let status: Option<TaskStatus> = paging.choice("status", &TaskStatus::ALL.map(TaskStatus::as_str))?;
    let Ok(project) = paging.filter("project").map(ProjectUid::parse).transpose() else {
        return Ok(Json(paging.empty())); // an unknown project has no tasks
    };
    let mut page = api.store.items_of(caller.organization, project, &paging.slice()).await?;
    page.entries.retain(|item| status.is_none_or(|status| TaskStatus::of(item) == status));
    Ok(Json(paging.view(page, TaskView::from)))
}

/// Show a task.
///
/// A task has the uid of its item, and the key of its item as `name`. Scope: `tasks.read` or `projects.read`.
#[utoipa::path(
    get, path = "/tasks/{uid}/", tag = "tasks",
    params(("uid" = ItemUid, Path)),
    responses((status = 200, description = "The task.", body = TaskView)),
)]
pub(crate) async fn get<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<TaskView> {
    caller.needs(READ)?;
    let no_task = || Error::no_such("task", &uid);
    let items = api.store.items(&[ItemUid::parse(&uid).map_err(|_| no_task())?]).await?;
    let own = items.into_iter().find(|item| item.organization == caller.organization);
    own.map(|item| Json(TaskView::from(item))).ok_or_else(no_task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_word() {
        for status in TaskStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use shared::domain::Error;
use shared::domain::Timestamp;
use shared::domain::id::ProjectUid;
use shared::domain::key::Scope;
use shared::domain::project::{Project, ProjectStatus};
use shared::http::{Body, Caller, ListRequest, PageView, Path, respond};
use shared::ports::{Clock, Objects, Projects};
use tracing::info;

use crate::App;

pub(crate) const READ: &[Scope] = &[Scope::ProjectsRead];
pub(crate) const WRITE: &[Scope] = &[Scope::ProjectsWrite];

/// A project on the wire (contract, 11.1).
#[derive(Debug, Serialize)]
pub(crate) struct ProjectView {
    uid: ProjectUid,
    name: String,
    status: ProjectStatus,
    labels: Vec<String>,
    is_active: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        Self {
            uid: project.uid,
            name: project.name,
            status: project.status,
            labels: project.labels,
            is_active: project.status == ProjectStatus::Active,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

/// `POST /projects/` (contract, D32).
pub(crate) async fn create<S: Projects, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Body(body): Body,
) -> Response {
    respond(
        app.create_project(&caller, &body).await.map(|project| (StatusCode::CREATED, Json(ProjectView::from(project)))),
    )
}

/// `GET /projects/{uid}/`, `GET /users/me/projects/{uid}/`.
pub(crate) async fn get<S: Projects, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.project(&caller, READ, &uid).await.map(|project| Json(ProjectView::from(project))))
}

/// `GET /projects/`, `GET /users/me/projects/`.
pub(crate) async fn list<S: Projects, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list_projects(&caller, &request).await.map(Json))
}

impl<S: Projects, O: Objects, C: Clock> App<S, O, C> {
    async fn create_project(&self, caller: &Caller, body: &[u8]) -> Result<Project, Error> {
        caller.needs(WRITE)?;
        let project = Project::read(body, caller.organization, self.clock.now())?;
        self.store.add_project(&project).await?;
        info!(project.uid = %project.uid, "project created");
        Ok(project)
    }

    pub(crate) async fn project(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Project, Error> {
        caller.needs(scopes)?;
        self.store.project(caller.organization, ProjectUid::parse(uid)?).await
    }

    async fn list_projects(&self, caller: &Caller, request: &ListRequest) -> Result<PageView<ProjectView>, Error> {
        caller.needs(READ)?;
        let paging = request.paging(&[])?;
        let page = self.store.projects(caller.organization, &paging.slice()).await?;
        Ok(paging.view(page, ProjectView::from))
    }
}

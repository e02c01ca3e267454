use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{Naming, ProjectUid, ProviderUid};
use shared::domain::project::auto_label::{AutoLabel, AutoLabelPause};
use shared::domain::project::{NewProject, Project, ProjectChange, ProjectStatus};
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path};
use shared::ports::{Clock, Projects};
use shared::services::serving;
use tracing::info;
use utoipa::ToSchema;

use crate::{Api, CatalogApi, CatalogPorts};

pub(crate) const READ: &[Scope] = &[Scope::ProjectsRead];
pub(crate) const WRITE: &[Scope] = &[Scope::ProjectsWrite];

/// A project (contract, 11.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
#[schema(example = json!({
    "name": "Street scenes", "status": "active", "labels": ["person", "cat"], "label_prompts": [], "item_count": 9,
    "default_provider": null, "auto_label_on_upload": null, "auto_label_pause": null,
}))]
pub(crate) struct ProjectView {
    uid: ProjectUid,
    name: String,
    status: ProjectStatus,
    /// The label set; empty: any label.
    labels: Vec<String>,
    /// What a model of open vocabulary is asked to find, of the labels that have a prompt.
    label_prompts: Vec<PromptedLabel>,
    /// Whether its status is `active`.
    is_active: bool,
    /// How many items were added. A call that failed half-way may have left some uncounted.
    item_count: u64,
    created_at: Timestamp,
    /// The provider of its jobs that name none; `null`: the newest active one of the project, else of its organization, else the
    /// deployment's own endpoint.
    #[schema(required)]
    default_provider: Option<ProviderUid>,
    /// How uploads are labeled by themselves; `null`: they are not.
    #[schema(required)]
    auto_label_on_upload: Option<AutoLabel>,
    /// Why jobs by uploads are held back; `null`: they are not.
    #[schema(required)]
    auto_label_pause: Option<AutoLabelPause>,
    updated_at: Timestamp,
}

/// A label and its prompt. A pair of values: the TypeScript client renames keys (contract, 1.4).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PromptedLabel {
    label: String,
    prompt: String,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        Self {
            uid: project.uid,
            item_count: project.item_count(),
            name: project.name,
            status: project.status,
            labels: project.labels,
            label_prompts: project
                .label_prompts
                .into_iter()
                .map(|(label, prompt)| PromptedLabel { label, prompt })
                .collect(),
            is_active: project.status == ProjectStatus::Active,
            default_provider: project.default_provider.map(|provider| provider.uid),
            auto_label_on_upload: project.auto_label_on_upload,
            auto_label_pause: project.auto_label_pause,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

/// Create a project.
///
/// A project is a set of items and a set of labels. It is active at once. Scope: `projects.write`.
#[utoipa::path(
    post, path = "/projects/", tag = "projects",
    request_body = NewProject,
    responses((status = 201, description = "The project.", body = ProjectView, example = json!({"item_count": 0}))),
)]
pub(crate) async fn create<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Result<(StatusCode, Json<ProjectView>), Error> {
    caller.needs(WRITE)?;
    let mut project = Project::read(&body, caller.organization, api.clock.now())?.with_prompts_checked()?;
    project.uid = ProjectUid::named(&naming, project.created_at, 0);
    project.check_auto_label()?;
    if let Some(default) = &mut project.default_provider {
        *default = serving::as_default(&api.store, project.organization, project.uid, default.uid).await?;
    }
    let before = api.store.add_project(&project).await?;
    info!(project.uid = %project.uid, "project created");
    Ok((StatusCode::CREATED, Json(ProjectView::from(before.unwrap_or(project)))))
}

/// Change a project.
///
/// Fields that are not sent stay. A running job keeps the labels that it began with. Scope: `projects.write`.
#[utoipa::path(
    patch, path = "/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    request_body = ProjectChange,
    responses((status = 200, description = "The project after the change.", body = ProjectView)),
)]
pub(crate) async fn change<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Answer<ProjectView> {
    caller.needs(WRITE)?;
    let (uid, change) = (ProjectUid::parse(&uid)?, ProjectChange::read(&body)?);
    let change = api.checked(&caller, uid, change).await?;
    let changed = api.store.change_project(caller.organization, uid, &change, api.clock.now()).await?;
    Ok(Json(ProjectView::from(changed)))
}

/// Show a project.
///
/// With its labels, and how its uploads are labeled. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    responses((status = 200, description = "The project.", body = ProjectView)),
)]
pub(crate) async fn get<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<ProjectView> {
    Ok(Json(ProjectView::from(api.project(&caller, READ, &uid).await?)))
}

/// List projects.
///
/// Every project of the organization, the newest first. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/projects/", tag = "projects",
    params(PagingParameters),
    responses((status = 200, description = "A page of projects.", body = PageView<ProjectView>)),
)]
pub(crate) async fn list<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<ProjectView>> {
    caller.needs(READ)?;
    let paging = request.paging(&[])?;
    let page = api.store.projects(caller.organization, &paging.slice()).await?;
    Ok(Json(paging.view(page, ProjectView::from)))
}

/// Change a project, by the Python client.
///
/// The same as `PATCH /projects/{uid}/`, under a second path. Scope: `projects.write`.
#[utoipa::path(
    patch, path = "/users/me/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    request_body = ProjectChange,
    responses((status = 200, description = "The project after the change.", body = ProjectView)),
)]
pub(crate) async fn change_mine<P: CatalogPorts>(
    api: Api<P>,
    caller: Caller,
    uid: Path<String>,
    body: Body,
) -> Answer<ProjectView> {
    change(api, caller, uid, body).await
}

/// Show a project, to the Python client.
///
/// The same as `GET /projects/{uid}/`, under the path that the official Python client calls. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/users/me/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    responses((status = 200, description = "The project.", body = ProjectView)),
)]
pub(crate) async fn get_mine<P: CatalogPorts>(api: Api<P>, caller: Caller, uid: Path<String>) -> Answer<ProjectView> {
    get(api, caller, uid).await
}

/// List projects, to the Python client.
///
/// The same as `GET /projects/`, under the path that the official Python client calls. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/users/me/projects/", tag = "projects",
    params(PagingParameters),
    responses((status = 200, description = "A page of projects.", body = PageView<ProjectView>)),
)]
pub(crate) async fn list_mine<P: CatalogPorts>(
    api: Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<ProjectView>> {
    list(api, caller, request).await
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// A change after the checks that need the project or its providers. Most changes need none of them, and read nothing.
    ///
    /// # Errors
    /// `NotFound`; `Validation`.
    async fn checked(
        &self,
        caller: &Caller,
        uid: ProjectUid,
        mut change: ProjectChange,
    ) -> Result<ProjectChange, Error> {
        let ProjectChange { auto_label_on_upload, label_prompts, default_provider, .. } = &change;
        if auto_label_on_upload.is_none() && label_prompts.is_none() && default_provider.is_none() {
            return Ok(change);
        }
        let before = self.store.project(caller.organization, uid).await?;
        let after = change.clone().applied_to(before, self.clock.now());
        if change.auto_label_on_upload.is_some() {
            after.check_auto_label()?;
        }
        if let Some(Some(default)) = &mut change.default_provider {
            *default = serving::as_default(&self.store, caller.organization, uid, default.uid).await?;
        }
        if change.label_prompts.is_some() {
            change.label_prompts = Some(after.with_prompts_checked()?.label_prompts);
        }
        Ok(change)
    }

    /// # Errors
    /// `PermissionDenied`; `NotFound` if malformed, unknown or another tenant's (I10).
    pub(crate) async fn project(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Project, Error> {
        caller.needs(scopes)?;
        self.store.project(caller.organization, ProjectUid::parse(uid)?).await
    }
}

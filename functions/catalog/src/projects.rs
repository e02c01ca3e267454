use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use shared::domain::Error;
use shared::domain::Timestamp;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{Naming, ProjectUid, ProviderUid};
use shared::domain::prediction::model_type::ModelType;
use shared::domain::project::auto_label::{AutoLabel, AutoLabelPause};
use shared::domain::project::{Project, ProjectChange, ProjectStatus};
use shared::http::{Body, Caller, ListRequest, PageView, PagingParameters, Path, respond};
use shared::ports::{Clock, Files, Objects, Projects};
use tracing::info;
use utoipa::ToSchema;

use crate::App;

pub(crate) const READ: &[Scope] = &[Scope::ProjectsRead];
pub(crate) const WRITE: &[Scope] = &[Scope::ProjectsWrite];

/// A project on the wire (contract, 11.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
pub(crate) struct ProjectView {
    uid: ProjectUid,
    name: String,
    status: ProjectStatus,
    /// The label set; empty: any label.
    labels: Vec<String>,
    /// What a model of open vocabulary is told to look for, of the labels that have a prompt.
    label_prompts: Vec<PromptedLabel>,
    /// Whether its status is `active`.
    is_active: bool,
    /// Items that were added. A call that broke off half-way may have left some uncounted.
    item_count: u64,
    created_at: Timestamp,
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
            auto_label_on_upload: project.auto_label_on_upload,
            auto_label_pause: project.auto_label_pause,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

/// What a new project is made of.
// For the API's description alone: `Project::read` reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never built")]
pub(crate) struct NewProject {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// The label set; empty: any label.
    #[schema(max_items = 1_000)]
    labels: Option<Vec<String>>,
    /// What a model is told to look for under a label, sent to it as `prompts` beside `labels`: by label, or as the list of pairs in
    /// which it is shown. Each must differ from the others, and from other labels.
    label_prompts: Option<BTreeMap<String, String>>,
    auto_label_on_upload: Option<NewAutoLabel>,
}

/// How uploads are to be labeled. It is replaced as a whole: what is not sent is as by default.
// For the API's description alone: `AutoLabel::read` reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never built")]
pub(crate) struct NewAutoLabel {
    /// `false` turns it off.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// As of a job.
    provider_id: Option<ProviderUid>,
    /// As of a job.
    model_type: Option<ModelType>,
    #[schema(minimum = 0.0, maximum = 1.0, default = 0.5)]
    confidence_threshold: Option<f64>,
    /// Labels to keep; empty: all of the project.
    #[schema(default = json!([]), max_items = 1_000)]
    labels: Option<Vec<String>>,
    /// Seconds without an upload before a job starts.
    #[schema(minimum = 1, maximum = 900, default = 60)]
    quiet_seconds: Option<u32>,
    /// Items that these jobs send to the model in a day, UTC.
    #[schema(minimum = 1, maximum = 1_000_000, default = 10_000)]
    max_items_per_day: Option<u32>,
}

/// What a project can be changed to. Fields that are not sent stay.
// For the API's description alone: `ProjectChange::read` reads it.
#[derive(ToSchema)]
#[schema(as = ProjectChange)]
#[expect(dead_code, reason = "described, never built")]
pub(crate) struct ChangedProject {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Another label set; jobs that run keep theirs.
    #[schema(max_items = 1_000)]
    labels: Option<Vec<String>>,
    /// Replaces all of them; jobs that run keep theirs.
    label_prompts: Option<BTreeMap<String, String>>,
    status: Option<ProjectStatus>,
    auto_label_on_upload: Option<NewAutoLabel>,
}

/// Create a project.
#[utoipa::path(
    post, path = "/projects/", tag = "projects",
    request_body = NewProject,
    responses((status = 201, description = "The project.", body = ProjectView)),
)]
pub(crate) async fn create<S: Projects, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Response {
    respond(
        app.create_project(&caller, &naming, &body)
            .await
            .map(|project| (StatusCode::CREATED, Json(ProjectView::from(project)))),
    )
}

/// Change a project. Fields that are not sent stay.
#[utoipa::path(
    patch, path = "/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    request_body = ChangedProject,
    responses((status = 200, description = "The project after the change.", body = ProjectView)),
)]
pub(crate) async fn change<S: Projects, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Response {
    respond(app.change_project(&caller, &uid, &body).await.map(|project| Json(ProjectView::from(project))))
}

/// Show a project.
#[utoipa::path(
    get, path = "/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    responses((status = 200, description = "The project.", body = ProjectView)),
)]
pub(crate) async fn get<S: Projects, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.project(&caller, READ, &uid).await.map(|project| Json(ProjectView::from(project))))
}

/// List projects.
#[utoipa::path(
    get, path = "/projects/", tag = "projects",
    params(PagingParameters),
    responses((status = 200, description = "A page of projects.", body = PageView<ProjectView>)),
)]
pub(crate) async fn list<S: Projects, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list_projects(&caller, &request).await.map(Json))
}

/// Change a project, by the path of the Python client. Fields that are not sent stay.
#[utoipa::path(
    patch, path = "/users/me/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    request_body = ChangedProject,
    responses((status = 200, description = "The project after the change.", body = ProjectView)),
)]
pub(crate) async fn change_mine<S: Projects, O: Objects, F: Files, C: Clock>(
    app: State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    uid: Path<String>,
    body: Body,
) -> Response {
    change(app, caller, uid, body).await
}

/// Show a project, by the path of the Python client.
#[utoipa::path(
    get, path = "/users/me/projects/{uid}/", tag = "projects",
    params(("uid" = ProjectUid, Path)),
    responses((status = 200, description = "The project.", body = ProjectView)),
)]
pub(crate) async fn get_mine<S: Projects, O: Objects, F: Files, C: Clock>(
    app: State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    uid: Path<String>,
) -> Response {
    get(app, caller, uid).await
}

/// List projects, by the path of the Python client.
#[utoipa::path(
    get, path = "/users/me/projects/", tag = "projects",
    params(PagingParameters),
    responses((status = 200, description = "A page of projects.", body = PageView<ProjectView>)),
)]
pub(crate) async fn list_mine<S: Projects, O: Objects, F: Files, C: Clock>(
    app: State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    list(app, caller, request).await
}

impl<S: Projects, O: Objects, F: Files, C: Clock> App<S, O, F, C> {
    async fn create_project(&self, caller: &Caller, naming: &Naming, body: &[u8]) -> Result<Project, Error> {
        caller.needs(WRITE)?;
        let mut project = Project::read(body, caller.organization, self.clock.now())?.with_prompts_checked()?;
        project.uid = ProjectUid::named(naming, project.created_at, 0);
        project.check_auto_label()?;
        let before = self.store.add_project(&project).await?;
        info!(project.uid = %project.uid, "project created");
        Ok(before.unwrap_or(project))
    }

    async fn change_project(&self, caller: &Caller, uid: &str, body: &[u8]) -> Result<Project, Error> {
        caller.needs(WRITE)?;
        let (uid, mut change) = (ProjectUid::parse(uid)?, ProjectChange::read(body)?);
        if change.auto_label_on_upload.is_some() || change.label_prompts.is_some() {
            let before = self.store.project(caller.organization, uid).await?;
            let after = change.clone().applied_to(before, self.clock.now());
            if change.auto_label_on_upload.is_some() {
                after.check_auto_label()?;
            }
            if change.label_prompts.is_some() {
                change.label_prompts = Some(after.with_prompts_checked()?.label_prompts);
            }
        }
        self.store.change_project(caller.organization, uid, &change, self.clock.now()).await
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

//! Imports over HTTPS: create, get, list (contract, section 11.6). The function `adopt` does the work (decision 0046).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{ImportUid, Naming, ProjectUid};
use shared::domain::import::request::NewImport;
use shared::domain::import::{Counts, Import, ImportAs, ImportFormat, ImportStatus, Untaken};
use shared::domain::item::Source;
use shared::domain::item::source::SourceBuckets;
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path};
use shared::ports::{Clock, ImportQueue, Imports, Objects, Page, Projects};
use tracing::warn;
use utoipa::{OpenApi, ToSchema};

const READ: &[Scope] = &[Scope::ProjectsRead];
const WRITE: &[Scope] = &[Scope::ProjectsWrite];

/// A signed URL works so long: an upload must begin within it.
const SIGNED_FOR: Duration = Duration::from_secs(3_600);

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(create, list, show))]
pub struct Description;

/// The adapters of these routes, each known by its port alone.
pub trait ImportPorts: 'static {
    /// The table.
    type Store: Imports;
    /// The table: projects.
    type Projects: Projects;
    /// The bucket.
    type Objects: Objects;
    /// The queue of imports.
    type Queue: ImportQueue;
    /// UTC.
    type Clock: Clock;
}

/// The state of the handlers.
pub struct ImportApi<P: ImportPorts> {
    /// Imports.
    pub store: P::Store,
    /// Their projects.
    pub projects: P::Projects,
    /// Signs URLs.
    pub objects: P::Objects,
    /// Takes the work on an import whose file is there.
    pub queue: P::Queue,
    /// Dates rows.
    pub clock: P::Clock,
    /// What of S3 each organization may name.
    pub buckets: SourceBuckets,
    /// The time after which imports are forgotten.
    pub kept_for: Duration,
}

type Api<P> = State<Arc<ImportApi<P>>>;

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: ImportPorts>(state: Arc<ImportApi<P>>) -> Router {
    Router::new()
        .route("/projects/{uid}/imports", get(list).post(create))
        .route("/projects/{uid}/imports/{import}", get(show))
        .with_state(state)
}

/// An import (contract, 11.6).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import)]
#[schema(example = json!({
    "status": "imported", "format": "coco", "as": "accepted", "add_labels": false, "source": null, "upload_url": null, "upload_expires_at": null,
    "counts": {"items": 1000, "results": 990, "skipped": 7, "refused": 3},
    "reasons": [{"line": null, "path": "images[12]", "name": "street/1.jpg", "code": "unknown_item", "message": "The project has no such item."}],
    "report_url": "https://files.example.com/imports/reports/1.jsonl?signature", "error_message": null,
    "created_at": "2026-11-30T10:00:00.000Z", "started_at": "2026-11-30T10:00:09.000Z", "completed_at": "2026-11-30T10:00:14.000Z",
    "updated_at": "2026-11-30T10:00:14.000Z", "expires_at": "2026-12-07T10:00:00.000Z",
}))]
pub(crate) struct ImportView {
    uid: ImportUid,
    project: ProjectUid,
    status: ImportStatus,
    format: ImportFormat,
    #[serde(rename = "as")]
    becomes: ImportAs,
    /// Whether labels that the project does not have are added to it.
    add_labels: bool,
    /// `s3://bucket/key` of a file that was not uploaded.
    #[schema(required)]
    source: Option<String>,
    /// PUT the file here; it is read when it is there. Signed for this response. `null` once it is read, or with a `source`.
    #[schema(required)]
    upload_url: Option<String>,
    /// The upload must begin before. A later response has a URL that works longer.
    #[schema(required)]
    upload_expires_at: Option<Timestamp>,
    counts: Counts,
    /// Why items were not taken: the first 100.
    #[schema(max_items = 100)]
    reasons: Vec<Untaken>,
    /// All reasons, a line of JSON each. Signed for this response, for an hour; `null` before the end.
    #[schema(required)]
    report_url: Option<String>,
    /// Of a failed import: why, in a sentence.
    #[schema(required)]
    error_message: Option<String>,
    created_at: Timestamp,
    /// When the file was first read.
    #[schema(required)]
    started_at: Option<Timestamp>,
    #[schema(required)]
    completed_at: Option<Timestamp>,
    updated_at: Timestamp,
    /// Then the import and its report are removed. The results stay.
    expires_at: Timestamp,
}

/// Create an import.
///
/// Brings labels that exist already to the items of a project. PUT the file to `upload_url`: the import begins by itself. Then follow it,
/// or subscribe to `import.completed` and `import.failed`. An item that has a result keeps it. Scope: `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/imports/", tag = "imports",
    params(("uid" = ProjectUid, Path)),
    request_body = NewImport,
    responses((status = 201, description = "The pending import.", body = ImportView, example = json!({
        "status": "pending", "upload_url": "https://files.example.com/imports/uploads/1?signature", "upload_expires_at": "2026-11-30T11:00:00.000Z",
        "counts": {"items": 0, "results": 0, "skipped": 0, "refused": 0}, "reasons": [], "report_url": null, "started_at": null,
        "completed_at": null,
    }))),
)]
pub(crate) async fn create<P: ImportPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    naming: Naming,
    Body(body): Body,
) -> Result<(StatusCode, Json<ImportView>), Error> {
    caller.needs(WRITE)?;
    let project = api.projects.project(caller.organization, ProjectUid::parse(&project)?).await?;
    let new = NewImport::read(&body, |url| api.check_source(&caller, url))?;
    let now = api.clock.now();
    let owner = (caller.organization, project.uid);
    let import = new.into_import(ImportUid::named(&naming, now, 0), owner, caller.name(), (now, now + api.kept_for));
    let import = api.store.add_import(&import).await?.unwrap_or(import);
    if import.source.is_some() {
        // The import is stored. If this message is lost, the schedule of `adopt` sends another one.
        if let Err(error) = api.queue.request_import((import.organization, import.project, import.uid)).await {
            warn!(import.uid = %import.uid, causes = error.chain(), "import not requested yet");
        }
    }
    Ok((StatusCode::CREATED, Json(api.view(import).await?)))
}

/// List imports.
///
/// Every import of the project that has not expired, the newest first. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/projects/{uid}/imports/", tag = "imports",
    params(("uid" = ProjectUid, Path), PagingParameters),
    responses((status = 200, description = "A page of imports.", body = PageView<ImportView>)),
)]
pub(crate) async fn list<P: ImportPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Answer<PageView<ImportView>> {
    caller.needs(READ)?;
    let paging = request.stand_in(&[])?;
    let project = api.projects.project(caller.organization, ProjectUid::parse(&project)?).await?;
    let Page { entries, next, previous } = api.store.imports(caller.organization, project.uid, &paging.slice()).await?;
    let (now, mut views) = (api.clock.now(), Vec::with_capacity(entries.len()));
    for import in entries.into_iter().filter_map(|import| import.shown(now).ok()) {
        views.push(api.view(import).await?);
    }
    Ok(Json(paging.view(Page { entries: views, next, previous }, |view| view)))
}

/// Show an import.
///
/// With its counts and the first reasons why items were not taken; after its end also with a report of all of them. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/projects/{uid}/imports/{import}/", tag = "imports",
    params(("uid" = ProjectUid, Path), ("import" = ImportUid, Path)),
    responses((status = 200, description = "The import as it is now.", body = ImportView)),
)]
pub(crate) async fn show<P: ImportPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path((project, uid)): Path<(String, String)>,
) -> Answer<ImportView> {
    caller.needs(READ)?;
    let name = (caller.organization, ProjectUid::parse(&project)?, ImportUid::parse(&uid)?);
    let import = api.store.import(name).await?.shown(api.clock.now())?;
    Ok(Json(api.view(import).await?))
}

impl<P: ImportPorts> ImportApi<P> {
    fn check_source(&self, caller: &Caller, url: &str) -> Result<(), String> {
        let read = self.buckets.read(url, caller.organization);
        read.unwrap_or_else(|| Err("Must be s3://bucket/key.".into())).map(|_source| ())
    }

    /// The import on the wire, with URLs that are signed now.
    async fn view(&self, import: Import) -> Result<ImportView, Error> {
        let awaits_file = import.source.is_none() && import.status == ImportStatus::Pending;
        let (mut upload_url, mut upload_expires_at, mut report_url) = (None, None, None);
        if awaits_file {
            upload_url = Some(self.objects.sign_put(&import.upload_key(), SIGNED_FOR).await?);
            upload_expires_at = Some(self.clock.now() + SIGNED_FOR);
        }
        if import.status.is_final() {
            let report = Source::Bucket(import.report_key());
            report_url = Some(self.objects.sign_get(&report, SIGNED_FOR).await?);
        }
        Ok(ImportView {
            uid: import.uid,
            project: import.project,
            status: import.status,
            format: import.format,
            becomes: import.becomes,
            add_labels: import.add_labels,
            source: import.source,
            upload_url,
            upload_expires_at,
            counts: import.counts,
            reasons: import.reasons,
            report_url,
            error_message: import.error_message,
            created_at: import.created_at,
            started_at: import.started_at,
            completed_at: import.completed_at,
            updated_at: import.updated_at,
            expires_at: import.valid_until,
        })
    }
}

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::access::api_key::Scope;
use shared::domain::export::request::NewExport;
use shared::domain::export::{Export, ExportStatus};
use shared::domain::id::{ExportUid, Naming, OrganizationUid, ProjectUid};
use shared::domain::item::Source;
use shared::domain::project::Project;
use shared::domain::provider::no_project;
use shared::domain::{Error, Timestamp, limits};
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Clock, ExportFilter, ExportQueue, Exports, Folders, Objects, Page, Projects, Slice};
use tracing::warn;

use crate::view::{ExportView, FileView};
use crate::{Api, ExportApi, ExportPorts};

const READ: &[Scope] = &[Scope::ProjectsRead];
const CREATE: &[Scope] = &[Scope::ExportsCreate];

/// A signed URL of a file works so long.
const SIGNED_FOR: Duration = Duration::from_secs(3_600);

/// Create an export.
///
/// Writes the labels of a project's items into files. The work happens after the response: follow the export, or subscribe to
/// `export.completed` and `export.failed`. Scope: `exports.create`.
#[utoipa::path(
    post, path = "/exports/", tag = "exports",
    request_body = NewExport,
    responses(
        (status = 201, description = "The pending export.", body = ExportView, example = json!({
            "status": "pending", "total_task_count": 0, "exported_task_count": 0, "left_out": [], "files": [], "download_url": null,
            "started_at": null, "completed_at": null,
        })),
        (status = 409, description = "`too_many`: the organization has 20 exports that have not ended.", body = Problem),
    ),
)]
pub(crate) async fn create<P: ExportPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Result<(StatusCode, Json<ExportView>), Error> {
    caller.needs(CREATE)?;
    let new = NewExport::read(&body)?;
    let mut projects = Vec::new();
    for (field, uid) in new.projects()? {
        projects.push(api.project(&caller, field, uid).await?);
    }
    let now = api.clock.now();
    let uid = ExportUid::named(&naming, now, 0);
    let times = (now, now + api.kept_for);
    let export = new.into_export(uid, caller.organization, &projects, times)?;
    export.fits(&api.latest(caller.organization, now).await?)?;
    let export = api.store.add_export(&export).await?.unwrap_or(export);
    // The export is stored. If its first message is lost, the schedule of `compose` sends another one.
    if let Err(error) = api.queue.request_step(export.organization, uid).await {
        warn!(export.uid = %uid, causes = error.chain(), "first step of an export not requested yet");
    }
    Ok((StatusCode::CREATED, Json(api.view(export).await?)))
}

/// List exports.
///
/// Every export of the organization that has not expired, the newest first. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/exports/", tag = "exports",
    params(
        PagingParameters,
        ("project" = Option<String>, Query, description = "Exports of this project; an unknown one has none."),
        ("status" = Option<ExportStatus>, Query, description = "Exports in this status."),
    ),
    responses(
        (status = 200, description = "A page of exports.", body = PageView<ExportView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn list<P: ExportPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<ExportView>> {
    caller.needs(READ)?;
    let paging = request.stand_in(&["project", "status"])?;
    let status = paging.choice("status", &ExportStatus::ALL.map(ExportStatus::as_str))?;
    let Ok(project) = paging.filter("project").map(ProjectUid::parse).transpose() else {
        return Ok(Json(paging.empty())); // an unknown project has no exports (contract, D1)
    };
    let filter = ExportFilter { project, status };
    let Page { entries, next, previous } =
        api.store.exports(caller.organization, filter, &paging.slice(), api.clock.now()).await?;
    let mut views = Vec::with_capacity(entries.len());
    for export in entries {
        views.push(api.view(export).await?);
    }
    Ok(Json(paging.view(Page { entries: views, next, previous }, |view| view)))
}

/// Show an export.
///
/// With its progress, and after its end with its files. Their URLs are signed for each response and work for an hour. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/exports/{uid}/", tag = "exports",
    params(("uid" = ExportUid, Path)),
    responses((status = 200, description = "The export as it is now.", body = ExportView)),
)]
pub(crate) async fn get<P: ExportPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<ExportView> {
    caller.needs(READ)?;
    let export = api.store.export(caller.organization, ExportUid::parse(&uid)?).await?;
    Ok(Json(api.view(export.shown(api.clock.now())?).await?))
}

/// Delete an export.
///
/// Its files are removed. One that is still being written stops. Scope: `exports.create`.
#[utoipa::path(
    delete, path = "/exports/{uid}/", tag = "exports",
    params(("uid" = ExportUid, Path)),
    responses((status = 204, description = "The export is deleted.")),
)]
pub(crate) async fn delete<P: ExportPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Result<StatusCode, Error> {
    caller.needs(CREATE)?;
    let now: Timestamp = api.clock.now();
    let export = api.store.export(caller.organization, ExportUid::parse(&uid)?).await?.shown(now)?;
    api.store.delete_export(export.organization, export.uid, now).await?;
    // The export is gone for every caller. The schedule of `compose` removes what is left here or is written yet, and the row.
    if let Err(error) = api.objects.remove_folder(&export.folder()).await {
        warn!(export.uid = %export.uid, causes = error.chain(), "objects of a deleted export not removed yet");
    }
    Ok(StatusCode::NO_CONTENT)
}

impl<P: ExportPorts> ExportApi<P> {
    /// # Errors
    /// `Validation` if the organization does not have the project that a field names (I10).
    async fn project(&self, caller: &Caller, field: &'static str, uid: ProjectUid) -> Result<Project, Error> {
        match self.projects.project(caller.organization, uid).await {
            Err(Error::NotFound(_)) => Err(Error::field(field, no_project(&uid.to_string()))),
            found => found,
        }
    }

    /// The latest exports of an organization.
    async fn latest(&self, organization: OrganizationUid, now: Timestamp) -> Result<Vec<Export>, Error> {
        let slice = Slice { after: None, limit: limits::EXPORTS_COUNTED, ascending: false, backward: false };
        let page = self.store.exports(organization, ExportFilter { project: None, status: None }, &slice, now).await?;
        Ok(page.entries)
    }

    /// The export on the wire, with URLs that are signed now.
    async fn view(&self, export: Export) -> Result<ExportView, Error> {
        let mut files = Vec::with_capacity(export.files.len());
        for file in &export.files {
            let object = Source::Bucket(export.object_key(&file.name));
            let url = self.objects.sign_get(&object, SIGNED_FOR).await?;
            files.push(FileView::of(file.clone(), url));
        }
        Ok(ExportView::of(export, files))
    }
}

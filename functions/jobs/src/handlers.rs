use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{JobUid, Naming, ProjectUid};
use shared::domain::job::{Job, JobRequest, NewJob};
use shared::domain::job_status::JobStatus;
use shared::domain::webhook::Event;
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Clock, Executions, JobFilter, Jobs, Projects};
use shared::services::outbox;
use shared::services::start_job::{self, Cause};
use tracing::warn;

use crate::{Api, JobApi, JobPorts, JobView};

pub(crate) const READ: &[Scope] = &[Scope::ProjectsRead];
pub(crate) const WRITE: &[Scope] = &[Scope::ProjectsWrite];

/// Start a job.
///
/// Runs a model over the project's unlabeled items and leaves drafts. The work happens after the response: follow the
/// job, or subscribe to `auto_label.completed` and `auto_label.failed`. Scope: `projects.write`.
#[utoipa::path(
    post, path = "/projects/{project}/auto-label/", tag = "auto-label jobs",
    params(("project" = ProjectUid, Path)),
    request_body = NewJob,
    responses(
        (status = 202, description = "The pending job.", body = JobView, example = json!({
            "status": "pending", "total_items": 0, "processed_items": 0, "successful_items": 0, "failed_items": 0, "skipped_items": 0,
            "progress_pct": 0.0, "summary": null, "started_at": null, "completed_at": null,
        })),
        (status = 409, description = "`project_not_active`, or `auto_label_job_active` with the uid of the job that has the project.", body = Problem),
    ),
)]
pub(crate) async fn create<P: JobPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Path(project): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<JobView>), Error> {
    caller.needs(WRITE)?;
    let project = api.store.project(caller.organization, ProjectUid::parse(&project)?).await?;
    let request = JobRequest::read(&body)?;
    let JobApi { store, executions, clock, endpoints, .. } = &*api;
    let cause = Cause::Call(&naming);
    let job = start_job::create_job(store, executions, clock, endpoints, &project, request, cause).await?;
    Ok((StatusCode::ACCEPTED, Json(JobView::of(&job))))
}

/// Show a job.
///
/// With its progress and counters, and after its end with a summary. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/auto-label-jobs/{uid}/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    responses((status = 200, description = "The job as it is now.", body = JobView)),
)]
pub(crate) async fn get<P: JobPorts>(State(api): Api<P>, caller: Caller, Path(uid): Path<String>) -> Answer<JobView> {
    Ok(Json(JobView::of(&api.job(&caller, READ, &uid).await?)))
}

/// List jobs.
///
/// Every job of the organization, the newest first. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/auto-label-jobs/", tag = "auto-label jobs",
    params(
        PagingParameters,
        ("project" = Option<String>, Query, description = "Jobs of this project; an unknown one has none."),
        ("status" = Option<JobStatus>, Query, description = "Jobs in this status."),
    ),
    responses(
        (status = 200, description = "A page of jobs.", body = PageView<JobView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn list<P: JobPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<JobView>> {
    caller.needs(READ)?;
    let paging = request.paging(&["project", "status"])?;
    let status = paging.choice("status", &JobStatus::ALL.map(JobStatus::as_str))?;
    let Ok(project) = paging.filter("project").map(ProjectUid::parse).transpose() else {
        return Ok(Json(paging.empty())); // an unknown project has no jobs (contract, 6.6)
    };
    let page = api.store.jobs(caller.organization, JobFilter { project, status }, &paging.slice()).await?;
    Ok(Json(paging.view(page, |job| JobView::of(&job))))
}

/// Cancel a job.
///
/// The model gets no new item. Outcomes so far stay. A repeated call changes nothing. Scope: `projects.write`.
#[utoipa::path(
    delete, path = "/auto-label-jobs/{uid}/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    responses(
        (status = 204, description = "The job is cancelled."),
        (status = 409, description = "`job_finished`: it has completed or failed.", body = Problem),
    ),
)]
pub(crate) async fn cancel<P: JobPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Result<StatusCode, Error> {
    let job = api.job(&caller, WRITE, &uid).await?;
    let now = api.clock.now();
    let event = Event::of_job(&job, JobStatus::Cancelled, None);
    let deliveries = outbox::deliveries(&api.store, event, now).await?;
    let cancelled = api.store.cancel_job(&job, &deliveries, now).await?;
    // The status is what cancels: workers read it before each item (I7). Stopping the execution only saves time, so the call
    // does not fail with it. The watchdog stops the execution on its next round.
    if let Err(error) = api.executions.stop(job.spec.uid).await {
        warn!(job.uid = %job.spec.uid, causes = error.chain(), "execution of cancelled job not stopped");
    }
    if cancelled {
        outbox::send(&api.queue, &deliveries).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

impl<P: JobPorts> JobApi<P> {
    /// # Errors
    /// `PermissionDenied`; `NotFound` if malformed, unknown or another tenant's (I10).
    pub(crate) async fn job(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Job, Error> {
        caller.needs(scopes)?;
        let uid = JobUid::parse(uid)?;
        let job = self.store.job(uid).await?;
        if job.spec.organization == caller.organization { Ok(job) } else { Err(uid.missing()) }
    }
}

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{JobUid, Naming, ProjectUid};
use shared::domain::job::{Job, JobRequest};
use shared::domain::job_status::JobStatus;
use shared::domain::webhook::Event;
use shared::http::{Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem, respond};
use shared::ports::{Clock, Executions, JobFilter, Jobs, Projects, Providers, Queue, Webhooks};
use shared::services::outbox;
use shared::services::start_job::{self, Cause};
use tracing::warn;

use crate::view::NewJob;
use crate::{App, JobView};

pub(crate) const READ: &[Scope] = &[Scope::ProjectsRead];
pub(crate) const WRITE: &[Scope] = &[Scope::ProjectsWrite];

/// Start a job: runs a model over the project's unlabeled items and leaves drafts. The work happens after the response.
#[utoipa::path(
    post, path = "/projects/{project}/auto-label/", tag = "auto-label jobs",
    params(("project" = ProjectUid, Path)),
    request_body = NewJob,
    responses(
        (status = 202, description = "The pending job.", body = JobView),
        (status = 409, description = "`project_not_active`, or `auto_label_job_active` with the uid of the job that has the project.", body = Problem),
    ),
)]
pub(crate) async fn create<S, E, Q, C>(
    State(app): State<Arc<App<S, E, Q, C>>>,
    caller: Caller,
    naming: Naming,
    Path(project): Path<String>,
    Body(body): Body,
) -> Response
where
    S: Jobs + Projects + Providers,
    E: Executions,
    Q: Queue,
    C: Clock,
{
    respond(
        app.create(&caller, &naming, &project, &body).await.map(|job| (StatusCode::ACCEPTED, Json(JobView::of(&job)))),
    )
}

/// Show a job.
#[utoipa::path(
    get, path = "/auto-label-jobs/{uid}/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    responses((status = 200, description = "The job as it is now.", body = JobView)),
)]
pub(crate) async fn get<S: Jobs, E: Executions, Q: Queue, C: Clock>(
    State(app): State<Arc<App<S, E, Q, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.get(&caller, READ, &uid).await.map(|job| Json(JobView::of(&job))))
}

/// List jobs.
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
pub(crate) async fn list<S: Jobs + Projects, E: Executions, Q: Queue, C: Clock>(
    State(app): State<Arc<App<S, E, Q, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list(&caller, &request).await.map(Json))
}

/// Cancel a job. What was processed stays; nothing new is asked of the model. Again is fine.
#[utoipa::path(
    delete, path = "/auto-label-jobs/{uid}/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    responses(
        (status = 204, description = "The job is cancelled."),
        (status = 409, description = "`job_finished`: it has completed or failed.", body = Problem),
    ),
)]
pub(crate) async fn cancel<S: Jobs + Webhooks, E: Executions, Q: Queue, C: Clock>(
    State(app): State<Arc<App<S, E, Q, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.cancel(&caller, &uid).await.map(|()| StatusCode::NO_CONTENT))
}

impl<S: Jobs, E: Executions, Q: Queue, C: Clock> App<S, E, Q, C> {
    async fn create(&self, caller: &Caller, naming: &Naming, project: &str, body: &[u8]) -> Result<Job, Error>
    where
        S: Projects + Providers,
    {
        caller.needs(WRITE)?;
        let project = self.store.project(caller.organization, ProjectUid::parse(project)?).await?;
        let request = JobRequest::read(body)?;
        let App { store, executions, clock, endpoints, .. } = self;
        start_job::create_job(store, executions, clock, endpoints, project, request, Cause::Call(naming)).await
    }

    pub(crate) async fn get(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Job, Error> {
        caller.needs(scopes)?;
        let job = self.store.job(JobUid::parse(uid)?).await?;
        if job.spec.organization == caller.organization { Ok(job) } else { Err(Error::NotFound) }
    }

    async fn list(&self, caller: &Caller, request: &ListRequest) -> Result<PageView<JobView>, Error>
    where
        S: Projects,
    {
        caller.needs(READ)?;
        let paging = request.paging(&["project", "status"])?;
        let status = match paging.filter("status") {
            Some(name) => Some(JobStatus::named(name).ok_or_else(unknown_status)?),
            None => None,
        };
        let project = match paging.filter("project").map(ProjectUid::parse) {
            Some(Err(_)) => return Ok(paging.empty()), // an unknown project has no jobs (contract, 6.6)
            Some(Ok(uid)) => Some(uid),
            None => None,
        };
        let page = self.store.jobs(caller.organization, JobFilter { project, status }, &paging.slice()).await?;
        Ok(paging.view(page, |job| JobView::of(&job)))
    }

    async fn cancel(&self, caller: &Caller, uid: &str) -> Result<(), Error>
    where
        S: Webhooks,
    {
        let job = self.get(caller, WRITE, uid).await?;
        let now = self.clock.now();
        let event = Event::of_job(&job, JobStatus::Cancelled, None);
        let deliveries = outbox::deliveries(&self.store, event, now).await?;
        let cancelled = self.store.cancel_job(&job, &deliveries, now).await?;
        // The mark is what cancels: workers read it before each item (I7). Stopping the execution only saves time, so a
        // failure here is not the client's; the watchdog stops it on its next round.
        if let Err(error) = self.executions.stop(job.spec.uid).await {
            warn!(job.uid = %job.spec.uid, causes = error.chain(), "execution of cancelled job not stopped");
        }
        if cancelled {
            outbox::send(&self.queue, &deliveries).await;
        }
        Ok(())
    }
}

fn unknown_status() -> Error {
    let names: Vec<&str> = JobStatus::ALL.into_iter().map(JobStatus::as_str).collect();
    Error::field("status", format!("Must be one of {}.", names.join(", ")))
}

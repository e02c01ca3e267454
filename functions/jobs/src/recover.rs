//! What became of each item of a job, and another job over what is left of it (docs/decisions/0015).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::domain::Error;
use shared::domain::id::{JobUid, Naming};
use shared::domain::job::outcome::{ItemReport, OutcomeKind};
use shared::domain::job::{Job, JobSpec};
use shared::http::{Caller, ListRequest, PageView, PagingParameters, Path, Problem, respond};
use shared::ports::{Clock, Executions, Jobs, Projects, Providers, Queue, Reports};
use shared::services::start_job;

use crate::handlers::{READ, WRITE};
use crate::{App, JobView};

/// List what became of a job's items, in the order of their creation. A job that is still running has what is committed.
#[utoipa::path(
    get, path = "/auto-label-jobs/{uid}/items/", tag = "auto-label jobs", operation_id = "items",
    params(
        ("uid" = JobUid, Path),
        PagingParameters,
        ("outcome" = Option<OutcomeKind>, Query, description = "Items with this outcome."),
    ),
    responses(
        (status = 200, description = "A page of items, each with its outcome and the reason of it.", body = PageView<ItemReport>),
        (status = 400, description = "`validation_error`: an unknown outcome.", body = Problem),
    ),
)]
pub(crate) async fn report<S: Jobs + Reports, E: Executions, Q: Queue, C: Clock>(
    State(app): State<Arc<App<S, E, Q, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
    request: ListRequest,
) -> Response {
    respond(app.report(&caller, &uid, &request).await.map(Json))
}

/// Retry a finished job: starts another one, with the same options, over the items that failed or were not processed. Items
/// that were labeled meanwhile are left out.
#[utoipa::path(
    post, path = "/auto-label-jobs/{uid}/retry/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    responses(
        (status = 202, description = "The pending job; `retry_of` names the one that it retries.", body = JobView),
        (status = 409, description = "`job_not_finished`; `not_retryable`: nothing is left of it, or its provider is gone; `project_not_active`; or `auto_label_job_active` with the uid of the job that has the project.", body = Problem),
    ),
)]
pub(crate) async fn retry<S: Jobs + Projects + Providers, E: Executions, Q: Queue, C: Clock>(
    State(app): State<Arc<App<S, E, Q, C>>>,
    caller: Caller,
    naming: Naming,
    Path(uid): Path<String>,
) -> Response {
    respond(app.retry(&caller, &naming, &uid).await.map(|job| (StatusCode::ACCEPTED, Json(JobView::of(&job)))))
}

impl<S: Jobs, E: Executions, Q: Queue, C: Clock> App<S, E, Q, C> {
    async fn report(&self, caller: &Caller, uid: &str, request: &ListRequest) -> Result<PageView<ItemReport>, Error>
    where
        S: Reports,
    {
        let job = self.get(caller, READ, uid).await?;
        let paging = request.paging(&["outcome"])?;
        let only = match paging.filter("outcome") {
            Some(name) => Some(OutcomeKind::named(name).ok_or_else(unknown_outcome)?),
            None => None,
        };
        let page = self.store.report(job.spec.uid, only, &paging.slice()).await?;
        Ok(paging.view(page, |line| line))
    }

    async fn retry(&self, caller: &Caller, naming: &Naming, uid: &str) -> Result<Job, Error>
    where
        S: Projects + Providers,
    {
        let spec = self.get(caller, WRITE, uid).await?.retried(self.clock.now())?;
        let project = self.store.project(caller.organization, spec.project).await?;
        if !project.status.takes_jobs() {
            return Err(Error::ProjectNotActive);
        }
        if !self.is_served(&spec).await? {
            return Err(Error::NotRetryable("The job's model is not available any more. Start a new job."));
        }
        start_job::start_job(&self.store, &self.executions, &self.clock, spec, naming).await
    }

    /// Whether the model of a job that is over would serve it again.
    async fn is_served(&self, spec: &JobSpec) -> Result<bool, Error>
    where
        S: Providers,
    {
        let Some(uid) = spec.provider else {
            return Ok(spec.model_type.is_some_and(|model| self.endpoints.contains(&model)));
        };
        match self.store.provider(spec.organization, uid).await {
            Ok(provider) => Ok(provider.serves(spec.project)),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn unknown_outcome() -> Error {
    let names = OutcomeKind::ALL.map(OutcomeKind::as_str);
    Error::field("outcome", format!("Must be one of {}.", names.join(", ")))
}

//! The outcome of each item of a job, and another job over the items without a draft (docs/decisions/0015).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::Error;
use shared::domain::fields::Fields;
use shared::domain::id::{JobUid, Naming};
use shared::domain::job::outcome::{ItemReport, OutcomeKind};
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Clock, Projects, Reports};
use shared::services::{serving, start_job};

use crate::handlers::{READ, WRITE};
use crate::{Api, JobPorts, JobView};

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
pub(crate) async fn report<P: JobPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    request: ListRequest,
) -> Answer<PageView<ItemReport>> {
    let job = api.job(&caller, READ, &uid).await?;
    let paging = request.paging(&["outcome"])?;
    let only = paging.choice("outcome", &OutcomeKind::ALL.map(OutcomeKind::as_str))?;
    let page = api.store.report(job.spec.uid, only, &paging.slice()).await?;
    Ok(Json(paging.view(page, |line| line)))
}

/// Retry a finished job: starts another one, with the same options and none of the call's, over the items that failed or were not processed. Items
/// that were labeled meanwhile are left out.
#[utoipa::path(
    post, path = "/auto-label-jobs/{uid}/retry/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    responses(
        (status = 202, description = "The pending job; `retry_of` names the one that it retries.", body = JobView),
        (status = 409, description = "`job_not_finished`; `not_retryable`: nothing is left of it, or its provider is gone; `project_not_active`; or `auto_label_job_active` with the uid of the job that has the project.", body = Problem),
    ),
)]
pub(crate) async fn retry<P: JobPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<JobView>), Error> {
    let job = api.job(&caller, WRITE, &uid).await?;
    Fields::none(&body)?; // another threshold would be that of another job
    let spec = job.retried(api.clock.now())?;
    let project = api.store.project(caller.organization, spec.project).await?;
    if !project.status.takes_jobs() {
        return Err(Error::ProjectNotActive);
    }
    if !serving::is_served(&api.store, &api.endpoints, &spec).await? {
        return Err(Error::NotRetryable("The job's model is not available any more. Start a new job."));
    }
    let job = start_job::start_job(&api.store, &api.executions, &api.clock, spec, &naming).await?;
    Ok((StatusCode::ACCEPTED, Json(JobView::of(&job))))
}

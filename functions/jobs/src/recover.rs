//! The outcome of each item of a job, and another job over the items without a draft (docs/decisions/0015).

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::Error;
use shared::domain::fields::Fields;
use shared::domain::id::{ItemUid, JobUid, Naming};
use shared::domain::job::outcome::{ItemReport, OutcomeKind};
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Clock, Items, Projects, Reports};
use shared::services::{serving, start_job};

use crate::handlers::{READ, WRITE};
use crate::{Api, JobPorts, JobView};

/// List the outcomes of a job.
///
/// One row per item of the job, with the outcome and the reason. The newest item comes first. A running job has the
/// rows that are committed. Scope: `projects.read`.
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
    let uids: Vec<ItemUid> = page.entries.iter().map(|line| line.item).collect();
    let items = api.store.items(&uids).await?;
    let mut keys: HashMap<ItemUid, String> = items.into_iter().map(|item| (item.asset.uid, item.key)).collect();
    Ok(Json(paging.view(page, |line| ItemReport { key: keys.remove(&line.item), ..line })))
}

/// Retry a job.
///
/// Starts another job with the same options, and none of the call's, over the items that the ended job failed at or did not reach. Items that
/// were labeled since are left out. Scope: `projects.write`.
#[utoipa::path(
    post, path = "/auto-label-jobs/{uid}/retry/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    responses(
        (status = 202, description = "The pending job; `retry_of` names the one that it retries.", body = JobView, example = json!({
            "status": "pending", "total_items": 0, "processed_items": 0, "successful_items": 0, "failed_items": 0, "skipped_items": 0,
            "progress_pct": 0.0, "summary": null, "started_at": null, "completed_at": null, "retry_of": "01a20112-07ab-7087-87b3-78e485451551",
        })),
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
    let mut spec = job.retried(api.clock.now())?;
    let project = api.store.project(caller.organization, spec.project).await?;
    project.check_active()?;
    spec.served_by = serving::serving_now(&api.store, &api.endpoints, &spec).await?;
    if spec.served_by.is_none() {
        return Err(Error::NotRetryable("The job's model is not available any more. Start a new job."));
    }
    let job = start_job::start_job(&api.store, &api.executions, &api.clock, &project, spec, &naming).await?;
    Ok((StatusCode::ACCEPTED, Json(JobView::of(&job))))
}

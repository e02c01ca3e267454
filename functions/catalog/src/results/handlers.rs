use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use shared::domain::access::api_key::Scope;
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, JobUid, ProjectUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::item::result::{LabelResult, ResultStatus, Verdict};
use shared::domain::prediction::size::Size;
use shared::domain::reply;
use shared::domain::webhook::{Delivery, Event};
use shared::domain::{Error, limits};
use shared::http::{Body, Caller, IfMatch, ListRequest, PageView, PagingParameters, Path, Problem, respond};
use shared::ports::{Clock, Items, Objects, Page, Projects, Queue, Results, Webhooks};
use shared::services::outbox;

use super::Review;
use super::view::{Correction, ResultView};
use crate::items::own_items;
use crate::projects::{READ, WRITE};
use crate::whole;

/// Tries to write over what was read. Two people seldom review one result at once, three hardly ever.
const TRIES: usize = 2;

pub(super) type Shared<S, O, W, Q, C> = State<Arc<Review<S, O, W, Q, C>>>;

/// List a project's results. Rejected ones are in no list: each is found by its uid.
#[utoipa::path(
    get, path = "/projects/{uid}/results/", tag = "results",
    params(
        ("uid" = ProjectUid, Path),
        PagingParameters,
        ("status" = Option<ResultStatus>, Query, description = "Results in this status."),
        ("item" = Option<ItemUid>, Query, description = "The result of this item."),
        ("job" = Option<JobUid>, Query, description = "Results that this job drafted."),
    ),
    responses(
        (status = 200, description = "A page of results.", body = PageView<ResultView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn list<S: Projects + Items + Results, O: Objects, W: Webhooks, Q: Queue, C: Clock>(
    State(review): Shared<S, O, W, Q, C>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Response {
    respond(review.list(&caller, &project, &request).await.map(Json))
}

/// Show a result, also a rejected one.
#[utoipa::path(
    get, path = "/results/{uid}/", tag = "results",
    params(("uid" = ResultUid, Path)),
    responses(
        (status = 200, description = "The result as it is now.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it."))),
    ),
)]
pub(crate) async fn get<S: Results, O: Objects, W: Webhooks, Q: Queue, C: Clock>(
    State(review): Shared<S, O, W, Q, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(review.result(&caller, READ, &uid).await.map(ResultView::of).and_then(|view| view.ok_or(Error::NotFound)))
}

/// Correct a result: these annotations are right, and it counts as accepted. Tells `result.accepted`.
#[utoipa::path(
    patch, path = "/results/{uid}/", tag = "results",
    params(("uid" = ResultUid, Path), ("If-Match" = Option<String>, Header, description = "Only over this version.")),
    request_body = Correction,
    responses(
        (status = 200, description = "The accepted result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it."))),
        (status = 409, description = "`result_rejected`: it is history.", body = Problem),
        (status = 412, description = "`precondition_failed`: it has changed since it was read.", body = Problem),
    ),
)]
pub(crate) async fn correct<S: Results, O: Objects, W: Webhooks, Q: Queue, C: Clock>(
    State(review): Shared<S, O, W, Q, C>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Response {
    respond(review.review(&caller, &uid, &if_match, |item| correction(&body, item.asset.bounds())).await)
}

/// Accept a result as it is. Tells `result.accepted`; again is fine, and tells nothing.
#[utoipa::path(
    post, path = "/results/{uid}/accept/", tag = "results",
    params(("uid" = ResultUid, Path), ("If-Match" = Option<String>, Header, description = "Only over this version.")),
    responses(
        (status = 200, description = "The accepted result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it."))),
        (status = 409, description = "`result_rejected`: it is history.", body = Problem),
        (status = 412, description = "`precondition_failed`: it has changed since it was read.", body = Problem),
    ),
)]
pub(crate) async fn accept<S: Results, O: Objects, W: Webhooks, Q: Queue, C: Clock>(
    State(review): Shared<S, O, W, Q, C>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
) -> Response {
    respond(review.review(&caller, &uid, &if_match, |_| Ok(Verdict::Accept)).await)
}

/// Reject a result, also an accepted one: a person may change her mind. The item is unlabeled again. Tells
/// `result.rejected`; again is fine, and tells nothing.
#[utoipa::path(
    post, path = "/results/{uid}/reject/", tag = "results",
    params(("uid" = ResultUid, Path), ("If-Match" = Option<String>, Header, description = "Only over this version.")),
    responses(
        (status = 200, description = "The rejected result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it."))),
        (status = 412, description = "`precondition_failed`: it has changed since it was read.", body = Problem),
    ),
)]
pub(crate) async fn reject<S: Results, O: Objects, W: Webhooks, Q: Queue, C: Clock>(
    State(review): Shared<S, O, W, Q, C>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
) -> Response {
    respond(review.review(&caller, &uid, &if_match, |_| Ok(Verdict::Reject)).await)
}

/// What a person says is right. An empty list is an answer too: nothing is there.
fn correction(body: &[u8], size: Option<Size>) -> Result<Verdict, Error> {
    let mut fields = Fields::of_body(body)?;
    let parts = fields.required("annotations", fields::list(limits::PREDICTIONS)).unwrap_or_default();
    fields.finish()?;
    reply::annotations("annotations", parts, size).map(Verdict::Correct).map_err(Error::Validation)
}

impl<S: Projects + Items + Results, O: Objects, W: Webhooks, Q: Queue, C: Clock> Review<S, O, W, Q, C> {
    async fn list(&self, caller: &Caller, project: &str, request: &ListRequest) -> Result<PageView<ResultView>, Error> {
        caller.needs(READ)?;
        let project = ProjectUid::parse(project)?;
        let paging = request.paging(&["status", "item", "job"])?;
        let status = match paging.filter("status") {
            Some(name) => Some(
                serde_json::from_value(name.into())
                    .map_err(|_| Error::field("status", "Must be one of draft, accepted, rejected."))?,
            ),
            None => None,
        };
        let job = paging.filter("job").map(JobUid::parse).transpose();
        let item = paging.filter("item").map(ItemUid::parse).transpose();
        let named = match (&job, item) {
            (Ok(_), Ok(item)) => item.map(|uid| vec![uid]),
            _ => Some(Vec::new()), // what is no uid names nothing
        };
        let mut page = match named {
            None => own_items(&self.store, caller.organization, project, &paging.slice()).await?,
            Some(uids) => {
                let project = self.store.project(caller.organization, project).await?.uid;
                let mut entries = self.store.items(&uids).await?;
                entries.retain(|item| item.project == project);
                Page::whole(entries)
            }
        };
        let job = job.ok().flatten();
        let keep = |result: &LabelResult| {
            status.is_none_or(|status: ResultStatus| result.status == status)
                && (job.is_none() || result.lineage.as_ref().map(|l| l.job) == job)
        };
        let kept = std::mem::take(&mut page.entries).into_iter().filter(|item| item.result.as_ref().is_some_and(keep));
        let whole = whole::all(&self.objects, kept).await?;
        Ok(paging.view(page.with(|_| whole.into_iter().filter_map(ResultView::of).collect()), |view| view))
    }
}

impl<S: Results, O: Objects, W: Webhooks, Q: Queue, C: Clock> Review<S, O, W, Q, C> {
    /// The item with the result of this uid.
    async fn result(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Item, Error> {
        caller.needs(scopes)?;
        let item = self.store.result(ResultUid::parse(uid)?).await?;
        let own = item.filter(|item| item.organization == caller.organization).ok_or(Error::NotFound)?; // I10
        whole::one(&self.objects, own).await
    }

    async fn review(
        &self,
        caller: &Caller,
        uid: &str,
        if_match: &IfMatch,
        verdict: impl Fn(&Item) -> Result<Verdict, Error>,
    ) -> Result<ResultView, Error> {
        for _ in 0..TRIES {
            let item = self.result(caller, WRITE, uid).await?;
            let before = item.result.as_ref().ok_or(Error::NotFound)?;
            if_match.check(before.revision)?;
            let now = self.clock.now();
            let reviewed = before.reviewed(verdict(&item)?, caller.name(), now)?;
            let written = match &reviewed {
                Some(reviewed) => {
                    let event = Event::of_review(&item, reviewed);
                    let deliveries = outbox::deliveries(&self.webhooks, event, now).await?;
                    self.write(&item, reviewed, &deliveries).await?
                }
                None => true, // it says so already
            };
            if written {
                let result = reviewed.or(item.result);
                return ResultView::of(Item { result, ..item }).ok_or(Error::NotFound);
            }
        }
        Err(Error::PreconditionFailed)
    }

    /// Stores a verdict and tells it. `false`: somebody else was quicker.
    pub(super) async fn write(
        &self,
        item: &Item,
        reviewed: &LabelResult,
        deliveries: &[Delivery],
    ) -> Result<bool, Error> {
        let written = self.store.review(item, reviewed, deliveries).await?;
        if written {
            outbox::send(&self.queue, deliveries).await;
        }
        Ok(written)
    }
}

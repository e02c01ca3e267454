use axum::Json;
use axum::extract::State;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::fields::Fields;
use shared::domain::id::{ItemUid, JobUid, ProjectUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::item::result::{LabelResult, ResultStatus, Verdict};
use shared::domain::webhook::{Delivery, Event};
use shared::http::{Answer, Body, Caller, IfMatch, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Clock, Items, Page, Projects, Results};
use shared::services::outbox;

use super::view::{Correction, ResultView};
use crate::items::own_items;
use crate::projects::{READ, WRITE};
use crate::{Api, CatalogApi, CatalogPorts, whole};

/// Tries to write over what was read. Two reviews of one result at once are rare, three very rare.
const TRIES: usize = 2;

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
pub(crate) async fn list<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Answer<PageView<ResultView>> {
    caller.needs(READ)?;
    let project = ProjectUid::parse(&project)?;
    let paging = request.paging(&["status", "item", "job"])?;
    let status: Option<ResultStatus> = paging.choice("status", &["draft", "accepted", "rejected"])?;
    let job = paging.filter("job").map(JobUid::parse).transpose();
    let item = paging.filter("item").map(ItemUid::parse).transpose();
    let named = match (&job, item) {
        (Ok(_), Ok(item)) => item.map(|uid| vec![uid]),
        _ => Some(Vec::new()), // a malformed uid matches nothing
    };
    let mut page = match named {
        None => own_items(&api.store, caller.organization, project, &paging.slice()).await?,
        Some(uids) => {
            let project = api.store.project(caller.organization, project).await?.uid;
            let mut entries = api.store.items(&uids).await?;
            entries.retain(|item| item.project == project);
            Page::whole(entries)
        }
    };
    let job = job.ok().flatten();
    let keep = |result: &LabelResult| {
        status.is_none_or(|status| result.status == status)
            && (job.is_none() || result.lineage.as_ref().map(|l| l.job) == job)
    };
    let kept = std::mem::take(&mut page.entries).into_iter().filter(|item| item.result.as_ref().is_some_and(keep));
    let whole = whole::all(&api.objects, kept).await?;
    Ok(Json(paging.view(page.with(|_| whole.into_iter().filter_map(ResultView::of).collect()), |view| view)))
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
pub(crate) async fn get<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Result<ResultView, Error> {
    ResultView::of(api.result(&caller, READ, &uid).await?).ok_or(Error::NotFound)
}

/// Correct a result: these annotations are right, and it counts as accepted. Sends the event `result.accepted`.
///
/// Their labels are those of the project, if it has any, or of the result as it is. A shape that crosses the border of the picture
/// is cut to it; `notes` of the answer says so.
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
pub(crate) async fn correct<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<ResultView, Error> {
    api.review(&caller, &uid, &if_match, Review { decision: Decided::Correct, body: &body }).await
}

/// Accept a result as it is. Sends the event `result.accepted`; a repeated call sends none.
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
pub(crate) async fn accept<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<ResultView, Error> {
    api.review(&caller, &uid, &if_match, Review { decision: Decided::Accept, body: &body }).await
}

/// Reject a result, also an accepted one: a person may change her mind. The item is unlabeled again. Sends the event
/// `result.rejected`; a repeated call sends none.
#[utoipa::path(
    post, path = "/results/{uid}/reject/", tag = "results",
    params(("uid" = ResultUid, Path), ("If-Match" = Option<String>, Header, description = "Only over this version.")),
    responses(
        (status = 200, description = "The rejected result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it."))),
        (status = 412, description = "`precondition_failed`: it has changed since it was read.", body = Problem),
    ),
)]
pub(crate) async fn reject<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<ResultView, Error> {
    api.review(&caller, &uid, &if_match, Review { decision: Decided::Reject, body: &body }).await
}

/// A person's decision about one result, as a call sends it.
#[derive(Clone, Copy)]
struct Review<'a> {
    decision: Decided,
    body: &'a [u8],
}

#[derive(Clone, Copy)]
enum Decided {
    Accept,
    Correct,
    Reject,
}

impl Review<'_> {
    /// The verdict on the item's result, and what was changed of what the person has sent.
    async fn verdict<P: CatalogPorts>(
        self,
        api: &CatalogApi<P>,
        item: &Item,
        before: &LabelResult,
    ) -> Result<(Verdict, Vec<String>), Error> {
        let verdict = match self.decision {
            Decided::Accept => Verdict::Accept,
            Decided::Reject => Verdict::Reject,
            Decided::Correct => {
                let Correction { annotations, notes } = Correction::read(self.body, item.asset.bounds())?;
                let new: Vec<_> = before.new_labels(&annotations).collect();
                if !new.is_empty() {
                    api.store.project(item.organization, item.project).await?.check_annotations(new)?;
                }
                return Ok((Verdict::Correct(annotations), notes));
            }
        };
        Fields::none(self.body).map(|()| (verdict, Vec::new()))
    }
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// The item with the result of this uid, and all of its annotations.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` if malformed, unknown or another tenant's (I10).
    async fn result(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Item, Error> {
        caller.needs(scopes)?;
        let item = self.results.result(ResultUid::parse(uid)?).await?;
        let own = item.filter(|item| item.organization == caller.organization).ok_or(Error::NotFound)?;
        whole::one(&self.objects, own).await
    }

    async fn review(
        &self,
        caller: &Caller,
        uid: &str,
        if_match: &IfMatch,
        review: Review<'_>,
    ) -> Result<ResultView, Error> {
        for _ in 0..TRIES {
            let item = self.result(caller, WRITE, uid).await?;
            let before = item.result.as_ref().ok_or(Error::NotFound)?;
            if_match.check(before.revision)?;
            let (verdict, notes) = review.verdict(self, &item, before).await?;
            let now = self.clock.now();
            let reviewed = before.reviewed(verdict, caller.name(), now)?;
            let written = match &reviewed {
                Some(reviewed) => {
                    let event = Event::of_review(&item, reviewed);
                    let deliveries = outbox::deliveries(&self.webhooks, event, now).await?;
                    self.write(&item, reviewed, &deliveries).await?
                }
                None => true, // the result has the verdict already
            };
            if written {
                let result = reviewed.or(item.result);
                let view = ResultView::of(Item { result, ..item }).ok_or(Error::NotFound)?;
                return Ok(view.with_notes(notes));
            }
        }
        Err(Error::PreconditionFailed)
    }

    /// Stores a verdict and sends its deliveries. `false`: another call has changed the result since it was read.
    pub(super) async fn write(
        &self,
        item: &Item,
        reviewed: &LabelResult,
        deliveries: &[Delivery],
    ) -> Result<bool, Error> {
        let written = self.results.review(item, reviewed, deliveries).await?;
        if written {
            outbox::send(&self.queue, deliveries).await;
        }
        Ok(written)
    }
}

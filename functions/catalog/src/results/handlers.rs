use axum::Json;
use axum::extract::State;
use shared::domain::access::api_key::Scope;
use shared::domain::fields::Fields;
use shared::domain::id::{ItemUid, JobUid, ProjectUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::item::result::{LabelResult, ResultStatus, Verdict};
use shared::domain::webhook::{Delivery, Event};
use shared::domain::{Error, limits};
use shared::http::{
    Answer, Body, Caller, IfMatch, IfMatchHeader, ListRequest, PageView, PagingParameters, Path, Problem,
};
use shared::ports::{Clock, Items, Page, Projects, Results};
use shared::services::{large, outbox};

use super::WRITE;
use super::view::{Correction, DraftView, ResultView};
use crate::items::own_items;
use crate::projects::READ;
use crate::{Api, CatalogApi, CatalogPorts, whole};

/// Tries to write over what was read. Two reviews of one result at once are rare, three very rare.
pub(super) const TRIES: usize = 2;

/// List a project's results.
///
/// Drafts and accepted results. Rejected ones are in no list; each can be read by its uid. Scope: `projects.read`.
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
    let status: Option<ResultStatus> = paging.choice("status", &ResultStatus::ALL.map(ResultStatus::as_str))?;
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

/// Show a result.
///
/// Also a rejected one. The `ETag` names this version: send it as `If-Match` with a review. Scope: `projects.read`.
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
    ResultView::of(api.result(&caller, READ, &uid).await?).ok_or_else(|| no_result(&uid))
}

/// Show the draft of a result.
///
/// The annotations as the model gave them, and what a person made of each: kept, moved, relabeled or deleted. A result by hand has
/// no draft. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/results/{uid}/draft/", tag = "results",
    params(("uid" = ResultUid, Path)),
    responses((status = 200, description = "The draft.", body = DraftView)),
)]
pub(crate) async fn draft<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<DraftView> {
    let item = whole::with_draft(&api.objects, api.result(&caller, READ, &uid).await?).await?;
    DraftView::of(&item).map(Json).ok_or_else(|| Error::no_such("draft of a result", &uid))
}

/// Correct a result.
///
/// These annotations are right. The result counts as accepted, with the source `human`. Their labels are those of the project, if it
/// has any, or of the result as it is. A shape that crosses the border of the picture is cut to it; `notes` of the answer says so.
/// `draft_indexes` says which annotations of the draft they were; without it they are matched. Sends the event `result.accepted`, and
/// `task.completed` unless it was accepted. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    patch, path = "/results/{uid}/", tag = "results",
    params(("uid" = ResultUid, Path), IfMatchHeader),
    request_body = Correction,
    responses(
        (status = 200, description = "The accepted result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it.")),
            example = json!({
                "status": "accepted", "source": "human", "reviewed_by": "ci", "origins": ["moved"], "draft_indexes": [0],
            })),
        (status = 409, description = "`result_rejected`: reopen it first.", body = Problem),
        (status = 412, description = "`precondition_failed`: it has changed since it was read.", body = Problem),
    ),
)]
pub(crate) async fn correct<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body<{ limits::CORRECTION_BODY_BYTES }>,
) -> Result<ResultView, Error> {
    api.review(&caller, &uid, &if_match, Review { decision: Decided::Correct, body: &body }).await
}

/// Accept a result.
///
/// The annotations are right as they are. Sends the events `result.accepted` and `task.completed`; a repeated call sends none. Scope:
/// `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/results/{uid}/accept/", tag = "results",
    params(("uid" = ResultUid, Path), IfMatchHeader),
    responses(
        (status = 200, description = "The accepted result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it.")),
            example = json!({"status": "accepted", "reviewed_by": "ci", "origins": ["kept"], "draft_indexes": [0]})),
        (status = 409, description = "`result_rejected`: reopen it first.", body = Problem),
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

/// Reject a result.
///
/// A draft, or an accepted result. The item is unlabeled again, and the next job takes it. Sends the event
/// `result.rejected`; a repeated call sends none. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/results/{uid}/reject/", tag = "results",
    params(("uid" = ResultUid, Path), IfMatchHeader),
    responses(
        (status = 200, description = "The rejected result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it.")),
            example = json!({"status": "rejected", "reviewed_by": "ci"})),
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

/// Reopen a result.
///
/// An accepted or rejected result is a draft again, with the annotations that it has, and its task is pending. A rejected one
/// comes back under the same uid, unless its item has had another result since. Sends no event; a repeated call changes nothing.
/// Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/results/{uid}/reopen/", tag = "results",
    params(("uid" = ResultUid, Path), IfMatchHeader),
    responses(
        (status = 200, description = "The draft.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it.")),
            example = json!({"status": "draft", "reviewed_by": "ci"})),
        (status = 409, description = "`result_superseded`: its item has had another result since, `result_uid`.", body = Problem),
        (status = 412, description = "`precondition_failed`: it has changed since it was read.", body = Problem),
    ),
)]
pub(crate) async fn reopen<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<ResultView, Error> {
    api.review(&caller, &uid, &if_match, Review { decision: Decided::Reopen, body: &body }).await
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
    Reopen,
}

impl Review<'_> {
    /// The item with what the verdict needs of its result: a correction is compared with the draft.
    async fn whole<P: CatalogPorts>(self, api: &CatalogApi<P>, item: Item) -> Result<Item, Error> {
        match self.decision {
            Decided::Correct => whole::with_draft(&api.objects, item).await,
            Decided::Accept | Decided::Reject | Decided::Reopen => Ok(item),
        }
    }

    /// The verdict on the item's result, and what was changed of what the person has sent.
    async fn verdict<P: CatalogPorts>(self, api: &CatalogApi<P>, item: &Item) -> Result<(Verdict, Vec<String>), Error> {
        let verdict = match self.decision {
            Decided::Accept => Verdict::Accept,
            Decided::Reject => Verdict::Reject,
            Decided::Reopen => item.reopening()?,
            Decided::Correct => {
                let (corrected, notes) = api.correction(item, self.body).await?.into_parts();
                return Ok((Verdict::Correct(corrected), notes));
            }
        };
        Fields::none(self.body).map(|()| (verdict, Vec::new()))
    }
}

fn no_result(uid: &str) -> Error {
    Error::no_such("result", uid)
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// The item with the result of this uid, and all of its annotations.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` if malformed, unknown or another tenant's (I10).
    async fn result(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Item, Error> {
        caller.needs(scopes)?;
        let item = self.results.result(ResultUid::parse(uid)?).await?;
        let own = item.filter(|item| item.organization == caller.organization).ok_or_else(|| no_result(uid))?;
        whole::one(&self.objects, own).await
    }

    /// A person's annotations of the item. Their labels are those of the project, if it has any, or of the result as it is.
    pub(super) async fn correction(&self, item: &Item, body: &[u8]) -> Result<Correction, Error> {
        let mut correction = Correction::read(body, item.asset.bounds())?;
        let new: Vec<usize> = item.new_labels(&correction.annotations);
        if !new.is_empty() {
            let project = self.store.project(item.organization, item.project).await?;
            project.use_own_labels(&mut correction.annotations, &new)?;
        }
        Ok(correction)
    }

    async fn review(
        &self,
        caller: &Caller,
        uid: &str,
        if_match: &IfMatch,
        review: Review<'_>,
    ) -> Result<ResultView, Error> {
        for _ in 0..TRIES {
            let item = review.whole(self, self.result(caller, WRITE, uid).await?).await?;
            let before = item.result.as_ref().ok_or_else(|| no_result(uid))?;
            if_match.check(before.revision)?;
            let (verdict, notes) = review.verdict(self, &item).await?;
            let now = self.clock.now();
            let mut reviewed = item.reviewed(verdict, caller.name(), now)?;
            if let Some(changed) = reviewed.take_if(|reviewed| reviewed.annotations != before.annotations) {
                reviewed = Some(large::kept(&self.objects, item.asset.uid, changed).await?);
            }
            let written = match &reviewed {
                Some(reviewed) => {
                    let events = Event::of_verdict(&item, reviewed);
                    let deliveries = outbox::deliveries(&self.webhooks, events, now).await?;
                    self.write(&item, reviewed, &deliveries).await?
                }
                None => true, // the result has the verdict already
            };
            if written {
                let result = reviewed.or(item.result);
                let view = ResultView::of(Item { result, ..item }).ok_or_else(|| no_result(uid))?;
                return Ok(view.with_notes(notes));
            }
        }
        Err(Error::keeps_changing())
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

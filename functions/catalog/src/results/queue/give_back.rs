use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::review_queue::{LEASE, Queued, Reviewer};
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Body, Caller, Path, Problem};
use shared::ports::{Clock, Projects, ReviewQueue};

use super::super::WRITE;
use super::super::handlers::TRIES;
use super::view::{ChangedClaims, ClaimedItems, DraftToSkip, SkippedDraft};
use crate::{Api, CatalogApi, CatalogPorts};

/// Renew claims.
///
/// The lease of each item is ten minutes from now on. A claim whose lease is over is renewed if no other key has taken the item
/// since. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/review-queue/renew/", tag = "review queue",
    params(("uid" = ProjectUid, Path)),
    request_body = ClaimedItems,
    responses((status = 200, description = "What is the caller's still.", body = ChangedClaims)),
)]
pub(crate) async fn renew<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<ChangedClaims> {
    api.change_claims(&caller, &project, &body, Change::Renew).await.map(Json)
}

/// Release claims.
///
/// The items are handed out again, to the caller as well. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/review-queue/release/", tag = "review queue",
    params(("uid" = ProjectUid, Path)),
    request_body = ClaimedItems,
    responses((status = 200, description = "What is given back.", body = ChangedClaims)),
)]
pub(crate) async fn release<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<ChangedClaims> {
    api.change_claims(&caller, &project, &body, Change::Release).await.map(Json)
}

/// Skip a draft.
///
/// Gives it back. The caller does not get it again; other keys do, and see the reason. A repeated call is harmless. Scope:
/// `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/review-queue/skip/", tag = "review queue",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftToSkip,
    responses(
        (status = 200, description = "It is given back.", body = SkippedDraft),
        (status = 412, description = "`precondition_failed`: it kept changing.", body = Problem),
    ),
)]
pub(crate) async fn skip<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<SkippedDraft> {
    let project = api.own_queue(&caller, &project).await?;
    let DraftToSkip { item, reason } = DraftToSkip::read(&body)?;
    for _ in 0..TRIES {
        let queued = api.queued_in(project, &[item]).await?;
        let draft = queued.into_iter().find(Queued::is_draft).ok_or_else(|| item.missing())?;
        let marks = draft.skipped(&caller.reviewer(), reason.clone(), api.clock.now());
        if api.review_queue.mark(&draft, &marks).await? {
            return Ok(Json(SkippedDraft { item }));
        }
    }
    Err(Error::keeps_changing())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Renew,
    Release,
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// The project, if its drafts are the caller's to review.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` if unknown or another tenant's (I10).
    async fn own_queue(&self, caller: &Caller, project: &str) -> Result<ProjectUid, Error> {
        caller.needs(WRITE)?;
        Ok(self.store.project(caller.organization, ProjectUid::parse(project)?).await?.uid)
    }

    async fn change_claims(
        &self,
        caller: &Caller,
        project: &str,
        body: &[u8],
        change: Change,
    ) -> Result<ChangedClaims, Error> {
        let project = self.own_queue(caller, project).await?;
        let asked = ClaimedItems::read(body)?.items;
        let (reviewer, now) = (caller.reviewer(), self.clock.now());
        let (mut items, raced) = self.change_once(project, &asked, change, &reviewer, now).await?;
        if !raced.is_empty() {
            // Perhaps by another call of the same key: then they are still the caller's.
            let (late, _) = self.change_once(project, &raced, change, &reviewer, now).await?;
            items.extend(late);
        }
        let found: HashSet<ItemUid> = items.iter().copied().collect();
        let lost = asked.into_iter().filter(|item| !found.contains(item)).collect();
        let is_renewed = change == Change::Renew && !items.is_empty();
        let claimed_until: Option<Timestamp> = is_renewed.then(|| now + LEASE);
        Ok(ChangedClaims { items, lost, claimed_until })
    }

    /// The items whose claims it has changed, and those that were the caller's and have changed since they were read.
    async fn change_once(
        &self,
        project: ProjectUid,
        items: &[ItemUid],
        change: Change,
        reviewer: &Reviewer,
        now: Timestamp,
    ) -> Result<(Vec<ItemUid>, Vec<ItemUid>), Error> {
        let mut own = self.queued_in(project, items).await?;
        own.retain(|draft| draft.is_draft() && draft.is_claimed_by(reviewer));
        let mut raced: Vec<ItemUid> = own.iter().map(|draft| draft.item.asset.uid).collect();
        let marks = |draft: Queued| {
            let marks = match change {
                Change::Renew => draft.claimed(reviewer, now),
                Change::Release => draft.released(now),
            };
            (draft, marks)
        };
        let changed = self.mark_all(own.into_iter().map(marks).collect()).await?;
        let changed: Vec<ItemUid> = changed.into_iter().map(|draft| draft.item.asset.uid).collect();
        raced.retain(|item| !changed.contains(item));
        Ok((changed, raced))
    }
}

//! Review of many drafts by one call, which walks through the project from its oldest item on.
//!
//! Every draft is reviewed by the same conditional write as by a call of its own: what somebody else does meanwhile wins, and
//! is not counted. So a call may die anywhere and be repeated from anywhere; it only finds fewer drafts.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::domain::fields::{self, Fields};
use shared::domain::id::{OrganizationUid, ProjectUid};
use shared::domain::item::Item;
use shared::domain::item::result::{DraftFilter, Verdict};
use shared::domain::webhook::{Event, Webhook};
use shared::domain::{Error, limits};
use shared::http::{Body, Caller, Path, respond};
use shared::ports::{Clock, Objects, Page, Projects, Queue, Results, Slice, Webhooks};
use shared::services::outbox;

use super::Review;
use super::handlers::Shared;
use super::view::{AcceptedDrafts, DraftsToReview, Progress, RejectedDrafts};
use crate::projects::WRITE;
use crate::whole;

/// After this a call begins no other review. Clients wait for 30 seconds, the gateway no longer, and a review that has begun
/// may take ten of them if the table and the queue are slow.
const TIME: Duration = Duration::from_secs(15);
/// Drafts are looked into for so long, one after the other if they are large, before those that match are reviewed.
const LOOK: Duration = Duration::from_secs(2);
/// Reviews at once.
const REVIEWS: usize = 16;
/// No cursor of ours is longer, whatever the label.
const CURSOR_CHARS: usize = 8 * 1024;
/// No position in an index is longer.
const AFTER_BYTES: usize = 200;

/// Accept many drafts: those of the project that match every field given. Call again with the `cursor` until `done`; a call
/// without it begins anew, which is harmless. Tells `result.accepted` for each.
#[utoipa::path(
    post, path = "/projects/{uid}/results/accept/", tag = "results",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftsToReview,
    responses((status = 200, description = "How far the call has come.", body = AcceptedDrafts)),
)]
pub(crate) async fn accept_all<S: Projects + Results, O: Objects, W: Webhooks, Q: Queue, C: Clock>(
    State(review): Shared<S, O, W, Q, C>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Response {
    let swept = review.sweep(&caller, &project, &body, Decision::Accept).await;
    respond(swept.map(|(accepted, progress)| Json(AcceptedDrafts { accepted, progress })))
}

/// Reject many drafts: those of the project that match every field given. Their items are unlabeled again. Call again with
/// the `cursor` until `done`; a call without it begins anew, which is harmless. Tells `result.rejected` for each.
#[utoipa::path(
    post, path = "/projects/{uid}/results/reject/", tag = "results",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftsToReview,
    responses((status = 200, description = "How far the call has come.", body = RejectedDrafts)),
)]
pub(crate) async fn reject_all<S: Projects + Results, O: Objects, W: Webhooks, Q: Queue, C: Clock>(
    State(review): Shared<S, O, W, Q, C>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Response {
    let swept = review.sweep(&caller, &project, &body, Decision::Reject).await;
    respond(swept.map(|(rejected, progress)| Json(RejectedDrafts { rejected, progress })))
}

/// What is said about every draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Decision {
    Accept,
    Reject,
}

impl Decision {
    fn verdict(self) -> Verdict {
        match self {
            Self::Accept => Verdict::Accept,
            Self::Reject => Verdict::Reject,
        }
    }
}

/// What is left to do: the content of a cursor. It holds no tenant: the project is the path's, which the caller must own.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sweep {
    pub(super) project: ProjectUid,
    pub(super) decision: Decision,
    #[serde(flatten)]
    pub(super) filter: DraftFilter,
    /// The last item that is done with.
    pub(super) after: Option<String>,
}

impl Sweep {
    /// Reads a request; what it does not say, its cursor does (contract, D6).
    ///
    /// # Errors
    /// `MalformedBody`; `Validation`; `InvalidCursor`, also for one of another project or decision.
    pub(super) fn read(body: &[u8], project: ProjectUid, decision: Decision) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        // Read as "not given" it would begin anew and without a filter: a loop that goes one turn too far took all drafts.
        if fields.is_null("cursor") {
            return Err(Error::field("cursor", "May not be null: the call before was the last one."));
        }
        let before = match fields.optional("cursor", fields::text(1, CURSOR_CHARS)) {
            Some(cursor) => Self::unpack(&cursor)?,
            None => Self { project, decision, filter: DraftFilter::default(), after: None },
        };
        if (before.project, before.decision) != (project, decision) {
            return Err(Error::InvalidCursor);
        }
        let sweep = Self { filter: DraftFilter::read(&mut fields, before.filter), ..before };
        fields.finish().map(|()| sweep)
    }

    fn unpack(cursor: &str) -> Result<Self, Error> {
        let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::InvalidCursor)?;
        let sweep: Self = serde_json::from_slice(&json).map_err(|_| Error::InvalidCursor)?;
        // DynamoDB would refuse such a key.
        let odd = sweep.after.as_ref().is_some_and(|after| after.is_empty() || after.len() > AFTER_BYTES);
        if odd { Err(Error::InvalidCursor) } else { Ok(sweep) }
    }

    fn pack(&self) -> Result<String, Error> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).map_err(Error::internal)?))
    }
}

impl<S: Results, O: Objects, W: Webhooks, Q: Queue, C: Clock> Review<S, O, W, Q, C> {
    async fn sweep(
        &self,
        caller: &Caller,
        project: &str,
        body: &[u8],
        decision: Decision,
    ) -> Result<(usize, Progress), Error>
    where
        S: Projects,
    {
        caller.needs(WRITE)?;
        let project = self.store.project(caller.organization, ProjectUid::parse(project)?).await?;
        let sweep = Sweep::read(body, project.uid, decision)?;
        self.walk(caller.organization, caller.name(), sweep).await
    }

    /// Works for [`TIME`]. Items that were looked into together are done with together: if time runs out among them, the next call
    /// begins with the first of them, and what of them is done is no draft any more.
    pub(super) async fn walk(
        &self,
        organization: OrganizationUid,
        reviewer: &str,
        mut sweep: Sweep,
    ) -> Result<(usize, Progress), Error> {
        let end = self.clock.now() + TIME;
        // Once for all of them: who subscribes meanwhile is told from the next call on.
        let listeners = outbox::subscriptions(&self.webhooks, organization).await?;
        let (mut reviewed, mut examined) = (0, 0);
        loop {
            let slice = Slice { after: sweep.after.clone(), limit: limits::PAGE, ascending: true, backward: false };
            let Page { entries, next, .. } = self.store.results(organization, sweep.project, |_| true, &slice).await?;
            let mut open = VecDeque::from(entries);
            while let Some((last, looked_into, matches)) = self.look_into(&sweep.filter, &mut open).await? {
                let (verdict, listeners) = (sweep.decision.verdict(), &listeners);
                let reviews = matches.into_iter().map(|item| {
                    let verdict = verdict.clone();
                    async move {
                        let late = self.clock.now() >= end;
                        if late { Ok(None) } else { self.decide(&item, verdict, reviewer, listeners).await.map(Some) }
                    }
                });
                let reviews: Vec<Option<bool>> = stream::iter(reviews).buffer_unordered(REVIEWS).try_collect().await?;
                reviewed += reviews.iter().filter(|written| **written == Some(true)).count();
                if reviews.contains(&None) {
                    return Ok((reviewed, Progress { examined, done: false, cursor: Some(sweep.pack()?) }));
                }
                examined += looked_into;
                sweep.after = Some(last);
                if self.clock.now() >= end {
                    break;
                }
            }
            if open.is_empty() {
                if next.is_none() {
                    return Ok((reviewed, Progress { examined, done: true, cursor: None }));
                }
                sweep.after = next;
            }
            if self.clock.now() >= end {
                return Ok((reviewed, Progress { examined, done: false, cursor: Some(sweep.pack()?) }));
            }
        }
    }

    /// Takes items from `open` and looks into their drafts, for [`LOOK`]: the position behind the last of them, how many they were,
    /// and those whose drafts match. Large annotations are looked into one item at a time, and let go again.
    async fn look_into(
        &self,
        filter: &DraftFilter,
        open: &mut VecDeque<Item>,
    ) -> Result<Option<(String, usize, Vec<Item>)>, Error> {
        let end = self.clock.now() + LOOK;
        let (mut last, mut looked_into, mut matches) = (None, 0, Vec::new());
        while let Some(item) = open.pop_front() {
            last = Some(self.store.position(&item));
            looked_into += 1;
            let (keeps, was_large) = match &item.result {
                Some(result) if filter.needs_annotations(result) => {
                    let whole = whole::one(&self.objects, item.clone()).await?;
                    (whole.result.as_ref().is_some_and(|result| filter.keeps(result)), true)
                }
                Some(result) => (filter.keeps(result), false),
                None => (false, false),
            };
            if keeps {
                matches.push(item);
            }
            if was_large && self.clock.now() >= end {
                break;
            }
        }
        Ok(last.map(|last| (last, looked_into, matches)))
    }

    async fn decide(
        &self,
        item: &Item,
        verdict: Verdict,
        reviewer: &str,
        listeners: &[Webhook],
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let Some(before) = &item.result else { return Ok(false) };
        let Some(reviewed) = before.reviewed(verdict, reviewer, now)? else { return Ok(false) };
        let event = Event::of_review(item, &reviewed);
        let deliveries = event.map_or_else(Vec::new, |event| event.deliveries(listeners, now));
        self.write(item, &reviewed, &deliveries).await
    }
}

//! Review of many drafts by one call, which reads the project's items from the oldest on.
//!
//! Each draft is reviewed by the same conditional write as by a call of its own: a change that was made meanwhile wins, and is not
//! counted. So a call may die anywhere and be repeated from anywhere; it only finds fewer drafts.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::domain::fields::Fields;
use shared::domain::id::{OrganizationUid, ProjectUid};
use shared::domain::item::Item;
use shared::domain::item::result::{DraftFilter, Verdict};
use shared::domain::webhook::{Event, Webhook};
use shared::domain::{Error, Timestamp, limits};
use shared::http::{Answer, Body, Caller, Cursor, Path};
use shared::ports::{Clock, Page, Projects, Results, Slice};
use shared::services::outbox;

use super::WRITE;
use super::view::{AcceptedDrafts, DraftsToReview, Progress, RejectedDrafts};
use crate::{Api, CatalogApi, CatalogPorts, whole};

/// After this a call begins no other review. Clients wait for 30 seconds, the gateway no longer, and a review that has begun
/// may take ten of them if the table and the queue are slow.
const TIME: Duration = Duration::from_secs(15);
/// Drafts are checked for so long, one after the other if they are large, before those that match are reviewed.
const CHECK: Duration = Duration::from_secs(2);
/// Reviews at once.
const REVIEWS: usize = 16;

/// Accept many drafts: those of the project that match every field given. Call again with the `cursor` until `done`; a call
/// without it begins again, which is harmless. Sends the event `result.accepted` for each.
#[utoipa::path(
    post, path = "/projects/{uid}/results/accept/", tag = "results",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftsToReview,
    responses((status = 200, description = "How far the call has come.", body = AcceptedDrafts)),
)]
pub(crate) async fn accept_all<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<AcceptedDrafts> {
    let (accepted, progress) = api.sweep(&caller, &project, &body, Decision::Accept).await?;
    Ok(Json(AcceptedDrafts { accepted, progress }))
}

/// Reject many drafts: those of the project that match every field given. Their items are unlabeled again. Call again with
/// the `cursor` until `done`; a call without it begins again, which is harmless. Sends the event `result.rejected` for each.
#[utoipa::path(
    post, path = "/projects/{uid}/results/reject/", tag = "results",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftsToReview,
    responses((status = 200, description = "How far the call has come.", body = RejectedDrafts)),
)]
pub(crate) async fn reject_all<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<RejectedDrafts> {
    let (rejected, progress) = api.sweep(&caller, &project, &body, Decision::Reject).await?;
    Ok(Json(RejectedDrafts { rejected, progress }))
}

/// The verdict on every draft, as the cursor has it.
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
        // Read as "not given" it would begin again without a filter: a loop that goes one turn too far would take all drafts.
        if fields.is_null("cursor") {
            return Err(Error::field("cursor", "May not be null: the call before was the last one."));
        }
        let asked = DraftsToReview::read(&mut fields);
        let before = match &asked.cursor {
            Some(cursor) => Self::unpack(cursor)?,
            None => Self { project, decision, filter: DraftFilter::default(), after: None },
        };
        if (before.project, before.decision) != (project, decision) {
            return Err(Error::InvalidCursor);
        }
        fields.finish()?;
        Ok(Self { filter: asked.filter(before.filter), ..before })
    }
}

impl Cursor for Sweep {
    fn position(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

/// Drafts that were checked together.
struct Checked {
    /// The position of the last of their items.
    last: String,
    count: usize,
    matches: Vec<Item>,
}

impl<P: CatalogPorts> CatalogApi<P> {
    async fn sweep(
        &self,
        caller: &Caller,
        project: &str,
        body: &[u8],
        decision: Decision,
    ) -> Result<(usize, Progress), Error> {
        caller.needs(WRITE)?;
        let project = self.store.project(caller.organization, ProjectUid::parse(project)?).await?;
        let sweep = Sweep::read(body, project.uid, decision)?;
        self.walk(caller.organization, caller.name(), sweep).await
    }

    /// Works for [`TIME`]. Items that were checked together are done together: if time runs out among them, the next call begins
    /// with the first of them, and those of them that are done are no drafts any more.
    pub(super) async fn walk(
        &self,
        organization: OrganizationUid,
        reviewer: &str,
        mut sweep: Sweep,
    ) -> Result<(usize, Progress), Error> {
        let end = self.clock.now() + TIME;
        // Read once: a subscription that is added meanwhile gets the events of the next call on.
        let subscriptions = outbox::subscriptions(&self.webhooks, organization).await?;
        let (mut reviewed, mut examined) = (0, 0);
        let done = 'sweep: loop {
            let slice = Slice { after: sweep.after.clone(), limit: limits::PAGE, ascending: true, backward: false };
            let Page { entries, next, .. } =
                self.results.results(organization, sweep.project, |_| true, &slice).await?;
            let mut open = VecDeque::from(entries);
            while let Some(Checked { last, count, matches }) = self.check_next(&sweep.filter, &mut open).await? {
                let reviews = self.review_all(matches, sweep.decision, reviewer, &subscriptions, end).await?;
                reviewed += reviews.iter().filter(|written| **written == Some(true)).count();
                if reviews.contains(&None) {
                    break 'sweep false;
                }
                examined += count;
                sweep.after = Some(last);
                if self.clock.now() >= end {
                    break;
                }
            }
            if open.is_empty() {
                if next.is_none() {
                    break true;
                }
                sweep.after = next;
            }
            if self.clock.now() >= end {
                break false;
            }
        };
        let cursor = if done { None } else { Some(sweep.pack()?) };
        Ok((reviewed, Progress { examined, done, cursor }))
    }

    /// Reviews drafts, [`REVIEWS`] at once. Of each: whether it was written; `None`: it was too late for it.
    async fn review_all(
        &self,
        drafts: Vec<Item>,
        decision: Decision,
        reviewer: &str,
        subscriptions: &[Webhook],
        end: Timestamp,
    ) -> Result<Vec<Option<bool>>, Error> {
        let reviews = drafts.into_iter().map(|item| async move {
            let late = self.clock.now() >= end;
            if late {
                Ok(None)
            } else {
                self.decide(&item, decision.verdict(), reviewer, subscriptions).await.map(Some)
            }
        });
        stream::iter(reviews).buffer_unordered(REVIEWS).try_collect().await
    }

    /// Takes items from `open` and checks their drafts, for [`CHECK`]; `None`: there are no more. Large annotations are read one
    /// item at a time, and dropped again.
    async fn check_next(&self, filter: &DraftFilter, open: &mut VecDeque<Item>) -> Result<Option<Checked>, Error> {
        let end = self.clock.now() + CHECK;
        let (mut last, mut count, mut matches) = (None, 0, Vec::new());
        while let Some(item) = open.pop_front() {
            last = Some(self.results.position(&item));
            count += 1;
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
        Ok(last.map(|last| Checked { last, count, matches }))
    }

    async fn decide(
        &self,
        item: &Item,
        verdict: Verdict,
        reviewer: &str,
        subscriptions: &[Webhook],
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let Some(before) = &item.result else { return Ok(false) };
        let Some(reviewed) = before.reviewed(verdict, reviewer, now)? else { return Ok(false) };
        let event = Event::of_review(item, &reviewed);
        let deliveries = event.map_or_else(Vec::new, |event| event.deliveries(subscriptions, now));
        self.write(item, &reviewed, &deliveries).await
    }
}

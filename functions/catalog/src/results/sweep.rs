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
use shared::domain::id::{Naming, OrganizationUid, ProjectUid, SweepUid};
use shared::domain::item::Item;
use shared::domain::item::result::{DraftFilter, LabelResult, Verdict};
use shared::domain::webhook::{Event, Webhook};
use shared::domain::{Error, Timestamp, limits};
use shared::http::{Answer, Body, Caller, Cursor, Path};
use shared::ports::{Clock, Page, Projects, Results, Slice};
use shared::services::outbox;

use super::WRITE;
use super::view::{AcceptedDrafts, DraftsToReview, Progress, RejectedDrafts, ReopenedDrafts, SweepToUndo};
use crate::{Api, CatalogApi, CatalogPorts, whole};

/// After this a call begins no other review. Clients wait for 30 seconds, the gateway no longer, and a review that has begun
/// may take ten of them if the table and the queue are slow.
const TIME: Duration = Duration::from_secs(15);
/// Drafts are checked for so long, one after the other if they are large, before those that match are reviewed.
const CHECK: Duration = Duration::from_secs(2);
/// Reviews at once.
const REVIEWS: usize = 16;

/// Accept many drafts.
///
/// Those drafts of the project that match every field given. A call works for a bounded time: repeat it with the
/// `cursor` of the answer until `done`. A call without a cursor begins again, which is harmless. Sends the events
/// `result.accepted` and `task.completed` for each draft. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/results/accept/", tag = "results",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftsToReview,
    responses((status = 200, description = "How far the call has come.", body = AcceptedDrafts)),
)]
pub(crate) async fn accept_all<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<AcceptedDrafts> {
    let (accepted, progress) = api.sweep(&caller, &naming, &project, &body, Decision::Accept).await?;
    Ok(Json(AcceptedDrafts { accepted, progress }))
}

/// Reject many drafts.
///
/// Those drafts of the project that match every field given. Their items are unlabeled again. A call works for a
/// bounded time: repeat it with the `cursor` of the answer until `done`. A call without a cursor begins again, which is
/// harmless. Sends the event `result.rejected` for each draft. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/results/reject/", tag = "results",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftsToReview,
    responses((status = 200, description = "How far the call has come.", body = RejectedDrafts)),
)]
pub(crate) async fn reject_all<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<RejectedDrafts> {
    let (rejected, progress) = api.sweep(&caller, &naming, &project, &body, Decision::Reject).await?;
    Ok(Json(RejectedDrafts { rejected, progress }))
}

/// Undo a sweep.
///
/// Every result that the sweep accepted or rejected, and that nothing has changed since, is a draft again. A rejected one
/// whose item has had another result since stays as it is. Call again with the `cursor` until `done`; a call without it begins
/// again, which is harmless. Sends no events. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/results/undo/", tag = "results",
    params(("uid" = ProjectUid, Path)),
    request_body = SweepToUndo,
    responses((status = 200, description = "How far the call has come.", body = ReopenedDrafts)),
)]
pub(crate) async fn undo<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Path(project): Path<String>,
    Body(body): Body,
) -> Answer<ReopenedDrafts> {
    let (reopened, progress) = api.sweep(&caller, &naming, &project, &body, Decision::Reopen).await?;
    Ok(Json(ReopenedDrafts { reopened, progress }))
}

/// The verdict on every draft, as the cursor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Decision {
    Accept,
    Reject,
    /// On every result of the sweep.
    Reopen,
}

impl Decision {
    fn verdict(self) -> Verdict {
        match self {
            Self::Accept => Verdict::Accept,
            Self::Reject => Verdict::Reject,
            Self::Reopen => Verdict::Reopen,
        }
    }
}

/// What is left to do: the content of a cursor. It holds no tenant: the project is the path's, which the caller must own.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sweep {
    pub(super) project: ProjectUid,
    pub(super) decision: Decision,
    /// This sweep; of an undo, the one that is undone.
    pub(super) uid: SweepUid,
    /// Nothing is changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) count_only: bool,
    #[serde(flatten)]
    pub(super) filter: DraftFilter,
    /// The last item that is done with.
    pub(super) after: Option<String>,
}

impl Sweep {
    /// Reads a request; what it does not say, its cursor does (contract, D6). Without a cursor it is the `new` sweep, which a
    /// repetition under the same `Idempotency-Key` names again: its undo undoes all of it.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation`; `InvalidCursor`, also for one of another project or decision.
    pub(super) fn read(body: &[u8], project: ProjectUid, decision: Decision, new: SweepUid) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        // Read as "not given" it would begin again without a filter: a loop that goes one turn too far would take all drafts.
        if fields.is_null("cursor") {
            return Err(Error::field("cursor", "May not be null: the call before was the last one."));
        }
        if decision == Decision::Reopen {
            let asked = SweepToUndo::read(&mut fields);
            let before = Self::before(asked.cursor.as_deref(), project, decision, new)?;
            fields.finish()?;
            return Ok(Self { uid: asked.uid(before.uid), ..before });
        }
        let asked = DraftsToReview::read(&mut fields);
        let before = Self::before(asked.cursor.as_deref(), project, decision, new)?;
        fields.finish()?;
        let count_only = asked.count_only.unwrap_or(before.count_only);
        Ok(Self { count_only, filter: asked.filter(before.filter), ..before })
    }

    /// What the cursor says, or the `new` sweep.
    fn before(cursor: Option<&str>, project: ProjectUid, decision: Decision, new: SweepUid) -> Result<Self, Error> {
        let before = match cursor {
            Some(cursor) => Self::unpack(cursor)?,
            None => {
                let filter = DraftFilter::default();
                Self { project, decision, uid: new, count_only: false, filter, after: None }
            }
        };
        if (before.project, before.decision) == (project, decision) { Ok(before) } else { Err(Error::InvalidCursor) }
    }

    /// Whether it is about this result.
    fn keeps(&self, result: &LabelResult) -> bool {
        match self.decision {
            Decision::Accept | Decision::Reject => self.filter.keeps(result),
            Decision::Reopen => result.sweep == Some(self.uid),
        }
    }

    /// Whether [`Self::keeps`] needs annotations that are not fetched yet.
    fn needs_annotations(&self, result: &LabelResult) -> bool {
        self.decision != Decision::Reopen && self.filter.needs_annotations(result)
    }

    /// The result with its verdict; `None`: it has it. An undone one carries no mark: it is not undone twice.
    fn reviewed(&self, item: &Item, reviewer: &str, now: Timestamp) -> Result<Option<LabelResult>, Error> {
        let reviewed = item.reviewed(self.decision.verdict(), reviewer, now)?;
        let sweep = (self.decision != Decision::Reopen).then_some(self.uid);
        Ok(reviewed.map(|reviewed| LabelResult { sweep, ..reviewed }))
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
        naming: &Naming,
        project: &str,
        body: &[u8],
        decision: Decision,
    ) -> Result<(usize, Progress), Error> {
        caller.needs(WRITE)?;
        let project = self.store.project(caller.organization, ProjectUid::parse(project)?).await?;
        let sweep = Sweep::read(body, project.uid, decision, SweepUid::named(naming, self.clock.now(), 0))?;
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
        let (mut reviewed, mut examined, mut matching) = (0, 0, sweep.count_only.then_some(0));
        let done = 'sweep: loop {
            let slice = Slice { after: sweep.after.clone(), limit: limits::PAGE, ascending: true, backward: false };
            let Page { entries, next, .. } = self.page(organization, &sweep, &slice).await?;
            let mut open = VecDeque::from(entries);
            while let Some(Checked { last, count, matches }) = self.check_next(&sweep, &mut open).await? {
                matching = matching.map(|matching| matching + matches.len());
                let reviews = self.review_all(matches, &sweep, reviewer, &subscriptions, end).await?;
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
        Ok((reviewed, Progress { sweep: sweep.uid, matching, examined, done, cursor }))
    }

    /// The next results that the sweep may be about. Only an undo wants those that were rejected.
    async fn page(&self, organization: OrganizationUid, sweep: &Sweep, slice: &Slice) -> Result<Page<Item>, Error> {
        match sweep.decision {
            Decision::Accept | Decision::Reject => {
                self.results.results(organization, sweep.project, |_| true, slice).await
            }
            Decision::Reopen => self.results.results_and_rejected(organization, sweep.project, slice).await,
        }
    }

    /// Reviews drafts, [`REVIEWS`] at once. Of each: whether it was written; `None`: it was too late for it.
    async fn review_all(
        &self,
        drafts: Vec<Item>,
        sweep: &Sweep,
        reviewer: &str,
        subscriptions: &[Webhook],
        end: Timestamp,
    ) -> Result<Vec<Option<bool>>, Error> {
        let drafts = if sweep.count_only { Vec::new() } else { drafts };
        let reviews = drafts.into_iter().map(|item| async move {
            let late = self.clock.now() >= end;
            if late { Ok(None) } else { self.decide(&item, sweep, reviewer, subscriptions).await.map(Some) }
        });
        stream::iter(reviews).buffer_unordered(REVIEWS).try_collect().await
    }

    /// Takes items from `open` and checks their drafts, for [`CHECK`]; `None`: there are no more. Large annotations are read one
    /// item at a time, and dropped again.
    async fn check_next(&self, sweep: &Sweep, open: &mut VecDeque<Item>) -> Result<Option<Checked>, Error> {
        let end = self.clock.now() + CHECK;
        let (mut last, mut count, mut matches) = (None, 0, Vec::new());
        while let Some(item) = open.pop_front() {
            last = Some(self.results.position(&item));
            count += 1;
            let (keeps, was_large) = match &item.result {
                Some(result) if sweep.needs_annotations(result) => {
                    let whole = whole::one(&self.objects, item.clone()).await?;
                    (whole.result.as_ref().is_some_and(|result| sweep.keeps(result)), true)
                }
                Some(result) => (sweep.keeps(result), false),
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
        sweep: &Sweep,
        reviewer: &str,
        subscriptions: &[Webhook],
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        if sweep.decision == Decision::Reopen && item.reopening().is_err() {
            return Ok(false);
        }
        let Some(reviewed) = sweep.reviewed(item, reviewer, now)? else { return Ok(false) };
        let events: Vec<Event> = Event::of_verdict(item, &reviewed).collect();
        let deliveries = outbox::deliveries_to(subscriptions, &events, now);
        self.write(item, &reviewed, &deliveries).await
    }
}

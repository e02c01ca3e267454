//! Undo of a job: its drafts are removed, but for those that a person has touched (I3).
//!
//! Every draft is removed by a conditional write of its own, found through the job's receipts. So a call may die anywhere and be
//! repeated from anywhere; it only finds fewer drafts.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, JobUid};
use shared::domain::item::Item;
use shared::domain::item::result::{Kept, Undo};
use shared::domain::job::outcome::OutcomeKind;
use shared::domain::job_status::JobStatus;
use shared::domain::{Error, limits};
use shared::http::{Answer, Body, Caller, Cursor, Path, Problem};
use shared::ports::{Clock, Drafts, Items, Jobs, Page, Reports, Slice};
use utoipa::ToSchema;

use crate::handlers::WRITE;
use crate::{Api, JobPorts};

/// After this a call begins no other draft. Clients wait for 30 seconds, the gateway no longer.
const TIME: Duration = Duration::from_secs(15);
/// Drafts at once.
const DISCARDS: usize = 16;
/// Changes of one item meanwhile, one after the other, before the table counts as busy.
const READS: usize = 3;
/// No cursor of ours is longer.
const CURSOR_CHARS: usize = 1_024;

/// Where the call continues.
#[derive(ToSchema)]
pub(crate) struct DraftsToDiscard {
    /// The `cursor` of the answer before. Without it a call begins again, which is harmless.
    cursor: Option<String>,
}

/// How far a call has come.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({"discarded": 5, "examined": 6, "done": true, "cursor": null}))]
pub(crate) struct DiscardedDrafts {
    /// Drafts that this call has removed: their items are unlabeled again.
    discarded: usize,
    /// Drafts that stay, by reason.
    kept: Vec<KeptDrafts>,
    /// Items that this call has examined: of the job's successful ones.
    examined: usize,
    /// Whether it came to the end of the job.
    done: bool,
    /// What another call goes on with; `null` if there is nothing left.
    #[schema(required)]
    cursor: Option<String>,
}

/// Drafts of a job that its undo leaves alone.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({"reason": "accepted", "count": 1}))]
pub(crate) struct KeptDrafts {
    reason: Kept,
    count: usize,
}

/// Discard a job's drafts.
///
/// Removes the drafts of an ended job. Those that a person has accepted or corrected stay. The items of the others are
/// unlabeled again. A call works for a bounded time: repeat it with the `cursor` of the answer until `done`. A call
/// without a cursor begins again, which is harmless. The job and its counters stay as they are, and no event is sent.
/// Scope: `projects.write`.
#[utoipa::path(
    post, path = "/auto-label-jobs/{uid}/discard-drafts/", tag = "auto-label jobs",
    params(("uid" = JobUid, Path)),
    request_body = DraftsToDiscard,
    responses(
        (status = 200, description = "How far the call has come.", body = DiscardedDrafts),
        (status = 409, description = "`job_not_finished`: cancel it, or wait for its end.", body = Problem),
    ),
)]
pub(crate) async fn discard_drafts<P: JobPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Answer<DiscardedDrafts> {
    let job = api.job(&caller, WRITE, &uid).await?;
    job.finished()?;
    // A chunk in flight at the cancel would leave drafts behind the undo.
    api.store.close_job(job.spec.uid, &[JobStatus::Cancelled]).await?;
    let undo = DraftUndo { store: &api.store, clock: &api.clock };
    undo.undo(Undoing::read(&body, job.spec.uid)?).await.map(Json)
}

/// What is left to do: the content of a cursor. It holds no tenant: the job is the path's, which the caller must own.
#[derive(Debug, Serialize, Deserialize)]
struct Undoing {
    job: JobUid,
    /// The last item that is done with.
    after: Option<String>,
}

impl Undoing {
    /// # Errors
    /// `MalformedBody`; `Validation`; `InvalidCursor`, also for one of another job.
    fn read(body: &[u8], job: JobUid) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let asked = DraftsToDiscard { cursor: fields.optional("cursor", fields::text(1, CURSOR_CHARS)) };
        fields.finish()?;
        let Some(cursor) = asked.cursor else { return Ok(Self { job, after: None }) };
        let undoing = Self::unpack(&cursor)?;
        if undoing.job == job { Ok(undoing) } else { Err(Error::InvalidCursor) }
    }
}

impl Cursor for Undoing {
    fn position(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

impl DiscardedDrafts {
    fn keep(&mut self, reason: Kept, count: usize) {
        match self.kept.iter_mut().find(|kept| kept.reason == reason) {
            Some(kept) => kept.count += count,
            None if count > 0 => self.kept.push(KeptDrafts { reason, count }),
            None => {}
        }
    }
}

/// The ports of an undo.
struct DraftUndo<'a, S, C> {
    store: &'a S,
    clock: &'a C,
}

impl<S: Reports + Items + Drafts, C: Clock> DraftUndo<'_, S, C> {
    /// Works for [`TIME`]. A page whose time runs out in the middle is the first one of the next call, which counts what it
    /// keeps: so the counts of all calls add up.
    async fn undo(&self, mut undoing: Undoing) -> Result<DiscardedDrafts, Error> {
        let end = self.clock.now() + TIME;
        let mut progress = DiscardedDrafts::default();
        loop {
            let slice = Slice { after: undoing.after.clone(), limit: limits::PAGE, ascending: true, backward: false };
            let Page { entries, next, .. } =
                self.store.report(undoing.job, Some(OutcomeKind::Successful), &slice).await?;
            let uids: Vec<ItemUid> = entries.into_iter().map(|line| line.item).collect();
            let undone = self.store.items(&uids).await?.into_iter().map(async |item| {
                let late = self.clock.now() >= end;
                if late { Ok(None) } else { self.undo_item(undoing.job, &item).await.map(Some) }
            });
            let undone: Vec<Option<Undo>> = stream::iter(undone).buffer_unordered(DISCARDS).try_collect().await?;
            let count = |undo| undone.iter().filter(|done| **done == Some(undo)).count();
            progress.discarded += count(Undo::Discard);
            if undone.contains(&None) {
                break;
            }
            Kept::ALL.into_iter().for_each(|reason| progress.keep(reason, count(Undo::Keep(reason))));
            progress.examined += uids.len();
            if next.is_none() {
                return Ok(DiscardedDrafts { done: true, ..progress });
            }
            undoing.after = next;
            if self.clock.now() >= end {
                break;
            }
        }
        Ok(DiscardedDrafts { cursor: Some(undoing.pack()?), ..progress })
    }

    async fn undo_item(&self, job: JobUid, item: &Item) -> Result<Undo, Error> {
        let undo = |item: &Item| item.result.as_ref().map_or(Undo::Gone, |result| result.undo(job));
        let mut seen = item.clone();
        for _ in 0..READS {
            if undo(&seen) != Undo::Discard || self.store.discard_draft(&seen).await? {
                return Ok(undo(&seen));
            }
            // A person reviewed it meanwhile, or its file was deleted. A job that is over makes no other draft.
            match self.store.items(&[item.asset.uid]).await?.pop() {
                Some(now) => seen = now,
                None => return Ok(Undo::Gone),
            }
        }
        Err(Error::StoreUnavailable("the item keeps changing".into()))
    }
}

#[cfg(test)]
mod tests;

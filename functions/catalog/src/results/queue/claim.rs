use std::collections::{HashSet, VecDeque};

use axum::Json;
use axum::extract::{Extension, State};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::result::DraftFilter;
use shared::domain::item::review_queue::{LEASE, Marks, Order, Queued, Reviewer, shuffled};
use shared::domain::{Error, Timestamp, limits};
use shared::http::{Body, Caller, Cursor, Path, Repeatable};
use shared::ports::{Clock, Projects, ReviewQueue};

use super::super::WRITE;
use super::view::{ClaimedDrafts, DraftsToClaim};
use super::window::{Begin, FETCHES, Search, TIME, fitting};
use crate::{Api, CatalogApi, CatalogPorts, whole};

/// Drafts that a search finds beyond those that are asked for: of calls at once, all but the first have to take others.
const SPARE: usize = 80;
/// Searches of a call whose drafts others have claimed meanwhile.
const SEARCHES: usize = 4;
/// Marks that are written at once.
const MARKS: usize = limits::CLAIMS as usize;

/// Claim drafts.
///
/// Hands out up to `count` drafts that no other key gets for ten minutes. Those that the caller has claimed and not finished come
/// first, renewed, so a repeated call is harmless: one key is one person. A claim refuses no verdict of another key, and a verdict
/// ends it. Never handed out: what another key has, and what the caller has skipped. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/review-queue/claim/", tag = "review queue",
    params(("uid" = ProjectUid, Path)),
    request_body = DraftsToClaim,
    responses((status = 200, description = "What the caller has now.", body = ClaimedDrafts)),
)]
pub(crate) async fn claim<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Result<(Extension<Repeatable>, Json<ClaimedDrafts>), Error> {
    caller.needs(WRITE)?;
    let project = api.store.project(caller.organization, ProjectUid::parse(&project)?).await?.uid;
    let now = api.clock.now();
    let wish = Wish::read(&body, project, now)?;
    let claimed = api.claim(&caller.reviewer(), wish, now).await?;
    Ok((Extension(Repeatable), Json(claimed)))
}

/// What a person wants, and where the search goes on: the content of a cursor. It holds no tenant: the project is the path's, which the
/// caller must own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wish {
    project: ProjectUid,
    count: u32,
    order: Order,
    seed: u64,
    #[serde(flatten)]
    filter: DraftFilter,
    begin: Begin,
}

impl Cursor for Wish {
    fn position(&self) -> Option<&str> {
        self.begin.after.as_deref()
    }
}

impl Wish {
    /// Reads a request; what it does not say, its cursor does (contract, D6).
    ///
    /// # Errors
    /// `MalformedBody`; `Validation`; `InvalidCursor`, also for one of another project.
    pub(super) fn read(body: &[u8], project: ProjectUid, now: Timestamp) -> Result<Self, Error> {
        let asked = DraftsToClaim::of_body(body)?;
        let before = match asked.cursor.as_deref() {
            Some(cursor) => Self::unpack(cursor)?,
            None => {
                let seed = shuffled(now.as_microsecond().unsigned_abs(), &project.to_string());
                let (order, filter, begin) = (Order::default(), DraftFilter::default(), Begin::default());
                Self { project, count: limits::CLAIMS, order, seed, filter, begin }
            }
        };
        if before.project != project {
            return Err(Error::InvalidCursor);
        }
        let (count, order) = (asked.count.unwrap_or(before.count), asked.order.unwrap_or(before.order));
        Ok(Self { count: count.clamp(1, limits::CLAIMS), order, filter: asked.filter(before.filter), ..before })
    }

    fn search(&self) -> Search {
        let Self { project, order, seed, filter, begin, .. } = self;
        let (filter, begin) = (filter.clone(), begin.clone());
        Search { project: *project, order: *order, seed: *seed, filter, begin, behind: None, until: None }
    }
}

/// The drafts that a person has already.
#[derive(Default)]
struct Own {
    /// Those that her wish is about.
    wanted: Vec<Queued>,
    /// The items of the others.
    others: Vec<ItemUid>,
}

impl<P: CatalogPorts> CatalogApi<P> {
    pub(super) async fn claim(&self, reviewer: &Reviewer, wish: Wish, now: Timestamp) -> Result<ClaimedDrafts, Error> {
        let count = usize::try_from(wish.count).unwrap_or_default();
        let Own { wanted, mut others } = self.own_claims(reviewer, &wish, now).await?;
        let (mut open, mut claimed) = (VecDeque::from(wanted), Vec::new());
        let has_room = self.fill_up(&mut claimed, &mut open, count, reviewer, now).await?;
        others.extend(open.iter().map(|draft| draft.item.asset.uid));
        let mut next = None;
        if claimed.len() < count && has_room {
            next = self.claim_new(&mut claimed, &wish, count, reviewer, now).await?;
        }
        if !claimed.is_empty() {
            let kept = claimed.iter().map(|draft| draft.item.asset.uid).chain(others);
            let kept: Vec<ItemUid> = kept.take(limits::CLAIMS_KEPT).collect();
            self.review_queue.remember_claims(wish.project, reviewer, &kept, now).await?;
        }
        let claimed_until = (!claimed.is_empty()).then(|| now + LEASE);
        let cursor = next.map(|begin| Wish { begin, ..wish }.pack()).transpose()?;
        Ok(ClaimedDrafts { items: self.queued_drafts(claimed, reviewer, now).await?, claimed_until, cursor })
    }

    /// Claims drafts of the queue until the person has `count`. Returns where the search goes on, if it found fewer and has not come to the
    /// end of the queue.
    async fn claim_new(
        &self,
        claimed: &mut Vec<Queued>,
        wish: &Wish,
        count: usize,
        reviewer: &Reviewer,
        now: Timestamp,
    ) -> Result<Option<Begin>, Error> {
        let end = now + TIME; // of all searches
        for _ in 0..SEARCHES {
            let known: HashSet<ItemUid> = claimed.iter().map(|draft| draft.item.asset.uid).collect();
            let wanted = |draft: &Queued| draft.is_for(reviewer, now) && !known.contains(&draft.item.asset.uid);
            let need = count - claimed.len();
            let window = self.window(&wish.search(), (need + SPARE, need), end, wanted).await?;
            let mut found: VecDeque<Queued> = window.found.into_iter().map(|(_, draft)| draft).collect();
            let open = window.count;
            if !self.fill_up(claimed, &mut found, count, reviewer, now).await? || claimed.len() >= count {
                return Ok(None);
            }
            if claimed.len() - known.len() == open {
                return Ok(window.next);
            }
            if self.clock.now() >= end {
                break;
            }
        }
        Ok(Some(wish.begin.clone())) // others were quicker each time: there may be more
    }

    /// What the person has claimed and not finished.
    async fn own_claims(&self, reviewer: &Reviewer, wish: &Wish, now: Timestamp) -> Result<Own, Error> {
        let uids = self.review_queue.claims(wish.project, reviewer).await?;
        let mut drafts = self.queued_in(wish.project, &uids).await?;
        drafts.retain(|draft| draft.is_for(reviewer, now) && draft.is_claimed_by(reviewer));
        let kept = drafts.into_iter().map(|draft| async move {
            let is_wanted = self.is_wanted(&draft, wish, now + TIME).await?;
            Ok::<_, Error>((draft, is_wanted))
        });
        let mut kept = stream::iter(kept).buffered(FETCHES);
        let mut own = Own::default();
        while let Some((draft, is_wanted)) = kept.try_next().await? {
            if is_wanted { own.wanted.push(draft) } else { own.others.push(draft.item.asset.uid) }
        }
        Ok(own)
    }

    /// Whether a wish is about a draft. After `end` it is not about one whose annotations would have to be read.
    async fn is_wanted(&self, draft: &Queued, wish: &Wish, end: Timestamp) -> Result<bool, Error> {
        let Some(result) = &draft.item.result else { return Ok(false) };
        if !wish.filter.needs_annotations(result) {
            return Ok(wish.filter.keeps(result));
        }
        if self.clock.now() >= end {
            return Ok(false);
        }
        let item = whole::one(&self.objects, draft.item.clone()).await?;
        Ok(item.result.is_some_and(|result| wish.filter.keeps(&result)))
    }

    /// Claims drafts until there are `count`, as far as one answer holds them. `false`: it does not hold another one.
    async fn fill_up(
        &self,
        claimed: &mut Vec<Queued>,
        found: &mut VecDeque<Queued>,
        count: usize,
        reviewer: &Reviewer,
        now: Timestamp,
    ) -> Result<bool, Error> {
        while claimed.len() < count && !found.is_empty() {
            let wanted = found.iter().take(count - claimed.len());
            let fit = fitting(claimed.iter().chain(wanted), limits::PAGE_BYTES);
            if fit <= claimed.len() && !claimed.is_empty() {
                return Ok(false);
            }
            let next = found.drain(..fit - claimed.len()).collect();
            claimed.extend(self.claim_all(next, reviewer, now).await?);
        }
        Ok(true)
    }

    /// Claims drafts, or renews their claims, in this order. Those that have changed since they were read are left out.
    async fn claim_all(&self, drafts: Vec<Queued>, reviewer: &Reviewer, now: Timestamp) -> Result<Vec<Queued>, Error> {
        let marks = |draft: Queued| {
            let marks = draft.claimed(reviewer, now);
            (draft, marks)
        };
        self.mark_all(drafts.into_iter().map(marks).collect()).await
    }

    /// Writes marks. The drafts that have them now, in this order.
    pub(super) async fn mark_all(&self, drafts: Vec<(Queued, Marks)>) -> Result<Vec<Queued>, Error> {
        let marked = drafts.into_iter().map(|(draft, marks)| async move {
            let is_marked = self.review_queue.mark(&draft, &marks).await?;
            Ok::<_, Error>(is_marked.then_some(Queued { marks: Some(marks), ..draft }))
        });
        let marked: Vec<Option<Queued>> = stream::iter(marked).buffered(MARKS).try_collect().await?;
        Ok(marked.into_iter().flatten().collect())
    }
}

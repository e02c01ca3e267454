use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::id::{ItemUid, JobUid, ProjectUid};
use shared::domain::item::Item;
use shared::domain::item::result::DraftFilter;
use shared::domain::item::review_queue::{Order, Queued, Reviewer, shuffled};
use shared::domain::{Error, Timestamp, limits};
use shared::http::{Answer, Caller, ListRequest, Paging, Path};
use shared::ports::{Clock, Page, Projects};

use super::view::{DraftsToClaim, PARAMETERS, QueuePage, QueuedDraft, Remaining};
use super::window::{Begin, Search, TIME, fitting};
use crate::projects::READ;
use crate::{Api, CatalogApi, CatalogPorts, whole};

/// List the review queue.
///
/// Drafts of the project that wait for a person, with what an editor needs of their items. Claimed and skipped ones are listed,
/// too. `next` leads on; there is no page before. A page may be short and still not be the last. An order by confidence, and a
/// random one, sort the next 1,000 items or so of the queue, then the next ones. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/projects/{uid}/review-queue/", tag = "review queue",
    params(
        ("uid" = ProjectUid, Path),
        ("cursor" = Option<String>, Query, description = "Where to go on, as `next` of another page says it. It carries that page's parameters, which explicit ones override."),
        ("limit" = Option<u32>, Query, description = "Rows of a page, at most 100. Anything else is 100."),
        ("order" = Option<Order>, Query, description = "`sequence` if not given."),
        ("label" = Option<String>, Query, description = "Drafts with an annotation of this label."),
        ("min_confidence" = Option<f64>, Query, description = "Drafts whose every annotation, or every one of `label`, has at least this confidence."),
        ("max_confidence" = Option<f64>, Query, description = "The same, at most."),
        ("job" = Option<JobUid>, Query, description = "Drafts of this job."),
    ),
    responses((status = 200, description = "A page of drafts.", body = QueuePage)),
)]
pub(crate) async fn list<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Answer<QueuePage> {
    caller.needs(READ)?;
    let paging = request.paging(&PARAMETERS)?;
    let now = api.clock.now();
    let search = Search::of_query(&paging, ProjectUid::parse(&project)?, now)?;
    api.store.project(caller.organization, search.project).await?; // I10
    let limit = paging.slice().limit;
    // The first page counts; the others end with their last draft.
    let enough = if paging.slice().after.is_none() { usize::MAX } else { limit + 1 };
    let mut window = api.window(&search, (limit, enough), now + TIME, |_| true).await?;
    window.found.truncate(fitting(window.found.iter().map(|(_, draft)| draft), limits::PAGE_BYTES));
    let behind = window.found.last().map(|(rank, _)| rank.clone()).filter(|_| window.count > window.found.len());
    let next = match (behind, window.next.clone()) {
        (Some(rank), _) => Some(Position { behind: Some(rank), until: window.until, ..Position::of(&search) }),
        (None, Some(begin)) => Some(Position { begin, ..Position::at_first(search.seed) }),
        (None, None) => None,
    };
    let remaining = Remaining { count: window.count, is_exact: window.next.is_none() };
    let drafts = window.found.into_iter().map(|(_, draft)| draft).collect();
    let entries = api.queued_drafts(drafts, &caller.reviewer(), now).await?;
    let page = Page { entries, next: next.map(|position| position.pack()).transpose()?, previous: None };
    Ok(Json(QueuePage { page: paging.view(page, |view| view), remaining }))
}

/// Where a page of the queue ends: the part of a list's cursor that is the queue's own.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    #[serde(flatten)]
    begin: Begin,
    #[serde(rename = "s")]
    seed: u64,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    behind: Option<String>,
    /// With `behind`: the end of the window that it is of.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl Position {
    fn at_first(seed: u64) -> Self {
        Self { begin: Begin::default(), seed, behind: None, until: None }
    }

    fn of(search: &Search) -> Self {
        Self { begin: search.begin.clone(), ..Self::at_first(search.seed) }
    }

    fn pack(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(Error::internal)
    }
}

impl Search {
    /// The search of a page.
    ///
    /// # Errors
    /// `Validation`; `InvalidCursor`.
    fn of_query(paging: &Paging, project: ProjectUid, now: Timestamp) -> Result<Self, Error> {
        if paging.slice().ascending {
            return Err(Error::field("ordering", "This list has `order` instead."));
        }
        let asked = DraftsToClaim::of_query(paging)?;
        let position: Option<Position> = match &paging.slice().after {
            Some(text) => Some(serde_json::from_str(text).map_err(|_| Error::InvalidCursor)?),
            None => None,
        };
        let position = position.unwrap_or_else(|| {
            let seed = shuffled(now.as_microsecond().unsigned_abs(), &project.to_string());
            Position::at_first(seed)
        });
        let Position { begin, seed, behind, until } = position;
        let order = asked.order.unwrap_or_default();
        Ok(Self { project, order, seed, filter: asked.filter(DraftFilter::default()), begin, behind, until })
    }
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// Drafts with all of their annotations and the URLs of their files.
    pub(super) async fn queued_drafts(
        &self,
        drafts: Vec<Queued>,
        reviewer: &Reviewer,
        now: Timestamp,
    ) -> Result<Vec<QueuedDraft>, Error> {
        let items: Vec<Item> = drafts.iter().map(|draft| draft.item.clone()).collect();
        let whole = whole::all(&self.objects, items).await?;
        let mut views = Vec::with_capacity(drafts.len());
        for (draft, item) in drafts.into_iter().zip(whole) {
            let url = self.file_url(&item).await?;
            views.extend(QueuedDraft::of(Queued { item, ..draft }, url, reviewer, now));
        }
        Ok(views)
    }

    /// The items of these uids that are the project's.
    pub(super) async fn queued_in(&self, project: ProjectUid, uids: &[ItemUid]) -> Result<Vec<Queued>, Error> {
        let mut queued = shared::ports::ReviewQueue::queued(&self.review_queue, uids).await?;
        queued.retain(|queued| queued.item.project == project);
        Ok(queued)
    }
}

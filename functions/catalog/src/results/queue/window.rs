//! A bounded read of a queue: so many items are examined, whatever the number of drafts.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::result::DraftFilter;
use shared::domain::item::review_queue::{Order, Queued, shuffled};
use shared::domain::{Error, limits};
use shared::ports::{Clock, Page, ReviewQueue, Slice};

use crate::{CatalogApi, CatalogPorts, whole};

/// Entries whose items are read together.
const ENTRIES: usize = 20;
/// Such reads at most: entries of one item each are examined by the hundred, and not by the thousand.
const ROUNDS: usize = 10;
/// Entries that a random order mixes: positions alone, so one read has them.
const MIXED: usize = 1_000;
/// Items of one BatchGetItem call.
const TOGETHER: usize = 100;
/// After this no further items are examined: annotations that are in S3 are read one after the other.
const TIME: Duration = Duration::from_secs(5);

/// Where a read of the queue begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    /// Behind this entry.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
    /// Behind so many of the entries that a random order has mixed.
    #[serde(rename = "k", default, skip_serializing_if = "is_zero")]
    skip: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(skip: &usize) -> bool {
    *skip == 0
}

/// Which drafts are sought.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) project: ProjectUid,
    pub(super) order: Order,
    /// Of a random order.
    pub(super) seed: u64,
    pub(super) filter: DraftFilter,
    pub(super) begin: Begin,
    /// Behind the draft of this rank.
    pub(super) behind: Option<String>,
}

impl Search {
    /// Whether one window may go on here: a random order mixes the entries of one part of the queue, then those of the next.
    fn is_of_this_part(&self, begin: &Begin) -> bool {
        self.order != Order::Random || begin.after == self.begin.after
    }

    /// Moves behind the entries of a group.
    fn step(&self, at: &mut Begin, group: &[Entry]) {
        match self.order {
            Order::Random => at.skip += group.len(),
            _ => at.after = group.last().map(|(name, _)| name.clone()).or_else(|| at.after.take()),
        }
    }

    /// The same begin once so many entries before it have left.
    fn without(&self, begin: Begin, left: usize) -> Begin {
        let left = if self.is_of_this_part(&begin) { left } else { 0 };
        Begin { skip: begin.skip.saturating_sub(left), ..begin }
    }

    /// Whether a draft of this rank belongs to what is sought.
    fn wants(&self, rank: &str) -> bool {
        let behind = self.behind.as_deref();
        behind.is_none_or(|behind| if self.order.is_descending() { rank < behind } else { rank > behind })
    }
}

/// What a read has found.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The first drafts in the order of the search, each with its rank.
    pub(super) found: Vec<(String, Queued)>,
    /// How many there are in the window.
    pub(super) count: usize,
    /// Where the queue goes on behind the window; `None`: it ends there.
    pub(super) next: Option<Begin>,
    examined: usize,
    seen: HashSet<ItemUid>,
    /// Entries without a draft.
    done: Vec<String>,
}

/// An entry with its items.
type Entry = (String, Vec<ItemUid>);

impl Window {
    /// Keeps the first `most`.
    fn sort(&mut self, order: Order, most: usize) {
        self.found.sort_by(|(a, _), (b, _)| if order.is_descending() { b.cmp(a) } else { a.cmp(b) });
        self.found.truncate(most);
    }

    /// Whether the read ends before the next items.
    fn is_full(&self, order: Order, enough: usize) -> bool {
        self.examined >= limits::QUEUE_ITEMS || (!order.reads_ahead() && self.count >= enough)
    }
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// The first `most` of the drafts that `wanted` keeps, in the next part of the queue. An order that compares no drafts ends when
    /// there are `enough`.
    pub(super) async fn window(
        &self,
        search: &Search,
        (most, enough): (usize, usize),
        wanted: impl Fn(&Queued) -> bool + Sync,
    ) -> Result<Window, Error> {
        let end = self.clock.now() + TIME;
        let (mut window, mut begin) = (Window::default(), Some(search.begin.clone()));
        for _ in 0..ROUNDS {
            let Some(from) = begin.take_if(|from| search.is_of_this_part(from)) else { break };
            let (entries, next) = self.round(search, &from).await?;
            let (mut at, groups) = (from, groups(self.contents(entries).await?));
            begin = next;
            for group in groups {
                if window.is_full(search.order, enough) || self.clock.now() >= end {
                    begin = Some(at);
                    break;
                }
                search.step(&mut at, &group);
                self.examine(&mut window, search, group, &wanted).await?;
                window.sort(search.order, most);
            }
            if window.is_full(search.order, enough) || self.clock.now() >= end {
                break;
            }
        }
        self.review_queue.leave(&window.done).await?;
        window.next = begin.map(|begin| search.without(begin, window.done.len()));
        Ok(window)
    }

    /// The next entries, and where those behind them begin.
    async fn round(&self, search: &Search, from: &Begin) -> Result<(Vec<String>, Option<Begin>), Error> {
        let is_random = search.order == Order::Random;
        let slice = Slice {
            after: from.after.clone(),
            limit: if is_random { MIXED } else { ENTRIES },
            ascending: search.order != Order::Newest,
            backward: false,
        };
        let Page { mut entries, next, .. } = self.review_queue.entries(search.project, &slice).await?;
        let behind = next.map(|after| Begin { after: Some(after), skip: 0 });
        if !is_random {
            return Ok((entries, behind));
        }
        entries.sort_by_cached_key(|entry| shuffled(search.seed, entry));
        let end = (from.skip + ENTRIES).min(entries.len());
        let next = if end < entries.len() { Some(Begin { skip: end, ..from.clone() }) } else { behind };
        Ok((entries.drain(from.skip.min(end)..end).collect(), next))
    }

    async fn contents(&self, entries: Vec<String>) -> Result<Vec<Entry>, Error> {
        let items = self.review_queue.drafted(&entries).await?;
        Ok(entries.into_iter().zip(items).collect())
    }

    /// Examines the items of some entries.
    async fn examine(
        &self,
        window: &mut Window,
        search: &Search,
        group: Vec<Entry>,
        wanted: &(impl Fn(&Queued) -> bool + Sync),
    ) -> Result<(), Error> {
        let uids: Vec<ItemUid> = group.iter().flat_map(|(_, items)| items.iter().copied()).collect();
        window.examined += uids.len();
        let queued = self.review_queue.queued(&uids).await?;
        let mut drafts: HashMap<ItemUid, Queued> =
            queued.into_iter().filter(Queued::is_draft).map(|queued| (queued.item.asset.uid, queued)).collect();
        for (name, items) in group {
            if !items.iter().any(|item| drafts.contains_key(item) || window.seen.contains(item)) {
                window.done.push(name.clone());
            }
            for (n, item) in items.into_iter().enumerate() {
                let Some(draft) = drafts.remove(&item).filter(|_| window.seen.insert(item)) else { continue };
                if wanted(&draft) {
                    let ranked = self.ranked(search, &format!("{name}#{n:04}"), draft).await?;
                    window.count += usize::from(ranked.is_some());
                    window.found.extend(ranked);
                }
            }
        }
        Ok(())
    }

    /// A draft with its rank, if it is one of those that are sought. Annotations that are in S3 are read if they decide, and dropped again.
    async fn ranked(&self, search: &Search, position: &str, draft: Queued) -> Result<Option<(String, Queued)>, Error> {
        let Some(result) = &draft.item.result else { return Ok(None) };
        let is_elsewhere = search.order.compares_confidence() && result.elsewhere.is_some();
        let (rank, is_kept) = if is_elsewhere || search.filter.needs_annotations(result) {
            let item = whole::one(&self.objects, draft.item.clone()).await?;
            let is_kept = item.result.as_ref().is_some_and(|result| search.filter.keeps(result));
            let whole = Queued { item, marks: None, json_bytes: 0 };
            (search.order.rank(search.seed, position, &whole), is_kept)
        } else {
            (search.order.rank(search.seed, position, &draft), search.filter.keeps(result))
        };
        Ok((is_kept && search.wants(&rank)).then_some((rank, draft)))
    }
}

/// Entries in groups whose items one call reads; an entry of more is a group of its own.
fn groups(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut groups: Vec<Vec<Entry>> = Vec::new();
    let mut room = 0;
    for entry in entries {
        let count = entry.1.len();
        match groups.last_mut().filter(|_| count <= room) {
            Some(group) => {
                room -= count;
                group.push(entry);
            }
            None => {
                room = TOGETHER.saturating_sub(count);
                groups.push(vec![entry]);
            }
        }
    }
    groups
}

/// As many drafts from the first on as one answer holds, but one at least.
pub(super) fn fitting<'a>(drafts: impl IntoIterator<Item = &'a Queued>, mut room: usize) -> usize {
    let fits = |draft: &&Queued| {
        let left = room.checked_sub(draft.json_bytes);
        room = left.unwrap_or_default();
        left.is_some()
    };
    drafts.into_iter().take_while(fits).count().max(1)
}

//! A bounded read of a queue: so many items are examined, whatever the number of drafts.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::result::DraftFilter;
use shared::domain::item::review_queue::{Order, Queued, shuffled};
use shared::domain::{Error, Timestamp, limits};
use shared::ports::{Clock, Page, ReviewQueue, Slice};
use tracing::warn;

use crate::{CatalogApi, CatalogPorts, whole};

/// Entries whose items are read together.
const ENTRIES: usize = 20;
/// Such reads at most: entries of one item each are examined by the hundred, and not by the thousand.
const ROUNDS: usize = 10;
/// Entries that a random order mixes: positions alone, so one read has them.
const MIXED: usize = 1_000;
/// Items of one BatchGetItem call.
const TOGETHER: usize = 100;
/// After this a call examines no further items.
pub(super) const TIME: Duration = Duration::from_secs(5);
/// Annotations that are read from S3 at once: each has up to 3 MiB, and is dropped again.
pub(super) const FETCHES: usize = 4;

/// Where a read of the queue begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    /// Behind this entry.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
    /// A random order mixes the entries up to this one.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    /// Of these, it has read those up to this slot.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    done: Option<String>,
}

impl Begin {
    fn behind(entry: String) -> Self {
        Self { after: Some(entry), ..Self::default() }
    }
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
    /// No further than the entry of this slot. Drafts are ranked among those of one window: a page that goes on in it must not read others.
    pub(super) until: Option<String>,
}

impl Search {
    const fn is_random(&self) -> bool {
        matches!(self.order, Order::Random)
    }

    /// Where an entry is read: entries leave, so it is never counted.
    fn slot(&self, entry: &str) -> String {
        if self.is_random() { format!("{:016x}", shuffled(self.seed, entry)) } else { entry.to_owned() }
    }

    /// The slot of the last entry before it.
    fn slot_of<'a>(&self, begin: &'a Begin) -> Option<&'a str> {
        if self.is_random() { begin.done.as_deref() } else { begin.after.as_deref() }
    }

    fn is_behind(&self, slot: &str, other: &str) -> bool {
        if self.order == Order::Newest { slot < other } else { slot > other }
    }

    fn is_within(&self, slot: &str) -> bool {
        self.until.as_deref().is_none_or(|until| !self.is_behind(slot, until))
    }

    /// Whether one window may go on here: a random order mixes the entries of one part of the queue, then those of the next.
    fn is_of_this_window(&self, begin: &Begin) -> bool {
        let until = self.until.as_deref().zip(self.slot_of(begin));
        (!self.is_random() || begin.after == self.begin.after)
            && until.is_none_or(|(until, slot)| self.is_behind(until, slot))
    }

    /// Moves behind the entries of a group.
    fn step(&self, at: &mut Begin, group: &[Entry]) {
        let Some((last, _)) = group.last() else { return };
        let at = if self.is_random() { &mut at.done } else { &mut at.after };
        *at = Some(self.slot(last));
    }

    /// Those of the next entries that are of this window. `next`: behind them.
    fn in_sequence(&self, at: Begin, mut entries: Vec<String>, next: Option<String>) -> Round {
        let within = entries.iter().take_while(|entry| self.is_within(entry)).count();
        let next = if within < entries.len() { self.until.clone() } else { next };
        entries.truncate(within);
        Round { at, entries, next: next.map(Begin::behind) }
    }

    /// The first that are not done of the entries of one part of the queue, mixed. `next`: the queue goes on behind `entries`.
    fn mixed(&self, from: Begin, entries: Vec<String>, next: Option<String>) -> Round {
        // More than one read has: entries that came since have pushed others out.
        let end = from.end.clone().filter(|end| next.as_ref().is_none_or(|last| end <= last));
        let Some(end) = end.or_else(|| entries.last().cloned()) else { return Round { at: from, entries, next: None } };
        let goes_on = next.is_some() || entries.last().is_some_and(|last| *last > end);
        let at = Begin { end: Some(end.clone()), ..from };
        let is_open = |slot: &str| at.done.as_deref().is_none_or(|done| slot > done);
        let of_part = entries.into_iter().filter(|entry| *entry <= end).map(|entry| (self.slot(&entry), entry));
        let mut open: Vec<(String, String)> = of_part.filter(|(slot, _)| is_open(slot)).collect();
        open.sort_unstable();
        let count = open.iter().take(ENTRIES).take_while(|(slot, _)| self.is_within(slot)).count();
        let next = if count < open.len() {
            let done = open[..count].last().map(|(slot, _)| slot.clone()).or_else(|| self.until.clone());
            Some(Begin { done, ..at.clone() })
        } else {
            goes_on.then(|| Begin::behind(end))
        };
        Round { at, entries: open.drain(..count).map(|(_, entry)| entry).collect(), next }
    }

    /// Whether a draft of this rank belongs to what is sought.
    fn wants(&self, rank: &str) -> bool {
        let behind = self.behind.as_deref();
        behind.is_none_or(|behind| if self.order.is_descending() { rank < behind } else { rank > behind })
    }
}

/// Entries that are read together.
struct Round {
    at: Begin,
    entries: Vec<String>,
    /// Where those behind them begin; `None`: there are none.
    next: Option<Begin>,
}

/// What a read has found.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The first drafts in the order of the search, each with its rank.
    pub(super) found: Vec<(String, Queued)>,
    /// How many there are in the window.
    pub(super) count: usize,
    /// The slot of the last entry that was examined.
    pub(super) until: Option<String>,
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

    /// Whether the read ends before the next items. A window that is read again has another grouping of its entries: it ends with its
    /// last one all the same.
    fn is_full(&self, search: &Search, enough: usize) -> bool {
        let items = limits::QUEUE_ITEMS + search.until.as_ref().map_or(0, |_| TOGETHER);
        self.examined >= items || (!search.order.reads_ahead() && self.count >= enough)
    }
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// The first `most` of the drafts that `wanted` keeps, in the next part of the queue. An order that compares no drafts ends when
    /// there are `enough`, each one at `end`, but no read is empty of items.
    pub(super) async fn window(
        &self,
        search: &Search,
        (most, enough): (usize, usize),
        end: Timestamp,
        wanted: impl Fn(&Queued) -> bool + Sync,
    ) -> Result<Window, Error> {
        let ends = |window: &Window| window.is_full(search, enough) || (window.examined > 0 && self.clock.now() >= end);
        let (mut window, mut begin) = (Window::default(), Some(search.begin.clone()));
        for _ in 0..ROUNDS {
            let Some(from) = begin.take_if(|from| search.is_of_this_window(from)) else { break };
            let Round { mut at, entries, next } = self.round(search, from).await?;
            let groups = groups(self.contents(entries).await?);
            begin = next;
            for group in groups {
                if ends(&window) {
                    begin = Some(at);
                    break;
                }
                search.step(&mut at, &group);
                self.examine(&mut window, search, group, &wanted).await?;
                window.sort(search.order, most);
                window.until = search.slot_of(&at).map(str::to_owned);
            }
            if ends(&window) {
                break;
            }
        }
        self.tidy(&window.done).await;
        window.next = begin;
        Ok(window)
    }

    /// Takes entries without a draft out of the queue. If that fails, another read does it.
    async fn tidy(&self, done: &[String]) {
        if let Err(error) = self.review_queue.leave(done).await {
            warn!(entries = done.len(), causes = error.chain(), "entries without a draft stay in the review queue");
        }
    }

    /// The next entries, and where those behind them begin.
    async fn round(&self, search: &Search, from: Begin) -> Result<Round, Error> {
        let slice = Slice {
            after: from.after.clone(),
            limit: if search.is_random() { MIXED } else { ENTRIES },
            ascending: search.order != Order::Newest,
            backward: false,
        };
        let Page { entries, next, .. } = self.review_queue.entries(search.project, &slice).await?;
        let round = if search.is_random() { Search::mixed } else { Search::in_sequence };
        Ok(round(search, from, entries, next))
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
        let mut sought = Vec::new();
        for (name, items) in group {
            if !items.iter().any(|item| drafts.contains_key(item) || window.seen.contains(item)) {
                window.done.push(name.clone());
            }
            for (n, item) in items.into_iter().enumerate() {
                let draft = drafts.remove(&item).filter(|_| window.seen.insert(item));
                sought.extend(draft.filter(wanted).map(|draft| (format!("{name}#{n:04}"), draft)));
            }
        }
        let ranked =
            sought.into_iter().map(|(position, draft)| async move { self.ranked(search, &position, draft).await });
        let ranked: Vec<_> = stream::iter(ranked).buffered(FETCHES).try_collect().await?;
        let before = window.found.len();
        window.found.extend(ranked.into_iter().flatten());
        window.count += window.found.len() - before;
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

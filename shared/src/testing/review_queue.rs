use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::domain::access::api_key::KeyHash;
use crate::domain::id::{ItemUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::item::review_queue::{Marks, Queued, Reviewer};
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, ReviewQueue, Slice};
use crate::testing::lock;

/// The review queue of one project in memory. A clone is the same queue.
#[derive(Clone, Debug, Default)]
pub struct MemoryReviewQueue {
    entries: Arc<Mutex<BTreeMap<String, Vec<ItemUid>>>>,
    items: Arc<Mutex<HashMap<ItemUid, Queued>>>,
    claims: Arc<Mutex<HashMap<KeyHash, Vec<ItemUid>>>>,
    reads: Arc<Mutex<usize>>,
    stuck: Arc<Mutex<bool>>,
    renewed: Arc<Mutex<Vec<ItemUid>>>,
}

impl MemoryReviewQueue {
    /// Adds an entry of these items.
    pub fn add(&self, position: &str, items: impl IntoIterator<Item = Item>) {
        let mut uids = Vec::new();
        for item in items {
            uids.push(item.asset.uid);
            lock(&self.items).insert(item.asset.uid, Queued { item, marks: None, json_bytes: 100 });
        }
        lock(&self.entries).insert(position.to_owned(), uids);
    }

    /// Another call of the same key renews the claim of an item after the next read of it.
    pub fn renew_meanwhile(&self, item: ItemUid) {
        lock(&self.renewed).push(item);
    }

    /// From now on no entry can be taken out.
    pub fn get_stuck(&self) {
        *lock(&self.stuck) = true;
    }

    /// Another call changes an item.
    pub fn change(&self, item: ItemUid, change: impl FnOnce(&mut Queued)) {
        if let Some(queued) = lock(&self.items).get_mut(&item) {
            change(queued);
        }
    }

    /// The positions of the entries.
    pub fn positions(&self) -> Vec<String> {
        lock(&self.entries).keys().cloned().collect()
    }

    /// An item as it is now.
    pub fn now(&self, item: ItemUid) -> Option<Queued> {
        lock(&self.items).get(&item).cloned()
    }

    /// How many items were read.
    pub fn items_read(&self) -> usize {
        *lock(&self.reads)
    }
}

impl ReviewQueue for MemoryReviewQueue {
    async fn entries(&self, _: ProjectUid, slice: &Slice) -> Result<Page<String>, Error> {
        let mut positions = self.positions();
        if !slice.ascending {
            positions.reverse();
        }
        let after = slice.after.as_ref();
        positions.retain(|position| {
            after.is_none_or(|after| if slice.ascending { position > after } else { position < after })
        });
        let more = positions.len() > slice.limit;
        positions.truncate(slice.limit);
        let next = positions.last().cloned().filter(|_| more);
        Ok(Page { entries: positions, next, previous: None })
    }

    async fn drafted(&self, entries: &[String]) -> Result<Vec<Vec<ItemUid>>, Error> {
        let known = lock(&self.entries);
        Ok(entries.iter().map(|entry| known.get(entry).cloned().unwrap_or_default()).collect())
    }

    async fn queued(&self, uids: &[ItemUid]) -> Result<Vec<Queued>, Error> {
        *lock(&self.reads) += uids.len();
        Ok(uids.iter().filter_map(|uid| self.now(*uid)).collect())
    }

    async fn leave(&self, entries: &[String]) -> Result<(), Error> {
        if *lock(&self.stuck) {
            return Err(Error::StoreUnavailable("stuck".into()));
        }
        lock(&self.entries).retain(|position, _| !entries.contains(position));
        Ok(())
    }

    async fn mark(&self, before: &Queued, marks: &Marks) -> Result<bool, Error> {
        let mut items = lock(&self.items);
        let Some(now) = items.get_mut(&before.item.asset.uid) else { return Ok(false) };
        let mut renewed = lock(&self.renewed);
        if let Some(position) = renewed.iter().position(|item| *item == before.item.asset.uid) {
            renewed.remove(position);
            now.marks.iter_mut().for_each(|marks| marks.written_us += 1);
        }
        let as_read = now.is_draft() && now.item.generation == before.item.generation && now.marks == before.marks;
        if as_read {
            now.marks = Some(marks.clone());
        }
        Ok(as_read)
    }

    async fn claims(&self, _: ProjectUid, reviewer: &Reviewer) -> Result<Vec<ItemUid>, Error> {
        Ok(lock(&self.claims).get(&reviewer.key).cloned().unwrap_or_default())
    }

    async fn remember_claims(
        &self,
        _: ProjectUid,
        reviewer: &Reviewer,
        items: &[ItemUid],
        _: Timestamp,
    ) -> Result<(), Error> {
        lock(&self.claims).insert(reviewer.key.clone(), items.to_vec());
        Ok(())
    }
}

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::domain::export::work::Work;
use crate::domain::export::{Export, ExportStatus};
use crate::domain::id::{ExportUid, OrganizationUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{Claimed, ExportFilter, ExportItems, ExportQueue, Exports, Page, Slice, Step, Watched};
use crate::testing::{Fault, MemoryWebhooks, lock};

/// Exports and the items that they read, by the rules of the table. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryExports {
    rows: Arc<Mutex<Vec<ExportRow>>>,
    items: Arc<Mutex<Vec<Item>>>,
    webhooks: MemoryWebhooks,
    fault: Arc<Fault>,
    latency: Duration,
}

#[derive(Clone, Debug)]
struct ExportRow {
    export: Export,
    work: Work,
    attempts: u32,
    lease: Timestamp,
    reminded_at: Timestamp,
    is_damaged: bool,
}

impl MemoryExports {
    /// With these items, the oldest first.
    #[must_use]
    pub fn of(items: Vec<Item>) -> Self {
        Self { items: Arc::new(Mutex::new(items)), ..Self::default() }
    }

    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// A page of items takes so long.
    #[must_use]
    pub fn slow(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// With the deliveries of its events recorded there.
    #[must_use]
    pub fn with_webhooks(self, webhooks: &MemoryWebhooks) -> Self {
        Self { webhooks: webhooks.clone(), ..self }
    }

    /// Every export, those that were deleted included.
    pub fn all(&self) -> Vec<Export> {
        lock(&self.rows).iter().map(|row| row.export.clone()).collect()
    }

    /// From now on the work on an export cannot be read.
    pub fn damage(&self, uid: ExportUid) {
        lock(&self.rows).iter_mut().filter(|row| row.export.uid == uid).for_each(|row| row.is_damaged = true);
    }

    /// Writes under a claim, if it still holds.
    fn write(&self, uid: ExportUid, lease: Timestamp, write: impl FnOnce(&mut ExportRow)) -> bool {
        let mut rows = lock(&self.rows);
        let held = |row: &&mut ExportRow| {
            let is_open = row.export.status == ExportStatus::Processing && !row.export.deleted;
            row.export.uid == uid && row.lease == lease && is_open
        };
        rows.iter_mut().find(held).map(write).is_some()
    }
}

impl Exports for MemoryExports {
    async fn add_export(&self, export: &Export) -> Result<Option<Export>, Error> {
        self.fault.around(|| {
            let mut rows = lock(&self.rows);
            let there = rows.iter().find(|row| row.export.uid == export.uid).map(|row| row.export.clone());
            if there.is_none() {
                let (work, lease, reminded_at) = (Work::default(), Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
                let export = export.clone();
                rows.push(ExportRow { export, work, attempts: 0, lease, reminded_at, is_damaged: false });
            }
            Ok(there)
        })
    }

    async fn export(&self, organization: OrganizationUid, uid: ExportUid) -> Result<Export, Error> {
        self.fault.around(|| {
            let found = |export: &Export| (export.organization, export.uid) == (organization, uid);
            self.all().into_iter().find(found).ok_or_else(|| uid.missing())
        })
    }

    async fn exports(
        &self,
        organization: OrganizationUid,
        filter: ExportFilter,
        _: &Slice,
        now: Timestamp,
    ) -> Result<Page<Export>, Error> {
        let is_listed =
            |export: &Export| export.organization == organization && export.is_shown(now) && filter.keeps(export);
        self.fault.around(|| Ok(Page::whole(self.all().into_iter().rev().filter(is_listed).collect())))
    }

    async fn claim_export(
        &self,
        organization: OrganizationUid,
        uid: ExportUid,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<Claimed>, Error> {
        self.fault.around(|| {
            let mut rows = lock(&self.rows);
            let Some(row) = rows.iter_mut().find(|row| {
                let is_open = matches!(row.export.status, ExportStatus::Pending | ExportStatus::Processing);
                let is_free = is_open && !row.export.deleted && row.lease < now;
                (row.export.organization, row.export.uid) == (organization, uid) && is_free
            }) else {
                return Ok(None);
            };
            (row.lease, row.attempts) = (lease, row.attempts + 1);
            row.export.status = ExportStatus::Processing;
            row.export.started_at.get_or_insert(now);
            let ExportRow { export, work, attempts, is_damaged, .. } = row.clone();
            Ok(Some(Claimed { export, work: (!is_damaged).then_some(work), attempts, lease }))
        })
    }

    async fn advance_export(&self, step: &Step<'_>) -> Result<bool, Error> {
        self.fault.around(|| {
            Ok(self.write(step.export.uid, step.lease, |row| {
                let lease = if step.keeps { step.lease } else { Timestamp::UNIX_EPOCH };
                let (export, work) = (step.export.clone(), step.work.clone());
                *row = ExportRow { export, work, attempts: 0, lease, ..row.clone() };
            }))
        })
    }

    async fn end_export(&self, export: &Export, lease: Timestamp, deliveries: &[Delivery]) -> Result<bool, Error> {
        self.fault.around(|| {
            let ended = self.write(export.uid, lease, |row| row.export = export.clone());
            if ended {
                deliveries.iter().for_each(|delivery| self.webhooks.put(delivery.clone()));
            }
            Ok(ended)
        })
    }

    async fn delete_export(&self, organization: OrganizationUid, uid: ExportUid, now: Timestamp) -> Result<(), Error> {
        self.fault.around(|| {
            let mut rows = lock(&self.rows);
            let found = rows
                .iter_mut()
                .map(|row| &mut row.export)
                .find(|export| (export.organization, export.uid) == (organization, uid) && !export.deleted);
            let export = found.ok_or_else(|| uid.missing())?;
            (export.deleted, export.updated_at) = (true, now);
            Ok(())
        })
    }

    async fn forget_export(&self, _: OrganizationUid, uid: ExportUid) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.rows).retain(|row| row.export.uid != uid);
            Ok(())
        })
    }

    /// One export a page.
    async fn watched_exports(&self, after: Option<&str>, now: Timestamp) -> Result<Page<Watched>, Error> {
        self.fault.around(|| {
            let begin = after.and_then(|after| after.parse().ok()).unwrap_or(0usize);
            let rows = lock(&self.rows).clone();
            let is_watched = |row: &ExportRow| {
                row.export.deleted || matches!(row.export.status, ExportStatus::Pending | ExportStatus::Processing)
            };
            let watched = |row: ExportRow| {
                let ExportRow { export, lease, reminded_at, .. } = row;
                Watched { export, is_claimed: lease >= now, reminded_at }
            };
            let next = (begin + 1 < rows.len()).then(|| (begin + 1).to_string());
            let entries = rows.into_iter().skip(begin).take(1).filter(is_watched).map(watched).collect();
            Ok(Page { entries, next, previous: None })
        })
    }

    async fn remind_of_export(&self, watched: &Watched, now: Timestamp) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut rows = lock(&self.rows);
            let as_read = |row: &&mut ExportRow| {
                let is_there = row.export.uid == watched.export.uid && !row.export.deleted;
                is_there && row.reminded_at == watched.reminded_at
            };
            Ok(rows.iter_mut().find(as_read).map(|row| row.reminded_at = now).is_some())
        })
    }
}

impl ExportItems for MemoryExports {
    /// Positions are those in the list, whatever the order that is asked for.
    async fn items_to_export(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        _: bool,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        tokio::time::sleep(self.latency).await;
        self.fault.around(|| {
            let begin = slice.after.as_ref().and_then(|after| after.parse().ok()).unwrap_or(0usize);
            let items = lock(&self.items);
            let listed: Vec<&Item> =
                items.iter().filter(|item| (item.organization, item.project) == (organization, project)).collect();
            let entries: Vec<Item> = listed.iter().skip(begin).take(slice.limit).map(|item| (*item).clone()).collect();
            let end = begin + entries.len();
            Ok(Page { entries, next: (end < listed.len()).then(|| end.to_string()), previous: None })
        })
    }

    fn position_to_export(&self, item: &Item) -> String {
        let items = lock(&self.items);
        let mut listed = items.iter().filter(|other| other.project == item.project);
        (listed.position(|other| other.asset.uid == item.asset.uid).unwrap_or_default() + 1).to_string()
    }
}

/// The queue of exports in memory.
#[derive(Debug, Default)]
pub struct MemoryExportQueue {
    requested: Mutex<Vec<(OrganizationUid, ExportUid)>>,
    fault: Arc<Fault>,
}

impl MemoryExportQueue {
    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// Takes what was sent since the last time.
    pub fn take(&self) -> Vec<(OrganizationUid, ExportUid)> {
        std::mem::take(&mut lock(&self.requested))
    }
}

impl ExportQueue for MemoryExportQueue {
    async fn request_step(&self, organization: OrganizationUid, uid: ExportUid) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.requested).push((organization, uid));
            Ok(())
        })
    }
}

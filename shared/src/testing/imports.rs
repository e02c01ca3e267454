use std::sync::{Arc, Mutex};

use crate::domain::id::{OrganizationUid, ProjectUid};
use crate::domain::import::{Import, ImportStatus};
use crate::domain::item::Item;
use crate::domain::item::result::LabelResult;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{
    ClaimedImport, ExportItems, ImportName, ImportQueue, ImportResults, Imports, Page, Slice, WatchedImport,
};
use crate::testing::{Fault, MemoryTenants, lock};

/// Imports, by the rules of the table. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryImports {
    rows: Arc<Mutex<Vec<ImportRow>>>,
    sent: Arc<Mutex<Vec<Delivery>>>,
    fault: Arc<Fault>,
}

#[derive(Clone, Debug)]
struct ImportRow {
    import: Import,
    attempts: u32,
    lease: Timestamp,
}

impl MemoryImports {
    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// Every import.
    #[must_use]
    pub fn all(&self) -> Vec<Import> {
        lock(&self.rows).iter().map(|row| row.import.clone()).collect()
    }

    /// The deliveries of their events.
    #[must_use]
    pub fn sent(&self) -> Vec<Delivery> {
        lock(&self.sent).clone()
    }

    /// Writes under a claim, if it still holds.
    fn write(&self, import: &Import, lease: Timestamp, next: Timestamp) -> bool {
        let mut rows = lock(&self.rows);
        let Some(row) = rows.iter_mut().find(|row| row.import.uid == import.uid && row.lease == lease) else {
            return false;
        };
        *row = ImportRow { import: import.clone(), attempts: 0, lease: next };
        true
    }
}

fn name(import: &Import) -> ImportName {
    (import.organization, import.project, import.uid)
}

impl Imports for MemoryImports {
    async fn add_import(&self, import: &Import) -> Result<Option<Import>, Error> {
        self.fault.around(|| {
            let there = self.all().into_iter().find(|there| there.uid == import.uid);
            if there.is_none() {
                let row = ImportRow { import: import.clone(), attempts: 0, lease: Timestamp::UNIX_EPOCH };
                lock(&self.rows).push(row);
            }
            Ok(there)
        })
    }

    async fn import(&self, of: ImportName) -> Result<Import, Error> {
        self.fault.around(|| self.all().into_iter().find(|import| name(import) == of).ok_or_else(|| of.2.missing()))
    }

    async fn imports(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        _: &Slice,
    ) -> Result<Page<Import>, Error> {
        let is_listed = |import: &Import| (import.organization, import.project) == (organization, project);
        self.fault.around(|| Ok(Page::whole(self.all().into_iter().rev().filter(is_listed).collect())))
    }

    async fn claim_import(
        &self,
        of: ImportName,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<ClaimedImport>, Error> {
        self.fault.around(|| {
            let mut rows = lock(&self.rows);
            let is_free = |row: &&mut ImportRow| {
                name(&row.import) == of && !row.import.status.is_final() && (row.lease < now || row.lease == lease)
            };
            let Some(row) = rows.iter_mut().find(is_free) else { return Ok(None) };
            row.import.status = ImportStatus::Processing;
            row.import.started_at.get_or_insert(now);
            (row.attempts, row.lease) = (row.attempts + 1, lease);
            Ok(Some(ClaimedImport { import: row.import.clone(), attempts: row.attempts, lease }))
        })
    }

    async fn advance_import(&self, import: &Import, lease: Timestamp, next: Timestamp) -> Result<bool, Error> {
        self.fault.around(|| Ok(self.write(import, lease, next)))
    }

    async fn end_import(&self, import: &Import, lease: Timestamp, deliveries: &[Delivery]) -> Result<bool, Error> {
        self.fault.around(|| {
            let is_done = self.write(import, lease, Timestamp::UNIX_EPOCH);
            lock(&self.sent).extend(deliveries.iter().filter(|_| is_done).cloned());
            Ok(is_done)
        })
    }

    async fn watched_imports(&self, _: Option<&str>, now: Timestamp) -> Result<Page<WatchedImport>, Error> {
        self.fault.around(|| {
            let rows = lock(&self.rows);
            let is_watched = |row: &&ImportRow| {
                let import = &row.import;
                import.status == ImportStatus::Processing
                    || (import.status == ImportStatus::Pending && import.source.is_some())
            };
            let watched = |row: &ImportRow| WatchedImport { import: row.import.clone(), is_claimed: row.lease >= now };
            Ok(Page::whole(rows.iter().filter(is_watched).map(watched).collect()))
        })
    }
}

impl ExportItems for MemoryTenants {
    /// Positions are those in the list.
    async fn items_to_export(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        _: bool,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        self.fault.around(|| {
            let begin = slice.after.as_ref().and_then(|after| after.parse().ok()).unwrap_or(0usize);
            let items = lock(&self.items);
            let listed = items.iter().filter(|item| (item.organization, item.project) == (organization, project));
            let entries: Vec<Item> = listed.clone().skip(begin).take(slice.limit).cloned().collect();
            let end = begin + entries.len();
            Ok(Page { entries, next: (end < listed.count()).then(|| end.to_string()), previous: None })
        })
    }

    fn position_to_export(&self, item: &Item) -> String {
        let items = lock(&self.items);
        let mut listed = items.iter().filter(|other| other.project == item.project);
        (listed.position(|other| other.asset.uid == item.asset.uid).unwrap_or_default() + 1).to_string()
    }
}

impl ImportResults for MemoryTenants {
    async fn import_result(&self, of: &Item, given: &LabelResult) -> Result<bool, Error> {
        self.fault.around(|| {
            let is_as_read = lock(&self.items).contains(of) && of.result.is_none();
            if is_as_read {
                self.label(of.asset.uid, given.clone());
            }
            Ok(is_as_read)
        })
    }
}

/// A queue of imports in memory. A clone is the same queue.
#[derive(Clone, Debug, Default)]
pub struct MemoryImportQueue {
    messages: Arc<Mutex<Vec<ImportName>>>,
}

impl MemoryImportQueue {
    /// Takes all messages.
    #[must_use]
    pub fn take(&self) -> Vec<ImportName> {
        std::mem::take(&mut *lock(&self.messages))
    }
}

impl ImportQueue for MemoryImportQueue {
    async fn request_import(&self, name: ImportName) -> Result<(), Error> {
        lock(&self.messages).push(name);
        Ok(())
    }
}

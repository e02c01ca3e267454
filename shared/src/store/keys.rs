//! Every key of the table. ARCHITECTURE.md has the same as a table, with each access pattern and its cost.
//!
//! No part may contain `#`: parts are UUIDs, hashes and numbers, parsed at the edge, so no id can forge a key.
//! Numbers are zero-padded, so that string order is number order.

use sha2::{Digest, Sha256};

use crate::domain::Timestamp;
use crate::domain::access::api_key::KeyHash;
use crate::domain::access::rate_limit::Requester;
use crate::domain::id::{
    DeliveryUid, ExportUid, ImportUid, ItemUid, JobUid, OrganizationUid, ProjectUid, ProviderUid, UploadUid, WebhookUid,
};
use crate::domain::job::outcome::ChunkId;
use crate::domain::project::dataset::DatasetName;

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";

/// What is listed newest first: keys only, the rows are read by their own key.
pub(super) const LISTING: Index = Index { name: "listing", pk: "listing_pk", sk: "listing_sk" };
/// Items without a result, in the order of their creation. Sparse: a result takes the item out.
pub(super) const UNLABELED: Index = Index { name: "unlabeled", pk: "unlabeled_pk", sk: "unlabeled_sk" };
/// What is watched: jobs that have not ended, pending deliveries, projects with uploads that wait. Sparse.
pub(super) const ACTIVE: Index = Index { name: "active", pk: "active_pk", sk: "active_sk" };

/// A secondary index and its two key attributes.
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) pk: &'static str,
    pub(super) sk: &'static str,
}

/// A primary key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// `KEY#{sha256}`: an API key by its hash.
    pub(super) fn api_key(hash: &KeyHash) -> Self {
        Self::new(format!("{API_KEY}{}", hash.as_str()), "KEY")
    }

    /// The hash in the key of an API key's row.
    pub(super) fn api_key_hash(&self) -> Option<KeyHash> {
        self.pk.strip_prefix(API_KEY).map(KeyHash::of_hex)
    }

    /// The requests of one minute of the Unix epoch. Beside the API key, or under the address of a caller without one.
    pub(super) fn requests(requester: &Requester, minute: i64) -> Self {
        let pk = match requester {
            Requester::Key(hash) => Self::api_key(hash).pk,
            Requester::Address(address) => format!("ADDRESS#{address}"),
        };
        Self::new(pk, format!("RATE#{minute}"))
    }

    /// An idempotency key of a caller, by its hash.
    pub(super) fn idempotency(caller: &KeyHash, key: &str) -> Self {
        Self::new(Self::api_key(caller).pk, format!("IDEMPOTENCY#{key}"))
    }

    /// The organization itself, beside what it owns.
    pub(super) fn organization(uid: OrganizationUid) -> Self {
        Self::new(organization_pk(uid), "ORG")
    }

    /// An organization's projects lie together: reading one is a read by tenant, so a foreign one is missing (I10).
    pub(super) fn project(organization: OrganizationUid, uid: ProjectUid) -> Self {
        Self::new(organization_pk(organization), format!("{PROJECT}{uid}"))
    }

    /// See [`Key::project`].
    pub(super) fn provider(organization: OrganizationUid, uid: ProviderUid) -> Self {
        Self::new(organization_pk(organization), format!("{PROVIDER}{uid}"))
    }

    /// See [`Key::project`].
    pub(super) fn webhook(organization: OrganizationUid, uid: WebhookUid) -> Self {
        Self::new(organization_pk(organization), format!("{WEBHOOK}{uid}"))
    }

    /// See [`Key::project`].
    pub(super) fn export(organization: OrganizationUid, uid: ExportUid) -> Self {
        Self::new(organization_pk(organization), format!("{EXPORT}{uid}"))
    }

    /// The imports of a project lie together, the newest last.
    pub(super) fn import(organization: OrganizationUid, project: ProjectUid, uid: ImportUid) -> Self {
        Self::new(organization_pk(organization), format!("{}{uid}", imports_of(project)))
    }

    /// A name of a dataset, by its hash: names have any characters.
    pub(super) fn dataset(organization: OrganizationUid, name: &DatasetName) -> Self {
        let (kind, name) = match name {
            DatasetName::Slug(slug) => ("SLUG", slug.clone()),
            DatasetName::Batch(batch) => ("BATCH", batch.to_string()),
            DatasetName::Upload(name) => ("NAME", name.clone()),
        };
        Self::new(organization_pk(organization), format!("DATASET#{kind}#{}", hex::encode(Sha256::digest(name))))
    }

    /// What an organization has announced to upload, beside what it owns.
    pub(super) fn quota(organization: OrganizationUid) -> Self {
        Self::new(organization_pk(organization), "ANNOUNCED")
    }

    /// The announcement of a file, beside the item that it becomes.
    pub(super) fn announced(project: ProjectUid, key: &str) -> Self {
        Self::new(format!("{ITEM}{}", ItemUid::of(project, key)), "ANNOUNCED")
    }

    /// The lock of a project, held by its active job: there is one lock, so there is one such job (I4).
    pub(super) fn lock(project: ProjectUid) -> Self {
        Self::new(format!("PROJECT#{project}"), "LOCK")
    }

    /// The organization of a project, by the project's uid alone: an event of S3 names an object and no tenant.
    pub(super) fn owner(project: ProjectUid) -> Self {
        Self::new(format!("PROJECT#{project}"), "OWNER")
    }

    /// What jobs have taken of a project's uploads in a day of the Unix epoch.
    pub(super) fn taken(project: ProjectUid, day: i64) -> Self {
        Self::new(format!("PROJECT#{project}"), format!("TAKEN#{day}"))
    }

    /// The note of a rejected upload, by a uid that is derived from its project and object.
    pub(super) fn rejected_upload(uid: UploadUid) -> Self {
        Self::new(format!("UPLOAD#{uid}"), "REJECTED")
    }

    /// The project in its own row's key.
    pub(super) fn project_uid(&self) -> Option<(OrganizationUid, ProjectUid)> {
        let organization = OrganizationUid::parse(self.pk.strip_prefix("ORG#")?).ok()?;
        Some((organization, ProjectUid::parse(self.sk.strip_prefix(PROJECT)?).ok()?))
    }

    /// An item and its result are one row: "has no result" is one condition, and one write labels it (I3). Keyed
    /// by item, so that a project's drafts spread over all partitions.
    pub(super) fn item(uid: ItemUid) -> Self {
        Self::new(format!("ITEM#{uid}"), "ITEM")
    }

    /// A result that was rejected, beside the item that it has left. A generation of more than four digits has its number of digits
    /// before it, so that string order stays the order of generations.
    pub(super) fn rejected(item: ItemUid, generation: u32) -> Self {
        let sk = if generation < 10_000 {
            format!("RESULT#{generation:04}")
        } else {
            let digits = generation.to_string();
            format!("RESULT#{}{digits}", char::from(b'A' + u8::try_from(digits.len()).unwrap_or(u8::MAX - b'A') - 5))
        };
        Self::new(format!("ITEM#{item}"), sk)
    }

    /// That a draft was reopened, beside its item: one row, however often.
    pub(super) fn reopened(item: ItemUid) -> Self {
        Self::new(format!("{ITEM}{item}"), REOPENED)
    }

    /// What a person has claimed of a project, beside her key.
    pub(super) fn claims(reviewer: &KeyHash, project: ProjectUid) -> Self {
        Self::new(Self::api_key(reviewer).pk, format!("CLAIMS#{project}"))
    }

    /// The item whose uid ends so: the uid of a result after the 4,095th has no more of it.
    pub(super) fn item_of_tail(tail: u64) -> Self {
        Self::new(format!("ITEMTAIL#{tail:016x}"), "ITEM")
    }

    /// A job: what it is to do, status and counters, together: one read sees all as of one moment (I2).
    pub(super) fn job(uid: JobUid) -> Self {
        Self::new(job_pk(uid), "JOB")
    }

    /// The job in its organization's list.
    pub(super) fn job_listing(uid: JobUid) -> Self {
        Self::new(job_pk(uid), "PLACE")
    }

    /// The plan: written once, when the job starts.
    pub(super) fn job_plan(uid: JobUid) -> Self {
        Self::new(job_pk(uid), "PLAN")
    }

    /// The receipt of a committed chunk.
    pub(super) fn receipt(id: ChunkId) -> Self {
        Self::new(job_pk(id.job), format!("{}{:04}", receipts_of_batch(id.batch), id.chunk))
    }

    /// A delivery of an event.
    pub(super) fn delivery(uid: DeliveryUid) -> Self {
        Self::new(format!("{DELIVERY}{uid}"), "DELIVERY")
    }

    /// The slots of an organization that invocations of `deliver` hold, beside what it owns.
    pub(super) fn slots(organization: OrganizationUid) -> Self {
        Self::new(organization_pk(organization), "SLOTS")
    }

    /// The uid in the key of a delivery's row.
    pub(super) fn delivery_uid(&self) -> Option<DeliveryUid> {
        DeliveryUid::parse(self.pk.strip_prefix(DELIVERY)?).ok()
    }
}

const API_KEY: &str = "KEY#";
const ITEM: &str = "ITEM#";
const REOPENED: &str = "REOPENED";
const DELIVERY: &str = "DELIVERY#";
pub(super) const PROJECT: &str = "PROJECT#";
pub(super) const PROVIDER: &str = "PROVIDER#";
pub(super) const WEBHOOK: &str = "WEBHOOK#";
pub(super) const EXPORT: &str = "EXPORT#";
pub(super) const RECEIPT: &str = "RECEIPT#";
/// Behind all of them: `$` comes after `#`.
pub(super) const RECEIPTS_END: &str = "RECEIPT$";

/// The watched jobs of all tenants: few, and read by the watchdog alone.
pub(super) const ACTIVE_JOBS: &str = "JOB";

/// The exports of all tenants that have not ended, or whose objects are being removed: few, and read on a schedule alone.
pub(super) const ACTIVE_EXPORTS: &str = "EXPORT";

/// The imports of all tenants that have begun and not ended: few, and read on a schedule alone.
pub(super) const ACTIVE_IMPORTS: &str = "IMPORT";

/// What the sort keys of a project's imports begin with.
pub(super) fn imports_of(project: ProjectUid) -> String {
    format!("IMPORT#{project}#")
}

/// The pending deliveries of all tenants: few, unless the queue is down, and read by the watchdog alone.
pub(super) const OUTBOX: &str = "DELIVERY";

/// Projects of all tenants with uploads that wait for a job: read on a schedule alone.
pub(super) const WATCHED_UPLOADS: &str = "UPLOADS";

/// Behind the position of an item that has come by upload.
const UPLOADED: &str = "#U";

/// Shards of a project's unlabeled items. Labeling takes one index write per item, and one partition of the
/// index takes 1,000 a second.
pub(super) const UNLABELED_SHARDS: u8 = 4;

pub(super) fn organization_pk(organization: OrganizationUid) -> String {
    format!("ORG#{organization}")
}

pub(super) fn job_pk(uid: JobUid) -> String {
    format!("JOB#{uid}")
}

pub(super) fn receipts_of_batch(batch: u32) -> String {
    format!("{RECEIPT}{batch:05}#")
}

/// A list: a partition of [`LISTING`], or the part of it whose sort keys begin with the prefix.
pub(super) struct List {
    pub(super) pk: String,
    prefix: String,
}

impl List {
    fn whole(pk: String) -> Self {
        Self { pk, prefix: String::new() }
    }

    /// The position before the first entry and the one behind the last: our sort keys have letters, digits, `#` and `-` alone.
    pub(super) fn ends(&self) -> (String, String) {
        (format!("{}!", self.prefix), format!("{}~", self.prefix))
    }
}

/// The items of an organization, project by project, so that one list serves both. A project is a prefix within its
/// organization's partition: a foreign one has no items (I10).
pub(super) fn items_of(organization: OrganizationUid, project: Option<ProjectUid>) -> List {
    let prefix = project.map(|project| format!("{project}#")).unwrap_or_default();
    List { pk: format!("ORG#{organization}#ITEMS"), prefix }
}

/// The review queue of a project: receipts and reopened drafts, in the order in which the drafts were made.
pub(super) fn review_queue_of(project: ProjectUid) -> List {
    List::whole(format!("PROJECT#{project}#REVIEW"))
}

/// The position of a chunk's drafts in the queue. A job's uid begins with its time.
pub(super) fn queue_position(chunk: ChunkId) -> String {
    format!("{}#{:05}#{:04}", chunk.job, chunk.batch, chunk.chunk)
}

/// The position of a draft that was reopened: by its time, as a uid that begins with it has it.
pub(super) fn reopened_position(item: ItemUid, at: Timestamp) -> String {
    let milliseconds = at.as_millisecond().max(0);
    format!("{:08x}-{:04x}#{item}", milliseconds >> 16, milliseconds & 0xffff)
}

/// The row of an entry of the queue, from its position.
pub(super) fn of_queue_entry(position: &str) -> Option<Key> {
    let parts: Vec<&str> = position.split('#').collect();
    match parts.as_slice() {
        [job, batch, chunk] => Some(Key::new(format!("JOB#{job}"), format!("{RECEIPT}{batch}#{chunk}"))),
        [_, item] => Some(Key::new(format!("{ITEM}{item}"), REOPENED)),
        _ => None,
    }
}

/// Whether the row is one of [`Key::reopened`].
pub(super) fn is_reopened(key: &Key) -> bool {
    key.sk == REOPENED
}

/// The rejected uploads of a project, in its organization's partition as [`items_of`] are.
pub(super) fn rejected_uploads_of(organization: OrganizationUid, project: ProjectUid) -> List {
    List { pk: format!("ORG#{organization}#UPLOADS"), prefix: format!("{project}#") }
}

/// The position of an item in [`items_of`], and of a rejected upload in its list.
pub(super) fn project_position(project: ProjectUid, created_at: Timestamp, uid: impl std::fmt::Display) -> String {
    format!("{project}#{}", in_time(created_at, uid))
}

pub(super) fn jobs_of_project(project: ProjectUid) -> List {
    List::whole(format!("PROJECT#{project}#JOBS"))
}

pub(super) fn api_keys_of(organization: OrganizationUid) -> List {
    List::whole(format!("ORG#{organization}#KEYS"))
}

pub(super) fn jobs_of_organization(organization: OrganizationUid) -> List {
    List::whole(format!("ORG#{organization}#JOBS"))
}

pub(super) fn deliveries_of(organization: OrganizationUid) -> List {
    List::whole(format!("ORG#{organization}#DELIVERIES"))
}

pub(super) fn unlabeled_of(project: ProjectUid, shard: u8) -> String {
    format!("PROJECT#{project}#{shard}")
}

/// A position in time, for things whose uid does not sort by it. In microseconds, as the items of one call are spaced.
pub(super) fn in_time(created_at: Timestamp, uid: impl std::fmt::Display) -> String {
    format!("{:016}#{uid}", created_at.as_microsecond())
}

/// The time in a position of [`in_time`].
pub(super) fn time_of(position: &str) -> Option<Timestamp> {
    Timestamp::from_microsecond(position.split('#').next()?.parse().ok()?).ok()
}

/// The position in the outbox of a delivery that was put off so many times: in time, as any other.
pub(super) fn put_off(until: Timestamp, delivery: DeliveryUid, times: u32) -> String {
    format!("{}#{times}", in_time(until, delivery))
}

/// The times in a position of [`put_off`]; `None`: the delivery was not put off.
pub(super) fn times_put_off(position: &str) -> Option<u32> {
    position.splitn(3, '#').nth(2)?.parse().ok()
}

/// The position among the unlabeled items of one whose file was uploaded: in time as any other, with a suffix.
pub(super) fn uploaded(at: Timestamp, item: ItemUid) -> String {
    in_time(at, item) + UPLOADED
}

/// Whether a position is one of [`uploaded`].
pub(super) fn is_uploaded(position: &str) -> bool {
    position.ends_with(UPLOADED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_results_sort_by_generation() {
        let item = ItemUid::of_bytes([7; 16]);
        let keys = [1, 904, 4_095, 4_096, 9_999, 10_000, 99_999, 100_000, u32::MAX].map(|n| Key::rejected(item, n).sk);

        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!((keys[1].as_str(), keys[5].as_str()), ("RESULT#0904", "RESULT#A10000"));
        assert_eq!(keys[8], "RESULT#F4294967295");
    }

    #[test]
    fn entries_of_the_review_queue_lead_to_their_rows_and_sort_by_time() {
        let time = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let item = ItemUid::of_bytes([7; 16]);
        let chunk = |second, batch| ChunkId { job: JobUid::at(time(second)), batch, chunk: 12 };
        let (first, last) = (chunk(0, 3), chunk(9, 0));
        let positions = [queue_position(first), reopened_position(item, time(5)), queue_position(last)];

        assert!(positions.is_sorted(), "{positions:?}");
        assert!(queue_position(chunk(0, 9)).len() == queue_position(chunk(0, 10_000)).len());
        let rows = positions.each_ref().map(|position| of_queue_entry(position).unwrap());
        assert_eq!(rows, [Key::receipt(first), Key::reopened(item), Key::receipt(last)]);
        assert_eq!(rows.each_ref().map(is_reopened), [false, true, false]);
        assert_eq!((of_queue_entry("x"), of_queue_entry("")), (None, None));
    }

    #[test]
    fn receipts_sort_by_batch_and_chunk() {
        let job = JobUid::parse("0192b1c0-0000-7000-8000-000000000000").unwrap();
        let key = |batch, chunk| Key::receipt(ChunkId { job, batch, chunk }).sk;

        assert_eq!(key(7, 12), "RECEIPT#00007#0012");
        assert!(key(9, 1_999) < key(10, 0) && key(10, 999) < key(10, 1_000));
        assert!(key(99_999, 9_999).as_str() < RECEIPTS_END);
        assert!(key(1, 0).starts_with(&receipts_of_batch(1)) && !key(10, 0).starts_with(&receipts_of_batch(1)));
    }
}

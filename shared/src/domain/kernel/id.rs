//! Identifiers: UUIDs, typed by what they name, parsed at the edge.
//!
//! Two kinds. What a call creates gets a version 7 UUID, so that string order is creation order and a list
//! newest first is one query. What must come out the same when a call is repeated is *derived* (version 8):
//! an item from its project and key, a result from its item, an event from what happened, a delivery from its event and
//! subscription.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::{NoContext, Uuid, Version};

use crate::domain::{Error, Timestamp};

macro_rules! uid {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// # Errors
            /// `NotFound`: a malformed uid names nothing (contract, D1).
            pub fn parse(text: &str) -> Result<Self, Error> {
                // Only the canonical form: two spellings of one uid would be two keys.
                let uid = Uuid::try_parse(text).ok();
                let is_canonical = |uid: &Uuid| uid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
                uid.filter(is_canonical).map(Self).ok_or_else(|| Error::no_such($noun, text))
            }

            /// `NotFound`: the caller's organization has none of this uid.
            #[must_use]
            pub fn missing(self) -> Error {
                Error::no_such($noun, &self.to_string())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

macro_rules! created {
    ($name:ident) => {
        impl $name {
            /// A new uid that sorts by `now`.
            #[must_use]
            pub fn at(now: Timestamp) -> Self {
                Self(uuid_at(now))
            }

            /// The uid of what a request creates. Repeated, the request names the same thing, unless that was given up and this
            /// is a later `attempt`.
            #[must_use]
            pub fn named(naming: &Naming, now: Timestamp, attempt: u32) -> Self {
                Self(naming.uuid(now, attempt))
            }
        }
    };
}

/// A new version 7 UUID that sorts by `now`.
pub(in crate::domain) fn uuid_at(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
}

/// What a request calls the things that it creates. With an idempotency key they have the same uids each time that the request
/// is made, so that one whose answer was lost is not done twice; without a key, new ones.
#[derive(Clone, Debug, Default)]
pub struct Naming(Option<Seed>);

#[derive(Clone, Debug)]
struct Seed {
    /// Of the first attempt under the key. Version 7: what is created sorts by it.
    first: Uuid,
    fingerprint: String,
}

impl Naming {
    /// Of a request with this fingerprint, whose `first` attempt has this uid.
    #[must_use]
    pub const fn repeatable(first: Uuid, fingerprint: String) -> Self {
        Self(Some(Seed { first, fingerprint }))
    }

    fn uuid(&self, now: Timestamp, attempt: u32) -> Uuid {
        let Some(Seed { first, fingerprint }) = &self.0 else { return uuid_at(now) };
        let digest = derived(&[b"named", first.as_bytes(), fingerprint.as_bytes(), &attempt.to_be_bytes()]);
        let mut bytes = *first.as_bytes();
        bytes[6..].copy_from_slice(&digest.as_bytes()[6..]);
        uuid::Builder::from_bytes(bytes).with_version(Version::SortRand).into_uuid()
    }
}

uid!(
    /// An organization, the tenant.
    OrganizationUid, "organization"
);
uid!(
    /// A project.
    ProjectUid, "project"
);
uid!(
    /// A job; also the name of its execution.
    JobUid, "job"
);
uid!(
    /// An inference provider.
    ProviderUid, "inference provider"
);
uid!(
    /// A webhook subscription.
    WebhookUid, "webhook"
);
uid!(
    /// An item, derived from its project and key.
    ItemUid, "item"
);
uid!(
    /// A result: its item and its generation.
    ResultUid, "result"
);
uid!(
    /// A sweep over the drafts of a project, whatever the number of its calls.
    SweepUid, "sweep"
);
uid!(
    /// Something that happened once, and of which every subscription gets one delivery.
    EventUid, "event"
);
uid!(
    /// One delivery of one event to one subscription.
    DeliveryUid, "delivery"
);
uid!(
    /// An upload that was rejected, derived from its project and object.
    UploadUid, "upload"
);
uid!(
    /// An export.
    ExportUid, "export"
);
uid!(
    /// An import.
    ImportUid, "import"
);
created!(ExportUid);
created!(ImportUid);
created!(ProjectUid);
created!(JobUid);
created!(ProviderUid);
created!(WebhookUid);
created!(SweepUid);
created!(DeliveryUid); // of a test; of an event it is derived

/// The 12 bits between the version and the variant of a UUID. Zero in an item, the generation in a result, as far as it fits.
const GENERATION: u128 = 0x0fff << 64;
/// The last generation that fits there.
const LAST_SHORT: u32 = 0x0fff;
/// The 48 bits before the version: where a result has a generation that does not fit there, and its item has the begin of its
/// hash.
const LONG_GENERATION: u32 = 80;

fn derived(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

impl OrganizationUid {
    /// The organization of this name: naming it twice gives the same one.
    #[must_use]
    pub fn named(slug: &str) -> Self {
        Self(derived(&[b"organization", slug.as_bytes()]))
    }
}

impl ProjectUid {
    /// The project that a dataset's slug ends in: what comes before is its name, which may change.
    ///
    /// # Errors
    /// `NotFound`: another slug names nothing.
    pub fn of_slug(slug: &str) -> Result<Self, Error> {
        let is_slug = slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let (_, simple) = slug.rsplit_once('-').unwrap_or(("", slug));
        let uid = Uuid::try_parse(simple).ok().filter(|_| is_slug);
        let is_canonical = |uid: &Uuid| uid.simple().encode_lower(&mut Uuid::encode_buffer()) == simple;
        uid.filter(is_canonical).map(Self).ok_or_else(|| Error::no_such("dataset", slug))
    }

    /// The end of a dataset's slug: see [`Self::of_slug`].
    #[must_use]
    pub fn simple(self) -> String {
        self.0.simple().to_string()
    }
}

impl ItemUid {
    /// The picture that a test shows to a model: an item of no project.
    #[must_use]
    pub fn of_probe() -> Self {
        Self(Uuid::from_u128(derived(&[b"probe"]).as_u128() & !GENERATION))
    }

    /// A number for clients that want one beside the uid, as exact as a JSON number is. Not an identifier: two of very
    /// many items may share one.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.as_u64_pair().1 & ((1 << 53) - 1)
    }

    /// The item with this key in this project: adding it twice gives the same one.
    #[must_use]
    pub fn of(project: ProjectUid, key: &str) -> Self {
        let uid = derived(&[b"item", project.0.as_bytes(), key.as_bytes()]);
        Self(Uuid::from_u128(uid.as_u128() & !GENERATION))
    }

    /// The uid in 16 bytes, where bytes count.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The uid of these bytes.
    #[must_use]
    pub fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The bits behind the variant: see [`ItemName::Tail`].
    #[must_use]
    pub fn tail(self) -> u64 {
        self.0.as_u64_pair().1 & ((1 << 62) - 1)
    }

    /// Which of `count` shards holds the item.
    #[must_use]
    pub fn shard(self, count: u8) -> u8 {
        self.0.as_bytes()[15] % count
    }
}

/// The part of an item's uid that all uids of its results have: what leads from a result to its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemName {
    /// All of it.
    Whole(ItemUid),
    /// The last 62 bits, of a result whose generation needs the others.
    Tail(u64),
}

impl ResultUid {
    /// Generation 1 is the item's first result; a discarded one is never named again. After 4,095 the generation takes 48 other
    /// bits, and those between version and variant are zero.
    #[must_use]
    pub fn of(item: ItemUid, generation: u32) -> Self {
        let (bare, generation) = (item.0.as_u128() & !GENERATION, u128::from(generation));
        Self(Uuid::from_u128(if generation <= u128::from(LAST_SHORT) {
            bare | (generation << 64)
        } else {
            (bare & ((1 << LONG_GENERATION) - 1)) | (generation << LONG_GENERATION)
        }))
    }

    /// Which of the item's results it is. `None`: it is no uid of ours.
    #[must_use]
    pub fn generation(self) -> Option<u32> {
        let bits = self.0.as_u128();
        match (bits & GENERATION) >> 64 {
            0 => u32::try_from(bits >> LONG_GENERATION).ok(),
            short => u32::try_from(short).ok(),
        }
    }

    /// The item that the result belongs to, or what the uid says of it.
    #[must_use]
    pub fn item(self) -> ItemName {
        let bits = self.0.as_u128();
        if bits & GENERATION == 0 {
            ItemName::Tail(ItemUid(self.0).tail())
        } else {
            ItemName::Whole(ItemUid(Uuid::from_u128(bits & !GENERATION)))
        }
    }

    /// Whether the uids of results of this generation hold only the tail of their item's.
    #[must_use]
    pub const fn is_long(generation: u32) -> bool {
        generation > LAST_SHORT
    }
}

impl UploadUid {
    /// The upload of this object to this project; no bucket: the system's own.
    #[must_use]
    pub fn of(project: ProjectUid, bucket: Option<&str>, key: &str) -> Self {
        Self(derived(&[b"upload", project.0.as_bytes(), bucket.unwrap_or_default().as_bytes(), key.as_bytes()]))
    }
}

impl EventUid {
    /// The end of a job, of which there is one.
    #[must_use]
    pub fn of_job(job: JobUid) -> Self {
        Self(derived(&[b"job", job.0.as_bytes()]))
    }

    /// The end of an export, of which there is one.
    #[must_use]
    pub fn of_export(export: ExportUid) -> Self {
        Self(derived(&[b"export", export.0.as_bytes()]))
    }

    /// The end of an import, of which there is one.
    #[must_use]
    pub fn of_import(import: ImportUid) -> Self {
        Self(derived(&[b"import", import.0.as_bytes()]))
    }

    /// The change of a result that made it this revision.
    #[must_use]
    pub fn of_review(result: ResultUid, revision: u32) -> Self {
        Self(derived(&[b"review", result.0.as_bytes(), &revision.to_be_bytes()]))
    }

    /// The completion of a task, by the change of its result that made it this revision.
    #[must_use]
    pub fn of_task(result: ResultUid, revision: u32) -> Self {
        Self(derived(&[b"task", result.0.as_bytes(), &revision.to_be_bytes()]))
    }
}

impl DeliveryUid {
    /// The delivery of an event to a subscription: written twice, it is the same one (I6).
    #[must_use]
    pub fn of(event: EventUid, webhook: WebhookUid) -> Self {
        Self(derived(&[b"delivery", event.0.as_bytes(), webhook.0.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Contract D1.
    #[test]
    fn only_the_canonical_spelling_is_an_identifier() {
        for bad in
            ["", "proj_abc123", "..", "0192B1C0-0000-7000-8000-000000000000", "{0192b1c0-0000-7000-8000-000000000000}"]
        {
            assert!(matches!(JobUid::parse(bad), Err(Error::NotFound(_))), "{bad}");
        }
        let uid = "0192b1c0-0000-7000-8000-000000000000";
        assert_eq!(JobUid::parse(uid).unwrap().to_string(), uid);
        let malformed = JobUid::parse("my\u{7}job").unwrap_err().to_string();
        assert_eq!(malformed, "Not found. No job \"my job\" in this organization.");
        let missing = ProviderUid::parse(uid).unwrap().missing().to_string();
        assert_eq!(missing, format!("Not found. No inference provider \"{uid}\" in this organization."));
    }

    #[test]
    fn created_identifiers_sort_by_time() {
        let early = JobUid::at(Timestamp::from_millisecond(1_700_000_000_000).unwrap());
        let late = JobUid::at(Timestamp::from_millisecond(1_700_000_000_001).unwrap());

        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn a_repeated_request_names_the_same_things_and_another_one_others() {
        let now = |second| Timestamp::from_second(second).unwrap();
        let first = uuid_at(now(1_000));
        let one = Naming::repeatable(first, "f".into());
        let uid = ProjectUid::named(&one, now(1_500), 0);

        assert_eq!(uid, ProjectUid::named(&one, now(9_000), 0));
        assert_eq!((uid.0.get_version_num(), uid.0.get_variant()), (7, uuid::Variant::RFC4122));
        assert!(ProjectUid::at(now(999)).to_string() < uid.to_string());
        assert!(uid.to_string() < ProjectUid::at(now(1_001)).to_string());
        for other in [
            ProjectUid::named(&one, now(1_500), 1),
            ProjectUid::named(&Naming::repeatable(first, "g".into()), now(1_500), 0),
            ProjectUid::named(&Naming::repeatable(uuid_at(now(1_000)), "f".into()), now(1_500), 0),
            ProjectUid::named(&Naming::default(), now(1_500), 0),
        ] {
            assert_ne!(uid, other);
        }
    }

    proptest! {
        #[test]
        fn a_result_knows_its_item(key in ".{0,40}", generation in prop_oneof![1u32..5_000, any::<u32>().prop_map(|n| n.max(1))]) {
            let project = ProjectUid(Uuid::from_u128(7));
            let item = ItemUid::of(project, &key);
            let result = ResultUid::of(item, generation);

            let name = if generation < 4_096 { ItemName::Whole(item) } else { ItemName::Tail(item.tail()) };
            prop_assert_eq!((result.item(), result.generation()), (name, Some(generation)));
            prop_assert_eq!(item, ItemUid::of(project, &key));
            prop_assert_ne!(result.to_string(), item.to_string());
            prop_assert_ne!(result, ResultUid::of(item, generation % 4_095 + 1));
            prop_assert_ne!(result, ResultUid::of(item, generation ^ 0x1000));
            prop_assert_eq!(result.0.get_version_num(), 8);
            prop_assert_eq!(result.0.get_variant(), uuid::Variant::RFC4122);
        }
    }
}

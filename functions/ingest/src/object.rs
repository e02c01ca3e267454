//! One object of S3 and its item. An object's key names its project, and nothing names its owner. So each event is checked
//! (I10): an object in the system's own bucket was signed for its project, and another bucket must be open to the project's
//! organization.

use std::time::Duration;

use futures_util::future::join;
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::content::{Content, Stored};
use shared::domain::item::file_version::{FileVersion, Sequence};
use shared::domain::item::source::{S3Object, Source};
use shared::domain::item::{Asset, AssetType, Item, SizeOrigin};
use shared::domain::upload::{Effect, RejectedUpload, Rejection, check, parse_object_key};
use shared::domain::{Error, Timestamp};
use shared::ports::{Clock, Contents, Described, Files, Items, Listing, Listings, NoFile, Uploads};
use shared::services::measure::recognize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::info;

use crate::Ingester;
use crate::check::soon;
use crate::message::Object;

/// Writers of one item that may come in between before the table counts as busy.
const ROUNDS: usize = 5;

const THERE_AND_UNREADABLE: &str = "The file is there, and this deployment may not read it. Look at the rights on its KMS key, \
    at its storage class (an archived file must be restored first) and at the policies of its bucket.";
const THERE_OR_NOT: &str = "There is no such file, or this deployment may not read it. Look at the policy of its bucket, which \
    must let it read and list, at the bucket's region and at the rights on its KMS key.";

/// The time for a bucket to answer with a file's head, or a line of its list. A batch whose messages are all from a slow bucket,
/// sixteen at a time, still ends in time: other buckets' uploads do not wait for it.
const SHOWING: Duration = Duration::from_secs(4);
/// The time to read an object's bytes, to compare them with those of the version before. Together with the longest wait before
/// it and the writes behind it, it fits into the function's timeout (infra, `CONSUMER_TIMEOUT_SECONDS`).
const COMPARING: Duration = Duration::from_secs(10);
/// Objects that are read at once for that: a function's share of a processor and of the network is enough for so many.
static COMPARISONS: Semaphore = Semaphore::const_new(3);

/// What an object has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) organization: OrganizationUid,
    pub(crate) project: ProjectUid,
    /// The type of a new item.
    pub(crate) added: Option<AssetType>,
    /// It waits for a job. Also on a repeated event: the first invocation may have died before it counted.
    pub(crate) waits: bool,
}

/// An object of a project.
struct UploadTarget<'a> {
    organization: OrganizationUid,
    project: ProjectUid,
    key: &'a str,
    source: Source,
}

impl UploadTarget<'_> {
    fn landed(&self, added: Option<AssetType>, waits: bool) -> Option<Landed> {
        Some(Landed { organization: self.organization, project: self.project, added, waits })
    }

    /// A picture that is not read yet.
    fn asset(&self) -> Asset {
        Asset {
            uid: ItemUid::of(self.project, self.key),
            kind: AssetType::Image,
            size: None,
            origin: SizeOrigin::default(),
            source: self.source.clone(),
            changes: 0,
        }
    }

    fn item(&self, asset: Asset, file: FileVersion, created_at: Timestamp) -> Item {
        Item {
            organization: self.organization,
            project: self.project,
            key: self.key.to_owned(),
            asset,
            file: Some(file),
            created_at,
            generation: 0,
            result: None,
        }
    }
}

/// The version that an event names. What the bucket says of another version does not count.
fn version_of(object: &Object, described: Option<&Described>) -> FileVersion {
    let described = described.filter(|described| described.etag == object.etag);
    FileVersion {
        size_bytes: Some(object.size_bytes),
        digest: described.and_then(|described| described.digest.clone()),
        ..FileVersion::of(object.etag.clone(), object.sequence.clone())
    }
}

/// What reading an object has shown.
enum Finding {
    Picture(Stored),
    PointCloud,
    /// It is no item: why, in a word and in a sentence.
    Rejected(Rejection, String),
    /// It is gone again. Its deletion is an event of its own.
    Gone,
}

impl<S: Items + Uploads, O: Files + Listings + Contents, E, Q, C: Clock> Ingester<S, O, E, Q, C> {
    /// An object was written.
    pub(crate) async fn created(&self, object: &Object) -> Result<Option<Landed>, Error> {
        let Some(target) = self.target(object).await? else { return Ok(None) };
        if let Err((reason, detail)) = check(target.key, object.size_bytes) {
            return self.reject(&target, object, reason, detail).await;
        }
        let shown = async {
            let recognized = self.recognize(&target.source, object.size_bytes);
            let (finding, described) = join(recognized, self.files.described(&target.source)).await;
            Ok((finding?, described))
        };
        let (finding, described) = in_time(SHOWING, shown).await?;
        let mut asset = target.asset();
        match finding {
            Finding::Picture(stored) => asset.take_picture(stored.upright(), stored.orientation),
            Finding::PointCloud => asset.take_point_cloud(),
            Finding::Rejected(Rejection::UnknownContent, _) if self.is_given_as_point_cloud(&target).await? => {
                asset.take_point_cloud();
            }
            Finding::Rejected(reason, detail) => return self.reject(&target, object, reason, detail).await,
            Finding::Gone => return Ok(None),
        }
        let described = described.map_err(unavailable)?;
        let new = target.item(asset, version_of(object, described.as_ref()), self.clock.now());
        match soon(self.store.add_items(std::slice::from_ref(&new))).await?.pop().transpose()?.flatten() {
            // An item that is equal to the microsecond is this call's own: its first try was written, and the answer lost.
            Some(there) if there != new => self.upload_again(&target, object, there, &new, described.as_ref()).await,
            _ => Ok(target.landed(Some(new.asset.kind), true)),
        }
    }

    /// An object of an item that is there already.
    async fn upload_again(
        &self,
        target: &UploadTarget<'_>,
        object: &Object,
        mut there: Item,
        new: &Item,
        described: Option<&Described>,
    ) -> Result<Option<Landed>, Error> {
        let (mut compared, mut again) = (None, None);
        for _ in 0..ROUNDS {
            // Reading the object takes seconds: once for each version of the item's file.
            if compared.as_ref() != Some(&there.file) {
                again = self.same_bytes(&there, new, described).await?;
                compared = Some(there.file.clone());
            }
            let effect = again.as_ref().map_or_else(|| there.uploaded(new), |again| there.uploaded_again(again));
            let after = match effect {
                Effect::Known => return Ok(target.landed(None, there.waits() && is_same_event(&there, new))),
                Effect::Taken => {
                    let detail = "There is an item of this key with another file; it stays as it is.";
                    return self.reject(target, object, Rejection::KeyTaken, detail.into()).await;
                }
                Effect::Changed(after) => after,
            };
            if soon(self.store.change_file(&there, &after, self.clock.now())).await?? {
                return Ok(target.landed(None, after.waits_again(&there)));
            }
            there = self.store.items(&[new.asset.uid]).await?.pop().ok_or_else(busy)?;
        }
        Err(busy())
    }

    async fn is_given_as_point_cloud(&self, target: &UploadTarget<'_>) -> Result<bool, Error> {
        let item = self.store.items(&[ItemUid::of(target.project, target.key)]).await?.pop();
        Ok(item.is_some_and(|item| item.asset.source == target.source && item.asset.is_given_as_point_cloud()))
    }

    /// The upload with the ETag that the object has now, if the object has the bytes that the item's file had. Where S3's
    /// checksums of the two cannot be compared, a small object is read once.
    async fn same_bytes(&self, there: &Item, new: &Item, now: Option<&Described>) -> Result<Option<Item>, Error> {
        let (Some(now), Some(known), Some(version)) = (now, &there.file, &new.file) else { return Ok(None) };
        let Described { etag, is_md5, size_bytes, digest } = now.clone();
        let now = FileVersion { etag, size_bytes: Some(size_bytes), digest, ..version.clone() };
        let mut are_same = known.has_bytes_of(&now);
        let now = Item { file: Some(now), ..new.clone() };
        let doubts = there.doubts(&now, is_md5);
        if let Some(file) = now.file.as_ref().filter(|_| !doubts.is_empty()) {
            let read = async {
                let read = self.files.has_digest(&new.asset.source, &file.etag, &doubts).await;
                read.map_err(unavailable)
            };
            let _permit = COMPARISONS.acquire().await.map_err(Error::internal)?;
            are_same = in_time(COMPARING, read).await?;
        }
        Ok(are_same.then_some(now))
    }

    /// An object was deleted: its item notes it, and waits for no job. If one version was deleted, S3 does not say which version
    /// is the object now, or whether there is one. A delete marker that is removed is such an event, too.
    pub(crate) async fn deleted(&self, object: &Object) -> Result<Option<Landed>, Error> {
        let Some(target) = self.target(object).await? else { return Ok(None) };
        if object.is_version {
            let listed = async { Ok(self.files.listed(&target.source).await) };
            match in_time(SHOWING, listed).await? {
                Ok(None) => {}
                Ok(Some(Listing { etag, size_bytes })) => {
                    return self.created(&Object { etag, size_bytes, ..object.clone() }).await;
                }
                Err(error @ NoFile::Unreadable(_)) => {
                    info!(project.uid = %target.project, why = %error, "deleted version of an object that cannot be listed");
                    return Ok(None);
                }
                Err(error @ NoFile::Busy(_)) => return Err(unavailable(error)),
            }
        }
        self.lose_file(&target, &object.sequence).await?;
        Ok(None)
    }

    async fn lose_file(&self, target: &UploadTarget<'_>, sequence: &Sequence) -> Result<(), Error> {
        let uid = ItemUid::of(target.project, target.key);
        for _ in 0..ROUNDS {
            let Some(item) = self.store.items(&[uid]).await?.pop() else { return Ok(()) };
            let Some(after) = item.deleted(&target.source, sequence) else { return Ok(()) };
            if self.store.change_file(&item, &after, self.clock.now()).await? {
                return Ok(());
            }
        }
        Err(busy())
    }

    /// The item that an object's key names. `None`: no organization may have the object, and the log alone says why.
    async fn target<'a>(&self, object: &'a Object) -> Result<Option<UploadTarget<'a>>, Error> {
        let unowned = |why: &str| {
            info!(bucket = object.bucket, why, "upload without an owner");
            Ok(None)
        };
        let Some((project, key)) = parse_object_key(&object.key) else { return unowned("no project's prefix") };
        let Some(organization) = self.owner(project).await? else { return unowned("an unknown project") };
        let source = if object.bucket == self.bucket {
            Source::Bucket(object.key.clone())
        } else {
            Source::S3(S3Object { bucket: object.bucket.clone(), key: object.key.clone() })
        };
        if !self.buckets.open(&source, organization) {
            return unowned("a bucket that is not open to the project's organization");
        }
        Ok(Some(UploadTarget { organization, project, key, source }))
    }

    /// What the file is by its content.
    async fn recognize(&self, source: &Source, size_bytes: u64) -> Result<Finding, Error> {
        let content = match recognize(&self.files, source, Some(size_bytes)).await {
            Ok(content) => content,
            Err(NoFile::Unreadable(_)) => return self.unreadable(source).await,
            Err(error @ NoFile::Busy(_)) => return Err(unavailable(error)),
        };
        Ok(match (Rejection::of(&content), content) {
            (Some((reason, detail)), _) => Finding::Rejected(reason, detail),
            (None, Content::Picture { head: Ok(stored), .. }) => Finding::Picture(stored),
            (None, _) => Finding::PointCloud,
        })
    }

    /// Why a file cannot be read: the bucket's list knows whether it is there.
    async fn unreadable(&self, source: &Source) -> Result<Finding, Error> {
        match self.files.listed(source).await {
            Ok(None) => Ok(Finding::Gone),
            Ok(Some(_)) => Ok(Finding::Rejected(Rejection::Unreadable, THERE_AND_UNREADABLE.into())),
            Err(NoFile::Unreadable(_)) => Ok(Finding::Rejected(Rejection::Unreadable, THERE_OR_NOT.into())),
            Err(error @ NoFile::Busy(_)) => Err(unavailable(error)),
        }
    }

    /// Keeps a note for the owner why an upload is no item, or no new version of one. The item of its key, and its draft, stay
    /// as they were (I12): a file that could not be measured, read or fetched is neither a change nor a deletion.
    async fn reject(
        &self,
        target: &UploadTarget<'_>,
        object: &Object,
        reason: Rejection,
        detail: String,
    ) -> Result<Option<Landed>, Error> {
        let bucket = match &target.source {
            Source::S3(object) => Some(object.bucket.clone()),
            Source::Bucket(_) | Source::Url(_) => None,
        };
        let rejected = RejectedUpload {
            organization: target.organization,
            project: target.project,
            bucket,
            key: object.key.clone(),
            size_bytes: object.size_bytes,
            reason,
            detail,
            uploaded_at: object.at,
        };
        self.store.reject_upload(&rejected).await?;
        info!(project.uid = %target.project, ?reason, "upload rejected");
        Ok(None)
    }
}

/// Whether the item's file is that of the upload's own event.
fn is_same_event(there: &Item, new: &Item) -> bool {
    there.file.as_ref().zip(new.file.as_ref()).is_some_and(|(known, heard)| known.sequence == heard.sequence)
}

async fn in_time<T>(limit: Duration, showing: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, showing).await.unwrap_or_else(|_| Err(Error::ObjectsUnavailable("the bucket takes too long".into())))
}

fn unavailable(cause: NoFile) -> Error {
    Error::ObjectsUnavailable(cause.into())
}

fn busy() -> Error {
    Error::StoreUnavailable("the item keeps changing".into())
}

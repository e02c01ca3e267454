//! One object: what it says of an item. An object names its project and nothing else of who is to have it, so who may put
//! something there is asked here: everything in the system's own bucket was signed for its project, and another bucket must
//! be open to the project's organization (I10).

use std::time::Duration;

use futures_util::future::join;
use shared::domain::Error;
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::content::{Content, Stored};
use shared::domain::item::file_version::FileVersion;
use shared::domain::item::file_version::Sequence;
use shared::domain::item::source::{S3Object, Source};
use shared::domain::item::{Asset, AssetType, Item, SizeOrigin};
use shared::domain::upload::{Effect, RejectedUpload, Rejection, check, parse_object_key};
use shared::ports::{Clock, Contents, Described, Files, Items, Listing, Listings, NoFile, Uploads};
use shared::services::measure::recognize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::info;

use crate::App;
use crate::check::soon;
use crate::message::Object;

/// Writers of one item that may come in between before the table counts as busy.
const ROUNDS: usize = 5;

const THERE_AND_UNREADABLE: &str = "The file is there, and this deployment may not read it. Look at the rights on its KMS key, \
    at its storage class (an archived file must be restored first) and at the policies of its bucket.";
const THERE_OR_NOT: &str = "There is no such file, or this deployment may not read it. Look at the policy of its bucket, which \
    must let it read and list, at the bucket's region and at the rights on its KMS key.";

/// A bucket that takes longer to show a file's head, or a line of its list, is busy. Were all records of a batch from such a
/// one, sixteen at a time, the batch would still end in time: nobody's slow bucket keeps the others' uploads waiting.
const SHOWING: Duration = Duration::from_secs(4);
/// As long as the bytes of an object are read, to tell whether they are those of the version before. Together with the longest
/// wait before it and the writes behind it, what the function has left is enough (infra, `INGEST`).
const COMPARING: Duration = Duration::from_secs(10);
/// Objects that are read at once for that: a function's share of a processor and of the network is enough for so many.
static COMPARISONS: Semaphore = Semaphore::const_new(3);

/// What an object has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) organization: OrganizationUid,
    pub(crate) project: ProjectUid,
    /// It is a new item.
    pub(crate) added: Option<AssetType>,
    /// It waits for a job. Also if the same is heard again: whoever heard it first may have died before it was counted.
    pub(crate) waits: bool,
}

/// An object of a project.
struct UploadTarget<'a> {
    organization: OrganizationUid,
    project: ProjectUid,
    key: &'a str,
    source: Source,
}

/// What a file was found to be.
enum Found {
    Picture(Stored),
    PointCloud,
}

impl<S: Items + Uploads, O: Files + Listings + Contents, E, Q, C: Clock> App<S, O, E, Q, C> {
    /// An object was written.
    pub(crate) async fn created(&self, object: &Object) -> Result<Option<Landed>, Error> {
        let Some(target) = self.target(object).await? else { return Ok(None) };
        if let Err(refusal) = check(target.key, object.size_bytes) {
            return self.reject(&target, object, refusal).await;
        }
        let shown = async {
            let shown = join(self.recognize(&target.source, object.size_bytes), self.files.described(&target.source));
            let (recognized, described) = shown.await;
            Ok((recognized?, described))
        };
        let (recognized, described) = in_time(SHOWING, shown).await?;
        let found = match recognized {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None), // gone again, which S3 tells as well
            Err((Rejection::UnknownContent, _)) if self.is_given_as_point_cloud(&target).await? => Found::PointCloud,
            Err(refusal) => return self.reject(&target, object, refusal).await,
        };
        let described = described.map_err(|error| Error::ObjectsUnavailable(error.into()))?;
        let mut asset = Asset {
            uid: ItemUid::of(target.project, target.key),
            kind: AssetType::Image,
            size: None,
            origin: SizeOrigin::default(),
            source: target.source.clone(),
            changes: 0,
        };
        match found {
            Found::Picture(stored) => asset.take_picture(stored.upright(), stored.orientation),
            Found::PointCloud => asset.take_point_cloud(),
        }
        // What is said of a later version is not said of this one.
        let of_this = described.as_ref().filter(|described| described.etag == object.etag);
        let file = FileVersion {
            size_bytes: Some(object.size_bytes),
            digest: of_this.and_then(|described| described.digest.clone()),
            ..FileVersion::of(object.etag.clone(), object.sequence.clone())
        };
        let new = Item {
            organization: target.organization,
            project: target.project,
            key: target.key.to_owned(),
            asset,
            file: Some(file),
            created_at: self.clock.now(),
            result: None,
        };
        self.store_upload(&target, object, new, described).await
    }

    async fn store_upload(
        &self,
        target: &UploadTarget<'_>,
        object: &Object,
        new: Item,
        described: Option<Described>,
    ) -> Result<Option<Landed>, Error> {
        let landed = |added, waits| {
            Ok(Some(Landed { organization: target.organization, project: target.project, added, waits }))
        };
        let added = soon(self.store.add_items(std::slice::from_ref(&new))).await?.pop();
        let mut there = match added.transpose()?.flatten() {
            // As it is to the microsecond: this call's own, written by a first try whose answer was lost.
            Some(there) if there != new => there,
            _ => return landed(Some(new.asset.kind), true),
        };
        let (mut compared, mut again) = (None, None);
        for _ in 0..ROUNDS {
            // Reading the object takes seconds: once for each version of the item's file.
            if compared.as_ref() != Some(&there.file) {
                again = self.same_bytes(&there, &new, described.as_ref()).await?;
                compared = Some(there.file.clone());
            }
            let effect = match &again {
                Some(again) => there.uploaded_again(again),
                None => there.uploaded(&new),
            };
            let after = match effect {
                Effect::Known => return landed(None, there.waits() && is_same_event(&there, &new)),
                Effect::Taken => {
                    let sentence = "There is an item of this key with another file; it stays as it is.";
                    return self.reject(target, object, (Rejection::KeyTaken, sentence.into())).await;
                }
                Effect::Changed(after) => after,
            };
            if soon(self.store.change_file(&there, &after, self.clock.now())).await?? {
                return landed(None, after.waits_anew(&there));
            }
            there = self.store.items(&[new.asset.uid]).await?.pop().ok_or_else(busy)?;
        }
        Err(busy())
    }

    async fn is_given_as_point_cloud(&self, target: &UploadTarget<'_>) -> Result<bool, Error> {
        let item = self.store.items(&[ItemUid::of(target.project, target.key)]).await?.pop();
        Ok(item.is_some_and(|item| item.asset.source == target.source && item.asset.is_given_as_point_cloud()))
    }

    /// The upload, if the object as it is now has the bytes that the item's file had: with the ETag that it has now. Where S3's
    /// checksums of the two cannot be compared, the object is read once, if it is small.
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
                read.map_err(|error| Error::ObjectsUnavailable(error.into()))
            };
            let _turn = COMPARISONS.acquire().await.map_err(Error::internal)?;
            are_same = in_time(COMPARING, read).await?;
        }
        Ok(are_same.then_some(now))
    }

    /// An object was deleted: its item says so, and waits for no job. Of one version that was deleted S3 does not say which one
    /// is the object now, or whether there is any: also a delete marker that is taken back is told so.
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
                Err(error @ NoFile::Busy(_)) => return Err(Error::ObjectsUnavailable(error.into())),
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

    /// Whose an object is, and which item. `None`: nobody's who may have it, and so there is nobody to tell.
    async fn target<'a>(&self, object: &'a Object) -> Result<Option<UploadTarget<'a>>, Error> {
        let nobody = |why: &str| {
            info!(bucket = object.bucket, why, "upload that is nobody's");
            Ok(None)
        };
        let Some((project, key)) = parse_object_key(&object.key) else { return nobody("no project's prefix") };
        let Some(organization) = self.owner(project).await? else { return nobody("an unknown project") };
        let source = if object.bucket == self.bucket {
            Source::Bucket(object.key.clone())
        } else {
            Source::S3(S3Object { bucket: object.bucket.clone(), key: object.key.clone() })
        };
        if !self.buckets.open(&source, organization) {
            return nobody("a bucket that is not open to the project's organization");
        }
        Ok(Some(UploadTarget { organization, project, key, source }))
    }

    /// What the file is by its content. `Ok(Ok(None))`: it is not there any more.
    async fn recognize(
        &self,
        source: &Source,
        size_bytes: u64,
    ) -> Result<Result<Option<Found>, (Rejection, String)>, Error> {
        match recognize(&self.files, source, Some(size_bytes)).await {
            Ok(content) => Ok(match (&content, Rejection::of(&content)) {
                (_, Some(refusal)) => Err(refusal),
                (Content::Picture { head: Ok(stored), .. }, None) => Ok(Some(Found::Picture(*stored))),
                (_, None) => Ok(Some(Found::PointCloud)),
            }),
            Err(NoFile::Unreadable(_)) => match self.files.listed(source).await {
                Ok(None) => Ok(Ok(None)),
                Ok(Some(_)) => Ok(Err((Rejection::Unreadable, THERE_AND_UNREADABLE.into()))),
                Err(NoFile::Unreadable(_)) => Ok(Err((Rejection::Unreadable, THERE_OR_NOT.into()))),
                Err(error @ NoFile::Busy(_)) => Err(Error::ObjectsUnavailable(error.into())),
            },
            Err(error @ NoFile::Busy(_)) => Err(Error::ObjectsUnavailable(error.into())),
        }
    }

    /// Notes for its owner why an upload is no item, or no new version of one. The item of its key, and its draft, stay as they
    /// were (I12): a file that could not be measured, read or fetched is neither a change nor a deletion.
    async fn reject(
        &self,
        target: &UploadTarget<'_>,
        object: &Object,
        (reason, detail): (Rejection, String),
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

/// Whether the item has its file by the event that the upload is.
fn is_same_event(there: &Item, new: &Item) -> bool {
    there.file.as_ref().zip(new.file.as_ref()).is_some_and(|(known, heard)| known.sequence == heard.sequence)
}

async fn in_time<T>(limit: Duration, showing: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, showing).await.unwrap_or_else(|_| Err(Error::ObjectsUnavailable("the bucket takes too long".into())))
}

fn busy() -> Error {
    Error::StoreUnavailable("the item keeps changing".into())
}

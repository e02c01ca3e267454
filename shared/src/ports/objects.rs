//! Objects in S3, and files wherever they are.

use std::future::Future;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::item::Asset;
use crate::domain::item::file_version::Digest;
use crate::domain::item::source::Source;
use crate::domain::job::plan::Batch;

/// An object that is written in parts, and is there when it is complete. One that never is costs nothing after a day: the
/// bucket drops it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The object's key.
    pub key: String,
    /// What the bucket calls it.
    pub id: String,
    /// What the bucket answered to each part, in order.
    pub parts: Vec<String>,
}

/// Objects in the system's bucket.
pub trait Objects: Send + Sync {
    /// Writes an object, over one that is there.
    fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), Error>> + Send;
    /// Begins an object that is too large to be in memory.
    fn begin(&self, key: &str, content_type: &str) -> impl Future<Output = Result<Upload, Error>> + Send;
    /// Its next part: of [`limits::PART_BYTES`](crate::domain::limits::PART_BYTES) at least, unless it is the last.
    fn append(&self, upload: &mut Upload, bytes: Vec<u8>) -> impl Future<Output = Result<(), Error>> + Send;
    /// Makes it an object, over one that is there.
    fn complete(&self, upload: Upload) -> impl Future<Output = Result<(), Error>> + Send;
    /// The bytes of a range.
    fn get_range(&self, key: &str, offset: u64, length: u64) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
    /// A URL that reads an item's file, valid for `valid` and never longer than the credentials that sign it. Whether the
    /// item's owner may read there is the caller's question ([`SourceBuckets::open`](crate::domain::item::source::SourceBuckets)).
    fn sign_get(&self, source: &Source, valid: Duration) -> impl Future<Output = Result<String, Error>> + Send;
    /// A URL that writes an object.
    fn sign_put(&self, key: &str, valid: Duration) -> impl Future<Output = Result<String, Error>> + Send;
}

/// Why a file could not be read: a sentence for its owner, without an address or anything of its content (I11).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFile {
    /// Trying again would not help.
    #[error("{0}")]
    Unreadable(String),
    /// Trying again may.
    #[error("{0}")]
    Busy(String),
}

/// Files of items, read in part.
pub trait Files: Send + Sync {
    /// At most `length` bytes from `offset` on; fewer, or none, at the end of the file.
    fn piece(&self, source: &Source, offset: u64, length: u64) -> impl Future<Output = Result<Vec<u8>, NoFile>> + Send;
}

/// What a bucket says of an object in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Which bytes.
    pub etag: String,
    /// How many.
    pub size_bytes: u64,
}

/// What is in a bucket, whether it can be read or not.
pub trait Listings: Send + Sync {
    /// The object of this position as it is now; `None`: there is none.
    fn listed(&self, source: &Source) -> impl Future<Output = Result<Option<Listing>, NoFile>> + Send;
}

/// What a bucket says of an object's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its ETag.
    pub etag: String,
    /// Whether that is the MD5 of its bytes: it has one part, and no key of KMS or of the caller's.
    pub is_md5: bool,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The bucket's checksum of the whole object, if it has one.
    pub digest: Option<Digest>,
}

/// The bytes of objects, as a whole.
pub trait Contents: Send + Sync {
    /// The object of this position as it is now; `None`: it is gone, or may not be read.
    fn described(&self, source: &Source) -> impl Future<Output = Result<Option<Described>, NoFile>> + Send;
    /// Whether the bytes of an object have one of these digests, read as they come and not kept in memory.
    ///
    /// # Errors
    /// [`NoFile`], also if the object has another ETag meanwhile.
    fn has_digest(
        &self,
        source: &Source,
        etag: &str,
        digests: &[Digest],
    ) -> impl Future<Output = Result<bool, NoFile>> + Send;
}

/// The lines of a batch.
pub trait Manifests: Send + Sync {
    /// The assets of a batch.
    fn assets(&self, batch: &Batch) -> impl Future<Output = Result<Vec<Asset>, Error>> + Send;
}

impl<O: Objects> Manifests for O {
    async fn assets(&self, batch: &Batch) -> Result<Vec<Asset>, Error> {
        let lines = self.get_range(&batch.manifest, batch.offset, batch.length).await?;
        let read: Result<Vec<Asset>, _> = serde_json::Deserializer::from_slice(&lines).into_iter().collect();
        read.map_err(Error::internal)
    }
}

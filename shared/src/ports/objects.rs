//! Objects in S3, and files of any source.

use std::time::Duration;

use crate::domain::item::Asset;
use crate::domain::item::file_version::Digest;
use crate::domain::item::source::Source;
use crate::domain::job::plan::Batch;
use crate::domain::{Error, Timestamp};

/// An object that is written in parts. It appears when it is complete. The bucket drops an incomplete one after a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The object's key.
    pub key: String,
    /// The bucket's id of the upload.
    pub id: String,
    /// The ETags of the parts, in order.
    pub parts: Vec<String>,
}

/// Objects in the system's bucket.
#[trait_variant::make(Send)]
pub trait Objects: Send + Sync {
    /// Writes an object, over one that is there.
    async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), Error>;
    /// Begins an object that is too large to be in memory.
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload, Error>;
    /// Its next part: of [`limits::PART_BYTES`](crate::domain::limits::PART_BYTES) at least, unless it is the last.
    async fn append(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), Error>;
    /// Completes the object, over one that is there.
    async fn complete(&self, upload: Upload) -> Result<(), Error>;
    /// The bytes of a range.
    async fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, Error>;
    /// A URL that reads an item's file, valid for `valid` and never longer than the credentials that sign it. The caller checks
    /// whether the item's owner may read there ([`SourceBuckets::open`](crate::domain::item::source::SourceBuckets)).
    async fn sign_get(&self, source: &Source, valid: Duration) -> Result<String, Error>;
    /// A URL that writes an object.
    async fn sign_put(&self, key: &str, valid: Duration) -> Result<String, Error>;
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
#[trait_variant::make(Send)]
pub trait Files: Send + Sync {
    /// At most `length` bytes from `offset` on; fewer, or none, at the end of the file.
    async fn piece(&self, source: &Source, offset: u64, length: u64) -> Result<Vec<u8>, NoFile>;
}

/// An object in its bucket's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its ETag, without quotes.
    pub etag: String,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// The lists of buckets: they also name objects that may not be read.
#[trait_variant::make(Send)]
pub trait Listings: Send + Sync {
    /// The object as it is now; `None`: there is none.
    async fn listed(&self, source: &Source) -> Result<Option<Listing>, NoFile>;
}

/// The head of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its ETag.
    pub etag: String,
    /// Whether the ETag is the MD5 of the bytes: the object has one part, and is not encrypted by KMS or the caller.
    pub is_md5: bool,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The bucket's checksum of the whole object, if it has one.
    pub digest: Option<Digest>,
}

/// Objects as a whole.
#[trait_variant::make(Send)]
pub trait Contents: Send + Sync {
    /// The object as it is now; `None`: it is gone, or may not be read.
    async fn described(&self, source: &Source) -> Result<Option<Described>, NoFile>;
    /// Whether the bytes of an object have one of these digests, read as they come and not kept in memory.
    ///
    /// # Errors
    /// [`NoFile`], also if the object has another ETag by now.
    async fn has_digest(&self, source: &Source, etag: &str, digests: &[Digest]) -> Result<bool, NoFile>;
}

/// Folders of the system's bucket: the objects whose keys begin alike.
#[trait_variant::make(Send)]
pub trait Folders: Send + Sync {
    /// Removes every object of a folder, whose name ends in a slash.
    async fn remove_folder(&self, folder: &str) -> Result<(), Error>;
    /// Keys of its objects in their order, behind this one: a thousand at most, none at the end.
    async fn keys_behind(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Error>;
}

/// A form that uploads one file from a browser or another client of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadForm {
    /// Where it is posted.
    pub url: String,
    /// Its fields but for `file`, which comes last.
    pub fields: Vec<(&'static str, String)>,
}

/// Forms that write objects of the system's bucket.
#[trait_variant::make(Send)]
pub trait UploadForms: Send + Sync {
    /// A form that writes this object with exactly so many bytes, valid for `valid` and never longer than the credentials that sign it.
    async fn sign_form(
        &self,
        key: &str,
        content_type: &str,
        bytes: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<UploadForm, Error>;
}

/// The lines of a batch.
#[trait_variant::make(Send)]
pub trait Manifests: Send + Sync {
    /// The assets of a batch.
    async fn assets(&self, batch: &Batch) -> Result<Vec<Asset>, Error>;
}

impl<O: Objects> Manifests for O {
    async fn assets(&self, batch: &Batch) -> Result<Vec<Asset>, Error> {
        let lines = self.get_range(&batch.manifest, batch.offset, batch.length).await?;
        let read: Result<Vec<Asset>, _> = serde_json::Deserializer::from_slice(&lines).into_iter().collect();
        read.map_err(Error::internal)
    }
}

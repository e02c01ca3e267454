//! The version of an item's file as S3 describes it, and whether two versions have the same bytes.

use serde::{Deserialize, Serialize};

use crate::domain::limits;

/// The order of an event among those of its object.
///
/// Hexadecimal. The shorter of two is padded with zeros at its right end, and then they compare as texts (AWS, "Event message
/// structure"). Without zeros at its end a stored sequence compares directly.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(String);

impl Sequence {
    /// From S3's `sequencer`.
    #[must_use]
    pub fn of(sequencer: &str) -> Self {
        Self(sequencer.to_ascii_uppercase().trim_end_matches('0').to_owned())
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const MIB: u64 = 1024 * 1024;
/// Usual sizes of the parts of an upload, bytes: rclone 5 MiB, AWS's tools 8, s3cmd 15, and common settings.
const UPLOAD_PARTS: [u64; 6] = [5 * MIB, 6 * MIB, 8 * MIB, 10 * MIB, 15 * MIB, 16 * MIB];

/// A digest of all bytes of an object, as `algorithm:value`: a checksum as S3 calls and writes it (base64), or `md5`
/// (hexadecimal).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// `algorithm` as S3 names it.
    #[must_use]
    pub fn of(algorithm: &str, value: &str) -> Self {
        Self(format!("{algorithm}:{value}"))
    }

    /// The ETag of an object that was uploaded in parts of this size: the MD5 of the MD5s of its parts, with their number.
    #[must_use]
    pub fn of_parts(part_bytes: u64, etag: &str) -> Self {
        Self(format!("md5/{part_bytes}:{etag}"))
    }

    /// The algorithm and the value.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or((&self.0, ""))
    }
}

/// The newest version of an item's file. Short names: a draft pays for every byte of its item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileVersion {
    /// The object's ETag. The same one means the same bytes; another one may mean the same bytes too.
    #[serde(rename = "e")]
    pub etag: String,
    /// Of the event that named this version.
    #[serde(rename = "s")]
    pub sequence: Sequence,
    /// The object was deleted.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The object's length in bytes.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// S3's checksum of the whole object; a checksum of the checksums of its parts is none.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl FileVersion {
    /// A version of which nothing else is known.
    #[must_use]
    pub fn of(etag: impl Into<String>, sequence: Sequence) -> Self {
        Self { etag: etag.into(), sequence, deleted: false, size_bytes: None, digest: None }
    }

    /// Whether ETags or checksums prove that both have the same bytes.
    #[must_use]
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        let same_etag = !self.etag.is_empty() && self.etag == other.etag;
        // Many checksums have only 32 bits: the lengths must not differ either.
        same_etag || (self.digest.is_some() && self.digest == other.digest && !self.has_other_bytes_than(other))
    }

    fn has_other_bytes_than(&self, other: &Self) -> bool {
        let differ = |(one, other): (u64, u64)| one != other;
        let sizes = self.size_bytes.zip(other.size_bytes).is_some_and(differ);
        let digests = self.digest.as_ref().zip(other.digest.as_ref());
        sizes || digests.is_some_and(|(one, other)| one.parts().0 == other.parts().0 && one != other)
    }

    /// Digests of these bytes. The bytes of `other` are the same if they have one of them. Empty if ETags and checksums decide
    /// already, or if no known digest could. `is_md5`: the ETag of `other` is its MD5.
    #[must_use]
    pub fn doubts(&self, other: &Self, is_md5: bool) -> Vec<Digest> {
        let is_small = other.size_bytes.is_some_and(|bytes| bytes <= limits::COMPARED_BYTES);
        if !is_small || self.has_bytes_of(other) || self.has_other_bytes_than(other) {
            return Vec::new();
        }
        // The ETag is the MD5 of the bytes, or of the MD5s of the parts that they were uploaded in. If the object is
        // encrypted with KMS, the ETag is neither, and no bytes have that digest.
        let md5s = match self.etag.split_once('-') {
            None if is_md5 => Vec::new(), // two MD5s that differ
            None => vec![Digest::of("md5", &self.etag)],
            Some((_, parts)) => {
                let fits = |part: &&u64| other.size_bytes.unwrap_or_default().div_ceil(**part).to_string() == parts;
                UPLOAD_PARTS.iter().filter(fits).map(|part| Digest::of_parts(*part, &self.etag)).collect()
            }
        };
        self.digest.iter().cloned().chain(md5s).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A version with what S3 says of it.
    fn described(etag: &str, size_bytes: u64, digest: Option<(&str, &str)>) -> FileVersion {
        let digest = digest.map(|(algorithm, value)| Digest::of(algorithm, value));
        FileVersion { size_bytes: Some(size_bytes), digest, ..FileVersion::of(etag, Sequence::of("1")) }
    }

    #[test]
    fn the_same_bytes_are_known_by_their_etag_or_by_a_checksum_of_the_whole() {
        let crc = |value| Some(("crc64nvme", value));
        let one = described("one", 9, crc("x"));

        for same in [described("one", 9, None), described("parts-2", 9, crc("x"))] {
            assert!(one.has_bytes_of(&same) && one.doubts(&same, false).is_empty());
        }
        for other in
            [described("two", 9, crc("y")), described("two", 9, Some(("sha256", "x"))), described("two", 9, None)]
        {
            assert!(!one.has_bytes_of(&other));
        }
        // What is not known is not the same.
        assert!(!described("", 9, None).has_bytes_of(&described("", 9, None)));
    }

    #[test]
    fn bytes_are_read_only_where_they_prove_something() {
        let md5 = "0123456789abcdef0123456789abcdef";
        let crc32 = Some(("crc32", "x"));
        let digests = |known: &FileVersion, new: &FileVersion, is_md5| -> Vec<String> {
            known.doubts(new, is_md5).into_iter().map(|Digest(digest)| digest).collect()
        };
        let parts = described("parts-2", 9, None);

        assert_eq!(digests(&described(md5, 9, None), &parts, false), [format!("md5:{md5}")]);
        let large = |etag| described(etag, 11 * MIB, None);
        assert_eq!(digests(&large("x-3"), &large(md5), true), ["md5/5242880:x-3"]);
        assert_eq!(
            digests(&large("x-2"), &large("y-3"), false),
            ["md5/6291456:x-2", "md5/8388608:x-2", "md5/10485760:x-2"]
        );
        assert_eq!(digests(&described(md5, 9, crc32), &parts, false), ["crc32:x".to_owned(), format!("md5:{md5}")]);
        assert_eq!(
            digests(&described("parts-3", 9, crc32), &described(md5, 9, Some(("sha1", "y"))), true),
            ["crc32:x"]
        );
        for (known, new, is_md5, why) in [
            (described(md5, 9, None), described("fedcba9876543210fedcba9876543210", 9, None), true, "two MD5s differ"),
            (described("parts-3", 9, None), parts.clone(), false, "such parts are none of a usual size"),
            (described(md5, 8, crc32), parts, false, "another length"),
            (described(md5, 9, crc32), described("parts-2", 9, Some(("crc32", "y"))), false, "another checksum"),
            (described(md5, 1 << 30, crc32), described("parts-2", 1 << 30, None), false, "too large to be read"),
        ] {
            assert!(digests(&known, &new, is_md5).is_empty(), "{why}");
        }
    }

    #[test]
    fn a_row_of_before_there_was_more_to_say_is_still_read() {
        let read: FileVersion = serde_json::from_value(json!({"e": "9b2cf5", "s": "00ABC"})).unwrap();
        assert_eq!(read, FileVersion::of("9b2cf5", Sequence::of("00ABC")));
    }
}

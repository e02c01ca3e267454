//! Digests as S3 computes them, over bytes as they arrive.

use std::num::NonZeroUsize;

use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::HttpChecksum;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::domain::item::file_version::Digest;

/// A running digest, and the value that it is compared with.
pub(super) struct Digesting<'a> {
    wanted: &'a str,
    so_far: SoFar,
}

enum SoFar {
    Md5(Md5),
    Parts(Parts),
    Checksum(Box<dyn HttpChecksum>),
}

/// The MD5s of the parts of an upload.
struct Parts {
    part_bytes: usize,
    part: Md5,
    /// Bytes that the part still lacks.
    lacks: usize,
    ended: Vec<u8>,
}

impl Parts {
    fn of(part_bytes: NonZeroUsize) -> Self {
        let part_bytes = part_bytes.get();
        Self { part_bytes, part: Md5::new(), lacks: part_bytes, ended: Vec::new() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.lacks));
            self.part.update(now);
            self.lacks -= now.len();
            bytes = later;
            if self.lacks == 0 {
                self.end_part();
            }
        }
    }

    fn end_part(&mut self) {
        self.ended.extend(self.part.finalize_reset());
        self.lacks = self.part_bytes;
    }

    fn etag(mut self) -> String {
        if self.lacks < self.part_bytes {
            self.end_part();
        }
        format!("{}-{}", hex::encode(Md5::digest(&self.ended)), self.ended.len() / Md5::output_size())
    }
}

impl<'a> Digesting<'a> {
    /// `None`: the algorithm is not known.
    pub(super) fn towards(digest: &'a Digest) -> Option<Self> {
        let (algorithm, wanted) = digest.parts();
        let so_far = match algorithm.split_once('/') {
            Some((_, part_bytes)) => SoFar::Parts(Parts::of(part_bytes.parse().ok()?)),
            None if algorithm == "md5" => SoFar::Md5(Md5::new()),
            None => SoFar::Checksum(algorithm.parse::<ChecksumAlgorithm>().ok()?.into_impl()),
        };
        Some(Self { wanted, so_far })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.so_far {
            SoFar::Md5(md5) => md5.update(bytes),
            SoFar::Parts(parts) => parts.update(bytes),
            SoFar::Checksum(checksum) => checksum.update(bytes),
        }
    }

    /// Whether the digest of all bytes is the wanted one.
    pub(super) fn matches(self) -> bool {
        let found = match self.so_far {
            SoFar::Md5(md5) => hex::encode(md5.finalize()),
            SoFar::Parts(parts) => parts.etag(),
            SoFar::Checksum(checksum) => STANDARD.encode(checksum.finalize()),
        };
        found == self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_s3() {
        // The check values of the algorithms, of the nine bytes "123456789".
        for (algorithm, value) in [
            ("md5", "25f9e794323b453885f5181f1b624d0b"),
            ("md5/5", "324730582f20c3f18cbb66d63a6137d2-2"),
            ("md5/3", "a8dd1c5498a84913e3d6e7b59d4b4f8f-3"),
            ("md5/9", "5927c5d64d94a5786f90003aa26d0159-1"),
            ("crc32", "y/Q5Jg=="),
            ("crc32c", "4waSgw=="),
            ("crc64nvme", "rosUhgp5mIg="),
            ("sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            ("sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            let digest = Digest::of(algorithm, value);
            let mut digesting = Digesting::towards(&digest).unwrap();
            for bytes in [&b"1234"[..], b"", b"56789"] {
                digesting.update(bytes);
            }
            assert!(digesting.matches(), "{algorithm}");
        }
        assert!(Digesting::towards(&Digest::of("crc7", "x")).is_none());
    }
}

//! Requests that a client may repeat without repeating what they do (`docs/decisions/0007`).

use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::access::api_key::KeyHash;
use crate::domain::id::uuid_at;
use crate::domain::{Error, Timestamp};

/// How long a response is stored (contract, 1.3).
pub const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How long a request holds its key unanswered. Longer than any function behind the API runs, so the holder is dead then.
pub const LEASE: Duration = Duration::from_secs(60);
/// Characters of a key.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 1..=255;

/// The client's name for a request: the header `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The bytes of the header.
    ///
    /// # Errors
    /// `Validation` unless they are 1 to 255 printable ASCII characters.
    pub fn read(header: &[u8]) -> Result<Self, Error> {
        let printable = header.iter().all(|byte| matches!(byte, b' '..=b'~'));
        match std::str::from_utf8(header) {
            Ok(text) if printable && KEY_CHARS.contains(&text.len()) => Ok(Self(text.to_owned())),
            _ => Err(Error::field("Idempotency-Key", "Must be 1 to 255 printable ASCII characters.")),
        }
    }

    /// As the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256, lowercase hex: part of the key of its row.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.0))
    }
}

/// Equal for two requests that are the same: SHA-256 of method, path with query, and body, byte for byte.
#[must_use]
pub fn fingerprint(method: &str, path: &str, if_match: &[u8], body: &[u8]) -> String {
    let parts: [&[u8]; 3] = [method.as_bytes(), path.as_bytes(), if_match];
    let head = parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part).chain_update(b"\n"));
    hex::encode(head.chain_update(body).finalize())
}

/// A request's claim to be the only one under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The API key of the caller: two callers may use the same idempotency key (I10).
    pub caller: KeyHash,
    /// [`IdempotencyKey::hash`].
    pub key: String,
    /// [`fingerprint`].
    pub fingerprint: String,
    /// Unique for each claim. Version 7, and sorts by `at`.
    pub holder: Uuid,
    /// When it was made.
    pub at: Timestamp,
}

impl Claim {
    /// A claim with a new holder.
    #[must_use]
    pub fn new(caller: KeyHash, key: String, fingerprint: String, at: Timestamp) -> Self {
        Self { caller, key, fingerprint, holder: uuid_at(at), at }
    }
}

/// The holder of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// This request.
    Now {
        /// The holder of the first claim under the key that may have had an effect: this one, or that of an attempt before it
        /// whose outcome its client does not know.
        first: Uuid,
    },
    /// An earlier one.
    Before {
        /// The same as the claim's, if it is the same request.
        fingerprint: String,
        /// `None`: it is still in progress.
        outcome: Option<StoredResponse>,
    },
}

/// The stored response of a request that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredResponse {
    /// The response, sealed.
    Kept(Vec<u8>),
    /// None: the request may be made again.
    Repeatable,
    /// None: the response does not fit a row.
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_ascii_and_not_too_long() {
        for good in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", " ~", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::read(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in [&b""[..], b"\t", b"\xc3\xa9", b"\xff", &[b'x'; 256]] {
            assert!(matches!(IdempotencyKey::read(bad), Err(Error::Validation(_))), "{bad:?}");
        }
    }

    #[test]
    fn requests_differ_by_method_path_and_body() {
        let one = fingerprint("POST", "/a", b"", b"{}");

        assert_eq!(one, fingerprint("POST", "/a", b"", b"{}"));
        for other in [
            fingerprint("POST", "/a", b"\"1\"", b"{}"),
            fingerprint("PUT", "/a", b"", b"{}"),
            fingerprint("POST", "/b", b"", b"{}"),
            fingerprint("POST", "/a", b"", b"{ }"),
        ] {
            assert_ne!(one, other);
        }
    }
}

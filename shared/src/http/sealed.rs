//! Answers that only their own client can read again.
//!
//! An answer may hold a secret that is shown once. The key that seals it is derived from the caller's API key and the
//! request's idempotency key, and the table has neither: only hashes of them (I11).

use std::io::{Read, Write};

use axum::body::Bytes;
use axum::response::Response;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::domain::Error;
use crate::domain::access::idempotency::IdempotencyKey;
use crate::domain::packed::write_json;

/// Separates this use of the API key from any other.
const PURPOSE: &[u8] = b"autolabel: the answer to an idempotent request";
/// The headers about a body. The others belong to one exchange.
const HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

/// Status and headers of a kept answer: one line of JSON before its body.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

/// The key of one answer.
pub(super) struct Seal {
    key: LessSafeKey,
    fingerprint: String,
}

impl Seal {
    /// # Errors
    /// `Internal` only.
    pub(super) fn of(api_key: &str, idempotency_key: &IdempotencyKey, fingerprint: &str) -> Result<Self, Error> {
        let secret = Salt::new(HKDF_SHA256, PURPOSE).extract(api_key.as_bytes());
        let info = [idempotency_key.as_str().as_bytes()];
        let key = UnboundKey::from(secret.expand(&info, &AES_256_GCM).map_err(unspecified)?);
        Ok(Self { key: LessSafeKey::new(key), fingerprint: fingerprint.to_owned() })
    }

    /// `nonce ‖ AES-256-GCM(deflate(head, newline, body))`, bound to the request.
    pub(super) fn seal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Error> {
        let kept = HEADERS.iter().filter_map(|name| {
            let value = headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let head = Head { status: status.as_u16(), headers: kept.collect() };
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        write_json(&mut deflate, &head)?;
        deflate.write_all(b"\n").and_then(|()| deflate.write_all(body)).map_err(Error::internal)?;
        let mut packed = deflate.finish().map_err(Error::internal)?;
        // A released key may seal a second answer, so the nonce is a new one each time.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(unspecified)?;
        let bound = Aad::from(self.fingerprint.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut packed)
            .map_err(unspecified)?;
        Ok([&nonce[..], &packed].concat())
    }

    /// The answer, again.
    ///
    /// # Errors
    /// `Internal` if it was sealed for another request, or damaged.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Response, Error> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(|| Error::internal("no nonce"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(unspecified)?;
        let mut sealed = sealed.to_vec();
        let bound = Aad::from(self.fingerprint.as_bytes());
        let packed = self.key.open_in_place(nonce, bound, &mut sealed).map_err(unspecified)?;
        let mut answer = Vec::new();
        DeflateDecoder::new(&*packed).read_to_end(&mut answer).map_err(Error::internal)?;
        let line = answer.iter().position(|byte| *byte == b'\n').ok_or_else(|| Error::internal("no head"))?;
        let Head { status, headers } = serde_json::from_slice(&answer[..line]).map_err(Error::internal)?;
        let mut response = Response::new(Bytes::from(answer).slice(line + 1..).into());
        *response.status_mut() = StatusCode::from_u16(status).map_err(Error::internal)?;
        for (name, value) in headers {
            let name = HeaderName::try_from(name).map_err(Error::internal)?;
            response.headers_mut().insert(name, HeaderValue::try_from(value).map_err(Error::internal)?);
        }
        Ok(response)
    }
}

fn unspecified(error: ring::error::Unspecified) -> Error {
    Error::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn seal(api_key: &str, key: &str, fingerprint: &str) -> Seal {
        Seal::of(api_key, &IdempotencyKey::read(key.as_bytes()).unwrap(), fingerprint).unwrap()
    }

    fn sealed() -> Vec<u8> {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("\"7\""));
        headers.insert("x-request-id", HeaderValue::from_static("1"));
        seal("avk_1", "k", "f").seal(StatusCode::CREATED, &headers, b"{\"secret\":\"hunter2\"}").unwrap()
    }

    #[tokio::test]
    async fn an_answer_comes_back_as_it_was() {
        let answer = seal("avk_1", "k", "f").open(&sealed()).unwrap();

        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(answer.headers()[ETAG], "\"7\"");
        assert!(!answer.headers().contains_key("x-request-id"));
        assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), "{\"secret\":\"hunter2\"}");
    }

    /// I11.
    #[test]
    fn another_key_or_request_cannot_open_it() {
        for (api_key, key, fingerprint) in [("avk_2", "k", "f"), ("avk_1", "l", "f"), ("avk_1", "k", "g")] {
            assert!(seal(api_key, key, fingerprint).open(&sealed()).is_err());
        }
        let mut damaged = sealed();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(seal("avk_1", "k", "f").open(&damaged).is_err());
        assert!(seal("avk_1", "k", "f").open(b"short").is_err());
    }

    #[test]
    fn no_two_answers_are_sealed_alike() {
        assert_ne!(sealed(), sealed());
    }
}

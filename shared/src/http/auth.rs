//! Authentication: in front of every router, where no route can forget it (contract, section 2).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::domain::access::api_key::{ApiKey, KeyHash, Scope};
use crate::domain::access::rate_limit::{RateLimit, Requester};
use crate::domain::id::OrganizationUid;
use crate::domain::item::review_queue::Reviewer;
use crate::domain::{Error, Timestamp};
use crate::ports::Keys;

/// The capacity of the cache. A full cache is cleared.
const CACHED_KEYS: usize = 1_000;

/// The organization and the key of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant.
    pub organization: OrganizationUid,
    key_hash: KeyHash,
    key: Arc<ApiKey>,
}

impl Caller {
    /// # Errors
    /// `PermissionDenied` unless the key has one of `scopes`, or has no scopes and so may do everything.
    pub fn needs(&self, scopes: &[Scope]) -> Result<(), Error> {
        self.key.allows(scopes)
    }

    /// The name of the key: a review records it as its reviewer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// The key's row.
    #[must_use]
    pub fn key(&self) -> &ApiKey {
        &self.key
    }

    /// The start of the key's hash, for logs (I11).
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.key_hash.id()
    }

    /// The person who reviews by this key.
    #[must_use]
    pub fn reviewer(&self) -> Reviewer {
        Reviewer { key: self.key_hash.clone(), name: self.key.name.clone() }
    }

    pub(super) fn key_hash(&self) -> &KeyHash {
        &self.key_hash
    }

    pub(super) fn requester(&self) -> Requester {
        Requester::Key(self.key_hash.clone())
    }

    /// The key's own limit, or the deployment's.
    pub(super) fn limit(&self, otherwise: RateLimit) -> RateLimit {
        RateLimit { per_minute: self.key.requests_per_minute.unwrap_or(otherwise.per_minute), ..otherwise }
    }
}

/// The layer in front of every router has put the caller into the request.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::Unauthenticated)
    }
}

/// A cache of the keys that were read from the table.
#[derive(Debug)]
pub(super) struct Authentication {
    /// The age at which a key is read again. A revoked key works so long.
    remember: Duration,
    cache: Mutex<HashMap<KeyHash, (Arc<ApiKey>, Timestamp)>>,
}

impl Authentication {
    /// Keeps each key for `remember`.
    pub(super) fn new(remember: Duration) -> Self {
        Self { remember, cache: Mutex::default() }
    }

    /// # Errors
    /// `Unauthenticated`, `InvalidKey`, `KeyExpired`; `StoreUnavailable`.
    pub(super) async fn caller(&self, keys: &impl Keys, header: Option<&str>, now: Timestamp) -> Result<Caller, Error> {
        let key = header.filter(|key| !key.is_empty()).ok_or(Error::Unauthenticated)?;
        let key_hash = KeyHash::of(key);
        let key = match self.remembered(&key_hash, now) {
            Some(key) => key,
            None => {
                let key = Arc::new(keys.find_key(&key_hash).await?.ok_or(Error::InvalidKey)?);
                self.remember(key_hash.clone(), &key, now);
                key
            }
        };
        key.check(now)?;
        Ok(Caller { organization: key.organization, key_hash, key })
    }

    fn remembered(&self, hash: &KeyHash, now: Timestamp) -> Option<Arc<ApiKey>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, read_at) = cache.get(hash)?;
        let age = now.duration_since(*read_at).unsigned_abs();
        (age < self.remember).then(|| Arc::clone(key))
    }

    fn remember(&self, hash: KeyHash, key: &Arc<ApiKey>, now: Timestamp) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_KEYS {
            cache.clear();
        }
        cache.insert(hash, (Arc::clone(key), now));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct OneKey(AtomicUsize);

    impl Keys for OneKey {
        async fn find_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let key = ApiKey {
                organization: OrganizationUid::named("acme"),
                name: "k".into(),
                scopes: vec![],
                created_at: Timestamp::UNIX_EPOCH,
                expires_at: None,
                revoked_at: None,
                requests_per_minute: None,
            };
            Ok((*hash == KeyHash::of("avk_good")).then_some(key))
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn a_key_is_read_once_until_it_is_too_old() {
        let (auth, keys) = (Authentication::new(Duration::from_secs(60)), OneKey::default());

        for (second, reads) in [(0, 1), (59, 1), (60, 2), (61, 2)] {
            auth.caller(&keys, Some("avk_good"), at(second)).await.unwrap();
            assert_eq!(keys.0.load(Ordering::Relaxed), reads, "at second {second}");
        }
    }

    #[tokio::test]
    async fn no_key_and_a_wrong_key_are_different_errors() {
        let (auth, keys) = (Authentication::new(Duration::from_secs(60)), OneKey::default());

        assert!(matches!(auth.caller(&keys, None, at(0)).await, Err(Error::Unauthenticated)));
        assert!(matches!(auth.caller(&keys, Some(""), at(0)).await, Err(Error::Unauthenticated)));
        assert!(matches!(auth.caller(&keys, Some("avk_bad"), at(0)).await, Err(Error::InvalidKey)));
    }
}

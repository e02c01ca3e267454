//! Authentication: the first layer of every router, where no route can forget it (contract, section 2).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::respond;
use crate::domain::id::OrganizationUid;
use crate::domain::key::{ApiKey, KeyHash, Scope};
use crate::domain::{Error, Timestamp};
use crate::ports::{Clock, Keys};

/// The header that carries the key.
const HEADER: &str = "x-avala-api-key";
/// Keys that one process remembers; past it the cache starts anew.
const CACHED_KEYS: usize = 1_000;

/// Who calls, and what the key allows.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant.
    pub organization: OrganizationUid,
    key: Arc<ApiKey>,
}

impl Caller {
    /// # Errors
    /// `PermissionDenied` unless the key has one of `scopes`, or has no scopes and so may do everything.
    pub fn needs(&self, scopes: &[Scope]) -> Result<(), Error> {
        self.key.allows(scopes)
    }

    /// The key's name: who did it, as far as we know.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.key.name
    }
}

/// Keys that were read from the table lately.
#[derive(Debug)]
pub struct Authentication<K, C> {
    keys: K,
    clock: C,
    /// How long a revoked key may still work.
    remember: Duration,
    cache: Mutex<HashMap<KeyHash, (Arc<ApiKey>, Timestamp)>>,
}

impl<K: Keys, C: Clock> Authentication<K, C> {
    /// Reads keys from `keys` and remembers each for `remember`.
    pub fn new(keys: K, clock: C, remember: Duration) -> Self {
        Self { keys, clock, remember, cache: Mutex::default() }
    }

    /// # Errors
    /// `Unauthenticated`, `InvalidKey`, `KeyExpired`; `StoreUnavailable`.
    pub async fn caller(&self, header: Option<&str>) -> Result<Caller, Error> {
        let key = header.filter(|key| !key.is_empty()).ok_or(Error::Unauthenticated)?;
        let hash = KeyHash::of(key);
        let now = self.clock.now();
        let key = match self.remembered(&hash, now) {
            Some(key) => key,
            None => {
                let key = Arc::new(self.keys.find_key(&hash).await?.ok_or(Error::InvalidKey)?);
                self.remember(hash, &key, now);
                key
            }
        };
        key.check(now)?;
        Ok(Caller { organization: key.organization, key })
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

/// The layer: a request without a good key gets no further, so that unknown paths answer 401 as well.
pub(super) async fn layer<K: Keys + 'static, C: Clock + 'static>(
    State(auth): State<Arc<Authentication<K, C>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    match auth.caller(header.as_deref()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => respond::<()>(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

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
            };
            Ok((*hash == KeyHash::of("avk_good")).then_some(key))
        }
    }

    struct At(AtomicUsize);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::Relaxed) as i64).unwrap()
        }
    }

    #[tokio::test]
    async fn a_key_is_read_once_until_it_is_too_old() {
        let auth = Authentication::new(OneKey(AtomicUsize::new(0)), At(AtomicUsize::new(0)), Duration::from_secs(60));

        for (second, reads) in [(0, 1), (59, 1), (60, 2), (61, 2)] {
            auth.clock.0.store(second, Ordering::Relaxed);
            auth.caller(Some("avk_good")).await.unwrap();
            assert_eq!(auth.keys.0.load(Ordering::Relaxed), reads, "at second {second}");
        }
    }

    #[tokio::test]
    async fn no_key_and_a_wrong_key_are_told_apart() {
        let auth = Authentication::new(OneKey(AtomicUsize::new(0)), At(AtomicUsize::new(0)), Duration::from_secs(60));

        assert!(matches!(auth.caller(None).await, Err(Error::Unauthenticated)));
        assert!(matches!(auth.caller(Some("")).await, Err(Error::Unauthenticated)));
        assert!(matches!(auth.caller(Some("avk_bad")).await, Err(Error::InvalidKey)));
    }
}

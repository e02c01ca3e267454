use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::domain::access::api_key::{ApiKey, KeyHash, Scope};
use crate::domain::access::idempotency::{Claim, Claimed, StoredResponse};
use crate::domain::access::rate_limit::{Requester, Usage};
use crate::domain::id::OrganizationUid;
use crate::domain::{Error, Timestamp};
use crate::ports::{Idempotency, Keys, RateLimits};
use crate::testing::{ACME, ACME_PROJECTS, Fault, OTHER};

/// By caller and key: the claim, and the stored response of its request.
type Claims = HashMap<(KeyHash, String), (Claim, Option<StoredResponse>)>;
/// By caller and key: the first claim whose effect is unknown.
type Firsts = HashMap<(KeyHash, String), Uuid>;

/// What the frame of an API function keeps in the table, in memory: three keys, counters, and idempotency keys.
#[derive(Debug, Default)]
pub struct MemoryRequests {
    counted: Mutex<HashMap<(Requester, i64), u32>>,
    claims: Mutex<Claims>,
    firsts: Mutex<Firsts>,
    fault: Fault,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryRequests {
    /// One of its calls fails.
    #[must_use]
    pub fn failing(fault: Fault) -> Self {
        Self { fault, ..Self::default() }
    }

    fn end(&self, claim: &Claim, end: impl FnOnce(&mut Claims)) {
        let mut claims = lock(&self.claims);
        let held = claims.get(&name(claim)).is_some_and(|(holder, _)| holder.holder == claim.holder);
        if held {
            end(&mut claims);
        }
    }
}

fn name(claim: &Claim) -> (KeyHash, String) {
    (claim.caller.clone(), claim.key.clone())
}

impl Keys for MemoryRequests {
    async fn find_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, Error> {
        let known =
            [(ACME, "acme", vec![]), (ACME_PROJECTS, "acme", vec![Scope::ProjectsRead]), (OTHER, "other", vec![])];
        let key =
            known.into_iter().find(|(key, ..)| KeyHash::of(key) == *hash).map(|(_, organization, scopes)| ApiKey {
                organization: OrganizationUid::named(organization),
                name: "test".into(),
                scopes,
                created_at: Timestamp::UNIX_EPOCH,
                expires_at: None,
                revoked_at: None,
                requests_per_minute: None,
            });
        self.fault.around(|| Ok(key))
    }
}

impl RateLimits for MemoryRequests {
    async fn count(&self, requester: &Requester, now: Timestamp) -> Result<Usage, Error> {
        self.fault.around(|| {
            let mut counted = lock(&self.counted);
            // Minutes are negative and seconds positive, so the windows differ: no test's clock is before 1970.
            let mut one_more = |window: i64| {
                let count = counted.entry((requester.clone(), window)).or_default();
                *count += 1;
                *count
            };
            Ok(Usage { minute: one_more(-1 - now.as_second() / 60), second: one_more(now.as_second()) })
        })
    }
}

impl Idempotency for MemoryRequests {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, Error> {
        self.fault.around(|| {
            let mut claims = lock(&self.claims);
            if let Some((before, outcome)) = claims.get(&name(claim)) {
                let (fingerprint, outcome) = (before.fingerprint.clone(), outcome.clone());
                return Ok(Claimed::Before { fingerprint, outcome });
            }
            claims.insert(name(claim), (claim.clone(), None));
            Ok(Claimed::Now { first: *lock(&self.firsts).entry(name(claim)).or_insert(claim.holder) })
        })
    }

    async fn keep(&self, claim: &Claim, outcome: StoredResponse) -> Result<(), Error> {
        self.fault.around(|| {
            self.end(claim, |claims| drop(claims.insert(name(claim), (claim.clone(), Some(outcome)))));
            Ok(())
        })
    }

    async fn release(&self, claim: &Claim, undone: bool) -> Result<(), Error> {
        self.fault.around(|| {
            self.end(claim, |claims| {
                claims.remove(&name(claim));
                if undone {
                    lock(&self.firsts).remove(&name(claim));
                }
            });
            Ok(())
        })
    }
}

//! API keys, what is counted of their requests, and the organizations behind them.

use crate::domain::access::api_key::{ApiKey, IssuedKey, KeyHash};
use crate::domain::access::idempotency::{Claim, Claimed, StoredResponse};
use crate::domain::access::organization::Organization;
use crate::domain::access::rate_limit::{Requester, Usage};
use crate::domain::id::OrganizationUid;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// API keys, to authenticate a request.
#[trait_variant::make(Send)]
pub trait Keys: Send + Sync {
    /// The key of this hash.
    async fn find_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, Error>;
}

/// Counters of requests.
#[trait_variant::make(Send)]
pub trait RateLimits: Send + Sync {
    /// Counts a request, and returns how many there were in the minute and the second of `now`, this one included.
    async fn count(&self, requester: &Requester, now: Timestamp) -> Result<Usage, Error>;
}

/// Requests that clients named by an idempotency key.
#[trait_variant::make(Send)]
pub trait Idempotency: Send + Sync {
    /// Takes the key for a request, unless an earlier one holds it: one that is in progress, or one that has succeeded. A request
    /// whose lease is over is dead, and the same request may take the key over.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, Error>;
    /// Stores the response of the request, for a day. A request that has lost the key meanwhile stores nothing.
    async fn keep(&self, claim: &Claim, outcome: StoredResponse) -> Result<(), Error>;
    /// Frees the key again. `undone`: neither the request nor an earlier attempt has had an effect. Otherwise the next claim
    /// returns the holder of the first one.
    async fn release(&self, claim: &Claim, undone: bool) -> Result<(), Error>;
}

/// The administration of API keys.
#[trait_variant::make(Send)]
pub trait KeyRing: Send + Sync {
    /// Stores a new key.
    async fn add_key(&self, issued: &IssuedKey) -> Result<(), Error>;
    /// The organization's keys, also those that are over.
    async fn keys(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<IssuedKey>, Error>;
    /// Ends a key for good.
    ///
    /// # Errors
    /// `NotFound`.
    async fn revoke_key(&self, hash: &KeyHash, now: Timestamp) -> Result<(), Error>;
    /// Gives a key an end, or another one.
    ///
    /// # Errors
    /// `NotFound`.
    async fn expire_key(&self, hash: &KeyHash, end: Timestamp) -> Result<(), Error>;
}

/// Organizations.
#[trait_variant::make(Send)]
pub trait Organizations: Send + Sync {
    /// Stores an organization; one that is there stays as it is.
    async fn add_organization(&self, organization: &Organization) -> Result<(), Error>;
    /// `None` if it was never stored.
    async fn organization(&self, uid: OrganizationUid) -> Result<Option<Organization>, Error>;
}

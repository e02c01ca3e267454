//! API keys, what is counted of their requests, and the organizations behind them.

use std::future::Future;

use crate::domain::access::api_key::{ApiKey, IssuedKey, KeyHash};
use crate::domain::access::idempotency::{Claim, Claimed, Outcome};
use crate::domain::access::organization::Organization;
use crate::domain::access::rate_limit::{Requester, Usage};
use crate::domain::id::OrganizationUid;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// API keys, for whoever has to recognise one.
pub trait Keys: Send + Sync {
    /// The key of this hash.
    fn find_key(&self, hash: &KeyHash) -> impl Future<Output = Result<Option<ApiKey>, Error>> + Send;
}

/// Counters of requests.
pub trait RateLimits: Send + Sync {
    /// Counts a request, and answers how many there were in the minute and the second of `now`, this one included.
    fn count(&self, requester: &Requester, now: Timestamp) -> impl Future<Output = Result<Usage, Error>> + Send;
}

/// Requests that clients named by an idempotency key.
pub trait Idempotency: Send + Sync {
    /// Takes the key for a request, unless one before it has it: one that is in progress, or one that has succeeded. A
    /// request whose lease is over is dead, and the same one may take its position.
    fn claim(&self, claim: &Claim) -> impl Future<Output = Result<Claimed, Error>> + Send;
    /// Keeps what is left of the request, for a day. Whoever lost the key meanwhile keeps nothing.
    fn keep(&self, claim: &Claim, outcome: Outcome) -> impl Future<Output = Result<(), Error>> + Send;
    /// Frees the key again. `undone`: the request has had no effect, and neither had an attempt before it. Otherwise the next
    /// claim is told of the first one.
    fn release(&self, claim: &Claim, undone: bool) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The administration of API keys.
pub trait KeyRing: Send + Sync {
    /// Stores a new key.
    fn add_key(&self, issued: &IssuedKey) -> impl Future<Output = Result<(), Error>> + Send;
    /// The organization's keys, also those that are over.
    fn keys(
        &self,
        organization: OrganizationUid,
        slice: &Slice,
    ) -> impl Future<Output = Result<Page<IssuedKey>, Error>> + Send;
    /// Ends a key for good.
    ///
    /// # Errors
    /// `NotFound`.
    fn revoke_key(&self, hash: &KeyHash, now: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
    /// Gives a key an end, or another one.
    ///
    /// # Errors
    /// `NotFound`.
    fn expire_key(&self, hash: &KeyHash, end: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Organizations.
pub trait Organizations: Send + Sync {
    /// Stores an organization; one that is there stays as it is.
    fn add_organization(&self, organization: &Organization) -> impl Future<Output = Result<(), Error>> + Send;
    /// `None` if it was never stored.
    fn organization(&self, uid: OrganizationUid) -> impl Future<Output = Result<Option<Organization>, Error>> + Send;
}

//! The callers of the API: organizations, keys, rate limits, idempotency keys, and the trust of roles.

pub mod api_key;
pub mod idempotency;
pub mod organization;
pub mod rate_limit;
pub mod trust;

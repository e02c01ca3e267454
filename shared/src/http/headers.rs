//! The names of the headers that are ours.

use http::HeaderName;

/// The key of the caller (contract, section 2).
pub const API_KEY: HeaderName = HeaderName::from_static("x-avala-api-key");
/// Names a POST, so that it can be repeated without being done twice.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On every answer, and in every log line of the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Requests that the caller may make in a minute. This and the next two are on every answer (contract, 3.3).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// Of these, how many are left.
pub const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// When the minute ends, Unix seconds.
pub const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

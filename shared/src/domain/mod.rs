//! The rules of auto-labeling. Pure: no I/O, no clock, no AWS.

pub mod annotate;
pub mod auto_label;
pub mod breaker;
pub mod connection;
pub mod content;
pub mod decode;
pub mod diagnosis;
pub mod draft;
pub mod error;
pub mod fields;
pub mod head;
pub mod id;
pub mod idempotency;
pub mod item;
pub mod job;
pub mod json;
pub mod key;
pub mod limits;
pub mod mask;
pub mod organization;
pub mod orientation;
pub mod outcome;
pub mod pace;
pub mod packed;
pub mod plan;
pub mod prediction;
pub mod project;
pub mod provider;
pub mod rate;
pub mod result;
pub mod rle;
pub mod source;
pub mod summary;
pub mod trust;
pub mod turn;
pub mod unicode;
pub mod upload;
pub mod webhook;

pub use error::{Error, ErrorCode};
pub use jiff::Timestamp;

/// When what last changed at `before` changes `now`: later in any case, be it that the clock stands still or goes back. So no
/// two states have the same time, and a write may be conditional on it.
#[must_use]
pub fn change_time(before: Timestamp, now: Timestamp) -> Timestamp {
    let next = Timestamp::from_microsecond(before.as_microsecond() + 1); // what the clock can tell apart
    now.max(next.unwrap_or(before))
}

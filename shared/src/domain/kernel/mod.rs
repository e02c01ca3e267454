//! What every room of the domain stands on: identifiers, errors, limits, and how JSON fields are read and packed.

pub mod diagnosis;
pub mod error;
pub mod fields;
pub mod id;
pub mod job_status;
pub mod json;
pub mod limits;
pub mod packed;
pub mod show;
pub mod unicode;
pub mod unknown;

pub use error::{Error, ErrorCode};
pub use jiff::Timestamp;

/// The time of a change made `now` to a thing last changed at `before`: later in any case, also if the clock stands still or goes
/// back. So no two states have the same time, and a write may be conditional on it.
#[must_use]
pub fn change_time(before: Timestamp, now: Timestamp) -> Timestamp {
    let next = Timestamp::from_microsecond(before.as_microsecond() + 1); // the clock's resolution
    now.max(next.unwrap_or(before))
}

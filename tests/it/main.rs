//! What no single crate can test: the state machine's definition, the direction of dependencies, and the store against
//! DynamoDB's interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of it is tests, and not all of it is in functions marked so"
)]

mod asl;
mod documents;
mod layers;
mod lengths;
mod messages;
mod store;
mod targets;
mod words;

use std::path::PathBuf;

/// A path below the repository's root.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

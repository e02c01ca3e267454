//! The traits that handlers are generic over. `store` and the other adapters implement them for AWS,
//! `testing` in memory.

mod access;
mod catalog;
mod jobs;
mod models;
mod objects;
mod results;
mod uploads;
mod webhooks;

pub use access::{Idempotency, KeyRing, Keys, Organizations, RateLimits};
pub use catalog::{Items, Projects, Stretch};
pub use jobs::{Chunk, Commit, Drafts, Ending, Executions, JobFilter, Jobs, Ledger, Reports};
pub use models::{Connect, InferenceError, InferenceRequest, Model, Providers, Secrets};
pub use objects::{Contents, Described, Files, Listing, Listings, Manifests, NoFile, Objects, Upload};
pub use results::Results;
pub use uploads::{Arrivals, Picked, UploadQueue, UploadWatch, Uploads, WaitingUploads};
pub use webhooks::{DeliveryFilter, Queue, Receivers, Webhooks};

use crate::domain::Timestamp;

/// A page of a list: the entries, and where the next page begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// Newest first.
    pub entries: Vec<T>,
    /// `None` on the last page. Only our own cursors carry it.
    pub next: Option<String>,
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where the page before ended.
    pub after: Option<String>,
    /// How many entries.
    pub limit: usize,
    /// Oldest first.
    pub ascending: bool,
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

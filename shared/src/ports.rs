//! The traits that handlers are generic over. `store` and the other adapters implement them for AWS,
//! `testing` in memory.

mod access;
mod catalog;
mod datasets;
mod exports;
mod imports;
mod jobs;
mod models;
mod objects;
mod results;
mod review_queue;
mod uploads;
mod webhooks;

pub use access::{Idempotency, KeyRing, Keys, Organizations, RateLimits};
pub use catalog::{Items, Projects, UnlabeledQuery};
pub use datasets::{Announced, Datasets};
pub use exports::{Claimed, ExportFilter, ExportItems, ExportQueue, Exports, Step, Watched};
pub use imports::{ClaimedImport, ImportName, ImportQueue, ImportResults, Imports, WatchedImport};
pub use jobs::{Chunk, Commit, Drafts, Ending, Executions, JobFilter, Jobs, Ledger, Reports};
pub use models::{Connect, InferenceError, InferenceRequest, Model, Providers, Secrets};
pub use objects::{
    Contents, Described, Files, Folders, Listing, Listings, Manifests, NoFile, Objects, Upload, UploadForm, UploadForms,
};
pub use results::Results;
pub use review_queue::ReviewQueue;
pub use uploads::{Picked, UploadBacklog, UploadQueue, UploadWatch, Uploads, WaitingUploads};
pub use webhooks::{DeliveryFilter, DeliveryRequest, Queue, WebhookSender, Webhooks};

use crate::domain::Timestamp;

/// A page of a list: the entries, and where its neighbours begin. Only our own cursors carry those positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// In the list's order, newest first unless asked otherwise.
    pub entries: Vec<T>,
    /// The [`Slice::after`] of the next page; `None` on the last one.
    pub next: Option<String>,
    /// Where the page before is read from; `None` on the first one.
    pub previous: Option<Before>,
}

/// Where a page is read from backward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// This position, which it does not hold.
    Position(String),
    /// The end of the list.
    End,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The position that the read goes on from, and that the page does not hold. `None`: the list's begin, or its end if the read
    /// goes backward.
    pub after: Option<String>,
    /// How many entries.
    pub limit: usize,
    /// Oldest first.
    pub ascending: bool,
    /// The page holds what comes before `after` in the list's order, and not what comes behind it.
    pub backward: bool,
}

impl Slice {
    /// Whether the read goes from older entries to newer ones.
    #[must_use]
    pub const fn reads_upward(&self) -> bool {
        self.ascending != self.backward
    }
}

impl<T> Page<T> {
    /// All of a list that has no second page.
    #[must_use]
    pub const fn whole(entries: Vec<T>) -> Self {
        Self { entries, next: None, previous: None }
    }

    /// The page that a read of `slice` found: `entries` in the order of the read, and the position that it would go on from.
    /// Nothing between `slice.after` and the first entry, or `further` if there is none, belongs to the list.
    pub fn found(slice: &Slice, mut entries: Vec<T>, further: Option<String>, position: impl Fn(&T) -> String) -> Self {
        let begin = entries.first().map(position).or_else(|| further.clone());
        if slice.backward {
            entries.reverse();
            let next = begin.filter(|_| slice.after.is_some());
            return Self { entries, next, previous: further.map(Before::Position) };
        }
        let previous = slice.after.is_some().then(|| begin.map_or(Before::End, Before::Position));
        Self { entries, next: further, previous }
    }

    /// The same page with other entries: what they are shown as, or those of them that are wanted.
    pub fn with<U>(self, other: impl FnOnce(Vec<T>) -> Vec<U>) -> Page<U> {
        Page { entries: other(self.entries), next: self.next, previous: self.previous }
    }
}

/// The clock that everything is dated by: that of the system, or of a test.
pub trait Clock: Send + Sync {
    /// The current time, to the microsecond.
    fn now(&self) -> Timestamp;
}

//! Ports in memory and builders, for tests: never linked into a Lambda.

#[cfg(feature = "http")]
mod api;
mod clock;
mod datasets;
mod executions;
mod exports;
mod fault;
mod imports;
mod jobs;
mod models;
mod providers;
#[cfg(feature = "http")]
mod requests;
mod review_queue;
mod uploads;
mod webhooks;

#[cfg(feature = "http")]
pub use api::{ACME, ACME_PROJECTS, OTHER, TestApi};
pub use clock::StoppedClock;
pub use executions::MemoryExecutions;
pub use exports::{MemoryExportQueue, MemoryExports};
pub use fault::Fault;
pub use imports::{MemoryImportQueue, MemoryImports};
pub use jobs::{MemoryJobs, a_job, an_item};
pub use models::{MemoryObjects, MemoryWeb, ScriptedModel, ScriptedModels, a_mask, a_png, md5_of};
pub use providers::MemoryTenants;
#[cfg(feature = "http")]
pub use requests::MemoryRequests;
pub use review_queue::MemoryReviewQueue;
pub use uploads::MemoryUploadQueue;
pub use webhooks::{MemoryQueue, MemoryWebhooks, PlainSecrets, ScriptedReceivers, a_webhook};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A test that panicked has failed already: the others may go on with its state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

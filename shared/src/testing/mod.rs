//! Ports in memory and builders, for tests: never linked into a Lambda.

#[cfg(feature = "http")]
mod api;
mod clock;
mod executions;
mod fault;
mod jobs;
mod models;
mod providers;
#[cfg(feature = "http")]
mod requests;
#[cfg(feature = "store")]
mod stored;
#[cfg(feature = "store")]
mod table;
mod uploads;
mod webhooks;

#[cfg(feature = "http")]
pub use api::{ACME, ACME_PROJECTS, OTHER, TestApi};
pub use clock::StoppedClock;
pub use executions::MemoryExecutions;
pub use fault::Fault;
#[cfg(not(feature = "store"))]
pub use jobs::MemoryJob;
pub use jobs::{MemoryJob as FakeJob, a_job, an_item};
pub use models::{MemoryObjects, MemoryWeb, ScriptedModel, ScriptedModels, a_mask, a_png, md5_of};
pub use providers::MemoryTenants;
#[cfg(feature = "http")]
pub use requests::MemoryRequests;
#[cfg(feature = "store")]
pub use stored::StoredJob as MemoryJob;
#[cfg(feature = "store")]
pub use table::MemoryTable;
pub use uploads::MemoryUploadQueue;
pub use webhooks::{MemoryQueue, MemoryWebhooks, PlainSecrets, ScriptedReceivers, a_webhook};

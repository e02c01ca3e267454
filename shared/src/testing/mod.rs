//! Ports in memory and builders, for tests: never linked into a Lambda.

mod clock;
mod webhooks;

pub use clock::StoppedClock;
pub use webhooks::{MemoryQueue, MemoryWebhooks, PlainSecrets, ScriptedReceivers, a_webhook};

//! What makes a binary a Lambda: its environment, its AWS clients, its log, and how a task's error gets its name.

mod aws;
mod clock;
mod env;
mod task;
mod telemetry;

pub use aws::Aws;
pub use clock::SystemClock;
pub use env::{Env, MissingVariables};
pub use task::TaskError;
pub use telemetry::start_log;

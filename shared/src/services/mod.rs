//! What several functions do alike, written over ports: a job starts and ends, events go out, a file is measured.

pub mod measure;
pub mod outbox;
pub mod settle;
pub mod start_job;

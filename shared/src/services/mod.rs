//! Steps that several functions share, written over ports: to choose a model, to start and to end a job, to post events, to measure
//! a file, to keep large annotations.

pub mod large;
pub mod measure;
pub mod outbox;
pub mod serving;
pub mod settle;
pub mod start_job;

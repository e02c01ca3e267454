//! The protocol as two models: every write that two processes may race for, every point between two calls at which a process
//! may die, and nothing else. The comment of an action names the function that it stands for.
//!
//! [`job`] is the life of one job: created, planned, worked, cancelled, ended, its event delivered. [`files`] is what happens to
//! the files of a project's items meanwhile: S3's events, the index of unlabeled items, and the jobs that uploads start.

pub mod files;
pub mod job;

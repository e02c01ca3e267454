//! The rules of auto-labeling. Pure: no I/O, no clock, no AWS.
//!
//! A room is a folder. Rooms depend on each other in one direction only: a room uses those that stand above it in the list
//! below, never one beneath it. `tests/it/layers.rs` holds that.

mod kernel;

pub mod access;
pub mod prediction;

pub mod item;
pub mod provider;

pub mod job;
pub mod upload;

pub mod project;
pub mod reply;

pub mod export;
pub mod import;

pub mod webhook;

pub use kernel::{
    Error, ErrorCode, Timestamp, change_time, diagnosis, error, fields, id, job_status, json, limits, packed, show,
    unicode, unknown,
};

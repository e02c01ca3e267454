//! Exports over HTTPS: create, get, list, delete (contract, section 11.5). The function `compose` writes their files (decision
//! 0043). And [`imports`], the same way back.

mod handlers;
pub mod imports;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use shared::ports::{Clock, ExportQueue, Exports, Folders, Objects, Projects};
use utoipa::OpenApi;

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(handlers::create, handlers::list, handlers::get, handlers::delete))]
pub struct Description;

/// The adapters of the function, each known by its port alone.
pub trait ExportPorts: 'static {
    /// The table.
    type Store: Exports;
    /// The table: its projects.
    type Projects: Projects;
    /// The bucket.
    type Objects: Objects + Folders;
    /// The queue of exports.
    type Queue: ExportQueue;
    /// UTC.
    type Clock: Clock;
}

/// The state of the handlers.
pub struct ExportApi<P: ExportPorts> {
    /// Exports.
    pub store: P::Store,
    /// Their projects.
    pub projects: P::Projects,
    /// Signs URLs of files, and removes them.
    pub objects: P::Objects,
    /// Takes the first step of an export.
    pub queue: P::Queue,
    /// Dates rows.
    pub clock: P::Clock,
    /// The time after which files expire.
    pub kept_for: Duration,
}

type Api<P> = State<Arc<ExportApi<P>>>;

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: ExportPorts>(state: Arc<ExportApi<P>>) -> Router {
    Router::new()
        .route("/exports", get(handlers::list).post(handlers::create))
        .route("/exports/{uid}", get(handlers::get).delete(handlers::delete))
        .with_state(state)
}

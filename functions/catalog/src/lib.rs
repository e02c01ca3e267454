//! The catalog over HTTPS: the organization, its projects, their items and tasks, and the results of items (contract, sections 11.2 and 11.4).
//!
//! It is also the function that unknown paths reach, so that 401, 404 and 405 have the contract's form.

mod items;
mod projects;
mod results;
mod tasks;
mod workspace;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{any, get};
use shared::ports::{Clock, Items, Objects, Organizations, Projects, Queue, Results, Webhooks};

pub use results::{Description as ReviewDescription, Review};

/// The API's description, as the crate `openapi` prints it.
const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");

/// What the handlers work with.
pub struct App<S, O, C> {
    /// The table.
    pub store: S,
    /// The bucket.
    pub objects: O,
    /// The time.
    pub clock: C,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<S, O, W, Q, C>(app: App<S, O, C>, review: Review<S, W, Q, C>) -> Router
where
    S: Organizations + Projects + Items + Results + 'static,
    O: Objects + 'static,
    W: Webhooks + 'static,
    Q: Queue + 'static,
    C: Clock + 'static,
{
    Router::new()
        .route("/openapi.json", get(async || ([(CONTENT_TYPE, "application/json")], DESCRIPTION)))
        .route("/organizations", get(workspace::organizations::<S, O, C>))
        .route("/projects", get(projects::list::<S, O, C>).post(projects::create::<S, O, C>))
        .route("/projects/{uid}", get(projects::get::<S, O, C>))
        .route("/users/me/projects", get(projects::list::<S, O, C>))
        .route("/users/me/projects/{uid}", get(projects::get::<S, O, C>))
        .route("/projects/{uid}/items", get(items::list::<S, O, C>).post(items::add::<S, O, C>))
        .route("/tasks", get(tasks::list::<S, O, C>))
        .route("/tasks/{uid}", get(tasks::get::<S, O, C>))
        .route("/agents", get(workspace::nothing))
        .route("/exports", get(workspace::nothing))
        .route("/storage-configs", get(workspace::nothing))
        // Only POST goes to the jobs function; the gateway sends every other method here.
        .route("/projects/{uid}/auto-label", any(shared::http::wrong_method))
        .with_state(Arc::new(app))
        .merge(results::routes(review))
}

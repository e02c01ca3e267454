//! The catalog over HTTPS: the organization, its projects, their items, as datasets too, and tasks, and the results of items
//! (contract, sections 11.2 to 11.4).
//!
//! It is also the function that unknown paths reach, so that 401, 404 and 405 have the contract's form.

mod adding;
mod datasets;
mod items;
mod projects;
mod results;
mod tasks;
mod uploads;
mod whole;
mod workspace;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};
use shared::domain::item::source::SourceBuckets;
use shared::ports::{Clock, Files, Items, Objects, Organizations, Projects, Queue, Results, Uploads, Webhooks};
use utoipa::OpenApi;

pub use results::{Description as ReviewDescription, Review};

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    workspace::description,
    workspace::organizations,
    workspace::agents,
    workspace::exports,
    workspace::storage_configs,
    projects::create,
    projects::list,
    projects::get,
    projects::change,
    projects::list_mine,
    projects::get_mine,
    projects::change_mine,
    items::add,
    items::list,
    uploads::list,
    tasks::list,
    tasks::get,
    datasets::list,
    datasets::get,
    datasets::get_by_slug,
    datasets::items,
    datasets::item,
))]
pub struct Description;

/// What the handlers work with.
pub struct App<S, O, F, C> {
    /// The table.
    pub store: S,
    /// The bucket, and those that tenants name.
    pub objects: O,
    /// Files elsewhere.
    pub web: F,
    /// The time.
    pub clock: C,
    /// What of S3 each organization may name.
    pub buckets: SourceBuckets,
    /// The development switch (contract, D18).
    pub loopback_http: bool,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<S, O, F, W, Q, C>(app: App<S, O, F, C>, review: Review<S, O, W, Q, C>) -> Router
where
    S: Organizations + Projects + Items + Results + Uploads + 'static,
    O: Objects + Files + 'static,
    F: Files + 'static,
    W: Webhooks + 'static,
    Q: Queue + 'static,
    C: Clock + 'static,
{
    Router::new()
        .route("/openapi.json", get(workspace::description))
        .route("/organizations", get(workspace::organizations::<S, O, F, C>))
        .route("/projects", get(projects::list::<S, O, F, C>).post(projects::create::<S, O, F, C>))
        .route("/projects/{uid}", get(projects::get::<S, O, F, C>).patch(projects::change::<S, O, F, C>))
        .route("/users/me/projects", get(projects::list_mine::<S, O, F, C>))
        .route(
            "/users/me/projects/{uid}",
            get(projects::get_mine::<S, O, F, C>).patch(projects::change_mine::<S, O, F, C>),
        )
        .route("/projects/{uid}/items", get(items::list::<S, O, F, C>).post(items::add::<S, O, F, C>))
        .route("/projects/{uid}/uploads", get(uploads::list::<S, O, F, C>))
        .route("/datasets", get(datasets::list::<S, O, F, C>))
        .route("/datasets/{uid}", get(datasets::get::<S, O, F, C>))
        .route("/datasets/{owner}/{slug}", get(datasets::get_by_slug::<S, O, F, C>))
        .route("/datasets/{owner}/{slug}/items", get(datasets::items::<S, O, F, C>))
        .route("/datasets/{owner}/{slug}/items/{uid}", get(datasets::item::<S, O, F, C>))
        .route("/tasks", get(tasks::list::<S, O, F, C>))
        .route("/tasks/{uid}", get(tasks::get::<S, O, F, C>))
        .route("/agents", get(workspace::agents))
        .route("/exports", get(workspace::exports))
        .route("/storage-configs", get(workspace::storage_configs))
        // Only POST goes to the jobs function; the gateway sends every other method here.
        .route("/projects/{uid}/auto-label", any(shared::http::wrong_method))
        .with_state(Arc::new(app))
        .merge(results::routes(review))
}

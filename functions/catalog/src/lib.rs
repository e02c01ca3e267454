//! The catalog over HTTPS: the organization, its projects, their items, as datasets too, and tasks, and the results of items
//! (contract, sections 11.2 to 11.4).
//!
//! It is also the function that unknown paths reach, so that 401, 404 and 405 have the contract's form.

mod adding;
mod datasets;
#[cfg(test)]
mod in_memory;
mod items;
mod keys;
mod projects;
mod results;
mod tasks;
mod uploads;
mod whole;
mod workspace;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{any, get, post};
use shared::domain::item::source::SourceBuckets;
use shared::ports::{
    Clock, Datasets, Files, Items, Objects, Organizations, Projects, Providers, Queue, Results, ReviewQueue, Uploads,
    Webhooks,
};
use utoipa::OpenApi;

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    workspace::description,
    workspace::organizations,
    workspace::me,
    keys::me,
    workspace::agents,
    workspace::storage_configs,
    projects::create,
    projects::list,
    projects::get,
    projects::change,
    projects::list_mine,
    projects::get_mine,
    projects::change_mine,
    adding::add,
    items::list,
    uploads::list,
    results::handlers::list,
    results::handlers::get,
    results::handlers::draft,
    results::handlers::correct,
    results::handlers::accept,
    results::handlers::reject,
    results::handlers::reopen,
    results::by_hand::label,
    results::sweep::accept_all,
    results::sweep::reject_all,
    results::sweep::undo,
    results::queue::list::list,
    results::queue::claim::claim,
    results::queue::give_back::renew,
    results::queue::give_back::release,
    results::queue::give_back::skip,
    tasks::list,
    tasks::get,
    datasets::items,
    datasets::item,
))]
pub struct Description;

/// The adapters of the function, each known by its port alone.
pub trait CatalogPorts: 'static {
    /// The table.
    type Store: Datasets + Organizations + Projects + Providers + Items + Uploads;
    /// The table: its results.
    type Results: Results;
    /// The table: its review queues.
    type ReviewQueue: ReviewQueue;
    /// The table: its webhooks.
    type Webhooks: Webhooks;
    /// The bucket, and those that tenants name.
    type Objects: Objects + Files;
    /// The guarded HTTP client.
    type Web: Files;
    /// The webhook queue.
    type Queue: Queue;
    /// UTC.
    type Clock: Clock;
}

/// The state of the handlers.
pub struct CatalogApi<P: CatalogPorts> {
    /// Organizations, projects, providers, items and rejected uploads.
    pub store: P::Store,
    /// Results, and their reviews.
    pub results: P::Results,
    /// Drafts that wait for a person, and who has which of them.
    pub review_queue: P::ReviewQueue,
    /// The subscriptions to reviews.
    pub webhooks: P::Webhooks,
    /// Signs URLs of files. Holds large annotations (docs/decisions/0003).
    pub objects: P::Objects,
    /// Reads the sizes of files that are not in S3.
    pub web: P::Web,
    /// Takes the deliveries of reviews.
    pub queue: P::Queue,
    /// Dates rows and deliveries.
    pub clock: P::Clock,
    /// The S3 buckets that each organization may name.
    pub buckets: SourceBuckets,
    /// Whether `http://localhost` is a valid file URL: the development switch (contract, D18).
    pub loopback_http: bool,
}

type Api<P> = State<Arc<CatalogApi<P>>>;

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: CatalogPorts>(state: Arc<CatalogApi<P>>) -> Router {
    Router::new()
        .route("/openapi.json", get(workspace::description))
        .route("/organizations", get(workspace::organizations))
        .route("/keys/me", get(keys::me))
        .route("/projects", get(projects::list).post(projects::create))
        .route("/projects/{uid}", get(projects::get).patch(projects::change))
        .route("/users/me", get(workspace::me))
        .route("/users/me/projects", get(projects::list_mine))
        .route("/users/me/projects/{uid}", get(projects::get_mine).patch(projects::change_mine))
        .route("/projects/{uid}/items", get(items::list).post(adding::add))
        .route("/projects/{uid}/uploads", get(uploads::list))
        .route("/projects/{uid}/results", get(results::handlers::list))
        .route("/projects/{uid}/results/accept", post(results::sweep::accept_all))
        .route("/projects/{uid}/results/reject", post(results::sweep::reject_all))
        .route("/projects/{uid}/results/undo", post(results::sweep::undo))
        .route("/projects/{uid}/review-queue", get(results::queue::list::list))
        .route("/projects/{uid}/review-queue/claim", post(results::queue::claim::claim))
        .route("/projects/{uid}/review-queue/renew", post(results::queue::give_back::renew))
        .route("/projects/{uid}/review-queue/release", post(results::queue::give_back::release))
        .route("/projects/{uid}/review-queue/skip", post(results::queue::give_back::skip))
        .route("/items/{uid}/results", post(results::by_hand::label))
        .route("/results/{uid}", get(results::handlers::get).patch(results::handlers::correct))
        .route("/results/{uid}/draft", get(results::handlers::draft))
        .route("/results/{uid}/accept", post(results::handlers::accept))
        .route("/results/{uid}/reject", post(results::handlers::reject))
        .route("/results/{uid}/reopen", post(results::handlers::reopen))
        .route("/datasets/{owner}/{slug}/items", get(datasets::items))
        .route("/datasets/{owner}/{slug}/items/{uid}", get(datasets::item))
        .route("/tasks", get(tasks::list))
        .route("/tasks/{uid}", get(tasks::get))
        .route("/agents", get(workspace::agents))
        .route("/storage-configs", get(workspace::storage_configs))
        // Only POST goes to the jobs function; the gateway sends every other method here.
        .route("/projects/{uid}/auto-label", any(shared::http::wrong_method))
        .with_state(state)
}

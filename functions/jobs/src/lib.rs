//! Jobs over HTTPS: create, get, list, cancel (contract, section 6), and after a job: the outcome of each item, retry, discard
//! of its drafts (docs/decisions/0015).

mod discard;
mod handlers;
mod recover;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use shared::ports::{Clock, Drafts, Executions, Items, Jobs, Projects, Providers, Queue, Reports, Webhooks};
use shared::services::serving::OwnEndpoints;
use utoipa::OpenApi;

pub use view::JobView;

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    handlers::create,
    handlers::list,
    handlers::get,
    handlers::cancel,
    recover::report,
    recover::retry,
    discard::discard_drafts,
))]
pub struct Description;

/// The adapters of the function, each known by its port alone.
pub trait JobPorts: 'static {
    /// The table.
    type Store: Jobs + Projects + Providers + Webhooks + Reports + Items + Drafts;
    /// The state machine.
    type Executions: Executions;
    /// The webhook queue.
    type Queue: Queue;
    /// UTC.
    type Clock: Clock;
}

/// The state of the handlers.
pub struct JobApi<P: JobPorts> {
    /// Jobs, their projects, providers, items and webhooks.
    pub store: P::Store,
    /// Starts and stops the execution of a job.
    pub executions: P::Executions,
    /// Takes the deliveries of a cancelled job.
    pub queue: P::Queue,
    /// Dates rows and deliveries.
    pub clock: P::Clock,
    /// The deployment's own endpoints: the last choice of a job without a provider.
    pub endpoints: OwnEndpoints,
}

type Api<P> = State<Arc<JobApi<P>>>;

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: JobPorts>(state: Arc<JobApi<P>>) -> Router {
    Router::new()
        .route("/projects/{project}/auto-label", post(handlers::create))
        .route("/auto-label-jobs", get(handlers::list))
        .route("/auto-label-jobs/{uid}", get(handlers::get).delete(handlers::cancel))
        .route("/auto-label-jobs/{uid}/items", get(recover::report))
        .route("/auto-label-jobs/{uid}/retry", post(recover::retry))
        .route("/auto-label-jobs/{uid}/discard-drafts", post(discard::discard_drafts))
        .with_state(state)
}

//! Jobs over HTTPS: create, get, list, cancel (contract, section 6), and what to do about one that went wrong: what became of
//! each item, retry, discard its drafts (docs/decisions/0015).

mod discard;
mod handlers;
mod recover;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use shared::domain::prediction::model_type::ModelType;
use shared::ports::{Clock, Drafts, Executions, Items, Jobs, Projects, Providers, Queue, Reports, Webhooks};
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

/// What the handlers work with.
pub struct App<S, E, Q, C> {
    /// The table.
    pub store: S,
    /// The state machine.
    pub executions: E,
    /// The webhook queue.
    pub queue: Q,
    /// The time.
    pub clock: C,
    /// The deployment's own endpoints: the last choice of a job without a provider.
    pub endpoints: Vec<ModelType>,
}

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<S, E, Q, C>(app: App<S, E, Q, C>) -> Router
where
    S: Jobs + Projects + Providers + Webhooks + Reports + Items + Drafts + 'static,
    E: Executions + 'static,
    Q: Queue + 'static,
    C: Clock + 'static,
{
    Router::new()
        .route("/projects/{project}/auto-label", post(handlers::create::<S, E, Q, C>))
        .route("/auto-label-jobs", get(handlers::list::<S, E, Q, C>))
        .route("/auto-label-jobs/{uid}", get(handlers::get::<S, E, Q, C>).delete(handlers::cancel::<S, E, Q, C>))
        .route("/auto-label-jobs/{uid}/items", get(recover::report::<S, E, Q, C>))
        .route("/auto-label-jobs/{uid}/retry", post(recover::retry::<S, E, Q, C>))
        .route("/auto-label-jobs/{uid}/discard-drafts", post(discard::discard_drafts::<S, E, Q, C>))
        .with_state(Arc::new(app))
}

//! Review: a person accepts, corrects or rejects what a job suggests (contract, 11.4). What comes of it is told.

mod handlers;
mod sweep;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use shared::ports::{Clock, Items, Objects, Projects, Queue, Results, Webhooks};
use utoipa::OpenApi;

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    handlers::list,
    handlers::get,
    handlers::correct,
    handlers::accept,
    handlers::reject,
    sweep::accept_all,
    sweep::reject_all,
))]
pub struct Description;

/// What review works with.
pub struct Review<S, O, W, Q, C> {
    /// The table.
    pub store: S,
    /// The bucket, for annotations that are not in the table.
    pub objects: O,
    /// The table again, for what it knows of webhooks.
    pub webhooks: W,
    /// The webhook queue.
    pub queue: Q,
    /// The time.
    pub clock: C,
}

pub(crate) fn routes<S, O, W, Q, C>(review: Review<S, O, W, Q, C>) -> Router
where
    S: Projects + Items + Results + 'static,
    O: Objects + 'static,
    W: Webhooks + 'static,
    Q: Queue + 'static,
    C: Clock + 'static,
{
    Router::new()
        .route("/projects/{uid}/results", get(handlers::list::<S, O, W, Q, C>))
        .route("/projects/{uid}/results/accept", post(sweep::accept_all::<S, O, W, Q, C>))
        .route("/projects/{uid}/results/reject", post(sweep::reject_all::<S, O, W, Q, C>))
        .route("/results/{uid}", get(handlers::get::<S, O, W, Q, C>).patch(handlers::correct::<S, O, W, Q, C>))
        .route("/results/{uid}/accept", post(handlers::accept::<S, O, W, Q, C>))
        .route("/results/{uid}/reject", post(handlers::reject::<S, O, W, Q, C>))
        .with_state(Arc::new(review))
}

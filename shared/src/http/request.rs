//! Requests, read the contract's way.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::response::Response;

use super::respond;
use crate::domain::{Error, limits};

/// A body's bytes, at most so many, whatever the content type says (contract, 1.3).
#[derive(Debug)]
pub struct Body<const BYTES: usize = { limits::BODY_BYTES }>(pub Bytes);

impl<S: Send + Sync, const BYTES: usize> FromRequest<S> for Body<BYTES> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let too_large = || respond::<()>(Err(Error::BodyTooLarge { limit_kib: BYTES / 1024 }));
        to_bytes(request.into_body(), BYTES).await.map(Self).map_err(|_| too_large())
    }
}

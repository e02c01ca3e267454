//! Requests, read the contract's way.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::response::Response;

use super::respond;
use crate::domain::{Error, limits};

/// A body's bytes, whatever the content type says (contract, 1.3).
#[derive(Debug)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let too_large = || respond::<()>(Err(Error::BodyTooLarge { limit_kib: limits::BODY_BYTES / 1024 }));
        to_bytes(request.into_body(), limits::BODY_BYTES).await.map(Self).map_err(|_| too_large())
    }
}

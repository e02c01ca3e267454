//! `Idempotency-Key`: a POST that is sent twice is done once (`docs/decisions/0007`).
//!
//! The layer is in front of every route and needs nothing from a handler. A handler whose call is idempotent by itself adds
//! [`Repeatable`] to its answer: a second request under the key is then served like the first.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::IF_MATCH;
use http::request::Parts;
use tracing::warn;
use uuid::Uuid;

use super::Caller;
use super::frame::Frame;
use super::headers::{API_KEY, IDEMPOTENCY_KEY};
use super::sealed::Seal;
use crate::domain::access::idempotency::{Claim, Claimed, IdempotencyKey, StoredResponse, fingerprint};
use crate::domain::id::Naming;
use crate::domain::{Error, limits};
use crate::ports::{Clock, Idempotency};

/// An extension of a response: the call is idempotent by itself. A second request makes the call again, and no answer is kept.
#[derive(Clone, Copy, Debug)]
pub struct Repeatable;

/// How the request names what it creates; [`layer`] puts it there.
impl<S: Send + Sync> FromRequestParts<S> for Naming {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Serves a POST with the header once. Other requests pass.
pub(super) async fn layer<S: Idempotency, C: Clock>(
    State(frame): State<Arc<Frame<S, C>>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match request.headers().get(IDEMPOTENCY_KEY).map(|header| IdempotencyKey::read(header.as_bytes())) {
        None => next.run(request).await,
        Some(Err(error)) => error.into_response(),
        Some(Ok(key)) => frame.once(&key, request, next).await.into_response(),
    }
}

impl<S: Idempotency, C: Clock> Frame<S, C> {
    /// Serves the request, or repeats the answer of the one before it.
    async fn once(&self, key: &IdempotencyKey, request: Request, next: Next) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        let caller = parts.extensions.get::<Caller>().ok_or(Error::Unauthenticated)?;
        // Lambda holds the whole body already. The handler refuses one that is too large.
        let body = to_bytes(body, usize::MAX).await.map_err(Error::internal)?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let if_match = parts.headers.get(IF_MATCH).map_or(b"".as_slice(), |version| version.as_bytes());
        let fingerprint = fingerprint(parts.method.as_str(), path, if_match, &body);
        let claim = Claim::new(caller.key_hash().clone(), key.hash(), fingerprint, self.clock.now());
        let api_key = parts.headers.get(API_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
        let seal = Seal::of(api_key, key, &claim.fingerprint)?;
        let mut request = Request::from_parts(parts, body.into());
        match self.store.claim(&claim).await? {
            Claimed::Before { fingerprint, .. } if fingerprint != claim.fingerprint => Err(Error::IdempotencyKeyReused),
            Claimed::Before { outcome: None, .. } => Err(Error::IdempotencyInProgress),
            Claimed::Before { outcome: Some(StoredResponse::TooLarge), .. } => Err(Error::IdempotencyAnswerNotKept),
            Claimed::Before { outcome: Some(StoredResponse::Kept(answer)), .. } => seal.open(&answer),
            Claimed::Before { outcome: Some(StoredResponse::Repeatable), .. } => Ok(next.run(request).await),
            Claimed::Now { first } => {
                request.extensions_mut().insert(Naming::repeatable(first, claim.fingerprint.clone()));
                self.record(&claim, first, &seal, next.run(request).await).await
            }
        }
    }

    /// Keeps the answer of a request that succeeded. The request has had its effect by now, so a failure of the table does not
    /// change the answer. A request that ended with a server error may have had its effect too: the next attempt names what it
    /// creates as the `first` attempt did.
    async fn record(&self, claim: &Claim, first: Uuid, seal: &Seal, response: Response) -> Result<Response, Error> {
        let (parts, body) = response.into_parts();
        let body: Bytes = to_bytes(body, usize::MAX).await.map_err(Error::internal)?;
        let recorded = if !parts.status.is_success() {
            let undone = !parts.status.is_server_error() && first == claim.holder;
            self.store.release(claim, undone).await
        } else if parts.extensions.get::<Repeatable>().is_some() {
            self.store.keep(claim, StoredResponse::Repeatable).await
        } else {
            match seal.seal(parts.status, &parts.headers, &body)? {
                sealed if sealed.len() <= limits::KEPT_ANSWER_BYTES => {
                    self.store.keep(claim, StoredResponse::Kept(sealed)).await
                }
                _ => self.store.keep(claim, StoredResponse::TooLarge).await,
            }
        };
        if let Err(error) = recorded {
            warn!(status = parts.status.as_u16(), causes = error.chain(), "answer of an idempotent request not kept");
        }
        Ok(Response::from_parts(parts, body.into()))
    }
}

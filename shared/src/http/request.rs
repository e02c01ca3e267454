//! Requests, read the contract's way, and the frame of every API function.

use std::sync::Arc;

use axum::{Extension, Router};
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::auth::{self, Authentication};
use super::{PublicBase, respond};
use crate::domain::{Error, limits};
use crate::ports::{Clock, Keys};

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

/// An API function: its routes behind the key, with the contract's 404 and 405, and both slash forms.
///
/// Routes are written below `/api/v1` and without the last slash.
pub fn api<K: Keys + 'static, C: Clock + 'static>(routes: Router, auth: Authentication<K, C>, base: PublicBase) -> Router {
    let routes = routes.fallback(unknown).method_not_allowed_fallback(wrong_method);
    let routes = Router::new().nest("/api/v1", routes).fallback(unknown);
    let routes = routes.layer(Extension(base)).layer(from_fn_with_state(Arc::new(auth), auth::layer));
    // A layer sees a request after its router has matched it, so the slash goes in a router around this one.
    Router::new().fallback_service(routes).layer(from_fn(async |request, next: axum::middleware::Next| next.run(without_last_slash(request)).await))
}

async fn unknown() -> Response {
    respond::<()>(Err(Error::NotFound))
}

/// 405 in the contract's form, for a path whose other methods live elsewhere.
pub async fn wrong_method(method: Method) -> Response {
    respond::<()>(Err(Error::MethodNotAllowed(method.to_string())))
}

/// Every client sends the slash, curl users leave it out, and a redirect is an error to all (contract, 1.2).
fn without_last_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    let Some(short) = path.strip_suffix('/').filter(|short| !short.is_empty()) else { return request };
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{short}?{query}"),
        None => short.to_owned(),
    };
    if let Ok(path_and_query) = PathAndQuery::try_from(path_and_query) {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

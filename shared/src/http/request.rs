//! Requests, read the contract's way, and the frame of every API function.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use http::uri::PathAndQuery;
use http::{Method, Uri};
use lambda_http::request::RequestContext;

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
pub fn api<K: Keys + 'static, C: Clock + 'static>(
    routes: Router,
    auth: Authentication<K, C>,
    base: PublicBase,
) -> Router {
    let routes = routes.fallback(unknown).method_not_allowed_fallback(wrong_method);
    let routes = Router::new().nest("/api/v1", routes).fallback(unknown);
    let routes = routes.layer(Extension(base)).layer(from_fn_with_state(Arc::new(auth), auth::layer));
    // A layer sees a request after its router has matched it, so the path is put right in a router around this one.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(async |request, next: axum::middleware::Next| next.run(as_routed(request)).await))
}

async fn unknown() -> Response {
    respond::<()>(Err(Error::NotFound))
}

/// 405 in the contract's form, for a path whose other methods live elsewhere.
pub async fn wrong_method(method: Method) -> Response {
    respond::<()>(Err(Error::MethodNotAllowed(method.to_string())))
}

/// The request with the path that routes are written for: without the stage, which the gateway puts in front unless it
/// is `$default`, and without the last slash, which every client sends and curl users leave out (contract, 1.2).
fn as_routed(mut request: Request) -> Request {
    let path = request.uri().path();
    let unstaged = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(gateway)) => {
            gateway.stage.as_deref().and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage))
        }
        _ => None,
    };
    let short = unstaged.filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let short = short.strip_suffix('/').filter(|short| !short.is_empty()).unwrap_or(short);
    if short.len() == path.len() {
        return request;
    }
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

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn routed(stage: Option<&str>, uri: &str) -> String {
        let mut request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        if let Some(stage) = stage {
            let context = serde_json::json!({"stage": stage, "http": {"method": "GET"}, "timeEpoch": 0});
            let context = serde_json::from_value(context).unwrap();
            request.extensions_mut().insert(RequestContext::ApiGatewayV2(context));
        }
        as_routed(request).uri().to_string()
    }

    #[test]
    fn both_slash_forms_are_one_path() {
        for uri in ["/api/v1/webhooks", "/api/v1/webhooks/"] {
            assert_eq!(routed(Some("$default"), uri), "/api/v1/webhooks");
        }
        assert_eq!(routed(None, "/api/v1/webhooks/?limit=1"), "/api/v1/webhooks?limit=1");
        assert_eq!(routed(None, "/"), "/");
    }

    #[test]
    fn a_named_stage_is_no_part_of_the_path() {
        assert_eq!(routed(Some("prod"), "/prod/api/v1/webhooks/?limit=1"), "/api/v1/webhooks?limit=1");
        assert_eq!(routed(Some("prod"), "/production/x"), "/production/x");
    }
}

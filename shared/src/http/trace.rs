//! The outermost layer: every request has an id and one log line. The id is in the answer and in each log line of the request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use lambda_http::Context;
use lambda_http::request::RequestContext;
use tracing::{Instrument, error_span, info};
use uuid::Uuid;

use super::Caller;
use super::headers::REQUEST_ID;

/// Facts of a request from the inner layers, for its log line: an extension of the response.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) caller: Option<Caller>,
    pub(super) route: Option<MatchedPath>,
}

/// The layer. What is logged holds no query, no body and no header (I11).
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let invocation = request.extensions().get::<Context>().map(|context| context.request_id.clone());
    // At the level of errors, so that their lines have it whatever the level of the log is.
    let span = error_span!("request", request.id = id, requestId = invocation);
    async {
        let (begun, method) = (Instant::now(), request.method().clone());
        let mut response = next.run(request).await;
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        let seen = response.extensions().get::<Seen>();
        let caller = seen.and_then(|seen| seen.caller.as_ref());
        info!(
            %method,
            route = seen.and_then(|seen| seen.route.as_ref()).map(MatchedPath::as_str),
            status = response.status().as_u16(),
            duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            organization.uid = caller.map(|caller| caller.organization.to_string()),
            key = caller.map(Caller::key_id),
            "request answered"
        );
        response
    }
    .instrument(span)
    .await
}

/// The gateway's id of the request, which its access log has too.
fn request_id(request: &Request) -> String {
    let gateway = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(gateway)) => gateway.request_id.clone(),
        _ => None,
    };
    gateway.unwrap_or_else(|| Uuid::now_v7().to_string())
}

//! The frame of every API function: the layers around its routes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_MATCH, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};
use lambda_http::request::RequestContext;
use serde::Deserialize;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::auth::Authentication;
use super::headers::{API_KEY, IDEMPOTENCY_KEY, RATE_LIMIT, RATE_REMAINING, RATE_RESET, REQUEST_ID};
use super::throttle::{self, Throttle};
use super::trace::{self, Seen};
use super::{Caller, PublicBase, idempotency, strays};
use crate::domain::access::rate_limit::{RateLimit, RateLimitStatus, Requester, Usage};
use crate::domain::{Error, Timestamp, show};
use crate::ports::{Clock, Idempotency, Keys, RateLimits};

/// The life of a preflight's answer in a browser.
const PREFLIGHT: Duration = Duration::from_secs(3_600);
/// The path of the API's description, as it is routed.
const DESCRIPTION: &str = "/api/v1/openapi.json";

/// The settings of a deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address of the API.
    pub public_base_url: PublicBase,
    /// The age at which a process reads a key again. A revoked key works so long.
    pub key_cache_seconds: u64,
    /// The limit of a key without a limit of its own.
    pub limit: RateLimit,
    /// The limit of an address without a valid key.
    pub unauthenticated_limit: RateLimit,
    /// The origin whose pages may call it from a browser.
    pub cors_origin: Origin,
    /// Whether the description of the API is answered without a key.
    pub public_description: bool,
}

/// An origin, or none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(Option<HeaderValue>);

impl TryFrom<String> for Origin {
    type Error = http::header::InvalidHeaderValue;

    fn try_from(origin: String) -> Result<Self, Self::Error> {
        let header = HeaderValue::try_from(origin)?;
        Ok(Self(Some(header).filter(|header| !header.is_empty())))
    }
}

/// The state of the layers.
pub(super) struct Frame<S, C> {
    pub(super) store: S,
    pub(super) clock: C,
    limit: RateLimit,
    unauthenticated_limit: RateLimit,
    public_description: bool,
    authentication: Authentication,
    throttle: Throttle,
}

/// An API function: its routes in their frame. From the outside in: the request's id and its line in the log; browsers of
/// the configured origin; both slash forms; the key and the rate limit; idempotency keys; parameters of calls that have none; the
/// contract's 404 and 405.
///
/// Routes are written below `/api/v1` and without the last slash.
pub fn api<S, C>(routes: Router, store: S, clock: C, settings: Settings) -> Router
where
    S: Keys + RateLimits + Idempotency + 'static,
    C: Clock + 'static,
{
    let frame = Arc::new(Frame {
        store,
        clock,
        limit: settings.limit,
        unauthenticated_limit: settings.unauthenticated_limit,
        public_description: settings.public_description,
        authentication: Authentication::new(Duration::from_secs(settings.key_cache_seconds)),
        throttle: Throttle::default(),
    });
    let routes = routes.fallback(unknown).method_not_allowed_fallback(wrong_method);
    let routes = Router::new()
        .nest("/api/v1", routes)
        .fallback(unknown)
        .layer(from_fn(strays::layer))
        .layer(Extension(settings.public_base_url))
        .layer(from_fn_with_state(Arc::clone(&frame), idempotency::layer))
        .layer(from_fn_with_state(frame, admit));
    // A layer sees a request after its router has matched it, so the path is put right in a router around this one.
    let outer = Router::new().fallback_service(routes).layer(map_request(async |request: Request| as_routed(request)));
    let outer = match settings.cors_origin {
        Origin(Some(origin)) => outer.layer(cors(origin)),
        Origin(None) => outer,
    };
    outer.layer(from_fn(trace::layer))
}

/// Preflights are answered here, without a key: browsers send none.
fn cors(origin: HeaderValue) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::exact(origin))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([API_KEY, CONTENT_TYPE, ACCEPT, IF_MATCH, IDEMPOTENCY_KEY])
        .expose_headers([RATE_LIMIT, RATE_REMAINING, RATE_RESET, RETRY_AFTER, ETAG, REQUEST_ID])
        .max_age(PREFLIGHT)
}

/// The caller, its rate limit, and whether the request is served.
struct Admission {
    caller: Option<Caller>,
    status: RateLimitStatus,
    verdict: Result<(), Error>,
}

/// The layer of keys and rate limits. It is in front of all paths, so unknown paths answer 401 and 429 as well. The description
/// of the API needs no key if the deployment says so; without one it counts for the address.
async fn admit<S, C>(State(frame): State<Arc<Frame<S, C>>>, mut request: Request, next: Next) -> Response
where
    S: Keys + RateLimits,
    C: Clock,
{
    let key = request.headers().get(API_KEY).and_then(|value| value.to_str().ok());
    let address = throttle::address(&request);
    let Admission { caller, status, verdict } = frame.admission(key, address, frame.clock.now()).await;
    let seen = Seen { caller: caller.clone(), route: request.extensions().get::<MatchedPath>().cloned() };
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(status);
    }
    let verdict = match verdict {
        Err(Error::Unauthenticated) if frame.public_description && is_description(&request) => Ok(()),
        verdict => verdict,
    };
    let mut response = match verdict {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    throttle::show(status, response.headers_mut());
    response.extensions_mut().insert(seen);
    response
}

impl<S: Keys + RateLimits, C> Frame<S, C> {
    async fn admission(&self, key: Option<&str>, address: Requester, now: Timestamp) -> Admission {
        let caller = self.authentication.caller(&self.store, key, now).await;
        let (requester, limit) = match &caller {
            Ok(caller) => (caller.requester(), caller.limit(self.limit)),
            Err(_) => (address, self.unauthenticated_limit),
        };
        let uncounted = limit.status(Usage::default(), now);
        let counted = match &caller {
            // The key was not read, so there is no requester to count.
            Err(Error::StoreUnavailable(_) | Error::Internal(_)) => Ok(uncounted),
            _ => self.throttle.count(&self.store, requester, limit, now).await,
        };
        let (status, counted) = match counted {
            Ok(status) => (status, status.check(now)),
            Err(error) => (uncounted, Err(error)),
        };
        match caller {
            Ok(caller) => Admission { caller: Some(caller), status, verdict: counted },
            Err(denied) => Admission { caller: None, status, verdict: counted.and(Err(denied)) },
        }
    }
}

fn is_description(request: &Request) -> bool {
    request.method() == Method::GET && request.uri().path() == DESCRIPTION
}

async fn unknown(OriginalUri(uri): OriginalUri) -> Error {
    Error::NotFound(format!("No path {}.", show::quoted(uri.path())))
}

/// 405 in the contract's form, for a path whose other methods another function serves.
pub async fn wrong_method(method: Method) -> Error {
    Error::MethodNotAllowed(method.to_string())
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

    /// As `infra/test/settings.test.ts` writes them.
    #[test]
    fn the_settings_are_read_as_infra_writes_them() {
        let written = r#"{"public_base_url":"https://labels.example.com","key_cache_seconds":60,"limit":{"per_minute":100,"per_second":20},"unauthenticated_limit":{"per_minute":30,"per_second":20},"cors_origin":"https://app.example","public_description":true}"#;
        let settings: Settings = serde_json::from_str(written).unwrap();

        assert_eq!(settings.key_cache_seconds, 60);
        assert_eq!(settings.limit, RateLimit { per_minute: 100, per_second: 20 });
        assert_eq!(settings.unauthenticated_limit, RateLimit { per_minute: 30, per_second: 20 });
        assert_eq!(settings.cors_origin.0.unwrap(), "https://app.example");
        assert!(settings.public_description);
        let without_origin: Settings = serde_json::from_str(&written.replace("https://app.example", "")).unwrap();
        assert!(without_origin.cors_origin.0.is_none());
        for wrong in [written.replace("limit", "limits"), written.replace(":60", ":-1"), "{}".to_owned()] {
            assert!(serde_json::from_str::<Settings>(&wrong).is_err(), "{wrong}");
        }
    }

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

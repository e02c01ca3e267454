use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Method, Request};
use lambda_http::Service;
use serde_json::Value;

use crate::domain::access::rate_limit::RateLimit;
use crate::http::{PublicBase, Settings, api};
use crate::testing::{MemoryRequests, StoppedClock};

/// The key of "acme" that may do everything.
pub const ACME: &str = "avk_acme";
/// The key of "acme" that may only read projects.
pub const ACME_PROJECTS: &str = "avk_acme_projects";
/// The key of another organization, "other".
pub const OTHER: &str = "avk_other";

/// An API function, whole: its routes in their frame.
#[derive(Clone, Debug)]
pub struct TestApi(Router);

impl TestApi {
    /// Of these routes, without limits that a test would meet.
    #[must_use]
    pub fn of(routes: Router) -> Self {
        Self::with(routes, MemoryRequests::default(), Self::settings())
    }

    /// Of these routes, in a frame of the test's own.
    #[must_use]
    pub fn with(routes: Router, requests: MemoryRequests, settings: Settings) -> Self {
        Self(api(routes, requests, StoppedClock::at(1_000), settings))
    }

    /// The settings of [`Self::of`].
    #[must_use]
    pub fn settings() -> Settings {
        let limit = RateLimit { per_minute: u32::MAX, per_second: u32::MAX };
        Settings {
            public_base_url: PublicBase::new("https://api.example"),
            limit,
            unauthenticated_limit: limit,
            ..Settings::default()
        }
    }

    /// A call with the key of "acme"; see [`Self::call_as`].
    pub async fn call(&self, call: &str, body: Value) -> (u16, Value) {
        self.call_as(ACME, call, body).await
    }

    /// `call` is method and path below `/api/v1`, as in `GET /webhooks/`; `null` is no body. Answers status and body, `null`
    /// if there is none.
    ///
    /// # Panics
    /// If the call cannot be written or its answer is not JSON.
    #[expect(clippy::unwrap_used, reason = "for tests")]
    pub async fn call_as(&self, key: &str, call: &str, body: Value) -> (u16, Value) {
        let (method, path) = call.split_once(' ').unwrap();
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(format!("/api/v1{path}"))
            .header("x-avala-api-key", key);
        Self::read(self.send(request.body(body).unwrap()).await).await
    }

    /// The same, with an idempotency key.
    ///
    /// # Panics
    /// See [`Self::call_as`].
    #[expect(clippy::unwrap_used, reason = "for tests")]
    pub async fn call_once(&self, idempotency_key: &str, call: &str, body: &Value) -> (u16, Value) {
        let (method, path) = call.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(format!("/api/v1{path}"))
            .header("x-avala-api-key", ACME)
            .header("idempotency-key", idempotency_key);
        Self::read(self.send(request.body(Body::from(body.to_string())).unwrap()).await).await
    }

    /// A request as it is.
    pub async fn send(&self, request: Request<Body>) -> Response {
        match self.0.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Status and body of a response, `null` if there is none.
    ///
    /// # Panics
    /// If the body is not JSON.
    #[expect(clippy::unwrap_used, reason = "for tests")]
    pub async fn read(response: Response) -> (u16, Value) {
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
    }
}

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Method, Request};
use lambda_http::Service;
use serde_json::Value;

use crate::domain::id::OrganizationUid;
use crate::domain::key::{ApiKey, KeyHash, Scope};
use crate::domain::{Error, Timestamp};
use crate::http::{Authentication, PublicBase, api};
use crate::ports::Keys;
use crate::testing::StoppedClock;

/// The key of "acme" that may do everything.
pub const ACME: &str = "avk_acme";
/// The key of "acme" that may only read projects.
pub const ACME_PROJECTS: &str = "avk_acme_projects";
/// The key of another organization, "other".
pub const OTHER: &str = "avk_other";

struct TestKeys;

impl Keys for TestKeys {
    async fn find_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, Error> {
        let known =
            [(ACME, "acme", vec![]), (ACME_PROJECTS, "acme", vec![Scope::ProjectsRead]), (OTHER, "other", vec![])];
        Ok(known.into_iter().find(|(key, ..)| KeyHash::of(key) == *hash).map(|(_, organization, scopes)| ApiKey {
            organization: OrganizationUid::named(organization),
            name: "test".into(),
            scopes,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
        }))
    }
}

/// An API function, whole: key, slashes, errors and routes.
#[derive(Clone, Debug)]
pub struct TestApi(Router);

impl TestApi {
    /// Of these routes.
    #[must_use]
    pub fn of(routes: Router) -> Self {
        Self(api(
            routes,
            Authentication::new(TestKeys, StoppedClock::at(1_000), Duration::ZERO),
            PublicBase::new("https://api.example"),
        ))
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
        let response = self.0.clone().call(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
    }
}

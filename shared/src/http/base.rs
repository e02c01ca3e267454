//! The address under which clients call: list URLs must carry it (contract, section 4).

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use lambda_http::request::RequestContext;
use serde::Deserialize;

use super::{Paging, respond};
use crate::domain::Error;
use crate::domain::id::Naming;

/// The public base URL, as the deployment knows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "String")]
pub struct PublicBase(Arc<str>);

impl From<String> for PublicBase {
    fn from(configured: String) -> Self {
        Self::new(&configured)
    }
}

impl PublicBase {
    /// The configured URL, without `/api/v1`; empty: the gateway's own address.
    #[must_use]
    pub fn new(configured: &str) -> Self {
        Self(configured.trim_end_matches('/').into())
    }

    /// From the configuration or from what the gateway says about itself, never from a header of the client's.
    fn of(&self, parts: &Parts) -> String {
        match parts.extensions.get::<RequestContext>() {
            _ if !self.0.is_empty() => format!("{}/api/v1", self.0),
            Some(RequestContext::ApiGatewayV2(gateway)) => {
                let domain = gateway.domain_name.as_deref().unwrap_or_default();
                match gateway.stage.as_deref() {
                    None | Some("$default") => format!("https://{domain}/api/v1"),
                    Some(stage) => format!("https://{domain}/{stage}/api/v1"),
                }
            }
            _ => "/api/v1".to_owned(),
        }
    }
}

/// A request for a page of a list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    base: String,
    path: String,
    query: Vec<(String, String)>,
}

impl ListRequest {
    /// Reads the page that is asked for; `filters` are the names that the list knows.
    ///
    /// # Errors
    /// `InvalidCursor`.
    pub fn paging(&self, filters: &[&str]) -> Result<Paging, Error> {
        Paging::read(&self.base, &self.path, &self.query, filters)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ListRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let base = parts.extensions.get::<PublicBase>().map_or_else(String::new, |base| base.of(parts));
        // A query that cannot be read is one without parameters: a list never fails for a stray one.
        let query =
            Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
        Ok(Self { base, path: format!("{}/", parts.uri.path()), query })
    }
}

/// What the request calls what it creates; the layer of idempotency keys puts it there.
impl<S: Send + Sync> FromRequestParts<S> for Naming {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// The caller, put there by the layer in front of every router.
impl<S: Send + Sync> FromRequestParts<S> for super::Caller {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| respond::<()>(Err(Error::Unauthenticated)))
    }
}

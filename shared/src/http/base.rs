//! The public base URL: the URLs of pages carry it (contract, section 4).

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use http::Uri;
use http::request::Parts;
use lambda_http::request::RequestContext;
use serde::Deserialize;

use super::Paging;
use crate::domain::Error;

/// The public base URL of a deployment.
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

    /// From the configuration or from the gateway's event, never from a header of the client.
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
    /// `InvalidCursor`; `Validation` for a parameter that is unknown.
    pub fn paging(&self, filters: &[&str]) -> Result<Paging, Error> {
        Paging::read(&self.base, &self.path, &self.query, filters)
    }

    /// Reads the page of a list that stands in for one of Avala's. Its clients may send filters that the list has there: they are
    /// named in the answer's `ignored_fields`. `filters` are those that it has here.
    ///
    /// # Errors
    /// `InvalidCursor`.
    pub fn stand_in(&self, filters: &[&str]) -> Result<Paging, Error> {
        Paging::open(&self.base, &self.path, &self.query, filters)
    }
}

/// The parameters of a query. One that cannot be read has none.
pub(super) fn parameters(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}

impl<S: Send + Sync> FromRequestParts<S> for ListRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let base = parts.extensions.get::<PublicBase>().map_or_else(String::new, |base| base.of(parts));
        Ok(Self { base, path: format!("{}/", parts.uri.path()), query: parameters(&parts.uri) })
    }
}

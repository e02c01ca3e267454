//! Rate limits: every request is counted in the table, for its key or else for the address that it comes from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use axum::extract::Request;
use http::HeaderMap;
use lambda_http::request::RequestContext;

use super::headers::{RATE_LIMIT, RATE_REMAINING, RATE_RESET};
use crate::domain::access::rate_limit::{RateLimit, RateLimitStatus, Requester};
use crate::domain::{Error, Timestamp};
use crate::ports::RateLimits;

/// The capacity of the memory. A full memory is cleared.
const REFUSED: usize = 1_000;

/// The requesters that have used up their limit. The process refuses them by itself, so that a flood costs the table nothing.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    refused: Mutex<HashMap<Requester, RateLimitStatus>>,
}

impl Throttle {
    /// Counts a request, unless this process knows that it is one too many.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub(super) async fn count(
        &self,
        counters: &impl RateLimits,
        requester: Requester,
        limit: RateLimit,
        now: Timestamp,
    ) -> Result<RateLimitStatus, Error> {
        if let Some(status) = self.refused_before(&requester, now) {
            return Ok(status);
        }
        let status = limit.status(counters.count(&requester, now).await?, now);
        if status.check(now).is_err() {
            self.remember(requester, status);
        }
        Ok(status)
    }

    fn refused_before(&self, requester: &Requester, now: Timestamp) -> Option<RateLimitStatus> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(requester).copied().filter(|status| status.check(now).is_err())
    }

    fn remember(&self, requester: Requester, status: RateLimitStatus) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= REFUSED {
            refused.clear();
        }
        refused.insert(requester, status);
    }
}

/// The source address of the request, from the gateway. A header of the client would be the client's choice.
pub(super) fn address(request: &Request) -> Requester {
    let gateway = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(gateway)) => gateway.http.source_ip.as_deref(),
        _ => None,
    };
    let address = gateway.and_then(|address| address.parse().ok());
    Requester::at(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

/// Adds the headers of the rate limit.
pub(super) fn show(status: RateLimitStatus, headers: &mut HeaderMap) {
    headers.insert(RATE_LIMIT, status.limit.into());
    headers.insert(RATE_REMAINING, status.remaining.into());
    headers.insert(RATE_RESET, status.resets_at.into());
}

use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;
use shared::domain::Timestamp;
use shared::domain::access::api_key::Scope;
use shared::domain::access::rate_limit::RateLimitStatus;
use shared::http::{Answer, Caller};
use shared::ports::Organizations;
use utoipa::ToSchema;

use crate::workspace::OrganizationView;
use crate::{Api, CatalogPorts};

/// The key of a request: everything but the key itself (I11).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
#[schema(example = json!({
    "name": "ci", "scopes": ["projects.read", "results.write"], "is_unrestricted": false, "requests_per_minute": 100, "expires_at": null,
}))]
pub(crate) struct KeyView {
    /// For people; a review records it as its reviewer.
    name: String,
    /// What it may do. All scopes, if it has none of its own.
    scopes: Vec<Scope>,
    /// It has no scopes of its own: it may do everything, also what a later scope allows.
    is_unrestricted: bool,
    organization: OrganizationView,
    /// How many requests it may make in a minute.
    requests_per_minute: u32,
    created_at: Timestamp,
    /// `null`: never.
    #[schema(required)]
    expires_at: Option<Timestamp>,
}

/// Show your key.
///
/// The key that the request is made with: its name, its scopes, its organization and its rate. Scope: none; every key may
/// call it.
#[utoipa::path(
    get, path = "/keys/me/", tag = "workspace",
    responses((status = 200, description = "The key.", body = KeyView)),
)]
pub(crate) async fn me<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Extension(limit): Extension<RateLimitStatus>,
) -> Answer<KeyView> {
    let organization =
        api.store.organization(caller.organization).await?.ok_or_else(|| caller.organization.missing())?;
    let key = caller.key();
    Ok(Json(KeyView {
        name: key.name.clone(),
        scopes: key.allowed().to_vec(),
        is_unrestricted: key.is_unrestricted(),
        organization: organization.into(),
        requests_per_minute: limit.limit,
        created_at: key.created_at,
        expires_at: key.expires_at,
    }))
}

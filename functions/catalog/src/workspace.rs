//! The caller's organization, and lists of Avala's API that are always empty here: the official clients read them (contract,
//! 11.3).

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use shared::domain::access::organization::Organization;
use shared::domain::id::OrganizationUid;
use shared::http::{Answer, Caller, ListRequest, PageView, PagingParameters};
use shared::ports::{Organizations, Page};
use utoipa::ToSchema;

use crate::{Api, CatalogPorts};

/// An organization on the wire (contract, 11.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub(crate) struct OrganizationView {
    uid: OrganizationUid,
    name: String,
    slug: String,
    /// Always: only an administrator makes organizations, and nothing suspends one.
    is_verified: bool,
    /// See `is_verified`.
    is_active: bool,
}

/// What the lists that are always empty have no row of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nothing {}

impl From<Organization> for OrganizationView {
    fn from(Organization { uid, name, slug }: Organization) -> Self {
        Self { uid, name, slug, is_verified: true, is_active: true }
    }
}

/// List organizations: the caller's, whatever the key may do, since clients try a new key by it.
#[utoipa::path(
    get, path = "/organizations/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "The key's organization.", body = PageView<OrganizationView>)),
)]
pub(crate) async fn organizations<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<OrganizationView>> {
    let paging = request.stand_in()?;
    let own = api.store.organization(caller.organization).await?;
    Ok(Json(paging.view(Page::whole(own.into_iter().collect()), OrganizationView::from)))
}

/// The API's description, as the crate `openapi` prints it.
const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");

/// Describe the API: this document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "workspace",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)),
)]
pub(crate) async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION)
}

/// List agents: always empty.
#[utoipa::path(
    get, path = "/agents/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "An empty page.", body = PageView<Nothing>)),
)]
pub(crate) async fn agents(request: ListRequest) -> Answer<PageView<Nothing>> {
    nothing(&request)
}

/// List exports: always empty.
#[utoipa::path(
    get, path = "/exports/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "An empty page.", body = PageView<Nothing>)),
)]
pub(crate) async fn exports(request: ListRequest) -> Answer<PageView<Nothing>> {
    nothing(&request)
}

/// List storage configurations: always empty.
#[utoipa::path(
    get, path = "/storage-configs/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "An empty page.", body = PageView<Nothing>)),
)]
pub(crate) async fn storage_configs(request: ListRequest) -> Answer<PageView<Nothing>> {
    nothing(&request)
}

fn nothing(request: &ListRequest) -> Answer<PageView<Nothing>> {
    request.stand_in().map(|paging| Json(paging.empty()))
}

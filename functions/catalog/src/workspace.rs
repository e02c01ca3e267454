//! What surrounds the projects: the caller's organization, and the lists of the original that are always empty here, since
//! the official clients read them (contract, 11.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::domain::Error;
use shared::domain::access::organization::Organization;
use shared::domain::id::OrganizationUid;
use shared::http::{Caller, ListRequest, PageView, PagingParameters, respond};
use shared::ports::{Clock, Files, Objects, Organizations, Page};
use utoipa::ToSchema;

use crate::App;

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
pub(crate) async fn organizations<S: Organizations, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list_organizations(&caller, &request).await.map(Json))
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
pub(crate) async fn agents(request: ListRequest) -> Response {
    nothing(&request)
}

/// List exports: always empty.
#[utoipa::path(
    get, path = "/exports/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "An empty page.", body = PageView<Nothing>)),
)]
pub(crate) async fn exports(request: ListRequest) -> Response {
    nothing(&request)
}

/// List storage configurations: always empty.
#[utoipa::path(
    get, path = "/storage-configs/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "An empty page.", body = PageView<Nothing>)),
)]
pub(crate) async fn storage_configs(request: ListRequest) -> Response {
    nothing(&request)
}

fn nothing(request: &ListRequest) -> Response {
    respond(request.paging(&[]).map(|paging| Json(paging.empty::<Nothing>())))
}

impl<S: Organizations, O: Objects, F: Files, C: Clock> App<S, O, F, C> {
    async fn list_organizations(
        &self,
        caller: &Caller,
        request: &ListRequest,
    ) -> Result<PageView<OrganizationView>, Error> {
        let paging = request.paging(&[])?;
        let own = self.store.organization(caller.organization).await?;
        Ok(paging.view(Page::whole(own.into_iter().collect()), OrganizationView::from))
    }
}

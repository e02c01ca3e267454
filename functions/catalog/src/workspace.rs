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

/// An organization (contract, 11.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
#[schema(example = json!({"name": "acme", "slug": "acme"}))]
pub(crate) struct OrganizationView {
    uid: OrganizationUid,
    name: String,
    slug: String,
    /// Always `true`: only an administrator makes organizations.
    is_verified: bool,
    /// Always `true`: nothing suspends an organization.
    is_active: bool,
}

/// A row of a list that is always empty.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nothing {}

impl From<Organization> for OrganizationView {
    fn from(Organization { uid, name, slug }: Organization) -> Self {
        Self { uid, name, slug, is_verified: true, is_active: true }
    }
}

/// List organizations.
///
/// The organization of the key, and no other. The official clients test a new key by this call. Scope: none; every key
/// may call it.
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
    let paging = request.stand_in(&[])?;
    let own = api.store.organization(caller.organization).await?;
    Ok(Json(paging.view(Page::whole(own.into_iter().collect()), OrganizationView::from)))
}

/// Who calls: a key belongs to its organization, and there are no users beside it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
#[schema(example = json!({"username": "acme"}))]
pub(crate) struct UserView {
    /// The organization's uid: it stays if the key is replaced.
    uid: OrganizationUid,
    /// The organization's slug, which owns its datasets.
    username: String,
}

/// Show who you are.
///
/// The official client reads the uid, and keeps under it what it has uploaded. Scope: none; every key may call it.
#[utoipa::path(
    get, path = "/users/me/", tag = "workspace", operation_id = "user",
    responses((status = 200, description = "The organization of the key, as a user.", body = UserView)),
)]
pub(crate) async fn me<P: CatalogPorts>(State(api): Api<P>, caller: Caller) -> Answer<UserView> {
    let own = api.store.organization(caller.organization).await?.ok_or_else(|| caller.organization.missing())?;
    Ok(Json(UserView { uid: own.uid, username: own.slug }))
}

/// The API's description, as the crate `openapi` prints it.
const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");

/// Describe the API.
///
/// This document. It is answered without a key, unless the deployment has turned that off (its setting
/// `publicDescription`). Without a key, the rate limit of the address counts. Scope: none; every key may call it.
#[utoipa::path(
    get, path = "/openapi.json", tag = "workspace",
    security((), ("api_key" = [])),
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value, example = json!({"openapi": "3.1.0", "info": {"title": "Autolabel", "version": "0.1.0"}, "paths": {}}))),
)]
pub(crate) async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION)
}

/// List agents.
///
/// Always empty. The official clients read this list. Scope: none; every key may call it.
#[utoipa::path(
    get, path = "/agents/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "An empty page.", body = PageView<Nothing>, example = json!({"results": []}))),
)]
pub(crate) async fn agents(request: ListRequest) -> Answer<PageView<Nothing>> {
    nothing(&request)
}

/// List storage configurations.
///
/// Always empty. The official clients read this list. Scope: none; every key may call it.
#[utoipa::path(
    get, path = "/storage-configs/", tag = "workspace",
    params(PagingParameters),
    responses((status = 200, description = "An empty page.", body = PageView<Nothing>, example = json!({"results": []}))),
)]
pub(crate) async fn storage_configs(request: ListRequest) -> Answer<PageView<Nothing>> {
    nothing(&request)
}

fn nothing(request: &ListRequest) -> Answer<PageView<Nothing>> {
    request.stand_in(&[]).map(|paging| Json(paging.empty()))
}

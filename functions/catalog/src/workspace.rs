//! What surrounds the projects: the caller's organization, and the lists of the original that are always empty here, since
//! the official clients read them (contract, 11.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use shared::domain::Error;
use shared::domain::id::OrganizationUid;
use shared::domain::organization::Organization;
use shared::http::{Caller, ListRequest, PageView, respond};
use shared::ports::{Clock, Objects, Organizations, Page};

use crate::App;

/// An organization on the wire (contract, 11.1).
#[derive(Debug, Serialize)]
pub(crate) struct OrganizationView {
    uid: OrganizationUid,
    name: String,
    slug: String,
    /// Always: only an administrator makes organizations, and nothing suspends one.
    is_verified: bool,
    is_active: bool,
}

impl From<Organization> for OrganizationView {
    fn from(Organization { uid, name, slug }: Organization) -> Self {
        Self { uid, name, slug, is_verified: true, is_active: true }
    }
}

/// `GET /organizations/`: the caller's, whatever the key may do, since clients try a new key by it.
pub(crate) async fn organizations<S: Organizations, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list_organizations(&caller, &request).await.map(Json))
}

/// `GET /agents/`, `/exports/`, `/storage-configs/`.
pub(crate) async fn nothing(request: ListRequest) -> Response {
    respond(request.paging(&[]).map(|paging| Json(paging.empty::<()>())))
}

impl<S: Organizations, O: Objects, C: Clock> App<S, O, C> {
    async fn list_organizations(
        &self,
        caller: &Caller,
        request: &ListRequest,
    ) -> Result<PageView<OrganizationView>, Error> {
        let paging = request.paging(&[])?;
        let own = self.store.organization(caller.organization).await?;
        Ok(paging.view(Page { entries: own.into_iter().collect(), next: None }, OrganizationView::from))
    }
}

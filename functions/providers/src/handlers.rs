use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::domain::Error;
use shared::domain::id::ProviderUid;
use shared::domain::key::Scope;
use shared::domain::provider::{InferenceProvider, UNKNOWN_PROJECT};
use shared::http::{Body, Caller, ListRequest, PageView, Path, respond};
use shared::ports::{Clock, Projects, Providers};
use tracing::info;

use crate::{App, ProviderView};

const READ: &[Scope] = &[Scope::InferenceRead];
const WRITE: &[Scope] = &[Scope::InferenceWrite];

/// `POST /inference-providers/`: 201 with the provider.
pub(crate) async fn create<S: Providers + Projects, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Body(body): Body,
) -> Response {
    respond(app.create(&caller, &body).await.map(|provider| (StatusCode::CREATED, Json(ProviderView::of(provider)))))
}

/// `GET /inference-providers/`.
pub(crate) async fn list<S: Providers + Projects, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list(&caller, &request).await.map(Json))
}

/// `GET /inference-providers/{uid}/`.
pub(crate) async fn get<S: Providers + Projects, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.get(&caller, READ, &uid).await.map(|provider| Json(ProviderView::of(provider))))
}

/// `PATCH /inference-providers/{uid}/`.
pub(crate) async fn update<S: Providers + Projects, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Response {
    respond(app.update(&caller, &uid, &body).await.map(|provider| Json(ProviderView::of(provider))))
}

/// `DELETE /inference-providers/{uid}/`: 204, also if a job uses it: that job fails (contract, 8.2).
pub(crate) async fn remove<S: Providers + Projects, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.remove(&caller, &uid).await.map(|()| StatusCode::NO_CONTENT))
}

impl<S: Providers + Projects, C: Clock> App<S, C> {
    async fn create(&self, caller: &Caller, body: &[u8]) -> Result<InferenceProvider, Error> {
        caller.needs(WRITE)?;
        let provider = InferenceProvider::read(body, caller.organization, self.clock.now())?;
        self.check_project(&provider).await?;
        self.store.add_provider(&provider).await?;
        info!(provider.uid = %provider.uid, "provider created");
        Ok(provider)
    }

    async fn list(&self, caller: &Caller, request: &ListRequest) -> Result<PageView<ProviderView>, Error> {
        caller.needs(READ)?;
        let paging = request.paging(&[])?;
        let page = self.store.providers(caller.organization, &paging.slice()).await?;
        Ok(paging.view(page, ProviderView::of))
    }

    async fn get(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<InferenceProvider, Error> {
        caller.needs(scopes)?;
        self.store.provider(caller.organization, ProviderUid::parse(uid)?).await
    }

    async fn update(&self, caller: &Caller, uid: &str, body: &[u8]) -> Result<InferenceProvider, Error> {
        let provider = self.get(caller, WRITE, uid).await?.changed(body, self.clock.now())?;
        self.check_project(&provider).await?;
        self.store.update_provider(&provider).await?;
        Ok(provider)
    }

    async fn remove(&self, caller: &Caller, uid: &str) -> Result<(), Error> {
        caller.needs(WRITE)?;
        self.store.remove_provider(caller.organization, ProviderUid::parse(uid)?).await
    }

    /// # Errors
    /// `Validation` if the provider is for a project that the organization does not have.
    async fn check_project(&self, provider: &InferenceProvider) -> Result<(), Error> {
        let Some(project) = provider.project else { return Ok(()) };
        match self.store.project(provider.organization, project).await {
            Ok(_) => Ok(()),
            Err(Error::NotFound) => Err(Error::field("project", UNKNOWN_PROJECT)),
            Err(error) => Err(error),
        }
    }
}

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{Naming, ProviderUid};
use shared::domain::provider::connection::{Connection, Credentials};
use shared::domain::provider::{InferenceProvider, UNKNOWN_PROJECT};
use shared::egress::{same_origin, url_field};
use shared::http::{Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem, respond};
use shared::ports::{Clock, Projects, Providers, Secrets};
use tracing::info;

use crate::probe::probe;
use crate::view::{NewProvider, ProviderChange};
use crate::{App, Ports, ProviderView, TestView};

const READ: &[Scope] = &[Scope::InferenceRead];
const WRITE: &[Scope] = &[Scope::InferenceWrite];
/// Tries to write over what was read: sealing takes its time, and somebody else may be quicker.
const TRIES: usize = 2;

type Shared<P> = State<Arc<App<P>>>;

/// Add a provider. Its credentials are sealed, and shown to nobody any more.
#[utoipa::path(
    post, path = "/inference-providers/", tag = "inference providers",
    request_body = NewProvider,
    responses((status = 201, description = "The provider.", body = ProviderView)),
)]
pub(crate) async fn create<P: Ports>(
    State(app): Shared<P>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Response {
    respond(app.create(&caller, &naming, &body).await.map(|provider| (StatusCode::CREATED, Json(provider))))
}

/// List providers.
#[utoipa::path(
    get, path = "/inference-providers/", tag = "inference providers",
    params(PagingParameters),
    responses((status = 200, description = "A page of providers.", body = PageView<ProviderView>)),
)]
pub(crate) async fn list<P: Ports>(State(app): Shared<P>, caller: Caller, request: ListRequest) -> Response {
    respond(app.list(&caller, &request).await.map(Json))
}

/// Show a provider.
#[utoipa::path(
    get, path = "/inference-providers/{uid}/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    responses((status = 200, description = "The provider.", body = ProviderView)),
)]
pub(crate) async fn get<P: Ports>(State(app): Shared<P>, caller: Caller, Path(uid): Path<String>) -> Response {
    respond(app.get(&caller, READ, &uid).await.map(|provider| Json(app.view(provider))))
}

/// Change a provider.
#[utoipa::path(
    patch, path = "/inference-providers/{uid}/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    request_body = ProviderChange,
    responses(
        (status = 200, description = "The whole provider.", body = ProviderView),
        (status = 412, description = "`precondition_failed`: others change it all the time; nothing was changed.", body = Problem),
    ),
)]
pub(crate) async fn update<P: Ports>(
    State(app): Shared<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Response {
    respond(app.update(&caller, &uid, &body).await.map(|provider| Json(app.view(provider))))
}

/// Remove a provider. A job that uses it fails.
#[utoipa::path(
    delete, path = "/inference-providers/{uid}/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    responses((status = 204, description = "It is gone.")),
)]
pub(crate) async fn remove<P: Ports>(State(app): Shared<P>, caller: Caller, Path(uid): Path<String>) -> Response {
    respond(app.remove(&caller, &uid).await.map(|()| StatusCode::NO_CONTENT))
}

/// Test a provider, active or not: sends the request of a job, with a small picture, and reads the answer as a job does. An
/// endpoint that fails is no failure of this call.
#[utoipa::path(
    post, path = "/inference-providers/{uid}/test/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    responses((status = 200, description = "How it went; it is kept in `last_test_at` and `last_test_success`.", body = TestView)),
)]
pub(crate) async fn test<P: Ports>(State(app): Shared<P>, caller: Caller, Path(uid): Path<String>) -> Response {
    respond(app.test(&caller, &uid).await.map(Json))
}

impl<P: Ports> App<P> {
    async fn create(&self, caller: &Caller, naming: &Naming, body: &[u8]) -> Result<ProviderView, Error> {
        caller.needs(WRITE)?;
        let url = url_field(self.loopback_http);
        let (mut provider, sent) = InferenceProvider::read(body, caller.organization, self.clock.now(), url)?;
        provider.uid = ProviderUid::named(naming, provider.created_at, 0);
        let credentials = sent.completed(&Credentials::default())?;
        self.check_project(&provider).await?;
        let provider = self.seal(provider, &credentials).await?;
        let before = self.store.add_provider(&provider).await?;
        info!(provider.uid = %provider.uid, "provider created");
        Ok(self.view(before.unwrap_or(provider)))
    }

    fn view(&self, provider: InferenceProvider) -> ProviderView {
        ProviderView::of(provider, &self.trust)
    }

    async fn list(&self, caller: &Caller, request: &ListRequest) -> Result<PageView<ProviderView>, Error> {
        caller.needs(READ)?;
        let paging = request.paging(&[])?;
        let page = self.store.providers(caller.organization, &paging.slice()).await?;
        Ok(paging.view(page, |provider| self.view(provider)))
    }

    async fn get(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<InferenceProvider, Error> {
        caller.needs(scopes)?;
        self.store.provider(caller.organization, ProviderUid::parse(uid)?).await
    }

    async fn update(&self, caller: &Caller, uid: &str, body: &[u8]) -> Result<InferenceProvider, Error> {
        for _ in 0..TRIES {
            let before = self.get(caller, WRITE, uid).await?;
            let url = url_field(self.loopback_http);
            let (mut after, sent) = before.clone().changed(body, self.clock.now(), url)?;
            self.check_project(&after).await?;
            if let Some(sent) = sent {
                let stored =
                    if sent.has_masks() { self.stored(&before, &after).await? } else { Credentials::default() };
                after = self.seal(after, &sent.completed(&stored)?).await?;
            }
            if self.store.update_provider(&before, &after).await? {
                return Ok(after);
            }
        }
        Err(Error::PreconditionFailed)
    }

    async fn remove(&self, caller: &Caller, uid: &str) -> Result<(), Error> {
        caller.needs(WRITE)?;
        self.store.remove_provider(caller.organization, ProviderUid::parse(uid)?).await
    }

    async fn test(&self, caller: &Caller, uid: &str) -> Result<TestView, Error> {
        let provider = self.get(caller, WRITE, uid).await?;
        let probe = probe(&self.objects, &self.web, &self.models, &provider).await?;
        let now = self.clock.now();
        self.store.record_test(&provider, probe.success, now).await?;
        info!(provider.uid = %provider.uid, success = probe.success, problem = ?probe.problem, "provider tested");
        Ok(TestView::of(probe, now))
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

    /// What a mask in a change may stand for: nothing that would go to another host than it was given for (contract, D17).
    async fn stored(&self, before: &InferenceProvider, after: &InferenceProvider) -> Result<Credentials, Error> {
        match (&before.connection, &after.connection) {
            (Connection::Http(old), Connection::Http(new)) if same_origin(&old.endpoint_url, &new.endpoint_url) => {
                self.secrets.credentials(before).await
            }
            _ => Ok(Credentials::default()),
        }
    }

    /// The provider with these credentials, which from here on nobody sees (I11).
    async fn seal(
        &self,
        mut provider: InferenceProvider,
        credentials: &Credentials,
    ) -> Result<InferenceProvider, Error> {
        let context = provider.secret_context();
        if let Connection::Http(endpoint) = &mut provider.connection {
            endpoint.headers = credentials.header_names();
            endpoint.sealed = match credentials.to_text()? {
                Some(text) => Some(self.secrets.seal(&context, &text).await?),
                None => None,
            };
        }
        Ok(provider)
    }
}

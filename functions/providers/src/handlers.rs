use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::fields::Fields;
use shared::domain::id::{Naming, ProviderUid};
use shared::domain::provider::connection::{Connection, Credentials};
use shared::domain::provider::{InferenceProvider, NewProvider, ProviderChange, no_project};
use shared::egress::{same_origin, url_field};
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Clock, Projects, Providers, Secrets};
use tracing::info;

use crate::probe::probe;
use crate::{ProviderApi, ProviderPorts, ProviderView, TestView};

const READ: &[Scope] = &[Scope::InferenceRead];
const WRITE: &[Scope] = &[Scope::InferenceWrite];
/// Tries to write over what was read: sealing takes its time, and another call may change the provider first.
const TRIES: usize = 2;

type Api<P> = State<Arc<ProviderApi<P>>>;

/// Add a provider.
///
/// A provider is where a model lives. Its credentials are encrypted, and no answer shows them. Scope:
/// `inference.write`.
#[utoipa::path(
    post, path = "/inference-providers/", tag = "inference providers",
    request_body = NewProvider,
    responses((status = 201, description = "The provider.", body = ProviderView)),
)]
pub(crate) async fn create<P: ProviderPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Result<(StatusCode, Json<ProviderView>), Error> {
    caller.needs(WRITE)?;
    let url = url_field(api.loopback_http);
    let (mut provider, sent) = InferenceProvider::read(&body, caller.organization, api.clock.now(), url)?;
    provider.uid = ProviderUid::named(&naming, provider.created_at, 0);
    let credentials = sent.completed(&Credentials::default())?;
    api.check_project(&provider).await?;
    let provider = api.seal(provider, &credentials).await?;
    let before = api.store.add_provider(&provider).await?;
    info!(provider.uid = %provider.uid, "provider created");
    Ok((StatusCode::CREATED, Json(api.view(before.unwrap_or(provider)))))
}

/// List providers.
///
/// Every provider of the organization, the newest first. Credentials are masked. Scope: `inference.read`.
#[utoipa::path(
    get, path = "/inference-providers/", tag = "inference providers",
    params(PagingParameters),
    responses((status = 200, description = "A page of providers.", body = PageView<ProviderView>)),
)]
pub(crate) async fn list<P: ProviderPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<ProviderView>> {
    caller.needs(READ)?;
    let paging = request.paging(&[])?;
    let page = api.store.providers(caller.organization, &paging.slice()).await?;
    Ok(Json(paging.view(page, |provider| api.view(provider))))
}

/// Show a provider.
///
/// Credentials are masked. Scope: `inference.read`.
#[utoipa::path(
    get, path = "/inference-providers/{uid}/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    responses((status = 200, description = "The provider.", body = ProviderView)),
)]
pub(crate) async fn get<P: ProviderPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<ProviderView> {
    Ok(Json(api.view(api.provider(&caller, READ, &uid).await?)))
}

/// Change a provider.
///
/// Fields that are not sent stay; a sent `config` replaces the stored one. A `********` in it keeps the stored secret.
/// Scope: `inference.write`.
#[utoipa::path(
    patch, path = "/inference-providers/{uid}/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    request_body = ProviderChange,
    responses(
        (status = 200, description = "The whole provider.", body = ProviderView),
        (status = 412, description = "`precondition_failed`: others change it all the time; nothing was changed.", body = Problem),
    ),
)]
pub(crate) async fn update<P: ProviderPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Answer<ProviderView> {
    for _ in 0..TRIES {
        let before = api.provider(&caller, WRITE, &uid).await?;
        let url = url_field(api.loopback_http);
        let (mut after, sent) = before.clone().changed(&body, api.clock.now(), url)?;
        api.check_project(&after).await?;
        if let Some(sent) = sent {
            let stored = if sent.has_masks() { api.stored(&before, &after).await? } else { Credentials::default() };
            after = api.seal(after, &sent.completed(&stored)?).await?;
        }
        if api.store.update_provider(&before, &after).await? {
            return Ok(Json(api.view(after)));
        }
    }
    Err(Error::keeps_changing())
}

/// Remove a provider.
///
/// An active job that uses it fails. Scope: `inference.write`.
#[utoipa::path(
    delete, path = "/inference-providers/{uid}/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    responses((status = 204, description = "It is gone.")),
)]
pub(crate) async fn remove<P: ProviderPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Result<StatusCode, Error> {
    caller.needs(WRITE)?;
    api.store.remove_provider(caller.organization, ProviderUid::parse(&uid)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a provider.
///
/// Active or not. Sends the request of a job with a small picture, and reads the answer as a job does. If the endpoint
/// fails, the call still answers 200, and the body names the problem. Scope: `inference.write`.
#[utoipa::path(
    post, path = "/inference-providers/{uid}/test/", tag = "inference providers",
    params(("uid" = ProviderUid, Path)),
    responses((status = 200, description = "How it went; it is kept in `last_test_at` and `last_test_success`.", body = TestView)),
)]
pub(crate) async fn test<P: ProviderPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Answer<TestView> {
    let provider = api.provider(&caller, WRITE, &uid).await?;
    Fields::none(&body)?;
    let probe = probe(&api, &provider).await?;
    let now = api.clock.now();
    api.store.record_test(&provider, probe.success, now).await?;
    info!(provider.uid = %provider.uid, success = probe.success, problem = ?probe.problem, "provider tested");
    Ok(Json(TestView::of(probe, now)))
}

impl<P: ProviderPorts> ProviderApi<P> {
    fn view(&self, provider: InferenceProvider) -> ProviderView {
        ProviderView::of(provider, &self.trust)
    }

    /// # Errors
    /// `PermissionDenied`; `NotFound` if malformed, unknown or another tenant's (I10).
    async fn provider(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<InferenceProvider, Error> {
        caller.needs(scopes)?;
        self.store.provider(caller.organization, ProviderUid::parse(uid)?).await
    }

    /// # Errors
    /// `Validation` if the provider is for a project that the organization does not have.
    async fn check_project(&self, provider: &InferenceProvider) -> Result<(), Error> {
        let Some(project) = provider.project else { return Ok(()) };
        match self.store.project(provider.organization, project).await {
            Ok(_) => Ok(()),
            Err(Error::NotFound(_)) => Err(Error::field("project", no_project(&project.to_string()))),
            Err(error) => Err(error),
        }
    }

    /// The stored credentials that masks in a change stand for: none if the change leads to another host (contract, D17).
    async fn stored(&self, before: &InferenceProvider, after: &InferenceProvider) -> Result<Credentials, Error> {
        match (&before.connection, &after.connection) {
            (Connection::Http(old), Connection::Http(new)) if same_origin(&old.endpoint_url, &new.endpoint_url) => {
                self.secrets.credentials(before).await
            }
            _ => Ok(Credentials::default()),
        }
    }

    /// The provider with these credentials, sealed: no answer shows them from here on (I11).
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

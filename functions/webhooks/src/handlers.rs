use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::domain::Error;
use shared::domain::id::{DeliveryUid, WebhookUid};
use shared::domain::key::Scope;
use shared::domain::webhook::{Delivery, DeliveryStatus, NewWebhook, Webhook, WebhookChange};
use shared::egress::url_field;
use shared::http::{Body, Caller, ListRequest, PageView, Path, respond};
use shared::ports::{Clock, DeliveryFilter, Receivers, Secrets, Webhooks};
use shared::webhooks::new_secret;
use tracing::info;

use crate::view::CreatedView;
use crate::{App, DeliveryView, TestView, WebhookView};

const READ: &[Scope] = &[Scope::WebhooksRead];
const WRITE: &[Scope] = &[Scope::WebhooksWrite];

type Shared<S, V, R, C> = State<Arc<App<S, V, R, C>>>;

/// `POST /webhooks/`: 201 with the subscription and, this once, its secret.
pub(crate) async fn create<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    Body(body): Body,
) -> Response {
    respond(app.create(&caller, &body).await.map(|created| (StatusCode::CREATED, Json(created))))
}

/// `GET /webhooks/`.
pub(crate) async fn list<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list(&caller, &request).await.map(Json))
}

/// `GET /webhooks/{uid}/`.
pub(crate) async fn get<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.get(&caller, READ, &uid).await.map(|webhook| Json(WebhookView::of(webhook))))
}

/// `PATCH /webhooks/{uid}/`.
pub(crate) async fn update<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Response {
    respond(app.update(&caller, &uid, &body).await.map(|webhook| Json(WebhookView::of(webhook))))
}

/// `DELETE /webhooks/{uid}/`: 204; what is still to be delivered to it ends at its next attempt.
pub(crate) async fn remove<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.remove(&caller, &uid).await.map(|()| StatusCode::NO_CONTENT))
}

/// `POST /webhooks/{uid}/test/`: one signed request, now.
pub(crate) async fn test<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.test(&caller, &uid).await.map(|delivery| Json(TestView::of(&delivery))))
}

/// `GET /webhook-deliveries/?subscription=&event_type=&status=`.
pub(crate) async fn deliveries<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.deliveries(&caller, &request).await.map(Json))
}

/// `GET /webhook-deliveries/{uid}/`.
pub(crate) async fn delivery<S: Webhooks, V: Secrets, R: Receivers, C: Clock>(
    State(app): Shared<S, V, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.delivery(&caller, &uid).await.map(|delivery| Json(DeliveryView::of(delivery))))
}

impl<S: Webhooks, V: Secrets, R: Receivers, C: Clock> App<S, V, R, C> {
    async fn create(&self, caller: &Caller, body: &[u8]) -> Result<CreatedView, Error> {
        caller.needs(WRITE)?;
        let new = NewWebhook::read(body, url_field(self.loopback_http))?;
        let secret = new.secret.map_or_else(new_secret, Ok)?;
        let now = self.clock.now();
        let (organization, uid) = (caller.organization, WebhookUid::at(now));
        let sealed_secret = self.secrets.seal(&Webhook::secret_context(organization, uid), &secret).await?;
        let webhook = Webhook {
            uid,
            organization,
            target_url: new.target_url,
            events: new.events,
            is_active: new.is_active,
            sealed_secret,
            created_at: now,
            updated_at: now,
        };
        self.store.add_webhook(&webhook).await?;
        info!(webhook.uid = %uid, "webhook created");
        Ok(CreatedView { webhook: WebhookView::of(webhook), secret })
    }

    async fn list(&self, caller: &Caller, request: &ListRequest) -> Result<PageView<WebhookView>, Error> {
        caller.needs(READ)?;
        let paging = request.paging(&[])?;
        let page = self.store.webhooks(caller.organization, &paging.slice()).await?;
        Ok(paging.view(page, WebhookView::of))
    }

    async fn get(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Webhook, Error> {
        caller.needs(scopes)?;
        self.store.webhook(caller.organization, WebhookUid::parse(uid)?).await
    }

    async fn update(&self, caller: &Caller, uid: &str, body: &[u8]) -> Result<Webhook, Error> {
        let webhook = self.get(caller, WRITE, uid).await?;
        let webhook = WebhookChange::read(body, url_field(self.loopback_http))?.of(webhook, self.clock.now());
        self.store.update_webhook(&webhook).await?;
        Ok(webhook)
    }

    async fn remove(&self, caller: &Caller, uid: &str) -> Result<(), Error> {
        caller.needs(WRITE)?;
        self.store.remove_webhook(caller.organization, WebhookUid::parse(uid)?).await
    }

    /// Inactive subscriptions too; recorded with its outcome and never retried (contract, D24).
    async fn test(&self, caller: &Caller, uid: &str) -> Result<Delivery, Error> {
        let webhook = self.get(caller, WRITE, uid).await?;
        let secret = self
            .secrets
            .open(&Webhook::secret_context(webhook.organization, webhook.uid), &webhook.sealed_secret)
            .await?;
        let mut delivery = Delivery::of_test(&webhook, self.clock.now());
        let response = self.receivers.tell(&webhook.target_url, &secret, &delivery).await;
        delivery.attempted(response, None, self.clock.now());
        self.store.add_delivery(&delivery).await?;
        Ok(delivery)
    }

    async fn deliveries(&self, caller: &Caller, request: &ListRequest) -> Result<PageView<DeliveryView>, Error> {
        caller.needs(READ)?;
        let paging = request.paging(&["subscription", "event_type", "status"])?;
        let status = match paging.filter("status") {
            Some(name) => Some(
                DeliveryStatus::named(name)
                    .ok_or_else(|| Error::field("status", "Must be one of pending, delivered, failed."))?,
            ),
            None => None,
        };
        let subscription = match paging.filter("subscription").map(WebhookUid::parse) {
            Some(Err(_)) => return Ok(paging.empty()), // a malformed uid matches nothing (contract, D1)
            Some(Ok(uid)) => Some(uid),
            None => None,
        };
        let filter =
            DeliveryFilter { subscription, event_type: paging.filter("event_type").map(str::to_owned), status };
        let page = self.store.deliveries(caller.organization, &filter, &paging.slice()).await?;
        Ok(paging.view(page, DeliveryView::of))
    }

    async fn delivery(&self, caller: &Caller, uid: &str) -> Result<Delivery, Error> {
        caller.needs(READ)?;
        let delivery = self.store.delivery(DeliveryUid::parse(uid)?).await?;
        delivery.filter(|delivery| delivery.organization == caller.organization).ok_or(Error::NotFound)
    }
}

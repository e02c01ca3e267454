use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{DeliveryUid, Naming, WebhookUid};
use shared::domain::webhook::{Delivery, DeliveryStatus, NewWebhook, Webhook, WebhookChange};
use shared::egress::url_field;
use shared::http::{Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem, respond};
use shared::ports::{Clock, DeliveryFilter, Queue, Secrets, WebhookSender, Webhooks};
use shared::services::outbox;
use shared::webhooks::new_secret;
use tracing::info;

use crate::view::{ChangedWebhook, CreatedView, NewWebhookBody};
use crate::{App, DeliveryView, TestView, WebhookView};

const READ: &[Scope] = &[Scope::WebhooksRead];
const WRITE: &[Scope] = &[Scope::WebhooksWrite];
/// Tries to write over what was read: another call may be quicker with the webhook, or a worker have the delivery, and be
/// done with it after one change.
const TRIES: usize = 2;

type Shared<S, V, Q, R, C> = State<Arc<App<S, V, Q, R, C>>>;

/// Subscribe to events. The answer shows the secret, this once.
#[utoipa::path(
    post, path = "/webhooks/", tag = "webhooks",
    request_body = NewWebhookBody,
    responses(
        (status = 201, description = "The webhook and its secret.", body = CreatedView),
        (status = 409, description = "`too_many`: the organization has as many webhooks as one may have.", body = Problem),
    ),
)]
pub(crate) async fn create<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Response {
    respond(app.create(&caller, &naming, &body).await.map(|created| (StatusCode::CREATED, Json(created))))
}

/// List webhooks.
#[utoipa::path(
    get, path = "/webhooks/", tag = "webhooks",
    params(PagingParameters),
    responses((status = 200, description = "A page of webhooks.", body = PageView<WebhookView>)),
)]
pub(crate) async fn list<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.list(&caller, &request).await.map(Json))
}

/// Show a webhook.
#[utoipa::path(
    get, path = "/webhooks/{uid}/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    responses((status = 200, description = "The webhook, without its secret.", body = WebhookView)),
)]
pub(crate) async fn get<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.get(&caller, READ, &uid).await.map(|webhook| Json(WebhookView::of(webhook))))
}

/// Change a webhook. What is not sent stays; the secret cannot be changed.
#[utoipa::path(
    patch, path = "/webhooks/{uid}/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    request_body = ChangedWebhook,
    responses(
        (status = 200, description = "The webhook as it is now.", body = WebhookView),
        (status = 412, description = "`precondition_failed`: others change it all the time; nothing was changed.", body = Problem),
    ),
)]
pub(crate) async fn update<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Response {
    respond(app.update(&caller, &uid, &body).await.map(|webhook| Json(WebhookView::of(webhook))))
}

/// Remove a webhook. What is still to be delivered to it ends at its next attempt; its deliveries stay on record.
#[utoipa::path(
    delete, path = "/webhooks/{uid}/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    responses((status = 204, description = "The webhook is gone.")),
)]
pub(crate) async fn remove<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.remove(&caller, &uid).await.map(|()| StatusCode::NO_CONTENT))
}

/// Test a webhook: one signed request with the event `webhook.test`, now, also of an inactive one. It is recorded as a
/// delivery and never repeated.
#[utoipa::path(
    post, path = "/webhooks/{uid}/test/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    responses((status = 200, description = "How it went: a receiver that fails is a result, not an error.", body = TestView)),
)]
pub(crate) async fn test<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.test(&caller, &uid).await.map(|delivery| Json(TestView::of(&delivery))))
}

/// List deliveries. They are kept for 30 days.
#[utoipa::path(
    get, path = "/webhook-deliveries/", operation_id = "list", tag = "webhook deliveries",
    params(
        PagingParameters,
        ("subscription" = Option<WebhookUid>, Query, description = "Deliveries to this webhook; an unknown one has none."),
        ("event_type" = Option<String>, Query, description = "Deliveries of this event."),
        ("status" = Option<DeliveryStatus>, Query, description = "Deliveries in this status."),
    ),
    responses(
        (status = 200, description = "A page of deliveries.", body = PageView<DeliveryView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn deliveries<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    request: ListRequest,
) -> Response {
    respond(app.deliveries(&caller, &request).await.map(Json))
}

/// Show a delivery.
#[utoipa::path(
    get, path = "/webhook-deliveries/{uid}/", operation_id = "get", tag = "webhook deliveries",
    params(("uid" = DeliveryUid, Path)),
    responses((status = 200, description = "The delivery as it is now.", body = DeliveryView)),
)]
pub(crate) async fn delivery<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.delivery(&caller, READ, &uid).await.map(|delivery| Json(DeliveryView::of(delivery))))
}

/// Deliver again, whatever came of it: the same uid and bytes, on a schedule that begins anew. A delivery that is due
/// within a minute anyway is answered as it is, so that asking twice is fine.
#[utoipa::path(
    post, path = "/webhook-deliveries/{uid}/redeliver/", tag = "webhook deliveries",
    params(("uid" = DeliveryUid, Path)),
    responses(
        (status = 202, description = "The pending delivery.", body = DeliveryView),
        (status = 409, description = "`not_redeliverable`: its webhook was deleted or deactivated, or it was a test.", body = Problem),
    ),
)]
pub(crate) async fn redeliver<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock>(
    State(app): Shared<S, V, Q, R, C>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Response {
    respond(app.redeliver(&caller, &uid).await.map(|delivery| (StatusCode::ACCEPTED, Json(DeliveryView::of(delivery)))))
}

impl<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock> App<S, V, Q, R, C> {
    async fn create(&self, caller: &Caller, naming: &Naming, body: &[u8]) -> Result<CreatedView, Error> {
        caller.needs(WRITE)?;
        let new = NewWebhook::read(body, url_field(self.loopback_http))?;
        let secret = new.secret.map_or_else(new_secret, Ok)?;
        let now = self.clock.now();
        let (organization, uid) = (caller.organization, WebhookUid::named(naming, now, 0));
        let context = Webhook::secret_context(organization, uid);
        let sealed_secret = self.secrets.seal(&context, &secret).await?;
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
        let before = self.store.add_webhook(&webhook).await?;
        info!(webhook.uid = %uid, "webhook created");
        match before {
            None => Ok(CreatedView { webhook: WebhookView::of(webhook), secret }),
            // An attempt of this request was the first one: its secret signs, and its client has not seen it yet.
            Some(before) => {
                let secret = self.secrets.open(&context, &before.sealed_secret).await?;
                Ok(CreatedView { webhook: WebhookView::of(before), secret })
            }
        }
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
        for _ in 0..TRIES {
            let before = self.get(caller, WRITE, uid).await?;
            let change = WebhookChange::read(body, url_field(self.loopback_http))?;
            let after = change.of(before.clone(), self.clock.now());
            if self.store.update_webhook(&before, &after).await? {
                return Ok(after);
            }
        }
        Err(Error::PreconditionFailed)
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
        let response = self.receivers.post(&webhook.target_url, &secret, &delivery, self.clock.now()).await;
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

    async fn delivery(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Delivery, Error> {
        caller.needs(scopes)?;
        let delivery = self.store.delivery(DeliveryUid::parse(uid)?).await?;
        delivery.filter(|delivery| delivery.organization == caller.organization).ok_or(Error::NotFound)
    }

    async fn redeliver(&self, caller: &Caller, uid: &str) -> Result<Delivery, Error> {
        for _ in 0..TRIES {
            let delivery = self.delivery(caller, WRITE, uid).await?;
            match self.store.webhook(caller.organization, delivery.subscription).await {
                Ok(webhook) if webhook.is_active => {}
                Ok(_) | Err(Error::NotFound) => {
                    return Err(Error::NotRedeliverable("The webhook was deleted or deactivated."));
                }
                Err(error) => return Err(error),
            }
            let Some(anew) = delivery.redelivered(self.clock.now())? else { return Ok(delivery) };
            if self.store.restart_delivery(&delivery, &anew).await? {
                outbox::send(&self.queue, std::slice::from_ref(&anew)).await;
                return Ok(anew);
            }
        }
        Err(Error::StoreUnavailable("the delivery keeps changing".into()))
    }
}

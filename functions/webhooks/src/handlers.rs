use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::fields::Fields;
use shared::domain::id::{DeliveryUid, Naming, WebhookUid};
use shared::domain::webhook::{Delivery, DeliveryStatus, NewWebhook, Webhook, WebhookChange};
use shared::egress::url_field;
use shared::http::{Answer, Body, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Clock, DeliveryFilter, Secrets, WebhookSender, Webhooks};
use shared::services::outbox;
use shared::webhooks::new_secret;
use tracing::info;

use crate::view::CreatedView;
use crate::{DeliveryView, TestView, WebhookApi, WebhookPorts, WebhookView};

const READ: &[Scope] = &[Scope::WebhooksRead];
const WRITE: &[Scope] = &[Scope::WebhooksWrite];
/// Tries to write over what was read. Another call may change the webhook first. A worker may hold the delivery, and is done
/// with it after one change.
const TRIES: usize = 2;

type Api<P> = State<Arc<WebhookApi<P>>>;

/// Subscribe to events.
///
/// The answer has the secret that signs the deliveries. No other answer shows it. Scope: `webhooks.write`.
#[utoipa::path(
    post, path = "/webhooks/", tag = "webhooks",
    request_body = NewWebhook,
    responses(
        (status = 201, description = "The webhook and its secret.", body = CreatedView),
        (status = 409, description = "`too_many`: the organization has as many webhooks, or subscriptions to events of one review, as one may have.", body = Problem),
    ),
)]
pub(crate) async fn create<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedView>), Error> {
    caller.needs(WRITE)?;
    let mut new = NewWebhook::read(&body, url_field(api.loopback_http))?;
    let secret = new.secret.take().map_or_else(new_secret, Ok)?;
    let now = api.clock.now();
    let (organization, uid) = (caller.organization, WebhookUid::named(&naming, now, 0));
    let context = Webhook::secret_context(organization, uid);
    let sealed_secret = api.secrets.seal(&context, &secret).await?;
    let webhook = new.into_webhook(uid, organization, sealed_secret, now);
    let before = api.store.add_webhook(&webhook).await?;
    info!(webhook.uid = %uid, "webhook created");
    let (webhook, secret) = match before {
        None => (webhook, secret),
        // The first attempt of this request stored its own secret. That one signs, and the client has not seen it yet.
        Some(before) => {
            let secret = api.secrets.open(&context, &before.sealed_secret).await?;
            (before, secret)
        }
    };
    Ok((StatusCode::CREATED, Json(CreatedView { webhook: WebhookView::of(webhook), secret })))
}

/// List webhooks.
///
/// Every webhook of the organization, the newest first. Scope: `webhooks.read`.
#[utoipa::path(
    get, path = "/webhooks/", tag = "webhooks",
    params(PagingParameters),
    responses((status = 200, description = "A page of webhooks.", body = PageView<WebhookView>)),
)]
pub(crate) async fn list<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<WebhookView>> {
    caller.needs(READ)?;
    let paging = request.paging(&[])?;
    let page = api.store.webhooks(caller.organization, &paging.slice()).await?;
    Ok(Json(paging.view(page, WebhookView::of)))
}

/// Show a webhook.
///
/// Without its secret. Scope: `webhooks.read`.
#[utoipa::path(
    get, path = "/webhooks/{uid}/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    responses((status = 200, description = "The webhook, without its secret.", body = WebhookView)),
)]
pub(crate) async fn get<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<WebhookView> {
    Ok(Json(WebhookView::of(api.webhook(&caller, READ, &uid).await?)))
}

/// Change a webhook.
///
/// Fields that are not sent stay. The secret cannot be changed. Scope: `webhooks.write`.
#[utoipa::path(
    patch, path = "/webhooks/{uid}/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    request_body = WebhookChange,
    responses(
        (status = 200, description = "The webhook as it is now.", body = WebhookView),
        (status = 409, description = "`too_many`: the organization would have too many subscriptions to events of one review.", body = Problem),
        (status = 412, description = "`precondition_failed`: others change it all the time; nothing was changed.", body = Problem),
    ),
)]
pub(crate) async fn update<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Answer<WebhookView> {
    for _ in 0..TRIES {
        let before = api.webhook(&caller, WRITE, &uid).await?;
        let change = WebhookChange::read(&body, url_field(api.loopback_http))?;
        let after = change.of(before.clone(), api.clock.now());
        if api.store.update_webhook(&before, &after).await? {
            return Ok(Json(WebhookView::of(after)));
        }
    }
    Err(Error::keeps_changing())
}

/// Remove a webhook.
///
/// A pending delivery to it ends at its next attempt. Its deliveries stay in their list. Scope: `webhooks.write`.
#[utoipa::path(
    delete, path = "/webhooks/{uid}/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    responses((status = 204, description = "The webhook is gone.")),
)]
pub(crate) async fn remove<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Result<StatusCode, Error> {
    caller.needs(WRITE)?;
    api.store.remove_webhook(caller.organization, WebhookUid::parse(&uid)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook.
///
/// Sends one signed request with the event `webhook.test` at once, also if the webhook is inactive. It is recorded as a
/// delivery and is not repeated. Scope: `webhooks.write`.
#[utoipa::path(
    post, path = "/webhooks/{uid}/test/", tag = "webhooks",
    params(("uid" = WebhookUid, Path)),
    responses((status = 200, description = "How it went: a receiver that fails is a result, not an error.", body = TestView)),
)]
pub(crate) async fn test<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Answer<TestView> {
    let webhook = api.webhook(&caller, WRITE, &uid).await?;
    Fields::none(&body)?;
    let context = Webhook::secret_context(webhook.organization, webhook.uid);
    let secret = api.secrets.open(&context, &webhook.sealed_secret).await?;
    let mut delivery = Delivery::of_test(&webhook, api.clock.now());
    let response = api.sender.post(&webhook.target_url, &secret, &delivery, api.clock.now()).await;
    delivery.attempted(response, None, api.clock.now());
    api.store.add_delivery(&delivery).await?;
    Ok(Json(TestView::of(&delivery)))
}

/// List deliveries.
///
/// The newest first. They are listed for 30 days. Scope: `webhooks.read`.
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
pub(crate) async fn deliveries<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<DeliveryView>> {
    caller.needs(READ)?;
    let paging = request.paging(&["subscription", "event_type", "status"])?;
    let status = paging.choice("status", &DeliveryStatus::ALL.map(DeliveryStatus::as_str))?;
    let Ok(subscription) = paging.filter("subscription").map(WebhookUid::parse).transpose() else {
        return Ok(Json(paging.empty())); // a malformed uid matches nothing (contract, D1)
    };
    let filter = DeliveryFilter { subscription, event_type: paging.filter("event_type").map(str::to_owned), status };
    let page = api.store.deliveries(caller.organization, &filter, &paging.slice()).await?;
    Ok(Json(paging.view(page, DeliveryView::of)))
}

/// Show a delivery.
///
/// With the payload, and the answer to the last attempt. Scope: `webhooks.read`.
#[utoipa::path(
    get, path = "/webhook-deliveries/{uid}/", operation_id = "get", tag = "webhook deliveries",
    params(("uid" = DeliveryUid, Path)),
    responses((status = 200, description = "The delivery as it is now.", body = DeliveryView)),
)]
pub(crate) async fn delivery<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<DeliveryView> {
    Ok(Json(DeliveryView::of(api.delivery(&caller, READ, &uid).await?)))
}

/// Deliver again.
///
/// The same uid and bytes, on a new schedule, whatever the status. A delivery that is due within a minute is answered
/// unchanged, so asking twice has no effect. Scope: `webhooks.write`.
#[utoipa::path(
    post, path = "/webhook-deliveries/{uid}/redeliver/", tag = "webhook deliveries",
    params(("uid" = DeliveryUid, Path)),
    responses(
        (status = 202, description = "The pending delivery.", body = DeliveryView, example = json!({
            "status": "pending", "attempts": 0, "next_retry_at": "2026-11-30T10:00:00.000Z", "response_status": null, "response_body": null,
            "response_body_size": null, "response_body_sha256": null, "response_preview": null,
        })),
        (status = 409, description = "`not_redeliverable`: its webhook was deleted or deactivated, or it was a test.", body = Problem),
    ),
)]
pub(crate) async fn redeliver<P: WebhookPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<DeliveryView>), Error> {
    for _ in 0..TRIES {
        let delivery = api.delivery(&caller, WRITE, &uid).await?;
        Fields::none(&body)?;
        match api.store.webhook(caller.organization, delivery.subscription).await {
            Ok(webhook) if webhook.is_active => {}
            Ok(_) | Err(Error::NotFound(_)) => {
                return Err(Error::NotRedeliverable("The webhook was deleted or deactivated."));
            }
            Err(error) => return Err(error),
        }
        let Some(again) = delivery.redelivered(api.clock.now())? else {
            return Ok((StatusCode::ACCEPTED, Json(DeliveryView::of(delivery))));
        };
        if api.store.restart_delivery(&delivery, &again).await? {
            outbox::send(&api.queue, std::slice::from_ref(&again)).await;
            return Ok((StatusCode::ACCEPTED, Json(DeliveryView::of(again))));
        }
    }
    Err(Error::StoreUnavailable("the delivery keeps changing".into()))
}

impl<P: WebhookPorts> WebhookApi<P> {
    /// # Errors
    /// `PermissionDenied`; `NotFound` if malformed, unknown or another tenant's (I10).
    async fn webhook(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Webhook, Error> {
        caller.needs(scopes)?;
        self.store.webhook(caller.organization, WebhookUid::parse(uid)?).await
    }

    /// # Errors
    /// See [`Self::webhook`].
    async fn delivery(&self, caller: &Caller, scopes: &[Scope], uid: &str) -> Result<Delivery, Error> {
        caller.needs(scopes)?;
        let uid = DeliveryUid::parse(uid)?;
        let delivery = self.store.delivery(uid).await?;
        delivery.filter(|delivery| delivery.organization == caller.organization).ok_or_else(|| uid.missing())
    }
}

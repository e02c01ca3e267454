//! Results by hand: a person labels an item that no job has labeled (docs/decisions/0033).

use axum::extract::{Extension, State};
use axum::http::StatusCode;

use shared::domain::id::ItemUid;
use shared::domain::item::Item;
use shared::domain::webhook::Event;
use shared::domain::{Error, limits};
use shared::http::{Body, Caller, IfMatch, Path, Problem, Repeatable};
use shared::ports::{Clock, Items, Results};
use shared::services::{large, outbox};

use super::WRITE;
use super::handlers::TRIES;
use super::view::{Correction, ResultView};
use crate::{Api, CatalogApi, CatalogPorts, whole};

/// Label an item by hand.
///
/// Gives an item without a result one by hand. These annotations are right, and they are accepted at once. The task of the
/// item is completed, and no job takes the item. Sends the events `result.accepted` and `task.completed`; a repeated call answers the
/// same result and sends none. Scope: `results.write` or `projects.write`.
#[utoipa::path(
    post, path = "/items/{uid}/results/", tag = "results",
    params(("uid" = ItemUid, Path)),
    request_body = Correction,
    responses(
        (status = 201, description = "The accepted result.", body = ResultView,
            headers(("ETag" = String, description = "Names this version of it.")),
            example = json!({
                "status": "accepted", "source": "human", "created_by": "ci", "reviewed_by": "ci", "job": null, "model_type": null,
                "confidence_threshold": null, "origins": ["added"], "draft_indexes": [null],
            })),
        (status = 409, description = "`item_labeled`: it has a draft or an accepted result, `result_uid`.", body = Problem),
        (status = 412, description = "`precondition_failed`: the item kept changing, or an `If-Match` names a version.", body = Problem),
    ),
)]
pub(crate) async fn label<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
    if_match: IfMatch,
    Body(body): Body<{ limits::CORRECTION_BODY_BYTES }>,
) -> Result<(StatusCode, Extension<Repeatable>, ResultView), Error> {
    let (item, notes) = api.label(&caller, &uid, &if_match, &body).await?;
    let view = ResultView::of(item).ok_or_else(|| Error::no_such("item", &uid))?;
    Ok((StatusCode::CREATED, Extension(Repeatable), view.with_notes(notes)))
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// The item with the result that the request gives it, and what was changed of what the request has sent.
    async fn label(
        &self,
        caller: &Caller,
        uid: &str,
        if_match: &IfMatch,
        body: &[u8],
    ) -> Result<(Item, Vec<String>), Error> {
        caller.needs(WRITE)?;
        let uid = ItemUid::parse(uid)?;
        for _ in 0..TRIES {
            let item = self.own_item(caller, uid).await?;
            let (corrected, notes) = self.correction(&item, body).await?.into_parts();
            let now = self.clock.now();
            let Some(given) = item.labeled_by_hand(corrected, caller.name(), now)? else { return Ok((item, notes)) };
            if_match.check_absent()?;
            let given = large::kept(&self.objects, uid, given).await?;
            let events = Event::of_verdict(&item, &given);
            let deliveries = outbox::deliveries(&self.webhooks, events, now).await?;
            if self.results.label(&item, &given, &deliveries).await? {
                outbox::send(&self.queue, &deliveries).await;
                let labeled = Item { generation: given.generation, result: Some(given), ..item };
                return Ok((labeled, notes));
            }
        }
        Err(Error::keeps_changing())
    }

    /// The item, and all annotations of its result.
    ///
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn own_item(&self, caller: &Caller, uid: ItemUid) -> Result<Item, Error> {
        let items = self.store.items(&[uid]).await?;
        let own =
            items.into_iter().find(|item| item.organization == caller.organization).ok_or_else(|| uid.missing())?;
        whole::one(&self.objects, own).await
    }
}

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Serialize;
use shared::domain::Error;
use shared::domain::Timestamp;
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::{AssetType, Item, Size, Source};
use shared::domain::limits;
use shared::domain::result::ResultStatus;
use shared::http::{Body, Caller, ListRequest, PageView, Path, Repeatable, respond};
use shared::ports::{Clock, Items, Objects, Projects};

use crate::App;
use crate::projects::{READ, WRITE};

/// An upload may begin this long after the item was added.
const UPLOAD_VALID: Duration = Duration::from_secs(3_600);

/// An item on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct ItemView {
    uid: ItemUid,
    project: ProjectUid,
    key: String,
    asset_type: AssetType,
    #[serde(flatten)]
    size: Option<Size>,
    /// `none`, or the status of its result.
    status: &'static str,
    created_at: Timestamp,
}

/// An item that was just added.
#[derive(Debug, Serialize)]
pub(crate) struct AddedView {
    #[serde(flatten)]
    item: ItemView,
    /// PUT the bytes here. Absent if the item has a URL of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_url: Option<String>,
}

/// The answer to a call that adds items.
#[derive(Debug, Serialize)]
pub(crate) struct AddedItems {
    results: Vec<AddedView>,
}

impl From<&Item> for ItemView {
    fn from(item: &Item) -> Self {
        Self {
            uid: item.asset.uid,
            project: item.project,
            key: item.key.clone(),
            asset_type: item.asset.kind,
            size: item.asset.size,
            status: match item.result.as_ref().map(|result| result.status) {
                None | Some(ResultStatus::Rejected) => "none",
                Some(ResultStatus::Draft) => "draft",
                Some(ResultStatus::Accepted) => "accepted",
            },
            created_at: item.created_at,
        }
    }
}

/// `POST /projects/{uid}/items/` with `{"items": [{"key", "asset_type", "width", "height", "url"?}]}`, at most 1,000
/// (contract, D32). Adding an item again changes nothing, and its URL to upload to is a fresh one.
pub(crate) async fn add<S: Projects + Items, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body,
) -> Response {
    respond(
        app.add_items(&caller, &project, &body)
            .await
            .map(|added| (StatusCode::CREATED, Extension(Repeatable), Json(added))),
    )
}

/// `GET /projects/{uid}/items/`.
pub(crate) async fn list<S: Projects + Items, O: Objects, C: Clock>(
    State(app): State<Arc<App<S, O, C>>>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Response {
    respond(app.list_items(&caller, &project, &request).await.map(Json))
}

impl<S: Projects + Items, O: Objects, C: Clock> App<S, O, C> {
    async fn add_items(&self, caller: &Caller, project: &str, body: &[u8]) -> Result<AddedItems, Error> {
        let project = self.project(caller, WRITE, project).await?;
        let now = self.clock.now();
        let mut fields = Fields::of_body(body)?;
        let entries = fields.required("items", fields::list(limits::ITEMS_PER_CALL)).unwrap_or_default();
        let mut items: Vec<Item> = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            // A microsecond apart, so that jobs take them in the order of the call.
            let created_at = now + Duration::from_micros(place as u64);
            match Item::read(format!("items[{place}]"), entry, project.organization, project.uid, created_at) {
                Ok(item) => items.push(item),
                Err(complaint) => fields.absorb(Err(complaint)),
            }
        }
        fields.finish()?;
        self.store.add_items(&items).await?;
        let mut results = Vec::with_capacity(items.len());
        for item in &items {
            let upload_url = match &item.asset.source {
                Source::Bucket(key) => Some(self.objects.sign_put(key, UPLOAD_VALID).await?),
                Source::Url(_) => None,
            };
            results.push(AddedView { item: ItemView::from(item), upload_url });
        }
        Ok(AddedItems { results })
    }

    async fn list_items(
        &self,
        caller: &Caller,
        project: &str,
        request: &ListRequest,
    ) -> Result<PageView<ItemView>, Error> {
        let project = self.project(caller, READ, project).await?;
        let paging = request.paging(&[])?;
        let page = self.store.items_of(project.uid, &paging.slice()).await?;
        Ok(paging.view(page, |item| ItemView::from(&item)))
    }
}

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Serialize;
use shared::domain::Error;
use shared::domain::Timestamp;
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::result::ResultStatus;
use shared::domain::item::{AssetType, Item};
use shared::domain::limits;
use shared::domain::prediction::size::Size;
use shared::http::{Body, Caller, ListRequest, PageView, PagingParameters, Path, Repeatable, respond};
use shared::ports::{Clock, Files, Items, Objects, Page, Projects, Slice};
use utoipa::ToSchema;

use crate::App;
use crate::adding::{Added, NewItems};
use crate::projects::READ;

/// An item on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
pub(crate) struct ItemView {
    uid: ItemUid,
    project: ProjectUid,
    key: String,
    asset_type: AssetType,
    /// Pixels, of the picture upright: its EXIF orientation is applied. `null` of a point cloud, and of an upload that was not
    /// read yet.
    #[schema(required)]
    width: Option<u32>,
    /// See `width`.
    #[schema(required)]
    height: Option<u32>,
    /// The size that the file says, upright, if `width` and `height` were given and it says another; else `null`. The given ones
    /// count: annotations are clipped to them, and the model is sent them.
    #[schema(required)]
    file_size: Option<Size>,
    /// `none`, or the status of its result, `draft` or `accepted`.
    status: &'static str,
    /// The ETag of its file, as S3 has told of it last; `null` if it has not.
    #[schema(required)]
    version: Option<String>,
    /// Its file was deleted: no job takes it until it is uploaded again.
    is_deleted: bool,
    created_at: Timestamp,
}

impl From<&Item> for ItemView {
    fn from(item: &Item) -> Self {
        Self {
            uid: item.asset.uid,
            project: item.project,
            key: item.key.clone(),
            asset_type: item.asset.kind,
            width: item.asset.size.map(|size| size.width),
            height: item.asset.size.map(|size| size.height),
            file_size: item.asset.origin.file_size,
            status: status(item),
            version: item.file.as_ref().map(|file| file.etag.clone()),
            is_deleted: item.is_deleted(),
            created_at: item.created_at,
        }
    }
}

/// What there is of an item's labels. A rejected result is none: the item is to be labeled again.
pub(crate) fn status(item: &Item) -> &'static str {
    match item.result.as_ref().map(|result| result.status) {
        None | Some(ResultStatus::Rejected) => "none",
        Some(ResultStatus::Draft) => "draft",
        Some(ResultStatus::Accepted) => "accepted",
    }
}

/// Add items: one, or a list of up to 1,000. Adding an item again is fine; whoever repeats a call misses nothing.
///
/// Lines of a list are judged one by one: the good ones are added, and `errors` tells of the others. If there is no good one,
/// the call is refused.
#[utoipa::path(
    post, path = "/projects/{uid}/items/", tag = "items",
    params(("uid" = ProjectUid, Path)),
    request_body = NewItems,
    responses((status = 201, description = "What was added, or was there; of a bare item, the item.", body = Added)),
)]
pub(crate) async fn add<S: Projects + Items, O: Objects + Files, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body<{ limits::ITEMS_BODY_BYTES }>,
) -> Response {
    respond(
        app.add_items(&caller, &project, &body)
            .await
            .map(|added| (StatusCode::CREATED, Extension(Repeatable), Json(added))),
    )
}

/// List the items of a project.
#[utoipa::path(
    get, path = "/projects/{uid}/items/", tag = "items",
    params(("uid" = ProjectUid, Path), PagingParameters),
    responses((status = 200, description = "A page of items.", body = PageView<ItemView>)),
)]
pub(crate) async fn list<S: Projects + Items, O: Objects, F: Files, C: Clock>(
    State(app): State<Arc<App<S, O, F, C>>>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Response {
    respond(app.list_items(&caller, &project, &request).await.map(Json))
}

impl<S: Projects + Items, O: Objects, F: Files, C: Clock> App<S, O, F, C> {
    async fn list_items(
        &self,
        caller: &Caller,
        project: &str,
        request: &ListRequest,
    ) -> Result<PageView<ItemView>, Error> {
        caller.needs(READ)?;
        let paging = request.paging(&[])?;
        let page = own_items(&self.store, caller.organization, ProjectUid::parse(project)?, &paging.slice()).await?;
        Ok(paging.view(page, |item| ItemView::from(&item)))
    }
}

/// A page of the project's items, if it is the organization's. Only of a page without any the project is asked: two reads, not
/// three.
pub(crate) async fn own_items(
    store: &(impl Projects + Items),
    organization: OrganizationUid,
    project: ProjectUid,
    slice: &Slice,
) -> Result<Page<Item>, Error> {
    let page = store.items_of(organization, Some(project), slice).await?;
    if page.entries.is_empty() {
        store.project(organization, project).await?; // I10
    }
    Ok(page)
}

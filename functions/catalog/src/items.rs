use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::result::ResultStatus;
use shared::domain::item::{AssetType, Item};
use shared::domain::prediction::size::Size;
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Caller, ListRequest, PageView, PagingParameters, Path};
use shared::ports::{Items, Page, Projects, Slice};
use utoipa::ToSchema;

use crate::projects::READ;
use crate::{Api, CatalogPorts};

/// An item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
#[schema(example = json!({
    "key": "street/1.jpg", "width": 640, "height": 480, "file_size": null, "status": "draft",
    "version": "9b2cf535f27731c974343645a3985328", "is_deleted": false,
}))]
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
    /// The ETag of its file, of the last event of S3; `null` if there was none.
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

/// The state of an item's labels. A rejected result counts as none: the item is to be labeled again.
pub(crate) fn status(item: &Item) -> &'static str {
    match item.result.as_ref().map(|result| result.status) {
        None | Some(ResultStatus::Rejected) => "none",
        Some(status @ (ResultStatus::Draft | ResultStatus::Accepted)) => status.as_str(),
    }
}

/// List the items of a project.
///
/// Every item, labeled or not, with the status of its result. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/projects/{uid}/items/", tag = "items",
    params(("uid" = ProjectUid, Path), PagingParameters),
    responses((status = 200, description = "A page of items.", body = PageView<ItemView>)),
)]
pub(crate) async fn list<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Answer<PageView<ItemView>> {
    caller.needs(READ)?;
    let paging = request.paging(&[])?;
    let page = own_items(&api.store, caller.organization, ProjectUid::parse(&project)?, &paging.slice()).await?;
    Ok(Json(paging.view(page, |item| ItemView::from(&item))))
}

/// A page of the items of a project of the organization. The project itself is read only if the page is empty: two reads
/// instead of three.
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

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::result::ResultStatus;
use shared::domain::item::{AssetType, Item};
use shared::domain::prediction::size::Size;
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Caller, ListRequest, PageView, Paging, PagingParameters, Path, Problem};
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
    status: ItemStatus,
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
            status: ItemStatus::of(item),
            version: item.file.as_ref().map(|file| file.etag.clone()),
            is_deleted: item.is_deleted(),
            created_at: item.created_at,
        }
    }
}

/// The filter of lists of items.
pub(crate) const STATUS: &str = "status";

/// The state of an item's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ItemStatus {
    /// It has no result, or its last one was rejected: it is to be labeled.
    None,
    /// It has a draft.
    Draft,
    /// It has an accepted result.
    Accepted,
}

impl ItemStatus {
    pub(crate) fn of(item: &Item) -> Self {
        match item.result.as_ref().map(|result| result.status) {
            None | Some(ResultStatus::Rejected) => Self::None,
            Some(ResultStatus::Draft) => Self::Draft,
            Some(ResultStatus::Accepted) => Self::Accepted,
        }
    }

    /// The one that a list is asked for.
    ///
    /// # Errors
    /// `Validation` for any other word.
    pub(crate) fn asked(paging: &Paging) -> Result<Option<Self>, Error> {
        paging.choice(STATUS, &["none", "draft", "accepted"])
    }
}

/// List the items of a project.
///
/// Every item, labeled or not, with the status of its result. With a `status` a page may be short, or empty, and still not be the
/// last, because the items are filtered while they are read. Scope: `projects.read`.
#[utoipa::path(
    get, path = "/projects/{uid}/items/", tag = "items",
    params(
        ("uid" = ProjectUid, Path),
        PagingParameters,
        ("status" = Option<ItemStatus>, Query, description = "Items whose labels are in this state."),
    ),
    responses(
        (status = 200, description = "A page of items.", body = PageView<ItemView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn list<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Answer<PageView<ItemView>> {
    caller.needs(READ)?;
    let paging = request.paging(&[STATUS])?;
    let status = ItemStatus::asked(&paging)?;
    let mut page = own_items(&api.store, caller.organization, ProjectUid::parse(&project)?, &paging.slice()).await?;
    page.entries.retain(|item| status.is_none_or(|status| ItemStatus::of(item) == status));
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

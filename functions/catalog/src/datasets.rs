//! Items of datasets: a project's items seen as files (contract, 11.3). The function `datasets` has the datasets themselves.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid, ResultUid};
use shared::domain::item::origin::Origin;
use shared::domain::item::result::{LabelResult, ResultSource, ResultStatus};
use shared::domain::item::{AssetType, Item};
use shared::domain::prediction::Prediction;
use shared::domain::project::dataset::DatasetName;
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Datasets, Items, Objects};
use utoipa::ToSchema;

use crate::items::ItemStatus;
use crate::results::view::{confidences, origins};
use crate::{Api, CatalogApi, CatalogPorts, items, whole};

const READ: &[Scope] = &[Scope::DatasetsRead];

/// The life of the signed URL of a file.
const URL_VALID: Duration = Duration::from_secs(3_600);
/// An item of a dataset, with its file and its result (contract, 11.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatasetItem)]
#[schema(example = json!({
    "id": 1, "key": "street/1.jpg", "dataset_owner_name": "acme", "dataset_slug": "street-scenes-01a20112065078aa9a3c3c54459424af",
    "url": "https://pictures.example.com/1.jpg", "thumbnails": [], "annotations_count": 1, "is_hidden": false,
}))]
pub(crate) struct DatasetItemView {
    uid: ItemUid,
    /// A number that identifies the item, beside its uid.
    id: u64,
    key: String,
    /// The dataset's uid.
    dataset: ProjectUid,
    dataset_owner_name: String,
    dataset_slug: String,
    /// Reads the file for an hour. `null` if the deployment does not read from its bucket any more.
    #[schema(required)]
    url: Option<String>,
    /// Always empty.
    thumbnails: Vec<String>,
    metadata: MetadataView,
    annotations: AnnotationsView,
    /// How many annotations the result has.
    annotations_count: usize,
    /// Always `false`: nothing hides an item.
    is_hidden: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What is known of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatasetItemMetadata)]
#[schema(example = json!({"asset_type": "image", "width": 640, "height": 480, "format": "jpg"}))]
pub(crate) struct MetadataView {
    asset_type: AssetType,
    /// Pixels. `null` of a point cloud, and of an upload that no job has read yet.
    #[schema(required)]
    width: Option<u32>,
    /// See `width`.
    #[schema(required)]
    height: Option<u32>,
    /// The ending of the key, in small letters.
    #[schema(required)]
    format: Option<String>,
}

/// What exists of an item's labels (contract, 11.3).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatasetItemAnnotations)]
#[schema(example = json!({"status": "draft"}))]
pub(crate) struct AnnotationsView {
    status: ItemStatus,
    /// One or none.
    results: Vec<ItemResultView>,
}

/// The result of an item, as its dataset shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatasetItemResult)]
#[schema(example = json!({
    "status": "draft", "source": "auto_label", "revision": 0, "min_confidence": 0.82, "max_confidence": 0.82, "reviewed_by": null,
    "origins": null, "draft_indexes": null,
}))]
pub(crate) struct ItemResultView {
    uid: ResultUid,
    project: ProjectUid,
    status: ResultStatus,
    source: ResultSource,
    /// The number of its changes; in quotes it is the `ETag` of the result.
    revision: u32,
    /// The least confidence of an annotation; `null`: there is none.
    #[schema(required)]
    min_confidence: Option<f64>,
    /// The greatest one.
    #[schema(required)]
    max_confidence: Option<f64>,
    /// Name of the API key that accepted, corrected, rejected or reopened it, last.
    #[schema(required)]
    reviewed_by: Option<String>,
    annotations: Vec<Prediction>,
    /// What a person did with each of `annotations`; see the field of a result.
    #[schema(required)]
    origins: Option<Vec<Origin>>,
    /// The position of each of `annotations` in the draft; see the field of a result.
    #[schema(required)]
    draft_indexes: Option<Vec<Option<u32>>>,
}

impl ItemResultView {
    fn of(item: ItemUid, project: ProjectUid, result: LabelResult) -> Self {
        let (min_confidence, max_confidence) = confidences(&result);
        let (origins, draft_indexes) = origins(&result);
        Self {
            uid: result.uid(item),
            project,
            status: result.status,
            source: result.source,
            revision: result.revision,
            min_confidence,
            max_confidence,
            reviewed_by: result.reviewed_by,
            annotations: result.annotations,
            origins,
            draft_indexes,
        }
    }
}

impl DatasetItemView {
    fn of(item: Item, owner: &str, slug: &str, url: Option<String>) -> Self {
        let status = ItemStatus::of(&item);
        let (uid, project) = (item.asset.uid, item.project);
        let result = item.result.filter(|result| result.status != ResultStatus::Rejected);
        Self {
            uid,
            id: uid.number(),
            dataset: project,
            dataset_owner_name: owner.to_owned(),
            dataset_slug: slug.to_owned(),
            url,
            thumbnails: Vec::new(),
            metadata: MetadataView {
                asset_type: item.asset.kind,
                width: item.asset.size.map(|size| size.width),
                height: item.asset.size.map(|size| size.height),
                format: item.key.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()),
            },
            annotations_count: result.as_ref().map_or(0, |result| result.annotations.len()),
            is_hidden: false,
            created_at: item.created_at,
            updated_at: result.as_ref().map_or(item.created_at, |result| result.updated_at),
            annotations: AnnotationsView {
                status,
                results: result.into_iter().map(|result| ItemResultView::of(uid, project, result)).collect(),
            },
            key: item.key,
        }
    }
}

/// List the items of a dataset.
///
/// Each item has a signed URL of its file, and its result if it has one. With a `status` a page may be short, or empty, and still not
/// be the last, because the items are filtered while they are read. Scope: `datasets.read`.
#[utoipa::path(
    get, path = "/datasets/{owner}/{slug}/items/", tag = "datasets",
    params(
        ("owner" = String, Path, description = "The organization's slug."),
        ("slug" = String, Path),
        PagingParameters,
        ("status" = Option<ItemStatus>, Query, description = "Items whose labels are in this state."),
    ),
    responses(
        (status = 200, description = "A page of items.", body = PageView<DatasetItemView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn items<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path((owner, slug)): Path<(String, String)>,
    request: ListRequest,
) -> Answer<PageView<DatasetItemView>> {
    let uid = api.dataset(&caller, &owner, &slug).await?;
    let paging = request.paging(&[items::STATUS])?;
    let status = ItemStatus::asked(&paging)?;
    let mut page = items::own_items(&api.store, caller.organization, uid, &paging.slice()).await?;
    page.entries.retain(|item| status.is_none_or(|status| ItemStatus::of(item) == status));
    let mut entries = Vec::with_capacity(page.entries.len());
    for item in whole::all(&api.objects, std::mem::take(&mut page.entries)).await? {
        entries.push(api.dataset_item_view(item, &owner, &slug).await?);
    }
    Ok(Json(paging.view(page.with(|_| entries), |view| view)))
}

/// Show an item of a dataset.
///
/// With a signed URL of its file, and its result if it has one. Scope: `datasets.read`.
#[utoipa::path(
    get, path = "/datasets/{owner}/{slug}/items/{uid}/", tag = "datasets",
    params(("owner" = String, Path, description = "The organization's slug."), ("slug" = String, Path), ("uid" = ItemUid, Path)),
    responses((status = 200, description = "The item.", body = DatasetItemView)),
)]
pub(crate) async fn item<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path((owner, slug, uid)): Path<(String, String, String)>,
) -> Answer<DatasetItemView> {
    let project = api.dataset(&caller, &owner, &slug).await?;
    let uid = ItemUid::parse(&uid)?;
    let items = api.store.items(&[uid]).await?;
    let own = items.into_iter().find(|item| (item.organization, item.project) == (caller.organization, project));
    let own = whole::one(&api.objects, own.ok_or_else(|| uid.missing())?).await?;
    api.dataset_item_view(own, &owner, &slug).await.map(Json)
}

impl<P: CatalogPorts> CatalogApi<P> {
    /// The dataset of a path. An organization's uid is derived from its slug.
    async fn dataset(&self, caller: &Caller, owner: &str, slug: &str) -> Result<ProjectUid, Error> {
        caller.needs(READ)?;
        let is_own = OrganizationUid::named(owner) == caller.organization; // I10
        let found = match ProjectUid::of_slug(slug) {
            _ if !is_own => None,
            Ok(uid) => Some(uid),
            Err(_) => self.store.dataset_named(caller.organization, &DatasetName::Slug(slug.to_owned())).await?,
        };
        found.ok_or_else(|| Error::no_such("dataset", &format!("{owner}/{slug}")))
    }

    async fn dataset_item_view(&self, item: Item, owner: &str, slug: &str) -> Result<DatasetItemView, Error> {
        let url = self.file_url(&item).await?;
        Ok(DatasetItemView::of(item, owner, slug, url))
    }

    /// A signed URL of an item's file, valid for [`URL_VALID`]; `None` if the deployment does not read from its bucket any more.
    pub(crate) async fn file_url(&self, item: &Item) -> Result<Option<String>, Error> {
        if !self.buckets.open(&item.asset.source, item.organization) {
            return Ok(None);
        }
        self.objects.sign_get(&item.asset.source, URL_VALID).await.map(Some)
    }
}

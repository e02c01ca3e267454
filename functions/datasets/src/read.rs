use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{OrganizationUid, ProjectUid};
use shared::domain::item::Item;
use shared::domain::project::Project;
use shared::domain::project::dataset::{DataType, DatasetName};
use shared::domain::upload::{RejectedUpload, parse_object_key};
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Caller, ListRequest, PageView, PagingParameters, Path};
use shared::ports::{Datasets, Organizations, Projects, Slice, Uploads};
use utoipa::ToSchema;

use crate::view::{DatasetView, status};
use crate::{Api, DatasetApi, DatasetPorts};

const READ: &[Scope] = &[Scope::DatasetsRead];

/// Rejected uploads that a dataset's health names.
const ISSUES: usize = 100;

/// What has become of the files of a dataset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatasetHealth)]
#[schema(example = json!({
    "dataset_slug": "street-scenes", "dataset_status": "created", "data_type": "image", "is_sequence": false, "item_count": 9,
    "sequence_count": 0, "total_frames": 0, "s3_prefix": "projects/01a20112-0650-78aa-9a3c-3c54459424af/",
    "gc_storage_prefix": null, "sequences": [], "ingest_ok": false,
    "issues": ["notes.txt: By its first bytes the file has none of the formats that become items."],
}))]
pub(crate) struct HealthView {
    dataset_uid: ProjectUid,
    dataset_slug: String,
    dataset_status: &'static str,
    data_type: DataType,
    /// Always `false`: frames are items of their own.
    is_sequence: bool,
    item_count: u64,
    /// Always 0.
    sequence_count: u32,
    /// Always 0.
    total_frames: u32,
    /// Where its files lie in the deployment's bucket.
    s3_prefix: String,
    /// Always `null`.
    #[schema(required)]
    gc_storage_prefix: Option<String>,
    last_updated_at: Timestamp,
    /// Always empty.
    sequences: Vec<String>,
    /// It is created, and no file of it was rejected.
    ingest_ok: bool,
    /// The newest hundred rejected files, each with a sentence.
    issues: Vec<String>,
}

impl HealthView {
    fn of(project: Project, rejected: &[RejectedUpload]) -> Self {
        let dataset_status = status(&project);
        Self {
            dataset_uid: project.uid,
            dataset_slug: project.slug(),
            dataset_status,
            data_type: project.data_type(),
            is_sequence: false,
            item_count: project.item_count(),
            sequence_count: 0,
            total_frames: 0,
            s3_prefix: Item::object_key(project.uid, ""),
            gc_storage_prefix: None,
            last_updated_at: project.updated_at,
            sequences: Vec::new(),
            ingest_ok: dataset_status == "created" && rejected.is_empty(),
            issues: rejected.iter().map(issue).collect(),
        }
    }
}

fn issue(upload: &RejectedUpload) -> String {
    let path = parse_object_key(&upload.key).map_or(upload.key.as_str(), |(_, key)| key);
    format!("{path}: {}", upload.detail)
}

/// List datasets.
///
/// A dataset is a project, seen as files with their results. A page may be short and still not be the last. Scope:
/// `datasets.read`.
#[utoipa::path(
    get, path = "/datasets/", tag = "datasets",
    params(
        PagingParameters,
        ("data_type" = Option<String>, Query, description = "`image`, `video` or `lidar`."),
        ("name" = Option<String>, Query, description = "A part of the name, in small or large letters."),
        ("status" = Option<String>, Query, description = "`creating` or `created`."),
        ("visibility" = Option<String>, Query, description = "All are `private`."),
    ),
    responses((status = 200, description = "A page of datasets.", body = PageView<DatasetView>)),
)]
pub(crate) async fn list<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<PageView<DatasetView>> {
    caller.needs(READ)?;
    let paging = request.paging(&["data_type", "name", "status", "visibility"])?;
    let owner = api.owner(caller.organization).await?;
    let page = api.store.projects(caller.organization, &paging.slice()).await?;
    let part = paging.filter("name").map(str::to_lowercase);
    let filters = ["data_type", "status", "visibility"].map(|filter| paging.filter(filter));
    let wanted = |dataset: &DatasetView| dataset.is(filters[0], filters[1], filters[2], part.as_deref());
    let datasets = page.with(|projects| {
        projects.into_iter().map(|project| DatasetView::of(project, owner.clone())).filter(wanted).collect()
    });
    Ok(Json(paging.view(datasets, |view| view)))
}

/// Show a dataset.
///
/// By its uid, which is that of its project. Scope: `datasets.read`.
#[utoipa::path(
    get, path = "/datasets/{uid}/", tag = "datasets",
    params(("uid" = ProjectUid, Path)),
    responses((status = 200, description = "The dataset.", body = DatasetView)),
)]
pub(crate) async fn get<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(uid): Path<String>,
) -> Answer<DatasetView> {
    caller.needs(READ)?;
    let project = api.store.project(caller.organization, ProjectUid::parse(&uid)?).await?;
    Ok(Json(api.view(api.indexed(project).await?).await?))
}

/// Show a dataset by owner and slug.
///
/// The owner is the slug of the organization. Scope: `datasets.read`.
#[utoipa::path(
    get, path = "/datasets/{owner}/{slug}/", tag = "datasets",
    params(("owner" = String, Path, description = "The organization's slug."), ("slug" = String, Path)),
    responses((status = 200, description = "The dataset.", body = DatasetView)),
)]
pub(crate) async fn get_by_slug<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path((owner, slug)): Path<(String, String)>,
) -> Answer<DatasetView> {
    let project = api.project_of_path(&caller, &owner, &slug).await?;
    Ok(Json(DatasetView::of(project, Some(owner))))
}

/// Show the health of a dataset.
///
/// What has become of its files: how many are items, and which were rejected, with the reason. Scope: `datasets.read`.
#[utoipa::path(
    get, path = "/datasets/{owner}/{slug}/health/", tag = "datasets", operation_id = "dataset_health",
    params(("owner" = String, Path, description = "The organization's slug."), ("slug" = String, Path)),
    responses((status = 200, description = "The health.", body = HealthView)),
)]
pub(crate) async fn health<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path((owner, slug)): Path<(String, String)>,
) -> Answer<HealthView> {
    let project = api.project_of_path(&caller, &owner, &slug).await?;
    let slice = Slice { limit: ISSUES, ..Slice::default() };
    let rejected = api.store.rejected_uploads(caller.organization, project.uid, &slice).await?;
    Ok(Json(HealthView::of(project, &rejected.entries)))
}

impl<P: DatasetPorts> DatasetApi<P> {
    /// The dataset of a path, after another read of its files. An organization's uid is derived from its slug.
    async fn project_of_path(&self, caller: &Caller, owner: &str, slug: &str) -> Result<Project, Error> {
        caller.needs(READ)?;
        let missing = || Error::no_such("dataset", &format!("{owner}/{slug}"));
        if OrganizationUid::named(owner) != caller.organization {
            return Err(missing()); // I10
        }
        // The slug of a project ends in its uid: what comes before is its name, and an older one leads there too.
        let uid = match ProjectUid::of_slug(slug) {
            Ok(uid) => Some(uid),
            Err(_) => self.store.dataset_named(caller.organization, &DatasetName::Slug(slug.to_owned())).await?,
        };
        let project = self.store.project(caller.organization, uid.ok_or_else(missing)?).await?;
        self.indexed(project).await
    }

    /// The slug of an organization.
    pub(crate) async fn owner(&self, organization: OrganizationUid) -> Result<Option<String>, Error> {
        Ok(self.store.organization(organization).await?.map(|organization| organization.slug))
    }
}

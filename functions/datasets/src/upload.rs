use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{OrganizationUid, ProjectUid};
use shared::domain::item::Item;
use shared::domain::project::Project;
use shared::domain::project::dataset::{
    CONTENT_TYPES, Dataset, DatasetName, NewDataset, NewFile, Stage, UploadedDataset,
};
use shared::http::{Answer, Body, Caller, ListRequest, Problem};
use shared::ports::{Announced, Clock, Datasets, Folders, Projects, UploadForm, UploadForms};
use tracing::info;
use utoipa::ToSchema;

use crate::create::{WRITE, slug_taken};
use crate::view::NewDatasetView;
use crate::{Api, DatasetApi, DatasetPorts};

const READ: &[Scope] = &[Scope::DatasetsRead];

/// The life of a form: the official client asks for a new one before each attempt.
const FORM_VALID: Duration = Duration::from_secs(3_600);

/// A form that uploads one file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FileUploadUrl)]
#[schema(example = json!({
    "method": "POST", "url": "https://bucket.s3.eu-west-1.amazonaws.com/",
    "fields": {"key": "projects/01a20112-0650-78aa-9a3c-3c54459424af/street/1.jpg", "Content-Type": "image/jpeg"},
}))]
pub(crate) struct FileUrlView {
    method: &'static str,
    url: String,
    /// Fields of the form. The field `file` with the bytes comes behind them.
    fields: BTreeMap<&'static str, String>,
}

impl From<UploadForm> for FileUrlView {
    fn from(UploadForm { url, fields }: UploadForm) -> Self {
        Self { method: "POST", url, fields: fields.into_iter().collect() }
    }
}

/// What an organization has uploaded, and may.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UploadQuota)]
#[schema(example = json!({"used": 48_213, "limit": 1_099_511_627_776_u64}))]
pub(crate) struct QuotaView {
    /// Bytes of the files for which it was given an upload URL, each counted once.
    used: u64,
    /// Bytes.
    limit: u64,
}

/// Media types of files that become items.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AllowedMimes)]
#[schema(example = json!({"mime_types": ["image/jpeg", "image/png"], "video_prefix": ""}))]
pub(crate) struct MimesView {
    mime_types: Vec<&'static str>,
    /// Always empty: videos become no items.
    video_prefix: &'static str,
}

/// Get an upload URL for a file.
///
/// Of a folder that is to become a dataset. The first call creates the project that takes its files. The form is valid for an hour,
/// and only for a file of this length. Repeated, the call gives a new form and counts no byte twice. Scope: `datasets.write`.
#[utoipa::path(
    post, path = "/datasets/manual-upload/file-upload-url/", tag = "datasets", operation_id = "file_upload_url",
    request_body = NewFile,
    responses(
        (status = 200, description = "The form.", body = FileUrlView),
        (status = 400, description = "`validation_error`: also of a dataset that has all its files.", body = Problem),
        (status = 413, description = "`quota_exceeded`, with `used` and `limit` in bytes.", body = Problem),
    ),
)]
pub(crate) async fn file_url<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    Body(body): Body,
) -> Answer<FileUrlView> {
    caller.needs(WRITE)?;
    let file = NewFile::read(&body, caller.organization)?;
    let now = api.clock.now();
    let project = api.project_of_upload(caller.organization, &file).await?;
    let (bytes, key) = (u64::from(file.content_length), file.file_path_in_dataset.clone());
    let announced = Announced { organization: caller.organization, project: project.uid, key, bytes };
    api.store.announce(&announced, api.quota, now).await?;
    let key = Item::object_key(project.uid, &file.file_path_in_dataset);
    let form = api.forms.sign_form(&key, file.content_type(), bytes, FORM_VALID, now).await?;
    Ok(Json(form.into()))
}

/// Create a dataset of uploaded files.
///
/// When all files are uploaded. The dataset is `creating` until each of them is an item or a rejected upload, then `created`.
/// Repeated, the call returns the same dataset. Scope: `datasets.write`.
#[utoipa::path(
    post, path = "/datasets/manual-upload/", tag = "datasets", operation_id = "create_from_manual_upload",
    request_body = UploadedDataset,
    responses(
        (status = 201, description = "The dataset.", body = NewDatasetView),
        (status = 400, description = "`validation_error`: no file has come, or another dataset has the slug.", body = Problem),
    ),
)]
pub(crate) async fn finish<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Json<NewDatasetView>), Error> {
    caller.needs(WRITE)?;
    let (new, name, ignored) = UploadedDataset::read(&body, caller.organization)?;
    let project = api.finished(caller.organization, &new, &name).await?;
    let created = api.view(api.indexed(project).await?).await?;
    Ok((StatusCode::CREATED, Json(NewDatasetView::of(created, ignored))))
}

/// Show the upload quota.
///
/// Of the key's organization. Only files that get an upload URL here count. Scope: `datasets.read`.
#[utoipa::path(
    get, path = "/datasets/manual-upload/quota/", tag = "datasets", operation_id = "upload_quota",
    params(("organization_uid" = Option<String>, Query, description = "The uid of the key's organization.")),
    responses(
        (status = 200, description = "The quota.", body = QuotaView),
        (status = 404, description = "`not_found`: another organization.", body = Problem),
    ),
)]
pub(crate) async fn quota<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    request: ListRequest,
) -> Answer<QuotaView> {
    caller.needs(READ)?;
    let paging = request.paging(&["organization_uid"])?;
    if let Some(asked) = paging.filter("organization_uid")
        && OrganizationUid::parse(asked)? != caller.organization
    {
        return Err(Error::no_such("organization", asked)); // I10
    }
    Ok(Json(QuotaView { used: api.store.announced_bytes(caller.organization).await?, limit: api.quota }))
}

/// List the media types of files.
///
/// A hint for a file picker: the content of a file decides whether it becomes an item. Scope: none; every key may call it.
#[utoipa::path(
    get, path = "/datasets/manual-upload/allowed-mimes/", tag = "datasets", operation_id = "allowed_mimes",
    responses((status = 200, description = "The media types.", body = MimesView)),
)]
pub(crate) async fn allowed_mimes() -> Json<MimesView> {
    let mut mime_types: Vec<&str> = CONTENT_TYPES.iter().map(|(_, content_type)| *content_type).collect();
    mime_types.push("application/octet-stream"); // point clouds
    mime_types.sort_unstable();
    mime_types.dedup();
    Json(MimesView { mime_types, video_prefix: "" })
}

impl<P: DatasetPorts> DatasetApi<P> {
    /// The project that takes a file.
    async fn project_of_upload(&self, organization: OrganizationUid, file: &NewFile) -> Result<Project, Error> {
        let (name, now) = (file.dataset(), self.clock.now());
        let uid = match self.store.dataset_named(organization, &name).await? {
            Some(uid) => uid,
            None => self.store.name_dataset(organization, &name, ProjectUid::at(now)).await?,
        };
        let project = match self.store.project(organization, uid).await {
            Err(Error::NotFound(_)) => {
                // Two first files may come at once, and a call may have been cut off here: the name leads all to one project.
                let new =
                    Project { uid, ..Project::of_dataset(organization, &file.dataset_name, Dataset::uploading(), now) };
                self.store.add_project(&new).await?.unwrap_or(new)
            }
            found => found?,
        };
        match project.dataset.as_ref().map(|dataset| &dataset.stage) {
            Some(Stage::Uploading) => Ok(project),
            _ => Err(Error::field("dataset_name", complete(&project))),
        }
    }

    /// The project whose files have all come.
    async fn finished(
        &self,
        organization: OrganizationUid,
        new: &NewDataset,
        name: &DatasetName,
    ) -> Result<Project, Error> {
        let Some(uid) = self.store.dataset_named(organization, name).await? else { return Err(no_file(name)) };
        let project = self.store.project(organization, uid).await?;
        match &project.dataset {
            Some(Dataset { stage: Stage::Uploading, .. }) => {}
            Some(Dataset { slug: Some(slug), .. }) if *slug == new.slug => return Ok(project), // its answer was lost
            _ => return Err(Error::field("name", complete(&project))),
        }
        if self.objects.keys_behind(&Item::object_key(uid, ""), None).await?.is_empty() {
            return Err(no_file(name));
        }
        let slug = DatasetName::Slug(new.slug.clone());
        if self.store.name_dataset(organization, &slug, uid).await? != uid {
            return Err(slug_taken(&new.slug));
        }
        let after = project.clone().uploaded(new, self.clock.now());
        if !self.store.change_dataset(&project, &after).await? {
            return Err(Error::keeps_changing()); // the same call at once
        }
        info!(project.uid = %uid, "dataset uploaded");
        Ok(after)
    }
}

fn complete(project: &Project) -> String {
    format!("Dataset {} has all its files. Choose another name, or another upload.", project.slug())
}

fn no_file(name: &DatasetName) -> Error {
    let field = if matches!(name, DatasetName::Batch(_)) { "dataset_upload_uid" } else { "name" };
    Error::field(field, "No file has been uploaded under it. Upload files first, with the same name and uid.")
}

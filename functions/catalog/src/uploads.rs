use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::domain::id::{ProjectUid, UploadUid};
use shared::domain::upload::{RejectedUpload, Rejection};
use shared::domain::{Error, Timestamp};
use shared::http::{Answer, Caller, ListRequest, PageView, PagingParameters, Path, Problem};
use shared::ports::{Projects, Uploads};
use utoipa::ToSchema;

use crate::projects::READ;
use crate::{Api, CatalogPorts};

/// What becomes of an upload. Those that are items are listed as such.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UploadStatus {
    /// It is no item.
    Rejected,
}

/// An upload that became no item, or no new version of its item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
#[schema(example = json!({
    "bucket": null, "key": "projects/01a20112-0650-78aa-9a3c-3c54459424af/notes.txt", "size_bytes": 512,
    "reason": "unknown_content", "detail": "By its first bytes the file has none of the formats that become items.",
}))]
pub(crate) struct UploadView {
    uid: UploadUid,
    project: ProjectUid,
    status: UploadStatus,
    /// The object's bucket; `null`: the system's own.
    #[schema(required)]
    bucket: Option<String>,
    /// The object's key in its bucket.
    key: String,
    size_bytes: u64,
    /// Why, in a word.
    reason: Rejection,
    /// Why, in a sentence.
    detail: String,
    uploaded_at: Timestamp,
}

impl From<RejectedUpload> for UploadView {
    fn from(upload: RejectedUpload) -> Self {
        Self {
            uid: upload.uid(),
            project: upload.project,
            status: UploadStatus::Rejected,
            bucket: upload.bucket,
            key: upload.key,
            size_bytes: upload.size_bytes,
            reason: upload.reason,
            detail: upload.detail,
            uploaded_at: upload.uploaded_at,
        }
    }
}

/// List rejected uploads.
///
/// Files in the bucket that did not become items of the project, with the reasons. They are listed for 30 days. Scope:
/// `projects.read`.
#[utoipa::path(
    get, path = "/projects/{uid}/uploads/", tag = "items", operation_id = "uploads",
    params(
        ("uid" = ProjectUid, Path),
        PagingParameters,
        ("status" = Option<UploadStatus>, Query, description = "`rejected`, which is also what is listed without it."),
    ),
    responses(
        (status = 200, description = "A page of rejected uploads.", body = PageView<UploadView>),
        (status = 400, description = "`validation_error`: an unknown status.", body = Problem),
    ),
)]
pub(crate) async fn list<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    request: ListRequest,
) -> Answer<PageView<UploadView>> {
    caller.needs(READ)?;
    let paging = request.paging(&["status"])?;
    if paging.filter("status").is_some_and(|status| status != "rejected") {
        return Err(Error::field("status", "Must be \"rejected\": other uploads have become items."));
    }
    let project = ProjectUid::parse(&project)?;
    let page = api.store.rejected_uploads(caller.organization, project, &paging.slice()).await?;
    if page.entries.is_empty() {
        api.store.project(caller.organization, project).await?; // I10
    }
    Ok(Json(paging.view(page, UploadView::from)))
}

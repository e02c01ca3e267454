//! Datasets over HTTPS: a project's items as files, and folders of files that the official clients bring in (contract, section 11.7;
//! decision 0047).

mod create;
mod indexing;
mod read;
#[cfg(test)]
mod tests;
mod upload;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use shared::ports::{Clock, Datasets, Folders, Organizations, Projects, UploadForms, Uploads};
use utoipa::OpenApi;

/// These routes, for the API's description.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    read::list,
    create::create,
    read::get,
    read::get_by_slug,
    read::health,
    upload::file_url,
    upload::finish,
    upload::quota,
    upload::allowed_mimes,
))]
pub struct Description;

/// The adapters of the function, each known by its port alone.
pub trait DatasetPorts: 'static {
    /// The table.
    type Store: Datasets + Organizations + Projects + Uploads;
    /// The bucket: its list.
    type Objects: Folders;
    /// The bucket: its forms.
    type Forms: UploadForms;
    /// UTC.
    type Clock: Clock;
}

/// The state of the handlers.
pub struct DatasetApi<P: DatasetPorts> {
    /// Projects, and what finds them as datasets.
    pub store: P::Store,
    /// Lists the files that have come.
    pub objects: P::Objects,
    /// Signs the forms that upload files.
    pub forms: P::Forms,
    /// Dates rows.
    pub clock: P::Clock,
    /// Bytes that an organization may upload.
    pub quota: u64,
}

type Api<P> = State<Arc<DatasetApi<P>>>;

/// The routes, below `/api/v1` and without the last slash.
pub fn routes<P: DatasetPorts>(state: Arc<DatasetApi<P>>) -> Router {
    Router::new()
        .route("/datasets", get(read::list).post(create::create))
        .route("/datasets/{uid}", get(read::get))
        .route("/datasets/{owner}/{slug}", get(read::get_by_slug))
        .route("/datasets/{owner}/{slug}/health", get(read::health))
        .route("/datasets/manual-upload", post(upload::finish))
        .route("/datasets/manual-upload/file-upload-url", post(upload::file_url))
        .route("/datasets/manual-upload/quota", get(upload::quota))
        .route("/datasets/manual-upload/allowed-mimes", get(upload::allowed_mimes))
        .with_state(state)
}

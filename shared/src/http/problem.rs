//! The API's error body (contract, 3.2).

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use crate::domain::Error;
use crate::domain::id::{JobUid, ResultUid};

/// What a handler answers: a JSON body with status 200, or the problem.
pub type Answer<T> = Result<Json<T>, Error>;

/// Every error body: only a string `detail` reaches the user of every client.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A sentence for people. Of a validation error: all complaints, joined.
    detail: String,
    /// For programs; stable.
    code: &'static str,
    /// Of a validation error: the complaints by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<BTreeMap<String, Vec<String>>>,
    /// Of `auto_label_job_active`: the job that has the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_uid: Option<JobUid>,
    /// Of `item_labeled`: the result that the item has. Of `result_superseded`: the last one that it has had.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_uid: Option<ResultUid>,
    /// Of `quota_exceeded`: the bytes that the organization has announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    /// Of `quota_exceeded`: the bytes that it may upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let errors = match error {
            Error::Validation(complaints) => {
                let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for complaint in complaints {
                    errors.entry(complaint.field.clone()).or_default().push(complaint.message.clone());
                }
                Some(errors)
            }
            _ => None,
        };
        let job_uid = if let Error::JobActive(job) = error { Some(*job) } else { None };
        let result_uid = match error {
            Error::ItemLabeled { result, .. } => Some(*result),
            Error::ResultSuperseded(by) => *by,
            _ => None,
        };
        let (used, limit) = match error {
            Error::QuotaExceeded { used, limit } => (Some(*used), Some(*limit)),
            _ => (None, None),
        };
        Self { detail: error.to_string(), code: error.code().facts().code, errors, job_uid, result_uid, used, limit }
    }
}

/// The answer to a request that failed. A 5xx is logged here and nowhere else.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code().facts().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            error!(status = status.as_u16(), causes = self.chain(), "request failed");
        }
        let retry_after = self.retry_after().map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
        (status, retry_after, Json(Problem::from(&self))).into_response()
    }
}

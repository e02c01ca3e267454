//! Every error, named once, with its four faces: the client's sentence, `code`, HTTP status, and the name
//! that the state machine matches.

use strum::{EnumDiscriminants, IntoDiscriminant, VariantArray};

use super::job_status::{IllegalTransition, JobStatus};
use super::show;
use crate::domain::id::{JobUid, ResultUid};

/// A cause for the log alone.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One complaint about one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `config.endpoint_name` or `items[3].key`.
    pub field: String,
    /// A sentence.
    pub message: String,
}

impl FieldError {
    /// A complaint.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// What can go wrong, in the client's words: the text becomes `detail`, or the `error_message` of a job. A
/// `#[source]` is for the log alone (I11), so no text ever interpolates one.
#[derive(Debug, thiserror::Error, EnumDiscriminants)]
#[strum_discriminants(name(ErrorCode), derive(VariantArray), doc = "An [`Error`] without its particulars.")]
pub enum Error {
    /// Unknown, malformed, or another tenant's (I10): one sentence for all three, which names what is missing.
    #[error("Not found. {0}")]
    NotFound(String),
    /// A request that breaks the contract, field by field.
    #[error("{}", join(.0))]
    Validation(Vec<FieldError>),
    /// The body is not JSON; the text says where.
    #[error("JSON parse error - {0}")]
    MalformedBody(String),
    /// The body is longer than the limit.
    #[error("Request body is too large: at most {limit_kib} KiB are accepted.")]
    BodyTooLarge {
        /// KiB.
        limit_kib: usize,
    },
    /// No key.
    #[error("Authentication credentials were not provided.")]
    Unauthenticated,
    /// A key that we do not know, or that was revoked.
    #[error("Invalid API key.")]
    InvalidKey,
    /// A key past its date.
    #[error("API key has expired.")]
    KeyExpired,
    /// The key's scopes do not allow the call.
    #[error("You do not have permission to perform this action. The key needs the scope {0}.")]
    PermissionDenied(String),
    /// The path exists, the method does not.
    #[error("Method \"{0}\" not allowed.")]
    MethodNotAllowed(String),
    /// A cursor that we did not make.
    #[error("Invalid cursor")]
    InvalidCursor,
    /// The project takes no jobs.
    #[error("Project {project} is not active: its status is \"{status}\". Set it to \"active\" first.")]
    ProjectNotActive {
        /// Its name, as a sentence shows it.
        project: String,
        /// On the wire.
        status: &'static str,
    },
    /// I4. Carries the job that is active.
    #[error("An auto-label job is already active for this project. It is job {0}: wait for its end, or cancel it.")]
    JobActive(JobUid),
    /// The job has ended.
    #[error("Job is already {0}.")]
    JobFinished(JobStatus),
    /// The job is still to end.
    #[error("Job is still {0}. Wait for its end, or cancel it.")]
    JobNotFinished(JobStatus),
    /// The sentence says why.
    #[error("{0}")]
    NotRetryable(&'static str),
    /// The result was rejected: it is history.
    #[error("Result is already rejected. Reopen it, or let the next job draft its item again.")]
    ResultRejected,
    /// The result was rejected, and its item has had another one since, or a file with other bytes (`None`).
    #[error("{}", superseded(*.0))]
    ResultSuperseded(Option<ResultUid>),
    /// The item has a result, which is another call's to change.
    #[error("{}", to_call_instead(*.result, *.is_draft))]
    ItemLabeled {
        /// The result.
        result: ResultUid,
        /// Whether it is a draft; else it is accepted.
        is_draft: bool,
    },
    /// The sentence says why.
    #[error("{0}")]
    NotRedeliverable(&'static str),
    /// The client's `If-Match` names another version than the one that is there, or others kept writing. The sentence says which.
    #[error("It has changed since it was read. {0}")]
    PreconditionFailed(String),
    /// No provider and no endpoint of the deployment serves the job. Carries the model type that such an endpoint would need.
    #[error(
        "No active inference provider is configured for this project. The deployment has no endpoint of its own that may serve jobs of the model type \"{0}\" instead. Add a provider or activate one."
    )]
    NoInferenceProvider(&'static str),
    /// The provider that a project relies on does not serve it any more. The sentence names it and says what to do.
    #[error("{0}")]
    ProviderGone(String),
    /// More requests than the key, or the address without one, may make (contract, 3.3).
    #[error("Request was throttled. Expected available in {seconds} {}.", if *.seconds == 1 { "second" } else { "seconds" })]
    Throttled {
        /// Until the next request may be served.
        seconds: u32,
    },
    /// The idempotency key has named another request.
    #[error("Idempotency-Key was used before, for a request with another path or body.")]
    IdempotencyKeyReused,
    /// Two of the same request at once.
    #[error("A request with this Idempotency-Key is still in progress. Try again.")]
    IdempotencyInProgress,
    /// The request has had its effect, and its answer was too large to be kept.
    #[error("The request with this Idempotency-Key has succeeded, but its answer was too large to keep.")]
    IdempotencyAnswerNotKept,
    /// The organization has as many as one may have.
    #[error("{0}")]
    TooMany(String),
    /// The organization may not upload so many bytes.
    #[error("The organization may upload {limit} bytes, and has announced {used}. The file does not fit.")]
    QuotaExceeded {
        /// Bytes.
        used: u64,
        /// Bytes.
        limit: u64,
    },

    /// The model cannot serve this job at all: the sentence says which endpoint and what to do.
    #[error("{0}")]
    ProviderRefused(String),
    /// The worker's time is up. What is committed stays; another invocation does the rest.
    #[error("The batch is not finished yet.")]
    BatchUnfinished,
    /// The worker's time is up, and it could commit nothing.
    #[error(
        "The model is too slow or too busy: within a quarter of an hour it did not answer enough items to go on. Let it take more calls at once, or lower max_concurrency."
    )]
    BatchStuck,

    /// DynamoDB throttles, times out or answers 5xx.
    #[error("The service is busy. Try again.")]
    StoreUnavailable(#[source] BoxError),
    /// S3 does.
    #[error("The service is busy. Try again.")]
    ObjectsUnavailable(#[source] BoxError),
    /// SQS does.
    #[error("The service is busy. Try again.")]
    QueueUnavailable(#[source] BoxError),
    /// Step Functions does.
    #[error("The service is busy. Try again.")]
    ExecutionsUnavailable(#[source] BoxError),
    /// KMS or STS does.
    #[error("The service is busy. Try again.")]
    SecretsUnavailable(#[source] BoxError),
    /// Our own mistake.
    #[error("Internal server error.")]
    Internal(#[source] BoxError),
}

/// The sentence about an object that the caller's organization does not have. It is the same if another one has it (I10).
#[must_use]
pub fn absence(noun: &str, name: &str) -> String {
    format!("No {noun} {} in this organization.", show::quoted(name))
}

fn join(errors: &[FieldError]) -> String {
    let sentences: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
    sentences.join("; ")
}

fn superseded(by: Option<ResultUid>) -> String {
    let since = match by {
        Some(by) => format!("Item has had another result since: {by}, which may be discarded by now."),
        None => "Item has had other bytes in its file since.".to_owned(),
    };
    format!("{since} Label it by hand, or let the next job draft it.")
}

/// What an item has, and the calls that change it.
fn to_call_instead(result: ResultUid, is_draft: bool) -> String {
    let correct = format!("orrect it by PATCH /results/{result}/, or reject it by POST /results/{result}/reject/.");
    if is_draft {
        format!("Item already has a draft. Accept it by POST /results/{result}/accept/, c{correct}")
    } else {
        format!("Item already has an accepted result. C{correct}")
    }
}

/// What every part of the system needs to know about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `code` in the error body.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The error's name in the state machine.
    pub task_error: &'static str,
    /// Worth repeating as it is: a task's `Retry` names exactly these.
    pub repeatable: bool,
}

impl ErrorCode {
    /// Every code, for the tests that hold the state machine and the API description to this table.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// What the one table says of it.
    #[must_use]
    pub const fn facts(self) -> Facts {
        let (_, code, status, task_error, repeatable) = TABLE[self as usize];
        Facts { code, status, task_error, repeatable }
    }
}

/// Code in the body, HTTP status, name in the state machine, and whether it is worth repeating.
type Row = (ErrorCode, &'static str, u16, &'static str, bool);

/// The one table, in the order of [`Error`]: a variant without a row does not compile.
const TABLE: [Row; ErrorCode::ALL.len()] = {
    use ErrorCode as E;
    [
        (E::NotFound, "not_found", 404, "NotFound", false),
        (E::Validation, "validation_error", 400, "ValidationError", false),
        (E::MalformedBody, "parse_error", 400, "ParseError", false),
        (E::BodyTooLarge, "body_too_large", 413, "BodyTooLarge", false),
        (E::Unauthenticated, "not_authenticated", 401, "NotAuthenticated", false),
        (E::InvalidKey, "invalid_api_key", 401, "InvalidApiKey", false),
        (E::KeyExpired, "api_key_expired", 401, "ApiKeyExpired", false),
        (E::PermissionDenied, "permission_denied", 403, "PermissionDenied", false),
        (E::MethodNotAllowed, "method_not_allowed", 405, "MethodNotAllowed", false),
        (E::InvalidCursor, "invalid_cursor", 404, "InvalidCursor", false),
        (E::ProjectNotActive, "project_not_active", 409, "ProjectNotActive", false),
        (E::JobActive, "auto_label_job_active", 409, "JobActive", false),
        (E::JobFinished, "job_finished", 409, "JobFinished", false),
        (E::JobNotFinished, "job_not_finished", 409, "JobNotFinished", false),
        (E::NotRetryable, "not_retryable", 409, "NotRetryable", false),
        (E::ResultRejected, "result_rejected", 409, "ResultRejected", false),
        (E::ResultSuperseded, "result_superseded", 409, "ResultSuperseded", false),
        (E::ItemLabeled, "item_labeled", 409, "ItemLabeled", false),
        (E::NotRedeliverable, "not_redeliverable", 409, "NotRedeliverable", false),
        (E::PreconditionFailed, "precondition_failed", 412, "PreconditionFailed", false),
        (E::NoInferenceProvider, "no_inference_provider", 400, "NoInferenceProvider", false),
        (E::ProviderGone, "provider_gone", 400, "ProviderGone", false),
        (E::Throttled, "throttled", 429, "Throttled", false),
        (E::IdempotencyKeyReused, "idempotency_key_reused", 409, "IdempotencyKeyReused", false),
        (E::IdempotencyInProgress, "idempotency_in_progress", 409, "IdempotencyInProgress", false),
        (E::IdempotencyAnswerNotKept, "idempotency_answer_not_kept", 409, "IdempotencyAnswerNotKept", false),
        (E::TooMany, "too_many", 409, "TooMany", false),
        (E::QuotaExceeded, "quota_exceeded", 413, "QuotaExceeded", false),
        (E::ProviderRefused, "provider_refused", 502, "ProviderRefused", false),
        (E::BatchUnfinished, "batch_unfinished", 503, "BatchUnfinished", false),
        (E::BatchStuck, "batch_stuck", 503, "BatchStuck", false),
        (E::StoreUnavailable, "unavailable", 503, "StoreUnavailable", true),
        (E::ObjectsUnavailable, "unavailable", 503, "ObjectsUnavailable", true),
        (E::QueueUnavailable, "unavailable", 503, "QueueUnavailable", true),
        (E::ExecutionsUnavailable, "unavailable", 503, "ExecutionsUnavailable", true),
        (E::SecretsUnavailable, "unavailable", 503, "SecretsUnavailable", true),
        (E::Internal, "internal_error", 500, "InternalError", false),
    ]
};

const _: () = {
    let mut row = 0;
    while row < TABLE.len() {
        assert!(TABLE[row].0 as usize == row, "a row is not where its variant is");
        row += 1;
    }
};

impl From<IllegalTransition> for Error {
    /// Our own mistake: moves that others have made impossible are refused before.
    fn from(illegal: IllegalTransition) -> Self {
        Self::internal(illegal)
    }
}

impl Error {
    /// A body that is UTF-8 only up to this byte.
    #[must_use]
    pub fn no_utf8(position: usize) -> Self {
        Self::MalformedBody(format!("the body is not UTF-8: byte {position}, counted from 0, begins no character."))
    }

    /// The error without its particulars.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.discriminant()
    }

    /// The caller's organization has no object of this name, or another one has it (I10).
    #[must_use]
    pub fn no_such(noun: &str, name: &str) -> Self {
        Self::NotFound(absence(noun, name))
    }

    /// Others write the object all the time.
    #[must_use]
    pub fn keeps_changing() -> Self {
        Self::PreconditionFailed("Others keep changing it, and nothing was written. Send the call again.".into())
    }

    /// A complaint about one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Validation(vec![FieldError::new(field, message)])
    }

    /// Our own mistake.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::Internal(cause.into())
    }

    /// Seconds after which the request is worth repeating, where we know them.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Throttled { seconds } => Some(*seconds),
            Self::IdempotencyInProgress => Some(1),
            _ => None,
        }
    }

    /// The causes, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

//! An error of each code that a call answers: the examples of the bodies of errors.

use serde_json::Value;
use shared::domain::Error;
use shared::domain::id::{JobUid, ResultUid};
use shared::domain::job_status::JobStatus;
use shared::http::Problem;

/// The schema of these bodies.
pub(crate) const SCHEMA: &str = "#/components/schemas/Problem";

/// The first code that a response's description names: `` `job_finished`: … ``.
pub(crate) fn first_code(description: &str) -> Option<&str> {
    description.split('`').nth(1)
}

/// The body of an error of this code. The fields of a body are wrong, or else a filter is (`is_sent`: the operation has a body).
pub(crate) fn example(code: &str, is_sent: bool) -> Option<Value> {
    let error = errors(is_sent).into_iter().find(|error| error.code().facts().code == code)?;
    serde_json::to_value(Problem::from(&error)).ok()
}

fn errors(is_sent: bool) -> Vec<Error> {
    vec![
        if is_sent {
            Error::field("confidence_threshold", "Must be a number from 0.0 to 1.0, not 3.")
        } else {
            Error::field("status", "Must be one of \"pending\", \"completed\", not \"open\".")
        },
        Error::InvalidKey,
        Error::PermissionDenied("projects.write".into()),
        Error::no_such("job", "01a20112-07ab-7087-87b3-78e485451551"),
        Error::BodyTooLarge { limit_kib: 256 },
        Error::Throttled { seconds: 30 },
        Error::StoreUnavailable(String::new().into()),
        Error::internal(String::new()),
        Error::ProjectNotActive { project: "\"Street scenes\"".into(), status: "archived" },
        JobUid::parse("01a20112-07ab-7087-87b3-78e485451551").map_or_else(|error| error, Error::JobActive),
        Error::JobFinished(JobStatus::Completed),
        Error::JobNotFinished(JobStatus::Running),
        ResultUid::parse("01a20112-07ab-7087-87b3-4d075dcc2fce")
            .map_or_else(|error| error, |result| Error::ItemLabeled { result, is_draft: true }),
        Error::NotRetryable("The job has no failed and no unprocessed items."),
        Error::ResultRejected,
        ResultUid::parse("01a20112-07ab-7087-87b3-4d075dcc2fce")
            .map_or_else(|error| error, |by| Error::ResultSuperseded(Some(by))),
        Error::ProviderGone(
            "The project's default provider \"Street model\" is not active. Activate it, or choose another one.".into(),
        ),
        Error::NotRedeliverable("The webhook was deleted or deactivated."),
        Error::keeps_changing(),
        Error::TooMany("An organization may have at most 50 webhooks.".into()),
        Error::IdempotencyKeyReused,
    ]
}

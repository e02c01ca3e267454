//! Maps the AWS SDK's errors to ours, for every adapter.

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::domain::Error;
use crate::domain::error::BoxError;

/// Throttled (by the SDK's own list of codes), timed out, 5xx or unreachable: `unavailable`, which is repeatable.
/// Anything else is `Internal`.
pub(crate) fn classify<E>(error: SdkError<E, HttpResponse>, unavailable: fn(BoxError) -> Error) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let busy = match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status();
            status.is_server_error()
                || status.as_u16() == 429
                || service
                    .err()
                    .code()
                    .is_some_and(|code| THROTTLING_ERRORS.contains(&code) || TRANSIENT_ERRORS.contains(&code))
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        _ => false,
    };
    if busy { unavailable(Box::new(error)) } else { Error::internal(error) }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    fn repeatable(status: u16, code: &str) -> bool {
        let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        let error = SdkError::service_error(ErrorMetadata::builder().code(code).build(), response);
        classify(error, Error::SecretsUnavailable).code().facts().repeatable
    }

    #[test]
    fn what_passes_is_repeatable_and_what_stays_is_not() {
        // KMS and SQS throttle with 400 (AWS, "Common Errors").
        for (status, code) in
            [(400, "ThrottlingException"), (403, "RequestThrottled"), (503, "SlowDown"), (500, "Odd"), (429, "Odd")]
        {
            assert!(repeatable(status, code), "{status} {code}");
        }
        for (status, code) in [(400, "ValidationException"), (403, "AccessDeniedException"), (404, "NotFoundException")]
        {
            assert!(!repeatable(status, code), "{status} {code}");
        }
    }
}

//! What the adapters of AWS's services share: how a client is made, and what an error means.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::domain::Error;
use crate::domain::error::BoxError;

/// A client that is made at its first call. A process that never calls its service does not pay for it: half a million
/// instructions, most of them for the SDK's list of AWS partitions (decision 0048).
pub struct LazyClient<C>(Arc<LazyLock<C, Box<dyn FnOnce() -> C + Send>>>);

impl<C> LazyClient<C> {
    /// The client that `make` returns.
    pub fn new(make: impl FnOnce() -> C + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }
}

/// A client that is made already.
impl<C: Send + 'static> From<C> for LazyClient<C> {
    fn from(client: C) -> Self {
        Self::new(move || client)
    }
}

impl<C> Deref for LazyClient<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Clone for LazyClient<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Without the client: printing makes none.
impl<C> fmt::Debug for LazyClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LazyClient")
    }
}

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
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[test]
    fn a_client_is_made_once_and_not_before_it_is_called() {
        let made = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&made);
        let client = LazyClient::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            "client"
        });
        let other = client.clone();
        assert_eq!((format!("{client:?}"), made.load(Ordering::Relaxed)), ("LazyClient".to_owned(), 0));

        assert_eq!((client.len(), other.len(), made.load(Ordering::Relaxed)), (6, 6, 1));
    }

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

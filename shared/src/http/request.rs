//! Request bodies.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use http::header::CONTENT_LENGTH;

use crate::domain::{Error, limits};

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The bytes of a body, whatever its content type (contract, 1.3). More than `BYTES` of them are `BodyTooLarge`.
#[derive(Debug)]
pub struct Body<const BYTES: usize = { limits::BODY_BYTES }>(pub Bytes);

impl<S: Send + Sync, const BYTES: usize> FromRequest<S> for Body<BYTES> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let sent = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let too_large = |_| Error::BodyTooLarge { limit_kib: BYTES / 1024 };
        let body = to_bytes(request.into_body(), BYTES).await.map_err(too_large)?;
        replaced(&body, sent).map_or(Ok(Self(body)), |position| Err(Error::no_utf8(position)))
    }
}

/// The position of a U+FFFD that the gateway has written for bytes that are not UTF-8. A Lambda event is text, and a body of a
/// content type such as JSON is a string in it. The replacement shows by the length, since the character takes three bytes. A
/// U+FFFD that the client has sent does not change the length.
fn replaced(body: &[u8], sent: Option<usize>) -> Option<usize> {
    let was_changed = sent.is_some_and(|length| length != body.len());
    was_changed.then(|| body.windows(REPLACEMENT.len()).position(|part| part == REPLACEMENT)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_has_replaced_shows_by_the_length() {
        let sent = b"{\"name\": \"caf\xe9\"}";
        let passed_on = String::from_utf8_lossy(sent);

        assert_eq!(replaced(passed_on.as_bytes(), Some(sent.len())), Some(13));
        assert_eq!(replaced(passed_on.as_bytes(), None), None, "how much was sent is not known");
        assert_eq!(replaced(passed_on.as_bytes(), Some(passed_on.len())), None, "the client's own character");
        assert_eq!(replaced(b"{}", Some(7)), None);
    }
}

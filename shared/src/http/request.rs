//! Requests, read the contract's way.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use http::header::CONTENT_LENGTH;

use super::respond;
use crate::domain::{Error, limits};

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// A body's bytes, at most so many, whatever the content type says (contract, 1.3).
#[derive(Debug)]
pub struct Body<const BYTES: usize = { limits::BODY_BYTES }>(pub Bytes);

impl<S: Send + Sync, const BYTES: usize> FromRequest<S> for Body<BYTES> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let too_large = || respond::<()>(Err(Error::BodyTooLarge { limit_kib: BYTES / 1024 }));
        let sent = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let body = to_bytes(request.into_body(), BYTES).await.map_err(|_| too_large())?;
        match replaced(&body, sent) {
            Some(position) => Err(respond::<()>(Err(Error::no_utf8(position)))),
            None => Ok(Self(body)),
        }
    }
}

/// Where the gateway has put U+FFFD for bytes that are not UTF-8: a Lambda's event is text, and of a content type such as JSON the
/// body is a string in it. It shows by the length, since the character takes three bytes. One that the client has sent stays.
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

//! Query parameters of calls that have none. A list reads its own: see [`Paging::read`](super::Paging::read).

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;

use super::base::parameters;
use crate::domain::error::FieldError;
use crate::domain::{Error, unknown};

/// Paths of one object that do not end in its uid.
const OBJECTS: [&str; 3] = ["/api/v1/keys/me", "/api/v1/openapi.json", "/api/v1/results/{uid}/draft"];

/// Refuses a call about one object, or one that changes something, if it has parameters: they would be ignored (contract, 1.3).
pub(super) async fn layer(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(request: &Request) -> Result<(), Error> {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
    // The path of an object ends in its uid or slug, that of a list in a word.
    let is_object = path.as_str().ends_with('}') || OBJECTS.contains(&path.as_str());
    let may_have = matches!(*request.method(), Method::GET | Method::HEAD) && !is_object;
    if may_have {
        return Ok(());
    }
    complaints(&parameters(request.uri()), &[], |_| true)
}

/// Refuses the parameters that are none of `known` and that `refused` selects, and known ones that are repeated: one of them would
/// be ignored.
///
/// # Errors
/// `Validation`.
pub(super) fn complaints(
    query: &[(String, String)],
    known: &[&str],
    refused: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let strays = query.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name) && refused(name));
    let complaint = |name| unknown::complaint(unknown::PARAMETER, "", name, known);
    let times = |known: &&str| query.iter().filter(|(name, _)| name == known).count();
    let repeated =
        known.iter().filter(|known| times(known) > 1).map(|name| FieldError::new(*name, "May be given once."));
    let complaints: Vec<FieldError> = strays.map(complaint).chain(repeated).take(unknown::MOST).collect();
    if complaints.is_empty() { Ok(()) } else { Err(Error::Validation(complaints)) }
}

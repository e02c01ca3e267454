//! Versions of a resource that several people may change at once (RFC 9110, sections 8.8.3 and 13.1.1).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::{ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use utoipa::IntoParams;

use crate::domain::Error;

/// The `ETag` header of a revision.
#[must_use]
pub fn etag(revision: u32) -> [(HeaderName, String); 1] {
    [(ETAG, tag(revision))]
}

fn tag(revision: u32) -> String {
    format!("\"{revision}\"")
}

/// The header of a call that changes a version, for the API's description.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatchHeader {
    /// The `ETag` of the version that was read. If it has changed since: 412.
    #[param(rename = "If-Match")]
    pub if_match: Option<String>,
}

/// The versions that the client accepts to write over. Without the header: any.
#[derive(Clone, Debug)]
pub struct IfMatch(Vec<HeaderValue>);

impl IfMatch {
    /// # Errors
    /// `PreconditionFailed` unless this revision is one of them. A weak tag is never one.
    pub fn check(&self, revision: u32) -> Result<(), Error> {
        let tag = tag(revision);
        // Our tags have no comma, so splitting at commas breaks none of them.
        let mut named =
            self.0.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim);
        if self.0.is_empty() || named.any(|name| name == "*" || name == tag) {
            Ok(())
        } else {
            Err(Error::PreconditionFailed(format!("Its ETag is {tag} now. Read it again, then decide.")))
        }
    }
}

impl IfMatch {
    /// For a resource that does not exist yet: no version of it can match.
    ///
    /// # Errors
    /// `PreconditionFailed` if the client names any.
    pub fn check_absent(&self) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let sentence = "If-Match names a version, and there is none: leave the header out.";
        Err(Error::PreconditionFailed(sentence.into()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get_all(IF_MATCH).iter().cloned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(lines: &[&str], revision: u32) -> bool {
        IfMatch(lines.iter().map(|line| HeaderValue::from_str(line).unwrap()).collect()).check(revision).is_ok()
    }

    #[test]
    fn a_client_that_names_no_version_writes_over_any() {
        assert!(allows(&[], 7));
        assert!(allows(&["*"], 7));
    }

    #[test]
    fn no_version_matches_what_does_not_exist() {
        assert!(IfMatch(vec![]).check_absent().is_ok());
        for named in ["*", "\"0\""] {
            assert!(IfMatch(vec![HeaderValue::from_static(named)]).check_absent().is_err(), "{named}");
        }
    }

    #[test]
    fn a_client_that_names_versions_writes_over_these_alone() {
        assert!(allows(&["\"7\""], 7));
        assert!(allows(&["\"6\", \"7\""], 7) && allows(&["\"6\"", "\"7\""], 7));
        let refused = IfMatch(vec![HeaderValue::from_static("\"6\"")]).check(7).unwrap_err().to_string();
        assert_eq!(refused, "It has changed since it was read. Its ETag is \"7\" now. Read it again, then decide.");
        for other in ["\"6\"", "7", "W/\"7\"", "", "\"77\"", "\u{e9}"] {
            assert!(!allows(&[other], 7), "{other}");
        }
    }
}

//! The secret part of a `config`: read, completed where it is masked, and never shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AuthType, MASK};
use crate::domain::error::FieldError;
use crate::domain::fields::{self, Fields};
use crate::domain::{Error, limits};

/// Request headers that frame the request: HTTP itself sets them.
const RESERVED: [&str; 11] = [
    "Connection",
    "Content-Length",
    "Content-Type",
    "Expect",
    "Host",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];
const AUTHORIZATION: &str = "Authorization";
/// The complaint about a mask that stands for nothing.
pub(super) const SEND_AGAIN: &str =
    "Send the value itself: none is stored for this endpoint that the mask could stand for.";

/// The secret part of an HTTPS endpoint's `config`. Never printed, so the type has no `Debug` (I11).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub(super) auth_type: AuthType,
    /// A token, or a line `Name: value`.
    pub(super) auth_header: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
}

impl Credentials {
    /// Whether any of them is a mask, so that [`Self::completed`] needs what is stored.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        self.auth_header.iter().chain(self.headers.values()).any(|value| value == MASK)
    }

    /// With every mask replaced by what is stored.
    ///
    /// # Errors
    /// `Validation`: a mask for which nothing is stored; the same header twice; more than can be sealed.
    pub fn completed(self, stored: &Self) -> Result<Self, Error> {
        let mut complaints = Vec::new();
        let auth_header = match self.auth_header {
            Some(sent) if sent == MASK => {
                // A token is no header line, nor the other way round.
                let kept = stored.auth_header.clone().filter(|_| stored.auth_type == self.auth_type);
                if kept.is_none() {
                    complaints.push(FieldError::new("config.auth_header", SEND_AGAIN));
                }
                kept
            }
            sent => sent,
        };
        let mut headers = BTreeMap::new();
        for (name, value) in self.headers {
            let kept = stored.headers.iter().find(|(kept, _)| same_name(kept, &name));
            match kept {
                _ if value != MASK => drop(headers.insert(name, value)),
                Some((name, value)) => drop(headers.insert(name.clone(), value.clone())),
                None => complaints.push(FieldError::new(format!("config.headers.{name}"), SEND_AGAIN)),
            }
        }
        if !complaints.is_empty() {
            return Err(Error::Validation(complaints));
        }
        let completed = Self { auth_type: self.auth_type, auth_header, headers };
        if let Some((name, _)) = completed.authentication()
            && let Some(twice) = completed.headers.keys().find(|other| same_name(other, name))
        {
            return Err(Error::field(format!("config.headers.{twice}"), "Is set by auth_header."));
        }
        if completed.to_text()?.is_some_and(|text| text.len() > limits::CREDENTIALS_BYTES) {
            let limit = limits::CREDENTIALS_BYTES;
            return Err(Error::field(
                "config",
                format!("auth_header and headers may have {limit} bytes in all, as JSON."),
            ));
        }
        Ok(completed)
    }

    /// Names of the further headers: these are no secret.
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        self.headers.keys().cloned().collect()
    }

    /// The headers of a request.
    #[must_use]
    pub fn request_headers(&self) -> Vec<(String, String)> {
        let further = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        self.authentication().map(|(name, value)| (name.to_owned(), value)).into_iter().chain(further).collect()
    }

    fn authentication(&self) -> Option<(&str, String)> {
        let auth_header = self.auth_header.as_deref()?;
        match self.auth_type {
            AuthType::None => None,
            AuthType::Bearer => Some((AUTHORIZATION, format!("Bearer {auth_header}"))),
            AuthType::Header => auth_header.split_once(": ").map(|(name, value)| (name, value.to_owned())),
        }
    }

    /// What is sealed; `None`: there is nothing secret.
    ///
    /// # Errors
    /// `Internal`.
    pub fn to_text(&self) -> Result<Option<String>, Error> {
        if self.auth_header.is_none() && self.headers.is_empty() {
            return Ok(None);
        }
        serde_json::to_string(self).map(Some).map_err(Error::internal)
    }

    /// What was sealed.
    ///
    /// # Errors
    /// `Internal`; the cause says where, never what.
    pub fn of_text(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| Error::internal(format!("credentials, column {}", error.column())))
    }
}

/// Reads `auth_type` and `auth_header`, which mean something together only (contract, D14).
pub(super) fn authentication(fields: &mut Fields) -> (AuthType, Option<String>) {
    let sent = fields.has("auth_type");
    let auth_type = fields.optional("auth_type", AuthType::read);
    let auth_header = match auth_type {
        None if sent => fields.optional("auth_header", secret),
        None | Some(AuthType::None) => fields.optional("auth_header", unused),
        Some(AuthType::Bearer) => fields.required("auth_header", token),
        Some(AuthType::Header) => fields.required("auth_header", header_line),
    };
    let auth_type = auth_type.unwrap_or_default();
    (auth_type, auth_header.filter(|_| auth_type != AuthType::None))
}

/// A mask is accepted although no authentication is used: a client may send it back as it was shown.
fn unused(value: Value) -> Result<String, String> {
    let value = secret(value)?;
    if value == MASK { Ok(value) } else { Err("Is used with auth_type \"bearer\" or \"header\" only.".into()) }
}

/// A token, without the `Bearer` that it may come with.
fn token(value: Value) -> Result<String, String> {
    let text = secret(value)?;
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim().to_owned(),
        _ => text,
    };
    if token.is_empty() || token.contains(' ') { Err("Must be a token without spaces.".into()) } else { Ok(token) }
}

/// One line `Name: value`.
fn header_line(value: Value) -> Result<String, String> {
    let line = secret(value)?;
    if line == MASK {
        return Ok(line);
    }
    let (name, value) = line.split_once(':').map(|(name, value)| (name.trim(), value.trim())).unwrap_or_default();
    if !is_header_name(name) || value.is_empty() {
        return Err("Must be one line \"Name: value\".".into());
    }
    if is_reserved(name) {
        return Err("Names a header that may not be set.".into());
    }
    Ok(format!("{name}: {value}"))
}

/// Reads `headers`.
pub(super) fn headers(fields: &mut Fields, sent: Map<String, Value>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    if sent.len() > limits::HEADERS {
        fields.refuse("headers", format!("Must have at most {} entries.", limits::HEADERS));
        return headers;
    }
    for (name, value) in sent.into_iter().filter(|(_, value)| !value.is_null()) {
        if !is_header_name(&name) {
            // The complaint does not repeat the key: a client that confuses name and value has put the secret here.
            fields.refuse("headers", "Every key must be the name of an HTTP header.");
            continue;
        }
        let path = format!("headers.{name}");
        if is_reserved(&name) {
            fields.refuse(&path, "May not be set.");
        } else if headers.keys().any(|other| same_name(other, &name)) {
            fields.refuse(&path, "Is there twice: case and \"_\" make no difference.");
        } else {
            match secret(value) {
                Ok(value) => drop(headers.insert(name, value)),
                Err(message) => fields.refuse(&path, message),
            }
        }
    }
    headers
}

/// What can be the value of a header. No complaint repeats it.
fn secret(value: Value) -> Result<String, String> {
    let text = fields::text(1, limits::HEADER_CHARS)(value)?;
    if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        Ok(text)
    } else {
        Err("Must consist of printable ASCII characters.".into())
    }
}

/// A token of HTTP (RFC 9110, 5.6.2).
pub(super) fn is_header_name(name: &str) -> bool {
    (1..=limits::HEADER_NAME_CHARS).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| same_name(reserved, name))
}

/// Header names know no case; and the TypeScript client turns a stored `x_model` into `xModel` on its way back (contract, 1.4).
fn same_name(one: &str, other: &str) -> bool {
    let folded = |name: &str| name.replace('_', "").to_ascii_lowercase();
    folded(one) == folded(other)
}

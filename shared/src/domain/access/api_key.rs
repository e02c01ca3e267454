//! API keys and what they may do.

use std::fmt;
use std::str::FromStr;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::VariantArray;
use utoipa::ToSchema;

use crate::domain::id::OrganizationUid;
use crate::domain::{Error, Timestamp};

/// SHA-256 of a key, lowercase hex. The key itself is stored nowhere (I11). A plain hash is enough: keys
/// are random, so there is nothing to guess.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(String);

impl KeyHash {
    /// The hash of what the client sent.
    #[must_use]
    pub fn of(key: &str) -> Self {
        use std::fmt::Write;
        Self(Sha256::digest(key.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    /// The hash that [`Self::as_str`] gave.
    #[must_use]
    pub fn of_hex(hex: &str) -> Self {
        Self(hex.to_owned())
    }

    /// A short name for people: the first characters, enough to distinguish an organization's keys.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }

    /// Hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a key may do (contract, D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, VariantArray, ToSchema)]
pub enum Scope {
    #[serde(rename = "projects.read")]
    #[expect(missing_docs, reason = "the name says it")]
    ProjectsRead,
    #[serde(rename = "projects.write")]
    #[expect(missing_docs, reason = "the name says it")]
    ProjectsWrite,
    #[serde(rename = "results.write")]
    #[expect(missing_docs, reason = "the name says it")]
    ResultsWrite,
    #[serde(rename = "exports.create")]
    #[expect(missing_docs, reason = "the name says it")]
    ExportsCreate,
    #[serde(rename = "tasks.read")]
    #[expect(missing_docs, reason = "the name says it")]
    TasksRead,
    #[serde(rename = "datasets.read")]
    #[expect(missing_docs, reason = "the name says it")]
    DatasetsRead,
    #[serde(rename = "datasets.write")]
    #[expect(missing_docs, reason = "the name says it")]
    DatasetsWrite,
    #[serde(rename = "inference.read")]
    #[expect(missing_docs, reason = "the name says it")]
    InferenceRead,
    #[serde(rename = "inference.write")]
    #[expect(missing_docs, reason = "the name says it")]
    InferenceWrite,
    #[serde(rename = "webhooks.read")]
    #[expect(missing_docs, reason = "the name says it")]
    WebhooksRead,
    #[serde(rename = "webhooks.write")]
    #[expect(missing_docs, reason = "the name says it")]
    WebhooksWrite,
}

impl FromStr for Scope {
    type Err = serde::de::value::Error;

    /// The error names the scopes that there are.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::deserialize(name.into_deserializer())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A key as people see it: everything but the key itself.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedKey {
    /// Names it.
    pub hash: KeyHash,
    /// What it may do, and until when.
    pub key: ApiKey,
}

/// A key's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The tenant.
    pub organization: OrganizationUid,
    /// For people.
    pub name: String,
    /// Empty: everything (contract, section 2).
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// `None`: never. Stored under another name than the table's TTL: an expired key must stay, since it is answered otherwise
    /// than an unknown one.
    #[serde(rename = "valid_until")]
    pub expires_at: Option<Timestamp>,
    /// `None`: not revoked.
    pub revoked_at: Option<Timestamp>,
    /// `None`: as many as the deployment allows (contract, 3.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
}

impl ApiKey {
    /// # Errors
    /// `InvalidKey` if revoked, `KeyExpired` if past its date.
    pub fn check(&self, now: Timestamp) -> Result<(), Error> {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => Err(Error::InvalidKey),
            (None, Some(end)) if end <= now => Err(Error::KeyExpired),
            _ => Ok(()),
        }
    }

    /// Whether the key may do everything, also what no scope allows yet.
    #[must_use]
    pub const fn is_unrestricted(&self) -> bool {
        self.scopes.is_empty()
    }

    /// The scopes whose calls the key may make: its own, or all of them.
    #[must_use]
    pub fn allowed(&self) -> &[Scope] {
        if self.is_unrestricted() { Scope::VARIANTS } else { &self.scopes }
    }

    /// # Errors
    /// `PermissionDenied` unless the key has one of `scopes`, or has none at all and so may do everything.
    pub fn allows(&self, scopes: &[Scope]) -> Result<(), Error> {
        if self.is_unrestricted() || self.scopes.iter().any(|scope| scopes.contains(scope)) {
            Ok(())
        } else {
            let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            Err(Error::PermissionDenied(names.join(" or ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_key_ends_on_its_date_or_when_revoked() {
        let mut key = ApiKey {
            organization: OrganizationUid::named("acme"),
            name: "ci".into(),
            scopes: vec![Scope::ProjectsRead],
            created_at: at(0),
            expires_at: Some(at(1_000)),
            revoked_at: None,
            requests_per_minute: None,
        };
        assert!(key.check(at(999)).is_ok());
        assert!(matches!(key.check(at(1_000)), Err(Error::KeyExpired)));
        assert!(key.allows(&[Scope::ProjectsRead]).is_ok());
        let refused = key.allows(&[Scope::ProjectsWrite]);
        assert!(matches!(refused, Err(Error::PermissionDenied(scope)) if scope == "projects.write"));
        assert_eq!((key.is_unrestricted(), key.allowed()), (false, [Scope::ProjectsRead].as_slice()));

        key.revoked_at = Some(at(1));
        assert!(matches!(key.check(at(999)), Err(Error::InvalidKey)));
    }

    #[test]
    fn a_scope_is_read_by_the_name_it_shows() {
        assert_eq!("inference.write".parse(), Ok(Scope::InferenceWrite));
        assert_eq!(Scope::InferenceWrite.to_string(), "inference.write");
        assert!("everything".parse::<Scope>().unwrap_err().to_string().contains("`projects.read`"));
    }

    /// Contract D2.
    #[test]
    fn the_hash_is_sha_256() {
        assert_eq!(KeyHash::of("abc").as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

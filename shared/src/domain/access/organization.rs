//! Organizations: the tenants.

use serde::{Deserialize, Serialize};

use crate::domain::id::OrganizationUid;
use crate::domain::{Error, limits};

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Derived from the slug.
    pub uid: OrganizationUid,
    /// For people.
    pub name: String,
    /// What the administration command calls it.
    pub slug: String,
}

impl Organization {
    /// The organization of this slug, which is also its name at first.
    ///
    /// # Errors
    /// `Validation` unless it is small letters, digits and single hyphens between them.
    pub fn named(slug: &str) -> Result<Self, Error> {
        let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if slug.len() > limits::NAME_CHARS || !slug.split('-').all(word) {
            let wanted = format!("Must be small letters, digits and hyphens, at most {}.", limits::NAME_CHARS);
            return Err(Error::field("organization", wanted));
        }
        Ok(Self { uid: OrganizationUid::named(slug), name: slug.to_owned(), slug: slug.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_has_one_spelling() {
        assert_eq!(Organization::named("acme-2").unwrap().uid, OrganizationUid::named("acme-2"));
        for bad in ["", "Acme", "acme inc", "-acme", "acme-", "a--b", "a#b", "é", &"a".repeat(256)] {
            assert!(matches!(Organization::named(bad), Err(Error::Validation(_))), "{bad}");
        }
    }
}

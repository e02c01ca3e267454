//! The source of an item's bytes.
//!
//! Objects in S3 are read with the deployment's own credentials. So the deployment decides which organization may name a bucket:
//! a tenant must never reach an object of another one, or of the system itself, by its name.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::id::OrganizationUid;

/// The source of an item's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A key in the system's bucket. A signed URL is made right before each use.
    Bucket(String),
    /// An object in a bucket of the tenant's. A signed URL is made right before each use.
    S3(S3Object),
    /// A URL that the model can read.
    Url(String),
}

impl Source {
    /// With its URL percent-encoded, as a parser writes it. URLs are stored and sent to models so, since libraries differ in what
    /// else they take. Old items may have a URL of another form.
    #[must_use]
    pub fn parsed(&self) -> Self {
        match self {
            Self::Bucket(_) | Self::S3(_) => self.clone(),
            Self::Url(url) => Self::Url(Url::parse(url).map_or_else(|_| url.clone(), String::from)),
        }
    }
}

/// An object in a bucket of a tenant's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Object {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

/// The longest key of an object, bytes (AWS, "Creating object key names").
const KEY_BYTES: usize = 1_024;

impl S3Object {
    /// Reads an `s3://bucket/key` URL.
    ///
    /// # Errors
    /// A sentence, unless it has a bucket and a key that a signed URL can carry.
    fn of(url: &str) -> Result<Self, String> {
        let (bucket, key) = url.strip_prefix(S3).and_then(|rest| rest.split_once('/')).unwrap_or_default();
        if bucket.is_empty() || key.is_empty() || key.len() > KEY_BYTES {
            return Err(format!("Must be s3://bucket/key, with a key of at most {KEY_BYTES} bytes."));
        }
        // HTTP clients remove them from a path, and the signature would not hold.
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err("May not have \".\" or \"..\" among the parts of its key.".into());
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

const S3: &str = "s3://";

/// Buckets that the deployment reads for tenants.
#[derive(Clone, Debug, Default)]
pub struct SourceBuckets(HashMap<String, Vec<OrganizationUid>>);

impl SourceBuckets {
    /// The organizations that may use a bucket, by their slugs. The system's `own` bucket is open to none, whatever the setting
    /// says: every tenant's items lie in it.
    #[must_use]
    pub fn new(slugs: HashMap<String, Vec<String>>, own: &str) -> Self {
        let organizations = |slugs: Vec<String>| slugs.iter().map(|slug| OrganizationUid::named(slug)).collect();
        let open = slugs.into_iter().filter(|(bucket, _)| bucket != own);
        Self(open.map(|(bucket, slugs)| (bucket, organizations(slugs))).collect())
    }

    /// Reads an `s3://` URL of an organization's; `None` if the URL is of another kind.
    ///
    /// # Errors
    /// A sentence, the same for a bucket that no organization may use and for one that others may (I10).
    #[must_use]
    pub fn read(&self, url: &str, organization: OrganizationUid) -> Option<Result<Source, String>> {
        url.starts_with(S3).then(|| {
            let object = S3Object::of(url)?;
            let refused = format!("This deployment does not read from bucket \"{}\".", object.bucket);
            let source = Source::S3(object);
            if self.open(&source, organization) { Ok(source) } else { Err(refused) }
        })
    }

    /// Whether the organization's file may be read there. Checked at each use: the setting may have changed since the item was
    /// added.
    #[must_use]
    pub fn open(&self, source: &Source, organization: OrganizationUid) -> bool {
        match source {
            Source::Bucket(_) | Source::Url(_) => true,
            Source::S3(object) => self.0.get(&object.bucket).is_some_and(|open| open.contains(&organization)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buckets() -> SourceBuckets {
        let open = [("acmes", vec!["acme"]), ("shared", vec!["acme", "other"]), ("own", vec!["acme"])];
        let open = open.map(|(bucket, slugs)| (bucket.to_owned(), slugs.into_iter().map(str::to_owned).collect()));
        SourceBuckets::new(HashMap::from(open), "own")
    }

    fn read(url: &str, slug: &str) -> Result<Source, String> {
        buckets().read(url, OrganizationUid::named(slug)).unwrap()
    }

    #[test]
    fn a_bucket_is_open_to_its_organizations_alone() {
        assert!(read("s3://acmes/a/b.jpg", "acme").is_ok());
        assert!(read("s3://shared/a", "acme").is_ok() && read("s3://shared/a", "other").is_ok());

        // I10: a bucket of others' is as unknown as one that does not exist.
        for (url, slug) in [("s3://acmes/a", "other"), ("s3://unknown/a", "acme"), ("s3://Acmes/a", "acme")] {
            let refusal = read(url, slug).unwrap_err();
            assert!(refusal.starts_with("This deployment does not read from bucket \""), "{refusal}");
        }
    }

    #[test]
    fn the_systems_own_bucket_is_nobodys_source() {
        assert_eq!(
            read("s3://own/projects/x", "acme").unwrap_err(),
            "This deployment does not read from bucket \"own\"."
        );
    }

    #[test]
    fn a_url_is_what_the_parser_writes() {
        let parsed = |url: &str| Source::Url(url.into()).parsed();
        assert_eq!(parsed("https://a.example/día b"), Source::Url("https://a.example/d%C3%ADa%20b".into()));
        assert_eq!(parsed("https://a.example/d%C3%ADa%20b"), parsed("https://a.example/día b"));
        assert_eq!(parsed("no url"), Source::Url("no url".into()));
        let bucket = Source::Bucket("a b".into());
        assert_eq!(bucket.parsed(), bucket);
    }

    #[test]
    fn an_object_needs_a_key_that_a_signed_url_can_carry() {
        let long = format!("s3://acmes/{}", "x".repeat(KEY_BYTES + 1));
        for url in ["s3://", "s3://acmes", "s3://acmes/", "s3:///key", "s3://acmes/a/../b", "s3://acmes/./a", &long] {
            assert!(read(url, "acme").is_err(), "{url}");
        }
        let odd = S3Object { bucket: "acmes".into(), key: "/a//b?c#d e".into() };
        assert_eq!(read("s3://acmes//a//b?c#d e", "acme"), Ok(Source::S3(odd)));
        assert!(buckets().read("https://acmes/a", OrganizationUid::named("acme")).is_none());
    }

    proptest! {
        #[test]
        fn no_url_opens_a_bucket_that_is_not_ones_own(rest in "\\PC{0,60}", slug in "other|third") {
            for url in [format!("s3://{rest}"), format!("s3://acmes/{rest}"), format!("s3://own/{rest}")] {
                if let Ok(Source::S3(object)) = read(&url, &slug) {
                    prop_assert_eq!((object.bucket.as_str(), slug.as_str()), ("shared", "other"));
                }
            }
        }
    }
}

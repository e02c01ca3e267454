//! API keys: found by their hash, listed by organization.

use serde::Serialize;

use super::Store;
use super::calls::{Found, Row, attribute, is_done, key_of, read};
use super::keys::{self, Key, LISTING};
use super::rows::item;
use crate::domain::access::api_key::{ApiKey, IssuedKey, KeyHash};
use crate::domain::id::OrganizationUid;
use crate::domain::{Error, Timestamp};
use crate::ports::{KeyRing, Keys, Page, Slice};

/// A key under its hash, listed by organization.
#[derive(Serialize)]
struct ApiKeyRow<'a> {
    pk: String,
    sk: String,
    listing_pk: String,
    listing_sk: String,
    #[serde(flatten)]
    key: &'a ApiKey,
}

impl<'a> ApiKeyRow<'a> {
    fn new(issued: &'a IssuedKey) -> Self {
        let Key { pk, sk } = Key::api_key(&issued.hash);
        Self {
            pk,
            sk,
            listing_pk: keys::api_keys_of(issued.key.organization).pk,
            listing_sk: keys::in_time(issued.key.created_at, issued.hash.as_str()),
            key: &issued.key,
        }
    }
}

impl Keys for Store {
    async fn find_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, Error> {
        self.get(Key::api_key(hash)).await
    }
}

impl KeyRing for Store {
    async fn add_key(&self, issued: &IssuedKey) -> Result<(), Error> {
        if self.put_new(item(&ApiKeyRow::new(issued))?).await? { Ok(()) } else { Err(Error::internal("key taken")) }
    }

    async fn keys(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<IssuedKey>, Error> {
        let Found { entries, further } = self.find_in_list(&keys::api_keys_of(organization), slice).await?;
        let rows = self.get_many(entries.into_iter().map(|(_, key)| key).collect()).await?;
        let issued = |row: Row| {
            let (position, hash) = (row.get(LISTING.sk)?.as_s().ok()?.clone(), key_of(&row)?.api_key_hash()?);
            Some(read(row).map(|key| (position, IssuedKey { hash, key })))
        };
        let entries = rows.into_iter().filter_map(issued).collect::<Result<_, Error>>()?;
        let page = Found { entries, further }.page(slice, |(position, _): &(String, IssuedKey)| position.clone());
        Ok(page.with(|entries| entries.into_iter().map(|(_, key)| key).collect()))
    }

    async fn revoke_key(&self, hash: &KeyHash, now: Timestamp) -> Result<(), Error> {
        self.end_key(hash, "revoked_at", now).await
    }

    async fn expire_key(&self, hash: &KeyHash, end: Timestamp) -> Result<(), Error> {
        self.end_key(hash, "valid_until", end).await
    }
}

impl Store {
    /// One attribute alone: a new end must not undo a revocation that is written at the same time.
    async fn end_key(&self, hash: &KeyHash, attribute_name: &str, at: Timestamp) -> Result<(), Error> {
        let request = self
            .update_row(Key::api_key(hash))
            .update_expression(format!("SET {attribute_name} = :at"))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":at", attribute(&at)?);
        if is_done(request.send().await)? {
            Ok(())
        } else {
            Err(Error::no_such("API key", hash.as_str().get(..8).unwrap_or_default()))
        }
    }
}

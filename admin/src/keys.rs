//! API keys, for the administration command.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use shared::domain::access::api_key::{ApiKey, IssuedKey, KeyHash, Scope};
use shared::domain::access::organization::Organization;
use shared::domain::id::OrganizationUid;
use shared::domain::{Error, Timestamp, limits};
use shared::ports::{KeyRing, Organizations, Slice};

/// Characters of a hash that name a key at least.
const ID_CHARS: usize = 8;

/// The options of a new key.
#[derive(Args)]
pub(crate) struct NewKey {
    /// The organization: naming it twice means the same one.
    #[arg(long)]
    organization: String,
    /// What the key is for.
    #[arg(long)]
    name: String,
    /// What it may do, as `projects.read`; may be given again. Without it: everything.
    #[arg(long = "scope")]
    scopes: Vec<Scope>,
    /// When it ends, as `2027-01-01T00:00:00Z`. Without it: never.
    #[arg(long)]
    expires: Option<Timestamp>,
    /// How many requests a minute it may make. Without it: as many as the deployment allows.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: Option<u32>,
}

/// Creates a key of an organization, and the organization if it is new. Answers the key: only its hash is stored.
pub(crate) async fn create(
    store: &(impl KeyRing + Organizations),
    new: NewKey,
    now: Timestamp,
) -> Result<String, Error> {
    let organization = Organization::named(&new.organization)?;
    store.add_organization(&organization).await?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(Error::internal)?;
    let secret = format!("avk_{}", URL_SAFE_NO_PAD.encode(random));
    let key = ApiKey {
        organization: organization.uid,
        name: new.name,
        scopes: new.scopes,
        created_at: now,
        expires_at: new.expires,
        revoked_at: None,
        requests_per_minute: new.requests_per_minute,
    };
    store.add_key(&IssuedKey { hash: KeyHash::of(&secret), key }).await?;
    Ok(secret)
}

/// Every key of an organization, newest first.
pub(crate) async fn list(store: &impl KeyRing, organization: &str) -> Result<Vec<IssuedKey>, Error> {
    let organization = OrganizationUid::named(organization);
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = store.keys(organization, &Slice { after, limit: limits::PAGE, ..Slice::default() }).await?;
        keys.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return Ok(keys);
        }
    }
}

/// The one key of an organization whose hash begins with `id`.
pub(crate) async fn find(store: &impl KeyRing, organization: &str, id: &str) -> Result<IssuedKey, Error> {
    the_one(list(store, organization).await?, id)
}

fn the_one(keys: Vec<IssuedKey>, id: &str) -> Result<IssuedKey, Error> {
    if id.len() < ID_CHARS {
        return Err(Error::field("id", format!("Must have at least {ID_CHARS} characters.")));
    }
    let mut named = keys.into_iter().filter(|issued| issued.hash.as_str().starts_with(id));
    match (named.next(), named.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(Error::no_such("API key", id)),
        (Some(_), Some(_)) => Err(Error::field("id", "Names more than one key: give more characters.")),
    }
}

/// A line of the list: id, name, scopes, creation, end, revocation, requests per minute.
pub(crate) fn line(IssuedKey { hash, key }: &IssuedKey) -> String {
    let scopes = key.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let scopes = if scopes.is_empty() { "everything".to_owned() } else { scopes };
    let date = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let (end, revoked) = (date(key.expires_at), date(key.revoked_at));
    let limit = key.requests_per_minute.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    format!("{}\t{}\t{scopes}\t{}\t{end}\t{revoked}\t{limit}", hash.id(), key.name, key.created_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(hash: &str) -> IssuedKey {
        let key = ApiKey {
            organization: OrganizationUid::named("acme"),
            name: "ci".into(),
            scopes: vec![Scope::ProjectsRead, Scope::TasksRead],
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            requests_per_minute: None,
        };
        IssuedKey { hash: KeyHash::of_hex(hash), key }
    }

    #[test]
    fn a_key_is_named_by_enough_of_its_hash_to_be_the_only_one() {
        let keys = || vec![issued("0123456789ab"), issued("0123456789cd"), issued("ffffffffffff")];

        assert_eq!(the_one(keys(), "ffffffff").unwrap(), issued("ffffffffffff"));
        assert_eq!(the_one(keys(), "0123456789c").unwrap(), issued("0123456789cd"));
        assert!(matches!(the_one(keys(), "01234567"), Err(Error::Validation(_))));
        assert!(matches!(the_one(keys(), "fffffff"), Err(Error::Validation(_))));
        assert!(matches!(the_one(keys(), "00000000"), Err(Error::NotFound(_))));
    }

    #[test]
    fn a_line_has_the_scopes_of_a_key_and_never_its_whole_hash() {
        let line = line(&issued("0123456789ab"));

        assert_eq!(line, "01234567\tci\tprojects.read,tasks.read\t1970-01-01T00:00:00Z\t-\t-\t-");
    }
}

//! URLs of a bucket's objects, signed with a key that is kept for its day (AWS, "Authenticating Requests: Using Query Parameters").
//!
//! The SDK walks through a whole operation for each URL and derives the key with four HMACs: six times the instructions
//! (decision 0048). It signs the first URL of a bucket, which shows the bucket's address. The others are signed here.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::{Config, Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::presigning::PresignedRequest;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::domain::Timestamp;

/// What stays as it is in a parameter (AWS, "UriEncode").
const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What stays as it is in an object's key.
const KEY: &AsciiSet = &PARAMETER.remove(b'/');
/// The only header that is signed.
const HOST: &str = "X-Amz-SignedHeaders=host&";
/// The capacity of the memory. A full memory is cleared.
const ADDRESSES: usize = 1_000;

/// Signs URLs as the SDK does.
#[derive(Debug)]
pub(super) struct Signer {
    credentials: SharedCredentialsProvider,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By bucket: its URLs up to the object's key.
    addresses: HashMap<String, String>,
    key: Option<DayKey>,
}

/// Without the key (I11).
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("addresses", &self.addresses.len()).finish_non_exhaustive()
    }
}

/// The key that signs for one day, and what it was derived from.
#[derive(Clone)]
struct DayKey {
    access_key: String,
    /// As `20261201/us-east-1/s3/aws4_request`.
    scope: String,
    bytes: Vec<u8>,
}

impl Signer {
    pub(super) fn new(credentials: SharedCredentialsProvider) -> Self {
        Self { credentials, kept: Mutex::default() }
    }

    /// The URL of an object, for reading. `None`: the SDK must sign the first one of this bucket.
    pub(super) async fn url(&self, config: &Config, bucket: &str, key: &str, valid: Duration) -> Option<String> {
        let address = self.kept().addresses.get(bucket)?.clone();
        let credentials = self.credentials.provide_credentials().await.ok()?;
        let now = Timestamp::try_from(config.time_source()?.now()).ok()?;
        self.signed(&address, key, &credentials, config.region()?.as_ref(), valid, now)
    }

    /// Takes a bucket's address from a URL that the SDK has signed for this object.
    pub(super) fn learn(&self, bucket: &str, key: &str, signed: &PresignedRequest) {
        let Some((url, query)) = signed.uri().split_once('?') else { return };
        let Some(address) = url.strip_suffix(&encoded(key, KEY).to_string()) else { return };
        if !query.contains(HOST) {
            return;
        }
        let mut kept = self.kept();
        if kept.addresses.len() >= ADDRESSES {
            kept.addresses.clear();
        }
        kept.addresses.insert(bucket.to_owned(), address.to_owned());
    }

    fn signed(
        &self,
        address: &str,
        key: &str,
        credentials: &Credentials,
        region: &str,
        valid: Duration,
        now: Timestamp,
    ) -> Option<String> {
        let (time, day) = (now.strftime("%Y%m%dT%H%M%SZ").to_string(), now.strftime("%Y%m%d"));
        let day_key = self.day_key(credentials, format!("{day}/{region}/s3/aws4_request"), region, now);
        let url = format!("{address}{}", encoded(key, KEY));
        let (host, path) = url.split_once("://")?.1.split_once('/')?;
        let query = query(credentials, &day_key.scope, &time, valid);
        let request = format!("GET\n/{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let digest = hex::encode(Sha256::digest(request));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{}\n{digest}", day_key.scope);
        let signature = calculate_signature(&day_key.bytes, to_sign.as_bytes());
        Some(format!("{url}?{query}&X-Amz-Signature={signature}"))
    }

    /// The kept key, or else a new one, which is kept.
    fn day_key(&self, credentials: &Credentials, scope: String, region: &str, now: Timestamp) -> DayKey {
        let mut kept = self.kept();
        let access_key = credentials.access_key_id();
        if let Some(key) = kept.key.as_ref().filter(|key| key.access_key == access_key && key.scope == scope) {
            return key.clone();
        }
        let bytes = generate_signing_key(credentials.secret_access_key(), now.into(), region, "s3").as_ref().to_vec();
        kept.key.insert(DayKey { access_key: access_key.to_owned(), scope, bytes }).clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parameters but for the signature, in the order in which they are signed.
fn query(credentials: &Credentials, scope: &str, time: &str, valid: Duration) -> String {
    let mut query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F{}&X-Amz-Date={time}&X-Amz-Expires={}&",
        encoded(credentials.access_key_id(), PARAMETER),
        encoded(scope, PARAMETER),
        valid.as_secs()
    );
    if let Some(token) = credentials.session_token() {
        let _ = write!(query, "X-Amz-Security-Token={}&", encoded(token, PARAMETER)); // a text takes all
    }
    query + HOST + "x-id=GetObject"
}

fn encoded<'a>(text: &'a str, as_they_are: &'static AsciiSet) -> PercentEncode<'a> {
    utf8_percent_encode(text, as_they_are)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_sdk_s3::Client;
    use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
    use aws_sdk_s3::presigning::PresigningConfig;
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token.map(str::to_owned), None, "test")
    }

    fn client(credentials: &Credentials, address: Option<&str>) -> Client {
        let config = Builder::new().behavior_version(BehaviorVersion::latest()).region(Region::new("eu-west-1"));
        let config = config.credentials_provider(credentials.clone()).force_path_style(address.is_some());
        Client::from_conf(address.map_or(config.clone(), |address| config.endpoint_url(address)).build())
    }

    async fn by_the_sdk(client: &Client, bucket: &str, key: &str) -> PresignedRequest {
        let valid = PresigningConfig::expires_in(HOUR).unwrap();
        client.get_object().bucket(bucket).key(key).presigned(valid).await.unwrap()
    }

    fn parts(url: &str) -> (&str, BTreeSet<&str>) {
        let (address, query) = url.split_once('?').unwrap();
        (address, query.split('&').collect())
    }

    /// Of a signed URL.
    fn time(url: &str) -> Timestamp {
        let (_, parameters) = parts(url);
        let time = parameters.iter().find_map(|parameter| parameter.strip_prefix("X-Amz-Date=")).unwrap();
        DateTime::strptime("%Y%m%dT%H%M%SZ", time).unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp()
    }

    #[tokio::test]
    async fn a_url_has_the_signature_that_the_sdk_makes() {
        for token in [None, Some("IQoJb3JpZ2luX2VjEJr//+w=")] {
            for (bucket, address) in [("plain", None), ("with.dots", None), ("plain", Some("http://localhost:4566"))] {
                let credentials = credentials(token);
                let (client, signer) = (client(&credentials, address), signer(&credentials));
                signer.learn(bucket, "a/first one.png", &by_the_sdk(&client, bucket, "a/first one.png").await);
                for key in ["projects/1/a.png", "ä/ö ü+?&=%20#'()*!~.png", "a//b/../c", "/x"] {
                    let theirs = by_the_sdk(&client, bucket, key).await;
                    let address = signer.kept().addresses[bucket].clone();

                    let ours = signer.signed(&address, key, &credentials, "eu-west-1", HOUR, time(theirs.uri()));

                    assert_eq!(parts(&ours.unwrap()), parts(theirs.uri()), "{bucket} {key} {token:?}");
                }
            }
        }
    }

    fn signer(credentials: &Credentials) -> Signer {
        Signer::new(SharedCredentialsProvider::new(credentials.clone()))
    }

    #[tokio::test]
    async fn the_first_url_of_a_bucket_is_the_sdks() {
        let credentials = credentials(None);
        let (client, signer) = (client(&credentials, None), signer(&credentials));
        let url = async |bucket| signer.url(client.config(), bucket, "b.png", HOUR).await;
        assert_eq!(url("one").await, None);

        signer.learn("one", "a.png", &by_the_sdk(&client, "one", "a.png").await);

        assert!(url("one").await.unwrap().starts_with("https://one.s3.eu-west-1.amazonaws.com/b.png?"));
        assert_eq!(url("two").await, None);
    }

    #[test]
    fn the_key_is_kept_for_its_day_and_its_credentials() {
        let (first, at) = (credentials(None), |text: &str| text.parse::<Timestamp>().unwrap());
        let signer = signer(&first);
        let key = |credentials: &Credentials, now: &str| {
            let scope = format!("{}/eu-west-1/s3/aws4_request", at(now).strftime("%Y%m%d"));
            signer.day_key(credentials, scope, "eu-west-1", at(now)).bytes
        };
        let other = Credentials::new("OTHER", "secret", None, None, "test");
        let morning = key(&first, "2026-12-01T00:00:00Z");

        assert_eq!(key(&first, "2026-12-01T23:59:59Z"), morning);
        assert_ne!(key(&first, "2026-12-02T00:00:00Z"), morning);
        assert_ne!(key(&other, "2026-12-01T12:00:00Z"), morning);
    }

    #[test]
    fn neither_keys_nor_addresses_are_printed() {
        let signer = signer(&credentials(None));
        assert!(!format!("{signer:?}").contains("wJalr"));
    }
}

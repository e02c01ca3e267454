use std::net::IpAddr;

use serde_json::Value;
use url::{Host, Origin, Url};

use super::address::is_public;
use crate::domain::{fields, limits};

/// Why an address of a user's is not called: a sentence for that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not an absolute URL with a host.
    #[error("Must be a URL.")]
    NotAUrl,
    /// Another scheme.
    #[error("Must be an HTTPS URL.")]
    NotHttps,
    /// `user:password@`, which would be stored and shown.
    #[error("May not contain a user name or password.")]
    Credentials,
    /// `#…`, which never reaches a server.
    #[error("May not contain a fragment.")]
    Fragment,
    /// A private, loopback, link-local, metadata or otherwise special address, also after DNS.
    #[error("Must lead to a public address.")]
    NotPublic,
}

/// What development opens, and no other spelling of loopback (decision 0014).
const LOOPBACK: [&str; 4] = ["http://127.0.0.1", "http://localhost", "https://127.0.0.1", "https://localhost"];

/// Domains that do not exist on the public internet, with all below them (IANA, "Special-Use Domain Names"; ICANN on `internal`,
/// where clouds keep their metadata). DNS may still know them, and is judged as well.
const NOT_PUBLIC_NAMES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// The part of the guard that needs no network. A host name is judged when it is resolved.
///
/// # Errors
/// The reason, for the user who gave the address.
pub fn check_url(text: &str, loopback: bool) -> Result<Url, Refusal> {
    // The parser would drop control characters and turn a backslash into a slash: people would read another URL than is called.
    if text.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(Refusal::NotAUrl);
    }
    let url = Url::parse(text).map_err(|_| Refusal::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Credentials);
    }
    if url.fragment().is_some() {
        return Err(Refusal::Fragment);
    }
    if loopback && spells_loopback(text) {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(Refusal::NotHttps);
    }
    // Parsing has turned every spelling of an IPv4 address, octal and the rest, into this one.
    let address: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(name)) if is_not_public(name) => return Err(Refusal::NotPublic),
        Some(Host::Domain(_)) => None,
        None => return Err(Refusal::NotAUrl),
    };
    if address.is_none_or(is_public) { Ok(url) } else { Err(Refusal::NotPublic) }
}

fn is_not_public(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let below = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    NOT_PUBLIC_NAMES.iter().any(|domain| below(domain))
}

/// Whether two URLs have one scheme, host and port, so that both may get the same credentials.
#[must_use]
pub fn same_origin(one: &str, other: &str) -> bool {
    let origin = |text| Url::parse(text).ok().map(|url| url.origin()).filter(Origin::is_tuple);
    origin(one).is_some_and(|one| origin(other) == Some(one))
}

/// Judged by the text: in a parsed URL `0177.0.0.1` has become `127.0.0.1`.
fn spells_loopback(text: &str) -> bool {
    let ends_a_host = |rest: &str| rest.is_empty() || rest.starts_with([':', '/', '?']);
    LOOPBACK.iter().any(|origin| text.strip_prefix(origin).is_some_and(ends_a_host))
}

/// Reads the field of a request that holds an address to call.
pub fn url_field(loopback: bool) -> impl FnOnce(Value) -> Result<String, String> {
    move |value| {
        let text = fields::text(1, limits::URL_CHARS)(value)?;
        check_url(&text, loopback).map_err(|refusal| refusal.to_string())?;
        Ok(text)
    }
}

/// Reads the field of an item that says where its file is: as the parser writes it, so that every library opens it. Blanks and letters
/// beyond ASCII are percent-encoded, host names are in their ASCII form.
pub fn file_url_field(loopback: bool) -> impl FnOnce(Value) -> Result<String, String> {
    move |value| {
        let text = fields::text(1, limits::FILE_URL_CHARS)(value)?;
        let url = String::from(check_url(&text, loopback).map_err(|refusal| refusal.to_string())?);
        if url.len() > limits::FILE_URL_CHARS {
            return Err(format!("Must have at most {} characters when it is percent-encoded.", limits::FILE_URL_CHARS));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract D18.
    #[test]
    fn only_https_to_what_may_be_public_passes() {
        for good in [
            "https://a.example",
            "https://a.example:8443/hook?x=1",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]/",
            "HTTPS://A.example/",
        ] {
            assert!(check_url(good, false).is_ok(), "{good}");
        }
        for (bad, refusal) in [
            ("", Refusal::NotAUrl),
            ("a.example/hook", Refusal::NotAUrl),
            ("https://", Refusal::NotAUrl),
            ("http://a.example", Refusal::NotHttps),
            ("ftp://a.example", Refusal::NotHttps),
            ("file:///etc/passwd", Refusal::NotHttps),
            ("javascript:alert(1)", Refusal::NotHttps),
            ("https://user:word@a.example", Refusal::Credentials),
            ("https://user@a.example", Refusal::Credentials),
            ("https://a.example/#part", Refusal::Fragment),
            ("https://localhost/", Refusal::NotPublic),
            ("https://127.0.0.1/", Refusal::NotPublic),
            ("https://0177.0.0.1/", Refusal::NotPublic),
            ("https://2130706433/", Refusal::NotPublic),
            ("https://0x7f.1/", Refusal::NotPublic),
            ("https://169.254.169.254/latest/meta-data/", Refusal::NotPublic),
            ("https://[::1]/", Refusal::NotPublic),
            ("https://[::ffff:10.0.0.1]/", Refusal::NotPublic),
            ("https://[fd00:ec2::254]/", Refusal::NotPublic),
        ] {
            assert_eq!(check_url(bad, false).unwrap_err(), refusal, "{bad}");
        }
    }

    #[test]
    fn the_url_of_a_file_is_kept_as_it_is_parsed() {
        let read = |url: &str| file_url_field(false)(url.into());
        for (given, kept) in [
            ("https://a.example/my pictures/a b.jpg?x=ä", "https://a.example/my%20pictures/a%20b.jpg?x=%C3%A4"),
            ("HTTPS://MÜNCHEN.example:443/día%20.jpg", "https://xn--mnchen-3ya.example/d%C3%ADa%20.jpg"),
            ("https://a.example/a%2fb/../c", "https://a.example/c"),
        ] {
            assert_eq!(read(given).as_deref(), Ok(kept));
            assert_eq!(read(kept).as_deref(), Ok(kept));
        }
        let signed = format!("https://a.example/?X-Amz-Signature={}", "a".repeat(8_000));
        assert_eq!(read(&signed).as_ref(), Ok(&signed));
        assert!(read(&format!("https://a.example/{}", "é".repeat(3_000))).unwrap_err().contains("percent-encoded"));
        assert!(read("https://10.0.0.1/").is_err() && read(&"x".repeat(8_193)).is_err());
    }

    /// Contract D17.
    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let here = "https://model.example/v1/detect";
        for same in ["https://model.example", "HTTPS://MODEL.example:443/v2?x=1", "https:///model.example/", here] {
            assert!(same_origin(here, same), "{same}");
        }
        for other in [
            "https://model.example:8443/v1/detect",
            "http://model.example/v1/detect",
            "https://evil.example/model.example/",
            "https://model.example.evil.example/",
            "https:///evil.example",
            "data:text/plain,x",
            "nonsense",
        ] {
            assert!(!same_origin(here, other), "{other}");
        }
        assert!(!same_origin("data:text/plain,x", "data:text/plain,x"));
    }

    /// Contract D18.
    #[test]
    fn the_development_switch_opens_two_names_of_loopback_and_no_other_spelling() {
        for good in [
            "http://127.0.0.1",
            "http://127.0.0.1:8090/hook",
            "http://localhost/",
            "http://localhost:8090?x",
            "https://127.0.0.1:8443/",
            "https://localhost",
        ] {
            assert!(check_url(good, true).is_ok(), "{good}");
            assert!(check_url(good, false).is_err(), "{good}");
        }
        for bad in [
            "http://[::1]/",
            "http://127.0.0.2/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://2130706433/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://127.0.0.1:8090@evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://LOCALHOST/",
            "http://local\thost/",
            "http://0.0.0.0/",
            "https://127.0.0.2/",
            "https://127.1/",
            "https://[::1]/",
            "https://LOCALHOST/",
            "https://localhost./",
            "https://localhost@10.0.0.1/",
        ] {
            assert!(check_url(bad, true).is_err(), "{bad}");
        }
    }
}

//! A model's own words about a failed call, as far as people may read them (docs/decisions/0034).
//!
//! A server may send back what it was sent: the credentials of the provider and the signed URL of the file. These are masked,
//! however they are encoded, and so is every address (I11).

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::domain::{json, limits, show};

/// Bytes of a body that are read as JSON.
const JSON_BYTES: usize = 64 * 1024;
/// Memory that this JSON may take, about.
const JSON_MEMORY: usize = 1024 * 1024;
/// Bytes of a text that are examined: what is shown of it is shorter.
const TEXT_BYTES: usize = 4 * 1024;
/// A secret is found by so many of its first characters: a server may cut it off.
const FIRST_CHARS: usize = 8;
/// What is shorter can be guessed, and is a part of too many words.
const SHORTEST: usize = 4;
/// Instead of a secret.
const MASK: &str = "***";
/// Instead of a word that has an address.
const ADDRESS: &str = "[address]";
/// What addresses and the queries of signed URLs have in them, in lower case.
const SIGNS: [&str; 7] = ["://", "%3a%2f%2f", "x-amz-", "signature=", "sig=", "token=", "localhost"];
/// The ends of names that no public host has.
const INTERNAL: [&str; 3] = [".internal", ".local", ".home.arpa"];

/// What no quotation may show. Never printed, so the type has no `Debug` (I11).
#[derive(Clone, Default)]
pub(super) struct Masked(Vec<String>);

impl Masked {
    /// The values of these headers, and what is in them: a token behind its scheme, a name and a password in base64.
    pub(super) fn headers(headers: &[(String, String)]) -> Self {
        let mut masked = Self::default();
        for (_, value) in headers {
            value.split(['=', ',', ';', '"']).chain([value.as_str()]).for_each(|part| masked.add(part.trim()));
            // The first of several words is a scheme, which is no secret.
            let (_, tokens) = value.split_once(' ').unwrap_or(("", value));
            for token in tokens.split([' ', '"']) {
                masked.add(token);
                for decoded in [STANDARD.decode(token), URL_SAFE_NO_PAD.decode(token)] {
                    let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
                    text.split(':').chain([text.as_str()]).for_each(|part| masked.add(part));
                }
            }
        }
        masked
    }

    /// These, and the query of a signed URL.
    pub(super) fn and_query(&self, url: &str) -> Self {
        let mut masked = self.clone();
        let Ok(url) = Url::parse(url) else { return masked };
        let written = url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        written.for_each(|(_, value)| masked.add(value));
        url.query_pairs().for_each(|(_, value)| masked.add(&value));
        masked
    }

    /// Adds a secret in the encodings in which a server may repeat it. Letters are compared without case, since percent
    /// encoding has two.
    fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let escaped = Value::from(secret).to_string();
        let percent: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let forms = [
            secret.to_owned(),
            escaped.trim_matches('"').to_owned(),
            percent.replace('+', "%20"),
            percent,
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ];
        for form in forms.map(|form| form.to_ascii_lowercase()) {
            if !self.0.contains(&form) {
                self.0.push(form);
            }
        }
    }

    /// The text with a mask instead of each secret, and of the beginning of one.
    fn hide(&self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let mut hidden = vec![false; text.len()];
        for secret in &self.0 {
            let first = secret.char_indices().nth(FIRST_CHARS).map_or(secret.as_str(), |(end, _)| &secret[..end]);
            for (begin, _) in lower.match_indices(first) {
                let same = lower[begin..].bytes().zip(secret.bytes()).take_while(|(one, other)| one == other).count();
                hidden[begin..begin + same].fill(true);
            }
        }
        let mut shown = String::with_capacity(text.len());
        let mut before = false;
        for (position, letter) in text.char_indices() {
            let is_hidden = hidden[position];
            match (is_hidden, before) {
                (true, false) => shown.push_str(MASK),
                (true, true) => {}
                (false, _) => shown.push(letter),
            }
            before = is_hidden;
        }
        shown
    }
}

/// The words of a body: one line of at most 300 characters, without secrets and addresses. `None`: it has none, or is no text.
pub(super) fn of(body: &[u8], masked: &Masked) -> Option<String> {
    let text = message(body).or_else(|| beginning(body).map(str::to_owned))?;
    let end = text.floor_char_boundary(TEXT_BYTES);
    let text = masked.hide(&text[..end]);
    let words: Vec<&str> = text.split_whitespace().map(|word| if has_address(word) { ADDRESS } else { word }).collect();
    let line = show::line(&words.join(" "), limits::MESSAGE_CHARS);
    let line = line.trim_end_matches('.');
    (!line.is_empty()).then(|| line.to_owned())
}

/// The sentence of an error in JSON, where servers usually have it.
fn message(body: &[u8]) -> Option<String> {
    let body = body.get(..JSON_BYTES.min(body.len()))?;
    let error = json::parse(body, JSON_MEMORY).ok()?;
    let named = |of: &Value| ["detail", "error", "message"].iter().find_map(|name| of.get(name).cloned());
    match named(&error)? {
        Value::String(sentence) => Some(sentence),
        inner => named(&inner)?.as_str().map(str::to_owned),
    }
}

/// The beginning of a text.
fn beginning(body: &[u8]) -> Option<&str> {
    let body = &body[..body.len().min(TEXT_BYTES)];
    match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&body[..error.valid_up_to()]).ok(), // cut here
        Err(_) => None,
    }
}

fn has_address(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let has_query = lower.split_once('?').is_some_and(|(_, query)| query.contains('='));
    let is_internal = |piece: &str| {
        let host = piece.split(':').next().unwrap_or_default();
        let is_number = piece.parse::<IpAddr>().is_ok() || piece.parse::<SocketAddr>().is_ok();
        is_number || INTERNAL.iter().any(|end| host.ends_with(end))
    };
    let is_outside = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-'));
    let mut pieces = lower.split(is_outside).map(|piece| piece.trim_end_matches(['.', ':']));
    has_query || SIGNS.iter().any(|sign| lower.contains(sign)) || pieces.any(is_internal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn plain(body: &str) -> Option<String> {
        of(body.as_bytes(), &Masked::default())
    }

    #[test]
    fn the_sentence_of_an_error_is_taken_out_of_its_json() {
        for (body, words) in [
            ("CUDA out of memory.", "CUDA out of memory"),
            (r#"{"detail": "CUDA out of memory"}"#, "CUDA out of memory"),
            (r#"{"code": 500, "error": {"message": "no GPU", "type": "x"}}"#, "no GPU"),
            (r#"{"code": 500, "message": "Worker died."}"#, "Worker died"),
            (r#"{"detail": [{"loc": ["body"], "msg": "bad"}]}"#, r#"{"detail": [{"loc": ["body"], "msg": "bad"}]}"#),
            ("[1, 2]", "[1, 2]"),
            ("a\u{1b}[31m\r\n\tb", "a [31m b"),
            ("what? a tensor of 3 channels", "what? a tensor of 3 channels"),
        ] {
            assert_eq!(plain(body).as_deref(), Some(words), "{body}");
        }
        for none in ["", " \n", "..."] {
            assert_eq!(plain(none), None, "{none:?}");
        }
        assert_eq!(of(b"\x89PNG\r\n\x1a\n\xff\xfe", &Masked::default()), None);
        assert_eq!(plain(&"x".repeat(5_000)).map(|words| words.len()), Some(300));
        assert!(plain(&"é".repeat(5_000)).is_some_and(|words| words.chars().count() == 300));
    }

    #[test]
    fn credentials_are_masked_in_every_encoding() {
        let basic = format!("Basic {}", STANDARD.encode("anna:pass/wörd+1"));
        let secrets = [
            (header("Authorization", "Bearer hunter2-and-more"), vec!["hunter2-and-more"]),
            (header("Authorization", &basic), vec!["pass/wörd+1", basic.as_str()]),
            (header("X-Key", "k=\"abc 12345\""), vec!["abc 12345", "12345"]),
        ];
        for (sent, secrets) in secrets {
            let masked = Masked::headers(std::slice::from_ref(&sent));
            for secret in secrets {
                let percent: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                let forms = [
                    secret.to_owned(),
                    secret.to_ascii_uppercase(),
                    percent.to_ascii_lowercase(),
                    percent,
                    STANDARD.encode(secret),
                    Value::from(secret).to_string(),
                ];
                for form in forms {
                    let body = format!("no access for <{form}>, sorry");
                    let words = of(body.as_bytes(), &masked).unwrap();
                    assert!(!words.contains(&form) && words.contains(MASK), "{body}: {words}");
                }
                let cut = secret.chars().take(FIRST_CHARS).collect::<String>();
                let words = of(format!("no access for {cut}").as_bytes(), &masked).unwrap();
                assert_eq!(words, "no access for ***");
            }
        }
        let masked = Masked::headers(&[header("Authorization", "Bearer hunter2-and-more")]);
        assert_eq!(of(b"Bearer is not known", &masked).as_deref(), Some("Bearer is not known"));
    }

    #[test]
    fn the_query_of_the_files_url_is_masked_wherever_it_is() {
        let url = "https://bucket.example/a.jpg?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=0123456789abcdef";
        let masked = Masked::default().and_query(url);
        for body in [
            "{'X-Amz-Signature': '0123456789abcdef', 'c': 'AKIA/2026'}".to_owned(),
            format!("404 Client Error for url: {url}"),
            "Max retries exceeded with url: /a.jpg?X-Amz-Credential=AKIA%2f2026&X-Amz-Signature=0123456789abc".into(),
            format!("cannot open {}", url.replace("://", "%3A%2F%2F")),
        ] {
            let words = of(body.as_bytes(), &masked).unwrap();
            assert!(!words.contains("0123456789abc") && !words.contains("AKIA"), "{words}");
            assert!(!words.contains("bucket.example"), "{words}");
        }
    }

    #[test]
    fn addresses_are_left_out_and_the_words_around_them_stay() {
        for (body, words) in [
            ("GET https://bucket/x failed", "GET [address] failed"),
            ("cannot open /c/a.jpg?sv=2022-11-02&sig=s", "cannot open [address]"),
            ("cannot open &sig=s now", "cannot open [address] now"),
            ("no picture for access_token=t", "no picture for [address]"),
            ("no route to 10.0.0.5:8000.", "no route to [address]"),
            ("Pool(host='10.0.0.5', port=80): refused", "[address] port=80): refused"),
            ("db.cluster.local:5432 is away", "[address] is away"),
            ("connect to ip-10-0-0-5.ec2.internal failed", "connect to [address] failed"),
            ("[::1] refused", "[address] refused"),
            ("torch 2.1.0 on 12:30:05, layer.weight: bad", "torch 2.1.0 on 12:30:05, layer.weight: bad"),
        ] {
            assert_eq!(plain(body).as_deref(), Some(words), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_secret_of_eight_characters_is_shown(secret in "[a-zA-Z0-9+/=%:; \"\\\\äé]{8,40}", before in ".{0,30}", after in ".{0,30}") {
            let secret = secret.trim().to_owned();
            prop_assume!(secret.len() >= SHORTEST);
            let masked = Masked::headers(&[header("X-Key", &secret)]);
            let words = of(format!("{before}{secret}{after}").as_bytes(), &masked).unwrap_or_default();
            prop_assert!(!words.contains(&secret), "{words}");
        }
    }
}

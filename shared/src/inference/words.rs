//! A model's own words about a failed call, as far as people may read them (docs/decisions/0034).
//!
//! A server may send back what it was sent: the credentials of the provider and the signed URL of the file. These are masked,
//! however they are encoded, and so is every address (I11).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Number, Value};
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
const INTERNAL: [&str; 8] = [".internal", ".local", ".home.arpa", ".svc", ".lan", ".corp", ".intranet", ".localdomain"];

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

    /// Adds a secret in the encodings in which a server may repeat it. A long number is rounded where its JSON is read.
    fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let escaped = Value::from(secret).to_string();
        let percent: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let number = serde_json::from_str::<Number>(secret).map(|number| number.to_string());
        let forms = [
            secret.to_owned(),
            escaped.trim_matches('"').to_owned(),
            percent.replace('+', "%20"),
            percent,
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            number.unwrap_or_default(),
        ];
        for form in forms.iter().flat_map(|form| [Spelled::as_is(form).text, Spelled::unescaped(form).text]) {
            if form.len() >= SHORTEST && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
    }

    /// The text with a mask instead of each secret, and of the beginning of one. It hides the rest of the word too: a server may
    /// write the end of a secret in a way of its own.
    fn hide(&self, text: &str) -> String {
        let mut hidden = vec![false; text.len()];
        for spelled in [Spelled::as_is(text), Spelled::unescaped(text)] {
            self.0.iter().for_each(|secret| spelled.mark(secret, &mut hidden));
        }
        let mut shown = String::with_capacity(text.len());
        let mut before = false;
        for (position, letter) in text.char_indices() {
            let ends_word = letter.is_whitespace() || matches!(letter, '"' | '<' | ',');
            let is_hidden = hidden[position] || (before && !ends_word);
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

/// A text as it is compared: in lower case, since percent encoding has two.
struct Spelled {
    text: String,
    /// Of each byte, where its letter begins in the text as it was; and the end of that.
    positions: Vec<usize>,
}

impl Spelled {
    fn as_is(text: &str) -> Self {
        Self { text: text.to_ascii_lowercase(), positions: (0..=text.len()).collect() }
    }

    /// Without the escapes of JSON: each server has its own. Blanks instead of control characters.
    fn unescaped(text: &str) -> Self {
        let (mut plain, mut positions, mut from) = (String::with_capacity(text.len()), Vec::new(), 0);
        while let Some((letter, length)) = first_letter(&text[from..]) {
            plain.push(if letter.is_control() { ' ' } else { letter.to_ascii_lowercase() });
            positions.resize(plain.len(), from);
            from += length;
        }
        positions.push(text.len());
        Self { text: plain, positions }
    }

    /// Marks the bytes of the original text that a secret takes, or the beginning of it.
    fn mark(&self, secret: &str, hidden: &mut [bool]) {
        let first = secret.char_indices().nth(FIRST_CHARS).map_or(secret, |(end, _)| &secret[..end]);
        for (begin, _) in self.text.match_indices(first) {
            let same = self.text[begin..].bytes().zip(secret.bytes()).take_while(|(one, other)| one == other).count();
            hidden[self.positions[begin]..self.positions[begin + same]].fill(true);
        }
    }
}

/// The first letter of a text without the escapes of JSON, and the bytes that it takes. What was put into JSON twice has several
/// backslashes.
fn first_letter(text: &str) -> Option<(char, usize)> {
    if let Some((unit, length)) = code_unit(text) {
        let (other, more) = code_unit(&text[length..]).unwrap_or_default();
        let letter = char::decode_utf16([unit, other]).next()?.unwrap_or(char::REPLACEMENT_CHARACTER);
        return Some((letter, if letter.len_utf16() == 2 { length + more } else { length }));
    }
    let behind = text.trim_start_matches('\\');
    let slashes = text.len() - behind.len();
    let letter = behind.chars().next()?;
    let is_control = slashes > 0 && matches!(letter, 'b' | 'f' | 'n' | 'r' | 't');
    Some((if is_control { '\n' } else { letter }, slashes + letter.len_utf8()))
}

/// The UTF-16 unit of a `\uXXXX` at the beginning of a text, and the bytes that it takes.
fn code_unit(text: &str) -> Option<(u16, usize)> {
    let behind = text.strip_prefix('\\')?.trim_start_matches('\\');
    let digits = behind.strip_prefix('u')?.get(..4)?;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let unit = u16::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)?;
    Some((unit, text.len() - behind.len() + 1 + digits.len()))
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

/// What JSON says: the sentence of an error where servers usually have it, else all of it, as we write JSON.
fn message(body: &[u8]) -> Option<String> {
    let body = body.get(..JSON_BYTES.min(body.len()))?;
    let error = json::parse(body, JSON_MEMORY).ok()?;
    let named = |of: &Value| ["detail", "error", "message"].iter().find_map(|name| of.get(name).cloned());
    if matches!(error.to_string().as_str(), "{}" | "[]" | "null") {
        return Some(String::new()); // valid, and without a word
    }
    let sentence = match named(&error) {
        Some(Value::String(sentence)) => Some(sentence),
        Some(inner) => named(&inner).and_then(|inner| inner.as_str().map(str::to_owned)),
        None => None,
    };
    Some(sentence.unwrap_or_else(|| error.to_string()))
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
    [Spelled::as_is(word), Spelled::unescaped(word)].iter().any(|spelled| is_address(&spelled.text))
}

/// Whether a word in lower case has an address.
fn is_address(word: &str) -> bool {
    let has_query = word.split_once('?').is_some_and(|(_, query)| query.contains('='));
    let is_outside = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-'));
    let mut pieces = word.split(is_outside).map(|piece| piece.trim_end_matches(['.', ':']));
    has_query || SIGNS.iter().any(|sign| word.contains(sign)) || pieces.any(is_internal)
}

/// An IP address, or the name of an internal host, with a port or without.
fn is_internal(piece: &str) -> bool {
    let is_name = |host: &str| {
        let host = host.trim_end_matches('.');
        let is_end = INTERNAL.iter().any(|end| host.ends_with(end));
        is_end || host.parse::<Ipv4Addr>().is_ok() || is_ec2_name(host)
    };
    piece.parse::<IpAddr>().is_ok() || piece.parse::<SocketAddr>().is_ok() || piece.split(':').any(is_name)
}

/// The short name of an EC2 host is its IP address: `ip-10-0-0-5`.
fn is_ec2_name(host: &str) -> bool {
    let label = host.split('.').next().unwrap_or_default();
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    label.strip_prefix("ip-").is_some_and(|name| name.split('-').count() == 4 && name.split('-').all(is_number))
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
            (r#"{"detail": [{"loc": ["body"], "msg": "bad"}]}"#, r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#),
            (r#"{"detail": [1], "message": "no GPU"}"#, r#"{"detail":[1],"message":"no GPU"}"#),
            ("[1, 2]", "[1,2]"),
            (r#"{"errors": ["no m\u00f6del"#, r#"{"errors": ["no m\u00f6del"#),
            (r#"{"errors": ["no m\u00f6del"]}"#, r#"{"errors":["no mödel"]}"#),
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
        assert_eq!(of(b"{}", &masked), None);
        assert_eq!(of(b"Bearer is not known", &masked).as_deref(), Some("Bearer is not known"));
    }

    #[test]
    fn secrets_are_masked_whatever_a_server_escapes() {
        for (secret, written) in [
            ("abcdefgh+ijklmnopqr", r"abcdefgh\u002Bijklmnopqr"),
            ("abcdefgh+ijklmnopqr", r"abcdefgh\\u002bijklmnopqr"),
            ("abc+defghijklmnopqr", r"abc\u002Bdefghijklmnopqr"),
            ("abcdefgh/ijklmnopqr", r"abcdefgh\/ijklmnopqr"),
            ("abc/defghijklmnopqr", r"abc\/defghijklmnopqr"),
            ("abcdefghöijklmnopqr", r"abcdefgh\u00f6ijklmnopqr"),
            ("abcöefghijklmnopqr", r"abc\u00F6efghijklmnopqr"),
            ("abc😀efghijklmnopqr", r"abc\ud83d\ude00efghijklmnopqr"),
            (r"abc\efghijklmnopqr", r"abc\\\\efghijklmnopqr"),
        ] {
            let masked = Masked::headers(&[header("Authorization", &format!("Bearer {secret}"))]);
            let sentence = format!("no access for {written}, sorry");
            let json = format!(r#"{{"errors":["{sentence}"]}}"#);
            let long = json.replace("]}", &format!(r#","{}"]}}"#, "x".repeat(JSON_BYTES)));
            for (body, begin) in [
                (json.as_str(), r#"{"errors":["no access for ***, sorry"]}"#),
                (&json[..json.len() - 2], r#"{"errors":["no access for ***, sorry""#),
                (&long, r#"{"errors":["no access for ***, sorry","xxx"#),
                (&sentence, "no access for ***, sorry"),
            ] {
                let words = of(body.as_bytes(), &masked).unwrap();
                assert!(words.starts_with(begin), "{secret}: {words}");
            }
        }
        let masked = Masked::headers(&[header("X-Key", "12345678901234567890123")]);
        let words = of(br#"{"errors": [1, 12345678901234567890123]}"#, &masked);
        assert_eq!(words.as_deref(), Some(r#"{"errors":[1,***"#));
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
            ("triton.models.svc:8000 refused", "[address] refused"),
            ("no gpu1.lan, gpu.corp. or error:w.intranet", "no [address] [address] or [address]"),
            ("host=gpu.localdomain is away", "[address] is away"),
            ("no route to ip-10-0-0-5", "no route to [address]"),
            ("(ip-10-0-0-5:8000) at:10.0.0.5", "[address] [address]"),
            (
                "ip-10-0-0, ship-10-0-0-5, ip-a-0-0-5, a.corps: bad",
                "ip-10-0-0, ship-10-0-0-5, ip-a-0-0-5, a.corps: bad",
            ),
            (r"no https:\/\/bucket\/x", "no [address]"),
            (r#"{"errors": ["no route to\n10.0.0.5", "#, r#"{"errors": ["no route [address]"#),
            (r#"{"errors": ["no route to\n10\u002e0.0.5"]}"#, r#"{"errors":["no route [address]"#),
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

        #[test]
        fn no_secret_is_shown_whichever_letters_are_escaped(secret in "[a-zA-Z0-9+/.ö😀-]{8,40}", chosen in prop::collection::vec(any::<bool>(), 40)) {
            let written: String = secret.chars().zip(chosen).map(|(letter, is_escaped)| {
                let units = letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
                if is_escaped { units } else { letter.to_string() }
            }).collect();
            let masked = Masked::headers(&[header("X-Key", &secret)]);
            for body in [format!(r#"["? {written}"]"#), format!(r#"["? {written}""#)] {
                let words = of(body.as_bytes(), &masked).unwrap();
                prop_assert!(words.starts_with(r#"["? ***""#), "{}", words);
            }
        }
    }
}

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Error;

/// The prefix of a secret of Standard Webhooks: the key in base64 follows.
const PREFIX: &str = "whsec_";
/// As the libraries read it: with or without padding.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// The characters of our own secrets: legal in base64, in URLs and in shells.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Characters after the prefix: whole groups of four, so they are base64 of 33 bytes, with 262 random bits.
const RANDOM_CHARS: usize = 44;

/// HMAC-SHA256 over the exact bytes of a body with the UTF-8 bytes of the secret, lowercase hex (contract, D20).
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> String {
    hex::encode(hmac(secret.as_bytes(), &[body]))
}

/// The value of `webhook-signature` (Standard Webhooks, "Signature scheme"). The crate of that name would bring a second
/// HMAC and a second clock; it is these lines.
#[must_use]
pub fn standard_signature(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let head = format!("{id}.{timestamp}.");
    format!("v1,{}", STANDARD.encode(hmac(&standard_key(secret), &[head.as_bytes(), body])))
}

/// A secret of another form is its own key, byte by byte, as in the libraries.
fn standard_key(secret: &str) -> Vec<u8> {
    let decoded = secret.strip_prefix(PREFIX).and_then(|key| KEY.decode(key).ok());
    decoded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A secret for a subscription that brings none: URL-safe text, and a key for Standard Webhooks' libraries.
///
/// # Errors
/// `Internal` if the machine has no randomness.
pub fn new_secret() -> Result<String, Error> {
    // A byte past the last whole alphabet is thrown away, so that no letter comes more often than another.
    let fair = ALPHABET.len() * (usize::from(u8::MAX) / ALPHABET.len());
    let mut secret = PREFIX.to_owned();
    while secret.len() < PREFIX.len() + RANDOM_CHARS {
        let mut bytes = [0; RANDOM_CHARS];
        getrandom::fill(&mut bytes).map_err(Error::internal)?;
        let letters = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let missing = PREFIX.len() + RANDOM_CHARS - secret.len();
        secret.extend(letters.take(missing).map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract D20.
    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        assert_eq!(
            signature("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn the_standard_signature_is_that_of_the_libraries() {
        // The example of their own tests.
        let (id, timestamp, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);

        assert_eq!(
            standard_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id, timestamp, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_that_is_no_base64_is_its_own_key() {
        for secret in ["sixteen at least", "whsec_not base64 at all", "whsec_a-b_"] {
            assert_eq!(standard_key(secret), secret.as_bytes());
        }
        assert_eq!(standard_key("whsec_c2VzYW1l"), b"sesame");
        assert_eq!(standard_key("whsec_c2VzYW1lcw"), standard_key("whsec_c2VzYW1lcw=="));
    }

    #[test]
    fn a_made_secret_is_long_url_safe_a_key_and_never_the_same() {
        let (one, other) = (new_secret().unwrap(), new_secret().unwrap());

        assert_ne!(one, other);
        let letters = one.strip_prefix("whsec_").unwrap();
        assert!(letters.len() == 44 && letters.bytes().all(|letter| letter.is_ascii_alphanumeric()), "{one}");
        assert_eq!(standard_key(&one).len(), 33);
    }
}

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Error;

/// Random bytes of a secret that we make.
const SECRET_BYTES: usize = 32;

/// HMAC-SHA256 over the exact bytes of a body with the UTF-8 bytes of the secret, lowercase hex (contract, D20).
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A secret for a subscription that brings none: URL-safe text.
///
/// # Errors
/// `Internal` if the machine has no randomness.
pub fn new_secret() -> Result<String, Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        assert_eq!(
            signature("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_made_secret_is_long_and_never_the_same() {
        let (one, other) = (new_secret().unwrap(), new_secret().unwrap());

        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }
}

//! KMS: provider credentials and webhook secrets are sealed before they are stored (I11).

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::Error;
use crate::ports::Secrets;
use crate::sdk::{self, LazyClient};

/// Part of the encryption context: what a ciphertext is bound to. AWS writes it to its audit log, so it names the
/// row and nothing secret.
const CONTEXT: &str = "autolabel";

/// A KMS key.
#[derive(Clone, Debug)]
pub struct Vault {
    client: LazyClient<Client>,
    key: String,
}

impl Vault {
    /// The key of this id.
    #[must_use]
    pub fn new(client: impl Into<LazyClient<Client>>, key: impl Into<String>) -> Self {
        Self { client: client.into(), key: key.into() }
    }
}

impl Secrets for Vault {
    async fn seal(&self, context: &str, secret: &str) -> Result<String, Error> {
        let request =
            self.client.encrypt().key_id(&self.key).encryption_context(CONTEXT, context).plaintext(Blob::new(secret));
        let answer = request.send().await.map_err(classify)?;
        let sealed = answer.ciphertext_blob.ok_or_else(|| Error::internal("no ciphertext"))?;
        Ok(STANDARD.encode(sealed))
    }

    async fn open(&self, context: &str, sealed: &str) -> Result<String, Error> {
        let sealed = STANDARD.decode(sealed).map_err(Error::internal)?;
        let request = self
            .client
            .decrypt()
            .key_id(&self.key)
            .encryption_context(CONTEXT, context)
            .ciphertext_blob(Blob::new(sealed));
        let answer = request.send().await.map_err(classify)?;
        let secret = answer.plaintext.ok_or_else(|| Error::internal("no plaintext"))?;
        String::from_utf8(secret.into_inner()).map_err(|_| Error::internal("a secret that is no text"))
    }
}

fn classify<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    sdk::classify(error, Error::SecretsUnavailable)
}

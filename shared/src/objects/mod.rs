//! S3: manifests, raw predictions, and the items themselves.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;

use crate::domain::Error;
use crate::ports::Objects;
use crate::sdk;

/// The system's bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket of this name.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }
}

impl Objects for Bucket {
    async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes));
        request.send().await.map_err(classify)?;
        Ok(())
    }

    async fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        if length == 0 {
            return Ok(Vec::new()); // HTTP has no empty range
        }
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let answer =
            self.client.get_object().bucket(&self.name).key(key).range(range).send().await.map_err(classify)?;
        let bytes = answer.body.collect().await.map_err(|error| Error::ObjectsUnavailable(error.into()))?;
        Ok(bytes.to_vec())
    }

    async fn sign_get(&self, key: &str, valid: Duration) -> Result<String, Error> {
        let valid = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
        let signed = self.client.get_object().bucket(&self.name).key(key).presigned(valid).await.map_err(classify)?;
        Ok(signed.uri().to_owned())
    }

    async fn sign_put(&self, key: &str, valid: Duration) -> Result<String, Error> {
        let valid = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
        let signed = self.client.put_object().bucket(&self.name).key(key).presigned(valid).await.map_err(classify)?;
        Ok(signed.uri().to_owned())
    }
}

fn classify<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    sdk::classify(error, Error::ObjectsUnavailable)
}

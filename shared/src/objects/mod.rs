//! S3: manifests, raw predictions, and the items themselves.

mod digest;
mod form;
mod presign;

pub use form::Forms;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Config, SharedCredentialsProvider, StalledStreamProtectionConfig, timeout::TimeoutConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use aws_sdk_s3::types::{ChecksumMode, CompletedMultipartUpload, CompletedPart, ServerSideEncryption};

use crate::domain::Error;
use crate::domain::item::file_version::Digest;
use crate::domain::item::source::{S3Object, Source};
use crate::objects::digest::Digesting;
use crate::objects::presign::Signer;
use crate::ports::{Contents, Described, Files, Folders, Listing, Listings, NoFile, Objects, Upload};
use crate::sdk::{self, LazyClient};

/// S3 may take minutes to make an object of its parts, and sends only spaces meanwhile (AWS, "CompleteMultipartUpload").
const ASSEMBLY_ATTEMPT: Duration = Duration::from_secs(120);
/// The same with a second attempt: Plan, which assembles manifests, has 300 seconds.
const ASSEMBLY: Duration = Duration::from_secs(240);

/// The system's bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: LazyClient<Client>,
    name: String,
    signer: Option<Arc<Signer>>,
}

impl Bucket {
    /// The bucket of this name.
    #[must_use]
    pub fn new(client: impl Into<LazyClient<Client>>, name: impl Into<String>) -> Self {
        Self { client: client.into(), name: name.into(), signer: None }
    }

    /// For functions that sign many URLs: with a key that is kept for its day. The credentials are those of the client.
    #[must_use]
    pub fn with_kept_key(self, credentials: Option<SharedCredentialsProvider>) -> Self {
        Self { signer: credentials.map(|credentials| Arc::new(Signer::new(credentials))), ..self }
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

    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload, Error> {
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key).content_type(content_type);
        // A browser saves the file of an export. Without this it shows JSON and XML.
        let id = request.content_disposition("attachment").send().await.map_err(classify)?.upload_id;
        let id = id.ok_or_else(|| Error::internal("an upload without an id"))?;
        Ok(Upload { key: key.to_owned(), id, parts: Vec::new() })
    }

    async fn append(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), Error> {
        let request = self
            .client
            .upload_part()
            .bucket(&self.name)
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(part_number(upload.parts.len()))
            .body(ByteStream::from(bytes));
        let tag = request.send().await.map_err(classify)?.e_tag;
        upload.parts.push(tag.ok_or_else(|| Error::internal("a part without a tag"))?);
        Ok(())
    }

    async fn complete(&self, upload: Upload) -> Result<(), Error> {
        let part = |(position, tag)| CompletedPart::builder().part_number(part_number(position)).e_tag(tag).build();
        let parts = upload.parts.into_iter().enumerate().map(part).collect();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(upload.key)
            .upload_id(upload.id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ASSEMBLY_ATTEMPT).operation_timeout(ASSEMBLY).build();
        let patient = Config::builder()
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        request.customize().config_override(patient).send().await.map_err(classify_completion)?;
        Ok(())
    }

    async fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        if length == 0 {
            return Ok(Vec::new()); // HTTP has no empty range
        }
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let answer =
            self.client.get_object().bucket(&self.name).key(key).range(range).send().await.map_err(classify)?;
        whole(answer).await.map_err(|error| Error::ObjectsUnavailable(error.into()))
    }

    async fn sign_get(&self, source: &Source, valid: Duration) -> Result<String, Error> {
        let source = source.parsed();
        let (bucket, key) = match self.location(&source) {
            Ok(location) => location,
            Err(url) => return Ok(url.to_owned()), // its owner makes it readable
        };
        if let Some(signer) = &self.signer
            && let Some(url) = signer.url(self.client.config(), bucket, key, valid).await
        {
            return Ok(url);
        }
        let valid = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
        let signed = self.client.get_object().bucket(bucket).key(key).presigned(valid).await.map_err(classify)?;
        if let Some(signer) = &self.signer {
            signer.learn(bucket, key, &signed);
        }
        Ok(signed.uri().to_owned())
    }

    async fn sign_put(&self, key: &str, valid: Duration) -> Result<String, Error> {
        let valid = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
        let signed = self.client.put_object().bucket(&self.name).key(key).presigned(valid).await.map_err(classify)?;
        Ok(signed.uri().to_owned())
    }
}

impl Files for Bucket {
    async fn piece(&self, source: &Source, offset: u64, length: u64) -> Result<Vec<u8>, NoFile> {
        let Ok((bucket, key)) = self.location(source) else {
            return Err(NoFile::Unreadable("The file is not in S3.".into()));
        };
        let range = format!("bytes={offset}-{}", offset + length.saturating_sub(1));
        let busy = || NoFile::Busy("The file cannot be read just now.".into());
        let error = match self.client.get_object().bucket(bucket).key(key).range(range).send().await {
            Ok(answer) => return whole(answer).await.map_err(|_| busy()),
            Err(error) => error,
        };
        match error.raw_response().map(|response| response.status().as_u16()) {
            Some(416) => Ok(Vec::new()), // behind the end
            // Without the right to list a bucket S3 answers 403 for a missing object, too. The sentence covers both.
            Some(301 | 307 | 400 | 403 | 404) => Err(NoFile::Unreadable(match source {
                Source::Bucket(_) => "The file was not uploaded yet.".into(),
                _ => "There is no such file, or this deployment may not read it.".into(),
            })),
            _ => Err(busy()),
        }
    }
}

impl Listings for Bucket {
    async fn listed(&self, source: &Source) -> Result<Option<Listing>, NoFile> {
        let Ok((bucket, key)) = self.location(source) else {
            return Err(NoFile::Unreadable("The file is not in S3.".into()));
        };
        // The key itself comes first among all keys that begin with it.
        let answer = self.client.list_objects_v2().bucket(bucket).prefix(key).max_keys(1).send().await;
        let listed = answer.map_err(|error| match error.raw_response().map(|response| response.status().as_u16()) {
            Some(301 | 307 | 400 | 403 | 404) => {
                NoFile::Unreadable("This deployment may not list the file's bucket.".into())
            }
            _ => NoFile::Busy("The file's bucket cannot be listed just now.".into()),
        })?;
        let first = listed.contents.unwrap_or_default().into_iter().next();
        Ok(first.filter(|object| object.key.as_deref() == Some(key)).map(|object| Listing {
            etag: object.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
            size_bytes: object.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        }))
    }
}

impl Contents for Bucket {
    async fn described(&self, source: &Source) -> Result<Option<Described>, NoFile> {
        let Ok((bucket, key)) = self.location(source) else { return Ok(None) };
        let answer =
            self.client.head_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled).send().await;
        match answer {
            Ok(head) => Ok(Some(described(head))),
            Err(error) => match error.raw_response().map(|response| response.status().as_u16()) {
                Some(301 | 307 | 400 | 403 | 404) => Ok(None),
                _ => Err(NoFile::Busy("The file's head cannot be read just now.".into())),
            },
        }
    }

    async fn has_digest(&self, source: &Source, etag: &str, digests: &[Digest]) -> Result<bool, NoFile> {
        let busy = || NoFile::Busy("The file cannot be read just now, or was written over.".into());
        let (bucket, key) = self.location(source).map_err(|_| busy())?;
        let answer = self.client.get_object().bucket(bucket).key(key).if_match(format!("\"{etag}\"")).send().await;
        let mut body = answer.map_err(|_| busy())?.body;
        let mut all: Vec<Digesting<'_>> = digests.iter().filter_map(Digesting::towards).collect();
        while let Some(bytes) = body.try_next().await.map_err(|_| busy())? {
            all.iter_mut().for_each(|digesting| digesting.update(&bytes));
        }
        Ok(all.into_iter().any(Digesting::matches))
    }
}

impl Folders for Bucket {
    async fn remove_folder(&self, folder: &str) -> Result<(), Error> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(folder);
        let mut pages = list.into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.map_err(classify)?.contents.unwrap_or_default() {
                let request = self.client.delete_object().bucket(&self.name).set_key(object.key);
                request.send().await.map_err(classify)?;
            }
        }
        Ok(())
    }

    async fn keys_behind(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(folder);
        let page = list.set_start_after(after.map(str::to_owned)).send().await.map_err(classify)?;
        Ok(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }
}

fn described(head: HeadObjectOutput) -> Described {
    let etag = head.e_tag.as_deref().unwrap_or_default().trim_matches('"').to_owned();
    let keeps_md5 = matches!(head.server_side_encryption, None | Some(ServerSideEncryption::Aes256))
        && head.sse_customer_algorithm.is_none();
    let checksums = [
        ("crc64nvme", head.checksum_crc64_nvme),
        ("sha256", head.checksum_sha256),
        ("sha1", head.checksum_sha1),
        ("crc32c", head.checksum_crc32_c),
        ("crc32", head.checksum_crc32),
    ];
    // A checksum of the parts' checksums ends with their number, "-2" (AWS, "Checking object integrity").
    let of_whole = |value: &String| !value.contains('-');
    let digest = checksums.into_iter().find_map(|(algorithm, value)| Some((algorithm, value.filter(of_whole)?)));
    Described {
        is_md5: keeps_md5 && !etag.contains('-'),
        etag,
        size_bytes: head.content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        digest: digest.map(|(algorithm, value)| Digest::of(algorithm, &value)),
    }
}

impl Bucket {
    /// Bucket and key of a file, or else its URL.
    fn location<'a>(&'a self, source: &'a Source) -> Result<(&'a str, &'a str), &'a str> {
        match source {
            Source::Bucket(key) => Ok((&self.name, key)),
            Source::S3(S3Object { bucket, key }) => Ok((bucket, key)),
            Source::Url(url) => Err(url),
        }
    }
}

/// The bytes of an answer, in one buffer of their length.
async fn whole(mut answer: GetObjectOutput) -> Result<Vec<u8>, ByteStreamError> {
    let length = answer.content_length.and_then(|length| usize::try_from(length).ok());
    let mut bytes = Vec::with_capacity(length.unwrap_or_default());
    while let Some(piece) = answer.body.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Parts are counted from 1.
fn part_number(position: usize) -> i32 {
    i32::try_from(position + 1).unwrap_or(i32::MAX)
}

fn classify<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    sdk::classify(error, Error::ObjectsUnavailable)
}

/// An upload that S3 does not know any more was completed, most likely, by an attempt whose answer was lost. Writing another
/// object makes it sure.
fn classify_completion<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error.code() {
        Some("NoSuchUpload") => Error::ObjectsUnavailable(Box::new(error)),
        _ => classify(error),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::http::HttpResponse;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    #[test]
    fn of_an_objects_checksums_the_one_of_all_its_bytes_counts() {
        let head = || HeadObjectOutput::builder().e_tag("\"b1946ac92492d2347c6235b4d2611184\"").content_length(6);
        let whole = described(head().checksum_crc32("NSRBwg==").build());
        assert_eq!((whole.digest, whole.is_md5), (Some(Digest::of("crc32", "NSRBwg==")), true));
        assert_eq!((whole.etag.as_str(), whole.size_bytes), ("b1946ac92492d2347c6235b4d2611184", 6));

        assert_eq!(described(head().checksum_crc32("NSRBwg==-2").build()).digest, None);
        for not_md5 in [
            head().e_tag("\"b1946ac92492d2347c6235b4d2611184-2\""),
            head().server_side_encryption(ServerSideEncryption::AwsKms),
            head().sse_customer_algorithm("AES256"),
        ] {
            assert!(!described(not_md5.build()).is_md5);
        }
    }

    #[test]
    fn a_plan_is_made_again_if_its_upload_was_completed_by_a_call_whose_answer_was_lost() {
        for (status, code, repeatable) in
            [(404, "NoSuchUpload", true), (503, "SlowDown", true), (400, "InvalidPart", false)]
        {
            let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
            let error = SdkError::service_error(ErrorMetadata::builder().code(code).build(), response);

            assert_eq!(classify_completion(error).code().facts().repeatable, repeatable, "{code}");
        }
    }
}

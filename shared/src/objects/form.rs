//! Forms that upload an object: a policy and its signature (AWS, "Browser-based uploads using POST (Signature Version 4)"). The SDK
//! signs requests alone.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Bucket, classify};
use crate::domain::{Error, Timestamp};
use crate::ports::{UploadForm, UploadForms};

/// The system's bucket, for forms.
#[derive(Clone, Debug)]
pub struct Forms {
    bucket: Bucket,
    credentials: SharedCredentialsProvider,
    region: String,
}

impl Forms {
    /// Forms of this bucket, signed with these credentials.
    #[must_use]
    pub const fn new(bucket: Bucket, credentials: SharedCredentialsProvider, region: String) -> Self {
        Self { bucket, credentials, region }
    }

    /// Where forms of the bucket are posted: its address as the SDK has it for this region and name.
    async fn url(&self) -> Result<String, Error> {
        let valid = PresigningConfig::expires_in(Duration::from_secs(1)).map_err(Error::internal)?;
        let object = self.bucket.client.head_object().bucket(&self.bucket.name).key("-");
        let signed = object.presigned(valid).await.map_err(classify)?;
        let address = signed.uri().split('?').next().and_then(|address| address.strip_suffix('-'));
        address.map(str::to_owned).ok_or_else(|| Error::internal("an address of an object without its key"))
    }
}

impl UploadForms for Forms {
    async fn sign_form(
        &self,
        key: &str,
        content_type: &str,
        bytes: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<UploadForm, Error> {
        let credentials = self.credentials.provide_credentials().await.map_err(Error::internal)?;
        let form = Form { key, content_type, bucket: &self.bucket.name, bytes, end: now + valid };
        Ok(UploadForm { url: self.url().await?, fields: form.signed(&credentials, &self.region, now) })
    }
}

/// What a form may write, and until when.
struct Form<'a> {
    bucket: &'a str,
    key: &'a str,
    content_type: &'a str,
    bytes: u64,
    end: Timestamp,
}

impl Form<'_> {
    fn signed(&self, credentials: &Credentials, region: &str, now: Timestamp) -> Vec<(&'static str, String)> {
        let day = now.strftime("%Y%m%d").to_string();
        let scope = format!("{}/{day}/{region}/s3/aws4_request", credentials.access_key_id());
        let mut fields = vec![
            ("key", self.key.to_owned()),
            ("Content-Type", self.content_type.to_owned()),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", scope),
            ("x-amz-date", now.strftime("%Y%m%dT%H%M%SZ").to_string()),
        ];
        fields.extend(credentials.session_token().map(|token| ("x-amz-security-token", token.to_owned())));
        let policy = STANDARD.encode(self.policy(&fields));
        let signing_key = generate_signing_key(credentials.secret_access_key(), SystemTime::from(now), region, "s3");
        let signature = calculate_signature(signing_key, policy.as_bytes());
        fields.extend([("policy", policy), ("x-amz-signature", signature)]);
        fields
    }

    /// Each field has this value, and the file this length.
    fn policy(&self, fields: &[(&str, String)]) -> String {
        let mut conditions: Vec<_> =
            fields.iter().map(|(name, value)| json!(["eq", format!("${name}"), value])).collect();
        conditions.push(json!(["eq", "$bucket", self.bucket]));
        conditions.push(json!(["content-length-range", self.bytes, self.bytes]));
        json!({"expiration": self.end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "conditions": conditions}).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_names_its_key_its_length_and_its_end_and_has_the_session_that_signed_it() {
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        let form = Form {
            bucket: "b",
            key: "projects/1/ü.jpg",
            content_type: "image/jpeg",
            bytes: 7,
            end: now + Duration::from_secs(60),
        };
        let credentials = Credentials::new("AKIA", "secret", Some("token".into()), None, "test");

        let fields = form.signed(&credentials, "eu-west-1", now);
        let field = |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap();
        let policy: serde_json::Value = serde_json::from_slice(&STANDARD.decode(field("policy")).unwrap()).unwrap();

        assert_eq!(field("x-amz-credential"), "AKIA/20260101/eu-west-1/s3/aws4_request");
        assert_eq!((field("x-amz-date"), field("x-amz-security-token")), ("20260101T000000Z", "token"));
        assert_eq!(field("x-amz-signature").len(), 64);
        assert_eq!(policy["expiration"], "2026-01-01T00:01:00Z");
        let conditions = policy["conditions"].as_array().unwrap();
        for condition in [
            json!(["eq", "$key", "projects/1/ü.jpg"]),
            json!(["eq", "$bucket", "b"]),
            json!(["content-length-range", 7, 7]),
            json!(["eq", "$x-amz-security-token", "token"]),
        ] {
            assert!(conditions.contains(&condition), "{condition}");
        }
    }
}

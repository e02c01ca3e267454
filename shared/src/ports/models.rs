//! Models, the providers behind them and their secrets.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use crate::domain::diagnosis::Diagnosis;
use crate::domain::id::{ItemUid, OrganizationUid, ProviderUid};
use crate::domain::item::AssetType;
use crate::domain::job::failure::{Failure, FailureCode, quotation};
use crate::domain::prediction::model_type::ModelType;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::turn::Frame;
use crate::domain::provider::InferenceProvider;
use crate::domain::provider::connection::{Credentials, LabelPrompt, Reading, RequestFormat, SageMaker};
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice};

/// Inference providers.
#[trait_variant::make(Send)]
pub trait Providers: Send + Sync {
    /// Stores a new provider. Returns the stored one of this uid, if an earlier attempt has stored it.
    async fn add_provider(&self, provider: &InferenceProvider) -> Result<Option<InferenceProvider>, Error>;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<InferenceProvider, Error>;
    /// The organization's providers.
    async fn providers(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<InferenceProvider>, Error>;
    /// Stores a provider over what it was, if it still is as `before` says: neither changed nor tested. `false`: it is not,
    /// read it again.
    async fn update_provider(&self, before: &InferenceProvider, after: &InferenceProvider) -> Result<bool, Error>;
    /// Stores how a test of it went, and nothing else: what was changed during the test stays changed.
    ///
    /// # Errors
    /// `NotFound` if it was removed meanwhile.
    async fn record_test(&self, provider: &InferenceProvider, success: bool, now: Timestamp) -> Result<(), Error>;
    /// # Errors
    /// `NotFound` if unknown or another tenant's (I10).
    async fn remove_provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<(), Error>;
}

/// Sealing of provider credentials and webhook secrets (I11).
#[trait_variant::make(Send)]
pub trait Secrets: Send + Sync {
    /// Ciphertext that opens only in the same context.
    async fn seal(&self, context: &str, secret: &str) -> Result<String, Error>;
    /// The secret.
    async fn open(&self, context: &str, sealed: &str) -> Result<String, Error>;

    /// The credentials of a provider; an endpoint without any has none.
    fn credentials(&self, provider: &InferenceProvider) -> impl Future<Output = Result<Credentials, Error>> + Send {
        async {
            match provider.connection.sealed() {
                Some(sealed) => Credentials::of_text(&self.open(&provider.secret_context(), sealed).await?),
                None => Ok(Credentials::default()),
            }
        }
    }
}

/// What a model is sent about one item (contract, 10.1).
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct InferenceRequest<'a> {
    /// The item's uid.
    pub asset_id: ItemUid,
    /// Signed.
    pub asset_url: String,
    /// What it is.
    pub asset_type: AssetType,
    /// Pixels, of the picture in the frame that follows.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The frame of the size, and of the answer's coordinates; `None` of point clouds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// The labels to find. Empty: any.
    pub labels: &'a [String],
    /// The prompts of the labels that have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<LabelPrompt<'a>>,
    /// A hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_type: Option<ModelType>,
    /// The lowest confidence that the job keeps. Not part of the contract's request.
    #[serde(skip)]
    pub threshold: f64,
}

/// What Hugging Face's containers take out of a request: `pipeline(inputs, **parameters)`. The other fields are for servers that read them.
#[derive(serde::Serialize)]
struct HuggingFaceRequest<'a> {
    inputs: &'a str,
    parameters: HuggingFaceParameters<'a>,
    #[serde(flatten)]
    request: &'a InferenceRequest<'a>,
}

/// Those of the pipelines for object detection. The one of a closed set of labels leaves `candidate_labels` alone.
#[derive(serde::Serialize)]
struct HuggingFaceParameters<'a> {
    threshold: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidate_labels: Vec<&'a str>,
}

impl InferenceRequest<'_> {
    /// The body of a call.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn body(&self, format: RequestFormat) -> Result<Vec<u8>, serde_json::Error> {
        match format {
            RequestFormat::Avala => serde_json::to_vec(self),
            RequestFormat::Huggingface => {
                let mut candidate_labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
                for LabelPrompt { label, prompt } in &self.prompts {
                    candidate_labels.iter_mut().filter(|candidate| *candidate == label).for_each(|c| *c = prompt);
                }
                let parameters = HuggingFaceParameters { threshold: self.threshold, candidate_labels };
                serde_json::to_vec(&HuggingFaceRequest { inputs: &self.asset_url, parameters, request: self })
            }
        }
    }
}

/// Why a model gave no reply. The kind decides what happens: see "Errors" in ARCHITECTURE.md.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The item fails.
    #[error("{}", .0.sentence())]
    Item(Failure),
    /// No answer came: a timeout, a broken connection, 502 and its kin. The endpoint may be full or away, or break down at the
    /// item (docs/decisions/0025).
    #[error("{}", quoting(message, words.as_deref()))]
    Transient {
        /// What is wrong.
        diagnosis: Diagnosis,
        /// A sentence.
        message: String,
        /// The model's own words.
        words: Option<String>,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The endpoint has no room for the call: 429 and its kin. A matter of the worker's pace first, of the item only if
    /// nothing else was at the endpoint (docs/decisions/0013).
    #[error("{}", quoting(message, words.as_deref()))]
    Busy {
        /// What is wrong.
        diagnosis: Diagnosis,
        /// A sentence.
        message: String,
        /// The model's own words.
        words: Option<String>,
        /// `Retry-After`.
        retry_after: Option<Duration>,
        /// How long the endpoint may go on like this before it is held against an item.
        patience: Duration,
    },
    /// The model cannot serve this job.
    #[error("{message}")]
    Job {
        /// What is wrong.
        diagnosis: Diagnosis,
        /// A sentence that says what to do.
        message: String,
    },
}

fn quoting(message: &str, words: Option<&str>) -> String {
    words.map_or_else(|| message.to_owned(), |words| format!("{message} {}", quotation(words)))
}

impl InferenceError {
    /// Worth another try; the model does not ask for a wait.
    pub fn transient(diagnosis: Diagnosis, message: impl Into<String>) -> Self {
        Self::Transient { diagnosis, message: message.into(), words: None, retry_after: None }
    }

    /// Too many calls at once.
    pub fn busy(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        let (diagnosis, message) = (Diagnosis::Busy, message.into());
        Self::Busy { diagnosis, message, words: None, retry_after, patience: Duration::ZERO }
    }

    /// The end of the job.
    pub fn job(diagnosis: Diagnosis, message: impl Into<String>) -> Self {
        Self::Job { diagnosis, message: message.into() }
    }

    /// The same with the model's own words about it.
    #[must_use]
    pub fn in_words(mut self, own: Option<String>) -> Self {
        match &mut self {
            Self::Item(failure) => failure.particulars = own.as_deref().map(quotation),
            Self::Transient { words, .. } | Self::Busy { words, .. } => *words = own,
            Self::Job { message, .. } => *message = quoting(message, own.as_deref()),
        }
        self
    }

    /// What is wrong.
    #[must_use]
    pub const fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Item(Failure { code: FailureCode::BadAnswer, .. }) => Diagnosis::BadAnswer,
            Self::Item(_) => Diagnosis::ModelError,
            Self::Transient { diagnosis, .. } | Self::Busy { diagnosis, .. } | Self::Job { diagnosis, .. } => {
                *diagnosis
            }
        }
    }
}

/// The one port to models: a request goes in, the bytes of the reply come out.
#[trait_variant::make(Send)]
pub trait Model: Send + Sync {
    /// How it is asked, and how its answers are read.
    fn reading(&self) -> &Reading {
        static USUAL: LazyLock<Reading> = LazyLock::new(Reading::default);
        &USUAL
    }

    /// After which a call is given up.
    fn timeout(&self) -> Duration {
        Duration::from_secs(60) // a real-time endpoint of SageMaker's (AWS, "InvokeEndpoint")
    }

    /// One call.
    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError>;
}

/// Connects to models.
#[trait_variant::make(Send)]
pub trait Connect: Send + Sync {
    /// Either kind of model.
    type Model: Model;
    /// An endpoint of the deployment's own.
    fn own(&self, endpoint: &SageMaker) -> Self::Model;
    /// A provider's, with the provider's credentials.
    ///
    /// # Errors
    /// `ProviderRefused` if there is no way; `SecretsUnavailable`.
    async fn connect(&self, provider: &InferenceProvider) -> Result<Self::Model, Error>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hugging_face_container_finds_its_own_words_beside_the_contracts() {
        let labels = ["desk".to_owned(), "cup".to_owned()];
        let request = InferenceRequest {
            asset_id: ItemUid::of_probe(),
            asset_url: "https://bucket.example/x?signed".into(),
            asset_type: AssetType::Image,
            size: Some(Size { width: 4, height: 3 }),
            frame: Some(Frame::Upright),
            labels: &labels,
            prompts: vec![LabelPrompt { label: "desk", prompt: "a wooden desk" }],
            model_type: None,
            threshold: 0.25,
        };
        let body = |request: &InferenceRequest<'_>, format| {
            serde_json::from_slice::<serde_json::Value>(&request.body(format).unwrap()).unwrap()
        };

        let mut wanted = json!({"asset_id": ItemUid::of_probe(), "asset_url": "https://bucket.example/x?signed",
            "asset_type": "image", "width": 4, "height": 3, "frame": "upright", "labels": ["desk", "cup"],
            "prompts": [{"label": "desk", "prompt": "a wooden desk"}]});
        assert_eq!(body(&request, RequestFormat::Avala), wanted);
        wanted["inputs"] = json!("https://bucket.example/x?signed");
        wanted["parameters"] = json!({"threshold": 0.25, "candidate_labels": ["a wooden desk", "cup"]});
        assert_eq!(body(&request, RequestFormat::Huggingface), wanted);
        let open = body(&InferenceRequest { labels: &[], prompts: vec![], ..request }, RequestFormat::Huggingface);
        assert_eq!(open["parameters"], json!({"threshold": 0.25}));
    }
}

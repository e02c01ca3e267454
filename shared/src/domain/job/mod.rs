//! A job: one run of a model over the unlabeled items of a project.
//!
//! The API or the project's uploads create it, one Step Functions execution carries it, and it ends in exactly one terminal
//! status (I5). The legal moves between statuses are in [`crate::domain::job_status`].

pub mod breaker;
pub mod failure;
pub mod note;
pub mod outcome;
pub mod plan;
pub mod summary;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::fields::{self, Fields};
use crate::domain::id::{JobUid, OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::job::summary::Summary;
use crate::domain::job_status::JobStatus;
use crate::domain::prediction::model_type::ModelType;
use crate::domain::provider::ServedBy;
use crate::domain::{Error, Timestamp, unicode};

/// The confidence threshold of a job that names none.
const CONFIDENCE_THRESHOLD: f64 = 0.5;

/// What is asked of the model, and what is kept of its predictions. A request has it, the job's row has it, and each part of
/// the system reads it there. CONTRIBUTING.md says how to add one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobOptions {
    /// As requested. A job that names none has [`ModelType::DEFAULT`] if the deployment's own endpoint serves it, and none if a
    /// provider does (contract, D7).
    pub model_type: Option<ModelType>,
    /// Predictions below it are dropped; equal is kept.
    pub confidence_threshold: f64,
    /// For these labels, instead of `confidence_threshold`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label_thresholds: BTreeMap<String, f64>,
    /// Labels to keep, as requested; empty: all.
    pub labels: Vec<String>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            model_type: None,
            confidence_threshold: CONFIDENCE_THRESHOLD,
            label_thresholds: BTreeMap::new(),
            labels: Vec::new(),
        }
    }
}

impl JobOptions {
    /// The option of a create call, and of a project's `auto_label_on_upload`.
    pub(crate) fn read_model_type(fields: &mut Fields) -> Option<ModelType> {
        fields.optional("model_type", ModelType::read)
    }

    /// See [`Self::read_model_type`].
    pub(crate) fn read_confidence_threshold(fields: &mut Fields) -> f64 {
        fields.optional("confidence_threshold", fields::fraction).unwrap_or(CONFIDENCE_THRESHOLD)
    }

    /// See [`Self::read_model_type`].
    pub(crate) fn read_labels(fields: &mut Fields) -> Vec<String> {
        fields.optional("labels", fields::labels).unwrap_or_default()
    }

    /// With each label in the Unicode form in which the project has it.
    #[must_use]
    pub fn in_words_of(mut self, project_labels: &[String]) -> Self {
        let form = |label: String| unicode::find(&label, project_labels).cloned().unwrap_or(label);
        self.labels = self.labels.into_iter().map(form).collect();
        self.label_thresholds =
            self.label_thresholds.into_iter().map(|(label, threshold)| (form(label), threshold)).collect();
        self
    }
}

/// What a client asks for, checked as far as that goes without the project.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRequest {
    /// What is asked of the model, and what is kept.
    pub options: JobOptions,
    /// Infer and count, and write no drafts (I8).
    pub dry_run: bool,
    /// The uid of the provider to use, not parsed yet.
    pub provider: Option<String>,
}

impl JobRequest {
    /// Reads the body of a create call (contract, 6.2).
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        let NewJob { model_type, confidence_threshold, label_thresholds, labels, dry_run, provider_id } =
            NewJob::read(body)?;
        let options = JobOptions { model_type, confidence_threshold, label_thresholds, labels };
        Ok(Self { options, dry_run, provider: provider_id })
    }
}

/// What a job can be asked for.
// The body of a create call.
#[derive(ToSchema)]
#[schema(example = json!({"model_type": "yolo", "confidence_threshold": 0.35, "labels": ["person", "cat"], "label_thresholds": {"person": 0.7}}))]
pub struct NewJob {
    /// Which of the deployment's own endpoints serves the job if no provider does: `yolo` if not given. A provider gets it as a hint.
    model_type: Option<ModelType>,
    /// Predictions below it are dropped.
    #[schema(value_type = Option<f64>, minimum = 0.0, maximum = 1.0, default = 0.5)]
    confidence_threshold: f64,
    /// Thresholds of labels that have one of their own, as an object, or as the list of pairs in which it is shown.
    #[schema(value_type = Option<Object>)]
    label_thresholds: BTreeMap<String, f64>,
    /// Labels to keep; empty: all of the project.
    #[schema(value_type = Option<Vec<String>>, default = json!([]), max_items = 1000)]
    labels: Vec<String>,
    /// Infers and counts, and leaves no drafts.
    #[schema(value_type = Option<bool>, default = false)]
    dry_run: bool,
    /// The provider to ask; without it, the project's default, else its newest active one, else the organization's, else the
    /// deployment's own endpoint.
    #[schema(value_type = Option<ProviderUid>)]
    provider_id: Option<String>,
}

impl NewJob {
    fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let thresholds = fields::by_label(["label", "threshold"], fields::fraction);
        let new = Self {
            model_type: JobOptions::read_model_type(&mut fields),
            confidence_threshold: JobOptions::read_confidence_threshold(&mut fields),
            label_thresholds: fields.optional("label_thresholds", thresholds).unwrap_or_default(),
            labels: JobOptions::read_labels(&mut fields),
            dry_run: fields.optional("dry_run", fields::boolean).unwrap_or(false),
            provider_id: fields.optional("provider_id", fields::text(1, 64)),
        };
        fields.finish()?;
        Ok(new)
    }
}

/// What a job is to do. Written once, never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Also the name of its execution.
    pub uid: JobUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// Its items are labeled.
    pub project: ProjectUid,
    /// `None`: the deployment's own endpoint for the model type.
    pub provider: Option<ProviderUid>,
    /// What that was called when the job was created; `None` of a job that is older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<ServedBy>,
    /// As requested.
    #[serde(flatten)]
    pub options: JobOptions,
    /// The label set that the model is asked for and held to: the job's labels, else the project's (contract,
    /// D25). Empty: any. Fixed at creation, so that a job never works by two rules.
    pub wanted: Vec<String>,
    /// The text that the model gets instead of these labels. Fixed at creation as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, String>,
    /// I8. Not among the options: a job's row is as it was before they had a type of their own, byte by byte.
    pub dry_run: bool,
    /// When the client asked.
    pub created_at: Timestamp,
    /// The job whose failed and unprocessed items it takes, instead of all unlabeled ones of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobUid>,
    /// The uploads that it takes, instead of all unlabeled items of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploads: Option<UploadRun>,
}

/// Who caused a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A call.
    Api,
    /// The project's uploads.
    Upload,
}

/// Which uploads a job takes: those that no such job has taken before (docs/decisions/0021).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRun {
    /// Uploads that came later are left out: the index may not show all of them yet.
    pub until: Timestamp,
    /// Of the project.
    pub max_items_per_day: u32,
}

impl JobSpec {
    /// Its cause. A retry is caused by a call, whatever it takes.
    #[must_use]
    pub const fn trigger(&self) -> Trigger {
        if self.uploads.is_some() && self.retry_of.is_none() { Trigger::Upload } else { Trigger::Api }
    }
}

/// The counters of a job. `processed` is not among them: it is their sum, so that I2 cannot be broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Items selected; 0 until the job is planned.
    pub total: u32,
    /// Items with at least one accepted prediction.
    pub successful: u32,
    /// Items whose model call or answer was no good.
    pub failed: u32,
    /// Items without an accepted prediction, or that a person labeled meanwhile.
    pub skipped: u32,
}

impl Counters {
    /// Items with an outcome.
    #[must_use]
    pub const fn processed(self) -> u32 {
        self.successful + self.failed + self.skipped
    }

    /// Percent, one decimal (contract, 6.4). A planned job without items is done: 100.
    #[must_use]
    pub fn progress_pct(self, planned: bool) -> f64 {
        match (self.total, planned) {
            (0, planned) => f64::from(u8::from(planned)) * 100.0,
            (total, _) => (1_000.0 * f64::from(self.processed()) / f64::from(total)).round() / 10.0,
        }
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq)]
pub struct JobState {
    /// Where it is in its life.
    pub status: JobStatus,
    /// What became of its items.
    pub counters: Counters,
    /// Set when it leaves pending.
    pub started_at: Option<Timestamp>,
    /// Set at its end.
    pub completed_at: Option<Timestamp>,
    /// When something last happened to it.
    pub progressed_at: Timestamp,
    /// A sentence for users, of a failed job or of one with failed items.
    pub error_message: Option<String>,
    /// At the end.
    pub summary: Option<Summary>,
    /// Why a worker gave the job up: a sentence for users. Chunks that were begun may be short of items since, so no worker
    /// goes on.
    pub refusal: Option<String>,
}

impl JobState {
    /// The state of a job that was just asked for.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            status: JobStatus::Pending,
            counters: Counters::default(),
            started_at: None,
            completed_at: None,
            progressed_at: now,
            error_message: None,
            summary: None,
            refusal: None,
        }
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What it is to do.
    pub spec: JobSpec,
    /// How far it is.
    pub state: JobState,
}

impl Job {
    /// # Errors
    /// `JobNotFinished`.
    pub fn finished(&self) -> Result<(), Error> {
        let status = self.state.status;
        if status.is_active() { Err(Error::JobNotFinished(status)) } else { Ok(()) }
    }

    /// What a retry of it is to do: the same, with the items that it leaves behind (docs/decisions/0015).
    ///
    /// # Errors
    /// `JobNotFinished`; `NotRetryable` if it leaves nothing.
    pub fn retried(&self, now: Timestamp) -> Result<JobSpec, Error> {
        self.finished()?;
        let counters = self.state.counters;
        // One that was never planned has picked no items, so that its retry picks them.
        let leaves_items = counters.failed > 0 || counters.processed() < counters.total;
        if self.state.started_at.is_some() && !leaves_items {
            return Err(Error::NotRetryable("The job has no failed and no unprocessed items."));
        }
        // The limit of a day holds for uploads that no job has picked yet.
        let uploads = self.spec.uploads.clone().filter(|_| self.state.started_at.is_none());
        let (uid, retry_of) = (JobUid::at(now), Some(self.spec.uid));
        Ok(JobSpec { uid, created_at: now, retry_of, uploads, ..self.spec.clone() })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn progress_is_a_percentage(successful in 0u32..5_000, failed in 0u32..5_000, skipped in 0u32..5_000, rest in 0u32..5_000) {
            let counters = Counters { total: successful + failed + skipped + rest, successful, failed, skipped };
            let progress = counters.progress_pct(true);

            prop_assert!((0.0..=100.0).contains(&progress));
            prop_assert_eq!(progress == 100.0 && counters.total < 1_000, rest == 0 && counters.total < 1_000);
        }
    }

    #[test]
    fn the_request_has_the_defaults_of_the_contract() {
        let request = JobRequest::read(b"{}").unwrap();

        let options = &request.options;
        assert_eq!(options.model_type, None, "what serves the job decides");
        assert_eq!(options.confidence_threshold, 0.5);
        assert!(options.labels.is_empty() && !request.dry_run && request.provider.is_none());
        assert!(options.label_thresholds.is_empty());
    }

    /// Contract D7.
    #[test]
    fn a_provider_alone_leaves_the_model_type_open() {
        assert_eq!(JobRequest::read(br#"{"provider_id": "inf_1"}"#).unwrap().options.model_type, None);
    }

    #[test]
    fn a_bad_request_names_its_fields() {
        let error = JobRequest::read(
            br#"{"confidence_threshold": 1.5, "model_type": "gpt", "dry_run": 1, "label_thresholds": {"a": 2}}"#,
        )
        .unwrap_err();

        assert_eq!(
            error.to_string(),
            "model_type: Must be \"sam3\" or \"yolo\", not \"gpt\".; confidence_threshold: Must be a number from 0.0 to 1.0, not 1.5.; label_thresholds: Of \"a\": Must be a number from 0.0 to 1.0, not 2.; dry_run: Must be true or false, not 1."
        );
    }

    fn ended(status: JobStatus, started: bool, counters: Counters) -> Job {
        let now = Timestamp::UNIX_EPOCH;
        let spec = JobSpec {
            uid: JobUid::at(now),
            organization: OrganizationUid::named("acme"),
            project: ProjectUid::at(now),
            provider: None,
            served_by: None,
            options: JobOptions {
                model_type: Some(ModelType::Sam3),
                confidence_threshold: 0.7,
                labels: vec!["car".into()],
                ..JobOptions::default()
            },
            wanted: vec!["car".into()],
            prompts: BTreeMap::new(),
            dry_run: true,
            created_at: now,
            retry_of: None,
            uploads: None,
        };
        let started_at = started.then_some(now);
        Job { spec, state: JobState { status, counters, started_at, ..JobState::new(now) } }
    }

    /// A job that has failed before it was planned.
    pub(crate) fn a_retryable_job() -> Job {
        ended(JobStatus::Failed, false, Counters::default())
    }

    #[test]
    fn a_retry_does_the_same_and_names_the_job_that_it_retries() {
        let job = ended(JobStatus::Completed, true, Counters { total: 3, successful: 2, failed: 1, skipped: 0 });
        let now = Timestamp::from_second(9).unwrap();

        let retried = job.retried(now).unwrap();

        assert_ne!(retried.uid, job.spec.uid);
        let same = JobSpec { uid: retried.uid, created_at: now, retry_of: Some(job.spec.uid), ..job.spec };
        assert_eq!(retried, same);
    }

    #[test]
    fn a_retry_of_uploads_that_were_never_picked_takes_these_within_the_day() {
        let run = UploadRun { until: Timestamp::UNIX_EPOCH, max_items_per_day: 10 };
        for (started, uploads) in [(false, Some(run.clone())), (true, None)] {
            let mut job = ended(JobStatus::Failed, started, Counters { total: 1, ..Counters::default() });
            job.spec.uploads = Some(run.clone());

            let retried = job.retried(Timestamp::UNIX_EPOCH).unwrap();

            assert_eq!((retried.trigger(), retried.uploads), (Trigger::Api, uploads));
        }
    }

    #[test]
    fn a_job_is_retried_if_it_is_over_and_leaves_something() {
        use JobStatus::{Cancelled, Completed, Failed, Pending, Running};
        let all = Counters { total: 2, successful: 1, failed: 0, skipped: 1 };
        let one_failed = Counters { successful: 0, failed: 1, ..all };
        let one_open = Counters { successful: 0, ..all };
        let retry = |status, started, counters| ended(status, started, counters).retried(Timestamp::UNIX_EPOCH);

        for (status, started, counters) in [
            (Completed, true, one_failed),
            (Failed, true, one_open),
            (Cancelled, true, one_open),
            (Failed, false, Counters::default()), // it was never planned
            (Cancelled, false, Counters::default()),
        ] {
            assert!(retry(status, started, counters).is_ok(), "{status} {counters:?}");
        }
        for (status, counters) in [(Completed, all), (Cancelled, all), (Completed, Counters::default())] {
            assert!(matches!(retry(status, true, counters), Err(Error::NotRetryable(_))), "{status} {counters:?}");
        }
        for status in [Pending, Running] {
            assert!(matches!(retry(status, true, one_failed), Err(Error::JobNotFinished(is)) if is == status));
        }
    }
}

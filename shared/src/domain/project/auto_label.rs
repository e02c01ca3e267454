//! What a project does with uploads: label them by itself, in jobs that wait for a pause and never exceed a day's items
//! (docs/decisions/0021).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::fields::{self, Fields};
use crate::domain::id::{JobUid, ProviderUid};
use crate::domain::job::{JobOptions, JobRequest};
use crate::domain::prediction::model_type::ModelType;
use crate::domain::{Error, Timestamp, limits, provider};

/// The field of a project.
pub const FIELD: &str = "auto_label_on_upload";

/// How uploads are labeled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AutoLabelOnUpload)]
pub struct AutoLabel {
    /// The provider to ask; `null`: as for a job that names none.
    #[serde(default)]
    #[schema(required)]
    pub provider_id: Option<ProviderUid>,
    /// `null`: as for a job that names none.
    #[serde(default)]
    #[schema(required)]
    pub model_type: Option<ModelType>,
    /// Predictions below it are dropped.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub confidence_threshold: f64,
    /// Labels to keep; empty: all of the project.
    pub labels: Vec<String>,
    /// Seconds without an upload before a job starts. Less than 12 is stored as 12.
    #[serde(deserialize_with = "stored_quiet_seconds")]
    #[schema(minimum = 12, maximum = 900)]
    pub quiet_seconds: u32,
    /// Items that these jobs send to the model in a day, UTC.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub max_items_per_day: u32,
}

/// How uploads are to be labeled. It is replaced as a whole: what is not sent is as by default.
#[derive(ToSchema)]
pub struct NewAutoLabel {
    /// `false` turns it off.
    #[schema(value_type = Option<bool>, default = true)]
    enabled: bool,
    /// As of a job.
    provider_id: Option<ProviderUid>,
    /// As of a job.
    model_type: Option<ModelType>,
    #[schema(value_type = Option<f64>, minimum = 0.0, maximum = 1.0, default = 0.5)]
    confidence_threshold: f64,
    /// Labels to keep; empty: all of the project.
    #[schema(value_type = Option<Vec<String>>, default = json!([]), max_items = 1_000)]
    labels: Vec<String>,
    /// Seconds without an upload before a job starts. Less than 12 is taken as 12: jobs take no younger upload.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 900, default = 60)]
    quiet_seconds: u32,
    /// Items that these jobs send to the model in a day, UTC.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, default = 10_000)]
    max_items_per_day: u32,
}

impl NewAutoLabel {
    fn read(sent: Map<String, Value>) -> Result<Self, Error> {
        let mut fields = Fields::of(format!("{FIELD}."), sent);
        let per_day = fields::whole(1, limits::UPLOADS_PER_DAY);
        let new = Self {
            enabled: fields.optional("enabled", fields::boolean).unwrap_or(true),
            provider_id: fields.optional("provider_id", provider_id),
            model_type: JobOptions::read_model_type(&mut fields),
            confidence_threshold: JobOptions::read_confidence_threshold(&mut fields),
            labels: JobOptions::read_labels(&mut fields),
            quiet_seconds: fields
                .optional("quiet_seconds", fields::whole(1, limits::QUIET_SECONDS))
                .map_or(60, effective_quiet_seconds),
            max_items_per_day: fields.optional("max_items_per_day", per_day).unwrap_or(10_000),
        };
        fields.finish()?;
        Ok(new)
    }
}

/// No pause is over before jobs could take the last upload.
fn effective_quiet_seconds(asked: u32) -> u32 {
    asked.max(limits::QUIET_SECONDS_LEAST)
}

/// Of a row of before this was done on arrival.
fn stored_quiet_seconds<'de, D: Deserializer<'de>>(row: D) -> Result<u32, D::Error> {
    u32::deserialize(row).map(effective_quiet_seconds)
}

pub(super) fn provider_id(value: Value) -> Result<ProviderUid, String> {
    provider::uid(&fields::text(1, 64)(value)?)
}

impl AutoLabel {
    /// Reads the setting: `None` turns it off.
    ///
    /// # Errors
    /// `Validation` with every complaint.
    pub fn read(sent: Map<String, Value>) -> Result<Option<Self>, Error> {
        let new = NewAutoLabel::read(sent)?;
        Ok(new.enabled.then_some(Self {
            provider_id: new.provider_id,
            model_type: new.model_type,
            confidence_threshold: new.confidence_threshold,
            labels: new.labels,
            quiet_seconds: new.quiet_seconds,
            max_items_per_day: new.max_items_per_day,
        }))
    }

    /// What its jobs are asked for, as a client would.
    #[must_use]
    pub fn request(&self) -> JobRequest {
        let options = JobOptions {
            model_type: self.model_type,
            confidence_threshold: self.confidence_threshold,
            labels: self.labels.clone(),
            ..JobOptions::default()
        };
        JobRequest { options, dry_run: false, provider: self.provider_id.map(|uid| uid.to_string()) }
    }

    /// How long no upload must have come, so that they have paused.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        Duration::from_secs(self.quiet_seconds.into())
    }

    /// How long it still is until uploads have paused, if the last one was then.
    #[must_use]
    pub fn pause_in(&self, last: Timestamp, now: Timestamp) -> Duration {
        let since = Duration::try_from(now.duration_since(last)).unwrap_or_default(); // two clocks may differ
        self.quiet().saturating_sub(since)
    }
}

/// Why jobs by uploads are held back, and until when: the last ones ended before they took anything, or could not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AutoLabelPause)]
pub struct AutoLabelPause {
    /// How many in a row.
    #[schema(minimum = 1)]
    pub failures: u32,
    /// What was wrong with the last one, in a sentence.
    pub reason: String,
    /// When that was.
    pub failed_at: Timestamp,
    /// When the next one may start. Any change of the project or of its organization's providers ends the pause at once, and so
    /// does a provider that passes its test.
    pub retry_at: Timestamp,
    /// That job; `null` if none could start.
    #[serde(default)]
    #[schema(required)]
    pub job_uid: Option<JobUid>,
}

/// The first pause. Each one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3_600);

impl AutoLabelPause {
    /// The pause after one more failure.
    #[must_use]
    pub fn after(before: Option<&Self>, reason: String, failed_at: Timestamp, job_uid: Option<JobUid>) -> Self {
        let failures = before.map_or(0, |pause| pause.failures).saturating_add(1);
        let pause = FIRST_PAUSE * 2u32.pow((failures - 1).min(16));
        Self { failures, reason, failed_at, retry_at: failed_at + pause.min(LONGEST_PAUSE), job_uid }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Option<AutoLabel>, String> {
        AutoLabel::read(fields::object(value).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn it_asks_for_what_a_job_asks_for_by_default() {
        let setting = read(json!({})).unwrap().unwrap();

        assert_eq!(setting.request(), JobRequest::read(b"{}").unwrap());
        assert_eq!((setting.quiet_seconds, setting.max_items_per_day), (60, 10_000));
        assert_eq!(read(json!({"enabled": false})).unwrap(), None);
    }

    #[test]
    fn a_provider_alone_leaves_the_model_type_open() {
        let provider = "0192b1c0-0000-7000-8000-00000000000c";
        let setting = read(json!({"provider_id": provider})).unwrap().unwrap();

        assert_eq!(setting.model_type, None);
        assert_eq!(setting.request().provider.as_deref(), Some(provider));
    }

    #[test]
    fn every_complaint_names_its_field() {
        let error =
            read(json!({"quiet_seconds": 0, "max_items_per_day": 1.5, "provider_id": "x", "model_type": "gpt"}));
        assert_eq!(
            error.unwrap_err(),
            "auto_label_on_upload.provider_id: Must be the uid of an inference provider, not \"x\".; \
             auto_label_on_upload.model_type: Must be \"sam3\" or \"yolo\", not \"gpt\".; \
             auto_label_on_upload.quiet_seconds: Must be a whole number from 1 to 900, not 0.; \
             auto_label_on_upload.max_items_per_day: Must be a whole number from 1 to 1000000, not 1.5."
        );
    }

    #[test]
    fn a_pause_is_counted_from_the_last_upload() {
        let setting = read(json!({"quiet_seconds": 20})).unwrap().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();

        assert_eq!(setting.pause_in(at(100), at(103)), Duration::from_secs(17));
        assert_eq!(setting.pause_in(at(100), at(120)), Duration::ZERO);
        assert_eq!(setting.pause_in(at(100), at(99)), Duration::from_secs(20), "of two clocks one is behind");
    }

    /// Hole 16 (decision 0027).
    #[test]
    fn jobs_that_fail_at_once_follow_one_another_ever_more_slowly() {
        let mut pause: Option<AutoLabelPause> = None;
        let mut minutes = Vec::new();
        for _ in 0..11 {
            let at = Timestamp::from_second(1_000).unwrap();
            let next = AutoLabelPause::after(pause.as_ref(), "The provider was deleted.".into(), at, None);
            minutes.push(next.retry_at.duration_since(at).as_secs() / 60);
            pause = Some(next);
        }
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]);
        assert_eq!(pause.unwrap().failures, 11);
    }

    #[test]
    fn no_pause_is_over_before_jobs_could_take_the_last_upload_and_the_setting_says_so() {
        let setting = read(json!({"quiet_seconds": 5})).unwrap().unwrap();
        let mut row = serde_json::to_value(&setting).unwrap();
        assert_eq!((setting.quiet().as_secs(), &row["quiet_seconds"]), (12, &json!(12)));

        row["quiet_seconds"] = json!(5); // of before
        assert_eq!(serde_json::from_value::<AutoLabel>(row).unwrap(), setting);
        assert_eq!(read(json!({"quiet_seconds": 13})).unwrap().unwrap().quiet_seconds, 13);
    }

    #[test]
    fn a_mistyped_option_is_refused_with_its_path() {
        let refused = read(json!({"treshold": 0.3})).unwrap_err();

        assert_eq!(refused, "auto_label_on_upload.treshold: Unknown field. Did you mean confidence_threshold?");
    }
}

//! Inference providers: where the model lives (contract, section 8).

pub mod connection;
pub mod pace;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::fields::{self, Fields};
use crate::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::provider::connection::{Connection, Credentials, ProviderType};
use crate::domain::{Error, Timestamp, change_time, error, limits, show};

/// Model calls in flight over all workers of a job, unless the provider says otherwise.
pub const MAX_CONCURRENCY: u32 = 16;

fn description(value: Value) -> Result<String, String> {
    fields::text(0, limits::DESCRIPTION_CHARS)(value)
}

fn project(value: Value) -> Result<ProjectUid, String> {
    let text = fields::text(1, limits::NAME_CHARS)(value)?;
    ProjectUid::parse(&text).map_err(|_| no_project(&text))
}

/// The uid of a provider, as a request names it.
///
/// # Errors
/// A sentence.
pub fn uid(text: &str) -> Result<ProviderUid, String> {
    ProviderUid::parse(text).map_err(|_| fields::must_be("the uid of an inference provider", show::quoted(text)))
}

/// The complaint about a project that is not there.
#[must_use]
pub fn no_project(name: &str) -> String {
    error::absence("project", name)
}

/// Reads `config`; what is wrong with it joins the other complaints.
fn config(
    fields: &mut Fields,
    kind: ProviderType,
    config: Map<String, Value>,
    endpoint_url: impl FnOnce(Value) -> Result<String, String>,
) -> Option<(Connection, Credentials)> {
    Connection::read(kind, config, endpoint_url).map_err(|error| fields.absorb(Err(error))).ok()
}

/// A provider as it is created.
// The body of a create call (contract, 8.2). A connection and its credentials are read of `provider_type` and `config` together.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "Street detector", "provider_type": "http",
    "config": {"endpoint_url": "https://models.example.com/detect", "auth_type": "bearer", "auth_header": "the token"},
}))]
pub struct NewProvider {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    #[schema(rename = "provider_type", value_type = ProviderType)]
    connection: Connection,
    /// Of `sagemaker`: `endpoint_name`, `region`, `role_arn`, `target_variant`, `inference_component_name`, `target_model` (of a
    /// multi-model endpoint). Of `http`: `endpoint_url`, `auth_type`, `auth_header`, `headers`, `timeout` (seconds, 1 to 120,
    /// by default 30), `response_key`. Of both:
    /// `response_format` (`annotations`, `huggingface_object_detection`, `coco_results` or `torchserve_object_detector`),
    /// `request_format` (`avala` or `huggingface`; without it, as the `response_format` has it), `coordinates` (`pixels`,
    /// `normalized`: 0 to 1, or `percent`: 0 to 100; of boxes, polygons and polylines), `label_map` (an object of project labels by
    /// model labels, or the list of pairs in which it is shown), `exif` (`applied`, or `ignored`: the model reads pictures as they
    /// are stored, and its coordinates are turned upright), `max_concurrency` (1 to 1000, by default 16). Other keys are
    /// refused. `auth_header` and the values of `headers` are secret: they are kept encrypted, and shown as `********`.
    #[schema(rename = "config", value_type = Object)]
    credentials: Credentials,
    #[schema(max_length = 2000)]
    description: Option<String>,
    #[schema(value_type = Option<bool>, default = true)]
    is_active: bool,
    /// The only project that may use it; without it, all of the organization's.
    project: Option<ProjectUid>,
}

impl NewProvider {
    fn read(body: &[u8], endpoint_url: impl FnOnce(Value) -> Result<String, String>) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let name = fields.required("name", fields::text(1, limits::NAME_CHARS)).unwrap_or_default();
        let kind = fields.required("provider_type", ProviderType::read);
        let sent = fields.required("config", fields::object);
        let read = kind.zip(sent).and_then(|(kind, sent)| config(&mut fields, kind, sent, endpoint_url));
        let description = fields.optional("description", description);
        let is_active = fields.optional("is_active", fields::boolean).unwrap_or(true);
        let project = fields.optional("project", project);
        fields.finish()?;
        let read = read.ok_or_else(|| Error::internal("a config without complaint or value"));
        read.map(|(connection, credentials)| Self { name, connection, credentials, description, is_active, project })
    }
}

/// What is changed about a provider; what is not sent stays.
// The body of an update call. It replaces `config` as a whole (contract, D17).
#[derive(ToSchema)]
#[schema(example = json!({
    "config": {
        "endpoint_url": "https://models.example.com/detect", "auth_type": "bearer", "auth_header": "********", "timeout": 60,
    },
}))]
pub struct ProviderChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Another one requires a `config`.
    #[schema(rename = "provider_type", value_type = Option<ProviderType>)]
    connection: Option<Connection>,
    /// Replaces the whole `config`. A `********` in it stands for the value that is stored, as long as the endpoint's host stays.
    #[schema(rename = "config", value_type = Option<Object>)]
    credentials: Option<Credentials>,
    #[schema(max_length = 2000)]
    description: Option<String>,
    is_active: Option<bool>,
    project: Option<ProjectUid>,
}

impl ProviderChange {
    /// `before` is the type of the provider without the change.
    fn read(
        body: &[u8],
        before: ProviderType,
        endpoint_url: impl FnOnce(Value) -> Result<String, String>,
    ) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let name = fields.optional("name", fields::text(1, limits::NAME_CHARS));
        let kind = fields.optional("provider_type", ProviderType::read).unwrap_or(before);
        let sent = if kind == before {
            fields.optional("config", fields::object)
        } else {
            fields.required("config", fields::object)
        };
        let read = sent.and_then(|sent| config(&mut fields, kind, sent, endpoint_url));
        let (connection, credentials) = read.unzip();
        let description = fields.optional("description", description);
        let is_active = fields.optional("is_active", fields::boolean);
        let project = fields.optional("project", project);
        fields.finish()?;
        Ok(Self { name, connection, credentials, description, is_active, project })
    }
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InferenceProvider {
    /// Its identifier.
    pub uid: ProviderUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// How the model is reached.
    #[serde(flatten)]
    pub connection: Connection,
    /// Whether jobs may use it.
    pub is_active: bool,
    /// `None`: every project of the organization.
    pub project: Option<ProjectUid>,
    /// When it was last tested.
    pub last_test_at: Option<Timestamp>,
    /// How that went.
    pub last_test_success: Option<bool>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl InferenceProvider {
    /// Reads the body of a create call (contract, 8.2). `endpoint_url` is the guard's rule, and whether there is such a project is
    /// not known here. The credentials are still to be sealed.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(
        body: &[u8],
        organization: OrganizationUid,
        now: Timestamp,
        endpoint_url: impl FnOnce(Value) -> Result<String, String>,
    ) -> Result<(Self, Credentials), Error> {
        let NewProvider { name, connection, credentials, description, is_active, project } =
            NewProvider::read(body, endpoint_url)?;
        let provider = Self {
            uid: ProviderUid::at(now),
            organization,
            name,
            description,
            connection,
            is_active,
            project,
            last_test_at: None,
            last_test_success: None,
            created_at: now,
            updated_at: now,
        };
        Ok((provider, credentials))
    }

    /// Reads the body of an update call: what is not sent stays, and `config` is replaced as a whole (contract, D17), which
    /// another `provider_type` requires. Credentials come with a `config`: they are still to be completed and sealed.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn changed(
        self,
        body: &[u8],
        now: Timestamp,
        endpoint_url: impl FnOnce(Value) -> Result<String, String>,
    ) -> Result<(Self, Option<Credentials>), Error> {
        let change = ProviderChange::read(body, self.connection.kind(), endpoint_url)?;
        let changed = Self {
            name: change.name.unwrap_or(self.name),
            connection: change.connection.unwrap_or(self.connection),
            description: change.description.or(self.description),
            is_active: change.is_active.unwrap_or(self.is_active),
            project: change.project.or(self.project),
            updated_at: change_time(self.updated_at, now),
            ..self
        };
        Ok((changed, change.credentials))
    }

    /// What its sealed credentials are bound to: a ciphertext moved to another row does not open.
    #[must_use]
    pub fn secret_context(&self) -> String {
        format!("{}/provider/{}", self.organization, self.uid)
    }

    /// Why a job of `project` may not use it: a sentence.
    #[must_use]
    pub fn why_not(&self, project: ProjectUid) -> String {
        let name = show::quoted(&self.name);
        match self.project {
            Some(own) if own != project => {
                format!("The inference provider {name} serves another project alone: {own}.")
            }
            _ => format!("The inference provider {name} is not active. Activate it, or choose another one."),
        }
    }

    /// What people call it.
    #[must_use]
    pub fn named(&self) -> ProviderName {
        ProviderName { uid: self.uid, name: self.name.clone() }
    }

    /// Whether a job of `project` may use it.
    #[must_use]
    pub fn serves(&self, project: ProjectUid) -> bool {
        self.is_active && self.project.is_none_or(|own| own == project)
    }
}

/// A provider, and its name when it was stored: an error names it so after it was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderName {
    /// Which one it is.
    pub uid: ProviderUid,
    /// For people.
    pub name: String,
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", show::quoted(&self.name), self.uid)
    }
}

/// What serves a job, by its name when the job was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"uid": null, "name": "autolabel-yolo", "type": "sagemaker"}))]
pub struct ServedBy {
    /// The provider; `null`: the deployment's own endpoint.
    #[schema(required)]
    pub uid: Option<ProviderUid>,
    /// The name of the provider, or of the deployment's SageMaker endpoint.
    pub name: String,
    /// How it is called.
    #[serde(rename = "type")]
    pub kind: ProviderType,
}

impl ServedBy {
    /// A provider.
    #[must_use]
    pub fn provider(provider: &InferenceProvider) -> Self {
        Self { uid: Some(provider.uid), name: provider.name.clone(), kind: provider.connection.kind() }
    }

    /// An endpoint of the deployment.
    #[must_use]
    pub fn own_endpoint(name: &str) -> Self {
        Self { uid: None, name: name.to_owned(), kind: ProviderType::SageMaker }
    }

    /// The provider; `None`: it is the deployment's own endpoint.
    #[must_use]
    pub fn provider_name(&self) -> Option<ProviderName> {
        Some(ProviderName { uid: self.uid?, name: self.name.clone() })
    }
}

/// The provider that serves a project by default: the newest active one of its own, else the newest active
/// one of the organization (contract, D7). `providers` come newest first.
#[must_use]
pub fn default_for(project: ProjectUid, providers: &[InferenceProvider]) -> Option<&InferenceProvider> {
    let serving = || providers.iter().filter(|p| p.serves(project));
    serving().find(|p| p.project.is_some()).or_else(|| serving().next())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::provider::connection::SageMaker;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn any_url(value: Value) -> Result<String, String> {
        Ok(value.to_string())
    }

    fn read(body: &Value) -> Result<InferenceProvider, String> {
        InferenceProvider::read(body.to_string().as_bytes(), OrganizationUid::named("acme"), at(1), any_url)
            .map(|(provider, _)| provider)
            .map_err(|error| error.to_string())
    }

    fn a_provider() -> InferenceProvider {
        let config = json!({"endpoint_name": "yolo", "region": "us-east-1"});
        read(&json!({"name": "p", "provider_type": "sagemaker", "config": config})).unwrap()
    }

    #[test]
    fn every_complaint_is_in_one_answer() {
        for (body, complaint) in [
            (
                json!({}),
                "name: This field is required.; provider_type: This field is required.; config: This field is required.",
            ),
            (
                json!({"name": " ", "provider_type": "vertex", "config": {"x": 1}, "is_active": "yes"}),
                "name: May not be blank.; provider_type: Must be \"sagemaker\" or \"http\", not \"vertex\".; is_active: Must be true or false, not a string.",
            ),
            (
                json!({"name": "p", "provider_type": "sagemaker", "config": {"region": 7}, "project": "nonsense"}),
                "config.endpoint_name: This field is required.; config.region: Must be a string, not a number.; project: No project \"nonsense\" in this organization.",
            ),
        ] {
            assert_eq!(read(&body).unwrap_err(), complaint);
        }
    }

    /// Contract D17.
    #[test]
    fn a_change_leaves_what_it_does_not_name_and_replaces_the_config() {
        let before = a_provider();
        let change = |body: &[u8]| before.clone().changed(body, at(9), any_url).map(|(changed, _)| changed);

        assert_eq!(
            change(br#"{"name": "q", "is_active": false, "description": null, "project": null}"#).unwrap(),
            InferenceProvider { name: "q".into(), is_active: false, updated_at: at(9), ..before.clone() }
        );
        for (body, complaint) in [
            (r#"{"config": {"endpoint_name": "other"}}"#, "config.region: This field is required."),
            (r#"{"provider_type": "http"}"#, "config: This field is required."),
            (r#"{"provider_type": "http", "config": {}}"#, "config.endpoint_url: This field is required."),
        ] {
            assert_eq!(change(body.as_bytes()).unwrap_err().to_string(), complaint);
        }
    }

    #[test]
    fn a_change_is_later_than_the_one_before_it_whatever_the_clock_says() {
        let before = a_provider();
        for now in [at(0), before.updated_at] {
            let (changed, _) = before.clone().changed(b"{}", now, any_url).unwrap();
            assert_eq!(changed.updated_at.as_microsecond(), before.updated_at.as_microsecond() + 1);
        }
    }

    /// Contract D7.
    #[test]
    fn the_newest_active_provider_serves_and_the_projects_own_comes_first() {
        let (project, other) = (ProjectUid::at(at(1)), ProjectUid::at(at(2)));
        let provider = |project, is_active| InferenceProvider { project, is_active, ..a_provider() };
        // Newest first.
        let providers = [
            provider(Some(other), true),
            provider(None, false),
            provider(None, true),
            provider(Some(project), false),
            provider(Some(project), true),
            provider(Some(project), true),
            provider(None, true),
        ];
        let chosen = |providers: &[InferenceProvider]| {
            default_for(project, providers)
                .map(|chosen| providers.iter().position(|p| std::ptr::eq(p, chosen)).unwrap())
        };

        assert_eq!(chosen(&providers), Some(4));
        assert_eq!(chosen(&providers[..4]), Some(2));
        assert_eq!(chosen(&providers[..2]), None);
    }

    #[test]
    fn a_row_of_before_there_was_more_to_say_is_still_read() {
        let mut row = serde_json::to_value(a_provider()).unwrap();
        row["config"] = json!({"endpoint_name": "yolo", "region": "us-east-1", "role_arn": null});

        let read = serde_json::from_value::<InferenceProvider>(row).unwrap().connection;
        assert_eq!(read, Connection::SageMaker(SageMaker::new("yolo", "us-east-1")));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in ".{0,200}") {
            let _ = InferenceProvider::read(body.as_bytes(), OrganizationUid::named("acme"), at(1), any_url);
            let _ = a_provider().changed(body.as_bytes(), at(1), any_url);
        }
    }
}

//! Inference providers: where the model lives (contract, section 8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::{self, Fields};
use super::id::{OrganizationUid, ProjectUid, ProviderUid};
use super::{Error, Timestamp, limits};

/// Model calls in flight over all workers of a job, unless the provider says otherwise.
pub const MAX_CONCURRENCY: u32 = 16;

/// How the model is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "provider_type", content = "config", rename_all = "snake_case")]
pub enum Connection {
    /// A SageMaker endpoint.
    #[serde(rename = "sagemaker")]
    SageMaker(SageMaker),
}

/// A SageMaker endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SageMaker {
    /// 1–63 letters, digits, hyphens.
    pub endpoint_name: String,
    /// AWS region.
    pub region: String,
}

/// Reads `config` (contract, 8.3). Unknown keys are refused, so that a mistyped credential key is never stored in the
/// clear and echoed.
fn sagemaker(fields: &mut Fields, config: Option<Map<String, Value>>) -> Option<SageMaker> {
    let mut config = Fields::of("config.".into(), documented(config?));
    let endpoint_name = config.required("endpoint_name", endpoint_name).unwrap_or_default();
    let region = config.required("region", region).unwrap_or_default();
    config.optional("role_arn", |_| Err::<(), _>("Roles are not assumed yet.".into()));
    config.optional("method", Ok); // the official live test sends one
    let unknown: Vec<String> = config.rest().map(str::to_owned).collect();
    for key in unknown {
        config.refuse(&key, "Unknown key.");
    }
    fields.absorb(config.finish());
    Some(SageMaker { endpoint_name, region })
}

/// `config` under the documented names: the TypeScript client sends camelCase back, and the clients' own tests say
/// `endpoint` (contract, D16).
fn documented(config: Map<String, Value>) -> Map<String, Value> {
    let name = |key: String| match key.as_str() {
        "endpoint" | "endpointName" => "endpoint_name".to_owned(),
        "roleArn" => "role_arn".to_owned(),
        _ => key,
    };
    config.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (name(key), value)).collect()
}

/// The service's own rule (AWS, "InvokeEndpoint").
fn endpoint_name(value: Value) -> Result<String, String> {
    let name = fields::text(1, 63)(value)?;
    let good =
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !name.starts_with('-') && !name.ends_with('-');
    if good { Ok(name) } else { Err("Must consist of letters, digits and inner hyphens.".into()) }
}

/// Such as `eu-central-1`: the name becomes part of the address that is called.
fn region(value: Value) -> Result<String, String> {
    let region = fields::text(1, 32)(value)?;
    let mut parts = region.rsplit('-');
    let number = parts.next().is_some_and(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    let words: Vec<bool> = parts.map(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase())).collect();
    if number && words.len() >= 2 && words.into_iter().all(|word| word) {
        Ok(region)
    } else {
        Err("Must be an AWS region, such as eu-central-1.".into())
    }
}

fn description(value: Value) -> Result<String, String> {
    fields::text(0, limits::DESCRIPTION_CHARS)(value)
}

fn project(value: Value) -> Result<ProjectUid, String> {
    ProjectUid::parse(&fields::text(1, limits::NAME_CHARS)(value)?).map_err(|_| UNKNOWN_PROJECT.into())
}

/// The complaint about a project that is not there.
pub const UNKNOWN_PROJECT: &str = "Unknown project.";

fn provider_type(value: Value) -> Result<(), String> {
    match value.as_str() {
        Some("sagemaker") => Ok(()),
        Some("http") => Err("\"http\" providers are not served yet.".into()),
        _ => Err("Must be \"sagemaker\".".into()),
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
    /// Reads the body of a create call (contract, 8.2). Whether there is such a project is not known here.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], organization: OrganizationUid, now: Timestamp) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let name = fields.required("name", fields::text(1, limits::NAME_CHARS)).unwrap_or_default();
        fields.required("provider_type", provider_type);
        let config = fields.required("config", fields::object);
        let sagemaker = sagemaker(&mut fields, config).unwrap_or_default();
        let description = fields.optional("description", description);
        let is_active = fields.optional("is_active", fields::boolean).unwrap_or(true);
        let project = fields.optional("project", project);
        fields.finish()?;
        Ok(Self {
            uid: ProviderUid::at(now),
            organization,
            name,
            description,
            connection: Connection::SageMaker(sagemaker),
            is_active,
            project,
            last_test_at: None,
            last_test_success: None,
            created_at: now,
            updated_at: now,
        })
    }

    /// Reads the body of an update call: what is not sent stays, `config` is replaced as a whole (contract, D17).
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn changed(self, body: &[u8], now: Timestamp) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let name = fields.optional("name", fields::text(1, limits::NAME_CHARS));
        fields.optional("provider_type", provider_type);
        let config = fields.optional("config", fields::object);
        let connection = sagemaker(&mut fields, config).map(Connection::SageMaker);
        let description = fields.optional("description", description);
        let is_active = fields.optional("is_active", fields::boolean);
        let project = fields.optional("project", project);
        fields.finish()?;
        Ok(Self {
            name: name.unwrap_or(self.name),
            connection: connection.unwrap_or(self.connection),
            description: description.or(self.description),
            is_active: is_active.unwrap_or(self.is_active),
            project: project.or(self.project),
            updated_at: now,
            ..self
        })
    }

    /// Whether a job of `project` may use it.
    #[must_use]
    pub fn serves(&self, project: ProjectUid) -> bool {
        self.is_active && self.project.is_none_or(|own| own == project)
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
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(body: &Value) -> Result<InferenceProvider, String> {
        InferenceProvider::read(body.to_string().as_bytes(), OrganizationUid::named("acme"), at(1))
            .map_err(|error| error.to_string())
    }

    fn with_config(config: Value) -> Result<InferenceProvider, String> {
        read(&json!({"name": "p", "provider_type": "sagemaker", "config": config}))
    }

    #[test]
    fn a_config_is_known_by_several_names_and_kept_under_one() {
        let wanted = SageMaker { endpoint_name: "yolo-v8".into(), region: "eu-central-1".into() };
        for config in [
            json!({"endpoint_name": "yolo-v8", "region": "eu-central-1"}),
            json!({"endpointName": "yolo-v8", "region": "eu-central-1", "roleArn": null}),
            json!({"endpoint": "yolo-v8", "region": "eu-central-1", "method": "POST"}),
        ] {
            assert_eq!(with_config(config).unwrap().connection, Connection::SageMaker(wanted.clone()));
        }
    }

    #[test]
    fn a_bad_config_names_its_keys() {
        for (config, complaint) in [
            (json!({"endpoint_name": "yolo"}), "config.region: This field is required."),
            (
                json!({"endpoint_name": "-yolo", "region": "eu-central-1"}),
                "config.endpoint_name: Must consist of letters, digits and inner hyphens.",
            ),
            (
                json!({"endpoint_name": "yolo", "region": "evil.example/"}),
                "config.region: Must be an AWS region, such as eu-central-1.",
            ),
            (
                json!({"endpoint_name": "yolo", "region": "us-gov-west-1", "role_arn": "arn:aws:iam::1:role/x"}),
                "config.role_arn: Roles are not assumed yet.",
            ),
            (
                json!({"endpoint_name": "yolo", "region": "us-east-1", "auth_heder": "hunter2"}),
                "config.auth_heder: Unknown key.",
            ),
            (json!("yolo"), "config: Must be an object."),
        ] {
            assert_eq!(with_config(config).unwrap_err(), complaint);
        }
    }

    #[test]
    fn only_sagemaker_is_served_so_far() {
        assert_eq!(
            read(
                &json!({"name": "p", "provider_type": "http", "config": {"endpoint_name": "x", "region": "us-east-1"}})
            )
            .unwrap_err(),
            "provider_type: \"http\" providers are not served yet."
        );
        assert_eq!(
            read(&json!({})).unwrap_err(),
            "name: This field is required.; provider_type: This field is required.; config: This field is required."
        );
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name_and_replaces_the_config() {
        let before = with_config(json!({"endpoint_name": "yolo", "region": "us-east-1"})).unwrap();

        let renamed =
            before.clone().changed(br#"{"name": "q", "is_active": false, "description": null}"#, at(9)).unwrap();
        assert_eq!(
            renamed,
            InferenceProvider { name: "q".into(), is_active: false, updated_at: at(9), ..before.clone() }
        );

        let error = before.changed(br#"{"config": {"endpoint_name": "other"}}"#, at(9)).unwrap_err();
        assert_eq!(error.to_string(), "config.region: This field is required.");
    }
}

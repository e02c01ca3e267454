//! How a model is reached: the `config` of a provider (contract, 8.3), and what of it is secret.
//!
//! What a client writes is read into two parts. The [`Connection`] is stored and shown. The [`Credentials`] are sealed, and
//! only a mask of them is ever shown; a mask that a client sends back stands for what is stored (contract, D17).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::error::FieldError;
use super::fields::{self, Fields};
use super::{Error, limits};

/// What is shown in place of a secret, whatever its length.
pub const MASK: &str = "********";
/// The key of the predictions in an answer (contract, 10.3).
pub const RESPONSE_KEY: &str = "annotations";

/// Seconds that an HTTPS provider has for an answer, unless it says otherwise (contract, 8.3).
const TIMEOUT_SECONDS: u32 = 30;
/// The longest that it may say.
const LONGEST_SECONDS: f64 = 120.0;
/// Request headers that frame the request: HTTP itself sets them.
const RESERVED: [&str; 11] = [
    "Connection",
    "Content-Length",
    "Content-Type",
    "Expect",
    "Host",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];
const AUTHORIZATION: &str = "Authorization";
/// The complaint about a mask that stands for nothing.
const SEND_AGAIN: &str = "Send the value itself: none is stored for this endpoint that the mask could stand for.";

/// The kinds of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderType {
    /// A SageMaker endpoint.
    #[serde(rename = "sagemaker")]
    SageMaker,
    /// An HTTPS endpoint of any kind.
    Http,
}

/// How the model is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "provider_type", content = "config", rename_all = "snake_case")]
pub enum Connection {
    /// A SageMaker endpoint.
    #[serde(rename = "sagemaker")]
    SageMaker(SageMaker),
    /// An HTTPS endpoint of any kind.
    Http(Http),
}

/// A SageMaker endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SageMaker {
    /// 1–63 letters, digits, hyphens.
    pub endpoint_name: String,
    /// AWS region.
    pub region: String,
    /// The role to call it with; `None`: the system's own (contract, D15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
}

/// An HTTPS endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// Where it is.
    pub endpoint_url: String,
    /// What kind of credential it takes.
    pub auth_type: AuthType,
    /// Names of the further headers that it wants.
    pub headers: Vec<String>,
    /// Seconds for an answer, as the client wrote them.
    pub timeout: Number,
    /// The key of the predictions in its answers.
    pub response_key: String,
    /// Ciphertext of the [`Credentials`]; `None`: there are none.
    pub sealed: Option<String>,
}

/// What kind of credential an endpoint takes (contract, D14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// None.
    #[default]
    None,
    /// A token, sent as `Authorization: Bearer <token>`.
    Bearer,
    /// A header of its own.
    Header,
}

/// The secret part of an HTTPS endpoint's `config`. Never printed, so the type has no `Debug` (I11).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    auth_type: AuthType,
    /// A token, or a line `Name: value`.
    auth_header: Option<String>,
    headers: BTreeMap<String, String>,
}

impl ProviderType {
    /// Reads `provider_type`.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("sagemaker") => Ok(Self::SageMaker),
            Some("http") => Ok(Self::Http),
            _ => Err("Must be \"sagemaker\" or \"http\".".into()),
        }
    }
}

impl AuthType {
    fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("none") => Ok(Self::None),
            Some("bearer") => Ok(Self::Bearer),
            Some("header") => Ok(Self::Header),
            _ => Err("Must be \"none\", \"bearer\" or \"header\".".into()),
        }
    }
}

impl Connection {
    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> ProviderType {
        match self {
            Self::SageMaker(_) => ProviderType::SageMaker,
            Self::Http(_) => ProviderType::Http,
        }
    }

    /// Ciphertext of its credentials, if it has any.
    #[must_use]
    pub fn sealed(&self) -> Option<&str> {
        match self {
            Self::SageMaker(_) => None,
            Self::Http(http) => http.sealed.as_deref(),
        }
    }

    /// Reads a `config`. `endpoint_url` is the guard's rule, which is no part of the domain. What comes back is not sealed yet.
    ///
    /// # Errors
    /// `Validation` with every complaint.
    pub fn read(
        kind: ProviderType,
        config: Map<String, Value>,
        endpoint_url: impl FnOnce(Value) -> Result<String, String>,
    ) -> Result<(Self, Credentials), Error> {
        match kind {
            ProviderType::SageMaker => {
                SageMaker::read(config).map(|endpoint| (Self::SageMaker(endpoint), Credentials::default()))
            }
            ProviderType::Http => {
                Http::read(config, endpoint_url).map(|(endpoint, credentials)| (Self::Http(endpoint), credentials))
            }
        }
    }
}

impl SageMaker {
    fn read(config: Map<String, Value>) -> Result<Self, Error> {
        let mut fields = documented(
            config,
            &[("endpoint", "endpoint_name"), ("endpointName", "endpoint_name"), ("roleArn", "role_arn")],
        );
        let endpoint_name = fields.required("endpoint_name", endpoint_name).unwrap_or_default();
        let region = fields.required("region", region).unwrap_or_default();
        let role_arn = fields.optional("role_arn", role_arn);
        nothing_else(fields)?;
        Ok(Self { endpoint_name, region, role_arn })
    }
}

impl Http {
    fn read(
        config: Map<String, Value>,
        endpoint_url: impl FnOnce(Value) -> Result<String, String>,
    ) -> Result<(Self, Credentials), Error> {
        let mut fields = documented(
            config,
            &[
                ("url", "endpoint_url"),
                ("endpointUrl", "endpoint_url"),
                ("authType", "auth_type"),
                ("authHeader", "auth_header"),
                ("responseKey", "response_key"),
            ],
        );
        let endpoint_url = fields.required("endpoint_url", endpoint_url).unwrap_or_default();
        let (auth_type, auth_header) = authentication(&mut fields);
        let headers = fields.optional("headers", fields::object).map(|sent| headers(&mut fields, sent));
        let timeout = fields.optional("timeout", timeout).unwrap_or_else(|| TIMEOUT_SECONDS.into());
        let response_key = fields.optional("response_key", fields::text(1, limits::NAME_CHARS));
        nothing_else(fields)?;
        let credentials = Credentials { auth_type, auth_header, headers: headers.unwrap_or_default() };
        let response_key = response_key.unwrap_or_else(|| RESPONSE_KEY.into());
        Ok((Self { endpoint_url, auth_type, headers: Vec::new(), timeout, response_key, sealed: None }, credentials))
    }

    /// Time for an answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout.as_f64().unwrap_or(TIMEOUT_SECONDS.into()))
    }
}

impl Credentials {
    /// Whether any of them is a mask, so that [`Self::completed`] needs what is stored.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        self.auth_header.iter().chain(self.headers.values()).any(|value| value == MASK)
    }

    /// With what is stored in place of every mask.
    ///
    /// # Errors
    /// `Validation`: a mask for which nothing is stored; the same header twice; more than can be sealed.
    pub fn completed(self, stored: &Self) -> Result<Self, Error> {
        let mut complaints = Vec::new();
        let auth_header = match self.auth_header {
            Some(sent) if sent == MASK => {
                // A token is no header line, nor the other way round.
                let kept = stored.auth_header.clone().filter(|_| stored.auth_type == self.auth_type);
                if kept.is_none() {
                    complaints.push(FieldError::new("config.auth_header", SEND_AGAIN));
                }
                kept
            }
            sent => sent,
        };
        let mut headers = BTreeMap::new();
        for (name, value) in self.headers {
            let kept = stored.headers.iter().find(|(kept, _)| same_name(kept, &name));
            match kept {
                _ if value != MASK => drop(headers.insert(name, value)),
                Some((name, value)) => drop(headers.insert(name.clone(), value.clone())),
                None => complaints.push(FieldError::new(format!("config.headers.{name}"), SEND_AGAIN)),
            }
        }
        if !complaints.is_empty() {
            return Err(Error::Validation(complaints));
        }
        let completed = Self { auth_type: self.auth_type, auth_header, headers };
        if let Some((name, _)) = completed.authentication()
            && let Some(twice) = completed.headers.keys().find(|other| same_name(other, name))
        {
            return Err(Error::field(format!("config.headers.{twice}"), "Is set by auth_header."));
        }
        if completed.to_text()?.is_some_and(|text| text.len() > limits::CREDENTIALS_BYTES) {
            let limit = limits::CREDENTIALS_BYTES;
            return Err(Error::field(
                "config",
                format!("auth_header and headers may have {limit} bytes in all, as JSON."),
            ));
        }
        Ok(completed)
    }

    /// Names of the further headers: these are no secret.
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        self.headers.keys().cloned().collect()
    }

    /// The headers of a request.
    #[must_use]
    pub fn request_headers(&self) -> Vec<(String, String)> {
        let further = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        self.authentication().map(|(name, value)| (name.to_owned(), value)).into_iter().chain(further).collect()
    }

    fn authentication(&self) -> Option<(&str, String)> {
        let auth_header = self.auth_header.as_deref()?;
        match self.auth_type {
            AuthType::None => None,
            AuthType::Bearer => Some((AUTHORIZATION, format!("Bearer {auth_header}"))),
            AuthType::Header => auth_header.split_once(": ").map(|(name, value)| (name, value.to_owned())),
        }
    }

    /// What is sealed; `None`: there is nothing secret.
    ///
    /// # Errors
    /// `Internal`.
    pub fn to_text(&self) -> Result<Option<String>, Error> {
        if self.auth_header.is_none() && self.headers.is_empty() {
            return Ok(None);
        }
        serde_json::to_string(self).map(Some).map_err(Error::internal)
    }

    /// What was sealed.
    ///
    /// # Errors
    /// `Internal`; the cause says where, never what.
    pub fn of_text(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| Error::internal(format!("credentials, column {}", error.column())))
    }
}

/// `config` under the documented names: the TypeScript client sends camelCase back, and the clients' own tests have further
/// names (contract, D16).
fn documented(config: Map<String, Value>, aliases: &[(&str, &str)]) -> Fields {
    let (mut values, mut twice) = (Map::new(), Vec::new());
    for (key, value) in config.into_iter().filter(|(_, value)| !value.is_null()) {
        let alias = aliases.iter().find(|(alias, _)| *alias == key);
        let name = alias.map_or(key, |(_, name)| (*name).to_owned());
        if values.insert(name.clone(), value).is_some() {
            twice.push(name);
        }
    }
    let mut fields = Fields::of("config.".into(), values);
    twice.into_iter().for_each(|name| fields.refuse(&name, "Is sent under two names."));
    fields
}

/// Unknown keys are refused, so that a mistyped credential key is never stored in the clear and echoed (contract, D16).
fn nothing_else(mut fields: Fields) -> Result<(), Error> {
    fields.optional("method", method);
    let unknown: Vec<String> = fields.rest().map(str::to_owned).collect();
    for key in unknown {
        fields.refuse(&key, "Unknown key.");
    }
    fields.finish()
}

/// The official live test sends it.
fn method(value: Value) -> Result<(), String> {
    if value == "POST" { Ok(()) } else { Err("Must be \"POST\".".into()) }
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

/// `arn:{partition}:iam::{account}:role/{path and name}` (AWS, "IAM identifiers"). No example in the complaint: the Python client
/// blackens ARNs in error texts.
fn role_arn(value: Value) -> Result<String, String> {
    let arn = fields::text(1, limits::ROLE_ARN_CHARS)(value)?;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let good = matches!(parts[..], ["arn", partition, "iam", "", account, resource]
        if partition.starts_with("aws") && partition.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            && account.len() == 12 && account.chars().all(|c| c.is_ascii_digit())
            && resource.strip_prefix("role/").is_some_and(is_role_name));
    if good { Ok(arn) } else { Err("Must be the ARN of an IAM role.".into()) }
}

fn is_role_name(path: &str) -> bool {
    !path.is_empty()
        && !path.ends_with('/')
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=,.@-".contains(c))
}

/// A number of seconds.
fn timeout(value: Value) -> Result<Number, String> {
    match value {
        Value::Number(seconds) if seconds.as_f64().is_some_and(|s| (1.0..=LONGEST_SECONDS).contains(&s)) => Ok(seconds),
        _ => Err(format!("Must be a number of seconds from 1 to {LONGEST_SECONDS}.")),
    }
}

/// Reads `auth_type` and `auth_header`, which mean something together only (contract, D14).
fn authentication(fields: &mut Fields) -> (AuthType, Option<String>) {
    let sent = fields.rest().any(|name| name == "auth_type");
    let auth_type = fields.optional("auth_type", AuthType::read);
    let auth_header = match auth_type {
        None if sent => fields.optional("auth_header", secret),
        None | Some(AuthType::None) => fields.optional("auth_header", unused),
        Some(AuthType::Bearer) => fields.required("auth_header", token),
        Some(AuthType::Header) => fields.required("auth_header", header_line),
    };
    let auth_type = auth_type.unwrap_or_default();
    (auth_type, auth_header.filter(|_| auth_type != AuthType::None))
}

/// Who turns authentication off may leave the mask where it was shown.
fn unused(value: Value) -> Result<String, String> {
    let value = secret(value)?;
    if value == MASK { Ok(value) } else { Err("Is used with auth_type \"bearer\" or \"header\" only.".into()) }
}

/// A token, without the `Bearer` that it may come with.
fn token(value: Value) -> Result<String, String> {
    let text = secret(value)?;
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim().to_owned(),
        _ => text,
    };
    if token.is_empty() || token.contains(' ') { Err("Must be a token without spaces.".into()) } else { Ok(token) }
}

/// One line `Name: value`.
fn header_line(value: Value) -> Result<String, String> {
    let line = secret(value)?;
    if line == MASK {
        return Ok(line);
    }
    let (name, value) = line.split_once(':').map(|(name, value)| (name.trim(), value.trim())).unwrap_or_default();
    if !is_header_name(name) || value.is_empty() {
        return Err("Must be one line \"Name: value\".".into());
    }
    if is_reserved(name) {
        return Err("Names a header that may not be set.".into());
    }
    Ok(format!("{name}: {value}"))
}

/// Reads `headers`.
fn headers(fields: &mut Fields, sent: Map<String, Value>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    if sent.len() > limits::HEADERS {
        fields.refuse("headers", format!("Must have at most {} entries.", limits::HEADERS));
        return headers;
    }
    for (name, value) in sent.into_iter().filter(|(_, value)| !value.is_null()) {
        if !is_header_name(&name) {
            // It is not repeated: who confuses name and value has put the secret here.
            fields.refuse("headers", "Every key must be the name of an HTTP header.");
            continue;
        }
        let path = format!("headers.{name}");
        if is_reserved(&name) {
            fields.refuse(&path, "May not be set.");
        } else if headers.keys().any(|other| same_name(other, &name)) {
            fields.refuse(&path, "Is there twice: case and \"_\" make no difference.");
        } else {
            match secret(value) {
                Ok(value) => drop(headers.insert(name, value)),
                Err(message) => fields.refuse(&path, message),
            }
        }
    }
    headers
}

/// What can be the value of a header. No complaint repeats it.
fn secret(value: Value) -> Result<String, String> {
    let text = fields::text(1, limits::HEADER_CHARS)(value)?;
    if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        Ok(text)
    } else {
        Err("Must consist of printable ASCII characters.".into())
    }
}

/// A token of HTTP (RFC 9110, 5.6.2).
fn is_header_name(name: &str) -> bool {
    (1..=limits::HEADER_NAME_CHARS).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| same_name(reserved, name))
}

/// Header names know no case; and the TypeScript client turns a stored `x_model` into `xModel` on its way back (contract, 1.4).
fn same_name(one: &str, other: &str) -> bool {
    let folded = |name: &str| name.replace('_', "").to_ascii_lowercase();
    folded(one) == folded(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "hunter2";

    fn url(value: Value) -> Result<String, String> {
        value
            .as_str()
            .filter(|url| url.starts_with("https://"))
            .map(str::to_owned)
            .ok_or("Must be an HTTPS URL.".into())
    }

    fn read(kind: ProviderType, config: Value) -> Result<(Connection, Credentials), String> {
        let Value::Object(config) = config else { panic!("an object") };
        Connection::read(kind, config, url).map_err(|error| error.to_string())
    }

    fn http(config: Value) -> Result<(Http, Credentials), String> {
        match read(ProviderType::Http, config)? {
            (Connection::Http(http), credentials) => Ok((http, credentials)),
            (Connection::SageMaker(_), _) => panic!("of the kind that was asked for"),
        }
    }

    fn sagemaker(config: Value) -> Result<SageMaker, String> {
        match read(ProviderType::SageMaker, config)? {
            (Connection::SageMaker(endpoint), _) => Ok(endpoint),
            (Connection::Http(_), _) => panic!("of the kind that was asked for"),
        }
    }

    fn credentials(config: Value) -> Credentials {
        let mut config = config;
        config["endpoint_url"] = "https://model.example/".into();
        http(config).unwrap().1
    }

    fn complaint(result: Result<Credentials, Error>) -> String {
        result.map(|_| ()).unwrap_err().to_string()
    }

    /// Contract D16.
    #[test]
    fn a_config_is_known_by_several_names_and_kept_under_one() {
        let wanted = sagemaker(json!({"endpoint_name": "yolo-v8", "region": "eu-central-1"})).unwrap();
        for config in [
            json!({"endpointName": "yolo-v8", "region": "eu-central-1", "roleArn": null}),
            json!({"endpoint": "yolo-v8", "region": "eu-central-1", "method": "POST"}),
        ] {
            assert_eq!(sagemaker(config).unwrap(), wanted);
        }

        let (wanted, secret) = http(json!({"endpoint_url": "https://model.example/", "auth_type": "bearer",
            "auth_header": TOKEN, "response_key": "predictions"}))
        .unwrap();
        for config in [
            json!({"endpointUrl": "https://model.example/", "authType": "bearer", "authHeader": TOKEN, "responseKey": "predictions"}),
            json!({"url": "https://model.example/", "auth_type": "bearer", "auth_header": "Bearer hunter2",
                "response_key": "predictions", "method": "POST", "headers": {}, "timeout": null}),
        ] {
            let (read, credentials) = http(config).unwrap();
            assert!(read == wanted && credentials == secret);
        }
    }

    #[test]
    fn what_is_not_sent_has_its_default() {
        let (endpoint, credentials) = http(json!({"endpoint_url": "https://model.example/"})).unwrap();

        assert_eq!(
            (endpoint.auth_type, endpoint.timeout(), endpoint.response_key.as_str()),
            (AuthType::None, Duration::from_secs(30), "annotations")
        );
        assert_eq!((credentials.request_headers(), credentials.to_text().unwrap()), (vec![], None));
    }

    /// Contract D16.
    #[test]
    fn a_bad_config_names_its_keys_and_repeats_no_value() {
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
                "config.role_arn: Must be the ARN of an IAM role.",
            ),
            (
                json!({"endpoint_name": "yolo", "endpoint": "sam", "region": "us-east-1"}),
                "config.endpoint_name: Is sent under two names.",
            ),
            (
                json!({"endpoint_name": "yolo", "region": "us-east-1", "auth_heder": TOKEN}),
                "config.auth_heder: Unknown key.",
            ),
            (
                json!({"endpoint_name": "yolo", "region": "us-east-1", "method": "PUT"}),
                "config.method: Must be \"POST\".",
            ),
        ] {
            assert_eq!(sagemaker(config).unwrap_err(), complaint);
        }
        for (key, value, complaint) in [
            ("endpoint_url", json!("http://model.example"), "config.endpoint_url: Must be an HTTPS URL."),
            ("endpoint_name", json!("yolo"), "config.endpoint_name: Unknown key."),
            ("endpoint", json!("yolo"), "config.endpoint: Unknown key."),
            ("role_arn", json!("x"), "config.role_arn: Unknown key."),
            ("auth_type", json!("basic"), "config.auth_type: Must be \"none\", \"bearer\" or \"header\"."),
            ("auth_type", json!({"none": null}), "config.auth_type: Must be \"none\", \"bearer\" or \"header\"."),
            ("auth_type", json!("bearer"), "config.auth_header: This field is required."),
            ("auth_type", json!("header"), "config.auth_header: This field is required."),
            ("auth_header", json!(TOKEN), "config.auth_header: Is used with auth_type \"bearer\" or \"header\" only."),
            ("timeout", json!(0.5), "config.timeout: Must be a number of seconds from 1 to 120."),
            ("timeout", json!(120.5), "config.timeout: Must be a number of seconds from 1 to 120."),
            ("timeout", json!("30"), "config.timeout: Must be a number of seconds from 1 to 120."),
            ("timeout", json!(true), "config.timeout: Must be a number of seconds from 1 to 120."),
            ("response_key", json!(""), "config.response_key: May not be blank."),
            ("response_key", json!(7), "config.response_key: Must be a string."),
            ("headers", json!("X-Key: hunter2"), "config.headers: Must be an object."),
            (
                "headers",
                json!({"X-Key: hunter2": "x"}),
                "config.headers: Every key must be the name of an HTTP header.",
            ),
            ("headers", json!({"X-Key": 7}), "config.headers.X-Key: Must be a string."),
            (
                "headers",
                json!({"X-Key": "hun\u{e9}"}),
                "config.headers.X-Key: Must consist of printable ASCII characters.",
            ),
            (
                "headers",
                json!({"X-Key": "hunter2\r\nHost: a"}),
                "config.headers.X-Key: May not contain control characters.",
            ),
            ("headers", json!({"host": "a"}), "config.headers.host: May not be set."),
            ("headers", json!({"Content-Type": "a"}), "config.headers.Content-Type: May not be set."),
            (
                "headers",
                json!({"X-Key": "a", "x-key": "b"}),
                "config.headers.x-key: Is there twice: case and \"_\" make no difference.",
            ),
            (
                "headers",
                (0..21).map(|n| (format!("X-{n}"), "a".into())).collect::<Map<_, _>>().into(),
                "config.headers: Must have at most 20 entries.",
            ),
        ] {
            let mut config = json!({"endpoint_url": "https://model.example/"});
            config[key] = value;
            let said = http(config).map(|_| ()).unwrap_err();
            assert_eq!(said, complaint);
            assert!(!said.contains(TOKEN));
        }
    }

    /// Contract D15.
    #[test]
    fn a_role_is_named_by_its_arn() {
        let role = |arn: &str| sagemaker(json!({"endpoint_name": "yolo", "region": "us-east-1", "role_arn": arn}));
        for good in
            ["arn:aws:iam::123456789012:role/model", "arn:aws-us-gov:iam::123456789012:role/path/model+v=1,x.@-_"]
        {
            assert_eq!(role(good).unwrap().role_arn.as_deref(), Some(good));
        }
        for bad in [
            "",
            "model",
            "arn:aws:iam::123456789012:user/model",
            "arn:aws:iam::12345678901:role/model",
            "arn:aws:sts::123456789012:role/model",
            "arn:gcp:iam::123456789012:role/model",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/mo del",
            "arn:aws:iam:us-east-1:123456789012:role/model",
        ] {
            assert!(role(bad).is_err(), "{bad}");
        }
    }

    /// Contract D14.
    #[test]
    fn a_credential_is_a_token_or_a_line_of_its_own() {
        for (auth_type, auth_header, name, value) in [
            ("bearer", "hunter2", "Authorization", "Bearer hunter2"),
            ("bearer", " bearer  hunter2 ", "Authorization", "Bearer hunter2"),
            ("header", "X-Api-Key:hunter2", "X-Api-Key", "hunter2"),
            ("header", "Authorization: Basic YTpi", "Authorization", "Basic YTpi"),
        ] {
            let config = json!({"auth_type": auth_type, "auth_header": auth_header, "headers": {"X-Model": "v8"}});
            let wanted = vec![(name.to_owned(), value.to_owned()), ("X-Model".to_owned(), "v8".to_owned())];
            assert_eq!(credentials(config).request_headers(), wanted);
        }
        for (auth_type, auth_header, complaint) in [
            ("bearer", "two words", "Must be a token without spaces."),
            ("bearer", "", "May not be blank."),
            ("header", "hunter2", "Must be one line \"Name: value\"."),
            ("header", "X-Key:", "Must be one line \"Name: value\"."),
            ("header", "X Key: hunter2", "Must be one line \"Name: value\"."),
            ("header", "content-length: 7", "Names a header that may not be set."),
        ] {
            let config = json!({"endpoint_url": "https://a", "auth_type": auth_type, "auth_header": auth_header});
            let said = http(config).map(|_| ()).unwrap_err();
            assert_eq!(said, format!("config.auth_header: {complaint}"));
        }
    }

    /// Contract D17.
    #[test]
    fn a_mask_stands_for_what_is_stored() {
        let stored = credentials(
            json!({"auth_type": "bearer", "auth_header": TOKEN, "headers": {"X-Key": "a", "x_model": "v8"}}),
        );
        let masked = json!({"auth_type": "bearer", "auth_header": MASK, "headers": {"x-key": MASK, "xModel": MASK}});

        assert!(credentials(masked.clone()).has_masks() && !stored.has_masks());
        assert!(credentials(masked.clone()).completed(&stored).unwrap() == stored);

        let mut partly = masked.clone();
        partly["headers"] = json!({"X-Key": "b"});
        let wanted = credentials(json!({"auth_type": "bearer", "auth_header": TOKEN, "headers": {"X-Key": "b"}}));
        assert!(credentials(partly).completed(&stored).unwrap() == wanted);

        let off = credentials(json!({"auth_header": MASK}));
        assert!(off.completed(&stored).unwrap() == Credentials::default());
    }

    /// Contract D17.
    #[test]
    fn a_mask_for_which_nothing_is_stored_is_refused() {
        let stored = credentials(json!({"auth_type": "bearer", "auth_header": TOKEN}));
        for (config, fields) in [
            (json!({"auth_type": "header", "auth_header": MASK}), vec!["config.auth_header"]),
            (
                json!({"auth_type": "bearer", "auth_header": MASK, "headers": {"X-Key": MASK}}),
                vec!["config.headers.X-Key"],
            ),
        ] {
            let wanted: Vec<String> = fields.iter().map(|field| format!("{field}: {SEND_AGAIN}")).collect();
            assert_eq!(complaint(credentials(config).completed(&stored)), wanted.join("; "));
        }
        let masked = credentials(json!({"auth_type": "bearer", "auth_header": MASK, "headers": {"X-Key": MASK}}));
        let both = format!("config.auth_header: {SEND_AGAIN}; config.headers.X-Key: {SEND_AGAIN}");
        assert_eq!(complaint(masked.completed(&Credentials::default())), both);
    }

    #[test]
    fn one_header_has_one_source_and_all_fit_into_one_seal() {
        let nothing = Credentials::default();
        let twice = json!({"auth_type": "bearer", "auth_header": TOKEN, "headers": {"authorization": "Basic x"}});
        assert_eq!(
            complaint(credentials(twice).completed(&nothing)),
            "config.headers.authorization: Is set by auth_header."
        );

        let long = "x".repeat(limits::HEADER_CHARS);
        let two = credentials(json!({"headers": {"X-A": long, "X-B": long}}));
        assert_eq!(
            complaint(two.completed(&nothing)),
            "config: auth_header and headers may have 4096 bytes in all, as JSON."
        );
        assert!(credentials(json!({"headers": {"X-A": long}})).completed(&nothing).is_ok());
    }

    #[test]
    fn what_was_sealed_reads_back_and_a_broken_seal_says_nothing_of_it() {
        let whole =
            credentials(json!({"auth_type": "header", "auth_header": "X-Key: hunter2", "headers": {"X-Model": "v8"}}));
        let text = whole.to_text().unwrap().unwrap();

        assert!(Credentials::of_text(&text).unwrap() == whole);
        let error = Credentials::of_text("{\"auth_type\": \"hunter2\"}").map(|_| ()).unwrap_err();
        assert!(!error.chain().contains(TOKEN), "{}", error.chain());
    }

    proptest! {
        /// I11.
        #[test]
        fn no_complaint_and_nothing_that_is_shown_holds_a_value(
            secret in "S3CRET[a-z0-9:, =/\"\\\\\u{e9}\n]{0,30}", auth_type in "none|bearer|header|basic", name in "X-[a-z]{1,5}|Host|Content-Length",
        ) {
            let config = json!({"endpoint_url": "https://a", "auth_type": auth_type, "auth_header": secret, "headers": {name: secret}});
            match http(config).map_err(|said| said.to_string()) {
                Err(said) => prop_assert!(!said.contains("S3CRET"), "{said}"),
                Ok((endpoint, credentials)) => {
                    prop_assert!(!serde_json::to_string(&endpoint).unwrap().contains("S3CRET"));
                    let printed = format!("{endpoint:?}");
                    prop_assert!(!printed.contains("S3CRET"));
                    for (name, value) in credentials.request_headers() {
                        prop_assert!(is_header_name(&name) && !is_reserved(&name));
                        prop_assert!(value.chars().all(|c| c.is_ascii_graphic() || c == ' '));
                    }
                }
            }
        }
    }
}

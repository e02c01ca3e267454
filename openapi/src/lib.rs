//! The API's description, OpenAPI 3.1: the parts of the functions, and the rules of all operations.
//!
//! `docs/openapi.json` is its print, kept in the repository for people and served by the catalog function; a test holds the
//! two together.

mod citations;
mod examples;
mod problems;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use shared::domain::ErrorCode;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Autolabel",
        description = "Autolabel runs a model over the unlabeled items of a project and leaves drafts, which people accept, correct or reject.\n\n\
            - **Key**: every call has the header `X-Avala-Api-Key`. A key may have scopes; the description of a call names the scope that it needs.\n\
            - **Bodies** are JSON objects. Times are ISO 8601 in UTC. `null` in a field that is not required means that it is not sent.\n\
            - **Lists** have at most 100 rows. Follow `next` until it is `null`.\n\
            - **Errors** have a sentence in `detail` and a stable `code`, in the form of `Problem`. A path that is not described here is 404 (`not_found`), \
            and a method that a path does not have is 405 (`method_not_allowed`).\n\
            - **Repeating**: a POST with an `Idempotency-Key` can be sent again, and is done once.",
    ),
    servers((url = "/api/v1", description = "Below the deployment's own address.")),
    security(("api_key" = [])),
    tags(
        (name = "projects", description = "A project is a set of items and a set of labels."),
        (name = "items", description = "An item is one picture, video frame or point cloud to label."),
        (name = "auto-label jobs", description = "A job is one run of a model over the unlabeled items of a project."),
        (name = "results", description = "A result is the annotations of an item: a draft, then accepted or rejected."),
        (name = "review queue", description = "The review queue hands out a project's drafts: no two people get the same one at once."),
        (name = "tasks", description = "A task is an item that a person has to label or to review."),
        (name = "datasets", description = "A dataset is a project's items as files, with their results."),
        (name = "exports", description = "An export is the labels of projects as files that other tools read."),
        (name = "imports", description = "An import brings labels that exist already to the items of a project."),
        (name = "inference providers", description = "A provider is where a model lives: a SageMaker endpoint or an HTTPS endpoint."),
        (name = "webhooks", description = "A webhook is a URL that receives signed events."),
        (name = "webhook deliveries", description = "A delivery is one event on its way to one webhook."),
        (name = "workspace", description = "The organization of the key, this document, and lists that are always empty."),
    ),
)]
struct Frame;

/// The routes of each function.
fn parts() -> [utoipa::openapi::OpenApi; 7] {
    [
        jobs::Description::openapi(),
        catalog::Description::openapi(),
        datasets::Description::openapi(),
        exports::Description::openapi(),
        exports::imports::Description::openapi(),
        providers::Description::openapi(),
        webhooks::Description::openapi(),
    ]
}

/// The whole description.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn description() -> serde_json::Result<Value> {
    let mut whole = Frame::openapi();
    parts().into_iter().for_each(|part| whole.merge(part));
    let mut api = serde_json::to_value(whole)?;
    api["components"]["securitySchemes"] = json!({
        "api_key": {"type": "apiKey", "in": "header", "name": "X-Avala-Api-Key", "description": "An organization's key, `avk_…`."},
    });
    api["components"]["headers"] = headers();
    api["components"]["responses"] = Refusal::ALL.iter().map(|refusal| (refusal.name(), refusal.response())).collect();
    api["components"]["parameters"] = json!({ IDEMPOTENCY_KEY: idempotency_key() });
    posts(&mut api).for_each(take_idempotency_key);
    for operation in operations(&mut api) {
        name(operation);
        refuse(operation);
        wait_for_the_first(operation);
        operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut).for_each(limited);
    }
    close_bodies(&mut api);
    examples::add(&mut api);
    citations::remove(&mut api);
    Ok(api)
}

/// The description as it is kept and served.
///
/// # Errors
/// See [`description`].
pub fn print() -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&description()?)? + "\n")
}

fn operations(api: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = api["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut)
}

/// A field of a body that is not described is refused (contract, 1.3). What answers have as well stays open.
fn close_bodies(api: &mut Value) {
    let (mut bodies, mut answers) = (Vec::new(), Vec::new());
    for operation in operations(api) {
        bodies.push(operation["requestBody"].clone());
        answers.push(operation["responses"].clone());
    }
    let shown = schemas_of(api, answers);
    for name in schemas_of(api, bodies).difference(&shown) {
        let schema = merged(api, &api["components"]["schemas"][name]);
        api["components"]["schemas"][name] = schema;
        close(&mut api["components"]["schemas"][name]);
    }
}

/// A schema of several objects, as one object: closed ones could not be composed.
fn merged(api: &Value, schema: &Value) -> Value {
    let Some(parts) = schema.get("allOf").and_then(Value::as_array) else { return schema.clone() };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let name = part.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/components/schemas/"));
        let part = name.map_or(part, |name| &api["components"]["schemas"][name]);
        properties
            .extend(part["properties"].as_object().into_iter().flatten().map(|(name, of)| (name.clone(), of.clone())));
        required.extend(part["required"].as_array().into_iter().flatten().cloned());
    }
    let description = schema.get("description").cloned().unwrap_or_default();
    json!({"type": "object", "description": description, "properties": properties, "required": required})
}

/// The names of the schemas that these values refer to, and those that they do.
fn schemas_of(api: &Value, mut waiting: Vec<Value>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    while let Some(value) = waiting.pop() {
        let name = value.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/components/schemas/"));
        if let Some(name) = name.filter(|name| names.insert((*name).to_owned())) {
            waiting.push(api["components"]["schemas"][name].clone());
        }
        waiting.extend(value.as_array().into_iter().flatten().cloned());
        waiting.extend(value.as_object().into_iter().flat_map(Map::values).cloned());
    }
    names
}

/// Closes the objects of a schema that have properties of their own.
fn close(schema: &mut Value) {
    if schema.get("properties").is_some() {
        schema["additionalProperties"] = false.into();
    }
    for of in ["oneOf", "anyOf"] {
        schema.get_mut(of).and_then(Value::as_array_mut).into_iter().flatten().for_each(close);
    }
}

fn posts(api: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = api["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    paths.filter_map(|path| path.get_mut("post"))
}

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

fn idempotency_key() -> Value {
    json!({
        "name": IDEMPOTENCY_KEY, "in": "header", "required": false,
        "description": "A name for the request, kept for 24 hours. The same request with the same key and body is done once, and gets the same answer.",
        "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    })
}

fn take_idempotency_key(operation: &mut Value) {
    let reference = json!({"$ref": format!("#/components/parameters/{IDEMPOTENCY_KEY}")});
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(reference),
        None => operation["parameters"] = json!([reference]),
    }
}

fn is_idempotency_key(parameter: &Value) -> bool {
    parameter["$ref"].as_str().is_some_and(|to| to.ends_with(IDEMPOTENCY_KEY))
}

/// Handlers of several resources have one name, such as `list`. With the tag it is unique. A summary is a title, without a dot.
fn name(operation: &mut Value) {
    if let Some(summary) = operation["summary"].as_str() {
        operation["summary"] = summary.trim_end_matches('.').into();
    }
    let words = [&operation["tags"][0], &operation["operationId"]].map(|word| word.as_str().unwrap_or_default());
    operation["operationId"] = words.join("_").replace([' ', '-'], "_").into();
}

/// Errors between a job's functions, which no call answers.
const INSIDE_JOBS: [ErrorCode; 3] = [ErrorCode::ProviderRefused, ErrorCode::BatchUnfinished, ErrorCode::BatchStuck];

/// An error status of a whole kind of operations. A handler describes the statuses of its own.
#[derive(Clone, Copy)]
enum Refusal {
    BadRequest = 400,
    Unauthorized = 401,
    Forbidden = 403,
    NotFound = 404,
    Conflict = 409,
    BodyTooLarge = 413,
    TooManyRequests = 429,
    InternalError = 500,
    Unavailable = 503,
}

impl Refusal {
    const ALL: [Self; 9] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::BodyTooLarge,
        Self::TooManyRequests,
        Self::InternalError,
        Self::Unavailable,
    ];

    fn name(self) -> String {
        format!("{}", self as u16)
    }

    /// The codes are those of the one table of errors.
    fn response(self) -> Value {
        let answered = ErrorCode::ALL.iter().filter(|code| !INSIDE_JOBS.contains(code));
        let facts = answered.map(|code| code.facts()).filter(|facts| facts.status == self as u16);
        let mut codes: Vec<String> = facts.map(|facts| format!("`{}`", facts.code)).collect();
        codes.dedup();
        let description = format!("{} Codes: {}.", self.sentence(), codes.join(", "));
        let example = codes.iter().find_map(|code| problems::example(code.trim_matches('`'), true));
        let mut response = json!({
            "description": description,
            "content": {"application/json": {"schema": {"$ref": problems::SCHEMA}, "example": example}},
        });
        limited(&mut response);
        if matches!(self, Self::TooManyRequests | Self::Conflict) {
            response["headers"]["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
        }
        response
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::BadRequest => "A field, a parameter or the body is wrong. `errors` names the fields.",
            Self::Unauthorized => "There is no key, or it is unknown, revoked or past its date.",
            Self::Forbidden => "The key's scopes do not allow the call.",
            Self::NotFound => "There is no such object, or it is another organization's.",
            Self::Conflict => {
                "The present state forbids the call, or its `Idempotency-Key` was used for another request."
            }
            Self::BodyTooLarge => "The body is too large.",
            Self::TooManyRequests => "Too many requests with this key, or from this address without one.",
            Self::InternalError => "A fault of Autolabel.",
            Self::Unavailable => "The service is busy. Repeat the call.",
        }
    }

    /// Whether an operation may refuse so.
    fn concerns(self, operation: &Value) -> bool {
        let has = |what: fn(&Value) -> bool| operation["parameters"].as_array().is_some_and(|all| all.iter().any(what));
        match self {
            Self::BodyTooLarge => operation.get("requestBody").is_some(),
            Self::Conflict => has(is_idempotency_key),
            Self::NotFound => has(|parameter| parameter["in"] == "path" || parameter["name"] == "cursor"),
            // A call may have an unknown parameter.
            Self::BadRequest
            | Self::Unauthorized
            | Self::Forbidden
            | Self::TooManyRequests
            | Self::InternalError
            | Self::Unavailable => true,
        }
    }
}

/// Adds the shared refusals that concern the operation. A status that the handler describes stays as it is.
fn refuse(operation: &mut Value) {
    for refusal in Refusal::ALL.into_iter().filter(|refusal| refusal.concerns(operation)).collect::<Vec<_>>() {
        let name = refusal.name();
        if operation["responses"].get(&name).is_none() {
            operation["responses"][&name] = json!({"$ref": format!("#/components/responses/{name}")});
        }
    }
}

/// Every 409 may carry `Retry-After`: a request that is sent again while the first one runs gets it.
fn wait_for_the_first(operation: &mut Value) {
    if let Some(conflict) = operation["responses"].get_mut("409").filter(|conflict| conflict.get("$ref").is_none()) {
        conflict["headers"]["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
    }
}

/// The headers of every response.
const EVERYWHERE: [&str; 4] = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id"];

fn limited(response: &mut Value) {
    if response.get("$ref").is_none() {
        for name in EVERYWHERE {
            response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
        }
    }
}

fn headers() -> Value {
    let integer = |description: &str| json!({"description": description, "schema": {"type": "integer"}});
    json!({
        "X-RateLimit-Limit": integer("Requests that the key has a minute."),
        "X-RateLimit-Remaining": integer("Of these, how many are left."),
        "X-RateLimit-Reset": integer("When they are counted from zero again, Unix time in seconds."),
        "X-Request-Id": {"description": "Names the request in our logs.", "schema": {"type": "string"}},
        "Retry-After": integer("Seconds to wait."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_holds_the_description_that_the_types_give() {
        let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json")).unwrap();

        assert!(kept == print().unwrap(), "docs/openapi.json is out of date: run `make openapi`");
    }

    #[test]
    fn every_operation_is_named_once_and_says_how_it_succeeds() {
        let mut api = description().unwrap();
        let mut names = std::collections::BTreeSet::new();

        for operation in operations(&mut api) {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            assert!(names.insert(name.clone()), "{name} twice");
        }
        assert!(!names.is_empty());
    }

    #[test]
    fn every_operation_has_a_title_and_a_description() {
        let mut api = description().unwrap();
        for operation in operations(&mut api) {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            let summary = operation["summary"].as_str().unwrap_or_default();
            let text = operation["description"].as_str().unwrap_or_default();

            assert!((4..=50).contains(&summary.len()) && !summary.contains(['.', '\n']), "{name}: title {summary:?}");
            assert!(text.ends_with('.'), "{name}: a blank line, then a description after the title");
            assert!(text.replace('\n', " ").contains("Scope: "), "{name}: the description names the scope");
        }
    }

    #[test]
    fn every_body_has_an_example() {
        let mut api = description().unwrap();
        let mut bodies: Vec<Value> = api["components"]["responses"].as_object().unwrap().values().cloned().collect();
        for operation in operations(&mut api) {
            bodies.extend(operation.get("requestBody").cloned());
            bodies.extend(operation["responses"].as_object().unwrap().values().cloned());
        }
        let contents = bodies.iter().filter_map(|body| body["content"].as_object());
        let examples: Vec<bool> = contents.flat_map(Map::values).map(|content| !content["example"].is_null()).collect();

        assert!(examples.len() > 50 && examples.iter().all(|is_there| *is_there), "{examples:?}");
    }

    /// A reader of the API has neither the contract nor the repository.
    #[test]
    fn no_description_cites_what_its_reader_does_not_have() {
        let api = description().unwrap();
        let mut waiting = vec![&api];
        while let Some(value) = waiting.pop() {
            let texts = ["description", "summary"].map(|name| value[name].as_str().unwrap_or_default());
            for text in texts {
                let cited =
                    ["contract", ".md", "docs/", "decision ", "the mission"].iter().find(|word| text.contains(**word));
                let numbered =
                    text.split(['(', ')', ' ', '.']).any(|word| word.len() > 1 && citations::is_citation(word));
                assert!(cited.is_none() && !numbered, "{text}");
            }
            waiting.extend(value.as_array().into_iter().flatten());
            waiting.extend(value.as_object().into_iter().flat_map(Map::values));
        }
    }

    #[test]
    fn bodies_are_closed_and_answers_are_open() {
        let api = description().unwrap();
        let is_closed = |name: &str| api["components"]["schemas"][name]["additionalProperties"] == json!(false);

        for body in ["NewJob", "NewProject", "ProjectChange", "NewAutoLabel", "NewProvider", "NewWebhook", "Correction"]
        {
            assert!(is_closed(body), "{body}");
        }
        for answer in ["Job", "Project", "Result", "Problem", "Prediction"] {
            assert!(!is_closed(answer), "{answer}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let api = description().unwrap();
        let mut waiting = vec![&api];
        while let Some(value) = waiting.pop() {
            if let Some(to) = value.get("$ref").and_then(Value::as_str) {
                assert!(api.pointer(to.trim_start_matches('#')).is_some(), "{to}");
            }
            waiting.extend(value.as_array().into_iter().flatten());
            waiting.extend(value.as_object().into_iter().flat_map(Map::values));
        }
    }
}

//! An example of every body.
//!
//! The `#[schema(example = …)]` of a type says what is typical of it. The rest is composed from the schema: an example has
//! every required field, whatever is added to the type later. The `example` of an operation says only what differs there.

use serde_json::{Map, Value, json};

use crate::{operations, problems};

const UUID: &str = "uuid";

/// Gives every JSON body of the operations an example, and removes the parts from the schemas, where they are no examples yet.
pub(crate) fn add(api: &mut Value) {
    let schemas = Schemas(api["components"]["schemas"].take());
    for operation in operations(api) {
        let is_sent = operation.get("requestBody").is_some();
        json_content(operation.get_mut("requestBody")).into_iter().for_each(|body| schemas.exemplify(body));
        for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            let code = response["description"].as_str().and_then(problems::first_code).map(str::to_owned);
            let Some(body) = json_content(Some(response)) else { continue };
            match code.and_then(|code| problems::example(&code, is_sent)) {
                Some(problem) if body["schema"]["$ref"] == problems::SCHEMA => body["example"] = problem,
                _ => schemas.exemplify(body),
            }
        }
    }
    api["components"]["schemas"] = schemas.0;
    remove_parts(&mut api["components"]["schemas"]);
}

fn json_content(body: Option<&mut Value>) -> Option<&mut Value> {
    body?.get_mut("content")?.get_mut("application/json")
}

/// The schemas of the components, by name.
struct Schemas(Value);

impl Schemas {
    fn exemplify(&self, body: &mut Value) {
        let mut example = self.of(&body["schema"]);
        if let Some(differs) = body.get("example") {
            merge(&mut example, differs.clone());
        }
        body["example"] = example;
    }

    fn of(&self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
            let named = &self.0[name];
            return if named["format"] == UUID { uid(name) } else { self.of(named) };
        }
        match schema.get("example") {
            Some(whole) if schema.get("oneOf").is_some() => whole.clone(),
            Some(typical) => {
                let mut example = self.composed(schema);
                merge(&mut example, typical.clone());
                example
            }
            None => self.composed(schema),
        }
    }

    fn composed(&self, schema: &Value) -> Value {
        let all = schema["allOf"].as_array().into_iter().flatten();
        if let Some(merged) = all.map(|part| self.of(part)).reduce(merged) {
            return merged;
        }
        let mut choices = schema["oneOf"].as_array().into_iter().flatten();
        if let Some(first) = choices.find(|choice| choice["type"] != "null") {
            return self.of(first);
        }
        match (schema["enum"].get(0), kind(schema)) {
            (Some(first), _) => first.clone(),
            (_, "object") => self.object(schema),
            (_, "array") => json!([self.of(&schema["items"])]),
            (_, "string") => text(schema),
            (_, "integer") => schema["minimum"].as_u64().unwrap_or_default().max(1).into(),
            (_, "number") => 0.5.into(),
            (_, "boolean") => true.into(),
            _ => json!({}),
        }
    }

    /// The required fields.
    fn object(&self, schema: &Value) -> Value {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        required.map(|name| (name.to_owned(), self.of(&schema["properties"][name]))).collect()
    }
}

/// The type of a value. A value that may be `null` has two.
fn kind(schema: &Value) -> &str {
    let kinds = schema["type"].as_array().into_iter().flatten().chain([&schema["type"]]);
    kinds.filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
}

fn text(schema: &Value) -> Value {
    match schema["format"].as_str() {
        Some("date-time") => "2026-11-30T10:00:00.000Z".into(),
        Some("uri") => "https://example.com/".into(),
        Some(UUID) => uid(UUID),
        _ => "text".into(),
    }
}

/// The same one for a kind of objects wherever it is, and another one for another kind: an FNV-1a of the name.
fn uid(name: &str) -> Value {
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, add);
    format!("01a20112-07ab-7087-87b3-{:012x}", hash & 0xffff_ffff_ffff).into()
}

/// Objects field by field. Anything else is replaced.
fn merge(value: &mut Value, differs: Value) {
    match (value, differs) {
        (Value::Object(fields), Value::Object(differ)) => {
            for (name, differs) in differ {
                merge(fields.entry(name).or_insert(Value::Null), differs);
            }
        }
        (value, differs) => *value = differs,
    }
}

fn merged(mut value: Value, differs: Value) -> Value {
    merge(&mut value, differs);
    value
}

fn remove_parts(schema: &mut Value) {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("example");
        fields.values_mut().for_each(remove_parts);
    }
    schema.as_array_mut().into_iter().flatten().for_each(remove_parts);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas() -> Schemas {
        Schemas(json!({
            "ThingUid": {"type": "string", "format": "uuid"},
            "Kind": {"enum": ["small", "large"]},
            "Thing": {
                "type": "object", "required": ["uid", "kind", "name", "size", "parts"],
                "properties": {
                    "uid": {"$ref": "#/components/schemas/ThingUid"},
                    "kind": {"$ref": "#/components/schemas/Kind"},
                    "name": {"type": "string"},
                    "size": {"type": ["integer", "null"], "minimum": 3},
                    "parts": {"type": "array", "items": {"oneOf": [{"type": "null"}, {"type": "boolean"}]}},
                    "note": {"type": "string"},
                },
                "example": {"name": "a thing"},
            },
            "Either": {"oneOf": [{"$ref": "#/components/schemas/Thing"}], "example": {"other": 1}},
        }))
    }

    #[test]
    fn a_field_without_an_example_is_composed_and_one_that_is_not_required_is_left_out() {
        let thing = schemas().of(&json!({"$ref": "#/components/schemas/Thing"}));

        let uid = uid("ThingUid");
        assert_eq!(thing, json!({"uid": uid, "kind": "small", "name": "a thing", "size": 3, "parts": [true]}));
    }

    #[test]
    fn an_operation_says_what_differs() {
        let mut body =
            json!({"schema": {"$ref": "#/components/schemas/Thing"}, "example": {"kind": "large", "size": null}});
        schemas().exemplify(&mut body);

        assert_eq!((&body["example"]["kind"], &body["example"]["size"]), (&json!("large"), &Value::Null));
        assert_eq!(body["example"]["name"], "a thing");
    }

    #[test]
    fn the_example_of_a_choice_is_whole_and_parts_of_an_object_are_joined() {
        assert_eq!(schemas().of(&json!({"$ref": "#/components/schemas/Either"})), json!({"other": 1}));
        let both = json!({"allOf": [{"type": "object", "example": {"a": 1}}, {"type": "object", "example": {"b": 2}}]});
        assert_eq!(schemas().of(&both), json!({"a": 1, "b": 2}));
    }
}

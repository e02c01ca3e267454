//! Reading a request's fields: every complaint is collected, so that one answer names them all.

use serde_json::{Map, Value};

use super::{Error, error::FieldError, json, limits};

/// The fields of a JSON object. `null` is "not sent" and unknown fields are ignored (contract, 1.3).
pub struct Fields {
    path: String,
    values: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of a request body; an empty body is an empty object.
    ///
    /// # Errors
    /// `MalformedBody` if it is not JSON, `Validation` if it is not an object.
    pub fn of_body(body: &[u8]) -> Result<Self, Error> {
        if body.is_empty() {
            return Ok(Self::of(String::new(), Map::new()));
        }
        match json::parse(body, limits::REQUEST_MEMORY) {
            Ok(Value::Object(values)) => Ok(Self::of(String::new(), values)),
            Ok(_) => Err(Error::field("body", "Must be a JSON object.")),
            Err(error) => Err(Error::MalformedBody(error.to_string())),
        }
    }

    /// The fields of an object inside a request; `path` leads to it, as in `items[3].`.
    #[must_use]
    pub fn of(path: String, values: Map<String, Value>) -> Self {
        Self { path, values, errors: Vec::new() }
    }

    /// Whether a field is there, as `null`.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(Value::is_null)
    }

    /// Whether a field is there, and not `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_null())
    }

    /// All fields that nobody has taken.
    #[must_use]
    pub fn into_values(self) -> Map<String, Value> {
        self.values
    }

    /// Takes a field out and reads it; `read` answers the value or the sentence that refuses it.
    pub fn optional<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Result<T, String>) -> Option<T> {
        let value = self.values.remove(name).filter(|value| !value.is_null())?;
        match read(value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.refuse(name, message);
                None
            }
        }
    }

    /// Like [`Self::optional`], and a field that is not there is a complaint.
    pub fn required<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Result<T, String>) -> Option<T> {
        if !self.has(name) {
            self.refuse(name, "This field is required.");
            return None;
        }
        self.optional(name, read)
    }

    /// Adds a complaint.
    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(format!("{}{name}", self.path), message));
    }

    /// Adds the complaints of an inner object.
    pub fn absorb(&mut self, inner: Result<(), Error>) {
        if let Err(Error::Validation(errors)) = inner {
            self.errors.extend(errors);
        }
    }

    /// Names of the fields that nobody has taken.
    pub fn rest(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// # Errors
    /// `Validation` with every complaint.
    pub fn finish(self) -> Result<(), Error> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::Validation(self.errors)) }
    }
}

/// A string of `min` to `max` characters, trimmed.
pub fn text(min: usize, max: usize) -> impl FnOnce(Value) -> Result<String, String> {
    move |value| {
        let Value::String(text) = value else { return Err("Must be a string.".into()) };
        let text = text.trim();
        match text.chars().count() {
            count if count < min => {
                Err(if min == 1 { "May not be blank.".into() } else { format!("Must have at least {min} characters.") })
            }
            count if count > max => Err(format!("Must have at most {max} characters.")),
            _ if text.chars().any(char::is_control) => Err("May not contain control characters.".into()),
            _ => Ok(text.to_owned()),
        }
    }
}

/// `true` or `false`, nothing that merely looks like it.
///
/// # Errors
/// A sentence.
pub fn boolean(value: Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "Must be true or false.".into())
}

/// A number from 0.0 to 1.0 (contract, 6.2).
///
/// # Errors
/// A sentence.
pub fn fraction(value: Value) -> Result<f64, String> {
    let number =
        value.as_f64().filter(|number| (0.0..=1.0).contains(number)).ok_or("Must be a number from 0.0 to 1.0.")?;
    // DynamoDB's numbers end at 1e-130. Nothing is lost: no confidence lies between this and zero.
    Ok(if number < 1e-100 { 0.0 } else { number })
}

/// A whole number in a range.
pub fn whole(min: u32, max: u32) -> impl FnOnce(Value) -> Result<u32, String> {
    move |value| {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.filter(|n| (min..=max).contains(n)).ok_or_else(|| format!("Must be a whole number from {min} to {max}."))
    }
}

/// Labels: trimmed, empty ones dropped, duplicates removed, order kept (contract, 6.2).
///
/// # Errors
/// A sentence.
pub fn labels(value: Value) -> Result<Vec<String>, String> {
    let Value::Array(entries) = value else { return Err("Must be a list of strings.".into()) };
    let mut labels: Vec<String> = Vec::new();
    for entry in entries {
        let label = text(0, limits::LABEL_CHARS)(entry)?;
        if !label.is_empty() && !labels.contains(&label) {
            labels.push(label);
        }
        if labels.len() > limits::LABELS {
            return Err(format!("Must have at most {} entries.", limits::LABELS));
        }
    }
    if labels.iter().map(|label| label.chars().count()).sum::<usize>() > limits::LABELS_CHARS {
        return Err(format!("Must have at most {} characters in all.", limits::LABELS_CHARS));
    }
    Ok(labels)
}

/// An object.
///
/// # Errors
/// A sentence.
pub fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err("Must be an object.".into()),
    }
}

/// A list of at most `max` entries.
pub fn list(max: usize) -> impl FnOnce(Value) -> Result<Vec<Value>, String> {
    move |value| match value {
        Value::Array(entries) if entries.len() <= max => Ok(entries),
        Value::Array(_) => Err(format!("Must have at most {max} entries.")),
        _ => Err("Must be a list.".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Contract D5.
    #[test]
    fn every_complaint_is_in_one_answer() {
        let mut fields = Fields::of_body(br#"{"a": "x", "c": null}"#).unwrap();

        assert_eq!(fields.optional("a", fraction), None);
        assert_eq!(fields.required("b", boolean), None);
        assert_eq!(fields.optional("c", boolean), None);

        let error = fields.finish().unwrap_err();
        assert_eq!(error.to_string(), "a: Must be a number from 0.0 to 1.0.; b: This field is required.");
    }

    #[test]
    fn a_body_must_be_a_json_object() {
        assert!(matches!(Fields::of_body(b"{"), Err(Error::MalformedBody(_))));
        assert!(matches!(Fields::of_body(b"[]"), Err(Error::Validation(_))));
        assert!(Fields::of_body(b"").is_ok());
    }

    #[test]
    fn thresholds_are_numbers_and_nothing_else() {
        for bad in [json!(1.5), json!(-0.1), json!("high"), json!(true), json!([])] {
            assert!(fraction(bad.clone()).is_err(), "{bad}");
        }
        for good in [json!(0), json!(1), json!(0.5)] {
            assert!(fraction(good.clone()).is_ok(), "{good}");
        }
    }

    #[test]
    fn labels_are_trimmed_and_deduplicated() {
        assert_eq!(labels(json!([" car", "", "car", "cup "])).unwrap(), ["car", "cup"]);
        assert!(labels(json!("car")).is_err());
        assert!(labels(json!([1])).is_err());
    }
}

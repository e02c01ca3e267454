//! Reading a request's fields: every complaint is collected, so that one answer names them all.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::{Error, error::FieldError, json, limits, show, unicode, unknown};

/// The fields of a JSON object. `null` is "not sent", and a field that nothing reads is refused (contract, 1.3).
pub struct Fields {
    path: String,
    values: Map<String, Value>,
    /// What was read, whether it was there or not.
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of a request body; an empty body is an empty object.
    ///
    /// # Errors
    /// `MalformedBody` if it is not UTF-8 or not JSON, `Validation` if it is not an object.
    pub fn of_body(body: &[u8]) -> Result<Self, Error> {
        Self::of_body_within(body, limits::REQUEST_MEMORY)
    }

    /// The same of a body whose JSON may take about `most` bytes in memory.
    ///
    /// # Errors
    /// See [`Self::of_body`].
    pub fn of_body_within(body: &[u8], most: usize) -> Result<Self, Error> {
        if body.is_empty() {
            return Ok(Self::of(String::new(), Map::new()));
        }
        if let Err(error) = std::str::from_utf8(body) {
            return Err(Error::no_utf8(error.valid_up_to()));
        }
        match json::parse(body, most) {
            Ok(Value::Object(values)) => Ok(Self::of(String::new(), values)),
            Ok(other) => Err(Error::field("body", format!("Must be a JSON object, not {}.", show::kind(&other)))),
            Err(error) => Err(Error::MalformedBody(error.to_string())),
        }
    }

    /// Reads the body of a call that takes no fields: none, or an empty object.
    ///
    /// # Errors
    /// Those of [`Self::of_body`] and [`Self::finish`].
    pub fn none(body: &[u8]) -> Result<(), Error> {
        Self::of_body(body)?.finish()
    }

    /// The fields of an object inside a request; `path` leads to it, as in `items[3].`.
    #[must_use]
    pub fn of(path: String, values: Map<String, Value>) -> Self {
        Self { path, values, known: Vec::new(), errors: Vec::new() }
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

    /// All fields that were not read.
    #[must_use]
    pub fn into_values(self) -> Map<String, Value> {
        self.values
    }

    /// Takes a field out and reads it; `read` returns the value or the sentence that refuses it.
    pub fn optional<T>(&mut self, name: &'static str, read: impl FnOnce(Value) -> Result<T, String>) -> Option<T> {
        self.known.push(name);
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
    pub fn required<T>(&mut self, name: &'static str, read: impl FnOnce(Value) -> Result<T, String>) -> Option<T> {
        if !self.has(name) {
            self.known.push(name);
            self.refuse(name, "This field is required.");
            return None;
        }
        self.optional(name, read)
    }

    /// A field that is known, and means nothing here.
    pub fn skip(&mut self, name: &'static str) {
        self.optional(name, |_| Ok(()));
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

    /// Ends the reading.
    ///
    /// # Errors
    /// `Validation` with every complaint, also about fields that were not read.
    pub fn finish(mut self) -> Result<(), Error> {
        let unknown = self.values.iter().filter(|(_, value)| !value.is_null()).take(unknown::MOST);
        let complaint =
            |(name, _): (&String, &Value)| unknown::complaint(unknown::FIELD, &self.path, name, &self.known);
        self.errors.extend(unknown.map(complaint));
        if self.errors.is_empty() { Ok(()) } else { Err(Error::Validation(self.errors)) }
    }
}

/// The sentence about a value that is not what it must be. `given` shows it: [`show`] has the ways, and says which of them fit
/// for a value that may be a secret.
#[must_use]
pub fn must_be(wanted: &str, given: impl AsRef<str>) -> String {
    format!("Must be {wanted}, not {}.", given.as_ref())
}

/// The sentence about an entry of a list.
fn of_entry(position: usize, message: &str) -> String {
    format!("Of entry {position}, counted from 0: {message}")
}

/// A string of `min` to `max` characters, trimmed.
pub fn text(min: usize, max: usize) -> impl FnOnce(Value) -> Result<String, String> {
    move |value| {
        let Value::String(text) = value else { return Err(must_be("a string", show::kind(&value))) };
        let text = text.trim();
        match text.chars().count() {
            count if count < min => {
                Err(if min == 1 { "May not be blank.".into() } else { format!("Must have at least {min} characters.") })
            }
            count if count > max => Err(format!("Must have at most {max} characters, and has {count}.")),
            _ if text.chars().any(char::is_control) => Err("May not contain control characters.".into()),
            _ => Ok(text.to_owned()),
        }
    }
}

/// `true` or `false`, no number and no string.
///
/// # Errors
/// A sentence.
pub fn boolean(value: Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| must_be("true or false", show::number(&value)))
}

/// A number from 0.0 to 1.0 (contract, 6.2).
///
/// # Errors
/// A sentence.
pub fn fraction(value: Value) -> Result<f64, String> {
    let number = value.as_f64().filter(|number| (0.0..=1.0).contains(number));
    let number = number.ok_or_else(|| must_be("a number from 0.0 to 1.0", show::number(&value)))?;
    // DynamoDB's numbers end at 1e-130. Nothing is lost: no confidence lies between this and zero.
    Ok(if number < 1e-100 { 0.0 } else { number })
}

/// The largest number up to which every whole number is a float.
const WHOLE_FLOATS: f64 = 9_007_199_254_740_992.0;

/// A whole number from 0, however it is written: `1080`, `1080.0` and `1.08e3` are the same.
#[must_use]
pub fn whole_number(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=WHOLE_FLOATS).contains(n)).map(|n| n as u64);
    value.as_u64().or_else(float)
}

/// A whole number in a range.
pub fn whole(min: u32, max: u32) -> impl FnOnce(Value) -> Result<u32, String> {
    move |value| {
        let number = whole_number(&value).and_then(|number| u32::try_from(number).ok());
        number
            .filter(|n| (min..=max).contains(n))
            .ok_or_else(|| must_be(&format!("a whole number from {min} to {max}"), show::number(&value)))
    }
}

/// Labels: trimmed, empty ones dropped, duplicates removed, also those that differ in nothing that can be seen; order kept
/// (contract, 6.2).
///
/// # Errors
/// A sentence.
pub fn labels(value: Value) -> Result<Vec<String>, String> {
    let Value::Array(entries) = value else { return Err(must_be("a list of strings", show::kind(&value))) };
    let mut labels: Vec<String> = Vec::new();
    for (position, entry) in entries.into_iter().enumerate() {
        let read = text(0, limits::LABEL_CHARS)(entry);
        let label = read.map_err(|message| of_entry(position, &message))?;
        if !label.is_empty() && !labels.contains(&label) && unicode::find(&label, &labels).is_none() {
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

/// A value for each label: as an object, or as the list of pairs in which it is shown, since the TypeScript client renames
/// the keys of all objects that it reads (contract, 1.4). `names` are those of a pair's members.
pub fn by_label<T>(
    names: [&'static str; 2],
    read: impl Fn(Value) -> Result<T, String>,
) -> impl FnOnce(Value) -> Result<BTreeMap<String, T>, String> {
    move |value| {
        let mut values = BTreeMap::new();
        for (label, value) in pairs(names, value)? {
            let label = text(1, limits::LABEL_CHARS)(label).map_err(|message| format!("Of a label: {message}"))?;
            let value = read(value).map_err(|message| format!("Of {}: {message}", show::quoted(&label)))?;
            if values.contains_key(&label) || unicode::find(&label, values.keys()).is_some() {
                return Err(format!("Names {} twice.", show::quoted(&label)));
            }
            values.insert(label, value);
        }
        if values.keys().map(|label| label.chars().count()).sum::<usize>() > limits::LABELS_CHARS {
            return Err(format!("Must have at most {} characters in all.", limits::LABELS_CHARS));
        }
        Ok(values)
    }
}

/// The labels of [`by_label`], each with its value.
fn pairs(names: [&'static str; 2], value: Value) -> Result<Vec<(Value, Value)>, String> {
    let pairs: Vec<(Value, Value)> = match value {
        Value::Object(map) => map.into_iter().map(|(label, value)| (label.into(), value)).collect(),
        Value::Array(entries) => {
            let read = |(position, entry)| pair(names, entry).map_err(|message| of_entry(position, &message));
            entries.into_iter().enumerate().map(read).collect::<Result<_, _>>()?
        }
        other => {
            let [name, of] = names;
            let wanted = format!("an object, or a list of objects with \"{name}\" and \"{of}\"");
            return Err(must_be(&wanted, show::kind(&other)));
        }
    };
    if pairs.len() > limits::LABELS {
        return Err(format!("Must have at most {} entries.", limits::LABELS));
    }
    Ok(pairs)
}

/// An entry of the list of [`by_label`]: both members, and no other.
fn pair([name, of]: [&'static str; 2], entry: Value) -> Result<(Value, Value), String> {
    let mut fields = Fields::of(String::new(), object(entry)?);
    let pair = (fields.required(name, Ok).unwrap_or_default(), fields.required(of, Ok).unwrap_or_default());
    fields.finish().map_err(|error| error.to_string())?;
    Ok(pair)
}

/// An object.
///
/// # Errors
/// A sentence.
pub fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(must_be("an object", show::kind(&other))),
    }
}

/// A list of at most `max` entries.
pub fn list(max: usize) -> impl FnOnce(Value) -> Result<Vec<Value>, String> {
    move |value| match value {
        Value::Array(entries) if entries.len() <= max => Ok(entries),
        Value::Array(entries) => Err(format!("Must have at most {max} entries, and has {}.", entries.len())),
        other => Err(must_be("a list", show::kind(&other))),
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
        assert_eq!(error.to_string(), "a: Must be a number from 0.0 to 1.0, not a string.; b: This field is required.");
    }

    #[test]
    fn a_field_that_nothing_reads_is_refused_unless_it_is_null() {
        let refused = |body: &str| {
            let mut fields = Fields::of_body(body.as_bytes()).unwrap();
            fields.optional("confidence_threshold", fraction);
            fields.skip("width");
            fields.finish().err().map(|error| error.to_string())
        };

        assert_eq!(refused(r#"{"width": "x", "color": null}"#), None);
        assert_eq!(
            refused(r#"{"treshold": 1}"#).unwrap(),
            "treshold: Unknown field. Did you mean confidence_threshold?"
        );
        assert_eq!(
            refused(r#"{"confidence_threshold": 2, "color": 1}"#).unwrap(),
            "confidence_threshold: Must be a number from 0.0 to 1.0, not 2.; \
             color: Unknown field. Known: confidence_threshold, width."
        );
        let many = (0..1_000).map(|n| format!("\"{n}\": 1")).collect::<Vec<_>>().join(", ");
        assert_eq!(refused(&format!("{{{many}}}")).unwrap().matches("Unknown").count(), unknown::MOST);
    }

    #[test]
    fn a_call_without_fields_takes_no_body_or_an_empty_object() {
        for good in [&b""[..], b"{}", br#"{"confidence_threshold": null}"#] {
            assert!(Fields::none(good).is_ok());
        }
        let refused = Fields::none(br#"{"confidence_threshold": 0.3}"#).unwrap_err();
        assert_eq!(refused.to_string(), "confidence_threshold: Unknown field. None is known here.");
        assert!(Fields::none(b"[]").is_err());
    }

    #[test]
    fn a_body_must_be_a_json_object() {
        assert!(matches!(Fields::of_body(b"{"), Err(Error::MalformedBody(_))));
        for (body, position) in [(&b"{\"a\": \"\xff\"}"[..], 7), (b"\xe9", 0), (b"{\"a\": \"\xf0\x9f\x92\"}", 7)] {
            let sentence = Fields::of_body(body).err().unwrap().to_string();
            assert!(
                sentence.ends_with(&format!("byte {position}, counted from 0, begins no character.")),
                "{sentence}"
            );
        }
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
    fn a_whole_number_may_be_written_as_a_float() {
        for (good, number) in [(json!(1080), 1080), (json!(1080.0), 1080), (json!(1e3), 1000), (json!(2.0), 2)] {
            assert_eq!(whole(2, 1080)(good), Ok(number));
        }
        for bad in [json!(2.5), json!(-2.0), json!("2"), json!(1e300), json!(4_294_967_298_u64), json!(4_294_967_298.0)]
        {
            assert!(whole(0, u32::MAX)(bad.clone()).is_err(), "{bad}");
        }
    }

    /// Contract D16.
    #[test]
    fn what_belongs_to_labels_is_an_object_or_the_list_in_which_it_is_shown() {
        let read = |value| by_label(["label", "threshold"], fraction)(value);
        let wanted = BTreeMap::from([("car".to_owned(), 0.5), ("cup".to_owned(), 1.0)]);

        assert_eq!(read(json!({"cup": 1, " car ": 0.5})).unwrap(), wanted);
        let pairs = json!([{"label": "cup", "threshold": 1}, {"label": "car", "threshold": 0.5}]);
        assert_eq!(read(pairs).unwrap(), wanted);
        for (bad, complaint) in [
            (json!(7), "Must be an object, or a list of objects with \"label\" and \"threshold\", not a number."),
            (
                json!([{"label": "cup", "threshold": 1}, {"label": "car", "treshold": 1, "min": 1}]),
                "Of entry 1, counted from 0: threshold: This field is required.; \
                 min: Unknown field. Known: label, threshold.; treshold: Unknown field. Did you mean threshold?",
            ),
            (json!([{"label": "cup"}]), "Of entry 0, counted from 0: threshold: This field is required."),
            (json!(["cup"]), "Of entry 0, counted from 0: Must be an object, not a string."),
            (json!({" ": 1}), "Of a label: May not be blank."),
            (json!({"car": "1"}), "Of \"car\": Must be a number from 0.0 to 1.0, not a string."),
            (json!({"car": 1, "car ": 1}), "Names \"car\" twice."),
            (json!({"vélo": 1, "ve\u{301}lo": 1}), "Names \"vélo\" twice."),
            ((0..1_001).map(|n| (n.to_string(), json!(1))).collect(), "Must have at most 1000 entries."),
            (
                (100..200).map(|n| ("x".repeat(200) + &n.to_string(), json!(1))).collect(),
                "Must have at most 16384 characters in all.",
            ),
        ] {
            assert_eq!(read(bad).unwrap_err(), complaint);
        }
    }

    #[test]
    fn labels_are_trimmed_and_deduplicated() {
        assert_eq!(labels(json!([" car", "", "car", "cup "])).unwrap(), ["car", "cup"]);
        assert_eq!(labels(json!(["ve\u{301}lo", "vélo"])).unwrap(), ["ve\u{301}lo"]);
        assert!(labels(json!("car")).is_err());
        assert_eq!(
            labels(json!(["car", 1])).unwrap_err(),
            "Of entry 1, counted from 0: Must be a string, not a number."
        );
    }
}

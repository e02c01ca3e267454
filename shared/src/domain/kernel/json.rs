//! JSON of clients and models, read within bounds: a few bytes of it may take hundreds in memory (`{"":0}` takes 600).

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

/// An object's first node, as the standard library allocates it: eleven names and values.
const OBJECT: usize = 11 * (size_of::<String>() + size_of::<Value>());

/// What [`text`] puts where text is none: a noncharacter, which no text has (Unicode, 23.7).
pub const DEFECT: char = '\u{fdd0}';

/// The text of JSON from outside: halves of surrogate pairs, and bytes that are no UTF-8, become [`DEFECT`]s, so that they
/// cost the string that has them and not the whole.
#[must_use]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    let text = std::str::from_utf8(bytes).map_or_else(|_| Cow::Owned(marked(bytes)), Cow::Borrowed);
    let mut from = 0;
    let Some(first) = half_pair(text.as_bytes(), &mut from) else { return text };
    let (mut fixed, mut kept, mut next) = (String::with_capacity(text.len()), 0, Some(first));
    while let Some(position) = next {
        fixed.push_str(&text[kept..position]);
        fixed.push_str("\\ufdd0");
        kept = position + 6;
        next = half_pair(text.as_bytes(), &mut from);
    }
    fixed.push_str(&text[kept..]);
    Cow::Owned(fixed)
}

fn marked(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend((!chunk.invalid().is_empty()).then_some(DEFECT));
    }
    text
}

/// The next `\uXXXX` at or behind `from` that is half a pair without the other; `from` is moved behind it.
fn half_pair(text: &[u8], from: &mut usize) -> Option<usize> {
    loop {
        let position = *from + memchr::memchr(b'\\', &text[(*from).min(text.len())..])?;
        let (unit, length) = match code_unit(text, position) {
            Some(unit) => (unit, 6),
            None => (0, 2), // another escape, of which the second may be a backslash
        };
        let is_pair = (0xd800..0xdc00).contains(&unit)
            && code_unit(text, position + 6).is_some_and(|low| (0xdc00..0xe000).contains(&low));
        *from = position + if is_pair { 12 } else { length };
        if (0xd800..0xe000).contains(&unit) && !is_pair {
            return Some(position);
        }
    }
}

fn code_unit(text: &[u8], position: usize) -> Option<u32> {
    let digits = text.get(position..position + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// Reads JSON that takes at most about `most` bytes in memory.
///
/// # Errors
/// It is no JSON, is nested more than 128 levels deep, or takes more.
pub fn parse(text: &[u8], most: usize) -> Result<Value, Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Bounded::new(&Cell::new(most)).deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// What [`parse`] would charge for a value that is kept; nothing for an empty object.
#[must_use]
pub fn weight(object: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(list) => list.iter().map(|part| size_of::<Value>() + of(part)).sum(),
            Value::Object(members) => weight(members).max(OBJECT),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }
    if object.is_empty() {
        return 0;
    }
    let members = object.iter().map(|(name, value)| size_of::<String>() + name.len() + size_of::<Value>() + of(value));
    OBJECT + members.sum::<usize>()
}

/// Reads one value, as long as there is memory left for it.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<'a> {
    left: &'a Cell<usize>,
}

impl<'a> Bounded<'a> {
    /// Takes what it needs from `left`, about so many bytes.
    #[must_use]
    pub const fn new(left: &'a Cell<usize>) -> Self {
        Self { left }
    }

    fn take<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes).ok_or_else(|| E::custom("too many parts"))?;
        self.left.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(part) = parts.next_element_seed(self)? {
            self.take(size_of::<Value>())?;
            list.push(part);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        self.take(OBJECT)?;
        let mut object = Map::new();
        while let Some(name) = parts.next_key::<String>()? {
            self.take(size_of::<String>() + name.len() + size_of::<Value>())?;
            object.insert(name, parts.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLENTY: usize = 1 << 20;

    #[test]
    fn what_would_take_much_memory_is_refused() {
        let objects = format!("[{}0]", "{\"\":0},".repeat(10_000));

        let error = parse(objects.as_bytes(), PLENTY).unwrap_err().to_string();
        assert!(error.starts_with("too many parts"), "{error}");
        assert!(parse(objects.as_bytes(), 16 * PLENTY).is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_and_so_is_more_than_one_value() {
        for bad in ["[".repeat(200), "1 2".to_owned(), "1e999".to_owned(), "{\"a\":".to_owned(), String::new()] {
            assert!(parse(bad.as_bytes(), PLENTY).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_text_is_marked_and_everything_else_stays() {
        for whole in [r#"{"a": "\\ud800", "b": "\ud83d\ude00", "c": "\u00e9é"}"#, r#"["\\\\"]"#, "\\", r"\u12", ""] {
            assert!(matches!(text(whole.as_bytes()), Cow::Borrowed(same) if same == whole), "{whole}");
        }
        for (broken, fixed) in [
            (r#"["\ud800"]"#, r#"["\ufdd0"]"#),
            (r#"["\uDFFF\ud83d\ude00\ud83d\ud83d\ude00"]"#, r#"["\ufdd0\ud83d\ude00\ufdd0\ud83d\ude00"]"#),
            (r#"["\\\ud800é"]"#, r#"["\\\ufdd0é"]"#),
        ] {
            assert_eq!(text(broken.as_bytes()), fixed);
        }
        assert_eq!(text(b"[\"\xff\xfe\xe2\x82a\\udc00\"]"), "[\"\u{fdd0}\u{fdd0}\u{fdd0}a\\ufdd0\"]");
    }

    proptest! {
        #[test]
        fn marked_text_is_what_the_parser_reads(strings in prop::collection::vec(r#"(\\u[dD][89a-fA-F][0-9a-f]{2}|\\\\|\\n|a|é){0,8}"#, 1..4), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let whole = format!("[\"{}\"]", strings.join("\",\""));
            prop_assert!(serde_json::from_str::<Vec<String>>(&text(whole.as_bytes())).is_ok(), "{whole}");
            let plain = serde_json::from_str::<Vec<String>>(&whole);
            prop_assert!(plain.is_err() || text(whole.as_bytes()) == whole, "{whole}");
            let _ = text(&bytes);
        }

        #[test]
        fn within_bounds_it_is_what_the_parser_reads(text in r#"[\[\]{}",:0-9a-c.e\-]{0,40}"#, number in any::<f64>(), name in ".*") {
            for text in [text, serde_json::json!({name.as_str(): [number, null, true, -3, name]}).to_string()] {
                let plain = serde_json::from_slice::<Value>(text.as_bytes()).ok();
                prop_assert_eq!(parse(text.as_bytes(), PLENTY).ok(), plain);
            }
        }
    }
}

//! JSON of strangers, read within bounds: a few bytes of it may take hundreds in memory (`{"":0}` takes 600).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

/// An object's first node, as the standard library allocates it: eleven names and values.
const OBJECT: usize = 11 * (size_of::<String>() + size_of::<Value>());

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

    proptest! {
        #[test]
        fn within_bounds_it_is_what_the_parser_reads(text in r#"[\[\]{}",:0-9a-c.e\-]{0,40}"#, number in any::<f64>(), name in ".*") {
            for text in [text, serde_json::json!({name.as_str(): [number, null, true, -3, name]}).to_string()] {
                let plain = serde_json::from_slice::<Value>(text.as_bytes()).ok();
                prop_assert_eq!(parse(text.as_bytes(), PLENTY).ok(), plain);
            }
        }
    }
}

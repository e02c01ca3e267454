//! Reads numbers of a reply.

use serde_json::Value;

use super::{Object, Read, broken, required};

/// A number under the first of its names that is there; `path` leads to it and ends in a dot.
pub(super) fn number(object: &Object, path: &str, names: &[&str]) -> Read<f64> {
    number_that(|_| true, "Must be a number.", object, path, names)
}

/// Like [`number`], and greater than 0.
pub(super) fn extent(object: &Object, path: &str, names: &[&str]) -> Read<f64> {
    number_that(|number| number > 0.0, "Must be greater than 0.", object, path, names)
}

fn number_that(holds: fn(f64) -> bool, otherwise: &str, object: &Object, path: &str, names: &[&str]) -> Read<f64> {
    let found = names.iter().find_map(|name| Some((name, object.get(*name).filter(|value| !value.is_null())?)));
    let Some((name, value)) = found else { return Err(required(format!("{path}{}", names[0]))) };
    match finite(value) {
        Some(number) if holds(number) => Ok(number),
        Some(_) => broken(format!("{path}{name}"), otherwise),
        None => broken(format!("{path}{name}"), "Must be a number."),
    }
}

pub(super) fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

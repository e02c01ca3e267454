//! Polygons and polylines.

use serde_json::Value;

use super::numbers::finite;
use super::{OUTSIDE, Object, Read, broken, field};
use crate::domain::fields;
use crate::domain::item::Size;

const PATH: &str = "points";

pub(super) fn polygon(part: &mut Object, size: Size) -> Read<Vec<[f64; 2]>> {
    ring(read(part)?, PATH, size)
}

pub(super) fn polyline(part: &mut Object, size: Size) -> Read<Vec<[f64; 2]>> {
    let points = moved(read(part)?, PATH, size)?;
    if points.len() >= 2 { Ok(points) } else { broken(PATH, "Must have at least 2 points.") }
}

/// The points of a polygon; `path` leads to them.
pub(super) fn ring(points: Vec<[f64; 2]>, path: &str, size: Size) -> Read<Vec<[f64; 2]>> {
    let mut points = moved(points, path, size)?;
    // The closing edge is implied; some models close the ring more than once.
    while points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    let second = points.iter().find(|point| **point != points[0]);
    let third = second.and_then(|second| points.iter().find(|point| **point != points[0] && *point != second));
    if third.is_some() { Ok(points) } else { broken(path, "Must have at least 3 distinct points.") }
}

fn read(part: &mut Object) -> Read<Vec<[f64; 2]>> {
    let values = field(part, PATH, fields::list(usize::MAX))?;
    let point = |(index, value)| match read_point(value) {
        Some(point) => Ok(point),
        None => broken(format!("{PATH}[{index}]"), "Must be two numbers."),
    };
    values.iter().enumerate().map(point).collect()
}

fn read_point(value: &Value) -> Option<[f64; 2]> {
    match value.as_array()?.as_slice() {
        [x, y] => Some([finite(x)?, finite(y)?]),
        _ => None,
    }
}

/// Points, moved into the picture.
fn moved(mut points: Vec<[f64; 2]>, path: &str, size: Size) -> Read<Vec<[f64; 2]>> {
    let end = [f64::from(size.width), f64::from(size.height)];
    let beyond = |axis: usize| points.iter().all(|p| p[axis] < 0.0) || points.iter().all(|p| p[axis] > end[axis]);
    if !points.is_empty() && (beyond(0) || beyond(1)) {
        return broken(path, OUTSIDE);
    }
    for [x, y] in &mut points {
        (*x, *y) = (x.clamp(0.0, end[0]), y.clamp(0.0, end[1]));
    }
    Ok(points)
}

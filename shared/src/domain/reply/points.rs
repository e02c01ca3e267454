//! Polygons and polylines.

use serde_json::Value;

use super::numbers::finite;
use super::pixel_space::PixelSpace;
use super::{Object, Read, broken, field};
use crate::domain::fields;

const PATH: &str = "points";
/// A polygon that is nowhere thicker than this many pixels has no area: far more than rounding leaves of a straight line on the largest
/// picture, and far less than a person sees.
const THICKNESS: f64 = 1e-6;

pub(super) fn polygon(part: &mut Object, space: &PixelSpace) -> Read<Vec<[f64; 2]>> {
    ring(read(part)?, PATH, space)
}

pub(super) fn polyline(part: &mut Object, space: &PixelSpace) -> Read<Vec<[f64; 2]>> {
    let points = moved(read(part)?, PATH, space)?;
    if points.len() >= 2 { Ok(points) } else { broken(PATH, "Must have at least 2 points.") }
}

/// The points of a polygon; `path` leads to them.
pub(super) fn ring(points: Vec<[f64; 2]>, path: &'static str, space: &PixelSpace) -> Read<Vec<[f64; 2]>> {
    let mut points = moved(points, path, space)?;
    // The closing edge is implied; some models close the ring more than once.
    while points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    let second = points.iter().find(|point| **point != points[0]);
    let third = second.and_then(|second| points.iter().find(|point| **point != points[0] && *point != second));
    match third {
        None => broken(path, "Must have at least 3 distinct points."),
        Some(_) if has_area(&points) => Ok(points),
        Some(_) => broken(path, "Has no area: all its points lie on one line, or it goes back the way it came."),
    }
}

/// Whether a ring encloses anything. Most pass the first test. The sum of an eight may also be 0, since its halves cancel out: the
/// second test counts the points that do not lie on the line between their neighbours.
fn has_area(ring: &[[f64; 2]]) -> bool {
    let [origin, ..] = ring else { return false };
    let from = |[x, y]: [f64; 2]| [x - origin[0], y - origin[1]];
    let (mut twice, mut reach) = (0.0, 0.0f64);
    for (point, next) in ring.iter().zip(ring.iter().skip(1)) {
        let ([x, y], [next_x, next_y]) = (from(*point), from(*next));
        twice += x * next_y - next_x * y;
        reach = reach.max(next_x.abs()).max(next_y.abs());
    }
    f64::abs(twice) > THICKNESS * reach || corners(ring) >= 3
}

/// How many points of a ring are left when those are taken out that lie on the line between their neighbours, or are their end.
fn corners(ring: &[[f64; 2]]) -> usize {
    let mut kept: Vec<[f64; 2]> = Vec::with_capacity(ring.len());
    for point in ring {
        kept.push(*point);
        while let [.., a, b, c] = kept.as_slice()
            && is_straight(*a, *b, *c)
        {
            let last = kept.len() - 1;
            kept.swap_remove(last - 1);
        }
    }
    // Around the end, where the ring closes.
    let (mut first, mut last) = (0, kept.len());
    while last - first >= 3 {
        if is_straight(kept[last - 2], kept[last - 1], kept[first]) {
            last -= 1;
        } else if is_straight(kept[last - 1], kept[first], kept[first + 1]) {
            first += 1;
        } else {
            break;
        }
    }
    last - first
}

/// Whether `b` lies on the line through `a` and `c`, or all three are one point.
fn is_straight(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> bool {
    let ([ab_x, ab_y], [ac_x, ac_y]) = ([b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]);
    let length = ac_x.hypot(ac_y);
    // There and back: `b` is the end of a spike.
    length <= THICKNESS || (ab_x * ac_y - ab_y * ac_x).abs() <= THICKNESS * length
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

/// Points as the model wrote them, in pixels, moved into the picture.
fn moved(mut points: Vec<[f64; 2]>, path: &'static str, space: &PixelSpace) -> Read<Vec<[f64; 2]>> {
    let end = space.sides();
    points.iter_mut().for_each(|point| *point = space.point(*point));
    let beyond = |axis: usize| points.iter().all(|p| p[axis] < 0.0) || points.iter().all(|p| p[axis] > end[axis]);
    if !points.is_empty() && (beyond(0) || beyond(1)) {
        return space.outside(path);
    }
    for point in &mut points {
        let inside = [point[0].clamp(0.0, end[0]), point[1].clamp(0.0, end[1])];
        space.is_cut_by((point[0] - inside[0]).abs().max((point[1] - inside[1]).abs()), path);
        *point = inside;
    }
    Ok(points)
}

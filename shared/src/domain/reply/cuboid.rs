//! Cuboids (contract, D30).

use serde_json::Value;

use super::numbers::{extent, number};
use super::{Object, Read, broken, required, take};
use crate::domain::fields;
use crate::domain::prediction::{Cuboid, Dimensions, Quaternion, Vec3};

/// Below it a quaternion has no direction (contract, 10.3).
const MIN_NORM: f64 = 0.001;

fn read_vec3(object: &Object, path: &str) -> Read<Vec3> {
    Ok(Vec3 { x: number(object, path, &["x"])?, y: number(object, path, &["y"])?, z: number(object, path, &["z"])? })
}

pub(super) fn read(part: &mut Object) -> Read<Cuboid> {
    let mut coordinates = match take(part, "coordinates") {
        Some(coordinates) => fields::object(coordinates).or_else(|message| broken("coordinates", message))?,
        None => Object::new(),
    };
    // Both are accepted: members of `coordinates`, and members beside `type` (contract, D30).
    let mut member = |name: &str| {
        let inner = take(&mut coordinates, name).map(|value| (value, format!("coordinates.{name}")));
        match inner.or_else(|| Some((take(part, name)?, name.to_owned()))) {
            Some((Value::Object(members), path)) => Ok((members, path + ".")),
            Some((_, path)) => broken(path, "Must be an object."),
            None => Err(required(format!("coordinates.{name}"))),
        }
    };
    let (c, path) = member("center")?;
    let center = read_vec3(&c, &path)?;
    let (d, path) = member("dimensions")?;
    let dimensions = Dimensions {
        length: extent(&d, &path, &["length", "l"])?,
        width: extent(&d, &path, &["width", "w"])?,
        height: extent(&d, &path, &["height", "h"])?,
    };
    let (r, path) = member("rotation")?;
    let (Vec3 { x, y, z }, w) = (read_vec3(&r, &path)?, number(&r, &path, &["w"])?);
    // Not the root of the squares' sum: squares overflow long before the numbers do.
    let norm = x.hypot(y).hypot(z).hypot(w);
    if !norm.is_finite() || norm < MIN_NORM {
        return broken(path.trim_end_matches('.'), "Has no direction: its length must be 0.001 or more.");
    }
    // A unit quaternion stays as it is: dividing by a norm that is off by rounding would change it at every pass.
    let norm = if (norm - 1.0).abs() < 1e-12 { 1.0 } else { norm };
    Ok(Cuboid { center, dimensions, rotation: Quaternion { x: x / norm, y: y / norm, z: z / norm, w: w / norm } })
}

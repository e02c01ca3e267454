//! Members of a person's annotation that nothing reads. They are refused, since they would be lost; in a model's reply they may be
//! there.

use super::{Broken, Object};
use crate::domain::error::FieldError;
use crate::domain::unknown;

const OF_EVERY_TYPE: [&str; 4] = ["type", "label", "confidence", "attributes"];

/// The first member that is not read, of an annotation whose type is known.
pub(super) fn unknown(part: &Object) -> Option<Broken> {
    let kind = part.get("type")?.as_str()?;
    let own: &[&str] = match kind {
        "bounding_box" => &["coordinates"],
        "polygon" | "polyline" => &["points"],
        "segmentation_mask" => &["mask"],
        "classification" => &[],
        "bounding_box_3d" => &["coordinates", "center", "dimensions", "rotation"],
        _ => return None,
    };
    check(kind, part, "", &[&OF_EVERY_TYPE, own].concat())
}

fn check(kind: &str, object: &Object, path: &str, known: &[&str]) -> Option<Broken> {
    let mut sent = object.iter().filter(|(_, value)| !value.is_null());
    if let Some((name, _)) = sent.find(|(name, _)| !known.contains(&name.as_str())) {
        let FieldError { field, message } = unknown::complaint(unknown::FIELD, path, name, known);
        return Some(Broken { path: field, message });
    }
    object
        .iter()
        .find_map(|(name, value)| check(kind, value.as_object()?, &format!("{path}{name}."), members(kind, name)?))
}

/// What the object under this name has. `None`: anything, or it is no object.
fn members(kind: &str, name: &str) -> Option<&'static [&'static str]> {
    match (kind, name) {
        ("bounding_box", "coordinates") => Some(&["x", "y", "width", "height"]),
        ("segmentation_mask", "mask") => Some(&["format", "size", "counts", "url"]),
        ("bounding_box_3d", "coordinates") => Some(&["center", "dimensions", "rotation"]),
        ("bounding_box_3d", "center") => Some(&["x", "y", "z"]),
        ("bounding_box_3d", "dimensions") => Some(&["length", "width", "height", "l", "w", "h"]),
        ("bounding_box_3d", "rotation") => Some(&["x", "y", "z", "w"]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(annotation: Value) -> Option<String> {
        unknown(annotation.as_object().unwrap()).map(|Broken { path, message }| format!("{path}: {message}"))
    }

    #[test]
    fn what_would_be_lost_is_named_with_its_path() {
        let xyz = json!({"x": 0, "y": 0, "z": 0});
        for (annotation, complaint) in [
            (json!({"type": "classification", "lable": "a"}), "lable: Unknown field. Did you mean label?"),
            (
                json!({"type": "polygon", "vertices": []}),
                "vertices: Unknown field. Known: type, label, confidence, attributes, points.",
            ),
            (
                json!({"type": "bounding_box", "coordinates": {"x": 0, "y": 0, "width": 1, "height": 1, "rotation": 9}}),
                "coordinates.rotation: Unknown field. Known: x, y, width, height.",
            ),
            (
                json!({"type": "segmentation_mask", "mask": {"counts": "", "sizes": [1, 1]}}),
                "mask.sizes: Unknown field. Did you mean size?",
            ),
            (
                json!({"type": "bounding_box_3d", "coordinates": {"center": {"x": 0, "y": 0, "z": 0, "t": 1}}}),
                "coordinates.center.t: Unknown field. Known: x, y, z.",
            ),
            (
                json!({"type": "bounding_box_3d", "center": xyz, "yaw": 1}),
                "yaw: Unknown field. Known: type, label, confidence, attributes, coordinates, center, dimensions, rotation.",
            ),
        ] {
            assert_eq!(refused(annotation).as_deref(), Some(complaint));
        }
    }

    #[test]
    fn attributes_are_free_and_null_is_not_sent() {
        let attributes = json!({"type": "classification", "attributes": {"center": {"t": 1}, "x": 1}, "points": null});

        assert_eq!(refused(attributes), None);
        assert_eq!(refused(json!({"type": "circle", "radius": 1})), None, "the type is refused");
    }
}

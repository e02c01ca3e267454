use proptest::prelude::*;
use serde_json::json;

use super::part::ATTRIBUTE_LEVELS;
use super::*;
use crate::domain::prediction::Rect;
use crate::domain::prediction::rle;
use crate::domain::provider::connection::{Coordinates, ResponseFormat};

const SIZE: Size = Size { width: 100, height: 50 };

fn keyed(key: &str) -> Reading {
    Reading { response_key: key.into(), ..Reading::default() }
}

/// As values, not as text: serde_json's default parser may miss the last bit of a 17-digit number.
fn read_answer(answer: Value, key: &str, size: Option<Size>) -> Result<Decoded, BadAnswer> {
    answer::read(answer, &keyed(key), size)?.unless_nothing_is_left()
}

/// Reads an answer with one prediction: common fields, and `part` over them.
fn one(part: Value, size: Option<Size>) -> Result<Decoded, BadAnswer> {
    let mut whole = json!({"type": "classification", "label": "car", "confidence": 0.5});
    whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    decode(json!({ "annotations": [whole] }).to_string().as_bytes(), &Reading::default(), size)
}

/// The geometry of a well-formed prediction, as it goes over the wire.
fn geometry(part: Value) -> Value {
    let mut decoded = one(part, Some(SIZE)).unwrap();
    assert_eq!((decoded.predictions.len(), decoded.dropped.len()), (1, 0));
    serde_json::to_value(decoded.predictions.remove(0).geometry).unwrap()
}

#[track_caller]
fn refused(part: Value, size: Option<Size>, complaint: &str) {
    let error = one(part.clone(), size).unwrap_err().to_string();
    assert_eq!(error, format!("None of the model's predictions is well formed. annotations[0].{complaint}"), "{part}");
}

fn rect(x: f64, y: f64, width: f64, height: f64) -> Value {
    json!({"type": "bounding_box", "coordinates": {"x": x, "y": y, "width": width, "height": height}})
}

fn points(kind: &str, points: Value) -> Value {
    json!({ "type": kind, "points": points })
}

fn coco(size: Value, counts: Value) -> Value {
    json!({"format": "coco_rle", "size": size, "counts": counts})
}

/// A person's list with these changes to a good annotation.
fn persons(parts: &[Value]) -> Result<Vec<Prediction>, Vec<String>> {
    let whole = |part: &Value| {
        let mut whole = json!({"type": "classification", "label": "car"});
        whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        whole
    };
    let complaints = |all: Vec<FieldError>| all.into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
    annotations("annotations", parts.iter().map(whole).collect(), Some(SIZE)).map(|read| read.list).map_err(complaints)
}

#[test]
fn a_person_is_certain_unless_she_says_otherwise() {
    let annotations = persons(&[json!({}), json!({"confidence": null}), json!({"confidence": 0.25})]).unwrap();

    assert_eq!(annotations.iter().map(|a| a.confidence).collect::<Vec<_>>(), [1.0, 1.0, 0.25]);
    assert_eq!(persons(&[]), Ok(vec![]));
}

#[test]
fn nothing_of_a_persons_is_dropped_in_silence() {
    let turned = json!({"type": "classification", "rotation": 9});
    let parts =
        [rect(0.0, 0.0, 9.0, 9.0), json!({"attributes": 7}), rect(0.0, 0.0, 0.0, 9.0), json!({"type": "x"}), turned];
    assert_eq!(
        persons(&parts).unwrap_err(),
        [
            "annotations[1].attributes: Must be an object.",
            "annotations[2].coordinates.width: Must be greater than 0.",
            "annotations[3].type: Must be one of the six prediction types.",
            "annotations[4].rotation: Unknown field. Known: type, label, confidence, attributes.",
        ]
    );
    assert_eq!(
        annotations("a", vec![json!(7)], None).unwrap_err(),
        [FieldError::new("a[0]", "Must be an object, not a number.")]
    );
    assert_eq!(annotations("a", vec![json!(7); 500], None).unwrap_err().len(), NOTES);
}

#[test]
fn what_is_cut_of_a_persons_is_noted_with_its_position() {
    let wide = |x: f64| {
        let mut part = rect(x, 0.0, 3_000.0, 9.0);
        part["label"] = json!("car");
        part
    };
    let read = annotations(
        "annotations",
        vec![wide(0.0), json!({"type": "classification", "label": "b"}), wide(1.0)],
        Some(SIZE),
    );
    let notes = read.unwrap().notes;

    assert_eq!(notes, [0, 2].map(|n| format!("annotations[{n}].coordinates: {CUT}")));
    let many = annotations("annotations", vec![wide(0.0); 500], Some(SIZE)).unwrap();
    assert_eq!((many.list.len(), many.notes.len()), (500, NOTES));
}

#[test]
fn an_answer_is_an_object_with_the_agreed_array() {
    let message = |body: &str| decode(body.as_bytes(), &keyed("boxes"), Some(SIZE)).unwrap_err().to_string();

    assert_eq!(message(""), "The model's answer is not JSON (line 1, column 0).");
    assert_eq!(message("{\"boxes\": [NaN]}"), "The model's answer is not JSON (line 1, column 12).");
    assert!(message(&"[".repeat(100_000)).contains("not JSON")); // no stack overflow
    assert!(message(r#"{"boxes": [{"confidence": 1e999}]}"#).contains("not JSON"));
    assert_eq!(message("[]"), "The model's answer is not a JSON object.");
    for body in ["{}", r#"{"boxes": null}"#, r#"{"boxes": {}}"#, r#"{"annotations": []}"#] {
        assert_eq!(message(body), "The model's answer has no array \"boxes\".");
    }
    assert_eq!(decode(br#"{"boxes": []}"#, &keyed("boxes"), None).unwrap(), Decoded::default());
}

fn foreign(format: ResponseFormat) -> Reading {
    let label_map = [("17".to_owned(), "cat".to_owned()), ("person".to_owned(), "pedestrian".to_owned())].into();
    Reading { response_format: format, label_map, ..Reading::default() }
}

fn read_as(format: ResponseFormat, answer: &Value) -> Result<Decoded, String> {
    decode(answer.to_string().as_bytes(), &foreign(format), Some(SIZE)).map_err(|bad| bad.to_string())
}

#[test]
fn detections_of_hugging_face_are_boxes_in_the_projects_words() {
    let corners = json!({"xmin": 1, "ymin": 2, "xmax": 11, "ymax": 200});
    let answer =
        json!([{"score": 0.9, "label": "person", "box": corners}, {"score": 0.9, "label": "cup", "box": corners}]);
    let read = |answer: &Value| read_as(ResponseFormat::HuggingfaceObjectDetection, answer);

    let decoded = read(&answer).unwrap();
    let labels: Vec<&str> = decoded.predictions.iter().map(|prediction| prediction.label.as_str()).collect();
    assert_eq!((labels, decoded.predictions[0].confidence), (vec!["pedestrian", "cup"], 0.9));
    let coordinates = Rect { x: 1.0, y: 2.0, width: 10.0, height: 48.0 };
    assert_eq!(decoded.predictions[0].geometry, Geometry::BoundingBox { coordinates });
    assert_eq!(read(&json!({ "annotations": answer })).unwrap().predictions, decoded.predictions);
    assert_eq!(read(&json!([])), Ok(Decoded::default()));
    for (answer, complaint) in [
        (json!(7), "The model's answer is not a JSON array."),
        (json!({"boxes": []}), "The model's answer has no array \"annotations\"."),
        (json!([{"label": "cup", "box": corners}]), "[0].score: This field is required."),
        (json!([{"label": "cup", "score": 0.5, "box": [1, 2, 3, 4]}]), "[0].box: Must be an object, not a list."),
        (
            json!([{"label": "cup", "score": 0.5, "box": {"xmin": 5, "ymin": 5, "xmax": 5, "ymax": 9}}]),
            "[0].box.xmax: Must be greater than xmin.",
        ),
        (json!([7]), "[0]: Must be an object, not a number."),
    ] {
        let complaints = read(&answer).unwrap_err();
        assert!(complaints.ends_with(complaint), "{complaints}");
    }
}

#[test]
fn coco_results_are_boxes_masks_or_polygons_by_their_category() {
    let counts = rle::encode([41, 1, 4_958]);
    let result = |more: Value| {
        let mut result = json!({"image_id": 1, "category_id": 17, "score": 0.5});
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        result
    };
    let read = |more: Value| -> Result<(String, Value), String> {
        let decoded = read_as(ResponseFormat::CocoResults, &json!([result(more)]))?;
        let prediction = decoded.predictions.into_iter().next().unwrap();
        Ok((prediction.label, serde_json::to_value(prediction.geometry).unwrap()))
    };
    let boxed = json!({"bbox": [-5, 5, 10, 10]});
    assert_eq!(read(boxed.clone()), Ok(("cat".into(), rect(0.0, 5.0, 5.0, 10.0))));
    let mask = json!({"type": "segmentation_mask", "mask": coco(json!([50, 100]), json!(counts))});
    for counts in [json!(counts), json!([41, 1, 4_958])] {
        let segmented = json!({"bbox": [1, 1, 1, 1], "segmentation": {"size": [50, 100], "counts": counts}});
        assert_eq!(read(segmented), Ok(("cat".into(), mask.clone())));
    }
    let ring = json!({"category": "person", "segmentation": [[0, 0, 9, 0, 9, 9]]});
    let ninth = points("polygon", json!([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]));
    assert_eq!(read(ring), Ok(("pedestrian".into(), ninth)));
    let unmapped = json!({"category_id": "dog", "segmentation": null, "bbox": [0, 0, 1, 1]});
    assert_eq!(read(unmapped), Ok(("dog".into(), rect(0.0, 0.0, 1.0, 1.0))));
    let float = json!({"category_id": 17.0, "bbox": [-5, 5, 10, 10]});
    assert_eq!(read(float), Ok(("cat".into(), rect(0.0, 5.0, 5.0, 10.0))));
    let empty = json!({"bbox": [-5, 5, 10, 10], "segmentation": []});
    assert_eq!(read(empty), Ok(("cat".into(), rect(0.0, 5.0, 5.0, 10.0))));
    for (more, complaint) in [
        (json!({}), "bbox: This field is required."),
        (json!({"segmentation": []}), "bbox: This field is required."),
        (json!({"bbox": [1, 2, 3]}), "bbox: Must be four numbers."),
        (json!({"bbox": [1, 2, 3, "4"]}), "bbox: Must be four numbers."),
        (json!({"bbox": [1, 2, 0, 4]}), "bbox: Must have a width and a height greater than 0."),
        (json!({"category_id": 1.5, "bbox": [1, 2, 3, 4]}), "category_id: Must be a whole number or a string."),
        (json!({"category_id": null, "bbox": [1, 2, 3, 4]}), "category_id: This field is required."),
        (
            json!({"score": 1.5, "bbox": [1, 2, 3, 4]}),
            "score: Must be a number from 0.0 to 1.0. 1.5 looks like percent: divide by 100.",
        ),
        (json!({"segmentation": "414"}), "segmentation: Must be an object or an array."),
        (json!({"segmentation": [[0, 0, 9, 0, 9]]}), "segmentation[0]: Must be pairs of numbers."),
        (json!({"segmentation": [[0, 0, 9, 0]]}), "segmentation: Must have at least 3 distinct points."),
        (json!({"segmentation": [[], []]}), "segmentation: Must be run lengths, or one polygon."),
        (
            json!({"segmentation": {"size": [1, 1], "counts": "01"}}),
            "segmentation.size: Must be the item's: [50, 100].",
        ),
        (
            json!({"segmentation": {"size": [50, 100], "counts": [1, 1]}}),
            "segmentation.counts: The runs do not add up to the size of the picture.",
        ),
    ] {
        let complaints = read(more).unwrap_err();
        assert!(complaints.ends_with(&format!(" [0].{complaint}")), "{complaints}");
    }
    let nothing_to_measure =
        decode(b"[{\"category_id\":1,\"score\":1,\"bbox\":[0,0,1,1]}]", &foreign(ResponseFormat::CocoResults), None);
    assert!(nothing_to_measure.unwrap_err().to_string().ends_with("[0].bbox: Needs an item that has pixels."));
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    let read = |body: &str| decode(body.as_bytes(), &keyed("a"), None);
    let good = r#"{"type": "classification", "label": "car", "confidence": 1}"#;

    let decoded = read(&format!(r#"{{"a": [7, {good}], "b": {{"a": [3]}}, "a": [{good}]}}"#)).unwrap();
    assert_eq!((decoded.predictions.len(), decoded.dropped.len()), (1, 0));
    assert!(read(&format!(r#"{{"a": [{good}]}} 7"#)).unwrap_err().to_string().contains("not JSON"));
}

#[test]
fn one_prediction_may_not_take_the_memory_and_attributes_of_many_end_somewhere() {
    let runs = format!(r#"{{"a": [{{"type": "segmentation_mask", "mask": [{}0]}}]}}"#, "0,".repeat(1_000_000));
    assert!(
        matches!(decode(runs.as_bytes(), &keyed("a"), Some(SIZE)), Err(BadAnswer::TooManyParts(path)) if path == "a[0]")
    );

    let heavy = json!({"type": "classification", "label": "car", "confidence": 1, "attributes": {"a": vec![json!({"": 0}); 1_000]}});
    let decoded = read_answer(json!({"a": vec![heavy; 20]}), "a", None).unwrap();
    let kept = decoded.predictions.iter().filter(|prediction| !prediction.attributes.is_empty()).count();
    assert!((1..20).contains(&kept), "{kept}");
    assert_eq!((decoded.predictions.len(), decoded.dropped.len()), (20, 20 - kept));
    assert!(decoded.dropped[0].ends_with("attributes: Do not fit beside those of the predictions before."));
}

#[test]
fn common_fields_have_their_rules() {
    for (part, complaint) in [
        (json!({"type": null}), "type: This field is required."),
        (json!({"type": "circle"}), "type: Must be one of the six prediction types."),
        (json!({"type": 3}), "type: Must be one of the six prediction types."),
        (json!({"label": null}), "label: This field is required."),
        (json!({"label": " "}), "label: May not be blank."),
        (json!({"label": 7}), "label: Must be a string, not a number."),
        (
            json!({"label": "é".repeat(limits::LABEL_CHARS + 1)}),
            "label: Must have at most 255 characters, and has 256.",
        ),
        (json!({"confidence": null}), "confidence: This field is required."),
        (json!({"confidence": "0.9"}), "confidence: Must be a number from 0.0 to 1.0."),
        (
            json!({"confidence": 87.5}),
            "confidence: Must be a number from 0.0 to 1.0. 87.5 looks like percent: divide by 100.",
        ),
        (json!({"confidence": 101}), "confidence: Must be a number from 0.0 to 1.0."),
        (json!({"confidence": -1}), "confidence: Must be a number from 0.0 to 1.0."),
    ] {
        refused(part, Some(SIZE), complaint);
    }
    for edge in [json!(0), json!(1), json!(1.0)] {
        assert!(one(json!({"confidence": edge, "label": "é".repeat(limits::LABEL_CHARS)}), None).is_ok());
    }
}

#[test]
fn geometry_is_brought_into_the_picture() {
    for (part, wire) in [
        (rect(0.1, 0.1, 0.2, 0.2), rect(0.1, 0.1, 0.2, 0.2)), // 0.1 + 0.2 - 0.1 is not 0.2
        (rect(-5.0, -5.0, 1e3, 10.0), rect(0.0, 0.0, 100.0, 5.0)),
        (rect(99.0, 49.5, 1e308, 9.0), rect(99.0, 49.5, 1.0, 0.5)),
        (
            points("polygon", json!([[0, 0], [9, 0], [9, 9], [0, 0], [0, 0]])),
            points("polygon", json!([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]])),
        ),
        (
            points("polygon", json!([[-1, 20], [200, 30], [50, 60]])),
            points("polygon", json!([[0.0, 20.0], [100.0, 30.0], [50.0, 50.0]])),
        ),
        (
            points("polyline", json!([[9, 9], [1, 1], [9, 9]])),
            points("polyline", json!([[9.0, 9.0], [1.0, 1.0], [9.0, 9.0]])),
        ),
        (json!({"coordinates": "not read"}), json!({"type": "classification"})),
    ] {
        assert_eq!(geometry(part), wire);
    }
}

fn corrected(part: Value) -> Vec<(NoteCode, String)> {
    one(part, Some(SIZE)).unwrap().corrected.into_iter().map(|corrected| (corrected.code, corrected.first)).collect()
}

#[test]
fn a_confidence_beside_the_range_by_a_hair_is_its_end_and_noted() {
    for (confidence, read, note) in [
        (json!(1.0145), 1.0, Some("annotations[0].confidence: 1.0145 was read as 1.")),
        (json!(1.000_000_119_209_289_6), 1.0, Some("annotations[0].confidence: 1.0000001192092896 was read as 1.")),
        (json!(1.1), 1.0, Some("annotations[0].confidence: 1.1 was read as 1.")),
        (json!(-1e-7), 0.0, Some("annotations[0].confidence: -0.0000001 was read as 0.")),
        (json!(-0.0), 0.0, None),
        (json!(1.0), 1.0, None),
    ] {
        let decoded = one(json!({"confidence": confidence}), None).unwrap();
        assert_eq!(decoded.predictions[0].confidence, read);
        let notes: Vec<_> = decoded.corrected.iter().map(|c| (c.code, c.count, c.first.as_str())).collect();
        assert_eq!(notes, note.map(|note| (NoteCode::ConfidenceClamped, 1, note)).into_iter().collect::<Vec<_>>());
    }
    assert_eq!(
        persons(&[json!({"confidence": 1.01})]).unwrap_err(),
        ["annotations[0].confidence: Must be a number from 0.0 to 1.0."]
    );
    let many = vec![json!({"type": "classification", "label": "car", "confidence": 1.01}); 3];
    let decoded = read_answer(json!({ "a": many }), "a", None).unwrap();
    assert_eq!(
        decoded.remarks(None),
        [(NoteCode::ConfidenceClamped, "a[0].confidence: 1.01 was read as 1. (and 2 more)".to_owned())]
    );
}

#[test]
fn what_is_cut_by_more_than_rounding_is_noted() {
    let cut = |path: &str| {
        vec![(
            NoteCode::GeometryClipped,
            format!("annotations[0].{path}: Was cut to the picture, by more than a pixel."),
        )]
    };
    for (part, notes) in [
        (rect(-0.9, 0.0, 101.8, 10.0), vec![]),
        (rect(-1.1, 0.0, 10.0, 10.0), cut("coordinates")),
        (rect(0.0, 45.0, 10.0, 6.1), cut("coordinates")),
        (points("polyline", json!([[-1, 20], [100.9, 30]])), vec![]),
        (points("polygon", json!([[0, 0], [9, 0], [9, 51.5]])), cut("points")),
    ] {
        assert_eq!(corrected(part.clone()), notes, "{part}");
    }
}

fn unit(coordinates: Coordinates) -> Reading {
    Reading { coordinates, ..Reading::default() }
}

#[test]
fn coordinates_are_read_in_the_unit_that_the_provider_names() {
    let read = |unit_of: Coordinates, part: Value| {
        let mut whole = json!({"type": "classification", "label": "car", "confidence": 0.5});
        whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        let answer = json!({ "annotations": [whole] }).to_string();
        let decoded = decode(answer.as_bytes(), &unit(unit_of), Some(SIZE)).map_err(|bad| bad.to_string())?;
        Ok::<_, String>(serde_json::to_value(&decoded.predictions[0].geometry).unwrap())
    };
    let mask = json!({"type": "segmentation_mask", "mask": coco(json!([50, 100]), json!([41, 1, 4_958]))});
    for (unit, by) in [
        (Coordinates::Pixels, [1.0, 1.0]),
        (Coordinates::Normalized, [100.0, 50.0]),
        (Coordinates::Percent, [1.0, 0.5]),
    ] {
        let [x, y] = by;
        assert_eq!(read(unit, rect(10.0 / x, 20.0 / y, 40.0 / x, 10.0 / y)), Ok(rect(10.0, 20.0, 40.0, 10.0)));
        for kind in ["polygon", "polyline"] {
            let shape = |x: f64, y: f64| {
                points(kind, json!([[10.0 / x, 20.0 / y], [50.0 / x, 20.0 / y], [50.0 / x, 30.0 / y]]))
            };
            assert_eq!(read(unit, shape(x, y)), Ok(shape(1.0, 1.0)));
        }
        assert_eq!(read(unit, mask.clone()), read(Coordinates::Pixels, mask.clone()));
    }
    for (unit, complaint) in [
        (Coordinates::Pixels, "Lies outside the picture."),
        (Coordinates::Normalized, "Lies outside the picture: coordinates are read as fractions of it."),
        (Coordinates::Percent, "Lies outside the picture: coordinates are read as percent of it."),
    ] {
        assert!(read(unit, rect(120.0, 20.0, 40.0, 10.0)).unwrap_err().ends_with(complaint));
    }
    for (format, answer) in [
        (
            ResponseFormat::HuggingfaceObjectDetection,
            json!([{"score": 0.5, "label": "car", "box": {"xmin": 0.1, "ymin": 0.4, "xmax": 0.5, "ymax": 0.6}}]),
        ),
        (ResponseFormat::CocoResults, json!([{"category": "car", "score": 0.5, "bbox": [0.1, 0.4, 0.4, 0.2]}])),
        (ResponseFormat::TorchserveObjectDetector, json!([{"car": [0.1, 0.4, 0.5, 0.6], "score": 0.5}])),
    ] {
        let reading = Reading { response_format: format, ..unit(Coordinates::Normalized) };
        let decoded = decode(answer.to_string().as_bytes(), &reading, Some(SIZE)).unwrap();
        let Geometry::BoundingBox { coordinates: Rect { x, y, width, height } } = decoded.predictions[0].geometry
        else {
            panic!("a box")
        };
        let near = [x - 10.0, y - 20.0, width - 40.0, height - 10.0].map(|off| off.abs() < 1e-9);
        assert_eq!(near, [true; 4], "{format:?}");
    }
}

#[test]
fn coordinates_that_cannot_be_pixels_are_noticed_and_read_as_they_are() {
    let likely_unit = |unit_of: Coordinates, size, parts: Vec<Value>| {
        let whole = parts.into_iter().map(|mut part| {
            part.as_object_mut().unwrap().extend([("label".into(), json!("car")), ("confidence".into(), json!(0.5))]);
            part
        });
        let answer = json!({ "annotations": whole.collect::<Vec<_>>() }).to_string();
        decode(answer.as_bytes(), &unit(unit_of), Some(size)).unwrap().likely_unit
    };
    let large = Size { width: 1_920, height: 1_080 };
    let (fraction, percent) = (rect(0.41, 0.37, 0.12, 0.08), rect(41.0, 37.0, 12.0, 8.0));
    let line = points("polyline", json!([[-0.2, 0.1], [1.2, 0.9]]));
    for (unit, size, parts, expected) in [
        (Coordinates::Pixels, large, vec![fraction.clone(), line.clone()], Some(Coordinates::Normalized)),
        (Coordinates::Pixels, large, vec![fraction.clone(), percent.clone()], Some(Coordinates::Percent)),
        (Coordinates::Pixels, large, vec![fraction.clone(), rect(900.0, 3.0, 1.0, 1.0)], Some(Coordinates::Pixels)),
        (Coordinates::Pixels, large, vec![json!({"type": "classification"})], None),
        (Coordinates::Pixels, SIZE, vec![fraction.clone()], None),
        (Coordinates::Pixels, large, vec![rect(1.0, 2.0, 30.0, 40.0)], None),
        (Coordinates::Normalized, large, vec![fraction.clone()], None),
    ] {
        assert_eq!(likely_unit(unit, size, parts.clone()), expected, "{parts:?}");
    }
    assert_eq!(
        Decoded { likely_unit: Some(Coordinates::Normalized), ..Decoded::default() }.remarks(Some(large))[0].1,
        "All coordinates lie between 0 and 1.5, of a picture of 1920 x 1080 pixels: they look like fractions, and were read as pixels. If they are, set coordinates of the provider to \"normalized\"."
    );
}

#[test]
fn polygons_enclose_something() {
    let refusal = "points: Has no area: all its points lie on one line, or it goes back the way it came.";
    for flat in [
        json!([[0, 0], [50, 25], [100, 50]]),
        json!([[10, 10], [20, 10], [90, 10], [30, 10]]),
        json!([[10, 10], [20, 10], [20, 30], [20, 10]]),
        json!([[1, 1], [9, 9], [9, 20], [9, 9], [1, 1], [3, 3]]),
        json!([[0, 0], [33.3, 11.1], [66.6, 22.2], [99.9, 33.3]]),
        json!([[-5, 10], [-1, 20], [0, 30], [-3, 5]]),
    ] {
        refused(points("polygon", flat), Some(SIZE), refusal);
    }
    for good in [
        json!([[0, 0], [9, 0], [9, 9]]),
        json!([[0, 0], [10, 10], [10, 0], [0, 10]]), // an eight, whose halves cancel out
        json!([[0, 0], [100, 0], [100, 0.001]]),
        json!([[1, 1], [9, 1], [9, 9], [20, 9], [9, 9]]), // with a spike
    ] {
        assert_eq!(one(points("polygon", good), Some(SIZE)).unwrap().predictions.len(), 1);
    }
}

#[test]
fn what_is_no_text_costs_its_prediction_and_not_the_answer() {
    let refusal = "Is not text: it has half of a surrogate pair, or bytes that are not UTF-8.";
    let good = r#"{"type": "classification", "label": "car", "confidence": 0.5}"#;
    let read = |part: &[u8]| {
        let body = [br#"{"note": "\ud800", "annotations": ["#, part, b", ", good.as_bytes(), b"]}"].concat();
        decode(&body, &Reading::default(), Some(SIZE)).unwrap()
    };
    for part in [
        &br#"{"type": "classification", "label": "a\ud83d", "confidence": 0.5}"#[..],
        b"{\"type\": \"classification\", \"label\": \"\xffb\", \"confidence\": 0.5}",
    ] {
        let decoded = read(part);
        assert_eq!((decoded.predictions.len(), decoded.dropped), (1, vec![format!("annotations[0].label: {refusal}")]));
    }
    let decoded = read(br#"{"type": "classification", "label": "bus", "confidence": 0.5, "attributes": {"a": ["\udc00"]}, "\ud800": 1}"#);
    assert_eq!(
        (decoded.predictions.len(), decoded.dropped),
        (2, vec![format!("annotations[0].attributes: {refusal}")])
    );
    let decoded = read(br#"{"type": "segmentation_mask", "label": "bus", "confidence": 0.5, "mask": {"format": "png_url", "url": "https://a/\ud800"}}"#);
    assert_eq!(decoded.dropped, [format!("annotations[0].mask.url: {refusal}")]);

    let broken = decode(b"{\"a\": \"\xff\xff\", b", &Reading::default(), None).unwrap_err().to_string();
    assert_eq!(broken, "The model's answer is not JSON (line 1, column 13).");
}

#[test]
fn detections_of_torchserve_are_boxes_by_their_label() {
    let read = |answer: Value| read_as(ResponseFormat::TorchserveObjectDetector, &answer);
    let decoded =
        read(json!([{"person": [1.5, 2, 11.5, 200], "score": 0.9}, {"score": 1.0, "cup": [0, 0, 1, 1]}])).unwrap();

    let labels: Vec<&str> = decoded.predictions.iter().map(|prediction| prediction.label.as_str()).collect();
    assert_eq!(labels, ["pedestrian", "cup"]);
    let coordinates = Rect { x: 1.5, y: 2.0, width: 10.0, height: 48.0 };
    assert_eq!(decoded.predictions[0].geometry, Geometry::BoundingBox { coordinates });
    for (part, complaint) in [
        (json!({"person": [1, 2, 3, 4]}), "[0].score: This field is required."),
        (json!({"score": 0.5}), "[0]: Must have \"score\", and one label with [x1, y1, x2, y2]."),
        (
            json!({"score": 0.5, "a": [1, 2, 3, 4], "b": [1, 2, 3, 4]}),
            "[0]: Must have \"score\", and one label with [x1, y1, x2, y2].",
        ),
        (json!({"score": 0.5, "a": [1, 2, 3]}), "[0]: Must have \"score\", and one label with [x1, y1, x2, y2]."),
        (json!({"score": 0.5, "a": [3, 2, 1, 4]}), "[0]: Must have x2 greater than x1, and y2 greater than y1."),
        (json!({"score": 0.5, "a": [300, 2, 301, 4]}), "[0]: Lies outside the picture."),
        (json!({"score": 0.5, " ": [1, 2, 3, 4]}), "[0].label: May not be blank."),
    ] {
        let complaints = read(json!([part])).unwrap_err();
        assert!(complaints.ends_with(complaint), "{complaints}");
    }
}

#[test]
fn labels_of_the_map_are_found_in_any_form() {
    let reading = Reading { label_map: [("ve\u{301}lo".to_owned(), "bike".to_owned())].into(), ..Reading::default() };
    let answer = json!({"annotations": [{"type": "classification", "label": "vélo", "confidence": 0.5}]}).to_string();
    assert_eq!(decode(answer.as_bytes(), &reading, None).unwrap().predictions[0].label, "bike");
}

#[test]
fn broken_geometry_is_refused() {
    let full = points("polygon", json!([[0, 0], [9, 0], [9, 9]]));
    refused(full, None, "type: Needs an item that has pixels.");
    for (part, complaint) in [
        (json!({"type": "bounding_box"}), "coordinates: This field is required."),
        (json!({"type": "bounding_box", "coordinates": [1, 2, 3, 4]}), "coordinates: Must be an object, not a list."),
        (json!({"type": "bounding_box", "coordinates": {"x": "1"}}), "coordinates.x: Must be a number."),
        (json!({"type": "bounding_box", "coordinates": {"x": 1}}), "coordinates.y: This field is required."),
        (rect(1.0, 1.0, 0.0, 1.0), "coordinates.width: Must be greater than 0."),
        (rect(1.0, 1.0, 1.0, -1.0), "coordinates.height: Must be greater than 0."),
        (rect(100.0, 1.0, 5.0, 5.0), "coordinates: Lies outside the picture."),
        (rect(1.0, -5.0, 5.0, 5.0), "coordinates: Lies outside the picture."),
        (json!({"type": "polygon"}), "points: This field is required."),
        (points("polygon", json!([[1, 2], [3]])), "points[1]: Must be two numbers."),
        (points("polygon", json!([[1, 2, 3]])), "points[0]: Must be two numbers."),
        (points("polygon", json!([])), "points: Must have at least 3 distinct points."),
        (points("polygon", json!([[0, 0], [1, 1], [0, 0], [1, 1]])), "points: Must have at least 3 distinct points."),
        (points("polygon", json!([[-1, -1], [-2, 2], [-3, 1]])), "points: Lies outside the picture."),
        (points("polyline", json!([[1, 51], [2, 60]])), "points: Lies outside the picture."),
        (points("polyline", json!([[1, 1]])), "points: Must have at least 2 points."),
    ] {
        refused(part, Some(SIZE), complaint);
    }
}

/// Contract D29.
#[test]
fn masks_are_runs_over_the_whole_item() {
    let counts = rle::encode([41, 1, 4_958]);
    let sized = |counts: Value| coco(json!([50, 100]), counts);
    let stored = json!({"type": "segmentation_mask", "mask": sized(json!(counts))});
    let floats = coco(json!([5e1, 100.0]), json!([41.0, 1e0, 4_958.0]));
    for mask in [stored["mask"].clone(), json!(counts), sized(json!([41, 1, 4_958])), floats] {
        assert_eq!(geometry(json!({"type": "segmentation_mask", "mask": mask})), stored);
    }
    for (mask, complaint) in [
        (json!(null), "mask: This field is required."),
        (json!(7), "mask: Must be a string or an object."),
        (json!("4"), "mask: The runs do not add up to the size of the picture."),
        (json!({"counts": counts, "size": [50, 100]}), "mask.format: Must be \"coco_rle\" or \"png_url\"."),
        (json!({"format": "png_url"}), "mask.url: This field is required."),
        (json!({"format": "png_url", "url": 7}), "mask.url: Must be a string, not a number."),
        (
            json!({"format": "png_url", "url": "u".repeat(8_193)}),
            "mask.url: Must have at most 8192 characters, and has 8193.",
        ),
        (
            coco(json!([100, 50]), json!(counts)),
            "mask.size: Must be the item's: [50, 100]. Its sides are the other way round: height comes first.",
        ),
        (coco(json!("50x100"), json!(counts)), "mask.size: Must be the item's: [50, 100]."),
        (sized(json!(null)), "mask.counts: This field is required."),
        (sized(json!(5_000)), "mask.counts: Must be a string or an array."),
        (sized(json!([5_000])), "mask.counts: Marks no pixel."),
        (sized(json!([5_001, -1])), "mask.counts: The runs do not add up to the size of the picture."),
        (sized(json!([1, -1, 5_000])), "mask.counts: Has a run that is not a whole number of pixels."),
        (sized(json!([1, 1.5])), "mask.counts: Has a run that is not a whole number of pixels."),
        (sized(json!("/")), "mask.counts: Has a character that is not part of the encoding."),
    ] {
        refused(json!({"type": "segmentation_mask", "mask": mask}), Some(SIZE), complaint);
    }
    refused(json!({"type": "segmentation_mask", "mask": counts}), None, "type: Needs an item that has pixels.");
}

fn pictured(label: &str) -> Value {
    let mask = json!({"format": "png_url", "url": format!("https://masks.example/{label}.png")});
    json!({"type": "segmentation_mask", "label": label, "confidence": 0.5, "mask": mask})
}

fn a_mask() -> Mask {
    Mask::CocoRle { size: [50, 100], counts: rle::encode([41, 1, 4_958]) }
}

/// Contract D29.
#[test]
fn masks_that_are_pictures_keep_the_position_that_the_model_gave_them() {
    let plain = |label: &str| json!({"type": "classification", "label": label, "confidence": 0.5});
    let parts = [pictured("a"), plain("b"), pictured("c"), pictured("d"), json!(7), pictured("e"), plain("f")];
    let decoded = read_answer(json!({ "all": parts }), "all", Some(SIZE)).unwrap();

    let wanted: Vec<_> = decoded.pictures.iter().map(|p| (p.label.as_str(), p.url.as_str(), p.size)).collect();
    assert_eq!(wanted[1], ("c", "https://masks.example/c.png", SIZE));
    let gone = Some(Err("Could not be fetched.".to_owned()));
    let whole = decoded.complete([Some(Ok(a_mask())), gone, None, Some(Ok(a_mask()))]).unwrap();
    let labels: String = whole.predictions.iter().map(|prediction| prediction.label.as_str()).collect();
    assert_eq!(labels, "abef");
    assert_eq!(whole.predictions[2].geometry, Geometry::SegmentationMask { mask: a_mask() });
    assert_eq!(whole.dropped, ["all[4]: Must be an object, not a number.", "all[2].mask: Could not be fetched."]);
}

/// Contract D28, D29.
#[test]
fn an_answer_none_of_whose_masks_can_be_had_is_broken_and_one_with_unwanted_masks_is_not() {
    let complete = |mask| {
        let decoded = read_answer(json!({"a": [7, pictured("car")]}), "a", Some(SIZE)).unwrap();
        decoded.complete([mask])
    };

    assert!(matches!(complete(Some(Err("No.".into()))), Err(BadAnswer::NothingWellFormed { .. })));
    assert_eq!(complete(Some(Ok(a_mask()))).unwrap().predictions.len(), 1);
    assert!(complete(None).unwrap().predictions.is_empty());
}

/// Contract D29.
#[test]
fn a_persons_masks_are_not_fetched() {
    assert_eq!(
        persons(&[pictured("car")]).unwrap_err(),
        ["annotations[0].mask.format: Must be \"coco_rle\": only a model's PNG masks are fetched."]
    );
}

/// Contract D30.
#[test]
fn cuboids_have_two_spellings_and_a_unit_quaternion() {
    let center = json!({"x": 12.5, "y": -3.0, "z": 0.0});
    let dimensions = json!({"length": 4.0, "width": 2.0, "height": 1.5});
    let rotation = json!({"x": 0.0, "y": 0.0, "z": 0.6, "w": 0.8});
    let inside = |members: &Value| json!({"type": "bounding_box_3d", "coordinates": members});
    let stored = inside(&json!({"center": center, "dimensions": dimensions, "rotation": rotation}));
    let (short, long) = (json!({"l": 4, "w": 2, "h": 1.5}), json!({"x": 0, "y": 0, "z": 3, "w": 4}));
    let members = json!({"center": center, "dimensions": short, "rotation": long});
    let mut beside = members.clone();
    beside["type"] = json!("bounding_box_3d");
    for spelling in [inside(&members), beside, stored.clone()] {
        assert_eq!(geometry(spelling), stored);
    }
    let no_unit = "coordinates.rotation: Has no direction: its length must be 0.001 or more.";
    for (pointer, value, complaint) in [
        ("/center", json!(null), "coordinates.center: This field is required."),
        ("/center", json!([1, 2, 3]), "coordinates.center: Must be an object."),
        ("/center/z", json!(null), "coordinates.center.z: This field is required."),
        ("/dimensions/l", json!(0), "coordinates.dimensions.l: Must be greater than 0."),
        ("/dimensions/h", json!(null), "coordinates.dimensions.height: This field is required."),
        ("/rotation", json!({"x": 0, "y": 0, "z": 0, "w": 0.0009}), no_unit),
        ("/rotation", json!({"x": 0, "y": 0, "z": 1e308, "w": 1.7e308}), no_unit),
    ] {
        let mut broken = members.clone();
        *broken.pointer_mut(pointer).unwrap() = value;
        refused(inside(&broken), None, complaint);
    }
    refused(inside(&json!(1)), None, "coordinates: Must be an object, not a number.");
}

#[test]
fn attributes_that_cannot_be_kept_are_dropped_alone() {
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    for (attributes, note) in [
        (json!([1]), "annotations[0].attributes: Must be an object."),
        (nested(ATTRIBUTE_LEVELS + 1), "annotations[0].attributes: Has too many levels."),
    ] {
        let decoded = one(json!({ "attributes": attributes }), None).unwrap();
        assert_eq!((decoded.predictions.len(), decoded.dropped), (1, vec![note.to_owned()]));
    }
    let kept = one(json!({"attributes": nested(ATTRIBUTE_LEVELS)}), None).unwrap();
    assert_eq!(Value::Object(kept.predictions[0].attributes.clone()), nested(ATTRIBUTE_LEVELS));
}

/// Contract D28.
#[test]
fn the_rest_of_an_answer_survives_its_broken_parts_and_notes_are_bounded() {
    let good = json!({"type": "classification", "label": "car", "confidence": 1});
    let read = |parts: Vec<Value>| read_answer(json!({ "a": parts }), "a", None).unwrap();

    assert_eq!(read(vec![good.clone(), json!(3)]).dropped, ["a[1]: Must be an object, not a number."]);
    let mut many = vec![json!(null); NOTES + 2];
    many.push(good.clone());
    let decoded = read(many);
    assert_eq!((decoded.predictions.len(), decoded.dropped.len()), (1, NOTES + 1));
    assert_eq!(decoded.dropped[NOTES], "2 more parts are malformed.");
    let decoded = read(vec![good; limits::PREDICTIONS + 1]);
    assert_eq!(decoded.predictions.len(), limits::PREDICTIONS);
    assert_eq!(decoded.dropped, ["a: Has 10001 predictions; only the first 10000 are read."]);
}

/// A coordinate: mostly in or near the picture, sometimes as large or small as numbers get.
fn coordinate() -> impl Strategy<Value = f64> {
    prop_oneof![5 => -60.0f64..120.0, 1 => any::<f64>().prop_filter("JSON", |number| number.is_finite())]
}

/// JSON of any shape, out of words that mean something here.
fn any_json() -> impl Strategy<Value = Value> {
    let names = "type|label|points|coordinates|mask|format|size|counts|url|center|dimensions|rotation|x|y|z|w|l|width";
    let text = prop_oneof!["coco_rle|png_url", "[0-o]{0,4}", ".{0,3}"].prop_map(Value::from);
    let number = prop_oneof![coordinate().prop_map(Value::from), any::<i64>().prop_map(Value::from)];
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let object = prop::collection::vec((names, inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::Array),
            object.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A prediction that is nearly right: numbers of any size, sometimes something else in one field.
fn any_part() -> impl Strategy<Value = Value> {
    let frame = prop::array::uniform4(coordinate()).prop_map(|[x, y, width, height]| rect(x, y, width, height));
    let shape = ("polygon|polyline", prop::collection::vec(prop::array::uniform2(coordinate()), 0..6))
        .prop_map(|(kind, all)| points(&kind, json!(all)));
    let mask = prop::collection::vec(0u64..2_000, 2..6).prop_map(|mut runs| {
        runs.push(5_000u64.saturating_sub(runs.iter().sum()));
        json!({"type": "segmentation_mask", "mask": coco(json!([50, 100]), json!(runs))})
    });
    let cuboid = prop::array::uniform10(coordinate()).prop_map(|[x, y, z, l, w, h, a, b, c, d]| {
        let (center, dimensions) = (json!({"x": x, "y": y, "z": z}), json!({"l": l, "w": w, "h": h}));
        let rotation = json!({"x": a, "y": b, "z": c, "w": d});
        json!({"type": "bounding_box_3d", "center": center, "dimensions": dimensions, "rotation": rotation})
    });
    let geometry = prop_oneof![frame, shape, mask, cuboid];
    let names = "type|label|confidence|points|coordinates|mask|attributes";
    let stranger = prop::option::weighted(0.2, (names, any_json()));
    (geometry, ".{1,9}", 0.0f64..1.0, stranger).prop_map(|(mut part, label, confidence, stranger)| {
        part["label"] = label.into();
        part["confidence"] = confidence.into();
        if let Some((name, value)) = stranger {
            part[name] = value;
        }
        part
    })
}

proptest! {
    #[test]
    fn any_bytes_and_any_json_are_read_without_panic(bytes in any::<Vec<u8>>(), part in any_json(), mixed in any_part()) {
        let _ = decode(&bytes, &keyed("a"), Some(SIZE));
        let _ = decode(json!({ "a": [part, mixed] }).to_string().as_bytes(), &keyed("a"), Some(SIZE));
        let _ = one(json!({"type": "polygon", "points": part}), Some(SIZE));
        let _ = one(json!({"type": "segmentation_mask", "mask": part}), Some(SIZE));
    }

    #[test]
    fn what_is_read_lies_in_the_picture_and_reads_as_itself(parts in prop::collection::vec(any_part(), 1..6)) {
        let Ok(decoded) = read_answer(json!({ "a": parts }), "a", Some(SIZE)) else { return Ok(()) };
        for prediction in &decoded.predictions {
            let corners = match &prediction.geometry {
                Geometry::BoundingBox { coordinates: r } => {
                    prop_assert!(r.width > 0.0 && r.height > 0.0);
                    vec![[r.x, r.y], [r.x + r.width, r.y + r.height]]
                }
                Geometry::Polygon { points } | Geometry::Polyline { points } => points.clone(),
                _ => vec![],
            };
            let inside = |[x, y]: [f64; 2]| (0.0..=100.0).contains(&x) && (0.0..=50.0).contains(&y);
            prop_assert!(corners.into_iter().all(inside), "{prediction:?}");
        }
        let again = read_answer(json!({ "a": decoded.predictions }), "a", Some(SIZE)).unwrap();
        prop_assert_eq!(again, Decoded { predictions: decoded.predictions, ..Decoded::default() });
    }
}

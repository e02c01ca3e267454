use std::collections::HashMap;
use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::reader::{BOXES, Broken, Entry, Position, ReasonCode, Shelf, read};
use super::request::NewImport;
use super::{Counts, ImportAs, ImportFormat, ImportStatus, Untaken, of_upload_key};
use crate::domain::id::{ImportUid, OrganizationUid, ProjectUid};
use crate::domain::{Error, Timestamp, limits};

#[derive(Default)]
struct Boxes(HashMap<usize, Vec<Vec<u8>>>);

impl Shelf for Boxes {
    fn put(&mut self, number: usize, record: &[u8]) -> std::io::Result<()> {
        assert!(number < BOXES);
        self.0.entry(number).or_default().push(record.to_vec());
        Ok(())
    }

    fn take(&mut self, number: usize) -> std::io::Result<Vec<Vec<u8>>> {
        Ok(self.0.remove(&number).unwrap_or_default())
    }
}

fn entries(format: ImportFormat, file: &[u8]) -> Result<Vec<Entry>, Broken> {
    let mut entries = Vec::new();
    let mut take = |entry| {
        entries.push(entry);
        Ok(())
    };
    read((format, ImportAs::Accepted), &mut Cursor::new(file), &mut Boxes::default(), &mut take)?;
    Ok(entries)
}

fn coco(file: &Value) -> Vec<Entry> {
    entries(ImportFormat::Coco, file.to_string().as_bytes()).unwrap()
}

fn sentence(format: ImportFormat, file: &[u8]) -> String {
    match entries(format, file).unwrap_err() {
        Broken::File(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

fn code(entry: &Entry) -> Option<ReasonCode> {
    entry.refusal.as_ref().map(|reason| reason.code)
}

const LINES: &str = concat!(
    r#"{"key": "a/1.png", "width": 4, "height": 3, "status": "accepted", "annotations": [{"type": "classification", "label": "cat"}]}"#,
    "\n\n",
    r#"{"key": "b", "annotations": []"#,
    "\n",
    r#"{"key": "c", "status": "none", "annotations": []}"#,
    "\n",
    r#"{"key": 7, "annotations": []}"#,
    "\r\n",
    r#"[1]"#,
    "\n",
    r#"{"key": "d", "annotations": NaN}"#,
    "\n",
    r#"{"key": "e", "url": "s3://b/e", "annotations": []}"#,
);

#[test]
fn a_bad_line_costs_its_item_and_lines_count_from_one() {
    let read = entries(ImportFormat::Jsonl, LINES.as_bytes()).unwrap();

    let positions: Vec<_> = read.iter().map(|entry| (entry.position.clone(), code(entry))).collect();
    use ReasonCode::{Malformed, NoResult};
    assert_eq!(
        positions,
        [
            (Position::Line(1), None),
            (Position::Line(3), Some(Malformed)),
            (Position::Line(4), Some(NoResult)),
            (Position::Line(5), Some(Malformed)),
            (Position::Line(6), Some(Malformed)),
            (Position::Line(7), Some(Malformed)),
            (Position::Line(8), None),
        ]
    );
    assert_eq!((read[0].name.as_str(), read[0].width, read[0].height), ("a/1.png", Some(4), Some(3)));
    assert_eq!(read[0].annotations, [json!({"type": "classification", "label": "cat"})]);
    assert_eq!(read[6].url.as_deref(), Some("s3://b/e"));
}

#[test]
fn lines_are_the_same_when_they_are_compressed_in_several_members_or_begin_with_a_mark() {
    let plain = entries(ImportFormat::Jsonl, LINES.as_bytes()).unwrap();
    let mut packed = Vec::new();
    for part in LINES.as_bytes().chunks(100) {
        let mut member = GzEncoder::new(Vec::new(), Compression::default());
        member.write_all(part).unwrap();
        packed.extend(member.finish().unwrap());
    }

    assert_eq!(entries(ImportFormat::Jsonl, &packed).unwrap(), plain);
    assert_eq!(entries(ImportFormat::Jsonl, &[b"\xef\xbb\xbf", LINES.as_bytes()].concat()).unwrap(), plain);
    assert_eq!(
        sentence(ImportFormat::Jsonl, &packed[..packed.len() - 9]),
        "The file is compressed by gzip and is broken, or ends too early."
    );
    assert_eq!(entries(ImportFormat::Jsonl, b"").unwrap(), []);
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_taken() {
    let long = "x".repeat(limits::IMPORT_ENTRY_BYTES + 5);
    let file = format!("{long}\n{{\"key\": \"a\", \"annotations\": []}}\n{long}");

    let read = entries(ImportFormat::Jsonl, file.as_bytes()).unwrap();

    let codes: Vec<_> = read.iter().map(code).collect();
    assert_eq!(codes, [Some(ReasonCode::TooLarge), None, Some(ReasonCode::TooLarge)]);
    assert_eq!((&read[1].position, &read[2].position), (&Position::Line(2), &Position::Line(3)));
}

fn a_set() -> Value {
    json!({
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1.5, 2, 3, 4], "segmentation": [], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [1.5, 2, 3, 4.25], "score": 0.5,
             "segmentation": [[1.5, 2, 1.5, 6.25, 4.5, 6.25, 4.5, 2]], "attributes": {"hue": "red"}},
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 2, 2], "segmentation": [[0, 0, 2, 0, 2, 2]]},
            {"id": 4, "image_id": "x", "category_id": "1", "iscrowd": 1,
             "segmentation": {"size": [2, 2], "counts": [1, 2, 1]}},
            {"id": 5, "image_id": "x", "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1], [1, 1, 2, 1, 2, 2]]},
        ],
        "info": {"year": [[[]]]},
        "images": [
            {"id": 7, "file_name": "a, b/é.png", "width": 40, "height": 30, "coco_url": "https://a.example/é.png"},
            {"id": "x", "file_name": "x.png"},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "a dog"}],
    })
}

#[test]
fn images_and_annotations_are_joined_in_any_order_and_keep_their_geometry() {
    let mut read = coco(&a_set());
    read.sort_by(|one, other| one.name.cmp(&other.name));

    let [seven, x] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((seven.position.clone(), seven.name.as_str()), (Position::Path("images[0]".into()), "a, b/é.png"));
    assert_eq!(
        (seven.width, seven.height, seven.url.as_deref()),
        (Some(40), Some(30), Some("https://a.example/é.png"))
    );
    assert_eq!(
        seven.annotations,
        [
            json!({"type": "bounding_box", "label": "a dog", "coordinates": {"x": 1.5, "y": 2.0, "width": 3.0, "height": 4.0}}),
            json!({"type": "bounding_box", "label": "cat", "confidence": 0.5, "attributes": {"hue": "red"},
                "coordinates": {"x": 1.5, "y": 2.0, "width": 3.0, "height": 4.25}}),
            json!({"type": "polygon", "label": "cat", "points": [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]]}),
        ]
    );
    assert_eq!((x.width, x.url.clone()), (None, None));
    assert_eq!(
        x.annotations,
        [
            json!({"type": "segmentation_mask", "label": "cat", "attributes": {"iscrowd": 1},
                "mask": {"format": "coco_rle", "size": [2, 2], "counts": [1, 2, 1]}}),
            json!({"type": "polygon", "label": "cat", "points": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], "attributes": {"object": "5"}}),
            json!({"type": "polygon", "label": "cat", "points": [[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]], "attributes": {"object": "5"}}),
        ]
    );
}

#[test]
fn an_image_with_an_annotation_that_cannot_be_read_is_not_taken() {
    for (name, value, expected) in [
        ("category_id", json!(9), ReasonCode::UnknownCategory),
        ("category_id", json!(1.5), ReasonCode::Malformed),
        ("segmentation", json!([[0, 0, 1, 1]]), ReasonCode::Malformed),
        ("segmentation", json!([[0, 0, 1, 1, 2]]), ReasonCode::Malformed),
        ("segmentation", json!("counts"), ReasonCode::Malformed),
        ("bbox", json!([1, 2, 3]), ReasonCode::Malformed),
    ] {
        let mut set = a_set();
        set["annotations"][0][name] = value;

        let read = coco(&set);

        let of = |name: &str| read.iter().find(|entry| entry.name == name).unwrap();
        assert_eq!((code(of("a, b/é.png")), code(of("x.png"))), (Some(expected), None), "{name}");
        assert!(of("a, b/é.png").annotations.is_empty());
    }
}

#[test]
fn what_belongs_to_no_image_has_a_reason() {
    let mut set = a_set();
    set["annotations"][0]["image_id"] = json!(99);
    set["annotations"][1]["image_id"] = json!(null);
    let again = set["images"][0].clone();
    set["images"].as_array_mut().unwrap().extend([again, json!({"file_name": "z"}), json!(5), json!({"id": 8})]);

    let read = coco(&set);
    let mut refused: Vec<_> = read.iter().filter_map(|entry| Some((entry.position.clone(), code(entry)?))).collect();
    refused.sort_by_key(|(position, _)| format!("{position:?}"));

    let path = |path: &str| Position::Path(path.to_owned());
    use ReasonCode::{Duplicate, Malformed, UnknownPicture};
    assert_eq!(
        refused,
        [
            (path("annotations[0]"), UnknownPicture),
            (path("annotations[1]"), Malformed),
            (path("images[2]"), Duplicate),
            (path("images[3]"), Malformed),
            (path("images[4]"), Malformed),
            (path("images[5]"), Malformed),
        ]
    );
    assert_eq!(read.len(), 8);
}

#[test]
fn a_file_that_cannot_be_read_fails_whole() {
    let whole = a_set().to_string();
    let utf16: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = format!("{{\"info\": {}", "[".repeat(100_000));
    for (file, begin) in [
        (&whole.as_bytes()[..whole.len() / 2], "The file is no JSON object of this format: see line 1, column "),
        (b"[]", "The file is no JSON object"),
        (b"", "The file is no JSON object"),
        (b"{}", "The file has no list \"images\""),
        (b"{\"images\": {}}", "The file is no JSON object"),
        (
            br#"{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"bbox": [NaN]}]}"#,
            "The file is no JSON object",
        ),
        (br#"{"images": [{"id": 1, "width": Infinity}]}"#, "The file is no JSON object"),
        (br#"{"images": [{"id": 1, "file_name": "a"}]} {}"#, "The file is no JSON object"),
        (br#"{"images": [], "categories": [{"id": 1}]}"#, "categories[0]: \"name\" must be a string."),
        (
            br#"{"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}"#,
            "categories[1]: Another category has this id.",
        ),
        (&utf16, "The file must be UTF-8, and looks like UTF-16."),
        (b"{\"images\": [{\"id\": 1, \"file_name\": \"\xff\"}]}", "The file is no JSON object"),
        (deep.as_bytes(), "The file is no JSON object"),
    ] {
        let sentence = sentence(ImportFormat::Coco, file);
        assert!(sentence.starts_with(begin), "{sentence}");
    }
    let mark = [b"\xef\xbb\xbf", whole.as_bytes()].concat();
    assert_eq!(entries(ImportFormat::Coco, &mark).unwrap().len(), 2);
    let long = format!(r#"{{"images": [{{"id": 1, "file_name": "{}"}}]}}"#, "x".repeat(limits::IMPORT_ENTRY_BYTES));
    assert_eq!(sentence(ImportFormat::Coco, long.as_bytes()), "An entry of the file has more than 4 MiB.");
}

#[test]
fn what_the_reader_of_entries_answers_goes_through() {
    let mut refuse = |_| Err(Error::internal("full"));
    let read =
        read((ImportFormat::Jsonl, ImportAs::Accepted), &mut Cursor::new(LINES), &mut Boxes::default(), &mut refuse);
    assert!(matches!(read, Err(Broken::Take(_))));
    let mut stop = |_| Err(Error::internal("full"));
    let set = json!({"images": [5]}).to_string();
    let read = super::reader::read(
        (ImportFormat::Coco, ImportAs::Accepted),
        &mut Cursor::new(set),
        &mut Boxes::default(),
        &mut stop,
    );
    assert!(matches!(read, Err(Broken::Take(_))), "it is not the file's fault");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn new(body: &Value) -> Result<NewImport, Error> {
    NewImport::read(body.to_string().as_bytes(), |url| if url == "s3://a/b" { Ok(()) } else { Err("No.".into()) })
}

#[test]
fn a_request_names_its_format_and_what_the_labels_become() {
    let complaint = |body| new(&body).unwrap_err().to_string();
    assert_eq!(complaint(json!({})), "format: This field is required.; as: This field is required.");
    assert!(complaint(json!({"format": "voc", "as": "accepted"})).starts_with("format: Must be one of "));
    assert_eq!(complaint(json!({"format": "coco", "as": "draft", "source": "s3://c/d"})), "source: No.");
    assert!(complaint(json!({"format": "coco", "as": "draft", "add_labels": "yes"})).starts_with("add_labels: "));
}

#[test]
fn an_import_knows_its_objects_counts_and_end() {
    let (uid, organization, project) = (ImportUid::at(at(1)), OrganizationUid::named("acme"), ProjectUid::at(at(1)));
    let body = json!({"format": "coco", "as": "accepted", "source": "s3://a/b"});
    let mut import = new(&body).unwrap().into_import(uid, (organization, project), "ci", (at(1), at(9)));

    assert_eq!(of_upload_key(&import.upload_key()), Some((organization, project, uid)));
    for other in [import.report_key(), format!("{}/x", import.upload_key()), "projects/a/upload".to_owned()] {
        assert_eq!(of_upload_key(&other), None);
    }
    let reason = super::reader::Reason::new(ReasonCode::UnknownItem, "It is not there.");
    let untaken = vec![Untaken::at(Position::Line(3), "a", reason); limits::IMPORT_REASONS + 1];
    for _ in 0..2 {
        import.count(Counts { items: 3, results: 1, skipped: 1, refused: 1 }, &untaken, at(2));
    }
    assert_eq!(import.counts, Counts { items: 6, results: 2, skipped: 2, refused: 2 });
    assert_eq!((import.reasons.len(), import.work.applied), (limits::IMPORT_REASONS, 2));
    assert_eq!(
        serde_json::to_value(&import.reasons[0]).unwrap(),
        json!({"line": 3, "path": null, "name": "a", "code": "unknown_item", "message": "It is not there."})
    );
    let failed = import.clone().failed("No.", at(3));
    assert_eq!((failed.status, failed.error_message.as_deref()), (ImportStatus::Failed, Some("No.")));
    assert_eq!(import.clone().imported(at(3)).completed_at, Some(at(3)));
    assert!(import.clone().shown(at(8)).is_ok() && import.shown(at(9)).is_err());
}

fn refusal(entry: &Entry) -> String {
    entry.refusal.as_ref().map(|reason| reason.message.clone()).unwrap_or_default()
}

const GROUND_TRUTH: &str = concat!(
    r#"{"source-ref": "s3://pictures/a b/1.jpg", "boxes": {"image_size": [{"width": 500, "height": 400, "depth": 3}], "annotations": [{"class_id": 5, "left": 111, "top": 134, "width": 61, "height": 128}]},"#,
    r#""boxes-metadata": {"objects": [{"confidence": 0.8}], "class-map": {"5": "bone"}, "type": "groundtruth/object-detection", "human-annotated": "yes", "creation-date": "2018-10-18T22:18:13.527256", "job-name": "dogs"},"#,
    r#""adjusted": {"image_size": [{"width": 500, "height": 400, "depth": 3}], "annotations": [{"class_id": 0, "left": 1, "top": 2, "width": 3, "height": 4}]},"#,
    r#""adjusted-metadata": {"objects": [{"confidence": 0.9}], "class-map": {"0": "dog"}, "type": "groundtruth/object-detection", "adjustment-status": "adjusted", "creation-date": "2018-10-19T22:18:13.527256"},"#,
    r#""sport": 0, "sport-metadata": {"class-name": "football", "confidence": 0.7, "type": "groundtruth/image-classification"}, "note": "kept"}"#,
    "\n",
    r#"{"source-ref": "s3://b/2.jpg"}"#,
    "\n",
    r#"{"source-ref": "s3://b/3.jpg", "scene": [1, 0], "scene-metadata": {"class-map": {"0": "day", "1": "rain"}, "confidence-map": {"0": 0.5, "1": 0.25}, "type": "groundtruth/image-classification-multilabel"}}"#,
    "\n",
    r#"{"source-ref": "s3://b/4.jpg", "m-ref": "s3://b/4.png", "m-ref-metadata": {"type": "groundtruth/semantic-segmentation"}}"#,
    "\n",
    r#"{"source-ref": "s3://b/5.jpg", "x": {"annotations": [{"class_id": 9, "left": 1, "top": 2, "width": 3, "height": 4}]}, "x-metadata": {"class-map": {}, "type": "groundtruth/object-detection"}}"#,
    "\n{",
);

#[test]
fn a_manifest_of_ground_truth_is_read_as_its_jobs_write_it() {
    let read = entries(ImportFormat::SagemakerManifest, GROUND_TRUTH.as_bytes()).unwrap();

    let first = &read[0];
    assert_eq!((first.name.as_str(), first.url.as_deref()), ("a b/1.jpg", Some("s3://pictures/a b/1.jpg")));
    assert_eq!((first.width, first.height), (Some(500), Some(400)));
    assert_eq!(
        json!(first.annotations),
        json!([
            {"type": "bounding_box", "label": "dog", "confidence": 0.9, "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}},
            {"type": "classification", "label": "football", "confidence": 0.7},
        ])
    );
    assert_eq!(
        json!(read[2].annotations),
        json!([
            {"type": "classification", "label": "rain", "confidence": 0.25},
            {"type": "classification", "label": "day", "confidence": 0.5},
        ])
    );
    use ReasonCode::{Malformed, NoResult, UnknownCategory};
    let codes: Vec<_> = read.iter().map(code).collect();
    assert_eq!(codes, [None, Some(NoResult), None, Some(Malformed), Some(UnknownCategory), Some(Malformed)]);
    assert_eq!(refusal(&read[3]), "Labels of the type groundtruth/semantic-segmentation cannot be imported.");
}

#[test]
fn a_picture_in_the_systems_bucket_is_named_by_its_key() {
    let line = r#"{"source-ref": "s3://own/projects/018f7a3e-5b6c-7d8e-9f01-23456789abcd/a/1.jpg"}"#;
    assert_eq!(entries(ImportFormat::SagemakerManifest, line.as_bytes()).unwrap()[0].name, "a/1.jpg");
}

fn tasks(tasks: &Value, becomes: ImportAs) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut take = |entry| {
        entries.push(entry);
        Ok(())
    };
    let text = tasks.to_string();
    read((ImportFormat::LabelStudio, becomes), &mut Cursor::new(text), &mut Boxes::default(), &mut take).unwrap();
    entries
}

fn region(kind: &str, mut value: Value, label: &str) -> Value {
    value[kind] = json!([label]);
    json!({"type": kind, "from_name": "x", "to_name": "y", "original_width": 200, "original_height": 100, "image_rotation": 0, "value": value})
}

#[test]
fn tasks_of_label_studio_become_pixels_and_the_last_annotation_counts() {
    let rectangle = |x: f64, rotation: f64| {
        region(
            "rectanglelabels",
            json!({"x": x, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": rotation}),
            "cat",
        )
    };
    let polygon = region("polygonlabels", json!({"points": [[10, 10], [20, 10], [20, 20]], "closed": true}), "dog");
    let choices = json!({"type": "choices", "value": {"choices": ["day", "dry"]}});
    // 200 times 100 pixels of four values: the two first of the second row are marked.
    let brush = |rle: Value| region("brushlabels", json!({"format": "rle", "rle": rle}), "cat");
    let data = json!({"image": "/data/upload/3/0a1b2c3d-my%20cat.jpg"});
    let file = json!([
        {"data": data, "annotations": [
            {"updated_at": "2026-01-02", "result": [rectangle(10.0, 0.0), polygon, choices]},
            {"updated_at": "2026-01-01", "result": []},
            {"updated_at": "2026-01-03", "was_cancelled": true, "result": []},
        ], "predictions": [{"result": [rectangle(5.0, 90.0)]}]},
        {"data": {"img": "/data/local-files/?d=a/b%20c.jpg"}, "annotations": [], "predictions": []},
        {"data": {"image": "https://example.com/x/y%2Bz+.jpg?v=1", "key": "k"}, "annotations": [{"result": [region("keypointlabels", json!({}), "x")]}]},
        {"data": {"image": "s3://b/c/d.jpg"}, "annotations": [{"result": [brush(json!([1, 2, 3]))]}]},
        {"data": {}},
    ]);

    let accepted = tasks(&file, ImportAs::Accepted);

    let names: Vec<&str> = accepted.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["my cat.jpg", "a/b c.jpg", "k", "c/d.jpg", ""]);
    assert_eq!(
        json!(accepted[0].annotations),
        json!([
            {"type": "bounding_box", "label": "cat", "coordinates": {"x": 20.0, "y": 20.0, "width": 60.0, "height": 40.0}},
            {"type": "polygon", "label": "dog", "points": [[20.0, 10.0], [40.0, 10.0], [40.0, 20.0]]},
            {"type": "classification", "label": "day"}, {"type": "classification", "label": "dry"},
        ])
    );
    use ReasonCode::{Malformed, NoResult};
    let codes: Vec<_> = accepted.iter().map(code).collect();
    assert_eq!(codes, [None, Some(NoResult), Some(Malformed), Some(Malformed), Some(Malformed)]);
    assert_eq!(refusal(&accepted[2]), "Regions of the type \"keypointlabels\" cannot be imported.");

    let drafts = tasks(&file, ImportAs::Draft);
    let turned: Vec<[f64; 2]> = serde_json::from_value(drafts[0].annotations[0]["points"].clone()).unwrap();
    let expected = [[10.0, 20.0], [10.0, 80.0], [-30.0, 80.0], [-30.0, 20.0]];
    assert!(turned.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-9), "{turned:?}");
    assert!(sentence(ImportFormat::LabelStudio, b"{}").starts_with("The file is no JSON list of this format"));
}

#[test]
fn a_brush_of_label_studio_is_a_mask() {
    // Made with `encode_rle` of label-studio-sdk 2.1.2: a row of six pixels, of which the third to the fifth are marked.
    let rle = json!([0, 0, 0, 24, 57, 27, 252, 224, 22, 255, 227, 0, 0]);
    let mut brush = region("brushlabels", json!({"format": "rle", "rle": rle}), "cat");
    (brush["original_width"], brush["original_height"]) = (json!(6), json!(1));
    let file = json!([{"data": {"image": "a.jpg"}, "annotations": [{"result": [brush]}]}]);

    let mask = &tasks(&file, ImportAs::Accepted)[0].annotations[0]["mask"];

    assert_eq!(
        mask,
        &json!({"format": "coco_rle", "size": [1, 6], "counts": crate::domain::prediction::rle::encode([2, 3, 1])})
    );
}

const CVAT: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>cat</name><attributes></attributes></label></labels></task></meta>
<image id="0" name="a &amp; b.jpg" width="4" height="3">
  <box label="cat" source="manual" occluded="0" xtl="1.5" ytl="2" xbr="3" ybr="3" z_order="0"><attribute name="confidence">0.25</attribute><attribute name="pose">a &lt; b</attribute></box>
  <polyline label="cat" points="1,1;2,2.5"></polyline>
  <mask label="cat" rle="0, 1, 1, 2" left="2" top="1" width="2" height="2"></mask>
  <tag label="day"/>
</image>
<image id="1" name="b.jpg" width="4" height="3"/>
<image id="2" name="c.jpg"><ellipse label="cat" cx="1" cy="1" rx="1" ry="1"/><tag label="day"/></image>
<image id="3" name="d.jpg" width="4" height="3"><mask label="cat" rle="0, 9" left="2" top="1" width="2" height="2"/></image>
</annotations>"#;

#[test]
fn images_of_cvat_have_their_shapes() {
    let read = entries(ImportFormat::Cvat, CVAT.as_bytes()).unwrap();

    assert_eq!((read[0].name.as_str(), read[0].width, read[0].height), ("a & b.jpg", Some(4), Some(3)));
    // Rows: the third pixel of row 1, both of row 2. Column by column: 2 columns of 3, then rows 1 and 2, then row 2.
    let counts = crate::domain::prediction::rle::encode([7, 2, 2, 1]);
    assert_eq!(
        json!(read[0].annotations),
        json!([
            {"type": "bounding_box", "label": "cat", "confidence": 0.25, "attributes": {"pose": "a < b"},
                "coordinates": {"x": 1.5, "y": 2.0, "width": 1.5, "height": 1.0}},
            {"type": "polyline", "label": "cat", "points": [[1.0, 1.0], [2.0, 2.5]]},
            {"type": "segmentation_mask", "label": "cat", "mask": {"format": "coco_rle", "size": [3, 4], "counts": counts}},
            {"type": "classification", "label": "day"},
        ])
    );
    assert_eq!((read[1].annotations.len(), code(&read[1])), (0, None));
    assert_eq!(refusal(&read[2]), "Shapes of the kind \"ellipse\" cannot be imported.");
    assert_eq!((read[2].annotations.len(), code(&read[3])), (0, Some(ReasonCode::Malformed)));
}

#[test]
fn a_hostile_file_of_cvat_fails_whole() {
    let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;">]><annotations><image name="&y;"/></annotations>"#;
    assert_eq!(sentence(ImportFormat::Cvat, bomb.as_bytes()), "The file must have no document type.");
    for file in [
        r#"<annotations><image name="&y;"/></annotations>"#,
        "<annotations><image name=\"a\">",
        "<annotations></image>",
    ] {
        assert!(sentence(ImportFormat::Cvat, file.as_bytes()).starts_with("The file "), "{file}");
    }
    assert_eq!(sentence(ImportFormat::Cvat, b"<a/>"), "The file has no element <annotations>.");
    let long =
        format!("<annotations><image name=\"{}\"/></annotations>", "x".repeat(limits::IMPORT_ENTRY_BYTES + 64 * 1024));
    assert_eq!(sentence(ImportFormat::Cvat, long.as_bytes()), "An image of the file has more than 4 MiB.");
    assert!(sentence(ImportFormat::Cvat, b"<annotations><track/></annotations>").starts_with("Tracks of a video"));
}

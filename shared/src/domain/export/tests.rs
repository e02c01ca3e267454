use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::request::NewExport;
use super::selection::{SelectedStatus, Shares, Split};
use super::work::{Next, Phase, RunningDigest, Work};
use super::*;
use crate::domain::fields::Fields;
use crate::domain::id::{ItemUid, Naming};
use crate::domain::item::origin::Corrected;
use crate::domain::item::result::{LabelResult, Lineage, ResultSource, ResultStatus, Verdict};
use crate::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use crate::domain::prediction::Prediction;
use crate::domain::prediction::rle;
use crate::domain::prediction::size::Size;
use crate::domain::project::Project;

const SIZE: Size = Size { width: 100, height: 50 };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn acme() -> OrganizationUid {
    OrganizationUid::named("acme")
}

fn a_project(name: &str, labels: &[&str]) -> Project {
    let body = json!({"name": name, "labels": labels}).to_string();
    Project::read(body.as_bytes(), acme(), at(1)).unwrap()
}

fn an_export(body: Value, projects: &[Project]) -> Export {
    let mut whole = json!({"projects": projects.iter().map(|project| project.uid).collect::<Vec<_>>()});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let new = NewExport::read(whole.to_string().as_bytes()).unwrap();
    assert_eq!(new.projects().unwrap().len(), projects.len());
    new.into_export(ExportUid::named(&Naming::default(), at(2), 0), acme(), projects, (at(2), at(9_000))).unwrap()
}

fn an_item(project: &Project, key: &str) -> Item {
    let asset = Asset {
        uid: ItemUid::of(project.uid, key),
        kind: AssetType::Image,
        size: Some(SIZE),
        origin: SizeOrigin::default(),
        source: Source::Bucket(Item::object_key(project.uid, key)),
        changes: 0,
    };
    let (organization, key) = (project.organization, key.to_owned());
    Item { organization, project: project.uid, key, asset, file: None, created_at: at(1), generation: 0, result: None }
}

fn labeled(item: Item, status: ResultStatus, annotations: Value) -> Item {
    let annotations: Vec<Prediction> = serde_json::from_value(annotations).unwrap();
    let result = LabelResult { status, ..LabelResult::by_hand(1, annotations, "ada", at(3)) };
    Item { generation: 1, result: Some(result), ..item }
}

fn accepted(project: &Project, key: &str, annotations: Value) -> Item {
    labeled(an_item(project, key), ResultStatus::Accepted, annotations)
}

fn a_box(label: &str, confidence: f64) -> Value {
    json!({"type": "bounding_box", "label": label, "confidence": confidence, "coordinates": {"x": 1.5, "y": 2.0, "width": 30.0, "height": 40.0}})
}

/// The whole file, written page by page, with what it says of itself.
fn written(export: &mut Export, pages: &[Vec<Item>]) -> Vec<u8> {
    let mut work = Work::default();
    pages.iter().for_each(|page| work.survey(export, page));
    work.phase = Phase::Write;
    let (mut file, mut beside, mut list) = (Vec::new(), Vec::new(), Vec::new());
    let mut write = |work: &mut Work, next: Next<'_>, file: &mut Vec<u8>| {
        let pieces = work.write(export, next, file.len() as u64, "bucket").unwrap();
        assert!(pieces.header.is_empty());
        file.extend(pieces.file);
        (pieces.list, pieces.side)
    };
    let mut keep = |(lines, records): (Vec<u8>, Vec<u8>)| {
        list.extend(lines);
        beside.extend(records);
    };
    keep(write(&mut work, Next::Begin, &mut file));
    for page in pages {
        let stored = serde_json::to_string(&work).unwrap(); // between two steps
        work = serde_json::from_str(&stored).unwrap();
        keep(write(&mut work, Next::Items(page), &mut file));
    }
    keep(write(&mut work, Next::Middle, &mut file));
    file.extend(list);
    file.extend(beside);
    let (lines, records) = write(&mut work, Next::End, &mut file);
    assert!(lines.is_empty() && records.is_empty());
    file
}

fn coco(export: &mut Export, pages: &[Vec<Item>]) -> Value {
    serde_json::from_slice(&written(export, pages)).unwrap()
}

fn lines(export: &mut Export, pages: &[Vec<Item>]) -> Vec<Value> {
    let mut text = String::new();
    MultiGzDecoder::new(written(export, pages).as_slice()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn complaint(body: Value) -> String {
    NewExport::read(body.to_string().as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_request_without_options_is_of_accepted_results_as_lines() {
    let export = an_export(json!({}), &[a_project("Cats", &[])]);

    assert_eq!((export.options.format, export.options.statuses), (ExportFormat::Jsonl, vec![SelectedStatus::Accepted]));
    assert_eq!((export.status, export.total, export.sources[0].prefix.as_deref()), (ExportStatus::Pending, 0, None));
}

#[test]
fn a_bad_request_names_its_fields_and_what_would_be_right() {
    let project = "018f7a3e-5b6c-7d8e-9f01-23456789abcd";
    for (body, says) in [
        (json!({}), "project: Give a project or a dataset."),
        (json!({"project": 3}), "project: Must be a string, not"),
        (
            json!({"project": project, "format": "voc"}),
            "format: Must be one of \"jsonl\", \"coco\", \"sagemaker_manifest\", \"cvat\", \"label_studio\", \"yolo\", \"ultralytics_ndjson\", not \"voc\".",
        ),
        (json!({"project": project, "format": ["coco"]}), "format: Must be one of"),
        (json!({"project": project, "statuses": "draft"}), "statuses: Must be a list, not"),
        (json!({"project": project, "statuses": ["done"]}), "statuses: Must be a list of \"accepted\", \"draft\""),
        (json!({"project": project, "statuses": []}), "statuses: Must name at least one status."),
        (json!({"project": project, "min_confidence": 2}), "min_confidence: Must be a number from 0.0 to 1.0"),
        (json!({"project": project, "job": "x"}), "job: Must be the uid of a job, not \"x\"."),
        (json!({"project": project, "split": {"train": 0.8, "val": 0.1}}), "split: Its shares must add up to 1."),
        (json!({"project": project, "split": {"train": 1, "dev": 0}}), "split.dev: Unknown field."),
        (json!({"project": project, "split": 0.8}), "split: Must be an object, not"),
        (json!({"project": project, "slices": ["a"]}), "slices: Must be empty"),
        (json!({"project": project, "filter_query_string": "a=b"}), "filter_query_string: Must be empty"),
        (json!({"project": project, "include_images": true}), "include_images: Is for yolo alone."),
        (json!({"project": project, "task": "segment"}), "task: Is for yolo and ultralytics_ndjson alone."),
        (json!({"project": project, "format": "yolo", "task": "pose"}), "task: Must be \"detect\" or \"segment\""),
        (json!({"project": project, "format": "yolo", "include_images": 1}), "include_images: Must be"),
    ] {
        let complaint = complaint(body.clone());
        assert!(complaint.starts_with(says), "{body}: {complaint}");
    }
    let empty = NewExport::read(br#"{"projects": []}"#).unwrap().projects().unwrap_err();
    assert_eq!(empty.to_string(), "projects: Must name at least one project.");
    let malformed = NewExport::read(br#"{"project": "cats"}"#).unwrap().projects().unwrap_err();
    assert_eq!(malformed.to_string(), "project: No project \"cats\" in this organization.");
    assert!(Fields::of_body(b"[]").is_err());
}

#[test]
fn avalas_empty_fields_and_datasets_are_taken_and_a_project_counts_once() {
    let uid = "018f7a3e-5b6c-7d8e-9f01-23456789abcd";
    let body = json!({"project": uid, "dataset": uid, "projects": [uid], "datasets": [uid], "slices": [], "filter_query_string": "", "labels": null});

    assert_eq!(NewExport::read(body.to_string().as_bytes()).unwrap().projects().unwrap().len(), 1);
}

#[test]
fn items_are_selected_by_status_and_those_that_a_filter_empties_stay() {
    let project = a_project("Cats", &["cat", "dog"]);
    let items = vec![
        accepted(&project, "a", json!([a_box("cat", 0.5), a_box("dog", 0.9), a_box("cat", 0.4)])),
        accepted(&project, "b", json!([a_box("dog", 0.9)])),
        labeled(an_item(&project, "c"), ResultStatus::Draft, json!([a_box("cat", 1.0)])),
        labeled(an_item(&project, "d"), ResultStatus::Rejected, json!([a_box("cat", 1.0)])),
        an_item(&project, "e"),
    ];
    let shown = |body: Value| {
        let mut export = an_export(body, std::slice::from_ref(&project));
        let lines = lines(&mut export, std::slice::from_ref(&items));
        assert_eq!((export.done, export.total), (lines.len() as u64, lines.len() as u64));
        let row = |line: &Value| {
            let (key, status) = (line["key"].as_str().unwrap(), line["status"].as_str().unwrap());
            format!("{key} {status} {}", line["annotations"].as_array().unwrap().len())
        };
        lines.iter().map(row).collect::<Vec<_>>()
    };

    assert_eq!(shown(json!({})), ["a accepted 3", "b accepted 1"]);
    assert_eq!(shown(json!({"labels": ["cat"], "min_confidence": 0.5})), ["a accepted 1", "b accepted 0"]);
    assert_eq!(shown(json!({"statuses": ["draft", "rejected"]})), ["c draft 1", "d rejected 1"]);
    assert_eq!(shown(json!({"statuses": ["none"]})), ["d rejected 0", "e none 0"]);
    let job = "018f7a3e-5b6c-7d8e-9f01-23456789abcd";
    assert_eq!(shown(json!({"job": job, "statuses": ["accepted", "draft", "none"]})), [""; 0]);
}

#[test]
fn a_jobs_results_are_found_by_their_lineage() {
    let (project, job) = (a_project("Cats", &[]), JobUid::at(at(7)));
    let mut item = accepted(&project, "a", json!([]));
    let lineage = Lineage { job, provider: None, model_type: None, confidence_threshold: 0.35 };
    item.result.as_mut().unwrap().lineage = Some(lineage);
    let mut export = an_export(json!({"job": job}), std::slice::from_ref(&project));

    let lines = lines(&mut export, &[vec![item, accepted(&project, "b", json!([]))]]);
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["job"], &lines[0]["confidence_threshold"]), (&json!(job), &json!(0.35)));
}

#[test]
fn a_line_has_everything_and_any_key_and_label_byte_for_byte() {
    let key = "a b/ü \"x\", 😀.jpg";
    let project = a_project("Cats", &[]);
    let cuboid = json!({"type": "bounding_box_3d", "label": "a, \"b\" 😀/..", "confidence": 0.25, "attributes": {"near": true}, "coordinates": {
        "center": {"x": 1.0, "y": 2.0, "z": 3.0}, "dimensions": {"length": 4.0, "width": 5.0, "height": 6.0}, "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}}});
    let mut item = accepted(&project, key, json!([cuboid]));
    item.asset.source = serde_json::from_value(json!({"s3": {"bucket": "pictures", "key": "a b/ü.jpg"}})).unwrap();
    let mut export = an_export(json!({"split": {"train": 1}}), std::slice::from_ref(&project));

    let lines = lines(&mut export, &[vec![item.clone()]]);
    assert_eq!(
        lines,
        [json!({
            "item": item.asset.uid, "project": project.uid, "key": key, "asset_type": "image", "width": 100, "height": 50,
            "url": "s3://pictures/a b/ü.jpg", "status": "accepted", "annotations": [cuboid],
            "result": item.result.as_ref().unwrap().uid(item.asset.uid), "source": "human", "created_by": "ada", "reviewed_by": "ada",
            "job": null, "provider": null, "model_type": null, "confidence_threshold": null, "file_version": null,
            "created_at": at(3), "updated_at": at(3), "split": "train",
        })]
    );
    assert_eq!(export.left_out, []);
}

#[test]
fn an_export_without_items_is_a_file_of_its_format() {
    let project = a_project("Cats", &["cat"]);
    assert_eq!(lines(&mut an_export(json!({}), std::slice::from_ref(&project)), &[vec![]]).len(), 0);
    let file = coco(&mut an_export(json!({"format": "coco"}), std::slice::from_ref(&project)), &[vec![]]);
    assert_eq!((&file["images"], &file["annotations"]), (&json!([]), &json!([])));
    assert_eq!(file["categories"], json!([{"id": 1, "name": "cat", "supercategory": ""}]));
}

#[test]
fn coco_has_whole_ids_from_one_and_all_classes_in_the_projects_order() {
    let project = a_project("Cats", &["dog", "unused", "cat"]);
    let pages = [
        vec![accepted(&project, "a.jpg", json!([a_box("zebra", 0.5), a_box("cat", 1.0)]))],
        vec![accepted(&project, "b.jpg", json!([])), accepted(&project, "c.jpg", json!([a_box("ant", 0.25)]))],
    ];
    let mut export = an_export(json!({"format": "coco"}), std::slice::from_ref(&project));

    let file = coco(&mut export, &pages);

    let names: Vec<&str> = file["categories"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dog", "unused", "cat", "ant", "zebra"]);
    assert_eq!(file["categories"][4]["id"], 5);
    assert_eq!(
        file["images"],
        json!([
            {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50}, {"id": 2, "file_name": "b.jpg", "width": 100, "height": 50},
            {"id": 3, "file_name": "c.jpg", "width": 100, "height": 50},
        ])
    );
    assert_eq!(
        file["annotations"][0],
        json!({
            "id": 1, "image_id": 1, "category_id": 5, "bbox": [1.5, 2.0, 30.0, 40.0], "area": 1200.0,
            "segmentation": [[1.5, 2.0, 1.5, 42.0, 31.5, 42.0, 31.5, 2.0]], "iscrowd": 0, "score": 0.5,
        })
    );
    let ids: Vec<_> =
        file["annotations"].as_array().unwrap().iter().map(|a| (a["id"].clone(), a["image_id"].clone())).collect();
    assert_eq!(ids, [(json!(1), json!(1)), (json!(2), json!(1)), (json!(3), json!(3))]);
    assert_eq!((export.total, export.done), (3, 3));
}

#[test]
fn a_label_that_comes_after_the_survey_gets_a_number_behind_all_others() {
    let project = a_project("Cats", &["cat"]);
    let mut export = an_export(json!({"format": "coco"}), std::slice::from_ref(&project));
    let mut work = Work::default();
    work.survey(&mut export, &[accepted(&project, "a", json!([a_box("dog", 1.0)]))]);

    for label in ["ant", "ant", "dog", "bee"] {
        let items = [accepted(&project, "a", json!([a_box(label, 1.0)]))];
        work.write(&mut export, Next::Items(&items), 1, "bucket").unwrap();
    }

    let end = String::from_utf8(work.write(&mut export, Next::End, 1, "bucket").unwrap().file).unwrap();
    let at = |name: &str| end.find(&format!("\"name\":\"{name}\"")).unwrap();
    assert!(at("cat") < at("dog") && at("dog") < at("ant") && at("ant") < at("bee"), "{end}");
}

#[test]
fn a_label_that_comes_after_the_survey_is_left_out_by_a_format_that_has_written_its_classes() {
    let project = a_project("Cats", &["cat"]);
    let mut export = an_export(json!({"format": "sagemaker_manifest"}), std::slice::from_ref(&project));
    let mut work = Work::default();
    work.survey(&mut export, &[accepted(&project, "a", json!([]))]);

    let items = [accepted(&project, "a", json!([a_box("cat", 1.0), a_box("late", 1.0)]))];
    let line = work.write(&mut export, Next::Items(&items), 0, "bucket").unwrap().file;

    let line: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(line["bounding-box"]["annotations"].as_array().unwrap().len(), 1);
    let left_out = json!([{"type": "bounding_box", "count": 1, "reason": "Its label was new while the export ran."}]);
    assert_eq!(json!(export.left_out), left_out);
}

#[test]
fn a_manifest_is_that_of_ground_truth() {
    let project = a_project("Cats", &["cat", "day"]);
    let day = json!({"type": "classification", "label": "day", "confidence": 0.75});
    let line = json!({"type": "polyline", "label": "cat", "confidence": 1.0, "points": [[1.0, 1.0], [2.0, 2.0]]});
    let mut elsewhere = accepted(&project, "b", json!([]));
    elsewhere.asset.source = Source::Url("https://example.com/b%20c.jpg".into());
    let pages = [vec![
        accepted(&project, "a b.jpg", json!([a_box("cat", 0.5), day, line])),
        elsewhere,
        an_item(&project, "unlabeled.jpg"),
    ]];
    let mut export = an_export(json!({"format": "sagemaker_manifest", "statuses": ["accepted", "none"]}), &[project]);

    let file = written(&mut export, &pages);

    let lines: Vec<Value> = file
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let made = json!({"human-annotated": "yes", "creation-date": "1970-01-01T00:00:03.000000", "job-name": "autolabel/by-hand"});
    let metadata = |more: Value| {
        let mut whole = made.clone();
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    assert_eq!(
        lines[0],
        json!({
            "source-ref": format!("s3://bucket/{}", Item::object_key(pages[0][0].project, "a b.jpg")),
            "bounding-box": {
                "image_size": [{"width": 100, "height": 50, "depth": 3}],
                "annotations": [{"class_id": 0, "left": 1.5, "top": 2, "width": 30, "height": 40}],
            },
            "bounding-box-metadata": metadata(json!({
                "objects": [{"confidence": 0.5}], "class-map": {"0": "cat"}, "type": "groundtruth/object-detection",
            })),
            "classification": [1],
            "classification-metadata": metadata(json!({
                "confidence-map": {"1": 0.75}, "class-map": {"1": "day"},
                "type": "groundtruth/image-classification-multilabel",
            })),
        })
    );
    assert_eq!(lines[1]["source-ref"], "https://example.com/b%20c.jpg");
    assert_eq!((&lines[1]["bounding-box"]["annotations"], lines[1].get("classification")), (&json!([]), None));
    assert_eq!(lines[2].as_object().unwrap().len(), 1); // the source alone
    assert_eq!(export.left_out[0].reason, "A manifest of boxes has no open lines.");
}

#[test]
fn cvat_has_every_shape_of_pictures_and_any_text_that_xml_can_hold() {
    let project = a_project("Cats", &["<cat> & \"dog\""]);
    // Columns of 50: the pixels (10, 20), (10, 21) and (11, 20).
    let counts = rle::encode([520, 2, 48, 1, 4_429]);
    let shapes = json!([
        {"type": "bounding_box", "label": "<cat> & \"dog\"", "confidence": 0.5, "attributes": {"pose": "a\tb", "wet": true},
            "coordinates": {"x": 1.5, "y": 2.0, "width": 30.0, "height": 40.0}},
        {"type": "polygon", "label": "x", "confidence": 1.0, "points": [[1.0, 2.5], [3.0, 4.0], [5.0, 6.0]]},
        {"type": "segmentation_mask", "label": "x", "confidence": 1.0, "mask": {"format": "coco_rle", "size": [50, 100], "counts": counts}},
        {"type": "classification", "label": "x", "confidence": 1.0},
        {"type": "classification", "label": "bell\u{7}", "confidence": 1.0},
    ]);
    let pages = [vec![accepted(&project, "a\n'b.jpg", shapes), accepted(&project, "bell\u{7}", json!([]))]];
    let split = json!({"train": 1, "val": 0, "test": 0});
    let mut export = an_export(json!({"format": "cvat", "split": split, "name": "Mine"}), &[project]);

    let file = String::from_utf8(written(&mut export, &pages)).unwrap();

    let confidence = |confidence: &str| format!("<attribute name=\"confidence\">{confidence}</attribute>");
    for part in [
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><annotations><version>1.1</version>\n<meta><task><name>Mine</name>\n<size>2</size>",
        "<label><name>&lt;cat&gt; &amp; &quot;dog&quot;</name>",
        "<image id=\"0\" name=\"a&#10;&apos;b.jpg\" subset=\"train\" width=\"100\" height=\"50\">",
        "<box xtl=\"1.5\" ytl=\"2\" xbr=\"31.5\" ybr=\"42\" label=\"&lt;cat&gt; &amp; &quot;dog&quot;\" source=\"manual\" occluded=\"0\" z_order=\"0\">",
        &format!(
            "{}<attribute name=\"pose\">a\tb</attribute><attribute name=\"wet\">true</attribute></box>",
            confidence("0.5")
        ),
        "<polygon points=\"1,2.5;3,4;5,6\" label=\"x\"",
        "<mask rle=\"0, 3, 1\" left=\"10\" top=\"20\" width=\"2\" height=\"2\" label=\"x\"",
        &format!("<tag label=\"x\" source=\"manual\">{}</tag>\n</image>\n</annotations>\n", confidence("1")),
    ] {
        assert!(file.contains(part), "{part}\n{file}");
    }
    let left_out: Vec<_> = export.left_out.iter().map(|left| (left.kind.as_str(), left.count)).collect();
    assert_eq!(left_out, [("classification", 1), ("item", 1)]);
}

#[test]
fn a_line_of_a_manifest_about_whole_pictures_has_no_boxes() {
    let project = a_project("Cats", &["day"]);
    let day = json!({"type": "classification", "label": "day", "confidence": 0.75});
    let mut export = an_export(json!({"format": "sagemaker_manifest"}), std::slice::from_ref(&project));

    let line = written(&mut export, &[vec![accepted(&project, "a", json!([day]))]]);

    let line: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&line["classification"], line.get("bounding-box")), (&json!([0]), None));
}

#[test]
fn tasks_of_label_studio_have_results_as_annotations_and_drafts_as_predictions() {
    let project = a_project("Cats", &["cat", "day"]);
    let whole = |label: &str| json!({"type": "classification", "label": label, "confidence": 0.75});
    let polygon = json!({"type": "polygon", "label": "cat", "confidence": 1.0, "points": [[10.0, 10.0], [30.0, 10.0], [30.0, 20.0]]});
    let line = json!({"type": "polyline", "label": "cat", "confidence": 1.0, "points": [[1.0, 1.0], [2.0, 2.0]]});
    let mut export = an_export(
        json!({"format": "label_studio", "statuses": ["accepted", "draft", "none"]}),
        std::slice::from_ref(&project),
    );
    let pages = [
        vec![accepted(&project, "a b.jpg", json!([a_box("cat", 0.5), whole("day"), polygon, whole("dry"), line]))],
        vec![
            labeled(an_item(&project, "b.jpg"), ResultStatus::Draft, json!([a_box("cat", 0.5), a_box("cat", 1.0)])),
            an_item(&project, "c.jpg"),
        ],
    ];

    let tasks: Vec<Value> = serde_json::from_slice(&written(&mut export, &pages)).unwrap();

    let item = &pages[0][0];
    let region = |id: &str, control: &str, value: Value, score: f64| {
        json!({
            "id": id, "from_name": control, "to_name": "image", "type": format!("{control}labels"), "original_width": 100,
            "original_height": 50, "image_rotation": 0, "value": value, "score": score,
        })
    };
    let rectangle =
        json!({"x": 1.5, "y": 4.0, "width": 30.0, "height": 80.0, "rotation": 0, "rectanglelabels": ["cat"]});
    let outline =
        json!({"points": [[10.0, 20.0], [30.0, 20.0], [30.0, 40.0]], "closed": true, "polygonlabels": ["cat"]});
    let choices = json!({"id": "1-ac", "from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": ["day", "dry"]}});
    let regions =
        [region("1-a0", "rectangle", rectangle.clone(), 0.5), region("1-a2", "polygon", outline, 1.0), choices];
    let image = format!("s3://bucket/{}", Item::object_key(project.uid, "a b.jpg"));
    assert_eq!(
        tasks[0],
        json!({
            "id": 1, "data": {"image": image, "key": "a b.jpg", "width": 100, "height": 50},
            "meta": {"item": item.asset.uid, "project": project.uid, "status": "accepted"},
            "annotations": [{
                "id": 1, "result": regions, "was_cancelled": false, "ground_truth": false, "created_at": at(3), "updated_at": at(3),
            }],
            "predictions": [],
        })
    );
    let drafted = &tasks[1]["predictions"][0];
    assert_eq!((&drafted["score"], &drafted["model_version"]), (&json!(0.75), &json!("by-hand")));
    assert_eq!(drafted["result"][0], region("2-p0", "rectangle", rectangle, 0.5));
    assert_eq!(
        (&tasks[1]["annotations"], &tasks[2]["annotations"], &tasks[2]["predictions"]),
        (&json!([]), &json!([]), &json!([]))
    );
    assert_eq!(
        json!(export.left_out),
        json!([{"type": "polyline", "count": 1, "reason": "Label Studio has no open lines."}])
    );
}

#[test]
fn a_mask_in_label_studio_is_a_brush_row_by_row() {
    let project = a_project("Cats", &["cat"]);
    let counts = rle::encode([148, 5, 4_847]); // column 2: rows 48 and 49; column 3: rows 0 to 2
    let mask = json!({"type": "segmentation_mask", "label": "cat", "confidence": 1.0, "mask": {"format": "coco_rle", "size": [50, 100], "counts": counts}});
    let mut export = an_export(json!({"format": "label_studio"}), std::slice::from_ref(&project));

    let tasks: Vec<Value> =
        serde_json::from_slice(&written(&mut export, &[vec![accepted(&project, "a", json!([mask]))]])).unwrap();

    let region = &tasks[0]["annotations"][0]["result"][0];
    let head: Vec<u64> = serde_json::from_value(region["value"]["rle"].clone()).unwrap();
    assert_eq!((&region["type"], &region["value"]["format"]), (&json!("brushlabels"), &json!("rle")));
    assert_eq!(head[..4], [0, 0, 78, 32]); // 100 times 50 pixels of four values
}

#[test]
fn coco_has_polygons_and_masks_with_their_box_and_area() {
    let project = a_project("Cats", &["cat"]);
    let polygon = json!({"type": "polygon", "label": "cat", "confidence": 1.0, "points": [[10.0, 10.0], [30.0, 10.0], [30.0, 20.0]]});
    // Columns 2 and 3 of 50 pixels: rows 48 and 49 of the first, 0 to 2 of the second.
    let counts = rle::encode([148, 5, 4_847]);
    let mask = json!({"type": "segmentation_mask", "label": "cat", "confidence": 1.0, "mask": {"format": "coco_rle", "size": [50, 100], "counts": counts}});
    let mut export = an_export(json!({"format": "coco"}), std::slice::from_ref(&project));

    let file = coco(&mut export, &[vec![accepted(&project, "a", json!([polygon, mask]))]]);

    let of = |n: usize| {
        (&file["annotations"][n]["bbox"], &file["annotations"][n]["area"], &file["annotations"][n]["segmentation"])
    };
    assert_eq!(
        of(0),
        (&json!([10.0, 10.0, 20.0, 10.0]), &json!(100.0), &json!([[10.0, 10.0, 30.0, 10.0, 30.0, 20.0]]))
    );
    assert_eq!(of(1), (&json!([2.0, 0.0, 2.0, 50.0]), &json!(5.0), &json!({"size": [50, 100], "counts": counts})));
}

#[test]
fn what_coco_cannot_hold_is_counted_with_its_reason() {
    let project = a_project("Cats", &[]);
    let line = json!({"type": "polyline", "label": "lane", "confidence": 1.0, "points": [[1.0, 1.0], [2.0, 2.0]]});
    let whole = json!({"type": "classification", "label": "rain", "confidence": 1.0});
    let unsized_item = || {
        let mut item = accepted(&project, "b", json!([a_box("cat", 1.0)]));
        item.asset.size = None;
        item
    };
    let mut cloud = accepted(&project, "c", json!([]));
    (cloud.asset.kind, cloud.asset.size) = (AssetType::PointCloud, None);
    let pages = [vec![accepted(&project, "a", json!([line, line, whole])), unsized_item(), cloud]];
    let mut export = an_export(json!({"format": "coco"}), std::slice::from_ref(&project));

    let file = coco(&mut export, &pages);

    assert_eq!((file["images"].as_array().unwrap().len(), export.total, export.done), (1, 3, 3));
    let left_out: Vec<_> = export.left_out.iter().map(|l| (l.kind.as_str(), l.count, l.reason.as_str())).collect();
    assert_eq!(
        left_out,
        [
            ("polyline", 2, "COCO has no open lines."),
            ("classification", 1, "COCO has no labels of whole pictures."),
            ("item", 1, "The size of its picture is not known yet."),
            ("bounding_box", 1, "The size of its picture is not known yet."),
            ("item", 1, "COCO has pictures alone."),
        ]
    );
}

#[test]
fn several_projects_are_joined_under_their_names() {
    let (cats, dogs) = (a_project("Cats", &["cat", "both"]), a_project("Dogs", &["both", "dog"]));
    let export = an_export(json!({}), &[cats, dogs]);

    assert_eq!(export.classes, ["cat", "both", "dog"]);
    assert_eq!((export.sources[1].name_of("1.jpg").as_str(), export.project()), ("Dogs/1.jpg", None));
}

#[test]
fn no_two_items_of_joined_projects_have_one_name_and_none_leads_out_of_the_folder() {
    let hidden = a_project("Cats", &[]);
    let names = ["Cats", "Dogs", "a", "a/b", ".", "..", &hidden.uid.to_string()];
    let mut projects: Vec<Project> = names.into_iter().map(|name| a_project(name, &[])).collect();
    projects.push(hidden);

    let export = an_export(json!({}), &projects);

    let prefixes: Vec<String> = export.sources.iter().map(|source| source.prefix.clone().unwrap()).collect();
    let uid = |n: usize| projects[n].uid.to_string();
    let expected = [uid(0), "Dogs".into(), "a".into(), uid(3), uid(4), uid(5), uid(6), uid(7)];
    assert_eq!(prefixes, expected);
}

#[test]
fn an_item_has_its_part_in_an_export_of_several_projects_too() {
    let (cats, dogs) = (a_project("Cats", &[]), a_project("Dogs", &[]));
    let split = json!({"split": {"train": 0.5, "val": 0.25, "test": 0.25}});
    let items: Vec<Item> = (0..50).map(|n| accepted(&cats, &format!("{n}.jpg"), json!([]))).collect();
    let parts = |projects: &[Project]| {
        let lines = lines(&mut an_export(split.clone(), projects), std::slice::from_ref(&items));
        lines.into_iter().map(|line| line["split"].clone()).collect::<Vec<_>>()
    };

    assert_eq!(parts(&[cats.clone(), dogs]), parts(std::slice::from_ref(&cats)));
}

#[test]
fn a_correction_has_its_draft_and_the_origins_of_what_is_written() {
    let project = a_project("Cats", &["cat", "dog"]);
    let lineage = Lineage { job: JobUid::at(at(7)), provider: None, model_type: None, confidence_threshold: 0.35 };
    let drafted = json!([a_box("dog", 0.9), a_box("cat", 0.5)]);
    let mut item = labeled(an_item(&project, "a"), ResultStatus::Draft, drafted.clone());
    let draft = LabelResult { source: ResultSource::AutoLabel, lineage: Some(lineage), ..item.result.take().unwrap() };
    let corrected: Vec<Prediction> = serde_json::from_value(json!([a_box("dog", 1.0), a_box("cat", 1.0)])).unwrap();
    let corrected = Corrected { annotations: corrected, draft_indexes: Some(vec![None, Some(1)]) };
    item.result = draft.reviewed(Verdict::Correct(corrected), "ada", at(8)).unwrap();
    let line = |options: Value, item: &Item| {
        let mut export = an_export(options, std::slice::from_ref(&project));
        lines(&mut export, &[vec![item.clone()]]).remove(0)
    };
    let of = |line: &Value| (line["origins"].clone(), line["draft_indexes"].clone(), line["draft"].clone());

    let whole = line(json!({}), &item);
    assert_eq!(of(&whole), (json!(["added", "kept"]), json!([null, 1]), drafted.clone()));
    let narrowed = line(json!({"labels": ["cat"]}), &item);
    assert_eq!(of(&narrowed), (json!(["kept"]), json!([1]), drafted));

    // A draft that was accepted as it is, and what a person gave by hand, have none.
    let accepted_draft = Item { result: draft.reviewed(Verdict::Accept, "ada", at(8)).unwrap(), ..item };
    for item in [accepted_draft, accepted(&project, "b", json!([a_box("cat", 1.0)]))] {
        let line = line(json!({}), &item);
        assert!(["origins", "draft_indexes", "draft"].iter().all(|name| line.get(name).is_none()), "{line}");
    }
}

#[test]
fn pages_of_all_projects_are_passed_and_then_comes_the_next_phase() {
    let export = an_export(json!({}), &[a_project("Cats", &[]), a_project("Dogs", &[])]);
    let mut work = Work::default();

    let passed: Vec<bool> =
        ["x", "", "", "", ""].map(|next| work.pass_page(&export, (!next.is_empty()).then(|| next.to_owned()))).to_vec();
    assert_eq!((passed, work.phase, work.source), (vec![false, false, true, false, true], Phase::Join, 0));
}

#[test]
fn a_deleted_or_expired_export_is_missing() {
    let export = an_export(json!({}), &[a_project("Cats", &[])]);
    assert!(export.clone().shown(at(8_999)).is_ok());
    assert!(matches!(export.clone().shown(at(9_000)), Err(Error::NotFound(_))));
    assert!(matches!(Export { deleted: true, ..export }.shown(at(5)), Err(Error::NotFound(_))));
}

#[test]
fn a_person_alone_is_the_source_of_a_result_by_hand() {
    let item = accepted(&a_project("Cats", &[]), "a", json!([]));
    assert_eq!(item.result.unwrap().source, ResultSource::Human);
}

/// The entries of a zip, as its directory names them.
fn unzipped(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number =
        |at: usize, bytes: usize| zip[at..at + bytes].iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let end = zip.len() - 22;
    assert_eq!(number(end, 4), 0x0605_4b50);
    let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
    let mut entries = Vec::new();
    for _ in 0..count {
        assert_eq!(number(at, 4), 0x0201_4b50);
        let (name, header) = (number(at + 28, 2), number(at + 42, 4));
        let text = String::from_utf8(zip[at + 46..at + 46 + name].to_vec()).unwrap();
        assert_eq!((number(header, 4), &zip[header + 30..header + 30 + name]), (0x0403_4b50, text.as_bytes()));
        let begin = header + 30 + name;
        let mut bytes = zip[begin..begin + number(at + 20, 4)].to_vec();
        if number(at + 10, 2) == 8 {
            let mut whole = Vec::new();
            DeflateDecoder::new(bytes.as_slice()).read_to_end(&mut whole).unwrap();
            bytes = whole;
        }
        assert_eq!((bytes.len(), crc32fast::hash(&bytes) as usize), (number(at + 24, 4), number(at + 16, 4)));
        entries.push((text, bytes));
        at += 46 + name;
    }
    assert_eq!(at, end);
    entries
}

fn texts(export: &mut Export, pages: &[Vec<Item>]) -> Vec<(String, String)> {
    let entries = unzipped(&written(export, pages)).into_iter();
    entries.map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect()
}

fn text_of(entries: &[(String, String)], name: &str) -> String {
    entries.iter().find(|entry| entry.0 == name).unwrap_or_else(|| panic!("no {name}")).1.clone()
}

#[test]
fn a_data_set_has_a_file_of_labels_for_each_picture_and_the_classes_in_order() {
    let project = a_project("Cats", &["unused", "cat \"😀\""]);
    let polygon = json!({"type": "polygon", "label": "dog", "confidence": 1.0, "points": [[0.0, 0.0], [50.0, 0.0], [50.0, 25.0]]});
    let line = json!({"type": "polyline", "label": "dog", "confidence": 1.0, "points": [[1.0, 1.0], [2.0, 2.0]]});
    let pages = [
        vec![
            accepted(&project, "a/1.jpg", json!([a_box("cat \"😀\"", 1.0), polygon, line])),
            accepted(&project, "b/1.jpg", json!([])),
        ],
        vec![accepted(&project, "b/1.png", json!([]))],
    ];
    let mut export = an_export(json!({"format": "yolo"}), &[project]);
    let entries = texts(&mut export, &pages);

    let names: Vec<&str> = entries.iter().map(|entry| entry.0.as_str()).collect();
    let labels = ["labels/train/a/1.txt", "labels/train/b/1.txt", "labels/train/b/1~png.txt"];
    assert_eq!(names, [&labels[..], &["data.yaml", "images.jsonl"]].concat());
    assert_eq!(text_of(&entries, labels[0]), "1 0.165 0.44 0.3 0.8\n2 0.25 0.25 0.5 0.5\n");
    assert_eq!(text_of(&entries, labels[1]), "");
    assert_eq!(
        text_of(&entries, "data.yaml"),
        "train: images/train\nval: images/train\n\nnc: 3\nnames:\n  0: \"unused\"\n  1: \"cat \\\"\\U0001F600\\\"\"\n  2: \"dog\"\n"
    );
    let list = text_of(&entries, "images.jsonl");
    let lines: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines.len(), &lines[2]["image"], &lines[2]["key"]),
        (3, &json!("images/train/b/1~png.png"), &json!("b/1.png"))
    );
    assert_eq!(json!(export.left_out), json!([{"type": "polyline", "count": 1, "reason": "YOLO has no open lines."}]));
}

#[test]
fn segments_are_the_points_the_corners_of_boxes_and_the_outlines_of_masks() {
    let project = a_project("Cats", &["cat"]);
    let polygon = json!({"type": "polygon", "label": "cat", "confidence": 1.0, "points": [[0.0, 0.0], [50.0, 0.0], [50.0, 25.0]]});
    // The second and third row of the second column.
    let counts = rle::encode([51, 2, 100 * 50 - 53]);
    let mask = json!({"type": "segmentation_mask", "label": "cat", "confidence": 1.0, "mask": {"format": "coco_rle", "size": [50, 100], "counts": counts}});
    let pages = [vec![accepted(&project, "a.jpg", json!([a_box("cat", 1.0), polygon, mask]))]];
    let mut export = an_export(json!({"format": "yolo", "task": "segment"}), std::slice::from_ref(&project));

    let rows = text_of(&texts(&mut export, &pages), "labels/train/a.txt");
    assert_eq!(
        rows.lines().collect::<Vec<_>>(),
        [
            "0 0.015 0.04 0.315 0.04 0.315 0.84 0.015 0.84",
            "0 0 0 0.5 0 0.5 0.5",
            "0 0.01 0.06 0.01 0.02 0.02 0.02 0.02 0.06"
        ]
    );

    let mut export = an_export(json!({"format": "ultralytics_ndjson", "task": "segment"}), &[project]);
    let file = String::from_utf8(written(&mut export, &pages)).unwrap();
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["task"], &lines[0]["class_names"]), (&json!("segment"), &json!({"0": "cat"})));
    assert_eq!((&lines[1]["split"], &lines[1]["file"]), (&json!("train"), &json!("a.jpg")));
    assert_eq!(lines[1]["annotations"]["segments"][1], json!([0, 0.0, 0.0, 0.5, 0.0, 0.5, 0.5]));
}

#[test]
fn a_data_set_names_the_parts_that_have_a_picture() {
    let project = a_project("Cats", &[]);
    for (split, begins) in [
        (json!({"train": 1.0}), "train: images/train\nval: images/train\n\n"),
        (json!({"val": 1.0}), "train: images/val\nval: images/val\n\n"),
        (json!({"test": 1.0}), "train: images/test\nval: images/test\ntest: images/test\n\n"),
    ] {
        let pages = [vec![accepted(&project, "a.jpg", json!([]))]];
        let mut export = an_export(json!({"format": "yolo", "split": split}), std::slice::from_ref(&project));
        let data = text_of(&texts(&mut export, &pages), "data.yaml");
        assert!(data.starts_with(begins) && data.ends_with("nc: 0\nnames: {}\n"), "{data}");
    }
}

proptest! {
    #[test]
    fn a_digest_goes_on_where_it_was_stored(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6)) {
        let mut digest = RunningDigest::default();
        for piece in &pieces {
            digest.update(piece);
            digest = serde_json::from_str(&serde_json::to_string(&digest).unwrap()).unwrap();
        }
        prop_assert_eq!(digest.hex(), hex::encode(Sha256::digest(pieces.concat())));
    }

    #[test]
    fn an_item_is_in_the_same_part_each_time_and_empty_parts_stay_empty(key in ".{0,30}", train in 0u32..=10, val in 0u32..=10) {
        let val = val.min(10 - train);
        let share = |tenths: u32| f64::from(tenths) / 10.0;
        let shares = Shares { train: share(train), val: share(val), test: share(10 - train - val) };
        prop_assert!(shares.add_up());
        let part = shares.part_of(&key);
        prop_assert_eq!(part, shares.part_of(&key));
        let of = match part { Split::Train => shares.train, Split::Val => shares.val, Split::Test => shares.test };
        prop_assert!(of > 0.0);
    }

    #[test]
    fn the_box_and_area_of_a_mask_are_those_of_its_pixels(height in 1u32..12, columns in prop::collection::vec(any::<u16>(), 1..8)) {
        let width = columns.len() as u32;
        let pixels: Vec<bool> = columns.iter().flat_map(|bits| (0..height).map(move |y| bits >> (y % 16) & 1 == 1)).collect();
        prop_assume!(pixels.contains(&true));
        let mut runs = vec![0u64];
        let mut value = false;
        for pixel in &pixels {
            if *pixel != value { runs.push(0); value = *pixel; }
            *runs.last_mut().unwrap() += 1;
        }
        let project = a_project("Cats", &[]);
        let mask = json!({"type": "segmentation_mask", "label": "cat", "confidence": 1.0,
            "mask": {"format": "coco_rle", "size": [height, width], "counts": rle::encode(runs)}});
        let file = coco(&mut an_export(json!({"format": "coco"}), std::slice::from_ref(&project)), &[vec![accepted(&project, "a", json!([mask]))]]);

        let marked: Vec<(u32, u32)> = (0..width).flat_map(|x| (0..height).map(move |y| (x, y)))
            .filter(|(x, y)| pixels[(x * height + y) as usize]).collect();
        let (left, right) = (marked.iter().map(|p| p.0).min().unwrap(), marked.iter().map(|p| p.0).max().unwrap());
        let (top, bottom) = (marked.iter().map(|p| p.1).min().unwrap(), marked.iter().map(|p| p.1).max().unwrap());
        let bbox = [left, top, right - left + 1, bottom - top + 1].map(f64::from);
        prop_assert_eq!(&file["annotations"][0]["bbox"], &json!(bbox));
        prop_assert_eq!(&file["annotations"][0]["area"], &json!(marked.len() as f64));
    }
}

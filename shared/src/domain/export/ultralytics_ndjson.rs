//! The format `ultralytics_ndjson`: a line for the data set, then a line for each picture (Ultralytics, "Ultralytics NDJSON format").

use std::collections::BTreeMap;

use serde::Serialize;

use super::ExportTask;
use super::format::Writing;
use super::sagemaker_manifest::source_ref;
use super::selection::{Selected, Split};
use super::yolo::NO_PICTURE;
use super::yolo::names::flat;
use super::yolo::rows::{Row, rows};
use crate::domain::item::Source;
use crate::domain::prediction::size::Size;
use crate::domain::{Error, Timestamp, packed};

#[derive(Serialize)]
struct DataSet<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    task: ExportTask,
    name: &'a str,
    description: &'static str,
    /// By number, from 0.
    class_names: BTreeMap<usize, &'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Picture<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    file: String,
    /// Of a picture on the web. Ultralytics downloads by HTTP alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// An addition: the URI of a picture in S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    s3: Option<String>,
    width: u32,
    height: u32,
    split: Split,
    annotations: Rows,
    /// An addition: the item's key, since `file` is a name without folders.
    key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Rows {
    /// Class, centre, width and height.
    Boxes(Vec<Vec<serde_json::Number>>),
    /// Class and points.
    Segments(Vec<Vec<serde_json::Number>>),
}

/// The first line.
pub(super) fn begin(writing: &mut Writing<'_>) -> Result<(), Error> {
    let export = writing.export;
    let line = DataSet {
        kind: "dataset",
        task: export.options.task(),
        name: export.name.as_deref().unwrap_or("Autolabel export"),
        description: "Labels of an Autolabel export",
        class_names: writing.classes.names().iter().map(String::as_str).enumerate().collect(),
        created_at: export.created_at,
        updated_at: export.created_at,
    };
    packed::write_line(&mut writing.pieces.file, &line)
}

/// Writes items.
pub(super) fn write(items: &[Selected<'_>], writing: &mut Writing<'_>) -> Result<(), Error> {
    for selected in items {
        match selected.picture(NO_PICTURE) {
            Ok(size) => write_one(selected, size, writing)?,
            Err(why) => writing.leave_out(selected, why),
        }
    }
    Ok(())
}

fn write_one(selected: &Selected<'_>, Size { width, height }: Size, writing: &mut Writing<'_>) -> Result<(), Error> {
    let rows = rows(selected, Size { width, height }, writing).into_iter().map(numbers).collect();
    let annotations = match writing.export.options.task() {
        ExportTask::Detect => Rows::Boxes(rows),
        ExportTask::Segment => Rows::Segments(rows),
    };
    let source = &selected.item.asset.source;
    let (is_web, address) = (matches!(source, Source::Url(_)), Some(source_ref(source, writing.bucket)));
    let line = Picture {
        kind: "image",
        file: flat(&selected.name, writing.data_set.usual()),
        url: address.clone().filter(|_| is_web),
        s3: address.filter(|_| !is_web),
        width,
        height,
        split: selected.split.unwrap_or(Split::Train), // a data set without any is refused
        annotations,
        key: &selected.name,
    };
    packed::write_line(&mut writing.pieces.file, &line)
}

/// A row as numbers of JSON: the class is a whole one.
fn numbers((class, values): Row) -> Vec<serde_json::Number> {
    let values = values.into_iter().filter_map(serde_json::Number::from_f64);
    std::iter::once(serde_json::Number::from(class)).chain(values).collect()
}

//! The format `jsonl`: a line for each item, with everything that is known of it.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::format::Writing;
use super::selection::{Selected, SelectedStatus, Split};
use crate::domain::id::{ItemUid, JobUid, ProjectUid, ProviderUid, ResultUid};
use crate::domain::item::origin::Origin;
use crate::domain::item::result::{LabelResult, ResultSource};
use crate::domain::item::{AssetType, Source};
use crate::domain::prediction::Prediction;
use crate::domain::prediction::model_type::ModelType;
use crate::domain::{Error, Timestamp, packed};

/// A line. The annotations are in the format of the API (contract, 10.3), in the frame of the upright picture.
#[derive(Serialize)]
struct Line<'a> {
    item: ItemUid,
    project: ProjectUid,
    key: &'a str,
    asset_type: AssetType,
    width: Option<u32>,
    height: Option<u32>,
    /// Of an item that has one of its own, not percent-encoded if it is in S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    status: SelectedStatus,
    annotations: &'a [&'a Prediction],
    result: Option<ResultUid>,
    source: Option<ResultSource>,
    created_by: Option<&'a str>,
    reviewed_by: Option<&'a str>,
    job: Option<JobUid>,
    provider: Option<ProviderUid>,
    model_type: Option<ModelType>,
    confidence_threshold: Option<f64>,
    file_version: Option<&'a str>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    /// Of a correction these three: what a person did with each of the annotations, where it is in the draft, and the draft.
    #[serde(skip_serializing_if = "Option::is_none")]
    origins: Option<&'a [Origin]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft_indexes: Option<&'a [Option<u32>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft: Option<&'a [Prediction]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
}

impl<'a> Line<'a> {
    fn of(selected: &'a Selected<'a>) -> Self {
        let item = selected.item;
        let result: Option<&LabelResult> = item.result.as_ref();
        let lineage = result.and_then(|result| result.lineage.as_ref());
        let correction = selected.correction.as_ref();
        Self {
            item: item.asset.uid,
            project: item.project,
            key: &selected.name,
            asset_type: item.asset.kind,
            width: item.asset.size.map(|size| size.width),
            height: item.asset.size.map(|size| size.height),
            url: url_of(&item.asset.source),
            status: selected.status,
            annotations: &selected.annotations,
            result: result.map(|result| result.uid(item.asset.uid)),
            source: result.map(|result| result.source),
            created_by: result.map(|result| result.created_by.as_str()),
            reviewed_by: result.and_then(|result| result.reviewed_by.as_deref()),
            job: lineage.map(|lineage| lineage.job),
            provider: lineage.and_then(|lineage| lineage.provider),
            model_type: lineage.and_then(|lineage| lineage.model_type),
            confidence_threshold: lineage.map(|lineage| lineage.confidence_threshold),
            file_version: item.file.as_ref().map(|version| version.etag.as_str()),
            created_at: result.map(|result| result.created_at),
            updated_at: result.map(|result| result.updated_at),
            origins: correction.map(|correction| correction.origins.as_slice()),
            draft_indexes: correction.map(|correction| correction.indexes.as_slice()),
            draft: correction.map(|correction| correction.draft),
            split: selected.split,
        }
    }
}

/// The URL of an item that is not in the system's own bucket.
pub(super) fn url_of(source: &Source) -> Option<String> {
    match source {
        Source::Bucket(_) => None,
        Source::S3(object) => Some(format!("s3://{}/{}", object.bucket, object.key)),
        Source::Url(url) => Some(url.clone()),
    }
}

/// Writes items.
pub(super) fn write(items: &[Selected<'_>], writing: &mut Writing<'_>) -> Result<(), Error> {
    writing.pieces.file = member(items)?;
    Ok(())
}

/// A file without items is a gzip file, too.
pub(super) fn end(writing: &mut Writing<'_>) -> Result<(), Error> {
    if writing.at == 0 { write(&[], writing) } else { Ok(()) }
}

/// Lines, as a member of a gzip file: members that follow each other are one file (RFC 1952, 2.2).
fn member(items: &[Selected<'_>]) -> Result<Vec<u8>, Error> {
    let mut lines = GzEncoder::new(Vec::new(), Compression::default());
    for selected in items {
        packed::write_line(&mut lines, &Line::of(selected))?;
    }
    lines.finish().map_err(Error::internal)
}

//! The body of a call that creates an import.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Counts, Import, ImportAs, ImportFormat, ImportStatus, Work};
use crate::domain::fields::{self, Fields};
use crate::domain::id::{ImportUid, OrganizationUid, ProjectUid};
use crate::domain::{Error, Timestamp, limits, show};

/// What is imported, and how.
#[derive(Debug, PartialEq, ToSchema)]
#[schema(example = json!({"format": "coco", "as": "accepted"}))]
pub struct NewImport {
    format: ImportFormat,
    #[schema(rename = "as")]
    becomes: ImportAs,
    /// `s3://bucket/key` in a bucket that the deployment reads for the organization. Without it the file is to be uploaded.
    #[schema(max_length = 2_048)]
    source: Option<String>,
    /// Adds labels to the project that it does not have. Otherwise an item with such a label is not taken.
    #[schema(value_type = Option<bool>, default = false)]
    add_labels: bool,
}

impl NewImport {
    /// Reads a request. `source` reads its `source`.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], source: impl FnOnce(&str) -> Result<(), String>) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let format = fields.required("format", format);
        let becomes = fields.required("as", becomes);
        let source = fields.optional("source", |value| {
            let url = fields::text(1, limits::URL_CHARS)(value)?;
            source(&url).map(|()| url)
        });
        let add_labels = fields.optional("add_labels", fields::boolean).unwrap_or_default();
        fields.finish()?;
        let missing = || Error::internal("a required field that is not there");
        let (format, becomes) = format.zip(becomes).ok_or_else(missing)?;
        Ok(Self { format, becomes, source, add_labels })
    }

    /// The import of these labels into a project.
    #[must_use]
    pub fn into_import(
        self,
        uid: ImportUid,
        (organization, project): (OrganizationUid, ProjectUid),
        created_by: &str,
        (now, valid_until): (Timestamp, Timestamp),
    ) -> Import {
        let Self { format, becomes, source, add_labels } = self;
        Import {
            uid,
            organization,
            project,
            format,
            becomes,
            add_labels,
            source,
            created_by: created_by.to_owned(),
            status: ImportStatus::Pending,
            counts: Counts::default(),
            reasons: Vec::new(),
            work: Work::default(),
            error_message: None,
            created_at: now,
            started_at: None,
            completed_at: None,
            updated_at: now,
            valid_until,
        }
    }
}

fn format(value: Value) -> Result<ImportFormat, String> {
    let wanted = || format!("one of {}", show::names(ImportFormat::ALL.map(ImportFormat::as_str)));
    ImportFormat::deserialize(&value).map_err(|_| fields::must_be(&wanted(), show::value(&value)))
}

fn becomes(value: Value) -> Result<ImportAs, String> {
    let wanted = || format!("one of {}", show::names(ImportAs::ALL.map(ImportAs::as_str)));
    ImportAs::deserialize(&value).map_err(|_| fields::must_be(&wanted(), show::value(&value)))
}

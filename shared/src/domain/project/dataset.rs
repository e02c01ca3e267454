//! Datasets: projects as the official clients make them, of whole folders of files (docs/decisions/0047).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Project;
use crate::domain::fields::{self, Fields};
use crate::domain::id::{OrganizationUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::{Error, Timestamp, limits, show};

/// Avala's words for what a dataset's files are, of those that become items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// Pictures.
    Image,
    /// Frames of videos, each a picture.
    Video,
    /// Point clouds.
    Lidar,
}

impl DataType {
    const ALL: [Self; 3] = [Self::Image, Self::Video, Self::Lidar];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Lidar => "lidar",
        }
    }
}

/// How far a dataset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Stage {
    /// Its files come.
    Uploading,
    /// Its files have come. Each of them is an item or a rejected upload up to this object's key.
    Indexing {
        /// No key: none is known to be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// All of them are.
    Created,
}

/// What a project has that was made as a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its name in paths. `None`: it is derived from name and uid, as that of other projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// What its owner says that its files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// How far it is.
    pub stage: Stage,
}

impl Dataset {
    /// Of a project to which a folder is uploaded.
    #[must_use]
    pub const fn uploading() -> Self {
        Self { slug: None, data_type: None, stage: Stage::Uploading }
    }

    /// Avala's word for its stage: `wait` of the official clients ends on `created`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self.stage {
            Stage::Uploading | Stage::Indexing { .. } => "creating",
            Stage::Created => "created",
        }
    }
}

/// What finds a dataset in its organization, beside its uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DatasetName {
    /// Its slug.
    Slug(String),
    /// The uid that a client gives to the upload of a folder.
    Batch(Uuid),
    /// The name under which a client without such a uid uploads.
    Upload(String),
}

/// A dataset to make.
// The body of a create call.
#[derive(ToSchema)]
#[schema(example = json!({"name": "Street scenes", "slug": "street-scenes", "data_type": "image"}))]
pub struct NewDataset {
    /// For people: also that of its project.
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// Letters, digits, `-` and `_`. No other dataset of the organization has it, and it does not end in a uid.
    #[schema(min_length = 1, max_length = 100)]
    pub slug: String,
    /// What its files are. What each file becomes is decided by its content.
    pub data_type: DataType,
    /// `private`: no other organization sees it.
    #[schema(value_type = Option<String>)]
    pub visibility: (),
    /// The slug of the key's organization.
    #[schema(value_type = Option<String>)]
    pub owner_name: (),
    /// The uid of the key's organization.
    #[schema(value_type = Option<OrganizationUid>)]
    pub organization_uid: (),
    /// Sizes of pictures are always read. `false` is named in `ignored_fields`.
    #[schema(value_type = Option<bool>)]
    pub create_metadata: (),
    /// Named in `ignored_fields`.
    #[schema(value_type = Option<serde_json::Map<String, Value>>)]
    pub metadata: (),
    /// Named in `ignored_fields`.
    #[schema(value_type = Option<u32>)]
    pub industry: (),
    /// Named in `ignored_fields`.
    #[schema(value_type = Option<u32>)]
    pub license: (),
    /// Named in `ignored_fields`.
    #[schema(value_type = Option<String>)]
    pub gpu_texture_format: (),
}

/// A dataset to make of files that were uploaded.
// The body of a create call.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "Street scenes", "slug": "street-scenes", "data_type": "image",
    "dataset_upload_uid": "5d0f6a8e-3c44-4c1e-9a2b-7f1d2e3c4b5a",
}))]
pub struct UploadedDataset {
    #[serde(flatten)]
    new: NewDataset,
    /// The uid that the calls for upload URLs had; without one, `name` is what they had as `dataset_name`.
    #[schema(value_type = Option<Uuid>)]
    dataset_upload_uid: Option<Uuid>,
}

/// What a create call asks for, and cannot have.
pub type Ignored = Vec<&'static str>;

impl NewDataset {
    /// Reads the body of a create call of this organization.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], organization: OrganizationUid) -> Result<(Self, Ignored), Error> {
        let mut fields = Fields::of_body(body)?;
        let read = Self::take(&mut fields, organization);
        for refused in ["provider_config", "organization_id"] {
            fields.optional(refused, |_| Err::<(), _>(NOT_HERE.into()));
        }
        fields.finish()?;
        Ok(read)
    }

    fn take(fields: &mut Fields, organization: OrganizationUid) -> (Self, Ignored) {
        let new = Self {
            name: fields.required("name", fields::text(1, limits::NAME_CHARS)).unwrap_or_default(),
            slug: fields.required("slug", slug).unwrap_or_default(),
            data_type: fields.required("data_type", data_type).unwrap_or(DataType::Image),
            visibility: fields.optional("visibility", private).unwrap_or_default(),
            owner_name: owner(fields, organization),
            organization_uid: own(fields, organization),
            create_metadata: (),
            metadata: (),
            industry: (),
            license: (),
            gpu_texture_format: (),
        };
        (new, ignored(fields))
    }
}

impl UploadedDataset {
    /// Reads the body of a create call of this organization: the dataset, what finds its upload, and what is ignored.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], organization: OrganizationUid) -> Result<(NewDataset, DatasetName, Ignored), Error> {
        let mut fields = Fields::of_body(body)?;
        let (new, ignored) = NewDataset::take(&mut fields, organization);
        let read = Self { new, dataset_upload_uid: fields.optional("dataset_upload_uid", batch) };
        fields.finish()?;
        let name = name_of_upload(read.dataset_upload_uid, &read.new.name);
        Ok((read.new, name, ignored))
    }
}

/// A file that a client is about to upload.
// The body of a call for an upload URL.
#[derive(ToSchema)]
#[schema(example = json!({
    "dataset_name": "Street scenes", "file_path_in_dataset": "street/1.jpg", "content_length": 48_213,
    "upload_protocol_version": 2, "dataset_upload_uid": "5d0f6a8e-3c44-4c1e-9a2b-7f1d2e3c4b5a",
}))]
pub struct NewFile {
    /// The name of the dataset to come.
    #[schema(min_length = 1, max_length = 255)]
    pub dataset_name: String,
    /// The item's key: a relative path of at most 900 bytes, without empty, `.` or `..` parts.
    #[schema(max_length = 900)]
    pub file_path_in_dataset: String,
    /// Bytes. No other length is accepted by the URL.
    #[schema(maximum = 2_147_483_648_u64)]
    pub content_length: u32,
    /// Any version: every one of them takes a form.
    #[schema(value_type = Option<u32>)]
    pub upload_protocol_version: (),
    /// The same for all files of a folder, made by the client.
    #[schema(value_type = Option<Uuid>)]
    dataset_upload_uid: Option<Uuid>,
    /// The uid of the key's organization.
    #[schema(value_type = Option<OrganizationUid>)]
    pub organization_uid: (),
}

/// Bytes of a file that becomes an item.
const FILE_BYTES: u32 = 2 * 1024 * 1024 * 1024;
const _: () = assert!(FILE_BYTES as u64 == limits::UPLOAD_BYTES);

impl NewFile {
    /// Reads the body of a call of this organization.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], organization: OrganizationUid) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let versions = fields::whole(1, u32::MAX);
        let file = Self {
            dataset_name: fields.required("dataset_name", fields::text(1, limits::NAME_CHARS)).unwrap_or_default(),
            file_path_in_dataset: fields.required("file_path_in_dataset", path).unwrap_or_default(),
            content_length: fields.required("content_length", fields::whole(0, FILE_BYTES)).unwrap_or_default(),
            upload_protocol_version: fields.optional("upload_protocol_version", versions).map_or((), |_| ()),
            dataset_upload_uid: fields.optional("dataset_upload_uid", batch),
            organization_uid: own(&mut fields, organization),
        };
        fields.finish()?;
        Ok(file)
    }

    /// What finds the dataset that the file is for.
    #[must_use]
    pub fn dataset(&self) -> DatasetName {
        name_of_upload(self.dataset_upload_uid, &self.dataset_name)
    }

    /// By its name, so that a browser shows what it downloads: the content decides what it becomes.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        let ending = self.file_path_in_dataset.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        let known = CONTENT_TYPES.iter().find(|(known, _)| Some(*known) == ending.as_deref());
        known.map_or("application/octet-stream", |(_, content_type)| content_type)
    }
}

/// The media types of files that become items, by the ending of a name. Those of point clouds have none that is registered.
pub const CONTENT_TYPES: [(&str, &str); 9] = [
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("bmp", "image/bmp"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("apng", "image/png"),
];

impl Project {
    /// A project that is made as a dataset.
    #[must_use]
    pub fn of_dataset(organization: OrganizationUid, name: &str, dataset: Dataset, now: Timestamp) -> Self {
        Self { dataset: Some(dataset), ..Self::new(organization, name.to_owned(), now) }
    }

    /// The project with what its owner says of it when all its files have come.
    #[must_use]
    pub fn uploaded(self, new: &NewDataset, now: Timestamp) -> Self {
        let stage = Stage::Indexing { until: None };
        let dataset = Dataset { slug: Some(new.slug.clone()), data_type: Some(new.data_type), stage };
        Self { name: new.name.clone(), dataset: Some(dataset), updated_at: now, ..self }
    }
}

const NOT_HERE: &str = "Cannot be had here: files are uploaded, and the key's organization owns them.";

fn name_of_upload(batch: Option<Uuid>, name: &str) -> DatasetName {
    batch.map_or_else(|| DatasetName::Upload(name.to_owned()), DatasetName::Batch)
}

fn slug(value: Value) -> Result<String, String> {
    let slug = fields::text(1, 100)(value)?;
    if !slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(fields::must_be("letters, digits, \"-\" and \"_\"", show::quoted(&slug)));
    }
    match ProjectUid::of_slug(&slug) {
        Ok(_) => Err("May not end in a uid: slugs of projects do.".into()),
        Err(_) => Ok(slug),
    }
}

fn data_type(value: Value) -> Result<DataType, String> {
    let names = show::names(DataType::ALL.map(DataType::as_str));
    DataType::deserialize(&value).map_err(|_| fields::must_be(&format!("one of {names}"), show::value(&value)))
}

fn private(value: Value) -> Result<(), String> {
    match value.as_str() {
        Some("private") => Ok(()),
        _ => Err(fields::must_be("\"private\"", show::value(&value))),
    }
}

fn owner(fields: &mut Fields, organization: OrganizationUid) {
    let is_own = |owner: String| OrganizationUid::named(&owner) == organization;
    let read = |value| match fields::text(1, limits::NAME_CHARS)(value) {
        Ok(owner) if is_own(owner.clone()) => Ok(()),
        Ok(owner) => Err(fields::must_be("the slug of the key's organization", show::quoted(&owner))),
        Err(complaint) => Err(complaint),
    };
    fields.optional("owner_name", read).unwrap_or_default();
}

fn own(fields: &mut Fields, organization: OrganizationUid) {
    let read = |value: Value| match value.as_str().map(Uuid::try_parse) {
        Some(Ok(uid)) if uid.to_string() == organization.to_string() => Ok(()),
        _ => Err(fields::must_be("the uid of the key's organization", show::value(&value))),
    };
    fields.optional("organization_uid", read).unwrap_or_default();
}

fn batch(value: Value) -> Result<Uuid, String> {
    let uid = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
    uid.ok_or_else(|| fields::must_be("a UUID", show::value(&value)))
}

fn path(value: Value) -> Result<String, String> {
    let Value::String(path) = value else { return Err(fields::must_be("a string", show::kind(&value))) };
    Item::check_key(&path)?;
    // S3 would put the name of the form's file there.
    if path.contains("${filename}") { Err("May not contain \"${filename}\".".into()) } else { Ok(path) }
}

/// Names what was sent and is not honoured.
fn ignored(fields: &mut Fields) -> Ignored {
    let mut ignored = Vec::new();
    if fields.optional("create_metadata", fields::boolean) == Some(false) {
        ignored.push("create_metadata");
    }
    let object = |value| fields::object(value).map(drop::<Map<String, Value>>);
    ignored.extend(fields.optional("metadata", object).map(|()| "metadata"));
    for number in ["industry", "license"] {
        ignored.extend(fields.optional(number, fields::whole(0, u32::MAX)).map(|_| number));
    }
    let texture = fields.optional("gpu_texture_format", fields::text(1, limits::NAME_CHARS));
    ignored.extend(texture.map(|_| "gpu_texture_format"));
    ignored
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn acme() -> OrganizationUid {
        OrganizationUid::named("acme")
    }

    fn complaint(body: &Value) -> String {
        NewDataset::read(body.to_string().as_bytes(), acme()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_the_official_client_sends_is_read_and_what_has_no_effect_is_named() {
        let body = json!({
            "name": "Cats", "slug": "my_cats-1", "data_type": "lidar", "visibility": "private", "create_metadata": true,
            "owner_name": "acme", "organization_uid": acme().to_string(), "metadata": {"a": 1}, "industry": 3,
        });
        let (new, ignored) = NewDataset::read(body.to_string().as_bytes(), acme()).unwrap();

        assert_eq!((new.name.as_str(), new.slug.as_str(), new.data_type), ("Cats", "my_cats-1", DataType::Lidar));
        assert_eq!(ignored, ["metadata", "industry"]);
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_name() {
        let good = json!({"name": "Cats", "slug": "cats", "data_type": "image"});
        let uid = ProjectUid::at(Timestamp::UNIX_EPOCH).simple();
        for (field, value, sentence) in [
            ("slug", json!(format!("cats-{uid}")), "slug: May not end in a uid"),
            ("slug", json!("a/b"), "slug: Must be letters, digits"),
            ("data_type", json!("mcap"), "data_type: Must be one of"),
            ("visibility", json!("public"), "visibility: Must be \"private\""),
            ("owner_name", json!("other"), "owner_name: Must be the slug"),
            ("organization_uid", json!(uid), "organization_uid: Must be the uid"),
            ("provider_config", json!({"provider": "s3"}), "provider_config: Cannot be had here"),
            ("colour", json!("red"), "colour: Unknown field"),
        ] {
            let mut body = good.clone();
            body[field] = value;
            let complaint = complaint(&body);
            assert!(complaint.starts_with(sentence), "{complaint}");
        }
    }

    #[test]
    fn a_path_is_an_items_key_and_a_batch_finds_the_dataset_before_its_name_does() {
        let file = |path: &str, batch: Option<&str>| {
            let body = json!({
                "dataset_name": "Cats", "file_path_in_dataset": path, "content_length": 7, "dataset_upload_uid": batch,
            });
            NewFile::read(body.to_string().as_bytes(), acme())
        };
        let batch = "5d0f6a8e-3c44-4c1e-9a2b-7f1d2e3c4b5a";

        assert_eq!(file("a/ü 1.JPG", None).unwrap().dataset(), DatasetName::Upload("Cats".into()));
        assert_eq!(file("a.png", Some(batch)).unwrap().dataset(), DatasetName::Batch(batch.parse().unwrap()));
        assert_eq!(file("a/ü 1.JPG", None).unwrap().content_type(), "image/jpeg");
        assert_eq!(file("a.pcd", None).unwrap().content_type(), "application/octet-stream");
        for bad in ["../a.jpg", "/a.jpg", "a//b", " a", "", "${filename}"] {
            assert!(file(bad, None).is_err(), "{bad}");
        }
        assert!(file("a", Some("b")).is_err());
    }
}

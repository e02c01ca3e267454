//! Items: the assets of a project.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::error::FieldError;
use super::fields::{self, Fields};
use super::id::{ItemUid, OrganizationUid, ProjectUid};
use super::result::LabelResult;
pub use super::source::Source;
use super::upload::FileVersion;
use super::{Error, Timestamp, limits};

/// What an item is (contract, 10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssetType {
    /// A picture.
    Image,
    /// A frame of a video.
    VideoFrame,
    /// A point cloud: it has no pixels.
    PointCloud,
}

/// Width and height, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Size {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// What a worker needs to know of an item: a line of the manifest, and the payload of the sparse index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The item.
    pub uid: ItemUid,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AssetType,
    /// `None` for point clouds, and for pictures that nobody has looked into yet.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Where it is.
    #[serde(flatten)]
    pub source: Source,
    /// How often its file was changed or deleted since there is the item: a draft is of the bytes that were there (I3).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changes: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(crate) const fn is_zero(changes: &u32) -> bool {
    *changes == 0
}

/// An item, with its result if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The tenant.
    pub organization: OrganizationUid,
    /// The project.
    pub project: ProjectUid,
    /// The client's name for it, unique in the project.
    pub key: String,
    /// What the model gets to see.
    pub asset: Asset,
    /// What S3 has told of its file; `None`: nothing yet, or it is not in a bucket that tells.
    pub file: Option<FileVersion>,
    /// Where items of one project are in order, with the uid.
    pub created_at: Timestamp,
    /// Draft, accepted, or nothing. A rejected one is history: only a question by its uid finds it here.
    pub result: Option<LabelResult>,
}

impl Item {
    /// Key of an uploaded item's object.
    #[must_use]
    pub fn object_key(project: ProjectUid, key: &str) -> String {
        format!("projects/{project}/{key}")
    }

    /// Whether an item may have this key, to the letter.
    ///
    /// # Errors
    /// A sentence.
    pub fn check_key(key: &str) -> Result<(), String> {
        if item_key(key.into())? == key { Ok(()) } else { Err("May not begin or end with a blank.".into()) }
    }

    /// Reads one entry of `items`. `source` reads its `url`.
    ///
    /// # Errors
    /// Every complaint, each naming its field.
    pub fn read(
        value: Value,
        owner: (OrganizationUid, ProjectUid),
        now: Timestamp,
        source: impl FnOnce(Value) -> Result<Source, String>,
    ) -> Result<Self, Error> {
        let Value::Object(values) = value else { return Err(Error::field(ENTRY, "Must be an object.")) };
        let (organization, project) = owner;
        let mut fields = Fields::of(String::new(), values);
        let key = fields.required("key", item_key).unwrap_or_default();
        let kind = fields.optional("asset_type", asset_type).unwrap_or(AssetType::Image);
        let source = fields.optional("url", source);
        let size = if kind == AssetType::PointCloud { None } else { size(&mut fields) };
        fields.finish()?;
        let source = source.unwrap_or_else(|| Source::Bucket(Self::object_key(project, &key)));
        let asset = Asset { uid: ItemUid::of(project, &key), kind, size, source, changes: 0 };
        Ok(Self { organization, project, key, asset, file: None, created_at: now, result: None })
    }

    /// Whether adding `again` is a repetition. What it does not say it does not contradict: a size may have been read
    /// from the file meanwhile.
    #[must_use]
    pub fn is_said_again_by(&self, again: &Self) -> bool {
        let (old, new) = (&self.asset, &again.asset);
        let same_file = old.source == new.source || old.source.parsed() == new.source.parsed();
        old.kind == new.kind && same_file && (new.size.is_none() || old.size == new.size)
    }
}

impl Asset {
    /// Whether its size is still to be read from the file.
    #[must_use]
    pub const fn wants_size(&self) -> bool {
        self.size.is_none() && !matches!(self.kind, AssetType::PointCloud)
    }

    /// What annotations are clipped to. A picture of unknown size is clipped to what a picture may be at most: cutting to
    /// a guess would lose a person's work. `None` for point clouds.
    #[must_use]
    pub fn bounds(&self) -> Option<Size> {
        let largest = Size { width: limits::PIXELS_PER_SIDE, height: limits::PIXELS_PER_SIDE };
        self.size.or_else(|| self.wants_size().then_some(largest))
    }
}

/// The field that an entry itself is named by.
const ENTRY: &str = "item";

/// A complaint about an entry, under the entry's place in the list.
#[must_use]
pub fn complaint_in_list(place: usize, FieldError { field, message }: FieldError) -> FieldError {
    let dot_field = if field == ENTRY { String::new() } else { format!(".{field}") };
    FieldError::new(format!("items[{place}]{dot_field}"), message)
}

/// Both, or neither.
fn size(fields: &mut Fields) -> Option<Size> {
    let pixels = || fields::whole(1, limits::PIXELS_PER_SIDE);
    let (with_width, with_height) = (fields.has("width"), fields.has("height"));
    let (width, height) = (fields.optional("width", pixels()), fields.optional("height", pixels()));
    for (this, name, other) in [(with_width, "width", with_height), (with_height, "height", with_width)] {
        if other && !this {
            fields.refuse(name, "Give both width and height, or neither.");
        }
    }
    width.zip(height).map(|(width, height)| Size { width, height })
}

fn asset_type(value: Value) -> Result<AssetType, String> {
    serde_json::from_value(value).map_err(|_| "Must be \"image\", \"video_frame\" or \"point_cloud\".".into())
}

/// A key is a relative path: it becomes part of an S3 key and of a signed URL.
fn item_key(value: Value) -> Result<String, String> {
    let key = fields::text(1, limits::ITEM_KEY_BYTES)(value)?;
    if key.len() > limits::ITEM_KEY_BYTES {
        return Err(format!("Must have at most {} bytes.", limits::ITEM_KEY_BYTES));
    }
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("Must be a relative path without empty, \".\" or \"..\" parts.".into());
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::source::S3Object;
    use super::*;

    fn read(value: Value) -> Result<Item, Error> {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let source = |url: Value| Ok(Source::Url(url.as_str().unwrap().to_owned()));
        let project = ProjectUid::parse("0192b1c0-0000-7000-8000-00000000000b").unwrap();
        Item::read(value, (OrganizationUid::named("acme"), project), now, source)
    }

    #[test]
    fn an_item_without_url_is_uploaded_to_the_bucket() {
        let item = read(json!({"key": "a/b.jpg", "width": 640, "height": 480})).unwrap();

        assert_eq!(item.asset.source, Source::Bucket(format!("projects/{}/a/b.jpg", item.project)));
    }

    #[test]
    fn keys_that_climb_are_refused() {
        for key in ["../x", "a//b", "/a", "a/", ".", "a/./b", ""] {
            let error = read(json!({"key": key, "width": 1, "height": 1})).unwrap_err();
            assert!(error.to_string().starts_with("key: "), "{key}: {error}");
        }
    }

    #[test]
    fn a_picture_has_its_size_or_wants_it_and_a_point_cloud_has_none() {
        assert!(read(json!({"key": "a"})).unwrap().asset.wants_size());
        assert!(!read(json!({"key": "a", "width": 1, "height": 1})).unwrap().asset.wants_size());
        let cloud = read(json!({"key": "a", "asset_type": "point_cloud", "width": 1})).unwrap().asset;
        assert!(cloud.size.is_none() && !cloud.wants_size() && cloud.bounds().is_none());
        for (half, other) in [("width", "height"), ("height", "width")] {
            let error = read(json!({"key": "a", half: 1, other: null})).unwrap_err();
            assert_eq!(error.to_string(), format!("{other}: Give both width and height, or neither."));
        }
    }

    #[test]
    fn a_picture_of_unknown_size_clips_nothing_that_a_picture_may_hold() {
        let side = limits::PIXELS_PER_SIDE;
        assert_eq!(read(json!({"key": "a"})).unwrap().asset.bounds(), Some(Size { width: side, height: side }));
        let known = read(json!({"key": "a", "width": 3, "height": 4})).unwrap().asset;
        assert_eq!(known.bounds(), known.size);
    }

    #[test]
    fn an_item_is_said_again_unless_another_file_or_size_is_named() {
        let stored = read(json!({"key": "a", "width": 3, "height": 4})).unwrap();

        for same in [json!({"key": "a", "width": 3, "height": 4}), json!({"key": "a"})] {
            assert!(stored.is_said_again_by(&read(same).unwrap()));
        }
        for other in [
            json!({"key": "a", "width": 4, "height": 4}),
            json!({"key": "a", "url": "https://x/y"}),
            json!({"key": "a", "asset_type": "video_frame"}),
        ] {
            assert!(!stored.is_said_again_by(&read(other).unwrap()));
        }
    }

    #[test]
    fn an_item_whose_url_was_kept_as_it_was_said_is_said_again_by_the_same() {
        let stored = read(json!({"key": "a", "url": "https://x/my file"})).unwrap();
        assert!(stored.is_said_again_by(&read(json!({"key": "a", "url": "https://x/my%20file"})).unwrap()));
        assert!(!stored.is_said_again_by(&read(json!({"key": "a", "url": "https://x/my%20files"})).unwrap()));
    }

    #[test]
    fn a_complaint_names_its_place_in_the_list() {
        let complain = |field: &str| complaint_in_list(3, FieldError::new(field, "No.")).field;

        assert_eq!(complain("width"), "items[3].width");
        let Err(Error::Validation(errors)) = read(json!("a")) else { panic!("a string is no item") };
        assert_eq!(complain(&errors[0].field), "items[3]");
    }

    proptest! {
        #[test]
        fn no_entry_breaks_the_reader(
            key in prop::option::of(".{0,30}"), kind in prop::option::of("image|video_frame|point_cloud|.{0,5}"),
            width in prop::option::of(any::<i64>()), height in prop::option::of(any::<f64>()), odd in any::<bool>(),
        ) {
            let value = if odd { json!([key, width]) } else { json!({"key": key, "asset_type": kind, "width": width, "height": height}) };
            match read(value) {
                Ok(item) => prop_assert_eq!(item.asset.uid, ItemUid::of(item.project, &item.key)),
                Err(Error::Validation(errors)) => prop_assert!(!errors.is_empty()),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }

    #[test]
    fn an_asset_survives_the_manifest() {
        for asset in [
            read(json!({"key": "a", "width": 1, "height": 2})).unwrap().asset,
            read(json!({"key": "b", "asset_type": "point_cloud", "url": "https://x/y"})).unwrap().asset,
            read(json!({"key": "c"})).unwrap().asset,
            Asset {
                source: Source::S3(S3Object { bucket: "b".into(), key: "k".into() }),
                changes: 7,
                ..read(json!({"key": "d", "width": 1, "height": 2})).unwrap().asset
            },
        ] {
            let line = serde_json::to_string(&asset).unwrap();
            assert_eq!(serde_json::from_str::<Asset>(&line).unwrap(), asset, "{line}");
        }
    }
}

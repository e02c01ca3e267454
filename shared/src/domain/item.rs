//! Items: the assets of a project.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{self, Fields};
use super::id::{ItemUid, OrganizationUid, ProjectUid};
use super::result::LabelResult;
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

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In the system's bucket, at this key: a signed URL is made right before each use.
    Bucket(String),
    /// Anywhere the model can read it.
    Url(String),
}

/// What a worker needs to know of an item: a line of the manifest, and the payload of the sparse index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The item.
    pub uid: ItemUid,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AssetType,
    /// `None` for point clouds.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Where it is.
    #[serde(flatten)]
    pub source: Source,
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

    /// Reads one entry of `items`.
    ///
    /// # Errors
    /// `Validation`; `path` leads every complaint.
    pub fn read(
        path: String,
        value: Value,
        organization: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let Value::Object(values) = value else {
            return Err(Error::field(path, "Must be an object."));
        };
        let mut fields = Fields::of(format!("{path}."), values);
        let key = fields.required("key", item_key).unwrap_or_default();
        let kind = fields.optional("asset_type", asset_type).unwrap_or(AssetType::Image);
        let url = fields.optional("url", asset_url);
        let size = if kind == AssetType::PointCloud {
            None
        } else {
            let width = fields.required("width", fields::whole(1, limits::PIXELS_PER_SIDE));
            let height = fields.required("height", fields::whole(1, limits::PIXELS_PER_SIDE));
            width.zip(height).map(|(width, height)| Size { width, height })
        };
        fields.finish()?;
        let source = url.map_or_else(|| Source::Bucket(Self::object_key(project, &key)), Source::Url);
        let asset = Asset { uid: ItemUid::of(project, &key), kind, size, source };
        Ok(Self { organization, project, key, asset, created_at: now, result: None })
    }
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

fn asset_url(value: Value) -> Result<String, String> {
    let url = fields::text(1, limits::URL_CHARS)(value)?;
    // Only the model fetches it. What it may reach is the model's affair; that it is a web address is ours.
    if url.starts_with("https://") && !url.contains(char::is_whitespace) {
        Ok(url)
    } else {
        Err("Must be an https:// URL.".into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Item, Error> {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        Item::read("items[0]".into(), value, OrganizationUid::named("acme"), ProjectUid::at(now), now)
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
            assert!(error.to_string().starts_with("items[0].key: "), "{key}: {error}");
        }
    }

    #[test]
    fn pictures_need_their_size_and_point_clouds_have_none() {
        assert!(read(json!({"key": "a"})).unwrap_err().to_string().contains("items[0].width: This field is required."));
        assert!(read(json!({"key": "a", "asset_type": "point_cloud"})).unwrap().asset.size.is_none());
    }

    #[test]
    fn an_asset_survives_the_manifest() {
        for asset in [
            read(json!({"key": "a", "width": 1, "height": 2})).unwrap().asset,
            read(json!({"key": "b", "asset_type": "point_cloud", "url": "https://x/y"})).unwrap().asset,
        ] {
            let line = serde_json::to_string(&asset).unwrap();
            assert_eq!(serde_json::from_str::<Asset>(&line).unwrap(), asset, "{line}");
        }
    }
}

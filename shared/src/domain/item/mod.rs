//! Items: the assets of a project.

pub mod content;
pub mod file_version;
pub mod head;
pub mod origin;
pub mod result;
pub mod review_queue;
pub mod source;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::error::FieldError;
use crate::domain::fields::{self, Fields};
use crate::domain::id::{ItemUid, OrganizationUid, ProjectUid, ResultUid};
use crate::domain::item::file_version::FileVersion;
use crate::domain::item::origin::{Corrected, Origins};
use crate::domain::item::result::{LabelResult, ResultSource, ResultStatus, Verdict};
use crate::domain::prediction::Prediction;
use crate::domain::prediction::orientation::Orientation;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::turn::Exif;
use crate::domain::{Error, Timestamp, limits, show};
pub use source::Source;

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

/// The part of an item that a worker needs: a line of the manifest, and the payload of the sparse index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The item.
    pub uid: ItemUid,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AssetType,
    /// `None` for point clouds, and for pictures whose files were not read yet.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Where the size comes from.
    #[serde(flatten)]
    pub origin: SizeOrigin,
    /// The file.
    #[serde(flatten)]
    pub source: Source,
    /// How often its file was changed or deleted since the item was added: a draft is of the bytes at its time (I3).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changes: u32,
}

/// Where an item's size comes from, and what else its file's head says. Short names: a draft pays for every byte of its item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeOrigin {
    /// The caller gave the size when the item was added, and no file changes it. Or the caller named it a point cloud, and a file
    /// of unknown content does not change that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given: bool,
    /// How the stored picture is turned to stand upright; `None`: the file was not read for it yet.
    #[serde(rename = "exif", default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Orientation>,
    /// The file's own size, upright, if it is another than the one that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<Size>,
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
    /// The part that workers and the model get.
    pub asset: Asset,
    /// The newest version that S3 has sent an event of; `None`: there was no event yet, or its bucket sends none.
    pub file: Option<FileVersion>,
    /// The order of a project's items, together with the uid.
    pub created_at: Timestamp,
    /// Results that it has had, the present one included.
    pub generation: u32,
    /// A draft, an accepted one, or none. A rejected one is history: only a read by its uid puts it here.
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
        let (organization, project) = owner;
        let NewItem { key, asset_type, url, width, height } = NewItem::read(value, source)?;
        let kind = asset_type.unwrap_or(AssetType::Image);
        let size = width.zip(height).map(|(width, height)| Size { width, height });
        let source = url.unwrap_or_else(|| Source::Bucket(Self::object_key(project, &key)));
        let origin = SizeOrigin { given: size.is_some() || !kind.has_pixels(), ..SizeOrigin::default() };
        let asset = Asset { uid: ItemUid::of(project, &key), kind, size, origin, source, changes: 0 };
        Ok(Self { organization, project, key, asset, file: None, created_at: now, generation: 0, result: None })
    }

    /// Whether adding `again` is a repetition. A field that it leaves out does not contradict: a size may have been read from the
    /// file meanwhile. Nor does its type contradict a file that was found to be a point cloud, or none: the file decides.
    #[must_use]
    pub fn is_repeated_by(&self, again: &Self) -> bool {
        let (old, new) = (&self.asset, &again.asset);
        let was_decided_by_file = self.file.is_some() && old.kind.has_pixels() != new.kind.has_pixels();
        let same_picture = old.kind == new.kind && (new.size.is_none() || old.size == new.size);
        let same_file = old.source == new.source || old.source.parsed() == new.source.parsed();
        same_file && (same_picture || was_decided_by_file)
    }

    /// Its result after a person's `verdict`. A rejected one says which bytes it was about. `None`: there is no result, or the verdict
    /// changes nothing.
    ///
    /// # Errors
    /// See [`LabelResult::reviewed`].
    pub fn reviewed(&self, verdict: Verdict, reviewer: &str, now: Timestamp) -> Result<Option<LabelResult>, Error> {
        let Some(result) = &self.result else { return Ok(None) };
        let reviewed = result.reviewed(verdict, reviewer, now)?;
        Ok(reviewed.map(|reviewed| match reviewed.status {
            ResultStatus::Rejected => LabelResult { file_changes: Some(self.asset.changes), ..reviewed },
            ResultStatus::Draft | ResultStatus::Accepted => reviewed,
        }))
    }

    /// The verdict that reopens its result, of which this was read. A rejected one may be reopened while it is the last that the
    /// item has had; one of a model only while the file has the bytes that the model has seen (I12).
    ///
    /// # Errors
    /// `ResultSuperseded`.
    pub fn reopening(&self) -> Result<Verdict, Error> {
        match &self.result {
            Some(result) if result.generation != self.generation => {
                Err(Error::ResultSuperseded(Some(ResultUid::of(self.asset.uid, self.generation))))
            }
            Some(LabelResult { source: ResultSource::AutoLabel, file_changes: Some(changes), .. })
                if *changes != self.asset.changes =>
            {
                Err(Error::ResultSuperseded(None))
            }
            _ => Ok(Verdict::Reopen),
        }
    }

    /// The positions of a person's annotations with a label that neither its result nor the draft of that has. Those that they have
    /// stay right for it, also if the project's label set has changed since.
    #[must_use]
    pub fn new_labels(&self, given: &[Prediction]) -> Vec<usize> {
        let results = self.result.iter();
        let annotations =
            results.flat_map(|result| result.annotations.iter().chain(result.drafted().unwrap_or_default()));
        let own: HashSet<&str> = annotations.map(|annotation| annotation.label.as_str()).collect();
        let is_new = |(position, annotation): (usize, &Prediction)| {
            (!own.contains(annotation.label.as_str())).then_some(position)
        };
        given.iter().enumerate().filter_map(is_new).collect()
    }

    /// The result that a person gives it by hand. `None`: it has this very result, so the call is a repetition.
    ///
    /// # Errors
    /// `ItemLabeled`: it has another one. `Validation` for positions in a draft: there is none.
    pub fn labeled_by_hand(
        &self,
        corrected: impl Into<Corrected>,
        person: &str,
        now: Timestamp,
    ) -> Result<Option<LabelResult>, Error> {
        let corrected = corrected.into();
        Origins::of(&[], &corrected)?;
        let given = LabelResult::by_hand(self.generation.saturating_add(1), corrected.annotations, person, now);
        match &self.result {
            None => Ok(Some(given)),
            Some(there) if there.is_repeated_by(&given) => Ok(None),
            Some(there) => Err(Error::ItemLabeled {
                result: there.uid(self.asset.uid),
                is_draft: there.status == ResultStatus::Draft,
            }),
        }
    }
}

impl AssetType {
    /// Whether it is measured in pixels.
    #[must_use]
    pub const fn has_pixels(self) -> bool {
        !matches!(self, Self::PointCloud)
    }
}

impl Asset {
    /// Whether its orientation must be known before a model is asked, and is not.
    #[must_use]
    pub const fn wants_orientation(&self, exif: Exif) -> bool {
        matches!(exif, Exif::Ignored) && self.kind.has_pixels() && self.origin.orientation.is_none()
    }

    /// The turn that makes a model's answer one about the upright picture.
    #[must_use]
    pub fn turn(&self, exif: Exif) -> Orientation {
        match exif {
            Exif::Applied => Orientation::Upright,
            Exif::Ignored => self.origin.orientation.unwrap_or_default(),
        }
    }

    /// Whether its size is still to be read from the file.
    #[must_use]
    pub const fn wants_size(&self) -> bool {
        self.size.is_none() && self.kind.has_pixels()
    }

    /// Takes the size and orientation of its file. A size that was given stays.
    pub fn take_picture(&mut self, upright: Size, orientation: Orientation) {
        self.origin.given &= self.size.is_some();
        self.origin.orientation = Some(orientation);
        match self.size {
            Some(given) if self.origin.given => self.origin.file_size = (given != upright).then_some(upright),
            _ => (self.size, self.origin.file_size) = (Some(upright), None),
        }
    }

    /// Becomes a point cloud, as its file is one.
    pub fn take_point_cloud(&mut self) {
        let was_given = self.is_given_as_point_cloud();
        (self.kind, self.size) = (AssetType::PointCloud, None);
        self.origin = SizeOrigin { given: was_given, ..SizeOrigin::default() };
    }

    /// Whether its caller named it a point cloud: readers of point clouds know formats that have no magic.
    #[must_use]
    pub const fn is_given_as_point_cloud(&self) -> bool {
        self.origin.given && !self.kind.has_pixels()
    }

    /// Takes the type and size of its file.
    pub fn take_file(&mut self, file: &Self) {
        if !file.kind.has_pixels() {
            return self.take_point_cloud();
        }
        // The bytes do not show that a picture is a frame of a video. The call that added the item did.
        if (self.kind, file.kind) != (AssetType::VideoFrame, AssetType::Image) {
            self.kind = file.kind;
        }
        match file.size {
            Some(upright) => self.take_picture(upright, file.origin.orientation.unwrap_or_default()),
            None if !self.origin.given => (self.size, self.origin) = (None, SizeOrigin::default()),
            None => {}
        }
    }

    /// The bounds that annotations are clipped to. For a picture of unknown size they are the largest size of a picture: clipping to
    /// a guess would lose a person's work. `None` for point clouds.
    #[must_use]
    pub fn bounds(&self) -> Option<Size> {
        let largest = Size { width: limits::PIXELS_PER_SIDE, height: limits::PIXELS_PER_SIDE };
        self.size.or_else(|| self.wants_size().then_some(largest))
    }
}

/// The name of an entry itself in complaints.
const ENTRY: &str = "item";

/// A complaint about an entry, under the entry's position in the list.
#[must_use]
pub fn complaint_in_list(position: usize, FieldError { field, message }: FieldError) -> FieldError {
    let dot_field = if field == ENTRY { String::new() } else { format!(".{field}") };
    FieldError::new(format!("items[{position}]{dot_field}"), message)
}

/// An item to be added.
// An entry of `items`. The size of a point cloud is not read.
#[derive(ToSchema)]
#[schema(example = json!({"key": "street/1.jpg", "url": "https://pictures.example.com/1.jpg", "width": 640, "height": 480}))]
pub struct NewItem {
    /// The client's name for it, unique in the project: a relative path.
    #[schema(min_length = 1, max_length = 900)]
    key: String,
    /// `image` if not given.
    asset_type: Option<AssetType>,
    /// `https://…`, or `s3://bucket/key` in a bucket that the deployment reads for the organization. Without it the file is to
    /// be uploaded.
    #[schema(value_type = Option<String>, max_length = 8_192)]
    url: Option<Source>,
    /// Pixels of the picture upright, its EXIF orientation applied; of pictures and frames, with `height`, or neither: then they
    /// are read from the head of the file, of an upload when the event of S3 has come or a job takes the item. What is given stays: see
    /// `file_size` of the item.
    #[schema(minimum = 1, maximum = 1_000_000)]
    width: Option<u32>,
    /// See `width`.
    #[schema(minimum = 1, maximum = 1_000_000)]
    height: Option<u32>,
}

impl NewItem {
    fn read(value: Value, source: impl FnOnce(Value) -> Result<Source, String>) -> Result<Self, Error> {
        let values = fields::object(value).map_err(|message| Error::field(ENTRY, message))?;
        let mut fields = Fields::of(String::new(), values);
        let key = fields.required("key", item_key).unwrap_or_default();
        let asset_type = fields.optional("asset_type", asset_type);
        let url = fields.optional("url", source);
        let has_pixels = asset_type.is_none_or(AssetType::has_pixels);
        let (width, height) = if has_pixels { sides(&mut fields) } else { no_sides(&mut fields) };
        fields.finish()?;
        Ok(Self { key, asset_type, url, width, height })
    }
}

/// The sides of a point cloud, which has none. The answer shows that.
fn no_sides(fields: &mut Fields) -> (Option<u32>, Option<u32>) {
    fields.skip("width");
    fields.skip("height");
    (None, None)
}

/// Width and height: both, or neither.
fn sides(fields: &mut Fields) -> (Option<u32>, Option<u32>) {
    let pixels = || fields::whole(1, limits::PIXELS_PER_SIDE);
    let (with_width, with_height) = (fields.has("width"), fields.has("height"));
    let (width, height) = (fields.optional("width", pixels()), fields.optional("height", pixels()));
    for (this, name, other) in [(with_width, "width", with_height), (with_height, "height", with_width)] {
        if other && !this {
            fields.refuse(name, "Give both width and height, or neither.");
        }
    }
    (width, height)
}

fn asset_type(value: Value) -> Result<AssetType, String> {
    let complaint = || fields::must_be("\"image\", \"video_frame\" or \"point_cloud\"", show::value(&value));
    AssetType::deserialize(&value).map_err(|_| complaint())
}

/// A key is a relative path: it becomes part of an S3 key and of a signed URL.
fn item_key(value: Value) -> Result<String, String> {
    let key = fields::text(1, limits::ITEM_KEY_BYTES)(value)?;
    if key.len() > limits::ITEM_KEY_BYTES {
        return Err(format!("Must have at most {} bytes, and has {}.", limits::ITEM_KEY_BYTES, key.len()));
    }
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let key = show::quoted(&key);
        return Err(format!("Must be a relative path without empty, \".\" or \"..\" parts, not {key}."));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::item::file_version::Sequence;
    use crate::domain::item::source::S3Object;

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
    fn an_item_is_repeated_unless_another_file_or_size_is_named() {
        let stored = read(json!({"key": "a", "width": 3, "height": 4})).unwrap();

        for same in [json!({"key": "a", "width": 3, "height": 4}), json!({"key": "a"})] {
            assert!(stored.is_repeated_by(&read(same).unwrap()));
        }
        for other in [
            json!({"key": "a", "width": 4, "height": 4}),
            json!({"key": "a", "url": "https://x/y"}),
            json!({"key": "a", "asset_type": "video_frame"}),
        ] {
            assert!(!stored.is_repeated_by(&read(other).unwrap()));
        }
    }

    #[test]
    fn a_size_that_was_given_stays_and_the_file_is_noted_where_it_says_another() {
        let [portrait, landscape] = [(480, 640), (640, 480)].map(|(width, height)| Size { width, height });
        let mut given = read(json!({"key": "a", "width": 480, "height": 640})).unwrap().asset;
        let mut open = read(json!({"key": "a"})).unwrap().asset;

        for (file, note) in [(portrait, None), (landscape, Some(landscape)), (portrait, None)] {
            for asset in [&mut given, &mut open] {
                asset.take_picture(file, Orientation::Rotated90);
            }
            assert_eq!((given.size, given.origin.file_size), (Some(portrait), note));
            assert_eq!((open.size, open.origin.file_size), (Some(file), None));
        }
        assert_eq!(given.origin.orientation, Some(Orientation::Rotated90));
        given.take_point_cloud();
        assert_eq!((given.size, given.bounds(), given.origin), (None, None, SizeOrigin::default()));

        let mut cloud = read(json!({"key": "a", "asset_type": "point_cloud"})).unwrap().asset;
        cloud.take_point_cloud();
        assert!(cloud.is_given_as_point_cloud() && !given.is_given_as_point_cloud());
        cloud.take_file(&open);
        assert_eq!((cloud.kind, cloud.size, cloud.origin.given), (AssetType::Image, open.size, false));
    }

    #[test]
    fn a_line_may_be_added_again_whatever_its_file_turned_out_to_be() {
        let line = || read(json!({"key": "a", "width": 3, "height": 4})).unwrap();
        let mut stored = line();
        stored.asset.take_point_cloud();
        assert!(!stored.is_repeated_by(&line()), "no file was read");
        stored.file = Some(FileVersion::of("e", Sequence::of("1")));
        assert!(stored.is_repeated_by(&line()));

        let frame = read(json!({"key": "a", "asset_type": "video_frame"})).unwrap();
        assert!(!Item { file: stored.file, ..line() }.is_repeated_by(&frame), "a file does not say that it is a frame");
    }

    #[test]
    fn a_line_of_before_there_was_more_to_say_is_still_read() {
        let line = json!({"uid": ItemUid::of_probe(), "type": "image", "width": 3, "height": 4, "url": "https://x/y"});
        let asset: Asset = serde_json::from_value(line).unwrap();
        assert_eq!((asset.size, asset.origin), (Some(Size { width: 3, height: 4 }), SizeOrigin::default()));
    }

    #[test]
    fn an_item_whose_url_was_kept_as_it_was_given_is_repeated_by_the_same() {
        let stored = read(json!({"key": "a", "url": "https://x/my file"})).unwrap();
        assert!(stored.is_repeated_by(&read(json!({"key": "a", "url": "https://x/my%20file"})).unwrap()));
        assert!(!stored.is_repeated_by(&read(json!({"key": "a", "url": "https://x/my%20files"})).unwrap()));
    }

    #[test]
    fn a_complaint_names_its_position_in_the_list() {
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
                origin: SizeOrigin {
                    given: true,
                    orientation: Some(Orientation::Rotated270),
                    file_size: Some(Size { width: 2, height: 1 }),
                },
                ..read(json!({"key": "d", "width": 1, "height": 2})).unwrap().asset
            },
        ] {
            let line = serde_json::to_string(&asset).unwrap();
            assert_eq!(serde_json::from_str::<Asset>(&line).unwrap(), asset, "{line}");
        }
    }
}

//! Uploads: objects that appear in S3 by themselves and become items (docs/decisions/0021).
//!
//! S3 sends the event of an object at least once, in no order, and late. Each item keeps the sequence of the newest event of its
//! file. An event that is older, or comes again, changes nothing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Timestamp;
use crate::domain::id::{OrganizationUid, ProjectUid, UploadUid};
use crate::domain::item::Item;
use crate::domain::item::content::Content;
use crate::domain::item::file_version::{Digest, FileVersion, Sequence};
use crate::domain::item::result::{LabelResult, ResultSource, ResultStatus};
use crate::domain::item::source::Source;
use crate::domain::limits;

/// The project and the item's key that an object's key names; `None`: it names no project.
#[must_use]
pub fn parse_object_key(object_key: &str) -> Option<(ProjectUid, &str)> {
    let (project, key) = object_key.strip_prefix("projects/")?.split_once('/')?;
    Some((ProjectUid::parse(project).ok()?, key))
}

/// What an upload changes about an item that is there already.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Nothing: it is late, or repeated.
    Known,
    /// The item after it.
    Changed(Box<Item>),
    /// Nothing: the item is another file's.
    Taken,
}

impl Item {
    /// Whether its file was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.deleted)
    }

    /// Whether a job could label it.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.result.is_none() && !self.is_deleted()
    }

    /// Whether it waits for another job than the item `before` did: its file has changed, or is known at last.
    #[must_use]
    pub fn waits_again(&self, before: &Self) -> bool {
        self.waits() && (self.asset.changes != before.asset.changes || before.file.is_none())
    }

    /// Digests that decide whether an upload has the bytes that the item's file had, if ETags and checksums do not
    /// ([`FileVersion::doubts`]).
    #[must_use]
    pub fn doubts(&self, new: &Self, is_md5: bool) -> Vec<Digest> {
        match (&self.file, &new.file) {
            (Some(known), Some(version))
                if self.asset.source == new.asset.source && version.sequence > known.sequence =>
            {
                known.doubts(version, is_md5)
            }
            _ => Vec::new(),
        }
    }

    /// The effect of an upload of `new` under its key.
    #[must_use]
    pub fn uploaded(&self, new: &Self) -> Effect {
        self.after_upload(new, false)
    }

    /// The same if reading the bytes of `new` has shown that they are those that the item's file had.
    #[must_use]
    pub fn uploaded_again(&self, new: &Self) -> Effect {
        self.after_upload(new, true)
    }

    fn after_upload(&self, new: &Self, same_bytes: bool) -> Effect {
        let Some(version) = &new.file else { return Effect::Known };
        if self.asset.source != new.asset.source {
            return Effect::Taken;
        }
        if self.file.as_ref().is_some_and(|known| version.sequence <= known.sequence) {
            return Effect::Known;
        }
        let mut after = Self { file: new.file.clone(), ..self.clone() };
        let Some(known) = &self.file else {
            // An item that was added by a call may have a draft of these bytes already, or be at the model.
            after.asset.take_file(&new.asset);
            return Effect::Changed(Box::new(after));
        };
        let same_bytes = same_bytes || known.has_bytes_of(version);
        if same_bytes && let Some(file) = &mut after.file {
            file.digest = file.digest.take().or_else(|| known.digest.clone());
        } else {
            after.drop_draft(); // I12: nothing else withdraws it
        }
        if !same_bytes || known.deleted {
            after.asset.take_file(&new.asset);
            after.asset.changes += 1;
        }
        Effect::Changed(Box::new(after))
    }

    /// The item after the deletion of its file; `None`: the event is late, repeated, or of another file.
    #[must_use]
    pub fn deleted(&self, source: &Source, sequence: &Sequence) -> Option<Self> {
        let known = self.file.as_ref();
        if self.asset.source != *source || known.is_some_and(|known| *sequence <= known.sequence) {
            return None;
        }
        let known = known.cloned().unwrap_or_else(|| FileVersion::of("", sequence.clone()));
        let file = FileVersion { sequence: sequence.clone(), deleted: true, ..known };
        let mut after = Self { file: Some(file), ..self.clone() };
        after.asset.changes += u32::from(!self.is_deleted());
        Some(after)
    }

    /// Only a draft of a model goes: what a person has made stays, also while it is reopened (I3, I12).
    fn drop_draft(&mut self) {
        let is_models = |result: &LabelResult| result.source == ResultSource::AutoLabel;
        self.result.take_if(|result| result.status == ResultStatus::Draft && is_models(result));
    }
}

/// Why an upload became no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Its key is no key of an item.
    BadKey,
    /// It has no bytes.
    Empty,
    /// It has too many.
    TooLarge,
    /// It is neither a picture nor a point cloud that we know.
    UnknownContent,
    /// It is a picture, and its width and height were not found.
    SizeUnknown,
    /// It is a camera raw file.
    CameraRaw,
    /// It is of a known format that is not labeled.
    UnsupportedFormat,
    /// It could not be read.
    Unreadable,
    /// There is an item of this key, with another file.
    KeyTaken,
}

impl Rejection {
    /// Why a file of this content is no item: a word, and a sentence. `None`: it can be one.
    #[must_use]
    pub fn of(content: &Content) -> Option<(Self, String)> {
        let reason = match content {
            Content::Picture { .. } => Self::SizeUnknown,
            Content::CameraRaw(_) => Self::CameraRaw,
            Content::Unsupported(_) => Self::UnsupportedFormat,
            Content::Unknown | Content::PointCloud(_) => Self::UnknownContent,
        };
        content.complaint().map(|sentence| (reason, sentence))
    }
}

/// An upload that became no item: a note for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedUpload {
    /// The tenant.
    pub organization: OrganizationUid,
    /// The project.
    pub project: ProjectUid,
    /// The object's bucket; `None`: the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The object's key, in that bucket.
    pub key: String,
    /// As S3 says.
    pub size_bytes: u64,
    /// Why, in a word.
    pub reason: Rejection,
    /// Why, in a sentence.
    pub detail: String,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
}

impl RejectedUpload {
    /// Its identifier.
    #[must_use]
    pub fn uid(&self) -> UploadUid {
        UploadUid::of(self.project, self.bucket.as_deref(), &self.key)
    }
}

/// Checks an object's key and size before anything of it is read.
///
/// # Errors
/// Why it becomes no item: a word, and a sentence.
pub fn check(key: &str, size_bytes: u64) -> Result<(), (Rejection, String)> {
    Item::check_key(key).map_err(|sentence| (Rejection::BadKey, sentence))?;
    match size_bytes {
        0 => Err((Rejection::Empty, "The file is empty.".into())),
        bytes if bytes > limits::UPLOAD_BYTES => {
            let most = limits::UPLOAD_BYTES / (1024 * 1024 * 1024);
            Err((Rejection::TooLarge, format!("The file has {bytes} bytes, and may have {most} GiB at most.")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::id::ItemUid;
    use crate::domain::item::{Asset, AssetType, SizeOrigin};
    use crate::domain::prediction::size::Size;

    fn a_project() -> ProjectUid {
        ProjectUid::parse("0192b1c0-0000-7000-8000-00000000000b").unwrap()
    }

    fn an_item(version: Option<(&str, &str)>) -> Item {
        let source = Source::Bucket(Item::object_key(a_project(), "a.jpg"));
        let size = Some(Size { width: 3, height: 4 });
        Item {
            organization: OrganizationUid::named("acme"),
            project: a_project(),
            key: "a.jpg".into(),
            asset: Asset {
                uid: ItemUid::of(a_project(), "a.jpg"),
                kind: AssetType::Image,
                size,
                origin: SizeOrigin::default(),
                source,
                changes: 0,
            },
            file: version.map(|(etag, sequencer)| FileVersion::of(etag, Sequence::of(sequencer))),
            created_at: Timestamp::UNIX_EPOCH,
            generation: 0,
            result: None,
        }
    }

    fn labeled(item: Item, status: ResultStatus) -> Item {
        let result = LabelResult {
            generation: 1,
            revision: 0,
            status,
            source: ResultSource::AutoLabel,
            created_by: "bot".into(),
            reviewed_by: None,
            lineage: None,
            annotations: vec![],
            elsewhere: None,
            draft: None,
            sweep: None,
            file_changes: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        Item { result: Some(result), ..item }
    }

    fn after(item: &Item, upload: (&str, &str)) -> Item {
        match item.uploaded(&an_item(Some(upload))) {
            Effect::Changed(after) => *after,
            effect => panic!("{effect:?}"),
        }
    }

    #[test]
    fn an_object_names_its_project_and_the_items_key() {
        let key = format!("projects/{}/a b/ü+c.jpg", a_project());
        assert_eq!(parse_object_key(&key), Some((a_project(), "a b/ü+c.jpg")));
        for outside in ["a.jpg", "projects/x/a.jpg", "projects//a", &key.to_uppercase(), "jobs/0192/x", "projects/"] {
            assert_eq!(parse_object_key(outside), None, "{outside}");
        }
    }

    #[test]
    fn what_is_late_or_repeated_changes_nothing() {
        let item = an_item(Some(("new", "0055AED6DCD90281E6")));
        for sequencer in ["0055AED6DCD90281E6", "0055aed6dcd90281e6", "0055AED6DCD90281E5", "0055AED6", ""] {
            assert_eq!(item.uploaded(&an_item(Some(("old", sequencer)))), Effect::Known, "{sequencer}");
            assert_eq!(item.deleted(&item.asset.source, &Sequence::of(sequencer)), None, "{sequencer}");
        }
    }

    #[test]
    fn other_bytes_take_the_draft_and_leave_what_a_person_made() {
        let draft = labeled(an_item(Some(("one", "1"))), ResultStatus::Draft);
        assert!(after(&draft, ("two", "2")).waits());
        assert!(after(&draft, ("one", "2")).result.is_some(), "the same bytes again");

        let accepted = labeled(an_item(Some(("one", "1"))), ResultStatus::Accepted);
        let kept = after(&accepted, ("two", "2"));
        assert_eq!((kept.result, kept.file.unwrap().etag.as_str()), (accepted.result.clone(), "two")); // I3

        let mut reopened = labeled(an_item(Some(("one", "1"))), ResultStatus::Draft);
        reopened.result.as_mut().unwrap().source = ResultSource::Human;
        assert_eq!(after(&reopened, ("two", "2")).result, reopened.result, "I12");

        let drafted_before_the_event = labeled(an_item(None), ResultStatus::Draft);
        assert!(after(&drafted_before_the_event, ("one", "1")).result.is_some());
    }

    #[test]
    fn a_deleted_file_waits_for_no_job_until_it_is_uploaded_again() {
        let item = an_item(Some(("one", "1")));
        let deleted = item.deleted(&item.asset.source, &Sequence::of("2")).unwrap();

        assert!(item.waits() && deleted.is_deleted() && !deleted.waits());
        assert_eq!(deleted.uploaded(&an_item(Some(("one", "15")))), Effect::Known, "what was before the deletion");
        assert!(after(&deleted, ("one", "3")).waits());
    }

    #[test]
    fn a_file_that_is_back_with_the_same_bytes_has_its_draft_still() {
        let draft = labeled(an_item(Some(("one", "1"))), ResultStatus::Draft);
        let deleted = draft.deleted(&draft.asset.source, &Sequence::of("2")).unwrap();

        assert!(deleted.result.is_some());
        let back = after(&deleted, ("one", "3"));
        assert!(back.result.is_some() && !back.is_deleted() && back.asset.changes == 2);
        assert!(after(&deleted, ("two", "3")).result.is_none());
    }

    /// A version with what S3 says of it.
    fn described(etag: &str, size_bytes: u64, digest: Option<(&str, &str)>) -> FileVersion {
        let digest = digest.map(|(algorithm, value)| Digest::of(algorithm, value));
        FileVersion { size_bytes: Some(size_bytes), digest, ..FileVersion::of(etag, Sequence::of("1")) }
    }

    #[test]
    fn the_same_bytes_under_another_etag_change_the_etag_and_nothing_else() {
        let draft = labeled(an_item(Some(("one", "1"))), ResultStatus::Draft);
        let known = FileVersion { sequence: Sequence::of("1"), ..described("one", 9, Some(("crc32", "x"))) };
        let draft = Item { file: Some(known.clone()), ..draft };
        let parts = Item {
            file: Some(FileVersion { sequence: Sequence::of("2"), ..described("parts-2", 9, None) }),
            ..an_item(None)
        };

        let Effect::Changed(same) = draft.uploaded_again(&parts) else { panic!("a change") };
        let file = FileVersion { etag: "parts-2".into(), sequence: Sequence::of("2"), ..known };
        assert_eq!(*same, Item { file: Some(file), ..draft.clone() });
        assert!(!same.waits_again(&draft));
        let Effect::Changed(other) = draft.uploaded(&parts) else { panic!("a change") };
        assert!(other.result.is_none(), "where nothing proves them to be the same");
    }

    #[test]
    fn a_change_is_counted_unless_it_is_none_that_a_model_could_have_missed() {
        let first = after(&an_item(None), ("one", "1"));
        let again = after(&first, ("one", "2"));
        let other = after(&again, ("two", "3"));
        let gone = other.deleted(&other.asset.source, &Sequence::of("4")).unwrap();
        let gone_again = gone.deleted(&other.asset.source, &Sequence::of("5")).unwrap();
        let back = after(&gone_again, ("two", "6"));

        let steps = [&an_item(None), &first, &again, &other, &gone, &gone_again, &back];
        assert_eq!(steps.map(|item| item.asset.changes), [0, 0, 0, 1, 2, 2, 3]);
        let again: Vec<bool> = steps.windows(2).map(|pair| pair[1].waits_again(pair[0])).collect();
        assert_eq!(again, [true, false, true, false, false, true]);
    }

    #[test]
    fn an_item_is_one_files() {
        let other =
            Item { asset: Asset { source: Source::Url("https://x/y".into()), ..an_item(None).asset }, ..an_item(None) };
        assert_eq!(other.uploaded(&an_item(Some(("one", "1")))), Effect::Taken);
        assert_eq!(other.deleted(&an_item(None).asset.source, &Sequence::of("1")), None);
    }

    #[test]
    fn a_frame_stays_a_frame() {
        let item = an_item(None);
        let frame = Item { asset: Asset { kind: AssetType::VideoFrame, ..item.asset.clone() }, ..item };
        assert_eq!(after(&frame, ("one", "1")).asset.kind, AssetType::VideoFrame);
    }

    #[test]
    fn an_upload_that_can_be_no_item_says_why() {
        for (key, bytes, reason) in [
            ("a.jpg", 0, Rejection::Empty),
            ("a.jpg", 10_000_000_000, Rejection::TooLarge),
            ("a/../b.jpg", 1, Rejection::BadKey),
            ("folder/", 0, Rejection::BadKey),
            (" a.jpg", 1, Rejection::BadKey),
            ("", 1, Rejection::BadKey),
        ] {
            assert_eq!(check(key, bytes).unwrap_err().0, reason, "{key}");
        }
        for key in ["a b.jpg", "a+b%20c.jpg", "東京/ü.jpg", "..a"] {
            assert_eq!(check(key, 1), Ok(()), "{key}");
        }
    }

    #[test]
    fn a_version_is_short_in_its_row() {
        let version = an_item(Some(("9b2cf5", "00ABC0"))).file.unwrap();
        assert_eq!(json!(version), json!({"e": "9b2cf5", "s": "00ABC"}));
    }

    proptest! {
        #[test]
        fn sequences_compare_as_s3_says(a in "[0-9A-F]{0,18}", b in "[0-9A-F]{0,18}") {
            let padded = |text: &str| format!("{text:0<18}");
            prop_assert_eq!(Sequence::of(&a).cmp(&Sequence::of(&b)), padded(&a).cmp(&padded(&b)));
        }

        #[test]
        fn in_whatever_order_events_come_the_newest_counts(order in Just(vec![1u8, 2, 3, 4, 5]).prop_shuffle()) {
            let mut item = an_item(None);
            for n in order {
                if n == 4 {
                    item = item.deleted(&item.asset.source.clone(), &Sequence::of("4")).unwrap_or(item);
                } else if let Effect::Changed(after) = item.uploaded(&an_item(Some((&format!("v{n}"), &n.to_string())))) {
                    item = *after;
                }
            }
            prop_assert_eq!(item.file, an_item(Some(("v5", "5"))).file);
        }
    }
}

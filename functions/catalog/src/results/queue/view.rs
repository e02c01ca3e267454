use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::domain::Timestamp;
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, JobUid};
use shared::domain::item::AssetType;
use shared::domain::item::result::DraftFilter;
use shared::domain::item::review_queue::{Order, Queued, Reviewer, Skip};
use shared::domain::{Error, limits, show};
use shared::http::{PageView, Paging};
use utoipa::ToSchema;

use super::super::view::{self, ResultView};

/// The parameters of a search, in the query and in a body.
pub(super) const PARAMETERS: [&str; 5] = ["order", "label", "min_confidence", "max_confidence", "job"];

/// A draft of the review queue: its result, and what an editor needs of its item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "key": "street/1.jpg", "asset_type": "image", "width": 640, "height": 480, "url": "https://pictures.example.com/1.jpg",
    "claimed_by": "ann", "claimed_until": "2026-11-30T10:10:00.000Z", "is_yours": true, "skips": [],
}))]
pub(crate) struct QueuedDraft {
    #[serde(flatten)]
    result: ResultView,
    /// The key of its item.
    key: String,
    asset_type: AssetType,
    /// Pixels, of the picture upright; `null` of a point cloud.
    #[schema(required)]
    width: Option<u32>,
    /// See `width`.
    #[schema(required)]
    height: Option<u32>,
    /// Reads the file for an hour. `null` if the deployment does not read from its bucket any more.
    #[schema(required)]
    url: Option<String>,
    /// The name of the key that has claimed it; `null`: none, or its lease is over.
    #[schema(required)]
    claimed_by: Option<String>,
    /// The end of that claim's lease.
    #[schema(required)]
    claimed_until: Option<Timestamp>,
    /// Whether the key of this request has claimed it.
    is_yours: bool,
    /// Who has skipped it, newest last, at most ten.
    skips: Vec<SkipView>,
}

/// A person has skipped a draft.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuedDraftSkip)]
#[schema(example = json!({"by": "bob", "reason": "The picture is blurred."}))]
pub(crate) struct SkipView {
    /// The name of the key.
    by: String,
    /// Why.
    #[schema(required)]
    reason: Option<String>,
    at: Timestamp,
}

impl From<Skip> for SkipView {
    fn from(Skip { by, reason, at, .. }: Skip) -> Self {
        Self { by, reason, at }
    }
}

impl QueuedDraft {
    /// `None` for an item without a result. `url` reads its file.
    pub(super) fn of(draft: Queued, url: Option<String>, reviewer: &Reviewer, now: Timestamp) -> Option<Self> {
        let claim = draft.claim(now).cloned();
        let is_yours = claim.is_some() && draft.is_claimed_by(reviewer);
        let (claimed_by, claimed_until) = claim.map(|claim| (claim.by, claim.until)).unzip();
        let Queued { item, marks, .. } = draft;
        let (key, asset_type, size) = (item.key.clone(), item.asset.kind, item.asset.size);
        Some(Self {
            result: ResultView::of(item)?,
            key,
            asset_type,
            width: size.map(|size| size.width),
            height: size.map(|size| size.height),
            url,
            claimed_by,
            claimed_until,
            is_yours,
            skips: marks.map(|marks| marks.skips).unwrap_or_default().into_iter().map(SkipView::from).collect(),
        })
    }
}

/// A page of the review queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuePage {
    #[serde(flatten)]
    pub(super) page: PageView<QueuedDraft>,
    pub(super) remaining: Remaining,
}

/// How many drafts are left.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"count": 734, "is_exact": true}))]
pub(crate) struct Remaining {
    /// Drafts that match, from this page on, of those that this call has read.
    pub(super) count: usize,
    /// Whether it has read all of them; else there may be more.
    pub(super) is_exact: bool,
}

/// What a person wants to review next. A field that is not given narrows nothing.
#[derive(ToSchema)]
#[schema(example = json!({"count": 20, "order": "least_confident"}))]
pub(crate) struct DraftsToClaim {
    /// How many items the caller has in all after the call.
    #[schema(minimum = 1, maximum = 20, default = 20)]
    pub(super) count: Option<u32>,
    /// `sequence` if not given.
    pub(super) order: Option<Order>,
    /// Drafts with an annotation of this label, letter by letter.
    #[schema(min_length = 1, max_length = 255)]
    label: Option<String>,
    /// Drafts whose every annotation has at least this confidence; with a `label`, whose every annotation of that label has.
    #[schema(minimum = 0.0, maximum = 1.0)]
    min_confidence: Option<f64>,
    /// The same, at most.
    #[schema(minimum = 0.0, maximum = 1.0)]
    max_confidence: Option<f64>,
    /// Drafts of this job.
    job: Option<JobUid>,
    /// The `cursor` of the answer before. It has the fields of that call; fields that are sent beside it count instead.
    pub(super) cursor: Option<String>,
}

impl DraftsToClaim {
    /// Reads a body.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation`.
    pub(super) fn of_body(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        if fields.is_null("cursor") {
            return Err(Error::field("cursor", "May not be null: the call before has come to the end."));
        }
        let read = Self::read(&mut fields);
        fields.finish().map(|()| read)
    }

    /// Reads the parameters of a list.
    ///
    /// # Errors
    /// `Validation`.
    pub(super) fn of_query(paging: &Paging) -> Result<Self, Error> {
        let value = |name: &str, text: &str| match text.parse::<f64>() {
            Ok(number) if name.ends_with("_confidence") && number.is_finite() => Value::from(number),
            _ => Value::from(text), // also `nan`: JSON has no such number, and null is not given
        };
        let given = |name: &&str| Some(((*name).to_owned(), value(name, paging.filter(name)?)));
        let values: Map<String, Value> = PARAMETERS.iter().filter_map(given).collect();
        let mut fields = Fields::of(String::new(), values);
        let read = Self::read(&mut fields);
        fields.finish().map(|()| read)
    }

    fn read(fields: &mut Fields) -> Self {
        Self {
            count: fields.optional("count", fields::whole(1, limits::CLAIMS)),
            order: fields.optional("order", order),
            label: fields.optional("label", fields::text(1, limits::LABEL_CHARS)),
            min_confidence: fields.optional("min_confidence", fields::fraction),
            max_confidence: fields.optional("max_confidence", fields::fraction),
            job: fields.optional("job", view::job),
            cursor: fields.optional("cursor", fields::text(1, view::CURSOR_CHARS)),
        }
    }

    /// Which drafts. What the request does not name is as in `before`.
    pub(super) fn filter(self, before: DraftFilter) -> DraftFilter {
        DraftFilter {
            job: self.job.or(before.job),
            label: self.label.or(before.label),
            min_confidence: self.min_confidence.or(before.min_confidence),
            max_confidence: self.max_confidence.or(before.max_confidence),
        }
    }
}

fn order(value: Value) -> Result<Order, String> {
    let wanted = || format!("one of {}", show::names(Order::NAMES));
    Order::deserialize(&value).map_err(|_| fields::must_be(&wanted(), show::value(&value)))
}

/// The drafts that the caller has now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"claimed_until": "2026-11-30T10:10:00.000Z", "cursor": null}))]
pub(crate) struct ClaimedDrafts {
    /// Those that the caller had and has not finished, then new ones in the order asked for.
    pub(super) items: Vec<QueuedDraft>,
    /// The end of the lease; `null`: there are no items.
    #[schema(required)]
    pub(super) claimed_until: Option<Timestamp>,
    /// What another call goes on with, if fewer were found than asked for and the queue goes on; `null`: it does not, or the answer is full.
    #[schema(required)]
    pub(super) cursor: Option<String>,
}

/// Items of the review queue.
#[derive(ToSchema)]
#[schema(example = json!({"items": ["0c2f6e0a-52a5-800e-9d7e-6a4b5f1d2c3b"]}))]
pub(crate) struct ClaimedItems {
    #[schema(min_items = 1, max_items = 100)]
    pub(super) items: Vec<ItemUid>,
}

impl ClaimedItems {
    /// # Errors
    /// `MalformedBody`; `Validation`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let items = fields.required("items", uids).unwrap_or_default();
        fields.finish().map(|()| Self { items })
    }
}

fn uids(value: Value) -> Result<Vec<ItemUid>, String> {
    let values = fields::list(limits::PAGE)(value)?;
    if values.is_empty() {
        return Err("May not be empty.".into());
    }
    values.into_iter().map(uid).collect()
}

fn uid(value: Value) -> Result<ItemUid, String> {
    let text = fields::text(1, limits::NAME_CHARS)(value)?;
    ItemUid::parse(&text).map_err(|_| fields::must_be("the uid of an item", show::quoted(&text)))
}

/// What became of claims.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": ["0c2f6e0a-52a5-800e-9d7e-6a4b5f1d2c3b"], "lost": [], "claimed_until": null}))]
pub(crate) struct ChangedClaims {
    /// Renewed, or given back.
    pub(super) items: Vec<ItemUid>,
    /// Not the caller's any more: another key has it, it is no draft any more, or there is no such item.
    pub(super) lost: Vec<ItemUid>,
    /// The end of the lease; `null`: they are given back, or none is the caller's.
    #[schema(required)]
    pub(super) claimed_until: Option<Timestamp>,
}

/// A draft that the caller does not want to review.
#[derive(ToSchema)]
#[schema(example = json!({"item": "0c2f6e0a-52a5-800e-9d7e-6a4b5f1d2c3b", "reason": "The picture is blurred."}))]
pub(crate) struct DraftToSkip {
    pub(super) item: ItemUid,
    /// Why: the next person reads it in `skips`.
    #[schema(min_length = 1, max_length = 300)]
    pub(super) reason: Option<String>,
}

impl DraftToSkip {
    /// # Errors
    /// `MalformedBody`; `Validation`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let item = fields.required("item", uid);
        let reason = fields.optional("reason", fields::text(1, limits::MESSAGE_CHARS));
        fields.finish()?;
        let item = item.ok_or_else(|| Error::internal("a required field that is not there"))?;
        Ok(Self { item, reason })
    }
}

/// The draft is given back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"item": "0c2f6e0a-52a5-800e-9d7e-6a4b5f1d2c3b"}))]
pub(crate) struct SkippedDraft {
    pub(super) item: ItemUid,
}

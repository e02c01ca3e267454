//! Adding items (contract, D32): one, or up to 1,000 in a call.
//!
//! Idempotent by the client's key: a line that repeats a stored item is fine. Each line is judged by itself, so that one bad
//! file in a thousand costs one item and not the call.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::Value;
use shared::domain::error::FieldError;
use shared::domain::fields::{self, Fields};
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::{AssetType, Item, NewItem, Source, complaint_in_list};
use shared::domain::packed::json_bytes;
use shared::domain::project::Project;
use shared::domain::{Error, limits};
use shared::egress::file_url_field;
use shared::http::{Body, Caller, Path, Repeatable};
use shared::ports::{Clock, Items, Objects, Projects};
use shared::services::measure::measure;
use tokio::time::{Instant, timeout_at};
use tracing::info;
use utoipa::ToSchema;

use crate::items::ItemView;
use crate::projects::WRITE;
use crate::{Api, CatalogApi, CatalogPorts};

/// The life of an upload URL: the upload must begin within it.
const UPLOAD_VALID: Duration = Duration::from_secs(3_600);
/// Files that are read at once.
const FILES: usize = 32;
/// The time of one file.
const FILE_TIME: Duration = Duration::from_secs(5);
/// The time of all files of a call: the gateway gives up after 30 seconds, and the items are still to be stored.
const FILES_TIME: Duration = Duration::from_secs(15);
/// Bytes of a line of the answer, without its key, its URL and its complaints.
const LINE_BYTES: usize = 700;

/// What is to be added.
// A body with a `key` and without `items` is one bare item. Each entry is read by itself, as a [`NewItem`].
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum NewItems {
    /// A list.
    Many {
        #[schema(value_type = Vec<NewItem>, max_items = 1_000)]
        items: Vec<Value>,
    },
    /// One bare item.
    #[schema(value_type = NewItem)]
    One(Value),
}

impl NewItems {
    fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        if fields.has("key") && !fields.has("items") {
            return Ok(Self::One(Value::Object(fields.into_values())));
        }
        let items = fields.required("items", fields::list(limits::ITEMS_PER_CALL)).unwrap_or_default();
        fields.finish().map(|()| Self::Many { items })
    }
}

/// The answer to a call that adds items.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedItems)]
#[serde(untagged)]
pub(crate) enum Added {
    /// To a list.
    Many(AddedItems),
    /// To one bare item.
    One(Box<AddedView>),
}

/// The answer to a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedList)]
pub(crate) struct AddedItems {
    /// The good lines, in their order.
    results: Vec<AddedView>,
    /// The bad ones.
    errors: Vec<LineError>,
}

/// An item that was added, or was there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedItem)]
#[schema(example = json!({"status": "none", "version": null, "created": true}))]
pub(crate) struct AddedView {
    #[serde(flatten)]
    item: ItemView,
    /// Whether this call has added it.
    created: bool,
    /// PUT the bytes here. Absent if the item has a URL of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_url: Option<String>,
}

/// A line that was not added.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "line": 1, "key": "../2.jpg", "errors": {"key": ["Must be a relative path without empty, \".\" or \"..\" parts."]},
    "detail": "key: Must be a relative path without empty, \".\" or \"..\" parts.",
}))]
pub(crate) struct LineError {
    /// Its position in `items`, from 0.
    line: usize,
    /// Its key, if it has one.
    #[schema(required)]
    key: Option<String>,
    /// What is wrong, by field.
    errors: HashMap<String, Vec<String>>,
    /// The same as one sentence.
    detail: String,
}

/// An entry of the call, with its item or its complaints.
struct Line {
    key: Option<String>,
    read: Result<Item, Vec<FieldError>>,
}

impl Line {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.read = Err(vec![FieldError::new(field, message)]);
    }
}

/// Add items.
///
/// One item, or a list of up to 1,000. Adding an item again changes nothing, so a call may be repeated. Each line of a
/// list is judged by itself: the good ones are added, and `errors` lists the others. If there is no good one, the call
/// is refused. An item without a `url` has an `upload_url` in the answer: PUT the file there within an hour. Scope:
/// `projects.write`.
#[utoipa::path(
    post, path = "/projects/{uid}/items/", tag = "items",
    params(("uid" = ProjectUid, Path)),
    request_body = NewItems,
    responses((status = 201, description = "What was added, or was there; of a bare item, the item.", body = Added)),
)]
pub(crate) async fn add<P: CatalogPorts>(
    State(api): Api<P>,
    caller: Caller,
    Path(project): Path<String>,
    Body(body): Body<{ limits::ITEMS_BODY_BYTES }>,
) -> Result<(StatusCode, Extension<Repeatable>, Json<Added>), Error> {
    let project = api.project(&caller, WRITE, &project).await?;
    let (is_bare, entries) = match NewItems::read(&body)? {
        NewItems::One(item) => (true, vec![item]),
        NewItems::Many { items } => (false, items),
    };
    let mut lines = api.read(entries, &project);
    refuse_repeated_keys(&mut lines);
    api.measure_files(&mut lines).await?;
    let uploads = api.sign_uploads(&lines).await?;
    check_room(&lines, &uploads)?;
    let created = api.store_lines(&mut lines, &project).await?;
    if !lines.is_empty() && lines.iter().all(|line| line.read.is_err()) {
        return Err(Error::Validation(complaints(lines, is_bare)));
    }
    let mut added = AddedItems::of(lines, &created, uploads);
    info!(project.uid = %project.uid, items = created.len(), refused = added.errors.len(), "items added");
    let added = if is_bare { Added::One(Box::new(added.results.remove(0))) } else { Added::Many(added) };
    Ok((StatusCode::CREATED, Extension(Repeatable), Json(added)))
}

impl AddedItems {
    /// `created` are the items that this call has added, `uploads` the signed URLs by item.
    fn of(lines: Vec<Line>, created: &[ItemUid], mut uploads: HashMap<ItemUid, String>) -> Self {
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for (position, Line { key, read }) in lines.into_iter().enumerate() {
            match read {
                Ok(item) => results.push(AddedView {
                    item: ItemView::from(&item),
                    created: created.contains(&item.asset.uid),
                    upload_url: uploads.remove(&item.asset.uid),
                }),
                Err(complaints) => errors.push(line_error(position, key, complaints)),
            }
        }
        Self { results, errors }
    }
}

impl<P: CatalogPorts> CatalogApi<P> {
    fn read(&self, entries: Vec<Value>, project: &Project) -> Vec<Line> {
        let now = self.clock.now();
        let read = |(position, entry): (usize, Value)| {
            let key = entry.get("key").and_then(Value::as_str);
            let key = key.filter(|key| key.len() <= limits::ITEM_KEY_BYTES).map(str::to_owned);
            // One microsecond between two lines, so that jobs take them in the order of the call.
            let created_at = now + Duration::from_micros(position as u64);
            let owner = (project.organization, project.uid);
            let read = Item::read(entry, owner, created_at, |url| self.source(url, project.organization));
            Line { key, read: read.map_err(complaints_of) }
        };
        entries.into_iter().enumerate().map(read).collect()
    }

    fn source(&self, url: Value, organization: OrganizationUid) -> Result<Source, String> {
        let text = fields::text(1, limits::FILE_URL_CHARS)(url.clone())?;
        let in_s3 = self.buckets.read(&text, organization);
        in_s3.unwrap_or_else(|| file_url_field(self.loopback_http)(url).map(Source::Url))
    }

    /// Reads the sizes that are not given from the files. Items to be uploaded have no file yet.
    async fn measure_files(&self, lines: &mut [Line]) -> Result<(), Error> {
        let unmeasured: Vec<ItemUid> =
            lines.iter().filter_map(|line| line.read.as_ref().ok()).filter(|i| is_elsewhere(i)).map(uid).collect();
        // A file that was read once is not read again: a repeated call must not fail by a file that is gone.
        let known: HashMap<ItemUid, Item> =
            self.store.items(&unmeasured).await?.into_iter().map(|item| (item.asset.uid, item)).collect();
        let end = Instant::now() + FILES_TIME;
        let unknown = lines.iter_mut().filter_map(|line| {
            let item = line.read.as_ref().ok().filter(|item| is_elsewhere(item))?;
            let is_known = known.get(&item.asset.uid).is_some_and(|known| known.is_repeated_by(item));
            (!is_known).then_some(line)
        });
        stream::iter(unknown).for_each_concurrent(FILES, |line| self.measure_file(line, end)).await;
        Ok(())
    }

    async fn measure_file(&self, line: &mut Line, end: Instant) {
        let Ok(item) = &mut line.read else { return };
        let source = &item.asset.source;
        let size = async {
            match source {
                Source::Url(_) => measure(&self.web, source).await,
                Source::Bucket(_) | Source::S3(_) => measure(&self.objects, source).await,
            }
        };
        let refusal = match timeout_at(end.min(Instant::now() + FILE_TIME), size).await {
            Ok(Ok(stored)) => {
                item.asset.take_picture(stored.upright(), stored.orientation);
                return;
            }
            Ok(Err(reason)) => reason.to_string(),
            Err(_) => "The file cannot be read in time.".to_owned(),
        };
        line.refuse("url", format!("{refusal} Give width and height to add it without a look into it."));
    }

    /// Stores the good lines. A line that repeats a stored item takes that one's content. A line that contradicts a stored item
    /// is refused. Returns which items are new.
    async fn store_lines(&self, lines: &mut [Line], project: &Project) -> Result<Vec<ItemUid>, Error> {
        let items: Vec<Item> = lines.iter().filter_map(|line| line.read.as_ref().ok().cloned()).collect();
        let mut before = self.store.add_items(&items).await.into_iter();
        let mut created: Vec<(ItemUid, AssetType)> = Vec::new();
        let mut failure = None;
        for line in lines.iter_mut().filter(|line| line.read.is_ok()) {
            let Ok(item) = &mut line.read else { continue };
            match before.next().transpose() {
                // As it is to the microsecond: this call's own, written by a first try whose answer was lost.
                Ok(Some(Some(stored))) if stored == *item => created.push((uid(item), item.asset.kind)),
                Ok(Some(Some(stored))) if stored.is_repeated_by(item) => *item = stored,
                Ok(Some(Some(_))) => line
                    .refuse("key", "There is an item of this key with another type, file or size; it stays as it is."),
                Ok(_) => created.push((uid(item), item.asset.kind)),
                Err(error) => failure = Some(error),
            }
        }
        let (created, kinds): (Vec<ItemUid>, Vec<AssetType>) = created.into_iter().unzip();
        if !created.is_empty() {
            // Also if the call fails: to no later call are these items new.
            self.store.count_items(project.organization, project.uid, &kinds).await?;
        }
        failure.map_or(Ok(created), Err)
    }

    /// The upload URLs of the good lines without a file URL.
    async fn sign_uploads(&self, lines: &[Line]) -> Result<HashMap<ItemUid, String>, Error> {
        let mut uploads = HashMap::new();
        for item in lines.iter().filter_map(|line| line.read.as_ref().ok()) {
            if let Source::Bucket(key) = &item.asset.source {
                uploads.insert(item.asset.uid, self.objects.sign_put(key, UPLOAD_VALID).await?);
            }
        }
        Ok(uploads)
    }
}

/// Refuses a call whose answer would be too long, before anything is stored: long keys and credentials make URLs of several KB.
fn check_room(lines: &[Line], uploads: &HashMap<ItemUid, String>) -> Result<(), Error> {
    let (mut bytes, mut fitting) = (0, 0);
    for line in lines {
        let more = match &line.read {
            Ok(item) => uploads.get(&item.asset.uid).map_or(0, String::len),
            // Each complaint appears under its field and in the sentence.
            Err(complaints) => complaints.iter().map(|one| 2 * (one.field.len() + one.message.len())).sum(),
        };
        bytes += LINE_BYTES + line.key.as_ref().map(json_bytes).transpose()?.unwrap_or_default() + more;
        fitting += usize::from(bytes <= limits::PAGE_BYTES);
    }
    if fitting == lines.len() {
        return Ok(());
    }
    let (kib, most) = (bytes / 1024, limits::PAGE_BYTES / 1024);
    let sentence = format!(
        "The answer would have {kib} KiB, and may have {most}: its keys and upload URLs are long. Send at most the first {fitting} of these {} lines in a call. Nothing was added.",
        lines.len()
    );
    Err(Error::field("items", sentence))
}

const fn uid(item: &Item) -> ItemUid {
    item.asset.uid
}

/// Whether the size must be read from a file that is not to be uploaded.
fn is_elsewhere(item: &Item) -> bool {
    item.asset.wants_size() && !matches!(item.asset.source, Source::Bucket(_))
}

/// A key names one item: the first line that has it.
fn refuse_repeated_keys(lines: &mut [Line]) {
    let mut first = HashMap::new();
    for (position, line) in lines.iter_mut().enumerate() {
        let Ok(item) = &line.read else { continue };
        let before = *first.entry(item.asset.uid).or_insert(position);
        if before != position {
            line.refuse("key", format!("Is the key of items[{before}] too."));
        }
    }
}

fn complaints_of(error: Error) -> Vec<FieldError> {
    match error {
        Error::Validation(complaints) => complaints,
        other => vec![FieldError::new("item", other.to_string())],
    }
}

/// The complaints of a call without a good line.
fn complaints(lines: Vec<Line>, is_bare: bool) -> Vec<FieldError> {
    let of_line = |(position, line): (usize, Line)| {
        let complaints = line.read.err().unwrap_or_default().into_iter();
        complaints.map(move |complaint| if is_bare { complaint } else { complaint_in_list(position, complaint) })
    };
    lines.into_iter().enumerate().flat_map(of_line).collect()
}

fn line_error(line: usize, key: Option<String>, complaints: Vec<FieldError>) -> LineError {
    let mut errors: HashMap<String, Vec<String>> = HashMap::new();
    for FieldError { field, message } in &complaints {
        errors.entry(field.clone()).or_default().push(message.clone());
    }
    LineError { line, key, errors, detail: Error::Validation(complaints).to_string() }
}

#[cfg(test)]
mod tests;

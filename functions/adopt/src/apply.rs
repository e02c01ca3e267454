//! Writes the labels of one segment.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use shared::domain::error::FieldError;
use shared::domain::id::ItemUid;
use shared::domain::import::reader::{Entry, Reason, ReasonCode};
use shared::domain::import::{Counts, Import, ImportAs, Untaken};
use shared::domain::item::result::{Importing, LabelResult};
use shared::domain::item::{Item, Source};
use shared::domain::project::{Project, ProjectChange};
use shared::domain::reply;
use shared::domain::{Error, fields, limits};
use shared::egress::file_url_field;
use shared::ports::{
    Clock, Contents, ExportItems, Files, ImportQueue, ImportResults, Imports, Items, Objects, Projects, Queue, Webhooks,
};
use shared::services::large;

use crate::Adopter;
use crate::names::{Named, Names};

/// Results that are written at once.
const AT_ONCE: usize = 16;
/// Times that an item is read which keeps changing.
const TRIES: usize = 5;
/// More than a segment has.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// What a worker knows of the project while it writes labels.
pub(crate) struct Applying {
    pub(crate) project: Project,
    /// Read when the first entry needs it.
    names: Option<Names>,
}

impl Applying {
    pub(crate) const fn new(project: Project) -> Self {
        Self { project, names: None }
    }
}

/// What became of a segment.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) counts: Counts,
    pub(crate) untaken: Vec<Untaken>,
}

/// What became of an entry.
enum Outcome {
    /// Its item has a result by this import.
    Given,
    Untaken(Reason),
}

/// An item that has an entry, or why none has.
type Matched = Result<Item, Reason>;

impl Applied {
    fn add(&mut self, entry: Entry, outcome: Outcome) {
        self.counts.items += 1;
        match outcome {
            Outcome::Given => self.counts.results += 1,
            Outcome::Untaken(reason) => {
                let is_labeled = reason.code == ReasonCode::AlreadyLabeled;
                self.counts.skipped += u64::from(is_labeled);
                self.counts.refused += u64::from(!is_labeled);
                self.untaken.push(Untaken::at(entry.position, &entry.name, reason));
            }
        }
    }

    /// Its reasons, a line of JSON each.
    pub(crate) fn lines(&self) -> Result<Vec<u8>, Error> {
        let mut lines = Vec::new();
        for untaken in &self.untaken {
            serde_json::to_writer(&mut lines, untaken).map_err(Error::internal)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

impl<S, W, T, O, I, Q, C> Adopter<S, W, T, O, I, Q, C>
where
    S: Imports,
    W: Webhooks,
    T: Projects + Items + ExportItems + ImportResults,
    O: Objects + Contents + Files,
    I: ImportQueue,
    Q: Queue,
    C: Clock,
{
    /// Writes the labels of a segment. Repeated, it changes nothing and counts the same.
    pub(crate) async fn apply_segment(
        &self,
        import: &Import,
        number: u32,
        applying: &mut Applying,
    ) -> Result<Applied, Error> {
        let entries = self.entries(import, number).await?;
        if import.add_labels {
            self.add_labels(applying, &entries).await?;
        }
        let matched = self.matched(import, &entries, applying).await?;
        let project = &applying.project;
        let outcomes: Vec<Outcome> = stream::iter(entries.iter().zip(matched))
            .map(async |(entry, item)| match item {
                Ok(item) => self.give(import, project, entry, item).await,
                Err(reason) => Ok(Outcome::Untaken(reason)),
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut applied = Applied::default();
        entries.into_iter().zip(outcomes).for_each(|(entry, outcome)| applied.add(entry, outcome));
        Ok(applied)
    }

    async fn entries(&self, import: &Import, number: u32) -> Result<Vec<Entry>, Error> {
        let folder = import.work.folder.as_deref().ok_or_else(|| Error::internal("an import without segments"))?;
        let segment = Source::Bucket(import.segment_key(folder, number));
        let bytes = self.objects.piece(&segment, 0, SEGMENT_BYTES).await;
        let bytes = bytes.map_err(|error| Error::ObjectsUnavailable(error.into()))?;
        let entries: Result<Vec<Entry>, _> = serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
        entries.map_err(Error::internal)
    }

    /// Adds the labels of a segment to the project. If they are too many for it, their items are refused.
    async fn add_labels(&self, applying: &mut Applying, entries: &[Entry]) -> Result<(), Error> {
        let annotations = entries.iter().flat_map(|entry| &entry.annotations);
        let used = annotations.filter_map(|annotation| annotation.get("label")?.as_str());
        let (organization, uid) = (applying.project.organization, applying.project.uid);
        let used: BTreeSet<String> = used.map(|label| label.trim().to_owned()).collect();
        let is_new = |project: &Project, label: &String| {
            !label.is_empty() && label.chars().count() <= limits::LABEL_CHARS && !project.has(label)
        };
        if !used.iter().any(|label| is_new(&applying.project, label)) {
            return Ok(());
        }
        applying.project = self.catalog.project(organization, uid).await?; // others may have added labels meanwhile
        let new = used.into_iter().filter(|label| is_new(&applying.project, label));
        let labels: Vec<String> = applying.project.labels.iter().cloned().chain(new).collect();
        let body = json!({"labels": labels}).to_string();
        let Ok(change) = ProjectChange::read(body.as_bytes()) else { return Ok(()) };
        applying.project = self.catalog.change_project(organization, uid, &change, self.clock.now()).await?;
        Ok(())
    }

    /// The item of each entry: by its key, else by the name of its file if that is one item's, else a new one if the file gives a URL.
    async fn matched(
        &self,
        import: &Import,
        entries: &[Entry],
        applying: &mut Applying,
    ) -> Result<Vec<Matched>, Error> {
        let keyed = |entry: &Entry| ItemUid::of(import.project, &entry.name);
        let wanted: Vec<ItemUid> = entries.iter().filter(|entry| entry.refusal.is_none()).map(keyed).collect();
        let known = self.read_items(&wanted).await?;
        let (mut matched, mut new) = (Vec::with_capacity(entries.len()), Vec::new());
        for (position, entry) in entries.iter().enumerate() {
            let item = match (&entry.refusal, known.get(&keyed(entry))) {
                (Some(reason), _) => Err(reason.clone()),
                (None, Some(item)) => Ok(item.clone()),
                (None, None) => match self.named(import, entry, applying).await? {
                    Some(named) => named,
                    None => self.new_item(import, position, entry).inspect(|_item| new.push(position)),
                },
            };
            matched.push(item);
        }
        self.add_new(import, &mut matched, &new).await?;
        Ok(matched)
    }

    /// Adds the items at these positions to the project.
    async fn add_new(&self, import: &Import, matched: &mut [Matched], new: &[usize]) -> Result<(), Error> {
        let items: Vec<Item> =
            new.iter().filter_map(|position| matched.get(*position)?.as_ref().ok().cloned()).collect();
        let there = self.catalog.add_items(&items).await;
        let mut added = Vec::new();
        for ((position, item), there) in new.iter().zip(items).zip(there) {
            match there? {
                Some(there) => matched[*position] = Ok(there),
                None => added.push(item.asset.kind),
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        self.catalog.count_items(import.organization, import.project, &added).await
    }

    async fn read_items(&self, uids: &[ItemUid]) -> Result<HashMap<ItemUid, Item>, Error> {
        let items = self.catalog.items(uids).await?;
        Ok(items.into_iter().map(|item| (item.asset.uid, item)).collect())
    }

    /// The item with this file name. `None`: there is none, and the file gives a URL.
    async fn named(&self, import: &Import, entry: &Entry, applying: &mut Applying) -> Result<Option<Matched>, Error> {
        if applying.names.is_none() {
            applying.names = Some(Names::of(&self.catalog, import.organization, import.project).await?);
        }
        let named = applying.names.as_ref().map_or(Named::Nothing, |names| names.find(&entry.name));
        match named {
            Named::Item(uid) => {
                let item = self.read_items(&[uid]).await?.remove(&uid);
                Ok(Some(item.ok_or_else(|| no_item("The project has no such item any more."))))
            }
            Named::Several => {
                let message = "Several items have this file name, and none has it as its key.";
                Ok(Some(Err(Reason::new(ReasonCode::AmbiguousName, message))))
            }
            Named::Nothing if entry.url.is_some() => Ok(None),
            Named::Nothing => Ok(Some(Err(no_item("The project has no such item, and the file gives no URL for it.")))),
        }
    }

    /// An item that the file gives a URL for. One microsecond between two, so that jobs and exports have them in the order of the file.
    fn new_item(&self, import: &Import, position: usize, entry: &Entry) -> Matched {
        let created_at = self.clock.now() + Duration::from_micros(position as u64);
        let owner = (import.organization, import.project);
        Item::read(described(entry), owner, created_at, |url| self.readable(import, url))
            .map_err(|error| refused(&error))
    }

    fn readable(&self, import: &Import, url: Value) -> Result<Source, String> {
        let text = fields::text(1, limits::FILE_URL_CHARS)(url.clone())?;
        let in_s3 = self.buckets.read(&text, import.organization);
        in_s3.unwrap_or_else(|| file_url_field(self.loopback_http)(url).map(Source::Url))
    }

    /// Gives an item the labels of its entry, unless it has a result.
    async fn give(&self, import: &Import, project: &Project, entry: &Entry, mut item: Item) -> Result<Outcome, Error> {
        for _ in 0..TRIES {
            let given = match given(import, project, entry, &item) {
                Ok(given) => large::kept(&self.objects, item.asset.uid, given).await,
                Err(reason) => return Ok(Outcome::Untaken(reason)),
            };
            let given = match given {
                Ok(given) => given,
                Err(error @ Error::Validation(_)) => return Ok(Outcome::Untaken(too_large(&error))),
                Err(error) => return Err(error),
            };
            if let Some(there) = &item.result {
                return Ok(if there.is_of_import(&given) { Outcome::Given } else { Outcome::Untaken(labeled()) });
            }
            match self.catalog.import_result(&item, &given).await {
                Ok(true) => return Ok(Outcome::Given),
                Ok(false) => {}
                Err(error @ Error::Validation(_)) => return Ok(Outcome::Untaken(too_large(&error))),
                Err(error) => return Err(error),
            }
            let Some(again) = self.read_items(&[item.asset.uid]).await?.remove(&item.asset.uid) else {
                return Ok(Outcome::Untaken(no_item("The project has no such item any more.")));
            };
            item = again;
        }
        Err(Error::keeps_changing())
    }
}

/// The result that an entry gives an item, by the rules of a result by hand.
fn given(import: &Import, project: &Project, entry: &Entry, item: &Item) -> Result<LabelResult, Reason> {
    has_size_of(entry, item)?;
    let read = reply::annotations("annotations", entry.annotations.clone(), item.asset.bounds());
    let mut annotations = read.map_err(|complaints| malformed(&complaints))?.list;
    let all: Vec<usize> = (0..annotations.len()).collect();
    if let Err(error) = project.use_own_labels(&mut annotations, &all) {
        return Err(Reason::new(ReasonCode::UnknownLabel, error.to_string()));
    }
    let importing = Importing {
        person: &import.created_by,
        created_at: import.created_at,
        is_accepted: import.becomes == ImportAs::Accepted,
    };
    // A repeated write must find the result that the first one wrote, whose generation the item has by then.
    let generation = item.result.as_ref().map_or(item.generation.saturating_add(1), |there| there.generation);
    Ok(LabelResult::imported(&importing, generation, annotations))
}

/// Labels of a picture that was scaled or turned would be stored at other pixels.
fn has_size_of(entry: &Entry, item: &Item) -> Result<(), Reason> {
    let (Some((width, height)), Some(size)) = (entry.width.zip(entry.height), item.asset.size) else { return Ok(()) };
    if (width, height) == (size.width, size.height) {
        return Ok(());
    }
    let (own_width, own_height) = (size.width, size.height);
    let message = format!(
        "The labels are of a picture of {width} x {height} pixels, and the item has {own_width} x {own_height}."
    );
    Err(Reason::new(ReasonCode::Malformed, message))
}

/// An entry as a call would add it.
fn described(entry: &Entry) -> Value {
    let mut item = json!({"key": entry.name, "url": entry.url, "asset_type": entry.asset_type});
    if let Some((width, height)) = entry.width.zip(entry.height) {
        (item["width"], item["height"]) = (width.into(), height.into());
    }
    item
}

fn refused(error: &Error) -> Reason {
    let is_url = matches!(error, Error::Validation(complaints) if complaints.iter().any(|one| one.field == "url"));
    let code = if is_url { ReasonCode::RefusedUrl } else { ReasonCode::Malformed };
    Reason::new(code, error.to_string())
}

fn malformed(complaints: &[FieldError]) -> Reason {
    let first = complaints.first().map(|one| format!("{}: {}", one.field, one.message));
    Reason::new(ReasonCode::Malformed, first.unwrap_or_default())
}

fn too_large(error: &Error) -> Reason {
    Reason::new(ReasonCode::TooLarge, error.to_string())
}

fn labeled() -> Reason {
    Reason::new(ReasonCode::AlreadyLabeled, "The item has a result already. It stays as it is.")
}

fn no_item(message: &str) -> Reason {
    Reason::new(ReasonCode::UnknownItem, message)
}

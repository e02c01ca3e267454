use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::Digest as _;
use uuid::Uuid;

use crate::domain::diagnosis::Diagnosis;
use crate::domain::id::ItemUid;
use crate::domain::item::file_version::Digest;
use crate::domain::item::source::Source;
use crate::domain::job::failure::{Failure, FailureCode};
use crate::domain::prediction::size::Size;
use crate::domain::provider::InferenceProvider;
use crate::domain::provider::connection::{Reading, SageMaker};
use crate::domain::{Error, Timestamp};
use crate::ports::{
    Connect, Contents, Described, Files, Folders, InferenceError, InferenceRequest, Listing, Listings, Model, NoFile,
    Objects, Upload, UploadForm, UploadForms,
};
use crate::testing::Fault;

/// What the model was asked about an item.
#[derive(Clone, Debug)]
struct Asked {
    item: ItemUid,
    size: Option<Size>,
    labels: Vec<String>,
}

/// A model whose answer depends on the item alone: of four items one has a draft, one nothing above 0.5, one fails, and
/// one has a draft of two.
#[derive(Clone, Debug, Default)]
pub struct ScriptedModel {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Refuses the job at this call, counted from 1; 0: never.
    refuses_at: usize,
    /// How long it takes.
    latency: Option<Duration>,
    /// Does not answer in that time.
    silent: bool,
    /// Its reply about every item.
    says: Option<Vec<u8>>,
    reading: Reading,
    /// Refuses the calls about these items.
    refuses: HashSet<ItemUid>,
    /// Calls that it takes at once; 0: any number.
    capacity: usize,
    /// `Retry-After` of its refusals.
    retry_after: Option<Duration>,
    load: Arc<Mutex<ModelLoad>>,
}

/// What a model has seen.
#[derive(Clone, Debug, Default)]
pub struct ModelLoad {
    /// Calls at it now.
    pub in_flight: usize,
    /// Most calls at it at once, those that it refused as well.
    pub most_in_flight: usize,
    /// When it had no room for a call.
    pub refused: Vec<tokio::time::Instant>,
}

impl ScriptedModel {
    /// Refuses the job at this call.
    #[must_use]
    pub fn refusing_at(call: usize) -> Self {
        Self { refuses_at: call, ..Self::default() }
    }

    /// Takes calls and never answers.
    #[must_use]
    pub fn silent() -> Self {
        Self::timing_out(Duration::MAX)
    }

    /// Takes calls that are given up after `latency`.
    #[must_use]
    pub fn timing_out(latency: Duration) -> Self {
        Self { silent: true, latency: Some(latency), ..Self::default() }
    }

    /// Gives this reply about every item.
    #[must_use]
    pub fn saying(answer: &Value) -> Self {
        Self::answering(answer.to_string(), Reading::default())
    }

    /// Gives this reply about every item, to be read with `reading`.
    #[must_use]
    pub fn answering(answer: impl Into<Vec<u8>>, reading: Reading) -> Self {
        Self { says: Some(answer.into()), reading, ..Self::default() }
    }

    /// Takes `capacity` calls at once, and refuses the others with this `Retry-After`.
    #[must_use]
    pub fn with_capacity(capacity: usize, retry_after: Option<Duration>) -> Self {
        Self { capacity, retry_after, ..Self::default() }
    }

    /// Refuses the calls about these items, whatever else is in flight.
    #[must_use]
    pub fn refusing(items: impl IntoIterator<Item = ItemUid>) -> Self {
        Self { refuses: items.into_iter().collect(), ..Self::default() }
    }

    /// Another client takes one of its slots, until [`ScriptedModel::vacate`].
    pub fn occupy(&self) {
        self.enter(true);
    }

    /// The other client leaves its slot.
    pub fn vacate(&self) {
        self.leave();
    }

    /// What it has seen so far.
    pub fn load(&self) -> ModelLoad {
        self.load.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is room for one more.
    fn enter(&self, room_for_it: bool) -> bool {
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        load.in_flight += 1;
        load.most_in_flight = load.most_in_flight.max(load.in_flight);
        let room = room_for_it && (self.capacity == 0 || load.in_flight <= self.capacity);
        if !room {
            load.in_flight -= 1;
            load.refused.push(tokio::time::Instant::now());
        }
        room
    }

    fn leave(&self) {
        self.load.lock().unwrap_or_else(PoisonError::into_inner).in_flight -= 1;
    }

    /// The items it was asked about, in order.
    pub fn asked(&self) -> Vec<ItemUid> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|asked| asked.item).collect()
    }

    /// The sizes that it was sent.
    pub fn sizes(&self) -> Vec<Option<Size>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|asked| asked.size).collect()
    }

    /// The labels that it was asked for, call by call.
    pub fn labels(&self) -> Vec<Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|asked| asked.labels.clone()).collect()
    }
}

impl Model for ScriptedModel {
    fn reading(&self) -> &Reading {
        &self.reading
    }

    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        if !self.enter(!self.refuses.contains(&request.asset_id)) {
            return Err(InferenceError::busy("The model answered status 429.", self.retry_after));
        }
        let calls = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(Asked { item: request.asset_id, size: request.size, labels: request.labels.to_vec() });
            asked.len()
        };
        tokio::time::sleep(self.latency.unwrap_or(Duration::from_millis(50))).await;
        self.leave();
        if self.silent {
            return Err(InferenceError::transient(Diagnosis::Timeout, "No complete answer came in time."));
        }
        if calls == self.refuses_at {
            return Err(InferenceError::job(Diagnosis::EndpointNotInService, "The endpoint is gone."));
        }
        self.answer(request)
    }
}

impl ScriptedModel {
    fn answer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        if let Some(answer) = &self.says {
            return Ok(answer.clone());
        }
        let boxed = |confidence: f64| {
            json!({"type": "bounding_box", "label": "cat", "confidence": confidence,
            "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}})
        };
        let predictions = match request.asset_id.shard(4) {
            0 => vec![boxed(0.9)],
            1 => vec![boxed(0.4)],
            2 => {
                return Err(InferenceError::Item(Failure::new(
                    FailureCode::ModelError,
                    "The model answered status 400.",
                )));
            }
            _ => vec![boxed(0.5), boxed(0.8), boxed(0.1)],
        };
        Ok(json!({"annotations": predictions}).to_string().into_bytes())
    }
}

/// The way to that model.
#[derive(Clone, Debug, Default)]
pub struct ScriptedModels(pub ScriptedModel);

impl Connect for ScriptedModels {
    type Model = ScriptedModel;

    fn own(&self, _: &SageMaker) -> ScriptedModel {
        self.0.clone()
    }

    async fn connect(&self, _: &InferenceProvider) -> Result<ScriptedModel, Error> {
        Ok(self.0.clone())
    }
}

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryObjects {
    objects: Mutex<HashMap<String, Vec<u8>>>,
    fault: Arc<Fault>,
    latency: Duration,
    refusals: Mutex<HashMap<String, NoFile>>,
    silent: Mutex<Option<String>>,
    descriptions: Mutex<HashMap<String, Described>>,
    compared: Mutex<usize>,
}

impl MemoryObjects {
    /// From now on the object of this key is read so.
    pub fn refuse(&self, key: &str, reason: NoFile) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), reason);
    }

    /// From now on nothing is heard of what lies under this prefix.
    pub fn silence(&self, prefix: &str) {
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(prefix.to_owned());
    }

    /// From now on the bucket says this of the object of this key.
    pub fn describe(&self, key: &str, described: Described) {
        self.descriptions.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), described);
    }

    /// How many objects were read as a whole, to be compared.
    pub fn compared(&self) -> usize {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes an object.
    pub fn remove(&self, key: &str) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Puts an object there, which is no call.
    pub fn set(&self, key: &str, bytes: Vec<u8>) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), bytes);
    }

    /// One of whose calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// Each read takes `latency`.
    #[must_use]
    pub fn slow(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// The keys of all objects, sorted.
    pub fn keys(&self) -> Vec<String> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.keys().cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The object of this key.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

impl Objects for MemoryObjects {
    async fn put(&self, key: &str, _: &str, bytes: Vec<u8>) -> Result<(), Error> {
        self.fault.around(|| {
            self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), bytes);
            Ok(())
        })
    }

    async fn begin(&self, key: &str, _: &str) -> Result<Upload, Error> {
        self.fault.around(|| Ok(Upload { key: key.to_owned(), id: Uuid::now_v7().to_string(), parts: Vec::new() }))
    }

    async fn append(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), Error> {
        let part = format!("{}/{}", upload.id, upload.parts.len());
        self.put(&part, "", bytes).await?;
        upload.parts.push(part);
        Ok(())
    }

    async fn complete(&self, upload: Upload) -> Result<(), Error> {
        self.fault.around(|| {
            let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = upload.parts.iter().filter_map(|part| objects.remove(part)).collect::<Vec<_>>().concat();
            objects.insert(upload.key, whole);
            Ok(())
        })
    }

    async fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        tokio::time::sleep(self.latency).await;
        self.fault.around(|| {
            let range = usize::try_from(offset).unwrap_or(0)..usize::try_from(offset + length).unwrap_or(0);
            self.object(key)
                .and_then(|object| object.get(range).map(<[u8]>::to_vec))
                .ok_or_else(|| Error::no_such("object", key))
        })
    }

    async fn sign_get(&self, source: &Source, _: Duration) -> Result<String, Error> {
        Ok(match source {
            Source::Bucket(key) => format!("https://bucket.example/{key}?signed"),
            Source::S3(object) => format!("https://{}.example/{}?signed", object.bucket, object.key),
            Source::Url(url) => url.clone(),
        })
    }

    async fn sign_put(&self, key: &str, _: Duration) -> Result<String, Error> {
        Ok(format!("https://bucket.example/{key}?signed"))
    }
}

/// Objects of other buckets lie under `{bucket}/{key}`, pages of the web under their URL.
fn name_of(source: &Source) -> String {
    match source {
        Source::Bucket(name) | Source::Url(name) => name.clone(),
        Source::S3(object) => format!("{}/{}", object.bucket, object.key),
    }
}

impl Files for MemoryObjects {
    async fn piece(&self, source: &Source, offset: u64, length: u64) -> Result<Vec<u8>, NoFile> {
        tokio::time::sleep(self.latency).await;
        let name = name_of(source);
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if silent.is_some_and(|prefix| name.starts_with(&prefix)) {
            std::future::pending::<()>().await;
        }
        if let Some(reason) = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Err(reason.clone());
        }
        let object = self.object(&name).ok_or_else(|| NoFile::Unreadable("There is no such file.".into()))?;
        let begin = object.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
        let end = object.len().min(begin + usize::try_from(length).unwrap_or(usize::MAX));
        Ok(object[begin..end].to_vec())
    }
}

impl Listings for MemoryObjects {
    /// The ETag is the length in hexadecimal. A bucket that is busy says so of its list too.
    async fn listed(&self, source: &Source) -> Result<Option<Listing>, NoFile> {
        let name = name_of(source);
        if let Some(busy @ NoFile::Busy(_)) = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Err(busy.clone());
        }
        Ok(self.object(&name).map(|object| Listing {
            etag: format!("{:x}", object.len()),
            size_bytes: u64::try_from(object.len()).unwrap_or(u64::MAX),
        }))
    }
}

impl Folders for MemoryObjects {
    async fn remove_folder(&self, folder: &str) -> Result<(), Error> {
        self.fault.around(|| {
            let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            objects.retain(|key, _| !key.starts_with(folder));
            Ok(())
        })
    }

    async fn keys_behind(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
        self.fault.around(|| {
            let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let is_behind = |key: &&String| key.starts_with(folder) && after.is_none_or(|after| key.as_str() > after);
            let mut keys: Vec<String> = objects.keys().filter(is_behind).cloned().collect();
            keys.sort();
            keys.truncate(2); // so that tests see more than one page
            Ok(keys)
        })
    }
}

impl UploadForms for MemoryObjects {
    /// A form whose fields say what was asked for.
    async fn sign_form(
        &self,
        key: &str,
        content_type: &str,
        bytes: u64,
        _: Duration,
        _: Timestamp,
    ) -> Result<UploadForm, Error> {
        let fields =
            vec![("key", key.to_owned()), ("Content-Type", content_type.to_owned()), ("bytes", bytes.to_string())];
        Ok(UploadForm { url: "https://bucket.s3.us-east-1.amazonaws.com/".into(), fields })
    }
}

/// What stands for the MD5 of an object of [`MemoryObjects`], and so for its ETag.
#[must_use]
pub fn md5_of(bytes: &[u8]) -> String {
    hex::encode(&sha2::Sha256::digest(bytes)[..16])
}

impl Contents for MemoryObjects {
    async fn described(&self, source: &Source) -> Result<Option<Described>, NoFile> {
        let name = name_of(source);
        if let Some(described) = self.descriptions.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Some(described.clone()));
        }
        Ok(self.object(&name).map(|object| Described {
            etag: md5_of(&object),
            is_md5: true,
            size_bytes: u64::try_from(object.len()).unwrap_or(u64::MAX),
            digest: None,
        }))
    }

    async fn has_digest(&self, source: &Source, _: &str, digests: &[Digest]) -> Result<bool, NoFile> {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let object =
            self.object(&name_of(source)).ok_or_else(|| NoFile::Unreadable("There is no such file.".into()))?;
        Ok(digests.contains(&Digest::of("md5", &md5_of(&object))))
    }
}

/// The web: whole files by their URL. The first read of each fails.
#[derive(Debug)]
pub struct MemoryWeb {
    pages: HashMap<String, Vec<u8>>,
    reads: Mutex<Vec<String>>,
    takes: Duration,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Default for MemoryWeb {
    fn default() -> Self {
        Self {
            pages: HashMap::new(),
            reads: Mutex::default(),
            takes: Duration::from_millis(100),
            at_once: AtomicUsize::default(),
            most_at_once: AtomicUsize::default(),
        }
    }
}

impl MemoryWeb {
    /// With these pages.
    #[must_use]
    pub fn of(pages: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        Self { pages: pages.into_iter().map(|(url, page)| (url.to_owned(), page)).collect(), ..Self::default() }
    }

    /// Each read takes `takes`.
    #[must_use]
    pub fn slow(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    /// The URLs that were read, in order.
    pub fn reads(&self) -> Vec<String> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The most reads that there were at the same time.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }
}

impl Files for MemoryWeb {
    async fn piece(&self, source: &Source, _: u64, _: u64) -> Result<Vec<u8>, NoFile> {
        let Source::Url(url) = source else { return Err(NoFile::Unreadable("The file is not on the web.".into())) };
        let first = {
            let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.push(url.clone());
            reads.iter().filter(|read| *read == url).count() == 1
        };
        self.most_at_once.fetch_max(self.at_once.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        match self.pages.get(url) {
            Some(_) if first => Err(NoFile::Busy("The server answered status 503.".into())),
            Some(page) => Ok(page.clone()),
            None => Err(NoFile::Unreadable("The server answered status 404.".into())),
        }
    }
}

/// A mask of this size, one pixel of which is marked.
#[must_use]
#[expect(clippy::unwrap_used, reason = "memory takes whatever is written")]
pub fn a_mask(size: Size, x: u32, y: u32) -> Vec<u8> {
    let mut pixels = vec![0; (size.width * size.height) as usize];
    pixels[(y * size.width + x) as usize] = 1;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.width, size.height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).unwrap();
    file
}

/// The beginning of a PNG of this size.
#[must_use]
pub fn a_png(width: u32, height: u32) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &width.to_be_bytes(), &height.to_be_bytes()].concat()
}

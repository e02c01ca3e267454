//! One item, one answer: the call with its retries, and what the answer comes to.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use shared::domain::Error;
use shared::domain::diagnosis::Diagnosis;
use shared::domain::item::Asset;
use shared::domain::item::content::Stored;
use shared::domain::item::source::{Source, SourceBuckets};
use shared::domain::job::JobSpec;
use shared::domain::job::failure::Failure;
use shared::domain::job::failure::FailureCode;
use shared::domain::job::failure::ItemError;
use shared::domain::job::failure::ItemNote;
use shared::domain::job::failure::NoteCode;
use shared::domain::job::outcome::{ItemOutcome, Outcome, Remarks};
use shared::domain::limits;
use shared::domain::prediction::label_count::LabelCount;
use shared::domain::prediction::mask;
use shared::domain::prediction::size::Size;
use shared::domain::prediction::turn::Exif;
use shared::domain::prediction::{Mask, Prediction};
use shared::domain::reply::judge::{accepts, in_the_jobs_words, judge, least, unwanted};
use shared::domain::reply::{BadAnswer, Decoded, Picture, decode};
use shared::ports::{Files, InferenceError, InferenceRequest, Model, NoFile, Objects};
use shared::services::measure::measure;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout, timeout_at};

use crate::gate::{Gate, wait};
use crate::raw::Raw;
use crate::tries::Tries;

/// A signed URL is valid for this long (contract, 10.1).
const URL_VALID: Duration = Duration::from_secs(3_600);
/// The calls about an item and the fetching of its masks take at most this long, whatever the provider's own limit: see `ROUNDS_PER_CHUNK` in
/// `domain::plan`. Waits for its turn are not among it.
pub(crate) const LONGEST: Duration = Duration::from_secs(125);
/// A mask that cannot be fetched just now is tried once more, after this long.
const MASK_RETRY: Duration = Duration::from_millis(300);

/// What the model said about an item, and what that comes to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// In the manifest's order; `None`: a stopped job did not get to it.
    pub(crate) outcome: Option<ItemOutcome>,
    /// Everything well formed that the model said, below the threshold too, but for masks that were not worth a fetch. None
    /// once they are kept.
    pub(crate) predictions: Vec<Prediction>,
    /// The object that they are kept in.
    pub(crate) raw: Option<String>,
    /// What was dropped of it.
    pub(crate) dropped: Option<String>,
    /// What was corrected in it, or looks wrong.
    pub(crate) remarks: Vec<(NoteCode, String)>,
    /// Whether its coordinates can be judged.
    pub(crate) judged: bool,
    /// Predictions of labels that the job does not want.
    pub(crate) dropped_labels: Vec<LabelCount>,
    /// The asset, if its size or its orientation had to be read from its file.
    pub(crate) measured: Option<Asset>,
}

impl Answer {
    /// Of an item that a stopped job did not get to.
    pub(crate) const fn none() -> Self {
        Self {
            outcome: None,
            predictions: Vec::new(),
            raw: None,
            dropped: None,
            remarks: Vec::new(),
            judged: false,
            dropped_labels: Vec::new(),
            measured: None,
        }
    }

    fn failed(asset: &Asset, failure: Failure) -> Self {
        let outcome = Some(ItemOutcome::of(asset, Outcome::Failed(failure)));
        Self { outcome, ..Self::none() }
    }

    pub(crate) fn notes(answers: &[Self]) -> Vec<ItemError> {
        let note = |answer: &Self| {
            let (outcome, message) = answer.outcome.as_ref().zip(answer.dropped.clone())?;
            Some(ItemError { item: outcome.item, code: FailureCode::BadAnswer, message })
        };
        answers.iter().filter_map(note).collect()
    }

    pub(crate) fn remarks(answers: &[Self]) -> Remarks {
        let notes = |answer: &Self| {
            let item = answer.outcome.as_ref().map(|outcome| outcome.item);
            let note = |(code, message): &(NoteCode, String)| {
                item.map(|item| ItemNote { item, code: *code, message: message.clone() })
            };
            answer.remarks.iter().filter_map(note).collect::<Vec<_>>()
        };
        let judged = answers.iter().filter(|answer| answer.judged).count();
        Remarks { notes: answers.iter().flat_map(notes).collect(), judged: u32::try_from(judged).unwrap_or(u32::MAX) }
    }

    pub(crate) fn dropped_labels(answers: &[Self]) -> Vec<LabelCount> {
        let counts = answers.iter().flat_map(|answer| &answer.dropped_labels);
        LabelCount::sum(counts.map(LabelCount::pair), limits::DROPPED_LABELS)
    }

    pub(crate) fn raw(answers: &[Self]) -> Vec<String> {
        let objects: BTreeSet<&String> = answers.iter().filter_map(|answer| answer.raw.as_ref()).collect();
        objects.into_iter().cloned().collect()
    }

    pub(crate) fn measured(answers: &[Self]) -> Vec<Asset> {
        answers.iter().filter_map(|answer| answer.measured.clone()).collect()
    }

    pub(crate) fn outcomes(answers: Vec<Self>) -> Vec<Option<ItemOutcome>> {
        answers.into_iter().map(|answer| answer.outcome).collect()
    }
}

/// How items of a job are asked about.
pub(crate) struct Asking<'a, M, O, W> {
    pub(crate) spec: &'a JobSpec,
    pub(crate) model: &'a M,
    pub(crate) objects: &'a O,
    pub(crate) web: &'a W,
    /// What of S3 the job's organization may name.
    pub(crate) buckets: &'a SourceBuckets,
    /// The way to the model.
    pub(crate) gate: Gate,
    /// Set when the job is over: from then on nothing is fetched for it (I7).
    pub(crate) stopped: Cell<bool>,
    /// Where answers are kept.
    pub(crate) raw: &'a Raw,
    /// Held for the masks of an item: a file and its pixels may take half of the worker's memory (design.md, section 9).
    pub(crate) fetching: Mutex<()>,
}

/// Why a call brought no answer.
enum Missed {
    /// The item fails.
    Item(Failure),
    /// The model cannot serve this job.
    Job(String),
    /// Worth another try, after what is asked for.
    Again(String, Option<Duration>),
}

impl From<InferenceError> for Missed {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::Item(failure) => Self::Item(failure),
            InferenceError::Job { message, .. } => Self::Job(message),
            InferenceError::Transient { message, retry_after, .. }
            | InferenceError::Busy { message, retry_after, .. } => Self::Again(message, retry_after),
        }
    }
}

/// What the model said.
struct Said<'a> {
    decoded: Result<Decoded, BadAnswer>,
    /// Of `fetching`, if the job wants masks of it; also none if it never came.
    turn: Option<MutexGuard<'a, ()>>,
    /// From here on no mask is fetched.
    until: Instant,
}

impl<M: Model, O: Objects + Files, W: Files> Asking<'_, M, O, W> {
    /// Asks about an item, and keeps the answer. `None`: the gate was shut before the model had answered.
    ///
    /// # Errors
    /// `ProviderRefused` if the model cannot serve this job at all; `ObjectsUnavailable`. Everything else is an outcome.
    pub(crate) async fn ask(&self, asset: Asset) -> Result<Option<Answer>, Error> {
        match self.answer(asset).await? {
            Some(answer) => self.raw.keep(self.objects, answer).await.map(Some),
            None => Ok(None),
        }
    }

    async fn answer(&self, asset: Asset) -> Result<Option<Answer>, Error> {
        let mut tries = Tries::default();
        self.gate.arrive();
        let answer = self.try_until_answered(asset, &mut tries).await;
        self.gate.depart(&tries);
        answer
    }

    async fn try_until_answered(&self, mut asset: Asset, tries: &mut Tries) -> Result<Option<Answer>, Error> {
        let before = asset.clone();
        loop {
            let (message, retry_after) = match self.call(&mut asset, tries).await {
                Ok(None) => return Ok(None),
                Ok(Some(said)) => {
                    let read = self.read(&asset, said).await;
                    return Ok(Some(Answer { measured: (asset != before).then_some(asset), ..read }));
                }
                Err(Missed::Item(failure)) => return Ok(Some(Answer::failed(&asset, failure))),
                Err(Missed::Job(message)) => return Err(Error::ProviderRefused(message)),
                Err(Missed::Again(message, retry_after)) => (message, retry_after),
            };
            if tries.are_over() {
                return Ok(Some(Answer::failed(&asset, Failure::new(FailureCode::ModelUnavailable, message))));
            }
            self.gate.wait(wait(tries.failures(), retry_after)).await;
        }
    }

    /// One try. The asset's size is read from the file if it is not known yet, and its orientation if this model needs it.
    async fn call(&self, asset: &mut Asset, tries: &mut Tries) -> Result<Option<Said<'_>>, Missed> {
        if !self.buckets.open(&asset.source, self.spec.organization) {
            return Err(unreadable("This deployment does not read from the file's bucket any more.").into());
        }
        if asset.wants_size() || asset.wants_orientation(self.exif()) {
            let stored = self.measure(asset).await;
            if stored.is_err() {
                tries.count();
            }
            let stored = stored?;
            asset.take_picture(stored.upright(), stored.orientation);
        }
        let Some(place) = self.gate.enter(tries).await else { return Ok(None) };
        let Ok(asset_url) = self.objects.sign_get(&asset.source, URL_VALID).await else {
            self.gate.give_back(place);
            tries.count();
            return Err(Missed::Again("The item's URL could not be signed.".into(), None));
        };
        let begun = Instant::now();
        let answer = timeout(tries.left(), self.infer(asset, asset_url)).await;
        let late = |_| Err(InferenceError::transient(Diagnosis::Timeout, "The model did not answer in time."));
        let (took, until) = (begun.elapsed(), begun + tries.left());
        let said = match answer.unwrap_or_else(late) {
            Ok(body) => Ok(self.understand(asset, &body, until).await),
            Err(error) => Err(error),
        };
        self.gate.leave(place, took, tries, &said);
        Ok(Some(said?))
    }

    /// Whoever waits for its masks keeps its place: answers would come faster than they are done with, and fill the memory. And it
    /// waits with the answer as it came, which may take several times as much when it is read.
    async fn understand(&self, asset: &Asset, body: &[u8], until: Instant) -> Said<'_> {
        let read = || {
            let mut decoded = decode(body, self.model.reading(), self.size_in_answer(asset))?;
            in_the_jobs_words(self.spec, &mut decoded);
            Ok(decoded)
        };
        let wanted = |picture: &Picture| accepts(self.spec, &picture.label, picture.confidence);
        let decoded = read();
        if !decoded.as_ref().is_ok_and(|decoded| decoded.pictures.iter().any(wanted)) {
            return Said { decoded, turn: None, until };
        }
        drop(decoded);
        let turn = timeout_at(until, self.fetching.lock()).await.ok();
        Said { decoded: read(), turn, until }
    }

    async fn infer(&self, asset: &Asset, asset_url: String) -> Result<Vec<u8>, InferenceError> {
        let reading = self.model.reading();
        let labels = reading.asked(&self.spec.wanted);
        let request = InferenceRequest {
            asset_id: asset.uid,
            asset_url,
            asset_type: asset.kind,
            size: self.size_in_answer(asset),
            frame: asset.size.map(|_| self.exif().into()),
            labels: &labels,
            prompts: reading.prompts(&labels, &self.spec.prompts),
            model_type: self.spec.options.model_type,
            threshold: least(self.spec),
        };
        self.model.infer(&request).await
    }

    fn exif(&self) -> Exif {
        self.model.reading().exif
    }

    /// The item's size in the frame of the model's request and answer.
    fn size_in_answer(&self, asset: &Asset) -> Option<Size> {
        asset.size.map(|upright| asset.turn(self.exif()).stored(upright))
    }

    /// The size and the orientation of a file that was not there when its item was added, or that was not read then.
    async fn measure(&self, asset: &Asset) -> Result<Stored, InferenceError> {
        let stored = match asset.source {
            Source::Url(_) => measure(self.web, &asset.source).await,
            Source::Bucket(_) | Source::S3(_) => measure(self.objects, &asset.source).await,
        };
        stored.map_err(|reason| match reason {
            NoFile::Unreadable(sentence) if asset.wants_size() => unreadable(sentence),
            NoFile::Unreadable(sentence) => {
                unreadable(format!("The provider ignores EXIF, and the file's orientation cannot be read. {sentence}"))
            }
            NoFile::Busy(sentence) => transient(&sentence),
        })
    }

    async fn read(&self, asset: &Asset, said: Said<'_>) -> Answer {
        let Said { decoded, turn: _turn, until } = said;
        let bad = |bad: BadAnswer| Answer::failed(asset, Failure::new(FailureCode::BadAnswer, bad.to_string()));
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return bad(error),
        };
        let dropped_labels = unwanted(self.spec, &decoded);
        let Some(masks) = self.masks(&decoded.pictures, until).await else { return Answer::none() };
        let upright = |decoded: Decoded| match asset.size {
            Some(size) => decoded.turned(asset.turn(self.exif()), size),
            None => Ok(decoded),
        };
        match decoded.complete(masks).and_then(upright) {
            Err(error) => bad(error),
            Ok(decoded) => Answer {
                outcome: Some(ItemOutcome::of(asset, judge(self.spec, &decoded.predictions))),
                dropped: note(&decoded.dropped),
                judged: decoded.looks.is_some(),
                remarks: decoded.remarks(self.size_in_answer(asset)),
                dropped_labels,
                predictions: decoded.predictions,
                raw: None,
                measured: None,
            },
        }
    }

    /// The masks of these pictures, but for those that the job drops anyway; `None` if it is over.
    async fn masks(&self, pictures: &[Picture], until: Instant) -> Option<Vec<Option<Result<Mask, String>>>> {
        let (mut masks, mut wanted) = (Vec::with_capacity(pictures.len()), 0);
        for picture in pictures {
            if !accepts(self.spec, &picture.label, picture.confidence) {
                masks.push(None);
                continue;
            }
            wanted += 1;
            masks.push(Some(if wanted > limits::MASK_PICTURES {
                Err(format!("Only the first {} masks of an item are fetched.", limits::MASK_PICTURES))
            } else {
                let late = |_| Err("Could not be fetched in time.".into());
                timeout_at(until, self.mask(picture)).await.unwrap_or_else(late)
            }));
            if self.stopped.get() {
                return None;
            }
        }
        Some(masks)
    }

    async fn mask(&self, picture: &Picture) -> Result<Mask, String> {
        if self.stopped.get() {
            return Err(String::new()); // waited in vain (I7)
        }
        let source = Source::Url(picture.url.clone());
        // One byte more shows that there are too many.
        let fetch = || self.web.piece(&source, 0, limits::MASK_BYTES as u64 + 1);
        let patience = ConstantBuilder::default().with_delay(MASK_RETRY).with_max_times(1);
        let file = fetch.retry(patience).when(|reason| matches!(reason, NoFile::Busy(_))).await;
        let file = file.map_err(|reason| format!("Could not be fetched. {reason}"))?;
        mask::of_png(&file, picture.size).map_err(|bad| bad.to_string())
    }
}

fn transient(message: &str) -> InferenceError {
    InferenceError::transient(Diagnosis::Busy, message)
}

fn unreadable(sentence: impl Into<String>) -> InferenceError {
    InferenceError::Item(Failure::new(FailureCode::FileUnreadable, sentence))
}

/// A short sentence about what was dropped of an answer.
fn note(dropped: &[String]) -> Option<String> {
    let first: String = dropped.first()?.chars().take(limits::MESSAGE_CHARS).collect();
    Some(if dropped.len() > 1 { format!("{first} (and {} more)", dropped.len() - 1) } else { first })
}

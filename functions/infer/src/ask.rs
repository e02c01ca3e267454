//! One item, one outcome: the call with its retries, and the outcome of its reply.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use shared::domain::diagnosis::Diagnosis;
use shared::domain::item::Asset;
use shared::domain::item::content::Stored;
use shared::domain::item::source::{Source, SourceBuckets};
use shared::domain::job::JobSpec;
use shared::domain::job::failure::{Failure, FailureCode, quotation};
use shared::domain::job::outcome::{ItemCommit, Outcome};
use shared::domain::prediction::size::Size;
use shared::domain::prediction::turn::Exif;
use shared::domain::prediction::{Mask, Prediction, mask};
use shared::domain::reply::judge::{accepts, in_the_jobs_words, judge, labels_dropped, least, unwanted};
use shared::domain::reply::{BadAnswer, Decoded, Picture, decode};
use shared::domain::{Error, limits, show};
use shared::ports::{Files, InferenceError, InferenceRequest, Model, NoFile, Objects};
use shared::services::measure::measure;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout, timeout_at};

use crate::gate::{Gate, wait};
use crate::raw::RawWriter;
use crate::tries::Tries;

/// A signed URL is valid for this long (contract, 10.1).
const URL_VALID: Duration = Duration::from_secs(3_600);
/// The calls about an item and the fetching of its masks take at most this long, whatever the provider's own limit: see
/// `ROUNDS_PER_CHUNK` in `domain::job::plan`. Waits at the gate do not count.
pub(crate) const LONGEST: Duration = Duration::from_secs(125);
/// The wait before a mask that could not be fetched is tried once more.
const MASK_RETRY: Duration = Duration::from_millis(300);

/// What an item came to, and all well-formed predictions about it: below the threshold too, but for masks that were not
/// fetched.
type Judged = (ItemCommit, Vec<Prediction>);

/// What the calls about all items of a batch share.
pub(crate) struct Asking<'a, M, O, W> {
    pub(crate) spec: &'a JobSpec,
    pub(crate) model: &'a M,
    pub(crate) objects: &'a O,
    pub(crate) web: &'a W,
    /// The buckets that the job's organization may name.
    pub(crate) buckets: &'a SourceBuckets,
    pub(crate) gate: Gate,
    pub(crate) raw: &'a RawWriter,
    /// Held while the masks of an item are fetched: a file and its pixels may take half of the worker's memory (64 MB).
    pub(crate) mask_lock: Mutex<()>,
}

/// The reply of a model about one item.
struct ModelReply<'a> {
    decoded: Result<Decoded, BadAnswer>,
    /// Of [`Asking::mask_lock`], if masks are to be fetched. Also `None` if `mask_deadline` came first.
    mask_permit: Option<MutexGuard<'a, ()>>,
    mask_deadline: Instant,
}

impl<M: Model, O: Objects + Files, W: Files> Asking<'_, M, O, W> {
    /// Calls the model about an item until there is an outcome, and keeps the predictions. `None`: the gate was shut before.
    ///
    /// # Errors
    /// `ProviderRefused` if the model cannot serve this job at all; `ObjectsUnavailable`. Everything else is an outcome.
    pub(crate) async fn ask(&self, asset: Asset) -> Result<Option<ItemCommit>, Error> {
        let mut tries = Tries::default();
        self.gate.arrive();
        let judged = self.try_until_answered(asset, &mut tries).await;
        self.gate.depart(&tries);
        match judged? {
            Some((commit, predictions)) => self.raw.keep(self.objects, commit, predictions).await.map(Some),
            None => Ok(None),
        }
    }

    async fn try_until_answered(&self, mut asset: Asset, tries: &mut Tries) -> Result<Option<Judged>, Error> {
        let planned = asset.clone();
        loop {
            let (message, words, retry_after) = match self.call(&mut asset, tries).await {
                Ok(None) => return Ok(None),
                Ok(Some(reply)) => {
                    let Some((commit, predictions)) = self.outcome(&asset, reply).await else { return Ok(None) };
                    let measured = (asset != planned).then_some(asset);
                    return Ok(Some((ItemCommit { measured, ..commit }, predictions)));
                }
                Err(InferenceError::Item(failure)) => return Ok(Some(failed(&asset, failure))),
                Err(InferenceError::Job { message, .. }) => return Err(Error::ProviderRefused(message)),
                Err(
                    InferenceError::Transient { message, words, retry_after, .. }
                    | InferenceError::Busy { message, words, retry_after, .. },
                ) => (message, words, retry_after),
            };
            if tries.are_over() {
                let words = words.map(|words| format!(" {}", quotation(&words))).unwrap_or_default();
                let particulars = Some(format!("{}{words}", tries.sentence()));
                let failure = Failure { particulars, ..Failure::new(FailureCode::ModelUnavailable, message) };
                return Ok(Some(failed(&asset, failure)));
            }
            self.gate.wait(wait(tries.failures(), retry_after)).await;
        }
    }

    /// One try. `None`: the gate was shut before.
    async fn call(&self, asset: &mut Asset, tries: &mut Tries) -> Result<Option<ModelReply<'_>>, InferenceError> {
        self.prepare(asset, tries).await?;
        let Some(permit) = self.gate.enter(tries).await else { return Ok(None) };
        let Ok(asset_url) = self.objects.sign_get(&asset.source, URL_VALID).await else {
            self.gate.give_back(permit);
            tries.count();
            return Err(InferenceError::transient(Diagnosis::Busy, "The item's URL could not be signed."));
        };
        let begun = Instant::now();
        let answer = timeout(tries.left(), self.infer(asset, asset_url)).await;
        let late = |_| {
            let sentence = format!("No complete answer came within the {} of an item.", show::seconds(LONGEST));
            Err(InferenceError::transient(Diagnosis::Timeout, sentence))
        };
        let (took, mask_deadline) = (begun.elapsed(), begun + tries.left());
        let reply = match answer.unwrap_or_else(late) {
            Ok(body) => Ok(self.decoded(asset, &body, mask_deadline).await),
            Err(error) => Err(error),
        };
        self.gate.leave(permit, took, tries, &reply);
        Ok(Some(reply?))
    }

    /// Reads the asset's size from its file if it is not known yet, and its orientation if this model needs it.
    async fn prepare(&self, asset: &mut Asset, tries: &mut Tries) -> Result<(), InferenceError> {
        if !self.buckets.open(&asset.source, self.spec.organization) {
            return Err(unreadable("This deployment does not read from the file's bucket any more."));
        }
        if asset.wants_size() || asset.wants_orientation(self.exif()) {
            let stored = self.measure(asset).await;
            if stored.is_err() {
                tries.count();
            }
            let stored = stored?;
            asset.take_picture(stored.upright(), stored.orientation);
        }
        Ok(())
    }

    /// Decodes an answer. An item whose masks are to be fetched keeps its slot: answers would come faster than masks, and fill the
    /// memory. While it waits for the permit it holds the answer's bytes alone, since a decoded answer may take several times as much.
    async fn decoded(&self, asset: &Asset, body: &[u8], mask_deadline: Instant) -> ModelReply<'_> {
        let read = || {
            let mut decoded = decode(body, self.model.reading(), self.size_in_answer(asset))?;
            in_the_jobs_words(self.spec, &mut decoded);
            Ok(decoded)
        };
        let wanted = |picture: &Picture| accepts(self.spec, &picture.label, picture.confidence);
        let decoded = read();
        if !decoded.as_ref().is_ok_and(|decoded| decoded.pictures.iter().any(wanted)) {
            return ModelReply { decoded, mask_permit: None, mask_deadline };
        }
        drop(decoded);
        let mask_permit = timeout_at(mask_deadline, self.mask_lock.lock()).await.ok();
        ModelReply { decoded: read(), mask_permit, mask_deadline }
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

    /// The item's size in the frame of the model's request and reply.
    fn size_in_answer(&self, asset: &Asset) -> Option<Size> {
        asset.size.map(|upright| asset.turn(self.exif()).stored(upright))
    }

    /// The size and the orientation of a file that was not read when its item was added.
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
            NoFile::Busy(sentence) => InferenceError::transient(Diagnosis::Busy, sentence),
        })
    }

    /// The outcome of a reply. `None`: the job is over, and not all masks were fetched.
    async fn outcome(&self, asset: &Asset, reply: ModelReply<'_>) -> Option<Judged> {
        let ModelReply { decoded, mask_permit: _held, mask_deadline } = reply;
        let bad = |bad: BadAnswer| Some(failed(asset, Failure::new(FailureCode::BadAnswer, bad.to_string())));
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return bad(error),
        };
        let dropped_labels = unwanted(self.spec, &decoded);
        let masks = self.masks(&decoded.pictures, mask_deadline).await?;
        let upright = |decoded: Decoded| match asset.size {
            Some(size) => decoded.turned(asset.turn(self.exif()), size),
            None => Ok(decoded),
        };
        let decoded = match decoded.complete(masks).and_then(upright) {
            Ok(decoded) => decoded,
            Err(error) => return bad(error),
        };
        let outcome = judge(self.spec, &decoded.predictions);
        let commit = ItemCommit {
            dropped: note(&decoded.dropped),
            remarks: decoded
                .remarks(self.size_in_answer(asset))
                .into_iter()
                .chain(labels_dropped(&dropped_labels))
                .collect(),
            is_judged: decoded.likely_unit.is_some(),
            dropped_labels,
            ..ItemCommit::new(asset.uid, asset.changes, outcome)
        };
        Some((commit, decoded.predictions))
    }

    /// The masks of these pictures, but for those that the job drops anyway. `None`: the job is over.
    async fn masks(&self, pictures: &[Picture], deadline: Instant) -> Option<Vec<Option<Result<Mask, String>>>> {
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
                timeout_at(deadline, self.mask(picture)).await.unwrap_or_else(late)
            }));
            if self.gate.is_over() {
                return None;
            }
        }
        Some(masks)
    }

    async fn mask(&self, picture: &Picture) -> Result<Mask, String> {
        if self.gate.is_over() {
            return Err(String::new()); // the job ended while this mask waited for its turn (I7)
        }
        let source = Source::Url(picture.url.clone());
        // One byte more shows that the file is too long.
        let fetch = || self.web.piece(&source, 0, limits::MASK_BYTES as u64 + 1);
        let patience = ConstantBuilder::default().with_delay(MASK_RETRY).with_max_times(1);
        let file = fetch.retry(patience).when(|reason| matches!(reason, NoFile::Busy(_))).await;
        let file = file.map_err(|reason| format!("Could not be fetched. {reason}"))?;
        mask::of_png(&file, picture.size).map_err(|bad| bad.to_string())
    }
}

fn failed(asset: &Asset, failure: Failure) -> Judged {
    (ItemCommit::new(asset.uid, asset.changes, Outcome::Failed(failure)), Vec::new())
}

fn unreadable(sentence: impl Into<String>) -> InferenceError {
    InferenceError::Item(Failure::new(FailureCode::FileUnreadable, sentence))
}

/// A short sentence about what was dropped of an answer.
fn note(dropped: &[String]) -> Option<String> {
    let first: String = dropped.first()?.chars().take(limits::MESSAGE_CHARS).collect();
    Some(if dropped.len() > 1 { format!("{first} (and {} more)", dropped.len() - 1) } else { first })
}

//! A test of a provider (contract, 8.4): the request of a job, with a picture that every deployment has.

use std::sync::OnceLock;
use std::time::Duration;

use shared::domain::Error;
use shared::domain::diagnosis::Diagnosis;
use shared::domain::id::ItemUid;
use shared::domain::item::{AssetType, Source};
use shared::domain::job::failure::NoteCode;
use shared::domain::limits;
use shared::domain::prediction::Mask;
use shared::domain::prediction::mask;
use shared::domain::prediction::size::Size;
use shared::domain::provider::InferenceProvider;
use shared::domain::reply::{BadAnswer, Decoded, Picture, decode, path_of};
use shared::ports::{Connect, Files, InferenceRequest, Model, NoFile, Objects};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{ProviderApi, ProviderPorts};

/// A person, so that a detector has something to find.
const PICTURE: &[u8] = include_bytes!("probe.jpg");
const SIZE: Size = Size { width: 192, height: 192 };
/// The one object that this function may write and read.
const KEY: &str = "probes/picture.jpg";
/// The life of the signed URL.
const URL_VALID: Duration = Duration::from_secs(600);
/// The time of the whole test. The clients give up after 30 seconds (contract, 8.4), and a test must end before 20, with the
/// reads and writes of the table around it.
const LIMIT: Duration = Duration::from_secs(18);
/// The default of a job (contract, 6.2).
const USUAL_THRESHOLD: f64 = 0.5;
/// The end of the wait for masks: before [`LIMIT`], so that the test can report a late one.
const MASKS: Duration = Duration::from_secs(17);
/// The wait before the second fetch of a mask whose host is busy, as in a job.
const MASK_RETRY: Duration = Duration::from_millis(300);

/// The outcome of a test.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(crate) success: bool,
    /// A sentence, for users.
    pub(crate) message: String,
    /// `None`: nothing is wrong.
    pub(crate) problem: Option<Diagnosis>,
    /// The field of the answer that is wrong.
    pub(crate) path: Option<String>,
    /// The time of the model's call. `None`: the model was not called.
    pub(crate) latency: Option<Duration>,
}

impl Probe {
    fn failed(problem: Diagnosis, message: impl Into<String>) -> Self {
        Self { message: message.into(), problem: Some(problem), ..Self::default() }
    }

    /// The outcome of a readable answer. A job would drop its broken parts. `unseen` masks were not fetched.
    fn of(decoded: &Decoded, unseen: usize) -> Self {
        let predictions = decoded.predictions.len() + unseen;
        let mut message = format!("The model answered, with {predictions} prediction(s).");
        // The picture is a person, who is as high as it: a box of hers ends far beyond 100.
        let unlikely = |(code, _): &(NoteCode, String)| {
            matches!(code, NoteCode::CoordinatesNormalized | NoteCode::CoordinatesPercent)
        };
        let (unlikely, corrected): (Vec<_>, Vec<_>) = decoded.remarks(Some(SIZE)).into_iter().partition(unlikely);
        for (_, sentence) in corrected.iter().chain(&unlikely) {
            message = format!("{message} {sentence}");
        }
        match decoded.dropped.first() {
            None => {
                let problem = (!unlikely.is_empty()).then_some(Diagnosis::UnlikelyCoordinates);
                Self { success: true, message, problem, ..Self::default() }
            }
            Some(first) => Self {
                success: true,
                message: format!("{message} A job would drop parts of the answer, the first one: {first}"),
                problem: Some(Diagnosis::PredictionsDropped),
                path: path_of(first).map(str::to_owned),
                ..Self::default()
            },
        }
    }

    /// The outcome of an answer that no job could read.
    fn unreadable(bad: &BadAnswer) -> Self {
        let path = match bad {
            BadAnswer::NothingWellFormed { first } => path_of(first).map(str::to_owned),
            _ => None,
        };
        Self { path, ..Self::failed(Diagnosis::BadAnswer, bad.to_string()) }
    }
}

/// Sends the picture to the provider.
///
/// # Errors
/// Faults of the system, not of the provider: `ObjectsUnavailable`, `SecretsUnavailable`.
pub(crate) async fn probe<P: ProviderPorts>(
    api: &ProviderApi<P>,
    provider: &InferenceProvider,
) -> Result<Probe, Error> {
    let called = OnceLock::new();
    let probe = match timeout(LIMIT, ask(api, provider, &called)).await {
        Ok(result) => result?,
        Err(_) => {
            let sentence = format!("The model did not answer within {} seconds.", LIMIT.as_secs());
            Probe::failed(Diagnosis::Timeout, sentence)
        }
    };
    Ok(Probe { latency: probe.latency.or(called.get().map(Instant::elapsed)), ..probe })
}

/// `called` receives the time at which the model was called.
async fn ask<P: ProviderPorts>(
    api: &ProviderApi<P>,
    provider: &InferenceProvider,
    called: &OnceLock<Instant>,
) -> Result<Probe, Error> {
    let until = Instant::now() + MASKS;
    let model = match api.models.connect(provider).await {
        Err(Error::ProviderRefused(sentence)) => return Ok(Probe::failed(Diagnosis::RoleNotAssumable, sentence)),
        connected => connected?,
    };
    // Each test writes it again, so that a new deployment needs no setup: it is a few kilobytes, always the same.
    api.objects.put(KEY, "image/jpeg", PICTURE.to_vec()).await?;
    let request = InferenceRequest {
        asset_id: ItemUid::of_probe(),
        asset_url: api.objects.sign_get(&Source::Bucket(KEY.into()), URL_VALID).await?,
        asset_type: AssetType::Image,
        size: Some(SIZE),
        frame: Some(model.reading().exif.into()),
        labels: &[],
        prompts: Vec::new(),
        model_type: None,
        threshold: USUAL_THRESHOLD,
    };
    let begun = *called.get_or_init(Instant::now);
    let answer = model.infer(&request).await;
    let latency = Some(begun.elapsed());
    let probe = match answer.map(|answer| decode(&answer, model.reading(), Some(SIZE))) {
        Ok(Ok(decoded)) => completed(&api.web, decoded, until).await.unwrap_or_else(|bad| Probe::unreadable(&bad)),
        Ok(Err(bad)) => Probe::unreadable(&bad),
        Err(error) => Probe::failed(error.diagnosis(), error.to_string()),
    };
    Ok(Probe { latency, ..probe })
}

/// Fetches masks that are pictures, up to the first that a job could use: the others are as good, most likely.
async fn completed(web: &impl Files, decoded: Decoded, until: Instant) -> Result<Probe, BadAnswer> {
    let mut masks = Vec::new();
    for picture in &decoded.pictures {
        if masks.iter().take(limits::MASK_PICTURES).any(|mask| matches!(mask, Some(Ok(_)))) {
            masks.push(None);
            continue;
        }
        if masks.len() >= limits::MASK_PICTURES {
            masks.push(Some(Err(format!("Only the first {} masks of an item are fetched.", limits::MASK_PICTURES))));
            continue;
        }
        let late = |_| Err("Could not be fetched in time.".into());
        masks.push(Some(timeout_at(until, mask_of(web, picture)).await.unwrap_or_else(late)));
    }
    let unseen = masks.iter().filter(|mask| mask.is_none()).count();
    Ok(Probe::of(&decoded.complete(masks)?, unseen))
}

async fn mask_of(web: &impl Files, picture: &Picture) -> Result<Mask, String> {
    // One byte more shows that there are too many.
    let source = Source::Url(picture.url.clone());
    let fetch = || web.piece(&source, 0, limits::MASK_BYTES as u64 + 1);
    let file = match fetch().await {
        Err(NoFile::Busy(_)) => {
            sleep(MASK_RETRY).await;
            fetch().await
        }
        first => first,
    };
    let file = file.map_err(|reason| format!("Could not be fetched. {reason}"))?;
    mask::of_png(&file, picture.size).map_err(|bad| bad.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_declared_size() {
        // Start of frame: marker, length, precision, height, width.
        let frame = PICTURE.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
        let side = |at: usize| u32::from(u16::from_be_bytes([PICTURE[frame + at], PICTURE[frame + at + 1]]));

        assert_eq!(Size { width: side(7), height: side(5) }, SIZE);
    }
}

//! A test of a provider (contract, 8.4): the request of a job, with a picture that every deployment has.

use std::time::Duration;

use shared::domain::Error;
use shared::domain::decode::decode;
use shared::domain::id::ItemUid;
use shared::domain::item::{AssetType, Size, Source};
use shared::domain::provider::InferenceProvider;
use shared::ports::{Connect, InferenceRequest, Model, Objects};
use tokio::time::timeout;

/// A person, so that a detector has something to find.
const PICTURE: &[u8] = include_bytes!("probe.jpg");
const SIZE: Size = Size { width: 192, height: 192 };
/// The one object that this function may write and read.
const KEY: &str = "probes/picture.jpg";
/// Of the signed URL.
const URL_VALID: Duration = Duration::from_secs(600);
/// Of the whole test: the clients give up after 30 seconds (contract, 8.4).
const LIMIT: Duration = Duration::from_secs(20);

/// What a test came to.
pub(crate) struct Probe {
    pub(crate) success: bool,
    /// A sentence for users.
    pub(crate) message: String,
}

impl Probe {
    fn failed(message: impl Into<String>) -> Self {
        Self { success: false, message: message.into() }
    }
}

/// Asks the provider about the picture.
///
/// # Errors
/// What is no fault of the provider's: `ObjectsUnavailable`, `SecretsUnavailable`.
pub(crate) async fn probe<O: Objects, M: Connect>(
    objects: &O,
    models: &M,
    provider: &InferenceProvider,
) -> Result<Probe, Error> {
    match timeout(LIMIT, ask(objects, models, provider)).await {
        Ok(Err(Error::ProviderRefused(sentence))) => Ok(Probe::failed(sentence)),
        Ok(result) => result,
        Err(_) => Ok(Probe::failed(format!("The model did not answer within {} seconds.", LIMIT.as_secs()))),
    }
}

async fn ask<O: Objects, M: Connect>(objects: &O, models: &M, provider: &InferenceProvider) -> Result<Probe, Error> {
    let model = models.connect(provider).await?;
    // Each time, so that no deployment has to be filled first: it is a few kilobytes, and always the same ones.
    objects.put(KEY, "image/jpeg", PICTURE.to_vec()).await?;
    let request = InferenceRequest {
        asset_id: ItemUid::of_probe(),
        asset_url: objects.sign_get(&Source::Bucket(KEY.into()), URL_VALID).await?,
        asset_type: AssetType::Image,
        size: Some(SIZE),
        labels: &[],
        model_type: None,
    };
    let answer = match model.infer(&request).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Probe::failed(error.to_string())),
    };
    Ok(match decode(&answer, model.reading(), Some(SIZE)) {
        Ok(decoded) => {
            let predictions = decoded.predictions.len() + decoded.pictures.len();
            let message = format!("The model answered, with {predictions} prediction(s).");
            Probe { success: true, message }
        }
        Err(bad) => Probe::failed(bad.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_size_that_it_is_said_to_have() {
        // Start of frame: marker, length, precision, height, width.
        let frame = PICTURE.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
        let side = |at: usize| u32::from(u16::from_be_bytes([PICTURE[frame + at], PICTURE[frame + at + 1]]));

        assert_eq!(Size { width: side(7), height: side(5) }, SIZE);
    }
}

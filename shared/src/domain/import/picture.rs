//! What the readers of other tools' files share: the name of a picture from its URL, and masks that run row by row.

use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::reader::{Reason, ReasonCode};
use crate::domain::id::ProjectUid;
use crate::domain::limits;
use crate::domain::prediction::rle;

pub(super) type Read<T> = Result<T, Reason>;

pub(super) fn malformed<T>(message: impl AsRef<str>) -> Read<T> {
    Err(Reason::new(ReasonCode::Malformed, message))
}

/// The name of the item with this URL, which may be a path, and the URL if it is one.
pub(super) fn named(url: &str) -> (String, Option<String>) {
    if let Some((_, key)) = url.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
        return (own_key(key).unwrap_or(key).to_owned(), Some(url.to_owned()));
    }
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => {
            (decoded(last_part(parsed.path())), Some(url.to_owned()))
        }
        _ => (url.to_owned(), None),
    }
}

/// The key of an item whose file is in the system's bucket (see [`Item::object_key`](crate::domain::item::Item::object_key)).
fn own_key(key: &str) -> Option<&str> {
    let (project, key) = key.strip_prefix("projects/")?.split_once('/')?;
    ProjectUid::parse(project).ok().map(|_project| key)
}

pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A part of a URL without its percent-encoding.
pub(super) fn decoded(part: &str) -> String {
    // What forms read in another way than paths do is encoded first.
    let form = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(form.as_bytes()).next().map_or_else(String::new, |(text, _)| text.into_owned())
}

/// A picture whose pixels are marked or not, a bit each, column by column.
pub(super) struct Bitmap {
    width: u64,
    height: u64,
    bits: Vec<u64>,
}

impl Bitmap {
    /// Nothing is marked.
    ///
    /// # Errors
    /// `Malformed`: it has too many pixels, or none.
    pub(super) fn new(width: u32, height: u32) -> Read<Self> {
        let (width, height) = (u64::from(width), u64::from(height));
        if !(1..=limits::MASK_PIXELS).contains(&(width * height)) {
            return malformed("Its mask has no pixels or too many.");
        }
        let words = usize::try_from((width * height).div_ceil(64)).unwrap_or_default();
        Ok(Self { width, height, bits: vec![0; words] })
    }

    /// Marks a pixel. One that is not in the picture is none.
    pub(super) fn mark(&mut self, x: u64, y: u64) {
        if x < self.width && y < self.height {
            let bit = x * self.height + y;
            if let Some(word) = usize::try_from(bit / 64).ok().and_then(|at| self.bits.get_mut(at)) {
                *word |= 1 << (bit % 64);
            }
        }
    }

    fn is_marked(&self, bit: u64) -> bool {
        usize::try_from(bit / 64).ok().and_then(|at| self.bits.get(at)).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// The mask in the prediction format.
    pub(super) fn mask(&self) -> Value {
        let (mut runs, mut is_marked) = (vec![0u64], false);
        for bit in 0..self.width * self.height {
            if self.is_marked(bit) != is_marked {
                is_marked = !is_marked;
                runs.push(0);
            }
            if let Some(last) = runs.last_mut() {
                *last += 1;
            }
        }
        let mask = json!({"format": "coco_rle", "size": [self.height, self.width], "counts": rle::encode(runs)});
        json!({"type": "segmentation_mask", "mask": mask})
    }
}

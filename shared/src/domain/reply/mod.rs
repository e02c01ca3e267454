//! Reads a model's reply: well-formed parts become predictions, the others are dropped, with a note.
//!
//! The shape is the contract's, section 10.3 with D28 to D30, or one of three that other servers speak ([`ResponseFormat`]).
//! A model is not trusted: nothing that it sends may panic, grow without bound or get into an error message.
//!
//! Rules that the contract leaves to us:
//! - Points outside the picture move to its border. That bends a shape that crosses the border, but keeps the number and
//!   order of its points; cutting it would make several rings of one. A shape that lies beyond one side altogether would become a
//!   line on the border: it is malformed.
//! - Kinds measured in pixels are malformed on items that have none. A cuboid fits any item.
//! - `attributes` that cannot be kept are dropped alone; the prediction stays.
//! - A string that is no text costs its prediction (or its attributes), not the answer: see [`json::text`].
//! - A confidence a hair above 1 or below 0 is 1 or 0, and noted. So is what is cut to the picture by more than a pixel.
//!   Nothing else is corrected: what seems wrong is noted and read as it is (docs/decisions/0024).
//!
//! Reading a prediction that this module wrote gives the same prediction: a draft may pass here twice.
//!
//! [`ResponseFormat`]: crate::domain::provider::connection::ResponseFormat

pub mod judge;

mod answer;
mod cuboid;
mod foreign;
mod mask;
mod numbers;
mod part;
mod pixel_space;
mod points;
mod rect;
mod strict;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::domain::error::FieldError;
use crate::domain::job::failure::NoteCode;
use crate::domain::prediction::orientation::Orientation;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::turn::turn_upright;
use crate::domain::prediction::{Geometry, Mask, Prediction};
use crate::domain::provider::connection::{Coordinates, Reading};
use crate::domain::{json, limits};

/// Notes of dropped parts that are kept; the rest is counted.
const NOTES: usize = 2 * limits::SUMMARY_ERRORS;
/// `confidence` of a person who gives none.
const CERTAIN: f64 = 1.0;
/// The note about a shape that crosses the border.
const CUT: &str = "Was cut to the picture, by more than a pixel.";
const NO_TEXT: &str = "Is not text: it has half of a surrogate pair, or bytes that are not UTF-8.";

use pixel_space::PixelSpace;

/// A reply, read.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    /// What is well formed, in the model's order.
    pub predictions: Vec<Prediction>,
    /// What is well formed but for a mask that is not fetched yet: see [`Decoded::complete`].
    pub pictures: Vec<Picture>,
    /// A sentence for each part that is not, with its path: `annotations[2].coordinates.width: Must be greater than 0.`
    pub dropped: Vec<String>,
    /// What was corrected, by code.
    pub corrected: Vec<Corrected>,
    /// The unit that its coordinates seem to have if they are read as pixels. `None`: there are none, or too few to judge.
    pub likely_unit: Option<Coordinates>,
}

/// A kind of correction in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Corrected {
    /// For programs.
    pub code: NoteCode,
    /// How many predictions have it.
    pub count: usize,
    /// A sentence about the first one, with its path.
    pub first: String,
}

/// A prediction whose mask is a picture on the web (contract, D29).
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// Where the mask is. Not checked yet.
    pub url: String,
    /// The item's, which the mask must have.
    pub size: Size,
    /// What the model saw, in the project's words.
    pub label: String,
    /// From 0 to 1.
    pub confidence: f64,
    attributes: Object,
    /// Of the mask, for complaints.
    path: String,
    /// How many of the predictions that need no picture come before it.
    before: usize,
}

/// A reply that cannot be used: the item fails.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    /// Also a number beyond what 64 bits hold, such as `1e999`: the parser knows no infinity.
    #[error("The model's answer is not JSON (line {}, column {}).", .0.line(), .0.column())]
    NotJson(#[source] serde_json::Error),
    /// It may be JSON, but a prediction of it takes more memory than is allowed.
    #[error("The model's answer has a prediction with too many parts to be read: {0}.")]
    TooManyParts(String),
    /// JSON, but a list or a plain value.
    #[error("The model's answer is not a JSON object.")]
    NotAnObject,
    /// JSON, but a plain value, of a model that should answer a list.
    #[error("The model's answer is not a JSON array.")]
    NotAnArray,
    /// No list under the agreed key.
    #[error("The model's answer has no array \"{0}\".")]
    MissingArray(String),
    /// There are predictions, and each is broken (contract, D28).
    #[error("None of the model's predictions is well formed. {first}")]
    NothingWellFormed {
        /// What is wrong with the first, with its path.
        first: String,
    },
}

/// Reads a model's answer. `size` is the item's in the frame of the answer, `None` for point clouds.
///
/// # Errors
/// [`BadAnswer`]: the item fails.
pub fn decode(body: &[u8], reading: &Reading, size: Option<Size>) -> Result<Decoded, BadAnswer> {
    let text = json::text(body);
    let mut json = serde_json::Deserializer::from_str(&text);
    let decoded = answer::read(&mut json, reading, size)
        .and_then(|decoded| json.end().map(|()| decoded).map_err(BadAnswer::NotJson));
    match decoded {
        // In marked text an error has another line and column.
        Err(BadAnswer::NotJson(error)) if matches!(text, Cow::Owned(_)) => {
            Err(BadAnswer::NotJson(serde_json::from_slice::<IgnoredAny>(body).err().unwrap_or(error)))
        }
        decoded => decoded?.unless_nothing_is_left(),
    }
}

/// The path that a note of a dropped part begins with.
#[must_use]
pub fn path_of(note: &str) -> Option<&str> {
    note.split_once(": ").map(|(path, _)| path)
}

impl Decoded {
    /// Inserts fetched masks at the positions that the model gave them, and notes those that could not be fetched. `masks` are in
    /// the order of `pictures`, with a sentence where there is none. `None` was not to be fetched, and is left out.
    ///
    /// # Errors
    /// `NothingWellFormed`.
    pub fn complete(
        mut self,
        masks: impl IntoIterator<Item = Option<Result<Mask, String>>>,
    ) -> Result<Self, BadAnswer> {
        let (mut inserted, mut unasked) = (0, false);
        for (picture, mask) in std::mem::take(&mut self.pictures).into_iter().zip(masks) {
            let Picture { label, confidence, attributes, path, before, .. } = picture;
            match mask {
                Some(Ok(mask)) => {
                    let geometry = Geometry::SegmentationMask { mask };
                    let prediction = Prediction { geometry, label, confidence, attributes };
                    self.predictions.insert(before + inserted, prediction);
                    inserted += 1;
                }
                Some(Err(sentence)) => self.dropped.push(format!("{path}: {sentence}")),
                None => unasked = true,
            }
        }
        if unasked { Ok(self) } else { self.unless_nothing_is_left() }
    }

    /// Turns what is well formed from the stored picture into the picture upright, which has this size. A mask that cannot be
    /// turned is noted.
    ///
    /// # Errors
    /// `NothingWellFormed`.
    pub fn turned(mut self, orientation: Orientation, upright: Size) -> Result<Self, BadAnswer> {
        let (predictions, notes) = turn_upright(std::mem::take(&mut self.predictions), orientation, upright);
        self.predictions = predictions;
        if notes.is_empty() {
            return Ok(self);
        }
        self.dropped.extend(notes);
        self.unless_nothing_is_left()
    }

    /// What was corrected in it, or seems wrong in it: a sentence for each code.
    #[must_use]
    pub fn remarks(&self, size: Option<Size>) -> Vec<(NoteCode, String)> {
        let corrected = self.corrected.iter().map(|Corrected { code, count, first }| {
            let first: String = first.chars().take(limits::MESSAGE_CHARS).collect();
            (*code, if *count > 1 { format!("{first} (and {} more)", count - 1) } else { first })
        });
        let unlikely = size.zip(self.likely_unit).and_then(|(size, unit)| pixel_space::remark(unit, size));
        corrected.chain(unlikely).collect()
    }

    fn unless_nothing_is_left(mut self) -> Result<Self, BadAnswer> {
        if self.predictions.is_empty() && self.pictures.is_empty() && !self.dropped.is_empty() {
            return Err(BadAnswer::NothingWellFormed { first: self.dropped.swap_remove(0) });
        }
        Ok(self)
    }
}

/// A person's annotations, read.
#[derive(Debug, Default, PartialEq)]
pub struct Annotations {
    /// In the person's order.
    pub list: Vec<Prediction>,
    /// A sentence for each that was cut to the picture, with its path; of many, the first.
    pub notes: Vec<String>,
}

/// Reads a person's annotations, by the same rules but two: a person who is sure says no `confidence`, and no member is ignored.
/// `path` names the list in complaints.
///
/// # Errors
/// What is not well formed: nothing is dropped. Of many complaints, the first.
pub fn annotations(path: &str, parts: Vec<Value>, size: Option<Size>) -> Result<Annotations, Vec<FieldError>> {
    let (mut read, mut complaints) = (Annotations::default(), Vec::new());
    let space = size.map(PixelSpace::in_pixels);
    for (index, part) in parts.into_iter().enumerate() {
        match person_annotation(part, space.as_ref()) {
            Ok(annotation) => read.list.push(annotation),
            Err(broken) => complaints.push(broken.complaint(path, index)),
        }
        if let Some(cut) = space.as_ref().and_then(PixelSpace::take_cut) {
            read.notes.push(format!("{path}[{index}].{cut}: {CUT}"));
        }
    }
    read.notes.truncate(NOTES);
    complaints.truncate(NOTES);
    if complaints.is_empty() { Ok(read) } else { Err(complaints) }
}

fn person_annotation(mut part: Value, space: Option<&PixelSpace>) -> Read<Prediction> {
    if let Value::Object(part) = &mut part {
        if let Some(unknown) = strict::unknown(part) {
            return Err(unknown);
        }
        if part.get("confidence").is_none_or(Value::is_null) {
            part.insert("confidence".into(), CERTAIN.into());
        }
    }
    part::annotation(part, space).and_then(part::Part::whole)
}

/// A part that is not well formed: where in the prediction, and a sentence.
struct Broken {
    path: String,
    message: String,
}

impl Broken {
    /// Under the part's position in the list.
    fn complaint(self, list: &str, index: usize) -> FieldError {
        let dot = if self.path.is_empty() { "" } else { "." };
        FieldError::new(format!("{list}[{index}]{dot}{}", self.path), self.message)
    }
}

type Read<T> = Result<T, Broken>;

fn broken<T>(path: impl Into<String>, message: impl Into<String>) -> Read<T> {
    Err(Broken { path: path.into(), message: message.into() })
}

fn required(path: impl Into<String>) -> Broken {
    Broken { path: path.into(), message: "This field is required.".into() }
}

type Object = Map<String, Value>;

/// Takes a field out of an object. `null` is "not sent", as everywhere in the contract.
fn take(object: &mut Object, name: &str) -> Option<Value> {
    object.remove(name).filter(|value| !value.is_null())
}

/// Takes a field out and reads it with one of the rules for requests.
fn field<T>(object: &mut Object, name: &str, rule: impl FnOnce(Value) -> Result<T, String>) -> Read<T> {
    rule(take(object, name).ok_or_else(|| required(name))?).or_else(|message| broken(name, message))
}

//! The walk through an answer. One part of it is in memory at a time, beside what is kept of those before.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::part::{self, Part, Shape};
use super::pixel_space::PixelSpace;
use super::{BadAnswer, Broken, CUT, Corrected, Decoded, NOTES, Object, Picture, Read, foreign};
use crate::domain::job::failure::NoteCode;
use crate::domain::json::{self, Bounded};
use crate::domain::limits;
use crate::domain::prediction::Prediction;
use crate::domain::prediction::size::Size;
use crate::domain::provider::connection::{Reading, ResponseFormat};

/// Reads an answer part by part.
///
/// # Errors
/// [`BadAnswer`], but for an answer in which nothing is well formed.
pub(super) fn read<'de, D>(json: D, reading: &Reading, size: Option<Size>) -> Result<Decoded, BadAnswer>
where
    D: Deserializer<'de, Error = serde_json::Error>,
{
    let mut collector = Collector::new(reading, size);
    let walked = Walk { collector: &mut collector, target: Target::Reply }.deserialize(json);
    match walked {
        Ok(()) => collector.finish(),
        Err(error) if error.is_data() => Err(BadAnswer::TooManyParts(collector.here())),
        Err(error) => Err(BadAnswer::NotJson(error)),
    }
}

/// What an answer turned out to be.
enum Form {
    /// Neither an object nor a list that may stand alone.
    Other,
    /// An object without the list.
    Object,
    /// The list, under this name.
    List(String),
}

struct Collector<'a> {
    reading: &'a Reading,
    size: Option<Size>,
    space: Option<PixelSpace>,
    form: Form,
    decoded: Decoded,
    count: usize,
    unnoted: usize,
    /// Memory that is left for attributes: of all that is kept, they alone may grow far beyond their text.
    room: usize,
}

impl<'a> Collector<'a> {
    fn new(reading: &'a Reading, size: Option<Size>) -> Self {
        let room = limits::ATTRIBUTES_MEMORY;
        let space = size.map(|size| PixelSpace::new(size, reading.coordinates));
        Self { reading, size, space, form: Form::Other, decoded: Decoded::default(), count: 0, unnoted: 0, room }
    }

    /// Other servers' lists stand alone, or under the agreed key.
    fn stands_alone(&self) -> bool {
        self.reading.response_format != ResponseFormat::Annotations
    }

    /// Of two lists under one key the last counts, as in any JSON object.
    fn begin(&mut self, name: String) {
        *self = Self { form: Form::List(name), ..Self::new(self.reading, self.size) };
    }

    fn add(&mut self, part: Value) {
        match self.part(part) {
            Ok(Part { shape, label, confidence, attributes, dropped, clamped }) => {
                let label = self.reading.mapped(&label).cloned().unwrap_or(label);
                if let Some(clamped) = clamped {
                    self.correct(NoteCode::ConfidenceClamped, clamped);
                }
                if let Some(path) = self.space.as_ref().and_then(PixelSpace::take_cut) {
                    self.correct(NoteCode::GeometryClipped, Broken { path: path.into(), message: CUT.into() });
                }
                let (attributes, unkept) = self.kept(attributes);
                let decoded = &mut self.decoded;
                match shape {
                    Shape::Known(geometry) => {
                        decoded.predictions.push(Prediction { geometry, label, confidence, attributes });
                    }
                    Shape::Picture { url, size } => {
                        let (path, before) = (format!("{}.mask", self.here()), self.decoded.predictions.len());
                        let picture = Picture { url, size, label, confidence, attributes, path, before };
                        self.decoded.pictures.push(picture);
                    }
                }
                dropped.into_iter().chain(unkept).for_each(|attributes| self.note(attributes));
            }
            Err(part) => {
                self.space.as_ref().map(PixelSpace::take_cut);
                self.note(part);
            }
        }
    }

    fn correct(&mut self, code: NoteCode, what: Broken) {
        if let Some(corrected) = self.decoded.corrected.iter_mut().find(|corrected| corrected.code == code) {
            corrected.count += 1;
            return;
        }
        let complaint = what.complaint(self.name(), self.count);
        let first = format!("{}: {}", complaint.field, complaint.message);
        self.decoded.corrected.push(Corrected { code, count: 1, first });
    }

    /// The prediction that is being read.
    fn here(&self) -> String {
        format!("{}[{}]", self.name(), self.count)
    }

    fn part(&self, part: Value) -> Read<Part> {
        match self.reading.response_format {
            ResponseFormat::Annotations => part::annotation(part, self.space.as_ref()),
            ResponseFormat::HuggingfaceObjectDetection => foreign::detection(part, self.space.as_ref()),
            ResponseFormat::CocoResults => foreign::coco_result(part, self.space.as_ref()),
            ResponseFormat::TorchserveObjectDetector => foreign::torchserve_detection(part, self.space.as_ref()),
        }
    }

    fn kept(&mut self, attributes: Object) -> (Object, Option<Broken>) {
        match self.room.checked_sub(json::weight(&attributes)) {
            Some(room) => {
                self.room = room;
                (attributes, None)
            }
            None => {
                let message = "Do not fit beside those of the predictions before.".into();
                (Object::new(), Some(Broken { path: "attributes".into(), message }))
            }
        }
    }

    fn note(&mut self, broken: Broken) {
        if self.decoded.dropped.len() >= NOTES {
            self.unnoted += 1;
            return;
        }
        let complaint = broken.complaint(self.name(), self.count);
        self.decoded.dropped.push(format!("{}: {}", complaint.field, complaint.message));
    }

    fn name(&self) -> &str {
        if let Form::List(name) = &self.form { name } else { "" }
    }

    fn finish(self) -> Result<Decoded, BadAnswer> {
        let stands_alone = self.stands_alone();
        let Self { form, mut decoded, count, unnoted, reading, space, .. } = self;
        decoded.likely_unit = space.and_then(|space| space.likely_unit());
        let name = match form {
            Form::List(name) => name,
            Form::Object => return Err(BadAnswer::MissingArray(reading.response_key.clone())),
            Form::Other if stands_alone => return Err(BadAnswer::NotAnArray),
            Form::Other => return Err(BadAnswer::NotAnObject),
        };
        if unnoted > 0 {
            decoded.dropped.push(format!("{unnoted} more parts are malformed."));
        }
        if count > limits::PREDICTIONS {
            let list = if name.is_empty() { "The answer" } else { &name };
            let colon = if name.is_empty() { " has" } else { ": Has" };
            decoded
                .dropped
                .push(format!("{list}{colon} {count} predictions; only the first {} are read.", limits::PREDICTIONS));
        }
        Ok(decoded)
    }
}

/// What the walk reads.
#[derive(Clone, Copy)]
enum Target {
    /// The whole reply.
    Reply,
    /// The value under the agreed key.
    List,
}

struct Walk<'a, 'b> {
    collector: &'a mut Collector<'b>,
    target: Target,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        if matches!(self.target, Target::Reply) {
            self.collector.form = Form::Object;
        }
        while let Some(name) = members.next_key::<String>()? {
            if matches!(self.target, Target::Reply) && name == self.collector.reading.response_key {
                members.next_value_seed(Walk { collector: &mut *self.collector, target: Target::List })?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        let collector = self.collector;
        match self.target {
            Target::List => collector.begin(collector.reading.response_key.clone()),
            Target::Reply if collector.stands_alone() => collector.begin(String::new()),
            Target::Reply => {
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
        }
        while collector.count < limits::PREDICTIONS {
            let left = Cell::new(limits::PREDICTION_MEMORY);
            let Some(part) = parts.next_element_seed(Bounded::new(&left))? else { return Ok(()) };
            collector.add(part);
            collector.count += 1;
        }
        while parts.next_element::<IgnoredAny>()?.is_some() {
            collector.count += 1;
        }
        Ok(())
    }
}

//! How a model is asked and how its answers are read: whatever a model says, drafts have the form and the words of the project.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::fields::{self, Fields};
use crate::domain::prediction::size::Size;
use crate::domain::prediction::turn::Exif;
use crate::domain::{limits, unicode};

/// How a model is asked, and how its answers are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// The key of the predictions (contract, 10.3).
    pub response_key: String,
    /// The form of a prediction.
    pub response_format: ResponseFormat,
    /// Labels of the project by those of the model; a label that is not named stays as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub label_map: BTreeMap<String, String>,
    /// Which frame its coordinates are of.
    #[serde(skip_serializing_if = "Exif::is_applied")]
    pub exif: Exif,
    /// The unit of boxes, polygons and polylines in its answers.
    #[serde(skip_serializing_if = "Coordinates::is_pixels")]
    pub coordinates: Coordinates,
    /// The form of a request, as the client wrote it; see [`Reading::request_format`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_format: Option<RequestFormat>,
}

/// The unit of the geometry in a model's answers. Masks have none: they are pixels of the item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// Pixels of the item (contract, 10.3).
    #[default]
    Pixels,
    /// Fractions of the item's width and height, 0 to 1.
    Normalized,
    /// Hundredths of the item's width and height, 0 to 100.
    Percent,
}

impl Coordinates {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_pixels(&self) -> bool {
        *self == Self::Pixels
    }

    /// Pixels for one unit, in x and in y.
    #[must_use]
    pub fn scale(self, size: Size) -> [f64; 2] {
        let sides = [f64::from(size.width), f64::from(size.height)];
        match self {
            Self::Pixels => [1.0; 2],
            Self::Normalized => sides,
            Self::Percent => sides.map(|side| side / 100.0),
        }
    }

    fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("pixels") => Ok(Self::Pixels),
            Some("normalized") => Ok(Self::Normalized),
            Some("percent") => Ok(Self::Percent),
            _ => Err("Must be \"pixels\", \"normalized\" or \"percent\".".into()),
        }
    }
}

/// The form of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestFormat {
    /// The contract's own (10.1).
    #[default]
    Avala,
    /// The same, with the `inputs` and `parameters` that Hugging Face's containers take out of a request.
    Huggingface,
}

impl RequestFormat {
    fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("avala") => Ok(Self::Avala),
            Some("huggingface") => Ok(Self::Huggingface),
            _ => Err("Must be \"avala\" or \"huggingface\".".into()),
        }
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// The contract's own (10.3).
    #[default]
    Annotations,
    /// `[{"score", "label", "box": {"xmin", "ymin", "xmax", "ymax"}}]`: object detection as Hugging Face's containers answer it.
    HuggingfaceObjectDetection,
    /// `[{"category_id", "bbox": [x, y, width, height], "score", "segmentation"}]`: COCO's format for results.
    CocoResults,
    /// `[{"<label>": [x1, y1, x2, y2], "score"}]`: what the handler `object_detector` of TorchServe answers.
    TorchserveObjectDetector,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            response_key: "annotations".into(),
            response_format: ResponseFormat::default(),
            label_map: BTreeMap::new(),
            exif: Exif::default(),
            coordinates: Coordinates::default(),
            request_format: None,
        }
    }
}

impl Reading {
    /// Reads the settings that both kinds of provider have. `response_key` is read by HTTPS providers alone.
    pub(super) fn read(fields: &mut Fields) -> Self {
        let response_format = fields.optional("response_format", ResponseFormat::read).unwrap_or_default();
        let label = |value| fields::text(1, limits::LABEL_CHARS)(value);
        let label_map = fields.optional("label_map", fields::by_label(["from", "to"], label));
        let label_map = label_map.unwrap_or_default();
        if label_map.values().map(|label| label.chars().count()).sum::<usize>() > limits::LABELS_CHARS {
            fields.refuse("label_map", format!("Must have at most {} characters in all.", limits::LABELS_CHARS));
        }
        let coordinates = fields.optional("coordinates", Coordinates::read).unwrap_or_default();
        let exif = Exif::read(fields);
        let request_format = fields.optional("request_format", RequestFormat::read);
        Self { response_format, label_map, exif, coordinates, request_format, ..Self::default() }
    }

    /// The form of a request. A model that answers as a Hugging Face container is asked as one, unless the provider says
    /// otherwise: that request has all of the other.
    #[must_use]
    pub fn request_format(&self) -> RequestFormat {
        self.request_format.unwrap_or(match self.response_format {
            ResponseFormat::HuggingfaceObjectDetection => RequestFormat::Huggingface,
            _ => RequestFormat::Avala,
        })
    }

    /// What the project calls this label of the model's, if the map names it.
    #[must_use]
    pub fn mapped(&self, label: &str) -> Option<&String> {
        if self.label_map.is_empty() {
            return None;
        }
        let same = || unicode::find(label, self.label_map.keys()).and_then(|key| self.label_map.get(key));
        self.label_map.get(label).or_else(same)
    }

    /// What to ask a model for so that it says the wanted labels: those of its own that are read as one of them. None: all.
    #[must_use]
    pub fn asked<'a>(&self, wanted: &'a [String]) -> Cow<'a, [String]> {
        if wanted.is_empty() || self.label_map.is_empty() {
            return Cow::Borrowed(wanted);
        }
        // A label that the map reads as another does not come to itself.
        let as_they_are = wanted.iter().filter(|label| self.mapped(label).is_none());
        let known: BTreeSet<Cow<'_, str>> = wanted.iter().map(|label| unicode::composed(label)).collect();
        let is_known = |label: &str| known.contains(&unicode::composed(label));
        let mapped = self.label_map.iter().filter(|(_, label)| is_known(label)).map(|(own, _)| own);
        Cow::Owned(as_they_are.chain(mapped).cloned().collect())
    }

    /// The prompts of the labels that a model is asked for, by these labels. `prompts` has them by the project's.
    #[must_use]
    pub fn prompts<'a>(&'a self, asked: &'a [String], prompts: &'a BTreeMap<String, String>) -> Vec<LabelPrompt<'a>> {
        if prompts.is_empty() {
            return Vec::new();
        }
        let prompt = |label: &'a String| {
            let named = self.mapped(label).unwrap_or(label);
            let same = || unicode::find(named, prompts.keys()).and_then(|key| prompts.get(key));
            prompts.get(named).or_else(same).map(|prompt| LabelPrompt { label, prompt })
        };
        asked.iter().filter_map(prompt).collect()
    }
}

/// The prompt of a label that a model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LabelPrompt<'a> {
    /// One of `labels`.
    pub label: &'a str,
    /// In the words of the project's owner.
    pub prompt: &'a str,
}

impl ResponseFormat {
    fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("annotations") => Ok(Self::Annotations),
            Some("huggingface_object_detection") => Ok(Self::HuggingfaceObjectDetection),
            Some("coco_results") => Ok(Self::CocoResults),
            Some("torchserve_object_detector") => Ok(Self::TorchserveObjectDetector),
            _ => Err(
                "Must be \"annotations\", \"huggingface_object_detection\", \"coco_results\" or \"torchserve_object_detector\"."
                    .into(),
            ),
        }
    }
}

//! How a model's answers are read: whatever a model says, drafts have the form and the words of the project.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::fields::{self, Fields};
use crate::domain::limits;
use crate::domain::turn::Exif;

/// How a model's answers are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// The key of the predictions (contract, 10.3).
    pub response_key: String,
    /// What a prediction looks like.
    pub response_format: ResponseFormat,
    /// Labels of the project by those of the model; a label that is not named stays as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub label_map: BTreeMap<String, String>,
    /// Which frame its coordinates are of.
    pub exif: Exif,
}

/// What an answer looks like.
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
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            response_key: "annotations".into(),
            response_format: ResponseFormat::default(),
            label_map: BTreeMap::new(),
            exif: Exif::default(),
        }
    }
}

impl Reading {
    /// Reads what both kinds of provider may say; the key is said by one of them only.
    pub(super) fn read(fields: &mut Fields) -> Self {
        let response_format = fields.optional("response_format", ResponseFormat::read).unwrap_or_default();
        let label = |value| fields::text(1, limits::LABEL_CHARS)(value);
        let label_map = fields.optional("label_map", fields::by_label(["from", "to"], label));
        let label_map = label_map.unwrap_or_default();
        if label_map.values().map(|label| label.chars().count()).sum::<usize>() > limits::LABELS_CHARS {
            fields.refuse("label_map", format!("Must have at most {} characters in all.", limits::LABELS_CHARS));
        }
        let exif = Exif::read(fields);
        Self { response_format, label_map, exif, ..Self::default() }
    }

    /// What to ask a model for so that it says the wanted labels: those of its own that are read as one of them. None: all.
    #[must_use]
    pub fn asked<'a>(&self, wanted: &'a [String]) -> Cow<'a, [String]> {
        if wanted.is_empty() || self.label_map.is_empty() {
            return Cow::Borrowed(wanted);
        }
        // A label that the map reads as another does not come to itself.
        let as_they_are = wanted.iter().filter(|label| !self.label_map.contains_key(*label));
        let known: BTreeSet<&String> = wanted.iter().collect();
        let mapped = self.label_map.iter().filter(|(_, label)| known.contains(label)).map(|(own, _)| own);
        Cow::Owned(as_they_are.chain(mapped).cloned().collect())
    }
}

impl ResponseFormat {
    fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("annotations") => Ok(Self::Annotations),
            Some("huggingface_object_detection") => Ok(Self::HuggingfaceObjectDetection),
            Some("coco_results") => Ok(Self::CocoResults),
            _ => Err("Must be \"annotations\", \"huggingface_object_detection\" or \"coco_results\".".into()),
        }
    }
}

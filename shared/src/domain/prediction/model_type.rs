//! The two kinds of model that have defaults of their own.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::{fields, show};

/// The kind of model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelType {
    /// Object detection: bounding boxes.
    Yolo,
    /// Segmentation: masks.
    Sam3,
}

impl ModelType {
    /// The type of a job that names none and has no provider. A provider's model needs none (contract, D7).
    pub const DEFAULT: Self = Self::Yolo;

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yolo => "yolo",
            Self::Sam3 => "sam3",
        }
    }

    /// What a call is expected to take when a job is cut into chunks, ms (decision 0004). The pace of calls is measured.
    #[must_use]
    pub const fn usual_latency_ms(self) -> u32 {
        match self {
            Self::Yolo => 50,
            Self::Sam3 => 200,
        }
    }

    pub(crate) fn read(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("yolo") => Ok(Self::Yolo),
            Some("sam3") => Ok(Self::Sam3),
            _ => Err(fields::must_be("\"sam3\" or \"yolo\"", show::value(&value))),
        }
    }
}

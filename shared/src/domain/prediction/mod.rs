//! Predictions: what a model says about an item. The wire shape is the contract's, section 10.3.

pub mod draft;
pub mod label_count;
pub mod mask;
pub mod model_type;
pub mod orientation;
pub mod outline;
pub mod overlap;
pub mod rle;
pub mod rows;
pub mod size;
pub mod turn;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One prediction, well formed.
// Only `domain::reply` makes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"label": "person", "confidence": 0.82}))]
pub struct Prediction {
    /// What and where.
    #[serde(flatten)]
    pub geometry: Geometry,
    /// The model's word, or the project's after mapping.
    pub label: String,
    /// 0 to 1.
    pub confidence: f64,
    /// Whatever else the model says; kept as it is.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

/// The six kinds. Pixels have their origin at the top left, x to the right, y down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Geometry {
    /// An axis-aligned rectangle, clipped to the item.
    BoundingBox {
        /// Pixels.
        coordinates: Rect,
    },
    /// At least 3 distinct points; the closing edge is implied.
    Polygon {
        /// `[x, y]`, pixels.
        points: Vec<[f64; 2]>,
    },
    /// At least 2 points, never closed.
    Polyline {
        /// `[x, y]`, pixels.
        points: Vec<[f64; 2]>,
    },
    /// Pixels of the item.
    SegmentationMask {
        /// Run lengths.
        mask: Mask,
    },
    /// The item as a whole.
    Classification,
    /// A cuboid in the sensor's frame.
    #[serde(rename = "bounding_box_3d")]
    BoundingBox3d {
        /// Metres.
        coordinates: Cuboid,
    },
}

/// `x`, `y` of the top left corner, and a positive extent, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"x": 12.3, "y": 17.6, "width": 385.5, "height": 299.1}))]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Greater than 0.
    pub width: f64,
    /// Greater than 0.
    pub height: f64,
}

/// COCO run-length encoding: column by column, runs alternate and begin with background.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "format")]
pub enum Mask {
    /// The only form that is stored.
    #[serde(rename = "coco_rle")]
    CocoRle {
        /// `[height, width]`, pixels: the item's.
        size: [u32; 2],
        /// COCO's compressed string.
        counts: String,
    },
}

/// A point or an extent in space, metres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Vec3 {
    /// Forward.
    pub x: f64,
    /// Left.
    pub y: f64,
    /// Up.
    pub z: f64,
}

/// Extents along the object's own axes, metres, greater than 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Dimensions {
    /// Along x.
    pub length: f64,
    /// Along y.
    pub width: f64,
    /// Along z.
    pub height: f64,
}

/// A unit quaternion: object axes to sensor axes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quaternion {
    #[expect(missing_docs, reason = "a quaternion's members have no other names")]
    pub x: f64,
    #[expect(missing_docs, reason = "a quaternion's members have no other names")]
    pub y: f64,
    #[expect(missing_docs, reason = "a quaternion's members have no other names")]
    pub z: f64,
    #[expect(missing_docs, reason = "a quaternion's members have no other names")]
    pub w: f64,
}

/// A cuboid (contract, D30).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cuboid {
    /// Metres.
    pub center: Vec3,
    /// Metres.
    pub dimensions: Dimensions,
    /// Unit length.
    pub rotation: Quaternion,
}

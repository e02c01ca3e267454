//! The width and height of a picture.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Width and height, pixels, of the picture upright: its EXIF orientation is applied (I13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Size {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

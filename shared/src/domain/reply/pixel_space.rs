//! From the coordinates of a reply to pixels: the picture's size, the unit of the coordinates, and whether they fit it.

use std::cell::Cell;

use super::{Read, broken};
use crate::domain::job::failure::NoteCode;
use crate::domain::prediction::size::Size;
use crate::domain::provider::connection::Coordinates;

/// A cut of up to this many pixels is rounding, and not noted.
const ROUNDING: f64 = 1.0;
/// Fractions end at 1. A box that crosses the border ends a little beyond it.
const FRACTIONS_END: f64 = 1.5;
/// Percent end at 100. In a reply about more than a corner of the picture at least one lies beyond 50.
const PERCENT_REACH: f64 = 50.0;
/// See [`PERCENT_REACH`].
const PERCENT_END: f64 = 101.0;
/// If the shorter side of a picture is below this, small coordinates are no sign of another unit.
const JUDGED_SIDE: u32 = 150;

/// The note about coordinates that are read as pixels and seem to have another unit, in a picture of this size.
pub(super) fn remark(likely_unit: Coordinates, Size { width, height }: Size) -> Option<(NoteCode, String)> {
    let sentence = |range, unit, setting| {
        format!(
            "All coordinates lie between 0 and {range}, of a picture of {width} x {height} pixels: they look like {unit}, and were read as pixels. If they are, set coordinates of the provider to \"{setting}\"."
        )
    };
    match likely_unit {
        Coordinates::Pixels => None,
        Coordinates::Normalized => Some((NoteCode::CoordinatesNormalized, sentence("1.5", "fractions", "normalized"))),
        Coordinates::Percent => Some((NoteCode::CoordinatesPercent, sentence("100", "percent", "percent"))),
    }
}

/// The picture of one item, while the reply about it is read.
#[derive(Debug)]
pub(super) struct PixelSpace {
    pub(super) size: Size,
    coordinates: Coordinates,
    scale: [f64; 2],
    /// The least and the greatest coordinate so far, in the reply's unit.
    reach: Cell<Option<[f64; 2]>>,
    /// The path of the last part that was cut.
    cut: Cell<Option<&'static str>>,
}

impl PixelSpace {
    pub(super) fn new(size: Size, coordinates: Coordinates) -> Self {
        let scale = coordinates.scale(size);
        Self { size, coordinates, scale, reach: Cell::new(None), cut: Cell::new(None) }
    }

    pub(super) fn in_pixels(size: Size) -> Self {
        Self::new(size, Coordinates::Pixels)
    }

    pub(super) fn sides(&self) -> [f64; 2] {
        [f64::from(self.size.width), f64::from(self.size.height)]
    }

    /// A point of the reply, in pixels.
    pub(super) fn point(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [least, greatest] = self.reach.get().unwrap_or([x, x]);
        self.reach.set(Some([least.min(x).min(y), greatest.max(x).max(y)]));
        [x * self.scale[0], y * self.scale[1]]
    }

    /// An extent of the reply, in pixels.
    pub(super) fn extent(&self, [width, height]: [f64; 2]) -> [f64; 2] {
        [width * self.scale[0], height * self.scale[1]]
    }

    /// Notes that the part at `path` was cut to the picture.
    pub(super) fn is_cut_by(&self, pixels: f64, path: &'static str) {
        if pixels > ROUNDING {
            self.cut.set(Some(path));
        }
    }

    /// The path of what was cut since the last call.
    pub(super) fn take_cut(&self) -> Option<&'static str> {
        self.cut.take()
    }

    pub(super) fn outside<T>(&self, path: &str) -> Read<T> {
        broken(
            path,
            match self.coordinates {
                Coordinates::Pixels => "Lies outside the picture.",
                Coordinates::Normalized => "Lies outside the picture: coordinates are read as fractions of it.",
                Coordinates::Percent => "Lies outside the picture: coordinates are read as percent of it.",
            },
        )
    }

    /// The unit that coordinates read as pixels seem to have. `None`: there are none, or too few to judge.
    pub(super) fn likely_unit(&self) -> Option<Coordinates> {
        let [least, greatest] = self.reach.get()?;
        if self.coordinates != Coordinates::Pixels || self.size.width.min(self.size.height) < JUDGED_SIDE {
            return None;
        }
        Some(if least >= 1.0 - FRACTIONS_END && greatest <= FRACTIONS_END {
            Coordinates::Normalized
        } else if least >= 100.0 - PERCENT_END && greatest <= PERCENT_END {
            if greatest <= PERCENT_REACH {
                return None;
            }
            Coordinates::Percent
        } else {
            Coordinates::Pixels
        })
    }
}

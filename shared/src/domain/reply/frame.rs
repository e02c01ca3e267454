//! The picture that an answer is about: its size, the unit of the answer's coordinates, and how they look.

use std::cell::Cell;

use super::{Read, broken};
use crate::domain::job::failure::NoteCode;
use crate::domain::prediction::size::Size;
use crate::domain::provider::connection::Coordinates;

/// What is cut off within a pixel is rounding.
const ROUNDING: f64 = 1.0;
/// Fractions end at 1. A box that crosses the border ends a little beyond it.
const FRACTIONS_END: f64 = 1.5;
/// Hundredths end at 100, and of an answer about more than a corner one lies beyond 50.
const HUNDREDTHS_REACH: f64 = 50.0;
/// See [`HUNDREDTHS_REACH`].
const HUNDREDTHS_END: f64 = 101.0;
/// The shorter side of a picture, below which small coordinates say nothing.
const JUDGED_SIDE: u32 = 150;

/// How the coordinates of an answer look that is said to have pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// As they should.
    Fine,
    /// All lie between 0 and 1.5, give or take rounding.
    Normalized,
    /// All lie between 0 and 101, and some beyond 50.
    Percent,
}

impl Looks {
    /// What is to be said of coordinates that look wrong, of a picture of this size.
    pub(super) fn remark(self, size: Size) -> Option<(NoteCode, String)> {
        let Size { width, height } = size;
        let sentence = |range, unit, setting| {
            format!(
                "All coordinates lie between 0 and {range}, of a picture of {width} x {height} pixels: they look like {unit}, and were read as pixels. If they are, set coordinates of the provider to \"{setting}\"."
            )
        };
        match self {
            Self::Fine => None,
            Self::Normalized => Some((NoteCode::CoordinatesNormalized, sentence("1.5", "fractions", "normalized"))),
            Self::Percent => Some((NoteCode::CoordinatesPercent, sentence("100", "percent", "percent"))),
        }
    }
}

/// A picture, as an answer is read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) size: Size,
    coordinates: Coordinates,
    scale: [f64; 2],
    /// The least and the greatest coordinate so far, as the model wrote them.
    reach: Cell<Option<[f64; 2]>>,
    /// Where something was cut.
    cut: Cell<Option<&'static str>>,
}

impl Frame {
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

    /// A point that the model wrote, in pixels.
    pub(super) fn point(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [least, greatest] = self.reach.get().unwrap_or([x, x]);
        self.reach.set(Some([least.min(x).min(y), greatest.max(x).max(y)]));
        [x * self.scale[0], y * self.scale[1]]
    }

    /// An extent that the model wrote, in pixels.
    pub(super) fn extent(&self, [width, height]: [f64; 2]) -> [f64; 2] {
        [width * self.scale[0], height * self.scale[1]]
    }

    /// What is at `path` was cut to the picture, by so many pixels.
    pub(super) fn is_cut_by(&self, pixels: f64, path: &'static str) {
        if pixels > ROUNDING {
            self.cut.set(Some(path));
        }
    }

    /// Where something was cut since the last time.
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

    pub(super) fn looks(&self) -> Option<Looks> {
        let [least, greatest] = self.reach.get()?;
        if self.coordinates != Coordinates::Pixels || self.size.width.min(self.size.height) < JUDGED_SIDE {
            return None;
        }
        Some(if least >= 1.0 - FRACTIONS_END && greatest <= FRACTIONS_END {
            Looks::Normalized
        } else if least >= 100.0 - HUNDREDTHS_END && greatest <= HUNDREDTHS_END {
            if greatest <= HUNDREDTHS_REACH {
                return None;
            }
            Looks::Percent
        } else {
            Looks::Fine
        })
    }
}

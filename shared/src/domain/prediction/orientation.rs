//! How a stored picture is turned to stand upright: the eight orientations of EXIF (CIPA DC-008, tag 0x0112).

use serde::{Deserialize, Serialize};

use crate::domain::prediction::size::Size;

/// What is done to the stored picture so that it stands upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub enum Orientation {
    /// 1: nothing.
    #[default]
    Upright,
    /// 2: mirrored left to right.
    MirroredHorizontally,
    /// 3: turned by 180 degrees.
    Rotated180,
    /// 4: mirrored top to bottom.
    MirroredVertically,
    /// 5: rows become columns (mirrored at the diagonal from the top left).
    Transposed,
    /// 6: turned by 90 degrees clockwise.
    Rotated90,
    /// 7: mirrored at the diagonal from the top right.
    Transversed,
    /// 8: turned by 270 degrees clockwise.
    Rotated270,
}

impl Orientation {
    /// In the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Upright,
        Self::MirroredHorizontally,
        Self::Rotated180,
        Self::MirroredVertically,
        Self::Transposed,
        Self::Rotated90,
        Self::Transversed,
        Self::Rotated270,
    ];

    /// Of the tag's value, 1 to 8.
    #[must_use]
    pub fn from_exif(value: u16) -> Option<Self> {
        Self::ALL.get(usize::from(value).checked_sub(1)?).copied()
    }

    /// The tag's value.
    #[must_use]
    pub const fn exif(self) -> u16 {
        self as u16 + 1
    }

    /// Whether the upright picture is as wide as the stored one is high.
    #[must_use]
    pub const fn swaps_sides(self) -> bool {
        matches!(self, Self::Transposed | Self::Rotated90 | Self::Transversed | Self::Rotated270)
    }

    /// The size of the upright picture.
    #[must_use]
    pub const fn upright(self, stored: Size) -> Size {
        if self.swaps_sides() { Size { width: stored.height, height: stored.width } } else { stored }
    }
}

impl From<Orientation> for u16 {
    fn from(orientation: Orientation) -> Self {
        orientation.exif()
    }
}

impl TryFrom<u16> for Orientation {
    type Error = &'static str;

    fn try_from(value: u16) -> Result<Self, Self::Error> {
        Self::from_exif(value).ok_or("an orientation is 1 to 8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_exif() {
        assert_eq!(Orientation::from_exif(1), Some(Orientation::default()));
        assert_eq!(Orientation::from_exif(6), Some(Orientation::Rotated90));
        assert_eq!([0, 9, u16::MAX].map(Orientation::from_exif), [None; 3]);
        assert_eq!(Orientation::ALL.map(Orientation::exif), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_last_four_swap_the_sides() {
        let stored = Size { width: 3, height: 4 };
        let swapped = Size { width: 4, height: 3 };
        let upright = Orientation::ALL.map(|orientation| orientation.upright(stored));
        assert_eq!(upright, [stored, stored, stored, stored, swapped, swapped, swapped, swapped]);
    }
}

//! Rectangles.

use super::numbers::{extent, number};
use super::{OUTSIDE, Object, Read, broken, field};
use crate::domain::fields;
use crate::domain::item::Size;
use crate::domain::prediction::Rect;

pub(super) fn read(part: &mut Object, size: Size) -> Read<Rect> {
    let c = field(part, "coordinates", fields::object)?;
    let path = "coordinates.";
    let (x, y) = (number(&c, path, &["x"])?, number(&c, path, &["y"])?);
    let (width, height) = (extent(&c, path, &["width"])?, extent(&c, path, &["height"])?);
    clipped(Rect { x, y, width, height }, "coordinates", size)
}

/// The part of a rectangle that lies in the picture. Its extents may be infinite, not its place.
pub(super) fn clipped(rect: Rect, path: &str, size: Size) -> Read<Rect> {
    let Rect { mut x, mut y, mut width, mut height } = rect;
    clip(&mut x, &mut width, size.width.into());
    clip(&mut y, &mut height, size.height.into());
    if width > 0.0 && height > 0.0 { Ok(Rect { x, y, width, height }) } else { broken(path, OUTSIDE) }
}

/// Cuts an interval to `0..=end`. What lies within keeps its last bit, which adding and subtracting would change.
fn clip(start: &mut f64, extent: &mut f64, end: f64) {
    if *start < 0.0 {
        *extent += *start;
        *start = 0.0;
    }
    if *start + *extent > end {
        *extent = end - *start;
    }
}

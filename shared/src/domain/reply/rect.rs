//! Rectangles.

use super::numbers::{extent, number};
use super::pixel_space::PixelSpace;
use super::{Object, Read, field};
use crate::domain::fields;
use crate::domain::prediction::Rect;

pub(super) fn read(part: &mut Object, space: &PixelSpace) -> Read<Rect> {
    let c = field(part, "coordinates", fields::object)?;
    let path = "coordinates.";
    let (x, y) = (number(&c, path, &["x"])?, number(&c, path, &["y"])?);
    let (width, height) = (extent(&c, path, &["width"])?, extent(&c, path, &["height"])?);
    written(Rect { x, y, width, height }, "coordinates", space)
}

/// A rectangle as the model wrote it: the part of it that lies in the picture.
pub(super) fn written(rect: Rect, path: &'static str, space: &PixelSpace) -> Read<Rect> {
    let Rect { x, y, width, height } = rect;
    space.point([x + width, y + height]);
    let ([x, y], [width, height]) = (space.point([x, y]), space.extent([width, height]));
    clipped(Rect { x, y, width, height }, path, space)
}

/// The part of a rectangle that lies in the picture, in pixels. What is infinite lies outside, or ends at the border.
pub(super) fn clipped(rect: Rect, path: &'static str, space: &PixelSpace) -> Read<Rect> {
    let Rect { mut x, mut y, mut width, mut height } = rect;
    let [right, bottom] = space.sides();
    let cut = clip(&mut x, &mut width, right).max(clip(&mut y, &mut height, bottom));
    if width > 0.0 && height > 0.0 {
        space.is_cut_by(cut, path);
        Ok(Rect { x, y, width, height })
    } else {
        space.outside(path)
    }
}

/// Cuts an interval to `0..=end`, and returns the longer of the ends that are cut off. What lies within keeps its last bit, which
/// adding and subtracting would change.
fn clip(start: &mut f64, extent: &mut f64, end: f64) -> f64 {
    let mut cut = 0.0;
    if *start < 0.0 {
        cut = -*start;
        *extent += *start;
        *start = 0.0;
    }
    if *start + *extent > end {
        cut = f64::max(cut, *start + *extent - end);
        *extent = end - *start;
    }
    cut
}

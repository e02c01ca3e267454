//! From the picture as it is stored into the picture upright, and back (I13; docs/decisions/0023).
//!
//! Sizes and geometry are of the picture upright. The answer of a model whose server ignores EXIF is of the picture as it is
//! stored, and is turned here. Kinds without pixels, classifications and cuboids, stay as they are.
//!
//! A mask is turned by its corners, never by its pixels. A corner is a point where the four pixels around it hold an odd number
//! of marked ones; the mask is the set of pixels that see an odd number of corners to their top left. Corners turn as points do.
//! Time and memory grow with the outline, and a mask of 100 megapixels needs no more than a small one of the same outline.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::fields::Fields;
use crate::domain::prediction::orientation::Orientation;
use crate::domain::prediction::rle;
use crate::domain::prediction::size::Size;
use crate::domain::prediction::{Geometry, Mask, Prediction, Rect};

/// Runs of a mask that is turned, before and after. An outline has far fewer, noise has more.
const RUNS: usize = 512 * 1024;
/// Corners of such a mask: 8 MB of memory.
const CORNERS: usize = 1024 * 1024;

/// Whether a model's server applies the EXIF orientation of the pictures that it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exif {
    /// Its answers are of the picture upright, as OpenCV, Ultralytics and browsers have it.
    #[default]
    Applied,
    /// Its answers are of the picture as it is stored: Pillow without `exif_transpose`, for example.
    Ignored,
}

impl Exif {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(crate) fn is_applied(&self) -> bool {
        *self == Self::Applied
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let read = |value: Value| match value.as_str() {
            Some("applied") => Ok(Self::Applied),
            Some("ignored") => Ok(Self::Ignored),
            _ => Err("Must be \"applied\" or \"ignored\".".to_owned()),
        };
        fields.optional("exif", read).unwrap_or_default()
    }
}

/// The frame of the width and height that a model is sent, and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// The picture with its EXIF orientation applied.
    Upright,
    /// The picture as it is stored.
    Stored,
}

impl From<Exif> for Frame {
    fn from(exif: Exif) -> Self {
        match exif {
            Exif::Applied => Self::Upright,
            Exif::Ignored => Self::Stored,
        }
    }
}

/// A mask that is not turned: it has more runs or corners than are kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Has too many small parts to be turned upright.")]
pub struct TooIntricate;

/// Turns predictions from the stored frame into the upright one; `upright` is that frame's size. The predictions are well formed
/// and lie within the picture, before and after.
///
/// Of a mask that cannot be turned a note with its label is left, and nothing else.
#[must_use]
pub fn turn_upright(
    predictions: Vec<Prediction>,
    orientation: Orientation,
    upright: Size,
) -> (Vec<Prediction>, Vec<String>) {
    if orientation == Orientation::Upright {
        return (predictions, Vec::new());
    }
    let (mut turned, mut notes) = (Vec::with_capacity(predictions.len()), Vec::new());
    for prediction in predictions {
        match turn(prediction.geometry, orientation, upright) {
            Ok(geometry) => turned.push(Prediction { geometry, ..prediction }),
            Err(intricate) => notes.push(format!("A mask of {:?}: {intricate}", prediction.label.as_str())),
        }
    }
    (turned, notes)
}

/// Turns a geometry; `size` is that of the frame it is turned into.
fn turn(geometry: Geometry, orientation: Orientation, size: Size) -> Result<Geometry, TooIntricate> {
    let turned = |points: Vec<[f64; 2]>| points.into_iter().map(|point| turn_point(point, orientation, size)).collect();
    Ok(match geometry {
        Geometry::BoundingBox { coordinates } => {
            Geometry::BoundingBox { coordinates: turn_rect(coordinates, orientation, size) }
        }
        Geometry::Polygon { points } => Geometry::Polygon { points: turned(points) },
        Geometry::Polyline { points } => Geometry::Polyline { points: turned(points) },
        Geometry::SegmentationMask { mask: Mask::CocoRle { size: [height, width], counts } } => {
            let counts = turn_runs(&counts, Size { width, height }, orientation)?;
            Geometry::SegmentationMask { mask: Mask::CocoRle { size: [size.height, size.width], counts } }
        }
        untouched @ (Geometry::Classification | Geometry::BoundingBox3d { .. }) => untouched,
    })
}

impl Orientation {
    /// Whether x, and y, run the other way after the sides were swapped, if they are.
    const fn flips(self) -> (bool, bool) {
        match self {
            Self::Upright | Self::Transposed => (false, false),
            Self::MirroredHorizontally | Self::Rotated90 => (true, false),
            Self::MirroredVertically | Self::Rotated270 => (false, true),
            Self::Rotated180 | Self::Transversed => (true, true),
        }
    }

    /// The size of the stored picture.
    #[must_use]
    pub const fn stored(self, upright: Size) -> Size {
        self.upright(upright) // sides that are swapped twice are as before
    }
}

fn turn_point([x, y]: [f64; 2], orientation: Orientation, size: Size) -> [f64; 2] {
    let [x, y] = if orientation.swaps_sides() { [y, x] } else { [x, y] };
    let (flips_x, flips_y) = orientation.flips();
    let flipped = |flips: bool, at: f64, end: u32| if flips { f64::from(end) - at } else { at };
    [flipped(flips_x, x, size.width), flipped(flips_y, y, size.height)]
}

fn turn_rect(Rect { x, y, width, height }: Rect, orientation: Orientation, size: Size) -> Rect {
    let ((x, width), (y, height)) =
        if orientation.swaps_sides() { ((y, height), (x, width)) } else { ((x, width), (y, height)) };
    let (flips_x, flips_y) = orientation.flips();
    let (x, width) = turn_side(flips_x, x, width, size.width.into());
    let (y, height) = turn_side(flips_y, y, height, size.height.into());
    Rect { x, y, width, height }
}

/// Keeps the interval in the picture: the last bit of a sum may be beyond its border.
fn turn_side(flips: bool, start: f64, extent: f64, end: f64) -> (f64, f64) {
    if !flips {
        return (start, extent);
    }
    let start = (end - (start + extent)).max(0.0);
    (start, if start + extent > end { end - start } else { extent })
}

/// The runs of a mask of this size, turned.
fn turn_runs(counts: &str, size: Size, orientation: Orientation) -> Result<String, TooIntricate> {
    let mut corners = Corners::of(counts, size)?;
    let upright = orientation.upright(size);
    let (flips_x, flips_y) = orientation.flips();
    for (x, y) in &mut corners {
        if orientation.swaps_sides() {
            std::mem::swap(x, y);
        }
        *x = if flips_x { upright.width - *x } else { *x };
        *y = if flips_y { upright.height - *y } else { *y };
    }
    corners.sort_unstable();
    let mut count = 0;
    let counts = rle::encode(runs(Edges::of(&corners, upright), upright).take(RUNS + 1).inspect(|_| count += 1));
    if count > RUNS { Err(TooIntricate) } else { Ok(counts) }
}

/// Corners of a mask, as its columns are read one after the other.
struct Corners {
    height: u64,
    found: Vec<(u32, u32)>,
    column: u64,
    /// Where the column begins or ends to be marked, from the top to the bottom.
    edges: Vec<u32>,
    /// The same of the column before.
    edges_before: Vec<u32>,
}

impl Corners {
    /// In the order of their columns.
    fn of(counts: &str, size: Size) -> Result<Vec<(u32, u32)>, TooIntricate> {
        let height = u64::from(size.height);
        let mut corners = Self { height, found: Vec::new(), column: 0, edges: Vec::new(), edges_before: Vec::new() };
        let (mut end, mut pending) = (0u64, None::<(u64, u64)>);
        for (index, run) in rle::runs(counts).map_while(Result::ok).enumerate() {
            if index >= RUNS {
                return Err(TooIntricate);
            }
            let start = end;
            end += run;
            if index % 2 == 0 || run == 0 {
                continue;
            }
            pending = match pending {
                // Nothing is between them.
                Some((first, last)) if last == start => Some((first, end)),
                Some(marked) => {
                    corners.mark(marked)?;
                    Some((start, end))
                }
                None => Some((start, end)),
            };
        }
        if let Some(marked) = pending {
            corners.mark(marked)?;
        }
        corners.close_column()?;
        corners.close_column()?; // what ends with the last column has its corners behind it
        Ok(corners.found)
    }

    /// Takes marked pixels, by their numbers column by column. They come in their order.
    fn mark(&mut self, (start, end): (u64, u64)) -> Result<(), TooIntricate> {
        let (first, last) = (start / self.height, (end - 1) / self.height);
        let (top, bottom) = (start - first * self.height, end - last * self.height);
        self.go_to(first)?;
        if first == last {
            self.edges.extend([pixel(top), pixel(bottom)]);
            return Ok(());
        }
        self.edges.extend([pixel(top), pixel(self.height)]);
        if last > first + 1 {
            // Columns that are marked from top to bottom have no corners among them.
            self.go_to(first + 1)?;
            self.edges.extend([0, pixel(self.height)]);
            self.close_column()?;
            self.column = last;
        }
        self.go_to(last)?;
        self.edges.extend([0, pixel(bottom)]);
        Ok(())
    }

    fn go_to(&mut self, column: u64) -> Result<(), TooIntricate> {
        if self.column < column {
            self.close_column()?;
        }
        if self.column < column {
            self.close_column()?; // an empty one; those that follow it are like it
            self.column = column;
        }
        Ok(())
    }

    fn close_column(&mut self) -> Result<(), TooIntricate> {
        let column = pixel(self.column);
        self.found.extend(differing(&self.edges_before, &self.edges).map(|row| (column, row)));
        std::mem::swap(&mut self.edges, &mut self.edges_before);
        self.edges.clear();
        self.column += 1;
        if self.found.len() > CORNERS { Err(TooIntricate) } else { Ok(()) }
    }
}

/// Sides have far fewer pixels ([`limits::PIXELS_PER_SIDE`](crate::domain::limits::PIXELS_PER_SIDE)).
fn pixel(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What is in one of two sorted lists and not in the other.
fn differing<'a>(a: &'a [u32], b: &'a [u32]) -> impl Iterator<Item = u32> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    std::iter::from_fn(move || {
        loop {
            match (a.peek(), b.peek()) {
                (Some(one), Some(other)) if one == other => {
                    a.next();
                    b.next();
                }
                (Some(one), Some(other)) if one > other => return b.next(),
                (Some(_), _) => return a.next(),
                (None, _) => return b.next(),
            }
        }
    })
}

/// Where a mask begins or ends to be marked, by the numbers of its pixels column by column. A number that comes twice in a row
/// is none: one column ends there to be marked, and the next one begins.
struct Edges<'a> {
    size: Size,
    /// Those that are still to come, sorted.
    corners: &'a [(u32, u32)],
    column: u32,
    /// The column of the next corner: until there all are alike.
    until: u32,
    edges: Vec<u32>,
    /// How many of the edges of this column were handed out.
    given: usize,
}

impl<'a> Edges<'a> {
    fn of(corners: &'a [(u32, u32)], size: Size) -> Self {
        let until = corners.first().map_or(size.width, |(column, _)| *column);
        let mut edges = Self { size, corners, column: until, until, edges: Vec::new(), given: 0 };
        edges.begin_column();
        edges
    }

    /// Takes the corners of this column, if it has any, and goes to the end of columns that hold no change.
    fn begin_column(&mut self) {
        if self.column == self.until {
            let here = self.corners.partition_point(|(column, _)| *column == self.column);
            let (now, later) = self.corners.split_at(here);
            let rows: Vec<u32> = now.iter().map(|(_, row)| *row).collect();
            self.edges = differing(&self.edges, &rows).collect();
            self.corners = later;
            self.until = later.first().map_or(self.size.width, |(column, _)| *column);
        }
        self.given = 0;
    }
}

impl Iterator for Edges<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if self.column >= self.size.width {
                return None;
            }
            if let Some(row) = self.edges.get(self.given) {
                let first = self.given == 0;
                let edge = u64::from(self.column) * u64::from(self.size.height) + u64::from(*row);
                self.given += 1;
                if first && self.edges == [0, self.size.height] {
                    self.column = self.until - 1; // marked from here on to there
                }
                return Some(edge);
            }
            self.column = if self.edges.is_empty() { self.until } else { self.column + 1 };
            self.begin_column();
        }
    }
}

/// The runs between these edges.
fn runs(edges: Edges<'_>, size: Size) -> impl Iterator<Item = u64> {
    let pixels = u64::from(size.width) * u64::from(size.height);
    let (mut edges, mut last) = (edges.peekable(), 0);
    std::iter::from_fn(move || {
        while let Some(edge) = edges.next() {
            if edges.next_if_eq(&edge).is_none() {
                let run = edge - last;
                last = edge;
                return Some(run);
            }
        }
        let rest = pixels - last;
        last = pixels;
        (rest > 0).then_some(rest)
    })
}

#[cfg(test)]
mod tests;

//! The overlap of two geometries: intersection over union (IoU), from 0 to 1. Geometries of two types have none.
//!
//! - Boxes and masks: exact, as pycocotools has it.
//! - Polygons: on [`LINES`] lines across both, by the even-odd rule. Equal ones have exactly 1.
//! - Cuboids: their footprints as polygons, times their common height. A cuboid that does not stand upright is read as if it did.
//! - Polylines have no area: the points that both have, over the points that either has.
//! - Classifications are of the whole item: 1.

use std::cmp::Ordering;
use std::mem::discriminant;

use crate::domain::prediction::rle;
use crate::domain::prediction::{Cuboid, Geometry, Mask, Rect};

/// Lines on which polygons are compared.
const LINES: u32 = 256;

type Point = [f64; 2];

/// A geometry with what makes comparisons cheap.
#[derive(Debug)]
pub struct Outline<'a> {
    geometry: &'a Geometry,
    /// The rectangle around it; `None`: it has none that is worth a calculation.
    bounds: Option<Rect>,
}

impl<'a> Outline<'a> {
    /// That of a geometry.
    #[must_use]
    pub fn of(geometry: &'a Geometry) -> Self {
        let bounds = match geometry {
            Geometry::BoundingBox { coordinates } => Some(*coordinates),
            Geometry::Polygon { points } => around(points),
            Geometry::Polyline { .. }
            | Geometry::SegmentationMask { .. }
            | Geometry::Classification
            | Geometry::BoundingBox3d { .. } => None,
        };
        Self { geometry, bounds }
    }

    /// Whether the two may have anything in common. It takes one step.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        let bounds = self.bounds.zip(other.bounds);
        discriminant(self.geometry) == discriminant(other.geometry)
            && bounds.is_none_or(|(one, other)| common_area(&one, &other) > 0.0)
            && match (self.geometry, other.geometry) {
                (Geometry::SegmentationMask { mask: one }, Geometry::SegmentationMask { mask: other }) => {
                    size(one) == size(other)
                }
                _ => true,
            }
    }

    /// Intersection over union.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f64 {
        if !self.may_meet(other) {
            return 0.0;
        }
        match (self.geometry, other.geometry) {
            (Geometry::BoundingBox { coordinates: one }, Geometry::BoundingBox { coordinates: other }) => {
                let common = common_area(one, other);
                ratio(common, area(one) + area(other) - common)
            }
            (Geometry::Polygon { points: one }, Geometry::Polygon { points: other }) => of_polygons(one, other),
            (Geometry::Polyline { points: one }, Geometry::Polyline { points: other }) => of_points(one, other),
            (Geometry::SegmentationMask { mask: one }, Geometry::SegmentationMask { mask: other }) => {
                of_masks(one, other)
            }
            (Geometry::BoundingBox3d { coordinates: one }, Geometry::BoundingBox3d { coordinates: other }) => {
                of_cuboids(one, other)
            }
            (Geometry::Classification, Geometry::Classification) => 1.0,
            _ => 0.0,
        }
    }

    /// About how many steps [`Self::iou`] takes, so that a caller can bound its work.
    #[must_use]
    pub fn steps(&self) -> usize {
        match self.geometry {
            Geometry::BoundingBox { .. } | Geometry::Classification => 1,
            Geometry::Polygon { points } => points.len() * LINES as usize,
            Geometry::Polyline { points } => points.len() * 16, // they are sorted
            Geometry::SegmentationMask { mask: Mask::CocoRle { counts, .. } } => counts.len(),
            Geometry::BoundingBox3d { .. } => 4 * LINES as usize,
        }
    }
}

fn ratio(common: f64, either: f64) -> f64 {
    if either > 0.0 { (common / either).clamp(0.0, 1.0) } else { 0.0 }
}

fn area(rect: &Rect) -> f64 {
    rect.width * rect.height
}

fn common_area(one: &Rect, other: &Rect) -> f64 {
    let width = common((one.x, one.x + one.width), (other.x, other.x + other.width));
    width * common((one.y, one.y + one.height), (other.y, other.y + other.height))
}

/// The length that two intervals have in common.
fn common(one: (f64, f64), other: (f64, f64)) -> f64 {
    (one.1.min(other.1) - one.0.max(other.0)).max(0.0)
}

fn around(points: &[Point]) -> Option<Rect> {
    let [x, y] = [0, 1].map(|axis| range(points.iter().map(|point| point[axis])));
    let ((left, right), (top, bottom)) = (x?, y?);
    Some(Rect { x: left, y: top, width: right - left, height: bottom - top })
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.map(|value| (value, value)).reduce(|(least, most), (value, _)| (least.min(value), most.max(value)))
}

/// What two polygons have: both, the first, the second.
struct Areas {
    common: f64,
    one: f64,
    other: f64,
}

fn of_polygons(one: &[Point], other: &[Point]) -> f64 {
    let Areas { common, one, other } = areas(one, other);
    ratio(common, one + other - common)
}

fn areas(one: &[Point], other: &[Point]) -> Areas {
    let mut areas = Areas { common: 0.0, one: 0.0, other: 0.0 };
    let Some((top, bottom)) = range(one.iter().chain(other).map(|point| point[1])) else { return areas };
    let step = (bottom - top) / f64::from(LINES);
    for line in 0..LINES {
        let y = top + (f64::from(line) + 0.5) * step;
        let (one, other) = (spans(one, y), spans(other, y));
        areas.common += step * in_both(&one, &other);
        areas.one += step * in_both(&one, &one);
        areas.other += step * in_both(&other, &other);
    }
    areas
}

/// The intervals of a horizontal line that are inside of a polygon, from left to right.
fn spans(points: &[Point], y: f64) -> Vec<(f64, f64)> {
    let ends = points.iter().skip(1).chain(points.first());
    let crossed = points.iter().zip(ends).filter(|([_, from], [_, to])| (*from <= y) != (*to <= y));
    let mut crossings: Vec<f64> =
        crossed.map(|([x, from], [to_x, to])| x + (y - from) / (to - from) * (to_x - x)).collect();
    crossings.sort_by(f64::total_cmp);
    crossings.as_chunks::<2>().0.iter().map(|[from, to]| (*from, *to)).collect()
}

/// The length that two lists of intervals have in common.
fn in_both(mut one: &[(f64, f64)], mut other: &[(f64, f64)]) -> f64 {
    let mut length = 0.0;
    while let (Some((first, rest)), Some((first_other, rest_other))) = (one.split_first(), other.split_first()) {
        length += common(*first, *first_other);
        if first.1 < first_other.1 { one = rest } else { other = rest_other }
    }
    length
}

fn of_points(one: &[Point], other: &[Point]) -> f64 {
    let (one, other) = (sorted(one), sorted(other));
    let (mut at, mut at_other, mut both) = (0, 0, 0_u32);
    while let (Some(point), Some(point_other)) = (one.get(at), other.get(at_other)) {
        let order = by_position(point, point_other);
        both += u32::from(order == Ordering::Equal);
        at += usize::from(order != Ordering::Greater);
        at_other += usize::from(order != Ordering::Less);
    }
    let both = f64::from(both);
    ratio(both, (one.len() + other.len()) as f64 - both)
}

fn sorted(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by(by_position);
    points.dedup();
    points
}

fn by_position(one: &Point, other: &Point) -> Ordering {
    one[0].total_cmp(&other[0]).then(one[1].total_cmp(&other[1]))
}

const fn size(mask: &Mask) -> [u32; 2] {
    let Mask::CocoRle { size, .. } = mask;
    *size
}

/// Of masks of one size.
fn of_masks(one: &Mask, other: &Mask) -> f64 {
    let (Mask::CocoRle { counts, .. }, Mask::CocoRle { counts: counts_other, .. }) = (one, other);
    let (mut one, mut other) = (Pixels::of(rle::runs(counts)), Pixels::of(rle::runs(counts_other)));
    let (mut common, mut either) = (0, 0);
    while let Some(step) = one.left().zip(other.left()).map(|(left, left_other)| left.min(left_other)) {
        common += if one.marked && other.marked { step } else { 0 };
        either += if one.marked || other.marked { step } else { 0 };
        one.left -= step;
        other.left -= step;
    }
    ratio(common as f64, either as f64)
}

/// The pixels of a mask, in runs.
struct Pixels<R> {
    runs: R,
    left: u64,
    marked: bool,
}

impl<R: Iterator<Item = Result<u64, rle::BadRuns>>> Pixels<R> {
    const fn of(runs: R) -> Self {
        Self { runs, left: 0, marked: true } // the first run is background
    }

    /// What is left of the run, or of the next one; `None`: there is none. Stored runs are sound.
    fn left(&mut self) -> Option<u64> {
        while self.left == 0 {
            self.left = self.runs.next()?.ok()?;
            self.marked = !self.marked;
        }
        Some(self.left)
    }
}

fn of_cuboids(one: &Cuboid, other: &Cuboid) -> f64 {
    let areas = areas(&footprint(one), &footprint(other));
    let height = |cuboid: &Cuboid| {
        let half = cuboid.dimensions.height / 2.0;
        (cuboid.center.z - half, cuboid.center.z + half)
    };
    let common = areas.common * common(height(one), height(other));
    ratio(common, areas.one * one.dimensions.height + areas.other * other.dimensions.height - common)
}

/// The corners of a cuboid seen from above, turned about the vertical axis alone.
fn footprint(Cuboid { center, dimensions, rotation: turn }: &Cuboid) -> [Point; 4] {
    let yaw = (2.0 * (turn.w * turn.z + turn.x * turn.y)).atan2(1.0 - 2.0 * (turn.y * turn.y + turn.z * turn.z));
    let (sin, cos) = yaw.sin_cos();
    [(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)].map(|(forward, left)| {
        let (x, y) = (forward * dimensions.length, left * dimensions.width);
        [center.x + x * cos - y * sin, center.y + x * sin + y * cos]
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::prediction::{Dimensions, Quaternion, Vec3};

    fn iou(one: &Geometry, other: &Geometry) -> f64 {
        Outline::of(one).iou(&Outline::of(other))
    }

    fn a_box(x: f64, y: f64, width: f64, height: f64) -> Geometry {
        Geometry::BoundingBox { coordinates: Rect { x, y, width, height } }
    }

    fn corners(x: f64, y: f64, width: f64, height: f64) -> Vec<Point> {
        vec![[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    }

    fn a_mask(runs: &[u64]) -> Geometry {
        let mask = Mask::CocoRle { size: [3, 4], counts: rle::encode(runs.iter().copied()) };
        Geometry::SegmentationMask { mask }
    }

    fn a_cuboid(x: f64, z: f64, yaw: f64) -> Geometry {
        let rotation = Quaternion { x: 0.0, y: 0.0, z: (yaw / 2.0).sin(), w: (yaw / 2.0).cos() };
        let dimensions = Dimensions { length: 4.0, width: 2.0, height: 2.0 };
        Geometry::BoundingBox3d { coordinates: Cuboid { center: Vec3 { x, y: 0.0, z }, dimensions, rotation } }
    }

    fn assert_near(found: f64, right: f64) {
        assert!((found - right).abs() < 0.01, "{found}, not {right}");
    }

    #[test]
    fn boxes_overlap_by_their_areas() {
        let one = a_box(0.0, 0.0, 10.0, 10.0);
        for (other, right) in [
            (a_box(0.0, 0.0, 10.0, 10.0), 1.0),
            (a_box(5.0, 0.0, 10.0, 10.0), 50.0 / 150.0),
            (a_box(2.0, 2.0, 5.0, 5.0), 0.25),
            (a_box(10.0, 0.0, 10.0, 10.0), 0.0),
            (a_box(-5.0, -5.0, 1.0, 1.0), 0.0),
        ] {
            assert_eq!((iou(&one, &other), iou(&other, &one)), (right, right), "{other:?}");
        }
    }

    #[test]
    fn polygons_overlap_by_their_areas_also_bent_and_crossed_ones() {
        let polygon = |points| Geometry::Polygon { points };
        let square = polygon(corners(0.0, 0.0, 10.0, 10.0));
        assert_near(iou(&square, &polygon(corners(5.0, 0.0, 10.0, 10.0))), 1.0 / 3.0);
        assert_near(iou(&square, &polygon(vec![[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])), 0.5);
        assert_near(iou(&square, &polygon(corners(0.0, 10.0, 10.0, 10.0))), 0.0);
        let bent = vec![[0.0, 0.0], [10.0, 0.0], [10.0, 2.0], [2.0, 2.0], [2.0, 10.0], [0.0, 10.0]];
        assert_near(iou(&square, &polygon(bent)), 0.36);
        let crossed = vec![[0.0, 0.0], [10.0, 10.0], [10.0, 0.0], [0.0, 10.0]];
        assert_near(iou(&square, &polygon(crossed)), 0.5);
    }

    #[test]
    fn masks_overlap_by_their_pixels() {
        let one = a_mask(&[2, 4, 6]);
        for (runs, right) in [
            (&[2, 4, 6][..], 1.0),
            (&[4, 4, 4], 2.0 / 6.0),
            (&[0, 12], 4.0 / 12.0),
            (&[6, 6], 0.0),
            (&[1, 2, 1, 2, 6], 3.0 / 5.0),
        ] {
            assert_eq!(iou(&one, &a_mask(runs)), right, "{runs:?}");
        }
        let mask = Mask::CocoRle { size: [4, 3], counts: rle::encode([2, 4, 6]) };
        assert_eq!(iou(&one, &Geometry::SegmentationMask { mask }), 0.0, "of another picture");
    }

    #[test]
    fn cuboids_overlap_by_footprint_and_height() {
        let one = a_cuboid(0.0, 0.0, 0.0);
        assert_eq!(iou(&one, &one), 1.0);
        assert_near(iou(&one, &a_cuboid(2.0, 0.0, 0.0)), 1.0 / 3.0);
        assert_near(iou(&one, &a_cuboid(0.0, 1.0, 0.0)), 1.0 / 3.0);
        assert_near(iou(&one, &a_cuboid(0.0, 0.0, std::f64::consts::FRAC_PI_2)), 4.0 / 12.0);
        assert_near(iou(&one, &a_cuboid(0.0, 0.0, std::f64::consts::PI)), 1.0);
        assert_eq!(iou(&one, &a_cuboid(0.0, 9.0, 0.0)), 0.0);
    }

    #[test]
    fn lines_share_points_and_what_is_of_two_types_shares_nothing() {
        let line = |points: &[Point]| Geometry::Polyline { points: points.to_vec() };
        let three = line(&[[0.0, 0.0], [5.0, 5.0], [9.0, 0.0]]);
        assert_eq!(iou(&three, &three), 1.0);
        assert_eq!(iou(&three, &line(&[[0.0, 0.0], [5.0, 6.0], [9.0, 0.0]])), 0.5);
        assert_eq!(iou(&three, &line(&[[1.0, 1.0], [2.0, 2.0]])), 0.0);
        assert_eq!(iou(&Geometry::Classification, &Geometry::Classification), 1.0);
        assert_eq!(iou(&Geometry::Classification, &three), 0.0);
        let polygon = Geometry::Polygon { points: corners(0.0, 0.0, 10.0, 10.0) };
        assert_eq!(iou(&a_box(0.0, 0.0, 10.0, 10.0), &polygon), 0.0);
    }

    proptest! {
        #[test]
        fn an_overlap_is_a_fraction_the_same_both_ways_and_one_of_equals(
            one in prop::collection::vec([-9.0..99.0, -9.0..99.0], 3..9),
            other in prop::collection::vec([-9.0..99.0, -9.0..99.0], 3..9),
        ) {
            for form in [|points| Geometry::Polygon { points }, |points| Geometry::Polyline { points }] {
                let (one, other): (Geometry, Geometry) = (form(one.clone()), form(other.clone()));
                let found = iou(&one, &other);
                prop_assert!((0.0..=1.0).contains(&found));
                prop_assert!((found - iou(&other, &one)).abs() < 1e-9);
                prop_assert!(iou(&one, &one) > 1.0 - 1e-9);
            }
        }

        #[test]
        fn boxes_and_the_same_boxes_as_polygons_overlap_alike(
            one in [0.0..50.0, 0.0..50.0, 1.0..50.0, 1.0..50.0], other in [0.0..50.0, 0.0..50.0, 1.0..50.0, 1.0..50.0],
        ) {
            let exact = iou(&a_box(one[0], one[1], one[2], one[3]), &a_box(other[0], other[1], other[2], other[3]));
            let polygon = |[x, y, width, height]: [f64; 4]| Geometry::Polygon { points: corners(x, y, width, height) };
            prop_assert!((exact - iou(&polygon(one), &polygon(other))).abs() < 0.05);
        }
    }
}

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A mask as a person would write it: whether the pixel of column `x` and row `y` is marked.
#[derive(Clone, Debug, PartialEq)]
struct Pixels {
    size: Size,
    marked: Vec<bool>,
}

impl Pixels {
    fn new(width: u32, height: u32, marked: impl Fn(u32, u32) -> bool) -> Self {
        let columns = (0..width).flat_map(|x| (0..height).map(move |y| (x, y)));
        Self { size: Size { width, height }, marked: columns.map(|(x, y)| marked(x, y)).collect() }
    }

    fn at(&self, x: u32, y: u32) -> bool {
        self.marked[(x * self.size.height + y) as usize]
    }

    fn counts(&self) -> String {
        let mut runs = vec![0u64];
        for (index, marked) in self.marked.iter().enumerate() {
            let before = index.checked_sub(1).is_some_and(|before| self.marked[before]);
            if before != *marked {
                runs.push(0);
            }
            *runs.last_mut().unwrap() += 1;
        }
        rle::encode(runs)
    }

    /// Pixel by pixel, from the standard's pictures of the eight orientations, which say where the stored picture's first row
    /// and first column are: 1 top, left; 2 top, right; 3 bottom, right; 4 bottom, left; 5 left, top; 6 right, top; 7 right,
    /// bottom; 8 left, bottom.
    fn upright(&self, orientation: Orientation) -> Self {
        let Size { width, height } = orientation.upright(self.size);
        let (right, bottom) = (width - 1, height - 1);
        let exif = 1 + Orientation::ALL.iter().position(|one| *one == orientation).unwrap();
        let stored = |x: u32, y: u32| match exif {
            // (column, row) of the stored picture: its row is counted from the side of its first row.
            1 => (x, y),
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (y, right - x),
            7 => (bottom - y, right - x),
            _ => (bottom - y, x),
        };
        Self::new(width, height, |x, y| {
            let (column, row) = stored(x, y);
            self.at(column, row)
        })
    }
}

fn back(orientation: Orientation) -> Orientation {
    match orientation {
        Orientation::Rotated90 => Orientation::Rotated270,
        Orientation::Rotated270 => Orientation::Rotated90,
        its_own => its_own,
    }
}

fn an_orientation() -> impl Strategy<Value = Orientation> {
    prop::sample::select(Orientation::ALL.to_vec())
}

/// Noise of any density, and pictures of one thing.
fn pixels() -> impl Strategy<Value = Pixels> {
    let noise = (1u32..14, 1u32..14, 0u8..=255).prop_flat_map(|(width, height, density)| {
        let marked =
            prop::collection::vec(any::<u8>().prop_map(move |byte| byte <= density), (width * height) as usize);
        marked.prop_map(move |marked| Pixels { size: Size { width, height }, marked })
    });
    let thing = (1u32..40, 1u32..40, 0u32..40, 0u32..40, 1u32..30).prop_map(|(width, height, x, y, radius)| {
        Pixels::new(width, height, |column, row| column.abs_diff(x).pow(2) + row.abs_diff(y).pow(2) < radius.pow(2))
    });
    let columns = (1u32..20, 1u32..20, 0u32..20, 0u32..20).prop_map(|(width, height, from, to)| {
        Pixels::new(width, height, |column, row| (from..to).contains(&column) || row == from)
    });
    prop_oneof![noise, thing, columns].prop_filter("marks something", |pixels| pixels.marked.contains(&true))
}

fn a_prediction(geometry: Geometry) -> Prediction {
    let attributes = json!({"x": 1, "points": [[1, 2]]});
    Prediction { geometry, label: "car".into(), confidence: 0.5, attributes: attributes.as_object().unwrap().clone() }
}

fn a_mask(pixels: &Pixels) -> Prediction {
    let mask = Mask::CocoRle { size: [pixels.size.height, pixels.size.width], counts: pixels.counts() };
    a_prediction(Geometry::SegmentationMask { mask })
}

fn turned(prediction: Prediction, orientation: Orientation, upright: Size) -> Prediction {
    let (mut predictions, notes) = turn_upright(vec![prediction], orientation, upright);
    assert!(notes.is_empty(), "{notes:?}");
    predictions.remove(0)
}

#[test]
fn the_first_pixel_of_the_stored_picture_is_where_the_standard_says() {
    let stored = Size { width: 4, height: 3 };
    let corners = Orientation::ALL.map(|orientation| turn_point([0.0, 0.0], orientation, orientation.upright(stored)));
    let (wide, high) = ([4.0, 3.0], [3.0, 4.0]);
    assert_eq!(
        corners,
        [[0.0, 0.0], [wide[0], 0.0], wide, [0.0, wide[1]], [0.0, 0.0], [high[0], 0.0], high, [0.0, high[1]]]
    );
}

proptest! {
    #[test]
    fn a_mask_is_turned_as_its_pixels_are_and_back_again(pixels in pixels(), orientation in an_orientation()) {
        let upright = pixels.upright(orientation);

        let mask = turned(a_mask(&pixels), orientation, upright.size);

        prop_assert_eq!(&mask, &a_mask(&upright));
        prop_assert_eq!(turned(mask, back(orientation), pixels.size), a_mask(&pixels));
    }

    #[test]
    fn runs_of_no_pixel_change_nothing(pixels in pixels(), orientation in an_orientation(), at in any::<prop::sample::Index>(), two in 1usize..3) {
        let mut runs: Vec<u64> = rle::runs(&pixels.counts()).map(Result::unwrap).collect();
        let index = at.index(runs.len());
        let rest = runs[index];
        // n, 0, 0 … and what is left of n: the same mask.
        runs.splice(index..=index, std::iter::once(0).chain(std::iter::repeat_n(0, 2 * two - 1)).chain([rest]));
        let counts = rle::encode(runs);

        let mask = Mask::CocoRle { size: [pixels.size.height, pixels.size.width], counts };
        let upright = pixels.upright(orientation);
        let mask = a_prediction(Geometry::SegmentationMask { mask });
        prop_assume!(orientation != Orientation::Upright); // it is not touched then
        prop_assert_eq!(turned(mask, orientation, upright.size), a_mask(&upright));
    }

    #[test]
    fn a_box_marks_the_pixels_that_it_marked(width in 1u32..30, height in 1u32..30, sides in any::<[prop::sample::Index; 4]>(), orientation in an_orientation()) {
        let [x, y] = [sides[0].index(width as usize) as u32, sides[1].index(height as usize) as u32];
        let [w, h] = [1 + sides[2].index((width - x) as usize) as u32, 1 + sides[3].index((height - y) as usize) as u32];
        let stored = Pixels::new(width, height, |column, row| (x..x + w).contains(&column) && (y..y + h).contains(&row));
        let upright = stored.upright(orientation);
        let whole = |x: u32, y: u32, width: u32, height: u32| Rect { x: x.into(), y: y.into(), width: width.into(), height: height.into() };

        let rect = turn_rect(whole(x, y, w, h), orientation, upright.size);

        let in_box = |at: u32, start: f64, extent: f64| start <= f64::from(at) && f64::from(at) < start + extent;
        let boxed = Pixels::new(upright.size.width, upright.size.height, |column, row| in_box(column, rect.x, rect.width) && in_box(row, rect.y, rect.height));
        prop_assert_eq!(boxed, upright);
        prop_assert_eq!(turn_rect(rect, back(orientation), stored.size), whole(x, y, w, h));
    }

    #[test]
    fn what_lies_in_the_picture_lies_in_it_turned(
        (width, x, w) in (1u32..5_000, 0.0f64..1.0, 0.0f64..=1.0), (height, y, h) in (1u32..5_000, 0.0f64..1.0, 0.0f64..=1.0), orientation in an_orientation(),
    ) {
        let within = |end: u32, start: f64, extent: f64| { let (end, start) = (f64::from(end), f64::from(end) * start); (start, ((end - start) * extent).max(f64::MIN_POSITIVE)) };
        let ((x, w), (y, h)) = (within(width, x, w), within(height, y, h));
        let stored = Size { width, height };
        let upright = orientation.upright(stored);

        let rect = turn_rect(Rect { x, y, width: w, height: h }, orientation, upright);
        let points = [[x, y], [x + w, y + h]].map(|point| turn_point(point, orientation, upright));

        prop_assert!(rect.x >= 0.0 && rect.y >= 0.0 && rect.width > 0.0 && rect.height > 0.0);
        prop_assert!(rect.x + rect.width <= upright.width.into() && rect.y + rect.height <= upright.height.into());
        // The same corners, to the last bits.
        let (left, top) = (points[0][0].min(points[1][0]), points[0][1].min(points[1][1]));
        prop_assert!((rect.x - left).abs() < 1e-6 && (rect.y - top).abs() < 1e-6);
        let again = points.map(|point| turn_point(point, back(orientation), stored));
        prop_assert!((again[0][0] - x).abs() < 1e-6 && (again[0][1] - y).abs() < 1e-6);
    }

    #[test]
    fn every_corner_of_a_polygon_and_a_polyline_keeps_to_its_pixel(pixels in pixels(), orientation in an_orientation()) {
        let upright = pixels.upright(orientation);
        // The middles of the marked pixels.
        let middles = |pixels: &Pixels| -> Vec<[f64; 2]> {
            let all = (0..pixels.size.width).flat_map(|x| (0..pixels.size.height).map(move |y| (x, y)));
            all.filter(|(x, y)| pixels.at(*x, *y)).map(|(x, y)| [f64::from(x) + 0.5, f64::from(y) + 0.5]).collect()
        };
        let points = middles(&pixels);

        let polygon = turned(a_prediction(Geometry::Polygon { points: points.clone() }), orientation, upright.size);
        let polyline = turned(a_prediction(Geometry::Polyline { points: points.clone() }), orientation, upright.size);

        let (Geometry::Polygon { points: corners }, Geometry::Polyline { points: line }) = (polygon.geometry, polyline.geometry) else { panic!("another type") };
        let sorted = |mut points: Vec<[f64; 2]>| { points.sort_by(|a, b| a.partial_cmp(b).unwrap()); points };
        prop_assert_eq!(sorted(corners.clone()), sorted(middles(&upright)));
        prop_assert_eq!(&corners, &line);
        let again: Vec<[f64; 2]> = corners.into_iter().map(|point| turn_point(point, back(orientation), pixels.size)).collect();
        prop_assert_eq!(again, points);
    }
}

#[test]
fn kinds_without_pixels_stay_as_they_are() {
    let cuboid = json!({
        "center": {"x": 1.0, "y": 2.0, "z": 3.0}, "dimensions": {"length": 4.0, "width": 2.0, "height": 1.0},
        "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
    });
    for orientation in Orientation::ALL {
        for geometry in [
            Geometry::Classification,
            Geometry::BoundingBox3d { coordinates: serde_json::from_value(cuboid.clone()).unwrap() },
        ] {
            let prediction = a_prediction(geometry);
            assert_eq!(turned(prediction.clone(), orientation, Size { width: 3, height: 4 }), prediction);
        }
    }
}

#[test]
fn a_mask_of_a_hundred_megapixels_costs_what_its_outline_does() {
    let (width, height) = (12_500i64, 8_000i64);
    let mut runs = vec![0];
    for x in 0..width {
        // An ellipse that fills the picture.
        let across = 1.0 - ((2 * x + 1 - width) as f64 / width as f64).powi(2);
        let half = (across.sqrt() * height as f64 / 2.0) as i64;
        *runs.last_mut().unwrap() += height / 2 - half;
        runs.extend([2 * half, height / 2 - half]);
    }
    let counts = rle::encode(runs.into_iter().map(|run| run.unsigned_abs()));
    let size = Size { width: width as u32, height: height as u32 };

    for orientation in Orientation::ALL.into_iter().skip(1) {
        let corners = Corners::of(&counts, size).unwrap();
        assert!(corners.len() < 4 * 12_500, "{}", corners.len());
        let upright = orientation.upright(size);
        let turned = turn_runs(&counts, size, orientation).unwrap();
        assert_eq!(rle::check(rle::runs(&turned), u64::from(size.width) * u64::from(size.height)), Ok(()));
        assert!(turn_runs(&turned, upright, back(orientation)).unwrap() == counts, "{orientation:?}");
    }
}

#[test]
fn a_mask_may_fill_any_picture_that_an_item_may_be() {
    let side = crate::domain::limits::PIXELS_PER_SIDE;
    let size = Size { width: side, height: side };
    let counts = rle::encode([0, u64::from(side) * u64::from(side)]);

    for orientation in Orientation::ALL {
        assert_eq!(turn_runs(&counts, size, orientation), Ok(counts.clone()));
    }
}

#[test]
fn a_mask_that_turned_is_more_than_memory_holds_is_noted_with_its_label_and_its_neighbours_stay() {
    // Every other column: 4,000 runs before, 8 million after.
    let stripes = rle::encode(std::iter::repeat_n([4_000, 4_000], 2_000).flatten());
    // More runs than are read at all.
    let noise = rle::encode(std::iter::repeat_n([1, 1], 8_000_000).flatten().take(16_000_000));
    let size = Size { width: 4_000, height: 4_000 };
    let mask = |counts: &str| {
        let mask = Mask::CocoRle { size: [4_000, 4_000], counts: counts.to_owned() };
        a_prediction(Geometry::SegmentationMask { mask })
    };
    let good = a_prediction(Geometry::Classification);

    let (predictions, notes) =
        turn_upright(vec![good.clone(), mask(&stripes), mask(&noise), good.clone()], Orientation::Rotated90, size);

    assert_eq!(predictions, [good.clone(), good]);
    assert_eq!(notes, ["A mask of \"car\": Has too many small parts to be turned upright."; 2]);
}

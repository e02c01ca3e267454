//! The outline of a mask: one ring along the edges of its pixels, which has exactly their area.
//!
//! The ring's points are corners of pixels. Filled by the even-odd rule at the centres of the pixels, the ring gives the mask back, with
//! its holes and all of its parts. Parts and holes are joined by lines that are drawn there and back and have no area, as the converters
//! from COCO to YOLO do.
//!
//! A mask is read column by column and never unpacked. Memory is that of the outline.

use std::collections::{BTreeMap, HashMap};

use super::rle;

/// A corner of a pixel: pixels from the left, and from the top.
pub type Corner = [u32; 2];

/// Marked pixels of a column, from the first to behind the last one.
type Span = (u32, u32);

/// A part of the outline, in the direction in which the marked pixels are on the right hand.
#[derive(Clone, Copy, Debug)]
struct Edge {
    from: Corner,
    to: Corner,
}

impl Edge {
    /// The signs of its direction.
    fn direction(self) -> [i64; 2] {
        [0, 1].map(|axis| (i64::from(self.to[axis]) - i64::from(self.from[axis])).signum())
    }
}

/// The outline of a mask. `height`: pixels of a column. `None`: it would have more than `most` corners.
#[must_use]
pub fn outline(counts: &str, height: u32, most: usize) -> Option<Vec<Corner>> {
    let mut lines = Lines::default();
    for column in columns(counts, height) {
        lines.pass(column);
        if lines.edges.len() > most {
            return None;
        }
    }
    lines.pass(Vec::new());
    let ring = joined(loops(&lines.edges));
    (ring.len() <= most).then_some(ring)
}

/// The marked spans of each column up to the last marked one.
fn columns(counts: &str, height: u32) -> impl Iterator<Item = Vec<Span>> {
    let mut marked = marked(counts).peekable();
    let (height, mut begin) = (u64::from(height.max(1)), 0);
    let mut rest: Option<(u64, u64)> = None;
    std::iter::from_fn(move || {
        if rest.is_none() && marked.peek().is_none() {
            return None;
        }
        let mut spans: Vec<Span> = Vec::new();
        let end = begin + height;
        while let Some((first, last)) = rest.take().or_else(|| marked.next()) {
            if first >= end {
                rest = Some((first, last));
                break;
            }
            let (top, bottom) = (first - begin, last.min(end) - begin);
            match spans.last_mut() {
                Some(before) if u64::from(before.1) == top => before.1 = row(bottom),
                _ => spans.push((row(top), row(bottom))),
            }
            if last > end {
                rest = Some((end, last));
                break;
            }
        }
        begin = end;
        Some(spans)
    })
}

fn row(position: u64) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The marked runs, from the first pixel to behind the last one, in the order of the columns.
fn marked(counts: &str) -> impl Iterator<Item = (u64, u64)> {
    let mut position = 0;
    rle::runs(counts).map_while(Result::ok).enumerate().filter_map(move |(index, run)| {
        let first = position;
        position += run;
        (index % 2 == 1 && run > 0).then_some((first, position))
    })
}

/// The edges of the columns so far.
#[derive(Default)]
struct Lines {
    /// The next column's number.
    column: u32,
    before: Vec<Span>,
    /// Horizontal edges that go on: row, whether the marked pixels are below, and the column in which the edge begins.
    open: BTreeMap<(u32, bool), u32>,
    edges: Vec<Edge>,
}

impl Lines {
    /// Adds the edges on the left of the next column, and ends those that do not go on in it.
    fn pass(&mut self, spans: Vec<Span>) {
        let rows = |spans: &[Span]| -> Vec<(u32, bool)> {
            spans.iter().flat_map(|(top, bottom)| [(*top, true), (*bottom, false)]).collect()
        };
        let (ended, begun) = (rows(&self.before), rows(&spans));
        self.vertical(&ended, &begun);
        for key in ended.iter().filter(|key| begun.binary_search(key).is_err()) {
            let Some(first) = self.open.remove(key) else { continue };
            let (left, right) = ([first, key.0], [self.column, key.0]);
            self.edges.push(if key.1 { Edge { from: left, to: right } } else { Edge { from: right, to: left } });
        }
        for key in begun {
            self.open.entry(key).or_insert(self.column);
        }
        self.before = spans;
        self.column += 1;
    }

    /// The edges between two columns: down where the left one is marked alone, up where the right one is.
    fn vertical(&mut self, left: &[(u32, bool)], right: &[(u32, bool)]) {
        let side = |rows: &[(u32, bool)], sign: i8| -> Vec<(u32, i8)> {
            rows.iter().map(|(row, begins)| (*row, if *begins { sign } else { -sign })).collect()
        };
        let mut turns = [side(left, 1), side(right, -1)].concat();
        turns.sort_unstable_by_key(|turn| turn.0);
        let (mut sign, mut begin) = (0, 0);
        for turn in turns.chunk_by(|one, other| one.0 == other.0) {
            let (row, next) = (turn[0].0, sign + turn.iter().map(|turn| turn.1).sum::<i8>());
            if next == sign {
                continue;
            }
            let (above, below) = ([self.column, begin], [self.column, row]);
            match sign {
                1 => self.edges.push(Edge { from: above, to: below }),
                -1 => self.edges.push(Edge { from: below, to: above }),
                _ => (),
            }
            (sign, begin) = (next, row);
        }
    }
}

/// The closed loops of edges, from left to right. Pixels that touch at a corner alone are in loops of their own.
fn loops(edges: &[Edge]) -> Vec<Vec<Corner>> {
    let mut begins: HashMap<Corner, Vec<usize>> = HashMap::with_capacity(edges.len());
    edges.iter().enumerate().for_each(|(index, edge)| begins.entry(edge.from).or_default().push(index));
    let mut passed = vec![false; edges.len()];
    let mut all = Vec::new();
    for first in 0..edges.len() {
        let (mut corners, mut next) = (Vec::new(), Some(first));
        while let Some(index) = next.filter(|index| !passed[*index]) {
            passed[index] = true;
            corners.push(edges[index].from);
            next = begins.get(&edges[index].to).and_then(|others| following(edges, edges[index], others));
        }
        if !corners.is_empty() {
            all.push(corners);
        }
    }
    all
}

/// The edge that follows another one: of two it is the one to the right, which is of the same pixel.
fn following(edges: &[Edge], edge: Edge, others: &[usize]) -> Option<usize> {
    let [x, y] = edge.direction();
    let to_the_right = |index: &&usize| edges[**index].direction() == [-y, x];
    others.iter().find(to_the_right).or_else(|| others.first()).copied()
}

/// One ring of all loops: each is closed, then comes the next one, and at last the way back.
fn joined(loops: Vec<Vec<Corner>>) -> Vec<Corner> {
    let begins: Vec<Corner> = loops.iter().filter_map(|corners| corners.first()).copied().collect();
    let is_one = begins.len() == 1;
    let mut ring = Vec::new();
    for (corners, begin) in loops.into_iter().zip(&begins) {
        ring.extend(corners);
        if !is_one {
            ring.push(*begin);
        }
    }
    // The ring closes itself: the way back ends at the second loop.
    ring.extend(begins.iter().rev().skip(1).take(begins.len().saturating_sub(2)));
    ring
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pixels of a picture, row by row, as a mask.
    fn counts(rows: &[&str]) -> (String, u32) {
        let (height, width) = (rows.len(), rows[0].len());
        let pixels = (0..width).flat_map(|x| (0..height).map(move |y| rows[y].as_bytes()[x] == b'#'));
        (encoded(pixels), height as u32)
    }

    fn encoded(pixels: impl Iterator<Item = bool>) -> String {
        let (mut runs, mut value) = (vec![0u64], false);
        for pixel in pixels {
            if pixel != value {
                runs.push(0);
                value = pixel;
            }
            *runs.last_mut().unwrap() += 1;
        }
        rle::encode(runs)
    }

    /// Whether the centre of a pixel is inside of a ring, by the even-odd rule.
    fn is_inside(ring: &[Corner], [x, y]: Corner) -> bool {
        let (px, py) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
        let next = ring.iter().cycle().skip(1);
        let crossings = ring.iter().zip(next).filter(|(a, b)| {
            let [ax, ay, bx, by] = [a[0], a[1], b[0], b[1]].map(f64::from);
            (ay > py) != (by > py) && px < (bx - ax) * (py - ay) / (by - ay) + ax
        });
        crossings.count() % 2 == 1
    }

    #[test]
    fn a_rectangle_has_four_corners_and_an_l_has_six() {
        let (mask, height) = counts(&["....", ".##.", ".##."]);
        assert_eq!(outline(&mask, height, 9).unwrap(), [[1, 3], [1, 1], [3, 1], [3, 3]]);
        let (mask, height) = counts(&["#..", "#..", "###"]);
        assert_eq!(outline(&mask, height, 9).unwrap().len(), 6);
    }

    #[test]
    fn an_outline_of_too_many_corners_is_none() {
        let (mask, height) = counts(&["#.#", "...", "#.#"]);
        assert!(outline(&mask, height, 16).is_none());
        assert_eq!(outline(&mask, height, 22).unwrap().len(), 22); // 16 corners, 4 ends, 2 on the way back
    }

    #[test]
    fn a_picture_of_a_million_columns_has_a_short_outline() {
        let mask = rle::encode([3, 1_000_000 * 1_000_000 - 3]);
        assert_eq!(outline(&mask, 1_000_000, 9).unwrap().len(), 6);
    }

    proptest! {
        #[test]
        fn the_filled_outline_is_the_mask(height in 1u32..9, columns in prop::collection::vec(any::<u8>(), 1..9)) {
            let is_marked = |x: u32, y: u32| columns[x as usize] >> (y % 8) & 1 == 1;
            let width = columns.len() as u32;
            let pixels = || (0..width).flat_map(|x| (0..height).map(move |y| [x, y]));
            prop_assume!(pixels().any(|[x, y]| is_marked(x, y)));
            let ring = outline(&encoded(pixels().map(|[x, y]| is_marked(x, y))), height, 1_000).unwrap();

            prop_assert!(ring.len() >= 4);
            for [x, y] in pixels() {
                prop_assert_eq!(is_inside(&ring, [x, y]), is_marked(x, y), "{} {} {:?}", x, y, ring);
            }
        }
    }
}

//! The pixels of a mask row by row, within the least box around them. Our masks run column by column (`rle`); CVAT and Label Studio
//! read rows.

use super::rle;

/// The least box around the marked pixels of a mask, and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first column.
    pub left: u64,
    /// The first row.
    pub top: u64,
    /// Columns.
    pub width: u64,
    /// Rows.
    pub height: u64,
    /// Marked pixels.
    pub pixels: u64,
}

impl Extent {
    /// The box of compressed runs. `height`: pixels of a column. `None`: no pixel is marked.
    #[must_use]
    pub fn of(counts: &str, height: u32) -> Option<Self> {
        let rows = u64::from(height.max(1));
        let mut pixels = 0;
        let (mut left, mut right, mut top, mut bottom) = (u64::MAX, 0, u64::MAX, 0);
        for (first, end) in marked(counts) {
            let last = end - 1;
            let (first_column, last_column) = (first / rows, last / rows);
            let is_one_column = first_column == last_column;
            (left, right) = (left.min(first_column), right.max(last_column));
            // A run that goes on in the next column marks the end of one and the begin of the other.
            top = top.min(if is_one_column { first % rows } else { 0 });
            bottom = bottom.max(if is_one_column { last % rows } else { rows - 1 });
            pixels += end - first;
        }
        (pixels > 0).then(|| Self { left, top, width: right - left + 1, height: bottom - top + 1, pixels })
    }
}

/// The marked runs, each from its first pixel to behind its last one, column by column.
fn marked(counts: &str) -> impl Iterator<Item = (u64, u64)> {
    let mut position = 0;
    let runs = rle::runs(counts).map_while(Result::ok).enumerate().map(move |(index, run)| {
        position += run;
        (index % 2 == 1 && run > 0).then_some((position - run, position))
    });
    runs.flatten()
}

/// The pixels of a mask within its [`Extent`]: a bit each, row by row.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Where they are.
    pub extent: Extent,
    bits: Vec<u64>,
}

impl Rows {
    /// The pixels of compressed runs. `height`: pixels of a column. `None`: no pixel is marked.
    #[must_use]
    pub fn of(counts: &str, height: u32) -> Option<Self> {
        let extent = Extent::of(counts, height)?;
        let words = (extent.width * extent.height).div_ceil(64);
        let mut rows = Self { extent, bits: vec![0; usize::try_from(words).ok()?] };
        let column_pixels = u64::from(height.max(1));
        for (first, end) in marked(counts) {
            let (mut column, mut row) = (first / column_pixels - extent.left, first % column_pixels);
            for _ in first..end {
                rows.mark(column, row - extent.top);
                row += 1;
                if row == column_pixels {
                    (column, row) = (column + 1, 0);
                }
            }
        }
        Some(rows)
    }

    fn mark(&mut self, column: u64, row: u64) {
        let position = row * self.extent.width + column;
        if let Some(word) = self.bits.get_mut((position / 64) as usize) {
            *word |= 1 << (position % 64);
        }
    }

    fn is_marked(&self, position: u64) -> bool {
        self.bits.get((position / 64) as usize).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Run lengths row by row: they alternate, and begin with background, which may have none.
    pub fn runs(&self) -> impl Iterator<Item = u64> {
        let pixels = self.extent.width * self.extent.height;
        let (mut position, mut value) = (0, false);
        std::iter::from_fn(move || {
            if position == pixels {
                return None;
            }
            let first = position;
            while position < pixels && self.is_marked(position) == value {
                position += 1;
            }
            value = !value;
            Some(position - first)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture of `height` rows, its pixels column by column.
    fn counts(pixels: &[bool]) -> String {
        let mut runs = vec![0u64];
        let mut value = false;
        for pixel in pixels {
            if *pixel != value {
                (value, _) = (*pixel, runs.push(0));
            }
            *runs.last_mut().unwrap() += 1;
        }
        rle::encode(runs)
    }

    proptest! {
        #[test]
        fn rows_have_the_pixels_of_the_columns(width in 1u64..20, height in 1u32..20, seed in prop::collection::vec(any::<bool>(), 400)) {
            let pixels: Vec<bool> = seed.into_iter().take((width * u64::from(height)) as usize).collect();
            let Some(rows) = Rows::of(&counts(&pixels), height) else {
                prop_assert!(!pixels.contains(&true));
                return Ok(());
            };
            let Extent { left, top, width: wide, height: high, pixels: count } = rows.extent;
            let marked = |row: u64, column: u64| pixels[(column * u64::from(height) + row) as usize];
            let wanted: Vec<bool> =
                (0..high).flat_map(|row| (0..wide).map(move |column| (top + row, left + column))).map(|(row, column)| marked(row, column)).collect();
            let read: Vec<bool> =
                rows.runs().enumerate().flat_map(|(index, run)| std::iter::repeat_n(index % 2 == 1, run as usize)).collect();
            prop_assert_eq!(read, wanted);
            prop_assert_eq!(count, pixels.iter().filter(|pixel| **pixel).count() as u64);
        }
    }
}

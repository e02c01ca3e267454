//! A mask row by row. Stored masks run column by column.

use super::coco::marked;
use crate::domain::prediction::rle;

/// The pixels of a mask within the box around what is marked, row by row, a bit each.
#[derive(Debug)]
pub(super) struct Raster {
    /// Pixels before the box, of a row.
    pub(super) left: u64,
    /// Rows before the box.
    pub(super) top: u64,
    /// Pixels of the box's rows.
    pub(super) width: u64,
    /// Rows of the box.
    pub(super) height: u64,
    bits: Vec<u8>,
}

/// Run lengths. They alternate and begin with background.
struct Runs {
    lengths: Vec<u64>,
    is_marked: bool,
}

impl Runs {
    fn new() -> Self {
        Self { lengths: vec![0], is_marked: false }
    }

    fn add(&mut self, is_marked: bool, pixels: u64) {
        if is_marked != self.is_marked && pixels > 0 {
            self.is_marked = is_marked;
            self.lengths.push(0);
        }
        if let Some(last) = self.lengths.last_mut() {
            *last += pixels;
        }
    }
}

impl Raster {
    /// The pixels of a mask that was [checked](rle::check). `rows`: pixels of a column of the picture.
    pub(super) fn of(counts: &str, rows: u32) -> Self {
        let [left, top, width, height] = marked(counts, rows).0.map(|pixels| pixels as u64);
        let bytes = usize::try_from((width * height).div_ceil(8)).unwrap_or_default();
        let mut raster = Self { left, top, width, height, bits: vec![0; bytes] };
        let (rows, mut at) = (u64::from(rows.max(1)), 0u64);
        for (index, run) in rle::runs(counts).map_while(Result::ok).enumerate() {
            if index % 2 == 1 {
                (at..at + run).for_each(|pixel| raster.mark(pixel / rows - left, pixel % rows - top));
            }
            at += run;
        }
        raster
    }

    fn mark(&mut self, x: u64, y: u64) {
        let bit = y * self.width + x;
        if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| self.bits.get_mut(at)) {
            *byte |= 1 << (bit % 8);
        }
    }

    fn has(&self, x: u64, y: u64) -> bool {
        let bit = y * self.width + x;
        usize::try_from(bit / 8).ok().and_then(|at| self.bits.get(at)).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    /// Run lengths of the whole picture, which has so many pixels in each direction. They alternate and begin with background.
    pub(super) fn runs_of_picture(&self, width: u64, height: u64) -> Vec<u64> {
        let mut runs = Runs::new();
        runs.add(false, self.top * width);
        for row in 0..self.height {
            runs.add(false, self.left);
            (0..self.width).for_each(|column| runs.add(self.has(column, row), 1));
            runs.add(false, width.saturating_sub(self.left + self.width));
        }
        runs.add(false, height.saturating_sub(self.top + self.height) * width);
        runs.lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_reads_row_by_row() {
        // 4 columns of 3 pixels: the middle of column 1, all of column 2.
        let raster = Raster::of(&rle::encode([4, 1, 1, 3, 3]), 3);

        assert_eq!((raster.left, raster.top, raster.width, raster.height), (1, 0, 2, 3));
        assert_eq!(raster.runs_of_picture(4, 3), [2, 1, 2, 2, 3, 1, 1]);
    }

    #[test]
    fn a_mask_of_every_pixel_begins_with_no_background() {
        let raster = Raster::of(&rle::encode([0, 6]), 2);

        assert_eq!(raster.runs_of_picture(3, 2), [0, 6]);
    }
}

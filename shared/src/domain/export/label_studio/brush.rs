//! Label Studio's run lengths of a brush ("Brush labels", and `encode_rle` of its converter): bits that an RGBA picture of the mask is
//! packed into.
//!
//! A head of the number of values (32 bits), the bits of a value less one (5) and of four lengths less one (4 each). Then runs: a bit 1,
//! the number of the length's form (2 bits), the length less one, and the value.

use crate::domain::prediction::rows::Rows;

/// Bits of a value.
const VALUE_BITS: u32 = 8;
/// Bits of a length, in its four forms.
const LENGTH_BITS: [u32; 4] = [3, 4, 8, 16];
/// Values of a pixel: red, green, blue, and alpha.
const CHANNELS: u64 = 4;
/// Each value of a marked pixel.
const MARKED: u64 = 255;

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Of the last byte, those that are not used.
    free: u32,
}

impl Bits {
    /// Appends the lowest bits of a number, the highest of them first.
    fn push(&mut self, number: u64, mut bits: u32) {
        while bits > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = bits.min(self.free);
            (bits, self.free) = (bits - taken, self.free - taken);
            let piece = (number >> bits) & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (piece << self.free) as u8;
            }
        }
    }
}

/// The bytes of a mask in a picture of so many rows and columns.
pub(super) fn encode(mask: &Rows, [height, width]: [u32; 2]) -> Vec<u8> {
    let mut bits = head(u64::from(height) * u64::from(width) * CHANNELS);
    for (index, run) in runs_of_picture(mask, u64::from(height), u64::from(width)).into_iter().enumerate() {
        let value = if index % 2 == 1 { MARKED } else { 0 };
        push_run(&mut bits, run * CHANNELS, value);
    }
    bits.bytes
}

/// What comes before the runs of so many values.
fn head(values: u64) -> Bits {
    let mut bits = Bits::default();
    bits.push(values, 32);
    bits.push(u64::from(VALUE_BITS - 1), 5);
    LENGTH_BITS.iter().for_each(|length| bits.push(u64::from(length - 1), 4));
    bits
}

/// Run lengths of the whole picture, row by row. They alternate, and begin with background.
fn runs_of_picture(mask: &Rows, height: u64, width: u64) -> Vec<u64> {
    let extent = mask.extent;
    let (mut runs, mut column) = (vec![0], 0);
    let mut add = |is_marked: bool, pixels: u64| {
        if is_marked == (runs.len() % 2 == 1) && pixels > 0 {
            runs.push(0);
        }
        if let Some(last) = runs.last_mut() {
            *last += pixels;
        }
    };
    add(false, extent.top * width + extent.left);
    let beside = width.saturating_sub(extent.width); // between two rows of the box
    for (index, mut run) in mask.runs().enumerate() {
        while run > 0 {
            if column == extent.width {
                add(false, beside);
                column = 0;
            }
            let pixels = run.min(extent.width - column);
            add(index % 2 == 1, pixels);
            (run, column) = (run - pixels, column + pixels);
        }
    }
    let below = height.saturating_sub(extent.top + extent.height);
    add(false, width.saturating_sub(extent.left + extent.width) + below * width);
    runs
}

/// Appends values that are alike. More than the longest form holds are several runs.
fn push_run(bits: &mut Bits, mut values: u64, value: u64) {
    while values > 0 {
        let form = LENGTH_BITS.iter().position(|length| values <= 1 << length).unwrap_or(LENGTH_BITS.len() - 1);
        let length = values.min(1 << LENGTH_BITS[form]);
        bits.push(1, 1);
        bits.push(form as u64, 2);
        bits.push(length - 1, LENGTH_BITS[form]);
        bits.push(value, VALUE_BITS);
        values -= length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::prediction::rle;

    /// Rows of `width` pixels, as a stored mask.
    fn mask(pixels: &[bool], width: usize) -> Rows {
        let height = pixels.len() / width;
        let columns = (0..width).flat_map(|x| (0..height).map(move |y| pixels[y * width + x]));
        let (mut runs, mut value) = (vec![0u64], false);
        for pixel in columns {
            if pixel != value {
                (value, _) = (pixel, runs.push(0));
            }
            *runs.last_mut().unwrap() += 1;
        }
        Rows::of(&rle::encode(runs), height as u32).unwrap()
    }

    /// Made with `encode_rle` of label-studio-sdk 2.1.2, less its last byte, which is 0.
    #[test]
    fn the_bytes_are_those_of_label_studios_converter() {
        let row = mask(&[false, false, true, true, true, false], 6);
        assert_eq!(encode(&row, [1, 6]), [0, 0, 0, 24, 57, 27, 252, 224, 22, 255, 227, 0]);
    }

    fn decode(bytes: &[u8]) -> Vec<u8> {
        let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u64::from(byte >> bit & 1)));
        let mut read = |count: u32| (0..count).fold(0, |number, _| number << 1 | bits.next().unwrap());
        let (length, value_bits) = (read(32) as usize, read(5) as u32 + 1);
        let forms: Vec<u32> = (0..4).map(|_| read(4) as u32 + 1).collect();
        let mut values = Vec::new();
        while values.len() < length {
            let is_run = read(1) == 1;
            let form = forms[read(2) as usize];
            let count = read(form) + 1;
            assert!(is_run);
            let value = read(value_bits) as u8;
            values.extend((0..count).map(|_| value));
        }
        values
    }

    proptest! {
        #[test]
        fn the_picture_is_read_back(width in 1usize..9, pixels in prop::collection::vec(any::<bool>(), 9..90)) {
            let height = pixels.len() / width;
            let pixels = &pixels[..height * width];
            prop_assume!(pixels.contains(&true));
            let expected: Vec<u8> = pixels.iter().flat_map(|marked| [if *marked { 255 } else { 0 }; 4]).collect();
            prop_assert_eq!(decode(&encode(&mask(pixels, width), [height as u32, width as u32])), expected);
        }

        #[test]
        fn runs_of_any_length_are_read_back(values in 1u64..200_000) {
            let mut bits = head(values);
            push_run(&mut bits, values, MARKED);
            prop_assert_eq!(decode(&bits.bytes), vec![255; values as usize]);
        }
    }
}

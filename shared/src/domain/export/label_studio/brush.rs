//! Label Studio's run lengths of a brush ("Brush labels", and `encode_rle` of its converter): bits that an RGBA picture of the mask is
//! packed into.
//!
//! A head of the number of values (32 bits), the bits of a value less one (5) and of four lengths less one (4 each). Then runs: a bit 1,
//! the number of the length's form (2 bits), the length less one, and the value.

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

/// The bytes of a mask whose run lengths alternate, row by row, and begin with background.
pub(super) fn encode(runs: &[u64]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(runs.iter().sum::<u64>() * CHANNELS, 32);
    bits.push(u64::from(VALUE_BITS - 1), 5);
    LENGTH_BITS.iter().for_each(|length| bits.push(u64::from(length - 1), 4));
    for (index, run) in runs.iter().enumerate() {
        let value = if index % 2 == 1 { MARKED } else { 0 };
        push_run(&mut bits, run * CHANNELS, value);
    }
    bits.bytes
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

    /// Made with `encode_rle` of label-studio-sdk 2.1.2, less its last byte, which is 0.
    #[test]
    fn the_bytes_are_those_of_label_studios_converter() {
        let made = [0, 0, 0, 24, 57, 27, 252, 224, 22, 255, 227, 0];
        assert_eq!(encode(&[2, 3, 1]), made);
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
        fn runs_of_any_length_are_read_back(runs in prop::collection::vec(prop_oneof![1u64..20, 60u64..70, 16_000u64..40_000], 1..6)) {
            let expected: Vec<u8> = runs.iter().enumerate()
                .flat_map(|(index, run)| (0..run * 4).map(move |_| if index % 2 == 1 { 255 } else { 0 })).collect();
            prop_assert_eq!(decode(&encode(&runs)), expected);
        }
    }
}

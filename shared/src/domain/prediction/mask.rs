//! A mask that a model gives as a PNG picture: any pixel that is not zero is foreground (contract, D29).
//!
//! The file is not trusted. Its header is checked before memory is allocated, rows are unpacked one at a time, and of each pixel
//! one bit is kept.

use std::io::Cursor;

use png::{ColorType, Decoder, InterlaceInfo, Limits};

use crate::domain::limits;
use crate::domain::prediction::Mask;
use crate::domain::prediction::rle;
use crate::domain::prediction::size::Size;

/// What the decoder may take for rows and for chunks that say nothing about pixels.
const DECODER_BYTES: usize = 8 * 1024 * 1024;
/// Noise has more. What has an outline has less, whatever the picture.
const COUNTS_BYTES: usize = 256 * 1024;

/// Why a file is no mask of an item. No text holds anything of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPng {
    /// More than the contract lets a model send.
    #[error("Has more than {} MB.", limits::MASK_BYTES / 1024 / 1024)]
    Bytes,
    /// No PNG, or one that breaks off or contradicts itself.
    #[error("Is not a PNG picture, or a broken one.")]
    Broken,
    /// Not the item's.
    #[error("Has {0} x {1} pixels, and the item {2} x {3}.")]
    Size(u32, u32, u32, u32),
    /// The item is larger than any mask that is read.
    #[error("Has more than {} megapixels.", limits::MASK_PIXELS / 1_000_000)]
    Pixels,
    /// A palette, colours or transparency.
    #[error("Must have a single channel: shades of gray, without transparency.")]
    Channels,
    /// Nothing is marked.
    #[error("Marks no pixel.")]
    Empty,
    /// Noise, most likely.
    #[error("Has too many small parts to be stored.")]
    Intricate,
}

/// The mask that a PNG shows, of any bit depth, interlaced or not.
///
/// # Errors
/// [`BadPng`].
pub fn of_png(file: &[u8], size: Size) -> Result<Mask, BadPng> {
    if file.len() > limits::MASK_BYTES {
        return Err(BadPng::Bytes);
    }
    let bits = Bits::of_png(file, size)?;
    let counts = rle::encode(bits.runs().take(COUNTS_BYTES + 1));
    match rle::check(rle::runs(&counts), u64::from(size.width) * u64::from(size.height)) {
        _ if counts.len() > COUNTS_BYTES => Err(BadPng::Intricate),
        Ok(()) => Ok(Mask::CocoRle { size: [size.height, size.width], counts }),
        Err(_) => Err(BadPng::Empty), // these runs add up
    }
}

/// A bit for each pixel, row by row, the leftmost highest; a row begins with a byte of its own.
struct Bits {
    bytes: Vec<u8>,
    stride: usize,
    size: Size,
}

impl Bits {
    fn of_png(file: &[u8], size: Size) -> Result<Self, BadPng> {
        let broken = |_| BadPng::Broken;
        let mut decoder = Decoder::new_with_limits(Cursor::new(file), Limits { bytes: DECODER_BYTES });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let header = decoder.read_header_info().map_err(broken)?;
        let (width, height) = (header.width, header.height);
        if (Size { width, height }) != size {
            return Err(BadPng::Size(width, height, size.width, size.height));
        }
        if header.color_type != ColorType::Grayscale {
            return Err(BadPng::Channels);
        }
        if u64::from(width) * u64::from(height) > limits::MASK_PIXELS {
            return Err(BadPng::Pixels);
        }
        let depth = header.bit_depth as usize;
        let mut reader = decoder.read_info().map_err(broken)?;
        let stride = (width as usize).div_ceil(8);
        let mut bytes = vec![0; stride * height as usize];
        let (mut line, mut packed) = (0, Vec::with_capacity(stride));
        while let Some(row) = reader.next_interlaced_row().map_err(broken)? {
            pack(row.data(), depth, &mut packed);
            match row.interlace() {
                InterlaceInfo::Null(_) => {
                    bytes[line * stride..][..stride].copy_from_slice(&packed[..stride]);
                    line += 1;
                }
                InterlaceInfo::Adam7(pass) => png::expand_interlaced_row(&mut bytes, stride, &packed, pass, 1),
            }
        }
        Ok(Self { bytes, stride, size })
    }

    fn is_foreground(&self, x: usize, y: usize) -> bool {
        self.bytes[y * self.stride + x / 8] & (0x80 >> (x % 8)) != 0
    }

    /// Column by column, background first.
    fn runs(&self) -> impl Iterator<Item = u64> {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let mut pixels = (0..width).flat_map(move |x| (0..height).map(move |y| self.is_foreground(x, y))).peekable();
        let mut foreground = false;
        std::iter::from_fn(move || {
            pixels.peek()?;
            let mut run = 0;
            while pixels.next_if_eq(&foreground).is_some() {
                run += 1;
            }
            foreground = !foreground;
            Some(run)
        })
    }
}

/// Turns a row of samples of `depth` bits into a row of bits: whether each is more than 0. Bits behind the last sample
/// mean nothing.
fn pack(row: &[u8], depth: usize, packed: &mut Vec<u8>) {
    packed.clear();
    let byte = |samples: &mut dyn Iterator<Item = bool>| {
        samples.enumerate().fold(0u8, |byte, (index, marked)| byte | (u8::from(marked) << (7 - index)))
    };
    match depth {
        16 => packed.extend(row.chunks(16).map(|eight| byte(&mut eight.chunks(2).map(|two| two != [0, 0])))),
        8 => packed.extend(row.chunks(8).map(|eight| byte(&mut eight.iter().map(|one| *one != 0)))),
        // So many bytes hold eight samples.
        _ => packed.extend(row.chunks(depth).map(|eight| {
            let samples = eight.iter().flat_map(|byte| (0..8 / depth).map(move |n| byte << (n * depth) >> (8 - depth)));
            byte(&mut samples.map(|sample| sample != 0))
        })),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::ZlibEncoder;
    use png::{BitDepth, Encoder};
    use proptest::prelude::*;

    use super::*;

    /// A PNG of these samples, row by row, each as many bits as `depth` says.
    fn a_png(width: u32, height: u32, depth: BitDepth, samples: &[u16]) -> Vec<u8> {
        let bits = depth as usize;
        let pack = |row: &[u16]| -> Vec<u8> {
            let mut bytes = vec![0u8; (row.len() * bits).div_ceil(8)];
            for (index, bit) in row.iter().flat_map(|s| (0..bits).rev().map(move |n| s >> n & 1)).enumerate() {
                bytes[index / 8] |= (bit as u8) << (7 - index % 8);
            }
            bytes
        };
        let data: Vec<u8> = samples.chunks(width as usize).flat_map(pack).collect();
        encoded(width, height, ColorType::Grayscale, depth, &data)
    }

    fn encoded(width: u32, height: u32, color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![0, 0, 0, 255, 255, 255]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        file
    }

    fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    /// Row by row, what a mask marks.
    fn marked(mask: &Mask) -> Vec<bool> {
        let Mask::CocoRle { size: [height, width], counts } = mask;
        let runs = rle::runs(counts).map(Result::unwrap).enumerate();
        let columns: Vec<bool> =
            runs.flat_map(|(index, run)| std::iter::repeat_n(index % 2 == 1, run as usize)).collect();
        let (height, width) = (*height as usize, *width as usize);
        (0..height * width).map(|n| columns[n % width * height + n / width]).collect()
    }

    /// Contract D29.
    #[test]
    fn a_pixel_that_is_not_zero_is_foreground_and_runs_go_down_the_columns() {
        let file = a_png(4, 3, BitDepth::Eight, &[0, 1, 0, 0, 0, 255, 128, 0, 0, 0, 128, 0]);

        let mask = of_png(&file, size(4, 3)).unwrap();

        let counts = rle::encode([3, 2, 2, 2, 3]);
        assert_eq!(mask, Mask::CocoRle { size: [3, 4], counts });
        let full = of_png(&a_png(2, 2, BitDepth::One, &[1; 4]), size(2, 2)).unwrap();
        assert_eq!(full, Mask::CocoRle { size: [2, 2], counts: "04".into() });
    }

    /// Contract D29.
    #[test]
    fn what_is_no_mask_of_the_item_is_refused() {
        let good = a_png(4, 3, BitDepth::Eight, &[9; 12]);
        let color = |color, channels: usize| encoded(4, 3, color, BitDepth::Eight, &vec![1; 12 * channels]);
        let mut flipped = good.clone();
        flipped[50] ^= 0x10; // in the pixels: their checksum does not hold any more
        for (file, bad) in [
            (Vec::new(), BadPng::Broken),
            (b"<html>Not found</html>".to_vec(), BadPng::Broken),
            (good[..good.len() / 2].to_vec(), BadPng::Broken),
            (flipped, BadPng::Broken),
            (vec![0; limits::MASK_BYTES + 1], BadPng::Bytes),
            (a_png(3, 4, BitDepth::Eight, &[9; 12]), BadPng::Size(3, 4, 4, 3)),
            (color(ColorType::Indexed, 1), BadPng::Channels),
            (color(ColorType::GrayscaleAlpha, 2), BadPng::Channels),
            (color(ColorType::Rgb, 3), BadPng::Channels),
            (color(ColorType::Rgba, 4), BadPng::Channels),
            (a_png(4, 3, BitDepth::Eight, &[0; 12]), BadPng::Empty),
        ] {
            assert_eq!(of_png(&file, size(4, 3)).unwrap_err(), bad);
        }
    }

    #[test]
    fn a_small_file_that_claims_many_pixels_is_refused_by_its_header() {
        let mut bomb = a_png(1, 1, BitDepth::Eight, &[1])[..33].to_vec();
        bomb[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]); // 32,768 x 32,768
        let checksum = crc(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&checksum);

        assert_eq!(of_png(&bomb, size(100, 50)), Err(BadPng::Size(32_768, 32_768, 100, 50)));
        assert_eq!(of_png(&bomb, size(32_768, 32_768)), Err(BadPng::Pixels));
    }

    /// Contract D29.
    #[test]
    fn an_interlaced_picture_is_a_mask_like_any_other() {
        // The seven passes of Adam7: first column and row, and the steps to the next (PNG specification, 8.2).
        const PASSES: [(usize, usize, usize, usize); 7] =
            [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        let (width, height) = (13, 11);
        let samples: Vec<u16> = (0..width * height).map(|n| (n * 37 % 11 / 7) as u16).collect();
        let mut rows = Vec::new();
        for (left, top, right, down) in PASSES {
            for y in (top..height).step_by(down) {
                rows.push(0); // no filter
                rows.extend((left..width).step_by(right).map(|x| samples[y * width + x] as u8));
            }
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&rows).unwrap();
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let header = [0, 0, 0, width as u8, 0, 0, 0, height as u8, 8, 0, 0, 0, 1];
        for (kind, data) in [(b"IHDR", header.to_vec()), (b"IDAT", zlib.finish().unwrap()), (b"IEND", vec![])] {
            let chunk = [&kind[..], &data].concat();
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(&chunk);
            file.extend(crc(&chunk));
        }

        let (width, height) = (width as u32, height as u32);
        let plain = of_png(&a_png(width, height, BitDepth::Eight, &samples), size(width, height)).unwrap();
        assert_eq!(of_png(&file, size(width, height)), Ok(plain));
    }

    /// Of a chunk's kind and data (PNG specification, 5.5).
    fn crc(bytes: &[u8]) -> [u8; 4] {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_be_bytes()
    }

    #[test]
    fn noise_that_no_draft_holds_is_refused() {
        let samples: Vec<u16> = (0..600 * 600).map(|n: u32| (n % 2) as u16 ^ (n / 600 % 2) as u16).collect();

        assert_eq!(of_png(&a_png(600, 600, BitDepth::One, &samples), size(600, 600)), Err(BadPng::Intricate));
    }

    fn any_picture() -> impl Strategy<Value = (u32, u32, BitDepth, Vec<u16>)> {
        let depths = prop::sample::select(vec![
            BitDepth::One,
            BitDepth::Two,
            BitDepth::Four,
            BitDepth::Eight,
            BitDepth::Sixteen,
        ]);
        (1u32..40, 1u32..40, depths).prop_flat_map(|(width, height, depth)| {
            let most = ((1u32 << depth as u8) - 1) as u16;
            let sample = prop_oneof![2 => Just(0), 1 => Just(1), 1 => 1..=most];
            let samples = prop::collection::vec(sample, (width * height) as usize);
            (Just(width), Just(height), Just(depth), samples)
        })
    }

    proptest! {
        /// Contract D29.
        #[test]
        fn a_mask_marks_the_pixels_that_its_picture_marks((width, height, depth, samples) in any_picture()) {
            let expected: Vec<bool> = samples.iter().map(|sample| *sample != 0).collect();

            match of_png(&a_png(width, height, depth, &samples), size(width, height)) {
                Ok(mask) => prop_assert_eq!(marked(&mask), expected),
                Err(bad) => prop_assert!(bad == BadPng::Empty && !expected.contains(&true)),
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in any::<Vec<u8>>(), cut in 0usize..80, index in 0usize..80) {
            let _ = of_png(&bytes, size(4, 3));
            let mut file = a_png(4, 3, BitDepth::Eight, &[9; 12]);
            file.truncate(cut);
            if let Some(byte) = file.get_mut(index) {
                *byte ^= bytes.pop().unwrap_or(1);
            }
            let _ = of_png(&file, size(4, 3));
        }
    }
}

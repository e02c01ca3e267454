//! BMP, GIF, PNG and WebP: the size is among the first bytes, the orientation, if the format has one, in a chunk of its own.

use super::{Head, Stop, sized, tiff, upright};
use crate::domain::item::content::Stored;
use crate::domain::prediction::orientation::Orientation;

/// The header of 12 bytes has sides of 16 bits, every other one of 32. A negative height is of a picture that is stored from the
/// top.
pub(super) fn bmp(head: &Head) -> Result<Stored, Stop> {
    const SIZE: u64 = 18;
    if head.u32_le(14)? == 12 {
        return sized(head.u16_le(SIZE)?, head.u16_le(SIZE + 2)?, SIZE).map(upright);
    }
    let (width, height) = (i32::from_le_bytes(head.bytes(SIZE)?), i32::from_le_bytes(head.bytes(SIZE + 4)?));
    let width = u64::try_from(width).map_err(|_| Stop::malformed(SIZE, "its width is negative"))?;
    sized(width, height.unsigned_abs().into(), SIZE).map(upright)
}

/// The screen, or the first frame where that reaches beyond it, as decoders have it.
pub(super) fn gif(head: &Head) -> Result<Stored, Stop> {
    let screen = (head.u16_le(6)?, head.u16_le(8)?);
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << (u64::from(flags & 7) + 1) };
    let [flags] = head.bytes(10)?;
    let mut at = 13 + colours(flags);
    loop {
        match head.bytes(at)? {
            [b','] => {
                let (left, top) = (head.u16_le(at + 1)?, head.u16_le(at + 3)?);
                let (width, height) = (head.u16_le(at + 5)?, head.u16_le(at + 7)?);
                return sized(screen.0.max(left + width), screen.1.max(top + height), 6).map(upright);
            }
            [b';'] => return Err(Stop::malformed(at, "it ends before its first frame")),
            [b'!'] => {
                at += 2;
                loop {
                    let [length] = head.bytes(at)?;
                    at += 1 + u64::from(length);
                    if length == 0 {
                        break;
                    }
                }
            }
            _ => at += 1, // skipped, as decoders do
        }
    }
}

/// The header comes first. An `eXIf` chunk counts before the pixels, and behind them if it lies in what was read anyway.
pub(super) fn png(head: &Head) -> Result<Stored, Stop> {
    if head.bytes(8)? != *b"\0\0\0\x0DIHDR" {
        return Err(Stop::malformed(8, "its first chunk is no header"));
    }
    let size = sized(head.u32_be(16)?, head.u32_be(20)?, 16)?;
    let mut at = 33;
    let mut are_pixels_passed = false;
    let orientation = loop {
        let chunk = (|| Ok((head.u32_be(at)?, head.bytes::<4>(at + 4)?)))();
        let (length, kind) = match chunk {
            Ok(chunk) => chunk,
            // Without this part of it no decoder opens it: its size is beyond doubt all the same.
            Err(Stop::Unread(at)) if !are_pixels_passed && head.range_at(at).is_some() => return Err(Stop::Unread(at)),
            Err(_) => break Orientation::default(),
        };
        let end = at + 8 + length;
        match &kind {
            b"eXIf" => match tiff::orientation_of_chunk(head, at + 8, end) {
                Err(Stop::Unread(at)) if head.range_at(at).is_some() => return Err(Stop::Unread(at)),
                orientation => break orientation.unwrap_or_default(),
            },
            b"IDAT" => are_pixels_passed = true,
            b"IEND" => break Orientation::default(),
            _ => {}
        }
        at = end + 4;
    };
    Ok(Stored { size, orientation })
}

/// The size of the canvas. An `EXIF` chunk comes last, and its flag in the first chunk says that it comes.
pub(super) fn webp(head: &Head) -> Result<Stored, Stop> {
    const FIRST: u64 = 20;
    match &head.bytes::<4>(12)? {
        b"VP8 " => {
            if head.bytes(FIRST + 3)? != [0x9D, 0x01, 0x2A] {
                return Err(Stop::malformed(FIRST + 3, "its first frame does not begin as one of VP8 does"));
            }
            let side = |at| head.u16_le(at).map(|side| side & 0x3FFF); // the rest says how it may be scaled
            sized(side(FIRST + 6)?, side(FIRST + 8)?, FIRST + 6).map(upright)
        }
        b"VP8L" => {
            if head.bytes(FIRST)? != [0x2F] {
                return Err(Stop::malformed(FIRST, "its frame does not begin as one of lossless WebP does"));
            }
            let sides = head.u32_le(FIRST + 1)?;
            sized((sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1, FIRST + 1).map(upright)
        }
        b"VP8X" => {
            let side = |at| head.bytes(at).map(|[a, b, c]| u64::from(u32::from_le_bytes([a, b, c, 0])) + 1);
            let size = sized(side(FIRST + 4)?, side(FIRST + 7)?, FIRST + 4)?;
            let [flags] = head.bytes(FIRST)?;
            let orientation = if flags & 0x08 == 0 { Orientation::default() } else { webp_exif(head)? };
            Ok(Stored { size, orientation })
        }
        _ => Err(Stop::malformed(12, "its first chunk is of no known kind")),
    }
}

fn webp_exif(head: &Head) -> Result<Orientation, Stop> {
    let file_end = 8 + head.u32_le(4)?;
    let mut at = 30;
    while at + 8 <= file_end {
        let length = head.u32_le(at + 4)?;
        if head.bytes(at)? == *b"EXIF" {
            return tiff::orientation_of_chunk(head, at + 8, at + 8 + length);
        }
        at += 8 + length + (length & 1);
    }
    Ok(Orientation::default())
}

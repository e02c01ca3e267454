//! JPEG: segments up to the frame header, which says the size.
//!
//! As libjpeg reads them: any number of segments of any length, fill bytes and even junk before a marker. A segment is skipped and
//! not read. A chain of segments cannot be skipped at once, though, and profiles, depth maps and thermal pictures come as runs of
//! dozens of segments of one kind and length: a leap over a run lands where its later segments must be.

use super::{Head, Stop, sized, tiff};
use crate::domain::item::content::Stored;
use crate::domain::prediction::orientation::Orientation;

/// Shorter segments are not worth a leap.
const LEAPED: u64 = 8 * 1024;
/// Segments of the first leap over a run whose length is not announced.
const FIRST_LEAP: u64 = 4;

pub(super) fn read(head: &Head) -> Result<Stored, Stop> {
    // A leap may land on bytes that only resemble a segment. No marker follows there, and the walk starts again without leaps.
    match walk(head, true) {
        Err(Stop::Fault(..)) => walk(head, false),
        walked => walked,
    }
}

fn walk(head: &Head, leaps: bool) -> Result<Stored, Stop> {
    let mut exif = None;
    let mut run = Run::default();
    let mut at = 2;
    loop {
        let (marker, length_at) = next_marker(head, at, !leaps)?;
        if is_frame(marker) {
            let [_, _, _, height @ .., w1, w0] = head.bytes::<7>(length_at)?;
            let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes(height));
            let size = sized(width.into(), height.into(), length_at + 3)?;
            let orientation = exif.or_else(|| exif_behind(head, length_at)).unwrap_or_default();
            return Ok(Stored { size, orientation });
        }
        match marker {
            0x01 | 0xD0..=0xD7 => at = length_at, // alone, without a length
            0xD8 => return Err(Stop::malformed(length_at - 2, "another picture begins before its frame header")),
            0xD9 => return Err(Stop::malformed(length_at - 2, "it ends before its frame header")),
            0xDA => return Err(Stop::malformed(length_at - 2, "its pixels begin before its frame header")),
            _ => {
                let segment = Segment::read(head, marker, length_at)?;
                if exif.is_none() {
                    exif = segment.exif(head)?;
                }
                at = if leaps { run.leap(head, &segment)? } else { segment.end() };
            }
        }
    }
}

/// Of every process (also DHP, which says the size of the whole before the frames of a hierarchy), and of JPEG-LS.
const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xDE | 0xF7)
}

/// The next marker, and the byte behind it. Fill bytes (0xFF) come before any.
fn next_marker(head: &Head, mut at: u64, skips_junk: bool) -> Result<(u8, u64), Stop> {
    loop {
        let rest = head.rest(at)?;
        let junk = rest.iter().position(|byte| *byte == 0xFF).unwrap_or(rest.len());
        if junk > 0 && !skips_junk {
            return Err(Stop::malformed(at, "no marker is where a segment ends"));
        }
        at += junk as u64;
        if junk == rest.len() {
            continue;
        }
        match head.bytes(at + 1)? {
            [0xFF] => at += 1,
            [0x00] if skips_junk => at += 2, // an 0xFF of pixels
            [0x00] => return Err(Stop::malformed(at, "no marker is where a segment ends")),
            [marker] => return Ok((marker, at + 2)),
        }
    }
}

/// The orientation of an EXIF segment between the frame header and the pixels, if it lies in what was read anyway.
fn exif_behind(head: &Head, frame: u64) -> Option<Orientation> {
    let mut at = frame + head.u16_be(frame).ok()?;
    loop {
        let (marker, length_at) = next_marker(head, at, false).ok()?;
        if matches!(marker, 0x01 | 0xD0..=0xDA) {
            return None;
        }
        let segment = Segment::read(head, marker, length_at).ok()?;
        if let Some(orientation) = segment.exif(head).ok()? {
            return Some(orientation);
        }
        at = segment.end();
    }
}

struct Segment {
    marker: u8,
    /// Where its length is, which counts itself.
    at: u64,
    length: u64,
}

impl Segment {
    fn read(head: &Head, marker: u8, at: u64) -> Result<Self, Stop> {
        match head.u16_be(at)? {
            0 | 1 => Err(Stop::malformed(at, "a segment is shorter than its own length")),
            length => Ok(Self { marker, at, length }),
        }
    }

    const fn end(&self) -> u64 {
        self.at + self.length
    }

    /// The orientation that it says, if it is an EXIF segment.
    fn exif(&self, head: &Head) -> Result<Option<Orientation>, Stop> {
        if self.marker != 0xE1 || self.length < 8 || head.bytes(self.at + 2)? != *b"Exif\0\0" {
            return Ok(None);
        }
        tiff::orientation(head, self.at + 8, self.end()).map(Some)
    }

    /// How many segments of this kind and length it says will follow.
    fn announced(&self, head: &Head) -> Result<Option<u64>, Stop> {
        const XMP: u64 = 2 + 35 + 32;
        let begins = |word: &[u8]| head.begins(self.at + 2, word);
        Ok(match self.marker {
            // A profile: the number of each and of all; the last one is shorter.
            0xE2 if begins(b"ICC_PROFILE\0")? && self.length > 16 => {
                let [number, all] = head.bytes(self.at + 14)?;
                Some(u64::from(all.saturating_sub(number).saturating_sub(1)))
            }
            // Extended XMP: the length of all, and the offset of each.
            0xE1 if begins(b"http://ns.adobe.com/xmp/extension/\0")? && self.length > XMP + 8 => {
                let (all, offset) = (head.u32_be(self.at + XMP)?, head.u32_be(self.at + XMP + 4)?);
                let each = self.length - XMP - 8;
                Some(all.saturating_sub(offset).saturating_sub(each) / each)
            }
            _ => None,
        })
    }
}

/// Segments of one kind and length behind each other.
#[derive(Default)]
struct Run {
    /// Marker, length and first bytes of each.
    kind: Option<[u8; 8]>,
    /// The next leap, in segments.
    step: u64,
    /// A leap was too far: the next ones are shorter.
    falls: bool,
}

impl Run {
    /// The position to read on from: the next segment, or a later one of its run.
    ///
    /// An announced run is leaped over at once. Any other run begins with its second segment: each leap is four times the one before
    /// until one is too far, and half of it from then on. A leap counts if it lands on a segment of the run's kind.
    fn leap(&mut self, head: &Head, segment: &Segment) -> Result<u64, Stop> {
        if segment.length < LEAPED {
            *self = Self::default();
            return Ok(segment.end());
        }
        let kind = head.bytes::<8>(segment.at - 2)?;
        let lands = |step: u64| {
            let target = segment.at - 2 + step * (segment.length + 2);
            match head.bytes::<8>(target) {
                Ok(there) => Ok((there == kind).then_some(target)),
                Err(Stop::Ended(_)) => Ok(None),
                Err(stop) => Err(stop),
            }
        };
        if self.kind != Some(kind) {
            *self = Self { kind: Some(kind), step: FIRST_LEAP, falls: false };
            if let Some(announced) = segment.announced(head)?.filter(|announced| *announced > 1)
                && let Some(target) = lands(announced)?
            {
                self.step = 0;
                return Ok(target);
            }
            return Ok(segment.end());
        }
        while self.step > 1 {
            let target = lands(self.step)?;
            self.falls |= target.is_none();
            self.step = if self.falls { self.step / 2 } else { self.step * 4 };
            if let Some(target) = target {
                return Ok(target);
            }
        }
        Ok(segment.end())
    }
}

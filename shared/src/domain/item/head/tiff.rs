//! TIFF and BigTIFF: the first directory says the size. An EXIF block is a TIFF too, and says the orientation.
//!
//! The orientation of a TIFF itself is no matter of EXIF: libtiff's readers, Pillow and OpenCV among them, apply it whatever they are
//! asked. So its size is that of the picture upright, and nothing is left to turn.

use super::{FILE_BYTES, Head, Stop, sized, upright};
use crate::domain::item::content::Stored;
use crate::domain::prediction::orientation::Orientation;

/// What the first directory is of.
pub(super) enum Main {
    Picture(Stored),
    /// By the name of its format.
    CameraRaw(&'static str),
}

/// How pixels of a sensor are stored: by makers, and by none else.
const RAW_COMPRESSIONS: [u64; 4] = [32_767, 32_770, 34_713, 65_535]; // Sony, Samsung, Nikon, Pentax
/// Colour filter array, and linear raw (DNG).
const RAW_PHOTOMETRICS: [u64; 2] = [32_803, 34_892];
const SOME_RAW: &str = "NEF, ARW or another kind of TIFF";

/// Tags of the first directory that matter.
#[derive(Default)]
struct Directory {
    width: Option<u64>,
    height: Option<u64>,
    orientation: Orientation,
    /// `NewSubfileType`: a smaller copy of another picture of the file.
    is_thumbnail: bool,
    has_sub_directories: bool,
    raw: Option<&'static str>,
    /// Where width and height are.
    size_at: u64,
}

pub(super) fn read(head: &Head) -> Result<Main, Stop> {
    let part = Part { head, base: 0, end: FILE_BYTES };
    let (layout, first) = part.header()?;
    let mut found = Directory { size_at: first, ..Directory::default() };
    let behind = part.entries(layout, first, |entry| found.take(&part, layout, entry))?;
    if let Some(name) = found.raw {
        return Ok(Main::CameraRaw(name));
    }
    if found.is_thumbnail && found.has_sub_directories {
        return Ok(Main::CameraRaw(SOME_RAW));
    }
    if found.is_thumbnail && part.number(layout, behind, layout.offset_bytes())? != 0 {
        let what = "its first directory is a thumbnail of another, and decoders do not agree on which to show";
        return Err(Stop::malformed(first, what));
    }
    let (Some(width), Some(height)) = (found.width, found.height) else {
        return Err(Stop::malformed(first, "its first directory says no width and height"));
    };
    let stored = sized(width, height, found.size_at)?;
    Ok(Main::Picture(upright(found.orientation.upright(stored))))
}

/// The orientation that an EXIF block in a file says. One that cannot be read says none, as decoders have it.
pub(super) fn orientation(head: &Head, base: u64, end: u64) -> Result<Orientation, Stop> {
    let part = Part { head, base, end };
    let mut orientation = None;
    let mut search = || {
        let (layout, first) = part.header()?;
        part.entries(layout, first, |entry| {
            if entry.tag == 0x0112 && orientation.is_none() {
                orientation = part.integer(layout, entry)?.and_then(of_number);
            }
            Ok(())
        })
    };
    match search() {
        Ok(_) | Err(Stop::Fault(..)) => Ok(orientation.unwrap_or_default()),
        Err(stop) => Err(stop),
    }
}

/// The orientation of a block in a chunk of its own, which some writers begin as in a JPEG.
pub(super) fn orientation_of_chunk(head: &Head, at: u64, end: u64) -> Result<Orientation, Stop> {
    let has_prefix = end - at >= 6 && head.bytes(at)? == *b"Exif\0\0";
    orientation(head, if has_prefix { at + 6 } else { at }, end)
}

fn of_number(number: u64) -> Option<Orientation> {
    u16::try_from(number).ok().and_then(Orientation::from_exif)
}

impl Directory {
    fn take(&mut self, part: &Part<'_>, layout: Layout, entry: &Entry) -> Result<(), Stop> {
        match entry.tag {
            0x00FE => self.is_thumbnail = part.integer(layout, entry)?.is_some_and(|flags| flags & 1 == 1),
            0x0100 => self.side(part, layout, entry, |directory| &mut directory.width)?,
            0x0101 => self.side(part, layout, entry, |directory| &mut directory.height)?,
            0x0103 => self.raw_if(&RAW_COMPRESSIONS, part.integer(layout, entry)?),
            0x0106 => self.raw_if(&RAW_PHOTOMETRICS, part.integer(layout, entry)?),
            0x0112 => {
                self.orientation = part.integer(layout, entry)?.and_then(of_number).unwrap_or_default();
            }
            0x014A => self.has_sub_directories = true,
            0xC612 => self.raw = Some("DNG"),
            _ => {}
        }
        Ok(())
    }

    fn raw_if(&mut self, raws: &[u64], number: Option<u64>) {
        if number.is_some_and(|number| raws.contains(&number)) {
            self.raw = self.raw.or(Some(SOME_RAW));
        }
    }

    fn side(
        &mut self,
        part: &Part<'_>,
        layout: Layout,
        entry: &Entry,
        side: impl Fn(&mut Self) -> &mut Option<u64>,
    ) -> Result<(), Stop> {
        let pixels = part.integer(layout, entry)?;
        let pixels = pixels.ok_or(Stop::malformed(entry.at, "its width or height is no whole number"))?;
        if side(self).replace(pixels).is_some_and(|before| before != pixels) {
            return Err(Stop::malformed(entry.at, "it says two widths or two heights"));
        }
        self.size_at = entry.at;
        Ok(())
    }
}

/// Byte order, and width of offsets.
#[derive(Clone, Copy)]
struct Layout {
    is_big_endian: bool,
    is_bigtiff: bool,
}

impl Layout {
    const fn offset_bytes(self) -> u64 {
        if self.is_bigtiff { 8 } else { 4 }
    }
}

struct Entry {
    /// In the part.
    at: u64,
    tag: u64,
    kind: u64,
    count: u64,
}

/// The part of a file that is a TIFF: all of it, or an EXIF block. Offsets count from its first byte.
struct Part<'a> {
    head: &'a Head,
    base: u64,
    end: u64,
}

impl Part<'_> {
    fn bytes<const N: usize>(&self, at: u64) -> Result<[u8; N], Stop> {
        let begin = self.base.saturating_add(at);
        if begin.saturating_add(N as u64) > self.end {
            return Err(Stop::malformed(begin, "an offset points out of it"));
        }
        self.head.bytes(begin)
    }

    /// An unsigned number of 1, 2, 4 or 8 bytes.
    fn number(&self, layout: Layout, at: u64, length: u64) -> Result<u64, Stop> {
        fn of<const N: usize>(layout: Layout, mut bytes: [u8; N]) -> u64 {
            if !layout.is_big_endian {
                bytes.reverse();
            }
            bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
        }
        Ok(match length {
            1 => of::<1>(layout, self.bytes(at)?),
            2 => of::<2>(layout, self.bytes(at)?),
            4 => of::<4>(layout, self.bytes(at)?),
            _ => of::<8>(layout, self.bytes(at)?),
        })
    }

    /// How the part is laid out, and where its first directory is.
    fn header(&self) -> Result<(Layout, u64), Stop> {
        let layout = match self.bytes(0)? {
            [b'I', b'I', 42, 0] => Layout { is_big_endian: false, is_bigtiff: false },
            [b'M', b'M', 0, 42] => Layout { is_big_endian: true, is_bigtiff: false },
            [b'I', b'I', 43, 0] => Layout { is_big_endian: false, is_bigtiff: true },
            [b'M', b'M', 0, 43] => Layout { is_big_endian: true, is_bigtiff: true },
            _ => return Err(Stop::malformed(self.base, "it is no TIFF")),
        };
        let first = if layout.is_bigtiff {
            if (self.number(layout, 4, 2)?, self.number(layout, 6, 2)?) != (8, 0) {
                return Err(Stop::malformed(self.base + 4, "its offsets have not 8 bytes, as BigTIFF's have"));
            }
            self.number(layout, 8, 8)?
        } else {
            self.number(layout, 4, 4)?
        };
        if first == 0 {
            return Err(Stop::malformed(self.base + 4, "it has no directory"));
        }
        Ok((layout, first))
    }

    /// Visits the entries of a directory. Returns where the offset of the next directory is.
    fn entries(
        &self,
        layout: Layout,
        directory: u64,
        mut visit: impl FnMut(&Entry) -> Result<(), Stop>,
    ) -> Result<u64, Stop> {
        let (count_bytes, entry_bytes) = if layout.is_bigtiff { (8, 20) } else { (2, 12) };
        let count = self.number(layout, directory, count_bytes)?;
        let mut at = directory.saturating_add(count_bytes);
        // Ends: an entry is in what was read, which is bounded.
        for _ in 0..count {
            let entry = Entry {
                at,
                tag: self.number(layout, at, 2)?,
                kind: self.number(layout, at.saturating_add(2), 2)?,
                count: self.number(layout, at.saturating_add(4), layout.offset_bytes())?,
            };
            visit(&entry)?;
            at = at.saturating_add(entry_bytes);
        }
        Ok(at)
    }

    /// The value of an entry, if it is one whole number that is not negative, of whatever type.
    fn integer(&self, layout: Layout, entry: &Entry) -> Result<Option<u64>, Stop> {
        let (length, is_signed) = match entry.kind {
            1 => (1, false),
            6 => (1, true),
            3 => (2, false),
            8 => (2, true),
            4 | 13 => (4, false),
            9 => (4, true),
            16 | 18 => (8, false),
            17 => (8, true),
            _ => return Ok(None),
        };
        if entry.count != 1 {
            return Ok(None);
        }
        let mut value_at = entry.at.saturating_add(4 + layout.offset_bytes());
        if length > layout.offset_bytes() {
            value_at = self.number(layout, value_at, layout.offset_bytes())?;
        }
        let number = self.number(layout, value_at, length)?;
        let is_negative = is_signed && number >> (8 * length - 1) == 1;
        Ok((!is_negative).then_some(number))
    }
}

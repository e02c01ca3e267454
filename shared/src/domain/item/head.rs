//! Reads a file's type and size from its head, range by range: the format says where the next range begins.
//!
//! Nothing here does I/O. A [`Head`] names the range that it needs next, and the caller adds it. After each range the head is parsed
//! again from its first byte. A parser is a plain function over the bytes that were read, and stops at the first other byte.
//!
//! Bounds: at most [`RANGES`] ranges and [`BYTES`] bytes of a file are read. They stay in memory until the file is recognized.
//!
//! Formats are known by magic. A parser answers as decoders do (libjpeg, libpng, libtiff, Pillow, OpenCV); where these differ, or
//! the head contradicts itself, it finds no size: a wrong size is worse than none.

mod clouds;
mod jpeg;
mod magic;
mod simple;
mod tiff;

use crate::domain::item::content::{Content, HeadFault, PictureFormat, PointCloudFormat, SizeUnknown, Stored};
use crate::domain::limits;
use crate::domain::prediction::size::Size;
use magic::Magic;

/// Ranges of a file that are read at most.
pub const RANGES: usize = 16;
/// Bytes of a file that are read at most.
pub const BYTES: u64 = 512 * 1024;
/// Bytes of the first range. They hold the size of an ordinary picture, also behind a thumbnail in its EXIF segment.
const FIRST: u64 = 64 * 1024;
/// Bytes of a later range: a few numbers are read behind each part that is skipped.
const NEXT: u64 = 4 * 1024;
/// No file is longer: a larger offset is malformed.
const FILE_BYTES: u64 = 1 << 46;

/// A file, as far as it was read.
#[derive(Debug)]
pub struct Head {
    is_named_bin: bool,
    length: Option<u64>,
    ranges: Vec<Range>,
    /// The file has no byte from here on.
    end: Option<u64>,
}

#[derive(Debug)]
struct Range {
    offset: u64,
    bytes: Vec<u8>,
}

/// The result of parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The file holds this.
    Content(Content),
    /// Not enough yet: read this range.
    Needs {
        /// Its first byte.
        offset: u64,
        /// Its bytes, at most; fewer are the end of the file.
        length: u64,
    },
}

/// What ends a parser.
enum Stop {
    /// This byte was not read yet.
    Unread(u64),
    /// This byte is behind the end of the file.
    Ended(u64),
    /// The head is at fault, at this byte.
    Fault(u64, HeadFault),
}

impl Stop {
    const fn malformed(at: u64, what: &'static str) -> Self {
        Self::Fault(at, HeadFault::Malformed(what))
    }
}

impl Head {
    /// The head of a file of this name, and of this length if it is known. Both count only for formats without a magic.
    #[must_use]
    pub fn of(name: &str, length: Option<u64>) -> Self {
        let is_named_bin = name.to_ascii_lowercase().ends_with(".bin");
        Self { is_named_bin, length, ranges: Vec::new(), end: None }
    }

    /// Adds the range that was asked for. A shorter one ends with the file.
    pub fn add(&mut self, offset: u64, length: u64, mut bytes: Vec<u8>) {
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        bytes.shrink_to_fit();
        let end = offset.saturating_add(bytes.len() as u64);
        if (bytes.len() as u64) < length {
            self.end = Some(self.end.map_or(end, |known| known.min(end)));
        }
        self.ranges.push(Range { offset, bytes });
    }

    /// Parses what was read.
    #[must_use]
    pub fn parse(&self) -> Parsed {
        let Some(first) = self.ranges.first() else { return Parsed::Needs { offset: 0, length: FIRST } };
        match magic::of(&first.bytes) {
            Magic::Picture(format) => self.picture(format),
            Magic::Other(content) => Parsed::Content(content),
            Magic::None => self.cloud(&first.bytes),
        }
    }

    fn picture(&self, format: PictureFormat) -> Parsed {
        let stored = match format {
            PictureFormat::Bmp => simple::bmp(self),
            PictureFormat::Gif => simple::gif(self),
            PictureFormat::Jpeg => jpeg::read(self),
            PictureFormat::Png => simple::png(self),
            PictureFormat::Webp => simple::webp(self),
            PictureFormat::Tiff => match tiff::read(self) {
                Ok(tiff::Main::Picture(stored)) => Ok(stored),
                Ok(tiff::Main::CameraRaw(name)) => return Parsed::Content(Content::CameraRaw(name)),
                Err(stop) => Err(stop),
            },
        };
        let unknown = |at, fault| Err(SizeUnknown { format, at, fault });
        let head = match stored {
            Ok(stored) => Ok(stored),
            Err(Stop::Unread(at)) => match self.range_at(at) {
                Some(needs) => return needs,
                None => unknown(at, HeadFault::TooFar),
            },
            Err(Stop::Ended(at)) => unknown(at, HeadFault::Truncated),
            Err(Stop::Fault(at, fault)) => unknown(at, fault),
        };
        Parsed::Content(Content::Picture { format, head })
    }

    /// A file without a magic may be a point cloud: its head is text, or floats.
    fn cloud(&self, first: &[u8]) -> Parsed {
        let is_pcd = match clouds::is_pcd(self) {
            Err(Stop::Unread(at)) => match self.range_at(at) {
                Some(needs) => return needs,
                None => false,
            },
            Ok(is_pcd) => is_pcd,
            Err(Stop::Ended(_) | Stop::Fault(..)) => false,
        };
        Parsed::Content(if is_pcd {
            Content::PointCloud(PointCloudFormat::Pcd)
        } else if self.is_named_bin && clouds::is_bin(first, self.end.or(self.length)) {
            Content::PointCloud(PointCloudFormat::Bin)
        } else {
            Content::Unknown
        })
    }

    /// The range from this byte on, if the bounds leave one. A range that continues another is twice as long.
    fn range_at(&self, offset: u64) -> Option<Parsed> {
        let read: u64 = self.ranges.iter().map(|range| range.bytes.len() as u64).sum();
        let room = BYTES.saturating_sub(read);
        let before = self.ranges.iter().find(|range| range.offset + range.bytes.len() as u64 == offset);
        let length = match before {
            None => NEXT,
            Some(first) if first.offset == 0 => 2 * NEXT,
            Some(range) => 2 * range.bytes.len() as u64,
        };
        let length = length.min(FIRST).min(room);
        (self.ranges.len() < RANGES && length > 0).then_some(Parsed::Needs { offset, length })
    }

    /// The bytes from here on that were read without a gap, at least one.
    fn rest(&self, at: u64) -> Result<&[u8], Stop> {
        let rest = self.ranges.iter().find_map(|range| {
            let inside = usize::try_from(at.checked_sub(range.offset)?).ok()?;
            range.bytes.get(inside..).filter(|rest| !rest.is_empty())
        });
        let is_over = at >= self.end.unwrap_or(FILE_BYTES).min(FILE_BYTES);
        rest.ok_or(if is_over { Stop::Ended(at) } else { Stop::Unread(at) })
    }

    fn bytes<const N: usize>(&self, at: u64) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        let mut filled = 0;
        while filled < N {
            let rest = self.rest(at.saturating_add(filled as u64))?;
            let count = rest.len().min(N - filled);
            bytes[filled..filled + count].copy_from_slice(&rest[..count]);
            filled += count;
        }
        Ok(bytes)
    }

    /// Whether these bytes are here, letters in any case.
    fn begins(&self, at: u64, wanted: &[u8]) -> Result<bool, Stop> {
        for (at, byte) in (at..).zip(wanted) {
            match self.bytes(at) {
                Ok([there]) if there.eq_ignore_ascii_case(byte) => {}
                Ok(_) | Err(Stop::Ended(_)) => return Ok(false),
                Err(stop) => return Err(stop),
            }
        }
        Ok(true)
    }

    fn u16_be(&self, at: u64) -> Result<u64, Stop> {
        self.bytes(at).map(u16::from_be_bytes).map(u64::from)
    }

    fn u32_be(&self, at: u64) -> Result<u64, Stop> {
        self.bytes(at).map(u32::from_be_bytes).map(u64::from)
    }

    fn u16_le(&self, at: u64) -> Result<u64, Stop> {
        self.bytes(at).map(u16::from_le_bytes).map(u64::from)
    }

    fn u32_le(&self, at: u64) -> Result<u64, Stop> {
        self.bytes(at).map(u32::from_le_bytes).map(u64::from)
    }
}

/// A size that an item may have. `at`: where the file says it.
fn sized(width: u64, height: u64, at: u64) -> Result<Size, Stop> {
    let side = |pixels| u32::try_from(pixels).ok().filter(|side| (1..=limits::PIXELS_PER_SIDE).contains(side));
    let size = side(width).zip(side(height)).map(|(width, height)| Size { width, height });
    size.ok_or(Stop::Fault(at, HeadFault::OutOfBounds(width, height)))
}

/// A picture in a format without an orientation.
fn upright(size: Size) -> Stored {
    Stored { size, orientation: Default::default() }
}

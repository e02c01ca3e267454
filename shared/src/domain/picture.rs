//! Width and height from a picture's head: BMP, GIF, JPEG, PNG, TIFF and WebP, as they are stored, before any rotation that
//! a camera has noted (EXIF).
//!
//! A header need not be at the beginning: a JPEG may carry a preview first, a TIFF has its directory anywhere. So a file is
//! read as pieces, each where the parser has asked for it, and never more than a few of them.

use std::io::{BufRead, Error, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};

use super::content::PictureFormat;
use super::item::Size;
use super::limits;

/// Bytes of a piece. Most headers end within one.
pub const PIECE_BYTES: u64 = 64 * 1024;
/// Pieces of a file that are read: half a megabyte.
const PIECES: usize = 8;

/// What is known of a file.
#[derive(Debug, Default)]
pub struct Head {
    /// Where each piece begins, and its bytes.
    pieces: Vec<(u64, Vec<u8>)>,
    /// The file's length, once a piece has ended short.
    end: Option<u64>,
}

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// This.
    Size(Size),
    /// Nothing yet: read a piece from this offset on.
    Wants(u64),
    /// It is no picture whose size can be read, or says it too far behind.
    Unknown,
}

impl Head {
    /// Adds the piece that was asked for. One that is shorter than [`PIECE_BYTES`] is the end of the file.
    pub fn add(&mut self, offset: u64, mut piece: Vec<u8>) {
        piece.truncate(PIECE_BYTES as usize);
        let end = offset.saturating_add(piece.len() as u64);
        if (piece.len() as u64) < PIECE_BYTES {
            self.end = Some(self.end.map_or(end, |known| known.min(end)));
        }
        self.pieces.push((offset, piece));
    }

    /// Whether the file's first bytes are those of a point cloud: LAS (also as LAZ), or PCD, whose header is text.
    #[must_use]
    pub fn is_point_cloud(&self) -> bool {
        let Some((_, first)) = self.pieces.iter().find(|(offset, _)| *offset == 0) else { return false };
        let starts = |word: &[u8]| first.starts_with(word);
        starts(b"LASF")
            || starts(b"# .PCD v")
            || (starts(b"VERSION ") && first.windows(8).take(64).any(|w| w == b"\nFIELDS "))
    }

    /// By the first bytes.
    #[must_use]
    pub fn format(&self) -> Option<PictureFormat> {
        let (_, first) = self.pieces.iter().find(|(offset, _)| *offset == 0)?;
        let magics: [(&[u8], PictureFormat); 7] = [
            (b"\xFF\xD8\xFF", PictureFormat::Jpeg),
            (b"\x89PNG\r\n\x1a\n", PictureFormat::Png),
            (b"GIF8", PictureFormat::Gif),
            (b"BM", PictureFormat::Bmp),
            (b"II*\0", PictureFormat::Tiff),
            (b"MM\0*", PictureFormat::Tiff),
            (b"RIFF", PictureFormat::Webp),
        ];
        magics.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, format)| *format)
    }

    /// Reads what is there.
    #[must_use]
    pub fn look(&self) -> Look {
        let mut reading = Reading { head: self, at: 0, wants: None };
        match (imagesize::reader_size(&mut reading), reading.wants) {
            (Ok(size), _) => side(size.width)
                .zip(side(size.height))
                .map_or(Look::Unknown, |(width, height)| Look::Size(Size { width, height })),
            (Err(_), Some(offset)) if self.pieces.len() < PIECES => Look::Wants(offset),
            (Err(_), _) => Look::Unknown,
        }
    }
}

fn side(pixels: usize) -> Option<u32> {
    u32::try_from(pixels).ok().filter(|side| (1..=limits::PIXELS_PER_SIDE).contains(side))
}

/// The pieces as one file. A read between them fails, and leaves word where.
struct Reading<'a> {
    head: &'a Head,
    at: u64,
    wants: Option<u64>,
}

impl BufRead for Reading<'_> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        let rest = self.head.pieces.iter().find_map(|(offset, piece)| {
            let inside = usize::try_from(self.at.checked_sub(*offset)?).ok()?;
            piece.get(inside..).filter(|rest| !rest.is_empty())
        });
        match rest {
            Some(rest) => Ok(rest),
            None if self.head.end.is_some_and(|end| self.at >= end) => Ok(&[]),
            None => {
                self.wants = Some(self.at);
                Err(ErrorKind::WouldBlock.into())
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.at += count as u64;
    }
}

impl Read for Reading<'_> {
    /// Fills `out` also across the border of two pieces: the parser takes a short read for the end.
    fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
        let mut filled = 0;
        while filled < out.len() {
            let count = match self.fill_buf() {
                Ok(rest) => {
                    let count = rest.len().min(out.len() - filled);
                    out[filled..filled + count].copy_from_slice(&rest[..count]);
                    count
                }
                Err(error) if filled == 0 => return Err(error),
                Err(_) => break,
            };
            if count == 0 {
                break;
            }
            self.consume(count);
            filled += count;
        }
        Ok(filled)
    }
}

impl Seek for Reading<'_> {
    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(_) => None, // nobody has told us the end
        };
        // No file is that long; and what is added to an offset later must not overflow.
        let target = target.filter(|target| *target < u64::from(u32::MAX) * 1_024);
        self.at = target.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a file as [`Head`] asks for it. Answers also how many pieces that took.
    fn read(file: &[u8]) -> (Option<(u32, u32)>, usize) {
        let mut head = Head::default();
        for pieces in 0.. {
            match head.look() {
                Look::Size(size) => return (Some((size.width, size.height)), pieces),
                Look::Unknown => return (None, pieces),
                Look::Wants(offset) => {
                    let begin = usize::try_from(offset).unwrap().min(file.len());
                    let end = (begin + PIECE_BYTES as usize).min(file.len());
                    head.add(offset, file[begin..end].to_vec());
                }
            }
        }
        unreachable!()
    }

    /// A JPEG whose frame header comes after `segments` application segments of the largest size.
    fn a_jpeg(segments: usize) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        for _ in 0..segments {
            file.extend([0xFF, 0xE1, 0xFF, 0xFF]);
            file.extend(vec![7; 0xFFFF - 2]);
        }
        file.extend([0xFF, 0xC0, 0x00, 0x11, 8, 0x01, 0xE0, 0x02, 0x80, 3]);
        file.extend([0; 100_000]);
        file
    }

    fn a_png(width: u32, height: u32) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        file.extend(width.to_be_bytes());
        file.extend(height.to_be_bytes());
        file
    }

    /// A little-endian TIFF with its directory at `offset`.
    fn a_tiff(offset: u32) -> Vec<u8> {
        let mut file = b"II\x2a\0".to_vec();
        file.extend(offset.to_le_bytes());
        file.resize(offset as usize, 0);
        file.extend(2u16.to_le_bytes());
        for (tag, value) in [(0x100u16, 640u32), (0x101, 480)] {
            file.extend(tag.to_le_bytes());
            file.extend(4u16.to_le_bytes());
            file.extend(1u32.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        file
    }

    #[test]
    fn one_piece_shows_the_size_of_an_ordinary_picture() {
        assert_eq!(read(&a_png(640, 480)), (Some((640, 480)), 1));
        assert_eq!(read(&a_jpeg(0)), (Some((640, 480)), 1));
    }

    #[test]
    fn a_header_further_behind_is_found_where_it_is() {
        assert_eq!(read(&a_jpeg(3)).0, Some((640, 480)));
        // The end of a file of 40 MB: two pieces of it are read.
        assert_eq!(read(&a_tiff(40_000_000)), (Some((640, 480)), 2));
        // Across the border of two pieces.
        for offset in PIECE_BYTES as u32 - 30..PIECE_BYTES as u32 + 2 {
            assert_eq!(read(&a_tiff(offset)).0, Some((640, 480)), "{offset}");
        }
    }

    #[test]
    fn a_file_is_never_read_beyond_half_a_megabyte() {
        assert_eq!(read(&a_jpeg(100)), (None, PIECES));
    }

    #[test]
    fn what_is_no_picture_has_no_size() {
        for file in [&b""[..], b"hello", b"\x89PNG", b"%PDF-1.7 and more of it", &[0; 200_000]] {
            assert_eq!(read(file).0, None, "{:?}", &file[..file.len().min(20)]);
        }
    }

    #[test]
    fn point_clouds_are_known_by_their_first_bytes() {
        let is = |file: &[u8]| {
            let mut head = Head::default();
            head.add(0, file.to_vec());
            head.is_point_cloud()
        };
        for cloud in [&b"LASF\0\0"[..], b"# .PCD v0.7 - Point Cloud Data\nVERSION 0.7", b"VERSION .7\nFIELDS x y z\n"] {
            assert!(is(cloud));
        }
        for other in [&b""[..], b"LAS", b"VERSION 2 of my notes", b"# PCD", &a_png(1, 1)] {
            assert!(!is(other));
        }
        assert!(!Head::default().is_point_cloud());
    }

    #[test]
    fn a_size_that_no_item_may_have_is_none() {
        assert_eq!(read(&a_png(0, 10)).0, None);
        assert_eq!(read(&a_png(limits::PIXELS_PER_SIDE + 1, 10)).0, None);
    }

    proptest! {
        #[test]
        fn no_file_breaks_the_reader(
            magic in prop::sample::select(vec![
                &b"\x89PNG"[..], b"\xFF\xD8\xFF", b"GIF89a", b"BM", b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0\x08\0\0\0", b"MM\0\x2b\0\x08\0\0", b"RIFF\0\0\0\0WEBPVP8 ", b"RIFF\0\0\0\0WEBPVP8L", b"RIFF\0\0\0\0WEBPVP8X", b"",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let file = [magic, &rest].concat();
            prop_assert!(read(&file).1 <= PIECES);
        }

        #[test]
        fn no_change_of_a_good_file_breaks_the_reader(place in 0usize..200, byte: u8, length in 0usize..250) {
            for mut file in [a_jpeg(1), a_png(3, 4), a_tiff(60)] {
                file.truncate(length);
                if let Some(old) = file.get_mut(place) {
                    *old = byte;
                }
                prop_assert!(read(&file).1 <= PIECES);
            }
        }
    }
}

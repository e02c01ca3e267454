//! Heads of files: good ones of all formats are read as they should be, cut ones never wrongly, and made-up ones without panic and
//! within bounds.
//!
//! The made-up ones are good files whose bytes are changed, cut, repeated and mixed. A short run is part of the tests;
//! `make fuzz-heads MINUTES=10` is a long one. What once failed is tried first, from `shared/tests/heads.seeds`. Files of
//! independent writers are in `tests/heads`.

#![expect(clippy::unwrap_used, reason = "all of it is a test")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use shared::domain::item::content::{Content, HeadFault, PictureFormat, PointCloudFormat, Stored};
use shared::domain::item::head::{BYTES, Head, Parsed, RANGES};
use shared::domain::prediction::orientation::Orientation;
use shared::domain::prediction::size::Size;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Of a test run without `MINUTES`.
const CASES: u32 = 4_000;
/// Memory that the reader of a file may take.
const MOST_MEMORY: usize = 1024 * 1024;
const FIRST: usize = 64 * 1024;

/// Memory is counted of the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a file holds, and the ranges and bytes that were read.
fn read_named(name: &str, file: &[u8]) -> (Content, usize, u64) {
    let mut head = Head::of(name, Some(file.len() as u64));
    let (mut ranges, mut bytes) = (0, 0);
    loop {
        match head.parse() {
            Parsed::Content(content) => return (content, ranges, bytes),
            Parsed::Needs { offset, length } => {
                let begin = usize::try_from(offset).unwrap().min(file.len());
                let end = (begin + usize::try_from(length).unwrap()).min(file.len());
                (ranges, bytes) = (ranges + 1, bytes + (end - begin) as u64);
                head.add(offset, length, file[begin..end].to_vec());
            }
        }
    }
}

fn read(file: &[u8]) -> (Content, usize) {
    let (content, ranges, _) = read_named("a.bin", file);
    (content, ranges)
}

fn stored(content: &Content) -> Option<Stored> {
    match content {
        Content::Picture { head, .. } => head.as_ref().ok().copied(),
        _ => None,
    }
}

fn size(file: &[u8]) -> Option<(u32, u32)> {
    stored(&read(file).0).map(|stored| (stored.size.width, stored.size.height))
}

fn picture(format: PictureFormat, orientation: u16) -> Content {
    let orientation = Orientation::from_exif(orientation).unwrap();
    Content::Picture { format, head: Ok(Stored { size: Size { width: 640, height: 480 }, orientation }) }
}

/// A TIFF of whole numbers.
#[derive(Clone)]
struct Tiff {
    is_big_endian: bool,
    is_bigtiff: bool,
    directory_at: usize,
    /// Tag, type, value.
    entries: Vec<(u16, u16, u64)>,
    next: u64,
}

impl Tiff {
    fn of(entries: &[(u16, u16, u64)]) -> Self {
        Self { is_big_endian: false, is_bigtiff: false, directory_at: 16, entries: entries.to_vec(), next: 0 }
    }

    fn sized(kind: u16, more: &[(u16, u16, u64)]) -> Self {
        Self::of(&[&[(0x100, kind, 640), (0x101, kind, 480)], more].concat())
    }

    fn bytes(&self) -> Vec<u8> {
        let number = |length: usize, value: u64| {
            let bytes = value.to_be_bytes()[8 - length..].to_vec();
            if self.is_big_endian { bytes } else { bytes.into_iter().rev().collect() }
        };
        let word = if self.is_bigtiff { 8 } else { 4 };
        let mut file = if self.is_big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        if self.is_bigtiff {
            file.extend([number(2, 43), number(2, 8), number(2, 0)].concat());
        } else {
            file.extend(number(2, 42));
        }
        file.extend(number(word, self.directory_at as u64));
        file.resize(self.directory_at, 0);
        file.extend(number(if self.is_bigtiff { 8 } else { 2 }, self.entries.len() as u64));
        for (tag, kind, value) in &self.entries {
            let length = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                _ => 8,
            };
            file.extend([number(2, u64::from(*tag)), number(2, u64::from(*kind)), number(word, 1)].concat());
            let mut inline = number(length, *value);
            inline.resize(word, 0);
            file.extend(inline);
        }
        file.extend(number(word, self.next));
        file
    }
}

fn exif(orientation: u64, is_big_endian: bool) -> Vec<u8> {
    let entries = [(0x0110, 2, 0), (0x0112, 3, orientation), (0x8769, 4, 8)];
    Tiff { is_big_endian, directory_at: 8, ..Tiff::of(&entries) }.bytes()
}

/// Segments, a frame header of 640 x 480, and some pixels.
fn jpeg(segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    jpeg_of(segments, 0xC0)
}

fn jpeg_of(segments: &[(u8, Vec<u8>)], frame: u8) -> Vec<u8> {
    let mut file = vec![0xFF, 0xD8];
    for (marker, payload) in segments {
        file.extend([0xFF, *marker]);
        file.extend(u16::try_from(payload.len() + 2).unwrap().to_be_bytes());
        file.extend(payload);
    }
    file.extend([0xFF, frame, 0, 17, 8, 0x01, 0xE0, 0x02, 0x80, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    file.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 0x3F, 0]);
    file.extend([0x55; 40]);
    file.extend([0xFF, 0xD9]);
    file
}

fn exif_segment(orientation: u64, is_big_endian: bool) -> (u8, Vec<u8>) {
    (0xE1, [&b"Exif\0\0"[..], &exif(orientation, is_big_endian)].concat())
}

fn profile(number: u8, all: u8, length: usize) -> (u8, Vec<u8>) {
    (0xE2, [&b"ICC_PROFILE\0"[..], &[number, all], &vec![0xA5; length]].concat())
}

fn chunk(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&length.to_be_bytes()[..], kind, payload, &[0; 4]].concat()
}

fn png(before: &[u8], behind: &[u8]) -> Vec<u8> {
    let header = [&640u32.to_be_bytes()[..], &480u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let parts = [&b"\x89PNG\r\n\x1A\n"[..], &chunk(b"IHDR", &header), before, &chunk(b"IDAT", &[7; 90]), behind];
    [&parts.concat()[..], &chunk(b"IEND", b"")].concat()
}

fn gif(screen: (u16, u16), before: &[u8], frame: [u16; 4]) -> Vec<u8> {
    let screen = [screen.0.to_le_bytes(), screen.1.to_le_bytes()].concat();
    let frame: Vec<u8> = frame.into_iter().flat_map(u16::to_le_bytes).collect();
    [b"GIF89a", &screen[..], &[0x80, 0, 0], &[9; 6], before, b",", &frame, &[0, 2, 1, 1, 0], b";"].concat()
}

fn webp(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, payload) in chunks {
        body.extend(*kind);
        body.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        body.extend(payload);
        body.extend(vec![0; payload.len() % 2]);
    }
    [&b"RIFF"[..], &u32::try_from(body.len()).unwrap().to_le_bytes(), &body].concat()
}

fn vp8() -> Vec<u8> {
    let frame = [0x10, 2, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x41]; // and to be shown larger
    [&frame[..], &[7; 30]].concat()
}

fn vp8x(flags: u8) -> Vec<u8> {
    [&[flags, 0, 0, 0][..], &639u32.to_le_bytes()[..3], &479u32.to_le_bytes()[..3]].concat()
}

fn bmp(header: u32, width: i32, height: i32) -> Vec<u8> {
    let mut file = [&b"BM"[..], &[0; 12], &header.to_le_bytes()].concat();
    if header == 12 {
        file.extend(u16::try_from(width).unwrap().to_le_bytes());
        file.extend(u16::try_from(height).unwrap().to_le_bytes());
    } else {
        file.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    }
    file.resize(14 + header as usize, 1);
    file.extend([7; 60]);
    file
}

fn floats(rows: &[&[f32]]) -> Vec<u8> {
    rows.concat().into_iter().flat_map(f32::to_le_bytes).collect()
}

const PCD: &str = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 1\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 1\nDATA ascii\n1 2 3\n";
const PLY: &[u8] =
    b"ply\ncomment of mine\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nend_header\n\0\0\0\0";

/// Good files, and what they hold.
fn good_files() -> Vec<(Vec<u8>, Content)> {
    use PictureFormat::{Bmp, Gif, Jpeg, Png, Tiff as TiffFile, Webp};
    let raw = |tag, kind, value| Tiff::sized(4, &[(tag, kind, value)]).bytes();
    let thumbnail = Tiff::of(&[(0xFE, 4, 1), (0x100, 4, 160), (0x101, 4, 120), (0x14A, 4, 900)]).bytes();
    let mut files = vec![
        (jpeg(&[]), picture(Jpeg, 1)),
        (jpeg(&[(0xE0, b"JFIF\0".to_vec()), exif_segment(6, true), profile(1, 1, 300)]), picture(Jpeg, 6)),
        // Behind others, and the first of two.
        (jpeg(&[profile(1, 1, 9_000), exif_segment(3, false), exif_segment(6, true)]), picture(Jpeg, 3)),
        (jpeg(&[exif_segment(9, false)]), picture(Jpeg, 1)),
        (jpeg(&(1..=9).map(|number| profile(number, 9, 65_519)).collect::<Vec<_>>()), picture(Jpeg, 1)),
        (jpeg(&[(0xE5, vec![0xFF; 20_000]), (0xE5, vec![0xFF; 20_000]), exif_segment(8, false)]), picture(Jpeg, 8)),
        (png(b"", b""), picture(Png, 1)),
        (png(&[chunk(b"tEXt", &[b'a'; 500]), chunk(b"eXIf", &exif(5, true))].concat(), b""), picture(Png, 5)),
        (png(b"", &chunk(b"eXIf", &exif(7, false))), picture(Png, 7)),
        (png(&[chunk(b"iTXt", &[b'a'; 90_000]), chunk(b"eXIf", &exif(8, true))].concat(), b""), picture(Png, 8)),
        (gif((640, 480), b"!\xF9\x04\0\0\0\0\0!\xFE\x03abc\x02de\0", [0, 0, 640, 480]), picture(Gif, 1)),
        (gif((640, 480), b"", [10, 10, 20, 20]), picture(Gif, 1)),
        (gif((600, 0), b"", [40, 80, 600, 400]), picture(Gif, 1)),
        (webp(&[(b"VP8 ", vp8())]), picture(Webp, 1)),
        (webp(&[(b"VP8L", [&[0x2F][..], &(639u32 | 479 << 14 | 1 << 28).to_le_bytes()].concat())]), picture(Webp, 1)),
        (webp(&[(b"VP8X", vp8x(0)), (b"VP8 ", vp8()), (b"EXIF", exif(6, true))]), picture(Webp, 1)),
        (webp(&[(b"VP8X", vp8x(8)), (b"VP8 ", vp8()), (b"EXIF", exif(6, true))]), picture(Webp, 6)),
        (
            webp(&[(b"VP8X", vp8x(8)), (b"VP8 ", vec![7; 99_001]), (b"EXIF", exif_segment(2, false).1)]),
            picture(Webp, 2),
        ),
        (bmp(12, 640, 480), picture(Bmp, 1)),
        (raw(0xC612, 1, 1), Content::CameraRaw("DNG")),
        (raw(0x103, 3, 34_713), Content::CameraRaw("NEF, ARW or another kind of TIFF")),
        (thumbnail, Content::CameraRaw("NEF, ARW or another kind of TIFF")),
        (Tiff::sized(4, &[(0xFE, 4, 1)]).bytes(), picture(TiffFile, 1)),
        (Tiff { directory_at: 300_000, ..Tiff::sized(3, &[(0x112, 3, 4)]) }.bytes(), picture(TiffFile, 1)),
        (PCD.into(), Content::PointCloud(PointCloudFormat::Pcd)),
        (PLY.into(), Content::PointCloud(PointCloudFormat::Ply)),
        (b"LASF\0\0\0\0 and so on".to_vec(), Content::PointCloud(PointCloudFormat::Las)),
        (floats(&[&[1.5, -2.0, 0.1, 0.3], &[70.0, 3.0, -1.7, 0.0]]), Content::PointCloud(PointCloudFormat::Bin)),
        (b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(), Content::Unsupported("a HEIC picture")),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01".to_vec(), Content::CameraRaw("CR3")),
    ];
    let frames = [0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7];
    files.extend(frames.map(|frame| (jpeg_of(&[], frame), picture(Jpeg, 1))));
    files.extend([16, 40, 52, 56, 64, 108, 124].map(|header| (bmp(header, 640, -480), picture(Bmp, 1))));
    for (is_big_endian, is_bigtiff) in [(false, false), (true, false), (false, true), (true, true)] {
        for kind in [3, 4, 8, 9, 13, 16, 17, 18] {
            let tiff = Tiff { is_big_endian, is_bigtiff, ..Tiff::sized(kind, &[(0x112, 3, 4)]) };
            // A number of 8 bytes does not lie in an entry of a TIFF of before.
            if is_bigtiff || kind < 16 {
                files.push((tiff.bytes(), picture(TiffFile, 1)));
            }
        }
    }
    files
}

#[test]
fn good_files_are_read_and_ordinary_ones_in_one_range() {
    let _alone = alone();
    for (file, content) in good_files() {
        let (found, ranges) = read(&file);
        let beginning = String::from_utf8_lossy(&file[..file.len().min(30)]).into_owned();
        assert_eq!(found, content, "{beginning:?}");
        assert!(ranges == 1 || file.len() > FIRST, "{beginning:?}: {ranges}");
    }
}

#[test]
fn a_file_cut_anywhere_says_the_right_size_or_none() {
    let _alone = alone();
    for (file, content) in good_files() {
        let whole = stored(&content);
        let near = |offset: usize| offset < 3_000 || offset % 65_537 < 300 || offset + 300 > file.len();
        for length in (0..file.len()).filter(|offset| near(*offset)) {
            let (cut, ranges) = read(&file[..length]);
            assert!(ranges <= RANGES);
            match &cut {
                Content::Picture { head: Ok(found), .. } => {
                    assert_eq!(Some(found.size), whole.map(|whole| whole.size), "{content:?} cut at {length}");
                }
                Content::Picture { head: Err(unknown), .. } => {
                    assert_eq!(unknown.fault, HeadFault::Truncated, "{content:?} cut at {length}");
                    assert!(unknown.at >= length as u64, "{content:?} cut at {length}");
                }
                other => assert!(other == &content || other == &Content::Unknown || other.complaint().is_some()),
            }
        }
    }
}

#[test]
fn a_jpeg_may_have_any_number_of_segments_of_any_length() {
    let _alone = alone();
    let full = |count: usize| jpeg(&vec![(0xE1, vec![7; 65_533]); count]);
    for count in [1, 2, 3, 9, 17, 40, 100, 300] {
        assert_eq!(size(&full(count)), Some((640, 480)), "{count}");
    }
    // A print profile, and what extended XMP has of a depth map.
    let profiles: Vec<(u8, Vec<u8>)> =
        (1..=9).map(|number| profile(number, 9, if number == 9 { 30_000 } else { 65_519 })).collect();
    let (content, ranges) = read(&jpeg(&[&profiles[..], &[exif_segment(6, true)]].concat()));
    assert_eq!((content, ranges), (picture(PictureFormat::Jpeg, 6), 4));
    let xmp = |offset: u32| {
        let word = [&b"http://ns.adobe.com/xmp/extension/\0"[..], &[b'A'; 32], &3_000_000u32.to_be_bytes()].concat();
        (0xE1, [&word[..], &(offset * 65_000).to_be_bytes(), &vec![1; 65_000]].concat())
    };
    let (content, ranges) = read(&jpeg(&(0..46).map(xmp).collect::<Vec<_>>()));
    assert!(content == picture(PictureFormat::Jpeg, 1) && ranges <= 5, "{content:?}, {ranges}");
    // Many small ones, fill bytes, junk, and a marker alone.
    assert_eq!(size(&jpeg(&vec![(0xFE, vec![7; 3]); 20_000])), Some((640, 480)));
    let mut odd = jpeg(&[]);
    odd.splice(2..2, [0xFF, 0xFF, 0xFF, 0x01, 0x12, 0x34, 0xFF, 0x00, 0xFF, 0xFF, 0xFF]);
    assert_eq!(size(&odd), Some((640, 480)));
}

#[test]
fn a_leap_that_lands_on_a_likeness_is_taken_back() {
    let _alone = alone();
    let real = (0xE4, vec![7; 20_000]);
    // Five segments on, in the middle of a longer one, lie bytes that resemble a segment of the run and a frame behind it.
    let mut long = vec![7; 64_000];
    let offset = 3 * 20_004 - 4;
    long[offset..offset + 8].copy_from_slice(&[0xFF, 0xE4, 0x4E, 0x22, 7, 7, 7, 7]);
    let file = jpeg(&[real.clone(), real, (0xE5, long), (0xE6, vec![7; 30_000])]);
    assert_eq!(size(&file), Some((640, 480)));
}

#[test]
fn a_head_too_far_behind_says_so() {
    let _alone = alone();
    // Segments of different lengths are a chain that cannot be leaped over.
    let chain: Vec<(u8, Vec<u8>)> = (0..20).map(|n| (0xE4, vec![7; 65_000 + n])).collect();
    let (content, ranges) = read(&jpeg(&chain));
    let Content::Picture { head: Err(unknown), .. } = &content else { panic!("{content:?}") };
    assert_eq!((&unknown.fault, ranges), (&HeadFault::TooFar, RANGES));
    let sentence = content.complaint().unwrap();
    assert!(sentence.contains("too far behind") && sentence.contains("16 ranges and 512 KiB"), "{sentence}");
}

#[test]
fn a_directory_at_the_end_of_a_large_tiff_takes_a_second_range() {
    let _alone = alone();
    let at = |directory_at| Tiff { directory_at, ..Tiff::sized(3, &[]) }.bytes();
    assert_eq!(read(&at(40_000_000)), (picture(PictureFormat::Tiff, 1), 2));
    for offset in FIRST - 40..FIRST + 2 {
        assert_eq!(size(&at(offset)), Some((640, 480)), "{offset}");
    }
}

#[test]
fn a_tiff_is_as_its_readers_turn_it() {
    let _alone = alone();
    for number in 1..=8 {
        let turned = if number < 5 { (640, 480) } else { (480, 640) };
        let (content, _) = read(&Tiff::sized(3, &[(0x112, 3, number)]).bytes());
        let Stored { size, orientation } = stored(&content).unwrap();
        assert_eq!(((size.width, size.height), orientation), (turned, Orientation::default()));
    }
}

#[test]
fn a_reason_says_what_is_wrong_and_where() {
    let _alone = alone();
    let two_sizes = Tiff::sized(3, &[(0x100, 3, 641)]);
    let thumbnail_first = Tiff { next: 900, ..Tiff::sized(3, &[(0xFE, 4, 1)]) };
    for (file, wanted) in [
        (jpeg(&[])[..9].to_vec(), "The JPEG ends before it says its width and height, which were sought at byte 9."),
        (b"\xFF\xD8\xFF\xE0\0\x01".to_vec(), "The JPEG cannot be read at byte 4: a segment is shorter than its own"),
        (b"\xFF\xD8\xFF\xDA\0\x08".to_vec(), "The JPEG cannot be read at byte 2: its pixels begin before"),
        (b"\xFF\xD8\xFF\xC0\0\x0B\x08\0\0\0\x05\x01".to_vec(), "The JPEG says 5 x 0 pixels at byte 7, and each side"),
        (
            b"\x89PNG\r\n\x1A\n\0\0\0\x04CgBI\0\0".to_vec(),
            "The PNG cannot be read at byte 8: its first chunk is no header.",
        ),
        (bmp(40, -1, 5), "The BMP cannot be read at byte 18: its width is negative."),
        (
            bmp(40, 1_000_001, 5),
            "The BMP says 1000001 x 5 pixels at byte 18, and each side must have from 1 to 1000000.",
        ),
        (bmp(40, 5, i32::MIN), "The BMP says 5 x 2147483648 pixels at byte 18"),
        (b"GIF89a\x05\0\x05\0\0\0\0;".to_vec(), "The GIF cannot be read at byte 13: it ends before its first frame."),
        (webp(&[(b"JUNK", vec![1; 20])]), "The WebP cannot be read at byte 12: its first chunk is of no known kind."),
        (two_sizes.bytes(), "The TIFF cannot be read at byte 42: it says two widths or two heights."),
        (thumbnail_first.bytes(), "The TIFF cannot be read at byte 16: its first directory is a thumbnail of another"),
        (Tiff::sized(12, &[]).bytes(), "The TIFF cannot be read at byte 18: its width or height is no whole number."),
        (Tiff::of(&[(0x100, 3, 5)]).bytes(), "The TIFF cannot be read at byte 16: its first directory says no width"),
        (b"II\x2A\0\0\0\0\0".to_vec(), "The TIFF cannot be read at byte 4: it has no directory."),
    ] {
        let sentence = read(&file).0.complaint().unwrap();
        assert!(sentence.starts_with(wanted), "{sentence}");
    }
}

#[test]
fn a_point_cloud_is_known_in_any_spelling_that_its_readers_take() {
    let _alone = alone();
    let is = |file: &[u8]| matches!(read(file).0, Content::PointCloud(_));
    let crlf = PCD.replace('\n', "\r\n");
    let comments = format!("\n# made by me\n\n#\n{}", PCD.replace("FIELDS", "\n# and these\n  FIELDS"));
    for pcd in [
        "# .PCD v0.7 - Point Cloud Data",
        "# .PCD v.5 - Point Cloud Data file format\n",
        "#.pcd\r\n",
        "VERSION 0.6\nCOLUMNS x y z\n",
        "FIELDS x y z\nSIZE 4 4 4\n",
        &crlf,
        &comments,
        &PCD.to_lowercase(),
        &PCD.replace(' ', "\t"),
        &format!("\u{feff}{PCD}"),
        &format!("# {}\n{PCD}", "long ".repeat(30_000)),
    ] {
        assert!(is(pcd.as_bytes()), "{:?}", pcd.get(..60));
    }
    for other in
        ["", "LAS", "VERSION 2 of my notes", "# PCD", "# .PC", "FIELDS\nSIZE\n", "#!/bin/sh\necho", "ply\nand so on"]
    {
        assert!(!is(other.as_bytes()), "{other:?}");
    }
    let sweep = floats(&[&[1.0, 2.0, 3.0, 25.0, 31.0], &[1.0, -2.0, 3.0, 255.0, 0.0], &[-9.0, 2.0, 3.0, 0.0, 7.0]]);
    assert!(is(&sweep));
    assert_eq!(
        read_named("sweep.txt", &sweep).0,
        Content::Unknown,
        "nothing but the name and plausible numbers says so"
    );
    for other in
        [vec![0; 320], vec![7; 320], sweep[..59].to_vec(), floats(&[&[1.0, 2.0, f32::NAN, 0.0]]), vec![0x1F; 160]]
    {
        assert!(!is(&other));
    }
}

#[test]
fn what_is_nothing_of_these_is_unknown() {
    let _alone = alone();
    for file in
        [&b""[..], b"hello", b"\x89PNG", b"BM", b"BMW is a maker of cars, and no bitmap", b"GIF88a", &[0; 200_000]]
    {
        assert_eq!(read(file).0, Content::Unknown, "{:?}", &file[..file.len().min(20)]);
    }
    assert_eq!(read(b"%PDF-1.7 and more of it").0, Content::Unsupported("a PDF document"));
}

#[test]
fn an_orientation_that_cannot_be_read_is_none() {
    let _alone = alone();
    let far = Tiff { directory_at: 300, ..Tiff::of(&[(0x112, 3, 6)]) }.bytes();
    for block in [&b"II"[..], b"XX\x2A\0\x08\0\0\0", &far[..200], &exif(0, true), &exif(70_000, false)] {
        let segment = (0xE1, [&b"Exif\0\0"[..], block].concat());
        assert_eq!(read(&jpeg(&[segment])).0, picture(PictureFormat::Jpeg, 1));
    }
    for kind in [1, 3, 4] {
        let block = Tiff { directory_at: 8, ..Tiff::of(&[(0x112, kind, 6)]) }.bytes();
        let segment = (0xE1, [&b"Exif\0\0"[..], &block].concat());
        assert_eq!(read(&jpeg(&[segment])).0, picture(PictureFormat::Jpeg, 6), "{kind}");
    }
}

/// A change of a file.
#[derive(Clone, Debug)]
enum Change {
    /// One byte becomes another.
    Byte(Index, u8),
    /// What follows is gone.
    Cut(Index),
    /// Some bytes become such as formats have at their turns.
    Word(Index, usize),
    /// Some bytes come several times.
    Repeat(Index, usize, usize),
    /// A piece of another file comes in.
    Mix(Index, Index, Index, usize),
}

const WORDS: [&[u8]; 14] = [
    b"\0\0\0\0",
    b"\xFF\xFF\xFF\xFF",
    b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x7F\xFF\xFF\xFF",
    b"\0\0\0\x80",
    b"\xFF\xD8",
    b"\xFF\xE1\xFF\xFF",
    b"\xFF\xE2\x20\x02",
    b"\xFF\xDA",
    b"\xFF\xC0\0\x11",
    b"\x01\0\0\0",
    b"\0\x01",
    b"eXIf",
    b"\0\0\x40\0",
];

#[derive(Clone, Debug)]
struct Case {
    seed: Index,
    changes: Vec<Change>,
    /// A part is repeated until the file has some megabytes.
    is_blown_up: bool,
    cut: Index,
}

fn case() -> impl Strategy<Value = Case> {
    let offset = any::<Index>;
    let change = prop_oneof![
        4 => (offset(), any::<u8>()).prop_map(|(offset, byte)| Change::Byte(offset, byte)),
        1 => offset().prop_map(Change::Cut),
        3 => (offset(), 0..WORDS.len()).prop_map(|(offset, word)| Change::Word(offset, word)),
        2 => (offset(), 1usize..300, 1usize..40).prop_map(|(offset, length, times)| Change::Repeat(offset, length, times)),
        2 => (offset(), offset(), offset(), 1usize..300).prop_map(|(at, seed, from, length)| Change::Mix(at, seed, from, length)),
    ];
    (offset(), prop::collection::vec(change, 0..6), prop::bool::weighted(0.01), offset())
        .prop_map(|(seed, changes, is_blown_up, cut)| Case { seed, changes, is_blown_up, cut })
}

impl Case {
    fn file(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut file = self.seed.get(seeds).clone();
        for change in &self.changes {
            if file.is_empty() {
                break;
            }
            // Nine in ten among the first bytes.
            let near = |offset: &Index, length: usize| {
                let offset = offset.index(10 * length);
                if offset < length { offset } else { (offset % 300).min(length - 1) }
            };
            match change {
                Change::Byte(offset, byte) => {
                    let offset = near(offset, file.len());
                    file[offset] = *byte;
                }
                Change::Cut(offset) => file.truncate(offset.index(file.len())),
                Change::Word(offset, word) => {
                    let offset = near(offset, file.len());
                    let end = (offset + WORDS[*word].len()).min(file.len());
                    file.splice(offset..end, WORDS[*word].iter().copied());
                }
                Change::Repeat(offset, length, times) => {
                    let offset = near(offset, file.len());
                    let piece = file[offset..(offset + length).min(file.len())].repeat(*times);
                    file.splice(offset..offset, piece);
                }
                Change::Mix(offset, seed, from, length) => {
                    let (offset, other) = (near(offset, file.len()), seed.get(seeds));
                    let from = near(from, other.len());
                    let piece = other[from..(from + length).min(other.len())].to_vec();
                    file.splice(offset..offset, piece);
                }
            }
        }
        if self.is_blown_up && file.len() > 20 {
            let piece = file[2..].to_vec();
            let times = 4 * 1024 * 1024 / piece.len();
            file.splice(2..2, piece.repeat(times));
        }
        file
    }
}

#[test]
fn whatever_a_file_holds_is_read_without_panic_and_within_bounds() {
    let _alone = alone();
    let minutes: Option<f64> = std::env::var("MINUTES").ok().map(|minutes| minutes.parse().unwrap());
    let end = minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes));
    let begun = Instant::now();
    let seeds: Vec<Vec<u8>> = good_files().into_iter().map(|(file, _)| file).collect();
    let (mut cases, mut most) = (0u64, (0, 0, 0));
    loop {
        let seeds_file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/heads.seeds");
        let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(seeds_file)) as _);
        let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence, ..Config::default() });
        let seen = std::cell::Cell::new((cases, most));
        let result = runner.run(&case(), |case| {
            let file = case.file(&seeds);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let (content, ranges, bytes) = read_named("a.bin", &file);
            let memory = MEMORY.peak_usage().saturating_sub(before);
            prop_assert!(ranges <= RANGES && bytes <= BYTES && memory <= MOST_MEMORY, "{ranges}, {bytes}, {memory}");
            prop_assert!(content.complaint().is_none_or(|sentence| sentence.len() < 500));
            // A part of the file says the same size, or none.
            let cut = read_named("a.bin", &file[..case.cut.index(file.len() + 1)]).0;
            if let (Some(of_part), Some(of_all)) = (stored(&cut), stored(&content)) {
                prop_assert_eq!(of_part.size, of_all.size);
            }
            let (cases, (most_ranges, most_bytes, most_memory)) = seen.get();
            seen.set((cases + 1, (most_ranges.max(ranges), most_bytes.max(bytes), most_memory.max(memory))));
            Ok(())
        });
        assert!(result.is_ok(), "{}", result.unwrap_err());
        (cases, most) = seen.get();
        if end.is_none_or(|end| Instant::now() >= end) {
            break;
        }
    }
    let (ranges, bytes, memory) = most;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{cases} files in {seconds:.0} s, {:.0} a second; at most {ranges} ranges, {} KiB read and {} KiB of memory for one",
        cases as f64 / seconds,
        bytes / 1024,
        memory / 1024
    );
}

//! The first bytes of formats.

use crate::domain::item::content::{Content, PictureFormat, PointCloudFormat};

/// The format that the first bytes name.
pub(super) enum Magic {
    /// A picture whose size is read.
    Picture(PictureFormat),
    /// Content that needs no further reading.
    Other(Content),
    /// No known format.
    None,
}

const PICTURES: [(&[u8], PictureFormat); 9] = [
    (b"\xFF\xD8\xFF", PictureFormat::Jpeg),
    (b"\x89PNG\r\n\x1A\n", PictureFormat::Png),
    (b"GIF87a", PictureFormat::Gif),
    (b"GIF89a", PictureFormat::Gif),
    (b"II\x2A\0", PictureFormat::Tiff),
    (b"MM\0\x2A", PictureFormat::Tiff),
    // BigTIFF
    (b"II\x2B\0", PictureFormat::Tiff),
    (b"MM\0\x2B", PictureFormat::Tiff),
    (b"RIFF....WEBP", PictureFormat::Webp),
];

/// Formats that are TIFF but for their magic are among them. Those that are TIFF throughout are known by their directory.
const CAMERA_RAWS: [(&[u8], &str); 12] = [
    (b"II\x2A\0....CR", "CR2"),
    (b"....ftypcrx ", "CR3"),
    (b"II\x1A\0\0\0HEAPCCDR", "CRW"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
    (b"MMOR", "ORF"),
    (b"IIU\0", "RW2"),
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"FOVb", "X3F"),
    (b"\0MRM", "MRW"),
    (b"IIII.waR", "IIQ"),
    (b"ARRI\x12\x34\x56\x78", "ARI"),
];

const UNSUPPORTED: [(&[u8], &str); 31] = [
    (b"....ftypavif", "an AVIF picture"),
    (b"....ftypavis", "an AVIF picture"),
    (b"....ftyphei", "a HEIC picture"),
    (b"....ftyphev", "a HEIC picture"),
    (b"....ftypmif1", "a HEIF or AVIF picture"),
    (b"....ftypmsf1", "a HEIF or AVIF picture"),
    (b"....ftyp", "a video (MP4 or MOV)"),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\xFF\x0A", "a JPEG XL picture"),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xFF\x4F\xFF\x51", "a JPEG 2000 picture"),
    (b"II\xBC", "a JPEG XR picture"),
    (b"8BPS", "a Photoshop picture (PSD)"),
    (b"\x76\x2F\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"#?RGBE", "a Radiance HDR picture"),
    (b"qoif", "a QOI picture"),
    (b"DDS ", "a DirectDraw surface (DDS)"),
    (b"\0\0\x01\0.\0", "an icon (ICO)"),
    (b"gimp xcf ", "a GIMP picture (XCF)"),
    (b"%PDF-", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"RIFF....AVI ", "a video (AVI)"),
    (b"\x1A\x45\xDF\xA3", "a video (Matroska or WebM)"),
    (b"ASTM-E57", "an E57 point cloud"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1F\x8B\x08", "a gzip archive"),
    (b"\xFD7zXZ\0", "an XZ archive"),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n\x1A\n", "an HDF5 file"),
];

/// DICOM has its magic behind 128 bytes of anything.
const DICOM: usize = 128;

pub(super) fn of(first: &[u8]) -> Magic {
    if let Some((_, name)) = CAMERA_RAWS.iter().find(|(magic, _)| begins(first, magic)) {
        return Magic::Other(Content::CameraRaw(name));
    }
    if let Some((_, format)) = PICTURES.iter().find(|(magic, _)| begins(first, magic)) {
        return Magic::Picture(*format);
    }
    if is_bmp(first) {
        return Magic::Picture(PictureFormat::Bmp);
    }
    if first.starts_with(b"LASF") {
        return Magic::Other(Content::PointCloud(PointCloudFormat::Las));
    }
    if is_ply(first) {
        return Magic::Other(Content::PointCloud(PointCloudFormat::Ply));
    }
    if is_pnm(first) {
        return Magic::Other(Content::Unsupported("a PNM picture (PBM, PGM or PPM)"));
    }
    if first.get(DICOM..DICOM + 4) == Some(b"DICM") {
        return Magic::Other(Content::Unsupported("a DICOM picture"));
    }
    let unsupported = UNSUPPORTED.iter().find(|(magic, _)| begins(first, magic));
    unsupported.map_or(Magic::None, |(_, name)| Magic::Other(Content::Unsupported(name)))
}

/// Whether a file begins so; a `.` of the magic is any byte.
fn begins(first: &[u8], magic: &[u8]) -> bool {
    first.len() >= magic.len() && magic.iter().zip(first).all(|(wanted, byte)| *wanted == b'.' || wanted == byte)
}

/// Two letters are no magic: the length of the header behind them must be one that bitmaps have (12 of OS/2 and Windows 2, 16 to
/// 64 of OS/2 2, 40 to 124 of Windows).
fn is_bmp(first: &[u8]) -> bool {
    let length = first.get(14..18).map(|length| [length[0], length[1], length[2], length[3]]).map(u32::from_le_bytes);
    first.starts_with(b"BM") && matches!(length, Some(12 | 16..=124))
}

/// `ply`, and `format` in a line of its own behind it, where comments may come first.
fn is_ply(first: &[u8]) -> bool {
    (first.starts_with(b"ply\n") || first.starts_with(b"ply\r"))
        && first.split(|byte| matches!(byte, b'\n' | b'\r')).any(|line| line.starts_with(b"format "))
}

/// `P1` to `P7`, white space, and a number or a comment.
fn is_pnm(first: &[u8]) -> bool {
    let [b'P', b'1'..=b'7', space, rest @ ..] = first else { return false };
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    space.is_ascii_whitespace() && next.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'#')
}

//! The content of a file, by its first bytes (magic), and why a picture's width and height were not found.

use std::fmt;

use crate::domain::item::AssetType;
use crate::domain::item::head;
use crate::domain::limits;
use crate::domain::prediction::orientation::Orientation;
use crate::domain::prediction::size::Size;

/// What a file holds. Its format is known by magic alone, also if its size was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A picture that is labeled.
    Picture {
        /// Its format.
        format: PictureFormat,
        /// Its size and orientation, or why they were not found.
        head: Result<Stored, SizeUnknown>,
    },
    /// A point cloud. It has no size.
    PointCloud(PointCloudFormat),
    /// A camera raw file, by the name of its format. Its previews are other pictures than what a model would develop.
    CameraRaw(&'static str),
    /// A known format that is not labeled, by its name: HEIC, PSD, MP4 and others.
    Unsupported(&'static str),
    /// None of these.
    Unknown,
}

impl Content {
    /// The type of an item of this file; `None`: it is none.
    #[must_use]
    pub const fn asset_type(&self) -> Option<AssetType> {
        match self {
            Self::Picture { .. } => Some(AssetType::Image),
            Self::PointCloud(_) => Some(AssetType::PointCloud),
            Self::CameraRaw(_) | Self::Unsupported(_) | Self::Unknown => None,
        }
    }

    /// Why it cannot be labeled: a sentence. `None`: it can.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        Some(match self {
            Self::Picture { head: Err(unknown), .. } => unknown.to_string(),
            Self::CameraRaw(name) => format!(
                "The file is a camera raw file ({name}): its picture is what a raw developer makes of it, and the smaller ones in \
                 it are others. Upload the developed picture, as JPEG or TIFF."
            ),
            Self::Unsupported(name) => format!("The file is {name}, which is not labeled: {LABELED}."),
            Self::Unknown => format!("By its content the file is none that is labeled: {LABELED}."),
            Self::Picture { .. } | Self::PointCloud(_) => return None,
        })
    }
}

const LABELED: &str =
    "JPEG, PNG, WebP, GIF, BMP and TIFF pictures, and PCD, LAS, LAZ, PLY and KITTI or nuScenes .bin point clouds";

/// Formats of pictures whose size is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    /// Windows bitmap.
    Bmp,
    /// GIF, also animated: the first frame counts.
    Gif,
    /// JPEG, also with further pictures behind the first (MPO).
    Jpeg,
    /// PNG.
    Png,
    /// TIFF and BigTIFF: the first directory counts.
    Tiff,
    /// WebP.
    Webp,
}

impl PictureFormat {
    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Tiff => "TIFF",
            Self::Webp => "WebP",
        }
    }
}

/// Formats of point clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointCloudFormat {
    /// LAS, also compressed (LAZ).
    Las,
    /// PCD of the Point Cloud Library.
    Pcd,
    /// PLY.
    Ply,
    /// KITTI's and nuScenes' `.bin`: rows of four or five 32-bit floats, without any magic.
    Bin,
}

/// A picture as its file stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The size that decoders without EXIF see.
    pub size: Size,
    /// The turn that makes it upright.
    pub orientation: Orientation,
}

impl Stored {
    /// The size of the upright picture.
    #[must_use]
    pub const fn upright(self) -> Size {
        self.orientation.upright(self.size)
    }
}

/// Why a picture's size was not found: a sentence with the byte in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeUnknown {
    /// The file's format.
    pub format: PictureFormat,
    /// The byte in question, from 0.
    pub at: u64,
    /// What is wrong there.
    pub fault: HeadFault,
}

/// What is wrong with a picture's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// The file ends there.
    Truncated,
    /// The format does not allow the bytes there: the end of a sentence, as "a segment of 1 byte".
    Malformed(&'static str),
    /// Width and height are behind the last byte that may be read.
    TooFar,
    /// A side has no pixel, or more than an item may have.
    OutOfBounds(u64, u64),
}

impl fmt::Display for SizeUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, at) = (self.format.name(), self.at);
        match &self.fault {
            HeadFault::Truncated => {
                write!(f, "The {name} ends before it says its width and height, which were sought at byte {at}.")
            }
            HeadFault::Malformed(what) => write!(f, "The {name} cannot be read at byte {at}: {what}."),
            HeadFault::TooFar => write!(
                f,
                "The {name} says its width and height too far behind: of a file {} ranges and {} KiB are read, here up to byte {at}.",
                head::RANGES,
                head::BYTES / 1024
            ),
            HeadFault::OutOfBounds(width, height) => write!(
                f,
                "The {name} says {width} x {height} pixels at byte {at}, and each side must have from 1 to {}.",
                limits::PIXELS_PER_SIDE
            ),
        }
    }
}

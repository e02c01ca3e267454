//! What a file is, and its width and height: from its head, never the whole of it.

use crate::domain::item::{AssetType, Size};
use crate::domain::picture::{Head, Look, PIECE_BYTES};
use crate::domain::source::Source;
use crate::ports::{Files, NoFile};

/// Reads a picture's size.
///
/// # Errors
/// [`NoFile`], also if the file is there and says no size.
pub async fn measure(files: &impl Files, source: &Source) -> Result<Size, NoFile> {
    let (_, size) = look(files, source).await?;
    size.ok_or_else(|| {
        NoFile::Unreadable(
            "Width and height cannot be read from the file: it is no BMP, GIF, JPEG, PNG, TIFF or WebP picture, or says them \
             too far behind."
                .into(),
        )
    })
}

/// Reads what a file is by its content, whatever it is called: a picture with its size, or a point cloud. `None`: neither
/// that we know.
///
/// # Errors
/// [`NoFile`].
pub async fn recognize(files: &impl Files, source: &Source) -> Result<Option<(AssetType, Option<Size>)>, NoFile> {
    let (head, size) = look(files, source).await?;
    Ok(match size {
        Some(size) => Some((AssetType::Image, Some(size))),
        None => head.is_point_cloud().then_some((AssetType::PointCloud, None)),
    })
}

/// The head of a file, as far as it was read, and its size as a picture.
async fn look(files: &impl Files, source: &Source) -> Result<(Head, Option<Size>), NoFile> {
    let mut head = Head::default();
    loop {
        // Ends: a head wants a few pieces and no more.
        match head.look() {
            Look::Size(size) => return Ok((head, Some(size))),
            Look::Wants(offset) => head.add(offset, files.piece(source, offset, PIECE_BYTES).await?),
            Look::Unknown => return Ok((head, None)),
        }
    }
}

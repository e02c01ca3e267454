//! Width and height of a file that somebody else has put somewhere: from its head, never the whole of it.

use crate::domain::item::Size;
use crate::domain::picture::{Head, Look, PIECE_BYTES};
use crate::domain::source::Source;
use crate::ports::{Files, NoFile};

/// Reads a picture's size.
///
/// # Errors
/// [`NoFile`], also if the file is there and says no size.
pub async fn measure(files: &impl Files, source: &Source) -> Result<Size, NoFile> {
    let mut head = Head::default();
    loop {
        // Ends: a head wants a few pieces and no more.
        match head.look() {
            Look::Size(size) => return Ok(size),
            Look::Wants(offset) => head.add(offset, files.piece(source, offset, PIECE_BYTES).await?),
            Look::Unknown => {
                return Err(NoFile::Unreadable(
                    "Width and height cannot be read from the file: it is no BMP, GIF, JPEG, PNG, TIFF or WebP picture, or \
                     says them too far behind."
                        .into(),
                ));
            }
        }
    }
}

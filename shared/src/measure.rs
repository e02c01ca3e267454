//! What a file holds, and a picture's width, height and orientation: from its head, never the whole of it.

use crate::domain::content::{Content, HeadFault, PictureFormat, PointCloudFormat, SizeUnknown, Stored};
use crate::domain::orientation::Orientation;
use crate::domain::picture::{Head, Look, PIECE_BYTES};
use crate::domain::source::Source;
use crate::ports::{Files, NoFile};

/// Reads a picture's size and orientation.
///
/// # Errors
/// [`NoFile`], also if the file is there and says no size: the sentence says why, and where in the file.
pub async fn measure(files: &impl Files, source: &Source) -> Result<Stored, NoFile> {
    match recognize(files, source, None).await? {
        Content::Picture { head: Ok(stored), .. } => Ok(stored),
        other => Err(NoFile::Unreadable(
            other.complaint().unwrap_or_else(|| "The file is a point cloud, which has no width and height.".into()),
        )),
    }
}

/// Reads what a file holds, whatever it is called. `length`: the file's, if it is known.
///
/// # Errors
/// [`NoFile`].
pub async fn recognize(files: &impl Files, source: &Source, _length: Option<u64>) -> Result<Content, NoFile> {
    let mut head = Head::default();
    loop {
        // Ends: a head wants a few pieces and no more.
        match head.look() {
            Look::Size(size) => {
                let stored = Stored { size, orientation: Orientation::default() };
                return Ok(Content::Picture { format: head.format().unwrap_or(PictureFormat::Jpeg), head: Ok(stored) });
            }
            Look::Wants(offset) => head.add(offset, files.piece(source, offset, PIECE_BYTES).await?),
            Look::Unknown if head.is_point_cloud() => return Ok(Content::PointCloud(PointCloudFormat::Pcd)),
            Look::Unknown => {
                let unknown = |format| SizeUnknown { format, at: 0, fault: HeadFault::TooFar };
                return Ok(head
                    .format()
                    .map_or(Content::Unknown, |format| Content::Picture { format, head: Err(unknown(format)) }));
            }
        }
    }
}

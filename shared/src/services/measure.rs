//! Reads a file's type, and a picture's width, height and orientation, from its head and never from the whole file.

use crate::domain::item::content::{Content, Stored};
use crate::domain::item::head::{Head, Parsed};
use crate::domain::item::source::Source;
use crate::ports::{Files, NoFile};

/// Reads a picture's size and orientation.
///
/// # Errors
/// [`NoFile`], also if the file is there and its size is not found: the sentence says why, and where in the file.
pub async fn measure(files: &impl Files, source: &Source) -> Result<Stored, NoFile> {
    let content = recognize(files, source, None).await?;
    if let Content::Picture { head: Ok(stored), .. } = content {
        return Ok(stored);
    }
    let no_picture = || "The file is a point cloud, which has no width and height.".to_owned();
    Err(NoFile::Unreadable(content.complaint().unwrap_or_else(no_picture)))
}

/// Reads what a file holds. Its name, and its `length` if that is known, count only for a point cloud in a `.bin`, which has no
/// magic.
///
/// # Errors
/// [`NoFile`].
pub async fn recognize(files: &impl Files, source: &Source, length: Option<u64>) -> Result<Content, NoFile> {
    let mut head = Head::of(name_of(source), length);
    loop {
        // Ends: a head needs a bounded number of ranges.
        match head.parse() {
            Parsed::Content(content) => return Ok(content),
            Parsed::Needs { offset, length } => head.add(offset, length, files.piece(source, offset, length).await?),
        }
    }
}

fn name_of(source: &Source) -> &str {
    match source {
        Source::Bucket(key) => key,
        Source::S3(object) => &object.key,
        Source::Url(url) => url,
    }
}

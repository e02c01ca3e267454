//! Pictures that are copied into a file, piece by piece.
//!
//! A zip has length and checksum of an entry before its bytes. So a picture that is longer than a piece is read twice, and never in
//! memory as a whole.

use shared::domain::Error;
use shared::domain::export::yolo::Copied;
use shared::domain::id::OrganizationUid;
use shared::domain::item::source::Source;
use shared::ports::{Files, NoFile};

use crate::Composer;
use crate::file::File;

/// Bytes that are read at once.
const PIECE: u64 = 2 * 1024 * 1024;
/// The longest picture that is copied: both reads must fit into the life of a worker.
const LONGEST: u64 = 256 * 1024 * 1024;
/// The longest one on the web. It is read in one piece: not every server has ranges.
const LONGEST_ON_WEB: u64 = 8 * 1024 * 1024;
const CLOSED: &str = "This deployment does not read from the file's bucket any more.";

/// A picture that was read once.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) copied: Copied,
    source: Source,
    /// Its begin, or all of it.
    first: Vec<u8>,
}

impl<S, W, O: Files, E, Q, C, H: Files> Composer<S, W, O, E, Q, C, H> {
    /// Reads a picture, for its length and checksum. The inner error is a sentence: it cannot be copied.
    pub(crate) async fn picture(
        &self,
        organization: OrganizationUid,
        source: Source,
    ) -> Result<Result<Picture, String>, Error> {
        if !self.buckets.open(&source, organization) {
            return Ok(Err(CLOSED.into()));
        }
        let read = match &source {
            Source::Url(_) => self.read_web(&source).await,
            Source::Bucket(_) | Source::S3(_) => self.read_s3(&source).await,
        };
        match read {
            Ok((_, Copied { bytes: 0, .. })) => Ok(Err("The file is empty.".into())),
            Ok((first, copied)) => Ok(Ok(Picture { copied, source, first })),
            Err(NoFile::Unreadable(why)) => Ok(Err(why)),
            // Another worker tries it again.
            Err(busy @ NoFile::Busy(_)) => Err(Error::ObjectsUnavailable(busy.into())),
        }
    }

    async fn read_s3(&self, source: &Source) -> Result<(Vec<u8>, Copied), NoFile> {
        let first = self.objects.piece(source, 0, PIECE).await?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&first);
        let (mut bytes, mut last) = (first.len() as u64, first.len() as u64);
        while last == PIECE {
            let piece = self.objects.piece(source, bytes, PIECE).await?;
            crc.update(&piece);
            last = piece.len() as u64;
            bytes += last;
            if bytes > LONGEST {
                return Err(NoFile::Unreadable("The picture has more than 256 MiB.".into()));
            }
        }
        Ok((first, Copied { bytes, crc: crc.finalize() }))
    }

    /// A server that is busy twice is left: the other pictures must not wait for it.
    async fn read_web(&self, source: &Source) -> Result<(Vec<u8>, Copied), NoFile> {
        let read = || self.web.piece(source, 0, LONGEST_ON_WEB + 1);
        let picture = match read().await {
            Err(NoFile::Busy(_)) => read().await.map_err(|error| NoFile::Unreadable(error.to_string()))?,
            read => read?,
        };
        let bytes = picture.len() as u64;
        if bytes > LONGEST_ON_WEB {
            return Err(NoFile::Unreadable("The picture is on the web and has more than 8 MiB.".into()));
        }
        let crc = crc32fast::hash(&picture);
        Ok((picture, Copied { bytes, crc }))
    }

    /// Appends a picture to the file.
    ///
    /// # Errors
    /// `Internal` if its bytes are not those of the first reading: the step is repeated.
    pub(crate) async fn copy(&self, file: &mut File, picture: Picture) -> Result<(), Error>
    where
        O: shared::ports::Objects,
    {
        let Picture { copied, source, first } = picture;
        let mut crc = crc32fast::Hasher::new();
        let (mut bytes, mut piece) = (0, first);
        loop {
            crc.update(&piece);
            bytes += piece.len() as u64;
            file.append(&self.objects, &piece).await?;
            if bytes >= copied.bytes || piece.is_empty() {
                break;
            }
            let next = self.objects.piece(&source, bytes, PIECE.min(copied.bytes - bytes)).await;
            piece = next.map_err(|error| Error::ObjectsUnavailable(error.into()))?;
        }
        if (Copied { bytes, crc: crc.finalize() }) == copied {
            return Ok(());
        }
        Err(Error::internal("a picture has changed while it was copied"))
    }
}

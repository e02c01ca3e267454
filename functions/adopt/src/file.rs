//! Reads the file of an import into segments.

use std::fs::File;
use std::io::{Seek, Write};

use shared::domain::import::reader::{self, Broken, Entry};
use shared::domain::import::{Import, ImportAs, ImportFormat};
use shared::domain::item::Source;
use shared::domain::{Error, limits};
use shared::ports::{Contents, Files, NoFile};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use crate::shelf::DiskShelf;

/// Bytes that are fetched at once.
const PIECE: u64 = 8 * 1024 * 1024;

/// Why there is no file to be read.
#[derive(Debug)]
pub(crate) enum NotRead {
    /// A sentence for the owner of the import.
    Refused(String),
    /// Another worker may succeed.
    Failed(Error),
}

impl From<Error> for NotRead {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<NoFile> for NotRead {
    fn from(error: NoFile) -> Self {
        match error {
            NoFile::Unreadable(sentence) => Self::Refused(sentence),
            NoFile::Busy(_) => Self::Failed(Error::ObjectsUnavailable(error.into())),
        }
    }
}

/// Copies the file of an import to the function's disk: readers go through it more than once, and none waits for the network.
pub(crate) async fn copy(objects: &(impl Contents + Files), source: &Source) -> Result<File, NotRead> {
    let gone = || NotRead::Refused("There is no such file, or this deployment may not read it.".into());
    let before = objects.described(source).await?.ok_or_else(gone)?;
    if before.size_bytes > limits::IMPORT_BYTES {
        let most = limits::IMPORT_BYTES / 1_000_000_000;
        return Err(NotRead::Refused(format!("The file has more than {most} GB.")));
    }
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    let mut copied = 0;
    while copied < before.size_bytes {
        let piece = objects.piece(source, copied, PIECE.min(before.size_bytes - copied)).await?;
        file.write_all(&piece).map_err(Error::internal)?;
        if piece.is_empty() {
            break;
        }
        copied += piece.len() as u64;
    }
    let after = objects.described(source).await?.ok_or_else(gone)?;
    if copied != before.size_bytes || after.etag != before.etag {
        return Err(NotRead::Failed(Error::ObjectsUnavailable("the file was written over".into())));
    }
    file.rewind().map_err(Error::internal)?;
    Ok(file)
}

/// A segment: entries, a line of JSON each.
pub(crate) type Segment = Vec<u8>;

/// Reads a file on a thread of its own. The segments come by the channel, which holds one: the reader waits for the bucket.
pub(crate) fn segments(import: &Import, file: File) -> (Receiver<Segment>, JoinHandle<Result<(), Broken>>) {
    let (sender, receiver) = mpsc::channel(1);
    let what = (import.format, import.becomes);
    (receiver, tokio::task::spawn_blocking(move || read(what, file, sender)))
}

fn read(what: (ImportFormat, ImportAs), mut file: File, sender: Sender<Segment>) -> Result<(), Broken> {
    let mut segments = Segments { sender, bytes: Vec::new(), entries: 0 };
    let mut shelf = DiskShelf::new()?;
    reader::read(what, &mut file, &mut shelf, &mut |entry| segments.add(&entry))?;
    Ok(segments.send()?)
}

struct Segments {
    sender: Sender<Segment>,
    bytes: Segment,
    entries: usize,
}

impl Segments {
    fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        serde_json::to_writer(&mut self.bytes, entry).map_err(Error::internal)?;
        self.bytes.push(b'\n');
        self.entries += 1;
        let is_full =
            self.bytes.len() >= limits::IMPORT_SEGMENT_BYTES || self.entries >= limits::IMPORT_SEGMENT_ENTRIES;
        if is_full { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Error> {
        if self.entries == 0 {
            return Ok(());
        }
        self.entries = 0;
        let segment = std::mem::take(&mut self.bytes);
        self.sender.blocking_send(segment).map_err(|_| Error::internal("the worker has stopped"))
    }
}

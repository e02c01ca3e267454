//! A file that is written over several invocations, in parts. What is too short for a part at the end of a step lies in an object of
//! its own until the next one.

use shared::domain::export::Export;
use shared::domain::export::work::{FileWork, Fragment};
use shared::domain::{Error, limits};
use shared::ports::{Objects, Upload};

/// The file of an export.
pub(crate) struct File {
    upload: Upload,
    /// What is not in a part yet.
    pending: Vec<u8>,
    work: FileWork,
}

impl File {
    /// The file as the last stored step has left it. The first step begins it.
    pub(crate) async fn open(objects: &impl Objects, export: &Export, work: &FileWork) -> Result<Self, Error> {
        let format = export.options.format;
        let key = export.object_key(format.file_name());
        let upload = match work.upload.clone() {
            Some(id) => Upload { key, id, parts: work.parts.clone() },
            None => objects.begin(&key, format.content_type()).await?,
        };
        let pending = match &work.tail {
            Some(Fragment { name, bytes }) => objects.get_range(&export.object_key(name), 0, *bytes).await?,
            None => Vec::new(),
        };
        Ok(Self { upload, pending, work: work.clone() })
    }

    /// Its length so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.work.bytes
    }

    /// Appends bytes.
    pub(crate) async fn append(&mut self, objects: &impl Objects, bytes: &[u8]) -> Result<(), Error> {
        self.work.digest.update(bytes);
        self.work.bytes += bytes.len() as u64;
        self.pending.extend_from_slice(bytes);
        while self.pending.len() >= limits::EXPORT_PART_BYTES {
            let rest = self.pending.split_off(limits::EXPORT_PART_BYTES);
            let part = std::mem::replace(&mut self.pending, rest);
            objects.append(&mut self.upload, part).await?;
        }
        Ok(())
    }

    /// Its state, to be stored. The tail's name has the number of the step: a step that is repeated must find the tail of the one
    /// before it.
    pub(crate) async fn suspend(self, objects: &impl Objects, export: &Export, step: u32) -> Result<FileWork, Error> {
        let Self { upload, pending, mut work } = self;
        work.tail = None;
        if !pending.is_empty() {
            let fragment = Fragment { name: format!("tail-{step}"), bytes: pending.len() as u64 };
            objects.put(&export.object_key(&fragment.name), "application/octet-stream", pending).await?;
            work.tail = Some(fragment);
        }
        (work.upload, work.parts) = (Some(upload.id), upload.parts);
        Ok(work)
    }

    /// Its state behind the last byte, to be stored: the rest is the last part.
    pub(crate) async fn close(self, objects: &impl Objects) -> Result<FileWork, Error> {
        let Self { mut upload, pending, mut work } = self;
        if !pending.is_empty() || upload.parts.is_empty() {
            objects.append(&mut upload, pending).await?;
        }
        work.tail = None;
        (work.upload, work.parts) = (Some(upload.id), upload.parts);
        Ok(work)
    }
}

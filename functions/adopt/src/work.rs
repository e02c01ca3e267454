//! The work on one import.

use std::fs::File;
use std::pin::pin;
use std::time::Duration;

use shared::domain::import::Import;
use shared::domain::import::reader::Broken;
use shared::domain::item::Source;
use shared::domain::webhook::Event;
use shared::domain::{Error, Timestamp, change_time, limits};
use shared::ports::{
    ClaimedImport, Clock, Contents, ExportItems, Files, ImportName, ImportQueue, ImportResults, Imports, Items,
    Objects, Projects, Queue, Webhooks,
};
use shared::services::outbox;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};
use tracing::info;

use crate::Adopter;
use crate::apply::Applying;
use crate::file::{self, NotRead, Segment};

/// A claim ends so long after the worker has last renewed it.
const LEASE: Duration = Duration::from_secs(120);
/// While the file is read, the claim is renewed as often.
const RENEWED: Duration = Duration::from_secs(30);
/// An import that has not changed for this time, and that no worker has, has lost its message.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
/// A worker takes up no other segment after this time: two thirds of the function's timeout (infra, `adopt.ts`).
const TIME: Duration = Duration::from_secs(600);
/// Workers that may fail at the same point. Then the import fails.
const ATTEMPTS: u32 = 5;
/// What the owner of an import reads that cannot be finished.
const CANNOT_BE_FINISHED: &str = "The import could not be finished. Results that are written stay. Create it again.";
/// The same if its project is not there any more.
const NO_PROJECT: &str = "The project is gone.";
/// More than the reasons of a segment have.
const REASONS_BYTES: u64 = 4 * 1024 * 1024;
/// The type of segments and reports.
const LINES: &str = "application/x-ndjson";

/// An import that this worker has.
pub(crate) struct Held {
    import: Import,
    lease: Timestamp,
}

/// Whether the worker still has the import.
type Holds = bool;

impl<S, W, T, O, I, Q, C> Adopter<S, W, T, O, I, Q, C>
where
    S: Imports,
    W: Webhooks,
    T: Projects + Items + ExportItems + ImportResults,
    O: Objects + Contents + Files,
    I: ImportQueue,
    Q: Queue,
    C: Clock,
{
    /// Works on an import, if it has not ended and no other worker has it.
    pub(crate) async fn work(&self, name: ImportName) -> Result<(), Error> {
        let (now, begun) = (self.clock.now(), Instant::now());
        let Some(ClaimedImport { import, attempts, lease }) = self.store.claim_import(name, now, now + LEASE).await?
        else {
            return Ok(());
        };
        let mut held = Held { import, lease };
        if attempts > ATTEMPTS {
            return self.fail(held, CANNOT_BE_FINISHED).await;
        }
        if held.import.work.folder.is_none() {
            match self.read(&mut held).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(NotRead::Refused(sentence)) => return self.fail(held, &sentence).await,
                Err(NotRead::Failed(error)) => return Err(error),
            }
        }
        self.apply(held, begun).await
    }

    /// Reads the whole file into segments.
    async fn read(&self, held: &mut Held) -> Result<Holds, NotRead> {
        let source = self.source(&held.import)?;
        let folder = held.lease.as_microsecond().to_string();
        let Some(file) = self.copy(held, &source).await? else { return Ok(false) };
        let (segments, reader) = file::segments(&held.import, file);
        let Some(number) = self.keep_segments(held, &folder, segments).await? else { return Ok(false) };
        match reader.await.map_err(Error::internal)? {
            Ok(()) => {}
            Err(Broken::File(sentence)) => return Err(NotRead::Refused(sentence)),
            Err(Broken::Io(error)) => return Err(Error::internal(error).into()),
            Err(Broken::Take(error)) => return Err(error.into()),
        }
        (held.import.work.folder, held.import.work.segments) = (Some(folder), number);
        Ok(self.renew(held).await?)
    }

    /// The file, which the organization may still read.
    fn source(&self, import: &Import) -> Result<Source, NotRead> {
        let Some(url) = &import.source else { return Ok(Source::Bucket(import.upload_key())) };
        match self.buckets.read(url, import.organization) {
            Some(read) => read.map_err(NotRead::Refused),
            None => Err(NotRead::Refused("The source is not s3://bucket/key.".into())),
        }
    }

    /// The file on this disk. `None`: another worker has the import.
    async fn copy(&self, held: &mut Held, source: &Source) -> Result<Option<File>, NotRead> {
        let mut copied = pin!(file::copy(&self.objects, source));
        loop {
            match timeout(RENEWED, &mut copied).await {
                Ok(file) => return file.map(Some),
                Err(_) if self.renew(held).await? => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// Puts segments into the bucket as they come, and counts them. `None`: another worker has the import.
    async fn keep_segments(
        &self,
        held: &mut Held,
        folder: &str,
        mut segments: Receiver<Segment>,
    ) -> Result<Option<u32>, Error> {
        let (mut number, mut renewed) = (0, Instant::now());
        loop {
            let segment = timeout(RENEWED, segments.recv()).await;
            if renewed.elapsed() >= RENEWED {
                if !self.renew(held).await? {
                    return Ok(None);
                }
                renewed = Instant::now();
            }
            match segment {
                Ok(Some(bytes)) => self.objects.put(&held.import.segment_key(folder, number), LINES, bytes).await?,
                Ok(None) => return Ok(Some(number)),
                Err(_) => continue, // the reader is busy
            }
            number += 1;
        }
    }

    /// Writes the labels of the segments that are left, and ends the import.
    async fn apply(&self, mut held: Held, begun: Instant) -> Result<(), Error> {
        let Import { organization, project, uid, .. } = held.import;
        let project = match self.catalog.project(organization, project).await {
            Ok(project) => project,
            Err(Error::NotFound(_)) => return self.fail(held, NO_PROJECT).await,
            Err(error) => return Err(error),
        };
        let mut applying = Applying::new(project);
        while let Some(number) = held.import.next_segment() {
            if begun.elapsed() >= TIME {
                self.renew_until(&mut held, Timestamp::UNIX_EPOCH).await?;
                return self.queue.request_import((organization, applying.project.uid, uid)).await;
            }
            let applied = self.apply_segment(&held.import, number, &mut applying).await?;
            self.objects.put(&held.import.reasons_key(number), LINES, applied.lines()?).await?;
            held.import.count(applied.counts, &applied.untaken, self.clock.now());
            if !self.renew(&mut held).await? {
                return Ok(());
            }
        }
        let ended = held.import.clone().imported(self.clock.now());
        self.end(&ended, held.lease).await
    }

    /// Stores how far the work has come, and keeps the import.
    async fn renew(&self, held: &mut Held) -> Result<Holds, Error> {
        self.renew_until(held, self.clock.now() + LEASE).await
    }

    async fn renew_until(&self, held: &mut Held, next: Timestamp) -> Result<Holds, Error> {
        held.import.updated_at = change_time(held.import.updated_at, self.clock.now());
        let holds = self.store.advance_import(&held.import, held.lease, next).await?;
        held.lease = next;
        Ok(holds)
    }

    async fn fail(&self, held: Held, sentence: &str) -> Result<(), Error> {
        let failed = held.import.failed(sentence, self.clock.now());
        self.end(&failed, held.lease).await
    }

    /// Writes the report, stores the end of an import, and sends its event.
    async fn end(&self, ended: &Import, lease: Timestamp) -> Result<(), Error> {
        self.report(ended).await?;
        let deliveries = outbox::deliveries(&self.webhooks, Event::of_import(ended), self.clock.now()).await?;
        if self.store.end_import(ended, lease, &deliveries).await? {
            let (status, items) = (ended.status.as_str(), ended.counts.items);
            info!(import.uid = %ended.uid, import.status = status, items, "import ended");
            outbox::send(&self.deliveries, &deliveries).await;
        }
        Ok(())
    }

    /// Joins the reasons of all segments.
    async fn report(&self, ended: &Import) -> Result<(), Error> {
        let mut report = self.objects.begin(&ended.report_key(), LINES).await?;
        let mut pending = Vec::new();
        for number in 0..ended.work.applied {
            let reasons = Source::Bucket(ended.reasons_key(number));
            let piece = self.objects.piece(&reasons, 0, REASONS_BYTES).await;
            pending.extend(piece.map_err(|error| Error::ObjectsUnavailable(error.into()))?);
            if pending.len() >= limits::PART_BYTES {
                self.objects.append(&mut report, std::mem::take(&mut pending)).await?;
            }
        }
        if !pending.is_empty() || report.parts.is_empty() {
            self.objects.append(&mut report, pending).await?;
        }
        self.objects.complete(report).await
    }
}

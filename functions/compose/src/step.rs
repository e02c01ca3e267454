//! One step of an export.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::domain::export::Export;
use shared::domain::export::work::{Fragment, Phase, Pieces, Work};
use shared::domain::item::Item;
use shared::domain::item::source::Source;
use shared::domain::{Error, change_time, limits};
use shared::ports::{
    Claimed, Clock, Contents, ExportItems, ExportQueue, Exports, Folders, NoFile, Objects, Page, Queue, Slice, Step,
    Upload, Webhooks,
};
use tokio::time::Instant;

use crate::Composer;
use crate::file::File;

/// A step ends behind the page that it reads at this time. It is the time between two numbers of an export's progress, and what a
/// crash repeats.
const STEP: Duration = Duration::from_secs(10);
/// Large annotations that are fetched at once. A page has at most so many bytes as an answer of the API.
const FETCHES: usize = 16;

/// A step under way.
struct Progress {
    export: Export,
    work: Work,
    file: File,
    /// What is written beside the file, and not in an object yet.
    side: Vec<u8>,
}

impl<S, W, O, E, Q, C> Composer<S, W, O, E, Q, C>
where
    S: Exports + ExportItems,
    W: Webhooks,
    O: Objects + Contents + Folders,
    E: ExportQueue,
    Q: Queue,
    C: Clock,
{
    /// Does a step, stores it, and asks for the next one. The last steps follow each other without a message.
    pub(crate) async fn step(&self, mut claimed: Claimed) -> Result<(), Error> {
        if claimed.work.phase != Phase::Complete {
            let mut progress = self.open(&claimed).await?;
            let end = Instant::now() + STEP; // a page is read in any case
            while progress.work.phase != Phase::Complete && Instant::now() < end {
                self.advance(&mut progress).await?;
            }
            (claimed.export, claimed.work) = self.close(progress).await?;
            let keeps = claimed.work.phase == Phase::Complete;
            let Claimed { export, work, lease, .. } = &claimed;
            if !self.exports.advance_export(&Step { export, work, lease: *lease, keeps }).await? {
                return self.give_up(export).await;
            }
            if !keeps {
                return self.queue.request_step(export.organization, export.uid).await;
            }
        }
        self.complete(&claimed.export, &claimed.work).await?;
        let file = claimed.work.finished(&claimed.export);
        let ended = claimed.export.clone().exported(file, self.clock.now());
        self.end(ended, claimed.lease).await
    }

    async fn open(&self, claimed: &Claimed) -> Result<Progress, Error> {
        let Claimed { export, work, .. } = claimed.clone();
        let mut file = File::open(&self.objects, &export, &work.file).await?;
        if work.steps == 0 {
            file.append(&self.objects, &work.begin(&export)?).await?;
        }
        Ok(Progress { export, work, file, side: Vec::new() })
    }

    /// Reads a page, or appends a fragment.
    async fn advance(&self, progress: &mut Progress) -> Result<(), Error> {
        match progress.work.phase {
            Phase::Survey => self.survey(progress).await,
            Phase::Write => self.write(progress).await,
            Phase::Join => self.join(progress).await,
            Phase::Complete => Ok(()),
        }
    }

    async fn survey(&self, progress: &mut Progress) -> Result<(), Error> {
        let Progress { export, work, .. } = progress;
        let page = self.page(export, work).await?;
        let items = if Work::surveys_annotations(export.options.format) {
            self.whole(page.entries).await?
        } else {
            page.entries
        };
        work.survey(export, &items);
        work.pass_page(export, page.next);
        Ok(())
    }

    async fn write(&self, progress: &mut Progress) -> Result<(), Error> {
        let Progress { export, work, file, side } = progress;
        let page = self.page(export, work).await?;
        let Pieces { file: bytes, side: beside } = work.write(export, &self.whole(page.entries).await?)?;
        file.append(&self.objects, &bytes).await?;
        side.extend_from_slice(&beside);
        let is_last = work.pass_page(export, page.next);
        if side.len() >= limits::EXPORT_PART_BYTES || is_last {
            self.put_side(export, work, side).await?;
        }
        if is_last {
            file.append(&self.objects, work.middle(export)).await?;
        }
        Ok(())
    }

    /// Puts what is beside the file into an object. Its name is its number: a step that is repeated writes over it.
    async fn put_side(&self, export: &Export, work: &mut Work, side: &mut Vec<u8>) -> Result<(), Error> {
        if side.is_empty() {
            return Ok(());
        }
        let fragment = Fragment { name: format!("side-{}", work.side.len()), bytes: side.len() as u64 };
        self.objects.put(&export.object_key(&fragment.name), "application/octet-stream", std::mem::take(side)).await?;
        work.side.push(fragment);
        Ok(())
    }

    /// Appends the next fragment to the file, and behind the last one the file's end.
    async fn join(&self, progress: &mut Progress) -> Result<(), Error> {
        let Progress { export, work, file, .. } = progress;
        if let Some(Fragment { name, bytes }) = work.side.get(work.joined) {
            let fragment = self.objects.get_range(&export.object_key(name), 0, *bytes).await?;
            file.append(&self.objects, &fragment).await?;
            work.joined += 1;
            return Ok(());
        }
        file.append(&self.objects, &work.end(export, file.bytes())?).await?;
        work.phase = Phase::Complete;
        Ok(())
    }

    /// What is to be stored of a step.
    async fn close(&self, progress: Progress) -> Result<(Export, Work), Error> {
        let Progress { mut export, mut work, file, mut side } = progress;
        self.put_side(&export, &mut work, &mut side).await?;
        work.steps += 1;
        work.file = match work.phase {
            Phase::Complete => file.close(&self.objects).await?,
            _ => file.suspend(&self.objects, &export, work.steps).await?,
        };
        export.updated_at = change_time(export.updated_at, self.clock.now());
        Ok((export, work))
    }

    /// Makes the object of its parts, unless an attempt whose answer was lost has done so: S3 does not know the upload then.
    async fn complete(&self, export: &Export, work: &Work) -> Result<(), Error> {
        let key = export.object_key(export.options.format.file_name());
        let there = self.objects.described(&Source::Bucket(key.clone())).await;
        let there = there.map_err(|error: NoFile| Error::ObjectsUnavailable(error.into()))?;
        if there.is_some_and(|object| object.size_bytes == work.file.bytes) {
            return Ok(());
        }
        let id = work.file.upload.clone().unwrap_or_default();
        self.objects.complete(Upload { key, id, parts: work.file.parts.clone() }).await
    }

    /// The items that are next.
    async fn page(&self, export: &Export, work: &Work) -> Result<Page<Item>, Error> {
        let Some(source) = export.sources.get(work.source) else { return Ok(Page::whole(Vec::new())) };
        let slice = Slice { after: work.after.clone(), limit: limits::EXPORT_PAGE, ascending: true, backward: false };
        let rejected = export.options.needs_rejected();
        self.exports.items_to_export(export.organization, source.project, rejected, &slice).await
    }

    /// The items with the annotations that are in S3, since they are too large for a row (docs/decisions/0003 and 0038).
    async fn whole(&self, items: Vec<Item>) -> Result<Vec<Item>, Error> {
        stream::iter(items).map(|item| self.whole_item(item)).buffered(FETCHES).try_collect().await
    }

    async fn whole_item(&self, mut item: Item) -> Result<Item, Error> {
        if let Some(result) = &mut item.result
            && let Some(blob) = &result.elsewhere
        {
            result.annotations = blob.read(&self.objects.get_range(&blob.key, blob.offset, blob.length).await?)?;
        }
        Ok(item)
    }
}

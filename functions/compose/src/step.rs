//! One step of an export.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::domain::export::Export;
use shared::domain::export::work::{Fragment, Next, Phase, Work};
use shared::domain::item::Item;
use shared::domain::item::source::Source;
use shared::domain::prediction::Prediction;
use shared::domain::prediction::draft::BlobRef;
use shared::domain::{Error, change_time, limits};
use shared::ports::{
    Claimed, Clock, Contents, ExportItems, ExportQueue, Exports, Files, Folders, NoFile, Objects, Page, Queue, Slice,
    Step, Upload, Webhooks,
};
use tokio::time::Instant;

use crate::Composer;
use crate::file::File;
use crate::picture::Picture;

/// A step ends behind the page that it reads at this time. It is the time between two numbers of an export's progress, and what a
/// crash repeats.
pub(crate) const STEP: Duration = Duration::from_secs(10);
/// Large annotations that are fetched at once.
const FETCHES: usize = 16;
/// Items of a group whose masks are unpacked, or whose pictures are copied: the clock is asked behind a group.
const UNPACKED: usize = 8;

/// A step under way.
struct Progress {
    export: Export,
    work: Work,
    file: File,
    /// What is written beside the file, and not in an object yet.
    side: Vec<u8>,
    /// The same, before `side`.
    list: Vec<u8>,
    /// When the step is over.
    end: Instant,
}

impl<S, W, O, E, Q, C, H> Composer<S, W, O, E, Q, C, H>
where
    S: Exports + ExportItems,
    W: Webhooks,
    O: Objects + Contents + Files + Folders,
    E: ExportQueue,
    Q: Queue,
    C: Clock,
    H: Files,
{
    /// Does a step, stores it, and asks for the next one. The last steps follow each other without a message.
    pub(crate) async fn step(&self, claimed: Claimed) -> Result<(), Error> {
        let Claimed { mut export, work, lease, .. } = claimed;
        let mut work = work.ok_or_else(|| Error::internal("the work on an export cannot be read"))?;
        if work.phase != Phase::Complete {
            let mut progress = self.open(export, work).await?;
            while progress.goes_on() {
                self.advance(&mut progress).await?;
            }
            if let Some(why) = progress.work.refusal() {
                return self.end(progress.export.failed(why, self.clock.now()), lease).await;
            }
            (export, work) = self.close(progress).await?;
            let keeps = work.phase == Phase::Complete;
            if !self.exports.advance_export(&Step { export: &export, work: &work, lease, keeps }).await? {
                return self.give_up(&export).await;
            }
            if !keeps {
                return self.queue.request_step(export.organization, export.uid).await;
            }
        }
        self.complete(&export, &work).await?;
        let file = work.finished(&export);
        self.end(export.exported(file, self.clock.now()), lease).await
    }

    async fn open(&self, export: Export, work: Work) -> Result<Progress, Error> {
        let file = File::open(&self.objects, &export, &work.file).await?;
        let end = Instant::now() + STEP; // a group of items is read in any case
        Ok(Progress { export, work, file, side: Vec::new(), list: Vec::new(), end })
    }

    /// Reads a page, or appends a fragment.
    async fn advance(&self, progress: &mut Progress) -> Result<(), Error> {
        match progress.work.phase {
            Phase::Survey | Phase::Write => self.read(progress).await,
            Phase::Join => self.join(progress).await,
            Phase::Complete => Ok(()),
        }
    }

    /// Works through a page, group by group. A step that is over in the middle of it leaves the rest to the next one.
    async fn read(&self, progress: &mut Progress) -> Result<(), Error> {
        let page = self.page(&progress.export, &progress.work).await?;
        let mut groups = progress.groups(page.entries).into_iter().peekable();
        while let Some(group) = groups.next() {
            let last = group.last().map(|item| self.exports.position_to_export(item));
            if let Some(after) = self.take(progress, group).await? {
                progress.work.after = Some(after);
                return Ok(());
            }
            if groups.peek().is_some() && !progress.goes_on() {
                progress.work.after = last;
                return Ok(());
            }
        }
        self.pass_page(progress, page.next).await
    }

    /// Counts or writes items. Returns the position of the last one that is done with, if the step is over before the others.
    async fn take(&self, progress: &mut Progress, group: Vec<Item>) -> Result<Option<String>, Error> {
        let group = self.whole(&progress.export, &progress.work, group).await?;
        if progress.work.phase == Phase::Survey {
            progress.work.survey(&mut progress.export, &group);
            return Ok(None);
        }
        if progress.export.options.include_images {
            return self.write_pictured(progress, &group).await;
        }
        self.write(progress, Next::Items(&group)).await?;
        Ok(None)
    }

    /// Writes items with their pictures. Returns the position of the last one that is written, if the step is over before the others.
    async fn write_pictured(&self, progress: &mut Progress, group: &[Item]) -> Result<Option<String>, Error> {
        let organization = progress.export.organization;
        for (index, item) in group.iter().enumerate() {
            if progress.work.copies(&progress.export, item) {
                match self.picture(organization, item.asset.source.clone()).await? {
                    Ok(picture) => self.write_one_pictured(progress, item, picture).await?,
                    Err(why) => progress.work.leave_out(&mut progress.export, item, &why),
                }
            } else {
                self.write(progress, Next::Items(std::slice::from_ref(item))).await?;
            }
            if index + 1 < group.len() && !progress.goes_on() {
                return Ok(Some(self.exports.position_to_export(item)));
            }
        }
        Ok(None)
    }

    async fn write_one_pictured(&self, progress: &mut Progress, item: &Item, picture: Picture) -> Result<(), Error> {
        let Progress { export, work, file, side, list, .. } = progress;
        let pieces = work.write(export, Next::Pictured(item, picture.copied), file.bytes(), &self.bucket)?;
        side.extend_from_slice(&pieces.side);
        list.extend_from_slice(&pieces.list);
        file.append(&self.objects, &pieces.header).await?;
        self.copy(file, picture).await?;
        file.append(&self.objects, &pieces.file).await
    }

    /// Appends what is next to the file, and to what is beside it.
    async fn write(&self, progress: &mut Progress, next: Next<'_>) -> Result<(), Error> {
        let Progress { export, work, file, side, list, .. } = progress;
        let pieces = work.write(export, next, file.bytes(), &self.bucket)?;
        side.extend_from_slice(&pieces.side);
        list.extend_from_slice(&pieces.list);
        file.append(&self.objects, &pieces.file).await
    }

    /// Goes on behind a page.
    async fn pass_page(&self, progress: &mut Progress, next: Option<String>) -> Result<(), Error> {
        let was_survey = progress.work.phase == Phase::Survey;
        let is_last = progress.work.pass_page(&progress.export, next);
        match (was_survey, is_last) {
            (true, false) => return Ok(()),
            (true, true) => self.write(progress, Next::Begin).await?,
            (false, true) => self.write(progress, Next::Middle).await?,
            (false, false) => {}
        }
        if progress.side.len() + progress.list.len() >= limits::EXPORT_PART_BYTES || (is_last && !was_survey) {
            self.put_beside(progress).await?;
        }
        Ok(())
    }

    /// Puts what is beside the file into objects.
    async fn put_beside(&self, progress: &mut Progress) -> Result<(), Error> {
        let Progress { export, work, side, list, .. } = progress;
        self.put(export, "side", &mut work.side, side).await?;
        self.put(export, "list", &mut work.list, list).await
    }

    /// Puts bytes into an object. Its name is its number: a step that is repeated writes over it.
    async fn put(
        &self,
        export: &Export,
        name: &str,
        fragments: &mut Vec<Fragment>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let fragment = Fragment { name: format!("{name}-{}", fragments.len()), bytes: bytes.len() as u64 };
        self.objects.put(&export.object_key(&fragment.name), "application/octet-stream", std::mem::take(bytes)).await?;
        fragments.push(fragment);
        Ok(())
    }

    /// Appends the next fragment to the file, and behind the last one the file's end.
    async fn join(&self, progress: &mut Progress) -> Result<(), Error> {
        let Progress { export, work, file, .. } = progress;
        let next = work.beside().nth(work.joined).cloned();
        if let Some(Fragment { name, bytes }) = next {
            let fragment = self.objects.get_range(&export.object_key(&name), 0, bytes).await?;
            file.append(&self.objects, &fragment).await?;
            work.joined += 1;
            return Ok(());
        }
        self.write(progress, Next::End).await?;
        progress.work.phase = Phase::Complete;
        Ok(())
    }

    /// What is to be stored of a step.
    async fn close(&self, mut progress: Progress) -> Result<(Export, Work), Error> {
        self.put_beside(&mut progress).await?;
        let Progress { mut export, mut work, file, .. } = progress;
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

    /// The items that are next. Those that the export does not take are not fetched.
    async fn page(&self, export: &Export, work: &Work) -> Result<Page<Item>, Error> {
        let Some(source) = export.sources.get(work.source) else { return Ok(Page::whole(Vec::new())) };
        let slice = Slice { after: work.after.clone(), limit: limits::EXPORT_PAGE, ascending: true, backward: false };
        let rejected = export.options.needs_rejected();
        let mut page = self.exports.items_to_export(export.organization, source.project, rejected, &slice).await?;
        page.entries.retain(|item| export.options.takes(item));
        Ok(page)
    }

    /// The items with what is needed of them that is in S3, since it is too large for a row (docs/decisions/0003 and 0038).
    async fn whole(&self, export: &Export, work: &Work, items: Vec<Item>) -> Result<Vec<Item>, Error> {
        let whole = |item| self.whole_item(export, work, item);
        stream::iter(items).map(whole).buffered(FETCHES).try_collect().await
    }

    async fn whole_item(&self, export: &Export, work: &Work, mut item: Item) -> Result<Item, Error> {
        let (annotations, draft) = work.needs(export, &item);
        let (annotations, draft) = (self.fetched(annotations).await?, self.fetched(draft).await?);
        let Some(result) = &mut item.result else { return Ok(item) };
        if let Some(annotations) = annotations {
            result.annotations = annotations;
        }
        if let (Some(kept), Some(annotations)) = (&mut result.draft, draft) {
            kept.annotations = annotations;
        }
        Ok(item)
    }

    async fn fetched(&self, blob: Option<&BlobRef>) -> Result<Option<Vec<Prediction>>, Error> {
        let Some(blob) = blob else { return Ok(None) };
        blob.read(&self.objects.get_range(&blob.key, blob.offset, blob.length).await?).map(Some)
    }
}

impl Progress {
    /// Whether there is more to do in this step.
    fn goes_on(&self) -> bool {
        self.work.phase != Phase::Complete && self.work.refusal().is_none() && Instant::now() < self.end
    }

    /// Items in groups that are held in memory at once: what is fetched of a group has at most [`limits::PAGE_BYTES`] as JSON, or is
    /// of one item.
    fn groups(&self, items: Vec<Item>) -> Vec<Vec<Item>> {
        let most = if self.export.options.unpacks() { UNPACKED } else { usize::MAX };
        let (mut groups, mut room) = (Vec::<Vec<Item>>::new(), 0);
        for item in items {
            let bytes = self.work.needed_bytes(&self.export, &item);
            match groups.last_mut() {
                Some(group) if bytes <= room && group.len() < most => group.push(item),
                _ => {
                    groups.push(vec![item]);
                    room = limits::PAGE_BYTES as u64;
                }
            }
            room = room.saturating_sub(bytes);
        }
        groups
    }
}

//! Why a job takes no items. It is read only then: a job with items pays nothing for it.

use shared::domain::job::note;
use shared::domain::job::{JobSpec, UploadRun};
use shared::domain::project::item_count::ItemCount;
use shared::domain::{Error, Timestamp, limits};
use shared::ports::{Items, Slice, WaitingUploads};

use crate::Planner;
use crate::pick::Selection;

impl<S, T: Items + WaitingUploads, O, C> Planner<S, T, O, C> {
    /// The note of a job without items.
    pub(crate) async fn why_empty(
        &self,
        spec: &JobSpec,
        selection: &Selection<'_>,
        now: Timestamp,
    ) -> Result<String, Error> {
        match selection {
            Selection::Uploads(run) => self.why_no_uploads(spec, run, now).await,
            Selection::Left(_) => Ok(note::NOTHING_TO_RETRY.to_owned()),
            Selection::Unlabeled => Ok(self.count_items(spec).await?.note()),
        }
    }

    async fn why_no_uploads(&self, spec: &JobSpec, run: &UploadRun, now: Timestamp) -> Result<String, Error> {
        let project = self.tenants.backlog(spec.organization, spec.project).await?.project;
        if project.auto_label_on_upload.is_none() {
            return Ok(note::UPLOADS_ARE_OFF.to_owned());
        }
        let is_full = self.tenants.taken_today(spec.project, now).await? >= run.max_items_per_day;
        Ok(if is_full { note::day_is_full(run.max_items_per_day) } else { note::NO_UPLOADS.to_owned() })
    }

    /// Reads the newest items of the project, one more than are counted.
    async fn count_items(&self, spec: &JobSpec) -> Result<ItemCount, Error> {
        let mut count = ItemCount::default();
        let mut slice = Slice { limit: limits::PAGE, ..Slice::default() };
        while !count.is_full() {
            let page = self.tenants.items_of(spec.organization, Some(spec.project), &slice).await?;
            page.entries.iter().for_each(|item| count.add(item));
            slice.after = page.next;
            if slice.after.is_none() {
                break;
            }
        }
        Ok(count)
    }
}

//! A dataset is created as soon as each file of its folder is an item or a rejected upload. Nothing waits for that: each read of
//! the dataset goes on from where the last one ended.

use shared::domain::Error;
use shared::domain::item::Item;
use shared::domain::project::Project;
use shared::domain::project::dataset::{Dataset, Stage};
use shared::ports::{Clock, Datasets, Folders};

use crate::{DatasetApi, DatasetPorts};

/// Pages of a thousand files that one call examines: some seconds.
const PAGES: usize = 10;

impl<P: DatasetPorts> DatasetApi<P> {
    /// The project after another read of its files.
    pub(crate) async fn indexed(&self, project: Project) -> Result<Project, Error> {
        let Some(Dataset { stage: Stage::Indexing { until: before }, .. }) = &project.dataset else {
            return Ok(project);
        };
        let stage = self.stage_behind(&project, before.clone()).await?;
        if stage == (Stage::Indexing { until: before.clone() }) {
            return Ok(project);
        }
        let dataset = project.dataset.clone().map(|dataset| Dataset { stage, ..dataset });
        let after = Project { dataset, updated_at: self.clock.now(), ..project.clone() };
        if self.store.change_dataset(&project, &after).await? { Ok(after) } else { Ok(project) }
    }

    async fn stage_behind(&self, project: &Project, mut until: Option<String>) -> Result<Stage, Error> {
        let folder = Item::object_key(project.uid, "");
        for _ in 0..PAGES {
            let keys = self.objects.keys_behind(&folder, until.as_deref()).await?;
            if keys.is_empty() {
                return Ok(Stage::Created);
            }
            let taken_in = self.store.count_taken_in(project.uid, &keys).await?;
            until = keys[..taken_in].last().cloned().or(until);
            if taken_in < keys.len() {
                break;
            }
        }
        Ok(Stage::Indexing { until })
    }
}

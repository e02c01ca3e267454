use crate::domain::id::{ItemUid, OrganizationUid, ProjectUid, UploadUid};
use crate::domain::project::Project;
use crate::domain::project::dataset::DatasetName;
use crate::domain::upload::parse_object_key;
use crate::domain::{Error, Timestamp};
use crate::ports::{Announced, Datasets};
use crate::testing::lock;
use crate::testing::providers::MemoryTenants;

/// Names and announced files of [`MemoryTenants`].
#[derive(Debug, Default)]
pub(super) struct Named {
    names: Vec<(OrganizationUid, DatasetName, ProjectUid)>,
    announced: Vec<Announced>,
}

impl Named {
    fn bytes(&self, organization: OrganizationUid) -> u64 {
        self.announced.iter().filter(|file| file.organization == organization).map(|file| file.bytes).sum()
    }
}

impl Datasets for MemoryTenants {
    async fn name_dataset(
        &self,
        organization: OrganizationUid,
        name: &DatasetName,
        project: ProjectUid,
    ) -> Result<ProjectUid, Error> {
        let holder = self.dataset_named(organization, name).await?;
        self.fault.around(|| {
            if holder.is_none() {
                lock(&self.named).names.push((organization, name.clone(), project));
            }
            Ok(holder.unwrap_or(project))
        })
    }

    async fn dataset_named(
        &self,
        organization: OrganizationUid,
        name: &DatasetName,
    ) -> Result<Option<ProjectUid>, Error> {
        let named = lock(&self.named);
        Ok(named.names.iter().find(|(owner, known, _)| (*owner, known) == (organization, name)).map(|(.., uid)| *uid))
    }

    async fn change_dataset(&self, before: &Project, after: &Project) -> Result<bool, Error> {
        self.with_project(after.organization, after.uid, |project| {
            let unchanged = project.dataset == before.dataset;
            if unchanged {
                (project.name, project.dataset) = (after.name.clone(), after.dataset.clone());
                project.updated_at = after.updated_at;
            }
            unchanged
        })
    }

    async fn announce(&self, file: &Announced, limit: u64, _: Timestamp) -> Result<(), Error> {
        self.fault.around(|| {
            let mut named = lock(&self.named);
            let used = named.bytes(file.organization);
            let is_same = |known: &&mut Announced| (known.project, &known.key) == (file.project, &file.key);
            let known = named.announced.iter_mut().find(is_same);
            let before = known.as_ref().map_or(0, |known| known.bytes);
            if used + file.bytes.saturating_sub(before) > limit {
                return Err(Error::QuotaExceeded { used, limit });
            }
            match known {
                Some(known) => known.bytes = known.bytes.max(file.bytes),
                None => named.announced.push(file.clone()),
            }
            Ok(())
        })
    }

    async fn announced_bytes(&self, organization: OrganizationUid) -> Result<u64, Error> {
        Ok(lock(&self.named).bytes(organization))
    }

    async fn count_taken_in(&self, project: ProjectUid, objects: &[String]) -> Result<usize, Error> {
        let (items, rejected) = (self.all_items(), self.rejected());
        let is_taken_in = |object: &&String| {
            let item = parse_object_key(object).map(|(_, key)| ItemUid::of(project, key));
            let upload = UploadUid::of(project, None, object);
            items.iter().any(|known| Some(known.asset.uid) == item)
                || rejected.iter().any(|known| known.uid() == upload)
        };
        Ok(objects.iter().take_while(is_taken_in).count())
    }
}

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{Stream, stream};

use crate::domain::access::organization::Organization;
use crate::domain::id::{ItemUid, OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::item::{Asset, AssetType, Item};
use crate::domain::project::{Project, ProjectChange};
use crate::domain::provider::{InferenceProvider, ProviderName};
use crate::domain::{Error, Timestamp};
use crate::ports::{Items, Organizations, Page, Projects, Providers, Slice, UnlabeledQuery};
use crate::testing::datasets::Named;
use crate::testing::uploads::Uploaded;
use crate::testing::{Fault, MemoryJobs, lock};

/// Projects, their items and providers in memory. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryTenants {
    pub(super) projects: Arc<Mutex<Vec<Project>>>,
    pub(super) items: Arc<Mutex<Vec<Item>>>,
    providers: Arc<Mutex<Vec<InferenceProvider>>>,
    organizations: Arc<Mutex<Vec<Organization>>>,
    pub(super) uploads: Arc<Mutex<Uploaded>>,
    pub(super) named: Arc<Mutex<Named>>,
    pub(super) jobs: MemoryJobs,
    pub(super) fault: Arc<Fault>,
}

impl MemoryTenants {
    /// One of the calls fails that are about items, uploads or jobs, that add a project or a provider, or that note what served a job.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { jobs: self.jobs.clone().failing(fault), fault: Arc::clone(fault), ..self }
    }

    pub(super) fn with_project<T>(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        change: impl FnOnce(&mut Project) -> T,
    ) -> Result<T, Error> {
        let mut projects = lock(&self.projects);
        let project = projects.iter_mut().find(|p| (p.organization, p.uid) == (organization, uid));
        project.map(change).ok_or_else(|| uid.missing())
    }

    fn find(
        &self,
        organization: OrganizationUid,
        uid: ProviderUid,
    ) -> Result<(usize, MutexGuard<'_, Vec<InferenceProvider>>), Error> {
        let providers = lock(&self.providers);
        let position = providers
            .iter()
            .position(|p| (p.organization, p.uid) == (organization, uid))
            .ok_or_else(|| uid.missing())?;
        Ok((position, providers))
    }
}

impl Projects for MemoryTenants {
    async fn add_project(&self, project: &Project) -> Result<Option<Project>, Error> {
        self.fault.around(|| {
            let mut projects = lock(&self.projects);
            let there = projects.iter().find(|there| there.uid == project.uid).cloned();
            if there.is_none() {
                projects.push(project.clone());
            }
            Ok(there)
        })
    }

    async fn project(&self, organization: OrganizationUid, uid: ProjectUid) -> Result<Project, Error> {
        lock(&self.projects)
            .iter()
            .find(|p| (p.organization, p.uid) == (organization, uid))
            .cloned()
            .ok_or_else(|| uid.missing())
    }

    async fn projects(&self, organization: OrganizationUid, _: &Slice) -> Result<Page<Project>, Error> {
        let entries = lock(&self.projects).iter().rev().filter(|p| p.organization == organization).cloned().collect();
        Ok(Page::whole(entries))
    }

    async fn change_project(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        change: &ProjectChange,
        now: Timestamp,
    ) -> Result<Project, Error> {
        self.forget_upload_job(uid);
        self.with_project(organization, uid, |project| {
            *project = change.clone().applied_to(project.clone(), now);
            project.clone()
        })
    }

    async fn note_provider(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        provider: Option<&ProviderName>,
    ) -> Result<(), Error> {
        self.fault.around(|| {
            let noted = self.with_project(organization, uid, |project| project.last_provider = provider.cloned());
            noted.or(Ok(()))
        })
    }

    async fn count_items(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        added: &[AssetType],
    ) -> Result<(), Error> {
        self.with_project(organization, uid, |project| {
            for kind in added {
                match kind {
                    AssetType::Image => project.image_count += 1,
                    AssetType::VideoFrame => project.video_frame_count += 1,
                    AssetType::PointCloud => project.point_cloud_count += 1,
                }
            }
        })
    }
}

impl Items for MemoryTenants {
    async fn add_items(&self, items: &[Item]) -> Vec<Result<Option<Item>, Error>> {
        let mut stored = lock(&self.items);
        let mut add = |item: &Item| {
            let there = stored.iter().find(|there| there.asset.uid == item.asset.uid).cloned();
            if there.is_none() {
                stored.push(item.clone());
            }
            Ok(there)
        };
        items.iter().map(|item| self.fault.around(|| add(item))).collect()
    }

    async fn items(&self, uids: &[ItemUid]) -> Result<Vec<Item>, Error> {
        let stored = lock(&self.items);
        self.fault.around(|| {
            Ok(uids.iter().filter_map(|uid| stored.iter().find(|item| item.asset.uid == *uid).cloned()).collect())
        })
    }

    async fn items_of(
        &self,
        organization: OrganizationUid,
        project: Option<ProjectUid>,
        _: &Slice,
    ) -> Result<Page<Item>, Error> {
        let listed =
            |item: &&Item| item.organization == organization && project.is_none_or(|project| item.project == project);
        Ok(Page::whole(lock(&self.items).iter().rev().filter(listed).cloned().collect()))
    }

    fn unlabeled(
        &self,
        project: ProjectUid,
        query: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>> + Send {
        let pages = match self.fault.around(|| Ok(self.waiting_in(project, &query))) {
            Ok(waiting) => waiting.chunks(100).map(|page| Ok(page.to_vec())).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(pages)
    }
}

impl Organizations for MemoryTenants {
    async fn add_organization(&self, organization: &Organization) -> Result<(), Error> {
        let mut organizations = lock(&self.organizations);
        if !organizations.iter().any(|o| o.uid == organization.uid) {
            organizations.push(organization.clone());
        }
        Ok(())
    }

    async fn organization(&self, uid: OrganizationUid) -> Result<Option<Organization>, Error> {
        Ok(lock(&self.organizations).iter().find(|o| o.uid == uid).cloned())
    }
}

impl Providers for MemoryTenants {
    async fn add_provider(&self, provider: &InferenceProvider) -> Result<Option<InferenceProvider>, Error> {
        self.fault.around(|| {
            let mut providers = lock(&self.providers);
            let there = providers.iter().find(|there| there.uid == provider.uid).cloned();
            if there.is_none() {
                providers.push(provider.clone());
            }
            Ok(there)
        })
    }

    async fn provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<InferenceProvider, Error> {
        self.find(organization, uid).map(|(position, providers)| providers[position].clone())
    }

    /// A page is a hundred at most, as one of large rows is.
    async fn providers(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<InferenceProvider>, Error> {
        let providers = lock(&self.providers);
        let mut newest = providers.iter().rev().filter(|p| p.organization == organization).peekable();
        if let Some(after) = &slice.after {
            while newest.next_if(|provider| provider.uid.to_string() != *after).is_some() {}
            newest.next();
        }
        let entries: Vec<InferenceProvider> = newest.by_ref().take(slice.limit.min(100)).cloned().collect();
        let next = newest.peek().and(entries.last()).map(|last| last.uid.to_string());
        Ok(Page { entries, next, previous: None })
    }

    async fn update_provider(&self, before: &InferenceProvider, after: &InferenceProvider) -> Result<bool, Error> {
        let Ok((position, mut providers)) = self.find(after.organization, after.uid) else { return Ok(false) };
        let now = &providers[position];
        let unchanged = (now.updated_at, now.last_test_at) == (before.updated_at, before.last_test_at);
        if unchanged {
            providers[position] = after.clone();
        }
        Ok(unchanged)
    }

    async fn record_test(&self, provider: &InferenceProvider, success: bool, now: Timestamp) -> Result<(), Error> {
        let (position, mut providers) = self.find(provider.organization, provider.uid)?;
        providers[position].last_test_at = Some(now);
        providers[position].last_test_success = Some(success);
        Ok(())
    }

    async fn remove_provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<(), Error> {
        self.find(organization, uid).map(|(position, mut providers)| drop(providers.remove(position)))
    }
}

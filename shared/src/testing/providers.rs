use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::project::Project;
use crate::domain::provider::InferenceProvider;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Projects, Providers, Slice};

/// Projects and providers in memory. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryTenants {
    projects: Arc<Mutex<Vec<Project>>>,
    providers: Arc<Mutex<Vec<InferenceProvider>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryTenants {
    fn find(
        &self,
        organization: OrganizationUid,
        uid: ProviderUid,
    ) -> Result<(usize, MutexGuard<'_, Vec<InferenceProvider>>), Error> {
        let providers = lock(&self.providers);
        let place =
            providers.iter().position(|p| (p.organization, p.uid) == (organization, uid)).ok_or(Error::NotFound)?;
        Ok((place, providers))
    }
}

impl Projects for MemoryTenants {
    async fn add_project(&self, project: &Project) -> Result<(), Error> {
        lock(&self.projects).push(project.clone());
        Ok(())
    }

    async fn project(&self, organization: OrganizationUid, uid: ProjectUid) -> Result<Project, Error> {
        lock(&self.projects)
            .iter()
            .find(|p| (p.organization, p.uid) == (organization, uid))
            .cloned()
            .ok_or(Error::NotFound)
    }

    async fn projects(&self, organization: OrganizationUid, _: &Slice) -> Result<Page<Project>, Error> {
        let entries = lock(&self.projects).iter().rev().filter(|p| p.organization == organization).cloned().collect();
        Ok(Page { entries, next: None })
    }
}

impl Providers for MemoryTenants {
    async fn add_provider(&self, provider: &InferenceProvider) -> Result<(), Error> {
        lock(&self.providers).push(provider.clone());
        Ok(())
    }

    async fn provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<InferenceProvider, Error> {
        self.find(organization, uid).map(|(place, providers)| providers[place].clone())
    }

    async fn providers(&self, organization: OrganizationUid, _: &Slice) -> Result<Page<InferenceProvider>, Error> {
        let entries = lock(&self.providers).iter().rev().filter(|p| p.organization == organization).cloned().collect();
        Ok(Page { entries, next: None })
    }

    async fn update_provider(&self, provider: &InferenceProvider) -> Result<(), Error> {
        self.find(provider.organization, provider.uid).map(|(place, mut providers)| providers[place] = provider.clone())
    }

    async fn record_test(&self, provider: &InferenceProvider, success: bool, now: Timestamp) -> Result<(), Error> {
        let (place, mut providers) = self.find(provider.organization, provider.uid)?;
        providers[place].last_test_at = Some(now);
        providers[place].last_test_success = Some(success);
        Ok(())
    }

    async fn remove_provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<(), Error> {
        self.find(organization, uid).map(|(place, mut providers)| drop(providers.remove(place)))
    }
}

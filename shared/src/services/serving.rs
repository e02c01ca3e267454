//! Which model serves a job: chosen when the job is created, and checked each time the job needs it.

use crate::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::job::{JobRequest, JobSpec};
use crate::domain::prediction::model_type::ModelType;
use crate::domain::project::Project;
use crate::domain::provider::{InferenceProvider, default_for};
use crate::domain::{Error, error, fields, show};
use crate::ports::{Providers, Slice};

/// Providers of one read: all that 1 MB holds.
const PROVIDERS: usize = 1_000;
/// Reads in which the default is searched: some 20 MB of providers.
const READS: usize = 20;

/// What serves a job now, or no longer does.
#[derive(Clone, Debug, PartialEq)]
pub enum JobModel {
    /// The deployment's own endpoint for the job's model type.
    Deployment,
    /// This provider.
    Provider(InferenceProvider),
    /// None: its provider is deactivated, or now belongs to another project.
    Inactive(InferenceProvider),
    /// None: its provider was deleted.
    Deleted,
}

/// The model of the jobs of `project` that were created with `provider`; `None` is the deployment's own endpoint.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn model_of(
    store: &impl Providers,
    organization: OrganizationUid,
    project: ProjectUid,
    provider: Option<ProviderUid>,
) -> Result<JobModel, Error> {
    let Some(uid) = provider else { return Ok(JobModel::Deployment) };
    match store.provider(organization, uid).await {
        Ok(provider) if provider.serves(project) => Ok(JobModel::Provider(provider)),
        Ok(provider) => Ok(JobModel::Inactive(provider)),
        Err(Error::NotFound(_)) => Ok(JobModel::Deleted),
        Err(error) => Err(error),
    }
}

/// [`model_of`] an existing job.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn model_of_job(store: &impl Providers, spec: &JobSpec) -> Result<JobModel, Error> {
    model_of(store, spec.organization, spec.project, spec.provider).await
}

/// Whether any model serves a job now. `endpoints` are the deployment's own.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn is_served(store: &impl Providers, endpoints: &[ModelType], spec: &JobSpec) -> Result<bool, Error> {
    Ok(match model_of_job(store, spec).await? {
        JobModel::Deployment => has_endpoint(endpoints, spec.options.model_type),
        JobModel::Provider(_) => true,
        JobModel::Inactive(_) | JobModel::Deleted => false,
    })
}

/// Chooses the provider of a new job (contract, D7): the one that the request names, else the project's newest active one, else
/// its organization's, else `None`, the deployment's own endpoint.
///
/// # Errors
/// `Validation`, if the request names one that does not serve the project; `NoInferenceProvider`; `StoreUnavailable`.
pub async fn choose_provider(
    store: &impl Providers,
    endpoints: &[ModelType],
    request: &JobRequest,
    project: &Project,
) -> Result<Option<ProviderUid>, Error> {
    if let Some(named) = &request.provider {
        return named_provider(store, named, project).await.map(Some);
    }
    match default_provider(store, project).await? {
        Some(provider) => Ok(Some(provider)),
        None if has_endpoint(endpoints, request.options.model_type) => Ok(None),
        None => Err(Error::NoInferenceProvider),
    }
}

fn has_endpoint(endpoints: &[ModelType], model: Option<ModelType>) -> bool {
    model.is_some_and(|model| endpoints.contains(&model))
}

async fn named_provider(store: &impl Providers, named: &str, project: &Project) -> Result<ProviderUid, Error> {
    let refused = |complaint: String| Error::field("provider_id", complaint);
    let no_uid = |_| refused(fields::must_be("the uid of an inference provider", show::quoted(named)));
    let uid = ProviderUid::parse(named).map_err(no_uid)?;
    match model_of(store, project.organization, project.uid, Some(uid)).await? {
        JobModel::Provider(_) => Ok(uid),
        JobModel::Inactive(provider) => Err(refused(provider.why_not(project.uid))),
        JobModel::Deployment | JobModel::Deleted => Err(refused(error::absence("inference provider", named))),
    }
}

/// The newest provider of the project that serves it, else the newest one of its organization that does.
async fn default_provider(store: &impl Providers, project: &Project) -> Result<Option<ProviderUid>, Error> {
    let mut slice = Slice { limit: PROVIDERS, ..Slice::default() };
    let mut of_organization = None;
    for _ in 0..READS {
        let page = store.providers(project.organization, &slice).await?;
        match default_for(project.uid, &page.entries) {
            Some(provider) if provider.project.is_some() => return Ok(Some(provider.uid)),
            Some(provider) => _ = of_organization.get_or_insert(provider.uid),
            None => {}
        }
        slice.after = page.next;
        if slice.after.is_none() {
            break;
        }
    }
    Ok(of_organization)
}

#[cfg(all(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "all of it is tests, and not all of it is in functions marked so")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::Timestamp;
    use crate::testing::MemoryTenants;

    fn a_project() -> Project {
        let now = Timestamp::from_second(1_000).unwrap();
        Project::read(br#"{"name": "Cats"}"#, OrganizationUid::named("acme"), now).unwrap()
    }

    fn a_provider(n: i64, project: Option<&Project>) -> InferenceProvider {
        let now = Timestamp::from_second(1_000 + n).unwrap();
        let config = json!({"endpoint_name": "yolo", "region": "us-east-1"});
        let body = json!({"name": "p", "provider_type": "sagemaker", "config": config}).to_string();
        let organization = OrganizationUid::named("acme");
        let url = |_| Err("no endpoint of this kind has a URL".to_owned());
        let (provider, _) = InferenceProvider::read(body.as_bytes(), organization, now, url).unwrap();
        InferenceProvider { project: project.map(|project| project.uid), ..provider }
    }

    #[tokio::test]
    async fn a_job_finds_its_provider_however_many_newer_ones_there_are() {
        let project = a_project();
        for (own, of_organization) in [(true, true), (false, true), (true, false), (false, false)] {
            let store = MemoryTenants::default();
            let wanted = a_provider(0, Some(&project));
            let second = a_provider(1, None);
            for (provider, is_there) in [(&wanted, own), (&second, of_organization)] {
                if is_there {
                    store.add_provider(provider).await.unwrap();
                }
            }
            for n in 2..350 {
                store.add_provider(&InferenceProvider { is_active: false, ..a_provider(n, None) }).await.unwrap();
            }

            let found = default_provider(&store, &project).await.unwrap();

            let expected = own.then_some(wanted.uid).or(of_organization.then_some(second.uid));
            assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn a_provider_that_cannot_serve_is_refused_with_its_own_reason() {
        let (store, project, other) = (MemoryTenants::default(), a_project(), a_project());
        let inactive = InferenceProvider { is_active: false, ..a_provider(0, None) };
        let foreign = a_provider(1, Some(&other));
        let unknown = a_provider(2, None).uid.to_string();
        for provider in [&inactive, &foreign] {
            store.add_provider(provider).await.unwrap();
        }
        for (named, sentence) in [
            ("my model".to_owned(), "Must be the uid of an inference provider, not \"my model\".".to_owned()),
            (unknown.clone(), format!("No inference provider \"{unknown}\" in this organization.")),
            (
                inactive.uid.to_string(),
                "The inference provider \"p\" is not active. Activate it, or choose another one.".into(),
            ),
            (
                foreign.uid.to_string(),
                format!("The inference provider \"p\" serves another project alone: {}.", other.uid),
            ),
        ] {
            let refused = named_provider(&store, &named, &project).await.unwrap_err().to_string();
            assert_eq!(refused, format!("provider_id: {sentence}"));
        }
    }

    #[tokio::test]
    async fn a_provider_serves_its_jobs_as_long_as_it_is_there_and_active() {
        let (store, project) = (MemoryTenants::default(), a_project());
        let provider = a_provider(0, None);
        let model = async || model_of(&store, project.organization, project.uid, Some(provider.uid)).await.unwrap();
        assert_eq!(model().await, JobModel::Deleted);

        store.add_provider(&provider).await.unwrap();
        assert_eq!(model().await, JobModel::Provider(provider.clone()));

        let inactive = InferenceProvider { is_active: false, ..provider.clone() };
        assert!(store.update_provider(&provider, &inactive).await.unwrap());
        assert_eq!(model().await, JobModel::Inactive(inactive));
        let own = model_of(&store, project.organization, project.uid, None).await.unwrap();
        assert_eq!(own, JobModel::Deployment);
    }
}

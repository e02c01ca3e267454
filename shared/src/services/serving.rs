//! Which model serves a job: chosen when the job is created, and checked each time the job needs it.

use std::collections::HashMap;

use crate::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::job::{JobRequest, JobSpec};
use crate::domain::prediction::model_type::ModelType;
use crate::domain::project::{self, Project};
use crate::domain::provider::{self, InferenceProvider, ProviderName, ServedBy, default_for};
use crate::domain::{Error, error};
use crate::ports::{Providers, Slice};

/// Names of the deployment's own endpoints that serve jobs without a provider, by model type.
pub type OwnEndpoints = HashMap<ModelType, String>;

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

/// What serves an existing job now; `None`: nothing does any more.
///
/// # Errors
/// `StoreUnavailable`.
pub async fn serving_now(
    store: &impl Providers,
    endpoints: &OwnEndpoints,
    spec: &JobSpec,
) -> Result<Option<ServedBy>, Error> {
    Ok(match model_of_job(store, spec).await? {
        JobModel::Deployment => spec.options.model_type.and_then(|model| own_endpoint(endpoints, model)),
        JobModel::Provider(provider) => Some(ServedBy::provider(&provider)),
        JobModel::Inactive(_) | JobModel::Deleted => None,
    })
}

/// Chooses what serves a new job (contract, D7): the provider that the request names, else the project's default, else the project's
/// newest active one, else its organization's, else the deployment's own endpoint. A provider that the project relies on is not
/// replaced in silence when it is gone (docs/decisions/0032).
///
/// # Errors
/// `Validation`, if the request names one that does not serve the project; `ProviderGone`; `NoInferenceProvider`; `StoreUnavailable`.
pub async fn choose(
    store: &impl Providers,
    endpoints: &OwnEndpoints,
    request: &JobRequest,
    project: &Project,
) -> Result<ServedBy, Error> {
    if let Some(named) = &request.provider {
        let uid = provider::uid(named).map_err(|complaint| Error::field("provider_id", complaint))?;
        let provider = named_provider(store, "provider_id", uid, project.organization, project.uid).await?;
        return Ok(ServedBy::provider(&provider));
    }
    if let Some(default) = &project.default_provider {
        return Ok(ServedBy::provider(&relied_on(store, project, default, "default provider is").await?));
    }
    let newest = newest_provider(store, project).await?;
    if let Some(last) = &project.last_provider
        && newest.as_ref().is_none_or(|newest| newest.uid != last.uid)
    {
        relied_on(store, project, last, "last job ran on the provider").await?;
    }
    let model = request.options.model_type.unwrap_or(ModelType::DEFAULT);
    let served_by = newest.as_ref().map(ServedBy::provider).or_else(|| own_endpoint(endpoints, model));
    served_by.ok_or(Error::NoInferenceProvider(model.as_str()))
}

/// The provider that is to be a project's default.
///
/// # Errors
/// `Validation` if it does not serve the project; `StoreUnavailable`.
pub async fn as_default(
    store: &impl Providers,
    organization: OrganizationUid,
    project: ProjectUid,
    provider: ProviderUid,
) -> Result<ProviderName, Error> {
    let field = project::DEFAULT_PROVIDER;
    Ok(named_provider(store, field, provider, organization, project).await?.named())
}

fn own_endpoint(endpoints: &OwnEndpoints, model: ModelType) -> Option<ServedBy> {
    endpoints.get(&model).map(|name| ServedBy::own_endpoint(name))
}

/// The provider that a field of a request names.
async fn named_provider(
    store: &impl Providers,
    field: &str,
    uid: ProviderUid,
    organization: OrganizationUid,
    project: ProjectUid,
) -> Result<InferenceProvider, Error> {
    let refused = |complaint: String| Error::field(field, complaint);
    match model_of(store, organization, project, Some(uid)).await? {
        JobModel::Provider(provider) => Ok(provider),
        JobModel::Inactive(provider) => Err(refused(provider.why_not(project))),
        JobModel::Deleted | JobModel::Deployment => {
            Err(refused(error::absence("inference provider", &uid.to_string())))
        }
    }
}

/// The provider that a project relies on, as its default or as that of its last job, which `role` says.
///
/// # Errors
/// `ProviderGone` with what has become of it and what to do; `StoreUnavailable`.
async fn relied_on(
    store: &impl Providers,
    project: &Project,
    relied: &ProviderName,
    role: &str,
) -> Result<InferenceProvider, Error> {
    let (gone, what_to_do) = match model_of(store, project.organization, project.uid, Some(relied.uid)).await? {
        JobModel::Provider(provider) => return Ok(provider),
        JobModel::Inactive(provider) if provider.is_active => ("is another project's now", "Set"),
        JobModel::Inactive(_) => ("is not active", "Activate it, or set"),
        JobModel::Deleted | JobModel::Deployment => ("was deleted", "Set"),
    };
    Err(Error::ProviderGone(format!(
        "The project's {role} {relied}, which {gone}. {what_to_do} default_provider of the project to the uid of another one, or to null: \
         then the newest active provider serves it, or else the deployment's own endpoint."
    )))
}

/// The newest provider of the project that serves it, else the newest one of its organization that does.
async fn newest_provider(store: &impl Providers, project: &Project) -> Result<Option<InferenceProvider>, Error> {
    let mut slice = Slice { limit: PROVIDERS, ..Slice::default() };
    let mut of_organization = None;
    for _ in 0..READS {
        let page = store.providers(project.organization, &slice).await?;
        match default_for(project.uid, &page.entries) {
            Some(provider) if provider.project.is_some() => return Ok(Some(provider.clone())),
            Some(provider) => _ = of_organization.get_or_insert_with(|| provider.clone()),
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
    use crate::domain::error::ErrorCode;
    use crate::domain::provider::connection::ProviderType;
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

            let found = newest_provider(&store, &project).await.unwrap().map(|provider| provider.uid);

            let expected = own.then_some(wanted.uid).or(of_organization.then_some(second.uid));
            assert_eq!(found, expected);
        }
    }

    fn endpoints() -> OwnEndpoints {
        [(ModelType::Yolo, "own-yolo".to_owned())].into()
    }

    fn asks(body: serde_json::Value) -> JobRequest {
        JobRequest::read(body.to_string().as_bytes()).unwrap()
    }

    async fn with(providers: &[&InferenceProvider]) -> MemoryTenants {
        let store = MemoryTenants::default();
        for provider in providers {
            store.add_provider(provider).await.unwrap();
        }
        store
    }

    /// Contract D7.
    #[tokio::test]
    async fn each_choice_comes_before_the_next() {
        let project = a_project();
        let (wide, own, default, named) =
            (a_provider(0, None), a_provider(1, Some(&project)), a_provider(2, None), a_provider(3, Some(&project)));
        let inactive = |provider: &InferenceProvider| InferenceProvider { is_active: false, ..provider.clone() };
        let with_default = Project { default_provider: Some(default.named()), ..project.clone() };
        let named_one = json!({"provider_id": named.uid});
        let all = [&wide, &own, &default, &inactive(&named)];
        for (providers, project, body, expected) in [
            (vec![&wide, &own, &default, &named], &with_default, named_one, Some(named.uid)),
            (all.to_vec(), &with_default, json!({}), Some(default.uid)),
            (all.to_vec(), &project, json!({}), Some(own.uid)),
            (vec![&wide], &project, json!({"model_type": "sam3"}), Some(wide.uid)),
            (vec![], &project, json!({}), None),
        ] {
            let served_by = choose(&with(&providers).await, &endpoints(), &asks(body), project).await.unwrap();

            assert_eq!(served_by.uid, expected);
            let name = if expected.is_some() { "p" } else { "own-yolo" };
            assert_eq!((served_by.name.as_str(), served_by.kind), (name, ProviderType::SageMaker));
        }
    }

    #[tokio::test]
    async fn a_job_that_nothing_serves_is_refused_with_its_model_type() {
        let project = a_project();
        for (endpoints, body, model) in [
            (endpoints(), json!({"model_type": "sam3"}), "sam3"),
            (OwnEndpoints::new(), json!({}), "yolo"), // also where the endpoint is no fallback: infra leaves it out
        ] {
            let refused = choose(&with(&[]).await, &endpoints, &asks(body), &project).await.unwrap_err();

            assert!(matches!(refused, Error::NoInferenceProvider(named) if named == model), "{refused}");
        }
    }

    /// Another project.
    fn elsewhere() -> ProjectUid {
        ProjectUid::parse("0192b1c0-0000-7000-8000-00000000ffff").unwrap()
    }

    /// What has become of a provider, and what an error says of it.
    async fn fates(provider: &InferenceProvider) -> [(MemoryTenants, &'static str); 3] {
        let inactive = InferenceProvider { is_active: false, ..provider.clone() };
        let elsewhere = InferenceProvider { project: Some(elsewhere()), ..provider.clone() };
        [
            (with(&[&inactive]).await, "is not active. Activate it, or set default_provider"),
            (with(&[&elsewhere]).await, "is another project's now. Set default_provider"),
            (with(&[]).await, "was deleted. Set default_provider"),
        ]
    }

    #[tokio::test]
    async fn a_default_provider_that_is_gone_is_named_and_not_replaced() {
        let default = a_provider(0, None);
        let project = Project { default_provider: Some(default.named()), ..a_project() };
        for (store, fate) in fates(&default).await {
            store.add_provider(&a_provider(1, None)).await.unwrap();

            let refused = choose(&store, &endpoints(), &asks(json!({})), &project).await.unwrap_err();

            let expected = format!("The project's default provider is \"p\" ({}), which {fate}", default.uid);
            assert!(refused.to_string().starts_with(&expected), "{refused}");
            assert_eq!(refused.code(), ErrorCode::ProviderGone);
        }
    }

    #[tokio::test]
    async fn the_provider_of_the_last_job_is_replaced_by_a_newer_one_only_while_it_serves() {
        let last = a_provider(0, None);
        let project = Project { last_provider: Some(last.named()), ..a_project() };
        let newer = a_provider(1, None);
        for (store, fate) in fates(&last).await {
            for has_newer in [false, true] {
                if has_newer {
                    store.add_provider(&newer).await.unwrap();
                }
                let refused = choose(&store, &endpoints(), &asks(json!({})), &project).await.unwrap_err();

                let expected = format!("The project's last job ran on the provider \"p\" ({}), which {fate}", last.uid);
                assert!(refused.to_string().starts_with(&expected), "{refused}");
            }
            let named = asks(json!({"provider_id": newer.uid}));
            assert_eq!(choose(&store, &endpoints(), &named, &project).await.unwrap().uid, Some(newer.uid));
        }
        for (providers, serves) in [(vec![&last], &last), (vec![&last, &newer], &newer)] {
            let served_by = choose(&with(&providers).await, &endpoints(), &asks(json!({})), &project).await.unwrap();
            assert_eq!(served_by.uid, Some(serves.uid));
        }
    }

    #[tokio::test]
    async fn only_a_provider_that_serves_the_project_becomes_its_default() {
        let (project, provider) = (a_project(), a_provider(0, None));
        let default = async |store: &MemoryTenants| {
            as_default(store, project.organization, project.uid, provider.uid).await.map_err(|error| error.to_string())
        };

        assert_eq!(default(&with(&[&provider]).await).await, Ok(provider.named()));
        let sentences = [
            "The inference provider \"p\" is not active. Activate it, or choose another one.".to_owned(),
            format!("The inference provider \"p\" serves another project alone: {}.", elsewhere()),
            format!("No inference provider \"{}\" in this organization.", provider.uid),
        ];
        for ((store, _), sentence) in fates(&provider).await.into_iter().zip(sentences) {
            assert_eq!(default(&store).await, Err(format!("default_provider: {sentence}")));
        }
    }

    #[tokio::test]
    async fn a_retry_runs_on_what_served_the_job_as_long_as_that_is_there() {
        let provider = a_provider(0, None);
        let spec = JobSpec { project: a_project().uid, ..crate::testing::a_job().spec };
        let of_provider = JobSpec { provider: Some(provider.uid), ..spec.clone() };
        let now = async |store: &MemoryTenants, spec: &JobSpec, endpoints: OwnEndpoints| {
            serving_now(store, &endpoints, spec).await.unwrap()
        };

        let renamed = InferenceProvider { name: "renamed".into(), ..provider.clone() };
        assert_eq!(now(&with(&[&renamed]).await, &of_provider, endpoints()).await, Some(ServedBy::provider(&renamed)));
        assert_eq!(now(&with(&[]).await, &of_provider, endpoints()).await, None);
        let own = Some(ServedBy::own_endpoint("own-yolo"));
        assert_eq!(now(&with(&[&provider]).await, &spec, endpoints()).await, own);
        assert_eq!(now(&with(&[&provider]).await, &spec, OwnEndpoints::new()).await, None);
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
            let refused = choose(&store, &endpoints(), &asks(json!({"provider_id": named})), &project).await;
            let refused = refused.unwrap_err().to_string();
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

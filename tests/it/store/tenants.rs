use shared::domain::Error;
use shared::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use shared::domain::key::{ApiKey, KeyHash, Scope};
use shared::domain::project::{Project, ProjectStatus};
use shared::domain::provider::{Connection, InferenceProvider, SageMaker};
use shared::ports::{Keys, Projects, Providers};
use shared::store::Store;

use super::making::*;

on_both!(
    a_key_is_found_by_its_hash_alone,
    projects_are_their_tenants_own,
    lists_of_projects_and_providers_lose_none_and_repeat_none,
    providers_are_their_tenants_own,
    a_removed_provider_does_not_come_back,
);

async fn a_key_is_found_by_its_hash_alone(store: Store) {
    let key = ApiKey {
        organization: acme(),
        name: "ci".into(),
        scopes: vec![Scope::ProjectsRead, Scope::InferenceWrite],
        created_at: at(0),
        expires_at: Some(at(100)),
        revoked_at: None,
    };
    store.add_key(&KeyHash::of("avk_1"), &key).await.unwrap();

    assert_eq!(store.find_key(&KeyHash::of("avk_1")).await.unwrap(), Some(key.clone()));
    assert_eq!(store.find_key(&KeyHash::of("avk_2")).await.unwrap(), None);
    assert!(matches!(store.add_key(&KeyHash::of("avk_1"), &key).await, Err(Error::Internal(_))));
}

fn project(organization: OrganizationUid, second: i64) -> Project {
    Project {
        uid: ProjectUid::at(at(second)),
        organization,
        name: format!("Street {second}"),
        status: ProjectStatus::PendingApproval,
        labels: vec!["car".into(), "tree".into()],
        created_at: at(second),
        updated_at: at(second),
    }
}

fn provider(organization: OrganizationUid, second: i64) -> InferenceProvider {
    InferenceProvider {
        uid: ProviderUid::at(at(second)),
        organization,
        name: format!("YOLO {second}"),
        description: None,
        connection: Connection::SageMaker(SageMaker { endpoint_name: "yolo-v8".into(), region: "eu-central-1".into() }),
        is_active: true,
        project: Some(ProjectUid::at(at(0))),
        last_test_at: None,
        last_test_success: Some(false),
        created_at: at(second),
        updated_at: at(second),
    }
}

/// I10.
async fn projects_are_their_tenants_own(store: Store) {
    let acmes = project(acme(), 0);
    store.add_project(&acmes).await.unwrap();

    assert_eq!(store.project(acme(), acmes.uid).await.unwrap(), acmes);
    assert!(matches!(store.project(other(), acmes.uid).await, Err(Error::NotFound)));
    assert!(matches!(store.project(acme(), a_project()).await, Err(Error::NotFound)));
    assert_eq!(store.projects(other(), &everything()).await.unwrap().entries, []);
}

async fn lists_of_projects_and_providers_lose_none_and_repeat_none(store: Store) {
    // All of it lies in one partition, and nothing of one list may show in another.
    let (mut projects, mut providers) = (Vec::new(), Vec::new());
    for second in 0..5 {
        projects.push(project(acme(), second));
        providers.push(provider(acme(), second));
        store.add_project(&projects[second as usize]).await.unwrap();
        store.add_provider(&providers[second as usize]).await.unwrap();
        store.add_project(&project(other(), second)).await.unwrap();
        store.add_provider(&provider(other(), second)).await.unwrap();
    }

    assert_pages(async |slice| store.projects(acme(), &slice).await, |project| project, &projects).await;
    assert_pages(async |slice| store.providers(acme(), &slice).await, |provider| provider, &providers).await;
}

/// I10.
async fn providers_are_their_tenants_own(store: Store) {
    let acmes = provider(acme(), 0);
    store.add_provider(&acmes).await.unwrap();
    let stolen = InferenceProvider { organization: other(), ..acmes.clone() };

    assert!(matches!(store.provider(other(), acmes.uid).await, Err(Error::NotFound)));
    assert!(matches!(store.update_provider(&stolen).await, Err(Error::NotFound)));
    assert!(matches!(store.remove_provider(other(), acmes.uid).await, Err(Error::NotFound)));
    assert_eq!(store.provider(acme(), acmes.uid).await.unwrap(), acmes);
}

async fn a_removed_provider_does_not_come_back(store: Store) {
    let before = provider(acme(), 0);
    store.add_provider(&before).await.unwrap();
    let changed = InferenceProvider { name: "New".into(), is_active: false, updated_at: at(1), ..before };
    store.update_provider(&changed).await.unwrap();
    assert_eq!(store.provider(acme(), changed.uid).await.unwrap(), changed);

    store.remove_provider(acme(), changed.uid).await.unwrap();

    assert!(matches!(store.update_provider(&changed).await, Err(Error::NotFound)));
    assert!(matches!(store.remove_provider(acme(), changed.uid).await, Err(Error::NotFound)));
    assert!(matches!(store.provider(acme(), changed.uid).await, Err(Error::NotFound)));
}

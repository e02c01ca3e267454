use shared::domain::Error;
use shared::domain::access::api_key::{ApiKey, IssuedKey, KeyHash, Scope};
use shared::domain::access::organization::Organization;
use shared::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use shared::domain::item::AssetType;
use shared::domain::prediction::turn::Exif;
use shared::domain::project::{Project, ProjectChange, ProjectStatus};
use shared::domain::provider::connection::{
    AuthType, Connection, Coordinates, Http, Reading, RequestFormat, ResponseFormat, SageMaker,
};
use shared::domain::provider::{InferenceProvider, ProviderName};
use shared::ports::{KeyRing, Keys, Organizations, Projects, Providers};
use shared::store::Store;

use super::making::*;

on_both!(
    a_key_is_found_by_its_hash_alone,
    lists_of_keys_lose_none_and_repeat_none,
    a_revoked_key_stays_revoked_whatever_its_end,
    an_unknown_key_cannot_be_ended,
    an_organization_is_stored_once,
    projects_are_their_tenants_own,
    a_change_of_a_project_leaves_the_rest_as_it_is,
    the_provider_of_a_projects_last_job_is_noted_until_the_choice_is_free,
    a_project_that_is_not_there_is_neither_changed_nor_counted,
    items_are_counted_by_their_type,
    lists_of_projects_and_providers_lose_none_and_repeat_none,
    providers_are_their_tenants_own,
    a_removed_provider_does_not_come_back,
    a_provider_that_was_changed_or_tested_since_is_not_written_over,
    an_https_provider_reads_back_as_it_was,
    a_test_leaves_what_was_changed_meanwhile,
);

fn issued(organization: OrganizationUid, second: i64) -> IssuedKey {
    let key = ApiKey {
        organization,
        name: "ci".into(),
        scopes: vec![Scope::ProjectsRead, Scope::InferenceWrite],
        created_at: at(second),
        expires_at: Some(at(100)),
        revoked_at: None,
        requests_per_minute: Some(7),
    };
    IssuedKey { hash: KeyHash::of(&format!("{organization} {second}")), key }
}

async fn a_key_is_found_by_its_hash_alone(store: Store) {
    let issued = issued(acme(), 0);
    store.add_key(&issued).await.unwrap();

    assert_eq!(store.find_key(&issued.hash).await.unwrap(), Some(issued.key.clone()));
    assert_eq!(store.find_key(&KeyHash::of("avk_2")).await.unwrap(), None);
    assert!(matches!(store.add_key(&issued).await, Err(Error::Internal(_))));
}

async fn lists_of_keys_lose_none_and_repeat_none(store: Store) {
    let keys: Vec<IssuedKey> = (0..5).map(|second| issued(acme(), second)).collect();
    for key in &keys {
        store.add_key(key).await.unwrap();
    }
    store.add_key(&issued(other(), 0)).await.unwrap();

    assert_pages(async |slice| store.keys(acme(), &slice).await, |key| key, &keys).await;
}

async fn a_revoked_key_stays_revoked_whatever_its_end(store: Store) {
    let IssuedKey { hash, key } = issued(acme(), 0);
    store.add_key(&IssuedKey { hash: hash.clone(), key: key.clone() }).await.unwrap();

    store.revoke_key(&hash, at(5)).await.unwrap();
    store.expire_key(&hash, at(900)).await.unwrap();

    let ended = ApiKey { expires_at: Some(at(900)), revoked_at: Some(at(5)), ..key };
    assert_eq!(store.find_key(&hash).await.unwrap(), Some(ended.clone()));
    assert_eq!(store.keys(acme(), &everything()).await.unwrap().entries, [IssuedKey { hash, key: ended }]);
}

async fn an_unknown_key_cannot_be_ended(store: Store) {
    let unknown = KeyHash::of("avk_1");

    assert!(matches!(store.revoke_key(&unknown, at(1)).await, Err(Error::NotFound(_))));
    assert!(matches!(store.expire_key(&unknown, at(1)).await, Err(Error::NotFound(_))));
    assert_eq!(store.find_key(&unknown).await.unwrap(), None);
}

async fn an_organization_is_stored_once(store: Store) {
    let acme = Organization::named("acme").unwrap();
    store.add_organization(&acme).await.unwrap();
    store.add_organization(&Organization { name: "Other".into(), ..acme.clone() }).await.unwrap();

    assert_eq!(store.organization(acme.uid).await.unwrap(), Some(acme.clone()));
    assert_eq!(store.organization(other()).await.unwrap(), None);
    assert_eq!(store.projects(acme.uid, &everything()).await.unwrap().entries, []);
}

fn project(organization: OrganizationUid, second: i64) -> Project {
    Project {
        uid: ProjectUid::at(at(second)),
        organization,
        name: format!("Street {second}"),
        status: ProjectStatus::PendingApproval,
        labels: vec!["car".into(), "tree".into()],
        label_prompts: [("car".to_owned(), "a car on a street".to_owned())].into(),
        default_provider: None,
        last_provider: None,
        auto_label_on_upload: None,
        auto_label_pause: None,
        dataset: None,
        image_count: 0,
        video_frame_count: 0,
        point_cloud_count: 0,
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
        connection: Connection::SageMaker(SageMaker::new("yolo-v8", "eu-central-1")),
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
    assert!(matches!(store.project(other(), acmes.uid).await, Err(Error::NotFound(_))));
    assert!(matches!(store.project(acme(), a_project()).await, Err(Error::NotFound(_))));
    assert_eq!(store.projects(other(), &everything()).await.unwrap().entries, []);
}

async fn a_change_of_a_project_leaves_the_rest_as_it_is(store: Store) {
    let before = project(acme(), 0);
    store.add_project(&before).await.unwrap();
    let street = ProviderName { uid: ProviderUid::at(at(0)), name: "Street model".into() };
    let changes = [
        ProjectChange { name: Some("Avenue".into()), ..ProjectChange::default() },
        ProjectChange { labels: Some(vec!["bus".into()]), ..ProjectChange::default() },
        ProjectChange {
            label_prompts: Some([("bus".to_owned(), "a yellow bus".to_owned())].into()),
            ..ProjectChange::default()
        },
        ProjectChange { label_prompts: Some(Default::default()), ..ProjectChange::default() },
        ProjectChange { labels: Some(Vec::new()), ..ProjectChange::default() },
        ProjectChange { status: Some(ProjectStatus::Paused), ..ProjectChange::default() },
        ProjectChange { default_provider: Some(Some(street)), ..ProjectChange::default() },
        ProjectChange { default_provider: Some(None), ..ProjectChange::default() },
        ProjectChange::default(),
    ];

    let mut expected = before;
    for (change, second) in changes.into_iter().zip(1..) {
        let after = store.change_project(acme(), expected.uid, &change, at(second)).await.unwrap();

        expected = change.applied_to(expected, at(second));
        assert_eq!(after, expected);
        assert_eq!(store.project(acme(), expected.uid).await.unwrap(), expected);
    }
}

async fn the_provider_of_a_projects_last_job_is_noted_until_the_choice_is_free(store: Store) {
    let before = project(acme(), 0);
    store.add_project(&before).await.unwrap();
    let street = ProviderName { uid: ProviderUid::at(at(0)), name: "Street model".into() };
    let noted = async || store.project(acme(), before.uid).await.unwrap();

    store.note_provider(acme(), before.uid, Some(&street)).await.unwrap();
    assert_eq!(noted().await, Project { last_provider: Some(street.clone()), ..before.clone() });
    store.note_provider(acme(), before.uid, None).await.unwrap();
    assert_eq!(noted().await, before);

    store.note_provider(acme(), before.uid, Some(&street)).await.unwrap();
    let name = ProjectChange { name: Some("Alley".into()), ..ProjectChange::default() };
    let free = ProjectChange { default_provider: Some(None), ..ProjectChange::default() };
    for (change, expected) in [(name, Some(&street)), (free, None)] {
        store.change_project(acme(), before.uid, &change, at(1)).await.unwrap();
        assert_eq!(noted().await.last_provider.as_ref(), expected);
    }
    store.note_provider(other(), before.uid, Some(&street)).await.unwrap();
    assert!(
        matches!(store.project(other(), before.uid).await, Err(Error::NotFound(_))),
        "a note does not make a project"
    );
}

/// I10: and a change does not make a project.
async fn a_project_that_is_not_there_is_neither_changed_nor_counted(store: Store) {
    let others = project(other(), 0);
    store.add_project(&others).await.unwrap();

    for uid in [others.uid, a_project()] {
        let changed = store.change_project(acme(), uid, &ProjectChange::default(), at(1)).await;
        assert!(matches!(changed, Err(Error::NotFound(_))));
        assert!(matches!(store.count_items(acme(), uid, &[AssetType::Image]).await, Err(Error::NotFound(_))));
    }
    assert_eq!(store.projects(acme(), &everything()).await.unwrap().entries, []);
    assert_eq!(store.project(other(), others.uid).await.unwrap(), others);
}

async fn items_are_counted_by_their_type(store: Store) {
    let Project { uid, .. } = project(acme(), 0);
    store.add_project(&Project { uid, ..project(acme(), 0) }).await.unwrap();

    store.count_items(acme(), uid, &[AssetType::Image, AssetType::PointCloud, AssetType::Image]).await.unwrap();
    // A change at the same time takes nothing back.
    store.change_project(acme(), uid, &ProjectChange::default(), at(1)).await.unwrap();
    store.count_items(acme(), uid, &[AssetType::VideoFrame, AssetType::Image]).await.unwrap();

    let counted = store.project(acme(), uid).await.unwrap();
    assert_eq!((counted.image_count, counted.video_frame_count, counted.point_cloud_count), (3, 1, 1));
    assert_eq!(counted.item_count(), 5);
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

    assert!(matches!(store.provider(other(), acmes.uid).await, Err(Error::NotFound(_))));
    assert!(!store.update_provider(&stolen, &stolen).await.unwrap());
    assert!(matches!(store.remove_provider(other(), acmes.uid).await, Err(Error::NotFound(_))));
    assert_eq!(store.provider(acme(), acmes.uid).await.unwrap(), acmes);
}

async fn a_removed_provider_does_not_come_back(store: Store) {
    let before = provider(acme(), 0);
    store.add_provider(&before).await.unwrap();
    let changed = InferenceProvider { name: "New".into(), is_active: false, updated_at: at(1), ..before.clone() };
    assert!(store.update_provider(&before, &changed).await.unwrap());
    assert_eq!(store.provider(acme(), changed.uid).await.unwrap(), changed);

    store.remove_provider(acme(), changed.uid).await.unwrap();

    assert!(!store.update_provider(&changed, &changed).await.unwrap());
    assert!(matches!(store.remove_provider(acme(), changed.uid).await, Err(Error::NotFound(_))));
    assert!(matches!(store.provider(acme(), changed.uid).await, Err(Error::NotFound(_))));
}

async fn a_provider_that_was_changed_or_tested_since_is_not_written_over(store: Store) {
    let read = provider(acme(), 0);
    store.add_provider(&read).await.unwrap();
    let rotated = InferenceProvider { is_active: false, updated_at: at(1), ..read.clone() };
    let late = InferenceProvider { name: "Late".into(), updated_at: at(2), ..read.clone() };

    assert!(store.update_provider(&read, &rotated).await.unwrap());
    assert!(!store.update_provider(&read, &late).await.unwrap());
    assert_eq!(store.provider(acme(), read.uid).await.unwrap(), rotated);

    store.record_test(&rotated, true, at(3)).await.unwrap();
    assert!(!store.update_provider(&rotated, &late).await.unwrap());
    let tested = InferenceProvider { last_test_at: Some(at(3)), last_test_success: Some(true), ..rotated };
    assert_eq!(store.provider(acme(), read.uid).await.unwrap(), tested);

    let renamed = InferenceProvider { name: "Late".into(), updated_at: at(4), ..tested.clone() };
    assert!(store.update_provider(&tested, &renamed).await.unwrap());
    assert_eq!(store.provider(acme(), read.uid).await.unwrap(), renamed);
}

async fn an_https_provider_reads_back_as_it_was(store: Store) {
    for timeout in [serde_json::json!(30), serde_json::json!(2.5)] {
        let endpoint = Http {
            endpoint_url: "https://model.example/".into(),
            auth_type: AuthType::Bearer,
            headers: vec!["X-Model".into()],
            timeout: timeout.as_number().unwrap().clone(),
            reading: Reading {
                response_key: "found".into(),
                response_format: ResponseFormat::CocoResults,
                label_map: [("17".to_owned(), "cat".to_owned())].into(),
                exif: Exif::Ignored,
                coordinates: Coordinates::Percent,
                request_format: Some(RequestFormat::Huggingface),
            },
            max_concurrency: 64,
            sealed: Some("ciphertext".into()),
        };
        let provider = InferenceProvider { connection: Connection::Http(endpoint), ..provider(acme(), 0) };
        store.add_provider(&provider).await.unwrap();

        assert_eq!(store.provider(acme(), provider.uid).await.unwrap(), provider);
    }
}

async fn a_test_leaves_what_was_changed_meanwhile(store: Store) {
    let before = provider(acme(), 0);
    store.add_provider(&before).await.unwrap();
    let changed = InferenceProvider { name: "New".into(), updated_at: at(1), ..before.clone() };
    assert!(store.update_provider(&before, &changed).await.unwrap());

    store.record_test(&before, true, at(2)).await.unwrap();

    let tested = InferenceProvider { last_test_at: Some(at(2)), last_test_success: Some(true), ..changed };
    assert_eq!(store.provider(acme(), before.uid).await.unwrap(), tested);
    store.remove_provider(acme(), before.uid).await.unwrap();
    assert!(matches!(store.record_test(&before, true, at(3)).await, Err(Error::NotFound(_))));
    assert!(matches!(store.provider(acme(), before.uid).await, Err(Error::NotFound(_))));
}

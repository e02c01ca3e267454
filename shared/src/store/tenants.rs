//! Organizations, projects and providers: small rows in their organization's partition.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::de::DeserializeOwned;

use super::Store;
use super::calls::{attribute, classify, is_done, number, read, text};
use super::keys::{self, ACTIVE, Key};
use super::rows::{Keyed, OwnerRow, item};
use crate::domain::access::organization::Organization;
use crate::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::item::AssetType;
use crate::domain::project::{Project, ProjectChange};
use crate::domain::provider::{InferenceProvider, ProviderName};
use crate::domain::{Error, Timestamp};
use crate::ports::{Organizations, Page, Projects, Providers, Slice};

impl Organizations for Store {
    async fn add_organization(&self, organization: &Organization) -> Result<(), Error> {
        // The uid is derived from the slug, so `false` is the same organization again.
        let _added = self.put_new(item(&Keyed::new(Key::organization(organization.uid), organization))?).await?;
        Ok(())
    }

    async fn organization(&self, uid: OrganizationUid) -> Result<Option<Organization>, Error> {
        self.get(Key::organization(uid)).await
    }
}

/// What a project's row has of its uploads while they are labeled automatically.
const UPLOADS: [&str; 3] = ["auto_label_on_upload", "uploads_taken_until", "uploads_waiting_since"];

/// The row of a new project.
#[derive(serde::Serialize)]
struct NewProject<'a> {
    #[serde(flatten)]
    project: &'a Project,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploads_taken_until: Option<String>,
}

impl Projects for Store {
    async fn add_project(&self, project: &Project) -> Result<Option<Project>, Error> {
        // The owner row first: it does no harm without the project, and a project without it takes no uploads.
        self.own(project.organization, project.uid).await?;
        // Uploads count from now on, however often the setting is changed before the first job.
        let labels_uploads = project.auto_label_on_upload.is_some();
        let uploads_taken_until = labels_uploads.then(|| keys::in_time(project.created_at, ""));
        self.add(Key::project(project.organization, project.uid), &NewProject { project, uploads_taken_until }).await
    }

    async fn project(&self, organization: OrganizationUid, uid: ProjectUid) -> Result<Project, Error> {
        self.get(Key::project(organization, uid)).await?.ok_or_else(|| uid.missing())
    }

    async fn projects(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<Project>, Error> {
        self.page_of_partition(keys::organization_pk(organization), keys::PROJECT, slice).await
    }

    async fn change_project(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        change: &ProjectChange,
        now: Timestamp,
    ) -> Result<Project, Error> {
        // Field by field and not the whole row: a put would undo what others change or count meanwhile.
        let mut set = vec!["updated_at = :updated_at".to_owned()];
        let mut remove = vec!["auto_label_pause", "uploads_job"]; // the change may remove the cause of the pause
        let mut request = self.update_there(Key::project(organization, uid));
        request = request.expression_attribute_values(":updated_at", attribute(&now)?);
        for (name, value) in changed_fields(change)? {
            set.push(format!("#{name} = :{name}"));
            request = request
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        match &change.auto_label_on_upload {
            Some(Some(setting)) => {
                set.push("auto_label_on_upload = :setting".into());
                set.push("uploads_taken_until = if_not_exists(uploads_taken_until, :from)".into());
                request = request
                    .expression_attribute_values(":setting", attribute(setting)?)
                    .expression_attribute_values(":from", text(keys::in_time(now, ""))); // earlier items wait for a person
            }
            Some(None) => remove.extend(UPLOADS.into_iter().chain([ACTIVE.pk, ACTIVE.sk])),
            None => {}
        }
        if change.default_provider == Some(None) {
            remove.extend(["default_provider", "last_provider"]); // the project relies on no provider
        }
        let expression = format!("SET {} REMOVE {}", set.join(", "), remove.join(", "));
        let request = request.update_expression(expression).return_values(ReturnValue::AllNew);
        let answer = request.send().await.map_err(|error| missing(uid, error))?;
        if change.auto_label_on_upload.is_some() {
            self.own(organization, uid).await?; // the project may be older than the owner rows
        }
        read(answer.attributes.ok_or_else(|| Error::internal("a changed row that is not shown"))?)
    }

    async fn note_provider(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        provider: Option<&ProviderName>,
    ) -> Result<(), Error> {
        // `updated_at` stays: no person has changed the project.
        let mut request = self.update_there(Key::project(organization, uid));
        request = match provider {
            Some(provider) => request
                .update_expression("SET last_provider = :provider")
                .expression_attribute_values(":provider", attribute(provider)?),
            None => request.update_expression("REMOVE last_provider"),
        };
        is_done(request.send().await).map(|_noted| ())
    }

    async fn count_items(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        added: &[AssetType],
    ) -> Result<(), Error> {
        self.count_added(Key::project(organization, uid), added, "")
            .send()
            .await
            .map(|_| ())
            .map_err(|error| missing(uid, error))
    }
}

impl Providers for Store {
    async fn add_provider(&self, provider: &InferenceProvider) -> Result<Option<InferenceProvider>, Error> {
        self.add(Key::provider(provider.organization, provider.uid), provider).await
    }

    async fn provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<InferenceProvider, Error> {
        self.get(Key::provider(organization, uid)).await?.ok_or_else(|| uid.missing())
    }

    async fn providers(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<InferenceProvider>, Error> {
        self.page_of_partition(keys::organization_pk(organization), keys::PROVIDER, slice).await
    }

    async fn update_provider(&self, before: &InferenceProvider, after: &InferenceProvider) -> Result<bool, Error> {
        // A test is not a change, and must not be lost by one either.
        let as_read =
            [("updated_at", attribute(&before.updated_at)?), ("last_test_at", attribute(&before.last_test_at)?)];
        self.put_over(item(&Keyed::new(Key::provider(after.organization, after.uid), after))?, as_read).await
    }

    async fn record_test(&self, provider: &InferenceProvider, success: bool, now: Timestamp) -> Result<(), Error> {
        let still_there = "attribute_exists(pk)"; // an update would create a row again that was removed meanwhile
        let request = self
            .update_row(Key::provider(provider.organization, provider.uid))
            .update_expression("SET last_test_at = :now, last_test_success = :success")
            .condition_expression(still_there)
            .expression_attribute_values(":now", attribute(&now)?)
            .expression_attribute_values(":success", attribute(&success)?);
        if is_done(request.send().await)? { Ok(()) } else { Err(provider.uid.missing()) }
    }

    async fn remove_provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<(), Error> {
        if self.remove(Key::provider(organization, uid)).await? { Ok(()) } else { Err(uid.missing()) }
    }
}

/// The fields that a change sets whatever they were, with their values.
fn changed_fields(change: &ProjectChange) -> Result<Vec<(&'static str, AttributeValue)>, Error> {
    let fields = [
        ("name", change.name.as_ref().map(attribute)),
        ("labels", change.labels.as_ref().map(attribute)),
        ("label_prompts", change.label_prompts.as_ref().map(attribute)),
        ("status", change.status.as_ref().map(attribute)),
        ("default_provider", change.default_provider.as_ref().and_then(Option::as_ref).map(attribute)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some(value?.map(|value| (name, value)))).collect()
}

/// The error of [`Store::update_there`] of a project: its only condition is that the row is there.
fn missing(project: ProjectUid, error: SdkError<UpdateItemError>) -> Error {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(_)) => project.missing(),
        _ => classify(error),
    }
}

impl Store {
    /// Counts items that were added to a project. `also` is the rest of the update expression.
    pub(super) fn count_added(&self, project: Key, added: &[AssetType], also: &str) -> UpdateItemFluentBuilder {
        let count = |kind: AssetType| number(added.iter().filter(|added| **added == kind).count());
        self.update_there(project)
            .update_expression(format!(
                "ADD image_count :images, video_frame_count :frames, point_cloud_count :clouds{also}"
            ))
            .expression_attribute_values(":images", count(AssetType::Image))
            .expression_attribute_values(":frames", count(AssetType::VideoFrame))
            .expression_attribute_values(":clouds", count(AssetType::PointCloud))
    }

    /// Writes the owner row of a project.
    pub(super) async fn own(&self, organization: OrganizationUid, project: ProjectUid) -> Result<(), Error> {
        self.put_new(item(&OwnerRow::new(project, organization))?).await.map(|_new| ())
    }

    /// An update of a row that must be there: without the condition it would create one.
    fn update_there(&self, key: Key) -> UpdateItemFluentBuilder {
        self.update_row(key).condition_expression("attribute_exists(pk)")
    }

    /// A row under a key of its own: its uid is new, or derived from what makes it unique. Returns the row that is there already:
    /// that of a repeated request, or of a call whose answer was lost.
    pub(super) async fn add<T: DeserializeOwned>(
        &self,
        key: Key,
        value: &impl serde::Serialize,
    ) -> Result<Option<T>, Error> {
        self.put_new_or_get(item(&Keyed::new(key, value))?).await?.map(read).transpose()
    }
}

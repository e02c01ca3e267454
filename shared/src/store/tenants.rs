//! Organizations, projects and providers: small rows in their organization's partition.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::ReturnValue;
use serde::de::DeserializeOwned;

use super::Store;
use super::calls::{attribute, classify, number, read, text};
use super::keys::{self, ACTIVE, Key};
use super::rows::{Keyed, OwnerRow, item};
use crate::domain::access::organization::Organization;
use crate::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::item::AssetType;
use crate::domain::project::{Project, ProjectChange};
use crate::domain::provider::InferenceProvider;
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

/// The row of a project as it begins.
#[derive(serde::Serialize)]
struct NewProject<'a> {
    #[serde(flatten)]
    project: &'a Project,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploads_taken_until: Option<String>,
}

impl Projects for Store {
    async fn add_project(&self, project: &Project) -> Result<Option<Project>, Error> {
        // First whose it is: an owner of nothing does no harm, and a project without one takes no uploads.
        self.own(project.organization, project.uid).await?;
        // What comes from now on is an upload, however often the setting is changed before the first job.
        let labels_uploads = project.auto_label_on_upload.is_some();
        let uploads_taken_until = labels_uploads.then(|| keys::in_time(project.created_at, ""));
        self.add(Key::project(project.organization, project.uid), &NewProject { project, uploads_taken_until }).await
    }

    async fn project(&self, organization: OrganizationUid, uid: ProjectUid) -> Result<Project, Error> {
        self.get(Key::project(organization, uid)).await?.ok_or(Error::NotFound)
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
        let mut expression = "SET updated_at = :updated_at".to_owned();
        let mut request = self.update_there(Key::project(organization, uid));
        request = request.expression_attribute_values(":updated_at", attribute(&now)?);
        let changed = [
            ("name", change.name.as_ref().map(attribute)),
            ("labels", change.labels.as_ref().map(attribute)),
            ("label_prompts", change.label_prompts.as_ref().map(attribute)),
            ("status", change.status.as_ref().map(attribute)),
        ];
        for (name, value) in changed {
            let Some(value) = value.transpose()? else { continue };
            expression += &format!(", #{name} = :{name}");
            request = request
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        let mut removed = " REMOVE auto_label_pause, uploads_job".to_owned(); // what was wrong may be right now
        match &change.auto_label_on_upload {
            Some(Some(setting)) => {
                expression += ", auto_label_on_upload = :setting, uploads_taken_until = if_not_exists(uploads_taken_until, :from)";
                request = request
                    .expression_attribute_values(":setting", attribute(setting)?)
                    .expression_attribute_values(":from", text(keys::in_time(now, ""))); // what was there before waits for a person
            }
            Some(None) => {
                removed += &format!(
                    ", auto_label_on_upload, uploads_taken_until, uploads_waiting_since, {}, {}",
                    ACTIVE.pk, ACTIVE.sk
                );
            }
            None => {}
        }
        let request = request.update_expression(expression + &removed).return_values(ReturnValue::AllNew);
        let answer = request.send().await.map_err(missing)?;
        if change.auto_label_on_upload.is_some() {
            self.own(organization, uid).await?; // it is the organization's, and may be older than the rows of owners
        }
        read(answer.attributes.ok_or_else(|| Error::internal("a changed row that is not shown"))?)
    }

    async fn count_items(
        &self,
        organization: OrganizationUid,
        uid: ProjectUid,
        added: &[AssetType],
    ) -> Result<(), Error> {
        self.count_added(Key::project(organization, uid), added, "").send().await.map(|_| ()).map_err(missing)
    }
}

impl Providers for Store {
    async fn add_provider(&self, provider: &InferenceProvider) -> Result<Option<InferenceProvider>, Error> {
        self.add(Key::provider(provider.organization, provider.uid), provider).await
    }

    async fn provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<InferenceProvider, Error> {
        self.get(Key::provider(organization, uid)).await?.ok_or(Error::NotFound)
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
        let still_there = "attribute_exists(pk)"; // an update would make a row of one that was removed meanwhile
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::provider(provider.organization, provider.uid).into()))
            .update_expression("SET last_test_at = :now, last_test_success = :success")
            .condition_expression(still_there)
            .expression_attribute_values(":now", attribute(&now)?)
            .expression_attribute_values(":success", attribute(&success)?);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Err(Error::NotFound)
            }
            Err(error) => Err(classify(error)),
        }
    }

    async fn remove_provider(&self, organization: OrganizationUid, uid: ProviderUid) -> Result<(), Error> {
        if self.remove(Key::provider(organization, uid)).await? { Ok(()) } else { Err(Error::NotFound) }
    }
}

/// A refused condition of [`Store::update_there`] is a row that is not there.
pub(super) fn missing(error: SdkError<UpdateItemError>) -> Error {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(_)) => Error::NotFound,
        _ => classify(error),
    }
}

/// Whether a conditional update was made.
pub(super) fn is_done(answer: Result<UpdateItemOutput, SdkError<UpdateItemError>>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(false),
        Err(error) => Err(classify(error)),
    }
}

impl Store {
    /// Counts items that were added to a project, and does what `also` says.
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

    /// Says whose a project is.
    pub(super) async fn own(&self, organization: OrganizationUid, project: ProjectUid) -> Result<(), Error> {
        self.put_new(item(&OwnerRow::new(project, organization))?).await.map(|_new| ())
    }

    /// An update of a row that must be there: alone, it would make one.
    fn update_there(&self, key: Key) -> UpdateItemFluentBuilder {
        let request = self.client.update_item().table_name(&self.table).set_key(Some(key.into()));
        request.condition_expression("attribute_exists(pk)")
    }

    /// A row under a key that nothing else can have: its uid is new, or derived from what makes it unique. Answers the row that is
    /// there: that of a repeated request, or of a call whose answer was lost.
    pub(super) async fn add<T: DeserializeOwned>(
        &self,
        key: Key,
        value: &impl serde::Serialize,
    ) -> Result<Option<T>, Error> {
        self.put_new_or_get(item(&Keyed::new(key, value))?).await?.map(read).transpose()
    }
}

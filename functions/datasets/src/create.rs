use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::Error;
use shared::domain::access::api_key::Scope;
use shared::domain::id::{Naming, ProjectUid};
use shared::domain::project::Project;
use shared::domain::project::dataset::{Dataset, DatasetName, NewDataset, Stage};
use shared::http::{Body, Caller, Problem};
use shared::ports::{Clock, Datasets, Projects};
use tracing::info;

use crate::view::{DatasetView, NewDatasetView};
use crate::{Api, DatasetApi, DatasetPorts};

pub(crate) const WRITE: &[Scope] = &[Scope::DatasetsWrite];

/// Create a dataset.
///
/// It is a project of this name without items and labels, under a slug of its own. What has no effect here is named in
/// `ignored_fields`. Scope: `datasets.write`.
#[utoipa::path(
    post, path = "/datasets/", tag = "datasets",
    request_body = NewDataset,
    responses(
        (status = 201, description = "The dataset.", body = NewDatasetView),
        (status = 400, description = "`validation_error`: also of a slug that another dataset has.", body = Problem),
    ),
)]
pub(crate) async fn create<P: DatasetPorts>(
    State(api): Api<P>,
    caller: Caller,
    naming: Naming,
    Body(body): Body,
) -> Result<(StatusCode, Json<NewDatasetView>), Error> {
    caller.needs(WRITE)?;
    let (new, ignored) = NewDataset::read(&body, caller.organization)?;
    let now = api.clock.now();
    let dataset = Dataset { slug: Some(new.slug.clone()), data_type: Some(new.data_type), stage: Stage::Created };
    let mut project = Project::of_dataset(caller.organization, &new.name, dataset, now);
    project.uid = ProjectUid::named(&naming, now, 0);
    let own = project.uid;
    // A call that was cut off may have left the slug to a project that was never stored: this one becomes that project.
    project.uid = api.store.name_dataset(project.organization, &DatasetName::Slug(new.slug.clone()), own).await?;
    let before = api.store.add_project(&project).await?;
    if before.is_some() && project.uid != own {
        return Err(slug_taken(&new.slug));
    }
    info!(project.uid = %project.uid, "dataset created");
    let created = api.view(before.unwrap_or(project)).await?;
    Ok((StatusCode::CREATED, Json(NewDatasetView::of(created, ignored))))
}

/// The dataset is another one's.
pub(crate) fn slug_taken(slug: &str) -> Error {
    Error::field("slug", format!("A dataset with the slug \"{slug}\" already exists. Choose another one."))
}

impl<P: DatasetPorts> DatasetApi<P> {
    /// The project as its owner sees it.
    pub(crate) async fn view(&self, project: Project) -> Result<DatasetView, Error> {
        let owner = self.owner(project.organization).await?;
        Ok(DatasetView::of(project, owner))
    }
}

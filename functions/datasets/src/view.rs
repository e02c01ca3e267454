use serde::Serialize;
use shared::domain::Timestamp;
use shared::domain::id::ProjectUid;
use shared::domain::project::Project;
use shared::domain::project::dataset::{DataType, Dataset};
use utoipa::ToSchema;

/// No other organization sees them.
pub(crate) const VISIBILITY: &str = "private";

/// A dataset: a project's items as files (contract, 11.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dataset)]
#[schema(example = json!({
    "name": "Street scenes", "slug": "street-scenes-01a20112065078aa9a3c3c54459424af", "item_count": 9, "owner_name": "acme",
    "status": "created", "visibility": "private", "data_type": "image", "is_sequence": false,
    "predefined_labels": [{"name": "person"}, {"name": "cat"}],
}))]
pub(crate) struct DatasetView {
    uid: ProjectUid,
    name: String,
    slug: String,
    /// How many items were added. A call that failed half-way may have left some uncounted.
    item_count: u64,
    /// The organization's slug.
    #[schema(required)]
    owner_name: Option<String>,
    /// `creating` while its files are uploaded and become items, then `created`.
    status: &'static str,
    visibility: &'static str,
    /// What its owner has declared, else what most items are.
    data_type: DataType,
    /// Always `false`: frames are items of their own.
    is_sequence: bool,
    predefined_labels: Vec<LabelView>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A label of a dataset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatasetLabel)]
pub(crate) struct LabelView {
    name: String,
}

impl DatasetView {
    pub(crate) fn of(project: Project, owner_name: Option<String>) -> Self {
        Self {
            uid: project.uid,
            slug: project.slug(),
            item_count: project.item_count(),
            owner_name,
            status: status(&project),
            visibility: VISIBILITY,
            data_type: project.data_type(),
            is_sequence: false,
            predefined_labels: project.labels.into_iter().map(|name| LabelView { name }).collect(),
            created_at: project.created_at,
            updated_at: project.updated_at,
            name: project.name,
        }
    }
}

impl DatasetView {
    /// Whether it is what a list of datasets is narrowed to: each by its filter, the name by a part in small letters.
    pub(crate) fn is(
        &self,
        data_type: Option<&str>,
        status: Option<&str>,
        visibility: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        data_type.is_none_or(|wanted| wanted == self.data_type.as_str())
            && status.is_none_or(|wanted| wanted == self.status)
            && visibility.is_none_or(|wanted| wanted == self.visibility)
            && name.is_none_or(|part| self.name.to_lowercase().contains(part))
    }
}

/// Avala's word for how far a dataset is. A project that was not made as one is ready from the start.
pub(crate) fn status(project: &Project) -> &'static str {
    project.dataset.as_ref().map_or("created", Dataset::status)
}

/// A dataset that was just created.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewDatasetAnswer)]
#[schema(example = json!({}))]
pub(crate) struct NewDatasetView {
    #[serde(flatten)]
    dataset: DatasetView,
    /// What was sent and has no effect here. Left out if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored_fields: Vec<&'static str>,
}

impl NewDatasetView {
    pub(crate) const fn of(dataset: DatasetView, ignored_fields: Vec<&'static str>) -> Self {
        Self { dataset, ignored_fields }
    }
}

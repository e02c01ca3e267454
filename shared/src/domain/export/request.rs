//! The body of a call that creates an export.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::selection::{SelectedStatus, Shares};
use super::{Export, ExportFormat, ExportOptions, ExportSource, ExportStatus, ExportTask};
use crate::domain::fields::{self, Fields};
use crate::domain::id::{ExportUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::project::Project;
use crate::domain::provider::no_project;
use crate::domain::{Error, Timestamp, limits, show};

/// What an export is made of.
// The body of a create call: that of the clients, and that of Avala's pages.
#[derive(Debug, PartialEq, ToSchema)]
#[schema(example = json!({"project": "01a20112-07ab-7087-87b3-017f990cb1ef", "format": "coco", "statuses": ["accepted"], "min_confidence": 0.5}))]
pub struct NewExport {
    /// A project. At least one of the first four fields names one.
    #[schema(value_type = Option<ProjectUid>)]
    project: Option<String>,
    /// A dataset: it has the uid of its project.
    #[schema(value_type = Option<ProjectUid>)]
    dataset: Option<String>,
    /// Several projects in one export. The names of their items begin with the name of their project, or with its uid.
    #[schema(value_type = Option<Vec<ProjectUid>>, max_items = 20)]
    projects: Vec<String>,
    /// The same of datasets.
    #[schema(value_type = Option<Vec<ProjectUid>>, max_items = 20)]
    datasets: Vec<String>,
    /// For people.
    #[schema(max_length = 255)]
    name: Option<String>,
    #[schema(value_type = Option<ExportFormat>, default = "jsonl")]
    format: ExportFormat,
    /// Items that have one of these: a result that is accepted, a draft, a last result that was rejected, or none.
    #[schema(value_type = Option<Vec<SelectedStatus>>, default = json!(["accepted"]))]
    statuses: Vec<SelectedStatus>,
    /// Annotations with one of these labels, letter by letter; empty: with any. An item that is left without any stays.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    labels: Vec<String>,
    /// Annotations with at least this confidence.
    #[schema(minimum = 0.0, maximum = 1.0)]
    min_confidence: Option<f64>,
    /// Items whose result this job has drafted.
    job: Option<JobUid>,
    /// Divides the items, by a hash of their keys.
    split: Option<Shares>,
    /// With `yolo` and `ultralytics_ndjson` alone: boxes, or segments.
    #[schema(value_type = Option<ExportTask>, default = "detect")]
    task: Option<ExportTask>,
    /// With `yolo` alone: copies the pictures into the file. One that cannot be read is left out.
    #[schema(value_type = Option<bool>, default = false)]
    include_images: bool,
    /// Avala's: must be empty, since there are none.
    #[schema(max_items = 0)]
    slices: Option<Vec<String>>,
    /// Avala's: must be empty, since there is none.
    #[schema(max_length = 0)]
    filter_query_string: Option<String>,
}

impl NewExport {
    /// Reads a request.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        if !["project", "dataset", "projects", "datasets"].iter().any(|name| fields.has(name)) {
            fields.refuse("project", "Give a project or a dataset.");
        }
        let new = Self {
            project: fields.optional("project", uid),
            dataset: fields.optional("dataset", uid),
            projects: fields.optional("projects", uids).unwrap_or_default(),
            datasets: fields.optional("datasets", uids).unwrap_or_default(),
            name: fields.optional("name", fields::text(1, limits::NAME_CHARS)),
            format: fields.optional("format", format).unwrap_or_default(),
            statuses: fields.optional("statuses", statuses).unwrap_or_else(|| vec![SelectedStatus::Accepted]),
            labels: fields.optional("labels", fields::labels).unwrap_or_default(),
            min_confidence: fields.optional("min_confidence", fields::fraction),
            job: fields.optional("job", job),
            split: shares(&mut fields),
            task: fields.optional("task", task),
            include_images: fields.optional("include_images", fields::boolean).unwrap_or_default(),
            slices: fields.optional("slices", no_slices),
            filter_query_string: fields.optional("filter_query_string", no_filter),
        };
        new.check_format(&mut fields);
        fields.finish()?;
        Ok(new)
    }

    /// Refuses what its format does not have.
    fn check_format(&self, fields: &mut Fields) {
        if self.task.is_some() && !self.format.has_task() {
            fields.refuse("task", "Is for yolo and ultralytics_ndjson alone.");
        }
        if self.include_images && self.format != ExportFormat::Yolo {
            fields.refuse("include_images", "Is for yolo alone.");
        }
    }

    /// What names a project, with the field that does.
    fn named(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let one =
            self.project.iter().map(|uid| ("project", uid)).chain(self.dataset.iter().map(|uid| ("dataset", uid)));
        let several = self.projects.iter().map(|uid| ("projects", uid));
        one.chain(several).chain(self.datasets.iter().map(|uid| ("datasets", uid)))
    }

    /// The projects, each once, in the order in which they are named, with the field that names them.
    ///
    /// # Errors
    /// `Validation`: there are none, too many, or one whose uid is malformed.
    pub fn projects(&self) -> Result<Vec<(&'static str, ProjectUid)>, Error> {
        let mut projects: Vec<(&'static str, ProjectUid)> = Vec::new();
        for (field, name) in self.named() {
            let uid = ProjectUid::parse(name).map_err(|_| Error::field(field, no_project(name)))?;
            if !projects.iter().any(|(_, before)| *before == uid) {
                projects.push((field, uid));
            }
        }
        match projects.len() {
            0 => Err(Error::field("projects", "Must name at least one project.")),
            count if count > limits::EXPORT_PROJECTS => {
                let most = limits::EXPORT_PROJECTS;
                Err(Error::field("projects", format!("Must be at most {most}, and are {count}.")))
            }
            _ => Ok(projects),
        }
    }

    /// The export of these projects, which are those that it names.
    ///
    /// # Errors
    /// `Validation`: the projects have too many labels.
    pub fn into_export(
        self,
        uid: ExportUid,
        organization: OrganizationUid,
        projects: &[Project],
        (now, valid_until): (Timestamp, Timestamp),
    ) -> Result<Export, Error> {
        let Self { name, format, statuses, labels, min_confidence, job, split, task, include_images, .. } = self;
        Ok(Export {
            uid,
            organization,
            name,
            sources: sources(projects),
            classes: classes(projects)?,
            options: ExportOptions { format, statuses, labels, min_confidence, job, split, task, include_images },
            status: ExportStatus::Pending,
            deleted: false,
            total: 0,
            done: 0,
            left_out: Vec::new(),
            files: Vec::new(),
            error_message: None,
            created_at: now,
            started_at: None,
            completed_at: None,
            updated_at: now,
            valid_until,
        })
    }
}

/// Of several projects the names of the items begin with the name of their project, or with its uid if that is no name of a folder
/// that is its own: then two items could have one name, or a name could lead out of the folder.
fn sources(projects: &[Project]) -> Vec<ExportSource> {
    let prefix = |project: &Project| {
        let is_folder = !project.name.contains('/') && ![".", ".."].contains(&project.name.as_str());
        let is_others = |other: &Project| {
            other.uid != project.uid && (other.name == project.name || other.uid.to_string() == project.name)
        };
        if is_folder && !projects.iter().any(is_others) { project.name.clone() } else { project.uid.to_string() }
    };
    let source = |project: &Project| ExportSource {
        project: project.uid,
        prefix: (projects.len() > 1).then(|| prefix(project)),
    };
    projects.iter().map(source).collect()
}

/// The labels of all projects in their order, each once.
fn classes(projects: &[Project]) -> Result<Vec<String>, Error> {
    let mut classes: Vec<String> = Vec::new();
    for label in projects.iter().flat_map(|project| &project.labels) {
        if !classes.contains(label) {
            classes.push(label.clone());
        }
    }
    let characters: usize = classes.iter().map(|label| label.chars().count()).sum();
    if characters > limits::EXPORT_LABELS_CHARS {
        return Err(Error::field("projects", "Have too many labels together. Export them one by one."));
    }
    Ok(classes)
}

fn uid(value: Value) -> Result<String, String> {
    fields::text(1, limits::NAME_CHARS)(value)
}

fn uids(value: Value) -> Result<Vec<String>, String> {
    fields::list(limits::EXPORT_PROJECTS)(value)?.into_iter().map(uid).collect()
}

fn job(value: Value) -> Result<JobUid, String> {
    let text = uid(value)?;
    JobUid::parse(&text).map_err(|_| fields::must_be("the uid of a job", show::quoted(&text)))
}

fn format(value: Value) -> Result<ExportFormat, String> {
    let wanted = || format!("one of {}", show::names(ExportFormat::ALL.map(ExportFormat::as_str)));
    ExportFormat::deserialize(&value).map_err(|_| fields::must_be(&wanted(), show::value(&value)))
}

fn task(value: Value) -> Result<ExportTask, String> {
    ExportTask::deserialize(&value).map_err(|_| fields::must_be("\"detect\" or \"segment\"", show::value(&value)))
}

fn statuses(value: Value) -> Result<Vec<SelectedStatus>, String> {
    let entries = fields::list(limits::NAME_CHARS)(value)?;
    let wanted = || format!("a list of {}", show::names(SelectedStatus::ALL.map(SelectedStatus::as_str)));
    let mut statuses = Vec::new();
    for entry in entries {
        let status =
            SelectedStatus::deserialize(&entry).map_err(|_| fields::must_be(&wanted(), show::value(&entry)))?;
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    if statuses.is_empty() { Err("Must name at least one status.".into()) } else { Ok(statuses) }
}

/// Reads `split`. A part that is not given has nothing.
fn shares(fields: &mut Fields) -> Option<Shares> {
    let values = fields.optional("split", fields::object)?;
    let mut inner = Fields::of("split.".into(), values);
    let mut share = |name| inner.optional(name, fields::fraction).unwrap_or_default();
    let shares = Shares { train: share("train"), val: share("val"), test: share("test") };
    match inner.finish() {
        Ok(()) if !shares.add_up() => fields.refuse("split", "Its shares must add up to 1."),
        read => fields.absorb(read),
    }
    Some(shares)
}

fn no_slices(value: Value) -> Result<Vec<String>, String> {
    let slices = fields::list(limits::NAME_CHARS)(value)?;
    if slices.is_empty() { Ok(Vec::new()) } else { Err("Must be empty: this system has no slices.".into()) }
}

fn no_filter(value: Value) -> Result<String, String> {
    let filter = fields::text(0, limits::NAME_CHARS)(value)?;
    if filter.is_empty() {
        Ok(filter)
    } else {
        Err("Must be empty: use statuses, labels, min_confidence and job.".into())
    }
}

//! Projects: a set of items and a label set, owned by one organization.

pub mod auto_label;
pub mod dataset;
pub mod item_count;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::error::FieldError;
use crate::domain::fields::{self, Fields};
use crate::domain::id::{OrganizationUid, ProjectUid, ProviderUid};
use crate::domain::job::JobRequest;
use crate::domain::prediction::Prediction;
use crate::domain::provider::ProviderName;
use crate::domain::{Error, Timestamp, limits, show, unicode, unknown};
use auto_label::{AutoLabel, AutoLabelPause, NewAutoLabel};
use dataset::{DataType, Dataset};

/// The field of a result: its annotations, as a person gives them.
pub const ANNOTATIONS: &str = "annotations";

/// The statuses of Avala's projects (contract, 11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectStatus {
    /// Waits for its owner.
    PendingApproval,
    /// In work.
    Active,
    /// On hold; jobs may still run.
    Paused,
    /// Over.
    Canceled,
    /// Over.
    Archived,
    /// Over.
    Completed,
}

impl ProjectStatus {
    const ALL: [Self; 6] =
        [Self::PendingApproval, Self::Active, Self::Paused, Self::Canceled, Self::Archived, Self::Completed];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingApproval => "pending-approval",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
            Self::Archived => "archived",
            Self::Completed => "completed",
        }
    }

    /// Whether a job may start (contract, 6.2).
    #[must_use]
    pub const fn takes_jobs(self) -> bool {
        matches!(self, Self::PendingApproval | Self::Active | Self::Paused)
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its identifier.
    pub uid: ProjectUid,
    /// The tenant.
    pub organization: OrganizationUid,
    /// For people.
    pub name: String,
    /// Where it is in its life.
    pub status: ProjectStatus,
    /// The label set; empty: any label.
    pub labels: Vec<String>,
    /// The text that a model of open vocabulary gets instead of a label. The prompt of a label that is gone stays unused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label_prompts: BTreeMap<String, String>,
    /// The provider of its jobs that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_provider: Option<ProviderName>,
    /// The provider of its last job that was no dry run; `None`: the deployment's own endpoint, or there was none. If it is gone, a
    /// job without a choice is refused (docs/decisions/0032).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_provider: Option<ProviderName>,
    /// Whether and how uploads are labeled by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_label_on_upload: Option<AutoLabel>,
    /// Whether and why its jobs by uploads are held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_label_pause: Option<AutoLabelPause>,
    /// What it has if it was made as a dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Dataset>,
    /// Items that are pictures.
    #[serde(default)]
    pub image_count: u64,
    /// Items that are frames of videos.
    #[serde(default)]
    pub video_frame_count: u64,
    /// Items that are point clouds.
    #[serde(default)]
    pub point_cloud_count: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Project {
    /// Reads the body of a create call. Whether its default provider serves it is not known here.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8], organization: OrganizationUid, now: Timestamp) -> Result<Self, Error> {
        let NewProject { name, labels, label_prompts, default_provider, auto_label_on_upload } =
            NewProject::read(body)?;
        Ok(Self { labels, label_prompts, default_provider, auto_label_on_upload, ..Self::new(organization, name, now) })
    }

    /// A project without labels, settings or items.
    fn new(organization: OrganizationUid, name: String, now: Timestamp) -> Self {
        Self {
            uid: ProjectUid::at(now),
            organization,
            name,
            status: ProjectStatus::Active,
            labels: Vec::new(),
            label_prompts: BTreeMap::new(),
            default_provider: None,
            last_provider: None,
            auto_label_on_upload: None,
            auto_label_pause: None,
            dataset: None,
            image_count: 0,
            video_frame_count: 0,
            point_cloud_count: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Checks the labels of `auto_label_on_upload` against the project's own.
    ///
    /// # Errors
    /// `Validation` for labels that the project does not have.
    pub fn check_auto_label(&self) -> Result<(), Error> {
        let Some(setting) = &self.auto_label_on_upload else { return Ok(()) };
        match self.check_request(&setting.request()) {
            Err(Error::Validation(complaints)) => {
                let named = |complaint: FieldError| {
                    FieldError::new(format!("{}.{}", auto_label::FIELD, complaint.field), complaint.message)
                };
                Err(Error::Validation(complaints.into_iter().map(named).collect()))
            }
            _ => Ok(()), // whether it takes jobs is checked when a job starts
        }
    }

    /// Whether the project takes jobs.
    ///
    /// # Errors
    /// `ProjectNotActive`.
    pub fn check_active(&self) -> Result<(), Error> {
        if self.status.takes_jobs() {
            return Ok(());
        }
        Err(Error::ProjectNotActive { project: show::quoted(&self.name), status: self.status.as_str() })
    }

    /// Checks a job request against the project (contract, 6.2 and D8).
    ///
    /// # Errors
    /// `ProjectNotActive`; `Validation` for labels that the project does not have.
    pub fn check_request(&self, request: &JobRequest) -> Result<(), Error> {
        self.check_active()?;
        if self.labels.is_empty() {
            return Ok(());
        }
        let labels = self.unknown_labels("labels", &request.options.labels);
        let thresholds = self.unknown_labels("label_thresholds", request.options.label_thresholds.keys());
        let complaints: Vec<FieldError> = labels.into_iter().chain(thresholds).collect();
        if complaints.is_empty() { Ok(()) } else { Err(Error::Validation(complaints)) }
    }

    /// A complaint about the labels that the project does not have, if there are any.
    fn unknown_labels<'a>(&self, field: &str, labels: impl IntoIterator<Item = &'a String>) -> Option<FieldError> {
        let unknown: Vec<&str> = labels.into_iter().filter(|label| !self.has(label)).map(String::as_str).collect();
        (!unknown.is_empty()).then(|| FieldError::new(field, self.does_not_have(unknown)))
    }

    fn does_not_have<'a>(&self, labels: impl IntoIterator<Item = &'a str>) -> String {
        let (unknown, own) = (show::names(labels), show::names(self.labels.iter().map(String::as_str)));
        let own = if own.is_empty() { "none".to_owned() } else { own };
        format!("The project does not have {unknown}. Its labels: {own}.")
    }

    /// Gives the annotations of a person at the `new` positions of the list the project's spelling of their labels.
    ///
    /// # Errors
    /// `Validation` for labels that the project does not have, unless it has none at all.
    pub fn use_own_labels(&self, annotations: &mut [Prediction], new: &[usize]) -> Result<(), Error> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let mut complaints = Vec::new();
        for &position in new {
            let Some(annotation) = annotations.get_mut(position) else { continue };
            match unicode::find(&annotation.label, &self.labels) {
                Some(own) => annotation.label.clone_from(own),
                None => {
                    let field = format!("{ANNOTATIONS}[{position}].label");
                    complaints.push(FieldError::new(field, self.does_not_have([annotation.label.as_str()])));
                }
            }
        }
        complaints.truncate(unknown::MOST);
        if complaints.is_empty() { Ok(()) } else { Err(Error::Validation(complaints)) }
    }

    /// Whether it has this label, in whatever form the text is written.
    #[must_use]
    pub fn has(&self, label: &String) -> bool {
        self.labels.contains(label) || unicode::find(label, &self.labels).is_some()
    }

    /// Gives the prompts to the labels that they are for. A model may answer a prompt instead of its label, so no two labels may have
    /// the same, and none another label.
    ///
    /// # Errors
    /// `Validation`.
    pub fn with_prompts_checked(mut self) -> Result<Self, Error> {
        let (mut prompts, mut seen) = (BTreeMap::new(), BTreeSet::new());
        for (label, prompt) in std::mem::take(&mut self.label_prompts) {
            let Some(own) = unicode::find(&label, &self.labels) else {
                return Err(Error::field(PROMPTS, self.does_not_have([label.as_str()])));
            };
            let of_another = unicode::find(&prompt, &self.labels).is_some_and(|other| other != own);
            if of_another || !seen.insert(unicode::composed(&prompt).into_owned()) {
                let (label, prompt) = (show::quoted(&label), show::quoted(&prompt));
                return Err(Error::field(PROMPTS, format!("Of {label}: {prompt} is another label, or its prompt.")));
            }
            prompts.insert(own.clone(), prompt);
        }
        Ok(Self { label_prompts: prompts, ..self })
    }

    /// All its items.
    #[must_use]
    pub const fn item_count(&self) -> u64 {
        self.image_count + self.video_frame_count + self.point_cloud_count
    }

    /// What the project's items are called as a dataset: what its owner has declared, or what most of them are.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        if let Some(declared) = self.dataset.as_ref().and_then(|dataset| dataset.data_type) {
            declared
        } else if self.point_cloud_count > self.image_count && self.point_cloud_count > self.video_frame_count {
            DataType::Lidar
        } else if self.video_frame_count > self.image_count {
            DataType::Video
        } else {
            DataType::Image
        }
    }

    /// Its name in paths, as a dataset: its own, or one that ends in the uid, which is what finds it: names are neither unique nor
    /// final.
    #[must_use]
    pub fn slug(&self) -> String {
        if let Some(own) = self.dataset.as_ref().and_then(|dataset| dataset.slug.clone()) {
            return own;
        }
        let letters = self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        let letters: String = letters.collect();
        let words = letters.split('-').filter(|word| !word.is_empty());
        words.chain([self.uid.simple().as_str()]).collect::<Vec<_>>().join("-")
    }
}

/// What a new project is made of.
// The body of a create call.
#[derive(ToSchema)]
#[schema(example = json!({"name": "Street scenes", "labels": ["person", "cat"]}))]
pub struct NewProject {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// The label set; empty: any label.
    #[schema(value_type = Option<Vec<String>>, max_items = 1_000)]
    labels: Vec<String>,
    /// What a model is asked to find under a label, sent to it as `prompts` beside `labels`: by label, or as the list of pairs in
    /// which it is shown. Each must differ from the others, and from other labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    label_prompts: BTreeMap<String, String>,
    /// The provider of its jobs that name none: an active one of the whole organization.
    #[schema(value_type = Option<ProviderUid>)]
    default_provider: Option<ProviderName>,
    #[schema(value_type = Option<NewAutoLabel>)]
    auto_label_on_upload: Option<AutoLabel>,
}

impl NewProject {
    fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let new = Self {
            name: fields.required("name", fields::text(1, limits::NAME_CHARS)).unwrap_or_default(),
            labels: fields.optional("labels", fields::labels).unwrap_or_default(),
            label_prompts: label_prompts(&mut fields).unwrap_or_default(),
            default_provider: default_provider(&mut fields).flatten(),
            auto_label_on_upload: auto_label(&mut fields).flatten(),
        };
        fields.finish()?;
        Ok(new)
    }
}

/// What a project can be changed to. Fields that are not sent stay.
// The body of a change call. Any status may follow any: the owner decides, and a running job is not touched.
// `auto_label_on_upload` is `Some(None)` if it is turned off, `default_provider` if it is sent as `null`.
#[expect(missing_docs, reason = "a doc comment would be a description on the wire, where these fields have none")]
#[derive(Clone, Debug, Default, PartialEq, ToSchema)]
#[schema(example = json!({
    "labels": ["person", "cat", "dog"],
    "auto_label_on_upload": {"model_type": "yolo", "confidence_threshold": 0.5, "quiet_seconds": 60, "max_items_per_day": 10_000},
}))]
pub struct ProjectChange {
    #[schema(min_length = 1, max_length = 255)]
    pub name: Option<String>,
    /// Another label set; jobs that run keep theirs.
    #[schema(max_items = 1_000)]
    pub labels: Option<Vec<String>>,
    /// Replaces all of them; jobs that run keep theirs.
    pub label_prompts: Option<BTreeMap<String, String>>,
    pub status: Option<ProjectStatus>,
    /// The provider of its jobs that name none: an active one of the project or its organization. `null`: none, and the newest active
    /// provider serves them, also if the one of the last job is gone.
    #[schema(value_type = Option<ProviderUid>)]
    pub default_provider: Option<Option<ProviderName>>,
    #[schema(value_type = Option<NewAutoLabel>)]
    pub auto_label_on_upload: Option<Option<AutoLabel>>,
}

impl ProjectChange {
    /// Reads the body of a change call.
    ///
    /// # Errors
    /// `MalformedBody`; `Validation` with every complaint.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let change = Self {
            name: fields.optional("name", fields::text(1, limits::NAME_CHARS)),
            labels: fields.optional("labels", fields::labels),
            label_prompts: label_prompts(&mut fields),
            status: fields.optional("status", status),
            default_provider: default_provider(&mut fields),
            auto_label_on_upload: auto_label(&mut fields),
        };
        fields.finish()?;
        Ok(change)
    }

    /// The project after it.
    #[must_use]
    pub fn applied_to(self, before: Project, now: Timestamp) -> Project {
        let has_no_choice = self.default_provider == Some(None);
        Project {
            name: self.name.unwrap_or(before.name),
            labels: self.labels.unwrap_or(before.labels),
            label_prompts: self.label_prompts.unwrap_or(before.label_prompts),
            status: self.status.unwrap_or(before.status),
            default_provider: self.default_provider.unwrap_or(before.default_provider),
            last_provider: before.last_provider.filter(|_| !has_no_choice),
            auto_label_on_upload: self.auto_label_on_upload.unwrap_or(before.auto_label_on_upload),
            auto_label_pause: None, // the change may remove the cause of the pause
            updated_at: now,
            ..before
        }
    }
}

/// The field of a project.
const PROMPTS: &str = "label_prompts";

fn label_prompts(fields: &mut Fields) -> Option<BTreeMap<String, String>> {
    let prompt = |value| fields::text(1, limits::PROMPT_CHARS)(value);
    let prompts = fields.optional(PROMPTS, fields::by_label(["label", "prompt"], prompt))?;
    if prompts.values().map(|prompt| prompt.chars().count()).sum::<usize>() > limits::LABELS_CHARS {
        fields.refuse(PROMPTS, format!("Must have at most {} characters in all.", limits::LABELS_CHARS));
    }
    Some(prompts)
}

/// The field of a project.
pub const DEFAULT_PROVIDER: &str = "default_provider";

/// Without its name, which is to be read. `Some(None)`: it was sent as `null`.
fn default_provider(fields: &mut Fields) -> Option<Option<ProviderName>> {
    let is_null = fields.is_null(DEFAULT_PROVIDER);
    let uid = fields.optional(DEFAULT_PROVIDER, auto_label::provider_id);
    let named = |uid| ProviderName { uid, name: String::new() };
    if is_null { Some(None) } else { uid.map(|uid| Some(named(uid))) }
}

/// `Some(None)`: it is turned off.
fn auto_label(fields: &mut Fields) -> Option<Option<AutoLabel>> {
    let sent = fields.optional(auto_label::FIELD, fields::object)?;
    AutoLabel::read(sent).map_err(|error| fields.absorb(Err(error))).ok()
}

fn status(value: Value) -> Result<ProjectStatus, String> {
    let names = ProjectStatus::ALL.map(ProjectStatus::as_str);
    let complaint = || fields::must_be(&format!("one of {}", show::names(names)), show::value(&value));
    ProjectStatus::deserialize(&value).map_err(|_| complaint())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::prediction::Geometry;

    fn a_project(name: &str) -> Project {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let body = json!({"name": name, "labels": ["car"]}).to_string();
        Project::read(body.as_bytes(), OrganizationUid::named("acme"), now).unwrap()
    }

    fn change(body: Value) -> Result<ProjectChange, Error> {
        ProjectChange::read(body.to_string().as_bytes())
    }

    #[test]
    fn what_a_change_does_not_say_stays() {
        let before = a_project("Cars");
        let later = before.created_at + std::time::Duration::from_secs(1);

        let nothing = change(json!({"name": null})).unwrap().applied_to(before.clone(), later);
        assert_eq!(nothing, Project { updated_at: later, ..before.clone() });

        let all = change(json!({"name": "Trucks", "labels": [], "status": "pending-approval"})).unwrap();
        let after = all.applied_to(before, later);
        assert_eq!(
            (after.name.as_str(), after.labels.len(), after.status),
            ("Trucks", 0, ProjectStatus::PendingApproval)
        );
    }

    #[test]
    fn a_default_provider_stays_until_null_frees_the_choice() {
        let provider = json!("0192b1c0-0000-7000-8000-00000000000c");
        let last = ProviderName { uid: ProviderUid::at(Timestamp::UNIX_EPOCH), name: "Last".into() };
        let before = Project { last_provider: Some(last.clone()), ..a_project("Cars") };
        let after = |before: &Project, body| change(body).unwrap().applied_to(before.clone(), before.created_at);

        let fixed = after(&before, json!({"default_provider": provider}));
        let uid = fixed.default_provider.as_ref().map(|provider| json!(provider.uid));
        assert_eq!((uid, fixed.last_provider.as_ref()), (Some(provider), Some(&last)));
        assert_eq!(after(&fixed, json!({"name": "Trucks"})).default_provider, fixed.default_provider);
        let free = after(&fixed, json!({"default_provider": null}));
        assert_eq!((free.default_provider, free.last_provider), (None, None));
        let refused = change(json!({"default_provider": "mine"})).unwrap_err().to_string();
        assert_eq!(refused, "default_provider: Must be the uid of an inference provider, not \"mine\".");
    }

    #[test]
    fn a_field_that_a_project_does_not_have_is_refused() {
        let refused = |body| change(body).unwrap_err().to_string();

        assert_eq!(refused(json!({"lables": ["car"]})), "lables: Unknown field. Did you mean labels?");
        assert_eq!(
            refused(json!({"auto_label_on_upload": {"provider": "x"}})),
            "auto_label_on_upload.provider: Unknown field. Did you mean provider_id?"
        );
    }

    fn a_prediction(label: &str) -> Prediction {
        Prediction {
            geometry: Geometry::Classification,
            label: label.into(),
            confidence: 1.0,
            attributes: Default::default(),
        }
    }

    #[test]
    fn a_person_uses_the_labels_of_the_project_if_it_has_any() {
        let check = |project: &Project, labels: &[&str]| {
            let mut given: Vec<Prediction> = labels.iter().map(|label| a_prediction(label)).collect();
            let positions: Vec<usize> = (0..given.len()).collect();
            let used = project.use_own_labels(&mut given, &positions).map_err(|error| error.to_string());
            used.map(|()| given.into_iter().map(|annotation| annotation.label).collect::<Vec<_>>())
        };
        let cars = a_project("Cars");

        assert_eq!(check(&cars, &["car", "car"]).unwrap(), ["car", "car"]);
        let bicycles = Project { labels: vec!["vélo".into()], ..a_project("Bicycles") };
        assert_eq!(check(&bicycles, &["ve\u{301}lo"]).unwrap(), ["vélo"], "one class, not two");
        assert_eq!(
            check(&cars, &["car", "dog"]).unwrap_err(),
            "annotations[1].label: The project does not have \"dog\". Its labels: \"car\"."
        );
        assert_eq!(check(&Project { labels: vec![], ..cars }, &["dog"]).unwrap(), ["dog"]);
        let many = Project { labels: (0..13).map(|n| n.to_string()).collect(), ..a_project("Many") };
        assert!(check(&many, &["dog"]).unwrap_err().ends_with("\"9\" and 3 more."));
    }

    #[test]
    fn a_label_may_have_a_prompt_of_its_own() {
        let project = |body: Value| {
            let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
            let project = Project::read(body.to_string().as_bytes(), OrganizationUid::named("acme"), now);
            project.and_then(Project::with_prompts_checked).map_err(|error| error.to_string())
        };
        let prompts =
            |prompts: Value| project(json!({"name": "a", "labels": ["vélo", "car"], "label_prompts": prompts}));

        let wanted = BTreeMap::from([("vélo".to_owned(), "a bicycle".to_owned())]);
        for sent in [json!({"ve\u{301}lo": "a bicycle"}), json!([{"label": "vélo", "prompt": " a bicycle"}])] {
            assert_eq!(prompts(sent).unwrap().label_prompts, wanted);
        }
        for (bad, complaint) in [
            (
                json!({"bus": "a bus"}),
                "label_prompts: The project does not have \"bus\". Its labels: \"vélo\", \"car\".",
            ),
            (json!({"car": "vélo"}), "label_prompts: Of \"car\": \"vélo\" is another label, or its prompt."),
            (json!({"car": "a", "vélo": "a"}), "label_prompts: Of \"vélo\": \"a\" is another label, or its prompt."),
            (json!({"car": ""}), "label_prompts: Of \"car\": May not be blank."),
            (
                json!("car"),
                "label_prompts: Must be an object, or a list of objects with \"label\" and \"prompt\", not a string.",
            ),
        ] {
            assert_eq!(prompts(bad).unwrap_err(), complaint);
        }
        assert_eq!(prompts(json!({"car": "car"})).unwrap().label_prompts.len(), 1);
        let change = change(json!({"label_prompts": {}})).unwrap();
        let before = prompts(json!({"car": "a car"})).unwrap();
        assert!(change.applied_to(before.clone(), before.created_at).label_prompts.is_empty());
        let old = serde_json::to_value(prompts(json!({})).unwrap()).unwrap();
        assert!(old.get("label_prompts").is_none() && serde_json::from_value::<Project>(old).is_ok());
    }

    #[test]
    fn a_status_is_one_of_the_originals() {
        for status in ["pending-approval", "active", "paused", "canceled", "archived", "completed"] {
            assert!(change(json!({"status": status})).is_ok(), "{status}");
        }
        for bad in [json!("cancelled"), json!("Active"), json!(1), json!(["active"])] {
            let error = change(json!({"status": bad, "name": ""})).unwrap_err().to_string();
            assert!(error.starts_with("name: May not be blank.; status: Must be one of"), "{error}");
        }
    }

    #[test]
    fn a_dataset_is_what_most_of_its_items_are() {
        let of = |image_count, video_frame_count, point_cloud_count| Project {
            image_count,
            video_frame_count,
            point_cloud_count,
            ..a_project("x")
        };
        assert_eq!((of(0, 0, 0).data_type().as_str(), of(0, 0, 0).item_count()), ("image", 0));
        assert_eq!((of(1, 2, 0).data_type().as_str(), of(1, 2, 0).item_count()), ("video", 3));
        assert_eq!((of(1, 2, 3).data_type().as_str(), of(1, 2, 3).item_count()), ("lidar", 6));
    }

    #[test]
    fn a_slug_reads_as_the_name() {
        let project = a_project(" Çars & Trucks, 2026! ");
        assert_eq!(project.slug(), format!("ars-trucks-2026-{}", project.uid.simple()));
        let nameless = a_project("東京");
        assert_eq!(nameless.slug(), nameless.uid.simple());
    }

    proptest! {
        #[test]
        fn a_slug_leads_to_its_project_and_is_safe_in_a_path(name in "\\PC{1,40}") {
            prop_assume!(!name.trim().is_empty());
            let project = a_project(&name);

            prop_assert_eq!(ProjectUid::of_slug(&project.slug()).unwrap(), project.uid);
            prop_assert!(project.slug().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        }

        #[test]
        fn no_slug_breaks_the_reader(slug in "\\PC{0,60}") {
            prop_assert!(matches!(ProjectUid::of_slug(&slug), Err(Error::NotFound(_))));
        }
    }
}

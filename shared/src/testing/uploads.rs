use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::result::LabelResult;
use crate::domain::item::{Asset, AssetType, Item};
use crate::domain::job::plan::Plan;
use crate::domain::job::{Job, JobSpec, JobState};
use crate::domain::job_status::JobStatus;
use crate::domain::project::Project;
use crate::domain::project::auto_label::AutoLabelPause;
use crate::domain::upload::RejectedUpload;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{
    Ending, JobFilter, Jobs, Page, Picked, Projects, Slice, UnlabeledQuery, UploadBacklog, UploadQueue, UploadWatch,
    Uploads, WaitingUploads,
};
use crate::testing::providers::MemoryTenants;
use crate::testing::{Fault, lock};

/// The uploads of [`MemoryTenants`], and the jobs that they start.
#[derive(Debug, Default)]
pub(super) struct Uploaded {
    projects: HashMap<ProjectUid, Waiting>,
    /// Positions of items that do not wait at the time of their creation.
    positions: HashMap<ItemUid, String>,
    rejected: Vec<RejectedUpload>,
    taken: u32,
}

#[derive(Clone, Debug, Default)]
struct Waiting {
    counted: u64,
    settled: u64,
    last_at: Option<Timestamp>,
    waiting_since: Option<Timestamp>,
    last_job: Option<JobUid>,
    are_watched: bool,
    check_at: Option<Timestamp>,
    taken_until: Option<String>,
}

fn in_time(at: Timestamp, item: ItemUid) -> String {
    format!("{:016}#{item}", at.as_microsecond())
}

impl MemoryTenants {
    /// Every job, in the order of their creation.
    pub fn jobs_created(&self) -> Vec<Job> {
        self.jobs.all()
    }

    /// Whether a job has a project.
    pub fn has_active_job(&self) -> bool {
        self.jobs.project_is_taken()
    }

    /// Completes all jobs.
    pub fn end_jobs(&self) {
        self.jobs.change_all(|job| {
            job.state.status = JobStatus::Completed;
            job.state.started_at.get_or_insert(job.spec.created_at);
        });
    }

    /// Fails all active jobs before they are planned.
    pub fn fail_jobs(&self, now: Timestamp) {
        self.jobs.change_all(|job| {
            if job.state.status.is_active() {
                job.state.status = JobStatus::Failed;
                job.state.completed_at = Some(now);
            }
        });
    }

    /// A change of the project removes the note of its last job.
    pub(super) fn forget_upload_job(&self, project: ProjectUid) {
        lock(&self.uploads).projects.entry(project).or_default().last_job = None;
    }

    /// Jobs have taken so many today.
    pub fn take_today(&self, items: u32) {
        lock(&self.uploads).taken = items;
    }

    /// Gives an item a result.
    pub fn label(&self, uid: ItemUid, result: LabelResult) {
        let mut items = lock(&self.items);
        items.iter_mut().filter(|item| item.asset.uid == uid).for_each(|item| {
            item.generation = result.generation;
            item.result = Some(result.clone());
        });
    }

    /// Notes of rejected uploads.
    pub fn rejected(&self) -> Vec<RejectedUpload> {
        lock(&self.uploads).rejected.clone()
    }

    /// The unlabeled items of a query, each with its position.
    pub fn waiting_in(&self, project: ProjectUid, query: &UnlabeledQuery) -> Vec<(String, Asset)> {
        let uploads = lock(&self.uploads);
        let position = |item: &Item| {
            let moved = uploads.positions.get(&item.asset.uid).cloned();
            moved.unwrap_or_else(|| in_time(item.created_at, item.asset.uid))
        };
        let since = query.since.map(|since| format!("{:016}~", since.as_microsecond()));
        let until = query.until.map(|until| format!("{:016}~", until.as_microsecond()));
        let mut waiting: Vec<(String, Asset)> = lock(&self.items)
            .iter()
            .filter(|item| item.project == project && item.waits() && (item.file.is_some() || !query.uploads))
            .map(|item| (position(item), item.asset.clone()))
            .filter(|(position, _)| query.after.as_ref().is_none_or(|after| position > after))
            .filter(|(position, _)| since.as_ref().is_none_or(|since| position > since))
            .filter(|(position, _)| until.as_ref().is_none_or(|until| position < until))
            .collect();
        waiting.sort_by(|a, b| a.0.cmp(&b.0));
        waiting
    }

    /// Every item.
    pub fn all_items(&self) -> Vec<Item> {
        lock(&self.items).clone()
    }
}

impl Uploads for MemoryTenants {
    async fn owner(&self, uid: ProjectUid) -> Result<Option<OrganizationUid>, Error> {
        self.fault.around(|| {
            Ok(lock(&self.projects).iter().find(|project| project.uid == uid).map(|project| project.organization))
        })
    }

    async fn change_file(&self, before: &Item, after: &Item, now: Timestamp) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut items = lock(&self.items);
            let Some(item) = items.iter_mut().find(|item| *item == before) else { return Ok(false) };
            *item = after.clone();
            if after.waits_again(before) {
                lock(&self.uploads).positions.insert(after.asset.uid, in_time(now, after.asset.uid));
            }
            Ok(true)
        })
    }

    async fn reject_upload(&self, rejected: &RejectedUpload) -> Result<(), Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            uploads.rejected.retain(|before| before.uid() != rejected.uid());
            uploads.rejected.push(rejected.clone());
            Ok(())
        })
    }

    async fn rejected_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        _: &Slice,
    ) -> Result<Page<RejectedUpload>, Error> {
        let rejected = self.rejected().into_iter().rev();
        let of_project = rejected.filter(|upload| (upload.organization, upload.project) == (organization, project));
        Ok(Page::whole(of_project.collect()))
    }
}

impl WaitingUploads for MemoryTenants {
    async fn backlog(&self, organization: OrganizationUid, uid: ProjectUid) -> Result<UploadBacklog, Error> {
        let project = self.project(organization, uid).await?;
        self.fault.around(|| {
            let state = lock(&self.uploads).projects.get(&uid).cloned().unwrap_or_default();
            let Waiting { counted, settled, last_at, waiting_since, last_job, are_watched, taken_until, .. } = state;
            Ok(UploadBacklog { project, counted, settled, last_at, waiting_since, last_job, are_watched, taken_until })
        })
    }

    async fn taken_today(&self, _: ProjectUid, _: Timestamp) -> Result<u32, Error> {
        self.fault.around(|| Ok(lock(&self.uploads).taken))
    }
}

impl UploadWatch for MemoryTenants {
    async fn count_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        added: &[AssetType],
        waiting: u64,
        now: Timestamp,
    ) -> Result<UploadBacklog, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            state.counted += waiting;
            state.last_at = Some(now);
            Ok(())
        })?;
        self.count_items(organization, project, added).await?;
        self.backlog(organization, project).await
    }

    async fn watch_uploads(
        &self,
        _: OrganizationUid,
        project: ProjectUid,
        settled: u64,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            if state.are_watched {
                return Ok(false);
            }
            let waiting_since = Some(now);
            *state = Waiting { settled, are_watched: true, waiting_since, check_at: Some(check_at), ..state.clone() };
            Ok(true)
        })
    }

    async fn schedule_check(
        &self,
        _: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            let is_due = state.are_watched && state.check_at.is_some_and(|before| before <= now);
            if is_due {
                state.check_at = Some(check_at);
            }
            Ok(is_due)
        })
    }

    async fn unwatch_uploads(&self, _: OrganizationUid, project: ProjectUid, counted: u64) -> Result<(), Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            if state.counted == counted {
                state.settled = counted;
                state.are_watched = false;
                state.waiting_since = None;
            }
            Ok(())
        })
    }

    async fn note_upload_job(&self, _: OrganizationUid, project: ProjectUid, job: JobUid) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.uploads).projects.entry(project).or_default().last_job = Some(job);
            Ok(())
        })
    }

    async fn pause_uploads(&self, before: &Project, pause: &AutoLabelPause) -> Result<(), Error> {
        self.fault.around(|| {
            let mut projects = lock(&self.projects);
            let as_read = |project: &&mut Project| {
                (project.uid, project.updated_at) == (before.uid, before.updated_at)
                    && project.auto_label_pause == before.auto_label_pause
            };
            projects.iter_mut().filter(as_read).for_each(|project| project.auto_label_pause = Some(pause.clone()));
            Ok(())
        })
    }

    async fn watched_projects(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(OrganizationUid, ProjectUid)>, Error> {
        self.fault.around(|| {
            let uploads = lock(&self.uploads);
            let is_watched = |uid: &ProjectUid| uploads.projects.get(uid).is_some_and(|state| state.are_watched);
            let mut watched: Vec<(OrganizationUid, ProjectUid)> = lock(&self.projects)
                .iter()
                .map(|project| (project.organization, project.uid))
                .filter(|(_, uid)| is_watched(uid) && after.is_none_or(|after| uid.to_string().as_str() > after))
                .collect();
            watched.sort_by_key(|(_, uid)| uid.to_string());
            let more = watched.len() > limit;
            watched.truncate(limit);
            let next = watched.last().filter(|_| more).map(|(_, uid)| uid.to_string());
            Ok(Page { entries: watched, next, previous: None })
        })
    }
}

/// Its jobs, and what plans take of its uploads.
impl Jobs for MemoryTenants {
    async fn create_job(&self, spec: &JobSpec, state: &JobState) -> Result<bool, Error> {
        self.jobs.create_job(spec, state).await
    }

    async fn job(&self, uid: JobUid) -> Result<Job, Error> {
        self.jobs.job(uid).await
    }

    async fn jobs(&self, organization: OrganizationUid, filter: JobFilter, slice: &Slice) -> Result<Page<Job>, Error> {
        self.jobs.jobs(organization, filter, slice).await
    }

    async fn active_jobs(&self) -> Result<Vec<JobUid>, Error> {
        self.jobs.active_jobs().await
    }

    async fn plan_job(&self, plan: &Plan, total: u32, picked: Option<&Picked>, now: Timestamp) -> Result<Plan, Error> {
        self.jobs.plan_with(plan, total, now, || picked.map_or(Ok(()), |picked| self.take(picked, total, now)))
    }

    async fn plan(&self, job: JobUid) -> Result<Option<Plan>, Error> {
        self.jobs.plan(job).await
    }

    async fn cancel_job(&self, job: &Job, deliveries: &[Delivery], now: Timestamp) -> Result<bool, Error> {
        self.jobs.cancel_job(job, deliveries, now).await
    }

    async fn withdraw_job(&self, job: &Job, now: Timestamp) -> Result<(), Error> {
        self.jobs.withdraw_job(job, now).await
    }

    async fn close_job(&self, job: JobUid, status: &[JobStatus]) -> Result<(), Error> {
        self.jobs.close_job(job, status).await
    }

    async fn refuse_job(&self, job: JobUid, refusal: &str) -> Result<(), Error> {
        self.jobs.refuse_job(job, refusal).await
    }

    async fn unwatch_job(&self, job: JobUid) -> Result<(), Error> {
        self.jobs.unwatch_job(job).await
    }

    async fn end_job(&self, job: &Job, ending: &Ending, now: Timestamp) -> Result<bool, Error> {
        self.jobs.end_job(job, ending, now).await
    }
}

impl MemoryTenants {
    /// What a job has picked of a project's uploads, if the day has room for it.
    fn take(&self, picked: &Picked, total: u32, now: Timestamp) -> Result<(), Error> {
        let mut uploads = lock(&self.uploads);
        if uploads.taken > picked.max_items_per_day.saturating_sub(total) && uploads.taken > 0 {
            return Err(Error::StoreUnavailable("the day's uploads have changed".into()));
        }
        uploads.taken += total;
        let mut projects = lock(&self.projects);
        projects.iter_mut().filter(|p| p.uid == picked.project).for_each(|project| project.auto_label_pause = None);
        let state = uploads.projects.entry(picked.project).or_default();
        (state.waiting_since, state.last_job, state.settled) = (Some(now), None, picked.counted);
        state.taken_until = picked.until.clone().or_else(|| state.taken_until.clone());
        Ok(())
    }
}

/// The queue of uploads.
#[derive(Debug, Default)]
pub struct MemoryUploadQueue {
    checks: Mutex<Vec<(ProjectUid, Duration)>>,
    rounds: Mutex<Vec<String>>,
    dead_letters: Mutex<Vec<(String, String)>>,
    fault: Arc<Fault>,
}

impl MemoryUploadQueue {
    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// Takes the checks that were asked for, each with its delay.
    pub fn take_checks(&self) -> Vec<(ProjectUid, Duration)> {
        std::mem::take(&mut lock(&self.checks))
    }

    /// Takes the positions that rounds of the schedule go on from.
    pub fn take_rounds(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.rounds))
    }

    /// The bodies of dead letters, each with its reason.
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        lock(&self.dead_letters).clone()
    }
}

impl UploadQueue for MemoryUploadQueue {
    async fn request_check(
        &self,
        _: OrganizationUid,
        project: ProjectUid,
        delay: Duration,
        _: u32,
    ) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.checks).push((project, delay));
            Ok(())
        })
    }

    async fn continue_round(&self, after: &str) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.rounds).push(after.to_owned());
            Ok(())
        })
    }

    async fn send_to_dead_letters(&self, body: &str, reason: &str) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.dead_letters).push((body.to_owned(), reason.to_owned()));
            Ok(())
        })
    }
}

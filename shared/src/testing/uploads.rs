use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::domain::id::{ItemUid, JobUid, OrganizationUid, ProjectUid};
use crate::domain::item::{Asset, AssetType, Item};
use crate::domain::job::{Job, JobSpec, JobState, JobStatus};
use crate::domain::plan::Plan;
use crate::domain::result::LabelResult;
use crate::domain::upload::RejectedUpload;
use crate::domain::webhook::Delivery;
use crate::domain::{Error, Timestamp};
use crate::ports::{
    Arrivals, Ending, JobFilter, Jobs, Page, Picked, Projects, Slice, Stretch, UploadQueue, UploadWatch, Uploads,
    WaitingUploads,
};
use crate::testing::Fault;
use crate::testing::providers::{MemoryTenants, lock};

/// What [`MemoryTenants`] knows of uploads and of the jobs that they cause.
#[derive(Debug, Default)]
pub(super) struct Uploaded {
    projects: HashMap<ProjectUid, Waiting>,
    /// Where an item waits, if not where it was created.
    places: HashMap<ItemUid, String>,
    rejected: Vec<RejectedUpload>,
    taken: u32,
    jobs: Vec<Job>,
}

#[derive(Clone, Debug, Default)]
struct Waiting {
    counted: u64,
    settled: u64,
    last_at: Option<Timestamp>,
    are_awaited: bool,
    look_at: Option<Timestamp>,
    taken_until: Option<String>,
}

fn in_time(at: Timestamp, item: ItemUid) -> String {
    format!("{:016}#{item}", at.as_microsecond())
}

impl MemoryTenants {
    /// Every job, in the order of their creation.
    pub fn jobs_created(&self) -> Vec<Job> {
        lock(&self.uploads).jobs.clone()
    }

    /// The job that has a project ends, having taken what it takes.
    pub fn end_jobs(&self) {
        let mut uploads = lock(&self.uploads);
        for job in &mut uploads.jobs {
            job.state.status = JobStatus::Completed;
            job.state.started_at.get_or_insert(job.spec.created_at);
        }
    }

    /// The job that has a project fails before anybody has planned it.
    pub fn fail_jobs(&self) {
        let mut uploads = lock(&self.uploads);
        uploads.jobs.iter_mut().for_each(|job| job.state.status = JobStatus::Failed);
    }

    /// Jobs have taken so many today.
    pub fn take_today(&self, items: u32) {
        lock(&self.uploads).taken = items;
    }

    /// Gives an item a result.
    pub fn label(&self, uid: ItemUid, result: LabelResult) {
        let mut items = lock(&self.items);
        items.iter_mut().filter(|item| item.asset.uid == uid).for_each(|item| item.result = Some(result.clone()));
    }

    /// Notes of rejected uploads.
    pub fn rejected(&self) -> Vec<RejectedUpload> {
        lock(&self.uploads).rejected.clone()
    }

    /// The unlabeled items of a stretch, each with its place.
    pub fn waiting_in(&self, project: ProjectUid, stretch: &Stretch) -> Vec<(String, Asset)> {
        let uploads = lock(&self.uploads);
        let place = |item: &Item| {
            let moved = uploads.places.get(&item.asset.uid).cloned();
            moved.unwrap_or_else(|| in_time(item.created_at, item.asset.uid))
        };
        let until = stretch.until.map(|until| format!("{:016}~", until.as_microsecond()));
        let mut waiting: Vec<(String, Asset)> = lock(&self.items)
            .iter()
            .filter(|item| item.project == project && item.waits() && (item.file.is_some() || !stretch.uploads))
            .map(|item| (place(item), item.asset.clone()))
            .filter(|(place, _)| stretch.after.as_ref().is_none_or(|after| place > after))
            .filter(|(place, _)| until.as_ref().is_none_or(|until| place < until))
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
            if after.waits_anew(before) {
                lock(&self.uploads).places.insert(after.asset.uid, in_time(now, after.asset.uid));
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
        Ok(Page { entries: of_project.collect(), next: None })
    }
}

impl WaitingUploads for MemoryTenants {
    async fn arrivals(&self, organization: OrganizationUid, uid: ProjectUid) -> Result<Arrivals, Error> {
        let project = self.project(organization, uid).await?;
        self.fault.around(|| {
            let state = lock(&self.uploads).projects.get(&uid).cloned().unwrap_or_default();
            let Waiting { counted, settled, last_at, are_awaited, taken_until, .. } = state;
            Ok(Arrivals { project, counted, settled, last_at, are_awaited, taken_until })
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
    ) -> Result<Arrivals, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            state.counted += waiting;
            state.last_at = Some(now);
            Ok(())
        })?;
        self.count_items(organization, project, added).await?;
        self.arrivals(organization, project).await
    }

    async fn await_pause(
        &self,
        _: OrganizationUid,
        project: ProjectUid,
        settled: u64,
        look_at: Timestamp,
    ) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            if state.are_awaited {
                return Ok(false);
            }
            *state = Waiting { settled, are_awaited: true, look_at: Some(look_at), ..state.clone() };
            Ok(true)
        })
    }

    async fn look_again(
        &self,
        _: OrganizationUid,
        project: ProjectUid,
        now: Timestamp,
        look_at: Timestamp,
    ) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            let nobody_comes = state.are_awaited && state.look_at.is_some_and(|before| before <= now);
            if nobody_comes {
                state.look_at = Some(look_at);
            }
            Ok(nobody_comes)
        })
    }

    async fn forget_arrivals(&self, _: OrganizationUid, project: ProjectUid, counted: u64) -> Result<(), Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let state = uploads.projects.entry(project).or_default();
            if state.counted == counted {
                state.settled = counted;
                state.are_awaited = false;
            }
            Ok(())
        })
    }

    async fn awaited_projects(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(OrganizationUid, ProjectUid)>, Error> {
        self.fault.around(|| {
            let uploads = lock(&self.uploads);
            let is_awaited = |uid: &ProjectUid| uploads.projects.get(uid).is_some_and(|state| state.are_awaited);
            let mut awaited: Vec<(OrganizationUid, ProjectUid)> = lock(&self.projects)
                .iter()
                .map(|project| (project.organization, project.uid))
                .filter(|(_, uid)| is_awaited(uid) && after.is_none_or(|after| uid.to_string().as_str() > after))
                .collect();
            awaited.sort_by_key(|(_, uid)| uid.to_string());
            let more = awaited.len() > limit;
            awaited.truncate(limit);
            let next = awaited.last().filter(|_| more).map(|(_, uid)| uid.to_string());
            Ok(Page { entries: awaited, next })
        })
    }
}

/// As far as jobs that uploads cause go.
impl Jobs for MemoryTenants {
    async fn create_job(&self, spec: &JobSpec, state: &JobState) -> Result<(), Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let holder =
                uploads.jobs.iter().find(|job| job.spec.project == spec.project && job.state.status.is_active());
            if let Some(holder) = holder {
                return Err(Error::JobActive(holder.spec.uid));
            }
            uploads.jobs.push(Job { spec: spec.clone(), state: state.clone() });
            Ok(())
        })
    }

    async fn job(&self, uid: JobUid) -> Result<Job, Error> {
        self.fault
            .around(|| lock(&self.uploads).jobs.iter().find(|job| job.spec.uid == uid).cloned().ok_or(Error::NotFound))
    }

    async fn jobs(&self, _: OrganizationUid, _: JobFilter, _: &Slice) -> Result<Page<Job>, Error> {
        Ok(Page { entries: self.jobs_created(), next: None })
    }

    async fn active_jobs(&self) -> Result<Vec<JobUid>, Error> {
        let active = self.jobs_created().into_iter().filter(|job| job.state.status.is_active());
        Ok(active.map(|job| job.spec.uid).collect())
    }

    async fn start_job(&self, plan: &Plan, total: u32, picked: Option<&Picked>, now: Timestamp) -> Result<Plan, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let job = uploads.jobs.iter_mut().find(|job| job.spec.uid == plan.job).ok_or(Error::NotFound)?;
            job.state.status = JobStatus::Running;
            job.state.started_at = Some(now);
            job.state.counters.total = total;
            if let Some(picked) = picked {
                uploads.taken += total;
                let state = uploads.projects.entry(picked.project).or_default();
                state.settled = picked.counted;
                state.taken_until = picked.until.clone().or_else(|| state.taken_until.clone());
            }
            Ok(plan.clone())
        })
    }

    async fn plan(&self, _: JobUid) -> Result<Option<Plan>, Error> {
        Ok(None)
    }

    async fn cancel_job(&self, cancelled: &Job, _: &[Delivery], _: Timestamp) -> Result<bool, Error> {
        self.fault.around(|| {
            let mut uploads = lock(&self.uploads);
            let mut of_uid = uploads.jobs.iter_mut().filter(|job| job.spec.uid == cancelled.spec.uid);
            let job = of_uid.next().ok_or(Error::NotFound)?;
            job.state.status = JobStatus::Cancelled;
            Ok(true)
        })
    }

    async fn close_job(&self, _: JobUid, _: &[JobStatus]) -> Result<(), Error> {
        Ok(())
    }

    async fn refuse_job(&self, _: JobUid, _: &str) -> Result<(), Error> {
        Err(Error::internal("its jobs have no workers"))
    }

    async fn forget_job(&self, _: JobUid) -> Result<(), Error> {
        Ok(())
    }

    async fn end_job(&self, _: &Job, _: &Ending, _: Timestamp) -> Result<bool, Error> {
        Err(Error::internal("its jobs end by themselves"))
    }
}

/// The queue of uploads.
#[derive(Debug, Default)]
pub struct MemoryUploadQueue {
    looks: Mutex<Vec<(ProjectUid, Duration)>>,
    rounds: Mutex<Vec<String>>,
    buried: Mutex<Vec<(String, String)>>,
    fault: Arc<Fault>,
}

impl MemoryUploadQueue {
    /// One of its calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// The looks that were asked for, each with its delay. They are taken.
    pub fn take_looks(&self) -> Vec<(ProjectUid, Duration)> {
        std::mem::take(&mut lock(&self.looks))
    }

    /// Where rounds of the schedule are to go on. They are taken.
    pub fn take_rounds(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.rounds))
    }

    /// What was buried, with its reasons.
    pub fn buried(&self) -> Vec<(String, String)> {
        lock(&self.buried).clone()
    }
}

impl UploadQueue for MemoryUploadQueue {
    async fn look_at(&self, _: OrganizationUid, project: ProjectUid, delay: Duration) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.looks).push((project, delay));
            Ok(())
        })
    }

    async fn go_on(&self, after: &str) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.rounds).push(after.to_owned());
            Ok(())
        })
    }

    async fn bury(&self, body: &str, reason: &str) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.buried).push((body.to_owned(), reason.to_owned()));
            Ok(())
        })
    }
}

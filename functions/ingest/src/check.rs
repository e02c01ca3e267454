//! A look at what waits: starts a job when uploads have paused, there are too many to wait for it, or the oldest has waited long
//! limit, and the day has room for more. Whoever looks twice, or too early, changes nothing.
//!
//! A job that ends before it has taken anything would be followed by another such one at each tick. So each failure in a row makes
//! the pause before the next job twice as long, which the project shows.
//!
//! What makes somebody look: the first upload after a job, by a message that comes when they may have paused; the upload that
//! makes them too many; the end of any job of the project; and the schedule, for whom all that was lost.

use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::domain::id::{JobUid, OrganizationUid, ProjectUid};
use shared::domain::job::{Job, UploadRun};
use shared::domain::project::Project;
use shared::domain::project::auto_label::{AutoLabel, AutoLabelPause};
use shared::domain::provider::InferenceProvider;
use shared::domain::{Error, Timestamp, limits};
use shared::ports::{
    Clock, Executions, Items, Jobs, Projects, Providers, Slice, UnlabeledQuery, UploadBacklog, UploadQueue,
    UploadWatch, WaitingUploads,
};
use shared::services::start_job::{self, Cause};
use tracing::{info, warn};

use crate::App;

/// Projects that one message of the schedule looks at; the next ones are another message's.
const ROUND: usize = 100;
/// Of them at once.
const AT_ONCE: usize = 8;
/// As long as that may take, beside the half of the function's time that may have passed. Who is not looked at is in the next.
const ROUND_TIME: Duration = Duration::from_secs(20);
/// Looks at a project, each asked for by the one before. Uploads that never pause would have no end of them: Lambda's own
/// detection of loops is off for this function (infra, `RecursiveLoop`). After that the schedule looks, every minute.
const HOPS: u32 = 100;
/// Providers of an organization of which any may end a pause.
const PROVIDERS: usize = 1_000;
/// See [`limits::UPLOAD_SETTLED_SECONDS`].
const SETTLED: Duration = Duration::from_secs(limits::UPLOAD_SETTLED_SECONDS);
/// See [`limits::UPLOAD_WRITE_SECONDS`].
const WRITE: Duration = Duration::from_secs(limits::UPLOAD_WRITE_SECONDS);

/// A write that gives an upload its position in the order of what waits. One that took effect later would be behind what a job
/// has taken, where no other job by uploads looks.
///
/// # Errors
/// `StoreUnavailable`: it comes again, with another position.
pub(crate) async fn soon<T>(write: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(WRITE, write).await.map_err(|_| Error::StoreUnavailable("a write that takes too long".into()))
}

impl<S, O, E, Q, C> App<S, O, E, Q, C>
where
    S: Projects + Items + Jobs + Providers + WaitingUploads + UploadWatch,
    E: Executions,
    Q: UploadQueue,
    C: Clock,
{
    /// Looks at a project. With `hops`, the looks that led to this one, it comes back when uploads may have paused, if they have
    /// not.
    pub(crate) async fn look(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        hops: Option<u32>,
    ) -> Result<(), Error> {
        let backlog = match self.store.backlog(organization, project).await {
            Ok(backlog) if backlog.are_watched => backlog,
            Ok(_) | Err(Error::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(setting) = backlog.project.auto_label_on_upload.clone() else {
            return self.store.unwatch_uploads(organization, project, backlog.counted).await;
        };
        let now = self.clock.now();
        let pause_in = backlog.last_at.map_or(Duration::ZERO, |last| setting.pause_in(last, now));
        let wait_in = backlog.waiting_since.map_or(Duration::ZERO, |since| {
            let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default(); // two clocks may differ
            self.longest_wait.saturating_sub(waited)
        });
        if pause_in.is_zero() || wait_in.is_zero() || backlog.waiting() >= limits::UPLOADS_WAITING {
            self.start_job(backlog, setting, pause_in.is_zero(), now).await?;
        }
        let back_in = if wait_in.is_zero() { pause_in } else { pause_in.min(wait_in) };
        if let Some(hops) = hops
            && hops < HOPS
            && !back_in.is_zero()
            && self.store.schedule_check(organization, project, now, now + back_in).await?
        {
            self.queue.request_check(organization, project, back_in, hops + 1).await?;
        }
        Ok(())
    }

    async fn start_job(
        &self,
        backlog: UploadBacklog,
        setting: AutoLabel,
        paused: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (waiting, until) = (backlog.waiting(), now - SETTLED);
        let UploadBacklog { project, counted, taken_until, last_job, .. } = backlog;
        let (organization, uid) = (project.organization, project.uid);
        if self.store.taken_today(uid, now).await? >= setting.max_items_per_day {
            return Ok(()); // the schedule comes back, and one day it is the next day
        }
        let takes_jobs = project.status.takes_jobs();
        if !takes_jobs || !self.waits(uid, taken_until.as_ref(), Some(until)).await? {
            // What is not settled was counted by a clock that is behind, or late.
            let is_over = paused && (!takes_jobs || !self.waits(uid, taken_until.as_ref(), None).await?);
            return if is_over { self.store.unwatch_uploads(organization, uid, counted).await } else { Ok(()) };
        }
        if self.is_held_back(&project, last_job, now).await? {
            return Ok(());
        }
        let run = UploadRun { until, max_items_per_day: setting.max_items_per_day };
        let App { store, executions, clock, endpoints, .. } = self;
        let (request, cause) = (setting.request(), Cause::Uploads(run));
        match start_job::create_job(store, executions, clock, endpoints, project.clone(), request, cause).await {
            Ok(job) => {
                info!(job.uid = %job.spec.uid, project.uid = %uid, waiting, "job started by uploads");
                self.store.note_upload_job(organization, uid, job.spec.uid).await
            }
            Err(Error::JobActive(_)) => Ok(()), // its end makes somebody look
            Err(error @ (Error::NoInferenceProvider | Error::Validation(_))) => {
                // Uploads go on waiting: its owner may put it right.
                warn!(project.uid = %uid, causes = error.chain(), "uploads cannot be labeled");
                self.hold_back(&project, error.to_string(), now, None).await.map(|_pause| ())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the project's last jobs by uploads have taken nothing, and the time for the next one has not come.
    async fn is_held_back(&self, project: &Project, last_job: Option<JobUid>, now: Timestamp) -> Result<bool, Error> {
        let mut pause = project.auto_label_pause.clone();
        if let Some(uid) = last_job.filter(|uid| pause.as_ref().is_none_or(|pause| pause.job_uid != Some(*uid)))
            && let Some(job) = self.ended_without_a_start(uid).await?
        {
            let reason = job.state.error_message.unwrap_or_else(|| "The job was cancelled before it began.".into());
            let failed_at = job.state.completed_at.unwrap_or(now);
            pause = Some(self.hold_back(project, reason, failed_at, Some(uid)).await?);
        }
        let Some(pause) = pause.filter(|pause| now < pause.retry_at) else { return Ok(false) };
        let all = Slice { limit: PROVIDERS, ..Slice::default() };
        let providers = self.store.providers(project.organization, &all).await?.entries;
        let may_be_right_now = |provider: &InferenceProvider| {
            let tested = provider.last_test_at.filter(|_| provider.last_test_success == Some(true));
            provider.updated_at > pause.failed_at || tested.is_some_and(|at| at > pause.failed_at)
        };
        Ok(!providers.iter().any(may_be_right_now))
    }

    async fn ended_without_a_start(&self, job: JobUid) -> Result<Option<Job>, Error> {
        match self.store.job(job).await {
            Ok(job) if !job.state.status.is_active() && job.state.started_at.is_none() => Ok(Some(job)),
            Ok(_) | Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn hold_back(
        &self,
        project: &Project,
        reason: String,
        failed_at: Timestamp,
        job: Option<JobUid>,
    ) -> Result<AutoLabelPause, Error> {
        let pause = AutoLabelPause::after(project.auto_label_pause.as_ref(), reason, failed_at, job);
        self.store.pause_uploads(project, &pause).await?;
        let (failures, retry_at) = (pause.failures, pause.retry_at);
        warn!(project.uid = %project.uid, failures, %retry_at, "jobs by uploads are held back");
        Ok(pause)
    }

    /// Whether any upload waits behind a position.
    async fn waits(
        &self,
        project: ProjectUid,
        after: Option<&String>,
        until: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let query =
            UnlabeledQuery { after: after.cloned(), until, uploads: true, limit: Some(1), ..UnlabeledQuery::default() };
        Ok(pin!(self.store.unlabeled(project, query)).try_next().await?.is_some())
    }

    /// A job has ended: its project is free for what has arrived meanwhile.
    pub(crate) async fn job_ended(&self, job: JobUid) -> Result<(), Error> {
        match self.store.job(job).await {
            // It has taken nothing, and the next one would fare no better at once: the schedule has time.
            Ok(job) if job.spec.uploads.is_some() && job.state.started_at.is_none() => Ok(()),
            Ok(job) => self.look(job.spec.organization, job.spec.project, Some(0)).await,
            Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A round of the schedule, behind a position: of so many projects, and the rest by a message of its own.
    pub(crate) async fn round(&self, after: Option<&str>) -> Result<(), Error> {
        let page = self.store.watched_projects(after, ROUND).await?;
        let passed_on = match &page.next {
            Some(next) => self.queue.continue_round(next).await,
            None => Ok(()),
        };
        let looks = stream::iter(page.entries).for_each_concurrent(AT_ONCE, |(organization, project)| async move {
            if let Err(error) = self.look(organization, project, None).await {
                // One project's trouble must not keep the others waiting; the next round comes anyway.
                warn!(project.uid = %project, causes = error.chain(), "uploads not looked after");
            }
        });
        if tokio::time::timeout(ROUND_TIME, looks).await.is_err() {
            warn!("a round of the schedule has taken too long");
        }
        passed_on
    }
}

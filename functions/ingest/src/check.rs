//! Checks a project's uploads: starts a job when they have paused, too many wait, or the oldest has waited its limit, and the
//! day's quota has room. A second or early check changes nothing.
//!
//! A check is asked for by the first upload after a job, with a message that arrives when uploads may have paused; by the
//! upload that makes too many wait; by the end of any job of the project; and by the schedule, if a message was lost.
//!
//! A job that ends before it has taken anything would be followed by another such one at each tick. So each failure in a row
//! doubles the pause before the next job. The project shows the pause.

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

use crate::Ingester;

/// Projects that one message of the schedule checks; another message checks the next ones.
const ROUND: usize = 100;
/// Projects of a round that are checked at once.
const AT_ONCE: usize = 8;
/// The time for a round, beside the half of the function's timeout that may have passed. The next round has the rest.
const ROUND_TIME: Duration = Duration::from_secs(20);
/// Checks of a project in a row, each asked for by the one before. Uploads that never pause would make an endless chain, and
/// Lambda's own detection of loops is off for this function (infra, `isRecursive`). Then the schedule checks, every minute.
const HOPS: u32 = 100;
/// Providers of an organization that are read to end a pause.
const PROVIDERS: usize = 1_000;
/// See [`limits::UPLOAD_SETTLED_SECONDS`].
const SETTLED: Duration = Duration::from_secs(limits::UPLOAD_SETTLED_SECONDS);
/// See [`limits::UPLOAD_WRITE_SECONDS`].
const WRITE: Duration = Duration::from_secs(limits::UPLOAD_WRITE_SECONDS);

/// Bounds the write that gives an upload its position in the order of unlabeled items. A later one would get a position before
/// what a job has taken already, and no job by uploads reads there.
///
/// # Errors
/// `StoreUnavailable`: its message comes again, and it gets another position.
pub(crate) async fn soon<T>(write: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(WRITE, write).await.map_err(|_| Error::StoreUnavailable("a write that takes too long".into()))
}

impl<S, O, E, Q, C> Ingester<S, O, E, Q, C>
where
    S: Projects + Items + Jobs + Providers + WaitingUploads + UploadWatch,
    E: Executions,
    Q: UploadQueue,
    C: Clock,
{
    /// Checks a project. With `hops`, the checks that led to this one, it asks for another one if uploads have not paused yet.
    pub(crate) async fn check_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        hops: Option<u32>,
    ) -> Result<(), Error> {
        let backlog = match self.store.backlog(organization, project).await {
            Ok(backlog) if backlog.are_watched => backlog,
            Ok(_) | Err(Error::NotFound(_)) => return Ok(()),
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
        let next_in = if wait_in.is_zero() { pause_in } else { pause_in.min(wait_in) };
        if let Some(hops) = hops
            && hops < HOPS
            && !next_in.is_zero()
            && self.store.schedule_check(organization, project, now, now + next_in).await?
        {
            self.queue.request_check(organization, project, next_in, hops + 1).await?;
        }
        Ok(())
    }

    /// Starts a job if the day has room, an upload waits that the index shows for sure, and no pause holds jobs back.
    async fn start_job(
        &self,
        backlog: UploadBacklog,
        setting: AutoLabel,
        paused: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (waiting, until) = (backlog.waiting(), now - SETTLED);
        let UploadBacklog { project, counted, taken_until, last_job, .. } = backlog;
        let uid = project.uid;
        if self.store.taken_today(uid, now).await? >= setting.max_items_per_day {
            return Ok(()); // the schedule checks again, also on the next day
        }
        let takes_jobs = project.status.takes_jobs();
        if !takes_jobs || !self.waits(uid, taken_until.as_ref(), Some(until)).await? {
            // Uploads that are not settled yet were counted late, or by a clock that is behind.
            let is_over = paused && (!takes_jobs || !self.waits(uid, taken_until.as_ref(), None).await?);
            return if is_over { self.store.unwatch_uploads(project.organization, uid, counted).await } else { Ok(()) };
        }
        if self.is_held_back(&project, last_job, now).await? {
            return Ok(());
        }
        let run = UploadRun { until, max_items_per_day: setting.max_items_per_day };
        self.create_job(project, setting, run, waiting, now).await
    }

    async fn create_job(
        &self,
        project: Project,
        setting: AutoLabel,
        run: UploadRun,
        waiting: u64,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Self { store, executions, clock, endpoints, .. } = self;
        let (request, cause) = (setting.request(), Cause::Uploads(run));
        match start_job::create_job(store, executions, clock, endpoints, &project, request, cause).await {
            Ok(job) => {
                info!(job.uid = %job.spec.uid, project.uid = %project.uid, waiting, "job started by uploads");
                store.note_upload_job(project.organization, project.uid, job.spec.uid).await
            }
            Err(Error::JobActive(_)) => Ok(()), // its end asks for a check
            Err(error @ (Error::NoInferenceProvider(_) | Error::ProviderGone(_) | Error::Validation(_))) => {
                // Uploads keep waiting: the owner can fix the project.
                warn!(project.uid = %project.uid, causes = error.chain(), "uploads cannot be labeled");
                self.hold_back(&project, error.to_string(), now, None).await.map(|_pause| ())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the project's last jobs by uploads have taken nothing, and the pause after them is not over.
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
        let may_be_fixed = |provider: &InferenceProvider| {
            let tested = provider.last_test_at.filter(|_| provider.last_test_success == Some(true));
            provider.updated_at > pause.failed_at || tested.is_some_and(|at| at > pause.failed_at)
        };
        Ok(!providers.iter().any(may_be_fixed))
    }

    async fn ended_without_a_start(&self, job: JobUid) -> Result<Option<Job>, Error> {
        match self.store.job(job).await {
            Ok(job) if !job.state.status.is_active() && job.state.started_at.is_none() => Ok(Some(job)),
            Ok(_) | Err(Error::NotFound(_)) => Ok(None),
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
            // It has taken nothing, and another one would fail as soon: the schedule starts the next one.
            Ok(job) if job.spec.uploads.is_some() && job.state.started_at.is_none() => Ok(()),
            Ok(job) => self.check_uploads(job.spec.organization, job.spec.project, Some(0)).await,
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A round of the schedule: checks the first projects behind a position, and sends a message for the rest.
    pub(crate) async fn round(&self, after: Option<&str>) -> Result<(), Error> {
        let page = self.store.watched_projects(after, ROUND).await?;
        let passed_on = match &page.next {
            Some(next) => self.queue.continue_round(next).await,
            None => Ok(()),
        };
        let checks = stream::iter(page.entries).for_each_concurrent(AT_ONCE, |(organization, project)| async move {
            if let Err(error) = self.check_uploads(organization, project, None).await {
                // One project must not stop the others. The next round checks it again.
                warn!(project.uid = %project, causes = error.chain(), "uploads not checked");
            }
        });
        if tokio::time::timeout(ROUND_TIME, checks).await.is_err() {
            warn!("a round of the schedule has taken too long");
        }
        passed_on
    }
}

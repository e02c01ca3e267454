//! A look at what waits: starts a job when uploads have paused or there are too many to wait for it, and the day has room for
//! more. Whoever looks twice, or too early, changes nothing.
//!
//! What makes somebody look: the first upload after a job, by a message that comes when they may have paused; the upload that
//! makes them too many; the end of any job of the project; and the schedule, for whom all that was lost.

use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::domain::auto_label::AutoLabel;
use shared::domain::id::{JobUid, OrganizationUid, ProjectUid};
use shared::domain::job::UploadRun;
use shared::domain::{Error, Timestamp, limits};
use shared::launch::{self, Cause};
use shared::ports::{
    Arrivals, Clock, Executions, Items, Jobs, Projects, Providers, Stretch, UploadQueue, UploadWatch, WaitingUploads,
};
use tracing::{info, warn};

use crate::App;

/// Projects that one message of the schedule looks at; the next ones are another message's.
const ROUND: usize = 100;
/// Of them at once.
const AT_ONCE: usize = 8;
/// As long as that may take, beside the half of the function's time that may have passed. Who is not looked at is in the next.
const ROUND_TIME: Duration = Duration::from_secs(20);
/// See [`limits::UPLOAD_SETTLED_SECONDS`].
const SETTLED: Duration = Duration::from_secs(limits::UPLOAD_SETTLED_SECONDS);
/// See [`limits::UPLOAD_WRITE_SECONDS`].
const WRITE: Duration = Duration::from_secs(limits::UPLOAD_WRITE_SECONDS);

/// A write that gives an upload its place in the order of what waits. One that took effect later would be behind what a job
/// has taken, where no other job by uploads looks.
///
/// # Errors
/// `StoreUnavailable`: it comes again, with another place.
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
    /// Looks at a project. `again`: comes back when uploads may have paused, if they have not.
    pub(crate) async fn look(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        again: bool,
    ) -> Result<(), Error> {
        let arrivals = match self.store.arrivals(organization, project).await {
            Ok(arrivals) if arrivals.are_awaited => arrivals,
            Ok(_) | Err(Error::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(setting) = arrivals.project.auto_label_on_upload.clone() else {
            return self.store.forget_arrivals(organization, project, arrivals.counted).await;
        };
        let now = self.clock.now();
        let pause_in = arrivals.last_at.map_or(Duration::ZERO, |last| setting.pause_in(last, now));
        if pause_in.is_zero() || arrivals.waiting() >= limits::UPLOADS_WAITING {
            self.launch(arrivals, setting, pause_in.is_zero(), now).await?;
        }
        if again && !pause_in.is_zero() && self.store.look_again(organization, project, now, now + pause_in).await? {
            self.queue.look_at(organization, project, pause_in).await?;
        }
        Ok(())
    }

    async fn launch(&self, arrivals: Arrivals, setting: AutoLabel, paused: bool, now: Timestamp) -> Result<(), Error> {
        let (waiting, until) = (arrivals.waiting(), now - SETTLED);
        let Arrivals { project, counted, taken_until, .. } = arrivals;
        let (organization, uid) = (project.organization, project.uid);
        if self.store.taken_today(uid, now).await? >= setting.max_items_per_day {
            return Ok(()); // the schedule comes back, and one day it is the next day
        }
        let takes_jobs = project.status.takes_jobs();
        if !takes_jobs || !self.waits(uid, taken_until.as_ref(), Some(until)).await? {
            // What is not settled was counted by a clock that is behind, or late.
            let is_over = paused && (!takes_jobs || !self.waits(uid, taken_until.as_ref(), None).await?);
            return if is_over { self.store.forget_arrivals(organization, uid, counted).await } else { Ok(()) };
        }
        let run = UploadRun { until, max_items_per_day: setting.max_items_per_day };
        let App { store, executions, clock, endpoints, .. } = self;
        let (request, cause) = (setting.request(), Cause::Uploads(run));
        match launch::create(store, executions, clock, endpoints, project, request, cause).await {
            Ok(job) => info!(job.uid = %job.spec.uid, project.uid = %uid, waiting, "job started by uploads"),
            Err(Error::JobActive(_)) => {} // its end makes somebody look
            Err(error @ (Error::NoInferenceProvider | Error::Validation(_))) => {
                // Uploads go on waiting: its owner may put it right.
                warn!(project.uid = %uid, causes = error.chain(), "uploads cannot be labeled");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether any upload waits behind a place.
    async fn waits(
        &self,
        project: ProjectUid,
        after: Option<&String>,
        until: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let stretch = Stretch { after: after.cloned(), until, uploads: true, enough: Some(1), ..Stretch::default() };
        Ok(pin!(self.store.unlabeled(project, stretch)).try_next().await?.is_some())
    }

    /// A job has ended: its project is free for what has arrived meanwhile.
    pub(crate) async fn job_ended(&self, job: JobUid) -> Result<(), Error> {
        match self.store.job(job).await {
            // It has taken nothing. The next one would fare no better at once, and the one after it: the schedule has time.
            Ok(job) if job.spec.uploads.is_some() && job.state.started_at.is_none() => Ok(()),
            Ok(job) => self.look(job.spec.organization, job.spec.project, true).await,
            Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A round of the schedule, behind a place: of so many projects, and the rest by a message of its own.
    pub(crate) async fn round(&self, after: Option<&str>) -> Result<(), Error> {
        let page = self.store.awaited_projects(after, ROUND).await?;
        let passed_on = match &page.next {
            Some(next) => self.queue.go_on(next).await,
            None => Ok(()),
        };
        let looks = stream::iter(page.entries).for_each_concurrent(AT_ONCE, |(organization, project)| async move {
            if let Err(error) = self.look(organization, project, false).await {
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

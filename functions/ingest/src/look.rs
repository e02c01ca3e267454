//! A look at what waits: starts a job when uploads have paused or there are too many to wait for it, and the day has room for
//! more. Whoever looks twice, or too early, changes nothing.
//!
//! What makes somebody look: the first upload after a job, by a message that comes when they may have paused; the upload that
//! makes them too many; the end of any job of the project; and the schedule, for whom all that was lost.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use shared::domain::Error;
use shared::domain::auto_label::AutoLabel;
use shared::domain::id::{JobUid, OrganizationUid, ProjectUid};
use shared::domain::job::UploadRun;
use shared::domain::limits;
use shared::launch;
use shared::ports::{Arrivals, Clock, Executions, Items, Jobs, Projects, Providers, Stretch, UploadQueue, Uploads};
use tracing::{info, warn};

use crate::App;

/// Projects that a round of the schedule looks at.
const ROUND: usize = 500;
/// While uploads go on, what came within this time is left to the next job: an index may show it late, and clocks differ.
const UNSETTLED: Duration = Duration::from_secs(5);

impl<S, O, E, Q, C> App<S, O, E, Q, C>
where
    S: Projects + Items + Jobs + Providers + Uploads,
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
            return self.store.forget_arrivals(organization, project, arrivals.waiting).await;
        };
        let pause_in = arrivals.last_at.map_or(Duration::ZERO, |last| setting.pause_in(last, self.clock.now()));
        if pause_in.is_zero() || arrivals.waiting >= limits::UPLOADS_WAITING {
            self.launch(arrivals, setting, pause_in.is_zero()).await?;
        }
        if again && !pause_in.is_zero() {
            self.queue.look_at(organization, project, pause_in).await?;
        }
        Ok(())
    }

    async fn launch(&self, arrivals: Arrivals, setting: AutoLabel, paused: bool) -> Result<(), Error> {
        let now = self.clock.now();
        let Arrivals { project, waiting, taken_until, .. } = arrivals;
        let (organization, uid) = (project.organization, project.uid);
        if self.store.taken_today(uid, now).await? >= setting.max_items_per_day {
            return Ok(()); // the schedule comes back, and one day it is the next day
        }
        let until = if paused { None } else { Some(now - UNSETTLED) };
        let stretch = Stretch { after: taken_until, until };
        let waits = pin!(self.store.unlabeled(uid, stretch)).try_next().await?.is_some();
        if !waits || !project.status.takes_jobs() {
            return if paused { self.store.forget_arrivals(organization, uid, waiting).await } else { Ok(()) };
        }
        let run = UploadRun { until, max_items_per_day: setting.max_items_per_day };
        let App { store, executions, clock, endpoints, .. } = self;
        match launch::create(store, executions, clock, endpoints, project, setting.request(), Some(run)).await {
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

    /// A job has ended: its project is free for what has arrived meanwhile.
    pub(crate) async fn job_ended(&self, job: JobUid) -> Result<(), Error> {
        match self.store.job(job).await {
            Ok(job) => self.look(job.spec.organization, job.spec.project, true).await,
            Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A round of the schedule.
    pub(crate) async fn round(&self) -> Result<(), Error> {
        for (organization, project) in self.store.awaited_projects(ROUND).await? {
            if let Err(error) = self.look(organization, project, false).await {
                // One project's trouble must not keep the others waiting; the next round comes anyway.
                warn!(project.uid = %project, causes = error.chain(), "uploads not looked after");
            }
        }
        Ok(())
    }
}

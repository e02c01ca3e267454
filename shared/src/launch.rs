//! Launch: how a job begins, whoever asks for it. The API's call, a retry and a project's uploads come this way, so that one
//! set of rules says which jobs there can be (I4).

use tracing::{info, warn};

use crate::domain::error::FieldError;
use crate::domain::id::{JobUid, ProviderUid};
use crate::domain::job::{Job, JobRequest, JobSpec, JobState, ModelType, UploadRun};
use crate::domain::project::Project;
use crate::domain::provider::default_for;
use crate::domain::{Error, Timestamp};
use crate::ports::{Clock, Executions, Jobs, Providers, Slice};

/// Providers of an organization that the default is chosen from.
const PROVIDERS: usize = 1_000;

/// Makes a job of a request, and starts it.
///
/// # Errors
/// `ProjectNotActive`, `Validation`, `NoInferenceProvider`, and those of [`launch`].
pub async fn create(
    store: &(impl Jobs + Providers),
    executions: &impl Executions,
    clock: &impl Clock,
    endpoints: &[ModelType],
    project: Project,
    request: JobRequest,
    uploads: Option<UploadRun>,
) -> Result<Job, Error> {
    request.fits(&project)?;
    let provider = provider(store, endpoints, &request, &project).await?;
    let spec = specify(project, request, provider, uploads, clock.now());
    launch(store, executions, clock, spec).await
}

fn specify(
    project: Project,
    request: JobRequest,
    provider: Option<ProviderUid>,
    uploads: Option<UploadRun>,
    now: Timestamp,
) -> JobSpec {
    JobSpec {
        uid: JobUid::at(now),
        organization: project.organization,
        project: project.uid,
        provider,
        model_type: request.model_type,
        confidence_threshold: request.confidence_threshold,
        label_thresholds: request.label_thresholds,
        wanted: if request.labels.is_empty() { project.labels } else { request.labels.clone() },
        labels: request.labels,
        dry_run: request.dry_run,
        created_at: now,
        retry_of: None,
        uploads,
    }
}

/// Creates a job and starts its execution.
///
/// # Errors
/// `JobActive`; `StoreUnavailable`, `ExecutionsUnavailable`.
pub async fn launch(
    store: &impl Jobs,
    executions: &impl Executions,
    clock: &impl Clock,
    spec: JobSpec,
) -> Result<Job, Error> {
    let state = JobState::new(spec.created_at);
    match store.create_job(&spec, &state).await {
        Ok(()) => {}
        Err(refused @ Error::JobActive(_)) => return Err(refused), // nothing was written
        Err(error) => {
            // It may have been: then the project is locked by a job of which the client knows nothing. If it cannot be taken back
            // either, the watchdog ends it.
            let job = Job { spec, state };
            if let Err(error) = store.withdraw_job(&job, clock.now()).await {
                warn!(job.uid = %job.spec.uid, causes = error.chain(), "job that may have been created not withdrawn");
            }
            return Err(error);
        }
    }
    // A job that nothing carries must not hold its project until the watchdog comes. If only the answer was lost, the
    // execution finds the job cancelled and ends.
    if let Err(error) = executions.start(spec.uid).await {
        warn!(job.uid = %spec.uid, causes = error.chain(), "execution of job not started");
        // No event: to the client this job never was.
        store.cancel_job(&Job { spec, state }, &[], clock.now()).await?;
        return Err(error);
    }
    info!(job.uid = %spec.uid, project.uid = %spec.project, trigger = ?spec.trigger(), "job created");
    Ok(Job { spec, state })
}

/// Which provider serves the request (contract, D7; design.md, section 6). `None` is the deployment's own endpoint.
async fn provider(
    store: &impl Providers,
    endpoints: &[ModelType],
    request: &JobRequest,
    project: &Project,
) -> Result<Option<ProviderUid>, Error> {
    if let Some(uid) = &request.provider {
        let refused = || {
            Error::Validation(vec![FieldError::new(
                "provider_id",
                "Must be an active provider of this project or its organization.",
            )])
        };
        let uid = ProviderUid::parse(uid).map_err(|_| refused())?;
        return match store.provider(project.organization, uid).await {
            Ok(provider) if provider.serves(project.uid) => Ok(Some(uid)),
            Ok(_) | Err(Error::NotFound) => Err(refused()),
            Err(error) => Err(error),
        };
    }
    let all = Slice { after: None, limit: PROVIDERS, ascending: false };
    let providers = store.providers(project.organization, &all).await?.entries;
    match default_for(project.uid, &providers) {
        Some(provider) => Ok(Some(provider.uid)),
        None if request.model_type.is_some_and(|model| endpoints.contains(&model)) => Ok(None),
        None => Err(Error::NoInferenceProvider),
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::{Fault, MemoryExecutions, MemoryTenants, StoppedClock, a_job};

    /// Hole 12: a client that was refused has no job, and its project is free.
    #[tokio::test]
    async fn a_create_that_fails_leaves_no_job_that_holds_the_project() {
        for answer_lost in [false, true] {
            let store = MemoryTenants::default().failing(&Arc::new(Fault::at(1, answer_lost)));
            let (executions, clock) = (MemoryExecutions::default(), StoppedClock::at(1_000));
            let spec = a_job().spec;

            let refused = launch(&store, &executions, &clock, spec.clone()).await;

            assert!(matches!(refused, Err(Error::StoreUnavailable(_))), "{refused:?}");
            assert_eq!(store.active_jobs().await.unwrap(), [], "answer lost: {answer_lost}");
            assert!(!executions.is_running(spec.uid).await.unwrap());
            let next = JobSpec { uid: JobUid::at(clock.now()), ..spec };
            assert!(launch(&store, &executions, &clock, next).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_create_that_meets_another_job_takes_nothing_back() {
        let (store, executions, clock) =
            (MemoryTenants::default(), MemoryExecutions::default(), StoppedClock::at(1_000));
        let spec = a_job().spec;
        launch(&store, &executions, &clock, spec.clone()).await.unwrap();

        let second = JobSpec { uid: JobUid::at(clock.now()), ..spec.clone() };
        assert!(
            matches!(launch(&store, &executions, &clock, second).await, Err(Error::JobActive(uid)) if uid == spec.uid)
        );

        assert_eq!(store.active_jobs().await.unwrap(), [spec.uid]);
    }
}

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
    let request = request.in_words_of(&project);
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
    let wanted = if request.labels.is_empty() { project.labels } else { request.labels.clone() };
    let mut prompts = project.label_prompts;
    prompts.retain(|label, _| wanted.contains(label));
    JobSpec {
        uid: JobUid::at(now),
        organization: project.organization,
        project: project.uid,
        provider,
        model_type: request.model_type,
        confidence_threshold: request.confidence_threshold,
        label_thresholds: request.label_thresholds,
        wanted,
        prompts,
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
    store.create_job(&spec, &state).await?;
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

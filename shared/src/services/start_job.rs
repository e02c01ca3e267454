//! Launch: how a job begins, whoever asks for it. The API's call, a retry and a project's uploads come this way, so that one
//! set of rules says which jobs there can be (I4).

use tracing::{info, warn};

use crate::domain::error::FieldError;
use crate::domain::id::{JobUid, Naming, ProviderUid};
use crate::domain::job::{Job, JobRequest, JobSpec, JobState, UploadRun};
use crate::domain::job_status::JobStatus;
use crate::domain::prediction::model_type::ModelType;
use crate::domain::project::Project;
use crate::domain::provider::default_for;
use crate::domain::{Error, Timestamp};
use crate::ports::{Clock, Executions, Jobs, Providers, Slice};

/// Providers of an organization that one read gives, or fewer: 1 MB.
const PROVIDERS: usize = 1_000;
/// Such reads, to find the default: some 20 MB of providers.
const READS: usize = 20;
/// Attempts of a request whose jobs may have come to nothing, before the next one gets a uid by chance.
const NAMED: u32 = 16;

/// What asks for a job.
#[derive(Clone, Debug)]
pub enum Cause<'a> {
    /// A call, which names the job.
    Call(&'a Naming),
    /// Uploads.
    Uploads(UploadRun),
}

/// Makes a job of a request, and starts it.
///
/// # Errors
/// `ProjectNotActive`, `Validation`, `NoInferenceProvider`, and those of [`start_job`].
pub async fn create_job(
    store: &(impl Jobs + Providers),
    executions: &impl Executions,
    clock: &impl Clock,
    endpoints: &[ModelType],
    project: Project,
    request: JobRequest,
    cause: Cause<'_>,
) -> Result<Job, Error> {
    let request = request.in_words_of(&project.labels);
    project.check_request(&request)?;
    let provider = provider(store, endpoints, &request, &project).await?;
    let by_chance = Naming::default();
    let (uploads, naming) = match cause {
        Cause::Call(naming) => (None, naming),
        Cause::Uploads(run) => (Some(run), &by_chance),
    };
    let spec = specify(project, request, provider, uploads, clock.now());
    start_job(store, executions, clock, spec, naming).await
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

/// Creates a job, named by its request, and starts its execution. A request that is repeated gets the job that it made before.
///
/// # Errors
/// `JobActive`; `StoreUnavailable`, `ExecutionsUnavailable`.
pub async fn start_job(
    store: &impl Jobs,
    executions: &impl Executions,
    clock: &impl Clock,
    spec: JobSpec,
    naming: &Naming,
) -> Result<Job, Error> {
    let job = match stored(store, clock, spec, naming).await? {
        job if job.state.status != JobStatus::Pending => return Ok(job), // it has an execution, or has had one
        job => job,
    };
    // A job that nothing carries must not hold its project until the watchdog comes. If only the answer was lost, the
    // execution finds the job cancelled and ends.
    if let Err(error) = executions.start(job.spec.uid).await {
        warn!(job.uid = %job.spec.uid, causes = error.chain(), "execution of job not started");
        // No event: to the client this job never was.
        store.cancel_job(&job, &[], clock.now()).await?;
        return Err(error);
    }
    info!(job.uid = %job.spec.uid, project.uid = %job.spec.project, trigger = ?job.spec.trigger(), "job created");
    Ok(job)
}

/// The job, which is stored: now, or by an attempt of the same request. One that ended before it was planned was never the
/// client's, so that the request gets another one.
async fn stored(store: &impl Jobs, clock: &impl Clock, spec: JobSpec, naming: &Naming) -> Result<Job, Error> {
    let mut job = Job { state: JobState::new(spec.created_at), spec };
    for attempt in 0.. {
        // Ends: what is named by chance was never there.
        let by_chance = Naming::default();
        let naming = if attempt < NAMED { naming } else { &by_chance };
        job.spec.uid = JobUid::named(naming, job.spec.created_at, attempt);
        let active = match store.create_job(&job.spec, &job.state).await {
            Ok(true) => break,
            Ok(false) => None,
            Err(error @ Error::JobActive(_)) => Some(error), // the job of the attempt before may have ended since
            Err(error) => {
                withdraw(store, clock, &job).await;
                return Err(error);
            }
        };
        match (store.job(job.spec.uid).await, active) {
            (Ok(before), _) if before.state.status.is_active() || before.state.started_at.is_some() => {
                return Ok(before);
            }
            (Err(Error::NotFound), Some(active)) => return Err(active),
            (Err(error), _) => return Err(error),
            (Ok(_), _) => {}
        }
    }
    Ok(job)
}

/// A job that may have been created: then the project is locked by a job of which the client knows nothing. If it cannot be taken
/// back, the watchdog ends it. One that an attempt before has created, and that runs, stays.
async fn withdraw(store: &impl Jobs, clock: &impl Clock, job: &Job) {
    match store.job(job.spec.uid).await {
        Ok(before) if before.state.started_at.is_none() => {}
        Err(Error::NotFound) => {}
        Ok(_) => return,
        Err(error) => {
            warn!(job.uid = %job.spec.uid, causes = error.chain(), "job that may have been created cannot be read, and stays");
            return;
        }
    }
    if let Err(error) = store.withdraw_job(job, clock.now()).await {
        warn!(job.uid = %job.spec.uid, causes = error.chain(), "job that may have been created not withdrawn");
    }
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
    match default_provider(store, project).await? {
        Some(provider) => Ok(Some(provider)),
        None if request.model_type.is_some_and(|model| endpoints.contains(&model)) => Ok(None),
        None => Err(Error::NoInferenceProvider),
    }
}

/// The newest provider of the project that serves it, else the newest one of its organization that does.
async fn default_provider(store: &impl Providers, project: &Project) -> Result<Option<ProviderUid>, Error> {
    let mut slice = Slice { limit: PROVIDERS, ..Slice::default() };
    let mut of_organization = None;
    for _ in 0..READS {
        let page = store.providers(project.organization, &slice).await?;
        match default_for(project.uid, &page.entries) {
            Some(provider) if provider.project.is_some() => return Ok(Some(provider.uid)),
            Some(provider) => _ = of_organization.get_or_insert(provider.uid),
            None => {}
        }
        slice.after = page.next;
        if slice.after.is_none() {
            break;
        }
    }
    Ok(of_organization)
}

#[cfg(all(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "all of it is tests, and not all of it is in functions marked so")]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::OrganizationUid;
    use crate::domain::provider::InferenceProvider;
    use crate::ports::Projects;
    use crate::testing::{Fault, MemoryExecutions, MemoryTenants, StoppedClock, a_job};

    /// Starts executions, some calls of which fail.
    struct Machine {
        fault: Arc<Fault>,
        started: Mutex<Vec<JobUid>>,
    }

    impl Executions for Machine {
        async fn start(&self, job: JobUid) -> Result<(), Error> {
            self.fault.around(|| {
                let mut started = self.started.lock().unwrap();
                if !started.contains(&job) {
                    started.push(job); // by the name of an execution there is one
                }
                Ok(())
            })
        }

        async fn stop(&self, _: JobUid) -> Result<(), Error> {
            Ok(())
        }

        async fn is_running(&self, _: JobUid) -> Result<bool, Error> {
            Ok(true)
        }
    }

    fn a_project() -> Project {
        let now = Timestamp::from_second(1_000).unwrap();
        Project::read(br#"{"name": "Cats"}"#, OrganizationUid::named("acme"), now).unwrap()
    }

    fn a_provider(n: i64, project: Option<&Project>) -> InferenceProvider {
        let now = Timestamp::from_second(1_000 + n).unwrap();
        let config = json!({"endpoint_name": "yolo", "region": "us-east-1"});
        let body = json!({"name": "p", "provider_type": "sagemaker", "config": config}).to_string();
        let organization = OrganizationUid::named("acme");
        let url = |_| Err("no endpoint of this kind has a URL".to_owned());
        let (provider, _) = InferenceProvider::read(body.as_bytes(), organization, now, url).unwrap();
        InferenceProvider { project: project.map(|project| project.uid), ..provider }
    }

    fn a_request() -> JobRequest {
        JobRequest::read(br#"{"model_type": "yolo"}"#).unwrap()
    }

    #[tokio::test]
    async fn a_job_finds_its_provider_however_many_newer_ones_there_are() {
        let project = a_project();
        for (own, of_organization) in [(true, true), (false, true), (true, false), (false, false)] {
            let store = MemoryTenants::default();
            let wanted = a_provider(0, Some(&project));
            let second = a_provider(1, None);
            for (provider, is_there) in [(&wanted, own), (&second, of_organization)] {
                if is_there {
                    store.add_provider(provider).await.unwrap();
                }
            }
            for n in 2..350 {
                store.add_provider(&InferenceProvider { is_active: false, ..a_provider(n, None) }).await.unwrap();
            }

            let found = default_provider(&store, &project).await.unwrap();

            let expected = own.then_some(wanted.uid).or(of_organization.then_some(second.uid));
            assert_eq!(found, expected);
        }
    }

    /// A create whose answer was a server's error is made again under its idempotency key.
    #[tokio::test]
    async fn a_repeated_create_names_one_job_whatever_call_failed() {
        for answer_lost in [false, true] {
            for call in 1.. {
                let fault = Arc::new(Fault::at(call, answer_lost));
                let project = a_project();
                let store = MemoryTenants::default();
                store.add_project(&project).await.unwrap();
                let store = store.failing(&fault);
                let machine = Machine { fault: Arc::clone(&fault), started: Mutex::default() };
                let clock = StoppedClock::at(1_000);
                let naming = Naming::repeatable(Uuid::from_u128(7), "f".into());
                let make = async || {
                    let cause = Cause::Call(&naming);
                    create_job(&store, &machine, &clock, &[ModelType::Yolo], project.clone(), a_request(), cause).await
                };

                if make().await.is_ok() {
                    assert!(call > 2, "the fault must have had several chances");
                    break;
                }
                let job = make().await.unwrap();

                let jobs = store.jobs_created();
                let active: Vec<_> = jobs.iter().filter(|job| job.state.status.is_active()).collect();
                assert_eq!(active.len(), 1, "I4, call {call}, lost {answer_lost}");
                assert_eq!(active[0].spec.uid, job.spec.uid);
                assert!(machine.started.lock().unwrap().contains(&job.spec.uid));
                assert_eq!(make().await.unwrap().spec.uid, job.spec.uid, "and again");
            }
        }
    }

    /// Hole 12: a client that was refused has no job, and its project is free.
    #[tokio::test]
    async fn a_create_that_fails_leaves_no_job_that_holds_the_project() {
        for answer_lost in [false, true] {
            let store = MemoryTenants::default().failing(&Arc::new(Fault::at(1, answer_lost)));
            let (executions, clock) = (MemoryExecutions::default(), StoppedClock::at(1_000));
            let spec = a_job().spec;

            let refused = start_job(&store, &executions, &clock, spec.clone(), &Naming::default()).await;

            assert!(matches!(refused, Err(Error::StoreUnavailable(_))), "{refused:?}");
            assert!(!store.has_active_job(), "answer lost: {answer_lost}");
            assert!(!executions.is_running(spec.uid).await.unwrap());
            let next = JobSpec { uid: JobUid::at(clock.now()), ..spec };
            assert!(start_job(&store, &executions, &clock, next, &Naming::default()).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_create_that_meets_another_job_takes_nothing_back() {
        let (store, executions, clock) =
            (MemoryTenants::default(), MemoryExecutions::default(), StoppedClock::at(1_000));
        let spec = a_job().spec;
        let first = start_job(&store, &executions, &clock, spec.clone(), &Naming::default()).await.unwrap().spec.uid;

        let second = JobSpec { uid: JobUid::at(clock.now()), ..spec };
        assert!(
            matches!(start_job(&store, &executions, &clock, second, &Naming::default()).await, Err(Error::JobActive(uid)) if uid == first)
        );

        assert_eq!(store.active_jobs().await.unwrap(), [first]);
    }
}

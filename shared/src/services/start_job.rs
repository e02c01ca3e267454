//! How a job is created and its execution started: by a call, by a retry, by a project's uploads. One set of rules for all of
//! them (I4).

use tracing::{info, warn};

use crate::domain::id::{JobUid, Naming};
use crate::domain::job::{Job, JobRequest, JobSpec, JobState, UploadRun};
use crate::domain::job_status::JobStatus;
use crate::domain::prediction::model_type::ModelType;
use crate::domain::project::Project;
use crate::domain::provider::{ProviderName, ServedBy};
use crate::domain::{Error, Timestamp};
use crate::ports::{Clock, Executions, Jobs, Projects, Providers};
use crate::services::serving::{self, OwnEndpoints};

/// Attempts under the uids that a request derives, each of which may find a job that ended unplanned. The next one gets a random
/// uid.
const NAMED_ATTEMPTS: u32 = 16;

/// What asks for a job.
#[derive(Clone, Debug)]
pub enum Cause<'a> {
    /// A call, whose idempotency key names the job.
    Call(&'a Naming),
    /// A project's uploads.
    Uploads(UploadRun),
}

/// Creates the job of a request, and starts it. `endpoints` are the deployment's own.
///
/// # Errors
/// `ProjectNotActive`, `Validation`, `ProviderGone`, `NoInferenceProvider`, and those of [`start_job`].
pub async fn create_job(
    store: &(impl Jobs + Projects + Providers),
    executions: &impl Executions,
    clock: &impl Clock,
    endpoints: &OwnEndpoints,
    project: &Project,
    request: JobRequest,
    cause: Cause<'_>,
) -> Result<Job, Error> {
    let request = JobRequest { options: request.options.in_words_of(&project.labels), ..request };
    project.check_request(&request)?;
    let served_by = serving::choose(store, endpoints, &request, project).await?;
    let by_chance = Naming::default();
    let (uploads, naming) = match cause {
        Cause::Call(naming) => (None, naming),
        Cause::Uploads(run) => (Some(run), &by_chance),
    };
    let spec = specify(project, request, served_by, uploads, clock.now());
    start_job(store, executions, clock, project, spec, naming).await
}

fn specify(
    project: &Project,
    request: JobRequest,
    served_by: ServedBy,
    uploads: Option<UploadRun>,
    now: Timestamp,
) -> JobSpec {
    let JobRequest { mut options, dry_run, .. } = request;
    if served_by.uid.is_none() {
        options.model_type.get_or_insert(ModelType::DEFAULT);
    }
    let wanted = if options.labels.is_empty() { project.labels.clone() } else { options.labels.clone() };
    let mut prompts = project.label_prompts.clone();
    prompts.retain(|label, _| wanted.contains(label));
    JobSpec {
        uid: JobUid::at(now),
        organization: project.organization,
        project: project.uid,
        provider: served_by.uid,
        served_by: Some(served_by),
        options,
        wanted,
        prompts,
        dry_run,
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
    store: &(impl Jobs + Projects),
    executions: &impl Executions,
    clock: &impl Clock,
    project: &Project,
    spec: JobSpec,
    naming: &Naming,
) -> Result<Job, Error> {
    let job = match stored(store, clock, spec, naming).await? {
        job if job.state.status != JobStatus::Pending => return Ok(job), // it has an execution, or has had one
        job => job,
    };
    // A job without an execution must not hold its project until the watchdog ends it. If only the answer was lost, the
    // execution finds the job cancelled and ends.
    if let Err(error) = begin(store, executions, project, &job.spec).await {
        warn!(job.uid = %job.spec.uid, causes = error.chain(), "execution of job not started");
        // No event: the client is answered an error, and has no job.
        store.cancel_job(&job, &[], clock.now()).await?;
        return Err(error);
    }
    info!(job.uid = %job.spec.uid, project.uid = %job.spec.project, trigger = ?job.spec.trigger(), "job created");
    Ok(job)
}

/// Notes what serves the project, if that has changed, and starts the execution. In this order: no job runs on a provider that the
/// choice of the next one does not know of. A dry run changes nothing but the job (I8), and a default provider needs no note.
async fn begin(
    store: &impl Projects,
    executions: &impl Executions,
    project: &Project,
    spec: &JobSpec,
) -> Result<(), Error> {
    let provider = spec.served_by.as_ref().and_then(ServedBy::provider_name);
    let is_known = |last: &ProviderName| provider.as_ref().is_some_and(|provider| provider.uid == last.uid);
    let is_noted = project.last_provider.as_ref().map_or(provider.is_none(), is_known);
    if !(spec.dry_run || is_noted || project.default_provider.is_some()) {
        store.note_provider(project.organization, project.uid, provider.as_ref()).await?;
    }
    executions.start(spec.uid).await
}

/// The stored job: created now, or by an earlier attempt of the same request. A job that ended before it was planned was never
/// reported to the client, so the request gets another one.
async fn stored(store: &impl Jobs, clock: &impl Clock, spec: JobSpec, naming: &Naming) -> Result<Job, Error> {
    let mut job = Job { state: JobState::new(spec.created_at), spec };
    for attempt in 0.. {
        // Ends: a random uid names no job yet.
        let by_chance = Naming::default();
        let naming = if attempt < NAMED_ATTEMPTS { naming } else { &by_chance };
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
            (Err(Error::NotFound(_)), Some(active)) => return Err(active),
            (Err(error), _) => return Err(error),
            (Ok(_), _) => {}
        }
    }
    Ok(job)
}

/// Takes back a job that may have been created: it would lock the project, and the client does not know it. If that fails, the
/// watchdog ends the job. A job that an earlier attempt created and that runs stays.
async fn withdraw(store: &impl Jobs, clock: &impl Clock, job: &Job) {
    match store.job(job.spec.uid).await {
        Ok(before) if before.state.started_at.is_none() => {}
        Err(Error::NotFound(_)) => {}
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

#[cfg(all(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "all of it is tests, and not all of it is in functions marked so")]
mod tests {
    use std::sync::{Arc, Mutex};

    use uuid::Uuid;

    use super::*;
    use crate::domain::id::{OrganizationUid, ProviderUid};
    use crate::domain::provider::InferenceProvider;
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

    fn a_provider() -> InferenceProvider {
        let body =
            br#"{"name": "p", "provider_type": "sagemaker", "config": {"endpoint_name": "e", "region": "us-east-1"}}"#;
        let (organization, now) = (OrganizationUid::named("acme"), Timestamp::from_second(1_000).unwrap());
        let (provider, _) = InferenceProvider::read(body, organization, now, |_| Err("no URL".into())).unwrap();
        InferenceProvider { uid: ProviderUid::parse("0192b1c0-0000-7000-8000-00000000000c").unwrap(), ..provider }
    }

    fn endpoints() -> OwnEndpoints {
        [(ModelType::Yolo, "own-yolo".to_owned())].into()
    }

    fn a_request() -> JobRequest {
        JobRequest::read(br#"{"model_type": "yolo"}"#).unwrap()
    }

    /// A create whose answer was a server's error is made again under its idempotency key.
    #[tokio::test]
    async fn a_repeated_create_names_one_job_whatever_call_failed() {
        for (answer_lost, has_provider) in [(false, false), (true, false), (false, true), (true, true)] {
            for call in 1.. {
                let fault = Arc::new(Fault::at(call, answer_lost));
                let (project, provider) = (a_project(), a_provider());
                let store = MemoryTenants::default();
                store.add_project(&project).await.unwrap();
                if has_provider {
                    store.add_provider(&provider).await.unwrap();
                }
                let store = store.failing(&fault);
                let machine = Machine { fault: Arc::clone(&fault), started: Mutex::default() };
                let clock = StoppedClock::at(1_000);
                let naming = Naming::repeatable(Uuid::from_u128(7), "f".into());
                let make = async || {
                    let cause = Cause::Call(&naming);
                    create_job(&store, &machine, &clock, &endpoints(), &project, a_request(), cause).await
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
                let last = store.project(project.organization, project.uid).await.unwrap().last_provider;
                assert_eq!(last, has_provider.then(|| provider.named()), "call {call}, lost {answer_lost}");
            }
        }
    }

    /// What a job was created with, and the provider that its project is known to rely on after it.
    async fn created(project: &Project, body: &str) -> (JobSpec, Option<ProviderName>) {
        let store = MemoryTenants::default();
        store.add_project(project).await.unwrap();
        store.add_provider(&a_provider()).await.unwrap();
        let (executions, clock, naming) = (MemoryExecutions::default(), StoppedClock::at(1_000), Naming::default());
        let (request, cause) = (JobRequest::read(body.as_bytes()).unwrap(), Cause::Call(&naming));

        let job = create_job(&store, &executions, &clock, &endpoints(), project, request, cause).await.unwrap();

        (job.spec, store.project(project.organization, project.uid).await.unwrap().last_provider)
    }

    #[tokio::test]
    async fn a_job_says_what_serves_it_and_its_project_knows_the_provider_of_the_last_one() {
        let (spec, last) = created(&a_project(), "{}").await;

        let provider = a_provider();
        assert_eq!((spec.provider, spec.served_by), (Some(provider.uid), Some(ServedBy::provider(&provider))));
        assert_eq!(spec.options.model_type, None, "none was asked for");
        assert_eq!(last, Some(provider.named()));
    }

    #[tokio::test]
    async fn a_dry_run_and_a_project_with_a_default_provider_note_none() {
        let with_default = Project { default_provider: Some(a_provider().named()), ..a_project() };
        for (project, body) in [(&a_project(), r#"{"dry_run": true}"#), (&with_default, "{}")] {
            assert_eq!(created(project, body).await.1, None);
        }
    }

    #[tokio::test]
    async fn a_job_on_the_deployments_endpoint_has_a_model_type_and_forgets_the_last_provider() {
        let (store, executions, clock) =
            (MemoryTenants::default(), MemoryExecutions::default(), StoppedClock::at(1_000));
        let project = Project { last_provider: Some(a_provider().named()), ..a_project() };
        store.add_project(&project).await.unwrap();
        let request = JobRequest::read(b"{}").unwrap();
        let spec = specify(&project, request, ServedBy::own_endpoint("own-yolo"), None, clock.now());
        assert_eq!((spec.provider, spec.options.model_type), (None, Some(ModelType::Yolo)));

        start_job(&store, &executions, &clock, &project, spec, &Naming::default()).await.unwrap();

        let after = store.project(project.organization, project.uid).await.unwrap();
        assert_eq!(after, Project { last_provider: None, ..project });
    }

    /// Hole 12 (decision 0027): a client that was refused has no job, and its project is free.
    #[tokio::test]
    async fn a_create_that_fails_leaves_no_job_that_holds_the_project() {
        for answer_lost in [false, true] {
            let store = MemoryTenants::default().failing(&Arc::new(Fault::at(1, answer_lost)));
            let (executions, clock) = (MemoryExecutions::default(), StoppedClock::at(1_000));
            let spec = a_job().spec;

            let refused = start_job(&store, &executions, &clock, &a_project(), spec.clone(), &Naming::default()).await;

            assert!(matches!(refused, Err(Error::StoreUnavailable(_))), "{refused:?}");
            assert!(!store.has_active_job(), "answer lost: {answer_lost}");
            assert!(!executions.is_running(spec.uid).await.unwrap());
            let next = JobSpec { uid: JobUid::at(clock.now()), ..spec };
            assert!(start_job(&store, &executions, &clock, &a_project(), next, &Naming::default()).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_create_that_meets_another_job_takes_nothing_back() {
        let (store, executions, clock) =
            (MemoryTenants::default(), MemoryExecutions::default(), StoppedClock::at(1_000));
        let spec = a_job().spec;
        let (project, naming) = (a_project(), Naming::default());
        let first = start_job(&store, &executions, &clock, &project, spec.clone(), &naming).await.unwrap().spec.uid;

        let second = JobSpec { uid: JobUid::at(clock.now()), ..spec };
        assert!(
            matches!(start_job(&store, &executions, &clock, &project, second, &naming).await, Err(Error::JobActive(uid)) if uid == first)
        );

        assert_eq!(store.active_jobs().await.unwrap(), [first]);
    }
}

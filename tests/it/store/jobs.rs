use std::collections::BTreeSet;

use shared::domain::Error;
use shared::domain::id::JobUid;
use shared::domain::job::summary::Summary;
use shared::domain::job::{Job, JobSpec, JobState};
use shared::domain::job_status::JobStatus;
use shared::domain::limits;
use shared::domain::prediction::label_count::LabelCount;
use shared::ports::{Before, Commit, Ending, JobFilter, Jobs, Ledger, Slice, Webhooks};
use shared::store::Store;
use tokio::task::JoinSet;

use super::making::*;

on_both!(
    a_page_of_jobs_with_long_summaries_ends_by_its_bytes,
    a_job_is_read_as_it_was_created,
    a_job_that_was_never_created_is_not_found,
    the_second_job_of_a_project_is_refused_with_the_uid_of_the_first,
    of_twenty_creates_at_once_exactly_one_wins,
    the_first_plan_wins,
    a_cancelled_job_does_not_start,
    a_cancel_frees_the_project_and_again_is_fine,
    a_cancel_records_its_deliveries_in_one_step,
    a_cancel_after_the_end_is_refused_and_changes_nothing,
    a_late_cancel_leaves_the_project_to_the_next_job,
    of_a_cancel_and_an_end_at_once_one_wins,
    an_end_judged_by_old_counters_is_refused,
    the_end_records_its_deliveries_and_frees_the_project_in_one_step,
    the_end_of_a_job_has_deliveries_to_fifty_subscriptions,
    a_job_ends_once,
    a_job_that_was_never_planned_does_not_complete,
    a_job_that_is_closed_takes_no_more_chunks_and_is_not_planned,
    a_cancelled_job_is_closed_if_its_status_is_named,
    jobs_are_watched_oldest_first_until_they_have_ended_or_are_forgotten,
    an_active_job_is_never_forgotten,
    lists_of_jobs_lose_none_and_repeat_none,
    a_list_by_status_goes_on_past_pages_without_a_match,
    jobs_of_other_tenants_are_never_listed,
    a_job_that_is_withdrawn_before_its_creation_arrives_is_never_created,
    a_job_that_is_withdrawn_after_its_creation_leaves_the_project_free,
);

in_memory_too!(
    a_job_that_is_withdrawn_before_its_creation_arrives_is_never_created,
    a_job_that_is_withdrawn_after_its_creation_leaves_the_project_free,
    a_job_is_read_as_it_was_created,
    a_job_that_was_never_created_is_not_found,
    the_second_job_of_a_project_is_refused_with_the_uid_of_the_first,
    of_twenty_creates_at_once_exactly_one_wins,
    the_first_plan_wins,
    a_cancelled_job_does_not_start,
    a_cancel_after_the_end_is_refused_and_changes_nothing,
    a_late_cancel_leaves_the_project_to_the_next_job,
    of_a_cancel_and_an_end_at_once_one_wins,
    a_job_ends_once,
    a_job_that_was_never_planned_does_not_complete,
    a_job_that_is_closed_takes_no_more_chunks_and_is_not_planned,
    a_cancelled_job_is_closed_if_its_status_is_named,
    jobs_are_watched_oldest_first_until_they_have_ended_or_are_forgotten,
    an_active_job_is_never_forgotten,
);

/// Hole 12 (decision 0027): a create whose call ran out of time may still be on its way.
async fn a_job_that_is_withdrawn_before_its_creation_arrives_is_never_created(store: impl Jobs) {
    let project = a_project();
    let spec = a_spec(project, 0);
    let job = Job { spec: spec.clone(), state: JobState::new(at(0)) };

    store.withdraw_job(&job, at(1)).await.unwrap();
    store.withdraw_job(&job, at(2)).await.unwrap(); // its answer was lost

    assert!(!store.create_job(&spec, &job.state).await.unwrap());
    let next = a_spec(project, 3);
    pending(&store, &next).await; // the project is free
    assert_eq!(store.active_jobs().await.unwrap(), [next.uid]);
    let withdrawn = store.job(spec.uid).await.unwrap();
    assert_eq!((withdrawn.state.status, withdrawn.state.completed_at), (JobStatus::Cancelled, Some(at(1))));
    let slice = Slice { limit: 10, ..Slice::default() };
    let listed = store.jobs(acme(), JobFilter::default(), &slice).await.unwrap().entries;
    assert!(listed.iter().all(|job| job.spec.uid != spec.uid), "it is in no list");
}

async fn a_job_that_is_withdrawn_after_its_creation_leaves_the_project_free(store: impl Jobs) {
    let project = a_project();
    let spec = a_spec(project, 0);
    pending(&store, &spec).await;

    let job = store.job(spec.uid).await.unwrap();
    store.withdraw_job(&job, at(1)).await.unwrap();

    assert_eq!(store.job(spec.uid).await.unwrap().state.status, JobStatus::Cancelled);
    pending(&store, &a_spec(project, 2)).await;
}

async fn a_job_is_read_as_it_was_created(store: impl Table) {
    let spec = a_spec(a_project(), 0);
    let state = JobState::new(spec.created_at);

    store.create_job(&spec, &state).await.unwrap();

    assert_eq!(store.job(spec.uid).await.unwrap(), Job { spec: spec.clone(), state });
    assert_eq!(store.status(spec.uid).await.unwrap(), JobStatus::Pending);
    assert_eq!(store.plan(spec.uid).await.unwrap(), None);
}

async fn a_job_that_was_never_created_is_not_found(store: impl Table) {
    let unknown = JobUid::at(at(0));

    assert!(matches!(store.job(unknown).await, Err(Error::NotFound(_))));
    assert!(matches!(store.status(unknown).await, Err(Error::NotFound(_))));
    assert!(matches!(store.plan_job(&a_plan(unknown, "m"), 1, None, at(1)).await, Err(Error::NotFound(_))));
    assert_eq!(store.plan(unknown).await.unwrap(), None);
    assert_eq!(receipts(&store, unknown).await, []);
}

/// I4.
/// Contract D9.
async fn the_second_job_of_a_project_is_refused_with_the_uid_of_the_first(store: impl Jobs) {
    let project = a_project();
    let (first, second) = (a_spec(project, 0), a_spec(project, 1));
    pending(&store, &first).await;

    let answer = store.create_job(&second, &JobState::new(at(1))).await;

    assert!(matches!(answer, Err(Error::JobActive(holder)) if holder == first.uid), "{answer:?}");
    assert!(matches!(store.job(second.uid).await, Err(Error::NotFound(_))));
    pending(&store, &a_spec(a_project(), 1)).await; // another project is free
}

/// I4.
/// Contract D9.
async fn of_twenty_creates_at_once_exactly_one_wins(store: impl Jobs + Clone + 'static) {
    let project = a_project();
    let mut creates = JoinSet::new();
    for second in 0..20 {
        let (store, spec) = (store.clone(), a_spec(project, second));
        creates.spawn(async move { (spec.uid, store.create_job(&spec, &JobState::new(spec.created_at)).await) });
    }
    let answers = creates.join_all().await;

    let winners: Vec<JobUid> = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(uid, _)| *uid).collect();
    let [winner] = winners[..] else { panic!("{} creates won", winners.len()) };
    for (uid, answer) in answers.iter().filter(|(uid, _)| *uid != winner) {
        assert!(matches!(answer, Err(Error::JobActive(holder)) if *holder == winner), "{answer:?}");
        assert!(matches!(store.job(*uid).await, Err(Error::NotFound(_))));
    }
    assert_eq!(store.active_jobs().await.unwrap(), [winner]);
}

async fn the_first_plan_wins(store: impl Jobs) {
    let spec = a_spec(a_project(), 0);
    pending(&store, &spec).await;
    let first = a_plan(spec.uid, "first");
    assert_eq!(store.plan_job(&first, 4, None, at(1)).await.unwrap(), first);

    assert_eq!(store.plan_job(&a_plan(spec.uid, "second"), 5, None, at(2)).await.unwrap(), first);

    assert_eq!(store.plan(spec.uid).await.unwrap(), Some(first));
    let state = store.job(spec.uid).await.unwrap().state;
    assert_eq!((state.status, state.counters), (JobStatus::Running, counted(4, 0, 0, 0)));
    assert_eq!((state.started_at, state.progressed_at), (Some(at(1)), at(1)));
}

/// I7.
async fn a_cancelled_job_does_not_start(store: impl Jobs) {
    let spec = a_spec(a_project(), 0);
    pending(&store, &spec).await;
    store.cancel_job(&store.job(spec.uid).await.unwrap(), &[], at(1)).await.unwrap();

    let answer = store.plan_job(&a_plan(spec.uid, "m"), 4, None, at(2)).await;

    assert!(matches!(answer, Err(Error::JobFinished(JobStatus::Cancelled))), "{answer:?}");
    assert_eq!(store.plan(spec.uid).await.unwrap(), None);
    assert_eq!(counters(&store, spec.uid).await, counted(0, 0, 0, 0));
}

/// Contract D13.
async fn a_cancel_frees_the_project_and_again_is_fine(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 4).await;
    let seen = store.job(spec.uid).await.unwrap();
    assert!(store.cancel_job(&seen, &[], at(2)).await.unwrap());
    let cancelled = store.job(spec.uid).await.unwrap();
    assert_eq!((cancelled.state.status, cancelled.state.completed_at), (JobStatus::Cancelled, Some(at(2))));

    let next = a_spec(spec.project, 3);
    pending(&store, &next).await;
    assert!(!store.cancel_job(&seen, &[a_delivery(&seen, &a_webhook(acme(), 0))], at(4)).await.unwrap());

    assert_eq!(store.job(spec.uid).await.unwrap(), cancelled);
    assert!(outbox(&store).await.is_empty());
    assert_eq!(holder(&store, spec.project).await, next.uid); // the second cancel did not free what it no longer had
}

/// I6.
async fn a_cancel_records_its_deliveries_in_one_step(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 4).await;
    let seen = store.job(spec.uid).await.unwrap();
    let delivery = a_delivery(&seen, &a_webhook(acme(), 0));

    assert!(store.cancel_job(&seen, std::slice::from_ref(&delivery), at(2)).await.unwrap());

    assert_eq!(outbox(&store).await, BTreeSet::from([delivery.uid]));
    assert_eq!(store.delivery(delivery.uid).await.unwrap(), Some(delivery));
}

/// I5.
/// Contract D13.
async fn a_cancel_after_the_end_is_refused_and_changes_nothing(store: impl Jobs) {
    for status in [JobStatus::Completed, JobStatus::Failed] {
        let spec = a_spec(a_project(), 0);
        running(&store, &spec, 0).await;
        let seen = store.job(spec.uid).await.unwrap();
        end(&store, spec.uid, status).await;
        let ended = store.job(spec.uid).await.unwrap();

        let answer = store.cancel_job(&seen, &[], at(10)).await;

        assert!(matches!(answer, Err(Error::JobFinished(why)) if why == status), "{answer:?}");
        assert_eq!(store.job(spec.uid).await.unwrap(), ended);
    }
}

async fn a_late_cancel_leaves_the_project_to_the_next_job(store: impl Jobs) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 0).await;
    let seen = store.job(spec.uid).await.unwrap();
    end(&store, spec.uid, JobStatus::Completed).await;
    let next = a_spec(spec.project, 10);
    pending(&store, &next).await;

    let answer = store.cancel_job(&seen, &[], at(11)).await;

    assert!(matches!(answer, Err(Error::JobFinished(JobStatus::Completed))), "{answer:?}");
    assert_eq!(holder(&store, spec.project).await, next.uid);
}

/// I5.
async fn of_a_cancel_and_an_end_at_once_one_wins(store: impl Table) {
    for round in 0..5 {
        let spec = a_spec(a_project(), round);
        running(&store, &spec, 0).await;
        let seen = store.job(spec.uid).await.unwrap();
        let ending = an_ending(JobStatus::Completed, Vec::new());

        let (cancelled, ended) =
            tokio::join!(store.cancel_job(&seen, &[], at(20)), store.end_job(&seen, &ending, at(20)));

        let status = store.status(spec.uid).await.unwrap();
        match (cancelled, ended.unwrap()) {
            (Ok(true), false) => assert_eq!(status, JobStatus::Cancelled),
            (Err(Error::JobFinished(JobStatus::Completed)), true) => assert_eq!(status, JobStatus::Completed),
            answers => panic!("{answers:?}"),
        }
    }
}

/// I2: the summary and the event speak of counters that must not change any more.
async fn an_end_judged_by_old_counters_is_refused(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 1).await;
    let items = unlabeled(&store, spec.project, 1).await;
    let seen = store.job(spec.uid).await.unwrap();
    store.commit(&spec, "bot", a_chunk(spec.uid, 0, vec![drafted(items[0])]), at(2)).await.unwrap();
    let delivery = a_delivery(&seen, &a_webhook(acme(), 0));
    let ending = an_ending(JobStatus::Failed, vec![delivery.clone()]);

    assert!(!store.end_job(&seen, &ending, at(3)).await.unwrap());

    assert_eq!(store.status(spec.uid).await.unwrap(), JobStatus::Running);
    assert_eq!(store.delivery(delivery.uid).await.unwrap(), None);
    assert_eq!(holder(&store, spec.project).await, spec.uid);
}

/// I5, I6.
async fn the_end_records_its_deliveries_and_frees_the_project_in_one_step(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 0).await;
    let job = store.job(spec.uid).await.unwrap();
    let deliveries: Vec<_> = (0..2).map(|second| a_delivery(&job, &a_webhook(acme(), second))).collect();
    let ending = an_ending(JobStatus::Failed, deliveries.clone());

    assert!(store.end_job(&job, &ending, at(3)).await.unwrap());

    let state = store.job(spec.uid).await.unwrap().state;
    assert_eq!((state.status, state.completed_at), (JobStatus::Failed, Some(at(3))));
    assert_eq!((state.error_message, state.summary), (ending.error_message, Some(ending.summary)));
    assert_eq!(outbox(&store).await, deliveries.iter().map(|delivery| delivery.uid).collect::<BTreeSet<_>>());
    for delivery in deliveries {
        assert_eq!(store.delivery(delivery.uid).await.unwrap(), Some(delivery));
    }
    assert_eq!(store.active_jobs().await.unwrap(), []);
    pending(&store, &a_spec(spec.project, 4)).await;
}

async fn the_end_of_a_job_has_deliveries_to_fifty_subscriptions(store: Store) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 0).await;
    let job = store.job(spec.uid).await.unwrap();
    let deliveries: Vec<_> = (0..50).map(|second| a_delivery(&job, &a_webhook(acme(), second))).collect();

    assert!(store.end_job(&job, &an_ending(JobStatus::Completed, deliveries.clone()), at(3)).await.unwrap());

    for delivery in deliveries {
        assert!(store.delivery(delivery.uid).await.unwrap().is_some());
    }
}

/// I5, I6.
async fn a_job_ends_once(store: impl Jobs) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 0).await;
    let seen = store.job(spec.uid).await.unwrap();
    end(&store, spec.uid, JobStatus::Completed).await;
    let ended = store.job(spec.uid).await.unwrap();

    assert!(!store.end_job(&seen, &an_ending(JobStatus::Failed, Vec::new()), at(10)).await.unwrap());

    assert_eq!(store.job(spec.uid).await.unwrap(), ended);
}

/// I5: an end goes by the table of moves.
async fn a_job_that_was_never_planned_does_not_complete(store: impl Jobs) {
    let spec = a_spec(a_project(), 0);
    pending(&store, &spec).await;
    let seen = store.job(spec.uid).await.unwrap();

    let answer = store.end_job(&seen, &an_ending(JobStatus::Completed, Vec::new()), at(3)).await;

    assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
    assert_eq!(store.job(spec.uid).await.unwrap(), seen);
}

/// I5.
async fn a_job_that_is_closed_takes_no_more_chunks_and_is_not_planned(store: impl Table) {
    let specs = [a_spec(a_project(), 0), a_spec(a_project(), 1)];
    running(&store, &specs[0], 1).await;
    pending(&store, &specs[1]).await;
    let items = unlabeled(&store, specs[0].project, 1).await;
    for spec in &specs {
        store.close_job(spec.uid, &JobStatus::ACTIVE).await.unwrap();
        store.close_job(spec.uid, &JobStatus::ACTIVE).await.unwrap();
    }

    let chunk = a_chunk(specs[0].uid, 0, vec![drafted(items[0])]);
    assert_eq!(store.commit(&specs[0], "bot", chunk, at(2)).await.unwrap(), Commit::JobOver);
    assert!(store.plan_job(&a_plan(specs[1].uid, "m"), 1, None, at(2)).await.is_err());

    for spec in &specs {
        assert_eq!(counters(&store, spec.uid).await.processed(), 0);
        end(&store, spec.uid, JobStatus::Failed).await;
    }
    assert_eq!(store.active_jobs().await.unwrap(), []);
}

async fn a_cancelled_job_is_closed_if_its_status_is_named(store: impl Table) {
    let spec = a_spec(a_project(), 0);
    running(&store, &spec, 2).await;
    let items = unlabeled(&store, spec.project, 2).await;
    store.cancel_job(&store.job(spec.uid).await.unwrap(), &[], at(2)).await.unwrap();
    let commit = async |chunk: u32| {
        let chunk = a_chunk(spec.uid, chunk, vec![drafted(items[chunk as usize])]);
        store.commit(&spec, "bot", chunk, at(3)).await.unwrap()
    };

    store.close_job(spec.uid, &JobStatus::ACTIVE).await.unwrap();
    assert!(matches!(commit(0).await, Commit::Done(_)), "what was in flight at the cancel still counts");

    store.close_job(spec.uid, &[JobStatus::Cancelled]).await.unwrap();
    assert_eq!(commit(1).await, Commit::JobOver);
    assert_eq!(counters(&store, spec.uid).await.processed(), 1);
}

async fn jobs_are_watched_oldest_first_until_they_have_ended_or_are_forgotten(store: impl Jobs) {
    let specs: Vec<JobSpec> = [2, 0, 1, 3].map(|second| a_spec(a_project(), second)).into();
    for spec in &specs {
        running(&store, spec, 0).await;
    }
    let watched = [specs[1].uid, specs[2].uid, specs[0].uid, specs[3].uid];
    assert_eq!(store.active_jobs().await.unwrap(), watched);

    end(&store, specs[2].uid, JobStatus::Failed).await;
    let watched = [specs[1].uid, specs[0].uid, specs[3].uid];
    assert_eq!(store.active_jobs().await.unwrap(), watched);
    store.cancel_job(&store.job(specs[1].uid).await.unwrap(), &[], at(9)).await.unwrap();
    assert_eq!(store.active_jobs().await.unwrap(), watched); // its execution may still run

    for ended in &specs[1..3] {
        let before = store.job(ended.uid).await.unwrap();
        store.unwatch_job(ended.uid).await.unwrap();
        store.unwatch_job(ended.uid).await.unwrap();
        assert_eq!(store.job(ended.uid).await.unwrap(), before);
    }
    assert_eq!(store.active_jobs().await.unwrap(), [specs[0].uid, specs[3].uid]);
}

/// I5.
async fn an_active_job_is_never_forgotten(store: impl Jobs) {
    let specs = [a_spec(a_project(), 0), a_spec(a_project(), 1)];
    pending(&store, &specs[0]).await;
    running(&store, &specs[1], 0).await;

    for spec in &specs {
        assert!(store.unwatch_job(spec.uid).await.is_err());
    }

    assert_eq!(store.active_jobs().await.unwrap(), specs.map(|spec| spec.uid));
}

/// Seven jobs of two projects in turn, one a second, with these ends.
const SEVEN: [JobStatus; 7] = {
    use JobStatus::*;
    [Cancelled, Completed, Cancelled, Cancelled, Cancelled, Completed, Running]
};

async fn seven_jobs(store: &Store) -> Vec<JobSpec> {
    let projects = [a_project(), a_project()];
    let mut specs = Vec::new();
    for (position, status) in SEVEN.into_iter().enumerate() {
        let spec = a_spec(projects[position % 2], position as i64);
        running(store, &spec, 0).await;
        match status {
            JobStatus::Cancelled => {
                store.cancel_job(&store.job(spec.uid).await.unwrap(), &[], at(9)).await.unwrap();
            }
            JobStatus::Completed => end(store, spec.uid, status).await,
            _ => {}
        }
        specs.push(spec);
    }
    specs
}

async fn lists_of_jobs_lose_none_and_repeat_none(store: Store) {
    let specs = seven_jobs(&store).await;
    let by = |positions: &[usize]| positions.iter().map(|position| specs[*position].uid).collect::<Vec<JobUid>>();
    let project = Some(specs[0].project);
    let lists = [
        (None, None, by(&[0, 1, 2, 3, 4, 5, 6])),
        (project, None, by(&[0, 2, 4, 6])),
        (None, Some(JobStatus::Cancelled), by(&[0, 2, 3, 4])),
        (None, Some(JobStatus::Running), by(&[6])),
        (None, Some(JobStatus::Failed), by(&[])),
        (project, Some(JobStatus::Completed), by(&[])),
        (project, Some(JobStatus::Cancelled), by(&[0, 2, 4])),
    ];
    for (project, status, expected) in lists {
        let filter = JobFilter { project, status };
        assert_pages(async |slice| store.jobs(acme(), filter, &slice).await, |job| job.spec.uid, &expected).await;
    }
}

async fn a_list_by_status_goes_on_past_pages_without_a_match(store: Store) {
    // In pages of one the match lies further than one page of the list reads.
    let mut specs = Vec::new();
    for second in 0..8 {
        let spec = a_spec(a_project(), second);
        pending(&store, &spec).await;
        specs.push(spec);
    }
    store.cancel_job(&store.job(specs[0].uid).await.unwrap(), &[], at(9)).await.unwrap();

    let filter = JobFilter { project: None, status: Some(JobStatus::Cancelled) };
    assert_pages(async |slice| store.jobs(acme(), filter, &slice).await, |job| job.spec.uid, &[specs[0].uid]).await;
}

/// I10.
async fn jobs_of_other_tenants_are_never_listed(store: Store) {
    let specs = seven_jobs(&store).await;
    let foreign = JobSpec { organization: other(), ..a_spec(a_project(), 3) };
    pending(&store, &foreign).await;

    let acmes: Vec<JobUid> = specs.iter().map(|spec| spec.uid).collect();
    let all = JobFilter::default();
    assert_pages(async |slice| store.jobs(acme(), all, &slice).await, |job| job.spec.uid, &acmes).await;
    assert_pages(async |slice| store.jobs(other(), all, &slice).await, |job| job.spec.uid, &[foreign.uid]).await;

    let acmes_project = JobFilter { project: Some(specs[0].project), status: None };
    assert_pages(async |slice| store.jobs(other(), acmes_project, &slice).await, |job| job.spec.uid, &[]).await;
}

/// An answer of Lambda has 6 MB at most.
async fn a_page_of_jobs_with_long_summaries_ends_by_its_bytes(store: Store) {
    let summary = Summary {
        labels: (0..200).map(|n| LabelCount { label: format!("{n:03}{}", "x".repeat(997)), count: n }).collect(),
        ..Summary::default()
    };
    let mut jobs = Vec::new();
    for second in 0..25 {
        let spec = a_spec(a_project(), second);
        running(&store, &spec, 0).await;
        let job = store.job(spec.uid).await.unwrap();
        let ending = Ending { summary: summary.clone(), ..an_ending(JobStatus::Completed, Vec::new()) };
        assert!(store.end_job(&job, &ending, at(9)).await.unwrap());
        jobs.push(spec.uid);
    }

    let page = store.jobs(acme(), JobFilter::default(), &everything()).await.unwrap();

    let bytes: usize = page.entries.iter().map(|job| serde_json::to_vec(&job.state.summary).unwrap().len()).sum();
    assert!(bytes < limits::PAGE_BYTES && page.entries.len() > 15, "{bytes} bytes of {}", page.entries.len());
    // The rest comes with the next page, and the whole of it again on the way back.
    let rest = Slice { after: page.next.clone(), ..everything() };
    let rest =
        store.jobs(acme(), JobFilter { project: None, status: Some(JobStatus::Completed) }, &rest).await.unwrap();
    let uids = |jobs: &[Job]| jobs.iter().map(|job| job.spec.uid).collect::<Vec<JobUid>>();
    assert_eq!([uids(&page.entries), uids(&rest.entries)].concat(), jobs);
    assert_eq!(rest.next, None);
    let Some(Before::Position(before)) = rest.previous else { panic!("{:?}", rest.previous) };
    let back = Slice { after: Some(before), backward: true, ..everything() };
    let back = store.jobs(acme(), JobFilter::default(), &back).await.unwrap();
    assert_eq!((uids(&back.entries), back.previous), (uids(&page.entries), None));
}

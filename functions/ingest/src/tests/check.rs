//! When uploads are checked, and what jobs take then.

use std::collections::HashMap;

use shared::domain::id::{ItemUid, ProviderUid};
use shared::domain::item::Asset;
use shared::domain::job::plan::Plan;
use shared::domain::project::ProjectChange;
use shared::domain::project::auto_label::AutoLabel;
use shared::domain::provider::{InferenceProvider, ProviderName};
use shared::ports::Picked;

use super::*;

const SETTLED: Duration = Duration::from_secs(limits::UPLOAD_SETTLED_SECONDS);

#[tokio::test]
async fn a_job_takes_nothing_that_the_index_may_show_late() {
    let (app, project) = an_app(Some(json!({"quiet_seconds": 1}))).await;
    app.upload(project, "a.png", 1).await;
    assert_eq!(app.queue.take_checks(), [(project, SETTLED)], "however short the pause is to be");

    app.clock.0.pass(SETTLED - Duration::from_secs(1));
    app.check(project).await;
    assert!(app.store.jobs_created().is_empty());
    app.clock.0.pass(Duration::from_secs(1));
    app.check(project).await;

    let [job] = &app.store.jobs_created()[..] else { panic!("one job") };
    let until = job.spec.uploads.as_ref().unwrap().until;
    let age = Duration::try_from(app.clock.now().duration_since(until)).unwrap();
    assert!(age >= SETTLED && age < SETTLED + Duration::from_millis(1), "{age:?}");
    assert!(until >= app.store.all_items()[0].created_at, "and all that made it start");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_would_come_behind_what_jobs_have_taken_is_given_up() {
    assert!(matches!(crate::check::soon(std::future::pending::<()>()).await, Err(Error::StoreUnavailable(_))));
}

#[tokio::test]
async fn of_several_chains_of_checks_of_a_project_one_goes_on() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    assert_eq!(app.queue.take_checks().len(), 1);
    app.clock.0.pass(QUIET);
    app.check(project).await;
    let running = app.store.jobs_created()[0].spec.uid;
    app.store.end_jobs();

    // No check is on its way, and uploads go on when the job ends: the first event of its end asks for one.
    app.upload(project, "b.png", 1).await;
    assert_eq!(app.queue.take_checks(), [], "the project is watched");
    app.handle([ended(running), ended(running)]).await;
    assert_eq!(app.queue.take_checks().len(), 1);

    // The check comes, SQS delivers it a second time, and another job ends.
    app.clock.0.pass(QUIET - Duration::from_secs(1));
    app.upload(project, "c.png", 1).await;
    app.clock.0.pass(Duration::from_secs(1));
    app.check(project).await;
    app.check(project).await;
    app.handle([ended(running)]).await;
    assert_eq!(app.queue.take_checks().len(), 1);
}

#[tokio::test]
async fn a_job_that_could_not_be_planned_is_followed_by_one_of_the_schedule() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.clock.0.pass(QUIET);
    app.check(project).await;
    let job = app.store.jobs_created()[0].spec.uid;

    app.store.fail_jobs(app.clock.now());
    app.handle([ended(job)]).await;
    assert_eq!(app.store.jobs_created().len(), 1, "it would fail as fast as it starts");

    app.clock.0.pass(Duration::from_secs(60));
    app.handle([tick()]).await;
    assert_eq!(app.store.jobs_created().len(), 2);
}

/// What Plan and the workers do: every job that waits to be planned labels what it takes, and ends.
async fn label(app: &TestApp, project: ProjectUid) -> Vec<Asset> {
    let mut labeled = Vec::new();
    let organization = OrganizationUid::named("acme");
    for job in app.store.jobs_created().into_iter().filter(|job| job.state.status == JobStatus::Pending) {
        let (run, backlog) = (job.spec.uploads.unwrap(), app.store.backlog(organization, project).await.unwrap());
        let query = UnlabeledQuery {
            after: backlog.taken_until,
            until: Some(run.until),
            uploads: true,
            limit: None,
            since: None,
        };
        let taken = app.store.waiting_in(project, &query);
        let picked = Picked {
            organization,
            project,
            max_items_per_day: run.max_items_per_day,
            until: taken.last().map(|(position, _)| position.clone()),
            counted: backlog.counted,
        };
        let plan = Plan { job: job.spec.uid, batches: vec![], workers: 1, truncated: false, note: None };
        let total = u32::try_from(taken.len()).unwrap();
        app.store.plan_job(&plan, total, Some(&picked), app.clock.now()).await.unwrap();
        for (_, asset) in taken {
            app.store.label(asset.uid, a_draft());
            labeled.push(asset);
        }
        app.store.end_jobs();
        app.handle([ended(job.spec.uid)]).await;
    }
    labeled
}

/// Hole 5 (decision 0027): one file every 59 s, and a pause of 60 that never comes. Each is labeled within 20 minutes, for two hours.
#[tokio::test]
async fn a_trickle_that_never_pauses_is_labeled_within_twenty_minutes() {
    let (app, project) = an_app(Some(json!({}))).await;
    let mut uploaded: HashMap<ItemUid, Timestamp> = HashMap::new();
    let (mut longest, mut labeled, mut checks) = (Duration::ZERO, 0, Vec::new());
    for second in 0..7_200 {
        app.clock.0.pass(Duration::from_secs(1));
        let now = app.clock.0.now();
        if second % 59 == 0 {
            let key = format!("{second}.png");
            uploaded.insert(ItemUid::of(project, &key), now);
            app.upload(project, &key, 1).await;
        }
        checks.extend(app.queue.take_checks().into_iter().map(|(_, delay)| now + delay));
        let due = checks.iter().filter(|at| **at <= now).count();
        checks.retain(|at| *at > now);
        for _ in 0..due {
            app.check(project).await;
        }
        if second % 60 == 30 {
            app.handle([tick()]).await;
        }
        for asset in label(&app, project).await {
            labeled += 1;
            longest = longest.max(Duration::try_from(now.duration_since(uploaded[&asset.uid])).unwrap());
        }
    }

    assert!(longest <= Duration::from_secs(20 * 60), "{longest:?}");
    assert!(labeled > 120 - 20, "{labeled} of {}", uploaded.len());
    let jobs = app.store.jobs_created().len();
    assert!((6..=9).contains(&jobs), "{jobs} jobs: each takes what has gathered, and not a file at a time");
}

/// Hole 16 (decision 0027).
#[tokio::test]
async fn jobs_that_end_before_they_take_anything_follow_one_another_ever_more_slowly() {
    let (app, project) = an_app(quiet()).await;
    let organization = OrganizationUid::named("acme");
    app.upload(project, "a.png", 1).await;
    let day = async |app: &TestApp| {
        for _ in 0..24 * 60 {
            app.clock.0.pass(Duration::from_secs(60));
            app.handle([tick()]).await;
            app.store.fail_jobs(app.clock.now());
        }
        app.store.jobs_created().len()
    };

    let on_the_first_day = day(&app).await;
    assert!((10..=13).contains(&on_the_first_day), "{on_the_first_day} jobs on the first day");
    let on_the_second_day = day(&app).await - on_the_first_day;
    assert!((3..=5).contains(&on_the_second_day), "{on_the_second_day} jobs on the second day");
    let pause = app.store.project(organization, project).await.unwrap().auto_label_pause.unwrap();
    assert!(pause.failures >= 13 && pause.retry_at > app.clock.now() && pause.job_uid.is_some(), "{pause:?}");

    // Its owner changes the project: the next check starts a job, and a job that takes uploads ends the pause.
    let change = ProjectChange { name: Some("Other".into()), ..ProjectChange::default() };
    app.store.change_project(organization, project, &change, app.clock.now()).await.unwrap();
    app.handle([tick()]).await;
    assert_eq!(label(&app, project).await.len(), 1);
    assert_eq!(app.store.project(organization, project).await.unwrap().auto_label_pause, None);
}

/// Hole 16 (decision 0027): what is wrong is the provider, and its owner puts that right.
#[tokio::test]
async fn a_provider_that_is_added_or_changed_ends_the_pause() {
    let (app, project) = an_app(quiet()).await;
    let app = Ingester { endpoints: OwnEndpoints::new(), ..app };
    let organization = OrganizationUid::named("acme");
    app.upload(project, "a.png", 1).await;
    for _ in 0..60 {
        app.clock.0.pass(Duration::from_secs(60));
        app.handle([tick()]).await;
    }
    assert!(app.store.jobs_created().is_empty(), "no provider is there");
    let pause = app.store.project(organization, project).await.unwrap().auto_label_pause.unwrap();
    assert_eq!((pause.failures, pause.job_uid), (6, None));
    assert!(pause.reason.contains("provider"), "{}", pause.reason);

    let body =
        json!({"name": "p", "provider_type": "sagemaker", "config": {"endpoint_name": "e", "region": "us-east-1"}});
    let now = app.clock.now();
    let read = InferenceProvider::read(body.to_string().as_bytes(), organization, now, |_| unreachable!());
    app.store.add_provider(&read.ok().unwrap().0).await.unwrap();
    app.handle([tick()]).await;
    assert_eq!(app.store.jobs_created().len(), 1);
}

/// Decision 0032: the reason is where people see it, and no other model runs.
#[tokio::test]
async fn uploads_wait_while_the_provider_of_their_project_is_gone() {
    let (app, project) = an_app(quiet()).await;
    let organization = OrganizationUid::named("acme");
    let gone = ProviderName { uid: ProviderUid::at(Timestamp::UNIX_EPOCH), name: "Street model".into() };
    app.store.note_provider(organization, project, Some(&gone)).await.unwrap();
    app.upload(project, "a.png", 1).await;
    app.clock.0.pass(Duration::from_secs(60));
    app.handle([tick()]).await;

    assert!(app.store.jobs_created().is_empty(), "the deployment's own endpoint is another model");
    let pause = app.store.project(organization, project).await.unwrap().auto_label_pause.unwrap();
    assert!(pause.reason.contains("\"Street model\"") && pause.reason.contains("was deleted"), "{}", pause.reason);

    let change = ProjectChange { default_provider: Some(None), ..ProjectChange::default() };
    app.store.change_project(organization, project, &change, app.clock.now()).await.unwrap();
    app.handle([tick()]).await;
    assert_eq!(app.store.jobs_created().len(), 1);
}

/// Hole 32 (decision 0027).
#[tokio::test]
async fn a_chain_of_checks_ends_and_the_schedule_goes_on() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.queue.take_checks();
    for (hops, comes_back) in [(99, 1), (100, 0)] {
        app.clock.0.pass(QUIET - Duration::from_secs(1));
        app.upload(project, "b.png", hops).await;
        app.clock.0.pass(Duration::from_secs(1));
        app.check_after(project, hops).await;
        assert_eq!(app.queue.take_checks().len(), comes_back, "{hops}");
    }

    app.clock.0.pass(QUIET);
    app.handle([tick()]).await;
    assert_eq!(app.store.jobs_created().len(), 1);
}

#[tokio::test]
async fn a_round_of_the_schedule_comes_to_every_project() {
    let (app, first) = an_app(quiet()).await;
    let organization = OrganizationUid::named("acme");
    let mut projects = vec![first];
    while projects.len() < 250 {
        let mut project = app.store.project(organization, first).await.unwrap();
        project.uid = ProjectUid::at(app.clock.now());
        projects.push(project.uid);
        app.store.add_project(&project).await.unwrap();
    }
    for project in &projects {
        app.upload(*project, "a.png", 1).await;
    }
    app.clock.0.pass(QUIET);

    app.handle([tick()]).await;
    assert_eq!(app.store.jobs_created().len(), 100, "one message does not do all");
    while let Some(after) = app.queue.take_rounds().pop() {
        app.handle([serde_json::to_string(&UploadMessage::RoundV1 { after }).unwrap()]).await;
    }

    assert_eq!(app.store.jobs_created().len(), projects.len());
}

#[tokio::test]
async fn what_came_while_uploads_were_not_labeled_is_none_of_those_that_wait() {
    let (app, project) = an_app(None).await;
    let organization = OrganizationUid::named("acme");
    app.store.count_uploads(organization, project, &[], limits::UPLOADS_WAITING, app.clock.now()).await.unwrap();
    let Value::Object(setting) = quiet().unwrap() else { panic!("an object") };
    let setting = AutoLabel::read(setting).unwrap();
    let change = ProjectChange { auto_label_on_upload: Some(setting), ..ProjectChange::default() };
    app.store.change_project(organization, project, &change, app.clock.now()).await.unwrap();

    app.upload(project, "a.png", 1).await;
    app.clock.0.pass(SETTLED);
    app.handle([tick()]).await;
    assert!(app.store.jobs_created().is_empty(), "one waits, and uploads have not paused");

    app.clock.0.pass(QUIET - SETTLED);
    app.handle([tick()]).await;
    assert_eq!(app.store.jobs_created().len(), 1);
}

#[tokio::test]
async fn an_item_that_a_call_has_added_waits_for_its_file() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.handle([event("Object Deleted", BUCKET, &Item::object_key(project, "a.png"), 0, "", 2)]).await;
    let owner = (OrganizationUid::named("acme"), project);
    let added = Item::read(json!({"key": "b.png"}), owner, app.clock.now(), |_| unreachable!()).unwrap();
    app.store.add_items(std::slice::from_ref(&added)).await.pop().unwrap().unwrap();

    app.clock.0.pass(QUIET);
    app.check(project).await;
    assert!(app.store.jobs_created().is_empty(), "there is nothing to send to a model");

    app.upload(project, "b.png", 1).await;
    app.clock.0.pass(QUIET);
    app.check(project).await;
    assert_eq!(app.store.jobs_created().len(), 1);
}

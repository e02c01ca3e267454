//! Who looks at what waits, when, and what is taken then.

use shared::domain::auto_label::AutoLabel;
use shared::domain::project::ProjectChange;

use super::*;

const SETTLED: Duration = Duration::from_secs(limits::UPLOAD_SETTLED_SECONDS);

#[tokio::test]
async fn a_job_takes_nothing_that_the_index_may_show_late() {
    let (app, project) = an_app(Some(json!({"quiet_seconds": 1}))).await;
    app.upload(project, "a.png", 1).await;
    assert_eq!(app.queue.take_looks(), [(project, SETTLED)], "however short the pause is to be");

    app.clock.0.pass(SETTLED - Duration::from_secs(1));
    app.come_to(project).await;
    assert!(app.store.jobs_created().is_empty());
    app.clock.0.pass(Duration::from_secs(1));
    app.come_to(project).await;

    let [job] = &app.store.jobs_created()[..] else { panic!("one job") };
    let until = job.spec.uploads.as_ref().unwrap().until;
    let age = Duration::try_from(app.clock.now().duration_since(until)).unwrap();
    assert!(age >= SETTLED && age < SETTLED + Duration::from_millis(1), "{age:?}");
    assert!(until >= app.store.all_items()[0].created_at, "and all that made it start");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_would_come_behind_what_jobs_have_taken_is_given_up() {
    assert!(matches!(crate::look::soon(std::future::pending::<()>()).await, Err(Error::StoreUnavailable(_))));
}

#[tokio::test]
async fn of_those_who_would_come_back_to_a_project_one_does() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    assert_eq!(app.queue.take_looks().len(), 1);
    app.clock.0.pass(QUIET);
    app.come_to(project).await;
    let running = app.store.jobs_created()[0].spec.uid;
    app.store.end_jobs();

    // Nobody is on the way, and uploads go on when the job ends: whoever hears of it first comes back.
    app.upload(project, "b.png", 1).await;
    assert_eq!(app.queue.take_looks(), [], "the project is looked after");
    app.handle([ended(running), ended(running)]).await;
    assert_eq!(app.queue.take_looks().len(), 1);

    // He comes, and a second one that SQS has made of him, and another job ends.
    app.clock.0.pass(QUIET - Duration::from_secs(1));
    app.upload(project, "c.png", 1).await;
    app.clock.0.pass(Duration::from_secs(1));
    app.come_to(project).await;
    app.come_to(project).await;
    app.handle([ended(running)]).await;
    assert_eq!(app.queue.take_looks().len(), 1);
}

#[tokio::test]
async fn a_job_that_nobody_could_plan_is_followed_by_the_schedules_alone() {
    let (app, project) = an_app(quiet()).await;
    app.upload(project, "a.png", 1).await;
    app.clock.0.pass(QUIET);
    app.come_to(project).await;
    let job = app.store.jobs_created()[0].spec.uid;

    app.store.fail_jobs();
    app.handle([ended(job)]).await;
    assert_eq!(app.store.jobs_created().len(), 1, "it would fail as fast as it starts");

    app.handle([tick()]).await;
    assert_eq!(app.store.jobs_created().len(), 2);
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
    app.come_to(project).await;
    assert!(app.store.jobs_created().is_empty(), "there is nothing to send to a model");

    app.upload(project, "b.png", 1).await;
    app.clock.0.pass(QUIET);
    app.come_to(project).await;
    assert_eq!(app.store.jobs_created().len(), 1);
}

use futures_util::TryStreamExt;
use shared::domain::Timestamp;
use shared::domain::id::{ItemUid, JobUid, ProjectUid};
use shared::domain::item::{Asset, AssetType, Item};
use shared::domain::job::{JobSpec, JobState, UploadRun};
use shared::domain::project::auto_label::AutoLabelPause;
use shared::domain::project::{Project, ProjectChange};
use shared::domain::upload::Effect;
use shared::ports::{Items, Jobs, Picked, Projects, UnlabeledQuery, UploadWatch, Uploads, WaitingUploads};
use shared::store::Store;

use super::dynamodb;
use super::faulty::Fate;
use super::making::*;
use super::uploads::{a_stored_project, version};

on_both!(
    uploads_are_counted_and_watched_until_they_are_unwatched,
    of_two_checks_at_once_one_is_scheduled,
    watched_projects_come_page_by_page,
    a_query_begins_behind_a_position_and_ends_at_a_time,
    uploads_are_distinguished_from_items_that_calls_have_added,
    what_a_job_takes_is_counted_within_the_day,
    uploads_wait_since_the_first_of_them_or_since_a_job_took_the_others,
    a_pause_is_kept_with_the_project_until_a_job_or_a_change_ends_it,
);

fn picked_of(project: ProjectUid) -> Picked {
    Picked { organization: acme(), project, max_items_per_day: 10, until: Some("position".into()), counted: 1 }
}

/// A job by uploads that is planned, and then cancelled.
async fn a_job_takes_them(store: &Store, project: ProjectUid, second: i64) -> JobUid {
    let run = UploadRun { until: at(0), max_items_per_day: 10 };
    let spec = JobSpec { uploads: Some(run), ..a_spec(project, second) };
    store.create_job(&spec, &JobState::new(at(second))).await.unwrap();
    store.plan_job(&a_plan(spec.uid, "m"), 1, Some(&picked_of(project)), at(second)).await.unwrap();
    store.cancel_job(&store.job(spec.uid).await.unwrap(), &[], at(second)).await.unwrap();
    spec.uid
}

/// Hole 5 (decision 0027).
async fn uploads_wait_since_the_first_of_them_or_since_a_job_took_the_others(store: Store) {
    let Project { uid, .. } = a_stored_project(&store).await;
    let since = async || store.backlog(acme(), uid).await.unwrap().waiting_since;
    store.count_uploads(acme(), uid, &[], 1, at(1)).await.unwrap();
    assert_eq!(since().await, None);

    assert!(store.watch_uploads(acme(), uid, 0, at(1), at(61)).await.unwrap());
    store.count_uploads(acme(), uid, &[], 1, at(50)).await.unwrap();
    assert_eq!(since().await, Some(at(1)));
    a_job_takes_them(&store, uid, 70).await;
    assert_eq!(since().await, Some(at(70)));

    store.unwatch_uploads(acme(), uid, 2).await.unwrap();
    assert_eq!(since().await, None);
}

/// Hole 16 (decision 0027).
async fn a_pause_is_kept_with_the_project_until_a_job_or_a_change_ends_it(store: Store) {
    let project = a_stored_project(&store).await;
    let uid = project.uid;
    let read = async || {
        let backlog = store.backlog(acme(), uid).await.unwrap();
        (backlog.project.auto_label_pause, backlog.last_job)
    };
    let job = JobUid::at(at(1));
    store.note_upload_job(acme(), uid, job).await.unwrap();
    let first = AutoLabelPause::after(None, "The provider was deleted.".into(), at(2), Some(job));
    store.pause_uploads(&project, &first).await.unwrap();
    assert_eq!(read().await, (Some(first.clone()), Some(job)));

    // Of two checks of the same failure one counts it.
    store.pause_uploads(&project, &AutoLabelPause { failures: 9, ..first.clone() }).await.unwrap();
    assert_eq!(read().await.0, Some(first.clone()));
    let paused = store.project(acme(), uid).await.unwrap();
    let second = AutoLabelPause::after(Some(&first), "No provider.".into(), at(70), None);
    store.pause_uploads(&paused, &second).await.unwrap();
    assert_eq!(read().await, (Some(second.clone()), Some(job)));

    let change = ProjectChange { name: Some("Other".into()), ..ProjectChange::default() };
    assert_eq!(store.change_project(acme(), uid, &change, at(80)).await.unwrap().auto_label_pause, None);
    store.pause_uploads(&paused, &second).await.unwrap();
    assert_eq!(read().await, (None, None), "a pause of before the change does not count");

    store.note_upload_job(acme(), uid, job).await.unwrap();
    store.pause_uploads(&store.project(acme(), uid).await.unwrap(), &first).await.unwrap();
    a_job_takes_them(&store, uid, 90).await;
    assert_eq!(read().await, (None, None));
    assert!(store.note_upload_job(other(), uid, job).await.is_ok() && read().await.1.is_none(), "I10");
}

async fn uploads_are_counted_and_watched_until_they_are_unwatched(store: Store) {
    let Project { uid, .. } = a_stored_project(&store).await;

    let counted = store.count_uploads(acme(), uid, &[AssetType::Image, AssetType::PointCloud], 3, at(4)).await.unwrap();
    assert_eq!((counted.waiting(), counted.last_at, counted.are_watched), (3, Some(at(4)), false));
    assert_eq!(counted.project.item_count(), 2);
    assert!(store.count_uploads(other(), uid, &[], 1, at(4)).await.is_err(), "I10");

    assert!(store.watch_uploads(acme(), uid, 1, at(2), at(5)).await.unwrap());
    assert!(!store.watch_uploads(acme(), uid, 2, at(3), at(6)).await.unwrap(), "once");
    let counted = store.count_uploads(acme(), uid, &[], 1, at(6)).await.unwrap();
    assert_eq!((counted.waiting(), counted.are_watched), (3, true), "one was there before");

    store.unwatch_uploads(acme(), uid, 3).await.unwrap();
    assert!(store.backlog(acme(), uid).await.unwrap().are_watched, "one has come meanwhile");
    store.unwatch_uploads(acme(), uid, 4).await.unwrap();
    let forgotten = store.backlog(acme(), uid).await.unwrap();
    assert_eq!((forgotten.waiting(), forgotten.are_watched), (0, false));
    assert!(store.watched_projects(None, 10).await.unwrap().entries.is_empty());
}

/// A job that starts changes the project's row in a transaction.
#[tokio::test]
async fn what_is_counted_meets_a_conflict_and_a_lost_answer_and_counts_once() {
    for fates in [[Fate::Conflict, Fate::AnswerLost], [Fate::AnswerLost, Fate::Conflict]] {
        let (store, faulty) = dynamodb::faulty(&fates).await;
        let Project { uid, .. } = a_stored_project(&store).await;

        let counted = faulty.count_uploads(acme(), uid, &[AssetType::Image], 1, at(4)).await.unwrap();

        assert_eq!(counted, store.backlog(acme(), uid).await.unwrap());
        assert_eq!((counted.waiting(), counted.project.item_count()), (1, 1), "{fates:?}");
        let next = faulty.count_uploads(acme(), uid, &[AssetType::Image], 1, at(5)).await.unwrap();
        assert_eq!((next.waiting(), next.project.item_count()), (2, 2), "another call counts again");
    }
}

async fn of_two_checks_at_once_one_is_scheduled(store: Store) {
    let Project { uid, .. } = a_stored_project(&store).await;
    let again = async |now, check_at| store.schedule_check(acme(), uid, at(now), at(check_at)).await.unwrap();
    assert!(!again(1, 2).await, "it is not watched");

    store.count_uploads(acme(), uid, &[], 1, at(0)).await.unwrap();
    assert!(store.watch_uploads(acme(), uid, 0, at(0), at(10)).await.unwrap());
    assert!(!again(9, 19).await, "a check is under way");
    assert!(again(10, 20).await);
    assert!(!again(10, 20).await && !again(15, 25).await);
    assert!(again(20, 30).await);

    store.unwatch_uploads(acme(), uid, 1).await.unwrap();
    assert!(!again(40, 50).await, "it is no longer watched");
}

async fn watched_projects_come_page_by_page(store: Store) {
    let mut projects = Vec::new();
    for second in 0..5 {
        let Project { uid, .. } = a_stored_project(&store).await;
        assert!(store.watch_uploads(acme(), uid, 0, at(0), at(second)).await.unwrap());
        projects.push((acme(), uid));
    }

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.watched_projects(after.as_deref(), 2).await.unwrap();
        assert!(page.entries.len() <= 2);
        found.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, projects);
}

async fn a_query_begins_behind_a_position_and_ends_at_a_time(store: Store) {
    let project = a_project();
    let uids = unlabeled(&store, project, 9).await; // one a microsecond
    let within = async |after: Option<String>, until: Option<Timestamp>| -> Vec<(String, Asset)> {
        let query = UnlabeledQuery { after, until, ..UnlabeledQuery::default() };
        store.unlabeled(project, query).try_concat().await.unwrap()
    };
    let keys = |found: &[(String, Asset)]| found.iter().map(|(_, asset)| asset.uid).collect::<Vec<_>>();

    let all = within(None, None).await;
    assert_eq!(keys(&all), uids);
    let position = all[3].0.clone();
    assert_eq!(keys(&within(Some(position.clone()), None).await), uids[4..]);
    let until = at(0) + std::time::Duration::from_micros(6);
    assert_eq!(keys(&within(Some(position.clone()), Some(until)).await), uids[4..7]);
    assert!(within(Some(position), Some(at(-1))).await.is_empty());
}

async fn uploads_are_distinguished_from_items_that_calls_have_added(store: Store) {
    let project = a_project();
    let mut items = some_items(project, 60);
    items.iter_mut().skip(50).step_by(2).for_each(|item| item.file = version("one", "1"));
    stored(store.add_items(&items).await);
    let uploads = async |after: Option<String>, limit| -> Vec<(String, Asset)> {
        let query = UnlabeledQuery { after, uploads: true, limit, ..UnlabeledQuery::default() };
        store.unlabeled(project, query).try_concat().await.unwrap()
    };
    let keys = |found: &[(String, Asset)]| found.iter().map(|(_, asset)| asset.uid).collect::<Vec<_>>();
    let expected: Vec<ItemUid> = items.iter().skip(50).step_by(2).map(|item| item.asset.uid).collect();

    let found = uploads(None, None).await;
    assert_eq!(keys(&found), expected);
    assert_eq!(keys(&uploads(None, Some(1)).await), expected, "however little is read at first");
    assert_eq!(keys(&uploads(Some(found[0].0.clone()), Some(1)).await), expected[1..]);

    // The file of an item that a call has added comes: from now on it is one of them, behind all others.
    let item = &items[0];
    let Effect::Changed(after) = item.uploaded(&Item { file: version("one", "1"), ..item.clone() }) else {
        panic!("news")
    };
    assert!(store.change_file(item, &after, at(5)).await.unwrap());
    assert_eq!(keys(&uploads(found.last().map(|(position, _)| position.clone()), None).await), [item.asset.uid]);
}

async fn what_a_job_takes_is_counted_within_the_day(store: Store) {
    let Project { uid, .. } = a_stored_project(&store).await;
    store.count_uploads(acme(), uid, &[], 5, at(0)).await.unwrap();
    let run = UploadRun { until: at(0), max_items_per_day: 10 };
    let picked = |until: &str| Picked {
        organization: acme(),
        project: uid,
        max_items_per_day: 10,
        until: Some(until.into()),
        counted: 5,
    };
    let start = async |second, total, picked: &Picked| {
        let spec = JobSpec { uploads: Some(run.clone()), ..a_spec(uid, second) };
        store.create_job(&spec, &JobState::new(at(second))).await.unwrap();
        let started = store.plan_job(&a_plan(spec.uid, "m"), total, Some(picked), at(second)).await;
        // Again: the first plan counts, and nothing twice.
        if started.is_ok() {
            store.plan_job(&a_plan(spec.uid, "n"), total, Some(picked), at(second)).await.unwrap();
        }
        let job = store.job(spec.uid).await.unwrap();
        store.cancel_job(&job, &[], at(second)).await.unwrap();
        started
    };

    start(1, 6, &picked("position 6")).await.unwrap();
    let taken = store.backlog(acme(), uid).await.unwrap();
    assert_eq!((taken.waiting(), taken.taken_until.as_deref()), (0, Some("position 6")));
    assert_eq!(store.taken_today(uid, at(1)).await.unwrap(), 6);

    assert!(start(2, 5, &picked("position 11")).await.is_err(), "the day has room for four");
    assert_eq!(store.backlog(acme(), uid).await.unwrap().taken_until.as_deref(), Some("position 6"));
    start(3, 4, &picked("position 10")).await.unwrap();
    assert_eq!(store.taken_today(uid, at(3)).await.unwrap(), 10);
    assert_eq!(store.taken_today(uid, at(24 * 3_600)).await.unwrap(), 0);
}

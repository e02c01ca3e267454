//! Races that the deployed stack cannot show: a person reviews between a read and its write; time runs out.

use std::sync::Mutex;

use futures_util::Stream;
use shared::domain::Timestamp;
use shared::domain::id::{OrganizationUid, ProjectUid};
use shared::domain::item::Asset;
use shared::domain::item::result::{LabelResult, Lineage, ResultSource, ResultStatus, Verdict};
use shared::domain::job::outcome::ItemReport;
use shared::ports::UnlabeledQuery;
use shared::testing::{StoppedClock, a_job, an_item};

use super::*;

/// Items that a job has drafted, and what people say right before each write.
struct Contended {
    items: Mutex<Vec<Item>>,
    people: Mutex<Vec<Verdict>>,
}

impl Contended {
    fn drafts(&self) -> usize {
        let is_draft = |item: &&Item| item.result.as_ref().is_some_and(|result| result.status == ResultStatus::Draft);
        self.items.lock().unwrap().iter().filter(is_draft).count()
    }
}

impl Reports for Contended {
    async fn report(&self, _: JobUid, only: Option<OutcomeKind>, slice: &Slice) -> Result<Page<ItemReport>, Error> {
        assert_eq!(only, Some(OutcomeKind::Successful));
        let items = self.items.lock().unwrap();
        let begin: usize = slice.after.as_ref().map_or(0, |after| after.parse().unwrap());
        let end = items.len().min(begin + slice.limit);
        let line = |item: &Item| ItemReport {
            key: None,
            item: item.asset.uid,
            outcome: OutcomeKind::Successful,
            code: None,
            message: None,
            note: None,
        };
        let entries = items[begin..end].iter().map(line).collect();
        Ok(Page { entries, next: (end < items.len()).then(|| end.to_string()), previous: None })
    }
}

impl Items for Contended {
    async fn items(&self, uids: &[ItemUid]) -> Result<Vec<Item>, Error> {
        let items = self.items.lock().unwrap();
        Ok(items.iter().filter(|item| uids.contains(&item.asset.uid)).cloned().collect())
    }

    async fn add_items(&self, _: &[Item]) -> Vec<Result<Option<Item>, Error>> {
        unreachable!("an undo adds nothing")
    }

    async fn items_of(&self, _: OrganizationUid, _: Option<ProjectUid>, _: &Slice) -> Result<Page<Item>, Error> {
        unreachable!("an undo walks its job")
    }

    fn unlabeled(
        &self,
        _: ProjectUid,
        _: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>> + Send {
        stream::once(async { unreachable!("an undo walks its job") })
    }
}

impl Drafts for Contended {
    async fn discard_draft(&self, of: &Item) -> Result<bool, Error> {
        let mut items = self.items.lock().unwrap();
        let now = items.iter_mut().find(|item| item.asset.uid == of.asset.uid).unwrap();
        if let Some(verdict) = self.people.lock().unwrap().pop() {
            let reviewed = now.result.as_ref().unwrap().reviewed(verdict, "ann", Timestamp::UNIX_EPOCH).unwrap();
            now.result = reviewed.filter(|result| result.status != ResultStatus::Rejected);
        }
        let unchanged = now.result == of.result;
        if unchanged {
            now.result = None;
        }
        Ok(unchanged)
    }
}

/// Each reading of the clock takes 0.1 seconds.
struct Busy(StoppedClock);

impl Clock for Busy {
    fn now(&self) -> Timestamp {
        self.0.pass(Duration::from_millis(100));
        self.0.now()
    }
}

fn a_draft(n: usize) -> Item {
    let lineage = Lineage { job: a_job().spec.uid, provider: None, model_type: None, confidence_threshold: 0.5 };
    let result = LabelResult {
        generation: 1,
        revision: 0,
        status: ResultStatus::Draft,
        source: ResultSource::AutoLabel,
        created_by: "bot".into(),
        reviewed_by: None,
        elsewhere: None,
        draft: None,
        sweep: None,
        file_changes: None,
        lineage: Some(lineage),
        annotations: vec![],
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    Item {
        organization: OrganizationUid::named("acme"),
        project: a_job().spec.project,
        key: format!("{n:05}.jpg"),
        asset: an_item(n),
        file: None,
        created_at: Timestamp::UNIX_EPOCH,
        generation: 1,
        result: Some(result),
    }
}

/// The table and the clock of an undo of so many drafts. People review the first of them right before its write.
fn a_world(drafts: usize, people: &[Verdict]) -> (Contended, Busy) {
    let store =
        Contended { items: Mutex::new((0..drafts).map(a_draft).collect()), people: Mutex::new(people.to_vec()) };
    (store, Busy(StoppedClock::at(1_000)))
}

/// The calls that come to the end.
async fn undone((store, clock): &(Contended, Busy)) -> Vec<DiscardedDrafts> {
    let undo = DraftUndo { store, clock };
    let job = a_job().spec.uid;
    let mut calls = Vec::new();
    let mut body = b"{}".to_vec();
    loop {
        let call = undo.undo(Undoing::read(&body, job).unwrap()).await.unwrap();
        assert_eq!(call.done, call.cursor.is_none());
        body = serde_json::json!({"cursor": call.cursor}).to_string().into_bytes();
        let done = call.done;
        calls.push(call);
        assert!(calls.len() < 10, "{calls:?}");
        if done {
            return calls;
        }
    }
}

#[tokio::test]
async fn an_undo_that_runs_out_of_time_goes_on_where_it_was_and_its_counts_add_up() {
    let people = vec![Verdict::Accept; 60];
    let world = a_world(350, &people);

    let calls = undone(&world).await;

    assert!(calls.len() > 1, "{calls:?}");
    let sum = |count: fn(&DiscardedDrafts) -> usize| calls.iter().map(count).sum::<usize>();
    assert_eq!((sum(|call| call.discarded), sum(|call| call.examined)), (290, 350));
    assert_eq!(sum(|call| call.kept.iter().map(|kept| kept.count).sum()), 60);
    assert_eq!(world.0.drafts(), 0);
}

/// I3.
#[tokio::test]
async fn what_a_person_touches_meanwhile_is_kept_and_what_she_rejects_is_gone() {
    let world = a_world(5, &[Verdict::Reject, Verdict::Correct(vec![].into()), Verdict::Accept]);

    let calls = undone(&world).await;

    let kept = [Kept::Accepted, Kept::Corrected].map(|reason| KeptDrafts { reason, count: 1 });
    let done = DiscardedDrafts { discarded: 2, kept: kept.into(), examined: 5, done: true, cursor: None };
    assert_eq!(calls, [done]);
}

#[tokio::test]
async fn the_same_call_again_finds_only_what_it_keeps() {
    let world = a_world(3, &[Verdict::Accept]);
    undone(&world).await;

    let again = undone(&world).await;

    let kept = vec![KeptDrafts { reason: Kept::Accepted, count: 1 }];
    assert_eq!(again, [DiscardedDrafts { discarded: 0, kept, examined: 3, done: true, cursor: None }]);
}

/// Contract D6.
#[test]
fn a_cursor_serves_no_other_job() {
    let job = a_job().spec.uid;
    let cursor = Undoing { job, after: Some("00000#0000#7".into()) }.pack().unwrap();
    let body = serde_json::json!({"cursor": cursor}).to_string();
    let another = JobUid::at(Timestamp::UNIX_EPOCH);

    assert_eq!(Undoing::read(body.as_bytes(), job).unwrap().after.as_deref(), Some("00000#0000#7"));
    assert!(matches!(Undoing::read(body.as_bytes(), another), Err(Error::InvalidCursor)));
    for forged in ["{\"cursor\": \"e30\"}", "{\"cursor\": \"%\"}"] {
        assert!(matches!(Undoing::read(forged.as_bytes(), job), Err(Error::InvalidCursor)));
    }
}

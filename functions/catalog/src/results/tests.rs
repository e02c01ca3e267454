//! Races that the deployed stack cannot show: another call writes between a read and its write; time runs out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::id::{ItemName, OrganizationUid, ProjectUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::item::result::{DraftFilter, LabelResult, Lineage, ResultSource, ResultStatus};
use shared::domain::item::source::SourceBuckets;
use shared::domain::packed::pack;
use shared::domain::prediction::draft::{BlobRef, Draft};
use shared::domain::prediction::{Geometry, Prediction};
use shared::domain::project::Project;
use shared::domain::webhook::{Delivery, Webhook};
use shared::domain::{Error, Timestamp};
use shared::ports::{Clock, Objects, Page, Projects, Results, Slice, Webhooks};
use shared::testing::{
    MemoryObjects, MemoryQueue, MemoryTenants, MemoryWebhooks, StoppedClock, TestApi, a_job, a_webhook, an_item,
};

use super::sweep::{Decision, Sweep};
use crate::{CatalogApi, CatalogPorts, routes};

/// Drafts. Before each write another call sets one of `others` as the status.
#[derive(Default)]
pub(crate) struct Contended {
    items: Mutex<Vec<Item>>,
    others: Mutex<Vec<ResultStatus>>,
    webhooks: MemoryWebhooks,
}

impl Contended {
    fn in_status(&self, status: ResultStatus) -> usize {
        let items = self.items.lock().unwrap();
        items.iter().filter(|item| item.result.as_ref().unwrap().status == status).count()
    }
}

impl Results for Contended {
    fn position(&self, item: &Item) -> String {
        item.key.clone()
    }

    async fn results(
        &self,
        _: OrganizationUid,
        _: ProjectUid,
        keep: impl Fn(&LabelResult) -> bool + Send,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        let items = self.items.lock().unwrap();
        let position = |item: &Item| self.position(item);
        let mut entries: Vec<Item> = items
            .iter()
            .filter(|item| slice.after.as_ref().is_none_or(|after| position(item) > *after))
            .cloned()
            .collect();
        let more = entries.len() > slice.limit;
        entries.truncate(slice.limit);
        let next = entries.last().map(position).filter(|_| more);
        entries.retain(|item| item.result.as_ref().is_some_and(&keep));
        Ok(Page { entries, next, previous: None })
    }

    async fn result(&self, uid: ResultUid) -> Result<Option<Item>, Error> {
        let is_named = |item: &&Item| uid.item() == ItemName::Whole(item.asset.uid);
        Ok(self.items.lock().unwrap().iter().find(is_named).cloned())
    }

    async fn review(&self, of: &Item, reviewed: &LabelResult, deliveries: &[Delivery]) -> Result<bool, Error> {
        let mut items = self.items.lock().unwrap();
        let now = items.iter_mut().find(|item| item.key == of.key).unwrap().result.as_mut().unwrap();
        if let Some(status) = self.others.lock().unwrap().pop() {
            now.status = status;
            now.revision += 1;
        }
        let unchanged = of.result.as_ref().unwrap().revision == now.revision;
        if unchanged {
            *now = reviewed.clone();
            deliveries.iter().for_each(|delivery| self.webhooks.put(delivery.clone()));
        }
        Ok(unchanged)
    }
}

/// Time passes at each reading of the clock: 0.1 seconds, or the given duration.
struct Busy(StoppedClock, Duration);

impl Clock for Busy {
    fn now(&self) -> Timestamp {
        self.0.pass(self.1);
        self.0.now()
    }
}

struct InMemory;

impl CatalogPorts for InMemory {
    type Store = MemoryTenants;
    type Results = Contended;
    type Webhooks = MemoryWebhooks;
    type Objects = MemoryObjects;
    type Web = MemoryObjects;
    type Queue = MemoryQueue;
    type Clock = Busy;
}

type TestReview = CatalogApi<InMemory>;

/// The n-th draft of a job: a cat, or every other one a dog, of this confidence.
fn a_draft(n: usize, confidence: f64) -> Item {
    let label = if n.is_multiple_of(2) { "cat" } else { "dog" }.into();
    let annotation =
        Prediction { geometry: Geometry::Classification, label, confidence, attributes: Default::default() };
    let lineage = Lineage { job: a_job().spec.uid, provider: None, model_type: None, confidence_threshold: 0.5 };
    let result = LabelResult {
        generation: 1,
        revision: 0,
        status: ResultStatus::Draft,
        source: ResultSource::AutoLabel,
        created_by: "bot".into(),
        reviewed_by: None,
        lineage: Some(lineage),
        annotations: vec![annotation],
        elsewhere: None,
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
        result: Some(result),
    }
}

/// A review of so many drafts, with a subscription to what comes of it.
fn a_review(drafts: usize, others: &[ResultStatus]) -> TestReview {
    let events = vec!["result.accepted".into(), "result.rejected".into()];
    let webhooks = MemoryWebhooks::with(Webhook { events, ..a_webhook() });
    let items = (0..drafts).map(|n| a_draft(n, 0.9)).collect();
    CatalogApi {
        store: MemoryTenants::default(),
        results: Contended {
            items: Mutex::new(items),
            others: Mutex::new(others.to_vec()),
            webhooks: webhooks.clone(),
        },
        webhooks,
        objects: MemoryObjects::default(),
        web: MemoryObjects::default(),
        queue: MemoryQueue::default(),
        clock: Busy(StoppedClock::at(1_000), Duration::from_millis(100)),
        buckets: SourceBuckets::default(),
        loopback_http: false,
    }
}

/// An API with a draft, and its path.
fn an_api(others: &[ResultStatus]) -> (TestApi, String) {
    let (api, path, _) = an_api_and_its_state(others);
    (api, path)
}

/// The same, with the state of the handlers.
fn an_api_and_its_state(others: &[ResultStatus]) -> (TestApi, String, Arc<TestReview>) {
    api_of(a_review(1, others))
}

fn api_of(review: TestReview) -> (TestApi, String, Arc<TestReview>) {
    let review = Arc::new(review);
    let path = format!("/results/{}/", ResultUid::of(a_draft(0, 0.9).asset.uid, 1));
    (TestApi::of(routes(Arc::clone(&review))), path, review)
}

/// A review of a draft whose annotations are elsewhere, and these.
async fn a_large_review() -> (TestReview, Vec<Prediction>) {
    large(a_review(1, &[])).await
}

/// The same of every draft of a review.
async fn large(review: TestReview) -> (TestReview, Vec<Prediction>) {
    let draft = Draft::of(vec![a_draft(0, 0.9).result.unwrap().annotations.remove(0); 3]);
    let (bytes, json_bytes) = pack(&draft.annotations).unwrap();
    let position = BlobRef { key: "jobs/j/drafts/0".into(), offset: 2, length: bytes.len() as u64, json_bytes };
    review.objects.put(&position.key, "", [b"..", bytes.as_slice(), b"."].concat()).await.unwrap();
    for item in &mut *review.results.items.lock().unwrap() {
        let result = item.result.as_mut().unwrap();
        (result.annotations, result.elsewhere) = (Vec::new(), Some(position.clone()));
    }
    (review, draft.annotations)
}

#[tokio::test]
async fn annotations_that_no_row_holds_are_shown_as_if_it_did() {
    for call in ["GET ", "POST accept/", "POST reject/"] {
        let (review, annotations) = a_large_review().await;
        let (api, path, review) = api_of(review);
        let (method, verdict) = call.split_once(' ').unwrap();

        let (status, result) = api.call(&format!("{method} {path}{verdict}"), Value::Null).await;

        assert_eq!((status, &result["annotations"]), (200, &json!(annotations)), "{call}");
        assert!(review.results.items.lock().unwrap()[0].result.as_ref().unwrap().elsewhere.is_some());
    }
}

#[tokio::test]
async fn a_correction_replaces_annotations_that_no_row_holds() {
    let (review, _) = a_large_review().await;
    let (api, path, review) = api_of(review);

    let (status, result) = api.call(&format!("PATCH {path}"), json!({"annotations": []})).await;

    assert_eq!((status, &result["annotations"], &result["source"]), (200, &json!([]), &json!("human")));
    assert_eq!(review.results.items.lock().unwrap()[0].result.as_ref().unwrap().elsewhere, None);
}

/// A draft of a cat, in a project with these labels.
async fn in_a_project(labels: &[&str]) -> (TestApi, String, Arc<TestReview>) {
    let (api, path, review) = an_api_and_its_state(&[]);
    let body = json!({"name": "Cars", "labels": labels}).to_string();
    let project = Project::read(body.as_bytes(), OrganizationUid::named("acme"), Timestamp::UNIX_EPOCH).unwrap();
    review.store.add_project(&Project { uid: a_job().spec.project, ..project }).await.unwrap();
    (api, path, review)
}

fn labels(labels: &[&str]) -> Value {
    let annotations = labels.iter().map(|label| json!({"type": "classification", "label": label}));
    json!({"annotations": annotations.collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_correction_has_the_labels_of_the_project_or_of_the_draft() {
    let (api, path, review) = in_a_project(&["car", "bus"]).await;

    let (status, problem) = api.call(&format!("PATCH {path}"), labels(&["car", "dog", "cat"])).await;

    let sentence = "annotations[1].label: The project does not have: dog. It has: car, bus.";
    assert_eq!((status, &problem["detail"]), (400, &json!(sentence)));
    assert_eq!(review.results.in_status(ResultStatus::Draft), 1, "nothing was changed");
    assert_eq!(api.call(&format!("PATCH {path}"), labels(&["bus", "cat"])).await.0, 200, "the draft is of a cat");
    let (api, path, _) = in_a_project(&[]).await;
    assert_eq!(api.call(&format!("PATCH {path}"), labels(&["dog"])).await.0, 200, "any label");
}

#[tokio::test]
async fn what_a_correction_loses_at_the_border_is_noted() {
    let (api, path, _) = in_a_project(&[]).await;
    let wide = json!({"x": 0, "y": 0, "width": 3_000, "height": 10});
    let boxed = json!({"annotations": [{"type": "bounding_box", "label": "cat", "coordinates": wide}]});

    for _ in 0..2 {
        let (status, result) = api.call(&format!("PATCH {path}"), boxed.clone()).await;
        let note = "annotations[0].coordinates: Was cut to the picture, by more than a pixel.";
        assert_eq!((status, &result["notes"]), (200, &json!([note])));
    }
    assert!(api.call(&format!("GET {path}"), Value::Null).await.1.get("notes").is_none(), "it was this call's");
}

#[tokio::test]
async fn a_verdict_without_fields_takes_none() {
    let (api, path, review) = an_api_and_its_state(&[]);
    for verdict in ["accept", "reject"] {
        let (status, problem) = api.call(&format!("POST {path}{verdict}/"), labels(&[])).await;
        let sentence = "annotations: Unknown field. None is known here.";
        assert_eq!((status, &problem["detail"]), (400, &json!(sentence)), "{verdict}");
    }
    assert_eq!(review.results.in_status(ResultStatus::Draft), 1);
}

#[tokio::test]
async fn a_review_of_many_drafts_reads_annotations_that_no_row_holds() {
    for (filter, matches) in [
        (json!({"label": "cat", "min_confidence": 0.9}), 1),
        (json!({"label": "dog"}), 0),
        (json!({"min_confidence": 0.95}), 0),
        (json!({}), 1),
    ] {
        let (review, _) = a_large_review().await;
        assert_eq!(swept(&review, Decision::Accept, filter.clone()).await, (matches, 1, 1), "{filter}");
    }
}

/// A correction, an acceptance and a rejection, each with an API of its own.
async fn three_verdicts(others: &[ResultStatus]) -> Vec<(u16, Value)> {
    let mut answers = Vec::new();
    for (method, verdict, body) in
        [("PATCH", "", json!({"annotations": []})), ("POST", "accept/", Value::Null), ("POST", "reject/", Value::Null)]
    {
        let (api, path) = an_api(others);
        answers.push(api.call(&format!("{method} {path}{verdict}"), body).await);
    }
    answers
}

#[tokio::test]
async fn a_verdict_is_tried_again_on_a_result_that_another_call_has_changed() {
    let answers = three_verdicts(&[ResultStatus::Accepted]).await;

    let statuses: Vec<(u16, &Value)> = answers.iter().map(|(status, body)| (*status, &body["status"])).collect();
    assert_eq!(statuses, [(200, &json!("accepted")), (200, &json!("accepted")), (200, &json!("rejected"))]);
    assert_eq!(answers[0].1["reviewed_by"], json!("test"));
}

#[tokio::test]
async fn a_result_that_another_call_has_rejected_meanwhile_stays_rejected() {
    let answers = three_verdicts(&[ResultStatus::Rejected]).await;

    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [409, 409, 200]);
}

#[tokio::test]
async fn a_result_that_does_not_come_to_rest_is_a_lost_update() {
    let (api, path) = an_api(&[ResultStatus::Draft, ResultStatus::Draft]);

    let (status, problem) = api.call(&format!("POST {path}reject/"), Value::Null).await;

    assert_eq!((status, &problem["code"]), (412, &json!("precondition_failed")));
    assert_eq!(api.call(&format!("GET {path}"), Value::Null).await.1["status"], json!("draft"));
}

/// Every delivery that was recorded, oldest first.
async fn sent(review: &TestReview) -> Vec<Delivery> {
    let everything = Slice { limit: usize::MAX, ascending: true, ..Slice::default() };
    let organization = a_webhook().organization;
    let mut deliveries =
        review.webhooks.deliveries(organization, &Default::default(), &everything).await.unwrap().entries;
    deliveries.reverse();
    deliveries
}

/// I6.
#[tokio::test]
async fn a_verdict_is_sent_once_and_a_repeated_one_is_not() {
    let (api, path, review) = an_api_and_its_state(&[]);
    for call in ["POST accept/", "POST accept/", "PATCH ", "POST reject/", "POST reject/"] {
        let (method, verdict) = call.split_once(' ').unwrap();
        let body = if method == "PATCH" { json!({"annotations": []}) } else { json!({}) };
        assert_eq!(api.call(&format!("{method} {path}{verdict}"), body).await.0, 200, "{call}");
    }

    let deliveries = sent(&review).await;
    let events: Vec<(&str, Value)> =
        deliveries.iter().map(|sent| (sent.event_type.as_str(), sent.payload()["corrected"].clone())).collect();
    assert_eq!(
        events,
        [("result.accepted", json!(false)), ("result.accepted", json!(true)), ("result.rejected", json!(true))]
    );
    let draft = a_draft(0, 0.9);
    assert_eq!(
        deliveries[0].payload(),
        json!({"result_uid": ResultUid::of(draft.asset.uid, 1), "item_uid": draft.asset.uid, "project_uid": draft.project,
            "task_uid": draft.asset.uid, "job_uid": a_job().spec.uid, "status": "accepted", "source": "auto_label",
            "reviewed_by": "test", "corrected": false})
    );
    let sent: Vec<_> = review.queue.take_sent().into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(sent, deliveries.iter().map(|delivery| delivery.uid).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_verdict_that_is_lost_sends_nothing() {
    let (api, path, review) = an_api_and_its_state(&[ResultStatus::Draft, ResultStatus::Draft]);

    assert_eq!(api.call(&format!("POST {path}accept/"), Value::Null).await.0, 412);

    assert!(sent(&review).await.is_empty() && review.queue.take_sent().is_empty());
}

fn a_sweep(decision: Decision, body: &Value) -> Result<Sweep, Error> {
    Sweep::read(body.to_string().as_bytes(), a_job().spec.project, decision)
}

#[test]
fn a_bad_filter_names_its_fields() {
    let refused = a_sweep(Decision::Accept, &json!({"job": "mine", "label": " ", "min_confidence": 2}));

    assert_eq!(
        refused.unwrap_err().to_string(),
        "job: Must be the uid of a job.; label: May not be blank.; min_confidence: Must be a number from 0.0 to 1.0."
    );
}

/// Calls until it is done: the reviewed drafts, the examined results, and the calls.
async fn swept(review: &TestReview, decision: Decision, mut body: Value) -> (usize, usize, usize) {
    let (mut reviewed, mut examined, mut calls) = (0, 0, 0);
    loop {
        let sweep = a_sweep(decision, &body).unwrap();
        let (more, progress) = review.walk(OrganizationUid::named("acme"), "ann", sweep).await.unwrap();
        reviewed += more;
        examined += progress.examined;
        calls += 1;
        assert_eq!(progress.done, progress.cursor.is_none());
        let Some(cursor) = progress.cursor else { return (reviewed, examined, calls) };
        body = json!({"cursor": cursor});
    }
}

#[tokio::test]
async fn a_call_ends_in_time_and_the_next_goes_on_until_every_match_is_reviewed() {
    let review = a_review(350, &[]);

    let (accepted, _, calls) = swept(&review, Decision::Accept, json!({"label": "dog", "min_confidence": 0.9})).await;

    assert_eq!((accepted, review.results.in_status(ResultStatus::Accepted)), (175, 175));
    assert!(calls > 2, "{calls}");
    assert_eq!(sent(&review).await.len(), 175);

    let rest = a_review(0, &[]);
    assert_eq!(swept(&rest, Decision::Reject, json!({})).await, (0, 0, 1));
}

/// Large annotations are read from S3, one after the other.
#[tokio::test]
async fn drafts_that_take_long_to_read_end_a_call_in_time_too_and_the_next_one_goes_on_behind_them() {
    let (review, _) = large(a_review(90, &[])).await;
    let review = TestReview { clock: Busy(StoppedClock::at(1_000), Duration::from_secs(1)), ..review };
    let begun = review.clock.0.now();
    let sweep = a_sweep(Decision::Accept, &json!({"label": "dog"})).unwrap();

    let (_, progress) = review.walk(OrganizationUid::named("acme"), "ann", sweep).await.unwrap();

    let took = review.clock.0.now().duration_since(begun);
    assert!(took.as_secs() < 20 && !progress.done && progress.examined > 3, "{took:?}, {progress:?}");
    let cursor = progress.cursor.unwrap();
    let (none, examined, calls) = swept(&review, Decision::Accept, json!({"cursor": cursor})).await;
    assert_eq!((none, examined), (0, 90 - progress.examined));
    assert!(calls > 3, "{calls}");
}

#[tokio::test]
async fn the_same_call_again_finds_nothing_more() {
    let review = a_review(30, &[]);

    assert_eq!(swept(&review, Decision::Reject, json!({"label": "cat"})).await, (15, 30, 1));
    assert_eq!(swept(&review, Decision::Reject, json!({"label": "cat"})).await, (0, 30, 1));

    assert_eq!(review.results.in_status(ResultStatus::Draft), 15);
    assert_eq!(sent(&review).await.len(), 15);
}

#[tokio::test]
async fn a_draft_that_another_call_reviews_meanwhile_is_not_counted() {
    let review = a_review(10, &[ResultStatus::Accepted, ResultStatus::Rejected]);

    assert_eq!(swept(&review, Decision::Reject, json!({})).await, (8, 10, 1));

    assert_eq!(review.results.in_status(ResultStatus::Accepted), 1);
    assert_eq!(sent(&review).await.len(), 8);
}

/// Contract D6.
#[tokio::test]
async fn a_cursor_carries_what_was_asked_and_serves_no_other_call() {
    let review = a_review(350, &[]);
    let asked = json!({"label": "dog", "min_confidence": 0.25, "job": a_job().spec.uid});
    let sweep = a_sweep(Decision::Accept, &asked).unwrap();
    let (_, progress) = review.walk(OrganizationUid::named("acme"), "ann", sweep).await.unwrap();
    let cursor = progress.cursor.unwrap();

    let on = a_sweep(Decision::Accept, &json!({"cursor": cursor, "label": "cat"})).unwrap();
    let (job, label) = (Some(a_job().spec.uid), Some("cat".to_owned()));
    assert_eq!(on.filter, DraftFilter { job, label, min_confidence: Some(0.25) });

    let body = json!({"cursor": cursor}).to_string();
    let foreign = Sweep::read(body.as_bytes(), ProjectUid::at(Timestamp::UNIX_EPOCH), Decision::Accept);
    let other = a_sweep(Decision::Reject, &json!({"cursor": cursor}));
    let forged = a_sweep(Decision::Accept, &json!({"cursor": "e30"}));
    for refused in [foreign, other, forged] {
        assert!(matches!(refused, Err(Error::InvalidCursor)), "{refused:?}");
    }
}

//! Races that the deployed stack cannot show: another call writes between a read and its write; time runs out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::id::{ItemName, OrganizationUid, ProjectUid, ResultUid, SweepUid};
use shared::domain::item::Item;
use shared::domain::item::result::{DraftFilter, LabelResult, Lineage, ResultSource, ResultStatus};
use shared::domain::packed::pack;
use shared::domain::prediction::draft::{BlobRef, Draft};
use shared::domain::prediction::{Geometry, Prediction};
use shared::domain::project::Project;
use shared::domain::webhook::{Delivery, Webhook};
use shared::domain::{Error, Timestamp};
use shared::ports::{Clock, Items, Objects, Page, Projects, Results, Slice, Webhooks};
use shared::testing::{MemoryTenants, MemoryWebhooks, TestApi, a_job, a_webhook, an_item};

use super::sweep::{Decision, Sweep};
use crate::in_memory::{InMemory, TickingClock, in_memory};
use crate::{CatalogApi, routes};

/// Drafts. Before each write another call sets one of `others` as the status.
#[derive(Default)]
pub(crate) struct Contended {
    items: Mutex<Vec<Item>>,
    others: Mutex<Vec<ResultStatus>>,
    webhooks: MemoryWebhooks,
    /// Has the items that are labeled by hand.
    unlabeled: MemoryTenants,
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

    async fn results_and_rejected(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        self.results(organization, project, |_| true, slice).await
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

    async fn label(&self, of: &Item, given: &LabelResult, deliveries: &[Delivery]) -> Result<bool, Error> {
        let uid = of.asset.uid;
        if let Some(status) = self.others.lock().unwrap().pop() {
            let of_job = a_draft(0, 0.9).result.unwrap();
            self.unlabeled.label(uid, LabelResult { status, generation: of.generation + 1, ..of_job });
        }
        let as_read = self.unlabeled.items(&[uid]).await?.first().is_some_and(|now| now == of);
        if as_read {
            self.unlabeled.label(uid, given.clone());
            deliveries.iter().for_each(|delivery| self.webhooks.put(delivery.clone()));
        }
        Ok(as_read)
    }
}

type TestReview = CatalogApi<InMemory>;

/// The n-th draft of a job: a cat, or every other one a dog, of this confidence.
pub(crate) fn a_draft(n: usize, confidence: f64) -> Item {
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
        draft: None,
        sweep: None,
        file_changes: None,
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

/// A review of so many drafts, with a subscription to what comes of it.
fn a_review(drafts: usize, others: &[ResultStatus]) -> TestReview {
    let events = vec!["result.accepted".into(), "result.rejected".into()];
    let webhooks = MemoryWebhooks::with(Webhook { events, ..a_webhook() });
    let items = (0..drafts).map(|n| a_draft(n, 0.9)).collect();
    let store = MemoryTenants::default();
    CatalogApi {
        store: store.clone(),
        results: Contended {
            unlabeled: store,
            items: Mutex::new(items),
            others: Mutex::new(others.to_vec()),
            webhooks: webhooks.clone(),
        },
        webhooks,
        clock: TickingClock::by(Duration::from_millis(100)),
        ..in_memory()
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

/// So many annotations that no row holds them.
fn many_cats(count: usize) -> Value {
    let box_of = |n| json!({"x": n % 60, "y": 1.5, "width": 1.25, "height": 1.0});
    let cat = |n| json!({"type": "bounding_box", "label": "cat", "confidence": 0.5, "coordinates": box_of(n)});
    json!({"annotations": (0..count).map(cat).collect::<Vec<Value>>()})
}

#[tokio::test]
async fn a_correction_and_a_result_by_hand_may_be_as_large_as_a_draft() {
    let (api, path, review) = an_api_and_its_state(&[]);
    let (by_hand, call, labeled) = an_unlabeled_item(&[]).await;
    for count in [500, 10_000] {
        let (status, result) = api.call(&format!("PATCH {path}"), many_cats(count)).await;

        assert_eq!((status, result["annotations"].as_array().unwrap().len()), (200, count));
        let stored = review.results.items.lock().unwrap()[0].result.clone().unwrap();
        let blob = stored.elsewhere.unwrap();
        let bytes = review.objects.get_range(&blob.key, blob.offset, blob.length).await.unwrap();
        assert_eq!(json!(blob.read(&bytes).unwrap()), result["annotations"]);
        assert!(blob.key.starts_with(&format!("corrections/{}/", a_draft(0, 0.9).asset.uid)), "{}", blob.key);
        // What GET shows is a body for PATCH, and changes nothing.
        let (_, shown) = api.call(&format!("GET {path}"), Value::Null).await;
        let body = json!({"annotations": shown["annotations"]});
        assert_eq!(api.call(&format!("PATCH {path}"), body).await, (200, shown));
    }
    for _ in 0..2 {
        let (status, result) = by_hand.call(&call, many_cats(10_000)).await;
        assert_eq!((status, result["annotations"].as_array().unwrap().len()), (201, 10_000));
    }
    let item = labeled.store.items(&[a_draft(0, 0.9).asset.uid]).await.unwrap().remove(0);
    assert!(item.result.unwrap().elsewhere.is_some());
}

#[tokio::test]
async fn annotations_that_no_answer_could_show_are_refused() {
    let (api, path) = an_api(&[]);
    let point = |n: u32| json!([f64::from(n % 600) + 0.125, f64::from(n % 400) + 0.375]);
    let points: Vec<Value> = (0..220_000).map(point).collect();
    let polygon = json!({"type": "polyline", "label": "cat", "points": points});

    let (status, problem) = api.call(&format!("PATCH {path}"), json!({"annotations": [polygon]})).await;

    assert_eq!((status, &problem["code"]), (400, &json!("validation_error")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("annotations: Are too large to be stored: "));
}

/// A draft of a cat, in a project with these labels.
async fn in_a_project(labels: &[&str]) -> (TestApi, String, Arc<TestReview>) {
    let (api, path, review) = an_api_and_its_state(&[]);
    review.store.add_project(&a_project(labels)).await.unwrap();
    (api, path, review)
}

fn a_project(labels: &[&str]) -> Project {
    let body = json!({"name": "Cars", "labels": labels}).to_string();
    let project = Project::read(body.as_bytes(), OrganizationUid::named("acme"), Timestamp::UNIX_EPOCH).unwrap();
    Project { uid: a_job().spec.project, ..project }
}

fn labels(labels: &[&str]) -> Value {
    let annotations = labels.iter().map(|label| json!({"type": "classification", "label": label}));
    json!({"annotations": annotations.collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_correction_has_the_labels_of_the_project_or_of_the_draft() {
    let (api, path, review) = in_a_project(&["car", "bus"]).await;

    let (status, problem) = api.call(&format!("PATCH {path}"), labels(&["car", "dog", "cat"])).await;

    let sentence = "annotations[1].label: The project does not have \"dog\". Its labels: \"car\", \"bus\".";
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

#[tokio::test]
async fn a_result_says_its_revision_and_how_sure_its_annotations_are() {
    let (api, path) = an_api(&[]);
    let cat = |confidence: f64| json!({"type": "classification", "label": "cat", "confidence": confidence});
    for (annotations, revision, least, greatest) in [
        (json!([cat(0.5), cat(0.75), cat(0.25)]), 1, json!(0.25), json!(0.75)),
        (json!([]), 2, Value::Null, Value::Null),
    ] {
        let (_, result) = api.call(&format!("PATCH {path}"), json!({"annotations": annotations})).await;

        assert_eq!(result["annotation_count"], json!(annotations.as_array().unwrap().len()));
        assert_eq!(result["revision"], json!(revision));
        assert_eq!((&result["min_confidence"], &result["max_confidence"]), (&least, &greatest));
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

#[tokio::test]
async fn a_verdict_may_be_taken_back_without_an_event() {
    for verdict in ["accept", "reject"] {
        let (api, path, review) = an_api_and_its_state(&[]);
        api.call(&format!("POST {path}{verdict}/"), Value::Null).await;
        let events = sent(&review).await.len();

        let (status, reopened) = api.call(&format!("POST {path}reopen/"), Value::Null).await;

        assert_eq!((status, &reopened["status"], &reopened["revision"]), (200, &json!("draft"), &json!(2)));
        assert_eq!(api.call(&format!("POST {path}reopen/"), Value::Null).await, (200, reopened));
        assert_eq!(sent(&review).await.len(), events);
        assert_eq!(api.call(&format!("POST {path}accept/"), Value::Null).await.1["status"], json!("accepted"));
    }
}

#[tokio::test]
async fn a_rejected_result_stays_so_once_its_item_has_had_another() {
    let (api, path, review) = an_api_and_its_state(&[]);
    api.call(&format!("POST {path}reject/"), Value::Null).await;
    review.results.items.lock().unwrap()[0].generation = 3;

    let (status, problem) = api.call(&format!("POST {path}reopen/"), Value::Null).await;

    assert_eq!((status, &problem["code"]), (409, &json!("result_superseded")));
    assert_eq!(problem["result_uid"], json!(ResultUid::of(a_draft(0, 0.9).asset.uid, 3)));
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
    Sweep::read(body.to_string().as_bytes(), a_job().spec.project, decision, SweepUid::at(Timestamp::UNIX_EPOCH))
}

#[test]
fn a_bad_filter_names_its_fields() {
    let refused = a_sweep(Decision::Accept, &json!({"job": "mine", "label": " ", "min_confidence": 2}));

    assert_eq!(
        refused.unwrap_err().to_string(),
        "job: Must be the uid of a job, not \"mine\".; label: May not be blank.; min_confidence: Must be a number from 0.0 to 1.0, not 2."
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
    let review = TestReview { clock: TickingClock::by(Duration::from_secs(1)), ..review };
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
async fn what_is_only_counted_stays_a_draft() {
    let review = a_review(350, &[]);
    let (mut matching, mut body) = (0, json!({"label": "dog", "max_confidence": 0.9, "count_only": true}));
    loop {
        let sweep = a_sweep(Decision::Accept, &body).unwrap();
        let (accepted, progress) = review.walk(OrganizationUid::named("acme"), "ann", sweep).await.unwrap();
        assert_eq!(accepted, 0);
        matching += progress.matching.unwrap();
        let Some(cursor) = progress.cursor else { break };
        body = json!({"cursor": cursor}); // which carries that nothing is to be changed
    }

    assert_eq!((matching, review.results.in_status(ResultStatus::Draft)), (175, 350));
    assert!(sent(&review).await.is_empty());
}

#[tokio::test]
async fn a_sweep_is_undone_but_for_what_was_changed_since() {
    for (decision, status) in [(Decision::Accept, ResultStatus::Accepted), (Decision::Reject, ResultStatus::Rejected)] {
        let (api, path, review) = api_of(a_review(350, &[]));
        let (mut uids, mut body) = (Vec::new(), json!({"label": "cat"}));
        loop {
            let sweep = a_sweep(decision, &body).unwrap();
            let (_, progress) = review.walk(OrganizationUid::named("acme"), "ann", sweep).await.unwrap();
            uids.push(progress.sweep);
            let Some(cursor) = progress.cursor else { break };
            body = json!({"cursor": cursor});
        }
        assert!(uids.len() > 1 && uids.iter().all(|uid| *uid == uids[0]), "one sweep, several calls");
        swept(&review, decision, json!({})).await; // another sweep takes the dogs
        assert_eq!(review.results.in_status(status), 350);
        for verdict in ["reopen", "accept"] {
            api.call(&format!("POST {path}{verdict}/"), Value::Null).await; // a person has her own mind about the first cat
        }
        let events = sent(&review).await.len();

        let undone = swept(&review, Decision::Reopen, json!({"sweep": uids[0]})).await.0;
        let again = swept(&review, Decision::Reopen, json!({"sweep": uids[0]})).await.0;

        assert_eq!((undone, again, review.results.in_status(ResultStatus::Draft)), (174, 0, 174));
        assert_eq!(sent(&review).await.len(), events);
    }
}

#[test]
fn an_undo_names_its_sweep() {
    let refused = |body| a_sweep(Decision::Reopen, &body).unwrap_err().to_string();

    assert_eq!(refused(json!({})), "sweep: This field is required.");
    assert_eq!(refused(json!({"sweep": "mine"})), "sweep: Must be the uid of a sweep.");
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
    assert_eq!(on.filter, DraftFilter { job, label, min_confidence: Some(0.25), max_confidence: None });
    assert_eq!(on.uid, progress.sweep);

    let body = json!({"cursor": cursor}).to_string();
    let (other_project, now) = (ProjectUid::at(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
    let foreign = Sweep::read(body.as_bytes(), other_project, Decision::Accept, SweepUid::at(now));
    let other = a_sweep(Decision::Reject, &json!({"cursor": cursor}));
    let forged = a_sweep(Decision::Accept, &json!({"cursor": "e30"}));
    for refused in [foreign, other, forged] {
        assert!(matches!(refused, Err(Error::InvalidCursor)), "{refused:?}");
    }
}

// Results by hand

/// An API with an item that has no result, the path that labels it, and the state of the handlers.
async fn an_unlabeled_item(others: &[ResultStatus]) -> (TestApi, String, Arc<TestReview>) {
    let (api, _, review) = api_of(a_review(0, others));
    let item = Item { generation: 6, result: None, ..a_draft(0, 0.9) };
    review.store.add_items(std::slice::from_ref(&item)).await;
    review.store.add_project(&a_project(&[])).await.unwrap();
    (api, format!("POST /items/{}/results/", item.asset.uid), review)
}

fn a_cat() -> Value {
    json!({"annotations": [{"type": "classification", "label": "cat"}]})
}

#[tokio::test]
async fn a_result_by_hand_is_accepted_and_sent_once() {
    let (api, call, review) = an_unlabeled_item(&[]).await;

    let (status, result) = api.call(&call, a_cat()).await;
    let repeated = api.call(&call, a_cat()).await;

    let uid = a_draft(0, 0.9).asset.uid;
    assert_eq!((status, &result["status"], &result["source"]), (201, &json!("accepted"), &json!("human")));
    assert_eq!((&result["created_by"], &result["reviewed_by"]), (&json!("test"), &json!("test")));
    assert_eq!((&result["job"], &result["uid"]), (&Value::Null, &json!(ResultUid::of(uid, 7))));
    assert_eq!(repeated, (201, result.clone()));
    let deliveries = sent(&review).await;
    assert_eq!(deliveries.len(), 1);
    let payload = deliveries[0].payload();
    assert_eq!((&payload["result_uid"], &payload["job_uid"]), (&result["uid"], &Value::Null));
    assert_eq!((&payload["source"], &payload["corrected"]), (&json!("human"), &json!(false)));
}

#[tokio::test]
async fn an_item_that_is_labeled_meanwhile_says_what_to_call() {
    for (status, sentence) in [
        (ResultStatus::Draft, "Item already has a draft. Accept it by POST /results/"),
        (ResultStatus::Accepted, "Item already has an accepted result. Correct it by PATCH /results/"),
    ] {
        let (api, call, review) = an_unlabeled_item(&[status]).await;

        let (answered, problem) = api.call(&call, a_cat()).await;

        assert_eq!((answered, &problem["code"]), (409, &json!("item_labeled")));
        let item = a_draft(0, 0.9).asset.uid;
        assert_eq!(problem["result_uid"], json!(ResultUid::of(item, 7)));
        assert!(problem["detail"].as_str().unwrap().starts_with(sentence), "{problem}");
        let there = review.store.items(&[item]).await.unwrap().remove(0).result.unwrap();
        assert_eq!((there.status, there.source), (status, ResultSource::AutoLabel));
        assert!(sent(&review).await.is_empty());
    }
}

#[tokio::test]
async fn a_person_who_labels_otherwise_writes_over_nothing() {
    let (api, call, _) = an_unlabeled_item(&[]).await;
    assert_eq!(api.call(&call, a_cat()).await.0, 201);

    assert_eq!(api.call(&call, json!({"annotations": []})).await.0, 409);
    assert_eq!(api.call(&call, json!({"annotations": [{"type": "polygon"}]})).await.0, 400);
    assert_eq!(api.call("POST /items/none/results/", a_cat()).await.0, 404);
}

// Origins

/// A result by hand, or a correction, with these annotations.
fn of_draft(annotations: &Value, indexes: &Value) -> Value {
    json!({"annotations": annotations, "draft_indexes": indexes})
}

fn cats(confidences: &[f64]) -> Value {
    confidences
        .iter()
        .map(|confidence| json!({"type": "classification", "label": "cat", "confidence": confidence}))
        .collect()
}

#[tokio::test]
async fn a_correction_says_what_it_was_in_the_draft_and_shows_the_draft() {
    for review in [a_review(1, &[]), a_large_review().await.0] {
        review.store.add_project(&a_project(&[])).await.unwrap();
        let (api, path, _) = api_of(review);
        let (_, before) = api.call(&format!("GET {path}draft/"), Value::Null).await;
        let drafted = before["annotations"].as_array().unwrap().len();
        assert!(before["annotations"].as_array().unwrap().iter().all(|one| one["became"].is_null()), "{before}");
        let dog = json!({"type": "classification", "label": "dog", "confidence": 0.7});

        let (status, result) =
            api.call(&format!("PATCH {path}"), of_draft(&json!([dog, dog]), &json!([0, null]))).await;

        assert_eq!((status, &result["origins"]), (200, &json!(["relabeled", "added"])), "{result}");
        assert_eq!(result["draft_indexes"], json!([0, null]));
        let (status, draft) = api.call(&format!("GET {path}draft/"), Value::Null).await;
        let shown = draft["annotations"].as_array().unwrap();
        assert_eq!((status, shown.len(), &draft["result"]), (200, drafted, &result["uid"]));
        assert_eq!((&shown[0]["label"], &shown[0]["confidence"]), (&json!("cat"), &json!(0.9)), "as the model gave it");
        assert_eq!((&shown[0]["became"], &shown[0]["is_moved"]), (&json!("relabeled"), &json!(false)));
        assert!(shown[1..].iter().all(|one| one["became"] == json!("deleted")));
        // What GET shows is a body for PATCH, and changes nothing.
        let (_, shown) = api.call(&format!("GET {path}"), Value::Null).await;
        let body = of_draft(&shown["annotations"], &shown["draft_indexes"]);
        assert_eq!(api.call(&format!("PATCH {path}"), body).await, (200, shown.clone()));
        assert_eq!(
            api.call(&format!("PATCH {path}"), json!({"annotations": shown["annotations"]})).await,
            (200, shown)
        );
    }
}

#[tokio::test]
async fn a_draft_that_is_right_is_kept_however_a_person_says_so() {
    for (call, body) in [("POST accept/", Value::Null), ("PATCH ", json!({"annotations": cats(&[1.0])}))] {
        let (api, path) = an_api(&[]);
        let (method, verdict) = call.split_once(' ').unwrap();
        assert_eq!(api.call(&format!("GET {path}"), Value::Null).await.1["origins"], Value::Null);

        let (_, result) = api.call(&format!("{method} {path}{verdict}"), body).await;

        assert_eq!((&result["origins"], &result["draft_indexes"]), (&json!(["kept"]), &json!([0])), "{call}");
    }
}

#[tokio::test]
async fn indexes_that_are_none_are_refused_and_change_nothing() {
    let (api, path, review) = an_api_and_its_state(&[]);
    for (indexes, sentence) in [
        (json!([0]), "draft_indexes: Must have one entry for each of the 2 annotations, not 1."),
        (json!([0, 0]), "draft_indexes[1]: Another annotation has the index 0."),
        (json!([null, 1]), "draft_indexes[1]: The draft has 1 annotations, and none at 1, counted from 0."),
        (json!([null, -1]), "draft_indexes[1]: Must be a whole number from 0, or null, not -1."),
        (json!([null, 1.5]), "draft_indexes[1]: Must be a whole number from 0, or null, not 1.5."),
        (json!(["first", null]), "draft_indexes[0]: Must be a whole number from 0, or null, not \"first\"."),
        (json!([[], null]), "draft_indexes[0]: Must be a whole number from 0, or null, not a list."),
        (json!({"0": 0}), "draft_indexes: Must be a list, not an object."),
    ] {
        let (status, problem) = api.call(&format!("PATCH {path}"), of_draft(&cats(&[0.1, 0.2]), &indexes)).await;
        assert_eq!((status, &problem["detail"]), (400, &json!(sentence)));
    }
    assert_eq!(review.results.in_status(ResultStatus::Draft), 1);
}

#[tokio::test]
async fn a_result_by_hand_is_all_added_and_has_no_draft() {
    let (api, call, _) = an_unlabeled_item(&[]).await;
    let refused = api.call(&call, of_draft(&cats(&[1.0]), &json!([0]))).await.1;
    assert_eq!(
        refused["detail"],
        json!("draft_indexes[0]: The draft has 0 annotations, and none at 0, counted from 0.")
    );

    let (status, result) = api.call(&call, of_draft(&cats(&[1.0]), &json!([null]))).await;

    assert_eq!((status, &result["origins"], &result["draft_indexes"]), (201, &json!(["added"]), &json!([null])));
}

// Tasks

/// I6.
#[tokio::test]
async fn a_task_is_completed_once_for_each_time_that_it_was_pending() {
    let review = a_review(3, &[]);
    let webhooks = MemoryWebhooks::with(Webhook { events: vec!["task.completed".into()], ..a_webhook() });
    let results = Contended { webhooks: webhooks.clone(), ..review.results };
    let (api, path, review) = api_of(TestReview { webhooks, results, ..review });
    for call in ["POST accept/", "POST accept/", "PATCH ", "POST reopen/", "POST accept/", "POST reject/"] {
        let (method, verdict) = call.split_once(' ').unwrap();
        let body = if method == "PATCH" { json!({"annotations": []}) } else { json!({}) };
        assert_eq!(api.call(&format!("{method} {path}{verdict}"), body).await.0, 200, "{call}");
    }
    let completed = sent(&review).await;
    assert_eq!(completed.len(), 2);
    let draft = a_draft(0, 0.9);
    assert_eq!(
        completed[0].payload(),
        json!({"task_uid": draft.asset.uid, "item_uid": draft.asset.uid, "project_uid": draft.project,
            "result_uid": ResultUid::of(draft.asset.uid, 1), "status": "completed", "reviewed_by": "test"})
    );
    assert_ne!(completed[0].uid, completed[1].uid);

    assert_eq!(swept(&review, Decision::Accept, json!({})).await.0, 2);
    assert_eq!(sent(&review).await.len(), 4);
}

//! Who gets which draft, by the clock; how much a call reads; orders and pages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::domain::access::api_key::KeyHash;
use shared::domain::id::{ItemUid, ProjectUid};
use shared::domain::item::Item;
use shared::domain::item::result::ResultStatus;
use shared::domain::item::review_queue::{Order, Reviewer};
use shared::domain::packed::pack;
use shared::domain::prediction::draft::BlobRef;
use shared::domain::project::Project;
use shared::domain::{Timestamp, limits};
use shared::ports::{Clock, Objects, Projects};
use shared::testing::{ACME, ACME_PROJECTS, MemoryReviewQueue, MemoryTenants, OTHER, TestApi, a_job};

use super::claim::Wish;
use crate::in_memory::{InMemory, TickingClock, in_memory};
use crate::results::tests::a_draft;
use crate::{CatalogApi, routes};

/// A project whose queue has these entries; a draft for each confidence.
struct Scene {
    api: Arc<CatalogApi<InMemory>>,
    http: TestApi,
    path: String,
}

impl Scene {
    async fn of(entries: &[Vec<f64>]) -> Self {
        Self::ticking(Duration::ZERO, entries).await
    }

    /// One whose clock goes on by so much whenever a call reads it.
    async fn ticking(tick: Duration, entries: &[Vec<f64>]) -> Self {
        let queue = MemoryReviewQueue::default();
        let mut n = 0;
        for (position, confidences) in entries.iter().enumerate() {
            let first = n;
            n += confidences.len();
            let drafts = confidences.iter().enumerate().map(|(at, confidence)| a_draft(first + at, *confidence));
            queue.add(&slot(position), drafts);
        }
        let organization = a_job().spec.organization;
        let project = Project::read(br#"{"name": "Cats"}"#, organization, Timestamp::UNIX_EPOCH).unwrap();
        let store = MemoryTenants::default();
        store.add_project(&Project { uid: a_job().spec.project, ..project }).await.unwrap();
        let api = Arc::new(CatalogApi { store, review_queue: queue, clock: TickingClock::by(tick), ..in_memory() });
        let path = format!("/projects/{}/review-queue/", a_job().spec.project);
        Self { http: TestApi::of(routes(Arc::clone(&api))), api, path }
    }

    /// A claim of another person than [`ACME`], as the calls of that key would be answered.
    async fn claim_as(&self, name: &str, body: Value) -> (Vec<usize>, Option<String>) {
        let reviewer = Reviewer { key: KeyHash::of(name), name: name.to_owned() };
        let now = self.api.clock.now();
        let wish = Wish::read(body.to_string().as_bytes(), a_job().spec.project, now).unwrap();
        let claimed = serde_json::to_value(self.api.claim(&reviewer, wish, now).await.unwrap()).unwrap();
        (numbers(&claimed["items"]), claimed["cursor"].as_str().map(str::to_owned))
    }

    async fn claim(&self, body: Value) -> (Vec<usize>, Value) {
        let (status, claimed) = self.http.call(&format!("POST {}claim/", self.path), body).await;
        assert_eq!(status, 200, "{claimed}");
        (numbers(&claimed["items"]), claimed)
    }

    async fn post(&self, call: &str, body: Value) -> (u16, Value) {
        self.http.call(&format!("POST {}{call}/", self.path), body).await
    }

    /// A verdict of anyone.
    fn review(&self, draft: usize) {
        self.api.review_queue.change(uid(draft), |queued| {
            queued.item.result.as_mut().unwrap().status = ResultStatus::Accepted;
            queued.marks = None;
        });
    }

    /// All pages of a list.
    async fn list(&self, query: &str) -> (Vec<usize>, Vec<Value>) {
        let (mut numbers_of_all, mut rows) = (Vec::new(), Vec::new());
        let mut pages = self.pages(query);
        while let Some(numbers) = pages.next(self).await {
            numbers_of_all.extend(numbers);
            rows.extend(pages.last.take());
        }
        (numbers_of_all, rows)
    }

    fn pages(&self, query: &str) -> Pages {
        Pages { call: Some(format!("GET {}?{query}", self.path)), last: None, count: 0 }
    }
}

/// A walk over a list.
struct Pages {
    /// The next one.
    call: Option<String>,
    last: Option<Value>,
    count: usize,
}

impl Pages {
    async fn next(&mut self, scene: &Scene) -> Option<Vec<usize>> {
        let (status, page) = scene.http.call(&self.call.take()?, Value::Null).await;
        assert_eq!(status, 200, "{page}");
        self.count += 1;
        assert!(self.count < 200, "the list does not end");
        self.call = page["next"].as_str().map(|url| url.replace("https://api.example/api/v1", "GET "));
        let numbers = numbers(&page["results"]);
        self.last = Some(page);
        Some(numbers)
    }
}

/// The position of an entry, as long as those of the table are: cursors are made of them.
fn slot(entry: usize) -> String {
    format!("{entry:08x}-0000#01a20112-0650-78aa-9a3c-3c54459424af")
}

fn uid(draft: usize) -> ItemUid {
    a_draft(draft, 0.9).asset.uid
}

/// The numbers of drafts in an answer.
fn numbers(rows: &Value) -> Vec<usize> {
    let number = |row: &Value| row["key"].as_str().unwrap().strip_suffix(".jpg").unwrap().parse().unwrap();
    rows.as_array().unwrap().iter().map(number).collect()
}

fn drafts(count: usize) -> Vec<f64> {
    vec![0.9; count]
}

#[tokio::test]
async fn no_one_gets_what_another_person_has_until_the_lease_is_over() {
    let scene = Scene::of(&[drafts(3), drafts(3)]).await;

    assert_eq!(scene.claim_as("ann", json!({"count": 4})).await, (vec![0, 1, 2, 3], None));
    assert_eq!(scene.claim_as("bob", json!({"count": 4})).await, (vec![4, 5], None));
    assert_eq!(scene.claim_as("cay", json!({})).await, (vec![], None), "nothing is left for her");
    scene.api.clock.0.pass(Duration::from_secs(599));
    assert_eq!(scene.claim_as("bob", json!({"count": 1})).await, (vec![4], None), "he renews his first one");
    scene.api.clock.0.pass(Duration::from_secs(1));

    assert_eq!(scene.claim_as("cay", json!({})).await, (vec![0, 1, 2, 3, 5], None));
    assert_eq!(scene.claim_as("ann", json!({})).await, (vec![], None));
}

#[tokio::test]
async fn of_many_claims_at_once_each_gets_other_drafts() {
    let scene = Scene::of(&[drafts(40), drafts(40)]).await;
    let names: Vec<String> = (0..4).map(|n| format!("person {n}")).collect();

    let claims = names.iter().map(|name| scene.claim_as(name, json!({"count": 20})));
    let claimed: Vec<usize> = join_all(claims).await.into_iter().flat_map(|(drafts, _)| drafts).collect();

    assert_eq!(claimed.len(), 80);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 80);
}

#[tokio::test]
async fn what_a_person_has_not_finished_comes_first_and_is_filled_up() {
    let scene = Scene::of(&[drafts(30)]).await;
    let (first, answer) = scene.claim(json!({"count": 5})).await;
    assert_eq!(first, [0, 1, 2, 3, 4]);
    assert_eq!(scene.claim(json!({"count": 5})).await.0, first, "a lost answer is answered again");
    assert_eq!(answer["claimed_until"], "1970-01-01T00:26:40Z");

    scene.review(1);
    scene.review(3);
    scene.api.clock.0.pass(Duration::from_secs(60));
    let (second, answer) = scene.claim(json!({"count": 5})).await;

    assert_eq!(second, [0, 2, 4, 5, 6]);
    assert_eq!(answer["claimed_until"], "1970-01-01T00:27:40Z", "those of before are renewed");
    assert!(answer["items"].as_array().unwrap().iter().all(|row| row["claimed_until"] == answer["claimed_until"]));
    assert_eq!(scene.claim(json!({"count": 2})).await.0, [0, 2]);
    assert_eq!(scene.claim(json!({"count": 7})).await.0, [0, 2, 4, 5, 6, 7, 8], "the rest is not forgotten");
}

#[tokio::test]
async fn a_row_has_all_that_an_editor_draws_with() {
    let scene = Scene::of(&[drafts(2)]).await;

    let (_, answer) = scene.claim(json!({"count": 1})).await;

    let row = &answer["items"][0];
    assert_eq!((&row["key"], &row["asset_type"], &row["width"]), (&json!("00000.jpg"), &json!("image"), &json!(100)));
    assert_eq!((&row["status"], &row["revision"], &row["annotation_count"]), (&json!("draft"), &json!(0), &json!(1)));
    assert_eq!(row["annotations"][0]["label"], "cat");
    assert!(row["url"].as_str().is_some_and(|url| url.contains("00000.jpg")), "{row}");
    assert_eq!((&row["claimed_by"], &row["is_yours"]), (&json!("test"), &json!(true)));
    let (_, rows) = scene.http.call_as(ACME_PROJECTS, &format!("GET {}", scene.path), Value::Null).await;
    let marks = |n: usize| ["claimed_by", "is_yours"].map(|name| rows["results"][n][name].clone());
    assert_eq!((marks(0), marks(1)), ([json!("test"), json!(false)], [Value::Null, json!(false)]));
    scene.api.clock.0.pass(Duration::from_secs(600));
    let (_, rows) = scene.http.call(&format!("GET {}", scene.path), Value::Null).await;
    assert_eq!((&rows["results"][0]["claimed_by"], &rows["results"][0]["is_yours"]), (&Value::Null, &json!(false)));
}

#[tokio::test]
async fn each_order_hands_out_and_lists_in_its_way() {
    let entries = [vec![0.5, 0.9, 0.1], vec![0.7, 0.3]];
    for (order, expected) in [
        ("sequence", [0, 1, 2, 3, 4]),
        ("newest", [4, 3, 2, 1, 0]),
        ("least_confident", [2, 4, 0, 3, 1]),
        ("most_confident", [1, 3, 0, 4, 2]),
    ] {
        let scene = Scene::of(&entries).await;
        assert_eq!(scene.claim(json!({"count": 3, "order": order})).await.0, expected[..3], "{order}");
        for limit in [1, 2, 5, 100] {
            assert_eq!(scene.list(&format!("order={order}&limit={limit}")).await.0, expected, "{order}, {limit}");
        }
    }
}

#[tokio::test]
async fn a_random_order_is_spread_over_the_queue_and_each_page_goes_on_with_it() {
    let scene = Scene::of(&vec![drafts(20); 30]).await;

    let (claimed, _) = scene.claim(json!({"order": "random"})).await;
    let entries: BTreeSet<usize> = claimed.iter().map(|n| n / 20).collect();
    assert!(claimed.len() == 20 && entries.len() > 8, "{claimed:?}");

    let (mut listed, _) = scene.list("order=random&limit=7").await;
    assert!(!listed.is_sorted());
    listed.sort_unstable();
    assert_eq!(listed, (0..600).collect::<Vec<_>>());
}

/// Entries leave while the pages are read: the next page must not rank other drafts than the one before did.
#[tokio::test]
async fn a_walk_loses_no_draft_and_repeats_none_while_others_review() {
    let entries: Vec<Vec<f64>> =
        (0..30).map(|entry| (0..98).map(|n| f64::from(n * 30 + entry) / 3_000.0).collect()).collect();
    for order in Order::NAMES {
        // With a clock that ticks, reads end in their time, between the entries.
        for (limit, tick) in [(40, 0), (100, 1)] {
            let scene = Scene::ticking(Duration::from_secs(tick), &entries).await;
            (0..5 * 98).for_each(|n| scene.review(n));
            let mut pages = scene.pages(&format!("order={order}&limit={limit}"));

            let (mut listed, mut reviewed) = (Vec::new(), BTreeSet::new());
            while let Some(page) = pages.next(&scene).await {
                listed.extend(page);
                // A person takes the rest of an entry at every third page, from either end.
                let entry = [5, 29, 6, 28, 7, 27].get(pages.count / 3).filter(|_| pages.count % 3 == 0);
                for n in entry.into_iter().flat_map(|entry| entry * 98..(entry + 1) * 98) {
                    scene.review(n);
                    reviewed.insert(n);
                }
            }

            let once: BTreeSet<usize> = listed.iter().copied().collect();
            assert!(once.len() == listed.len() || tick > 0, "{order}, {limit}: a draft is listed twice");
            let lost: Vec<usize> = (5 * 98..30 * 98).filter(|n| !once.contains(n) && !reviewed.contains(n)).collect();
            assert!(lost.is_empty(), "{order}, {limit}, {tick}: {} lost: {lost:?}", lost.len());
        }
    }
}

#[tokio::test]
async fn a_read_does_not_fail_because_entries_cannot_leave() {
    let scene = Scene::of(&[drafts(2), drafts(2)]).await;
    scene.review(0);
    scene.review(1);
    scene.api.review_queue.get_stuck();

    assert_eq!(scene.list("").await.0, [2, 3]);
    assert_eq!(scene.claim(json!({})).await.0, [2, 3]);
    assert_eq!(scene.api.review_queue.positions().len(), 2);
}

#[tokio::test]
async fn a_filter_narrows_what_is_listed_and_handed_out() {
    let scene = Scene::of(&[vec![0.2, 0.4], vec![0.6, 0.8]]).await; // cat, dog, cat, dog
    let job = a_job().spec.uid.to_string();
    for (filter, expected) in [
        (json!({"label": "dog"}), vec![1, 3]),
        (json!({"min_confidence": 0.5}), vec![2, 3]),
        (json!({"max_confidence": 0.5, "label": "cat"}), vec![0]),
        (json!({"job": job}), vec![0, 1, 2, 3]),
        (json!({"job": scene.path[10..46]}), vec![]),
        (json!({"min_confidence": 0.4, "max_confidence": 0.6}), vec![1, 2]),
    ] {
        let query: Vec<String> = filter
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        let (listed, pages) = scene.list(&format!("limit=1&{}", query.join("&"))).await;
        assert_eq!(listed, expected, "{filter}");
        assert_eq!(pages[0]["remaining"], json!({"count": expected.len(), "is_exact": true}), "{filter}");
        let name = filter.to_string();
        let (claimed, _) = scene.claim_as(&name, filter).await;
        assert_eq!(claimed, expected, "{name}");
        scene.api.clock.0.pass(Duration::from_secs(600));
    }
}

#[tokio::test]
async fn unfinished_drafts_outside_of_the_filter_stay_the_persons() {
    let scene = Scene::of(&[drafts(6)]).await; // every other one a dog
    assert_eq!(scene.claim_as("ann", json!({"count": 3, "label": "cat"})).await.0, [0, 2, 4]);

    assert_eq!(scene.claim_as("ann", json!({"count": 2, "label": "dog"})).await.0, [1, 3]);

    assert_eq!(scene.claim_as("bob", json!({})).await.0, [5]);
    assert_eq!(scene.claim_as("ann", json!({})).await.0, [1, 3, 0, 2, 4]);
}

/// 1,000,000 items: a call reads a thousand of them, whatever was reviewed and whatever is asked for.
#[tokio::test]
async fn a_call_reads_a_bounded_part_of_the_queue_and_the_next_one_goes_on() {
    for order in ["sequence", "newest", "least_confident", "random"] {
        let scene = Scene::of(&vec![drafts(98); 30]).await;
        (0..30 * 98).filter(|n| n / 98 != 14 || n % 98 > 5).for_each(|n| scene.review(n));
        let queue = &scene.api.review_queue;

        let (mut calls, mut cursor) = (0, None);
        let mut found = loop {
            let before = queue.items_read();
            let body = cursor.map_or_else(|| json!({"order": order}), |cursor: String| json!({"cursor": cursor}));
            let (drafts, next) = scene.claim_as("ann", body).await;
            let read = queue.items_read() - before;
            assert!(read <= limits::QUEUE_ITEMS + 98 + 20, "{order}: {read}");
            calls += 1;
            cursor = next;
            if cursor.is_none() {
                break drafts;
            }
        };

        found.sort_unstable();
        assert_eq!(found, [1_372, 1_373, 1_374, 1_375, 1_376, 1_377], "{order}");
        assert!(calls <= 4, "{order}: {calls}");
        assert_eq!(queue.positions(), [slot(14)], "entries without a draft have left");
        let before = queue.items_read();
        scene.claim_as("bob", json!({"order": order})).await;
        assert!(queue.items_read() - before <= 98, "they are read once");
    }
}

#[tokio::test]
async fn an_order_by_position_reads_no_more_than_it_hands_out() {
    let scene = Scene::of(&vec![drafts(98); 30]).await;

    scene.claim_as("ann", json!({})).await;
    assert_eq!(scene.api.review_queue.items_read(), 98);

    let (_, pages) = scene.list("limit=20&order=sequence").await;
    let count = &pages[0]["remaining"];
    assert!(count["count"].as_u64().is_some_and(|count| count >= 1_000) && count["is_exact"] == false, "{count}");
    assert!(pages.iter().all(|page| page["previous"].is_null()));
    assert_eq!(pages.last().unwrap()["remaining"]["is_exact"], true);
}

#[tokio::test]
async fn what_is_skipped_is_for_others_who_read_why() {
    let scene = Scene::of(&[drafts(3)]).await;
    assert_eq!(scene.claim(json!({"count": 2})).await.0, [0, 1]);

    for _ in 0..2 {
        let (status, answer) = scene.post("skip", json!({"item": uid(0), "reason": "blurred"})).await;
        assert_eq!((status, answer), (200, json!({"item": uid(0)})));
    }

    assert_eq!(scene.claim(json!({"count": 3})).await.0, [1, 2]);
    assert_eq!(scene.claim_as("bob", json!({})).await.0, [0]);
    let (_, pages) = scene.list("").await;
    let skips = &pages[0]["results"][0]["skips"];
    assert_eq!(skips, &json!([{"by": "test", "reason": "blurred", "at": "1970-01-01T00:16:40Z"}]));
    scene.review(0);
    let (status, answer) = scene.post("skip", json!({"item": uid(0)})).await;
    assert_eq!((status, &answer["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn claims_are_renewed_and_given_back_and_lost_ones_are_named() {
    let scene = Scene::of(&[drafts(4)]).await;
    scene.claim(json!({"count": 3})).await;
    scene.api.clock.0.pass(Duration::from_secs(700));
    assert_eq!(scene.claim_as("bob", json!({"count": 1})).await.0, [0], "her lease is over");
    scene.review(1);
    let asked = json!({"items": [uid(0), uid(1), uid(2), uid(3), uid(99)]});

    let (status, renewed) = scene.post("renew", asked.clone()).await;

    assert_eq!((status, &renewed["items"]), (200, &json!([uid(2)])), "no one has taken it since");
    assert_eq!(renewed["lost"], json!([uid(0), uid(1), uid(3), uid(99)]));
    assert_eq!(renewed["claimed_until"], "1970-01-01T00:38:20Z");
    assert_eq!(scene.claim_as("cay", json!({})).await.0, [3]);
    let (_, released) = scene.post("release", asked).await;
    assert_eq!((&released["items"], &released["claimed_until"]), (&json!([uid(2)]), &Value::Null));
    assert_eq!(scene.claim_as("cay", json!({})).await.0, [3, 2]);
}

/// Two tabs of one person: a race between them takes nothing from her.
#[tokio::test]
async fn a_claim_that_another_call_of_the_same_key_has_renewed_meanwhile_is_not_lost() {
    for call in ["renew", "release"] {
        let scene = Scene::of(&[drafts(3)]).await;
        scene.claim(json!({"count": 2})).await;
        scene.api.review_queue.renew_meanwhile(uid(0));

        let (_, changed) = scene.post(call, json!({"items": [uid(0), uid(1), uid(2)]})).await;

        assert_eq!((&changed["items"], &changed["lost"]), (&json!([uid(1), uid(0)]), &json!([uid(2)])), "{call}");
    }
}

#[tokio::test]
async fn what_was_reopened_is_listed_once_though_two_entries_name_it() {
    let scene = Scene::of(&[drafts(2)]).await;
    scene.api.review_queue.add(&slot(7), [a_draft(0, 0.9)]);

    assert_eq!(scene.list("limit=1").await.0, [0, 1]);
    scene.review(0);
    scene.review(1);
    assert_eq!(scene.list("").await.0, Vec::<usize>::new());
    assert!(scene.api.review_queue.positions().is_empty());
}

#[tokio::test]
async fn large_annotations_are_read_where_they_decide_and_an_answer_holds_what_fits() {
    let scene = Scene::of(&[vec![0.9, 0.5, 0.7]]).await;
    for n in 0..3 {
        let Item { result, .. } = scene.api.review_queue.now(uid(n)).unwrap().item;
        let (bytes, json_bytes) = pack(&result.unwrap().annotations).unwrap();
        let blob = BlobRef { key: format!("jobs/{n}"), offset: 0, length: bytes.len() as u64, json_bytes };
        scene.api.objects.put(&blob.key, "", bytes).await.unwrap();
        scene.api.review_queue.change(uid(n), |queued| {
            let result = queued.item.result.as_mut().unwrap();
            (result.annotations, result.elsewhere) = (Vec::new(), Some(blob));
            queued.json_bytes = limits::PAGE_BYTES / 2;
        });
    }

    let (claimed, answer) = scene.claim(json!({"order": "least_confident"})).await;
    assert_eq!((claimed, &answer["cursor"]), (vec![1, 2], &Value::Null), "a third one is too much");
    assert_eq!(answer["items"][0]["annotations"][0]["confidence"], 0.5);
    scene.review(1);
    assert_eq!(scene.claim(json!({"order": "least_confident"})).await.0, [2, 0]);
    assert_eq!(scene.list("min_confidence=0.6&order=most_confident").await.0, [0, 2]);
}

#[tokio::test]
async fn bad_values_are_named_and_a_foreign_queue_is_missing() {
    let scene = Scene::of(&[drafts(1)]).await;
    for (call, body, detail) in [
        ("claim", json!({"count": 21}), "count: Must be a whole number from 1 to 20, not 21."),
        ("claim", json!({"order": "best"}), "order: Must be one of \"sequence\", \"newest\""),
        ("claim", json!({"min_confidence": 2}), "min_confidence: "),
        ("claim", json!({"cursor": null}), "cursor: May not be null"),
        ("claim", json!({"oder": "random"}), "oder: Unknown field. Did you mean order?"),
        ("renew", json!({"items": []}), "items: May not be empty."),
        ("release", json!({"items": ["x"]}), "items: Must be the uid of an item, not \"x\"."),
        ("skip", json!({}), "item: This field is required."),
        ("skip", json!({"item": uid(0), "reason": ""}), "reason: "),
    ] {
        let (status, problem) = scene.post(call, body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("validation_error")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with(detail), "{problem}");
    }
    for (query, detail) in [
        ("order=best", "order: Must be one of \"sequence\""),
        ("min_confidence=much", "min_confidence: "),
        ("min_confidence=nan", "min_confidence: Must be a number from 0.0 to 1.0, not "),
        ("min_confidence=inf", "min_confidence: Must be a number from 0.0 to 1.0, not "),
        ("max_confidence=1e999", "max_confidence: Must be a number from 0.0 to 1.0, not "),
        ("job=x", "job: Must be the uid of a job, not \"x\"."),
        ("count=3", "count: Unknown parameter."),
        ("ordering=created_at", "ordering: This list has `order` instead."),
    ] {
        let (status, problem) = scene.http.call(&format!("GET {}?{query}", scene.path), Value::Null).await;
        assert!(status == 400 && problem["detail"].as_str().unwrap().starts_with(detail), "{problem}");
    }
    for body in [json!({"cursor": "x"}), json!({"cursor": "e30"})] {
        assert_eq!(scene.post("claim", body).await.1["code"], "invalid_cursor");
    }
    for (key, expected) in [(OTHER, [404; 5]), (ACME_PROJECTS, [200, 403, 403, 403, 403])] {
        let mut statuses = Vec::new();
        let calls = [
            ("GET", "", Value::Null),
            ("POST", "claim/", json!({})),
            ("POST", "renew/", json!({"items": [uid(0)]})),
            ("POST", "release/", json!({"items": [uid(0)]})),
            ("POST", "skip/", json!({"item": uid(0)})),
        ];
        for (method, call, body) in calls {
            let call = format!("{method} {}{call}", scene.path);
            statuses.push(scene.http.call_as(key, &call, body).await.0);
        }
        assert_eq!(statuses, expected, "{key}");
    }
    assert_eq!(scene.http.call_as(ACME, &format!("GET {}", scene.path), Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_cursor_is_of_its_project_and_has_the_fields_of_its_call() {
    let scene = Scene::of(&vec![drafts(98); 12]).await;
    (0..11 * 98).for_each(|n| scene.review(n));
    let (found, cursor) = scene.claim_as("ann", json!({"count": 3, "label": "dog"})).await;
    assert!(found.is_empty());
    let cursor = cursor.unwrap();

    let (found, _) = scene.claim_as("ann", json!({"cursor": cursor, "count": 2})).await;
    assert_eq!(found, [1_079, 1_081], "dogs, two of them");
    let now = scene.api.clock.now();
    let body = json!({"cursor": cursor}).to_string();
    assert!(Wish::read(body.as_bytes(), ProjectUid::at(now), now).is_err());
}

//! What the deployed stack cannot be made to show: somebody else is quicker, between a reading and its write.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};
use shared::domain::id::{OrganizationUid, ProjectUid, ResultUid};
use shared::domain::item::Item;
use shared::domain::result::{LabelResult, ResultSource, ResultStatus};
use shared::domain::{Error, Timestamp};
use shared::ports::{Page, Results, Slice};
use shared::testing::{MemoryObjects, StoppedClock, TestApi, a_job, an_item};

use crate::{App, results};

/// One draft, and somebody who gives each of `others` as a status, one before each write.
struct Contended {
    item: Mutex<Item>,
    others: Mutex<Vec<ResultStatus>>,
}

impl Results for Contended {
    async fn results(
        &self,
        _: ProjectUid,
        _: impl Fn(&LabelResult) -> bool + Send,
        _: &Slice,
    ) -> Result<Page<Item>, Error> {
        Err(Error::internal("no list"))
    }

    async fn result(&self, _: ResultUid) -> Result<Option<Item>, Error> {
        Ok(Some(self.item.lock().unwrap().clone()))
    }

    async fn review(&self, of: &Item, reviewed: &LabelResult) -> Result<bool, Error> {
        let mut item = self.item.lock().unwrap();
        let now = item.result.as_mut().unwrap();
        if let Some(status) = self.others.lock().unwrap().pop() {
            now.status = status;
            now.revision += 1;
        }
        let unchanged = of.result.as_ref().unwrap().revision == now.revision;
        if unchanged {
            *now = reviewed.clone();
        }
        Ok(unchanged)
    }
}

/// An API with a draft, and its path.
fn an_api(others: &[ResultStatus]) -> (TestApi, String) {
    let result = LabelResult {
        generation: 1,
        revision: 0,
        status: ResultStatus::Draft,
        source: ResultSource::AutoLabel,
        created_by: "bot".into(),
        reviewed_by: None,
        lineage: None,
        annotations: vec![],
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    let asset = an_item(0);
    let path = format!("/results/{}/", result.uid(asset.uid));
    let item = Item {
        organization: OrganizationUid::named("acme"),
        project: a_job().spec.project,
        key: "0.jpg".into(),
        asset,
        created_at: Timestamp::UNIX_EPOCH,
        result: Some(result),
    };
    let store = Contended { item: Mutex::new(item), others: Mutex::new(others.to_vec()) };
    type Objects = MemoryObjects;
    type Clock = StoppedClock;
    let routes = Router::new()
        .route(
            "/results/{uid}",
            get(results::get::<Contended, Objects, Clock>).patch(results::correct::<Contended, Objects, Clock>),
        )
        .route("/results/{uid}/accept", post(results::accept::<Contended, Objects, Clock>))
        .route("/results/{uid}/reject", post(results::reject::<Contended, Objects, Clock>))
        .with_state(Arc::new(App { store, objects: Objects::default(), clock: Clock::at(1_000) }));
    (TestApi::of(routes), path)
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
async fn a_verdict_is_tried_again_on_what_somebody_else_has_made_of_the_result() {
    let answers = three_verdicts(&[ResultStatus::Accepted]).await;

    let statuses: Vec<(u16, &Value)> = answers.iter().map(|(status, body)| (*status, &body["status"])).collect();
    assert_eq!(statuses, [(200, &json!("accepted")), (200, &json!("accepted")), (200, &json!("rejected"))]);
    assert_eq!(answers[0].1["reviewed_by"], json!("test"));
}

#[tokio::test]
async fn what_somebody_else_has_rejected_meanwhile_stays_rejected() {
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

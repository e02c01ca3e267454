//! A SageMaker endpoint that takes a fixed time for each answer and has a number of slots; calls above it wait in line.
//! It may also refuse calls above a capacity that changes with time and that it does not name.
//!
//! Answers are those of `examples/endpoint/load.mjs` in kind: nothing to four boxes, made up from the asset's id.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::http1::status;
use crate::late;

const LABELS: [&str; 2] = ["car", "person"];
const MOST_BOXES: u64 = 4;

/// A call as the endpoint saw it, in time since the first one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// When it came.
    pub came: Duration,
    /// When it was answered.
    pub left: Duration,
    /// There was no room for it.
    pub refused: bool,
}

/// The endpoint.
#[derive(Debug)]
pub struct Endpoint {
    latency: Duration,
    slots: Semaphore,
    /// From when on how many calls at once are taken; none: any number.
    capacity: Vec<(Duration, usize)>,
    taken: AtomicUsize,
    first: OnceLock<Instant>,
    calls: Mutex<Vec<Call>>,
}

/// What of a request matters here (contract, 10.1).
#[derive(Deserialize)]
struct Asked {
    asset_id: String,
    width: Option<u32>,
    height: Option<u32>,
}

impl Endpoint {
    /// An endpoint with so many slots, each of which takes so long for an answer.
    #[must_use]
    pub fn new(latency: Duration, slots: usize, capacity: Vec<(Duration, usize)>) -> Self {
        Self {
            latency,
            slots: Semaphore::new(slots),
            capacity,
            taken: AtomicUsize::new(0),
            first: OnceLock::new(),
            calls: Mutex::default(),
        }
    }

    /// Every call that has ended, and when the first one came.
    #[must_use]
    pub fn calls(&self) -> (Option<Instant>, Vec<Call>) {
        (self.first.get().copied(), self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Calls at once that are taken at this time.
    #[must_use]
    pub fn room(&self, now: Duration) -> Option<usize> {
        self.capacity.iter().take_while(|(from, _)| *from <= now).last().map(|(_, room)| *room)
    }

    /// Answers InvokeEndpoint.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let Ok(asked) = serde_json::from_slice::<Asked>(request.body()) else {
            return status(StatusCode::BAD_REQUEST);
        };
        let first = *self.first.get_or_init(Instant::now);
        let came = first.elapsed();
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let full = self.room(came).is_some_and(|room| before >= room);
        let answer = if full { throttled() } else { self.worked(&asked).await };
        self.taken.fetch_sub(1, Ordering::Relaxed);
        let call = Call { came, left: first.elapsed(), refused: full };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        answer
    }

    async fn worked(&self, asked: &Asked) -> Response<Bytes> {
        let Ok(_slot) = self.slots.acquire().await else { return status(StatusCode::SERVICE_UNAVAILABLE) };
        late(self.latency).await;
        Response::new(json!({"annotations": boxes(asked)}).to_string().into())
    }
}

/// As SageMaker says it (AWS, "Common errors").
fn throttled() -> Response<Bytes> {
    let response = Response::builder()
        .status(StatusCode::TOO_MANY_REQUESTS)
        .header("x-amzn-errortype", "ThrottlingException")
        .body(Bytes::from_static(br#"{"message":"Rate exceeded"}"#));
    response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The same for the same asset.
fn boxes(asked: &Asked) -> Vec<Value> {
    let random = |of: u64| {
        let mut hasher = DefaultHasher::new(); // its keys are constants
        (asked.asset_id.as_str(), of).hash(&mut hasher);
        hasher.finish()
    };
    let part = |of| (random(of) >> 11) as f64 / (1_u64 << 53) as f64;
    let (width, height) = (f64::from(asked.width.unwrap_or(1_920)), f64::from(asked.height.unwrap_or(1_080)));
    let tenths = |value: f64| (10.0 * value).floor() / 10.0;
    let made_up = |number: u64| {
        let of = 10 * number;
        let (box_width, box_height) = (width * (0.05 + 0.45 * part(of)), height * (0.05 + 0.45 * part(of + 1)));
        json!({
            "type": "bounding_box",
            "label": LABELS[usize::from(random(of + 2) % 2 == 1)],
            "confidence": ((0.2 + 0.79 * part(of + 3)) * 10_000.0).round() / 10_000.0,
            "coordinates": {
                "x": tenths((width - box_width) * part(of + 4)), "y": tenths((height - box_height) * part(of + 5)),
                "width": tenths(box_width), "height": tenths(box_height),
            },
        })
    };
    (1..=random(0) % (MOST_BOXES + 1)).map(made_up).collect()
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    fn asked(n: usize) -> Request<Bytes> {
        Request::new(json!({"asset_id": n.to_string(), "width": 640, "height": 480}).to_string().into())
    }

    #[tokio::test]
    async fn a_call_takes_its_time_and_a_slot_serves_one_at_a_time() {
        let endpoint = Endpoint::new(Duration::from_millis(20), 2, Vec::new());

        let answers = join_all((0..4).map(|n| endpoint.answer(asked(n)))).await;

        assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
        let (_, calls) = endpoint.calls();
        let took = |number: usize| (calls[number].left - calls[number].came).as_millis();
        assert!(took(0) >= 20 && took(1) >= 20 && took(2) >= 40 && took(3) >= 40, "{calls:?}");
    }

    #[tokio::test]
    async fn above_its_capacity_it_refuses_and_the_capacity_changes() {
        let endpoint =
            Endpoint::new(Duration::from_millis(10), 8, vec![(Duration::ZERO, 3), (Duration::from_millis(50), 1)]);
        let refused = async |calls: usize| {
            let answers = join_all((0..calls).map(|n| endpoint.answer(asked(n)))).await;
            answers.iter().filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS).count()
        };

        assert_eq!(refused(5).await, 2);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(refused(5).await, 4);
        assert_eq!(endpoint.calls().1.iter().filter(|call| call.refused).count(), 6);
    }

    #[test]
    fn three_of_four_assets_or_so_have_a_box_above_one_half() {
        let sure = |asset: usize| {
            let asked = Asked { asset_id: asset.to_string(), width: None, height: None };
            boxes(&asked).iter().any(|found| found["confidence"].as_f64().unwrap() >= 0.5)
        };
        let drafts = (0..10_000).filter(|asset| sure(*asset)).count();
        assert!((6_500..7_500).contains(&drafts), "{drafts}");
    }
}

//! S3 in memory: objects are put whole and read whole or by range, every call with a set latency.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, RANGE};
use http::{Method, Request, Response, StatusCode};

use crate::http1::status;
use crate::late;

/// The objects of all buckets, by path.
#[derive(Debug, Default)]
pub struct Objects {
    objects: Mutex<HashMap<String, Bytes>>,
    latency_us: AtomicU64,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl Objects {
    /// From now on every call takes so long, and counting starts at zero.
    pub fn begin(&self, latency: Duration) {
        self.latency_us.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.puts.store(0, Ordering::Relaxed);
        self.gets.store(0, Ordering::Relaxed);
    }

    /// Puts and gets since then.
    #[must_use]
    pub fn calls(&self) -> (u64, u64) {
        (self.puts.load(Ordering::Relaxed), self.gets.load(Ordering::Relaxed))
    }

    /// Answers a call of the S3 API, addressed by path.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        late(Duration::from_micros(self.latency_us.load(Ordering::Relaxed))).await;
        let path = request.uri().path().to_owned();
        let range = request.headers().get(RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        match *request.method() {
            Method::PUT => {
                self.puts.fetch_add(1, Ordering::Relaxed);
                objects.insert(path, request.into_body());
                status(StatusCode::OK)
            }
            Method::GET => {
                self.gets.fetch_add(1, Ordering::Relaxed);
                objects
                    .get(&path)
                    .map_or_else(|| status(StatusCode::NOT_FOUND), |object| read(object, range.as_deref()))
            }
            _ => status(StatusCode::NOT_IMPLEMENTED),
        }
    }
}

fn read(object: &Bytes, range: Option<&str>) -> Response<Bytes> {
    let Some(range) = range else { return Response::new(object.clone()) };
    let ends = range.strip_prefix("bytes=").and_then(|ends| ends.split_once('-'));
    let Some((Ok(from), Ok(last))) = ends.map(|(from, last)| (from.parse::<usize>(), last.parse::<usize>())) else {
        return status(StatusCode::NOT_IMPLEMENTED);
    };
    if from >= object.len() {
        return status(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let end = object.len().min(last.saturating_add(1)).max(from);
    let response = Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(CONTENT_RANGE, format!("bytes {from}-{}/{}", end.saturating_sub(1), object.len()))
        .body(object.slice(from..end));
    response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn call(objects: &Objects, method: &str, range: Option<&str>, body: &'static str) -> (u16, Bytes) {
        let mut request = Request::builder().method(method).uri("/bucket/key?x-id=GetObject");
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let response = objects.answer(request.body(Bytes::from(body)).unwrap()).await;
        (response.status().as_u16(), response.into_body())
    }

    #[tokio::test]
    async fn what_was_put_is_read_whole_or_by_range() {
        let objects = Objects::default();
        assert_eq!(call(&objects, "GET", None, "").await.0, 404);
        assert_eq!(call(&objects, "PUT", None, "abcdef").await.0, 200);

        assert_eq!(call(&objects, "GET", None, "").await, (200, "abcdef".into()));
        assert_eq!(call(&objects, "GET", Some("bytes=1-3"), "").await, (206, "bcd".into()));
        assert_eq!(call(&objects, "GET", Some("bytes=4-99"), "").await, (206, "ef".into()));
        assert_eq!(call(&objects, "GET", Some("bytes=6-9"), "").await.0, 416);
        assert_eq!(objects.calls(), (1, 5));
    }
}

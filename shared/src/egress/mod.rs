//! The one guard for addresses that users give: webhooks, HTTPS providers, files of items (contract, D18).
//!
//! HTTPS only, no redirects, no proxy. A name is resolved here, and only public addresses of it reach the connector: the
//! address that was checked is the one that is connected to, so a name that changes between check and call gains
//! nothing. The whole exchange is bounded in time, the answer's body while it is read and after it is unpacked.

mod address;
mod error;
mod names;
mod packing;
mod tls;
mod url;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use rustls::RootCertStore;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::domain::item::source::Source;
use crate::domain::limits;
use crate::ports::{Files, NoFile};

pub use self::error::{EgressError, TlsError};
use self::names::{PublicNames, Resolver};
pub use self::packing::Packing;
use self::packing::Unpacker;
pub use self::tls::BadRoots;
pub use self::url::{Refusal, check_url, file_url_field, same_origin, url_field};

/// A request to an address of a user's.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    /// As the user gave it.
    pub url: &'a str,
    /// Beside those that HTTP itself needs.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes.
    pub body: &'a [u8],
    /// For the whole exchange, DNS to last byte, without the time in which a long answer waits for room.
    pub timeout: Duration,
    /// Bytes of the answer's body that are read, counted as they are unpacked; the rest is left.
    pub answer_bytes: usize,
}

/// A part of a file at an address of a user's.
#[derive(Clone, Copy)]
struct Get<'a> {
    url: &'a str,
    offset: u64,
    length: u64,
}

/// The time for a part of a file, DNS to last byte, if it is small.
const GET: Duration = Duration::from_secs(4);
/// One more second for this many bytes: 14 seconds for a mask of 20 MB.
const BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;
/// All bodies are read side by side up to this length, and beyond it only as many as there is room for: with 64 calls in flight,
/// 64 long answers would not fit into a worker's memory (docs/decisions/0014). It is also the window of a stream over HTTP/2.
const LONG_BYTES: u32 = 256 * 1024;
/// For the long bodies together: four of the longest, if their lengths are not announced.
const ROOM_BYTES: u32 = 25 * 1024 * 1024;
/// The window of a connection over HTTP/2. All calls to a server share it, and bodies that wait for room keep their part. A smaller
/// one could be used up by bodies that wait, and the others could not be read (docs/decisions/0014).
const WINDOW_BYTES: u32 = (limits::CONCURRENCY + 1) * LONG_BYTES;
/// A server without ranges sends a file from its beginning: at most this much is read to get to a later part.
const WITHOUT_RANGES: u64 = 512 * 1024;

/// An answer of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if it is text.
    pub content_type: Option<String>,
    /// How the body is still packed; gzip and deflate are unpacked here.
    pub packing: Option<Packing>,
    /// `Retry-After`, if it is a number of seconds. A date would need a clock that agrees with the server's.
    pub retry_after: Option<Duration>,
    /// At most [`Post::answer_bytes`].
    pub body: Vec<u8>,
}

/// The HTTPS client behind the guard. One per process: it keeps connections.
#[derive(Clone, Debug)]
pub struct Egress {
    /// Made at the first request: many processes send none (decision 0048).
    client: Arc<LazyLock<reqwest::Client, Box<dyn FnOnce() -> reqwest::Client + Send>>>,
    loopback: bool,
    /// A reader of a long body holds permits for its length in bytes.
    room: Arc<Semaphore>,
}

impl Egress {
    /// With `loopback`, the development switch, this machine is open as well, as `127.0.0.1` and as `localhost`. Servers may be
    /// vouched for by Mozilla's authorities, and by the deployment's own: PEM, or nothing.
    ///
    /// # Errors
    /// `BadRoots`.
    pub fn trusting(loopback: bool, extra_roots: &str) -> Result<Self, BadRoots> {
        Ok(Self::with(PublicNames::new(Resolver, loopback), loopback, tls::roots(extra_roots)?))
    }

    /// Without authorities of a deployment's own.
    #[cfg(test)]
    pub(crate) fn new(loopback: bool) -> Self {
        Self::trusting(loopback, "").unwrap()
    }

    fn with(names: impl Resolve + 'static, loopback: bool, roots: RootCertStore) -> Self {
        let client = LazyLock::new(Box::new(move || client(names, roots)) as Box<dyn FnOnce() -> _ + Send>);
        Self { client: Arc::new(client), loopback, room: Arc::new(Semaphore::new(ROOM_BYTES as usize)) }
    }

    /// One request, never repeated here.
    ///
    /// # Errors
    /// If no complete answer came.
    pub async fn post(&self, request: Post<'_>) -> Result<Answer, EgressError> {
        let (answer, end) = self.exchange(request).await?;
        end.map(|()| answer)
    }

    /// The same for a caller that needs the status: the body is as much as arrived. A body that breaks off or never ends does not
    /// change the status.
    ///
    /// # Errors
    /// If no status came.
    pub async fn post_for_status(&self, request: Post<'_>) -> Result<Answer, EgressError> {
        self.exchange(request).await.map(|(answer, _)| answer)
    }

    /// Status and body, and how the body ended.
    async fn exchange(&self, request: Post<'_>) -> Result<(Answer, Result<(), EgressError>), EgressError> {
        let url = check_url(request.url, self.loopback)?;
        let mut call = self.client.post(url).body(request.body.to_vec());
        for (name, value) in request.headers {
            call = call.header(*name, *value);
        }
        let mut call = call.build().map_err(|error| EgressError::of(&error))?;
        // Some are credentials: no library prints them, whatever the log level.
        call.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        let mut time = Time::of(request.timeout);
        let mut response = time.bound(self.client.execute(call)).await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| Some(value.to_str().ok()?.to_owned()));
        // The client unpacks gzip itself, and removes this header then.
        let packing = Packing::of(response.headers().get_all(CONTENT_ENCODING));
        let mut body = Vec::new();
        let end = self.beginning(&mut response, request.answer_bytes, packing, &mut time, &mut body).await;
        let packing = packing.filter(|packing| *packing != Packing::Deflate);
        Ok((Answer { status, content_type, packing, retry_after: retry_after.map(Duration::from_secs), body }, end))
    }

    /// Status and body of a part of a file, never more of it than is asked for.
    async fn get(&self, request: Get<'_>) -> Result<(u16, Vec<u8>), EgressError> {
        let url = check_url(request.url, self.loopback)?;
        let Get { offset, length, .. } = request;
        let mut time = Time::of(GET + Duration::from_secs(length / BYTES_PER_SECOND));
        let range = format!("bytes={offset}-{}", offset + length.saturating_sub(1));
        let mut response = time.bound(self.client.get(url).header("range", range).send()).await?;
        let status = response.status().as_u16();
        // 200 is the whole file: it is read up to the part's end, and the connection is dropped.
        let before = if status == 200 { offset } else { 0 };
        if status >= 300 || before + length > WITHOUT_RANGES.max(length) {
            return Ok((status, Vec::new()));
        }
        let wanted = usize::try_from(before + length).unwrap_or(usize::MAX);
        let mut body = Vec::new();
        self.beginning(&mut response, wanted, None, &mut time, &mut body).await?;
        body.drain(..body.len().min(usize::try_from(before).unwrap_or(usize::MAX)));
        Ok((status, body))
    }

    /// Reads the first `most` bytes of a body into `body`, unpacked. The rest is not waited for.
    async fn beginning(
        &self,
        response: &mut reqwest::Response,
        most: usize,
        packing: Option<Packing>,
        time: &mut Time,
        body: &mut Vec<u8>,
    ) -> Result<(), EgressError> {
        // The announced length is allocated at once: growing would take up to three times as much.
        let announced = match packing {
            Some(Packing::Deflate) => most, // the announced length is that of the packed bytes
            _ => response.content_length().map_or(most, |length| usize::try_from(length).unwrap_or(most)).min(most),
        };
        let mut unpacker = (packing == Some(Packing::Deflate)).then(Unpacker::default);
        body.reserve_exact(announced.min(LONG_BYTES as usize));
        let mut room = None;
        while body.len() < most
            && let Some(piece) = time.bound(response.chunk()).await?
        {
            if let Some(unpacker) = &mut unpacker {
                let mut rest = piece.as_ref();
                while !rest.is_empty() && body.len() < most {
                    if room.is_none() && body.len() >= LONG_BYTES as usize {
                        room = self.room(announced, body).await;
                    }
                    rest = unpacker.unpack(rest, body, most)?;
                }
                continue;
            }
            if room.is_none() && body.len() + piece.len() > LONG_BYTES as usize {
                room = self.room(announced, body).await;
            }
            body.extend_from_slice(&piece[..piece.len().min(most - body.len())]);
        }
        match unpacker {
            Some(unpacker) if body.len() < most && !unpacker.is_done() => Err(EgressError::Broken),
            _ => Ok(()),
        }
    }

    /// Room for a body that turns out to be long. Never `None`: the semaphore is never closed.
    async fn room(&self, announced: usize, body: &mut Vec<u8>) -> Option<SemaphorePermit<'_>> {
        let bytes = u32::try_from(announced).unwrap_or(ROOM_BYTES).min(ROOM_BYTES);
        let room = self.room.acquire_many(bytes).await.ok();
        body.reserve_exact(announced.saturating_sub(body.len()));
        room
    }
}

fn client(names: impl Resolve + 'static, roots: RootCertStore) -> reqwest::Client {
    // A proxy from the environment would resolve names itself, past the guard.
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(roots))
        .no_proxy()
        .redirect(Policy::none())
        .dns_resolver(Arc::new(names))
        .http2_initial_stream_window_size(LONG_BYTES)
        .http2_initial_connection_window_size(WINDOW_BYTES)
        .user_agent("autolabel");
    #[expect(
        clippy::expect_used,
        reason = "only a TLS configuration that reqwest does not know could fail: every test builds one"
    )]
    client.build().expect("the client can be built")
}

/// The rest of a request's time. Only the steps in [`Time::bound`] use it up.
struct Time {
    left: Duration,
    whole: Duration,
}

impl Time {
    const fn of(whole: Duration) -> Self {
        Self { left: whole, whole }
    }

    async fn bound<T>(&mut self, step: impl Future<Output = reqwest::Result<T>>) -> Result<T, EgressError> {
        let begun = Instant::now();
        let done = timeout(self.left, step).await;
        self.left = self.left.saturating_sub(begun.elapsed());
        done.map_or(Err(EgressError::Timeout(self.whole)), |done| done.map_err(|error| EgressError::of(&error)))
    }
}

impl Files for Egress {
    async fn piece(&self, source: &Source, offset: u64, length: u64) -> Result<Vec<u8>, NoFile> {
        let Source::Url(url) = source else { return Err(NoFile::Unreadable("The file is not on the web.".into())) };
        match self.get(Get { url, offset, length }).await {
            Ok((200 | 206, body)) => Ok(body),
            Ok((416, _)) => Ok(Vec::new()), // behind the end
            Ok((status, _)) => {
                let sentence = format!("The server answered status {status}.");
                Err(if matches!(status, 429 | 500..) { NoFile::Busy(sentence) } else { NoFile::Unreadable(sentence) })
            }
            // A server that took all of the time would take it again, and a worker fetches one mask at a time.
            Err(error) if error.lasts() || matches!(error, EgressError::Timeout(_)) => {
                Err(NoFile::Unreadable(error.to_string()))
            }
            Err(error) => Err(NoFile::Busy(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;

//! The Lambda Runtime API on loopback, for one process: a function's real binary, handed one event after the other.
//!
//! [`bootstrap`] makes the command of a binary, such as `target/lambda/infer/bootstrap`. [`Function::start`] starts it, or any
//! other command that ends in a binary, and [`Function::invoke`] hands it an event.
//!
//! Several processes at once are several `Function`s. As on Lambda, a process has one event at a time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Error, Result};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{interval, timeout};

use crate::http1::{listen, status};

const API: &str = "/2018-06-01/runtime/";
const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:bench";
/// How soon the end of a process is noticed.
const WATCH: Duration = Duration::from_millis(50);
/// How long a process may take to end.
const LEAVE: Duration = Duration::from_secs(10);
/// What an invocation may take longer than it was given, as Lambda itself is not exact either.
const GRACE: Duration = Duration::from_secs(5);
/// The unit in which Linux reports processor time: a hundredth of a second on every architecture that Lambda has.
const TICK_MS: u64 = 10;

/// What a process made of an event.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The body of its response, or else of its error: `errorType` and `errorMessage`.
    pub result: std::result::Result<Bytes, Bytes>,
    /// When it took the event. Before that it started, or sent its previous answer.
    pub taken: Instant,
    /// When its answer was there.
    pub came: Instant,
}

/// A running process with a Runtime API of its own; ended when dropped.
#[derive(Debug)]
pub struct Function {
    process: Child,
    events: mpsc::Sender<Event>,
    /// How many events it was given.
    given: u64,
}

#[derive(Debug)]
struct Event {
    request_id: String,
    payload: Bytes,
    deadline_ms: u128,
    answer: oneshot::Sender<Answer>,
}

/// What has been taken and not been answered.
type Taken = SyncMutex<HashMap<String, (Instant, oneshot::Sender<Answer>)>>;

/// A command that runs this binary with nothing in its environment but what every Lambda has: a region and credentials,
/// made up. Its log goes nowhere.
pub fn bootstrap(binary: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().env("AWS_REGION", "us-east-1").env("AWS_DEFAULT_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
    command.env("AWS_SESSION_TOKEN", "token").stdout(Stdio::null());
    command
}

impl Function {
    /// Starts the process. What Lambda says in a function's environment of the function and of its Runtime API is added.
    ///
    /// # Errors
    /// There is no such binary, or no port left.
    pub async fn start(mut command: Command) -> Result<Self> {
        let (events, queue) = mpsc::channel(1);
        let (queue, taken) = (Arc::new(Mutex::new(queue)), Arc::new(Taken::default()));
        let api = listen(move |request| {
            let (queue, taken) = (Arc::clone(&queue), Arc::clone(&taken));
            async move { respond(&request, &queue, &taken).await }
        });
        command.env("AWS_LAMBDA_RUNTIME_API", api.await?.to_string());
        command.env("AWS_LAMBDA_FUNCTION_NAME", "bench").env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256").env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench");
        command.env("AWS_LAMBDA_LOG_STREAM_NAME", "bench").env("_HANDLER", "bootstrap");
        Ok(Self { process: command.spawn()?, events, given: 0 })
    }

    /// Gives the process an event and so much time for it, and waits for the answer.
    ///
    /// # Errors
    /// The process ended, or did not answer within its time.
    pub async fn invoke(&mut self, event: impl Into<Bytes>, time: Duration) -> Result<Answer> {
        self.given += 1;
        let (answer, answered) = oneshot::channel();
        let request_id = format!("00000000-0000-4000-8000-{:012}", self.given);
        let deadline_ms = (since_epoch() + time).as_millis();
        let event = Event { request_id, payload: event.into(), deadline_ms, answer };
        self.events.try_send(event).map_err(|_| Error::other("the process has not taken its last event"))?;
        let answered = async {
            tokio::select! {
                answer = answered => answer.map_err(|_| Error::other("the process asked for the next event instead of answering")),
                ended = ended(&mut self.process) => Err(ended),
            }
        };
        timeout(time + GRACE, answered).await?
    }

    /// The process' id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The most memory that the process had in use so far (`VmHWM`), in bytes.
    ///
    /// # Errors
    /// The process has ended.
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let kilobytes: u64 = peak.and_then(|text| text.parse().ok()).ok_or(Error::other("the process has ended"))?;
        Ok(kilobytes * 1024)
    }

    /// The processor time that it has taken, its own and the kernel's for it.
    ///
    /// # Errors
    /// It has ended.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // Behind the name, which may have blanks: user's and system's ticks are the 12th and 13th (proc_pid_stat(5)).
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().skip(11).take(2));
        let ticks: Option<u64> = fields.and_then(|ticks| ticks.map(|text| text.parse::<u64>().ok()).sum());
        Ok(Duration::from_millis(ticks.ok_or(Error::other("the process has ended"))? * TICK_MS))
    }
}

impl Drop for Function {
    /// Asked first: what counts instructions writes down what it has counted only then.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let patience = Instant::now() + LEAVE;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < patience {
            sleep(WATCH);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Never, as long as the process runs.
async fn ended(process: &mut Child) -> Error {
    let mut watch = interval(WATCH);
    loop {
        watch.tick().await;
        match process.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return Error::other(format!("the process ended: {status}")),
            Err(error) => return error,
        }
    }
}

/// AWS, "Using the Lambda runtime API for custom runtimes".
async fn respond(request: &Request<Bytes>, queue: &Mutex<mpsc::Receiver<Event>>, taken: &Taken) -> Response<Bytes> {
    let path = request.uri().path().strip_prefix(API).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(queue, taken).await,
        (&Method::POST, ["invocation", id, kind @ ("response" | "error")]) => {
            let body = request.body().clone();
            let result = if *kind == "response" { Ok(body) } else { Err(body) };
            match taken.lock().unwrap_or_else(PoisonError::into_inner).remove(*id) {
                Some((since, answer)) => {
                    // A caller that gave up waiting has dropped its end.
                    let _ = answer.send(Answer { result, taken: since, came: Instant::now() });
                    status(StatusCode::ACCEPTED)
                }
                None => status(StatusCode::BAD_REQUEST),
            }
        }
        // The process says why, and ends: that is what its caller notices.
        (&Method::POST, ["init", "error"]) => status(StatusCode::ACCEPTED),
        _ => status(StatusCode::NOT_FOUND),
    }
}

async fn next(queue: &Mutex<mpsc::Receiver<Event>>, taken: &Taken) -> Response<Bytes> {
    let Some(event) = queue.lock().await.recv().await else { return status(StatusCode::GONE) };
    let response = Response::builder()
        .header("lambda-runtime-aws-request-id", &event.request_id)
        .header("lambda-runtime-deadline-ms", event.deadline_ms.to_string())
        .header("lambda-runtime-invoked-function-arn", ARN)
        .header("content-type", "application/json")
        .body(event.payload);
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    taken.clear(); // a caller without an answer sees the end of its channel
    taken.insert(event.request_id, (Instant::now(), event.answer));
    response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

#[expect(clippy::disallowed_methods, reason = "a deadline is a time of day, and nothing here is tested with another")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

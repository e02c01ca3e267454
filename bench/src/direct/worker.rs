//! A job's Map phase: as many processes of `infer` as the plan has workers, each with one batch at a time.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bench::dynamodb::Cost;
use bench::model::{Call, Endpoint};
use bench::runtime::{Function, bootstrap};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::Value;
use shared::domain::job::plan::Batch;

use crate::world::{Case, ENDPOINT, World};

/// Of `infer` as deployed.
const TIMEOUT: Duration = Duration::from_secs(900);
/// The time in which a worker finds the capacity of an endpoint that does not name it.
const FOUND_OUT: Duration = Duration::from_secs(2);

/// What was measured of one job.
#[derive(Serialize)]
pub(crate) struct Run {
    kind: &'static str,
    items: usize,
    latency_ms: u64,
    slots: usize,
    workers: usize,
    chunk_items: u32,
    /// From the start of the processes to the last answer.
    map_seconds: f64,
    /// items x latency / slots as a share of that.
    efficiency: f64,
    /// From the same start to the first commit.
    first_draft_seconds: f64,
    drafts: usize,
    failed: u32,
    most_calls_at_once: usize,
    /// A process's start, and the invocations, each rounded up to a millisecond.
    billed_ms: u128,
    invocations: usize,
    peak_memory_mib: f64,
    /// Of all processes.
    processor_seconds: f64,
    /// What the endpoint took above its latency, the 99th of a hundred calls: what this machine adds that is not the worker's.
    endpoint_late_ms: f64,
    dynamodb: BTreeMap<String, Cost>,
    s3_puts: u64,
    s3_gets: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    changing: Option<Changing>,
    reports: Vec<Value>,
}

/// How the worker met an endpoint whose capacity changes.
#[derive(Serialize)]
struct Changing {
    capacity: Vec<(f64, usize)>,
    /// What it answered as a share of what it could have, after the first two seconds.
    goodput: f64,
    /// Refusals as a share of all calls.
    refused: f64,
    calls: usize,
}

/// # Errors
/// The worker did not do its work, or not all of it.
pub(crate) async fn run(case: &Case, infer: &Path) -> Result<Run, Box<dyn Error>> {
    let world = World::of(case).await?;
    let batches: Mutex<VecDeque<&Batch>> = Mutex::new(world.plan.batches.iter().collect());
    let begun = Instant::now();
    let workers = (0..world.plan.workers).map(|_| work(&world, infer, &batches));
    let worked = try_join_all(workers).await?;
    let wall = worked.iter().map(|done| done.ended).max().map_or(Duration::ZERO, |end| end - begun);
    let job = world.job().await?; // in DynamoDB's time, but nothing is measured any more
    let counters = job.state.counters;
    if counters.processed() as usize != case.items {
        return Err(format!("{} of {} items have an outcome", counters.processed(), case.items).into());
    }
    let drafts = world.table.count("ITEM#", "result");
    if drafts != counters.successful as usize {
        return Err(format!("{drafts} drafts, and {} counted", counters.successful).into());
    }
    let mut seen = world.table.seen();
    seen.costs.entry("GetItem".into()).and_modify(|cost| cost.calls -= 1); // the read just now
    let (_, calls) = world.endpoint.calls();
    let (s3_puts, s3_gets) = world.objects.calls();
    Ok(Run {
        kind: if case.capacity.is_empty() { "direct" } else { "changing" },
        items: case.items,
        latency_ms: case.latency_ms,
        slots: case.slots,
        workers: worked.len(),
        chunk_items: world.plan.batches.first().map_or(0, |batch| batch.chunk_items),
        map_seconds: wall.as_secs_f64(),
        efficiency: case.ideal().as_secs_f64() / wall.as_secs_f64(),
        first_draft_seconds: seen.first_write.map_or(0.0, |first| (first - begun).as_secs_f64()),
        drafts,
        failed: counters.failed,
        most_calls_at_once: most_at_once(&calls),
        billed_ms: worked.iter().map(|done| done.billed_ms).sum(),
        invocations: worked.iter().map(|done| done.reports.len()).sum(),
        peak_memory_mib: worked.iter().map(|done| done.peak_memory_bytes).max().unwrap_or(0) as f64 / 1_048_576.0,
        processor_seconds: worked.iter().map(|done| done.processor_time.as_secs_f64()).sum(),
        endpoint_late_ms: late(case, &calls).as_secs_f64() * 1_000.0,
        dynamodb: seen.costs,
        s3_puts,
        s3_gets,
        changing: (!case.capacity.is_empty()).then(|| changing(case, &world.endpoint, &calls)),
        reports: worked.into_iter().flat_map(|done| done.reports).collect(),
    })
}

/// What one process did.
struct Worked {
    ended: Instant,
    billed_ms: u128,
    peak_memory_bytes: u64,
    processor_time: Duration,
    reports: Vec<Value>,
}

async fn work(world: &World, infer: &Path, batches: &Mutex<VecDeque<&Batch>>) -> Result<Worked, Box<dyn Error>> {
    let mut command = bootstrap(infer);
    world.show(&mut command);
    command.env("SAGEMAKER_ENDPOINTS", format!(r#"{{"yolo": "{ENDPOINT}"}}"#));
    for (name, value) in [
        ("BOT_USER", "autolabel"),
        ("PATIENCE_SECONDS", "600"),
        ("SECRETS_KEY_ID", "none"),
        ("LOOPBACK_HTTP", "deny"),
        ("EXTRA_ROOTS", ""),
        ("CALLER_ROLES", "[]"),
        ("SOURCE_BUCKETS", "{}"),
        ("RUST_LOG", "info"),
    ] {
        command.env(name, AsRef::<OsStr>::as_ref(value));
    }
    let started = Instant::now();
    let mut function = Function::start(command).await?;
    let mut worked = Worked {
        ended: started,
        billed_ms: 0,
        peak_memory_bytes: 0,
        processor_time: Duration::ZERO,
        reports: Vec::new(),
    };
    loop {
        let next = batches.lock().map_err(|_| "a worker panicked")?.pop_front();
        let Some(batch) = next else { return Ok(worked) };
        let answer = function.invoke(serde_json::to_vec(batch)?, TIMEOUT).await?;
        let report = answer.result.map_err(|error| String::from_utf8_lossy(&error).into_owned())?;
        let since = if worked.reports.is_empty() { started } else { answer.taken };
        worked.billed_ms += (answer.came - since).as_micros().div_ceil(1_000);
        worked.ended = answer.came;
        worked.peak_memory_bytes = function.peak_memory_bytes()?;
        worked.processor_time = function.processor_time()?;
        worked.reports.push(serde_json::from_slice(&report)?);
    }
}

fn late(case: &Case, calls: &[Call]) -> Duration {
    let latency = Duration::from_millis(case.latency_ms);
    let taken = calls.iter().filter(|call| !call.refused);
    let mut late: Vec<Duration> = taken.map(|call| (call.left - call.came).saturating_sub(latency)).collect();
    late.sort_unstable();
    late.get(late.len() * 99 / 100).copied().unwrap_or_default()
}

fn most_at_once(calls: &[Call]) -> usize {
    let taken = || calls.iter().filter(|call| !call.refused);
    let mut moments: Vec<(Duration, i32)> = taken().flat_map(|call| [(call.came, 1), (call.left, -1)]).collect();
    moments.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in moments {
        now += change;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or(0)
}

fn changing(case: &Case, endpoint: &Endpoint, calls: &[Call]) -> Changing {
    // When no item waits any more the endpoint need not be full: the last calls but for one round are what counts.
    let last_came = calls.iter().map(|call| call.came).max().unwrap_or_default();
    let step = Duration::from_millis(1);
    let (mut now, mut possible) = (FOUND_OUT, 0.0);
    while now < last_came {
        possible += endpoint.room(now).unwrap_or(0) as f64 * step.as_secs_f64();
        now += step;
    }
    let latency = Duration::from_millis(case.latency_ms);
    let taken: f64 = calls
        .iter()
        .filter(|call| !call.refused)
        .map(|call| {
            let (from, to) = ((call.left - latency).max(FOUND_OUT), call.left.min(last_came));
            to.saturating_sub(from).as_secs_f64()
        })
        .sum();
    Changing {
        capacity: case.capacity.iter().map(|(from, room)| (from.as_secs_f64(), *room)).collect(),
        goodput: taken / possible,
        refused: calls.iter().filter(|call| call.refused).count() as f64 / calls.len() as f64,
        calls: calls.len(),
    }
}

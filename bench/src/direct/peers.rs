//! The scripts of `bench/peers`: the same items, the same endpoint, the same table, and boto3.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};

use bench::dynamodb::Cost;
use serde::Serialize;

use crate::world::{Case, ENDPOINT, World};

/// What was measured of a script.
#[derive(Serialize)]
pub(crate) struct Run {
    kind: &'static str,
    script: String,
    items: usize,
    latency_ms: u64,
    slots: usize,
    /// From the first call of the model to the last write: the start of Python and boto3, about a second, is not counted.
    seconds: f64,
    efficiency: f64,
    items_per_second: f64,
    first_draft_seconds: f64,
    dynamodb: BTreeMap<String, Cost>,
}

/// # Errors
/// The script failed, or left items out.
pub(crate) async fn run(script: &str, case: &Case, python: &Path) -> Result<Run, Box<dyn Error>> {
    let world = World::of(case).await?;
    let manifest = &world.plan.batches.first().ok_or("a job without items")?.manifest;
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(format!("{script}.py")));
    world.show(&mut command);
    command.env("SLOTS", case.slots.to_string()).env("MODEL_ENDPOINT", ENDPOINT).env("MANIFEST", manifest);
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1");
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let ended = tokio::task::spawn_blocking(move || process.wait()).await??;
    if !ended.success() {
        return Err(format!("{script}: {ended}").into());
    }
    let (first_call, calls) = world.endpoint.calls();
    if calls.len() != case.items {
        return Err(format!("{script} asked {} times about {} items", calls.len(), case.items).into());
    }
    let seen = world.table.seen();
    let (begun, ended) = first_call.zip(seen.last_write).ok_or("a script that wrote nothing")?;
    let seconds = (ended - begun).as_secs_f64();
    Ok(Run {
        kind: "peer",
        script: script.to_owned(),
        items: case.items,
        latency_ms: case.latency_ms,
        slots: case.slots,
        seconds,
        efficiency: case.ideal().as_secs_f64() / seconds,
        items_per_second: case.items as f64 / seconds,
        first_draft_seconds: seen.first_write.map_or(0.0, |first| (first - begun).as_secs_f64()),
        dynamodb: seen.costs,
    })
}

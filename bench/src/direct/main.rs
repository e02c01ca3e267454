//! The direct run: the real `infer` binary, driven through a Runtime API of ours against a table, a bucket and an endpoint that
//! are no bottleneck. Beside it the scripts of `bench/peers`, against the same. Prints what it measured as JSON, a line for each run;
//! `make bench` makes a table of it.

mod peers;
mod worker;
mod world;

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde::Serialize;

use world::Case;

/// The capacity of the endpoint that does not name it, from these seconds on.
const CHANGING: [(u64, usize); 4] = [(0, 24), (5, 8), (10, 32), (15, 12)];
/// As many as the job that they are set beside, so that beginning and end weigh the same.
const ITEMS_OF_A_SCRIPT: usize = 5_000;
/// One call after another has neither: its rate is the same from the first item on.
const ITEMS_ONE_AT_A_TIME: usize = 200;

#[derive(Parser)]
struct Arguments {
    /// The bootstrap of `infer`.
    #[arg(long)]
    infer: PathBuf,
    /// The Python that has boto3.
    #[arg(long)]
    python: PathBuf,
    /// Runs of at least this many seconds, even if nothing but the model took time, are left out.
    #[arg(long, default_value_t = 70)]
    longest_seconds: u64,
    /// Items, model latency in ms and slots of the only run.
    #[arg(long, num_args = 3)]
    only: Option<Vec<usize>>,
    /// The only run is this script's, not `infer`'s.
    #[arg(long, requires = "only")]
    script: Option<String>,
    /// Only the scripts.
    #[arg(long)]
    only_peers: bool,
    /// Only the endpoint whose capacity changes.
    #[arg(long)]
    only_changing: bool,
    /// What a call of DynamoDB takes, ms.
    #[arg(long, default_value_t = 5)]
    table_ms: u64,
    /// What a call of S3 takes, ms.
    #[arg(long, default_value_t = 20)]
    bucket_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let case = |items, latency_ms, slots| Case {
        items,
        latency_ms,
        slots,
        capacity: Vec::new(),
        table: Duration::from_millis(arguments.table_ms),
        bucket: Duration::from_millis(arguments.bucket_ms),
    };
    if let Some([items, latency_ms, slots]) = arguments.only.as_deref() {
        let case = case(*items, *latency_ms as u64, *slots);
        return match &arguments.script {
            Some(script) => print(&peers::run(script, &case, &arguments.python).await?),
            None => print(&worker::run(&case, &arguments.infer).await?),
        };
    }
    if !arguments.only_peers && !arguments.only_changing {
        for latency_ms in [50, 200] {
            for slots in [4, 16, 64] {
                for items in [100, 1_000, 5_000, 20_000] {
                    let case = case(items, latency_ms, slots);
                    if case.ideal() < Duration::from_secs(arguments.longest_seconds) {
                        print(&worker::run(&case, &arguments.infer).await?)?;
                    }
                }
            }
        }
    }
    if !arguments.only_peers {
        let capacity = CHANGING.map(|(second, room)| (Duration::from_secs(second), room)).to_vec();
        print(&worker::run(&Case { capacity, ..case(7_000, 50, 64) }, &arguments.infer).await?)?;
    }
    if !arguments.only_changing {
        print(&peers::run("one_at_a_time", &case(ITEMS_ONE_AT_A_TIME, 50, 1), &arguments.python).await?)?;
        for script in ["naive", "batched"] {
            for slots in [16, 64] {
                print(&peers::run(script, &case(ITEMS_OF_A_SCRIPT, 50, slots), &arguments.python).await?)?;
            }
        }
    }
    Ok(())
}

fn print(run: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, run)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

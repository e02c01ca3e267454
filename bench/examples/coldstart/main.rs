//! `make coldstart`: what each function takes to start, in instructions, bytes and memory (issue 6, 5).
//!
//! The binaries are the ones that ship, and each is its own process with a Runtime API of its own. From exec to the first
//! answer it reads a key from a DynamoDB that has a certificate: name resolution, handshake and signature are all in it.

mod callgrind;
mod endpoint;
mod functions;
mod warm;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use bench::runtime::{Function, bootstrap};
use callgrind::{Counted, PATIENCE};
use clap::Parser;
use endpoint::Endpoint;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use functions::Case;
use serde::Serialize;
use serde_json::json;
use warm::{Program, Warm};

/// Starts of each function: the median is its time.
const STARTS: usize = 15;
const WORKER: &str = "infer";
/// Calls after the first one: a warm call is their mean.
const WARM_CALLS: u64 = 10;
/// On Debian, and so on what GitHub and GitLab run; 140 authorities, as on Lambda.
const MACHINE_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Runs under callgrind until one of them is as it would be without.
const TRIES: u32 = 3;
const MOST_INSTRUCTIONS: u64 = 8_000_000;
const MOST_INSTRUCTIONS_OF_AN_ITEM: u64 = 1_000_000;
const LEAST_RATIO_TO_BOTO3: u64 = 10;
/// A handler without its calls of AWS, beside an empty one.
const MOST_EMPTY_HANDLERS: f64 = 2.0;
/// The functions whose warm calls show what a read of the table takes: one with a read and little else, and one without.
const ONE_READ: [&str; 2] = ["finalize", "empty"];
const MOST_ZIPPED_BYTES: u64 = 4 * 1024 * 1024;
const MOST_MEMORY_BYTES: u64 = 32 * 1024 * 1024;

/// What one binary takes.
#[derive(Debug, Serialize)]
struct Figures {
    name: String,
    /// From exec to the first answer.
    cold_instructions: u64,
    /// The same in time, the median of some starts: to be set beside the others of the same run.
    cold_ms: f64,
    /// Of the same call again; `None` of a worker, whose reads side by side end with the first that fails: how many there are is
    /// chance, and what an item more takes says more.
    warm_instructions: Option<u64>,
    /// The most in use, up to the first answer.
    memory_bytes: u64,
    zipped_bytes: u64,
    /// Calls of AWS in a warm call of the API. `None`: no function of the API.
    #[serde(skip)]
    calls: Option<u64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, cold_instructions, cold_ms, warm_instructions, memory_bytes, zipped_bytes, calls: _ } = self;
        let megabytes = *memory_bytes as f64 / 1_048_576.0;
        let warm = warm_instructions.map_or("-".to_owned(), |count| count.to_string());
        write!(f, "{name:<12}{cold_instructions:>16}{cold_ms:>16.1}{warm:>16}{megabytes:>12.1}{zipped_bytes:>14}")
    }
}

impl Figures {
    /// What is above its bound.
    fn excess(&self) -> Vec<String> {
        let bounds = [
            ("instructions to the first answer", self.cold_instructions, MOST_INSTRUCTIONS),
            ("bytes of memory", self.memory_bytes, MOST_MEMORY_BYTES),
            ("bytes zipped", self.zipped_bytes, MOST_ZIPPED_BYTES),
        ];
        let above = bounds.into_iter().filter(|(_, figure, most)| figure > most);
        above.map(|(what, figure, most)| format!("{}: {figure} {what}, above {most}", self.name)).collect()
    }
}

/// Where the counts are kept, and what the functions talk to.
struct Bench {
    scratch: PathBuf,
    endpoint: Endpoint,
    environment: Vec<(&'static str, String)>,
}

impl Bench {
    async fn in_folder(scratch: &str) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(scratch)?;
        let scratch = fs::canonicalize(scratch)?;
        let bundle = scratch.join("authority.pem");
        let endpoint = Endpoint::start(&bundle).await?;
        // What the SDK reads by default is this machine's store, and then only this one file.
        let all_roots = scratch.join("all-roots.pem");
        let machine = fs::read_to_string(MACHINE_ROOTS).unwrap_or_default();
        fs::write(&all_roots, machine + &fs::read_to_string(&bundle)?)?;
        let environment = vec![
            ("AWS_ENDPOINT_URL", endpoint.url.clone()),
            ("AWS_CA_BUNDLE", bundle.display().to_string()),
            ("SSL_CERT_FILE", all_roots.display().to_string()),
        ];
        Ok(Self { scratch, endpoint, environment })
    }

    /// Measures a binary and prints the figures, or why there are none.
    async fn report(&self, binary: &Path, case: &Case) -> Result<Figures, String> {
        let measured = self.measure(binary, case).await.map_err(|error| format!("{}: {error}", case.name));
        match &measured {
            Ok(figures) => println!("{figures}"),
            Err(failure) => println!("{failure}"),
        }
        measured
    }

    fn command(&self, binary: &Path) -> Command {
        let mut command = bootstrap(binary);
        command.envs(functions::ENVIRONMENT);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// One start, and its time to the first answer.
    async fn started(&self, binary: &Path, case: &Case) -> Result<Duration, Box<dyn Error>> {
        let begun = Instant::now();
        let mut function = Function::start(again(&self.command(binary))).await?;
        self.answered(case, &mut function).await?;
        Ok(begun.elapsed())
    }

    async fn measure(&self, binary: &Path, case: &Case) -> Result<Figures, Box<dyn Error>> {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(self.started(binary, case).await?);
        }
        times.sort_unstable();
        let command = self.command(binary);
        self.endpoint.seen();
        let mut function = Function::start(again(&command)).await?;
        self.answered(case, &mut function).await?;
        let memory_bytes = function.peak_memory_bytes()?;
        let (connections, first_calls) = self.endpoint.seen();
        self.answered(case, &mut function).await?;
        let (_, further_calls) = self.endpoint.seen();
        let cold = self.counted(&command, case, 0, (connections, first_calls)).await?;
        let calls = first_calls + WARM_CALLS as usize * further_calls;
        let warm = match case.name.as_str() {
            WORKER => None,
            _ => Some(self.counted(&command, case, WARM_CALLS, (connections, calls)).await?),
        };
        Ok(Figures {
            name: case.name.clone(),
            cold_instructions: cold,
            cold_ms: times[times.len() / 2].as_secs_f64() * 1_000.0,
            warm_instructions: warm.map(|count| count.saturating_sub(cold) / WARM_CALLS),
            memory_bytes,
            zipped_bytes: zipped_bytes(binary)?,
            calls: case.is_of_api().then_some(further_calls as u64),
        })
    }

    /// Instructions up to the first answer, or up to a further one. Under callgrind a process is fifty times slower, and may
    /// connect or call again because it has waited too long: such a run does not count.
    async fn counted(
        &self,
        command: &Command,
        case: &Case,
        further: u64,
        as_usual: (usize, usize),
    ) -> Result<u64, Box<dyn Error>> {
        let mut failure = "never tried".into();
        for _ in 0..TRIES {
            let file = self.scratch.join(format!("{}-{}.callgrind", case.name, 1 + further));
            let mut counted = Counted::start(command, file).await?;
            let mut answered = Ok(());
            for _ in 0..=further {
                answered = answered.and(self.answered(case, counted.function()).await);
            }
            let seen = self.endpoint.seen();
            match answered {
                Ok(()) if seen == as_usual => return counted.instructions(),
                Ok(()) => failure = format!("{}: {seen:?} connections and calls, not {as_usual:?}", case.name).into(),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// A function that does not reach the table answers too, and sooner: that is no figure.
    async fn answered(&self, case: &Case, function: &mut Function) -> Result<(), Box<dyn Error>> {
        let answer = function.invoke(case.event.to_string(), PATIENCE).await?;
        let (Ok(body) | Err(body)) = &answer.result;
        let body = String::from_utf8_lossy(body);
        let expected = if answer.result.is_ok() { !body.contains("unavailable") } else { body.contains("NotFound") };
        if expected { Ok(()) } else { Err(format!("{} answers {body}", case.name).into()) }
    }
}

fn again(command: &Command) -> Command {
    let mut same = Command::new(command.get_program());
    same.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdout(Stdio::null());
    same
}

/// A zip of one file is its deflated bytes, and some two hundred more.
fn zipped_bytes(binary: &Path) -> Result<u64, Box<dyn Error>> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&fs::read(binary)?)?;
    Ok(packed.finish()?.len() as u64 + 200)
}

/// Where everything is that was built for this.
#[derive(Parser)]
struct Arguments {
    /// The folder with a folder for each function.
    #[arg(long, default_value = "target/lambda")]
    functions: PathBuf,
    /// The folder of what they are measured beside (`bench/baselines`).
    #[arg(long, default_value = "target/baselines/release")]
    baselines: PathBuf,
    /// The direct run (`bench/src/direct`).
    #[arg(long)]
    direct: PathBuf,
    /// The Python that has boto3.
    #[arg(long, default_value = ".venv/bin/python")]
    python: PathBuf,
    /// Starts each function once, and counts nothing: whether it has all that it needs.
    #[arg(long)]
    only_start: bool,
    /// Only these; then nothing is written.
    names: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Arguments { functions, baselines, direct, python, only_start, names } = Arguments::parse();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let bench = Bench::in_folder("target/coldstart").await?;
    let binary = |case: &Case| functions.join(&case.name).join("bootstrap");
    let mut cases = functions::all()?;
    cases.retain(|case| wanted(&case.name));
    if only_start {
        for case in &cases {
            bench.started(&binary(case), case).await.map_err(|error| format!("{}: {error}", case.name))?;
            println!("{}", case.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<12}{:>16}{:>16}{:>16}{:>12}{:>14}", "", "first answer", "first answer", "warm call", "memory", "zip");
    println!("{:<12}{:>16}{:>16}{:>16}{:>12}{:>14}", "", "instructions", "ms", "instructions", "MB", "bytes");
    let (mut measured, mut others, mut excess) = (Vec::new(), Vec::new(), Vec::new());
    for case in &cases {
        match bench.report(&binary(case), case).await {
            Ok(figures) => measured.push(figures),
            Err(failure) => excess.push(failure),
        }
    }
    excess.extend(measured.iter().flat_map(Figures::excess));
    for case in functions::baselines()?.iter().filter(|case| wanted(&case.name)) {
        match bench.report(&baselines.join(&case.name), case).await {
            Ok(figures) => others.push(figures),
            Err(failure) => excess.push(failure),
        }
    }
    let handlers = handlers(measured.iter().chain(&others));
    for (name, ratio) in &handlers {
        println!("{name:<12}{ratio:>16.2} empty handlers without its calls of AWS");
        if *ratio > MOST_EMPTY_HANDLERS {
            excess.push(format!("{name}: {ratio:.2} empty handlers, above {MOST_EMPTY_HANDLERS}"));
        }
    }
    let mut items = BTreeMap::new();
    if wanted("items") {
        let warm = Warm { direct, scratch: bench.scratch };
        println!("\n{:<12}{:>16}", "", "an item more");
        for (name, program, sizes) in [
            ("infer", Program::Infer(&functions.join("infer").join("bootstrap")), [100, 500]),
            ("naive", Program::Script("naive", &python), [10, 40]),
            ("batched", Program::Script("batched", &python), [25, 75]),
        ] {
            let instructions = warm.per_item(&program, sizes)?;
            println!("{name:<12}{instructions:>16}");
            items.insert(name, instructions);
        }
        excess.extend(excess_of(&items));
    }
    if names.is_empty() {
        let table = json!({ "functions": measured, "baselines": others, "instructions_per_item": items,
            "handlers_without_calls": handlers });
        fs::write("bench/coldstart.json", serde_json::to_string_pretty(&table)? + "\n")?;
    }
    for line in &excess {
        eprintln!("{line}");
    }
    Ok(if excess.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a warm call of each function of the API takes without its calls of AWS, in empty handlers. A call of AWS takes what the read
/// of [`ONE_READ`] does.
fn handlers<'a>(figures: impl Iterator<Item = &'a Figures>) -> BTreeMap<&'a str, f64> {
    let figures: Vec<&Figures> = figures.collect();
    let warm = |name| figures.iter().find(|of| of.name == name)?.warm_instructions;
    let [Some(read), Some(none), Some(empty)] = [warm(ONE_READ[0]), warm(ONE_READ[1]), warm(functions::AXUM)] else {
        return BTreeMap::new();
    };
    let ratio = |of: &&'a Figures| {
        let own = of.warm_instructions?.saturating_sub(of.calls? * read.saturating_sub(none));
        Some((of.name.as_str(), own as f64 / empty as f64))
    };
    figures.iter().filter(|of| of.name != functions::AXUM).filter_map(ratio).collect()
}

/// What an item takes too much of, by itself or beside the best of the scripts.
fn excess_of(items: &BTreeMap<&str, u64>) -> Vec<String> {
    let of = |name| items.get(name).copied().unwrap_or_default();
    let (ours, theirs) = (of("infer"), of("batched").min(of("naive")));
    let mut excess = Vec::new();
    if ours > MOST_INSTRUCTIONS_OF_AN_ITEM {
        excess.push(format!("infer: {ours} instructions an item, above {MOST_INSTRUCTIONS_OF_AN_ITEM}"));
    }
    if ours * LEAST_RATIO_TO_BOTO3 > theirs {
        excess.push(format!(
            "infer: {ours} instructions an item, and boto3 {theirs}: less than {LEAST_RATIO_TO_BOTO3} times"
        ));
    }
    excess
}

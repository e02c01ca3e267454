//! How many instructions a process takes: valgrind's callgrind counts the same for the same run, whatever else the machine does.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bench::runtime::Function;

pub(crate) const VALGRIND: &str = "/usr/bin/valgrind";
/// `rep stosb` and `rep movsb` clear and copy as one instruction of the processor; valgrind would count one for each byte. So glibc
/// uses neither here, for every program that is measured (decision 0048).
pub(crate) const WITHOUT_REP: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_stosb_threshold=1073741824:glibc.cpu.x86_rep_movsb_threshold=1073741824");
/// Fifty times slower than the process itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A run under callgrind, and the file with its counts.
pub(crate) struct Counted {
    function: Function,
    file: PathBuf,
}

impl Counted {
    /// The same command, counted.
    pub(crate) async fn start(command: &Command, file: PathBuf) -> Result<Self, Box<dyn Error>> {
        let _ = fs::remove_file(&file);
        let mut counted = Command::new(VALGRIND);
        counted.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", file.display()));
        counted.arg(command.get_program()).args(command.get_args()).env_clear();
        counted.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        counted.env(WITHOUT_REP.0, WITHOUT_REP.1).stdout(Stdio::null());
        Ok(Self { function: Function::start(counted).await?, file })
    }

    /// The process, to be handed events.
    pub(crate) fn function(&mut self) -> &mut Function {
        &mut self.function
    }

    /// Ends the process. What it did since its last answer is to ask for the next event, and that is counted too.
    pub(crate) fn instructions(self) -> Result<u64, Box<dyn Error>> {
        let Self { function, file } = self;
        drop(function); // and with it the process, which writes the file
        total(&file).ok_or_else(|| format!("{} has no total", file.display()).into())
    }
}

/// What such a file says.
pub(crate) fn total(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

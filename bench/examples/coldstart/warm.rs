//! What a further item takes, of the worker and of the scripts beside it: the difference between two sizes of a job, in which
//! starting, planning and ending are the same.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use crate::callgrind::{VALGRIND, WITHOUT_REP, total};

/// The program that works through the items.
pub(crate) enum Program<'a> {
    /// The bootstrap of `infer`.
    Infer(&'a Path),
    /// A script of `bench/peers`, by name, and the Python that has boto3.
    Script(&'a str, &'a Path),
}

/// The direct run (`bench/src/direct`), which has the table, the bucket and the endpoint; and where the counts are kept.
pub(crate) struct Warm {
    pub(crate) direct: PathBuf,
    pub(crate) scratch: PathBuf,
}

impl Warm {
    /// Instructions for each item between the one size and the other.
    pub(crate) fn per_item(&self, program: &Program, sizes: [u64; 2]) -> Result<u64, Box<dyn Error>> {
        let [few, many] = sizes.map(|items| self.counted(program, items));
        Ok(many?.saturating_sub(few?) / (sizes[1] - sizes[0]))
    }

    fn counted(&self, program: &Program, items: u64) -> Result<u64, Box<dyn Error>> {
        let (binary, name) = match program {
            Program::Infer(binary) => (*binary, "infer"),
            Program::Script(name, python) => (*python, *name),
        };
        let file = self.scratch.join(format!("{name}-{items}-items.callgrind"));
        let counting = self.counting(binary, &file)?;
        let mut command = Command::new(&self.direct);
        command.args(["--table-ms", "0", "--bucket-ms", "0", "--only", &items.to_string(), "0", "4"]);
        command.arg("--infer").arg(&counting).arg("--python").arg(&counting).stdout(Stdio::null());
        if let Program::Script(name, _) = program {
            command.args(["--script", name]);
        }
        if !command.status()?.success() {
            return Err(format!("{name} did not work through {items} items").into());
        }
        total(&file).ok_or_else(|| format!("{} has no total", file.display()).into())
    }

    /// A command like this binary, counted: its caller clears the environment, and knows nothing of callgrind.
    fn counting(&self, binary: &Path, file: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let script = self.scratch.join("counting");
        let (binary, file) = (path::absolute(binary)?, file.display());
        let (variable, value) = WITHOUT_REP;
        let line = format!(
            "{variable}={value} exec {VALGRIND} --tool=callgrind --quiet --callgrind-out-file={file} {} \"$@\"",
            binary.display()
        );
        fs::write(&script, format!("#!/bin/sh\nrm -f {file}\n{line}\n"))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        Ok(script)
    }
}

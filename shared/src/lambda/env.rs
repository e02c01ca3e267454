//! The environment, read once. Nothing else in the system reads it.

use std::ffi::OsString;
use std::str::FromStr;

/// Levels of the log, which starts before the rest of the environment is read.
pub(super) fn log_levels() -> String {
    std::env::var("RUST_LOG").unwrap_or_else(|_| "error".into())
}

/// A file of authorities, as the AWS command line has it.
pub(super) fn ca_bundle() -> Option<OsString> {
    std::env::var_os("AWS_CA_BUNDLE")
}

/// Variables that are missing or wrong: all of them, so that one failed start names everything.
#[derive(Debug, thiserror::Error)]
#[error("environment: {}", .0.join(", "))]
pub struct MissingVariables(Vec<String>);

/// Reads variables and collects complaints. No variable has a silent default: the stack sets them all.
#[derive(Debug, Default)]
pub struct Env {
    wrong: Vec<String>,
}

impl Env {
    /// A reader without complaints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A text; may be empty, must be set.
    pub fn text(&mut self, name: &str) -> String {
        std::env::var(name).unwrap_or_else(|_| {
            self.wrong.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A number, or whatever else is read from text.
    pub fn parsed<T: FromStr + Default>(&mut self, name: &str) -> T {
        let text = self.text(name);
        text.parse().unwrap_or_else(|_| {
            self.wrong.push(format!("{name} is not understood"));
            T::default()
        })
    }

    /// Numbers with commas between them.
    pub fn numbers(&mut self, name: &str) -> Vec<u64> {
        let text = self.text(name);
        let numbers: Result<Vec<u64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        numbers.unwrap_or_else(|_| {
            self.wrong.push(format!("{name} must be numbers with commas between them"));
            Vec::new()
        })
    }

    /// A JSON value.
    pub fn json<T: serde::de::DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let text = self.text(name);
        serde_json::from_str(&text).unwrap_or_else(|_| {
            self.wrong.push(format!("{name} is not the JSON it should be"));
            T::default()
        })
    }

    /// The development switch for plain HTTP on loopback (contract, D18). It takes effect only where AWS itself is on
    /// loopback: no deployed stack can turn it on.
    pub fn loopback_http(&mut self) -> bool {
        let wanted = match self.text("LOOPBACK_HTTP").as_str() {
            "allow" => true,
            "deny" => false,
            _ => {
                self.wrong.push("LOOPBACK_HTTP must be allow or deny".into());
                false
            }
        };
        let emulated = std::env::var("AWS_ENDPOINT_URL").is_ok_and(|url| {
            ["http://127.0.0.1:", "http://localhost:"].iter().any(|loopback| url.starts_with(loopback))
        });
        wanted && emulated
    }

    /// # Errors
    /// Every complaint.
    pub fn finish(self) -> Result<(), MissingVariables> {
        if self.wrong.is_empty() { Ok(()) } else { Err(MissingVariables(self.wrong)) }
    }
}

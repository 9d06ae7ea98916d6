//! The arguments of `cargo xtask machines`.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;

/// How long one machine may run unless told otherwise.
const TIME: Duration = Duration::from_secs(900);

/// The arguments.
#[derive(Debug)]
pub(super) struct Options {
    /// Names of the machines to boot; all when empty.
    pub(super) only: Vec<String>,
    /// The program to test; built when absent.
    pub(super) stockade: Option<PathBuf>,
    /// Parts of the names of attacks to run; all when empty.
    pub(super) attacks: Vec<String>,
    /// How long each machine may run.
    pub(super) time: Duration,
}

impl Options {
    pub(super) fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let mut options = Self { only: Vec::new(), stockade: None, attacks: Vec::new(), time: TIME };
        let mut rest = arguments.iter();
        while let Some(&option) = rest.next() {
            let value = *rest.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option {
                "--only" => options.only.push(value.to_owned()),
                "--stockade" => options.stockade = Some(file(value)?),
                "--attack" => options.attacks.push(value.to_owned()),
                "--time" => options.time = Duration::from_secs(value.parse().map_err(|_| seconds_wanted(value))?),
                _ => return Err(format!("unknown option {option}").into()),
            }
        }
        Ok(options)
    }
}

fn file(value: &str) -> Result<PathBuf, Failure> {
    std::fs::canonicalize(value).map_err(|error| format!("cannot use {value:?}: {error}").into())
}

fn seconds_wanted(value: &str) -> String {
    format!("--time needs a number of seconds, not {value:?}")
}

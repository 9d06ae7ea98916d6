//! The arguments of the benchmark.

use std::path::PathBuf;

use super::Failure;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Starting and ending a command that does nothing.
    Start,
    /// Work on many small files.
    Work,
    /// Memory of the supervisor.
    Memory,
    /// The gate's connections.
    Network,
    /// Sandboxes that last.
    Sandboxes,
}

/// The arguments.
#[derive(Debug)]
pub(super) struct Options {
    /// Rounds of the commands that do nothing.
    pub(super) rounds: usize,
    /// Rounds of the commands that work.
    pub(super) work_rounds: usize,
    only: Option<Part>,
    /// The program to measure; built when absent.
    pub(super) stockade: Option<PathBuf>,
    /// Whom root becomes.
    pub(super) user: String,
    /// Stay root.
    pub(super) as_root: bool,
    /// Where raw samples go.
    pub(super) json: Option<PathBuf>,
    /// The arguments as they were given.
    pub(super) given: Vec<String>,
}

impl Options {
    pub(super) fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let mut options = Self {
            rounds: 300,
            work_rounds: 15,
            only: None,
            stockade: None,
            user: "tester".to_owned(),
            as_root: false,
            json: None,
            given: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        };
        let mut rest = arguments.iter();
        while let Some(&option) = rest.next() {
            if option == "--as-root" {
                options.as_root = true;
                continue;
            }
            let value = *rest.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option {
                "--rounds" => options.rounds = at_least_one(option, value)?,
                "--work-rounds" => options.work_rounds = at_least_one(option, value)?,
                "--only" => options.only = Some(part(value)?),
                "--stockade" => options.stockade = Some(std::fs::canonicalize(value)?),
                "--user" => value.clone_into(&mut options.user),
                "--json" => options.json = Some(std::path::absolute(value)?),
                _ => return Err(format!("unknown option {option}").into()),
            }
        }
        Ok(options)
    }

    pub(super) fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

fn at_least_one(option: &str, value: &str) -> Result<usize, Failure> {
    match value.parse() {
        Ok(0) | Err(_) => Err(format!("{option} needs a number of rounds, at least 1, not {value:?}").into()),
        Ok(rounds) => Ok(rounds),
    }
}

fn part(value: &str) -> Result<Part, Failure> {
    match value {
        "start" => Ok(Part::Start),
        "work" => Ok(Part::Work),
        "memory" => Ok(Part::Memory),
        "network" => Ok(Part::Network),
        "sandboxes" => Ok(Part::Sandboxes),
        _ => Err(format!("--only takes start, work, memory, network or sandboxes, not {value:?}").into()),
    }
}

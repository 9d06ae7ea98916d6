//! Sandboxes that last: commands in one that runs, checkpoints on a large workspace, and many at once.

mod commands;
mod many;
mod tree;
mod versions;

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade::policy::Overrides;
use stockade::request::{Terminal, Trace};
use stockade::sandbox::{Exec, Options, Sandbox, Sandboxes};
use stockade::{HostStdio, Job, Request};

use super::Failure;
use super::place::{Place, SEARCH_PATH};

/// Measures and prints tables.
pub(super) fn measure(place: &Place, rounds: usize) -> Result<Value, Failure> {
    let bench = Bench::new(place)?;
    let commands = commands::measure(place, &bench, rounds)?;
    let many = many::measure(place, &bench)?;
    let versions = versions::measure(place, &bench)?;
    Ok(json!({ "commands": commands, "many": many, "versions": versions }))
}

/// What every part of it needs.
#[derive(Debug)]
struct Bench {
    all: Sandboxes,
    state: std::path::PathBuf,
    home: std::path::PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Bench {
    fn new(place: &Place) -> Result<Self, Failure> {
        let home = place.bare_home.clone();
        let state = home.join(".local/state/stockade");
        let environment = vec![("PATH".into(), SEARCH_PATH.into()), ("HOME".into(), home.clone().into())];
        let all = Sandboxes::new(&state, &place.stockade, environment.clone())?;
        Ok(Self { all, state, home, environment })
    }

    /// Makes a sandbox with the default policy.
    fn create(&self, name: &str, workspace: &Path, linger: Duration) -> Result<Sandbox, Failure> {
        let request = Request {
            command: Vec::new(),
            workspace: workspace.to_owned(),
            directory: workspace.to_owned(),
            home: self.home.clone(),
            environment: self.environment.clone(),
            terminal: Terminal::default(),
            isolation: None,
            trace: Trace::Off,
            temporary: "/tmp".into(),
            run_id: "bench".to_owned(),
            layers: None,
        };
        let overrides = Overrides::default();
        let (layers, state) = (Vec::new(), self.state.as_path());
        let job = Job { layers, workspace: None, overrides: &overrides, request: &request, own: &[], state };
        Ok(self.all.create(Some(name), &job, &Options { linger, ..Options::default() })?)
    }
}

/// A command without input whose output goes nowhere.
fn run(sandbox: &Sandbox, command: &[&str]) -> Result<(), Failure> {
    let exec = Exec { command: command.iter().map(OsString::from).collect(), ..Exec::default() };
    let outcome = sandbox.exec(&exec, &nowhere()?)?.outcome;
    if outcome.exit_status() == 0 { Ok(()) } else { Err(format!("{command:?} ended with {outcome:?}").into()) }
}

fn nowhere() -> std::io::Result<HostStdio> {
    let open = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(Into::into);
    Ok(HostStdio { stdin: open()?, stdout: open()?, stderr: open()? })
}

/// How long something takes.
fn timed<T>(action: impl FnOnce() -> Result<T, Failure>) -> Result<(Duration, T), Failure> {
    let start = Instant::now();
    let done = action()?;
    Ok((start.elapsed(), done))
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

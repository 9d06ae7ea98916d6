//! Where a program or a fault is tried: a home with a workspace, a directory outside, and the internet around it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::run::Bench;
use crate::user::User;

/// Seconds that one run may take; one that hangs is a finding, and must not keep the others from being made.
const SECONDS: &str = "60";

/// The place of one trial.
#[derive(Debug)]
pub(crate) struct Place<'b> {
    base: TempDir,
    bench: &'b Bench,
    user: &'b User,
    /// Whether runs have the machine's own network.
    own_network: bool,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit status; 124 where it took too long.
    pub(crate) status: Option<i32>,
    /// Standard output.
    pub(crate) output: String,
    /// Standard error.
    pub(crate) errors: String,
    /// The report, where there is one.
    pub(crate) report: Value,
    /// The events, one on each line.
    pub(crate) events: String,
    /// Memory in KiB that the largest process had at once.
    pub(crate) memory: u64,
}

impl<'b> Place<'b> {
    /// A fresh place, with these services besides those that are always there, and furnished by this script.
    pub(crate) fn new(bench: &'b Bench, user: &'b User, services: &[&str], setup: &str) -> io::Result<Self> {
        let base = tempfile::Builder::new().prefix("stockade-e2e-").tempdir()?;
        user.own(base.path())?;
        let place = Self { base, bench, user, own_network: false };
        let directories = services.iter().map(|service| format!("outside/{service}")).collect::<Vec<_>>().join(" ");
        let setup = format!("set -e; mkdir -p home/project outside/files {directories}; {setup}");
        let done = place.command("sh").args(["-c", &place.fill(&setup)]).current_dir(place.base()).output()?;
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() { Ok(place) } else { Err(io::Error::other(errors)) }
    }

    /// The same place with the machine's own network around it.
    pub(crate) fn on_the_machine(self) -> Self {
        Self { own_network: true, ..self }
    }

    fn base(&self) -> &Path {
        self.base.path()
    }

    fn workspace(&self) -> PathBuf {
        self.base().join("home/project")
    }

    /// A command as the user, with nothing of the environment but where programs are.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.base().join("home"));
        command.env("LANG", "C.UTF-8").current_dir(self.workspace()).stdin(Stdio::null());
        self.user.becomes(&mut command);
        command
    }

    /// Puts what is known only here in the place of `BASE` and `STOCKADE`.
    fn fill(&self, text: &str) -> String {
        let stockade = self.bench.program("stockade");
        let report = self.base().join("report.json");
        let stockade = format!("{} run --report {}", stockade.display(), report.display());
        text.replace("BASE", &self.base().to_string_lossy()).replace("STOCKADE", &stockade)
    }

    /// Runs a shell script natively.
    pub(crate) fn native(&self, script: &str) -> io::Result<Run> {
        self.run(&["sh", "-c", &self.fill(script)])
    }

    /// Runs a shell script in a sandbox.
    pub(crate) fn boxed(&self, options: &[&str], script: &str) -> io::Result<Run> {
        let (stockade, report) = (self.bench.program("stockade"), self.base().join("report.json"));
        let options: Vec<String> = options.iter().map(|option| self.fill(option)).collect();
        let (stockade, report, script) = (stockade.to_string_lossy(), report.to_string_lossy(), self.fill(script));
        let events = self.base().join("events.json");
        let events = events.to_string_lossy();
        let mut words =
            vec![&*stockade, "run", "--isolation", "namespaces", "--report", &*report, "--events", &*events];
        words.extend(options.iter().map(String::as_str));
        words.extend(["--", "sh", "-c", &script]);
        self.run(&words)
    }

    fn run(&self, words: &[&str]) -> io::Result<Run> {
        // What the run before left, whatever it was, must not be taken for this one's.
        let (report, events) = (self.base().join("report.json"), self.base().join("events.json"));
        drop(fs::remove_file(&report).and_then(|()| fs::remove_file(&events)));
        let mut command = self.command("timeout");
        command.args(["--kill-after=1", SECONDS]);
        if self.own_network {
            command.env("PATH", path());
            // A toolchain is shown inside where it lies below the home of who has it.
            if let (true, Some(home)) = (self.user.is_own(), std::env::var_os("HOME")) {
                command.env("HOME", home);
            }
        } else {
            command.arg(self.bench.program("internet")).arg(self.base());
        }
        command.args(words);
        let Output { status, stdout, stderr } = command.output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let memory = fs::read_to_string(self.base().join("outside/peak-memory")).unwrap_or_default();
        let report = fs::read(&report).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Run {
            status: status.code(),
            output: text(&stdout),
            errors: text(&stderr),
            report: report.unwrap_or(Value::Null),
            events: fs::read_to_string(&events).unwrap_or_default(),
            memory: memory.parse().unwrap_or_default(),
        })
    }

    /// What came to the hosts outside in all runs.
    pub(crate) fn record(&self) -> String {
        fs::read_to_string(e2e::internet::log(self.base())).unwrap_or_default()
    }
}

/// Where programs are, with the toolchain that builds this suite first, past what chooses among several.
pub(crate) fn path() -> String {
    let cargo = std::env::var("CARGO").unwrap_or_default();
    let toolchain = cargo.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{toolchain}:/usr/local/bin:/usr/bin:/bin").trim_start_matches(':').to_owned()
}

impl Run {
    /// Whether report and events have a denial of this area on a target with this part.
    pub(crate) fn denied(&self, area: &str, part: &str) -> bool {
        let is_it = |denial: &Value| {
            denial["area"] == area && denial["target"].as_str().is_some_and(|target| target.contains(part))
        };
        let listed = self.report["denials"].as_array().is_some_and(|denials| denials.iter().any(is_it));
        listed && self.events().any(|event| is_it(&event["denial"]))
    }

    /// Whether report and events have a connection to a host.
    pub(crate) fn connected(&self, host: &str) -> bool {
        let is_it = |connection: &Value| connection["host"] == host;
        let connections = self.report["network"]["connections"].as_array();
        let listed = connections.is_some_and(|connections| connections.iter().any(is_it));
        listed && self.events().any(|event| is_it(&event["connection"]))
    }

    fn events(&self) -> impl Iterator<Item = Value> {
        self.events.lines().filter_map(|line| serde_json::from_str(line).ok())
    }

    /// The run in words.
    pub(crate) fn describe(&self) -> String {
        let end = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(12)..]
                .iter()
                .map(|line| format!("         | {line}\n"))
                .collect::<String>()
        };
        let told = &self.report;
        format!(
            "status {:?}, {} KiB\n{}         errors:\n{}         network: {}\n         denials: {}",
            self.status,
            self.memory,
            end(&self.output),
            end(&self.errors),
            told["network"],
            told["denials"]
        )
    }
}

//! `cargo xtask deny`: `cargo deny`, with the advisories only where their database can be fetched.
//!
//! Licences, banned crates and sources are judged from what the lock file names. Advisories come from a git repository,
//! which a machine that reaches nothing but package registries cannot clone: then they are said to be not run.

use std::error::Error;
use std::process::{Command, Stdio};

/// How it is used.
pub(crate) const USAGE: &str = "\
  deny
        judge licences, banned crates, sources and, where their database is reachable, advisories (deny.toml)
";

/// What stops it.
type Failure = Box<dyn Error>;

/// Where `cargo deny` gets its advisories, unless told otherwise.
const ADVISORIES: &str = "https://github.com/RustSec/advisory-db";

/// Runs `cargo deny` on this workspace and on that of the fuzz targets.
#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
pub(crate) fn run() -> Result<(), Failure> {
    let mut checks = vec!["bans", "licenses", "sources"];
    if reachable(ADVISORIES) {
        checks.push("advisories");
    } else {
        println!("not run: advisories of RustSec, since {ADVISORIES} cannot be reached from here");
    }
    let (mut passed, mut failed) = (0, 0);
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        for check in &checks {
            let mut command = Command::new("cargo-deny");
            command.args(["--locked", "--config", "deny.toml", "--manifest-path", manifest]);
            let status = command.args(["check", "--hide-inclusion-graph", check]).stdin(Stdio::null()).status();
            let status = status.map_err(|error| format!("cannot run cargo-deny: {error}"))?;
            println!("{manifest}: {check}: {}", if status.success() { "ok" } else { "FAILED" });
            *(if status.success() { &mut passed } else { &mut failed }) += 1;
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(format!("cargo deny found fault with {failed} checks").into()) }
}

fn reachable(repository: &str) -> bool {
    let mut command = Command::new("timeout");
    command.args(["20", "git", "ls-remote", "--exit-code", repository, "HEAD"]).env("GIT_TERMINAL_PROMPT", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

//! What runs in a machine after `stockade doctor`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Failure, cargo, output_of};

/// A program whose output has a line that starts with `N passed, N failed`.
#[derive(Debug)]
pub(super) struct Suite {
    /// How descriptions and reports call it.
    pub(super) name: &'static str,
    /// The user who runs it. Root would have the attack suite do everything twice, and emulation is slow.
    pub(super) user: &'static str,
    /// The program.
    pub(super) program: PathBuf,
    /// A program that it expects at its place on this machine.
    pub(super) companion: Option<PathBuf>,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
}

/// Finds and builds the suites. `attacks` narrows the attack suite to what has one of these in its name.
pub(super) fn prepare(descriptions: &Path, attacks: &[String]) -> Result<Vec<Suite>, Failure> {
    let smoke = Suite {
        name: "smoke",
        user: "tester",
        program: descriptions.join("smoke.sh"),
        companion: None,
        arguments: Vec::new(),
    };
    let command = ["test", "--quiet", "--package", "e2e", "--test", "containment", "--no-run", "--message-format=json"];
    let messages = String::from_utf8(output_of(cargo().args(command))?)?;
    let attacks = Suite {
        name: "attacks",
        user: "tester",
        program: built(&messages, "containment")?,
        companion: Some(built(&messages, "attacks")?),
        arguments: attacks.to_vec(),
    };
    Ok(vec![smoke, attacks])
}

/// The program of a target, according to what cargo says of its work.
fn built(messages: &str, target: &str) -> Result<PathBuf, Failure> {
    let mut programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let of_target = message.pointer("/target/name")?.as_str()? == target;
        of_target.then(|| message.get("executable")?.as_str().map(PathBuf::from))?
    });
    programs.next_back().ok_or_else(|| format!("cargo built no program of target {target}").into())
}

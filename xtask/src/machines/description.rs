//! Descriptions of machines: `tests/machines/*.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failure;
use super::suite::Suite;

/// One machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    /// The description's file name without its suffix.
    #[serde(skip)]
    pub(super) name: String,
    /// What it stands for, in a line.
    pub(super) about: String,
    /// Its kernel.
    pub(super) kernel: KernelSource,
    /// `sysctl(8)` settings, made before anything is tested.
    pub(super) settings: BTreeMap<String, String>,
    /// Whether a control group is delegated to the ordinary user.
    pub(super) delegate_cgroup: bool,
    /// The suites that run there.
    pub(super) suites: Vec<String>,
    /// What is known not to work there: names of the smoke test's checks, each with the reason.
    pub(super) exceptions: BTreeMap<String, String>,
    /// What `stockade doctor` must find.
    pub(super) expected: Expected,
}

/// Where a kernel comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KernelSource {
    /// A suite of the Debian archive, such as `trixie`.
    pub(super) suite: String,
    /// The package that depends on the newest kernel of the suite.
    pub(super) package: String,
}

/// What `stockade doctor` must find.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// Major and minor version of the kernel.
    pub(super) kernel: (u32, u32),
    /// Highest Landlock ABI.
    pub(super) landlock_abi: u32,
    /// Whether user namespaces can be used, as it stands in the findings.
    pub(super) user_namespaces: Value,
    /// The controllers of the control group that the user may use; `null` where there is none.
    pub(super) cgroup_controllers: Option<Vec<String>>,
    /// The tier that a run gets; `null` where nothing can be run.
    pub(super) tier: Option<String>,
    /// Each tier that works, with the protections that are weaker in it.
    pub(super) tiers: BTreeMap<String, Vec<String>>,
    /// How the memory limit is kept in the tier that a run gets.
    pub(super) memory_limit: Option<String>,
}

/// Reads the descriptions in `directory`: those that are named, or all when none is.
pub(super) fn read_all(directory: &Path, only: &[String], suites: &[Suite]) -> Result<Vec<Machine>, Failure> {
    let mut machines = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            machines.push(read(&path, suites)?);
        }
    }
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(unknown) = only.iter().find(|name| machines.iter().all(|machine| machine.name != **name)) {
        let known: Vec<&str> = machines.iter().map(|machine| machine.name.as_str()).collect();
        return Err(format!("there is no machine {unknown:?}, only {}", known.join(", ")).into());
    }
    machines.retain(|machine| only.is_empty() || only.contains(&machine.name));
    if machines.is_empty() {
        return Err(format!("no machine is described in {}", directory.display()).into());
    }
    Ok(machines)
}

fn read(path: &Path, suites: &[Suite]) -> Result<Machine, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    let mut machine: Machine = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    machine.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let unknown = machine.suites.iter().find(|name| suites.iter().all(|suite| suite.name != **name));
    match unknown {
        Some(name) => Err(failed(&format!("there is no suite {name:?}")).into()),
        None => Ok(machine),
    }
}

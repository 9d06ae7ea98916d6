//! What a plan enforces, by protection: for reports and for `doctor`.

use super::{Operation, Plan, SystemCallFilter};
use crate::report::{Enforcement, Level, Protection};
use crate::tier::Tier;

/// Every protection that a plan enforces, with its mechanism and level, in the order of [`Protection::ALL`]. Limits that
/// the policy does not set are left out.
#[must_use]
pub fn enforcement(plan: &Plan) -> Vec<Enforcement> {
    let found = Found::of(plan);
    let of = |protection| {
        let mechanism = found.mechanism(protection, plan)?;
        let degraded = plan.degraded.iter().find(|degradation| degradation.protection == protection);
        let level = match degraded {
            Some(degradation) => Level::Degraded { reason: degradation.reason.clone() },
            None => Level::Enforced,
        };
        Some(Enforcement { protection, mechanism, level })
    };
    Protection::ALL.iter().copied().filter_map(of).collect()
}

/// What the plan's operations have, found in one pass.
#[derive(Default)]
struct Found<'p> {
    landlock_abi: Option<u32>,
    filter: Option<&'p SystemCallFilter>,
    overlay: bool,
    kept: bool,
    lasts: bool,
    held: bool,
    sweep: bool,
    gate: bool,
}

impl<'p> Found<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut found = Self::default();
        for step in &plan.steps {
            match &step.operation {
                Operation::Landlock { ruleset } => found.landlock_abi = Some(ruleset.abi),
                Operation::SystemCalls { filter } => found.filter = Some(filter),
                Operation::CopyOnWrite { .. } => found.overlay = true,
                Operation::Layered { .. } if step.protection == Protection::Caches => found.kept = true,
                Operation::ServeCommands => found.lasts = true,
                Operation::SweepProtected { .. } => found.sweep = true,
                Operation::Gate { .. } => found.gate = true,
                Operation::ReadOnly { .. } => found.held |= step.protection == Protection::ProtectedFiles,
                _ => {}
            }
        }
        found
    }

    fn mechanism(&self, protection: Protection, plan: &Plan) -> Option<String> {
        let namespaces = plan.tier == Tier::Namespaces;
        let either = |first: &str, second: &str| Some(if namespaces { first } else { second }.to_owned());
        match protection {
            Protection::Files => Some(self.files(namespaces)),
            Protection::FileVisibility => either("mount namespace", "none"),
            Protection::Home => either("private directory in memory", "private directory on the host"),
            Protection::Caches if self.kept => Some("overlay, kept with the sandbox".to_owned()),
            Protection::Caches if self.overlay => Some("overlay in memory".to_owned()),
            Protection::Caches => either("none shown", "Landlock, read-only"),
            Protection::ProtectedFiles => Some(self.protected(namespaces)),
            Protection::Environment => Some("allow-list".to_owned()),
            Protection::Descriptors => Some("close_range".to_owned()),
            Protection::Processes => either("process namespace", "Landlock, system-call filter"),
            Protection::ProcessVisibility => either("process namespace", "none"),
            Protection::Lifetime => either("process namespace", "subreaper"),
            Protection::Network if self.gate => {
                either("network namespace, gate, system-call filter", "gate, system-call filter")
            }
            Protection::Network => either("network namespace, system-call filter", "system-call filter"),
            Protection::Loopback => either("network namespace", "none"),
            Protection::Ipc => either("IPC, network and mount namespaces", "system-call filter, Landlock"),
            Protection::Privileges => {
                either("user namespace, no capabilities, no_new_privs", "no capabilities, no_new_privs")
            }
            Protection::Kernel => Some("system-call filter".to_owned()),
            Protection::Terminal => Some(terminal(plan)),
            Protection::MemoryLimit
            | Protection::CpuLimit
            | Protection::ProcessLimit
            | Protection::FilesLimit
            | Protection::DiskLimit
            | Protection::TimeLimit
            | Protection::OutputLimit => limit(protection, plan),
        }
    }

    fn files(&self, namespaces: bool) -> String {
        let mut parts = Vec::new();
        if namespaces {
            parts.push("mount namespace".to_owned());
        }
        parts.extend(self.landlock_abi.map(|abi| format!("Landlock (ABI {abi})")));
        if self.filter.is_some_and(|filter| !filter.files.deny.is_empty()) {
            parts.push("system-call filter".to_owned());
        }
        parts.join(", ")
    }

    fn protected(&self, namespaces: bool) -> String {
        if self.lasts {
            return "the workspace is not written; held back when changes are applied".to_owned();
        }
        let mut parts = Vec::new();
        if self.held || (namespaces && !self.sweep) {
            parts.push("read-only mounts");
        }
        if self.filter.is_some_and(|filter| !filter.files.protect.is_empty()) {
            parts.push("system-call filter");
        } else if !namespaces && !self.sweep {
            parts.push("Landlock");
        }
        if self.sweep {
            parts.push("watch and sweep");
        }
        parts.join(", ")
    }
}

fn terminal(plan: &Plan) -> String {
    let terminal = plan.command.terminal;
    let streams = if terminal.stdin || terminal.stdout || terminal.stderr { "pseudo-terminal" } else { "pipes" };
    format!("{streams}, system-call filter")
}

/// The mechanisms of a limit, if it is set.
fn limit(protection: Protection, plan: &Plan) -> Option<String> {
    let of_limit = plan.steps.iter().filter(|step| step.protection == protection);
    let mechanisms: Vec<_> = of_limit
        .filter_map(|step| match &step.operation {
            Operation::Limit { mechanism, .. } => Some(mechanism.to_string()),
            _ => None,
        })
        .collect();
    (!mechanisms.is_empty()).then(|| mechanisms.join(", "))
}

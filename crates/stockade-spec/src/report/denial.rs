//! One refused attempt, as an event.

use serde::{Deserialize, Serialize};

/// One refused attempt; repeated ones are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// What it was about.
    pub area: Area,
    /// What was attempted: a system call's name, or `write`, `read`, `connect`, …
    pub operation: String,
    /// Upon what: a path, an address, a process, a limit. Text only; bytes that are not Unicode are replaced.
    pub target: String,
    /// The rule that refused it, where one did.
    pub rule: Option<String>,
    /// Who attempted it, where that is known.
    pub process: Option<ProcessRef>,
    /// How often.
    pub count: u64,
    /// The option that would allow it, where one would.
    pub suggestion: Option<String>,
    /// How it is known.
    pub known: Known,
    /// When it first happened: milliseconds after the start.
    pub at_ms: u64,
}

/// What a denial is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Area {
    /// Files and directories.
    Files,
    /// Protected files of the workspace.
    Protected,
    /// Network endpoints.
    Network,
    /// Sockets: Unix ones, and families that are closed.
    Sockets,
    /// Signals to processes outside.
    Signals,
    /// Forbidden system calls.
    SystemCalls,
    /// Resource limits.
    Limits,
    /// Files written where they do not last: the private home, `/tmp`.
    Private,
}

/// A process, as it was seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process id on the host.
    pub pid: u32,
    /// Name, at most 15 bytes (`/proc/PID/comm`).
    pub name: String,
}

/// How a denial is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// It was observed.
    Exact,
    /// It follows from a failed command's error text and the plan.
    Inferred,
}

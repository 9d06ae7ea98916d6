//! The mechanism that isolates.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The mechanism that isolates a run. Ordered by strength, strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tier {
    /// Landlock, seccomp and resource limits, without user namespaces (Linux).
    Landlock,
    /// User, mount, process, network, IPC, host-name and cgroup namespaces, Landlock and seccomp (Linux).
    Namespaces,
}

impl Tier {
    /// The name used in policies, on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Landlock => "landlock",
            Self::Namespaces => "namespaces",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

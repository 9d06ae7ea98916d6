//! What is protected, by what, and how well.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a run is protected against. The names are used in `accept_degraded`, plans and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protection {
    /// Files outside the allow-list cannot be read or written.
    Files,
    /// Existence and names of files outside the allow-list are hidden.
    FileVisibility,
    /// Home is private and empty.
    Home,
    /// Caches in home can be used but not poisoned.
    Caches,
    /// Protected files cannot be planted or changed.
    ProtectedFiles,
    /// Secrets in the environment do not get in.
    Environment,
    /// No descriptors but the standard streams get in.
    Descriptors,
    /// Other processes cannot be touched.
    Processes,
    /// Other processes cannot be seen.
    ProcessVisibility,
    /// Nothing outlives the run.
    Lifetime,
    /// Only approved endpoints are reached.
    Network,
    /// Programs inside reach each other over loopback.
    Loopback,
    /// Unix sockets, shared memory and queues of the host cannot be reached.
    Ipc,
    /// Privileges cannot be gained.
    Privileges,
    /// Dangerous kernel interfaces are closed.
    Kernel,
    /// Memory is bounded.
    MemoryLimit,
    /// Processor use is bounded.
    CpuLimit,
    /// Processes are bounded.
    ProcessLimit,
    /// Open files are bounded.
    FilesLimit,
    /// Disk use is bounded.
    DiskLimit,
    /// Wall-clock time is bounded.
    TimeLimit,
    /// Output is bounded.
    OutputLimit,
    /// The terminal cannot be written to or taken over.
    Terminal,
}

impl Protection {
    /// Every protection, in the order in which reports list them.
    pub const ALL: &'static [Self] = &[
        Self::Files,
        Self::FileVisibility,
        Self::Home,
        Self::Caches,
        Self::ProtectedFiles,
        Self::Environment,
        Self::Descriptors,
        Self::Processes,
        Self::ProcessVisibility,
        Self::Lifetime,
        Self::Network,
        Self::Loopback,
        Self::Ipc,
        Self::Privileges,
        Self::Kernel,
        Self::MemoryLimit,
        Self::CpuLimit,
        Self::ProcessLimit,
        Self::FilesLimit,
        Self::DiskLimit,
        Self::TimeLimit,
        Self::OutputLimit,
        Self::Terminal,
    ];

    /// The name used in policies and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::FileVisibility => "file-visibility",
            Self::Home => "home",
            Self::Caches => "caches",
            Self::ProtectedFiles => "protected-files",
            Self::Environment => "environment",
            Self::Descriptors => "descriptors",
            Self::Processes => "processes",
            Self::ProcessVisibility => "process-visibility",
            Self::Lifetime => "lifetime",
            Self::Network => "network",
            Self::Loopback => "loopback",
            Self::Ipc => "ipc",
            Self::Privileges => "privileges",
            Self::Kernel => "kernel",
            Self::MemoryLimit => "memory-limit",
            Self::CpuLimit => "cpu-limit",
            Self::ProcessLimit => "process-limit",
            Self::FilesLimit => "files-limit",
            Self::DiskLimit => "disk-limit",
            Self::TimeLimit => "time-limit",
            Self::OutputLimit => "output-limit",
            Self::Terminal => "terminal",
        }
    }

    /// The protection of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|protection| protection.name() == name)
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How well one protection held, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// The protection.
    pub protection: Protection,
    /// By what: `mount namespace`, `landlock`, `cgroup-v2`, …
    pub mechanism: String,
    /// How well.
    pub level: Level,
}

/// How well a protection is enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Fully.
    Enforced,
    /// Less strictly than the strongest tier would; the policy accepted it.
    Degraded {
        /// What is weaker.
        reason: String,
    },
}

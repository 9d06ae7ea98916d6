//! The system-call filter as data. The table of calls belongs to the operating system's crate; this says which of its
//! classes are open and which are observed.

use serde::{Deserialize, Serialize};

/// Which system calls the command may make, and which of them the supervisor is asked about.
///
/// Calls outside the allow-list are refused. Where `notify` is on, the supervisor sees every call of a refused class that
/// a program makes (`seccomp_unotify(2)`) and records it; where it is off they are refused by the kernel alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemCallFilter {
    /// Programs may create user namespaces of their own, and mount inside them.
    pub nested_namespaces: bool,
    /// Refused calls are reported by the supervisor.
    pub notify: bool,
    /// What happens to calls that reach for the network.
    pub network: NetworkFilter,
    /// Which file operations are observed or decided one by one.
    pub files: FileObservation,
    /// Signals to processes outside are decided by the supervisor (where there is no process namespace); where it cannot be
    /// asked, none to any other process can be sent.
    pub decide_signals: bool,
    /// Programs stay on the processors that they were given: those are the limit.
    #[serde(default)]
    pub keep_processors: bool,
}

/// What happens to calls that reach for the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkFilter {
    /// A private network: calls pass. Attempts to reach beyond loopback are put to the gate where the plan opens one, and
    /// else reported and refused.
    Private,
    /// No network namespace: sockets other than Unix ones cannot be made, and Unix sockets reach only what the file
    /// rules let them reach.
    UnixOnly,
    /// No network namespace, but a gate: as [`Self::UnixOnly`], and where a program asks for a socket of TCP or UDP, it gets a
    /// Unix socket in its place (a stand-in), whose other end is the supervisor's and leads to the gate. No program ever holds an
    /// Internet socket.
    StandIns,
}

impl NetworkFilter {
    /// Whether the host's own sockets are near, because there is no network namespace.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        !matches!(self, Self::Private)
    }
}

/// Which file operations the supervisor is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileObservation {
    /// Refused operations that change files become events.
    pub trace_writes: bool,
    /// Refused operations that read or execute files become events.
    pub trace_reads: bool,
    /// Globs that are refused at access, for files that the view cannot hide because they may appear later.
    pub deny: Vec<String>,
    /// Globs that may be read but not changed, where the view cannot hold them read-only.
    pub protect: Vec<String>,
}

impl FileObservation {
    /// Whether any file operation reaches the supervisor.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        !self.trace_writes && !self.trace_reads && self.deny.is_empty() && self.protect.is_empty()
    }

    /// Whether the supervisor decides, rather than only watches.
    #[must_use]
    pub const fn decides(&self) -> bool {
        !self.deny.is_empty() || !self.protect.is_empty()
    }
}

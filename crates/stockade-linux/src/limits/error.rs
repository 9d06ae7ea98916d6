//! What can go wrong with limits.

use std::io;
use std::path::PathBuf;

use stockade_spec::plan::Resource;
use thiserror::Error;

use super::systemd::ScopeError;

/// Why a limit could not be set, read or taken back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LimitError {
    /// No directory is known in which a group with the controller can be made.
    #[error(
        "this machine offers no control group with the `{controller}` controller to this user; `stockade doctor` says how to get one"
    )]
    NoPlace {
        /// The controller.
        controller: &'static str,
    },
    /// The plan bounds one resource by one kind of group and another by another kind, and a run has one group.
    #[error(
        "this machine's control groups are split: one limit needs {one}, another {other}, and a run has one group; `stockade doctor` says how to have all controllers in one place"
    )]
    Split {
        /// A mechanism that the plan uses.
        one: &'static str,
        /// Another one.
        other: &'static str,
    },
    /// The resource is not bounded by this mechanism.
    #[error("{resource:?} cannot be limited by {mechanism}")]
    Unsupported {
        /// The resource.
        resource: Resource,
        /// The mechanism.
        mechanism: &'static str,
    },
    /// A system call on a control group failed.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Group {
        /// What was tried, as words that follow "cannot".
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A system call without a path failed.
    #[error("cannot {operation}: {source}")]
    Call {
        /// What was tried, as words that follow "cannot".
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Processes did not end, or the kernel did not let go of the group.
    #[error("the control group `{}` is still in use after {waited_ms} ms; its processes do not end", path.display())]
    StillInUse {
        /// The group.
        path: PathBuf,
        /// How long it was tried.
        waited_ms: u64,
    },
    /// The user's systemd gives no scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// A copy of a process with several threads cannot be relied on.
    #[error("the process has more than one thread; limits by control group are set up before the first one is started")]
    Threaded,
}

impl LimitError {
    pub(crate) fn group(operation: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Group { operation, path: path.into(), source: source.into() }
    }

    pub(crate) fn call(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Call { operation, source: source.into() }
    }
}

//! Why a sandbox could not be frozen.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A process, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its number, as the caller sees it; 0 where that is not known.
    pub pid: u32,
    /// Its number inside; 0 where that is not known.
    pub inside: u32,
    /// What it calls itself, without control characters.
    pub name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = if self.pid == 0 { self.inside } else { self.pid };
        write!(f, "process {number} ({})", self.name)
    }
}

/// Why a sandbox could not be frozen. Whatever had been stopped by then goes on, but for [`Self::Stuck`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// The kernel does not let the caller stop a process: it has made itself unreadable (`PR_SET_DUMPABLE` of `prctl(2)`),
    /// runs a program that the caller may not read, or the machine forbids tracing (`kernel.yama.ptrace_scope`).
    #[error("{process} cannot be stopped: the kernel does not permit to trace it")]
    NotPermitted {
        /// Which.
        process: Named,
    },
    /// A process is being traced by another one, and runs.
    #[error("{process} cannot be stopped: process {tracer} is tracing it")]
    Traced {
        /// Which.
        process: Named,
        /// By whom.
        tracer: u32,
    },
    /// A process did not stop in time: the kernel is doing something for it that cannot be interrupted, such as reaching a
    /// file system that does not answer.
    #[error("{process} has not stopped within {waited_ms} ms: the kernel is busy for it")]
    Busy {
        /// Which.
        process: Named,
        /// How long was waited.
        waited_ms: u64,
    },
    /// New processes or threads kept appearing.
    #[error(
        "the processes of the sandbox start new ones faster than they can be stopped; gave up after {waited_ms} ms"
    )]
    Unstable {
        /// How long was tried.
        waited_ms: u64,
    },
    /// A process is executing a program that its file system does not deliver, or cannot since one of its threads is traced by
    /// a process that does not let it end. What had been stopped goes on when it has; until then nothing more is tried.
    #[error(
        "a process of the sandbox has been starting a program for {waited_ms} ms; is its file system there, or is it traced by another process?"
    )]
    Stuck {
        /// How long was waited.
        waited_ms: u64,
    },
    /// Inside are more threads than can be held.
    #[error("the sandbox has more than {0} threads")]
    TooMany(usize),
    /// A number was given to a process outside while it was looked at; that one goes on as well.
    #[error("processes inside end and start so fast that one was mistaken for another; try again")]
    Mistaken,
    /// A control group's file cannot be used.
    #[error("cannot {operation} `{path}`: {source}")]
    Group {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A system call failed.
    #[error("cannot {operation}: {source}")]
    Call {
        /// What was tried.
        operation: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl FreezeError {
    pub(super) fn call(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Call { operation, source: source.into() }
    }
}

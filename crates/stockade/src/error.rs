//! Why something was not done.

use std::io;
use std::path::PathBuf;

use stockade_egress::{GateError, UpstreamError};
use stockade_linux::{LaunchError, ProbeError, RunError};
use stockade_spec::CompileError;
use stockade_spec::glob::GlobError;
use stockade_spec::policy::Diagnostic;
use stockade_workspace::{JournalError, ScanError, StateError};
use thiserror::Error;

/// Why a plan was not made, or a run did not happen or could not be followed. Unless it is [`Error::Running`], the command
/// has not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy is wrong: every mistake that was found, each of which renders itself on several lines.
    #[error("the policy cannot be used; mistakes: {}", .0.len())]
    Policy(Vec<Diagnostic>),
    /// What runs inside could write its own policy, or tamper with journals and quarantines.
    #[error("{} could be written inside, because it and {} overlap", .own.display(), .writable.display())]
    OwnFilesWritable {
        /// The file or directory that must stay out of reach.
        own: PathBuf,
        /// What the policy lets be written.
        writable: PathBuf,
    },
    /// A rule about protected files cannot be read.
    #[error("a rule about protected files cannot be used")]
    ProtectedRule(#[source] GlobError),
    /// The policy cannot be carried out here.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// This host cannot be probed.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The workspace cannot be looked through for protected files.
    #[error("cannot look through the workspace")]
    Scan(#[from] ScanError),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal of this run, or that of an interrupted one, cannot be written or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The standard streams cannot be duplicated.
    #[error("cannot use the standard streams")]
    Streams(#[source] io::Error),
    /// The gate cannot be started.
    #[error(transparent)]
    Gate(GateError),
    /// The proxy that the environment names cannot be used.
    #[error("the gate cannot use the proxy of this host")]
    Upstream(#[source] UpstreamError),
    /// The plan could not be launched.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The command was started, and could not be followed to its end. Everything inside has been killed, and protected
    /// files have been swept.
    #[error(transparent)]
    Running(#[from] RunError),
    /// The supervising program cannot be started.
    #[error("cannot start the supervising program {}", .program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The supervising program and its caller do not understand each other, or one of them is gone.
    #[error("cannot talk to the other side of a supervised run")]
    Conversation(#[source] io::Error),
    /// What went wrong in the supervising program.
    #[error("{message}")]
    Supervised {
        /// The message.
        message: String,
        /// The reasons, outermost first.
        causes: Vec<String>,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl Error {
    /// What to do about it, where the message does not say so itself.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::OwnFilesWritable { .. } => Some(
                "what runs inside must not write the policy of the next run: choose another workspace, or a narrower --write",
            ),
            Self::Launch(LaunchError::Namespaces(_) | LaunchError::Step { namespace_privilege: true, .. }) => {
                Some("`stockade doctor` says what stands in the way and how to remove it")
            }
            Self::Launch(LaunchError::Threaded) => {
                Some("a process with several threads runs jobs with `run_by` and the `stockade` program")
            }
            Self::Supervised { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

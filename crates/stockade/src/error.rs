//! Why something was not done.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use stockade_egress::{GateError, UpstreamError};
use stockade_linux::freeze::FreezeError;
use stockade_linux::{AttachError, LaunchError, ProbeError, RunError};
use stockade_spec::CompileError;
use stockade_spec::glob::GlobError;
use stockade_spec::policy::Diagnostic;
use stockade_workspace::apply::ApplyError;
use stockade_workspace::layers::LayerError;
use stockade_workspace::record::{KeyError, RecordError};
use stockade_workspace::sandboxes::SandboxError;
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
    /// A directory for what a sandbox writes cannot be made.
    #[error("cannot make {} for what the sandbox writes", .path.display())]
    Layer {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A sandbox's folder cannot be used.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// What a sandbox was made with cannot be read or kept.
    #[error("cannot use the settings of the sandbox `{sandbox}`; was it made by another version?")]
    Settings {
        /// The sandbox.
        sandbox: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A command would start outside the workspace of its sandbox.
    #[error("the directory {} does not lie in the sandbox's workspace {}", .directory.display(), .workspace.display())]
    OutsideWorkspace {
        /// Where it would start.
        directory: PathBuf,
        /// The workspace.
        workspace: PathBuf,
    },
    /// What is known of a detached command cannot be read or written.
    #[error("cannot use {}, which is kept of a command", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The key of the records cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no key, by which records could be judged.
    #[error("there is no key `{}`, by which records are signed and judged; put it back from a copy", .0.display())]
    NoKey(PathBuf),
    /// The record of a sandbox cannot be written or read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// What a sandbox changed cannot be read.
    #[error(transparent)]
    Layers(#[from] LayerError),
    /// Changes could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Programs of a sandbox cannot be stopped for a moment.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// The control socket of a sandbox cannot be made or used.
    #[error("cannot use the control socket of the sandbox")]
    Control(#[source] io::Error),
    /// The supervisor of a sandbox does not answer, being stopped or held up.
    #[error("the sandbox's supervisor has not answered within {0:?}; `stockade stop` ends it with its sandbox")]
    Silent(Duration),
    /// The supervisor of a sandbox did not do what it was asked.
    #[error("the sandbox's supervisor: {0}")]
    Refused(String),
    /// The command cannot be followed.
    #[error(transparent)]
    Attach(#[from] AttachError),
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

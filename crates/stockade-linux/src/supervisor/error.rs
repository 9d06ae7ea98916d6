//! Why a plan could not be launched, or a run not be followed to its end.

use std::io;

use stockade_spec::plan::Operation;
use thiserror::Error;

use crate::relay::RelayError;
use crate::stage::message::MessageError;

/// Why a plan could not be launched. Nothing of the command has run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The process has several threads, so a forked copy of it could not be trusted to make progress.
    #[error("the launching process has several threads; launch through the supervisor program instead")]
    Threaded,
    /// Whether there are several threads cannot be told.
    #[error("cannot count the threads of this process in /proc/self/task; is /proc mounted?")]
    Threads(#[source] io::Error),
    /// The namespaces cannot be made.
    #[error("cannot create the namespaces of the sandbox")]
    Namespaces(#[source] io::Error),
    /// The stage's process cannot be made.
    #[error("cannot create the process of the sandbox")]
    Process(#[source] io::Error),
    /// A step of the plan failed, outside or inside.
    #[error("this step of the plan failed: {step}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Step {
        /// The step, in words.
        step: String,
        /// Where in the step it failed; may be empty.
        detail: String,
        /// Whether it is one that fails where user namespaces are made powerless.
        namespace_privilege: bool,
        /// The system's error.
        source: io::Error,
    },
    /// The command's streams cannot be made.
    #[error("cannot connect the command's standard streams")]
    Relay(#[from] RelayError),
    /// The channel to the stage cannot be made or used.
    #[error("cannot talk to the inside of the sandbox")]
    Channel(#[source] io::Error),
    /// Somebody ended the launch with a signal.
    #[error("signal {0} ended it before the command was started")]
    Interrupted(i32),
    /// The stage did not come to an end.
    #[error(
        "the inside of the sandbox was not ready after {0:?}; does a file system that it shows not answer any more?"
    )]
    TooSlow(std::time::Duration),
    /// The stage ended without a word.
    #[error("the inside of the sandbox ended before the command was started")]
    StageEnded,
    /// The stage sent what is no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The stage sent a message that has no place there.
    #[error("the inside of the sandbox sent an unexpected message")]
    Unexpected,
    /// Signals cannot be received.
    #[error("cannot receive signals")]
    Signals(#[source] io::Error),
    /// The system-call filter's listener cannot be used.
    #[error("cannot use the listener of the system-call filter")]
    Listener(#[source] io::Error),
    /// The observer cannot be made.
    #[error(transparent)]
    Observe(#[from] crate::observe::ObserveError),
    /// A bound on resources cannot be set up.
    #[error(transparent)]
    Limits(#[from] crate::limits::LimitError),
}

impl LaunchError {
    /// A failed step of the plan.
    pub(crate) fn step(operation: &Operation, detail: String, source: io::Error) -> Self {
        let namespace_privilege = needs_namespace_privilege(operation)
            && matches!(source.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EINVAL));
        Self::Step { step: operation.to_string(), detail, namespace_privilege, source }
    }

    /// The operation and error number, if what failed is that this host gives user namespaces no power: another tier may
    /// work.
    #[must_use]
    pub fn blocked_namespaces(&self) -> Option<(String, i32)> {
        match self {
            Self::Namespaces(source) => {
                let errno = source.raw_os_error().filter(|errno| REFUSALS.contains(errno))?;
                Some(("create namespaces".to_owned(), errno))
            }
            Self::Step { step, namespace_privilege: true, source, .. } => Some((step.clone(), source.raw_os_error()?)),
            _ => None,
        }
    }
}

/// How namespaces are refused: by a security module or a filter, by a filter that hides the call, by `user.max_*_namespaces`,
/// by a kernel without one of them, and by nesting too deep (`clone(2)`, before Linux 4.9 with `EUSERS`). Anything else,
/// such as a want of memory or processes, would keep every tier from working.
const REFUSALS: [i32; 6] = [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::ENOSPC, libc::EINVAL, libc::EUSERS];

/// Steps that every host carries out for the owner of a user namespace, unless a security module took the namespace's
/// power away. Steps that touch paths of the user are not among them: those fail for reasons of their own.
const fn needs_namespace_privilege(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::MapIdentity { .. }
            | Operation::LoopbackUp
            | Operation::HostName { .. }
            | Operation::MountRoot { .. }
            | Operation::MountProc
            | Operation::MountDevPts
    )
}

/// Why a run could not be followed to its end. Everything inside has been killed, unless the error says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// Waiting failed.
    #[error("cannot wait for the sandbox")]
    Wait(#[source] io::Error),
    /// The channel failed.
    #[error("cannot talk to the inside of the sandbox")]
    Channel(#[source] io::Error),
    /// Init sent what is no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Init ended without saying how the command did.
    #[error("the inside of the sandbox ended without a report: {0}")]
    InitEnded(String),
    /// Processes of the sandbox could not be ended: they take up the kernel's time, or fork faster than they are found.
    #[error("{0} processes of the sandbox could not be ended, and run on")]
    LeftBehind(usize),
    /// The streams failed.
    #[error("cannot pass on the command's standard streams")]
    Relay(#[from] RelayError),
    /// The system-call filter's listener failed.
    #[error(transparent)]
    Observe(#[from] crate::observe::ObserveError),
    /// A bound on resources cannot be watched.
    #[error(transparent)]
    Limits(#[from] crate::limits::LimitError),
}

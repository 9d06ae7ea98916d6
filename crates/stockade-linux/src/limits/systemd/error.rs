//! What can go wrong between here and the user's systemd.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a transient scope could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// The socket could not be used.
    #[error("cannot {operation} the user's systemd at `{}`: {source}", path.display())]
    Socket {
        /// What was tried, as words that take "the user's systemd" as their object.
        operation: &'static str,
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The manager did not accept this user.
    #[error("the user's systemd refuses the connection: {0}")]
    NotAuthenticated(String),
    /// The manager refused the call.
    #[error("the user's systemd does not start a scope: {text} ({name})")]
    Refused {
        /// The error's name.
        name: String,
        /// The manager's words.
        text: String,
    },
    /// The scope's start did not succeed.
    #[error("the user's systemd could not start the scope `{unit}`: its job ended as `{result}`")]
    JobFailed {
        /// The unit.
        unit: String,
        /// What became of the job.
        result: String,
    },
    /// A message that cannot be understood.
    #[error("the user's systemd sent {0}")]
    Malformed(&'static str),
    /// The process is not where the manager said it put it.
    #[error("the process is not in the scope `{unit}` that the user's systemd started for it")]
    NotMoved {
        /// The unit.
        unit: String,
    },
    /// The scope exists, but the kernel does not hold the limit: its controller was not delegated to the user.
    #[error(
        "the scope has no `{file}`: the controller is not delegated to users. As root: mkdir -p \
         /etc/systemd/system/user@.service.d; printf '[Service]\\nDelegate=cpu memory pids\\n' > \
         /etc/systemd/system/user@.service.d/delegate.conf; systemctl daemon-reload; and log in again"
    )]
    NotDelegated {
        /// The control file.
        file: &'static str,
    },
}

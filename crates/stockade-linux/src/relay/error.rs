//! What can go wrong between the command's standard streams and the caller's.

use std::fmt;
use std::io;

/// One of the three standard streams, or the pseudo-terminal that stands for several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard input.
    Stdin,
    /// Standard output; also standard error, where the caller has joined them (`2>&1`).
    Stdout,
    /// Standard error.
    Stderr,
    /// The pseudo-terminal.
    Terminal,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdin => "standard input",
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
            Self::Terminal => "the terminal",
        })
    }
}

/// A failure of the relay. It concerns one stream only, which is closed by then; the others go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A descriptor of the caller cannot be examined, most often because it is closed.
    #[error("cannot use {stream} of the caller; connect it to /dev/null if it is not needed")]
    Examine {
        /// The stream.
        stream: Stream,
        /// The system's error.
        source: io::Error,
    },
    /// No pipe could be made.
    #[error("cannot make a pipe for {stream}")]
    Pipe {
        /// The stream.
        stream: Stream,
        /// The system's error.
        source: io::Error,
    },
    /// What the command wrote cannot be read.
    #[error("cannot read what the command wrote to {stream}")]
    Read {
        /// The stream.
        stream: Stream,
        /// The system's error.
        source: io::Error,
    },
    /// What the command wrote cannot be passed on: the caller's disk is full, for example.
    #[error("cannot pass on what the command wrote to {stream}; the rest of its output there is lost")]
    PassOn {
        /// The stream.
        stream: Stream,
        /// The system's error.
        source: io::Error,
    },
    /// The caller's input cannot be given to the command.
    #[error("cannot pass standard input on to the command")]
    Feed(#[source] io::Error),
    /// The caller's input file cannot be set back to the first byte that the command left unread.
    #[error("cannot set standard input back to what the command left unread")]
    SeekBack(#[source] io::Error),
    /// An operation on a terminal failed.
    #[error("cannot {operation}")]
    Terminal {
        /// What was attempted, as words that follow "cannot".
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Waiting for the streams failed.
    #[error("cannot wait for the command's output")]
    Wait(#[source] io::Error),
}

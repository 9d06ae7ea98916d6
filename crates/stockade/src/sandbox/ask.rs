//! What is said at a sandbox's control socket: one JSON object a line, descriptors along with the line that needs them.
//!
//! A connection is about one thing: a command, which ends when its connection does; a freeze, likewise; or one question.
//! Both sides are of the same user. What the supervisor is asked is bounded all the same, since a caller may be broken.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stockade_linux::StreamKind;
use stockade_spec::plan::Command;
use stockade_spec::report::{Denial, Outcome, Usage};

/// Bytes of one line, in either direction: arguments and environment of a program have 2 MB (`execve(2)`), which JSON writes in
/// up to six times as many; what a log of denials holds has less.
pub(super) const MAX_LINE: usize = 16 << 20;

/// What a caller asks for, or says further on about it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(super) enum Ask {
    /// Run a command; a descriptor for each stream of that kind comes along. Its environment is put on top of the sandbox's.
    Run {
        /// The command.
        command: Box<Command>,
        /// What each of its streams is.
        streams: [Stream; 3],
    },
    /// Send the command a signal.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Kill the command.
    End,
    /// Stop every process until the connection ends.
    Freeze,
    /// End the sandbox's processes and its supervisor.
    Stop,
    /// Say what runs.
    Status,
}

/// [`StreamKind`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stream {
    Null,
    Terminal,
    Descriptor,
}

impl From<Stream> for StreamKind {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Null => Self::Null,
            Stream::Terminal => Self::Terminal,
            Stream::Descriptor => Self::Descriptor,
        }
    }
}

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(super) enum Answer {
    /// The controlling side of the command's pseudo-terminal comes along.
    Terminal,
    /// The command was stopped.
    Stopped,
    /// The command has ended.
    Ended(Box<Ended>),
    /// The command was taken, under this number.
    Started {
        /// Its number in this supervisor's life.
        id: u32,
    },
    /// Every process is stopped.
    Frozen {
        /// Files of the workspace of which a process has a shared mapping that it can write to, relative to the workspace.
        #[serde(with = "stockade_spec::os_text::list")]
        mapped: Vec<PathBuf>,
    },
    /// What runs.
    Status(Status),
    /// The sandbox is being ended.
    Stopping,
    /// It was not done.
    Failed {
        /// Why.
        message: String,
    },
}

/// How a command ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) usage: Usage,
    /// What was refused in the sandbox while it ran.
    pub(super) denials: Vec<Denial>,
    pub(super) denials_dropped: u64,
}

/// What runs in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Commands that were started by `exec` and have not ended.
    pub commands: usize,
    /// Every process, those commands included.
    pub processes: usize,
}

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
        /// What they may change without its times telling.
        unseen: Unseen,
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

/// Files of the workspace whose content may change without their times telling ([`stockade_linux::freeze::Unseen`]).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unseen {
    #[serde(with = "stockade_spec::os_text::list")]
    paths: Vec<PathBuf>,
    inodes: Vec<u64>,
    others: bool,
    under_way: bool,
}

impl From<stockade_linux::freeze::Unseen> for Unseen {
    fn from(unseen: stockade_linux::freeze::Unseen) -> Self {
        let stockade_linux::freeze::Unseen { paths, inodes, others, under_way } = unseen;
        Self { paths, inodes, others, under_way }
    }
}

impl From<Unseen> for stockade_workspace::sandboxes::Unseen {
    fn from(unseen: Unseen) -> Self {
        let Unseen { paths, inodes, others, under_way } = unseen;
        Self { paths, inodes, others, under_way }
    }
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

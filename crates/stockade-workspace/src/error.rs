//! What can go wrong, by step.

use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use crate::swept::Left;

/// Why a workspace could not be looked through.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The workspace itself does not open.
    #[error("cannot open the workspace `{path}`: {source}; check that it exists and that you may read it")]
    Open {
        /// The workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// Another directory has taken the workspace's place.
    #[error(
        "the workspace `{0}` is no longer the directory that the run worked on; look through that one by hand, wherever it is now"
    )]
    Replaced(PathBuf),
    /// A directory opened and then could not be read.
    #[error("cannot read the directory `{path}` of the workspace: {source}")]
    Read {
        /// The directory, relative to the workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// More entries than [`crate::walk::MAX_ENTRIES`].
    #[error("the workspace holds more than {0} files; choose a directory below it as the workspace")]
    TooManyEntries(u64),
    /// More protected files than can be held.
    #[error("the workspace holds more than {0} protected files; choose a directory below it as the workspace")]
    TooManyProtected(usize),
    /// More subdirectories waiting than memory is set aside for.
    #[error(
        "directories of the workspace hold more than {0} bytes of names of subdirectories; choose a directory below it as the workspace"
    )]
    TooManyDirectories(usize),
}

impl ScanError {
    /// What a sweep leaves that ends so.
    pub(crate) const fn left(&self) -> Left {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } => Left::after(*source),
            _ => Left::ForGood,
        }
    }
}

/// Why the state directory cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// It lies in the workspace, where sandboxed code could change it.
    #[error(
        "the state directory `{state}` lies in the workspace `{workspace}`, where sandboxed code could change it; set XDG_STATE_HOME to a directory outside"
    )]
    InWorkspace {
        /// The state directory.
        state: PathBuf,
        /// The workspace.
        workspace: PathBuf,
    },
    /// It is not an absolute path.
    #[error("the state directory `{0}` is not an absolute path")]
    Relative(PathBuf),
    /// A directory in it cannot be made or opened.
    #[error("cannot {operation} `{path}`: {source}; check that you own it and that its file system is writable")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Why a file could not be moved to, or back from, quarantine.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step on the way failed.
    #[error("cannot {operation} `{path}`: {source}")]
    Move {
        /// The step.
        operation: &'static str,
        /// The path, relative to the workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// What was there at the start could not be written again, once what had taken its place was put away.
    #[error("cannot put back `{path}` as it was when the run started: {source}; restore it from your own copy")]
    PutBack {
        /// The path, relative to the workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// The record of what is kept cannot be written or read.
    #[error("cannot {operation} the quarantine's record `{path}`: {source}")]
    Record {
        /// What was tried.
        operation: &'static str,
        /// The record.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The record is not what this version writes.
    #[error("the quarantine's record `{path}` cannot be understood: {source}")]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// No quarantine has this name.
    #[error("there is no quarantine `{0}`")]
    Unknown(String),
    /// Too large to be copied to another file system.
    #[error("`{path}` is more than {limit} {unit} and the state directory is on another file system")]
    TooLarge {
        /// The path, relative to the workspace.
        path: PathBuf,
        /// The bound.
        limit: u64,
        /// What it counts.
        unit: &'static str,
    },
}

/// Why a journal could not be written or carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A system call failed.
    #[error("cannot {operation} the journal `{path}`: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The journal.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The workspace is not the one that the journal is about: another directory has taken its place.
    #[error(
        "the workspace `{0}` is no longer the directory that the interrupted run worked on; look through it by hand"
    )]
    OtherWorkspace(PathBuf),
    /// The journal's rules cannot be read by this version.
    #[error("the journal `{path}` holds a rule that cannot be read: {source}")]
    Rule {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        source: stockade_spec::glob::GlobError,
    },
    /// The workspace could not be looked through.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

/// Why the workspace cannot be watched. The sweep at the end finds the same files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// No inotify instance: usually the limit per user.
    #[error("cannot start watching: {0}; raise fs.inotify.max_user_instances")]
    Instance(Errno),
    /// The workspace cannot be watched.
    #[error("cannot watch `{path}`: {source}; raise fs.inotify.max_user_watches")]
    Add {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// Events cannot be read.
    #[error("cannot read what was watched: {0}")]
    Read(Errno),
}

//! What can keep an apply from being done at all. What concerns one file only is in its report.

use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use crate::error::ScanError;
use crate::layers::LayerError;

/// Why changes could not be applied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The sandbox has no changes.
    #[error("there is nothing to apply: the sandbox's files are those of the workspace")]
    Nothing,
    /// A path was named at which there is no change.
    #[error("there is nothing to apply at `{0}`")]
    NothingAt(PathBuf),
    /// A path was named that is not one of the workspace's.
    #[error("`{0}` is not a path in the workspace; give one relative to the workspace, without `..`")]
    Outside(PathBuf),
    /// Another apply is changing the workspace.
    #[error("another apply is changing the workspace `{0}`; try again when it has ended")]
    Busy(PathBuf),
    /// An earlier apply of the sandbox was interrupted.
    #[error("an earlier apply was interrupted, see `{0}`; it has to be resumed first")]
    Unfinished(PathBuf),
    /// The workspace cannot be used.
    #[error("cannot {operation} the workspace `{path}`: {source}")]
    Workspace {
        /// The step.
        operation: &'static str,
        /// The workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// Another directory has taken the workspace's place since the apply was interrupted.
    #[error(
        "the workspace `{0}` is no longer the directory that the interrupted apply worked on; move that one back to resume it"
    )]
    OtherWorkspace(PathBuf),
    /// The file system cannot exchange two files in one step, without which a file may be lost.
    #[error(
        "the file system of `{0}` cannot exchange two files in one step (RENAME_EXCHANGE), so nothing is applied there"
    )]
    CannotExchange(PathBuf),
    /// The content could not be made ready. Nothing was changed.
    #[error("cannot {operation} `{path}`: {source}; nothing was changed")]
    Stage {
        /// The step.
        operation: &'static str,
        /// The path, relative to the workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// The folder in which an apply is prepared and recorded cannot be used.
    #[error("cannot {operation} `{path}`: {source}")]
    Folder {
        /// The step.
        operation: &'static str,
        /// The folder, or what is in it.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder belongs to another user, or is open to others.
    #[error("`{0}` belongs to another user; it is not used")]
    NotOwned(PathBuf),
    /// The journal is not what this version writes.
    #[error("the journal `{path}` cannot be understood: {reason}")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// More than can be handled at once.
    #[error("there is more to apply than {limit} {unit}; apply fewer paths at a time")]
    TooMuch {
        /// The bound.
        limit: usize,
        /// What it counts.
        unit: &'static str,
    },
    /// The sandbox's layers cannot be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The workspace cannot be looked through for protected files.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl ApplyError {
    /// For a step in the folder.
    pub(super) fn folder(operation: &'static str, path: impl Into<PathBuf>, source: impl Into<std::io::Error>) -> Self {
        Self::Folder { operation, path: path.into(), source: source.into() }
    }

    /// The system's reason, as far as one is known.
    pub(super) fn errno(&self) -> Errno {
        match self {
            Self::Workspace { source, .. } | Self::Stage { source, .. } => *source,
            Self::Folder { source, .. } => Errno::from_io_error(source).unwrap_or(Errno::IO),
            _ => Errno::IO,
        }
    }
}

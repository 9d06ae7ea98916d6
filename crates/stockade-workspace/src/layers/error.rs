//! What can go wrong with layers, by step.

use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

/// Why layers could not be read or merged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A layer, or the workspace, does not open.
    #[error("cannot open the directory `{path}`: {source}; check that it exists, is no link and may be read")]
    Open {
        /// Layer or workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// A step failed at one path.
    #[error("cannot {operation} `{path}`: {source}")]
    Path {
        /// The step.
        operation: &'static str,
        /// The path, relative to the workspace.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// More layers than descriptors are set aside for.
    #[error("a sandbox has {count} layers, more than the {limit} that can be read at once")]
    TooManyLayers {
        /// How many there are.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// More than can be held in memory, or looked at in reasonable time.
    #[error("the sandbox's changes are more than {limit} {unit}")]
    TooMuch {
        /// The bound.
        limit: u64,
        /// What it counts.
        unit: &'static str,
    },
}

//! How a sweep looks, and what it tells.

use std::path::PathBuf;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{QuarantineError, ScanError};
use crate::quarantine::{Kept, Reason};

/// How protected files that were there were kept from being changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Held read-only: whoever changed one was not the run, unless the file has another name outside. Something else in
    /// its place is not trusted, for with the file its hold is gone: it stays where it is harmless or the same, and else is
    /// put away for the file as it was.
    ReadOnly,
    /// Not held: whatever changed is put away. Needs [`Before::record_contents`] to see into directories.
    Open,
}

/// How a sweep looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// How existing files were kept.
    pub hold: Hold,
    /// Whether to look at the permission bits of every file, which costs one system call for each, and take away the
    /// set-user-id and set-group-id bits that are newer than the start. Not needed where the run could not set them.
    pub privilege_bits: bool,
}

/// What was found at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A protected file was put away.
    PutAway {
        /// Where it was, relative to the workspace.
        path: PathBuf,
        /// What protects it: the rule as written, or what else makes it protected.
        rule: String,
        /// Why.
        reason: Reason,
        /// Kind and permission bits, as `st_mode` of `stat(2)`.
        mode: u32,
        /// Where it is kept.
        kept: Kept,
        /// Whether the file as it was at the start was put in its place.
        put_back: bool,
    },
    /// Set-user-id or set-group-id bits were taken from a file.
    BitsCleared {
        /// The file, relative to the workspace.
        path: PathBuf,
        /// Kind and permission bits before, as `st_mode` of `stat(2)`.
        mode: u32,
    },
    /// A protected file that was there is gone.
    Removed {
        /// Where it was, relative to the workspace.
        path: PathBuf,
    },
}

/// One file for which something could not be done.
#[derive(Debug)]
pub struct Failure {
    /// The file, relative to the workspace.
    pub path: PathBuf,
    /// Why.
    pub error: QuarantineError,
}

/// Whether a sweep left something where it was, or unlooked at, that the run may have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// Everything was looked at and put away that had to be.
    #[default]
    Nothing,
    /// Something is left, and another sweep would leave it too.
    ForGood,
    /// Something is left for want of descriptors, memory or room, or for an error of a disk: another sweep may succeed.
    ForNow,
}

impl Left {
    /// What a step leaves that failed so.
    pub(crate) const fn after(error: Errno) -> Self {
        match error {
            Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::NOBUFS
            | Errno::AGAIN
            | Errno::INTR
            | Errno::NOSPC
            | Errno::DQUOT
            | Errno::IO
            | Errno::STALE
            | Errno::TIMEDOUT => Self::ForNow,
            _ => Self::ForGood,
        }
    }
}

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What could not be done. A file that is also among the findings was put away but not written down, so that it has to
    /// be put back by hand; any other is still where it was.
    pub failures: Vec<Failure>,
    /// Directories that could not be entered, relative to the workspace.
    pub closed: Vec<PathBuf>,
    /// Findings, failures and closed directories beyond what is listed.
    pub unlisted: u64,
    /// Why the sweep could not look at everything.
    pub incomplete: Option<ScanError>,
    /// Whether something is left to do.
    pub left: Left,
}

//! What is to be done, one step for each name of the workspace that changes its meaning.
//!
//! A step is one rename, and its traces say how far it got: what is in its place is told by its inode. So a step can be
//! looked at after a crash at any moment, and goes on from where it is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::layers::{Change, Entry, Status};
use crate::os_text;

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub(super) path: PathBuf,
    pub(super) work: Work,
    /// The changes that it makes: the one at its path first.
    pub(super) members: Vec<Member>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    /// Puts something where nothing lies: renames it from the staged files, by this number.
    Add { number: u64, staged: Entry },
    /// Puts something in the place of what lies there: exchanges both, so that what was there is what is left. It waits at the
    /// path of the step in the old layer.
    Replace { staged: Entry, expected: Entry, below: Vec<Below> },
    /// Removes what lies there: renames it to its path in the old layer, over a placeholder.
    Remove { placeholder: Entry, expected: Entry, below: Vec<Below> },
    /// Sets mode and extended attributes of a directory to those of the staged one of this number.
    Attributes { number: u64, expected: Entry, mode: u32 },
}

/// A change that a step makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    #[serde(with = "os_text")]
    pub(super) path: PathBuf,
    pub(super) status: Status,
    /// What is staged, if anything.
    pub(super) entry: Option<Entry>,
    /// The layer that it comes from.
    pub(super) layer: Option<usize>,
}

/// What the host has in a directory that is replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Below {
    #[serde(with = "os_text")]
    pub(super) path: PathBuf,
    pub(super) entry: Entry,
}

/// A directory of the old layer, with what it is to get at the end: what the host's had before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parent {
    #[serde(with = "os_text")]
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) modified: i64,
}

/// A directory of the workspace that gets this time once everything in it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Time {
    #[serde(with = "os_text")]
    pub(super) path: PathBuf,
    pub(super) modified: i64,
}

/// A directory whose mode was changed for the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opened {
    #[serde(with = "os_text")]
    pub(super) path: PathBuf,
    pub(super) entry: Entry,
}

impl Below {
    /// What the host has where a change is.
    pub(super) fn of(change: &Change) -> Option<Self> {
        Some(Self { path: change.path.clone(), entry: change.old? })
    }
}

impl Step {
    /// What has to lie there.
    pub(super) fn expected(&self) -> Option<&Entry> {
        match &self.work {
            Work::Add { .. } => None,
            Work::Replace { expected, .. } | Work::Remove { expected, .. } | Work::Attributes { expected, .. } => {
                Some(expected)
            }
        }
    }
}

//! What an apply tells: file by file, what it did and what it left alone, and why.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::layers::{Entry, Status, optional_path};
use crate::os_text;

/// A change that is refused because the host's version may hold something that the sandbox has not seen. The three versions:
/// the host's is at `path` of the workspace, the sandbox's at `path` of the layer, the one that both began with at `base`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// How the sandbox changed it.
    pub status: Status,
    /// Why it is refused.
    pub reason: Reason,
    /// A copy of what the sandbox began with, if one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_path")]
    pub base: Option<PathBuf>,
    /// What the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Entry>,
    /// What the sandbox has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Entry>,
    /// The layer that holds the sandbox's version, by its place in the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// Where a version of the host's is kept that was in the place of the file for a moment while it was applied, and could
    /// not be put back because something else had come there. An absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_path")]
    pub kept: Option<PathBuf>,
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The host has changed it since the sandbox did.
    Changed,
    /// The host has made it since the sandbox did.
    Appeared,
    /// The host has removed it since the sandbox changed it.
    Gone,
    /// Nobody knows whether the host changed it at about the same time.
    Uncertain,
    /// The directory that would be removed holds this, which is itself refused.
    Holds(#[serde(with = "os_text")] PathBuf),
    /// This directory above it is refused.
    Above(#[serde(with = "os_text")] PathBuf),
    /// The host changed it at the very moment.
    Raced,
}

/// A change that is held back because the file is protected: a person's own tools execute or obey it later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// How the sandbox changed it.
    pub status: Status,
    /// What protects it: the rule as written, or what else makes it protected.
    pub rule: String,
}

/// A change that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// How the sandbox changed it.
    pub status: Status,
    /// Why not.
    pub why: Why,
}

/// Why a change could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Why {
    /// Sockets are of a program that runs, and are never made.
    Socket,
    /// Devices are never made.
    Device,
    /// The host has another file system mounted there.
    OtherFileSystem,
    /// This directory above it could not be applied.
    Above(#[serde(with = "os_text")] PathBuf),
    /// The directory that would be removed holds this, which could not be.
    Holds(#[serde(with = "os_text")] PathBuf),
    /// A step failed: what was tried, and the system's reason as `errno(3)`.
    Step {
        /// What was tried.
        operation: String,
        /// The system's number for the reason.
        errno: i32,
    },
}

/// A change that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// How it changed.
    pub status: Status,
    /// What the host has there by now, if anything: what the sandbox's version is based on from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

/// What an apply left alone from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Refused, because the host may have something that the sandbox has not seen.
    pub conflicts: Vec<Conflict>,
    /// Held back, because they are protected.
    pub held_back: Vec<HeldBack>,
    /// Impossible.
    pub failed: Vec<Failed>,
    /// Files that are applied without their set-user-id and set-group-id bits.
    #[serde(with = "os_text::list")]
    pub cleared: Vec<PathBuf>,
}

/// What an apply did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// What was applied, by path.
    pub done: Vec<Done>,
    /// What was refused, from the start or at the last moment.
    pub conflicts: Vec<Conflict>,
    /// What was held back.
    pub held_back: Vec<HeldBack>,
    /// What could not be applied.
    pub failed: Vec<Failed>,
    /// Files that were applied without their set-user-id and set-group-id bits.
    #[serde(with = "os_text::list")]
    pub cleared: Vec<PathBuf>,
    /// Files that were applied without extended attributes that the workspace's file system does not take.
    #[serde(with = "os_text::list")]
    pub bare: Vec<PathBuf>,
    /// An overlay layer that holds what the host had before at every path that was applied; `None` where nothing was. It lies
    /// in the folder of the apply, for the caller to take it away.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_path")]
    pub old: Option<PathBuf>,
}

impl Told {
    /// Puts everything in the order of paths.
    pub(super) fn sort(&mut self) {
        self.conflicts.sort_by(|one, other| one.path.cmp(&other.path));
        self.held_back.sort_by(|one, other| one.path.cmp(&other.path));
        self.failed.sort_by(|one, other| one.path.cmp(&other.path));
        self.cleared.sort();
    }
}

impl Applied {
    /// Where nothing is applied.
    pub(super) fn of(told: Told) -> Self {
        let Told { conflicts, held_back, failed, .. } = told;
        Self { conflicts, held_back, failed, ..Self::default() }
    }
}

impl Why {
    pub(super) fn step(operation: &str, errno: rustix::io::Errno) -> Self {
        Self::Step { operation: operation.to_owned(), errno: errno.raw_os_error() }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket => formatter.write_str("it is a socket, and sockets are never made"),
            Self::Device => formatter.write_str("it is a device, and devices are never made"),
            Self::OtherFileSystem => formatter.write_str("another file system is mounted there"),
            Self::Above(path) => write!(formatter, "`{}` could not be applied", path.display()),
            Self::Holds(path) => write!(formatter, "it holds `{}`, which cannot be removed", path.display()),
            Self::Step { operation, errno } => {
                write!(formatter, "cannot {operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed => formatter.write_str("the host has changed it as well"),
            Self::Appeared => formatter.write_str("the host has made it as well"),
            Self::Gone => formatter.write_str("the host has removed it"),
            Self::Uncertain => formatter.write_str("the host may have changed it as well"),
            Self::Holds(path) => write!(formatter, "it holds `{}`, which the sandbox has not seen so", path.display()),
            Self::Above(path) => write!(formatter, "`{}` above it is refused", path.display()),
            Self::Raced => formatter.write_str("the host changed it at this very moment"),
        }
    }
}

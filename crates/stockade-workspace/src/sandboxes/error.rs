//! What can go wrong with a sandbox, by step.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::StateError;
use crate::layers::LayerError;

/// Most names that an error lists.
const MAX_LISTED: usize = 20;

/// Why something could not be done with a sandbox. Nothing was changed, unless the variant says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// No sandbox has this name.
    #[error("there is no sandbox {name:?}; {}", listed("sandboxes", .known))]
    Unknown {
        /// The name.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// Another sandbox has this name.
    #[error("a sandbox `{0}` exists already; choose another name, or remove that one first")]
    Exists(String),
    /// The text cannot be a name.
    #[error(
        "{0:?} cannot be the name of a sandbox: use 1 to 64 of `a` to `z`, `0` to `9`, `.`, `_` and `-`, beginning with a letter or digit"
    )]
    Name(String),
    /// The text cannot be a label.
    #[error("{0:?} cannot be a label: use one line of at most 200 bytes")]
    Label(String),
    /// The sandbox has no such checkpoint.
    #[error("the sandbox `{sandbox}` has no checkpoint {name:?}; {}", listed("checkpoints", .known))]
    UnknownCheckpoint {
        /// The sandbox.
        sandbox: String,
        /// Name or label.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// Several checkpoints have this label.
    #[error("the sandbox `{sandbox}` has several checkpoints labelled {label:?}; name one of {}", .names.join(", "))]
    AmbiguousLabel {
        /// The sandbox.
        sandbox: String,
        /// The label.
        label: String,
        /// Names of the checkpoints.
        names: Vec<String>,
    },
    /// The workspace does not open.
    #[error(
        "cannot open the workspace `{path}` of the sandbox: {source}; if it was moved, move it back, and if it is gone, only what the sandbox changed is left"
    )]
    NoWorkspace {
        /// The workspace.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another directory has taken the workspace's place.
    #[error(
        "`{0}` is no longer the directory that the sandbox was made for, but another of the same name; move the old one back, or make a new sandbox"
    )]
    OtherWorkspace(PathBuf),
    /// The workspace is not given by an absolute path.
    #[error("the workspace `{0}` is not an absolute path")]
    RelativeWorkspace(PathBuf),
    /// The workspace lies in the state directory.
    #[error(
        "the workspace `{0}` lies in the state directory, among what belongs to sandboxes; choose another directory"
    )]
    WorkspaceInState(PathBuf),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A folder or file is not the caller's alone.
    #[error("`{path}` {why}; sandboxes are kept only where nobody else can change or see them")]
    NotOwn {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        why: NotOwn,
    },
    /// The file system cannot hold what a sandbox writes.
    #[error(
        "`{path}` is on {kind}, which cannot hold what a sandbox writes; set XDG_STATE_HOME to a directory on a local file system such as ext4, xfs or btrfs"
    )]
    FileSystem {
        /// The directory.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A file of a sandbox cannot be understood.
    #[error("`{path}` is damaged: {what}; remove the sandbox, or put the file back as it was")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A newer version of the program wrote the manifest.
    #[error("`{path}` was written by a newer version of stockade (format {version}); use that one")]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        version: u64,
    },
    /// Programs run in the sandbox.
    #[error("programs are running in the sandbox `{0}`; stop it first")]
    Running(String),
    /// Somebody else removed the sandbox meanwhile.
    #[error("the sandbox `{0}` was removed meanwhile")]
    Removed(String),
    /// A bound was reached.
    #[error("the sandbox `{sandbox}` has {limit} {what}, the most that it can have; {remedy}")]
    TooMany {
        /// The sandbox.
        sandbox: String,
        /// The bound.
        limit: usize,
        /// What it counts.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The layer is none of the sandbox's.
    #[error("the sandbox `{sandbox}` has no layer {layer:?}")]
    UnknownLayer {
        /// The sandbox.
        sandbox: String,
        /// The layer.
        layer: String,
    },
    /// A layer cannot be read or made.
    #[error("cannot keep the sandbox's files: {0}")]
    Layer(#[from] LayerError),
    /// A system call failed.
    #[error("cannot {operation} `{path}`: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Why a folder or file is not the caller's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOwn {
    /// It is a symbolic link, or of another kind than it should be.
    Kind,
    /// It belongs to the user of this number.
    Owner(u32),
    /// Its permission bits let others in.
    Mode(u32),
}

impl fmt::Display for NotOwn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => formatter.write_str("is a symbolic link, or not of the kind that it should be"),
            Self::Owner(user) => write!(formatter, "belongs to another user (number {user})"),
            Self::Mode(mode) => write!(formatter, "can be reached by others (mode {mode:04o}; `chmod go=` it)"),
        }
    }
}

/// What there is to choose from, as text.
fn listed(what: &str, names: &[String]) -> String {
    let shown = &names[..names.len().min(MAX_LISTED)];
    match names.len() - shown.len() {
        _ if names.is_empty() => format!("there are no {what}"),
        0 => format!("the {what} are {}", shown.join(", ")),
        more => format!("the {what} are {} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(known: &[&str]) -> String {
        let known = known.iter().map(ToString::to_string).collect();
        SandboxError::Unknown { name: "x\n".into(), known }.to_string()
    }

    #[test]
    fn an_unknown_name_comes_with_those_that_exist() {
        assert_eq!(message(&[]), "there is no sandbox \"x\\n\"; there are no sandboxes");
        assert_eq!(message(&["a", "b"]), "there is no sandbox \"x\\n\"; the sandboxes are a, b");
        assert!(message(&["a"; 23]).ends_with(", a and 3 more"));
    }
}

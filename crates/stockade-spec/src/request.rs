//! What one run asks for, besides its policy: the command, where, and for whom.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::os_text;
use crate::tier::Tier;

/// One run as its caller states it. The library reads no environment: whoever calls it fills this in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The program and its arguments; never empty. The program is looked up in the `PATH` of the sandbox.
    #[serde(with = "os_text::list")]
    pub command: Vec<OsString>,
    /// The workspace: an absolute path without symbolic links.
    #[serde(with = "os_text::one")]
    pub workspace: PathBuf,
    /// The directory in which the command starts: the workspace or below it.
    #[serde(with = "os_text::one")]
    pub directory: PathBuf,
    /// The caller's home directory: absolute, without symbolic links. Inside, a private directory takes its place.
    #[serde(with = "os_text::one")]
    pub home: PathBuf,
    /// The caller's environment, from which the policy's allow-list takes.
    #[serde(with = "os_text::pairs")]
    pub environment: Vec<(OsString, OsString)>,
    /// Which streams are terminals, as the caller found them.
    pub terminal: Terminal,
    /// The one tier to use; `None` takes the strongest that this machine offers.
    pub isolation: Option<Tier>,
    /// Which file operations are observed one by one.
    pub trace: Trace,
    /// A directory on the host in which private directories may be made: absolute, without symbolic links, outside
    /// the workspace. Used where there is no mount namespace.
    #[serde(with = "os_text::one")]
    pub temporary: PathBuf,
    /// A name for this run that no other run on this machine has at the same time: letters, digits and `-` only.
    pub run_id: String,
    /// For a sandbox that lasts: where what is written is kept. The workspace itself is not written then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
}

/// The directories on the host of which a lasting sandbox's view of its workspace is made: layers of overlayfs over the
/// workspace. All are absolute, without symbolic links, and outside the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// Sealed layers, the topmost first. They are only read.
    #[serde(with = "os_text::list")]
    pub sealed: Vec<PathBuf>,
    /// Where writes go; `None` holds the workspace read-only.
    pub writes: Option<Upper>,
    /// The directory in which each copy-on-write directory of home has its own `upper` and `work`.
    #[serde(with = "os_text::one")]
    pub caches: PathBuf,
}

/// The writable layer of an overlay: two directories of one file system (kernel `Documentation/filesystems/overlayfs.rst`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upper {
    /// What is written.
    #[serde(with = "os_text::one")]
    pub upper: PathBuf,
    /// What overlayfs needs for itself.
    #[serde(with = "os_text::one")]
    pub work: PathBuf,
}

/// Which standard streams of the caller are terminals; those become the sandbox's pseudo-terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Which refused file operations become exact events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trace {
    /// None: file denials are inferred from what a failed command printed.
    #[default]
    Off,
    /// Operations that change files.
    Writes,
    /// Operations that change files, and those that open them for reading or execute them.
    All,
}

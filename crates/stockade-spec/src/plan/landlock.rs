//! A Landlock domain as data (`landlock(7)`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::os_text;

/// What a Landlock domain allows. What it does not allow, and the kernel's ABI can refuse, is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandlockRuleset {
    /// The ABI whose access rights are handled; the kernel has at least this.
    pub abi: u32,
    /// What may be done below which path.
    pub rules: Vec<LandlockRule>,
    /// Refuse every TCP bind and connect (ABI 4).
    pub refuse_tcp: bool,
    /// Refuse connecting to abstract Unix sockets made outside the domain (ABI 6).
    pub scope_abstract_sockets: bool,
    /// Refuse signals to processes outside the domain (ABI 6).
    pub scope_signals: bool,
}

/// What may be done with a file, or with everything below a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandlockRule {
    /// The file or directory, as the process that installs the domain sees it.
    #[serde(with = "os_text::one")]
    pub path: PathBuf,
    /// The access. Where `path` is not a directory, only the rights that files have.
    pub access: LandlockAccess,
}

/// Groups of Landlock's access rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LandlockAccess {
    /// Read files, list directories, execute.
    Read,
    /// Everything that the ABI knows of files, but making devices.
    Write,
    /// Read, write and `ioctl` an existing device or file; make nothing.
    Device,
}

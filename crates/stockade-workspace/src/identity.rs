//! Which file a protected file is.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Statx};
use serde::{Deserialize, Serialize};

use crate::os_text;

/// Which file it is and whether it was touched, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Device, major and minor number in one.
    pub device: u64,
    /// Number of the file on it.
    pub inode: u64,
    /// Kind and permission bits, as `st_mode` of `stat(2)`.
    pub mode: u32,
    /// Names that the file has.
    pub links: u32,
    /// Last change of content or attributes: nanoseconds since 1970.
    pub changed: i64,
}

impl Identity {
    pub(crate) fn of(status: &Statx) -> Self {
        let seconds = status.stx_ctime.tv_sec.saturating_mul(1_000_000_000);
        Self {
            device: u64::from(status.stx_dev_major) << 32 | u64::from(status.stx_dev_minor),
            inode: status.stx_ino,
            mode: status.stx_mode.into(),
            links: status.stx_nlink,
            changed: seconds.saturating_add(status.stx_ctime.tv_nsec.into()),
        }
    }

    /// Whether both are the same file, whatever was done to it.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode, self.mode & 0o170_000) == (other.device, other.inode, other.mode & 0o170_000)
    }

    /// The kind of file.
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }
}

/// One protected file or directory that was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// Which file it was.
    pub identity: Identity,
}

/// Finds a path in a list that is in the order of bytes.
pub(crate) fn find<'k>(list: &'k [Known], path: &Path) -> Option<&'k Identity> {
    let bytes = |known: &Known| known.path.as_os_str().as_bytes().cmp(path.as_os_str().as_bytes());
    list.binary_search_by(bytes).ok().map(|at| &list[at].identity)
}

//! What lies at a path, in the terms of `stat(2)`.

use rustix::fs::{FileType, Statx, StatxTimestamp};
use serde::{Deserialize, Serialize};

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
}

/// What lies at a path. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What kind of file it is.
    pub kind: Kind,
    /// Permission bits, with set-user-id, set-group-id and sticky: `07777` of `st_mode`.
    pub mode: u32,
    /// Length in bytes; of a symbolic link, that of its text.
    pub size: u64,
    /// Last change of the content.
    pub modified: i64,
    /// Last change of content or attributes.
    pub changed: i64,
    /// Device that it lies on, major and minor number in one.
    pub device: u64,
    /// Number of the file on it.
    pub inode: u64,
    /// Names that the file has.
    pub links: u32,
}

impl Entry {
    /// The entry that `statx(2)` tells of.
    #[must_use]
    pub fn of(status: &Statx) -> Self {
        Self {
            kind: Kind::of(FileType::from_raw_mode(status.stx_mode.into())),
            mode: u32::from(status.stx_mode) & 0o7777,
            size: status.stx_size,
            modified: nanoseconds(&status.stx_mtime),
            changed: nanoseconds(&status.stx_ctime),
            device: u64::from(status.stx_dev_major) << 32 | u64::from(status.stx_dev_minor),
            inode: status.stx_ino,
            links: status.stx_nlink,
        }
    }

    /// Whether both are one file: names of the same inode.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl Kind {
    pub(super) fn of(kind: FileType) -> Self {
        match kind {
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Self::Device,
            // `st_mode` names no other kind.
            FileType::RegularFile | FileType::Unknown => Self::File,
        }
    }
}

/// One number for a time. Years beyond 2262, which a program may set, count as the last that fits.
fn nanoseconds(time: &StatxTimestamp) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.into())
}

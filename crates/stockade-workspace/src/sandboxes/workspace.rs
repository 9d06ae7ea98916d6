//! Which directory of the host a sandbox lies on.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use crate::identity::Identity;
use crate::os_text;

/// A workspace, and which directory it was when the sandbox was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Where it is: an absolute path without links.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// Which directory it was.
    pub identity: Identity,
    /// When that directory was made, in nanoseconds since 1970, where its file system says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<i64>,
}

impl Workspace {
    /// Notes which directory lies at a path, and opens it.
    pub(super) fn note(path: &Path) -> Result<(Self, OwnedFd), SandboxError> {
        if !path.is_absolute() {
            return Err(SandboxError::RelativeWorkspace(path.to_owned()));
        }
        let failed = |error: Errno| SandboxError::NoWorkspace { path: path.to_owned(), source: error.into() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let status = rustix::fs::statx(fd.as_fd(), c"", AtFlags::EMPTY_PATH, wanted).map_err(failed)?;
        Ok((Self { path: path.to_owned(), identity: Identity::of(&status), born: born(&status) }, fd))
    }

    /// Opens the workspace, which must be the same directory still.
    pub(super) fn open(&self) -> Result<OwnedFd, SandboxError> {
        let (now, fd) = Self::note(&self.path)?;
        if self.is_same(&now) { Ok(fd) } else { Err(SandboxError::OtherWorkspace(self.path.clone())) }
    }

    /// Whether both are the same directory. A number of a device does not outlive a reboot: that of a btrfs subvolume is
    /// given at each mount, that of a disk in the order in which disks are found. A number of a file together with the time
    /// at which the file was made does; only where that time is unknown does the device count.
    fn is_same(&self, now: &Self) -> bool {
        let same_file = self.identity.inode == now.identity.inode && now.identity.kind() == FileType::Directory;
        same_file
            && match (self.born, now.born) {
                (Some(before), Some(now)) => before == now,
                _ => self.identity.device == now.identity.device,
            }
    }
}

fn born(status: &Statx) -> Option<i64> {
    let known = StatxFlags::from_bits_retain(status.stx_mask).contains(StatxFlags::BTIME);
    let seconds = status.stx_btime.tv_sec.saturating_mul(1_000_000_000);
    known.then(|| seconds.saturating_add(status.stx_btime.tv_nsec.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_directory_of_the_same_name_is_not_the_workspace() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("work");
        std::fs::create_dir(&path).expect("a workspace");
        let (noted, _) = Workspace::note(&path).expect("noted");
        assert!(noted.open().is_ok());
        std::fs::rename(&path, place.path().join("old")).expect("moved");
        assert!(matches!(noted.open(), Err(SandboxError::NoWorkspace { .. })));
        std::fs::create_dir(&path).expect("another");
        assert!(matches!(noted.open(), Err(SandboxError::OtherWorkspace(_))));
        std::fs::remove_dir(&path).expect("removed");
        std::os::unix::fs::symlink(place.path().join("old"), &path).expect("a link");
        assert!(matches!(noted.open(), Err(SandboxError::NoWorkspace { .. })));
    }

    #[test]
    fn a_reboot_that_numbers_devices_anew_changes_nothing() {
        let place = tempfile::tempdir().expect("a directory");
        let (mut noted, _) = Workspace::note(place.path()).expect("noted");
        noted.identity.device += 1;
        assert_eq!(noted.open().is_ok(), noted.born.is_some());
    }
}

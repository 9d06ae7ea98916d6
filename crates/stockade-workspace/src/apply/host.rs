//! The host's workspace, and how a path in it is reached: below its descriptor, through no link, over no mount.
//!
//! Directories are opened as mere paths (`O_PATH`), which needs no permission on them but the way there, and touches
//! nothing. What `openat2(2)` promises holds at the moment of the call only: a directory may be moved elsewhere while it is
//! open, so whoever has changed something by it asks [`Host::is_still`] afterwards.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::{Errno, Result};

use super::error::ApplyError;
use crate::directory;
use crate::layers::Entry;

const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Longest path that one system call takes, with some distance to `PATH_MAX`.
const MAX_AT_ONCE: usize = 4000;

/// The workspace, opened.
#[derive(Debug)]
pub(super) struct Host {
    root: OwnedFd,
    mount: Mount,
    path: PathBuf,
}

/// A name in an open directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: OwnedFd,
    pub(super) name: CString,
}

/// Where a directory is mounted: two with the same answer can exchange files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    device: u64,
    /// The kernel's number for the mount; 0 where it does not tell.
    id: u64,
}

impl Mount {
    pub(super) fn of(dir: BorrowedFd<'_>) -> Result<Self> {
        use rustix::fs::{AtFlags, statx};
        let status = statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
        let tells = StatxFlags::from_bits_retain(status.stx_mask).contains(StatxFlags::MNT_ID);
        Ok(Self { device: Entry::of(&status).device, id: if tells { status.stx_mnt_id } else { 0 } })
    }
}

impl Host {
    /// Opens a workspace.
    pub(super) fn open(path: &Path) -> std::result::Result<Self, ApplyError> {
        let failed = |source| ApplyError::Workspace { operation: "open", path: path.to_owned(), source };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let mount = Mount::of(root.as_fd()).map_err(failed)?;
        Ok(Self { root, mount, path: path.to_owned() })
    }

    /// Keeps other applies away for as long as it is open: a lock (`flock(2)`) on the directory itself, which all sandboxes of
    /// a workspace have in common, wherever their state is, and which a crash leaves unlocked.
    pub(super) fn lock(&self) -> std::result::Result<(), ApplyError> {
        match rustix::fs::flock(&self.root, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => Err(ApplyError::Busy(self.path.clone())),
            Err(source) => Err(ApplyError::Workspace { operation: "lock", path: self.path.clone(), source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    pub(super) fn mount(&self) -> Mount {
        self.mount
    }

    /// The device that it lies on.
    pub(super) fn device(&self) -> u64 {
        self.mount.device
    }

    /// What the workspace itself is.
    pub(super) fn entry(&self) -> Result<Entry> {
        Ok(Entry::of(&directory::own_status(self.root.as_fd())?))
    }

    /// Opens the directory at a path. `XDEV` where something is mounted on the way.
    pub(super) fn directory(&self, path: &[u8]) -> Result<OwnedFd> {
        let mut current = rustix::fs::openat(&self.root, c".", PATH, Mode::empty())?;
        let mut rest = path;
        while !rest.is_empty() {
            let part;
            (part, rest) = cut(rest, MAX_AT_ONCE)?;
            current = self.open_part(current, part)?;
        }
        Ok(current)
    }

    fn open_part(&self, dir: OwnedFd, part: &[u8]) -> Result<OwnedFd> {
        if part.split(|byte| *byte == b'/').any(|name| matches!(name, b"" | b"." | b"..")) {
            return Err(Errno::INVAL);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        match rustix::fs::openat2(&dir, part, PATH, Mode::empty(), resolve) {
            // Another sandbox around this one may hide the call. Name by name, the plain one does the same but for mounts.
            Err(Errno::NOSYS) => part.split(|byte| *byte == b'/').try_fold(dir, |dir, name| {
                let child = rustix::fs::openat(&dir, name, PATH, Mode::empty())?;
                if Mount::of(child.as_fd())? == self.mount { Ok(child) } else { Err(Errno::XDEV) }
            }),
            other => other,
        }
    }

    /// The directory that holds a path, and the name in it.
    pub(super) fn place(&self, path: &[u8]) -> Result<Place> {
        let (parent, name) = directory::split(path);
        Ok(Place { dir: self.directory(parent)?, name: directory::c_name(name)? })
    }

    /// Opens whatever lies at a path as a mere path; the workspace itself for the empty one.
    pub(super) fn open_path(&self, path: &[u8]) -> Result<OwnedFd> {
        if path.is_empty() {
            return self.directory(path);
        }
        let place = self.place(path)?;
        directory::open_path(place.dir.as_fd(), &place.name)
    }

    /// What lies at a path. `Ok(None)` where its directory is there and it is not.
    pub(super) fn look(&self, path: &[u8]) -> Result<Option<Entry>> {
        self.place(path)?.look()
    }

    /// Whether an open directory is still the one at its path.
    pub(super) fn is_still(&self, dir: BorrowedFd<'_>, path: &[u8]) -> Result<bool> {
        let (opened, again) = (directory::own_status(dir)?, self.directory(path)?);
        Ok(Entry::of(&opened).is_same_file(&Entry::of(&directory::own_status(again.as_fd())?)))
    }
}

impl Drop for Host {
    /// A process that another thread has just started may have a copy of the descriptor for a moment, until it executes its
    /// program. So the lock is let go of by name.
    fn drop(&mut self) {
        drop(rustix::fs::flock(&self.root, FlockOperation::Unlock).map_err(std::io::Error::from));
    }
}

impl Place {
    /// What lies there.
    pub(super) fn look(&self) -> Result<Option<Entry>> {
        match directory::status(self.dir.as_fd(), &self.name) {
            Ok(status) => Ok(Some(Entry::of(&status))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Cuts a path after as many whole names as fit.
pub(super) fn cut(path: &[u8], limit: usize) -> Result<(&[u8], &[u8])> {
    if path.len() <= limit {
        return Ok((path, b""));
    }
    let at = path[..limit].iter().rposition(|byte| *byte == b'/').ok_or(Errno::NAMETOOLONG)?;
    Ok((&path[..at], &path[at + 1..]))
}

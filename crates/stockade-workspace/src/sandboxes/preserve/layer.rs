//! The layer that is being filled.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, RenameFlags, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use super::super::error::SandboxError;
use super::super::folder::Folder;
use super::super::id::Id;
use super::super::mirror::Mirror;
use super::super::removal;
use crate::directory;
use crate::layers::union::is_directory;
use crate::layers::{copy, reach, xattrs};
use crate::walk::to_path;

/// What is being copied from another file system, in the layer's folder.
const INCOMING: &str = "incoming";

/// What the host had before an apply, while it is put together.
#[derive(Debug)]
pub struct Preserving {
    id: Id,
    layer: Folder,
    tree: OwnedFd,
    workspace: OwnedFd,
}

impl Preserving {
    pub(super) const fn new(id: Id, layer: Folder, tree: OwnedFd, workspace: OwnedFd) -> Self {
        Self { id, layer, tree, workspace }
    }

    pub(super) fn into_layer(self) -> (Id, Folder) {
        (self.id, self.layer)
    }

    /// The layer's identifier.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }

    /// Where the layer's tree is.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.layer.path().join(super::TREE)
    }

    /// Takes over a tree that is whole: what an apply had put together at `old`, on the file system of the state directory. One
    /// that was taken over before an interruption is there already.
    ///
    /// # Errors
    /// When it cannot be moved; then it is where it was.
    pub fn adopt(&self, old: &Path) -> std::result::Result<(), SandboxError> {
        let tree = self.tree();
        let failed = |operation, source: std::io::Error| SandboxError::Io { operation, path: old.to_owned(), source };
        match old.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            found => found.map_err(|error| failed("look at", error))?,
        };
        // Over an empty directory only.
        std::fs::rename(old, tree).map_err(|error| failed("keep", error))
    }

    /// Whether something was kept for this path.
    ///
    /// # Errors
    /// When the layer cannot be read.
    pub fn has(&self, path: &Path) -> std::result::Result<bool, SandboxError> {
        let (parent, name) = directory::split(path.as_os_str().as_bytes());
        let look = || match reach::open_below(self.tree.as_fd(), parent)? {
            Some(dir) => Ok(reach::status(dir.as_fd(), &directory::c_name(name)?)?.is_some()),
            None => Ok(false),
        };
        look().map_err(|error| failed(path, "look at", error))
    }

    /// Moves what lies at a name of an open directory here, as what the host had at `path`; copies it where it lies on another
    /// file system. `false` when something was kept for this path before; then nothing is moved.
    ///
    /// # Errors
    /// When it cannot be moved; then it is where it was.
    pub fn take(&self, from: BorrowedFd<'_>, name: &CStr, path: &Path) -> std::result::Result<bool, SandboxError> {
        let take = || {
            let (into, target) = self.parent(path)?;
            let status = directory::status(from, name)?;
            let before = directory::own_status(into.as_fd())?;
            let moved = match rename(from, name, &status, into.as_fd(), &target) {
                Err(Errno::XDEV) => self.copy(from, name, &status, into.as_fd(), &target),
                moved => moved,
            };
            match moved {
                Ok(()) => {}
                Err(Errno::EXIST | Errno::NOTEMPTY) => return Ok(false),
                Err(error) => return Err(error),
            }
            if is_directory(&status) {
                // What the host puts there later is none of it.
                let taken = reach::open_directory(into.as_fd(), &target)?.ok_or(Errno::NOENT)?;
                directory::with_permission(taken.as_fd(), || xattrs::set_opaque(taken.as_fd()))?;
            }
            set_times(into.as_fd(), &before).map(|()| true)
        };
        take().map_err(|error| failed(path, "keep", error))
    }

    /// Keeps that the host had nothing at `path`. Above a directory that the apply made, that is all there is to keep.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn keep_absence(&self, path: &Path) -> std::result::Result<(), SandboxError> {
        let keep = || {
            let (into, name) = self.parent(path)?;
            let before = directory::own_status(into.as_fd())?;
            match rustix::fs::mknodat(&into, &name, FileType::CharacterDevice, Mode::empty(), 0) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            xattrs::set_may_hold_whiteouts(into.as_fd())?;
            set_times(into.as_fd(), &before)
        };
        keep().map_err(|error| failed(path, "keep the absence of", error))
    }

    /// Opens the directory of a path in the layer, and gives the last name. Directories that are missing are made to look like
    /// the host's, since that is what is seen of them.
    fn parent(&self, path: &Path) -> Result<(OwnedFd, CString)> {
        let (parent, name) = directory::split(path.as_os_str().as_bytes());
        let mut dir = reach::open_again(self.tree.as_fd())?;
        let mut host = Some(directory::open_below(self.workspace.as_fd(), b"")?);
        for part in parent.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            let part = directory::c_name(part)?;
            host = match host {
                Some(host) => reach::absent(directory::open_child(host.as_fd(), &part))?,
                None => None,
            };
            let child = match reach::open_directory(dir.as_fd(), &part)? {
                Some(child) => child,
                None => make(dir.as_fd(), &part, host.as_ref().map(AsFd::as_fd))?,
            };
            dir = child;
        }
        Ok((dir, directory::c_name(name)?))
    }

    /// Copies from another file system, so that what has its name is complete, and then removes it there.
    fn copy(
        &self,
        from: BorrowedFd<'_>,
        name: &CStr,
        status: &rustix::fs::Statx,
        into: BorrowedFd<'_>,
        target: &CStr,
    ) -> Result<()> {
        let incoming = directory::c_name(INCOMING.as_bytes())?;
        removal::remove_at(self.layer.fd(), &incoming)?;
        rustix::fs::mkdirat(self.layer.fd(), &incoming, Mode::RWXU)?;
        let room = directory::open_child(self.layer.fd(), &incoming)?;
        if is_directory(status) {
            let source = reach::open_directory(from, name)?.ok_or(Errno::NOENT)?;
            rustix::fs::mkdirat(&room, target, Mode::RWXU)?;
            let copied = directory::open_child(room.as_fd(), target)?;
            Mirror::new(source.as_fd(), copied.as_fd(), None, &[]).fill().map_err(|error| errno(&error))?;
            rename(room.as_fd(), target, &directory::status(room.as_fd(), target)?, into, target)?;
        } else {
            copy::copy(from, name, status, room.as_fd())?;
            rustix::fs::renameat_with(&room, name, into, target, RenameFlags::NOREPLACE)?;
        }
        removal::remove_at(self.layer.fd(), &incoming)?;
        removal::remove_at(from, name)
    }
}

fn failed(path: &Path, operation: &'static str, error: Errno) -> SandboxError {
    SandboxError::Io { operation, path: to_path(path.as_os_str().as_bytes()), source: error.into() }
}

fn errno(error: &crate::layers::LayerError) -> Errno {
    match error {
        crate::layers::LayerError::Path { source, .. } | crate::layers::LayerError::Open { source, .. } => *source,
        _ => Errno::OVERFLOW,
    }
}

/// Makes a directory that looks like the host's.
fn make(dir: BorrowedFd<'_>, name: &CStr, host: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    rustix::fs::mkdirat(dir, name, Mode::RWXU)?;
    let made = directory::open_child(dir, name)?;
    if let Some(host) = host {
        copy::attributes(host, made.as_fd())?;
    }
    Ok(made)
}

/// Renames without replacing anything; a directory also when its owner has no permission on it, as its `..` changes.
fn rename(
    from: BorrowedFd<'_>,
    name: &CStr,
    status: &rustix::fs::Statx,
    into: BorrowedFd<'_>,
    target: &CStr,
) -> Result<()> {
    let rename = || rustix::fs::renameat_with(from, name, into, target, RenameFlags::NOREPLACE);
    let mode = Mode::from_raw_mode(status.stx_mode.into());
    match directory::with_permission(into, rename) {
        Err(Errno::ACCESS) if is_directory(status) => {
            let moved = directory::open_path(from, name)?;
            directory::set_mode(moved.as_fd(), mode | Mode::RWXU)?;
            let result = directory::with_permission(into, rename);
            directory::set_mode(moved.as_fd(), mode)?;
            result
        }
        other => other,
    }
}

/// Gives a directory back the times that it had before something was put into it.
fn set_times(dir: BorrowedFd<'_>, before: &rustix::fs::Statx) -> Result<()> {
    let time = |time: &rustix::fs::StatxTimestamp| Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec.into() };
    let times = Timestamps { last_access: time(&before.stx_atime), last_modification: time(&before.stx_mtime) };
    rustix::fs::futimens(dir, &times)
}

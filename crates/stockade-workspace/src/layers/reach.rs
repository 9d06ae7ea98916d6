//! Reads what sandboxed code has closed to its own owner.
//!
//! A program may take all permissions off a file or directory that it made. Overlayfs still serves it, by the capabilities of
//! the namespace that mounted it; an ordinary user outside is refused. The files are the user's own, so the permission is
//! given for the moment and taken back. This is for layers only: nothing of the host's workspace is ever changed to read it.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, Statx};
use rustix::io::{Errno, Result};

use crate::directory::{self, with_permission};

const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// What lies at `name`, or nothing.
pub(crate) fn status(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<Statx>> {
    absent(with_permission(dir, || directory::status(dir, name)))
}

/// Opens the subdirectory `name`, or nothing where none is.
pub(crate) fn open_directory(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>> {
    absent(open(dir, name, || directory::open_child(dir, name)))
}

/// Opens the regular file `name`, or nothing where none is.
pub(crate) fn open_file(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>> {
    absent(open(dir, name, || open_plain_file(dir, name)))
}

/// Opens a directory by its relative path, name by name.
pub(crate) fn open_below(root: BorrowedFd<'_>, path: &[u8]) -> Result<Option<OwnedFd>> {
    let mut current = open_again(root)?;
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        let Some(child) = open_directory(current.as_fd(), &directory::c_name(name)?)? else { return Ok(None) };
        current = child;
    }
    Ok(Some(current))
}

/// Opens a layer's directory once more, for a position of its own.
pub(crate) fn open_again(dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    with_permission(dir, || directory::open_below(dir, b""))
}

/// Opens a regular file and nothing else, without waiting for anybody at the other end of a pipe.
pub(crate) fn open_plain_file(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let file = rustix::fs::openat(dir, name, FILE, Mode::empty())?;
    let kind = rustix::fs::FileType::from_raw_mode(directory::own_status(file.as_fd())?.stx_mode.into());
    if kind == rustix::fs::FileType::RegularFile { Ok(file) } else { Err(Errno::NOENT) }
}

/// What was gone, or was of another kind, by the time that it was looked at, is not there.
pub(crate) fn absent<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        // `INVAL` is what `readlinkat` says of no link.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::XDEV | Errno::INVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens by `action`; when the file itself refuses, its owner is let in for as long as that takes.
fn open(dir: BorrowedFd<'_>, name: &CStr, action: impl Fn() -> Result<OwnedFd>) -> Result<OwnedFd> {
    match with_permission(dir, &action) {
        Err(Errno::ACCESS | Errno::PERM) => {
            let file = with_permission(dir, || directory::open_path(dir, name))?;
            let mode = Mode::from_raw_mode(directory::own_status(file.as_fd())?.stx_mode.into());
            directory::set_mode(file.as_fd(), mode | Mode::RWXU)?;
            let opened = with_permission(dir, &action);
            directory::set_mode(file.as_fd(), mode)?;
            opened
        }
        other => other,
    }
}

//! A copy of one entry of a layer, where a further name of it cannot be had.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, Statx, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use super::content::copy_content;
use super::{reach, xattrs};
use crate::directory::{self, with_permission};

/// Copies what is no directory, under the same name.
pub(super) fn copy(from: BorrowedFd<'_>, name: &CStr, status: &Statx, into: BorrowedFd<'_>) -> Result<()> {
    let mode = Mode::from_raw_mode(status.stx_mode.into());
    match FileType::from_raw_mode(status.stx_mode.into()) {
        FileType::RegularFile => {
            let source = reach::open_file(from, name)?.ok_or(Errno::NOENT)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let target = rustix::fs::openat(into, name, flags, Mode::RUSR | Mode::WUSR)?;
            copy_content(source.as_fd(), target.as_fd(), status.stx_size)?;
            attributes(source.as_fd(), target.as_fd())
        }
        FileType::Symlink => {
            let text = with_permission(from, || rustix::fs::readlinkat(from, name, Vec::new()))?;
            rustix::fs::symlinkat(&text, into, name)?;
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(into, name, &times(status), flags)
        }
        kind => {
            let device = rustix::fs::makedev(status.stx_rdev_major, status.stx_rdev_minor);
            rustix::fs::mknodat(into, name, kind, mode, device)
        }
    }
}

/// Gives an open file or directory the mode, times, attributes and lists of another. Its owner is the caller, as everything
/// in a layer.
pub(super) fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let status = directory::own_status(from)?;
    xattrs::copy(from, to)?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(status.stx_mode.into()))?;
    rustix::fs::futimens(to, &times(&status))
}

const fn times(status: &Statx) -> Timestamps {
    let (access, modified) = (&status.stx_atime, &status.stx_mtime);
    Timestamps {
        last_access: Timespec { tv_sec: access.tv_sec, tv_nsec: access.tv_nsec as _ },
        last_modification: Timespec { tv_sec: modified.tv_sec, tv_nsec: modified.tv_nsec as _ },
    }
}

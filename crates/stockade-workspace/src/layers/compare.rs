//! Whether a file of a layer differs from the host's.
//!
//! A program can set a file's times, so equal times say nothing: files of equal size are read. What both have as a hole is
//! not read, so that a sparse file costs what it holds.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::Statx;
use rustix::io::{Errno, Result};

use super::changes::Status;
use super::content::same_content;
use super::entry::{Entry, Kind};
use super::{reach, xattrs};
use crate::directory::with_permission;

/// An entry and where it was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) dir: BorrowedFd<'a>,
    pub(super) name: &'a CStr,
    pub(super) status: &'a Statx,
}

/// How an entry of the sandbox that is no directory differs from the host's, which is of the same kind; `None` when it does not.
pub(super) fn compare(old: Place<'_>, new: Place<'_>) -> Result<Option<Status>> {
    let entries = (Entry::of(old.status), Entry::of(new.status));
    let status = match entries.1.kind {
        Kind::File => return compare_files(old, new, &entries.0, &entries.1),
        Kind::Symlink if !same_text(old, new)? => Some(Status::Modified),
        Kind::Device if device(old.status) != device(new.status) => Some(Status::Modified),
        _ => None,
    };
    Ok(status.or_else(|| (entries.0.mode != entries.1.mode).then_some(Status::Attributes)))
}

/// Whether mode or attributes of two open directories differ.
pub(super) fn compare_directories(old: (BorrowedFd<'_>, u32), new: (BorrowedFd<'_>, u32)) -> Result<Option<Status>> {
    let differ = old.1 != new.1 || xattrs::of(old.0)? != xattrs::of(new.0)?;
    Ok(differ.then_some(Status::Attributes))
}

fn compare_files(old: Place<'_>, new: Place<'_>, before: &Entry, after: &Entry) -> Result<Option<Status>> {
    if before.size != after.size {
        return Ok(Some(Status::Modified));
    }
    if before.is_same_file(after) {
        return Ok(None);
    }
    // What the host does not let its own user read cannot be called equal.
    let old = match reach::open_plain_file(old.dir, old.name) {
        Ok(file) => file,
        Err(Errno::ACCESS | Errno::PERM | Errno::NOENT) => return Ok(Some(Status::Modified)),
        Err(error) => return Err(error),
    };
    let Some(new) = reach::open_file(new.dir, new.name)? else { return Ok(Some(Status::Modified)) };
    if !same_content(old.as_fd(), new.as_fd(), after.size)? {
        return Ok(Some(Status::Modified));
    }
    let differ = before.mode != after.mode || xattrs::of(old.as_fd())? != xattrs::of(new.as_fd())?;
    Ok(differ.then_some(Status::Attributes))
}

fn same_text(old: Place<'_>, new: Place<'_>) -> Result<bool> {
    let text = |place: Place<'_>| rustix::fs::readlinkat(place.dir, place.name, Vec::new());
    let (before, after) = (reach::absent(text(old))?, reach::absent(with_permission(new.dir, || text(new)))?);
    Ok(before.is_some() && before == after)
}

const fn device(status: &Statx) -> (u16, u32, u32) {
    (status.stx_mode & 0o170_000, status.stx_rdev_major, status.stx_rdev_minor)
}

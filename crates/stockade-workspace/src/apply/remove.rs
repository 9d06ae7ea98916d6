//! Removes what an apply has staged, however deep it is and whatever its modes are.
//!
//! Directories in directories are moved up before they are removed, so that neither the depth of a tree nor the length of a
//! path matters, and one that was interrupted is simply begun again.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::{Errno, Result};

use crate::layers::{Entry, Kind};
use crate::{directory, listing};

/// Names that are read before they are removed.
const BATCH: usize = 1024;

/// Removes a file, or a directory with all that is in it. Nothing being there is fine. `room` is a directory of the caller's on
/// the same file system where directories are moved to meanwhile.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &CStr, room: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let mut number = 0;
    let Some(moved) = move_up(dir, name, room, &mut number)? else { return Ok(()) };
    empty_moved(room, moved, number)
}

/// Removes everything in a directory.
pub(super) fn empty(dir: BorrowedFd<'_>) -> Result<()> {
    loop {
        let names = names(dir)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            remove(dir, name, dir)?;
        }
    }
}

/// Removes a directory that was moved to `room`, and all that come to be there for it.
fn empty_moved(room: BorrowedFd<'_>, first: CString, mut number: u32) -> Result<()> {
    let mut waiting = vec![first];
    while let Some(name) = waiting.pop() {
        let dir = open(room, &name)?;
        loop {
            let names = names(dir.as_fd())?;
            if names.is_empty() {
                break;
            }
            for inner in &names {
                match rustix::fs::unlinkat(&dir, inner, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR | Errno::PERM) => {
                        waiting.extend(move_up(dir.as_fd(), inner, room, &mut number)?);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        rustix::fs::unlinkat(room, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Opens a directory, and gives its owner all permissions on it.
fn open(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let found = directory::open_path(dir, name)?;
    let entry = Entry::of(&directory::own_status(found.as_fd())?);
    if entry.kind != Kind::Directory {
        return Err(Errno::NOTDIR);
    }
    if entry.mode & 0o700 != 0o700 {
        directory::set_mode(found.as_fd(), Mode::from_raw_mode(entry.mode) | Mode::RWXU)?;
    }
    directory::open_child(dir, name)
}

/// Moves a directory to `room`, under a name of its own: the first from this number on that is free. Gives nothing where
/// none is.
fn move_up(dir: BorrowedFd<'_>, name: &CStr, room: BorrowedFd<'_>, number: &mut u32) -> Result<Option<CString>> {
    match open(dir, name) {
        Ok(_) => {}
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    }
    loop {
        let new = directory::c_name(format!("removed-{number}").as_bytes())?;
        *number = number.checked_add(1).ok_or(Errno::EXIST)?;
        match rustix::fs::renameat_with(dir, name, room, &new, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Some(new)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
}

fn names(dir: BorrowedFd<'_>) -> Result<Vec<CString>> {
    rustix::fs::seek(dir, rustix::fs::SeekFrom::Start(0))?;
    let mut names = Vec::new();
    let read = listing::each(dir, |name, _| {
        names.push(name.to_owned());
        if names.len() >= BATCH { Err(Errno::OVERFLOW) } else { Ok(()) }
    });
    match read {
        Ok(()) | Err(Errno::OVERFLOW) => Ok(names),
        Err(error) => Err(error),
    }
}

//! Copies a file or directory to another file system, and removes it where it was once that is done.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::{directory, listing};

/// Most bytes, files and levels that are copied for one item; what is larger stays where it is, under another name.
const MAX_BYTES: u64 = 64 << 20;
const MAX_FILES: u32 = 10_000;
const MAX_LEVELS: u32 = 64;

struct Budget {
    bytes: u64,
    files: u32,
}

/// Copies `name` of one directory to another. Links are copied as links; sockets, pipes and devices are refused. A copy that
/// cannot be completed is removed again.
pub(super) fn copy(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>) -> Result<()> {
    let mut budget = Budget { bytes: MAX_BYTES, files: MAX_FILES };
    let Err(error) = copy_entry(from, name, to, &mut budget, 0) else { return Ok(()) };
    // The original is still there. Whether or not the rest of the copy goes away, why it failed is what there is to tell.
    remove(to, name).map_or(Err(error), |()| Err(error))
}

fn copy_entry(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, budget: &mut Budget, level: u32) -> Result<()> {
    budget.files = budget.files.checked_sub(1).ok_or(Errno::FBIG)?;
    let status = directory::status(from, name)?;
    match FileType::from_raw_mode(status.stx_mode.into()) {
        FileType::RegularFile => copy_file(from, name, to, budget),
        FileType::Symlink => {
            let text = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(&text, to, name)
        }
        FileType::Directory if level < MAX_LEVELS => copy_directory(from, name, to, budget, level),
        _ => Err(Errno::OPNOTSUPP),
    }
}

fn copy_directory(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    budget: &mut Budget,
    level: u32,
) -> Result<()> {
    let source = directory::open_child(from, name)?;
    rustix::fs::mkdirat(to, name, Mode::RWXU)?;
    let target = directory::open_child(to, name)?;
    listing::each(source.as_fd(), |name, _| copy_entry(source.as_fd(), name, target.as_fd(), budget, level + 1))?;
    rustix::fs::fchmod(&target, permissions(source.as_fd())?)
}

/// The permission bits of an open file, without set-user-id and set-group-id.
fn permissions(file: BorrowedFd<'_>) -> Result<Mode> {
    Ok(Mode::from_raw_mode(u32::from(directory::own_status(file)?.stx_mode) & 0o1777))
}

fn copy_file(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, budget: &mut Budget) -> Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let source = rustix::fs::openat(from, name, OFlags::RDONLY | flags, Mode::empty())?;
    let status = directory::own_status(source.as_fd())?;
    if FileType::from_raw_mode(status.stx_mode.into()) != FileType::RegularFile {
        return Err(Errno::AGAIN);
    }
    let mode = permissions(source.as_fd())?;
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | flags;
    let mut target = File::from(rustix::fs::openat(to, name, create, Mode::RUSR | Mode::WUSR)?);
    let mut source = File::from(source);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = source.read(&mut buffer).map_err(errno)?;
        if length == 0 {
            return rustix::fs::fchmod(&target, mode);
        }
        budget.bytes = budget.bytes.checked_sub(length as u64).ok_or(Errno::FBIG)?;
        target.write_all(&buffer[..length]).map_err(errno)?;
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Removes what was copied, or what is left of a copy.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    remove_entry(dir, name, 0)
}

fn remove_entry(dir: BorrowedFd<'_>, name: &CStr, level: u32) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) if level <= MAX_LEVELS => {}
        other => return other,
    }
    let child = directory::open_child(dir, name)?;
    let mut names = Vec::new();
    listing::each(child.as_fd(), |name, _| {
        names.push(name.to_owned());
        if names.len() > MAX_FILES as usize { Err(Errno::FBIG) } else { Ok(()) }
    })?;
    for name in &names {
        directory::with_permission(child.as_fd(), || remove_entry(child.as_fd(), name, level + 1))?;
    }
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

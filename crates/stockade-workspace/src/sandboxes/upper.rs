//! The directory that takes the writes of a sandbox, between two checkpoints.
//!
//! Its own mode, times and attributes are those that programs see of the workspace's root, so a new one gets those of what
//! it lies on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::{Errno, Result};

use super::error::SandboxError;
use super::folder::Folder;
use crate::layers::{copy, reach, xattrs};
use crate::{directory, listing};

/// The directory itself, and the one that takes its place next.
pub(super) const UPPER: &str = "upper";
pub(super) const NEXT: &str = "next";

/// Overlayfs's own.
pub(super) const WORK: &str = "work";

/// Opens a directory of the sandbox's files in one of its folders.
pub(super) fn open(folder: &Folder, name: &str) -> std::result::Result<OwnedFd, SandboxError> {
    let open = || {
        let name = directory::c_name(name.as_bytes())?;
        reach::open_directory(folder.fd(), &name)?.ok_or(Errno::NOENT)
    };
    open().map_err(|error| folder.failed("open", name, error))
}

/// Makes an empty directory that looks like another.
pub(super) fn make(folder: &Folder, name: &str, like: Option<BorrowedFd<'_>>) -> std::result::Result<(), SandboxError> {
    let make = || {
        rustix::fs::mkdirat(folder.fd(), name, Mode::RWXU)?;
        let Some(like) = like else { return Ok(()) };
        let made = directory::open_child(folder.fd(), &directory::c_name(name.as_bytes())?)?;
        copy::attributes(like, made.as_fd())
    };
    make().map_err(|error| folder.failed("make the directory", name, error))
}

/// Whether nothing was changed: it is empty, and looks like what it lies on. Of what lies below, a difference that came
/// about otherwise costs a checkpoint that nobody needs, and nothing else.
pub(super) fn is_unchanged(upper: BorrowedFd<'_>, below: BorrowedFd<'_>) -> Result<bool> {
    let empty = match listing::each(upper, |_, _| Err(Errno::EXIST)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    if !empty {
        return Ok(false);
    }
    let mode = |fd| directory::own_status(fd).map(|status| status.stx_mode);
    Ok(mode(upper)? == mode(below)? && xattrs::of(upper)? == xattrs::of(below)?)
}

/// Gives a directory back the mode that it had before it was moved.
pub(super) fn set_mode(folder: &Folder, name: &str, mode: u32) -> std::result::Result<(), SandboxError> {
    let set = || {
        let name = directory::c_name(name.as_bytes())?;
        let open = directory::open_path(folder.fd(), &name)?;
        directory::set_mode(open.as_fd(), Mode::from_raw_mode(mode))
    };
    set().map_err(|error| folder.failed("set the mode of", name, error))
}

/// The mode of a directory that would refuse to be moved by its owner: moving it changes its `..`.
pub(super) fn closed_mode(folder: &Folder, name: &str) -> std::result::Result<Option<u32>, SandboxError> {
    let status = directory::c_name(name.as_bytes()).and_then(|name| directory::status(folder.fd(), &name));
    let mode = u32::from(status.map_err(|error| folder.failed("look at", name, error))?.stx_mode) & 0o7777;
    Ok((mode & 0o700 != 0o700).then_some(mode))
}

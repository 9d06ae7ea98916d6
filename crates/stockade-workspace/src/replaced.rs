//! Judges what has taken the place of a protected file that was held.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::directory;
use crate::git;
use crate::git_config;
use crate::listing;
use crate::originals::{self, Originals};
use crate::walk::to_path;

/// Where something lies that is to be judged.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The directory.
    pub(crate) dir: BorrowedFd<'a>,
    /// The name in it.
    pub(crate) name: &'a CStr,
    /// The path relative to the workspace.
    pub(crate) path: &'a [u8],
    /// Whether the directory is one of git's.
    pub(crate) in_git: bool,
}

/// Whether what lies there can be left: it says the same as what was there, or makes git run nothing that it did not run
/// before. Anything else may have been written by the command, once it was no longer held.
pub(crate) fn is_harmless(originals: &Originals, place: &Place<'_>, kind: FileType) -> bool {
    let &Place { dir, name, path, in_git } = place;
    let own = directory::split(path).0;
    if in_git && git::is_harmless(dir, own, name, kind) || kind == FileType::Directory && is_empty(dir, name) {
        return true;
    }
    let Some(then) = originals.content(path).filter(|_| kind == FileType::RegularFile) else { return false };
    let Some(now) = content(place) else { return false };
    let is_config = in_git && git::is_configuration(name.to_bytes());
    now == then
        || is_config && {
            let (now, then) = (String::from_utf8_lossy(&now), String::from_utf8_lossy(&then));
            git_config::adds_nothing(&now, &then, &to_path(own), &|at| git::is_free(dir, own, at))
        }
}

fn is_empty(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    let Ok(child) = directory::open_child(dir, name) else { return false };
    listing::each(child.as_fd(), |_, _| Err(Errno::NOTEMPTY)).is_ok()
}

fn content(place: &Place<'_>) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::openat(place.dir, place.name, flags, Mode::empty()).ok()?;
    originals::read(file.as_fd()).ok().flatten()
}

//! Removes a tree, whatever is in it: deeper than a path may be long, wider than memory, closed to its own owner.
//!
//! Names are taken in portions and removed before the next is read, so that no directory is too large; directories are
//! entered by name and left by `..`, so that few descriptors are open however deep they lie.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, Result};

use super::error::SandboxError;
use super::folder::Folder;
use crate::directory::with_permission;
use crate::{directory, listing};

/// Names that are read before they are removed.
const PORTION: usize = 4096;

/// Levels of a portion that are held open; above them, a directory is opened again when what is in it is gone.
const MAX_OPEN: usize = 64;

/// How often it is begun again when somebody else removes the same.
const MAX_ROUNDS: u32 = 10_000;

/// Removes what is in a folder under this name; what is gone already is as well.
pub(super) fn remove(folder: &Folder, name: &str) -> std::result::Result<(), SandboxError> {
    let failed = |error| folder.failed("remove", name, error);
    let name = directory::c_name(name.as_bytes()).map_err(failed)?;
    remove_at(folder.fd(), &name).map_err(failed)
}

/// A directory that is being emptied.
struct Level {
    /// `None` while it is closed to save descriptors.
    fd: Option<OwnedFd>,
    /// Its own name in the directory above.
    name: CString,
    /// Subdirectories of it that were found and are still there.
    waiting: Vec<CString>,
}

/// Removes what lies at a name. Somebody else may be removing the same; where that takes a directory away in the midst of it,
/// it begins again with what is left.
pub(super) fn remove_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    for _ in 0..MAX_ROUNDS {
        match remove_once(dir, name) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
    }
    Err(Errno::BUSY)
}

fn remove_once(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match unlink(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    let mut levels: Vec<Level> = Level::open(dir, name)?.into_iter().collect();
    while let Some(level) = levels.last_mut() {
        let Some(fd) = &level.fd else { return Err(Errno::BADF) };
        if level.waiting.is_empty() {
            level.waiting = empty(fd.as_fd())?;
        }
        if let Some(name) = level.waiting.pop() {
            let next = Level::open(fd.as_fd(), &name)?;
            levels.extend(next);
            if let Some(above) = levels.len().checked_sub(MAX_OPEN + 1) {
                levels[above].fd = None;
            }
            continue;
        }
        let Some(Level { fd, name, .. }) = levels.pop() else { break };
        match levels.last_mut() {
            None => unlink(dir, &name, AtFlags::REMOVEDIR)?,
            Some(above) => {
                if above.fd.is_none() {
                    above.fd = fd.map(|fd| parent(fd.as_fd())).transpose()?;
                }
                let Some(above) = &above.fd else { return Err(Errno::BADF) };
                unlink(above.as_fd(), &name, AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

/// Removes a name. One that is gone already is as well.
fn unlink(dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// The directory that an open one lies in. Nobody else moves what is being removed.
fn parent(dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, c"..", flags, Mode::empty())
}

/// Removes what is no directory from one, and gives the first subdirectories.
fn empty(dir: BorrowedFd<'_>) -> Result<Vec<CString>> {
    loop {
        rustix::fs::seek(dir, SeekFrom::Start(0))?;
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        let read = listing::each(dir, |name, kind| {
            let list = if kind == FileType::Directory { &mut directories } else { &mut files };
            list.push(name.to_owned());
            if files.len().max(directories.len()) >= PORTION { Err(Errno::OVERFLOW) } else { Ok(()) }
        });
        if !matches!(read, Ok(()) | Err(Errno::OVERFLOW)) {
            read?;
        }
        for name in &files {
            unlink(dir, name, AtFlags::empty())?;
        }
        if files.is_empty() || read.is_ok() {
            return Ok(directories);
        }
    }
}

impl Level {
    /// Opens a directory for its owner to empty: all permissions are given, since it goes away. `None` when it is gone.
    fn open(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<Self>> {
        let open = || {
            if directory::status(dir, name)?.stx_mode & 0o700 != 0o700 {
                let closed = directory::open_path(dir, name)?;
                directory::set_mode(closed.as_fd(), Mode::RWXU)?;
            }
            with_permission(dir, || directory::open_child(dir, name))
        };
        match open() {
            Ok(fd) => Ok(Some(Self { fd: Some(fd), name: name.to_owned(), waiting: Vec::new() })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn remove_in(place: &tempfile::TempDir) {
        let parent = std::fs::File::open(place.path()).expect("open");
        remove_at(parent.as_fd(), c"tree").expect("removed");
        assert_eq!(std::fs::read_dir(place.path()).expect("read").count(), 0);
        remove_at(parent.as_fd(), c"tree").expect("it is gone");
    }

    #[test]
    fn trees_deeper_than_a_path_go() {
        let place = tempfile::tempdir().expect("a directory");
        let mut dir = OwnedFd::from(std::fs::File::open(place.path()).expect("open"));
        for level in 0..3000 {
            let name: &CStr = if level == 0 { c"tree" } else { c"a-rather-long-name" };
            rustix::fs::mkdirat(&dir, name, Mode::RWXU).expect("made");
            dir = directory::open_child(dir.as_fd(), name).expect("opened");
            rustix::fs::symlinkat(c"/etc", &dir, c"link").expect("a link");
        }
        remove_in(&place);
    }

    #[test]
    fn wide_and_closed_directories_go() {
        let place = tempfile::tempdir().expect("a directory");
        let tree = place.path().join("tree");
        for name in ["a", "b/c", "d"] {
            std::fs::create_dir_all(tree.join(name)).expect("directories");
        }
        for number in 0..PORTION + 3 {
            std::fs::write(tree.join("b/c").join(number.to_string()), "").expect("a file");
        }
        for number in 0..10 {
            std::fs::create_dir(tree.join("d").join(number.to_string())).expect("a directory");
        }
        for name in ["b/c", "b", "d"] {
            std::fs::set_permissions(tree.join(name), PermissionsExt::from_mode(0o000)).expect("closed");
        }
        remove_in(&place);
    }
}

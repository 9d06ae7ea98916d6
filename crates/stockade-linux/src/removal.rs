//! Removing a directory that sandboxed code has filled: however deep it is, and whatever permissions it has.
//!
//! `std::fs::remove_dir_all` holds a descriptor for each level and stops at the first directory that its owner may not
//! write, as those of Go's module cache are; sandboxed code could so make a directory stay.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Entries of a directory that are held in memory at once.
const BATCH: usize = 1_024;

/// Removes a directory and everything below it; one that is not there is fine. Nothing may write there any more.
///
/// # Errors
/// Those of `openat(2)`, `unlinkat(2)` and `renameat2(2)`.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match rustix::fs::chmodat(CWD, path, Mode::RWXU, AtFlags::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        result => result?,
    }
    let root = open(CWD, path)?;
    let mut raised = 0;
    loop {
        let names = some_names(root.as_fd())?;
        if names.is_empty() {
            break;
        }
        for name in names {
            if !unlink(root.as_fd(), &name)? {
                empty(root.as_fd(), &name, &mut raised)?;
            }
        }
    }
    Ok(rustix::fs::rmdir(path)?)
}

/// Removes a directory in `root`. Directories in it are moved to `root`, to be found there later, so that depth does not
/// matter.
fn empty(root: BorrowedFd<'_>, name: &CStr, raised: &mut u64) -> io::Result<()> {
    rustix::fs::chmodat(root, name, Mode::RWXU, AtFlags::empty())?;
    let directory = open(root, name)?;
    loop {
        let names = some_names(directory.as_fd())?;
        if names.is_empty() {
            return Ok(rustix::fs::unlinkat(root, name, AtFlags::REMOVEDIR)?);
        }
        for child in names {
            if !unlink(directory.as_fd(), &child)? {
                // A directory that may not be written cannot be moved elsewhere: its `..` changes.
                rustix::fs::chmodat(&directory, &child, Mode::RWXU, AtFlags::empty())?;
                raise(directory.as_fd(), &child, root, raised)?;
            }
        }
    }
}

/// Moves a directory to `root`, under a name that is free there.
fn raise(from: BorrowedFd<'_>, name: &CStr, root: BorrowedFd<'_>, raised: &mut u64) -> io::Result<()> {
    loop {
        *raised += 1;
        match rustix::fs::renameat_with(from, name, root, format!("{raised}"), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            result => return Ok(result?),
        }
    }
}

/// Removes what is no directory; whether it was none.
fn unlink(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn some_names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}

fn open(directory: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_numbers_and_links_do_not_matter() {
        let folder = tempfile::tempdir().expect("folder");
        let top = folder.path().join("top");
        std::fs::create_dir_all(top.join("1/2")).expect("directories");
        for number in 0..3_000 {
            std::fs::write(top.join(format!("1/file{number}")), "").expect("file");
        }
        std::fs::write(folder.path().join("kept"), "").expect("file");
        std::os::unix::fs::symlink("../kept", top.join("link")).expect("link");
        std::os::unix::fs::symlink("..", top.join("1/up")).expect("link");
        let mut directory = open(CWD, &top).expect("top");
        for _ in 0..1_100 {
            rustix::fs::mkdirat(&directory, "d", Mode::RWXU).expect("deeper");
            directory = open(&directory, "d").expect("deeper");
        }
        drop(directory);
        remove(&top).expect("removed");
        assert!(!top.exists() && folder.path().join("kept").exists());
        remove(&top).expect("nothing there");
    }

    #[test]
    fn permissions_do_not_matter() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let top = folder.path().join("top");
        std::fs::create_dir_all(top.join("a/b/c")).expect("directories");
        std::fs::write(top.join("a/b/c/file"), "").expect("file");
        for (name, mode) in [("a/b/c", 0o000), ("a/b", 0o555), ("a", 0o000), ("", 0o500)] {
            std::fs::set_permissions(top.join(name), std::fs::Permissions::from_mode(mode)).expect("chmod");
        }
        remove(&top).expect("removed");
        assert!(!top.exists());
    }
}

//! Resolves a path as another process sees it (`path_resolution(7)`), one component at a time.
//!
//! Every step opens one name below an already opened directory and follows no link, so nothing can be swapped between
//! looking and using: what is found is what was opened. Links are expanded here, against the process's own root. The
//! links of `/proc` that lead to a process's files are followed only for the process that asks; `/proc/self` means it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, openat, readlinkat};
use rustix::io::Errno;

use super::asker::Asker;

/// Links in one path, as many as the kernel follows.
const MAX_LINKS: usize = 40;
/// Type of `/proc` (`linux/magic.h`), and the inode of its root (`linux/proc_fs.h`).
const PROC_SUPER_MAGIC: u64 = 0x9fa0;
const PROC_ROOT_INODE: u64 = 1;
const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Found {
    /// The directory that holds, or would hold, the last name.
    pub(super) parent: OwnedFd,
    /// The last name; `.` when the path ends in a directory that it does not name.
    pub(super) name: OsString,
    /// What is there, opened as a place; `None` when nothing is.
    pub(super) object: Option<OwnedFd>,
    /// The path ends in a slash, so that only a directory will do.
    pub(super) directory_wanted: bool,
    /// The last name is a link of `/proc` to one of the process's own files, which need not have a path.
    pub(super) by_descriptor: bool,
}

/// What to do with a link in the last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastLink {
    Follow,
    Keep,
}

impl Found {
    /// The path of what was found, or of what would be made, from the root of the mounts in which it is.
    pub(super) fn path(&self) -> Result<PathBuf, Errno> {
        match &self.object {
            Some(object) => path_of(object.as_fd()),
            None => Ok(path_of(self.parent.as_fd())?.join(&self.name)),
        }
    }

    /// The path of the last name itself, whatever it is.
    pub(super) fn name_path(&self) -> Result<PathBuf, Errno> {
        let parent = path_of(self.parent.as_fd())?;
        Ok(if self.name == "." { parent } else { parent.join(&self.name) })
    }
}

/// The path of an open file, as the kernel knows it at this moment.
pub(super) fn path_of(file: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
    let text = readlinkat(CWD, link_of(file), Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
}

/// This process's own link to an open file.
pub(super) fn link_of(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Whether a file is in `/proc`.
pub(super) fn in_proc(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(u64::try_from(fstatfs(file)?.f_type).is_ok_and(|kind| kind == PROC_SUPER_MAGIC))
}

/// Resolves `path` of a process, relative to its descriptor `at` (`AT_FDCWD`: its working directory).
///
/// # Errors
/// As the kernel would answer; a name that does not exist in the last place is not an error but [`Found::object`]
/// `None`.
pub(super) fn resolve(asker: &Asker<'_>, at: i32, path: &[u8], last: LastLink) -> Result<Found, Errno> {
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    let root = asker.root()?;
    let start = match (path.first(), at) {
        (Some(b'/'), _) => root.try_clone().map_err(|_| Errno::MFILE)?,
        (_, libc::AT_FDCWD) => asker.directory()?,
        _ => asker.opened(at)?,
    };
    let mut walk = Walk { asker, root, directory: start, pending: Vec::new(), links: 0, directory_wanted: false };
    walk.push(path);
    walk.run(last)
}

struct Walk<'w, 'a> {
    asker: &'w Asker<'a>,
    root: OwnedFd,
    directory: OwnedFd,
    /// Names still to be walked, the next one last.
    pending: Vec<OsString>,
    links: usize,
    directory_wanted: bool,
}

impl Walk<'_, '_> {
    /// Puts the names of a path before those that are pending.
    fn push(&mut self, path: &[u8]) {
        if self.pending.is_empty() && (path.ends_with(b"/") || path.ends_with(b"/.") || path == b".") {
            self.directory_wanted = true;
        }
        let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".");
        let at = self.pending.len();
        self.pending.extend(names.map(|name| OsStr::from_bytes(name).to_owned()));
        self.pending[at..].reverse();
    }

    fn run(mut self, last: LastLink) -> Result<Found, Errno> {
        while let Some(name) = self.pending.pop() {
            if name == ".." {
                self.ascend()?;
                continue;
            }
            let name = self.own_name(name)?;
            let is_last = self.pending.is_empty();
            let Some(object) = self.open(&name, is_last)? else {
                return Ok(self.found(name, None, false));
            };
            let is_link = FileType::from_raw_mode(fstat(&object)?.st_mode) == FileType::Symlink;
            if is_link && (!is_last || self.directory_wanted || last == LastLink::Follow) {
                if let Some(target) = self.follow(&name, &object)? {
                    if is_last {
                        return Ok(self.found(name, Some(target), true));
                    }
                    self.directory = target;
                }
            } else if is_last {
                return Ok(self.found(name, Some(object), false));
            } else {
                self.directory = object;
            }
        }
        let itself = self.directory.try_clone().map_err(|_| Errno::MFILE)?;
        Ok(self.found(".".into(), Some(itself), false))
    }

    fn found(self, name: OsString, object: Option<OwnedFd>, by_descriptor: bool) -> Found {
        Found { parent: self.directory, name, object, directory_wanted: self.directory_wanted, by_descriptor }
    }

    /// Opens a name in the current directory as a place; `None` when it is the last one and does not exist. A name that
    /// is not the last one and no directory fails at the next step, with `ENOTDIR`.
    fn open(&self, name: &OsStr, is_last: bool) -> Result<Option<OwnedFd>, Errno> {
        match openat(&self.directory, name, PLACE, Mode::empty()) {
            Ok(object) => Ok(Some(object)),
            Err(Errno::NOENT) if is_last => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Goes up, but not above the root.
    fn ascend(&mut self) -> Result<(), Errno> {
        let (here, top) = (fstat(&self.directory)?, fstat(&self.root)?);
        if (here.st_dev, here.st_ino) != (top.st_dev, top.st_ino) {
            self.directory = openat(&self.directory, "..", PLACE | OFlags::DIRECTORY, Mode::empty())?;
        }
        Ok(())
    }

    /// `self` and `thread-self` in the root of `/proc` mean whoever looks; here they have to mean the asker.
    fn own_name(&mut self, name: OsString) -> Result<OsString, Errno> {
        if (name != "self" && name != "thread-self") || !self.in_proc_root()? {
            return Ok(name);
        }
        let status = self.asker.status()?;
        if name == "thread-self" {
            self.pending.push(status.thread_inside.to_string().into());
            self.pending.push("task".into());
        }
        Ok(status.process_inside.to_string().into())
    }

    fn in_proc_root(&self) -> Result<bool, Errno> {
        Ok(in_proc(self.directory.as_fd())? && fstat(&self.directory)?.st_ino == PROC_ROOT_INODE)
    }

    /// Expands a link: its text becomes pending, or, for a link of `/proc` to a file, the file is given.
    fn follow(&mut self, name: &OsStr, link: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        if in_proc(self.directory.as_fd())? && !self.in_proc_root()? {
            self.require_own_process()?;
            return openat(&self.directory, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map(Some);
        }
        let text = readlinkat(link, "", Vec::new())?.into_bytes();
        if text.first() == Some(&b'/') {
            self.directory = self.root.try_clone().map_err(|_| Errno::MFILE)?;
        }
        self.push(&text);
        Ok(None)
    }

    /// Fails unless the current directory, in `/proc`, belongs to the process that asks.
    fn require_own_process(&self) -> Result<(), Errno> {
        let status = self.asker.status()?;
        match proc_owner(&path_of(self.directory.as_fd())?) {
            Some(owner) if owner == status.process_inside || owner == status.thread_inside => Ok(()),
            _ => Err(Errno::ACCESS),
        }
    }
}

/// The process to which a directory `/proc/PID…` belongs.
pub(super) fn proc_owner(path: &Path) -> Option<u32> {
    path.strip_prefix("/proc").ok()?.iter().next()?.to_str()?.parse().ok()
}

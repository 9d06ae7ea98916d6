//! Walks a workspace, however deep, with few descriptors and bounded memory.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use stockade_spec::glob::{Cursor, Rules};

use crate::directory;
use crate::error::ScanError;
use crate::listing::{Hit, Listing};

/// Most entries that a walk looks at. Each costs tens of nanoseconds.
pub(crate) const MAX_ENTRIES: u64 = 100_000_000;

/// Most bytes of names of subdirectories that wait to be entered.
pub(crate) const MAX_WAITING: usize = 128 << 20;

/// Directories held open at once; the shell's usual limit is 1024 for everything.
const MAX_OPEN: usize = 128;

/// Directories held open at once where the process may open hardly any more.
const FEW_OPEN: usize = 8;

/// What a walk tells of.
pub(crate) trait Visitor {
    /// A directory was read: its descriptor, its path relative to the workspace, its protected entries.
    fn directory(&mut self, dir: BorrowedFd<'_>, path: &[u8], hits: Vec<Hit>) -> Result<(), ScanError>;

    /// A regular file was seen.
    fn file(&mut self, _dir: BorrowedFd<'_>, _path: &[u8], _name: &CStr) {}

    /// A symbolic link was seen in a repository. Git makes none there, and would write through it.
    fn git_link(&mut self, _dir: BorrowedFd<'_>, _path: &[u8], _name: &CStr) {}

    /// A directory could not be entered. Gives its descriptor where the visitor could open it after all. `parent` is `None`
    /// where not even the directory above could be opened again.
    fn closed(
        &mut self,
        parent: Option<BorrowedFd<'_>>,
        name: &CStr,
        path: &[u8],
        error: Errno,
    ) -> Result<Option<OwnedFd>, ScanError>;
}

/// A directory with subdirectories that wait.
struct Frame<'r> {
    /// `AGAIN` while it is closed to save descriptors; another error when it could not be opened again.
    fd: Result<OwnedFd, Errno>,
    cursor: Cursor<'r>,
    /// Whether it is a repository, or lies in one.
    in_git: bool,
    /// Names, each with its NUL.
    waiting: Vec<u8>,
    next: usize,
    path_length: usize,
}

struct Walk<'a, 'r, V> {
    root: BorrowedFd<'a>,
    visitor: &'a mut V,
    /// Directories from the workspace down; the first `closed` of them have no descriptor.
    frames: Vec<Frame<'r>>,
    closed: usize,
    /// How many may have one, once it had to be found out.
    most: Option<usize>,
    /// Path of the directory at hand.
    path: Vec<u8>,
    entries: u64,
    waiting: usize,
}

/// Opens a workspace, which must be a directory and not a link.
pub(crate) fn open_workspace(path: &Path) -> Result<OwnedFd, ScanError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|source| ScanError::Open { path: path.to_owned(), source })
}

/// Walks everything below `root` that is not protected. Symbolic links are never followed.
pub(crate) fn walk(root: BorrowedFd<'_>, rules: &Rules, visitor: &mut impl Visitor) -> Result<(), ScanError> {
    walk_below(root, b"", rules.walk(), visitor)
}

/// Walks what lies below one directory of the workspace, with the rules as they stand there.
pub(crate) fn walk_below(
    root: BorrowedFd<'_>,
    path: &[u8],
    cursor: Cursor<'_>,
    visitor: &mut impl Visitor,
) -> Result<(), ScanError> {
    let error = |source| ScanError::Open { path: to_path(path), source };
    let fd = directory::open_below(root, path).map_err(error)?;
    let (frames, path) = (Vec::new(), path.to_vec());
    let mut walk = Walk { root, visitor, frames, closed: 0, most: None, path, entries: 0, waiting: 0 };
    walk.read(fd, cursor, false)?;
    while walk.step()? {}
    Ok(())
}

/// Bytes from the system as a path.
pub(crate) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

impl<'r, V: Visitor> Walk<'_, 'r, V> {
    /// Reads the directory at `self.path` and leaves its subdirectories waiting.
    fn read(&mut self, fd: OwnedFd, cursor: Cursor<'r>, in_git: bool) -> Result<(), ScanError> {
        let listing =
            Listing::read(fd.as_fd(), &self.path, &cursor, |name| self.visitor.file(fd.as_fd(), &self.path, name));
        let listing = listing.map_err(|source| ScanError::Read { path: to_path(&self.path), source })?;
        self.entries += listing.entries;
        self.waiting += listing.subdirectories.len();
        if self.entries > MAX_ENTRIES {
            return Err(ScanError::TooManyEntries(MAX_ENTRIES));
        }
        if self.waiting > MAX_WAITING {
            return Err(ScanError::TooManyDirectories(MAX_WAITING));
        }
        let in_git = in_git || listing.is_repository;
        if in_git {
            listing.links.iter().for_each(|name| self.visitor.git_link(fd.as_fd(), &self.path, name));
        }
        if !listing.hits.is_empty() {
            self.visitor.directory(fd.as_fd(), &self.path, listing.hits)?;
        }
        if !listing.subdirectories.is_empty() {
            let path_length = self.path.len();
            let frame = Frame { fd: Ok(fd), cursor, in_git, waiting: listing.subdirectories, next: 0, path_length };
            self.frames.push(frame);
            self.close_oldest();
        }
        Ok(())
    }

    fn close_oldest(&mut self) {
        if self.frames.len() - self.closed <= FEW_OPEN {
            return;
        }
        let most = *self.most.get_or_insert_with(may_be_open);
        while self.frames.len() - self.closed > most {
            self.frames[self.closed].fd = Err(Errno::AGAIN);
            self.closed += 1;
        }
    }

    /// Enters the next directory that waits; `false` when none does.
    fn step(&mut self) -> Result<bool, ScanError> {
        self.reopen();
        let Some(frame) = self.frames.last_mut() else { return Ok(false) };
        let Some((name, last)) = frame.take() else {
            self.pop();
            return Ok(true);
        };
        self.path.truncate(frame.path_length);
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
        let opened = match &frame.fd {
            Ok(parent) => match directory::open_child(parent.as_fd(), &name) {
                Ok(fd) => Some(fd),
                // Gone, or on a file system that the kernel makes up, or no longer a directory.
                Err(Errno::NOENT | Errno::XDEV | Errno::NOTDIR | Errno::LOOP) => None,
                Err(error) => self.visitor.closed(Some(parent.as_fd()), &name, &self.path, error)?,
            },
            Err(error) => self.visitor.closed(None, &name, &self.path, *error)?,
        };
        let cursor = frame.cursor.enter(OsStr::from_bytes(name.to_bytes()));
        let in_git = frame.in_git;
        // A directory with nothing left waiting is let go before its last child, so that a deep chain costs nothing.
        if last {
            self.pop();
        }
        if let Some(fd) = opened {
            self.read(fd, cursor, in_git)?;
        }
        Ok(true)
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.waiting -= frame.waiting.len();
            self.closed = self.closed.min(self.frames.len());
        }
    }

    /// Opens the deepest directories again when all that are left were closed: as many as may be open at once, so that the
    /// way down from the workspace is gone once for all of them.
    fn reopen(&mut self) {
        if self.frames.is_empty() || self.closed < self.frames.len() {
            return;
        }
        self.closed = self.frames.len().saturating_sub(self.most.unwrap_or(FEW_OPEN));
        let deepest = self.frames.last().map_or(0, |frame| frame.path_length);
        let path = self.path[..deepest].to_vec();
        let mut from: Option<(OwnedFd, usize)> = None;
        for frame in &mut self.frames[self.closed..] {
            let (start, done) = from.as_ref().map_or((self.root, 0), |(fd, done)| (fd.as_fd(), *done));
            frame.fd = directory::open_below(start, &path[done..frame.path_length]);
            if let Ok(fd) = &frame.fd {
                from = fd.try_clone().ok().map(|copy| (copy, frame.path_length));
            }
        }
    }
}

/// How many directories a walk may hold open. Half of the descriptors are for whoever looks at what it finds.
fn may_be_open() -> usize {
    (directory::descriptors_left() / 2).clamp(FEW_OPEN, MAX_OPEN)
}

impl Frame<'_> {
    /// The next name that waits, and whether it is the last.
    fn take(&mut self) -> Option<(std::ffi::CString, bool)> {
        let name = CStr::from_bytes_until_nul(self.waiting.get(self.next..)?).ok()?.to_owned();
        self.next += name.as_bytes_with_nul().len();
        Some((name, self.next >= self.waiting.len()))
    }
}

//! Folders and files of the state directory: opened by descriptor, without following a link, and only when they are the
//! caller's own and closed to everybody else. What another user could change is not believed.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::error::{NotOwn, SandboxError};
use crate::directory;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder and where it is, for messages.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// Whether to wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Yes,
    No,
}

/// A lock by `flock(2)`, let go when it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// The process that took it.
    owner: rustix::process::Pid,
}

impl Lock {
    /// The file that is locked.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Lock {
    /// Closing the file alone would let go of it only once every copy of the descriptor is closed, and a process that another
    /// thread starts has one until it executes its program. A copy of this process must not let go of what is not its own.
    fn drop(&mut self) {
        if rustix::process::getpid() == self.owner {
            // The kernel refuses this for no lock that is held.
            drop(rustix::fs::flock(&self.file, FlockOperation::Unlock).map_err(std::io::Error::from));
        }
    }
}

impl Folder {
    /// Opens the folder at a path.
    pub(super) fn open(path: &Path) -> Result<Self, SandboxError> {
        let fd = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty());
        Self::checked(fd, path.to_owned())
    }

    /// Opens a folder in this one; `None` where there is none.
    pub(super) fn child(&self, name: &str) -> Result<Option<Self>, SandboxError> {
        match rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            result => Self::checked(result, self.path.join(name)).map(Some),
        }
    }

    /// Makes a folder in this one and opens it.
    pub(super) fn make_child(&self, name: &str) -> Result<Self, SandboxError> {
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)
            .map_err(|error| self.failed("make the directory", name, error))?;
        self.child(name)?.ok_or_else(|| self.failed("open", name, Errno::NOENT))
    }

    fn checked(result: Result<OwnedFd, Errno>, path: PathBuf) -> Result<Self, SandboxError> {
        let fd = match result {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(SandboxError::NotOwn { path, why: NotOwn::Kind }),
            Err(error) => return Err(SandboxError::Io { operation: "open", path, source: error.into() }),
        };
        check_own(fd.as_fd(), &path)?;
        Ok(Self { fd, path })
    }

    /// The same folder under the name that it has got.
    pub(super) fn renamed(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// Its descriptor.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error at a name in it.
    pub(super) fn failed(&self, operation: &'static str, name: &str, error: Errno) -> SandboxError {
        SandboxError::Io { operation, path: self.path.join(name), source: error.into() }
    }

    /// Whether something has this name.
    pub(super) fn has(&self, name: &str) -> Result<bool, SandboxError> {
        match directory::c_name(name.as_bytes()).and_then(|name| directory::status(self.fd(), &name)) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed("look at", name, error)),
        }
    }

    /// Whether it still has its name, which it has not once it was removed.
    pub(super) fn is_named(&self) -> bool {
        let named = rustix::fs::statx(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW, rustix::fs::StatxFlags::BASIC_STATS);
        let own = directory::own_status(self.fd());
        matches!((named, own), (Ok(named), Ok(own)) if (named.stx_ino, named.stx_dev_major, named.stx_dev_minor)
            == (own.stx_ino, own.stx_dev_major, own.stx_dev_minor))
    }

    /// Locks the file `name`, which is made where it is missing; `None` when somebody else holds it and there is no waiting.
    pub(super) fn lock(&self, name: &str, operation: FlockOperation) -> Result<Option<Lock>, SandboxError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file,
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                return Err(SandboxError::NotOwn { path: self.path.join(name), why: NotOwn::Kind });
            }
            Err(error) => return Err(self.failed("open", name, error)),
        };
        check_own(file.as_fd(), &self.path.join(name))?;
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation)) {
            Ok(()) => Ok(Some(Lock { file: file.into(), owner: rustix::process::getpid() })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(self.failed("lock", name, error)),
        }
    }

    /// Locks the file `name` for this process alone.
    pub(super) fn lock_alone(&self, name: &str, wait: Wait) -> Result<Option<Lock>, SandboxError> {
        match wait {
            Wait::Yes => self.lock(name, FlockOperation::LockExclusive),
            Wait::No => self.lock(name, FlockOperation::NonBlockingLockExclusive),
        }
    }

    /// Opens a file for reading.
    pub(super) fn open_file(&self, name: &str) -> Result<File, SandboxError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::LOOP) => return Err(SandboxError::NotOwn { path: self.path.join(name), why: NotOwn::Kind }),
            Err(error) => return Err(self.failed("open", name, error)),
        };
        check_own(file.as_fd(), &self.path.join(name))?;
        Ok(file.into())
    }

    /// Reads a file of at most so many bytes; `None` where there is none.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SandboxError> {
        let file = match self.open_file(name) {
            Err(SandboxError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = Vec::new();
        let read = file.take(limit + 1).read_to_end(&mut text);
        read.map_err(|source| SandboxError::Io { operation: "read", path: self.path.join(name), source })?;
        if text.len() as u64 > limit {
            return Err(SandboxError::Damaged {
                path: self.path.join(name),
                what: format!("it is larger than {limit} bytes"),
            });
        }
        Ok(Some(text))
    }

    /// Creates a file, or empties the one that is there, for writing.
    pub(super) fn create(&self, name: &str) -> Result<File, SandboxError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR);
        file.map(File::from).map_err(|error| self.failed("create", name, error))
    }

    /// Renames what is in it, to another name in it or in another folder. Nothing but an empty directory is replaced.
    pub(super) fn rename(&self, name: &str, to: &Self, new: &str) -> Result<(), SandboxError> {
        rustix::fs::renameat(&self.fd, name, &to.fd, new).map_err(|error| self.failed("rename", name, error))
    }

    /// Renames what is in it, unless the new name is taken; gives whether it was.
    pub(super) fn rename_new(&self, name: &str, to: &Self, new: &str) -> Result<bool, SandboxError> {
        match rustix::fs::renameat_with(&self.fd, name, &to.fd, new, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
            Err(error) => Err(self.failed("rename", name, error)),
        }
    }

    /// Removes a file or an empty directory; what is gone already is as well.
    pub(super) fn unlink(&self, name: &str, flags: AtFlags) -> Result<(), SandboxError> {
        match rustix::fs::unlinkat(&self.fd, name, flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// Names in it, in order.
    pub(super) fn names(&self) -> Result<Vec<String>, SandboxError> {
        let mut names = Vec::new();
        // The descriptor's own position would end where an earlier reading did.
        let fd = rustix::fs::openat(&self.fd, c".", DIRECTORY, Mode::empty());
        let fd = fd.map_err(|error| self.failed("open", "", error))?;
        let read = crate::listing::each(fd.as_fd(), |name, _| {
            // A name that is not text is none of ours.
            names.extend(name.to_str().ok().map(str::to_owned));
            Ok::<_, Errno>(())
        });
        read.map_err(|error| self.failed("read the directory", "", error))?;
        names.sort_unstable();
        Ok(names)
    }
}

/// Checks that an open file belongs to the caller, and that nobody else may do anything with it.
fn check_own(fd: BorrowedFd<'_>, path: &Path) -> Result<(), SandboxError> {
    let status = directory::own_status(fd);
    let failed = |error: Errno| SandboxError::Io { operation: "look at", path: path.to_owned(), source: error.into() };
    let status = status.map_err(failed)?;
    let (user, mode) = (status.stx_uid, u32::from(status.stx_mode) & 0o7777);
    if user != rustix::process::geteuid().as_raw() {
        return Err(SandboxError::NotOwn { path: path.to_owned(), why: NotOwn::Owner(user) });
    }
    if mode & 0o077 != 0 {
        return Err(SandboxError::NotOwn { path: path.to_owned(), why: NotOwn::Mode(mode) });
    }
    Ok(())
}

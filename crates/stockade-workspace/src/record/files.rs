//! The files of a record, opened without following a link, and their lock.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::error::RecordError;
use super::head::MAX_HEAD;
use crate::directory;

/// The lines.
pub(super) const RECORD: &str = "record.jsonl";

/// The signed head.
pub(super) const HEAD: &str = "record.head";

/// The head while it is written.
const NEW_HEAD: &str = "record.head.new";

/// How long another process may hold the lock. It does so for microseconds, unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folder of a sandbox.
#[derive(Debug)]
pub(super) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens it for writing: it has to be the caller's own, and nobody else's to write to.
    pub(super) fn own(path: &Path) -> Result<Self, RecordError> {
        let folder = Self::any(path)?;
        let status =
            directory::own_status(folder.descriptor.as_fd()).map_err(|error| folder.failed("look at", "", error))?;
        let is_own = status.stx_uid == rustix::process::geteuid().as_raw() && status.stx_mode & 0o022 == 0;
        if is_own { Ok(folder) } else { Err(RecordError::Foreign { path: folder.path }) }
    }

    /// Opens it for reading, whoever owns it.
    pub(super) fn any(path: &Path) -> Result<Self, RecordError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| RecordError::Io {
            operation: "open the folder of",
            path: path.to_owned(),
            source: error.into(),
        })?;
        Ok(Self { descriptor, path: path.to_owned() })
    }

    /// The path of a file in it.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn failed(&self, operation: &'static str, name: &str, error: impl Into<io::Error>) -> RecordError {
        RecordError::Io { operation, path: self.path_of(name), source: error.into() }
    }

    /// Opens a regular file in it; `None` where there is none.
    pub(super) fn open(&self, name: &str, flags: OFlags) -> Result<Option<File>, RecordError> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match rustix::fs::openat(&self.descriptor, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(RecordError::Foreign { path: self.path_of(name) }),
            Err(error) => return Err(self.failed("open", name, error)),
        };
        let status = directory::own_status(file.as_fd()).map_err(|error| self.failed("look at", name, error))?;
        let is_file = FileType::from_raw_mode(status.stx_mode.into()) == FileType::RegularFile;
        if is_file { Ok(Some(file.into())) } else { Err(RecordError::Foreign { path: self.path_of(name) }) }
    }

    /// Makes a file that is not there yet; `None` where there is one.
    pub(super) fn create(&self, name: &str, flags: OFlags) -> Result<Option<File>, RecordError> {
        match self.open(name, flags | OFlags::CREATE | OFlags::EXCL) {
            Err(RecordError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            other => other,
        }
    }

    /// What the head holds, without its line end; `None` where there is none. One that is longer than any head is cut, and
    /// so is none.
    pub(super) fn head(&self) -> Result<Option<Vec<u8>>, RecordError> {
        let Some(file) = self.open(HEAD, OFlags::RDONLY)? else { return Ok(None) };
        let mut text = Vec::new();
        let most = u64::try_from(MAX_HEAD).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut text).map_err(|error| self.failed("read", HEAD, error))?;
        // A head without its line end was changed: the empty text is none.
        Ok(Some(text.strip_suffix(b"\n").unwrap_or_default().to_vec()))
    }

    /// Replaces the head at once: whoever looks sees the old or the new one. The caller holds the lock. With `durable`, it is on
    /// disk before it takes the place.
    pub(super) fn replace_head(&self, text: &str, durable: bool) -> Result<(), RecordError> {
        let failed = |error: Errno| self.failed("write", HEAD, error);
        match rustix::fs::unlinkat(&self.descriptor, NEW_HEAD, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(error)),
        }
        let file = self.create(NEW_HEAD, OFlags::WRONLY)?.ok_or_else(|| failed(Errno::EXIST))?;
        io::Write::write_all(&mut &file, text.as_bytes()).map_err(|error| self.failed("write", HEAD, error))?;
        if durable {
            rustix::fs::fsync(&file).map_err(failed)?;
        }
        rustix::fs::renameat(&self.descriptor, NEW_HEAD, &self.descriptor, HEAD).map_err(failed)?;
        if durable {
            rustix::fs::fsync(&self.descriptor).map_err(failed)?;
        }
        Ok(())
    }

    /// Whether something has that name.
    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Locks the record.
    pub(super) fn lock<'f>(&self, file: &'f File, kind: Lock) -> Result<Locked<'f>, RecordError> {
        let operation = match kind {
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        let (start, mut pause) = (Instant::now(), Duration::from_micros(20));
        loop {
            match rustix::fs::flock(file, operation) {
                Ok(()) => return Ok(Locked(file)),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(5));
                }
                Err(Errno::WOULDBLOCK) => {
                    let waited_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
                    return Err(RecordError::Locked { path: self.path_of(RECORD), waited_ms });
                }
                Err(error) => return Err(self.failed("lock", RECORD, error)),
            }
        }
    }
}

/// How a record is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// Against writers.
    Shared,
    /// Against everybody.
    Exclusive,
}

/// A lock that is held (`flock(2)`). The kernel lets go of it when its process ends.
#[derive(Debug)]
pub(super) struct Locked<'f>(&'f File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Unlocking what is locked does not fail, and closing the file unlocks it as well.
        rustix::fs::flock(self.0, FlockOperation::Unlock).ok();
    }
}

/// How large a file is, and whether it still has a name.
pub(super) fn size(file: &File) -> Result<(u64, bool), Errno> {
    let status = directory::own_status(file.as_fd())?;
    Ok((status.stx_size, status.stx_nlink > 0))
}

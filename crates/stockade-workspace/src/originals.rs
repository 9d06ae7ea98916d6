//! Keeps hold of protected files as they were when a run started.
//!
//! A protected file is held read-only by a mount over it. When something on the host replaces the file while the command
//! runs, as `git config` and most editors do by renaming a new one over it, the kernel takes that mount away in every mount
//! namespace (`detach_mounts` in `fs/namespace.c`), and the command may write what lies there from then on. So what has
//! taken the place of a protected file is not trusted, and what was there before is needed once more: to tell what is new
//! in it, and to put it back.
//!
//! An open descriptor costs one system call and reads nothing, keeps the old content readable after it has lost its name,
//! and keeps its inode number from being given to another file, so that numbers can be compared at the end.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use crate::directory;

/// Most descriptors of one run; the usual limit of a process is 1024. Entries beyond have nothing to be put back from, and
/// are told from others by their inode number alone.
const MAX_HELD: usize = 128;

/// Descriptors of one run that are taken without looking how many there are.
const FEW_HELD: usize = 8;

/// Longest file that is compared or put back.
const MAX_BYTES: usize = 64 << 10;

/// Descriptors of protected entries by path relative to the workspace, shared by all copies. A journal does not keep them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Originals(Arc<BTreeMap<Vec<u8>, Original>>);

#[derive(Debug)]
struct Original {
    file: OwnedFd,
    size: u64,
    modified: (i64, u32),
}

/// They say nothing that the identities of the entries do not say.
impl PartialEq for Originals {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Originals {}

/// Gathers descriptors during a walk.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    held: BTreeMap<Vec<u8>, Original>,
    /// How many it may become, once it had to be found out.
    most: Option<usize>,
}

impl Gathered {
    /// Takes hold of one entry of a directory. One that cannot be opened is one that cannot be put back. A file with another
    /// name may be changed through that, so that its content says nothing.
    pub(crate) fn hold(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &[u8], status: &Statx) {
        let is_file = FileType::from_raw_mode(status.stx_mode.into()) == FileType::RegularFile;
        if self.is_full() || is_file && status.stx_nlink != 1 {
            return;
        }
        let access = if is_file { OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY } else { OFlags::PATH };
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::openat(dir, name, flags, Mode::empty()) {
            self.held.insert(path.to_vec(), Original { file, size: status.stx_size, modified: modified(status) });
        }
    }

    pub(crate) fn finish(self) -> Originals {
        Originals(Arc::new(self.held))
    }

    /// Three of four descriptors are for the run itself.
    fn is_full(&mut self) -> bool {
        let held = self.held.len();
        held >= FEW_HELD && held >= *self.most.get_or_insert_with(|| MAX_HELD.min(directory::descriptors_left() / 4))
    }
}

impl Originals {
    /// The content that a small regular file had at the start, once something has taken its place; `None` where it was not
    /// kept or was changed since, or has a name still, by which it may have been changed.
    pub(crate) fn content(&self, path: &[u8]) -> Option<Vec<u8>> {
        let original = self.0.get(path)?;
        let status = directory::own_status(original.file.as_fd()).ok()?;
        let is_as_it_was =
            status.stx_nlink == 0 && status.stx_size == original.size && modified(&status) == original.modified;
        if is_as_it_was { read(original.file.as_fd()).ok().flatten() } else { None }
    }
}

fn modified(status: &Statx) -> (i64, u32) {
    (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec)
}

/// The content of an open file; `None` where it is not a regular one or too long.
pub(crate) fn read(file: BorrowedFd<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let status = directory::own_status(file)?;
    let size = usize::try_from(status.stx_size).unwrap_or(usize::MAX);
    if FileType::from_raw_mode(status.stx_mode.into()) != FileType::RegularFile || size > MAX_BYTES {
        return Ok(None);
    }
    let mut content = vec![0; MAX_BYTES + 1];
    let mut length = 0;
    while length < content.len() {
        match rustix::io::pread(file, &mut content[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    content.truncate(length);
    Ok((length <= MAX_BYTES).then_some(content))
}

/// Writes a file as it was, where nothing lies. Whether it did: something may lie there again by now.
pub(crate) fn put_back(dir: BorrowedFd<'_>, name: &CStr, content: &[u8], mode: u32) -> Result<bool, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR);
    let file = match directory::with_permission(dir, create) {
        Ok(file) => file,
        Err(Errno::EXIST) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
    Ok(true)
}

//! Files whose content may change without their times telling, once processes go on.
//!
//! The kernel moves the times of a file when a page of a shared mapping becomes writable, and not when it is written
//! thereafter (`file_update_time` in the `page_mkwrite` of file systems). A page that was dirty when processes stopped is
//! written without a trace later. So it is noted of which files there are shared mappings at all.
//!
//! A path that `/proc` shows proves little: it may be escaped, gone, or of mounts of the process's own. It is believed
//! where a look at it finds the file that is mapped, by the number that `/proc` shows for both.
//!
//! Asynchronous input and output (`io_submit(2)`) moves times when it is asked for, and writes when it gets to it, also to
//! files and to pages of mappings that were closed meanwhile, and while the process that asked stands still. The kernel tells
//! only how much of it all programs of the machine have prepared.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dev, Mode, OFlags, ResolveFlags, fstat};
use rustix::io::{Errno, Result};

use super::maps::{Files, Number};
use crate::limits::kernel_file;

/// Most files that are told one by one, and bytes of their paths.
const MAX_FILES: usize = 1 << 16;
const MAX_BYTES: usize = 1 << 20;

/// Files of a workspace whose content may change without their times telling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Files of which processes have shared mappings, relative to the workspace.
    pub paths: Vec<PathBuf>,
    /// Numbers of files of which they have shared mappings, on whatever file system.
    pub inodes: Vec<u64>,
    /// Whether there may be more of them.
    pub others: bool,
    /// Whether writes to any file may be under way that a program has asked for by now.
    pub under_way: bool,
}

impl Unseen {
    /// Sorts out what is mapped; whether writes are under way is another matter. `ground` is `None` where the workspace cannot be looked at.
    pub(super) fn of(files: Files, ground: Option<&Ground>) -> Self {
        let Some(ground) = ground else { return Self { others: !files.is_empty(), ..Self::default() } };
        let mut unseen = Self::default();
        let mut bytes = 0;
        for (number, path) in files {
            bytes += path.as_os_str().len();
            if bytes > MAX_BYTES || unseen.paths.len() + unseen.inodes.len() >= MAX_FILES {
                unseen.others = true;
                break;
            }
            if number.0 != ground.device {
                unseen.inodes.push(number.1);
            } else if let Some(path) = ground.relative(&path).filter(|path| ground.is_at(path, number)) {
                unseen.paths.push(path.to_owned());
            } else {
                unseen.others = true;
            }
        }
        unseen
    }
}

/// Whether any program of the machine has made room for asynchronous input and output, by its `/proc`.
pub(super) fn is_under_way(proc: BorrowedFd<'_>) -> bool {
    kernel_file::read(proc, "sys/fs/aio-nr", &mut [0; 32]).map(<[u8]>::trim_ascii) != Ok(b"0")
}

/// The workspace as processes see it.
#[derive(Debug)]
pub(super) struct Ground<'g> {
    path: &'g Path,
    directory: OwnedFd,
    device: Dev,
    /// The caller's `/proc`.
    proc: BorrowedFd<'g>,
}

impl<'g> Ground<'g> {
    /// Opens it below the root of the process whose directory this is.
    pub(super) fn open(process: BorrowedFd<'_>, path: &'g Path, proc: BorrowedFd<'g>) -> Result<Self> {
        let root = kernel_file::open(process, "root", OFlags::PATH | OFlags::DIRECTORY)?;
        let directory = open_in(root.as_fd(), path.strip_prefix("/").map_err(|_| Errno::INVAL)?)?;
        let device = fstat(&directory)?.st_dev;
        Ok(Self { path, directory, device, proc })
    }

    /// The number of its file system.
    pub(super) const fn device(&self) -> Dev {
        self.device
    }

    fn relative<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.strip_prefix(self.path).ok().filter(|path| !path.as_os_str().is_empty())
    }

    /// Whether that file lies at this path.
    fn is_at(&self, path: &Path, number: Number) -> bool {
        let found = open_in(self.directory.as_fd(), path).and_then(|file| self.inode(file.as_fd()));
        found == Ok(number.1)
    }

    /// The number of an open file in the terms of memory maps, of which `stat(2)` has others for some files of overlays.
    fn inode(&self, file: BorrowedFd<'_>) -> Result<u64> {
        let mut buffer = [0; kernel_file::SMALL];
        let text = kernel_file::read(self.proc, format!("self/fdinfo/{}", file.as_raw_fd()), &mut buffer)?;
        let number = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"ino:"));
        let number = number.and_then(|number| std::str::from_utf8(number.trim_ascii()).ok()?.parse().ok());
        // Linux before 5.14 does not tell it.
        number.ok_or(Errno::NOENT)
    }
}

fn open_in(directory: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, path.as_os_str().as_bytes(), flags, Mode::empty(), resolve)
}

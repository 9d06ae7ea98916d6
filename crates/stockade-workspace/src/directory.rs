//! Directories by descriptor: opened name by name, no symbolic link followed.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::{Errno, Result};

use crate::listing;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// File systems that the kernel makes up, where a walk has no business: the numbers of `statfs(2)` and
/// `include/uapi/linux/magic.h` for proc, sysfs, cgroup, cgroup2, debugfs, tracefs, devpts, securityfs, bpf, configfs, autofs.
const MADE_UP: &[u64] = &[
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x1cd1,
    0x7363_6673,
    0xcafe_4a11,
    0x6265_6570,
    0x0187,
];

/// Opens the subdirectory `name`. One on a file system that the kernel makes up counts as not there (`EXDEV`).
pub(crate) fn open_child(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(dir, name, DIRECTORY, Mode::empty(), resolve) {
        // Another sandbox around this one may hide the call (`ENOSYS`). For a single name, which `..` never is, the plain one
        // differs only in crossing file systems.
        Err(Errno::XDEV | Errno::NOSYS) => {
            let child = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
            let kind = rustix::fs::fstatfs(&child)?.f_type.cast_unsigned() & u64::from(u32::MAX);
            if MADE_UP.contains(&kind) { Err(Errno::XDEV) } else { Ok(child) }
        }
        other => other,
    }
}

/// How many more descriptors this process may open; 0 where that cannot be found out.
pub(crate) fn descriptors_left() -> usize {
    let count = || {
        let own = rustix::fs::openat(rustix::fs::CWD, c"/proc/self/fd", DIRECTORY - OFlags::NOFOLLOW, Mode::empty())?;
        let mut count = 0;
        listing::each(own.as_fd(), |_, _| {
            count += 1;
            Ok::<_, Errno>(())
        })?;
        Ok::<usize, Errno>(count)
    };
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    count().map_or(0, |open| limit.saturating_sub(open))
}

/// Opens a directory by its relative path, name by name.
pub(crate) fn open_below(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let mut current = rustix::fs::openat(root, c".", DIRECTORY, Mode::empty())?;
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        current = open_child(current.as_fd(), &c_name(name)?)?;
    }
    Ok(current)
}

/// Splits a relative path into its directory and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

/// Joins a relative directory and a name.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

/// A name for a system call. Names come from the system or from paths, which hold no NUL; one that does names nothing, and
/// neither do `.` and `..`.
pub(crate) fn c_name(name: &[u8]) -> Result<CString> {
    if matches!(name, b"." | b"..") {
        return Err(Errno::INVAL);
    }
    CString::new(name).map_err(|_| Errno::INVAL)
}

/// What lies at `name`, links not followed, nothing fetched from a server for it.
pub(crate) fn status(dir: BorrowedFd<'_>, name: &CStr) -> Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)
}

/// What an open descriptor is.
pub(crate) fn own_status(fd: BorrowedFd<'_>) -> Result<Statx> {
    rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}

/// Changes the permission bits of exactly the file that is open, which may be open as a mere path (`O_PATH`).
pub(crate) fn set_mode(fd: BorrowedFd<'_>, mode: Mode) -> Result<()> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    // The file is open, so what is missing can only be `/proc`; a missing file would be taken for one that has gone.
    rustix::fs::chmod(path, mode).map_err(|error| if error == Errno::NOENT { Errno::NOSYS } else { error })
}

/// Opens whatever lies at `name` as a mere path, which needs no permission on it. A link is opened itself.
pub(crate) fn open_path(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    rustix::fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Runs `action`; when that is refused for want of permission, gives the caller all permissions on the directory, which
/// sandboxed code of the same user may have taken away, runs it again, and puts the old ones back.
pub(crate) fn with_permission<T>(dir: BorrowedFd<'_>, action: impl Fn() -> Result<T>) -> Result<T> {
    match action() {
        Err(Errno::ACCESS | Errno::PERM) => {
            let mode = Mode::from_raw_mode(own_status(dir)?.stx_mode.into());
            rustix::fs::fchmod(dir, mode | Mode::RWXU)?;
            let result = action();
            rustix::fs::fchmod(dir, mode)?;
            result
        }
        other => other,
    }
}

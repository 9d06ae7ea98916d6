//! Extended attributes: those that a user sets, and overlayfs's own among them.
//!
//! With the mount option `userxattr`, overlayfs keeps its marks as `user.overlay.*`. Those are its private language and no
//! attributes of the file; since Linux 6.7 it also hides there, escaped, what a program inside sets by such a name.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::{Errno, Result};

use crate::directory::with_permission;

/// Prefix of overlayfs's own, and of what it hides there.
const OVERLAY: &[u8] = b"user.overlay.";
const ESCAPED: &[u8] = b"user.overlay.overlay.";

const OPAQUE: &CStr = c"user.overlay.opaque";
const ORIGIN: &CStr = c"user.overlay.origin";

/// The kernel's bounds, `XATTR_LIST_MAX` and `XATTR_SIZE_MAX` of `limits.h`.
const LIST_MAX: usize = 65_536;
const VALUE_MAX: usize = 65_536;

/// Attributes by name.
pub(crate) type Attributes = BTreeMap<CString, Vec<u8>>;

/// The user's attributes of an open file or directory, without overlayfs's own. A file system without any has none.
pub(crate) fn of(fd: BorrowedFd<'_>) -> Result<Attributes> {
    let mut found = Attributes::new();
    for name in names(fd)? {
        let name_bytes = name.as_bytes();
        if !name_bytes.starts_with(b"user.") || name_bytes.starts_with(OVERLAY) {
            continue;
        }
        if let Some(value) = value(fd, &name)? {
            found.insert(name, value);
        }
    }
    Ok(found)
}

/// Whether the directory hides what lies below it in deeper layers.
pub(crate) fn is_opaque(dir: BorrowedFd<'_>) -> Result<bool> {
    Ok(value(dir, OPAQUE)?.as_deref() == Some(b"y"))
}

/// Hides what lies below the directory in deeper layers.
pub(crate) fn set_opaque(dir: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fsetxattr(dir, OPAQUE, b"y", XattrFlags::empty())
}

/// Says that the directory may hold whiteouts, though there may be nothing below that they hide: otherwise overlayfs lists them
/// as names without files. It takes for that what it leaves itself in a directory that it copied up, also when that is empty
/// (`ovl_path_check_origin_xattr` in `fs/overlayfs/util.c`).
pub(crate) fn set_may_hold_whiteouts(dir: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fsetxattr(dir, ORIGIN, b"", XattrFlags::empty())
}

/// Whether overlayfs takes a file or directory for one that it copied from below, and a directory for one that may hold
/// whiteouts.
pub(crate) fn is_copied_up(fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(value(fd, ORIGIN)?.is_some())
}

/// Copies what belongs to a file of a layer: the user's attributes, what overlayfs hides of them, and access control lists.
pub(crate) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let names = names(from)?;
    let is_user = |name: &[u8]| name.starts_with(b"user.");
    let is_kept = |name: &[u8]| !name.starts_with(OVERLAY) || name.starts_with(ESCAPED);
    let is_list = |name: &[u8]| name.starts_with(b"system.posix_acl_");
    // A list may take the permission away that setting the others needs.
    let users = names.iter().filter(|name| is_user(name.as_bytes()) && is_kept(name.as_bytes()));
    for name in users.chain(names.iter().filter(|name| is_list(name.as_bytes()))) {
        if let Some(value) = value(from, name)? {
            rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty())?;
        }
    }
    Ok(())
}

/// Whether the file, which is empty, says that there is none.
pub(crate) fn is_whiteout(file: BorrowedFd<'_>) -> Result<bool> {
    Ok(value(file, c"user.overlay.whiteout")?.is_some())
}

/// The value of one attribute, or nothing where there is none.
pub(crate) fn value(fd: BorrowedFd<'_>, name: &CStr) -> Result<Option<Vec<u8>>> {
    let read = |length| {
        let mut buffer = Vec::with_capacity(length);
        rustix::fs::fgetxattr(fd, name, rustix::buffer::spare_capacity(&mut buffer))?;
        Ok(buffer)
    };
    // Reading one needs the permission to read the file, also when the file is open already.
    let result = match with_permission(fd, || read(256)) {
        Err(Errno::RANGE) => with_permission(fd, || read(VALUE_MAX)),
        other => other,
    };
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

fn names(fd: BorrowedFd<'_>) -> Result<Vec<CString>> {
    let read = |length| {
        let mut buffer = Vec::with_capacity(length);
        rustix::fs::flistxattr(fd.as_fd(), rustix::buffer::spare_capacity(&mut buffer))?;
        Ok(buffer)
    };
    let list: Vec<u8> = match read(1024) {
        Err(Errno::RANGE) => read(LIST_MAX)?,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        other => other?,
    };
    let whole = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(whole.filter_map(|name| CString::new(name).ok()).collect())
}

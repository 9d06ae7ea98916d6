//! Brings owner, mode, extended attributes and times of one file to another.

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Gid, Mode, Statx, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::{Errno, Result};

use super::lists;
use crate::directory;
use crate::layers::xattrs;

/// Whether all attributes were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    All,
    /// The file system does not take some of the extended attributes.
    Some,
}

/// Brings everything of one open file or directory to one that was made for it, but with this mode and this time of last change,
/// and without its access control lists. The time is last, so that nothing here changes it.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mode: u32, modified: i64) -> Result<Taken> {
    let (source, target) = (directory::own_status(from)?, directory::own_status(to)?);
    own(&source, &target, |user, group| rustix::fs::fchown(to, user, group));
    lists::clear(to)?;
    let taken = extended(from, to, mode)?;
    rustix::fs::futimens(to, &times(modified))?;
    Ok(taken)
}

/// Gives what was made, which is open, a mode and a time, where nothing else is known.
pub(super) fn plain(to: BorrowedFd<'_>, mode: u32, modified: i64) -> Result<Taken> {
    lists::clear(to)?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(mode))?;
    rustix::fs::futimens(to, &times(modified))?;
    Ok(Taken::Some)
}

/// Makes mode and extended attributes of one open file or directory those of another.
pub(super) fn extended(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mode: u32) -> Result<Taken> {
    let taken = set_user(from, to)?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(mode))?;
    Ok(taken)
}

fn set_user(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<Taken> {
    let (wanted, had) = (xattrs::of(from)?, xattrs::of(to)?);
    let mut taken = Taken::All;
    for name in had.keys().filter(|name| !wanted.contains_key(*name)) {
        directory::with_permission(to, || remove(to, name))?;
    }
    for (name, value) in wanted.iter().filter(|(name, value)| had.get(*name) != Some(value)) {
        let set = || rustix::fs::fsetxattr(to, name.as_c_str(), value, XattrFlags::empty());
        taken = taken.and(directory::with_permission(to, set))?;
    }
    Ok(taken)
}

/// Removes an attribute, if it is there.
pub(super) fn remove(from: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match rustix::fs::fremovexattr(from, name) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

impl Taken {
    /// Goes on after one more attribute was to be set. There may be no room for it in this file, though there is on the disk.
    pub(super) fn and(self, result: Result<()>) -> Result<Self> {
        match result {
            Ok(()) => Ok(self),
            Err(Errno::OPNOTSUPP | Errno::NOSPC | Errno::TOOBIG | Errno::RANGE) => Ok(Self::Some),
            Err(error) => Err(error),
        }
    }
}

/// Brings owner and time to a link or pipe, which has nothing else.
pub(super) fn copy_plain(from: &Statx, dir: BorrowedFd<'_>, name: &CString, modified: i64) -> Result<()> {
    let target = directory::status(dir, name)?;
    own(from, &target, |user, group| rustix::fs::chownat(dir, name, user, group, AtFlags::SYMLINK_NOFOLLOW));
    set_plain_modified(dir, name, modified)
}

/// Sets the time of the last change of a link or pipe.
pub(super) fn set_plain_modified(dir: BorrowedFd<'_>, name: &CString, modified: i64) -> Result<()> {
    rustix::fs::utimensat(dir, name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)
}

/// Gives a file the owner and group that another has, as far as the caller may: an ordinary user may give it to those of the
/// user's own groups.
fn own(source: &Statx, target: &Statx, set: impl Fn(Option<Uid>, Option<Gid>) -> Result<()>) {
    if source.stx_gid != target.stx_gid {
        drop(set(None, Some(Gid::from_raw(source.stx_gid))).map_err(std::io::Error::from));
    }
    if source.stx_uid != target.stx_uid {
        drop(set(Some(Uid::from_raw(source.stx_uid)), None).map_err(std::io::Error::from));
    }
}

/// Sets the time of the last change of an open file or directory.
pub(super) fn set_modified(file: BorrowedFd<'_>, modified: i64) -> Result<()> {
    rustix::fs::futimens(file, &times(modified))
}

pub(super) fn times(modified: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: modified.div_euclid(1_000_000_000),
            tv_nsec: modified.rem_euclid(1_000_000_000),
        },
    }
}

//! Access control lists (`acl(5)`), which are kept as extended attributes.
//!
//! A list gives others rights that no mode shows, so those of a sandbox stay in it. What the host has keeps its own list, and
//! what is new gets what its directory hands on, as if it had been made there.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, XattrFlags};
use rustix::io::{Errno, Result};

use super::attributes::{self, Taken};
use super::host::Host;
use super::plan::{Task, Unit};
use crate::directory;
use crate::layers::Kind;

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";

/// The longest value of an attribute: `XATTR_SIZE_MAX` of the kernel's `limits.h`.
const VALUE_MAX: usize = 65_536;

/// The lists of a file or directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    access: Option<Vec<u8>>,
    /// What a directory hands on to what is made in it.
    default: Option<Vec<u8>>,
}

impl Lists {
    /// Those of what is open, if only as a mere path.
    pub(super) fn of(fd: BorrowedFd<'_>) -> Result<Self> {
        Ok(Self { access: value(fd, ACCESS)?, default: value(fd, DEFAULT)? })
    }

    /// Those that the host has for what a unit brings. All that lies below its path is new.
    pub(super) fn for_unit(host: &Host, unit: &Unit) -> Result<Self> {
        let path = unit.members[0].path.as_os_str().as_bytes();
        match (unit.task, unit.members[0].new) {
            // Nothing is put in a place.
            (Task::Attributes(_) | Task::Remove(_), _) | (_, None) => Ok(Self::default()),
            (Task::Replace(old), Some(new)) if old.kind == new.kind => Self::of(host.open_path(path)?.as_fd()),
            _ => {
                let handed_on = value(host.open_path(directory::split(path).0)?.as_fd(), DEFAULT)?;
                Ok(Self { access: handed_on.clone(), default: handed_on })
            }
        }
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.access.is_none() && self.default.is_none()
    }

    /// Gives them to a file or directory, which has none and may be open as a mere path. The mode is last: of a file with a list
    /// it is part of the list, and says what the list says.
    pub(super) fn give(&self, to: BorrowedFd<'_>, kind: Kind, mode: u32) -> Result<Taken> {
        let mut taken = Taken::All;
        if let Some(list) = &self.access {
            taken = taken.and(set(to, ACCESS, list))?;
            directory::set_mode(to, Mode::from_raw_mode(mode))?;
        }
        match &self.default {
            Some(list) if kind == Kind::Directory => taken.and(set(to, DEFAULT, list)),
            _ => Ok(taken),
        }
    }
}

/// Takes away what an open file or directory got from the directory in which it was made.
pub(super) fn clear(made: BorrowedFd<'_>) -> Result<()> {
    attributes::remove(made, ACCESS)?;
    attributes::remove(made, DEFAULT)
}

/// Removes the list that new files in a directory would inherit.
pub(super) fn disinherit(dir: BorrowedFd<'_>) -> Result<()> {
    attributes::remove(dir, DEFAULT)
}

fn set(to: BorrowedFd<'_>, name: &CStr, list: &[u8]) -> Result<()> {
    rustix::fs::setxattr(by_number(to), name, list, XattrFlags::empty()).map_err(without_proc)
}

fn value(fd: BorrowedFd<'_>, name: &CStr) -> Result<Option<Vec<u8>>> {
    let mut value = Vec::with_capacity(VALUE_MAX);
    match rustix::fs::getxattr(by_number(fd), name, rustix::buffer::spare_capacity(&mut value)) {
        Ok(_) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(without_proc(error)),
    }
}

/// The path of an open file, for calls that take no file that is open as a mere path.
fn by_number(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// The file is open, so what is missing can only be `/proc`; a missing file would be taken for one that has gone.
fn without_proc(error: Errno) -> Errno {
    if error == Errno::NOENT { Errno::NOSYS } else { error }
}

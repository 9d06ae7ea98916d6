#![allow(unsafe_code, reason = "mount_setattr(2) has no safe wrapper")]
//! The part of the mount interface that rustix lacks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Attributes of a mount (`mount_setattr(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MountAttributes(u64);

impl MountAttributes {
    /// Nothing can be written through the mount.
    pub(crate) const READ_ONLY: Self = Self(0x1);
    /// Set-user-id bits are ignored.
    pub(crate) const NO_SUID: Self = Self(0x2);
    /// Device nodes cannot be opened.
    pub(crate) const NO_DEV: Self = Self(0x4);

    /// Both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The argument block of `mount_setattr(2)` (`include/uapi/linux/mount.h`, version 0).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Adds attributes to the mount behind `mount`, and to all mounts below it when `recursive`.
pub(crate) fn set_attributes(mount: BorrowedFd<'_>, attributes: MountAttributes, recursive: bool) -> io::Result<()> {
    let mut block = MountAttr { attr_set: attributes.0, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is a valid C string, `block` outlives the call, and the size given is its size; a descriptor that
    // is not a mount gives an error.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw mut block,
            size_of::<MountAttr>(),
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

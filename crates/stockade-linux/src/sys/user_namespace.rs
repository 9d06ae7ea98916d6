#![allow(unsafe_code, reason = "the ioctls of ioctl_nsfs(2) have no safe wrapper")]
//! How user namespaces are nested (`ioctl_nsfs(2)`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `NS_GET_PARENT` of `linux/nsfs.h`.
const GET_PARENT: libc::Ioctl = 0xb702;

/// The namespace in which a user namespace was made.
///
/// # Errors
/// `EPERM` when that is not the caller's own or below it; `EINVAL` when the descriptor is no such namespace.
pub(crate) fn parent(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the request takes no argument, and touches no memory.
    let number = unsafe { libc::ioctl(namespace.as_raw_fd(), GET_PARENT) };
    if number == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened this descriptor for the caller, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_above_the_own_namespace_is_not_shown() {
        let own = File::open("/proc/self/ns/user").unwrap();
        assert_eq!(parent(own.as_fd()).unwrap_err().raw_os_error(), Some(libc::EPERM));
        let other = File::open("/proc/self/ns/uts").unwrap();
        assert_eq!(parent(other.as_fd()).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}

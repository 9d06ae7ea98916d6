#![allow(unsafe_code, reason = "seccomp(2) has no safe wrapper")]
//! Installing a system-call filter (`seccomp(2)`).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libc::{c_ulong, sock_filter, sock_fprog};

/// Installs a filter on the calling thread, for good; it is inherited by everything that the thread starts.
///
/// The thread must have `no_new_privs` set. With `listener`, calls that end in `SECCOMP_RET_USER_NOTIF` are put to
/// whoever serves the returned descriptor (`seccomp_unotify(2)`), which is close-on-exec. Once such a call has been
/// received, only a fatal signal interrupts it (from Linux 5.19 on), so that an answer is not lost to a timer.
///
/// # Errors
/// `EACCES` without `no_new_privs`; `EBUSY` when a filter with a listener is already installed; `EINVAL` for a program
/// that is empty, too long (4096 instructions) or invalid.
pub(crate) fn install(program: &[sock_filter], listener: bool) -> io::Result<Option<OwnedFd>> {
    if !listener {
        return set_mode_filter(program, 0).map(|_| None);
    }
    let with_wait = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let result = match set_mode_filter(program, with_wait) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            set_mode_filter(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)
        }
        other => other,
    };
    // SAFETY: with NEW_LISTENER the call returns a descriptor that it has just opened, and nobody else owns.
    result.map(|number| Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

fn set_mode_filter(program: &[sock_filter], flags: c_ulong) -> io::Result<RawFd> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let description = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `description` names `len` instructions that outlive the call; the kernel copies and only reads them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const description) };
    // A descriptor or 0: both fit.
    RawFd::try_from(result).ok().filter(|number| *number >= 0).ok_or_else(io::Error::last_os_error)
}
